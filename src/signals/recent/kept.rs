//! A subject's last lists as bytes, for the snapshot.
//!
//! ```text
//! number of lists, each: at · query u64 · digest of the words u64 · flags u8
//!   number of products, 6 B each · clicked u64 · inferred u64
//!   number of marks, each: bits u64 · at · times f32 · 0 or 1 and the product picked instead
//!   the product picked last, where a flag says so
//! ```
//!
//! In: lists, or bytes from anywhere. Out: the other. The words of a query are not written: they
//! matter for a second alone.

use super::{LISTS_MAX, Passed, PassedOver, RecentLists, SHOWN_MAX, ShownList, bit};
use crate::types::bytes::{Reader, put_number, put_product, put_time};
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductKey, QueryId};

const NATURAL: u8 = 1;
const TOUCHED: u8 = 2;
const PICKED: u8 = 4;
const UNORDERED: u8 = 8;

impl RecentLists {
    /// Appends the lists that went out after `since`. What was done with a product that must not be
    /// told is left out.
    pub fn keep(&self, since: Timestamp, tells: &dyn Fn(ProductKey) -> bool, out: &mut Vec<u8>) {
        let lists = || self.lists.iter().filter(|list| list.at > since);
        put_number(out, lists().count());
        lists().for_each(|list| list.keep(tells, out));
    }

    /// What [`Self::keep`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let lists = from.list(ShownList::read)?;
        (lists.len() <= LISTS_MAX).then(|| Self { lists: lists.into() })
    }

    /// Forgets lists that went out at a time that is not admitted.
    pub fn retain(&mut self, admits: impl Fn(Timestamp) -> bool) {
        self.lists.retain(|list| admits(list.at));
    }
}

impl ShownList {
    fn keep(&self, tells: &dyn Fn(ProductKey) -> bool, out: &mut Vec<u8>) {
        let told = |marks: u64| {
            let hidden = |at: &usize| self.product(*at).is_some_and(|product| !tells(product));
            let marked = (0..self.shown.len()).filter(|at| marks & bit(*at) != 0);
            marks & !marked.filter(hidden).map(bit).sum::<u64>()
        };
        let picked = self.picked.filter(|product| tells(*product));
        put_time(out, self.at);
        out.extend(self.query.0.to_le_bytes());
        out.extend(self.asked.to_le_bytes());
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = [
            (self.natural, NATURAL),
            (self.touched, TOUCHED),
            (picked.is_some(), PICKED),
            (self.unordered, UNORDERED),
        ];
        out.push(flags.into_iter().map(|(is, bit)| flag(is, bit)).sum());
        put_number(out, self.shown.len());
        self.shown.iter().for_each(|product| put_product(out, *product));
        out.extend(told(self.clicked).to_le_bytes());
        out.extend(told(self.inferred).to_le_bytes());
        let passed = || self.passed.iter().filter(|passed| passed.over.instead.is_none_or(tells));
        put_number(out, passed().count());
        for Passed { marks, over } in passed() {
            out.extend(marks.to_le_bytes());
            put_time(out, over.at);
            out.extend(over.times.to_le_bytes());
            put_product_if(out, over.instead);
        }
        picked.into_iter().for_each(|product| put_product(out, product));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (at, query, asked) = (from.time()?, QueryId(from.u64()?), from.u64()?);
        let flags = from.byte()?;
        let shown = from.list(Reader::product).filter(|shown| shown.len() <= SHOWN_MAX)?;
        let (clicked, inferred) = (from.u64()?, from.u64()?);
        let passed = from.list(Passed::read)?;
        let picked = if flags & PICKED == 0 { None } else { Some(from.product()?) };
        Some(Self {
            at,
            query,
            natural: flags & NATURAL != 0,
            unordered: flags & UNORDERED != 0,
            words: Box::default(),
            asked,
            shown: shown.into(),
            clicked,
            inferred,
            passed,
            picked,
            touched: flags & TOUCHED != 0,
        })
    }
}

impl Passed {
    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (marks, at, times) = (from.u64()?, from.time()?, from.finite()?);
        let instead = if from.byte()? == 0 { None } else { Some(from.product()?) };
        Some(Self { marks, over: PassedOver { at, times, instead } })
    }
}

fn put_product_if(out: &mut Vec<u8>, product: Option<ProductKey>) {
    out.push(u8::from(product.is_some()));
    product.into_iter().for_each(|product| put_product(out, product));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> RecentLists {
        let mut recent = RecentLists::default();
        for at in [1_000, 2_000_000] {
            let keys = (0..20).map(|n| ProductKey::of(&format!("{at}/{n}")));
            let list = ShownList::new(Timestamp(at), QueryId(at as u64), at > 1_000, keys);
            recent.push(list.asked("Oat Milk").unordered(true));
        }
        let last = recent.lists.back_mut().unwrap();
        (last.clicked, last.inferred, last.touched) = (bit(3) | bit(4), bit(4), true);
        last.picked = last.product(4);
        let over = PassedOver { at: Timestamp(2_000_500), times: 0.25, instead: last.product(3) };
        last.mark_passed(bit(0) | bit(2), over);
        recent
    }

    fn kept(recent: &RecentLists, since: i64, tells: impl Fn(ProductKey) -> bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        recent.keep(Timestamp(since), &tells, &mut bytes);
        bytes
    }

    #[test]
    fn lists_come_back_as_they_were_but_for_the_words_of_their_query() {
        let mut recent = lists();
        let bytes = kept(&recent, 0, |_| true);
        let back = RecentLists::read(&mut Reader::new(&bytes)).unwrap();
        recent.lists.iter_mut().for_each(|list| list.words = Box::default());
        assert_eq!(back, recent);
        assert!(!bytes.windows(3).any(|window| window == b"oat"));
        let again = lists().lists.pop_back().unwrap();
        let again = ShownList { query: QueryId(9), touched: false, ..again };
        let untouched = ShownList { touched: false, ..back.lists.back().unwrap().clone() };
        assert!(untouched.is_again(&again), "a reload after a restart is one");
        assert!(!untouched.is_again(&again.asked("milk")));
    }

    #[test]
    fn what_explains_no_click_any_more_is_left_out() {
        let bytes = kept(&lists(), 1_000, |_| true);
        let back = RecentLists::read(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(back.iter().map(|list| list.at.0).collect::<Vec<_>>(), [2_000_000]);
    }

    #[test]
    fn what_was_done_with_a_product_that_must_not_be_told_is_not_written() {
        let hidden = lists().lists.back().unwrap().product(3).unwrap();
        let bytes = kept(&lists(), 0, |product| product != hidden);
        let back = RecentLists::read(&mut Reader::new(&bytes)).unwrap();
        let last = back.newest().unwrap();
        assert_eq!((last.clicked, last.inferred), (bit(4), bit(4)));
        assert_eq!((last.picked, last.passed_times()), (last.product(4), 0.0));
    }

    #[test]
    fn bytes_that_nobody_wrote_are_no_lists() {
        let bytes = kept(&lists(), 0, |_| true);
        for length in 0..bytes.len() {
            assert_eq!(RecentLists::read(&mut Reader::new(&bytes[..length])), None, "{length}");
        }
        let mut recent = RecentLists::default();
        let five =
            (0..=LISTS_MAX as i64).map(|at| ShownList::new(Timestamp(at), QueryId(0), true, []));
        recent.lists.extend(five);
        let bytes = kept(&recent, -1, |_| true);
        assert_eq!(RecentLists::read(&mut Reader::new(&bytes)), None);
    }
}
