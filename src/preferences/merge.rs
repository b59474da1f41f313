//! Two profiles that turn out to be one shopper's: a visit without a name, and the user who logs in.
//!
//! In: two profiles. Out: one that holds what both learned, each sum carried to the later of the
//! two landmarks before it is added. Commutative: which of the two came first does not matter.
//! Beyond the caps the weakest entries are forgotten. `O(entries)`.

use super::keep;
use super::learn::{Caps, PRICE_WEIGHT_MAX, added, move_on};
use crate::rules::Rules;
use crate::types::profile::{FacetMemory, PriceMemory, ProductMemory, Profile, QUANTITIES};

/// Joins two profiles into one; the result's version is above both.
pub fn merge(a: &Profile, b: &Profile, rules: &Rules, caps: Caps) -> Profile {
    let at = a.at.max(b.at);
    let (mut a, mut b) = (a.clone(), b.clone());
    move_on(&mut a, at, &rules.half_life);
    move_on(&mut b, at, &rules.half_life);
    let mut merged = Profile {
        products: union(&a.products, &b.products, |p| p.key, product),
        facets: union(&a.facets, &b.facets, |f| f.key, facet),
        prices: union(&a.prices, &b.prices, |p| p.category, price),
        evidence: added(a.evidence, f64::from(b.evidence)),
        at,
        version: a.version.max(b.version).wrapping_add(1),
        chosen: Vec::new(),
    };
    keep::products(&mut merged, &rules.half_life, caps.products, None);
    keep::facets(&mut merged, &rules.half_life, caps.facets, None);
    keep::prices(&mut merged, caps.prices, None);
    merged
}

fn facet(x: &FacetMemory, y: &FacetMemory) -> FacetMemory {
    FacetMemory { key: x.key, sum: added(x.sum, f64::from(y.sum)) }
}

fn product(x: &ProductMemory, y: &ProductMemory) -> ProductMemory {
    let order = |p: &ProductMemory| (p.bought_day, p.quantities);
    let (later, earlier) = if order(x) >= order(y) { (x, y) } else { (y, x) };
    let known = later.quantities.into_iter().chain(earlier.quantities).filter(|units| *units > 0);
    let mut quantities = [0; QUANTITIES];
    quantities.iter_mut().zip(known).for_each(|(place, units)| *place = units);
    ProductMemory {
        key: x.key,
        slow: added(x.slow, f64::from(y.slow)),
        fast: added(x.fast, f64::from(y.fast)),
        bought_day: later.bought_day,
        purchases: x.purchases.saturating_add(y.purchases),
        quantities,
    }
}

fn price(x: &PriceMemory, y: &PriceMemory) -> PriceMemory {
    let weight = x.weight + y.weight;
    let mean_ln = (x.mean_ln * x.weight + y.mean_ln * y.weight) / weight;
    PriceMemory {
        category: x.category,
        mean_ln: if mean_ln.is_finite() { mean_ln } else { x.mean_ln.max(y.mean_ln) },
        weight: weight.min(PRICE_WEIGHT_MAX),
    }
}

/// Merges two lists sorted by key; entries with the same key are joined.
fn union<T: Copy, K: Ord>(
    a: &[T],
    b: &[T],
    key: impl Fn(&T) -> K,
    join: impl Fn(&T, &T) -> T,
) -> Vec<T> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        match key(x).cmp(&key(y)) {
            std::cmp::Ordering::Less => out.extend(a.next().copied()),
            std::cmp::Ordering::Greater => out.extend(b.next().copied()),
            std::cmp::Ordering::Equal => {
                out.push(join(x, y));
                a.next();
                b.next();
            }
        }
    }
    out.extend(a.copied());
    out.extend(b.copied());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::learn::apply;
    use crate::preferences::testing::{CAPS, facts, rules_for_tests};
    use crate::types::clock::Timestamp;
    use crate::types::ids::ProductKey;
    use crate::types::signal::{Signal, SignalKind};

    fn learned(events: &[(usize, u8, i64)], rules: &Rules) -> Profile {
        let mut profile = Profile::default();
        for (kind, product, at) in events {
            let id = product.to_string();
            let signal = Signal {
                kind: SignalKind::ALL[*kind],
                product: ProductKey::of(&id),
                at: Timestamp::from_seconds(*at),
                times: 1.0,
                quantity: product + 1,
            };
            let facts = facts(&id, "x", "a/b", &[["p", "q", "r"][usize::from(product % 3)]]);
            apply(&mut profile, &signal, Some(&facts), rules, CAPS);
        }
        profile
    }

    fn events() -> impl Strategy<Value = Vec<(usize, u8, i64)>> {
        prop::collection::vec((0..16_usize, 0..12_u8, 0..9_000_000_i64), 0..20)
    }

    proptest! {
        #[test]
        fn it_does_not_matter_which_profile_came_first(
            a in events(), b in events(), products in 0..20_usize,
        ) {
            let rules = rules_for_tests();
            let (a, b) = (learned(&a, &rules), learned(&b, &rules));
            let caps = Caps { products, facets: 4, prices: 1 };
            prop_assert_eq!(merge(&a, &b, &rules, caps), merge(&b, &a, &rules, caps));
        }

        #[test]
        fn a_merged_profile_is_what_one_profile_would_have_learned(a in events(), b in events()) {
            let rules = rules_for_tests();
            let merged = merge(&learned(&a, &rules), &learned(&b, &rules), &rules, CAPS);
            let one = learned(&[a, b].concat(), &rules);
            prop_assert_eq!(merged.products.len(), one.products.len());
            for (x, y) in merged.facets.iter().zip(&one.facets) {
                prop_assert!(x.key == y.key && (x.sum - y.sum).abs() < 1e-3);
            }
            prop_assert!((merged.evidence - one.evidence).abs() < 1e-3);
        }
    }
}
