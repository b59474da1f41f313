//! What trees add to the formula's scores.
//!
//! In: the hits of a window with their terms, a taste, the rules' trees. Out: one more term a hit, the
//! sum of what single features put in ([`parts`]), times the impact of taste. A correction, not another
//! score: what people say of their own (muted, pinned), what rules ask for and what the terms mean stay as
//! they are, and without trees the formula serves. Trees never lift what the shopper muted, nor sink what
//! they pinned.

use super::score::marked_on;
use super::{Contributions, RankRequest, features};
use crate::model::trees::{Features, Trees};
use crate::preferences::taste::Taste;
use crate::rules::Preference;
use crate::types::product::{Axis, ProductFacts};
use crate::types::profile::{Mark, Profile};

/// Adds the term to each hit's terms; nothing where the rules have no trees.
pub fn add(request: &RankRequest<'_>, taste: &Taste<'_>, scores: &mut [Contributions]) {
    let Some(trees) = served(request) else { return };
    let capped = request.rules.ranking.repeat_slots.is_some();
    let impact = request.rules.ranking.impact;
    let mut hits = Vec::with_capacity(scores.len());
    features::each(request, taste, scores, |_, features| hits.push(*features));
    let mut values = vec![0.0; hits.len()];
    trees.scores(&hits, &mut values);
    for ((terms, value), hit) in scores.iter_mut().zip(values).zip(request.candidates) {
        let value = impact * value;
        let marked = whole_mark(taste.profile, hit.facts);
        let value = if value.is_finite() { allowed(value, marked) } else { 0.0 };
        // What may not pass for being known does not pass for that here either.
        terms.trees = if capped && terms.item == 0.0 { value.min(0.0) } else { value };
    }
}

/// The term of the hit at a place, by feature; the parts add up to it.
pub fn parts(
    request: &RankRequest<'_>,
    taste: &Taste<'_>,
    scores: &[Contributions],
    place: usize,
) -> Option<Features> {
    let trees = served(request)?;
    let whole = scores.get(place)?.trees;
    if whole == 0.0 {
        return None;
    }
    let mut found = None;
    features::each(request, taste, scores, |at, features| {
        if at == place {
            found = Some(of_whole(trees, features, whole));
        }
    });
    found
}

/// The trees that the rules ask for.
fn served<'a>(request: &RankRequest<'a>) -> Option<&'a Trees> {
    let asked = request.rules.ranking.preference == Preference::Trees;
    request.rules.trees.as_deref().filter(|trees| asked && !trees.is_empty())
}

/// Parts as they are in the score: with its impact.
fn of_whole(trees: &Trees, features: &Features, whole: f32) -> Features {
    let mut parts = trees.parts(features);
    let factor = whole / parts.iter().sum::<f32>();
    for part in &mut parts {
        *part = if factor.is_finite() { *part * factor } else { 0.0 };
    }
    parts
}

/// The shopper's own word on any axis: less of one thing weighs more than more of another.
fn whole_mark(profile: &Profile, facts: &ProductFacts) -> Option<Mark> {
    let marks = Axis::ALL.into_iter().filter_map(|axis| marked_on(profile, facts, axis));
    marks.reduce(|one, other| if one == Mark::Muted { one } else { other })
}

