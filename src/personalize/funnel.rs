//! The funnel of a route: how far each search came on its way to a better order.
//!
//! ```text
//! searches ► decoded ► identified ► profile ► facets ► allowed ► changed
//! ```
//! A stage counts a search only if it came through every stage before, so that the difference of
//! two stages is a leak, and a leak has a setting that mends it. Searches that nobody meant to
//! rank (the caller chose an order, the shopper opted out) are no part of it.

use prometheus::IntCounter;

use super::fail_open::FailOpen;
use crate::telemetry::metrics::Metrics;

/// A stage of the funnel; searches come through them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Asked for.
    Searches,
    /// The reply was read, and there are hits in it.
    Decoded,
    /// A user or a visit is named.
    Identified,
    /// Something is known of the shopper.
    Profile,
    /// Something is known of the hits: category, brand or attributes.
    Facets,
    /// Mode, rules and limits let us change the order.
    Allowed,
    /// Hits moved.
    Changed,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 7] = [
        Self::Searches,
        Self::Decoded,
        Self::Identified,
        Self::Profile,
        Self::Facets,
        Self::Allowed,
        Self::Changed,
    ];

    /// The label in `leafrank_funnel_total{stage}`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Searches => "searches",
            Self::Decoded => "decoded",
            Self::Identified => "identified",
            Self::Profile => "profile",
            Self::Facets => "facets",
            Self::Allowed => "allowed",
            Self::Changed => "changed",
        }
    }

    /// The setting that mends a leak before this stage, and what to do with it.
    pub fn mended_by(self) -> (&'static str, &'static str) {
        match self {
            Self::Searches | Self::Decoded => (
                "routes[].search.hits",
                "replies are not read: `leafrank check --reply` shows which pointer misses",
            ),
            Self::Identified => (
                "identity.user, identity.session",
                "requests name nobody there: say where this shop's clients put user and session",
            ),
            Self::Profile => (
                "routes[].event",
                "nothing was learned of these shoppers: new ones, or clicks and carts that no \
                 event route sees",
            ),
            Self::Facets => (
                "routes[].search.hits.{category,brand,attributes}",
                "hits have no facets: map them, `leafrank check --reply` shows what is filled",
            ),
            Self::Allowed => ("mode", "the order may not be changed: the reason below says why"),
            Self::Changed => (
                "ranking.impact",
                "the shop's order was the best one already, or taste weighs too little",
            ),
        }
    }
}

/// What was seen of one search's reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A hit has a category, a brand or an attribute.
    pub facets: bool,
}

/// One route's counters.
pub(super) struct Funnel([IntCounter; 7]);

impl Funnel {
    pub(super) fn of(route: &str, metrics: &Metrics) -> Self {
        Self(Stage::ALL.map(|stage| metrics.funnel.with_label_values(&[route, stage.name()])))
    }

    /// Counts one search in every stage that it came through. `known`: who asks is named, and has a
    /// profile; `seen`: `None` where the reply was not read to its end, and then the reason alone
    /// tells how far it came.
    pub(super) fn count(&self, why: Option<FailOpen>, known: (bool, bool), seen: Option<Seen>) {
        let lost = match why {
            None => None,
            Some(why) => match why.lost_at() {
                None => return,
                lost => lost,
            },
        };
        let holds = |stage: Stage| match (lost, seen) {
            (Some(lost), _) if stage == lost => false,
            (lost, None) => lost.is_some_and(|lost| stage < lost),
            (_, Some(seen)) => match stage {
                Stage::Identified => known.0,
                Stage::Profile => known.1,
                Stage::Facets => seen.facets,
                Stage::Searches | Stage::Decoded | Stage::Allowed => true,
                Stage::Changed => why.is_none(),
            },
        };
        for stage in Stage::ALL.into_iter().take_while(|stage| holds(*stage)) {
            self.0[stage as usize].inc();
        }
    }

    pub(super) fn counts(&self) -> [u64; 7] {
        self.0.each_ref().map(IntCounter::get)
    }
}

/// The stage before which most searches are lost, with how many; `None` where none is.
pub fn biggest_leak(counts: &[u64; 7]) -> Option<(Stage, u64)> {
    let lost = counts.windows(2).map(|pair| pair[0].saturating_sub(pair[1]));
    // The earliest of equals: what is lost there cannot be lost later.
    let leaks = Stage::ALL.into_iter().skip(1).zip(lost).rev();
    leaks.max_by_key(|(_, lost)| *lost).filter(|(_, lost)| *lost > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Doubt;

    fn counted(why: Option<FailOpen>, known: (bool, bool), seen: Option<Seen>) -> [u64; 7] {
        let funnel = Funnel::of("r", &Metrics::new().unwrap());
        funnel.count(why, known, seen);
        funnel.counts()
    }

    #[test]
    fn a_search_is_counted_up_to_where_it_is_lost() {
        let seen = Some(Seen { facets: true });
        let both = (true, true);
        for (why, known, seen, reached) in [
            (None, both, seen, 7),
            (Some(FailOpen::Unmoved), both, seen, 6),
            (Some(FailOpen::Shadow), both, seen, 5),
            // Lost earlier than its reason says: a route in shadow whose shopper is new.
            (Some(FailOpen::Shadow), (true, false), seen, 3),
            (Some(FailOpen::Shadow), both, Some(Seen { facets: false }), 4),
            (Some(FailOpen::NoEvidence), (true, false), seen, 3),
            (Some(FailOpen::NoSubject), (false, false), seen, 2),
            (Some(FailOpen::Doubt(Doubt::NotJson)), both, None, 1),
            // Not read to the end: lost where the reason says, not at a map that may be right.
            (Some(FailOpen::RankSpent), both, None, 5),
            (Some(FailOpen::Tripped), (false, false), None, 5),
            (Some(FailOpen::HoldSpent), both, None, 1),
            (Some(FailOpen::SortChosen), both, None, 0),
            (Some(FailOpen::OptedOut), both, None, 0),
        ] {
            let counts = counted(why, known, seen);
            assert_eq!(counts.iter().sum::<u64>(), reached, "{why:?} {known:?} {seen:?}");
            assert!(counts.is_sorted_by(|one, next| one >= next));
        }
    }

    #[test]
    fn the_biggest_leak_is_the_earliest_of_equals() {
        assert_eq!(biggest_leak(&[10, 10, 4, 4, 4, 4, 4]), Some((Stage::Identified, 6)));
        assert_eq!(biggest_leak(&[10, 8, 6, 5, 5, 5, 5]), Some((Stage::Decoded, 2)));
        assert_eq!(biggest_leak(&[3; 7]), None);
        assert_eq!(biggest_leak(&[0; 7]), None);
    }
}
