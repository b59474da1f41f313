//! Who is who: LeafLoaf's rule, visits without a name, logging in, cookies.

use serde_json::json;

use crate::harness::shopper::{milk_shop, shelf};
use crate::harness::{Shop, Shopper, Sidecar, exchange};

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

/// The first hit of a milk search with these headers and this body.
async fn first(sidecar: &Sidecar, headers: &[(&str, &str)], body: serde_json::Value) -> String {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers);
    let body = body.to_string();
    let reply = exchange(sidecar.data, "POST", "/api/v1/search", &all, body.as_bytes()).await;
    reply.skus()[0].clone()
}

async fn buys(sidecar: &Sidecar, who: (&str, &str), sku: &str) {
    let mut event = json!({"type": "purchase", "product_id": sku});
    event[who.0] = json!(who.1);
    let reply = crate::harness::post(sidecar.api, "/api/interactions/track", &event).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

#[tokio::test]
async fn leafloafs_rule_says_whose_taste_ranks() {
    let (_shop, sidecar) = running("").await;
    buys(&sidecar, ("user_id", "head"), "M2").await;
    buys(&sidecar, ("user_id", "body"), "M3").await;
    buys(&sidecar, ("session_id", "s-body"), "M4").await;
    buys(&sidecar, ("session_id", "s-head"), "M5").await;
    let all = json!({"query": "milk", "user_id": "body", "session_id": "s-body"});
    let session = json!({"query": "milk", "session_id": "s-body"});
    let none = json!({"query": "milk"});
    let user = ("X-User-ID", "head");
    let visit = ("X-Session-ID", "s-head");
    let anonymous = ("x-user-id", "anonymous");
    for (headers, body, sku) in [
        // Visits first: a user who comes with one takes it over.
        (vec![visit], session.clone(), "M4"),
        (vec![anonymous, visit], session, "M4"),
        (vec![visit], none.clone(), "M5"),
        (vec![anonymous], none, "M1"),
        (vec![user, visit], all.clone(), "M2"),
        (vec![anonymous, visit], all.clone(), "M3"),
        (vec![("x-user-id", "ANONYMOUS")], all.clone(), "M3"),
        (vec![], all, "M3"),
    ] {
        assert_eq!(first(&sidecar, &headers, body.clone()).await, sku, "{headers:?} {body}");
    }
}

#[tokio::test]
async fn a_visit_without_a_name_is_a_shopper_of_its_own() {
    let (_shop, sidecar) = running("").await;
    let headers = [("content-type", "application/json"), ("x-session-id", "v1")];
    let search = async || {
        let body = json!({"query": "milk"}).to_string();
        exchange(sidecar.data, "POST", "/api/v1/search", &headers, body.as_bytes()).await
    };
    assert_eq!(search().await.skus(), shelf());
    let click = json!({"signal_type": "click", "product": {"sku": "M5"}}).to_string();
    exchange(sidecar.data, "POST", "/api/personalization/track", &headers, click.as_bytes()).await;
    assert_eq!(search().await.skus()[0], "M5");
    assert_eq!(first(&sidecar, &[("x-session-id", "v2")], json!({"query": "milk"})).await, "M1");
    // A user of the same name is somebody else.
    assert_eq!(Shopper::of(&sidecar, "v1").search("milk").await.skus(), shelf());
}

#[tokio::test]
async fn logging_in_joins_what_the_visit_taught_into_the_user() {
    let (_shop, sidecar) = running("").await;
    let visit = [("content-type", "application/json"), ("x-session-id", "v1")];
    let body = json!({"query": "milk"}).to_string();
    exchange(sidecar.data, "POST", "/api/v1/search", &visit, body.as_bytes()).await;
    let click = json!({"signal_type": "click", "product": {"sku": "M5"}}).to_string();
    exchange(sidecar.data, "POST", "/api/personalization/track", &visit, click.as_bytes()).await;
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.skus(), shelf(), "another visit teaches ann nothing");
    let login = [("x-user-id", "ann"), ("x-session-id", "v1")];
    assert_eq!(first(&sidecar, &login, json!({"query": "milk"})).await, "M5");
    assert_eq!(ann.search("milk").await.skus()[0], "M5", "and it stays hers");
    assert!(ann.preferences().await["attributes"]["plant-based"].as_f64().unwrap() > 0.0);
    // It was moved, not copied: the next visitor of that session is not taken for her.
    assert_eq!(first(&sidecar, &[("x-session-id", "v1")], json!({"query": "milk"})).await, "M1");
}

