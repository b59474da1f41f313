//! The last lists that one subject was shown, and what became of each hit.
//!
//! In: lists as they went out, in shown order. Out: where a product stood when it was picked.
//! A list keeps its first [`SHOWN_MAX`] products, each with three marks: *clicked*, *picked without
//! a click that was reported* (a product page opened, a cart), *passed over*. A subject keeps
//! [`LISTS_MAX`] lists, oldest out first: at most some 2.5 KB.

use std::collections::VecDeque;

use crate::types::clock::Timestamp;
use crate::types::ids::{ProductKey, QueryId};

/// Lists kept a subject.
pub const LISTS_MAX: usize = 4;

/// Leading hits kept a list: as many as a mark word has bits for, within a default window.
pub const SHOWN_MAX: usize = 50;

/// One list as it was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownList {
    /// When it went out.
    pub at: Timestamp,
    /// The search, as the reply named it.
    pub query: QueryId,
    /// True when it went out in the upstream's order.
    pub natural: bool,
    /// Its leading products, in shown order.
    pub(super) shown: Box<[ProductKey]>,
    /// Bit a position: picked.
    pub(super) clicked: u64,
    /// Bit a position: the pick was told by another act than a click, whose own report may follow.
    pub(super) inferred: u64,
    /// Bit a position: passed over.
    pub(super) scrolled: u64,
    /// When each was passed over; empty until one is.
    pub(super) scrolled_at: Box<[Timestamp]>,
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
            shown: kept.into(),
            clicked: 0,
            inferred: 0,
            scrolled: 0,
            scrolled_at: Box::default(),
        }
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
        has(self.scrolled, position)
    }

    /// Marks a hit as passed over at a time.
    pub(super) fn mark_scrolled(&mut self, position: usize, at: Timestamp) {
        if self.scrolled_at.is_empty() {
            self.scrolled_at = vec![at; self.shown.len()].into();
        }
        if let Some(scrolled_at) = self.scrolled_at.get_mut(position) {
            *scrolled_at = at;
            self.scrolled |= bit(position);
        }
    }

    /// Takes the mark back and says when it was set.
    pub(super) fn unmark_scrolled(&mut self, position: usize) -> Option<Timestamp> {
        if !self.is_scrolled(position) {
            return None;
        }
        self.scrolled &= !bit(position);
        self.scrolled_at.get(position).copied()
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
        list.mark_scrolled(70, Timestamp(1));
        assert_eq!((list.scrolled, list.unmark_scrolled(70)), (0, None));
    }
}
