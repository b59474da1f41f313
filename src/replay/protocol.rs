//! Which lists count, and under which conditions they are asked for.
//!
//! In: measured lists in the log's order. Out: those that a protocol or a fold of the users means.
//!
//! `p1`: the first four fifths of the lists with a choice only teach; the rest is the test. Its lists
//! are in no order, so position means nothing, everybody's list may move, and as its hours are
//! compressed into minutes, the limits by the hour do not hold.

use super::walk::Conditions;
use super::{Log, Row};
use crate::config::UpstreamOrder;
use crate::rules::{PriorAppliesTo, Rules};

/// How a log is read and scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// As live traffic; every list that the log scores.
    #[default]
    Common,
    /// An unranked upstream; the last fifth.
    P1,
}

/// A stretch of the scored lists, with its name.
pub type Cut = (&'static str, std::ops::Range<usize>);

impl Protocol {
    /// Rules and conditions as the protocol wants them.
    pub fn adapt(self, rules: &mut Rules, conditions: &mut Conditions) {
        if self == Self::P1 {
            rules.ranking.prior.applies_to = PriorAppliesTo::Everyone;
            rules.crowd.prior_per_hour_max = f32::INFINITY;
            rules.crowd.base_rate_per_hour_max = f32::INFINITY;
            conditions.upstream = UpstreamOrder::Unranked;
            conditions.positions = false;
        }
    }

    /// The stretches that are reported, the one that counts first.
    pub fn cuts(self, log: &Log) -> Vec<Cut> {
        let lists = log.scored();
        let at = |share: f64| (lists as f64 * share).round() as usize;
        match self {
            Self::Common => vec![("all", 0..lists)],
            Self::P1 => vec![
                ("test (80-100 %)", at(0.8)..lists),
                ("time cut 40-60 %", at(0.4)..at(0.6)),
                ("time cut 60-80 %", at(0.6)..at(0.8)),
            ],
        }
    }
}

/// A part of the users, by a hash of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold {
    /// From 0.
    number: u64,
    of: u64,
    /// All but that part.
    others: bool,
}

impl Fold {
    /// Reads `2/5` (the second of five parts) or `-2/5` (all but the second).
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, others) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (number, of) = rest.split_once('/')?;
        let (number, of): (u64, u64) = (number.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&number).then(|| Self { number: number - 1, of, others })
    }

    /// Is the list that of one of these users?
    pub fn holds(self, row: &Row) -> bool {
        self.holds_person(row.fold)
    }

    /// Is the person of this key one of these users?
    pub fn holds_person(self, key: u64) -> bool {
        (key % self.of == self.number) != self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fold_is_one_of_some_parts_or_the_others() {
        assert_eq!(Fold::parse("2/5"), Some(Fold { number: 1, of: 5, others: false }));
        assert_eq!(Fold::parse("-5/5"), Some(Fold { number: 4, of: 5, others: true }));
        for wrong in ["0/5", "6/5", "1/0", "5", "a/b", "", "-"] {
            assert_eq!(Fold::parse(wrong), None, "{wrong}");
        }
    }
}
