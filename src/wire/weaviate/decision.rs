//! What may be done with a list: the one table, for all wires.
//!
//! In: a [`ListAsk`] and the window that is configured for its route. Out: a [`Decision`]. The rows
//! are read from above; the first that applies decides. Why a list without an operator, or with a
//! cursor, is never touched: clients that walk through a collection go on from the last id of a
//! page. Why a window has an upper bound: hybrid search normalises its scores over a hundred hits
//! per leg, so that a longer page has other scores, and no search answers past ten thousand.

use super::{ListAsk, Operator};

/// Hits per leg of a hybrid search, over which its scores are normalised.
const HYBRID_WINDOW_MAX: u32 = 100;
/// Hits that one search answers at most, those before its page included.
const WINDOW_MAX: u32 = 10_000;

/// What may be done with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Leave(Left),
    /// The page that was asked for may be re-ordered, nothing more.
    Permute,
    /// The first `limit` hits may be asked for, re-ordered, and cut to the page that was asked for.
    /// `limit` is the same for all pages of a search, and may be what was asked for anyway.
    Widen {
        /// Hits to ask for, from the first on.
        limit: u32,
    },
}

/// Why a list is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Left {
    /// What decides is not known.
    Unclear,
    /// Nothing ranks the list.
    NoOperator,
    /// The list is walked through with a cursor.
    Cursor,
    /// The caller chose an order.
    Sorted,
    /// Hits are grouped.
    Grouped,
    /// Text was made from the hits as they stand.
    Generative,
    /// A re-ranker of Weaviate's own was asked for.
    Reranked,
    /// The caller lifts hits.
    Boosted,
    /// Hits are chosen for diversity.
    Selected,
    /// The page ends behind the window: its hits must stay those that the window does not hold.
    PastWindow,
}

impl Left {
    /// All reasons, for tables of metrics and tests.
    pub const ALL: [Self; 10] = [
        Self::Unclear,
        Self::NoOperator,
        Self::Cursor,
        Self::Sorted,
        Self::Grouped,
        Self::Generative,
        Self::Reranked,
        Self::Boosted,
        Self::Selected,
        Self::PastWindow,
    ];

    /// The name used in metrics and reply headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unclear => "unclear",
            Self::NoOperator => "no_operator",
            Self::Cursor => "cursor",
            Self::Sorted => "sorted",
            Self::Grouped => "grouped",
            Self::Generative => "generative",
            Self::Reranked => "reranker",
            Self::Boosted => "boosted",
            Self::Selected => "selected",
            Self::PastWindow => "past_window",
        }
    }
}

impl ListAsk {
    /// What may be done with this list; `window` is the number of leading hits that the route may
    /// ask for, `None` (or 0) where it never asks for more than its callers do.
    pub fn decide(&self, window: Option<u32>) -> Decision {
        use Decision::{Leave, Permute, Widen};
        let window = window.filter(|window| *window > 0).map(|window| self.reach(window));
        match (self.limit, window) {
            // never touched
            _ if self.unclear => Leave(Left::Unclear),
            _ if self.operator.is_none() => Leave(Left::NoOperator),
            _ if self.after => Leave(Left::Cursor),
            _ if self.sort => Leave(Left::Sorted),
            _ if self.group_by => Leave(Left::Grouped),
            _ if self.generative => Leave(Left::Generative),
            _ if self.rerank => Leave(Left::Reranked),
            _ if self.boost => Leave(Left::Boosted),
            _ if self.selection => Leave(Left::Selected),
            // what is cut by scores would be cut elsewhere if more were asked for
            _ if self.autocut || self.threshold => Permute,
            // the server's own limit is not known
            (None, _) => Permute,
            (_, None) => Permute,
            (Some(limit), Some(window)) if self.ends_within(limit, whole_pages(limit, window)) => {
                Widen { limit: whole_pages(limit, window) }
            }
            (Some(_), Some(_)) => Leave(Left::PastWindow),
        }
    }

    /// The window that does not change the scores of this list.
    fn reach(&self, window: u32) -> u32 {
        match self.operator {
            Some(Operator::Hybrid) => window.min(HYBRID_WINDOW_MAX),
            _ => window.min(WINDOW_MAX),
        }
    }

    fn ends_within(&self, limit: u32, window: u32) -> bool {
        self.offset.checked_add(limit).is_some_and(|end| end <= window)
    }
}

