//! An edit of a signal weight, carried into what was learned before.
//!
//! In: a profile, its last events, the weights as they are now. Out: the sums of product, facets and
//! evidence as if those events had been learned with the weights of now; each event says so. Sums are
//! linear in the weights, so that adding the difference is exact but for one rounding. Older events
//! keep the weight they were learned with; so do quantities, price levels, and how often a hit that
//! was passed over counted. `O(events · facets · log facets)`.

use std::sync::Arc;

use super::events::Events;
use super::learn::{Caps, move_weight};
use crate::rules::HalfLives;
use crate::types::ids::ProductKey;
use crate::types::product::{FacetKey, ProductFacts};
use crate::types::profile::Profile;

/// What is done with an event whose product nobody describes any more, or yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Its share in the product's own memory moves; that in its facets keeps the weight it had.
    ProductAlone,
    /// It waits for another time.
    Waits,
}

/// By what a profile is weighed anew.
pub struct Scales<'a, F> {
    /// The weights as they are now, by `SignalKind::index`.
    pub weights: &'a [f32],
    /// The half-lives under which the sums came to be.
    pub half_life: &'a HalfLives,
    /// How much the profile may hold.
    pub caps: Caps,
    /// What is known of a product.
    pub facts_of: F,
    /// What is done where nothing is.
    pub unknown: Unknown,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reweighed {
    /// Events whose share was moved.
    pub moved: usize,
    /// Events that wait.
    pub waiting: usize,
}

