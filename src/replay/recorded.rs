//! The scored lists of a log before their terms are weighed, to be measured under many weights.
//!
//! In: a log, rules, conditions. Out: lists ([`Unweighed`]) that one walk left behind, and how good
//! the order of each is under rules that differ only in what they weigh: the numbers that
//! [`crate::rank::unweighed`] names. What changes learning needs another walk.
//!
//! Memory: some 50 bytes a hit of each list that is kept.

use std::ops::Range;
use std::sync::Arc;

use super::log::{Log, Record, Search};
use super::measure::{METRICS, measure};
use super::shelf::Products;
use super::walk::{Conditions, Walk, candidates};
use crate::preferences::population::Population;
use crate::rank::unweighed::{Unweighed, unweighed};
use crate::rank::{QueryView, RankRequest};
use crate::rules::Rules;

/// A log on its way through one rules table, its lists kept.
pub struct Recorder<'l> {
    log: &'l Log,
    walk: Walk<'l>,
    /// What is asked with: a term that weighs nothing would not be read.
    asking: Rules,
    conditions: Conditions,
    /// Which of the scored lists are kept.
    wanted: Range<usize>,
    scored: usize,
    kept: Vec<Kept<'l>>,
    next: usize,
}

/// A list, and what is known of it; `None` where the upstream's order stands whatever is weighed.
struct Kept<'l> {
    search: &'l Search,
    list: Option<Unweighed>,
}

impl<'l> Recorder<'l> {
    /// Begins with nothing learned; `wanted` are the scored lists that are kept.
    pub fn new(
        log: &'l Log,
        products: Arc<Products>,
        rules: Arc<Rules>,
        conditions: Conditions,
        wanted: Range<usize>,
    ) -> Self {
        let mut asking = (*rules).clone();
        asking.ranking.weights.brand_habit = 1.0;
        asking.ranking.weights.price = 1.0;
        let walk = Walk::new(log, products, rules, conditions.clone());
        Self { log, walk, asking, conditions, wanted, scored: 0, kept: Vec::new(), next: 0 }
    }

    /// Goes on by one record; false at the end.
    pub fn step(&mut self) -> bool {
        match self.log.records.get(self.next) {
            Some(Record::Event(event)) => self.walk.hear(event),
            Some(Record::Search(search)) => {
                self.walk.settle(search);
                if search.scored {
                    if self.wanted.contains(&self.scored) {
                        let list = self.list(search);
                        self.kept.push(Kept { search, list });
                    }
                    self.scored += 1;
                }
                self.walk.shown(search);
            }
            None => return false,
        }
        self.next += 1;
        true
    }

    /// Records that are done.
    pub fn done(&self) -> usize {
        self.next
    }

    /// What was kept.
    pub fn finish(self, products: Arc<Products>) -> Recorded<'l> {
        let Conditions { upstream, sensitive, .. } = self.conditions;
        let query = QueryView::of("", &self.asking.knowledge);
        let (kept, population) = (self.kept, Population::new(1));
        Recorded { kept, products, upstream, sensitive, query, population }
    }

    fn list(&self, search: &Search) -> Option<Unweighed> {
        let ask =
            |request: &RankRequest<'_>| unweighed(&RankRequest { rules: &self.asking, ..*request });
        self.walk.rules.enabled.then(|| self.walk.with_request(search, ask)).flatten()
    }
}

/// Lists of a log before their terms are weighed.
pub struct Recorded<'l> {
    kept: Vec<Kept<'l>>,
    products: Arc<Products>,
    upstream: crate::config::UpstreamOrder,
    sensitive: bool,
    /// Said already in what is kept; a request must have them all the same.
    query: QueryView,
    population: Population,
}

impl Recorded<'_> {
    /// Lists.
    pub fn lists(&self) -> usize {
        self.kept.len()
    }

    /// Bytes that they take, about.
    pub fn bytes(&self) -> usize {
        let one = |kept: &Kept<'_>| kept.list.as_ref().map_or(0, Unweighed::bytes);
        self.kept.iter().map(one).sum()
    }

    /// How good one list is under these rules; zeros for a list that is not there.
    pub fn scores(&self, list: usize, rules: &Rules) -> [f64; METRICS] {
        let Some(Kept { search, list }) = self.kept.get(list) else { return [0.0; METRICS] };
        let Some(list) = list else {
            return measure(search.list.iter().copied(), &search.truth);
        };
        let candidates = candidates(search, &self.products, self.sensitive);
        let ranking = list.weighed(&RankRequest {
            query: &self.query,
            candidates: &candidates,
            profile: None,
            posterior: None,
            population: &self.population,
            rules,
            now: search.at,
            daypart: None,
            upstream: self.upstream,
            score_better: None,
        });
        super::served(search, &ranking.order)
    }
}