/// The window without the page that would end behind it: were that page left as it is, its hits
/// could stand on the pages before it as well.
fn whole_pages(limit: u32, window: u32) -> u32 {
    window - window.checked_rem(limit).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A search for ten hits.
    fn search() -> ListAsk {
        ListAsk { operator: Some(Operator::Bm25), limit: Some(10), ..ListAsk::default() }
    }

    /// The list is left alone for this reason, whatever the window.
    fn is_left(ask: &ListAsk, left: Left) {
        for window in [None, Some(0), Some(100), Some(u32::MAX)] {
            assert_eq!(ask.decide(window), Decision::Leave(left), "{window:?}");
        }
    }

    fn is_only_permuted(ask: &ListAsk) {
        for window in [None, Some(0), Some(5), Some(100), Some(u32::MAX)] {
            assert_eq!(ask.decide(window), Decision::Permute, "{window:?}");
        }
    }

    #[test]
    fn what_is_unclear_is_left_alone() {
        is_left(&ListAsk { unclear: true, ..search() }, Left::Unclear);
        is_left(&ListAsk { unclear: true, ..ListAsk::default() }, Left::Unclear);
    }

    #[test]
    fn a_list_that_nothing_ranks_is_left_alone() {
        is_left(&ListAsk { operator: None, ..search() }, Left::NoOperator);
    }

    #[test]
    fn a_list_with_a_cursor_is_left_alone() {
        is_left(&ListAsk { after: true, ..search() }, Left::Cursor);
    }

    #[test]
    fn a_list_in_a_chosen_order_is_left_alone() {
        is_left(&ListAsk { sort: true, ..search() }, Left::Sorted);
    }

    #[test]
    fn a_grouped_list_is_left_alone() {
        is_left(&ListAsk { group_by: true, ..search() }, Left::Grouped);
    }

    #[test]
    fn a_list_that_text_was_made_from_is_left_alone() {
        is_left(&ListAsk { generative: true, ..search() }, Left::Generative);
    }

    #[test]
    fn a_list_that_weaviate_re_ranks_is_left_alone() {
        is_left(&ListAsk { rerank: true, ..search() }, Left::Reranked);
    }

    #[test]
    fn a_list_that_the_caller_boosts_is_left_alone() {
        is_left(&ListAsk { boost: true, ..search() }, Left::Boosted);
    }

    #[test]
    fn a_list_chosen_for_diversity_is_left_alone() {
        is_left(&ListAsk { selection: true, ..search() }, Left::Selected);
    }

    #[test]
    fn a_list_cut_by_its_scores_is_permuted_and_never_widened() {
        is_only_permuted(&ListAsk { autocut: true, ..search() });
        is_only_permuted(&ListAsk { threshold: true, ..search() });
        is_only_permuted(&ListAsk { threshold: true, limit: None, ..search() });
    }

    #[test]
    fn a_list_without_a_limit_is_permuted_and_never_widened() {
        is_only_permuted(&ListAsk { limit: None, ..search() });
        is_only_permuted(&ListAsk { limit: None, offset: 200, ..search() });
    }

    #[test]
    fn without_a_window_every_page_is_permuted() {
        for offset in [0, 10, 5_000, u32::MAX] {
            let page = ListAsk { offset, ..search() };
            assert_eq!(page.decide(None), Decision::Permute);
            assert_eq!(page.decide(Some(0)), Decision::Permute);
        }
    }

    #[test]
    fn a_page_within_the_window_is_cut_from_the_whole_window() {
        for offset in [0, 10, 40] {
            let page = ListAsk { offset, ..search() };
            assert_eq!(page.decide(Some(50)), Decision::Widen { limit: 50 }, "{offset}");
        }
        assert_eq!(search().decide(Some(10)), Decision::Widen { limit: 10 });
    }

    #[test]
    fn a_page_that_ends_behind_the_window_is_left_alone() {
        for (offset, limit) in
            [(41, 10), (0, 51), (50, 1), (u32::MAX, 10), (10, u32::MAX), (40, 20)]
        {
            let page = ListAsk { offset, limit: Some(limit), ..search() };
            assert_eq!(
                page.decide(Some(50)),
                Decision::Leave(Left::PastWindow),
                "{offset} {limit}"
            );
        }
    }

    #[test]
    fn a_window_ends_with_a_page() {
        for (limit, reach) in [(20, 40), (7, 49), (50, 50), (26, 26)] {
            let page = ListAsk { limit: Some(limit), ..search() };
            assert_eq!(page.decide(Some(50)), Decision::Widen { limit: reach }, "{limit}");
        }
    }

    #[test]
    fn hybrid_is_never_widened_past_what_its_scores_are_normalised_over() {
        let hybrid = ListAsk { operator: Some(Operator::Hybrid), ..search() };
        assert_eq!(hybrid.decide(Some(60)), Decision::Widen { limit: 60 });
        assert_eq!(hybrid.decide(Some(500)), Decision::Widen { limit: 100 });
        let second = ListAsk { offset: 100, ..hybrid };
        assert_eq!(second.decide(Some(500)), Decision::Leave(Left::PastWindow));
    }

    #[test]
    fn no_list_is_widened_past_what_a_search_answers() {
        assert_eq!(search().decide(Some(u32::MAX)), Decision::Widen { limit: 10_000 });
    }

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names: HashSet<_> = Left::ALL.iter().map(|left| left.name()).collect();
        assert_eq!(names.len(), Left::ALL.len());
    }
}
