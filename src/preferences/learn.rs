//! One signal into one profile.
//!
//! In: a signal, what the catalogue knows of its product, the rules' weights. Out: the profile's
//! sums moved on. Sums are forward-decayed: all stand as of the profile's landmark, to which an
//! event, early or late, is carried exactly; with the first event of a later day they move on.
//! So the same signals give the same sums in any order, and replicas may add without talking first.
//!
//! Error: a sum is rounded once an increment and once a day on which it moves on, so that it is off
//! by at most `(increments + days) · 2⁻²⁴ · (1 + 10⁻³)` of the sum of all |increments|, decayed alike
//! (`learn/history.rs` holds it over three years). Never stores what is no finite number, never grows
//! past its [`Caps`]: [`keep`](super::keep) forgets the weakest. `O(facets · log facets)`.

use super::events::Event as Kept;
use super::keep;
use crate::rules::{HalfLives, Rules};
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::profile::{
    FacetMemory, PriceMemory, ProductMemory, Profile, carried, day, landmark,
};
use crate::types::signal::{Signal, SignalKind};

/// No sum leaves ±this. Real sums stay below 2⁷ of their weights times what a day's carrying gives,
/// 2¹⁰⁰ with the shortest half-life there is.
pub const SUM_MAX: f32 = 1.0e37;

/// Weight behind a price level after which it follows new prices instead of averaging all.
pub const PRICE_WEIGHT_MAX: f32 = 20.0;

/// Evidence below this is rounding left over from a signal that was taken back.
const EVIDENCE_MIN: f64 = 1.0e-5;

/// What is left of a sum, in parts of what was taken out of it, that may be rounding: some thirty
/// increments' worth.
const ROUNDING_MAX: f64 = 2.0e-6;

/// Price levels remembered a profile.
pub const PRICES_MAX: usize = 64;

/// How many entries one profile may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Remembered products.
    pub products: usize,
    /// Remembered facets.
    pub facets: usize,
    /// Remembered price levels.
    pub prices: usize,
}

/// Adds one signal to the profile and says whether anything changed.
///
/// The weight is `signal_weights[kind] · times`. Without `facts` only the product's own memory
/// moves. A signal that weighs nothing changes nothing, except that a purchase is still counted.
pub fn apply(
    profile: &mut Profile,
    signal: &Signal,
    facts: Option<&ProductFacts>,
    rules: &Rules,
    caps: Caps,
) -> bool {
    let weight = rules.signal_weights[signal.kind.index()] * signal.times;
    let bought = is_purchase(signal.kind) && signal.times > 0.0;
    if !weight.is_finite() || (weight == 0.0 && !bought) {
        return false;
    }
    let at = signal.at.seconds_u32();
    move_on(profile, at, &rules.half_life);
    let event = Event { weight, at, landmark: profile.landmark(), half_life: &rules.half_life };
    learn_product(profile, signal.product, event);
    if bought && let Some(memory) = product_mut(profile, signal.product) {
        memory.bought(day(at), signal.quantity);
    }
    keep::products(profile, &rules.half_life, caps.products, Some(signal.product));
    if let Some(facts) = facts {
        for facet in &facts.facets {
            learn_facet(profile, *facet, event, caps.facets);
        }
        if weight > 0.0 {
            learn_price(profile, facts, weight, caps.prices);
        }
    }
    let weight = rules.signal_weights[signal.kind.index()].abs() * signal.times;
    learn_evidence(profile, Event { weight, ..event });
    profile.version = profile.version.wrapping_add(1);
    true
}

/// Takes what was learned of one facet out of the profile; true where there was something.
pub fn forget_facet(profile: &mut Profile, facet: FacetKey) -> bool {
    let before = profile.facets.len();
    profile.facets.retain(|memory| memory.key != facet);
    profile.prices.retain(|memory| memory.category != facet);
    let known = profile.facets.len() < before;
    if known {
        profile.version = profile.version.wrapping_add(1);
    }
    known
}

/// True for the four kinds of purchase.
pub fn is_purchase(kind: SignalKind) -> bool {
    matches!(
        kind,
        SignalKind::PurchaseFirstTime
            | SignalKind::PurchaseRepeat
            | SignalKind::PurchaseBulk
            | SignalKind::PurchaseSubscription
    )
}

