//! One signal into one profile.
//!
//! In: a signal, what the catalogue knows of its product, the rules' weights. Out: the profile's
//! sums moved on. Sums are forward-decayed: an entry holds its sum as of its latest event, an event
//! that comes late is decayed to that time before it is added. So the same signals give the same
//! sums in any order (up to rounding), and replicas may add to one profile without talking first.
//!
//! Never panics, never stores a non-finite number, never grows past its [`Caps`]: beyond them the
//! weakest entry is forgotten, never the one just touched. Learning one signal costs
//! `O(facets · log facets)`, plus one pass over the entries when a cap is met.

use crate::rules::Rules;
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::profile::{FacetMemory, PriceMemory, ProductMemory, Profile, decayed};
use crate::types::signal::{Signal, SignalKind};

/// No sum leaves ±this: far above what real histories reach, far below where `f32` loses units.
pub const SUM_MAX: f32 = 1.0e5;

/// Weight behind a price level after which it follows new prices instead of averaging all.
pub const PRICE_WEIGHT_MAX: f32 = 20.0;

/// Evidence below this is rounding left over from a signal that was taken back.
const EVIDENCE_MIN: f32 = 1.0e-5;

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
    learn_product(profile, signal, weight, rules, caps.products);
    if let Some(facts) = facts {
        for facet in &facts.facets {
            let half_life = rules.half_life.axis_seconds[facet.axis().index()];
            learn_facet(profile, *facet, Increment { weight, at, half_life }, caps.facets);
        }
        if weight > 0.0 {
            learn_price(profile, facts, weight, caps.prices);
        }
    }
    learn_evidence(profile, signal, rules);
    profile.version = profile.version.wrapping_add(1);
    true
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

/// A weight at a time, under a half-life in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Increment {
    pub(super) weight: f32,
    pub(super) at: u32,
    pub(super) half_life: f32,
}

/// Adds an increment to a sum that stands as of `at`; whichever is older decays to the other's time.
///
/// The result stands as of the later of the two times. A result that is not a number leaves the sum
/// as it was.
pub(super) fn folded(sum: f32, at: u32, increment: Increment) -> f32 {
    let latest = Timestamp::from_seconds(i64::from(at.max(increment.at)));
    let old = decayed(sum, at, latest, increment.half_life);
    let new = decayed(increment.weight, increment.at, latest, increment.half_life);
    let folded = old + new;
    if folded.is_finite() { folded.clamp(-SUM_MAX, SUM_MAX) } else { sum }
}

fn learn_product(
    profile: &mut Profile,
    signal: &Signal,
    weight: f32,
    rules: &Rules,
    products_max: usize,
) {
    let at = signal.at.seconds_u32();
    let found = profile.products.binary_search_by_key(&signal.product, |p| p.key);
    let index = match found {
        Ok(index) => index,
        Err(index) => {
            let key = signal.product;
            let blank = ProductMemory { key, slow: 0.0, fast: 0.0, at, purchases: 0, events: 0 };
            profile.products.insert(index, blank);
            index
        }
    };
    let memory = &mut profile.products[index];
    let slow = Increment { weight, at, half_life: rules.half_life.item_slow_seconds };
    let fast = Increment { weight, at, half_life: rules.half_life.item_fast_seconds };
    memory.slow = folded(memory.slow, memory.at, slow);
    memory.fast = folded(memory.fast, memory.at, fast);
    memory.at = memory.at.max(at);
    memory.events = memory.events.saturating_add(1);
    if is_purchase(signal.kind) && signal.times > 0.0 {
        memory.purchases = memory.purchases.saturating_add(1);
    }
    keep_products(profile, rules, products_max, Some(signal.product));
}

fn learn_facet(profile: &mut Profile, key: FacetKey, increment: Increment, facets_max: usize) {
    match profile.facets.binary_search_by_key(&key, |f| f.key) {
        Ok(index) => {
            let memory = &mut profile.facets[index];
            memory.sum = folded(memory.sum, memory.at, increment);
            memory.at = memory.at.max(increment.at);
        }
        Err(index) => {
            let memory = FacetMemory { key, sum: increment.weight, at: increment.at };
            profile.facets.insert(index, memory);
            if profile.facets.len() > facets_max {
                keep_facets(profile, increment.half_life, facets_max, Some(key));
            }
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
            keep_prices(profile, prices_max, Some(category));
        }
    }
}

