//! Lists that a real shop sent: everything is "Produce" there, and nonsense gets fifteen answers.
//!
//! Read from the recorded session beside the checkout (`../shared/fixtures/leafloaf/session.jsonl`);
//! where that is missing the tests say so and pass.

use super::staging::{Stage, good};
use super::*;
use crate::types::signal::SignalKind;

/// The products of the shop's answer to `query`, as the catalogue would know them.
fn answer(query: &str) -> Option<Stage> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/leafloaf/session.jsonl");
    let Ok(session) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} is not there");
        return None;
    };
    let products = session.lines().find_map(|line| {
        let exchange: serde_json::Value = serde_json::from_str(line).ok()?;
        let body: serde_json::Value = serde_json::from_str(exchange["body"].as_str()?).ok()?;
        let reply: serde_json::Value =
            serde_json::from_str(exchange["reply_body"].as_str()?).ok()?;
        let products = reply["products"].as_array()?.clone();
        (body["query"] == query && products.len() > 5).then_some(products)
    })?;
    let mut stage = Stage::new(query, &[]);
    stage.goods = products
        .iter()
        .map(|product| {
            let text = |field: &str| product[field].as_str().unwrap_or_default().to_owned();
            let (name, brand, category) =
                (text("product_name"), text("supplier"), text("category"));
            let inferred = stage.rules.knowledge.infer(&name, Some(&category), &[]).join(" ");
            good(&format!("{} | {brand} | {category} | {inferred}", name.replace('|', " ")))
        })
        .collect();
    Some(stage)
}

/// Makes the last hit the shopper's favourite by far.
fn with_favourite(stage: &mut Stage) {
    let favourite = stage.goods.last().unwrap().facts.clone();
    stage.did(30, SignalKind::PurchaseRepeat, &favourite);
}

#[test]
fn no_favourite_wins_the_answer_to_nonsense_or_to_milk_in_a_shop_without_milk() {
    for query in ["zzzz", "milk", "organic milk", "burst 0"] {
        let Some(mut stage) = answer(query) else { return };
        with_favourite(&mut stage);
        let ranking = stage.ranked();
        assert_eq!(ranking.muted, Some(Muted::OffTopic), "{query}");
        assert!(ranking.is_identity(), "{query}: {:?}", ranking.order);
    }
}

#[test]
fn the_same_favourite_does_win_where_it_belongs() {
    for query in ["apples", "lettuce", "potatoes"] {
        let Some(mut stage) = answer(query) else { return };
        with_favourite(&mut stage);
        assert_eq!(stage.ranked().order[0], stage.goods.len() as u32 - 1, "{query}");
    }
}

#[test]
fn a_category_that_everything_has_puts_nothing_on_topic() {
    let Some(mut stage) = answer("kale") else { return };
    with_favourite(&mut stage);
    let ranking = stage.ranked();
    let turnips = stage.goods.len() - 1;
    assert!(stage.goods[turnips].facts.name.starts_with("Turnips"));
    assert_eq!((ranking.tiers[0], ranking.tiers[turnips]), (0, 1));
    assert_eq!(ranking.order[turnips] as usize, turnips, "{:?}", ranking.order);
}
