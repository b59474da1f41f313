//! What an edit of the rules changes: two tables on their way through one log, side by side.
//!
//! In: a log, two rules tables. Out: how many lists change, by how much (RBO@10, Jaccard@10), the
//! hits that move farthest with what moves them, and the rows of both for the difference in quality.
//! Each table learns with its own weights and decays, so what is compared is two shops, from the
//! first event on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::log::{Record, Search};
use super::walk::Walk;
use super::{Conditions, Log, Products, Replay, Row, SERVED, served};
use crate::rank::explain::{Part, explain};
use crate::rank::{RankRequest, Ranking};
use crate::rules::Rules;

/// Movers that are told.
pub const MOVERS_MAX: usize = 10;

/// How deep lists are compared.
const DEPTH: usize = 10;

/// How much of the weight of rank-biased overlap goes to the next place.
const PERSISTENCE: f64 = 0.9;

/// Two rules tables, held against each other.
pub struct Against<'l> {
    log: &'l Log,
    products: Arc<Products>,
    one: Replay<'l>,
    other: Walk<'l>,
    other_rows: Vec<Row>,
    churn: Churn,
    movers: BinaryHeap<Reverse<(usize, Reverse<usize>)>>,
    told: Vec<Mover>,
}

/// How much the lists differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Churn {
    /// Lists that were asked for.
    pub lists: usize,
    /// Lists whose order differs.
    pub changed: usize,
    /// Lists whose first hit differs.
    pub first_changed: usize,
    rbo: f64,
    jaccard: f64,
}

impl Churn {
    /// Rank-biased overlap of the leading ten, mean over all lists; 1 where nothing changes.
    pub fn rbo(&self) -> f64 {
        if self.lists == 0 { 1.0 } else { self.rbo / self.lists as f64 }
    }

    /// What the leading ten have in common, of all that are in either; mean over all lists.
    pub fn jaccard(&self) -> f64 {
        if self.lists == 0 { 1.0 } else { self.jaccard / self.lists as f64 }
    }

    fn note(&mut self, one: &[u32], other: &[u32]) {
        self.lists += 1;
        if one == other {
            self.rbo += 1.0;
            self.jaccard += 1.0;
            return;
        }
        self.changed += 1;
        self.first_changed += usize::from(one.first() != other.first());
        self.rbo += overlap(one, other);
        let (a, b) = (&one[..one.len().min(DEPTH)], &other[..other.len().min(DEPTH)]);
        let both = a.iter().filter(|hit| b.contains(hit)).count();
        self.jaccard += both as f64 / (a.len() + b.len() - both).max(1) as f64;
    }
}

/// Rank-biased overlap down to [`DEPTH`], scaled so that equal lists have 1.
fn overlap(one: &[u32], other: &[u32]) -> f64 {
    let (mut sum, mut whole, mut weight) = (0.0, 0.0, 1.0);
    for depth in 1..=DEPTH.min(one.len()).min(other.len()) {
        let both = one[..depth].iter().filter(|hit| other[..depth].contains(hit)).count();
        sum += weight * both as f64 / depth as f64;
        whole += weight;
        weight *= PERSISTENCE;
    }
    if whole > 0.0 { sum / whole } else { 1.0 }
}

/// A hit that stands elsewhere with the other rules.
#[derive(Clone, Debug)]
pub struct Mover {
    /// The product's id, and its name where the log knows one.
    pub product: String,
    /// What was searched for.
    pub query: String,
    /// 1-based rank with the one and with the other rules.
    pub ranks: (usize, usize),
    /// What differs most in its favour or against it, with its value under the one and the other.
    pub reason: Option<(String, f32, f32)>,
}

/// What came of it.
pub struct Outcome {
    /// How much the lists differ.
    pub churn: Churn,
    /// The hits that move farthest.
    pub movers: Vec<Mover>,
    /// Each scored list under the one rules table.
    pub one: Vec<Row>,
    /// The same lists under the other.
    pub other: Vec<Row>,
}

impl<'l> Against<'l> {
    /// Begins with nothing learned by either.
    pub fn new(
        log: &'l Log,
        products: Arc<Products>,
        rules: [Arc<Rules>; 2],
        conditions: Conditions,
    ) -> Self {
        let [one, other] = rules;
        Self {
            log,
            one: Replay::new(log, products.clone(), one, conditions.clone()),
            other: Walk::new(log, products.clone(), other, conditions),
            products,
            other_rows: Vec::new(),
            churn: Churn::default(),
            movers: BinaryHeap::new(),
            told: Vec::new(),
        }
    }

    /// Goes on by one record; false at the end.
    pub fn step(&mut self) -> bool {
        let log = self.log;
        match log.records.get(self.one.next) {
            Some(Record::Event(event)) => {
                self.one.step();
                self.other.hear(event);
            }
            Some(Record::Search(search)) => self.compare(search),
            None => return false,
        }
        true
    }

    /// Goes on to the end.
    pub fn finish(mut self) -> Outcome {
        while self.step() {}
        let mut movers: Vec<_> = self.movers.into_sorted_vec();
        movers.truncate(MOVERS_MAX);
        let movers =
            movers.into_iter().filter_map(|Reverse((_, Reverse(at)))| self.told.get(at).cloned());
        Outcome {
            churn: self.churn,
            movers: movers.collect(),
            one: self.one.rows,
            other: self.other_rows,
        }
    }

    /// Records that are done.
    pub fn done(&self) -> usize {
        self.one.next
    }