/// Evidence is the sum of |weight|; a signal that is taken back takes its evidence with it.
fn learn_evidence(profile: &mut Profile, signal: &Signal, rules: &Rules) {
    let at = signal.at.seconds_u32();
    let weight = rules.signal_weights[signal.kind.index()].abs() * signal.times;
    let half_life = rules.half_life.axis_seconds[Axis::Category.index()];
    let sum = folded(profile.evidence, profile.evidence_at, Increment { weight, at, half_life });
    profile.evidence = if sum.abs() < EVIDENCE_MIN { 0.0 } else { sum };
    profile.evidence_at = profile.evidence_at.max(at);
}

/// Forgets the weakest products beyond `products_max`: smallest |slow| at the profile's latest
/// time, then the older, then the smaller key.
pub(super) fn keep_products(
    profile: &mut Profile,
    rules: &Rules,
    products_max: usize,
    spared: Option<ProductKey>,
) {
    let half_life = rules.half_life.item_slow_seconds;
    while profile.products.len() > products_max {
        let latest = profile.products.iter().map(|p| p.at).max().unwrap_or_default();
        let latest = Timestamp::from_seconds(i64::from(latest));
        let strength = |p: &ProductMemory| decayed(p.slow, p.at, latest, half_life).abs();
        let weakest = weakest_of(&profile.products, |p| {
            let kept = spared == Some(p.key) && products_max > 0;
            (!kept).then(|| (strength(p), p.at, p.key.0))
        });
        let Some(index) = weakest else { return };
        profile.products.remove(index);
    }
}

/// Forgets the weakest facets beyond `facets_max`, by |sum| at the latest time, age, key.
pub(super) fn keep_facets(
    profile: &mut Profile,
    half_life: f32,
    facets_max: usize,
    spared: Option<FacetKey>,
) {
    while profile.facets.len() > facets_max {
        let latest = profile.facets.iter().map(|f| f.at).max().unwrap_or_default();
        let latest = Timestamp::from_seconds(i64::from(latest));
        let weakest = weakest_of(&profile.facets, |f| {
            let kept = spared == Some(f.key) && facets_max > 0;
            (!kept).then(|| (decayed(f.sum, f.at, latest, half_life).abs(), f.at, f.key.0))
        });
        let Some(index) = weakest else { return };
        profile.facets.remove(index);
    }
}

/// Forgets the price levels with the least weight behind them beyond `prices_max`.
pub(super) fn keep_prices(profile: &mut Profile, prices_max: usize, spared: Option<FacetKey>) {
    while profile.prices.len() > prices_max {
        let weakest = weakest_of(&profile.prices, |p| {
            let kept = spared == Some(p.category) && prices_max > 0;
            (!kept).then_some((p.weight, 0, p.category.0))
        });
        let Some(index) = weakest else { return };
        profile.prices.remove(index);
    }
}

/// Where the entry with the smallest (strength, time, key) is; `None` entries are spared.
fn weakest_of<T>(entries: &[T], rank: impl Fn(&T) -> Option<(f32, u32, u64)>) -> Option<usize> {
    let ranked = entries.iter().enumerate().filter_map(|(i, entry)| rank(entry).map(|r| (r, i)));
    ranked
        .min_by(|(a, _), (b, _)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)))
        .map(|(_, index)| index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::testing::{CAPS, facts, rules_for_tests};

    fn signal(kind: SignalKind, id: &str, at_seconds: i64) -> Signal {
        let product = ProductKey::of(id);
        Signal { kind, product, at: Timestamp::from_seconds(at_seconds), times: 1.0 }
    }

    #[test]
    fn a_click_teaches_the_product_and_every_facet_of_it() {
        let rules = rules_for_tests();
        let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
        let mut profile = Profile::default();
        let click = signal(SignalKind::ClickProduct, "oat", 1_000);
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
                prop_assert!(x.key == y.key && x.at == y.at && near(x.sum, y.sum));
            }
            for (x, y) in a.products.iter().zip(&b.products) {
                prop_assert!(x.key == y.key && x.at == y.at && x.events == y.events);
                prop_assert!(near(x.slow, y.slow) && near(x.fast, y.fast));
            }
        }
    }
}