/// Moves the profile's time on to `at`, and all sums to its landmark. An earlier `at` changes nothing.
pub(super) fn move_on(profile: &mut Profile, at: u32, half_life: &HalfLives) {
    let (from, to) = (profile.landmark(), landmark(at));
    profile.at = profile.at.max(at);
    if to <= from {
        return;
    }
    let slow = carried(from, to, half_life.item_slow_seconds);
    let fast = carried(from, to, half_life.item_fast_seconds);
    for memory in &mut profile.products {
        memory.slow = scaled(memory.slow, slow);
        memory.fast = scaled(memory.fast, fast);
    }
    let axes = half_life.axis_seconds.map(|seconds| carried(from, to, seconds));
    for memory in &mut profile.facets {
        memory.sum = scaled(memory.sum, axes[memory.key.axis().index()]);
    }
    profile.evidence = scaled(profile.evidence, axes[Axis::Category.index()]);
}

fn scaled(sum: f32, factor: f64) -> f32 {
    (f64::from(sum) * factor) as f32
}

/// `sum + increment`, rounded once. A result that is not a number leaves the sum as it was.
pub(super) fn added(sum: f32, increment: f64) -> f32 {
    let together = (f64::from(sum) + increment) as f32;
    if together.is_nan() { sum } else { together.clamp(-SUM_MAX, SUM_MAX) }
}

/// A weight at a time, to be carried to a landmark.
#[derive(Clone, Copy)]
struct Event<'a> {
    weight: f32,
    at: u32,
    landmark: u32,
    half_life: &'a HalfLives,
}

impl Event<'_> {
    fn carried(&self, half_life_seconds: f32) -> f64 {
        f64::from(self.weight) * carried(self.at, self.landmark, half_life_seconds)
    }
}

fn learn_product(profile: &mut Profile, product: ProductKey, event: Event<'_>) {
    let index = match profile.products.binary_search_by_key(&product, |p| p.key) {
        Ok(index) => index,
        Err(index) => {
            profile.products.insert(index, ProductMemory::blank(product));
            index
        }
    };
    let memory = &mut profile.products[index];
    memory.slow = added(memory.slow, event.carried(event.half_life.item_slow_seconds));
    memory.fast = added(memory.fast, event.carried(event.half_life.item_fast_seconds));
}

fn product_mut(profile: &mut Profile, product: ProductKey) -> Option<&mut ProductMemory> {
    let index = profile.products.binary_search_by_key(&product, |p| p.key).ok()?;
    profile.products.get_mut(index)
}

fn learn_facet(profile: &mut Profile, key: FacetKey, event: Event<'_>, facets_max: usize) {
    let increment = event.carried(event.half_life.axis_seconds[key.axis().index()]);
    match profile.facets.binary_search_by_key(&key, |f| f.key) {
        Ok(index) => {
            let memory = &mut profile.facets[index];
            memory.sum = added(memory.sum, increment);
        }
        Err(index) => {
            profile.facets.insert(index, FacetMemory { key, sum: added(0.0, increment) });
            keep::facets(profile, event.half_life, facets_max, Some(key));
        }
    }
}

fn learn_price(profile: &mut Profile, facts: &ProductFacts, weight: f32, prices_max: usize) {
    let (Some(category), Some(price)) = (facts.category, facts.price) else { return };
    let level = price.ln();
    if !level.is_finite() {
        return;
    }
    match profile.prices.binary_search_by_key(&category, |p| p.category) {
        Ok(index) => {
            let memory = &mut profile.prices[index];
            let together = memory.weight + weight;
            memory.mean_ln += (level - memory.mean_ln) * (weight / together);
            memory.weight = together.min(PRICE_WEIGHT_MAX);
        }
        Err(index) => {
            let weight = weight.min(PRICE_WEIGHT_MAX);
            profile.prices.insert(index, PriceMemory { category, mean_ln: level, weight });
            keep::prices(profile, prices_max, Some(category));
        }
    }
}

