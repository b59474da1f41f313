//! The last lists that one subject was shown, and what became of each hit.
//!
//! In: lists as they went out, in shown order. Out: where a product stood when it was picked.
//! A list keeps its first [`SHOWN_MAX`] products, each with three marks: *clicked*, *picked without
//! a click that was reported* (a product page opened, a cart), *passed over*. A list that comes again
//! as it is, nothing done in between, is the one that is there already; one that gave way to the
//! next letters of its query within a second was never read. A subject keeps [`LISTS_MAX`] lists,
//! oldest out first: at most some 5 KB. [`kept`] writes them down for the next start.

mod kept;

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64;

use crate::types::clock::Timestamp;
use crate::types::ids::{ProductKey, QueryId};

/// Lists kept a subject.
pub const LISTS_MAX: usize = 4;

/// Leading hits kept a list: as many as a mark word has bits for, within a default window.
pub const SHOWN_MAX: usize = 50;

/// A list that stood for less was not read: its query was still being typed.
const TYPING_MS: i64 = 1_000;

/// Longer queries are not typed letter by letter, and are not kept.
const WORDS_BYTES_MAX: usize = 64;

/// One list as it was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownList {
    /// When it went out.
    pub at: Timestamp,
    /// The search, as the reply named it.
    pub query: QueryId,
    /// True when it went out in the upstream's order.
    pub natural: bool,
    /// True when its order means nothing: each hit is as likely to have been looked at.
    pub(super) unordered: bool,
    /// What was searched for, in lower case; empty where nobody knows.
    words: Box<str>,
    /// Digest of the words, which outlives them; 0 where nobody knows.
    asked: u64,
    /// Its leading products, in shown order.
    pub(super) shown: Box<[ProductKey]>,
    /// Bit a position: picked.
    pub(super) clicked: u64,
    /// Bit a position: the pick was told by another act than a click, whose own report may follow.
    pub(super) inferred: u64,
    /// Hits that were passed over together; one entry a pick at most.
    passed: Vec<Passed>,
    /// The hit that was picked last.
    pub(super) picked: Option<ProductKey>,
    /// Something was done since it went out.
    touched: bool,
}

/// Hits that were passed over together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Passed {
    /// Bit a position.
    marks: u64,
    over: PassedOver,
}

/// How a hit was passed over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassedOver {
    /// When.
    pub at: Timestamp,
    /// How much it counts, of one full signal.
    pub times: f32,
    /// What was picked instead, if anything was.
    pub instead: Option<ProductKey>,
}

/// What became of a list that went out.
#[derive(Clone, Debug, PartialEq)]
pub enum Entered {
    /// It is one more list.
    New,
    /// It is one that is there already.
    Reloaded,
    /// It took the place of one that nobody could read.
    Instead(ShownList),
}

impl ShownList {
    /// A list that just went out; products past [`SHOWN_MAX`] are not kept.
    pub fn new(
        at: Timestamp,
        query: QueryId,
        natural: bool,
        shown: impl IntoIterator<Item = ProductKey>,
    ) -> Self {
        let shown = shown.into_iter().take(SHOWN_MAX);
        // room for all at once, also where the iterator knows no lower bound
        let mut kept = Vec::with_capacity(shown.size_hint().1.unwrap_or_default());
        kept.extend(shown);
        Self {
            at,
            query,
            natural,
            unordered: false,
            words: Box::default(),
            asked: 0,
            shown: kept.into(),
            clicked: 0,
            inferred: 0,
            passed: Vec::new(),
            picked: None,
            touched: false,
        }
    }

    /// The same where the upstream's order means nothing. One that we made does.
    pub fn unordered(self, is: bool) -> Self {
        Self { unordered: is && self.natural, ..self }
    }

    /// The same with what was searched for.
    pub fn asked(mut self, words: &str) -> Self {
        let words = words.trim();
        if words.len() <= WORDS_BYTES_MAX {
            self.words = words.to_lowercase().into();
            self.asked = if words.is_empty() { 0 } else { xxh3_64(self.words.as_bytes()) };
        }
        self
    }

    /// The 0-based position of a product. `O(shown)`.
    pub fn position(&self, product: ProductKey) -> Option<usize> {
        self.shown.iter().position(|shown| *shown == product)
    }

