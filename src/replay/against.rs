//! What an edit of the rules changes: two tables on their way through one log, side by side.
//!
//! In: a log, two rules tables. Out: how many lists change, by how much (RBO@10, Jaccard@10), the
//! hits that move farthest with what moves them, and the rows of both for the difference in quality.
//! Each table learns with its own weights and decays, so what is compared is two shops, from the
//! first event on.

use std::sync::Arc;

use super::log::{Record, Search};
use super::walk::Walk;
use super::{Conditions, Log, Products, Replay, Row, SERVED, served};
use crate::rank::explain::{Part, explain};
use crate::rank::{Hold, RankRequest, Ranking};
use crate::rules::Rules;
use crate::types::product::FacetKey;

/// Movers that are told.
pub const MOVERS_MAX: usize = 10;

/// Queries that are told.
pub const QUERIES_MAX: usize = 10;

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
    /// By product and query.
    movers: Farthest<(u32, u32), Mover>,
    /// By query: lists, and those that change.
    queries: Vec<(usize, usize)>,
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

    /// Counts one list in its two orders.
    pub fn note(&mut self, one: &[u32], other: &[u32]) {
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

/// The farthest of many movers; of as far the earlier, and of those with one key the farthest alone.
pub struct Farthest<K, T>(Vec<(usize, K, T)>);

impl<K, T> Default for Farthest<K, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, T> Farthest<K, T> {
    /// Would one that moved so far be among them?
    pub fn wants(&self, distance: usize, key: &K) -> bool {
        let known = self.0.iter().find(|(_, other, _)| other == key);
        let least = match known {
            Some((least, ..)) => Some(*least),
            None if self.0.len() < MOVERS_MAX => None,
            None => self.0.last().map(|(least, ..)| *least),
        };
        least.is_none_or(|least| distance > least)
    }

    /// Takes in one that is wanted, and drops the least where they are too many.
    pub fn push(&mut self, distance: usize, key: K, mover: T) {
        self.0.retain(|(_, other, _)| *other != key);
        let place = self.0.partition_point(|(other, ..)| *other >= distance);
        self.0.insert(place, (distance, key, mover));
        self.0.truncate(MOVERS_MAX);
    }

    /// The farthest first.
    pub fn into_vec(self) -> Vec<T> {
        self.0.into_iter().map(|(.., mover)| mover).collect()
    }
}

/// The hit of one list that moves farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leap {
    /// Its position in the upstream's order.
    pub old: usize,
    /// 0-based position in the one and in the other order.
    pub places: (usize, usize),
}

impl Leap {
    /// The farthest among the leading ten of either order: only that is seen. Of as far, what rises is
    /// the cause. `None` where nothing moves there.
    pub fn of(one: &[u32], other: &[u32]) -> Option<Self> {
        let mut places = vec![usize::MAX; one.len()];
        for (place, old) in one.iter().enumerate() {
            if let Some(at) = places.get_mut(*old as usize) {
                *at = place;
            }
        }
        let moves = other.iter().enumerate().filter_map(|(to, old)| {
            let from = places.get(*old as usize).copied().filter(|from| *from != usize::MAX)?;
            let seen = from != to && from.min(to) < DEPTH;
            seen.then_some(Self { old: *old as usize, places: (from, to) })
        });
        moves.max_by_key(|leap| (leap.distance(), leap.rises()))
    }

    /// Places.
    pub fn distance(&self) -> usize {
        self.places.0.abs_diff(self.places.1)
    }

    fn rises(&self) -> bool {
        self.places.1 < self.places.0
    }

    /// What moved it: the rule that holds it now or did before, else the part of its score that speaks
    /// most for the move, with its value under the one and the other.
    pub fn reason(
        &self,
        requests: [&RankRequest<'_>; 2],
        rankings: [&Ranking; 2],
        facet_name: &dyn Fn(FacetKey) -> Option<Arc<str>>,
    ) -> Option<Change> {
        let [one, other] = [0, 1].map(|which| {
            let hold = rankings[which].holds.get(self.old).copied().unwrap_or_default();
            (hold, requests[which])
        });
        if let Some(change) = held(one, other) {
            return Some(change);
        }
        let [before, after] =
            [0, 1].map(|which| parts(requests[which], rankings[which], self.old, facet_name));
        strongest(&before, &after, self.rises())
    }
}

/// What moved a hit: a part of its score with its value under the one and the other rules. A rule that
/// holds or releases it has 1 where it holds it.
pub type Change = (String, f32, f32);

/// A hit that stands elsewhere with the other rules.
#[derive(Clone, Debug)]
pub struct Mover {
    /// The product's id, and its name where the log knows one.
    pub product: String,
    /// What was searched for.
    pub query: String,
    /// 1-based rank with the one and with the other rules.
    pub ranks: (usize, usize),
    /// What differs most in its favour or against it.
    pub reason: Option<Change>,
}

/// One query of the log.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its words.
    pub text: String,
    /// Lists.
    pub lists: usize,
    /// Lists whose order differs.
    pub changed: usize,
}

