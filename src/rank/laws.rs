//! The laws of a ranking, for any list, shopper and rules.

use proptest::prelude::*;

use super::staging::{Good, Stage, good, unknown};
use super::*;
use crate::rules::Action;
use crate::types::signal::SignalKind;

/// One hit: which product, score, stock, sponsored.
type Spec = (u8, Option<f64>, Option<bool>, bool);

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => -50.0..50.0_f64,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0]),
    ]
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let sponsored = prop::bool::weighted(0.08);
    let stock = prop::option::of(prop::bool::weighted(0.8));
    prop::collection::vec((0..40_u8, prop::option::of(number()), stock, sponsored), 0..70)
}

fn events() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0..40_u8, 0..16_usize), 0..25)
}

fn shelf(id: u8) -> Good {
    if id.is_multiple_of(11) {
        return unknown(&id.to_string());
    }
    let name = ["Milk", "Oat Milk", "Chips", "Yogurt"][usize::from(id) % 4];
    let brand = ["A", "B", "", "Farm Fresh"][usize::from(id) % 3];
    let path = ["dairy/milk", "snacks/chips", "dairy"][usize::from(id) % 3];
    let attribute = ["organic", "spicy", "", "plant-based"][usize::from(id) % 4];
    let mut good = good(&format!("{name} {id} | {brand} | {path} | {attribute}"));
    good.facts.price = [Some(f32::NAN), Some(1.0), Some(f32::MAX), None][usize::from(id) % 4];
    good
}

fn stage(specs: &[Spec], events: &[(u8, usize)], query: &str) -> Stage {
    let mut stage = Stage::new(query, &[]);
    stage.goods = specs
        .iter()
        .map(|(id, score, in_stock, sponsored)| Good {
            score: *score,
            in_stock: *in_stock,
            sponsored: *sponsored,
            ..shelf(*id)
        })
        .collect();
    stage.rules.ranking.weights.price = 0.5;
    for (id, kind) in events {
        stage.did(1, SignalKind::ALL[*kind], &shelf(*id).facts);
    }
    let keys = stage.goods.iter().map(|g| (g.facts.key, g.facts.category)).collect::<Vec<_>>();
    stage.population.record_list(keys, true);
    stage
}

fn queries() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "milk",
        "organic milk",
        "",
        "zzzz",
        "farm fresh chips",
        "2 lb yogurt",
    ])
}

