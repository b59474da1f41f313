//! Ranking as a shop sees it: the plan's scenarios in miniature, tails, guards, rules.

use super::staging::{Stage, good, unknown};
use super::*;
use crate::rules::Action;
use crate::types::clock::ManualClock;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey};
use crate::types::signal::SignalKind as Kind;

const YOGURTS: &[&str] = &[
    "Greek Yogurt | Fage | dairy/yogurt |",
    "Vanilla Yogurt | Dannon | dairy/yogurt |",
    "Strawberry Yogurt | Dannon | dairy/yogurt |",
    "Plain Yogurt | Stonyfield | dairy/yogurt | organic",
    "Almond Yogurt | Kite Hill | plant-based/cultured | plant-based",
    "Skyr Yogurt | Siggi | dairy/yogurt |",
];

/// Knobs under which one click shows: the scenarios are about a new shopper's first minute.
fn quick(query: &str, goods: &[&str]) -> Stage {
    let mut stage = Stage::new(query, goods);
    stage.rules.ranking.saturation = 0.2;
    stage.rules.ranking.weights.facets = 3.0;
    stage
}

#[test]
fn after_one_click_on_oat_milk_the_plant_based_yogurt_comes_first() {
    let mut stage = quick("yogurt", YOGURTS);
    let oat = good("Oat Milk | Oatly | plant-based/milk | plant-based").facts;
    stage.did(1, Kind::ClickProduct, &oat);
    assert_eq!(stage.shown()[0], "Almond Yogurt", "{:?}", stage.ranked().scores);
    assert_eq!(stage.shown()[1..4], ["Greek Yogurt", "Vanilla Yogurt", "Strawberry Yogurt"]);
    assert_eq!(stage.reason("Almond Yogurt").as_deref(), Some("plant-based, like Oat Milk"));
}

#[test]
fn a_plant_based_yogurt_is_on_topic_for_yogurt_whatever_its_category() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.goods.push(good("Cream Cheese | Philly | dairy/cheese |"));
    let almond = stage.facts("Almond Yogurt");
    stage.did(1, Kind::AddToCart, &almond);
    assert_eq!(stage.ranked().tiers, [0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(stage.shown()[0], "Almond Yogurt");
}

#[test]
fn chips_passed_over_for_being_spicy_fall_behind_in_the_next_search() {
    let mut stage = quick(
        "chips",
        &[
            "Ghost Pepper Chips | E | snacks/chips | spicy",
            "Original Chips | C | snacks/chips |",
            "Salt Chips | D | snacks/chips |",
        ],
    );
    for name in ["Hot", "Fiery", "Chili"] {
        let passed = format!("{name} Chips | {name} | snacks/chips | spicy");
        stage.did(1, Kind::DisplayedButScrolled, &good(&passed).facts);
    }
    let original = stage.facts("Original Chips");
    stage.did(1, Kind::ClickProduct, &original);
    assert_eq!(stage.shown(), ["Original Chips", "Salt Chips", "Ghost Pepper Chips"]);
    assert_eq!(stage.reason("Ghost Pepper Chips").as_deref(), Some("you passed over spicy"));
    assert_eq!(stage.reason("Original Chips").as_deref(), Some("you picked this before"));
}

#[test]
fn what_was_bought_before_comes_back_first_and_says_so() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    let skyr = stage.facts("Skyr Yogurt");
    stage.did(1, Kind::PurchaseFirstTime, &skyr);
    assert_eq!(stage.shown()[0], "Skyr Yogurt");
    assert_eq!(stage.reason("Skyr Yogurt").as_deref(), Some("you bought this before"));
    assert_eq!(stage.reason("Greek Yogurt"), None, "it only gave way");
}

#[test]
fn a_favourite_does_not_win_a_search_it_does_not_belong_to() {
    let milks: Vec<String> =
        (0..10).map(|i| format!("Milk {i} | Farm {i} | dairy/milk |")).collect();
    let lines: Vec<&str> = milks.iter().map(String::as_str).collect();
    let mut stage = Stage::new("milk", &lines);
    for i in 0..10 {
        let mut off_type = good(&format!("Cola {i} | Pop | drinks/soda | sweet"));
        off_type.facts.price = Some(1.0);
        stage.did(20, Kind::PurchaseRepeat, &off_type.facts);
        for _ in 0..500 {
            stage.population.record_click(off_type.facts.key, off_type.facts.category, 0, true);
        }
        stage.goods.push(off_type);
    }
    let ranking = stage.ranked();
    assert!(ranking.order[..10].iter().all(|old| *old < 10), "{:?}", ranking.order);
    assert_eq!((ranking.tiers[0], ranking.tiers[19]), (0, 1));

    stage.query = String::new();
    let ranking = stage.ranked();
    assert!(ranking.order[..10].iter().all(|old| *old < 10), "the leading category alone");

    stage.query = "milk".to_owned();
    stage.upstream = UpstreamOrder::Unranked;
    assert!(stage.ranked().order[0] >= 10, "an unranked upstream has one tier");
}

