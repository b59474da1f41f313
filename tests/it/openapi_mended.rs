//! What schemathesis found wrong in the API, each held by itself: every bad request has an answer of
//! our own form that says what was found and what was expected.

use serde_json::{Value, json};

use crate::harness::{Answer, Shop, Sidecar, exchange, post};

async fn sidecar() -> (Shop, Sidecar) {
    let shop = Shop::start(|_| {
        Answer::json(br#"{"success": true, "order": null, "products": [{"sku": "M1"}]}"#)
    })
    .await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    (shop, sidecar)
}

/// Each request with its status and its code.
async fn are_answered(rows: &[(&str, &str, &str, u16, &str)]) {
    let (_shop, sidecar) = sidecar().await;
    for (method, path, body, status, code) in rows {
        let reply = exchange(sidecar.api, method, path, &[], body.as_bytes()).await;
        let at = format!("{method} {path} {body}: {}", reply.text());
        assert_eq!(reply.status, *status, "{at}");
        assert_eq!(reply.outcome(), format!("error; reason={code}"), "{at}");
        let said: Value = reply.json();
        assert!(said["error"] == *code || said["error"].is_object(), "{at}");
    }
}

#[tokio::test]
async fn a_path_and_a_method_that_are_not_there_are_told_in_our_own_form() {
    let (_shop, sidecar) = sidecar().await;
    let nowhere = exchange(sidecar.api, "GET", "/api/nowhere", &[], b"").await;
    assert_eq!((nowhere.status, &nowhere.json()["error"]), (404, &json!("no_such_path")));
    let wrong = exchange(sidecar.api, "PATCH", "/api/users/u", &[], b"").await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (405, &json!("method")));
    let allowed = wrong.header("allow").expect("Allow");
    assert!(allowed.contains("GET") && allowed.contains("DELETE"), "{allowed}");
    let wrong = sidecar.operate("PUT", "/rules").await;
    assert_eq!((wrong.status, &wrong.json()["error"]), (405, &json!("method")));
    let nowhere = sidecar.operate("GET", "/nowhere").await;
    assert_eq!((nowhere.status, &nowhere.json()["error"]), (404, &json!("no_such_path")));
    let unknown = sidecar.operate("POST", "/routes/nowhere/on").await;
    assert_eq!((unknown.status, &unknown.json()["error"]), (404, &json!("no_such_route")));
}

#[tokio::test]
async fn a_name_or_a_query_string_that_cannot_be_read_is_told_in_our_own_form() {
    are_answered(&[
        ("GET", "/api/users/%FF/preferences/live", "", 400, "bad_user_id"),
        ("GET", "/api/users/%FF", "", 400, "bad_user_id"),
        ("GET", "/api/preferences/live?user_id=a&user_id=b", "", 400, "malformed_query"),
        ("GET", "/api/live?user_id=a&user_id=b", "", 400, "malformed_query"),
        ("GET", "/api/users/u/preferences/live?view=full&view=full", "", 400, "malformed_query"),
        ("PUT", "/ubi_events/_doc/%FF", "{}", 400, "bad_event_id"),
        ("POST", "/api/interactions/track?debug=perhaps", "{}", 400, "bad_debug"),
    ])
    .await;
}

