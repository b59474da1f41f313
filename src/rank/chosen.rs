//! What a shopper said themselves of single tastes, in a ranking.

use proptest::prelude::*;

use super::explain::{Part, explain};
use super::staging::Stage;
use super::*;
use crate::types::product::{Axis, FacetKey};
use crate::types::profile::{Chosen, Mark};
use crate::types::signal::SignalKind;

const CHIPS: &[&str] = &[
    "Hot Chips | A | snacks/chips | spicy organic vegan",
    "Original Chips | B | snacks/chips | vegan",
    "Sea Salt Chips | C | snacks/chips | organic",
    "Chili Chips | A | snacks/chips | spicy",
];

fn attribute(name: &str) -> FacetKey {
    FacetKey::of(Axis::Attribute, name)
}

fn said(stage: &mut Stage, marks: &[(FacetKey, Mark)]) {
    stage.profile.chosen =
        marks.iter().map(|(facet, mark)| Chosen { facet: *facet, mark: *mark }).collect();
    stage.profile.chosen.sort_by_key(|chosen| chosen.facet);
}

fn parts(stage: &Stage, position: usize) -> Vec<(Part, f32)> {
    let ranking = stage.ranked();
    stage.with_request(|request| {
        explain(request, &ranking, position).into_iter().map(|c| (c.part, c.value)).collect()
    })
}

#[test]
fn a_hit_with_something_muted_sinks_whatever_else_it_is_and_no_part_of_that_axis_lifts_it() {
    let mut stage = Stage::new("chips", CHIPS);
    let salt = stage.facts("Sea Salt Chips");
    stage.did(9, SignalKind::PurchaseRepeat, &salt);
    said(&mut stage, &[(attribute("spicy"), Mark::Muted), (attribute("vegan"), Mark::Pinned)]);
    assert_eq!(stage.shown()[2..], ["Hot Chips", "Chili Chips"]);
    let attributes = |position| {
        let mut parts = parts(&stage, position);
        parts.retain(|(part, _)| matches!(part, Part::Facet(f) if f.axis() == Axis::Attribute));
        parts
    };
    let lowest = -stage.rules.facets[Axis::Attribute.index()];
    assert_eq!(attributes(0), [(Part::Facet(attribute("spicy")), lowest)]);
    assert_eq!(attributes(1), [(Part::Facet(attribute("vegan")), -lowest)]);
}

#[test]
fn what_others_like_takes_nothing_from_a_shoppers_own_word() {
    let mut stage = Stage::new("chips", CHIPS);
    let salt = stage.facts("Sea Salt Chips");
    stage.did(9, SignalKind::PurchaseRepeat, &salt);
    for _ in 0..500 {
        stage.population.record_evidence(&salt, 1.0, true);
    }
    said(&mut stage, &[(attribute("organic"), Mark::Pinned)]);
    let whole = stage.rules.facets[Axis::Attribute.index()];
    assert!(parts(&stage, 2).contains(&(Part::Facet(attribute("organic")), whole)));
}

#[test]
fn one_word_is_evidence_enough_and_none_is_none() {
    let mut stage = Stage::new("chips", CHIPS);
    assert_eq!(stage.ranked().muted, Some(Muted::NoEvidence));
    said(&mut stage, &[(attribute("spicy"), Mark::Muted)]);
    assert_eq!(stage.ranked().muted, None);
    assert_eq!(stage.shown()[..2], ["Original Chips", "Hot Chips"]);
    assert_eq!(stage.reason("Hot Chips").as_deref(), Some("you asked for less spicy"));
}

proptest! {
    #[test]
    fn whatever_is_said_the_parts_add_up_and_nothing_muted_praises(
        events in prop::collection::vec((0..4_usize, 0..16_usize), 0..20),
        marks in prop::collection::btree_map(0..8_usize, any::<bool>(), 0..8),
    ) {
        let facets = ["spicy", "organic", "vegan"].map(attribute).into_iter();
        let facets = facets.chain(["a", "b", "c"].map(|b| FacetKey::of(Axis::Brand, b)));
        let paths = ["snacks", "snacks/chips"].map(|path| FacetKey::of(Axis::Category, path));
        let facets: Vec<_> = facets.chain(paths).collect();
        let mut stage = Stage::new("chips", CHIPS);
        for (good, kind) in events {
            let facts = stage.goods[good].facts.clone();
            stage.did(1, SignalKind::ALL[kind], &facts);
        }
        let mark = |pinned| if pinned { Mark::Pinned } else { Mark::Muted };
        let marks: Vec<_> = marks.into_iter().map(|(n, p)| (facets[n], mark(p))).collect();
        said(&mut stage, &marks);
        let ranking = stage.ranked();
        for position in 0..CHIPS.len() {
            let parts = parts(&stage, position);
            let sum: f32 = parts.iter().map(|(_, value)| value).sum();
            prop_assert!((sum - ranking.scores[position].total()).abs() < 1e-5);
            for (part, value) in parts {
                let Part::Facet(facet) = part else { continue };
                if marks.contains(&(facet, Mark::Muted)) {
                    prop_assert!(value < 0.0);
                }
            }
        }
        let mut order = ranking.order.clone();
        order.sort_unstable();
        prop_assert_eq!(order, (0..CHIPS.len() as u32).collect::<Vec<_>>());
    }
}
