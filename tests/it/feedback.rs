//! What we ranked does not confirm itself: only lists in the shop's order teach what all shoppers
//! have in common. Seen from outside by a list of a shopper of whom nothing is known, with the
//! prior applied to everyone and made loud.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, eventually, milk_shop};
use crate::harness::{PEER_TOKEN, Shop, Shopper, Sidecar, TRUSTING};

const LOUD_PRIOR: &str =
    "ranking: {prior: {applies_to: everyone, smoothing: 5}, weights: {prior: 10}}\n";

/// A peer may lower the mode: a list asked for in shadow goes out in the shop's order.
const TRUSTED: (&str, &str) = ("x-leafrank-token", PEER_TOKEN);

async fn running() -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address)
        .settings("mode: on")
        .settings(TRUSTING)
        .rules(LOUD_PRIOR)
        .start()
        .await;
    (shop, sidecar)
}

#[tokio::test]
async fn clicks_on_lists_in_the_shops_order_lift_a_product_for_everyone() {
    let (_shop, sidecar) = running().await;
    for number in 0..30 {
        let name = format!("natural-{number}");
        let shopper = Shopper::of(&sidecar, &name);
        shopper.search_with("milk", &[TRUSTED, ("x-leafrank-mode", "shadow")]).await;
        shopper.signals("click", "M4").await;
    }
    eventually("the prior is learned", || async {
        Shopper::of(&sidecar, "new").search("milk").await.skus()[0] == "M4"
    })
    .await;
}

#[tokio::test]
async fn clicks_and_impressions_of_lists_that_we_ranked_change_nothing_for_others() {
    let (_shop, sidecar) = running().await;
    for number in 0..30 {
        let name = format!("ranked-{number}");
        let shopper = Shopper::of(&sidecar, &name);
        // Known by a report without a list, so that the very first list is one that we ranked.
        assert_eq!(shopper.tracks("purchase", "M4").await.json()["learned"], json!(1));
        let list = shopper.search("milk").await;
        assert!(list.outcome().starts_with("reranked"), "{}", list.outcome());
        assert_eq!(list.skus()[0], "M4");
        shopper.signals("click", "M4").await;
        shopper.signals("add_to_cart", "M4").await;
    }
    let learned = sidecar.metric("leafrank_signals_total{kind=\"browse.click_product\"}").await;
    assert_eq!(learned, 30.0, "the shoppers themselves were taught");
    let new = Shopper::of(&sidecar, "new").search("milk").await;
    assert_eq!((new.outcome(), &new.body), ("bypass; reason=unmoved", &leafloaf(&MILKS)));
}

/// What taste adds to each hit for a shopper who likes Almond Milk, as `annotate` shows it: what is
/// personal, so what everybody likes is taken off.
async fn scores(sidecar: &Sidecar) -> BTreeMap<String, String> {
    let list = Shopper::of(sidecar, "bob").search("milk").await.json();
    let hits = list["products"].as_array().unwrap();
    let score = |hit: &serde_json::Value| hit["_personalization_score"].to_string();
    hits.iter().map(|hit| (hit["sku"].to_string(), score(hit))).collect()
}

#[tokio::test]
async fn base_rates_too_learn_from_lists_in_the_shops_order_alone() {
    for (others_ask_for, learned) in [("shadow", true), ("annotate", false)] {
        let shop = milk_shop().await;
        let settings = format!("mode: annotate\n{TRUSTING}");
        let sidecar = Sidecar::before(shop.address).settings(&settings).rules("{}\n").start().await;
        // A list first, so that the shop's products are known.
        Shopper::of(&sidecar, "bob").search("milk").await;
        Shopper::of(&sidecar, "bob").tracks("purchase", "M6").await;
        let before = scores(&sidecar).await;
        assert_ne!(before["\"M5\""], "null", "oat milk is liked for what it shares: {before:?}");
        for number in 0..40 {
            let name = format!("other-{number}");
            let other = Shopper::of(&sidecar, &name);
            // Known before their list, or it would go out in the shop's order; by another kind than
            // the one that traffic is to tell.
            other.tracks("add_to_cart", "M4").await;
            other.search_with("milk", &[TRUSTED, ("x-leafrank-mode", others_ask_for)]).await;
            assert_eq!(other.signals("click", "M5").await.status, 200);
        }
        let after = scores(&sidecar).await;
        assert_eq!(after != before, learned, "{others_ask_for}: {before:?} {after:?}");
    }
}

#[tokio::test]
async fn a_held_out_session_always_gets_the_shops_order() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on\nholdout: 1.0").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search("milk").await;
    assert_eq!((reply.outcome(), &reply.body), ("bypass; reason=holdout", &leafloaf(&MILKS)));
    assert_eq!(sidecar.bypassed("holdout").await, 2.0);
    assert!(ann.preferences().await["attributes"]["plant-based"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn the_share_of_sessions_that_is_asked_for_is_held_out_and_a_session_stays_where_it_is() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on\nholdout: 0.25").start().await;
    let mut held = 0;
    for number in 0..60 {
        let name = format!("shopper-{number}");
        let shopper = Shopper::of(&sidecar, &name);
        shopper.tracks("purchase", "M5").await;
        let outcome = shopper.search("milk").await.outcome().to_owned();
        let again = shopper.search("milk").await.outcome().to_owned();
        let is_held = outcome == "bypass; reason=holdout";
        assert_eq!(again == "bypass; reason=holdout", is_held, "{name}");
        held += usize::from(is_held);
    }
    assert!((5..=27).contains(&held), "{held} of 60 at 0.25");
}
