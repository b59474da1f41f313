//! What is learned from all, and how slowly.

use super::*;
use crate::preferences::testing::facts;
use crate::types::product::Axis;

const K: f32 = 20.0;
const PACE: Pace = Pace { prior_max: 0.1, base_rate_max: 0.1, smoothing: K };

fn hour(hour: i64) -> Timestamp {
    Timestamp(hour * HOUR_MS + 7)
}

fn key(i: usize) -> ProductKey {
    ProductKey::of(&i.to_string())
}

fn list(length: usize) -> Vec<(ProductKey, Option<FacetKey>)> {
    (0..length).map(|i| (key(i), Some(FacetKey::of(Axis::Category, "milk")))).collect()
}

#[test]
fn a_click_far_down_says_more_than_a_click_at_the_top() {
    let mut population = Population::new(1_000);
    let milk = Some(FacetKey::of(Axis::Category, "milk"));
    for _ in 0..200 {
        population.record_list(list(10), true);
    }
    for _ in 0..30 {
        population.record_click(key(0), milk, 0, true);
        population.record_click(key(9), milk, 9, true);
    }
    assert!(population.prior(key(9), milk, K) > 2.0 * population.prior(key(0), milk, K));
    let (top, low) =
        (population.prior_score(key(0), milk, K), population.prior_score(key(9), milk, K));
    assert!(low > top && top > 0.0, "{top} {low}");
    assert!(population.prior_score(key(5), milk, K) < 0.0);
}

#[test]
fn an_unknown_product_has_its_categorys_mean_and_no_say_in_the_ranking() {
    let mut population = Population::new(1_000);
    let milk = Some(FacetKey::of(Axis::Category, "milk"));
    assert_eq!(population.prior(key(77), milk, K), 0.0);
    for _ in 0..100 {
        population.record_list(list(5), true);
        population.record_click(key(1), milk, 1, true);
    }
    let mean = population.category_rate(milk, K);
    assert!((population.prior(key(77), milk, K) - mean).abs() < 1e-6);
    assert_eq!(population.prior_score(key(77), milk, K), 0.0);
}

#[test]
fn lists_that_we_ranked_change_no_prior_no_base_rate_and_no_propensity() {
    let mut population = Population::new(1_000);
    let milk = Some(FacetKey::of(Axis::Category, "milk"));
    let oat = facts("3", "Oat Milk", "milk", &["plant-based"]);
    for _ in 0..100 {
        population.record_list(list(5), true);
        population.record_click(key(3), milk, 3, true);
        population.record_evidence(&oat, 0.2, true);
    }
    let numbers = |p: &Population| {
        let plant_based = FacetKey::of(Axis::Attribute, "plant-based");
        let priors = (0..5).map(|i| p.prior(key(i), milk, K)).collect::<Vec<_>>();
        let propensities = (0..10).map(|i| p.propensity(i)).collect::<Vec<_>>();
        (priors, propensities, p.base_rate(plant_based))
    };
    let before = numbers(&population);
    for _ in 0..1_000 {
        population.record_list(list(5), false);
        population.record_click(key(0), milk, 0, false);
        population.record_evidence(&oat, 0.2, false);
    }
    assert_eq!(numbers(&population), before);
}

#[test]
fn a_base_rate_is_the_share_of_evidence_and_is_held_down_while_there_is_little() {
    let mut population = Population::new(10);
    let spicy = facts("a", "Hot Chips", "chips", &["spicy"]);
    let plain = facts("b", "Chips", "chips", &[]);
    let facet = FacetKey::of(Axis::Attribute, "spicy");
    population.record_evidence(&spicy, 0.2, true);
    assert!(population.base_rate(facet) < 0.01);
    for _ in 0..10_000 {
        population.record_evidence(&spicy, 0.25, true);
        population.record_evidence(&plain, 0.75, true);
    }
    assert!((population.base_rate(facet) - 0.25).abs() < 0.01);
    population.record_evidence(&spicy, f32::NAN, true);
    population.record_evidence(&spicy, -5.0, true);
    assert!((population.base_rate(facet) - 0.25).abs() < 0.01);
}

#[test]
fn a_full_table_drops_the_products_seen_least() {
    let mut population = Population::new(100);
    for _ in 0..50 {
        population.record_list(list(10), true);
    }
    for i in 1_000..1_500 {
        population.record_list([(key(i), None)], true);
    }
    assert!(population.products() <= 100);
    assert!((0..10).all(|i| population.products.contains_key(&key(i))));
}

#[test]
fn a_storm_of_clicks_moves_a_prior_by_no_more_than_its_hour_allows() {
    let mut population = Population::new(1_000);
    let milk = Some(FacetKey::of(Axis::Category, "milk"));
    let mut before = 0.0;
    for at in 500_000..500_012 {
        population.keep_pace(PACE, hour(at));
        for _ in 0..100 {
            population.record_list(list(10), true);
            population.record_click(key(9), milk, 9, true);
        }
        let scores: Vec<f32> = (0..10).map(|i| population.prior_score(key(i), milk, K)).collect();
        assert!((scores[9] - before).abs() <= 0.1 + 1e-6, "{before} {scores:?}");
        assert!(scores[9] > before || scores[9] > 0.8, "{before} {scores:?}");
        before = scores[9];
    }
    assert!(before > 0.7, "what is really popular gets there: {before}");
    population.keep_pace(PACE, hour(500_030));
    assert_eq!(population.prior_score(key(9), milk, K), before, "time alone moves nothing");
    let raw = population.raw_score(key(9), milk, 5.0);
    assert_eq!(population.prior_score(key(9), milk, 5.0), raw, "an edit is obeyed at once");
}

#[test]
fn a_storm_of_evidence_moves_a_base_rate_by_no_more_than_its_hour_allows() {
    let mut population = Population::new(1_000);
    let (spicy, plain) =
        (facts("a", "Hot Chips", "chips", &["spicy"]), facts("b", "Oats", "oats", &["plain"]));
    let rate =
        |population: &Population, word| population.base_rate(FacetKey::of(Axis::Attribute, word));
    for at in 0..60 {
        population.keep_pace(PACE, hour(500_000 + at));
        let before = (rate(&population, "spicy"), rate(&population, "plain"));
        let storm = if at < 30 { &plain } else { &spicy };
        (0..100_000).for_each(|_| population.record_evidence(storm, 1.0, true));
        let after = (rate(&population, "spicy"), rate(&population, "plain"));
        assert!((after.0 - before.0).abs() <= 0.1, "{at}: {before:?} {after:?}");
        assert!((after.1 - before.1).abs() <= 0.1, "{at}: {before:?} {after:?}");
    }
    assert!(rate(&population, "spicy") > 0.5, "thirty hours are enough");
}

#[test]
fn a_list_that_is_taken_back_leaves_nothing() {
    let mut population = Population::new(1_000);
    let milk = Some(FacetKey::of(Axis::Category, "milk"));
    population.record_list(list(5), true);
    population.record_click(key(1), milk, 1, true);
    let before = population.prior(key(1), milk, K);
    population.record_list(list(9), true);
    assert_ne!(population.prior(key(1), milk, K), before);
    population.forget_list(list(9));
    assert!((population.prior(key(1), milk, K) - before).abs() < 1e-6);
}