/// Moves the share of each event to the weight of now.
pub fn reweigh<F>(profile: &mut Profile, events: &mut Events, scales: &Scales<'_, F>) -> Reweighed
where
    F: Fn(ProductKey) -> Option<Arc<ProductFacts>>,
{
    let mut done = Reweighed::default();
    for event in events.iter_mut() {
        let Some(weight) = scales.weights.get(event.kind.index()).copied() else { continue };
        if weight == event.weight || !weight.is_finite() {
            continue;
        }
        let facts = if event.needs_facts() { (scales.facts_of)(event.product) } else { None };
        if event.needs_facts() && facts.is_none() && scales.unknown == Unknown::Waits {
            done.waiting += 1;
            continue;
        }
        let facets: Vec<FacetKey> = event.facets(facts.as_deref()).collect();
        move_weight(profile, (event, &facets), weight, scales.half_life, scales.caps);
        event.weight = weight;
        done.moved += 1;
    }
    if done.moved > 0 {
        profile.version = profile.version.wrapping_add(1);
    }
    done
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::events::Shelf;
    use crate::preferences::learn::{apply, move_on};
    use crate::preferences::testing::{CAPS, facts, rules_for_tests};
    use crate::rules::Rules;
    use crate::types::clock::Timestamp;
    use crate::types::signal::{Signal, SignalKind};

    fn shelf() -> Vec<Arc<ProductFacts>> {
        let described = (0..8_u8).map(|n| {
            let attribute = ["p", "q", "r"][usize::from(n % 3)];
            Arc::new(facts(&n.to_string(), "x", ["a/b", "a/c"][usize::from(n % 2)], &[attribute]))
        });
        described.collect()
    }

    /// The profile after `events`, each (kind, product, time, counts on its first facet alone).
    fn learned(events: &[(usize, usize, i64, bool)], rules: &Rules) -> (Profile, Events) {
        let (shelf, mut profile, mut kept) = (shelf(), Profile::default(), Events::default());
        for (kind, product, at, partly) in events {
            let whole = &*shelf[*product];
            let first = ProductFacts { facets: whole.facets[..1].into(), ..whole.clone() };
            let counted = if *partly { &first } else { whole };
            let (kind, at) = (SignalKind::ALL[*kind], Timestamp::from_seconds(*at));
            let signal = Signal { kind, product: whole.key, at, times: 1.0, quantity: 1 };
            apply(&mut profile, &signal, Some(counted), rules, CAPS);
            let known = Shelf { whole: Some(whole), counted: Some(counted) };
            kept.note(&signal, rules.signal_weights[kind.index()], known, 32);
        }
        (profile, kept)
    }

    fn scales<'a>(
        rules: &'a Rules,
        unknown: Unknown,
        known: bool,
    ) -> Scales<'a, impl Fn(ProductKey) -> Option<Arc<ProductFacts>>> {
        let shelf = shelf();
        let facts_of = move |key| shelf.iter().find(|facts| known && facts.key == key).cloned();
        let (weights, half_life) = (&rules.signal_weights[..], &rules.half_life);
        Scales { weights, half_life, caps: CAPS, facts_of, unknown }
    }

    fn edited(weights: &[f32]) -> Rules {
        let mut rules = rules_for_tests();
        rules.signal_weights.copy_from_slice(weights);
        rules
    }

    proptest! {
        #[test]
        fn what_is_weighed_anew_is_what_would_have_been_learned_with_the_new_weights(
            events in prop::collection::vec(
                (0..16_usize, 0..8_usize, 0..9_000_000_i64, any::<bool>()), 1..32),
            weights in prop::collection::vec(
                prop_oneof![Just(0.0_f32), -2.0..2.0_f32], 16),
        ) {
            let (before, after) = (rules_for_tests(), edited(&weights));
            let (mut moved, mut kept) = learned(&events, &before);
            let done = reweigh(&mut moved, &mut kept, &scales(&after, Unknown::Waits, true));
            prop_assert_eq!(done.waiting, 0);
            let (mut direct, expected) = learned(&events, &after);
            prop_assert_eq!(&kept, &expected);
            // where the last events weigh nothing, the profile's time did not move on
            let at = moved.at;
            move_on(&mut direct, at, &after.half_life);
            let size = |rules: &Rules| -> f32 {
                events.iter().map(|event| rules.signal_weights[event.0].abs()).sum()
            };
            // a sum as of the landmark may be up to what a day gives larger
            let near = |x: f32, y: f32| {
                (x - y).abs() <= 1e-5 * (size(&before) + size(&after)).max(1.0)
            };
            for facts in shelf() {
                let sums = |p: &Profile| p.product(facts.key).map_or((0.0, 0.0), |m| (m.slow, m.fast));
                let (x, y) = (sums(&moved), sums(&direct));
                prop_assert!(near(x.0, y.0) && near(x.1, y.1), "{:?} {:?}", x, y);
                for facet in &facts.facets {
                    let sum = |p: &Profile| p.facet(*facet).map_or(0.0, |memory| memory.sum);
                    prop_assert!(near(sum(&moved), sum(&direct)));
                }
            }
            prop_assert!(near(moved.evidence, direct.evidence));
            let again = reweigh(&mut moved, &mut kept, &scales(&after, Unknown::Waits, true));
            prop_assert_eq!(again, Reweighed::default());
        }
    }

    #[test]
    fn without_facts_the_product_alone_moves_or_the_event_waits() {
        let mut rules = rules_for_tests();
        let (before, kept) = learned(&[(0, 1, 100, false)], &rules);
        rules.signal_weights[0] = 0.0;
        let (mut profile, mut events) = (before.clone(), kept.clone());
        let done = reweigh(&mut profile, &mut events, &scales(&rules, Unknown::Waits, false));
        assert_eq!((done, &profile), (Reweighed { moved: 0, waiting: 1 }, &before));
        let done =
            reweigh(&mut profile, &mut events, &scales(&rules, Unknown::ProductAlone, false));
        assert_eq!(done, Reweighed { moved: 1, waiting: 0 });
        assert_eq!((profile.products[0].slow, profile.evidence), (0.0, 0.0));
        assert_eq!(profile.facets, before.facets);
        assert_eq!(profile.products[0].purchases, 1, "what was bought was bought");
        assert!(profile.version > before.version);
    }

    #[test]
    fn what_was_forgotten_since_does_not_come_back_as_its_opposite() {
        let mut rules = rules_for_tests();
        let (mut profile, mut events) = learned(&[(0, 1, 100, false)], &rules);
        (profile.products, profile.facets) = (Vec::new(), Vec::new());
        rules.signal_weights[0] = 0.1;
        reweigh(&mut profile, &mut events, &scales(&rules, Unknown::Waits, true));
        assert!(profile.products.is_empty() && profile.facets.is_empty());
    }
}
