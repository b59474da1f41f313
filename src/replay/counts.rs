//! What plain counting knows: the rankers that every other one is held against, and the segments.
//!
//! In: events. Out: orders by everybody's and by one's own events, and what kind of search a list
//! is. Everything as of before the list's own outcome.

use std::collections::{HashMap, HashSet};

use super::log::{Event, Log, Search};

/// What kind of search it is, by what the person chose before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Something that was chosen now was chosen before.
    Repeat,
    /// Nothing of it was; something of the type that is searched for was.
    NewItem,
    /// Nothing of the type was.
    NewType,
}

impl Segment {
    /// All, in the order of reports.
    pub const ALL: [(&'static str, Self); 3] =
        [("repeat", Self::Repeat), ("new item", Self::NewItem), ("new type", Self::NewType)];
}

/// Depths of history told apart: the most earlier events of each, but for the last.
pub const DEPTHS: [(&str, u32); 4] =
    [("0 events", 0), ("1-3 events", 3), ("4-10 events", 10), ("more events", u32::MAX)];

/// What was counted so far.
pub(super) struct Counts {
    by_product: Vec<u32>,
    people: Vec<Person>,
}

#[derive(Default)]
struct Person {
    events: u32,
    by_product: HashMap<u32, u32>,
    types: HashSet<u32>,
}

impl Counts {
    pub(super) fn new(log: &Log) -> Self {
        Self {
            by_product: vec![0; log.products.len()],
            people: (0..log.people.len()).map(|_| Person::default()).collect(),
        }
    }

    pub(super) fn note(&mut self, event: &Event, log: &Log) {
        self.by_product[event.product as usize] += 1;
        let person = &mut self.people[event.person as usize];
        person.events += 1;
        *person.by_product.entry(event.product).or_default() += 1;
        let described = log.described.get(event.product as usize).and_then(Option::as_ref);
        person.types.extend(described.and_then(|product| product.kind));
    }

    /// The list by everybody's events, ties in the upstream's order.
    pub(super) fn by_popularity(&self, search: &Search) -> Vec<u32> {
        sorted(search, |product| self.by_product[product as usize])
    }

    /// The list by the person's own events, ties in the upstream's order.
    pub(super) fn by_own(&self, search: &Search) -> Vec<u32> {
        let own = &self.people[search.person as usize].by_product;
        sorted(search, |product| own.get(&product).copied().unwrap_or(0))
    }

    pub(super) fn segment(&self, search: &Search) -> Segment {
        let person = &self.people[search.person as usize];
        if search.truth.iter().any(|product| person.by_product.contains_key(product)) {
            Segment::Repeat
        } else if person.types.contains(&search.query) {
            Segment::NewItem
        } else {
            Segment::NewType
        }
    }

    /// The place of the person's history among [`DEPTHS`].
    pub(super) fn depth(&self, search: &Search) -> usize {
        let events = self.people[search.person as usize].events;
        DEPTHS.iter().position(|(_, most)| events <= *most).unwrap_or(DEPTHS.len() - 1)
    }
}

/// The best order there is.
pub(super) fn oracle(search: &Search) -> Vec<u32> {
    sorted(search, |product| u32::from(search.truth.contains(&product)))
}

fn sorted(search: &Search, count: impl Fn(u32) -> u32) -> Vec<u32> {
    let mut order: Vec<(u32, u32)> =
        search.list.iter().map(|product| (u32::MAX - count(*product), *product)).collect();
    order.sort_by_key(|(rank, _)| *rank);
    order.into_iter().map(|(_, product)| product).collect()
}