fn allowed(value: f32, marked: Option<Mark>) -> f32 {
    match marked {
        None => value,
        Some(Mark::Muted) => value.min(0.0),
        Some(Mark::Pinned) => value.max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::explain::{Part, explain};
    use super::super::staging::Stage;
    use super::*;
    use crate::model::trees::{Feature, Node};
    use crate::types::product::FacetKey;
    use crate::types::profile::Chosen;
    use crate::types::signal::SignalKind;

    /// One question a tree: this feature above that number is worth so much.
    fn trees(questions: &[(Feature, f32, f32)]) -> Option<Arc<Trees>> {
        let names: Vec<String> =
            questions.iter().map(|(feature, ..)| feature.name().to_owned()).collect();
        let leaf = |value| Node { feature: 0, threshold: 0.0, left: 0, value };
        let tree = |(asked, (_, threshold, worth)): (usize, &(Feature, f32, f32))| {
            let root = Node { feature: asked as u16, threshold: *threshold, left: 1, value: 0.0 };
            vec![root, leaf(0.0), leaf(*worth)]
        };
        let trees = questions.iter().enumerate().map(tree).collect();
        Some(Arc::new(Trees::new(&names, trees).unwrap()))
    }

    const GOODS: [&str; 4] = [
        "One | Mill | dairy/milk | organic",
        "Two | Mill | dairy/milk | ",
        "Three | Creek | dairy/milk | organic",
        "Four | Creek | dairy/milk | ",
    ];

    fn stage(questions: &[(Feature, f32, f32)]) -> Stage {
        let mut stage = Stage::new("", &GOODS);
        let bought = stage.facts("Three");
        stage.did(2, SignalKind::PurchaseRepeat, &bought);
        stage.rules.ranking.preference = Preference::Trees;
        stage.rules.trees = trees(questions);
        stage
    }

    fn added(stage: &Stage) -> Vec<f32> {
        stage.ranked().scores.iter().map(|terms| terms.trees).collect()
    }

    #[test]
    fn trees_add_what_they_say_of_a_hit_and_only_where_the_rules_ask_for_them() {
        let mut stage = stage(&[(Feature::BrandShare, 0.5, 0.25), (Feature::Better, 0.5, -0.5)]);
        assert_eq!(added(&stage), [-0.5, -0.5, 0.25, -0.25]);
        stage.rules.ranking.impact = 0.5;
        assert_eq!(added(&stage), [-0.25, -0.25, 0.125, -0.125]);
        stage.rules.ranking.preference = Preference::Table;
        assert_eq!(added(&stage), [0.0; 4]);
        stage.rules.ranking.preference = Preference::Trees;
        stage.rules.trees = None;
        assert_eq!(added(&stage), [0.0; 4]);
    }

    #[test]
    fn a_shopper_of_whom_nothing_is_known_keeps_the_upstreams_order() {
        let mut stage = stage(&[(Feature::Relevance, 0.5, -9.0)]);
        assert!(!stage.ranked().is_identity());
        stage.profile = Profile::default();
        assert!(stage.ranked().is_identity());
    }

    #[test]
    fn the_parts_are_told_by_feature_and_add_up_to_the_score() {
        let questions = Feature::ALL.map(|feature| (feature, 0.4, 0.125));
        let stage = stage(&questions);
        let ranking = stage.ranked();
        stage.with_request(|request| {
            for (position, terms) in ranking.scores.iter().enumerate() {
                let parts = explain(request, &ranking, position);
                let sum: f32 = parts.iter().map(|c| c.value).sum();
                assert!((sum - terms.total()).abs() < 4.0e-6, "{parts:?} {terms:?}");
            }
            let parts = explain(request, &ranking, 2);
            let of = |feature| parts.iter().find(|c| c.part == Part::Tree(feature));
            assert_eq!(of(Feature::Purchases).map(|c| c.value), Some(0.125));
            assert_eq!(of(Feature::Better), None);
        });
    }

    #[test]
    fn a_reason_from_trees_names_the_history_that_is_there() {
        let stage = stage(&[(Feature::Memory, 0.5, 5.0)]);
        assert_eq!(stage.shown()[0], "Three");
        let reason = stage.reason("Three").unwrap();
        assert!(reason.to_lowercase().contains("bought"), "{reason}");
        let stage = self::stage(&[(Feature::Known, 0.5, 5.0), (Feature::Relevance, 0.45, -5.0)]);
        assert_eq!(stage.reason("Four"), None, "the list is no reason");
    }

    #[test]
    fn trees_never_lift_what_is_muted_nor_sink_what_is_pinned() {
        let mut stage = stage(&[(Feature::Relevance, 0.0, 2.0)]);
        let organic = FacetKey::of(Axis::Attribute, "organic");
        assert_eq!(added(&stage), [2.0; 4]);
        stage.profile.chosen = vec![Chosen { facet: organic, mark: Mark::Muted }];
        assert_eq!(added(&stage), [0.0, 2.0, 0.0, 2.0]);
        stage.rules.trees = trees(&[(Feature::Relevance, 0.0, -2.0)]);
        stage.profile.chosen = vec![Chosen { facet: organic, mark: Mark::Pinned }];
        assert_eq!(added(&stage), [0.0, -2.0, 0.0, -2.0]);
    }

    #[test]
    fn a_cap_on_repeated_products_holds_for_trees_too() {
        let mut stage = stage(&[(Feature::Purchases, 0.5, 3.0)]);
        assert_eq!(added(&stage)[2], 3.0);
        stage.rules.ranking.repeat_slots = Some(0);
        assert_eq!(added(&stage), [0.0; 4]);
    }

    #[test]
    fn a_history_that_may_not_be_told_is_no_feature_of_any_hit() {
        let mut stage = stage(&[]);
        let count = |stage: &Stage| {
            stage.with_request(|request| {
                let taste = Taste::at(&stage.profile, request.rules, request.now);
                let (mut own, mut known) = (0.0, 0.0);
                features::each(request, &taste, &stage.ranked().scores, |_, features| {
                    own += features[Feature::Memory.index()] + features[Feature::Purchases.index()];
                    known += features[Feature::Known.index()];
                });
                (own > 0.0, known)
            })
        };
        assert_eq!(count(&stage), (true, 4.0));
        stage.goods[2].facts.sensitive = true;
        assert_eq!(count(&stage), (false, 0.0));
    }
}