#[test]
fn a_gap_in_scores_that_mean_something_is_not_crossed() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    for (good, score) in stage.goods.iter_mut().zip([12.0, 11.5, 11.0, 3.0, 2.9, 2.8]) {
        good.score = Some(score);
    }
    stage.score_better = Some(ScoreBetter::Higher);
    let skyr = stage.facts("Skyr Yogurt");
    stage.did(9, Kind::PurchaseRepeat, &skyr);
    let ranking = stage.ranked();
    assert_eq!(ranking.tiers, [0, 0, 0, 1, 1, 1]);
    assert_eq!(ranking.order[3], 5, "{:?}", ranking.order);
    for (good, distance) in stage.goods.iter_mut().zip([0.10, 0.12, 0.13, 0.8, 0.81, 0.82]) {
        good.score = Some(distance);
    }
    stage.score_better = Some(ScoreBetter::Lower);
    assert_eq!(stage.ranked().tiers, [0, 0, 0, 1, 1, 1]);
    stage.score_better = Some(ScoreBetter::Higher);
    assert_eq!(stage.ranked().tiers, [0; 6], "scores the list was not ordered by are not used");
}

#[test]
fn a_hit_of_which_nothing_is_known_is_never_lifted() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.goods.insert(2, unknown("new"));
    stage.goods.push(unknown("newer"));
    for name in ["Greek Yogurt", "Vanilla Yogurt", "Strawberry Yogurt"] {
        let returned = stage.facts(name);
        stage.did(5, Kind::Returned, &returned);
    }
    let ranking = stage.ranked();
    assert_ne!(ranking.order[0], 0, "the returned ones do sink");
    assert_eq!((ranking.order[2], ranking.order[7]), (2, 7));
    assert_eq!(ranking.holds[2], Hold::Unknown);
}

#[test]
fn what_the_query_names_stays_before_what_it_does_not_name() {
    let mut stage = Stage::new(
        "organic milk",
        &[
            "Farm Milk | Farm | dairy/milk | organic",
            "Valley Milk | Valley | dairy/milk | organic",
            "Plain Milk | Cheap | dairy/milk |",
        ],
    );
    let plain = stage.facts("Plain Milk");
    stage.did(9, Kind::PurchaseRepeat, &plain);
    assert_eq!(stage.shown()[2], "Plain Milk");
    let valley = stage.facts("Valley Milk");
    stage.did(9, Kind::PurchaseRepeat, &valley);
    assert_eq!(stage.shown(), ["Valley Milk", "Farm Milk", "Plain Milk"]);
    stage.query = "farm milk".to_owned();
    assert_eq!(stage.shown()[0], "Farm Milk", "a brand is named");
    stage.rules.guards.query_intent = false;
    stage.query = "milk".to_owned();
    assert_ne!(stage.shown()[0], "Farm Milk");
}

#[test]
fn beside_a_named_brand_the_other_words_tell_its_products_apart() {
    let mut stage = Stage::new(
        "oatly barista 1l",
        &[
            "Oatly Barista 1L | Oatly | plant-based/oat |",
            "Alpro Oat 1L | Alpro | plant-based/oat |",
            "Oatly Original 1L | Oatly | plant-based/oat |",
            "Oat Cream | Alpro | plant-based/cream |",
        ],
    );
    let original = stage.facts("Oatly Original 1L");
    stage.did(9, Kind::PurchaseRepeat, &original);
    assert_eq!(stage.shown()[..2], ["Oatly Barista 1L", "Oatly Original 1L"]);
    stage.query = "oatly".to_owned();
    assert_eq!(stage.shown()[0], "Oatly Original 1L");
}

#[test]
fn a_brand_called_like_a_product_is_not_named_by_the_products_word() {
    let mut stage = Stage::new(
        "fresh apple",
        &[
            "Green Apple | Apple | fruit |",
            "Gala Apple | Orchard | fruit |",
            "Fuji | Hillside | fruit |",
            "Pear | Hillside | fruit |",
            "Plate | Kitchen | home |",
        ],
    );
    stage.query = "apple".to_owned();
    let fuji = stage.facts("Fuji");
    stage.did(9, Kind::PurchaseRepeat, &fuji);
    assert_eq!(stage.shown()[0], "Fuji", "its category holds the leading hits");
    stage.goods.remove(1);
    assert_eq!(stage.shown()[0], "Green Apple", "now only the brand is called so");
}