/// What came of it.
pub struct Outcome {
    /// How much the lists differ.
    pub churn: Churn,
    /// The hits that move farthest.
    pub movers: Vec<Mover>,
    /// The queries of which most lists change.
    pub queries: Vec<Query>,
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
            movers: Farthest::default(),
            queries: vec![(0, 0); log.words.len()],
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
        let named = |(query, &(lists, changed)): (usize, &(usize, usize))| {
            let text = || self.log.words.text(query as u32).to_owned();
            (changed > 0).then(|| Query { text: text(), lists, changed })
        };
        let mut queries: Vec<_> = self.queries.iter().enumerate().filter_map(named).collect();
        queries.sort_by_key(|query| std::cmp::Reverse(query.changed));
        queries.truncate(QUERIES_MAX);
        Outcome {
            churn: self.churn,
            movers: self.movers.into_vec(),
            queries,
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
        let changed = one.order != other.order;
        if let Some(counted) = self.queries.get_mut(search.query as usize) {
            *counted = (counted.0 + 1, counted.1 + usize::from(changed));
        }
        if changed {
            self.note_mover(search, &one, &other);
        }
        if search.scored {
            let of_one = self.one.row(search, &one.order);
            // All but the served order is the same under both.
            let mut of_other = of_one.clone();
            of_other.scores[SERVED] = served(search, &other.order);
            of_other.changed = changed;
            self.one.rows.push(of_one);
            self.other_rows.push(of_other);
        }
        self.one.walk.shown(search);
        self.other.shown(search);
        self.one.next += 1;
    }

    /// Keeps the farthest mover of a list where it is one of the farthest of all.
    fn note_mover(&mut self, search: &Search, one: &Ranking, other: &Ranking) {
        let Some(leap) = Leap::of(&one.order, &other.order) else { return };
        let Some(product) = search.list.get(leap.old).copied() else { return };
        let key = (product, search.query);
        if !self.movers.wants(leap.distance(), &key) {
            return;
        }
        let name = |facet| self.products.name(facet);
        let reason = self.one.walk.with_request(search, |before| {
            self.other
                .with_request(search, |after| leap.reason([before, after], [one, other], &name))
        });
        let mover = Mover {
            product: self.told_product(product),
            query: self.log.words.text(search.query).to_owned(),
            ranks: (leap.places.0 + 1, leap.places.1 + 1),
            reason,
        };
        self.movers.push(leap.distance(), key, mover);
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
    facet_name: &dyn Fn(FacetKey) -> Option<Arc<str>>,
) -> Vec<(String, f32)> {
    let parts = explain(request, ranking, old).into_iter();
    let named = |part| match part {
        Part::Relevance => "relevance".to_owned(),
        Part::Item => "own history with it".to_owned(),
        Part::Price => "price".to_owned(),
        Part::Tree(feature) => format!("trees: {}", feature.name().replace('_', " ")),
        Part::Prior => "what everybody chooses".to_owned(),
        Part::Popular => "a taste for what everybody chooses".to_owned(),
        Part::Context => "context".to_owned(),
        Part::BrandHabit(brand) => {
            let name = facet_name(brand);
            format!("habit with {}", name.as_deref().unwrap_or("?"))
        }
        Part::Facet(facet) => {
            let name = facet_name(facet);
            format!("{} {}", facet.axis().name(), name.as_deref().unwrap_or("?"))
        }
        Part::Rule(index) => {
            let rule = request.rules.merchandising.get(index as usize);
            format!("rule {}", rule.map_or("?", |rule| &rule.id))
        }
    };
    parts.map(|contribution| (named(contribution.part), contribution.value)).collect()
}

/// The rule that holds a hit with the one rules and not with the other.
fn held(
    (was, one): (Hold, &RankRequest<'_>),
    (is, other): (Hold, &RankRequest<'_>),
) -> Option<Change> {
    let rule = |hold, request: &RankRequest<'_>| match hold {
        Hold::Pinned(at) | Hold::Demoted(at) | Hold::Hidden(at) | Hold::Removed(at) => {
            request.rules.merchandising.get(at as usize).map(|rule| rule.id.clone())
        }
        Hold::Free | Hold::Tail | Hold::Sponsored | Hold::Unknown | Hold::OutOfStock => None,
    };
    match (rule(was, one), rule(is, other)) {
        (None, Some(id)) => Some((format!("rule {id}"), 0.0, 1.0)),
        (Some(id), None) => Some((format!("rule {id}"), 1.0, 0.0)),
        _ => None,
    }
}

/// The part that grew most, or shrank most where the hit sank.
fn strongest(before: &[(String, f32)], after: &[(String, f32)], rises: bool) -> Option<Change> {
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
    fn of_what_moves_as_far_the_hit_that_rises_is_told_and_the_tail_is_not() {
        let leap = Leap::of(&[0, 1, 2, 3], &[0, 3, 2, 1]).unwrap();
        assert_eq!(leap, Leap { old: 3, places: (3, 1) });
        let list: Vec<u32> = (0..20).collect();
        let mut tail = list.clone();
        tail.swap(12, 15);
        assert_eq!((Leap::of(&list, &list), Leap::of(&list, &tail)), (None, None));
    }

    #[test]
    fn only_the_farthest_movers_are_kept_each_once_and_the_farthest_comes_first() {
        let mut farthest = Farthest::default();
        let all = [1, 9, 3].into_iter().chain([2; MOVERS_MAX]).enumerate();
        all.for_each(|(key, distance)| farthest.push(distance, key, distance));
        assert!(!farthest.wants(2, &99) && farthest.wants(3, &99));
        assert!(!farthest.wants(9, &1), "it is among them already");
        farthest.push(10, 2, 10);
        let kept = farthest.into_vec();
        assert_eq!((kept.len(), &kept[..3], kept[9]), (MOVERS_MAX, &[10, 9, 2][..], 2));
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
