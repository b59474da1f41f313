//! The shop's own reset, going by: once the shop has said yes, the user is forgotten here too.

use serde_json::json;

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, shelf};
use crate::harness::{
    API_TOKEN, Answer, PEER_TOKEN, Shop, Shopper, Sidecar, TRUSTING, exchange, post,
};

const RESET: &str = "/api/personalization/reset";

/// A shop that resets everybody but `held`.
async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = Shop::start(|asked| match asked.path() {
        "/api/v1/search" => Answer::json(&leafloaf(&MILKS)),
        RESET if asked.body.windows(4).any(|part| part == b"held") => {
            Answer::reply("403 Forbidden", &[], b"{\"success\":false}")
        }
        _ => Answer::json(b"{\"success\":true}"),
    })
    .await;
    let settings = format!("mode: on\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

#[tokio::test]
async fn whom_the_shop_forgets_is_forgotten_here_and_may_be_learned_anew() {
    let (shop, sidecar) = running("").await;
    let (ann, bob) = (Shopper::of(&sidecar, "ann"), Shopper::of(&sidecar, "bob"));
    ann.likes_oat_milk().await;
    bob.likes_oat_milk().await;
    let reset = post(sidecar.data, RESET, &json!({"user_id": "ann"})).await;
    assert_eq!((reset.status, reset.json()), (200, json!({"success": true})));
    assert_eq!(ann.search("milk").await.skus(), shelf());
    let nothing = json!({"categories": {}, "attributes": {}, "brands": {}});
    assert_eq!(ann.preferences().await, nothing);
    assert_eq!(bob.search("milk").await.skus()[0], "M5", "another user is not");
    assert!(shop.asked().iter().any(|asked| asked.path() == RESET), "the shop was asked");
    assert_eq!(ann.tracks("click", "M4").await.json()["learned"], 1);
    assert_eq!(ann.search("milk").await.skus()[0], "M4");
}

#[tokio::test]
async fn the_body_names_who_is_forgotten_as_it_does_for_the_shop() {
    let (_shop, sidecar) = running("").await;
    let (ann, bob) = (Shopper::of(&sidecar, "ann"), Shopper::of(&sidecar, "bob"));
    ann.likes_oat_milk().await;
    bob.likes_oat_milk().await;
    let headers = [("content-type", "application/json"), ("x-user-id", "bob")];
    exchange(sidecar.data, "POST", RESET, &headers, br#"{"user_id":"ann"}"#).await;
    assert_eq!(ann.search("milk").await.skus(), shelf());
    assert_eq!(bob.search("milk").await.skus()[0], "M5");
}

#[tokio::test]
async fn where_the_shop_says_no_or_only_trusted_peers_count_nobody_is_forgotten() {
    let (_shop, sidecar) = running("").await;
    let held = Shopper::of(&sidecar, "held");
    held.likes_oat_milk().await;
    assert_eq!(post(sidecar.data, RESET, &json!({"user_id": "held"})).await.status, 403);
    assert_eq!(held.search("milk").await.skus()[0], "M5");

    let settings =
        format!("identity: {{trusted_only: true, trust_claimed_ids: false}}\n{TRUSTING}");
    let (_shop, sidecar) = running(&settings).await;
    let bearer = format!("Bearer {API_TOKEN}");
    let click = json!({"type": "click", "user_id": "ann", "product_id": "M5"}).to_string();
    let track = "/api/interactions/track";
    let headers = [("authorization", bearer.as_str())];
    exchange(sidecar.api, "POST", track, &headers, click.as_bytes()).await;
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 1.0);
    assert_eq!(post(sidecar.data, RESET, &json!({"user_id": "ann"})).await.status, 200);
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 1.0, "anybody may claim to be ann");
    let (token, user) = (("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann"));
    exchange(sidecar.data, "POST", RESET, &[token, user], b"{}").await;
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
}
