//! Modes: off, shadow, on, annotate, per route, and lowered by a trusted peer.

use serde_json::{Value, json};

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, eventually, milk_shop, shelf};
use crate::harness::{PEER_TOKEN, Shopper, Sidecar, TRUSTING, post};

async fn shop_in(settings: &str) -> (crate::harness::Shop, Sidecar) {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings(settings).start().await;
    (shop, sidecar)
}

#[tokio::test]
async fn off_learns_and_changes_nothing() {
    let (_shop, sidecar) = shop_in("mode: off").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search("milk").await;
    assert_eq!((reply.outcome(), &reply.body), ("bypass; reason=off", &leafloaf(&MILKS)));
    assert!(ann.preferences().await["attributes"]["plant-based"].as_f64().unwrap() > 0.0);
    assert_eq!(sidecar.metric("leafrank_shadowed_total").await, 0.0);
}

#[tokio::test]
async fn shadow_counts_what_would_have_moved_and_changes_nothing() {
    let (_shop, sidecar) = shop_in("mode: shadow").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_eq!(sidecar.metric("leafrank_shadowed_total").await, 0.0, "nothing was known yet");
    let reply = ann.search("milk").await;
    assert_eq!((reply.outcome(), &reply.body), ("bypass; reason=shadow", &leafloaf(&MILKS)));
    eventually("the search is counted", || async {
        sidecar.metric("leafrank_shadowed_total{route=\"leafloaf-search\"}").await == 1.0
    })
    .await;
    assert_eq!(sidecar.metric("leafrank_reranked_total").await, 0.0);
}

#[tokio::test]
async fn on_applies_and_counts() {
    let (_shop, sidecar) = shop_in("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search("milk").await;
    assert_eq!(reply.skus()[0], "M5");
    assert_eq!(sidecar.metric("leafrank_reranked_total{route=\"leafloaf-search\"}").await, 1.0);
    let moved = reply.skus().iter().zip(shelf()).filter(|(is, was)| is != was).count();
    assert_eq!(sidecar.metric("leafrank_hits_moved_total").await, moved as f64);
    assert!(reply.outcome().starts_with(&format!("reranked; moved={moved}; us=")));
}

#[tokio::test]
async fn annotate_adds_its_fields_and_nothing_else() {
    let (_shop, sidecar) = shop_in("mode: annotate").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search("milk").await;
    assert_eq!(reply.skus()[0], "M5");
    let mut page = reply.json();
    let metrics = page["metadata"].as_object_mut().unwrap().remove("personalization_metrics");
    let metrics = metrics.expect("metadata says what was done");
    assert_eq!((&metrics["personalized"], &metrics["reranked"]), (&json!(true), &json!(true)));
    let mut lifted = Vec::new();
    for hit in page["products"].as_array_mut().unwrap() {
        if let Some(score) = hit.as_object_mut().unwrap().remove("_personalization_score") {
            assert!(score.as_f64().unwrap() > 0.0);
            lifted.push(hit["sku"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(lifted.first().map(String::as_str), Some("M5"));
    assert!(!lifted.contains(&"M1".to_owned()), "passed over: {lifted:?}");
    let own: Value = serde_json::from_slice(&leafloaf(&MILKS)).unwrap();
    let sorted = |page: &Value| {
        let mut hits: Vec<String> =
            page["products"].as_array().unwrap().iter().map(Value::to_string).collect();
        hits.sort();
        hits
    };
    assert_eq!(sorted(&page), sorted(&own));
    page["products"] = own["products"].clone();
    assert_eq!(page, own);
    let new = Shopper::of(&sidecar, "new").search("milk").await;
    assert_eq!(new.body, leafloaf(&MILKS), "of whom nothing is known, nothing is said");
}

#[tokio::test]
async fn a_route_may_have_a_mode_of_its_own() {
    let route = r#"
mode: on
routes:
  - name: leafloaf-search
    method: POST
    path: /api/v1/search
    search:
      mode: shadow
      query: ["body:/query"]
      hits: {at: /products, id: /sku, name: /product_name, category: /category, brand: /supplier}
  - name: also
    method: POST
    path: /api/v1/search/also
    search:
      query: ["body:/query"]
      hits: {at: /products, id: /sku, name: /product_name, category: /category, brand: /supplier}
"#;
    let (_shop, sidecar) = shop_in(route).await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_eq!(ann.search("milk").await.outcome(), "bypass; reason=shadow");
    let body = json!({"query": "milk", "user_id": "ann"});
    let also = post(sidecar.data, "/api/v1/search/also", &body).await;
    assert_eq!(also.skus()[0], "M5");
}

#[tokio::test]
async fn a_trusted_peer_can_lower_a_mode_and_nobody_can_raise_it() {
    let token = ("x-leafrank-token", PEER_TOKEN);
    let (_shop, sidecar) = shop_in(&format!("mode: on\n{TRUSTING}")).await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for (asked, outcome) in [("off", "bypass; reason=off"), ("Shadow", "bypass; reason=shadow")] {
        let reply = ann.search_with("milk", &[token, ("x-leafrank-mode", asked)]).await;
        assert_eq!(reply.outcome(), outcome, "{asked}");
        assert_eq!(reply.body, leafloaf(&MILKS));
    }
    for asked in ["annotate", "on", "nonsense"] {
        let reply = ann.search_with("milk", &[token, ("x-leafrank-mode", asked)]).await;
        assert_eq!(reply.skus()[0], "M5", "{asked}");
        assert!(!reply.text().contains("personalization_metrics"), "{asked} does not raise");
    }
    let (_shop, sidecar) = shop_in(&format!("mode: shadow\n{TRUSTING}")).await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search_with("milk", &[token, ("x-leafrank-mode", "on")]).await;
    assert_eq!(reply.outcome(), "bypass; reason=shadow");
}

#[tokio::test]
async fn a_stranger_cannot_change_a_mode() {
    let (_shop, sidecar) = shop_in("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search_with("milk", &[("x-leafrank-mode", "off")]).await;
    assert_eq!(reply.skus()[0], "M5");
}