    fn compare(&mut self, search: &Search) {
        let one = self.one.walk.ask(search);
        let other = self.other.ask(search);
        self.churn.note(&one.order, &other.order);
        if one.order != other.order {
            self.note_movers(search, &one, &other);
        }
        if search.scored {
            let of_one = self.one.row(search, &one.order);
            // All but the served order is the same under both.
            let mut of_other = of_one.clone();
            of_other.scores[SERVED] = served(search, &other.order);
            self.one.rows.push(of_one);
            self.other_rows.push(of_other);
        }
        self.one.walk.shown(search);
        self.other.shown(search);
        self.one.next += 1;
    }

    /// Keeps the farthest mover of a list where it is one of the farthest of all.
    fn note_movers(&mut self, search: &Search, one: &Ranking, other: &Ranking) {
        let mut places = vec![0; one.order.len()];
        for (place, old) in one.order.iter().enumerate() {
            places[*old as usize] = place;
        }
        // What moves among the leading hits is seen; of as far a move, what rises is the cause.
        let moves = other.order.iter().enumerate().filter_map(|(to, old)| {
            let from = places[*old as usize];
            (from.min(to) < DEPTH).then(|| (from.abs_diff(to), from > to, *old as usize, from, to))
        });
        let Some((distance, _, old, from, to)) = moves.max_by_key(|m| (m.0, m.1)) else { return };
        let least = self.movers.peek().map_or(0, |Reverse((distance, _))| *distance);
        if self.movers.len() >= MOVERS_MAX && distance <= least {
            return;
        }
        let product = search.list[old];
        let parts = |walk: &Walk<'_>, ranking: &Ranking| {
            walk.with_request(search, |request| parts(request, ranking, old, &self.products))
        };
        let (before, after) = (parts(&self.one.walk, one), parts(&self.other, other));
        let mover = Mover {
            product: self.told_product(product),
            query: self.log.words.text(search.query).to_owned(),
            ranks: (from + 1, to + 1),
            reason: strongest(&before, &after, to < from),
        };
        self.movers.push(Reverse((distance, Reverse(self.told.len()))));
        self.told.push(mover);
        if self.movers.len() > MOVERS_MAX {
            self.movers.pop();
        }
    }

    fn told_product(&self, product: u32) -> String {
        let id = self.log.products.text(product);
        let name = &self.products.facts(product).name;
        if name.is_empty() { id.to_owned() } else { format!("{id} ({name})") }
    }
}

/// The named parts of a hit's score.
pub(super) fn parts(
    request: &RankRequest<'_>,
    ranking: &Ranking,
    old: usize,
    products: &Products,
) -> Vec<(String, f32)> {
    let parts = explain(request, ranking, old).into_iter();
    let named = |part| match part {
        Part::Relevance => "relevance".to_owned(),
        Part::Item => "own history with it".to_owned(),
        Part::Price => "price".to_owned(),
        Part::Prior => "what everybody chooses".to_owned(),
        Part::Context => "context".to_owned(),
        Part::BrandHabit(brand) => {
            let name = products.name(brand);
            format!("habit with {}", name.as_deref().unwrap_or("?"))
        }
        Part::Facet(facet) => {
            let name = products.name(facet);
            format!("{} {}", facet.axis().name(), name.as_deref().unwrap_or("?"))
        }
        Part::Rule(index) => {
            let rule = request.rules.merchandising.get(index as usize);
            format!("rule {}", rule.map_or("?", |rule| &rule.id))
        }
    };
    parts.map(|contribution| (named(contribution.part), contribution.value)).collect()
}

/// The part that grew most, or shrank most where the hit sank.
fn strongest(
    before: &[(String, f32)],
    after: &[(String, f32)],
    rises: bool,
) -> Option<(String, f32, f32)> {
    let value = |parts: &[(String, f32)], name: &str| {
        parts.iter().find(|(part, _)| part == name).map_or(0.0, |(_, value)| *value)
    };
    let names = before.iter().chain(after).map(|(name, _)| name);
    let changes = names.map(|name| (name, value(before, name), value(after, name)));
    let gain = |(_, was, is): &(&String, f32, f32)| if rises { is - was } else { was - is };
    let best = changes.max_by(|a, b| gain(a).total_cmp(&gain(b)))?;
    (gain(&best) > 0.0).then(|| (best.0.clone(), best.1, best.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_overlap_in_full_and_a_change_at_the_top_weighs_most() {
        let list: Vec<u32> = (0..20).collect();
        assert_eq!(overlap(&list, &list), 1.0);
        let swapped = |a: usize, b: usize| {
            let mut other = list.clone();
            other.swap(a, b);
            overlap(&list, &other)
        };
        assert!(swapped(0, 1) < swapped(8, 9) && swapped(8, 9) < 1.0);
        assert_eq!(overlap(&list, &(50..70).collect::<Vec<_>>()), 0.0);
        assert_eq!(overlap(&[], &[]), 1.0);
    }

    #[test]
    fn churn_tells_changed_lists_from_those_that_stay() {
        let mut churn = Churn::default();
        churn.note(&[1, 2, 3], &[1, 2, 3]);
        churn.note(&[1, 2, 3], &[1, 3, 2]);
        churn.note(&[1, 2, 3], &[3, 2, 1]);
        assert_eq!((churn.lists, churn.changed, churn.first_changed), (3, 2, 1));
        assert!(churn.rbo() < 1.0);
        assert_eq!(churn.jaccard(), 1.0, "the same three hits each time");
    }
}