#[tokio::test]
async fn an_array_in_the_place_of_an_object_is_refused() {
    are_answered(&[
        ("POST", "/api/search/personalized", r#"["milk"]"#, 400, "malformed_search"),
        (
            "POST",
            "/api/search/personalized",
            r#"{"query":"m","context":[]}"#,
            400,
            "malformed_search",
        ),
        ("PUT", "/api/users/u/consent", "[true]", 401, "not_this_user"),
        (
            "POST",
            "/api/interactions/track",
            r#"{"type":"click","user_id":"u","product_id":"p","context":[45]}"#,
            400,
            "bad_context",
        ),
    ])
    .await;
    let (_shop, sidecar) = sidecar().await;
    for attributes in [
        json!([]),
        json!({"object": ["p"]}),
        json!({"object": {"object_id": "p"}, "position": [3]}),
    ] {
        let event =
            json!({"action_name": "click", "client_id": "c", "event_attributes": attributes});
        let reply = post(sidecar.api, "/ubi_events/_doc", &event).await;
        assert_eq!(reply.status, 400, "{event}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_body_that_is_empty_or_called_something_else_is_refused() {
    are_answered(&[
        ("POST", "/_bulk", "", 400, "malformed_event"),
        ("POST", "/ubi_events/_bulk", "\n\n", 400, "malformed_event"),
        ("POST", "/api/search/personalized", "", 400, "malformed_search"),
    ])
    .await;
    let (_shop, sidecar) = sidecar().await;
    let path = "/api/search/personalized";
    for (name, value, status, code) in [
        ("content-type", "application/x-ndjson", 400, "malformed_event"),
        ("content-type", "text/xml", 415, "not_json"),
        ("content-type", "multipart/form-data; boundary=x", 415, "not_json"),
        ("content-encoding", "gzip", 415, "coded_body"),
    ] {
        let at = if status == 400 { "/api/interactions/track" } else { path };
        let reply = exchange(sidecar.api, "POST", at, &[(name, value)], b" ").await;
        assert_eq!((reply.status, &reply.json()["error"]), (status, &json!(code)), "{value}");
    }
    let large = format!("{{\"query\":\"{}\"}}", "m".repeat(70_000));
    let reply = exchange(sidecar.api, "POST", path, &[], large.as_bytes()).await;
    assert_eq!((reply.status, &reply.json()["error"]), (413, &json!("body_too_large")));
    for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain", ""] {
        let body = br#"{"query":"milk"}"#;
        let reply = exchange(sidecar.api, "POST", path, &[("content-type", kind)], body).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_one_is_refused_wherever_it_is_told() {
    let (long, path) = ("x".repeat(257), "/api/search/personalized");
    let track = "/api/interactions/track";
    let search = |member: &str, value: &str| json!({"query": "milk", member: value}).to_string();
    let event = |id: &str| {
        json!({"type": "click", "user_id": "u", "product_id": "p", "event_id": id}).to_string()
    };
    are_answered(&[
        ("POST", path, &search("user_id", "a\u{1}"), 400, "bad_user_id"),
        ("POST", path, &search("user_id", "\n"), 400, "bad_user_id"),
        ("POST", path, &search("session_id", &long), 400, "bad_session_id"),
        ("POST", path, &json!({"query": "\nmilk"}).to_string(), 400, "bad_query"),
        ("POST", path, &json!({"query": "milk", "limit": 1.5}).to_string(), 400, "bad_limit"),
        ("POST", track, &event(&long), 400, "bad_event_id"),
        ("POST", track, &event("a\nb"), 400, "bad_event_id"),
        ("PUT", &format!("/ubi_events/_doc/{}", "x".repeat(513)), "{}", 400, "bad_event_id"),
    ])
    .await;
}

#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point_and_the_least_share_of_a_unit_counts() {
    let (_shop, sidecar) = sidecar().await;
    let search = json!({"query": "milk", "limit": 5.0, "user_id": 7});
    let reply = post(sidecar.api, "/api/search/personalized", &search).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let event = json!({"type": "purchase", "user_id": "u", "product_id": "p", "quantity": 1e-60});
    let reply = post(sidecar.api, "/api/interactions/track", &event).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

#[tokio::test]
async fn what_the_shop_does_not_take_is_the_callers_fault_and_not_the_shops() {
    let shop = Shop::start(|_| Answer::reply("422 Unprocessable Content", &[], b"{}")).await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let search = json!({"query": "milk", "limit": 999});
    let reply = post(sidecar.api, "/api/search/personalized", &search).await;
    assert_eq!((reply.status, &reply.json()["error"]), (422, &json!("shop_declined")));
}

#[tokio::test]
async fn a_search_whose_budget_is_spent_has_the_shops_order_and_no_error() {
    let (shop, _sidecar) = sidecar().await;
    let settings = "mode: on\nlimits: {rank_us: 1, hold_ms: 10000}";
    let sidecar = Sidecar::before(shop.address).settings(settings).start().await;
    let search = json!({"query": "milk", "user_id": "u"});
    let reply = post(sidecar.api, "/api/search/personalized", &search).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["results"][0]["product_id"], "M1");
    assert_eq!(reply.json()["personalized"], false);
}