    /// The products in shown order.
    pub fn products(&self) -> impl Iterator<Item = ProductKey> + '_ {
        self.shown.iter().copied()
    }

    /// The product at a position.
    pub fn product(&self, position: usize) -> Option<ProductKey> {
        self.shown.get(position).copied()
    }

    /// True when the hit at this position was picked.
    pub fn is_clicked(&self, position: usize) -> bool {
        has(self.clicked, position)
    }

    /// True when the hit at this position counts as passed over.
    pub fn is_scrolled(&self, position: usize) -> bool {
        self.passed.iter().any(|passed| has(passed.marks, position))
    }

    /// What all hits that were passed over count together, of one full signal.
    pub(super) fn passed_times(&self) -> f32 {
        let each = |passed: &Passed| passed.over.times * passed.marks.count_ones() as f32;
        self.passed.iter().map(each).sum()
    }

    /// Marks hits (bit a position) as passed over.
    pub(super) fn mark_passed(&mut self, marks: u64, over: PassedOver) {
        let shown = bit(self.shown.len()).wrapping_sub(1);
        let marks = marks & shown;
        if marks != 0 {
            self.passed.push(Passed { marks, over });
        }
    }

    /// Takes the mark back and says how it was set.
    pub(super) fn unmark_passed(&mut self, position: usize) -> Option<PassedOver> {
        let at = self.passed.iter().position(|passed| has(passed.marks, position))?;
        let passed = self.passed.get_mut(at)?;
        let over = passed.over;
        passed.marks &= !bit(position);
        if passed.marks == 0 {
            self.passed.remove(at);
        }
        Some(over)
    }

    /// Is this the same answer to the same question, whatever its order?
    fn is_again(&self, other: &Self) -> bool {
        let sum = |list: &Self| list.shown.iter().fold(0, |sum: u64, key| sum.wrapping_add(key.0));
        self.query != other.query
            && self.natural == other.natural
            && self.asked == other.asked
            && self.shown.len() == other.shown.len()
            && sum(self) == sum(other)
    }

    /// Was the query of this list still being typed when `next` went out?
    fn gave_way_to(&self, next: &Self) -> bool {
        let (one, two) = (&*self.words, &*next.words);
        let typed = one != two && (one.starts_with(two) || two.starts_with(one));
        let stood_ms = next.at.0.saturating_sub(self.at.0);
        typed && !one.is_empty() && !two.is_empty() && (0..TYPING_MS).contains(&stood_ms)
    }
}

pub(super) fn bit(position: usize) -> u64 {
    1_u64.checked_shl(position as u32).unwrap_or_default()
}

pub(super) fn has(marks: u64, position: usize) -> bool {
    marks & bit(position) != 0
}

/// The last lists of one subject, newest last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecentLists {
    lists: VecDeque<ShownList>,
}

impl RecentLists {
    /// Remembers a list; the oldest goes when there are too many.
    pub fn push(&mut self, list: ShownList) {
        if self.lists.len() >= LISTS_MAX {
            self.lists.pop_front();
        }
        self.lists.push_back(list);
    }

    /// Remembers a list that just went out, unless it is one that is there already and explains
    /// clicks for `list_seconds`; forgets one whose query was still being typed.
    pub fn enter(&mut self, list: ShownList, list_seconds: u32) -> Entered {
        let window_ms = i64::from(list_seconds) * 1000;
        let mut fresh = self.lists.iter_mut().rev().filter(|known| {
            !known.touched && (0..=window_ms).contains(&list.at.0.saturating_sub(known.at.0))
        });
        if let Some(same) = fresh.find(|known| known.is_again(&list)) {
            same.at = list.at;
            return Entered::Reloaded;
        }
        let typing = self.lists.back().is_some_and(|last| {
            last.query != list.query && !last.touched && last.gave_way_to(&list)
        });
        let unread = if typing { self.lists.pop_back() } else { None };
        self.push(list);
        unread.map_or(Entered::New, Entered::Instead)
    }

    /// Something was done: what is shown from now on is no reload.
    pub(super) fn touch(&mut self) {
        self.lists.iter_mut().for_each(|list| list.touched = true);
    }

    /// Takes over the lists of another, in the order in which they were shown; the newest stay.
    pub fn join(&mut self, other: Self) {
        let mut lists: Vec<ShownList> = self.lists.drain(..).chain(other.lists).collect();
        lists.sort_by_key(|list| list.at);
        lists.into_iter().for_each(|list| self.push(list));
    }

    /// The newest list that showed `product` not later than `at` and at most `list_seconds` before,
    /// with the product's position in it.
    pub fn find(
        &mut self,
        product: ProductKey,
        at: Timestamp,
        list_seconds: u32,
    ) -> Option<(&mut ShownList, usize)> {
        let window_ms = i64::from(list_seconds) * 1000;
        self.lists.iter_mut().rev().find_map(|list| {
            let age_ms = at.0.saturating_sub(list.at.0);
            if !(0..=window_ms).contains(&age_ms) {
                return None;
            }
            let position = list.position(product)?;
            Some((list, position))
        })
    }

