//! Lists ranked by the hierarchical preference: the same laws, the same reasons.

use proptest::prelude::*;

use super::explain::{Part, explain};
use super::staging::{Stage, unknown};
use crate::rules::Preference;
use crate::types::product::{Axis, FacetKey};
use crate::types::profile::{Chosen, Mark};
use crate::types::signal::SignalKind;

const CHIPS: &[&str] = &[
    "Original Chips | B | snacks/chips | vegan",
    "Sea Salt Chips | C | snacks/chips | organic",
    "Hot Chips | A | snacks/chips | spicy organic vegan",
    "Chili Chips | D | snacks/chips | spicy",
];

fn stage() -> Stage {
    let mut stage = Stage::new("chips", CHIPS);
    stage.rules.ranking.preference = Preference::Hierarchical;
    stage
}

fn attribute(name: &str) -> FacetKey {
    FacetKey::of(Axis::Attribute, name)
}

fn say(stage: &mut Stage, facet: FacetKey, mark: Mark) {
    stage.profile.chosen = vec![Chosen { facet, mark }];
}

/// Parts of the hit called so.
fn parts(stage: &Stage, name: &str) -> Vec<(Part, f32)> {
    let position = stage.goods.iter().position(|good| &*good.facts.name == name).unwrap();
    let ranking = stage.ranked();
    stage.with_request(|request| {
        explain(request, &ranking, position).into_iter().map(|c| (c.part, c.value)).collect()
    })
}

fn part(stage: &Stage, name: &str, facet: FacetKey) -> f32 {
    let parts = parts(stage, name);
    parts.iter().find(|(part, _)| *part == Part::Facet(facet)).map_or(0.0, |(_, value)| *value)
}

#[test]
fn what_was_picked_lifts_what_is_like_it_and_the_reason_names_it() {
    let mut stage = stage();
    stage.rules.ranking.weights.item = 0.0;
    stage.rules.ranking.weights.relevance = 0.1;
    let hot = stage.facts("Hot Chips");
    stage.did(3, SignalKind::ClickProduct, &hot);
    assert!(part(&stage, "Chili Chips", attribute("spicy")) > 0.05);
    let original = stage.facts("Original Chips");
    stage.did(3, SignalKind::DisplayedButScrolled, &original);
    let shown = stage.shown();
    let at = |name| shown.iter().position(|other| *other == name).unwrap();
    assert!(at("Chili Chips") < at("Original Chips"), "{shown:?}");
    let said = stage.reason("Chili Chips").unwrap();
    assert!(said.contains("spicy") || said.contains("Spicy"), "{said}");
}

#[test]
fn a_word_of_the_shoppers_own_stands_above_the_posterior_and_goes_with_it() {
    let mut stage = stage();
    stage.rules.ranking.weights.item = 0.0;
    let hot = stage.facts("Hot Chips");
    stage.did(5, SignalKind::PurchaseRepeat, &hot);
    let learned = part(&stage, "Chili Chips", attribute("spicy"));
    say(&mut stage, attribute("spicy"), Mark::Muted);
    let muted = part(&stage, "Chili Chips", attribute("spicy"));
    assert!(learned > 0.0);
    assert_eq!(muted, -stage.rules.ranking.weights.facets);
    assert_eq!(stage.shown()[2..], ["Hot Chips", "Chili Chips"]);
    say(&mut stage, attribute("spicy"), Mark::Pinned);
    assert_eq!(part(&stage, "Chili Chips", attribute("spicy")), -muted);
    stage.profile.chosen.clear();
    assert_eq!(part(&stage, "Chili Chips", attribute("spicy")), learned);
}

#[test]
fn where_no_remembered_product_is_known_the_facet_term_is_silent() {
    let mut stage = stage();
    let gone = unknown("gone");
    stage.did(5, SignalKind::PurchaseRepeat, &gone.facts);
    for name in ["Hot Chips", "Chili Chips", "Original Chips"] {
        let facets = parts(&stage, name).into_iter();
        assert_eq!(facets.filter(|(part, _)| matches!(part, Part::Facet(_))).count(), 0);
    }
}

#[test]
fn an_axis_of_weight_0_is_silent_under_either_preference() {
    let mut stage = stage();
    let hot = stage.facts("Hot Chips");
    stage.did(5, SignalKind::PurchaseRepeat, &hot);
    let brand = FacetKey::of(Axis::Brand, "a");
    assert!(part(&stage, "Hot Chips", brand) > 0.0);
    stage.rules.facets[Axis::Brand.index()] = 0.0;
    assert_eq!(part(&stage, "Hot Chips", brand), 0.0);
    assert!(part(&stage, "Hot Chips", attribute("spicy")) > 0.0);
}

proptest! {
    #[test]
    fn the_parts_add_up_to_the_score(
        events in prop::collection::vec((0..4_usize, 0..16_usize), 0..20),
        clicks in prop::collection::vec((0..4_usize, any::<bool>()), 0..40),
        muted in prop::option::of(0..3_usize),
    ) {
        let mut stage = stage();
        stage.rules.model = std::sync::Arc::new({
            let mut model = crate::model::Hierarchical::default();
            model.know(2, "spicy", 0.4);
            model
        });
        for (number, picked) in clicks {
            let facts = stage.goods[number].facts.clone();
            stage.population.record_list([(facts.key, facts.category)], true);
            if picked {
                stage.population.record_click(facts.key, facts.category, 0, true);
            }
        }
        for (number, kind) in events {
            let facts = stage.goods[number].facts.clone();
            stage.did(1, SignalKind::ALL[kind], &facts);
        }
        if let Some(number) = muted {
            say(&mut stage, attribute(["spicy", "organic", "vegan"][number]), Mark::Muted);
        }
        let ranking = stage.ranked();
        for (position, terms) in ranking.scores.iter().enumerate() {
            let sum: f32 = stage.with_request(|request| {
                explain(request, &ranking, position).iter().map(|c| c.value).sum()
            });
            prop_assert!((sum - terms.total()).abs() < 1e-5, "{sum} {}", terms.total());
            prop_assert!(terms.facets.iter().all(|facet| facet.abs() <= 1.0));
        }
    }
}