/// Evidence is the sum of |weight|; a signal that is taken back takes its evidence with it.
fn learn_evidence(profile: &mut Profile, event: Event<'_>) {
    let half_life = event.half_life.axis_seconds[Axis::Category.index()];
    let sum = added(profile.evidence, event.carried(half_life));
    let now = f64::from(sum) * carried(event.landmark, profile.at, half_life);
    profile.evidence = if now.abs() < EVIDENCE_MIN { 0.0 } else { sum };
}

/// A sum from which nearly all of it was taken is rounding: nothing.
fn settled(sum: f32, increment: f64) -> f32 {
    if f64::from(sum.abs()) < increment.abs() * ROUNDING_MAX { 0.0 } else { sum }
}

/// Moves what one event put into the sums from its weight to another, as if it had been learned with
/// that. Quantities and price levels stay. What the caps have forgotten since stays forgotten.
pub(super) fn move_weight(
    profile: &mut Profile,
    (event, facets): (&Kept, &[FacetKey]),
    weight: f32,
    half_life: &HalfLives,
    caps: Caps,
) {
    let (at, landmark) = (event.at, profile.landmark());
    let by = |weight: f32| Event { weight: weight * event.times, at, landmark, half_life };
    let moved = by(weight - event.weight);
    // A weight of 0 left no trace; any other did.
    let is_new = event.weight == 0.0;
    if is_new || profile.product(event.product).is_some() {
        learn_product(profile, event.product, moved);
        keep::products(profile, half_life, caps.products, Some(event.product));
    }
    if let Some(memory) = product_mut(profile, event.product) {
        let slow = moved.carried(half_life.item_slow_seconds);
        let fast = moved.carried(half_life.item_fast_seconds);
        (memory.slow, memory.fast) = (settled(memory.slow, slow), settled(memory.fast, fast));
    }
    for facet in facets {
        if is_new || profile.facet(*facet).is_some() {
            learn_facet(profile, *facet, moved, caps.facets);
        }
        if let Ok(index) = profile.facets.binary_search_by_key(facet, |f| f.key) {
            let increment = moved.carried(half_life.axis_seconds[facet.axis().index()]);
            let memory = &mut profile.facets[index];
            memory.sum = settled(memory.sum, increment);
        }
    }
    learn_evidence(profile, by(weight.abs() - event.weight.abs()));
}

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::testing::{CAPS, facts, rules_for_tests};
    use crate::types::clock::Timestamp;

    fn signal(kind: SignalKind, id: &str, at_seconds: i64) -> Signal {
        let product = ProductKey::of(id);
        Signal { kind, product, at: Timestamp::from_seconds(at_seconds), times: 1.0, quantity: 1 }
    }

    #[test]
    fn a_click_teaches_the_product_and_every_facet_of_it() {
        let rules = rules_for_tests();
        let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
        let mut profile = Profile::default();
        let click = signal(SignalKind::ClickProduct, "oat", 86_400);
        assert!(apply(&mut profile, &click, Some(&oat), &rules, CAPS));
        assert_eq!(profile.product(oat.key).map(|p| (p.slow, p.fast)), Some((0.2, 0.2)));
        assert_eq!(profile.facets.len(), oat.facets.len());
        let plant_based = FacetKey::of(Axis::Attribute, "plant-based");
        assert_eq!(profile.facet(plant_based).map(|f| f.sum), Some(0.2));
        assert_eq!((profile.evidence, profile.version), (0.2, 1));
    }

    #[test]
    fn a_purchase_is_counted_and_sets_the_price_level_of_its_category() {
        let rules = rules_for_tests();
        let oat = facts("oat", "Oat Milk", "dairy/milk", &[]);
        let mut profile = Profile::default();
        for at in [10, 20] {
            let bought = signal(SignalKind::PurchaseRepeat, "oat", at);
            apply(&mut profile, &bought, Some(&oat), &rules, CAPS);
        }
        assert_eq!(profile.product(oat.key).map(|p| p.purchases), Some(2));
        let level = profile.price(oat.category.unwrap()).unwrap();
        assert!((level.mean_ln - oat.price.unwrap().ln()).abs() < 1e-6);
    }

    #[test]
    fn what_is_taken_back_leaves_no_evidence() {
        let rules = rules_for_tests();
        let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
        let mut profile = Profile::default();
        let mut passed = signal(SignalKind::DisplayedButScrolled, "oat", 50);
        apply(&mut profile, &passed, Some(&oat), &rules, CAPS);
        assert!(!profile.is_empty());
        passed.times = -1.0;
        apply(&mut profile, &passed, Some(&oat), &rules, CAPS);
        assert!(profile.is_empty());
        assert!(profile.facets.iter().all(|f| f.sum.abs() < 1e-6));
    }

    #[test]
    fn a_signal_that_is_not_finite_is_ignored() {
        let mut rules = rules_for_tests();
        rules.signal_weights[SignalKind::Returned.index()] = f32::NAN;
        let mut profile = Profile::default();
        let returned = signal(SignalKind::Returned, "oat", 1);
        assert!(!apply(&mut profile, &returned, None, &rules, CAPS));
        let mut click = signal(SignalKind::ClickProduct, "oat", 1);
        click.times = f32::INFINITY;
        assert!(!apply(&mut profile, &click, None, &rules, CAPS));
        assert_eq!(profile, Profile::default());
    }

    #[test]
    fn beyond_its_cap_a_profile_forgets_the_weakest_product_and_keeps_the_new_one() {
        let rules = rules_for_tests();
        let caps = Caps { products: 2, facets: 3, prices: 1 };
        let mut profile = Profile::default();
        for (kind, id) in [
            (SignalKind::PurchaseFirstTime, "strong"),
            (SignalKind::ViewDetails, "weak"),
            (SignalKind::ClickProduct, "new"),
        ] {
            let it = facts(id, id, "snacks/chips", &[id]);
            apply(&mut profile, &signal(kind, id, 5), Some(&it), &rules, caps);
        }
        assert!(profile.product(ProductKey::of("weak")).is_none());
        assert!(profile.product(ProductKey::of("strong")).is_some());
        assert!(profile.product(ProductKey::of("new")).is_some());
        assert!(profile.facets.len() <= 3 && profile.prices.len() <= 1);
    }

    #[test]
    fn a_cap_of_nothing_remembers_nothing() {
        let rules = rules_for_tests();
        let caps = Caps { products: 0, facets: 0, prices: 0 };
        let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
        let mut profile = Profile::default();
        apply(&mut profile, &signal(SignalKind::ClickProduct, "oat", 5), Some(&oat), &rules, caps);
        assert!(profile.products.is_empty() && profile.facets.is_empty());
        assert!(profile.prices.is_empty());
    }

    proptest! {
        #[test]
        fn signals_learned_in_any_order_give_the_same_sums(
            events in prop::collection::vec((0..16_usize, 0..4_u8, 0..40_000_000_i64), 1..40),
            seed in 0..u64::MAX,
        ) {
            let rules = rules_for_tests();
            let products: Vec<_> = (0..4_u8)
                .map(|i| facts(&i.to_string(), "x", "a/b", &[["p", "q"][usize::from(i % 2)]]))
                .collect();
            let mut shuffled = events.clone();
            let mut state = seed;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, (state >> 33) as usize % (i + 1));
            }
            let learned = |events: &[(usize, u8, i64)]| {
                let mut profile = Profile::default();
                for (kind, product, at) in events {
                    let event = signal(SignalKind::ALL[*kind], &product.to_string(), *at);
                    let facts = &products[usize::from(*product)];
                    apply(&mut profile, &event, Some(facts), &rules, CAPS);
                }
                profile
            };
            let (a, b) = (learned(&events), learned(&shuffled));
            // signed sums may cancel, so differences are measured against what went in
            let scale = events.iter().map(|e| rules.signal_weights[e.0].abs()).sum::<f32>();
            let near = |x: f32, y: f32| (x - y).abs() <= 1e-4 * scale;
            prop_assert!(near(a.evidence, b.evidence));
            for (x, y) in a.facets.iter().zip(&b.facets) {
                prop_assert!(x.key == y.key && near(x.sum, y.sum));
            }
            for (x, y) in a.products.iter().zip(&b.products) {
                prop_assert!(x.key == y.key && x.purchases == y.purchases);
                prop_assert!(near(x.slow, y.slow) && near(x.fast, y.fast));
            }
        }
    }
}
