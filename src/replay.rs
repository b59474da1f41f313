//! Floor 5: a recorded log, replayed through the code of live traffic, and measured.
//!
//! In: a log's lines ([`Reader`]), rules, conditions. Out: for each list that somebody was shown, how
//! good the order is that the rules would have given it, asked for before its outcome is told,
//! beside the upstream's own order, popularity, a counter of the person's own events, and the best
//! order there is. [`table`] sums up with intervals, [`against`] holds two rules tables beside each
//! other, [`trial`] takes one list apart.
//!
//! The same log, rules and seed give the same numbers. No files, no clock: the caller reads, and
//! time is the log's.

pub mod against;
mod chance;
mod counts;
mod forget;
mod line;
mod log;
mod measure;
mod protocol;
mod recorded;
mod shelf;
pub mod table;
pub mod training;
pub mod trial;
mod walk;

use std::sync::Arc;

pub use counts::{DEPTHS, Segment};
pub use forget::Forget;
pub use log::{Description, Log, Reader};
pub use measure::{METRIC_NAMES, METRICS, NDCG10};
pub use protocol::{Cut, Fold, Protocol};
pub use recorded::{Recorded, Recorder};
pub use shelf::Products;
pub use walk::Conditions;

use counts::{Counts, oracle};
use log::{Record, Search};
use measure::{Scores, measure};
use walk::Walk;

use crate::preferences::hierarchical::remembered::Remembered;
use crate::rules::Rules;
use crate::types::signal::SignalKind;

/// The rankers of every table, the served one last.
pub const RANKERS: [&str; 5] = ["upstream", "popularity", "item counter", "oracle", "leafrank"];

/// Places among [`RANKERS`].
pub const UPSTREAM: usize = 0;
/// See [`UPSTREAM`].
pub const COUNTER: usize = 2;
/// See [`UPSTREAM`].
pub const SERVED: usize = 4;

/// One list, measured.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) person: u32,
    segment: Segment,
    depth: usize,
    scores: [Scores; RANKERS.len()],
    /// Its order is another than under the rules it is held against.
    changed: bool,
    /// What of the person falls into which fold.
    fold: u64,
}

impl Row {
    /// What kind of search it is.
    pub fn segment(&self) -> Segment {
        self.segment
    }

    /// How much history its person has: a place in [`DEPTHS`].
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Whose list it is, as a number of the log.
    pub fn person(&self) -> u32 {
        self.person
    }

    /// Which of so many folds of the users it is in.
    pub fn fold(&self, folds: u64) -> u64 {
        self.fold % folds.max(1)
    }

    /// Is its order another than under the rules it is held against?
    pub fn is_changed(&self) -> bool {
        self.changed
    }
}

/// A log on its way through one rules table.
pub struct Replay<'l> {
    log: &'l Log,
    walk: Walk<'l>,
    counts: Counts,
    rows: Vec<Row>,
    next: usize,
}

impl<'l> Replay<'l> {
    /// Begins with nothing learned.
    pub fn new(
        log: &'l Log,
        products: Arc<Products>,
        rules: Arc<Rules>,
        conditions: Conditions,
    ) -> Self {
        let walk = Walk::new(log, products, rules, conditions);
        Self { log, walk, counts: Counts::new(log), rows: Vec::new(), next: 0 }
    }

    /// Goes on by one record; false at the end.
    pub fn step(&mut self) -> bool {
        let log = self.log;
        match log.records.get(self.next) {
            Some(Record::Event(event)) => {
                self.walk.hear(event);
                self.counts.note(event, log);
            }
            Some(Record::Search(search)) => {
                let ranking = self.walk.ask(search);
                if search.scored {
                    let row = self.row(search, &ranking.order);
                    self.rows.push(row);
                }
                self.walk.shown(search);
            }
            None => return false,
        }
        self.next += 1;
        true
    }

    /// Goes on to the end.
    pub fn finish(mut self) -> Vec<Row> {
        while self.step() {}
        self.rows
    }

    /// What each person's profile remembers as of the last record, as the hierarchical preference
    /// reads it.
    pub fn remembered(&self) -> Vec<Vec<Remembered>> {
        let last = self.next.checked_sub(1).and_then(|last| self.log.records.get(last));
        let now = match last {
            Some(Record::Event(event)) => event.at,
            Some(Record::Search(search)) => search.at,
            None => return Vec::new(),
        };
        (0..self.log.people.len() as u32).map(|one| self.walk.remembered_of(one, now)).collect()
    }

    /// Signals that were learned from so far, by kind.
    pub fn heard(&self) -> [u64; SignalKind::ALL.len()] {
        self.walk.heard()
    }

    /// How likely each of the leading positions is looked at, by the lists in the upstream's order
    /// so far.
    pub fn propensities(&self) -> [f32; 10] {
        let population = self.walk.population();
        std::array::from_fn(|position| population.propensity(position))
    }

    /// Scored lists that were asked for so far.
    pub fn scored(&self) -> usize {
        self.rows.len()
    }

    /// Records that are done.
    pub fn done(&self) -> usize {
        self.next
    }

    fn row(&self, search: &Search, order: &[u32]) -> Row {
        let truth = &search.truth;
        let measured = |order: Vec<u32>| measure(order.into_iter(), truth);
        let person = self.log.people.all.get(search.person as usize);
        Row {
            person: search.person,
            segment: self.counts.segment(search),
            depth: self.counts.depth(search),
            scores: [
                measure(search.list.iter().copied(), truth),
                measured(self.counts.by_popularity(search)),
                measured(self.counts.by_own(search)),
                measured(oracle(search)),
                served(search, order),
            ],
            changed: false,
            fold: person.map_or(0, |(_, key)| key.0 as u64),
        }
    }
}

/// The served order (old positions), measured.
fn served(search: &Search, order: &[u32]) -> Scores {
    let products = order.iter().filter_map(|old| search.list.get(*old as usize).copied());
    measure(products, &search.truth)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod live;
#[cfg(test)]
mod planted;