#[test]
fn where_no_brand_is_known_a_product_that_is_named_in_full_stays_first() {
    let goods = ["Penne Rigate Pasta | | pasta |", "Spaghetti Pasta | | pasta |", "Tea | | tea |"];
    let mut stage = Stage::new("pasta", &goods);
    let favourite = stage.facts("Spaghetti Pasta");
    stage.did(9, Kind::PurchaseRepeat, &favourite);
    assert_eq!(stage.shown()[0], "Spaghetti Pasta");
    for query in ["penne 500 g", "penne rigate pasta", "pasta 500g"] {
        stage.query = query.to_owned();
        assert_eq!(stage.shown()[0], "Penne Rigate Pasta", "{query}");
    }
    stage.rules.guards.query_intent = false;
    assert_eq!(stage.shown()[0], "Spaghetti Pasta");
}

#[test]
fn pins_and_sponsored_places_are_locked_and_taste_flows_around_them() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.goods[1].sponsored = true;
    stage.rule("spring", &["Plain Yogurt"], Action::Pin(0));
    let skyr = stage.facts("Skyr Yogurt");
    stage.did(3, Kind::PurchaseRepeat, &skyr);
    assert_eq!(stage.shown()[..3], ["Plain Yogurt", "Vanilla Yogurt", "Skyr Yogurt"]);
    assert_eq!(stage.reason("Plain Yogurt").as_deref(), Some("placed here by the shop: spring"));
}

#[test]
fn no_pin_lifts_what_is_out_of_stock_or_demoted_and_hidden_hits_go_below_them() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.goods[0].in_stock = Some(false);
    stage.rule("pin", &["Greek Yogurt"], Action::Pin(0));
    stage.rule("pin too", &["Vanilla Yogurt"], Action::Pin(0));
    stage.rule("no", &["Vanilla Yogurt"], Action::Demote);
    stage.rule("gone", &["Strawberry Yogurt"], Action::Hide { allow_removal: false });
    let vanilla = stage.facts("Vanilla Yogurt");
    stage.did(1, Kind::PurchaseRepeat, &vanilla);
    assert_eq!(stage.shown()[3..], ["Greek Yogurt", "Vanilla Yogurt", "Strawberry Yogurt"]);
    stage.rules.guards.demote_out_of_stock = false;
    let ranking = stage.ranked();
    let at = ranking.order.iter().position(|old| *old == 0);
    assert!(
        at >= Some(0) && ranking.holds[0] != Hold::OutOfStock,
        "a pin to its own place is none"
    );
    stage.goods.swap(0, 4);
    let ranking = stage.ranked();
    let at = ranking.order.iter().position(|old| *old == 4).unwrap();
    assert!(at >= 2 && ranking.holds[4] == Hold::OutOfStock, "an unavailable hit is not lifted");
}

#[test]
fn a_hit_leaves_the_reply_only_by_a_rule_that_allows_it() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.rules.ranking.window_size = 3;
    stage.rule("recall", &["Vanilla Yogurt", "Skyr Yogurt"], Action::Hide { allow_removal: true });
    let greek = stage.facts("Greek Yogurt");
    stage.did(1, Kind::ClickProduct, &greek);
    let ranking = stage.ranked();
    assert_eq!(ranking.removed, [1, 5]);
    assert_eq!(ranking.order, [0, 2, 3, 4, 1, 5]);
}

#[test]
fn boosts_and_burials_add_to_the_score_inside_their_validity() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    let greek = stage.facts("Greek Yogurt");
    stage.did(1, Kind::ViewDetails, &greek);
    stage.rule("push", &["Skyr Yogurt"], Action::Boost(2.0));
    stage.rule("bury", &["Greek Yogurt"], Action::Boost(-2.0));
    let shown = stage.shown();
    assert_eq!((shown[0], shown[5]), ("Skyr Yogurt", "Greek Yogurt"));
    assert_eq!(stage.reason("Skyr Yogurt").as_deref(), Some("moved by the shop: push"));
    stage.change_rules(|rule| {
        rule.when.until = Some(Stage::NOW);
    });
    assert_eq!(stage.shown()[0], "Greek Yogurt", "no longer valid at its end");
    stage.change_rules(|rule| {
        rule.when.until = None;
        rule.when.queries = vec![crate::rules::knowledge::words("chips")];
    });
    assert_eq!(stage.shown()[0], "Greek Yogurt", "another query");
    stage.change_rules(|rule| {
        rule.when.queries = vec![crate::rules::knowledge::words("yogurt")];
        rule.when.shopper = Some((FacetKey::of(Axis::Brand, "fage"), 0.9));
    });
    assert_eq!(stage.shown()[0], "Greek Yogurt", "not this kind of shopper");
}

