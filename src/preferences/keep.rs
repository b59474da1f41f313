//! Which entries of a full profile are forgotten: part of the model.
//!
//! In: a profile beyond a cap. Out: the same without its weakest entries, never the one that was just
//! touched. The strength of a product is `√|slow| + |fast|` at the profile's latest time: the most
//! that its two sums can weigh in a ranking (`taste::item` adds `sign(slow)·√|slow| + fast`), so that
//! forgetting the weakest changes the least. Returns count as purchases do: what a shopper sent back
//! is worth remembering. Of a facet it is its |sum| then, of a price level the weight behind it.
//! Of equals the product bought longer ago goes, then the smaller key. One pass an entry forgotten.

use crate::rules::HalfLives;
use crate::types::ids::ProductKey;
use crate::types::product::FacetKey;
use crate::types::profile::{ProductMemory, Profile, carried};

/// Forgets the weakest products beyond `products_max`.
pub(super) fn products(
    profile: &mut Profile,
    half_life: &HalfLives,
    products_max: usize,
    spared: Option<ProductKey>,
) {
    if profile.products.len() <= products_max {
        return;
    }
    let to_latest = |seconds| carried(profile.landmark(), profile.at, seconds) as f32;
    let slow = to_latest(half_life.item_slow_seconds);
    let fast = to_latest(half_life.item_fast_seconds);
    let strength = |p: &ProductMemory| (p.slow.abs() * slow).sqrt() + p.fast.abs() * fast;
    let spared = spared.filter(|_| products_max > 0);
    forget_to(&mut profile.products, products_max, |p| {
        (spared != Some(p.key)).then(|| (strength(p), p.bought_day, p.key.0))
    });
}

/// Forgets the weakest facets beyond `facets_max`.
pub(super) fn facets(
    profile: &mut Profile,
    half_life: &HalfLives,
    facets_max: usize,
    spared: Option<FacetKey>,
) {
    if profile.facets.len() <= facets_max {
        return;
    }
    let (from, to) = (profile.landmark(), profile.at);
    let axes = half_life.axis_seconds.map(|seconds| carried(from, to, seconds) as f32);
    let spared = spared.filter(|_| facets_max > 0);
    forget_to(&mut profile.facets, facets_max, |f| {
        (spared != Some(f.key)).then(|| (f.sum.abs() * axes[f.key.axis().index()], 0, f.key.0))
    });
}

/// Forgets the price levels with the least weight behind them beyond `prices_max`.
pub(super) fn prices(profile: &mut Profile, prices_max: usize, spared: Option<FacetKey>) {
    let spared = spared.filter(|_| prices_max > 0);
    forget_to(&mut profile.prices, prices_max, |p| {
        (spared != Some(p.category)).then_some((p.weight, 0, p.category.0))
    });
}

/// Removes the entries with the smallest (strength, day, key) until `max` are left; those of which
/// `rank` says nothing stay.
fn forget_to<T>(entries: &mut Vec<T>, max: usize, rank: impl Fn(&T) -> Option<(f32, u16, u64)>) {
    while entries.len() > max {
        let ranked =
            entries.iter().enumerate().filter_map(|(i, entry)| rank(entry).map(|r| (r, i)));
        let weakest = ranked
            .min_by(|(a, _), (b, _)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let Some((_, index)) = weakest else { return };
        entries.remove(index);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::learn::{Caps, apply};
    use crate::preferences::testing::{facts, rules_for_tests};
    use crate::types::clock::Timestamp;
    use crate::types::signal::{Signal, SignalKind};

    fn with(products: &[(&str, f32, f32)]) -> Profile {
        let mut profile = Profile::default();
        profile.products.extend(products.iter().map(|(id, slow, fast)| ProductMemory {
            slow: *slow,
            fast: *fast,
            ..ProductMemory::blank(ProductKey::of(id))
        }));
        profile.products.sort_by_key(|p| p.key);
        profile
    }

    fn forgotten(products: &[(&'static str, f32, f32)]) -> Vec<&'static str> {
        let mut profile = with(products);
        super::products(&mut profile, &rules_for_tests().half_life, products.len() - 1, None);
        let gone = |id: &&str| profile.product(ProductKey::of(id)).is_none();
        products.iter().map(|product| product.0).filter(gone).collect()
    }

    #[test]
    fn what_weighs_least_in_a_ranking_goes_first() {
        // a habit of old outlives many looks of today, for it counts by its root
        let glance = ("glance", 0.1, 0.1);
        assert_eq!(forgotten(&[("habit", 0.3, 0.0), glance]), ["glance"]);
        assert_eq!(forgotten(&[("returned", -0.8, -0.8), glance]), ["glance"]);
        assert_eq!(forgotten(&[("habit", 0.3, 0.0), ("fresh", 0.2, 0.2)]), ["habit"]);
    }

    proptest! {
        #[test]
        fn no_history_takes_a_profile_past_its_caps_and_the_latest_product_is_always_there(
            events in prop::collection::vec((0..16_usize, 0..40_u8, 0..90_000_000_i64), 1..120),
            products in 1..12_usize, facets in 1..12_usize,
        ) {
            let rules = rules_for_tests();
            let caps = Caps { products, facets, prices: 2 };
            let mut profile = Profile::default();
            for (kind, product, at) in events {
                let id = product.to_string();
                let facts = facts(&id, "x", ["a/b", "a/c", "d"][usize::from(product % 3)], &[&id]);
                let (kind, at) = (SignalKind::ALL[kind], Timestamp::from_seconds(at));
                let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity: 1 };
                apply(&mut profile, &signal, Some(&facts), &rules, caps);
                prop_assert!(profile.product(facts.key).is_some());
                prop_assert!(profile.products.len() <= products && profile.facets.len() <= facets);
                prop_assert!(profile.prices.len() <= 2);
                prop_assert!(profile.products.is_sorted_by_key(|p| p.key));
                prop_assert!(profile.facets.is_sorted_by_key(|f| f.key));
            }
        }
    }
}
