//! One act, told by two ways: by the shop's own requests, and by our API.

use serde_json::json;

use crate::harness::shopper::milk_shop;
use crate::harness::{Shop, Shopper, Sidecar, exchange, post};

const ROUTES: &str = "
mode: on
routes:
  - {name: cart, method: POST, path: '/cart/{sku}', event: {kind: add_to_cart, product: ['path:sku']}}
  - {name: more, method: POST, path: '/more/{sku}', event: {kind: quantity_increase, product: ['path:sku'], event_id: ['query:press']}}
  - {name: page, method: GET, path: '/product/{sku}', event: {kind: view, product: ['path:sku']}}
";

async fn running() -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings(ROUTES).start().await;
    (shop, sidecar)
}

async fn shop_call(sidecar: &Sidecar, method: &str, path: &str, user: &str) {
    let reply = exchange(sidecar.data, method, path, &[("x-user-id", user)], b"").await;
    assert_eq!(reply.status, 200, "{path}");
}

/// Reports an act that happened so many milliseconds ago.
async fn reports(sidecar: &Sidecar, kind: &str, sku: &str, ago_ms: i64) -> u64 {
    let now = jiff::Timestamp::now().as_millisecond();
    let event =
        json!({"type": kind, "user_id": "ann", "product_id": sku, "timestamp": now - ago_ms});
    let reply = post(sidecar.api, "/api/interactions/track", &event).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["learned"].as_u64().unwrap()
}

async fn learned(sidecar: &Sidecar, kind: &str) -> f64 {
    sidecar.metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await
}

#[tokio::test]
async fn an_act_that_traffic_shows_and_the_page_reports_is_learned_once() {
    let (_shop, sidecar) = running().await;
    shop_call(&sidecar, "POST", "/cart/M5", "ann").await;
    assert_eq!(reports(&sidecar, "add_to_cart", "M5", 0).await, 0, "the same press");
    assert_eq!(learned(&sidecar, "cart.add_to_cart").await, 1.0);
    assert_eq!(reports(&sidecar, "add_to_cart", "M4", 0).await, 1, "another product");
}

#[tokio::test]
async fn two_real_presses_that_both_ways_tell_stay_two() {
    let (_shop, sidecar) = running().await;
    for press in ["1", "2"] {
        shop_call(&sidecar, "POST", &format!("/more/M5?press={press}"), "ann").await;
    }
    assert_eq!(learned(&sidecar, "cart.quantity_increase").await, 2.0);
    let report = |id: &'static str| {
        let event = json!({"type": "quantity_increase", "user_id": "ann", "product_id": "M5",
                           "event_id": id});
        let api = sidecar.api;
        async move { post(api, "/api/interactions/track", &event).await.json()["learned"].clone() }
    };
    assert_eq!((report("a").await, report("b").await), (json!(0), json!(0)), "the same two");
    assert_eq!(report("c").await, json!(1), "a third that only the page tells");
    assert_eq!(learned(&sidecar, "cart.quantity_increase").await, 3.0);
}

#[tokio::test]
async fn who_reports_a_kind_is_no_longer_told_it_by_traffic_and_other_kinds_are_read_on() {
    let (_shop, sidecar) = running().await;
    assert_eq!(reports(&sidecar, "add_to_cart", "M1", 0).await, 1);
    shop_call(&sidecar, "POST", "/cart/M5", "ann").await;
    shop_call(&sidecar, "GET", "/product/M5", "ann").await;
    assert_eq!(learned(&sidecar, "cart.add_to_cart").await, 1.0, "its pages report carts");
    assert_eq!(learned(&sidecar, "browse.view_details").await, 1.0, "and no product pages");
    let dropped = sidecar.metric("leafrank_interactions_dropped_total{reason=\"reported\"}").await;
    assert_eq!(dropped, 1.0);
    shop_call(&sidecar, "POST", "/cart/M5", "bob").await;
    assert_eq!(learned(&sidecar, "cart.add_to_cart").await, 2.0, "another shopper's do not");
}

#[tokio::test]
async fn a_page_opened_from_a_list_is_no_click_for_who_reports_clicks() {
    let (_shop, sidecar) = running().await;
    for (name, clicks) in [("ann", 1.0), ("bob", 2.0)] {
        Shopper::of(&sidecar, name).search("milk").await;
        if name == "ann" {
            assert_eq!(reports(&sidecar, "click", "M1", 0).await, 1);
        }
        shop_call(&sidecar, "GET", "/product/M2", name).await;
        assert_eq!(learned(&sidecar, "browse.click_product").await, clicks, "{name}");
    }
}