#[tokio::test]
async fn a_shop_may_name_its_users_in_a_cookie() {
    let (_shop, sidecar) = running(
        "identity: {user: [\"cookie:uid\"], session: [\"cookie:sid\"], anonymous: [guest]}",
    )
    .await;
    buys(&sidecar, ("user_id", "ann"), "M5").await;
    buys(&sidecar, ("session_id", "v1"), "M6").await;
    let query = || json!({"query": "milk"});
    for (cookie, sku) in [
        ("theme=dark; uid=ann; sid=x", "M5"),
        ("uid=guest; sid=v1", "M6"),
        ("uid=guest", "M1"),
        ("xuid=ann", "M1"),
    ] {
        assert_eq!(first(&sidecar, &[("cookie", cookie)], query()).await, sku, "{cookie}");
    }
    // What the settings do not name does not count.
    assert_eq!(first(&sidecar, &[("x-user-id", "ann")], query()).await, "M1");
}

#[tokio::test]
async fn logging_in_adds_to_what_the_user_taught_and_saying_it_again_adds_nothing() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.skus(), shelf());
    buys(&sidecar, ("user_id", "ann"), "M4").await;
    buys(&sidecar, ("session_id", "v1"), "M5").await;
    assert_eq!(ann.search("milk").await.skus()[0], "M4");
    let login = [("x-user-id", "ann"), ("x-session-id", "v1")];
    first(&sidecar, &login, json!({"query": "milk"})).await;
    let both = ann.search("milk").await.skus();
    assert_eq!(both[..2].iter().collect::<std::collections::BTreeSet<_>>().len(), 2);
    assert!(both[..2].contains(&"M4".to_owned()) && both[..2].contains(&"M5".to_owned()));
    let once = ann.preferences().await;
    for _ in 0..3 {
        first(&sidecar, &login, json!({"query": "milk"})).await;
    }
    assert_eq!(ann.preferences().await, once);
    // The visit goes on without a name and is named again: that, too, is added once.
    let more = json!({"type": "add_to_cart", "session_id": "v1", "product_id": "M5"});
    crate::harness::post(sidecar.api, "/api/interactions/track", &more).await;
    first(&sidecar, &login, json!({"query": "milk"})).await;
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 1.0);
}

#[tokio::test]
async fn a_list_seen_before_logging_in_explains_the_click_after_it_and_no_list_is_lost() {
    let (_shop, sidecar) = running("").await;
    Shopper::of(&sidecar, "ann").search("milk").await;
    let visit = [("x-session-id", "v1")];
    first(&sidecar, &visit, json!({"query": "milk"})).await;
    let click = json!({"type": "click", "user_id": "ann", "session_id": "v1", "product_id": "M3"});
    for event in [click.clone(), json!({"type": "click", "user_id": "ann", "product_id": "M2"})] {
        crate::harness::post(sidecar.api, "/api/interactions/track", &event).await;
    }
    // The visit's list, then the user's own or the visit's: each click stood in one.
    assert_eq!(sidecar.metric("leafrank_clicks_joined_total").await, 2.0);
    let token = format!("Bearer {}", sidecar.admin_token());
    let proof = [("authorization", token.as_str())];
    let known = exchange(sidecar.api, "GET", "/api/users/ann", &proof, b"").await.json();
    assert_eq!(known["recent_lists"].as_array().unwrap().len(), 2, "{known}");
}
