//! Three simulated years of a household, learned in any order, held against `f64`.
//!
//! In: some 12,000 events of all kinds on 400 products. The judge adds each event to each sum in
//! `f64` as of the end, without landmarks. Out: the largest error in parts of the stated bound.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::preferences::packed;
use crate::preferences::testing::{CAPS, facts, rules_for_tests};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;

const YEARS_SECONDS: u32 = 3 * 365 * 86_400;
const START: u32 = 1_700_000_123;

/// A small generator with a seed, so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % sides
    }
}

fn events(dice: &mut Dice) -> Vec<Signal> {
    let mut events = Vec::new();
    for _ in 0..12_000 {
        // few products often, most of them seldom
        let product = dice.below(400).min(dice.below(400)).min(dice.below(400));
        let kind = SignalKind::ALL[dice.below(SignalKind::ALL.len() as u32) as usize];
        let at = Timestamp::from_seconds(i64::from(START + dice.below(YEARS_SECONDS)));
        let product = ProductKey::of(&product.to_string());
        events.push(Signal { kind, product, at, times: 1.0, quantity: 1 });
    }
    events.sort_by_key(|event| event.at);
    events
}

fn known() -> BTreeMap<ProductKey, ProductFacts> {
    let described = (0..400_u32).map(|n| {
        let category = format!("a/{}/{}", n % 9, n % 40);
        facts(&n.to_string(), "x", &category, &[&format!("p{}", n % 17)])
    });
    described.map(|facts| (facts.key, facts)).collect()
}

/// Everything as bytes after each hundred events: as the table keeps it.
fn learned(events: &[Signal], rules: &Rules) -> Profile {
    let (known, mut profile) = (known(), Profile::default());
    for (number, event) in events.iter().enumerate() {
        apply(&mut profile, event, known.get(&event.product), rules, CAPS);
        if number % 100 == 99 {
            let mut bytes = Vec::new();
            packed::pack(&profile, &mut bytes);
            profile = packed::unpack(&bytes).unwrap();
        }
    }
    profile
}

/// A sum in `f64` with the sum of what went into it, regardless of signs, and how often.
#[derive(Clone, Copy, Default)]
struct Exact {
    sum: f64,
    size: f64,
    increments: f64,
}

#[derive(Default)]
struct Judge {
    slow: BTreeMap<ProductKey, Exact>,
    fast: BTreeMap<ProductKey, Exact>,
    facets: BTreeMap<FacetKey, Exact>,
    evidence: Exact,
}

impl Exact {
    fn add(&mut self, weight: f32, at: u32, to: u32, half_life: f32) {
        let age = f64::from(at) - f64::from(to);
        let carried = f64::from(weight) * (age / f64::from(half_life)).exp2();
        self.sum += carried;
        self.size += carried.abs();
        self.increments += 1.0;
    }

    /// The error in parts of the bound that the module states.
    fn parts(&self, stored: f32, days: f64) -> f64 {
        let bound = (self.increments + days) * 2.0_f64.powi(-24) * 1.001 * self.size;
        (f64::from(stored) - self.sum).abs() / bound
    }
}

fn judge(events: &[Signal], to: u32, rules: &Rules) -> Judge {
    let (known, mut judge) = (known(), Judge::default());
    let half_life = &rules.half_life;
    for event in events {
        let weight = rules.signal_weights[event.kind.index()];
        let at = event.at.seconds_u32();
        let slow = judge.slow.entry(event.product).or_default();
        slow.add(weight, at, to, half_life.item_slow_seconds);
        let fast = judge.fast.entry(event.product).or_default();
        fast.add(weight, at, to, half_life.item_fast_seconds);
        for facet in &known[&event.product].facets {
            let seconds = half_life.axis_seconds[facet.axis().index()];
            judge.facets.entry(*facet).or_default().add(weight, at, to, seconds);
        }
        judge.evidence.add(weight.abs(), at, to, half_life.axis_seconds[0]);
    }
    judge
}

fn worst(events: &[Signal], profile: &Profile, rules: &Rules) -> f64 {
    let judge = judge(events, profile.landmark(), rules);
    assert_eq!(profile.products.len(), judge.slow.len());
    assert_eq!(profile.facets.len(), judge.facets.len());
    let days: BTreeSet<_> = events.iter().map(|e| e.at.seconds_u32() / 86_400).collect();
    let days = days.len() as f64;
    let mut worst = judge.evidence.parts(profile.evidence, days);
    for memory in &profile.products {
        worst = worst.max(judge.slow[&memory.key].parts(memory.slow, days));
        worst = worst.max(judge.fast[&memory.key].parts(memory.fast, days));
    }
    for memory in &profile.facets {
        worst = worst.max(judge.facets[&memory.key].parts(memory.sum, days));
    }
    worst
}

#[test]
fn three_years_in_any_order_stay_within_the_stated_error() {
    let rules = rules_for_tests();
    let mut dice = Dice(7);
    let mut events = events(&mut dice);
    let in_order = learned(&events, &rules);
    let mut error = worst(&events, &in_order, &rules);
    for _ in 0..3 {
        for last in (1..events.len()).rev() {
            events.swap(last, dice.below(last as u32 + 1) as usize);
        }
        let shuffled = learned(&events, &rules);
        error = error.max(worst(&events, &shuffled, &rules));
        let order =
            |p: &Profile| p.products.iter().map(|m| (m.key, m.purchases)).collect::<Vec<_>>();
        assert_eq!(order(&shuffled), order(&in_order));
    }
    println!("largest error: {error:.4} of the bound");
    assert!(error <= 1.0, "{error} of the bound");
}

#[test]
fn the_shortest_half_life_overflows_nothing_and_forgets_what_is_old() {
    let mut rules = rules_for_tests();
    rules.half_life.axis_seconds = [864.0; 4];
    rules.half_life.item_slow_seconds = 864.0;
    rules.half_life.item_fast_seconds = 864.0;
    let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
    let mut profile = Profile::default();
    let night = 1_700_006_399_i64;
    assert_eq!(night % 86_400, 86_399);
    for at in [night; 1_000].into_iter().chain([night + 86_400]) {
        let at = Timestamp::from_seconds(at);
        let kind = SignalKind::PurchaseRepeat;
        let signal = Signal { kind, product: oat.key, at, times: 1.0, quantity: 1 };
        apply(&mut profile, &signal, Some(&oat), &rules, CAPS);
    }
    let now = carried(profile.landmark(), profile.at, 864.0);
    for sum in profile.facets.iter().map(|f| f.sum).chain([profile.evidence]) {
        assert!((f64::from(sum) * now - 1.0).abs() < 1e-4, "{sum}");
    }
}