proptest! {
    #[test]
    fn a_ranking_is_a_permutation_with_finite_scores_and_the_same_every_time(
        specs in specs(),
        events in events(),
        query in queries(),
        (better, unranked) in (prop::option::of(prop::bool::ANY), prop::bool::ANY),
        (row, cap, repeats) in (
            prop::option::of(0..3_usize), prop::option::of(0..9_usize), prop::option::of(0..3_usize),
        ),
        acts in prop::collection::vec((0..40_u8, 0..6_u8, 0..80_usize), 0..6),
        window_size in 0..80_usize,
    ) {
        let mut stage = stage(&specs, &events, query);
        stage.score_better =
            better.map(|high| if high { ScoreBetter::Higher } else { ScoreBetter::Lower });
        if unranked {
            stage.upstream = UpstreamOrder::Unranked;
        }
        stage.rules.guards.same_brand_in_a_row_max = row;
        stage.rules.guards.displacement_max = cap;
        stage.rules.ranking.repeat_slots = repeats;
        stage.rules.ranking.window_size = window_size;
        for (id, act, slot) in acts {
            let action = match act {
                0 => Action::Boost(0.5),
                1 => Action::Boost(f32::NAN),
                2 => Action::Pin(slot),
                3 => Action::Hide { allow_removal: slot % 2 == 0 },
                _ => Action::Demote,
            };
            stage.rule("rule", &[&shelf(id).facts.name], action);
        }
        let ranking = stage.ranked();
        let mut sorted = ranking.order.clone();
        sorted.sort_unstable();
        prop_assert!(sorted.into_iter().eq(0..specs.len() as u32));
        prop_assert!(ranking.scores.iter().all(|terms| terms.total().is_finite()));
        prop_assert_eq!(&ranking, &stage.ranked());
        let kept = specs.len() - ranking.removed.len();
        prop_assert_eq!(&ranking.order[kept..], &ranking.removed[..]);
        let tail = ranking.order[..kept].iter().filter(|old| **old as usize >= window_size);
        prop_assert!(tail.is_sorted());
        if stage.profile.is_empty() {
            prop_assert!(ranking.is_identity() && ranking.muted == Some(Muted::NoEvidence));
        }
    }

    #[test]
    fn a_hit_moves_no_further_than_the_cap(
        specs in specs(), events in events(), query in queries(), cap in 0..12_usize,
    ) {
        let mut stage = stage(&specs, &events, query);
        stage.goods.iter_mut().for_each(|good| good.in_stock = None);
        stage.rules.guards.displacement_max = Some(cap);
        for (new, old) in stage.ranked().order.iter().enumerate() {
            prop_assert!(new.abs_diff(*old as usize) <= cap);
        }
    }

    #[test]
    fn taste_never_lifts_a_hit_past_a_more_relevant_one_nor_an_unavailable_or_unknown_hit(
        specs in specs(), events in events(), query in queries(),
    ) {
        let mut stage = stage(&specs, &events, query);
        stage.rules.guards.demote_out_of_stock = false;
        let ranking = stage.ranked();
        let place = |old: usize| ranking.order.iter().position(|o| *o as usize == old).unwrap();
        for a in 0..specs.len() {
            if matches!(ranking.holds[a], Hold::Unknown | Hold::OutOfStock | Hold::Sponsored) {
                prop_assert_eq!(place(a), a);
            }
            for b in a + 1..specs.len() {
                if ranking.holds[a] == Hold::Free && ranking.holds[b] == Hold::Free
                    && ranking.tiers[a] < ranking.tiers[b]
                {
                    prop_assert!(place(a) < place(b));
                }
            }
        }
    }

    #[test]
    fn equal_scores_keep_the_upstreams_order(specs in specs(), query in queries()) {
        let mut stage = stage(&specs, &[(1, 8)], query);
        stage.rules.ranking.weights.relevance = 0.0;
        stage.rules.ranking.impact = 0.0;
        stage.rules.ranking.weights.prior = 0.0;
        stage.goods.iter_mut().for_each(|good| good.in_stock = None);
        prop_assert!(stage.ranked().is_identity());
    }

    #[test]
    fn a_pinned_hit_stands_where_the_rule_says(
        specs in specs(), events in events(), query in queries(), slot in 0..70_usize, hit in 0..70_usize,
    ) {
        let mut stage = stage(&specs, &events, query);
        stage.did(1, SignalKind::ClickProduct, &shelf(1).facts);
        stage.goods.iter_mut().for_each(|g| { g.in_stock = None; g.sponsored = false });
        if !stage.goods.is_empty() {
            let hit = hit % stage.goods.len().min(50);
            let slot = slot % stage.goods.len().min(50);
            stage.goods[hit].facts.key = crate::types::ids::ProductKey::of("the one");
            stage.rule("pin", &["the one"], Action::Pin(slot));
            prop_assert_eq!(stage.ranked().order[slot] as usize, hit);
        }
    }

    #[test]
    fn the_parts_of_an_explanation_add_up_to_the_score(
        specs in specs(), events in events(), query in queries(),
    ) {
        let mut stage = stage(&specs, &events, query);
        stage.rule("push", &[], Action::Boost(0.25));
        stage.rule("bury", &["Milk 4"], Action::Boost(-0.5));
        let ranking = stage.ranked();
        stage.with_request(|request| {
            for (position, terms) in ranking.scores.iter().enumerate() {
                let parts = explain::explain(request, &ranking, position);
                let sum: f32 = parts.iter().map(|c| c.value).sum();
                prop_assert!((sum - terms.total()).abs() < 1e-6 * 4.0, "{parts:?} {terms:?}");
            }
            Ok(())
        })?;
    }
}
