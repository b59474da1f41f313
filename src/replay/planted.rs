//! A simulation with planted truth: what is there must be found, and what is not there must not.
//!
//! Three kinds of shoppers search the same shelves: some love one brand, some love one attribute, and
//! some take what stands in front. Lists come in an order that has nothing to do with any taste.

use super::chance::Chance;
use super::log::{Record, Search};
use super::measure::measure;
use super::trial::Story;
use super::walk::Walk;
use super::*;
use crate::types::clock::Timestamp;
use crate::types::interaction::InteractionKind;

const TYPES: [&str; 4] = ["milk", "bread", "tea", "soap"];
const BRANDS: usize = 8;
const LABELS: [&str; 6] = ["creamy", "crunchy", "smoked", "mild", "festive", "rustic"];
/// Of one type: so many that hardly anything is met twice, and only the facets can help.
const PRODUCTS: usize = 480;
const SHOPPERS: usize = 30;
const SEARCHES: usize = 40;
const HITS: usize = 20;

/// NDCG@10 that shoppers without a taste may lose to tastes that are read into chance. An aim would be
/// nothing; what the shipped rules lose is in docs/QUALITY.md.
const NOISE_MAX: f64 = 0.05;

/// What a product has: its brand and its label.
fn facets(product: usize) -> (usize, usize) {
    (product % BRANDS, product / BRANDS % LABELS.len())
}

/// What a shopper loves: a brand, an attribute, or nothing.
fn loves(shopper: usize, product: usize) -> bool {
    let (brand, label) = facets(product);
    match shopper % 3 {
        0 => brand == shopper / 3 % BRANDS,
        1 => label == shopper / 3 % LABELS.len(),
        _ => false,
    }
}

fn id(kind: usize, product: usize) -> String {
    format!("{}-{product}", TYPES[kind])
}

fn product_of(id: &str) -> usize {
    id.rsplit('-').next().unwrap().parse().unwrap()
}

/// Takes what they love where it is listed, and mostly what stands in front where it is not.
fn picked(shopper: usize, list: &[usize], chance: &mut Chance) -> usize {
    let loved: Vec<usize> = list.iter().copied().filter(|p| loves(shopper, *p)).collect();
    if !loved.is_empty() && chance.below(10) > 0 {
        return loved[chance.below(loved.len())];
    }
    let place = (0..).take_while(|_| chance.below(3) > 0).count();
    list[place.min(list.len() - 1)]
}

fn planted(seed: u64) -> Log {
    let mut chance = Chance::new(seed);
    let mut story = Story::default();
    for (kind, name) in TYPES.iter().enumerate() {
        for product in 0..PRODUCTS {
            let (brand, label) = facets(product);
            let (brand, labels) = (Some(format!("brand {brand}")), vec![LABELS[label].to_owned()]);
            let category = vec!["shop".to_owned(), (*name).to_owned()];
            let description = Description::of(None, category, brand, labels, None);
            story.product(&id(kind, product), description).unwrap();
        }
    }
    for search in 0..SEARCHES * SHOPPERS {
        let (shopper, kind) = (search % SHOPPERS, chance.below(TYPES.len()));
        let mut list: Vec<usize> = Vec::new();
        while list.len() < HITS {
            let product = chance.below(PRODUCTS);
            if !list.contains(&product) {
                list.push(product);
            }
        }
        let who = format!("shopper {shopper}");
        let at =
            |seconds: i64| Timestamp::from_seconds(1_700_000_000 + search as i64 * 900 + seconds);
        let ids: Vec<String> = list.iter().map(|product| id(kind, *product)).collect();
        let hits = ids.iter().map(String::as_str);
        story.searched((at(0), &who), TYPES[kind], hits).unwrap();
        let chosen = id(kind, picked(shopper, &list, &mut chance));
        for (seconds, act) in
            [(20, InteractionKind::Click), (60, InteractionKind::Purchase { subscription: false })]
        {
            story.did((at(seconds), &who), act, &chosen, 1.0).unwrap();
        }
    }
    story.end()
}

/// Means over the lists of one kind of shopper.
#[derive(Debug, Default)]
struct Found {
    lists: f64,
    served: f64,
    upstream: f64,
    /// Loved ones among the leading five, as shown and as the upstream had them.
    loved: f64,
    loved_upstream: f64,
    /// Places that hits moved, on average.
    moved: f64,
}

impl Found {
    fn note(&mut self, search: &Search, chosen: u32, order: &[u32], loves: impl Fn(u32) -> bool) {
        let list = &search.list;
        let shown: Vec<u32> = order.iter().map(|old| list[*old as usize]).collect();
        let lead = |list: &[u32]| list[..5].iter().filter(|hit| loves(**hit)).count() as f64;
        self.lists += 1.0;
        self.served += measure(shown.iter().copied(), &[chosen])[NDCG10];
        self.upstream += measure(list.iter().copied(), &[chosen])[NDCG10];
        self.loved += lead(&shown);
        self.loved_upstream += lead(list);
        let moves = order.iter().enumerate().map(|(to, from)| to.abs_diff(*from as usize));
        self.moved += moves.sum::<usize>() as f64 / HITS as f64;
    }

    fn gain(&self) -> f64 {
        (self.served - self.upstream) / self.lists
    }

    fn lift(&self) -> f64 {
        self.loved / self.loved_upstream
    }
}

/// Walks through a planted log; lists of the second half count.
fn found(seed: u64) -> [Found; 3] {
    let log = planted(seed);
    let rules = Arc::new(Rules::shipped());
    let products = Arc::new(Products::of(&log, &rules.knowledge));
    let mut walk = Walk::new(&log, products, rules, Conditions::live(1024, 512));
    let mut found: [Found; 3] = Default::default();
    for (number, record) in log.records.iter().enumerate() {
        match record {
            Record::Event(event) => walk.hear(event),
            Record::Search(search) => {
                let order = walk.ask(search).order;
                let next = &log.records[number + 1];
                let Record::Event(event) = next else { panic!("each list is picked from") };
                let shopper = search.person as usize;
                if number >= log.records.len() / 2 {
                    let loved = |hit| loves(shopper, product_of(log.products.text(hit)));
                    found[shopper % 3].note(search, event.product, &order, loved);
                }
                walk.shown(search);
            }
        }
    }
    found
}

#[test]
fn what_was_planted_is_found_and_what_was_not_is_not() {
    for seed in [1, 2, 3] {
        let [brand, attribute, none] = found(seed);
        let told = format!(
            "{seed}: gains {:.3} {:.3} {:.3}, lifts {:.2} {:.2}, moved {:.2} {:.2} {:.2}",
            brand.gain(),
            attribute.gain(),
            none.gain(),
            brand.lift(),
            attribute.lift(),
            brand.moved / brand.lists,
            attribute.moved / attribute.lists,
            none.moved / none.lists,
        );
        println!("{told}");
        assert!(brand.lift() > 1.5 && attribute.lift() > 1.5, "{told}");
        assert!(brand.gain() > 0.1 && attribute.gain() > 0.1, "{told}");
        assert!(none.gain() > -NOISE_MAX, "{told}");
    }
}