#[test]
fn a_brand_stands_at_most_so_often_in_a_row_where_another_is_left() {
    let mut stage = Stage::new(
        "milk",
        &[
            "A1 Milk | A | dairy/milk |",
            "A2 Milk | A | dairy/milk |",
            "A3 Milk | A | dairy/milk |",
            "B1 Milk | B | dairy/milk |",
        ],
    );
    stage.rules.guards.same_brand_in_a_row_max = Some(2);
    let first = stage.facts("A1 Milk");
    stage.did(1, Kind::ClickProduct, &first);
    assert_eq!(stage.shown(), ["A1 Milk", "A2 Milk", "B1 Milk", "A3 Milk"]);
}

#[test]
fn only_so_many_remembered_products_pass_by_memory() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.rules.facets = [0.0; 4];
    for (name, times) in [("Skyr Yogurt", 5), ("Almond Yogurt", 3)] {
        let bought = stage.facts(name);
        stage.did(times, Kind::PurchaseRepeat, &bought);
    }
    assert_eq!(stage.shown()[..2], ["Skyr Yogurt", "Almond Yogurt"]);
    stage.rules.ranking.repeat_slots = Some(1);
    assert_eq!(stage.shown()[..2], ["Skyr Yogurt", "Greek Yogurt"]);
}

#[test]
fn the_prior_moves_the_lists_of_strangers_only_when_the_rules_say_everyone() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.rules.ranking.weights.prior = 2.0;
    let keys: Vec<_> = stage.goods.iter().map(|g| (g.facts.key, g.facts.category)).collect();
    for _ in 0..300 {
        stage.population.record_list(keys.clone(), true);
        stage.population.record_click(keys[5].0, keys[5].1, 5, true);
    }
    assert_eq!(stage.ranked().muted, Some(Muted::NoEvidence));
    assert!(stage.ranked().is_identity());
    stage.rules.ranking.prior.applies_to = PriorAppliesTo::Everyone;
    assert_eq!(stage.shown()[0], "Skyr Yogurt");
    assert_eq!(stage.reason("Skyr Yogurt").as_deref(), Some("often picked by other shoppers"));
}

#[test]
fn a_spent_budget_gives_no_ranking() {
    let mut stage = Stage::new("yogurt", YOGURTS);
    let greek = stage.facts("Greek Yogurt");
    stage.did(1, Kind::ClickProduct, &greek);
    let clock = ManualClock::at(Stage::NOW);
    clock.tick_on_read(50);
    let spent = stage.with_request(|request| rank(request, &Budget::start(&clock, 120)));
    assert_eq!(spent, Err(BudgetSpent));
}

#[test]
fn an_empty_list_and_a_window_of_nothing_stay_as_they_are() {
    let mut stage = Stage::new("yogurt", &[]);
    stage.did(1, Kind::ClickProduct, &good("x | | a |").facts);
    assert!(stage.ranked().is_identity());
    let mut stage = Stage::new("yogurt", YOGURTS);
    stage.did(9, Kind::PurchaseRepeat, &good(YOGURTS[5]).facts);
    stage.rules.ranking.window_size = 0;
    assert!(stage.ranked().is_identity());
    assert_eq!(stage.facts("Skyr Yogurt").key, ProductKey::of("Skyr Yogurt"));
}

#[test]
fn what_every_hit_has_is_nobodys_reason() {
    let mut stage = quick(
        "milk",
        &[
            "Whole Milk | Valley | dairy/milk |",
            "Skim Milk | Valley | dairy/milk |",
            "Oat Milk | Valley | dairy/milk | plant-based",
        ],
    );
    let cream = good("Oat Cream | Valley | dairy/cream | plant-based").facts;
    stage.did(1, Kind::ClickProduct, &cream);
    assert_eq!(stage.shown()[0], "Oat Milk");
    let reason = stage.reason("Oat Milk").unwrap();
    assert!(reason.contains("plant-based"), "not its brand, which all have: {reason}");
    assert_eq!(stage.reason("Whole Milk"), None, "it only gave way");
}