    /// The lists, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &ShownList> {
        self.lists.iter()
    }

    /// The newest list.
    pub fn newest(&self) -> Option<&ShownList> {
        self.lists.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(at: i64, ids: &[&str]) -> ShownList {
        ShownList::new(
            Timestamp(at),
            QueryId(at as u64),
            true,
            ids.iter().map(|i| ProductKey::of(i)),
        )
    }

    #[test]
    fn the_newest_list_that_showed_the_product_explains_the_pick() {
        let mut recent = RecentLists::default();
        recent.push(list(1_000, &["a", "b"]));
        recent.push(list(2_000, &["b", "c"]));
        let mut found = |id: &str, at| {
            let found = recent.find(ProductKey::of(id), Timestamp(at), 1_800);
            found.map(|(list, position)| (list.query.0, position))
        };
        assert_eq!(found("b", 3_000), Some((2_000, 0)));
        assert_eq!(found("b", 1_500), Some((1_000, 1)));
        assert_eq!(found("a", 3_000), Some((1_000, 0)));
        assert_eq!(found("x", 3_000), None);
        assert_eq!(found("a", 1_000 + 1_800_001), None);
    }

    #[test]
    fn joined_lists_stand_in_the_order_in_which_they_were_shown() {
        let (mut user, mut visit) = (RecentLists::default(), RecentLists::default());
        [1_000, 4_000].into_iter().for_each(|at| user.push(list(at, &["a"])));
        [2_000, 3_000, 5_000].into_iter().for_each(|at| visit.push(list(at, &["b"])));
        user.join(visit);
        let times: Vec<i64> = user.iter().map(|list| list.at.0).collect();
        assert_eq!(times, [2_000, 3_000, 4_000, 5_000]);
    }

    #[test]
    fn only_the_last_lists_and_their_leading_hits_are_kept() {
        let mut recent = RecentLists::default();
        for at in 0..20 {
            let keys = (0..500_u64).map(ProductKey);
            recent.push(ShownList::new(Timestamp(at), QueryId(at as u64), true, keys));
        }
        assert_eq!(recent.iter().count(), LISTS_MAX);
        assert_eq!(recent.newest().map(|l| (l.query.0, l.shown.len())), Some((19, SHOWN_MAX)));
    }

    #[test]
    fn a_position_past_the_kept_ones_is_never_marked() {
        let mut list = list(0, &["a"]);
        let over = PassedOver { at: Timestamp(1), times: 1.0, instead: None };
        list.mark_passed(bit(70) | bit(1), over);
        assert_eq!((list.passed_times(), list.unmark_passed(1)), (0.0, None));
        list.mark_passed(bit(0), over);
        assert_eq!((list.passed_times(), list.unmark_passed(0)), (1.0, Some(over)));
        assert_eq!((list.passed_times(), list.unmark_passed(0)), (0.0, None));
    }

    fn asked(at: i64, words: &str, ids: &[&str]) -> ShownList {
        list(at, ids).asked(words)
    }

    #[test]
    fn a_list_that_comes_again_is_the_one_that_is_there() {
        let mut recent = RecentLists::default();
        assert_eq!(recent.enter(asked(1_000, "milk", &["a", "b"]), 1_800), Entered::New);
        let again = asked(60_000, " Milk", &["b", "a"]);
        assert_eq!(recent.enter(again, 1_800), Entered::Reloaded);
        assert_eq!(recent.newest().map(|list| list.at), Some(Timestamp(60_000)));
        let page_2 = asked(61_000, "milk", &["c", "d"]);
        assert_eq!(recent.enter(page_2, 1_800), Entered::New);
        let next_day = asked(86_400_000, "milk", &["a", "b"]);
        assert_eq!(recent.enter(next_day, 1_800), Entered::New);
        recent.touch();
        let after_a_click = asked(86_401_000, "milk", &["a", "b"]);
        assert_eq!(recent.enter(after_a_click, 1_800), Entered::New);
    }

    #[test]
    fn a_list_whose_query_was_still_being_typed_was_never_read() {
        let mut recent = RecentLists::default();
        let first = asked(1_000, "mi", &["a", "b"]);
        recent.enter(first.clone(), 1_800);
        let second = asked(1_400, "milk", &["a", "c"]);
        assert_eq!(recent.enter(second.clone(), 1_800), Entered::Instead(first));
        let backspace = asked(1_900, "mil", &["a", "d"]);
        assert_eq!(recent.enter(backspace, 1_800), Entered::Instead(second));
        for (at, words) in [(2_000, "bread"), (2_100, ""), (3_100, "b"), (4_200, "bread")] {
            assert_eq!(recent.enter(asked(at, words, &[&at.to_string()]), 1_800), Entered::New);
        }
    }

    #[test]
    fn lists_of_one_reply_do_not_push_each_other_out() {
        let mut recent = RecentLists::default();
        for words in ["milk", "milk chocolate", "milk"] {
            let list = ShownList { query: QueryId(7), ..asked(1_000, words, &["a"]) };
            assert_eq!(recent.enter(list, 1_800), Entered::New, "{words}");
        }
    }
}
