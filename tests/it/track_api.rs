//! Our own API: one interaction in, the live preferences out.

use serde_json::{Value, json};

use crate::harness::personal::now_seconds;
use crate::harness::shopper::{milk_shop, shelf};
use crate::harness::{Reply, Shop, Shopper, Sidecar, exchange, get, golden, post};

const TRACK: &str = "/api/interactions/track";

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

async fn track(sidecar: &Sidecar, event: &Value) -> Reply {
    post(sidecar.api, TRACK, event).await
}

#[tokio::test]
async fn an_accepted_interaction_is_in_the_next_ranking() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.skus(), shelf());
    let event = json!({"type": "click", "user_id": "ann", "product_id": "M5",
                       "context": {"search_query": "milk", "position": 5, "time_on_page": 45}});
    let reply = track(&sidecar, &event).await;
    assert_eq!((reply.status, reply.json()), (202, json!({"accepted": true, "learned": 2})));
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    for kind in ["browse.click_product", "browse.time_on_product.30_seconds"] {
        let learned = sidecar.metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await;
        assert_eq!(learned, 1.0, "{kind}");
    }
}

#[tokio::test]
async fn an_event_with_a_known_id_is_a_double_whenever_it_comes() {
    let (_shop, sidecar) = running("").await;
    let now = now_seconds();
    let event = |id: &str, at: i64| {
        json!({"type": "add_to_cart", "user_id": "ann", "product_id": "M5", "event_id": id,
               "timestamp": at})
    };
    for (event, learned) in [
        (event("e1", now - 500_000), 1),
        (event("e1", now - 500_000), 0),
        (event("e1", now), 0),
        (event("e2", now - 500_000), 1),
    ] {
        let reply = track(&sidecar, &event).await;
        assert_eq!((reply.status, &reply.json()["learned"]), (202, &json!(learned)), "{event}");
    }
    let dropped = sidecar.metric("leafrank_interactions_dropped_total{reason=\"double\"}").await;
    assert_eq!(dropped, 2.0);
}

#[tokio::test]
async fn an_anonymous_shopper_is_the_visit_and_never_one_user_of_that_name() {
    let (_shop, sidecar) = running("").await;
    let event = |session: Value| {
        json!({"type": "purchase", "user_id": "Anonymous", "session_id": session,
               "product_id": "M5"})
    };
    let nobody = track(&sidecar, &event(Value::Null)).await;
    assert_eq!((nobody.status, nobody.json()["error"].as_str()), (400, Some("no_subject")));
    assert_eq!(track(&sidecar, &event(json!("v1"))).await.status, 202);
    let body = json!({"query": "milk", "user_id": "anonymous", "session_id": "v1"});
    assert_eq!(post(sidecar.data, "/api/v1/search", &body).await.skus()[0], "M5");
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 1.0);
}

#[tokio::test]
async fn times_of_broken_clocks_are_refused_and_do_no_harm() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    for at in [json!(-1e300), json!(1e300), json!(0), json!("2999-01-01T00:00:00Z")] {
        let event = json!({"type": "click", "user_id": "ann", "product_id": "M5", "timestamp": at});
        let reply = track(&sidecar, &event).await;
        let code = reply.json()["error"].as_str().unwrap().to_owned();
        assert_eq!((reply.status, &*code), (400, "timestamp_out_of_range"), "{at}");
    }
    assert_eq!(ann.search("milk").await.skus(), shelf(), "nothing was learned");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_a_reason_that_helps() {
    let (_shop, sidecar) = running("").await;
    let good = json!({"type": "click", "user_id": "ann", "product_id": "M5"});
    let with = |key: &str, value: Value| {
        let mut event = good.clone();
        event[key] = value;
        event
    };
    for (event, code, part) in [
        (with("type", json!("clik")), "unknown_type", "did you mean \"click\"?"),
        (with("user_id", Value::Null), "no_subject", "user_id or session_id"),
        (with("product_id", json!("")), "bad_product_id", "1 to 256 bytes"),
        (with("quantity", json!(-1)), "bad_quantity", "above 0"),
        (with("product_id", Value::Null), "bad_product_id", "product_id"),
        (with("type", Value::Null), "unknown_type", "expected one of click"),
        (with("timestamp", json!("yesterday")), "bad_timestamp", "RFC 3339"),
        (json!("click"), "malformed_event", "object"),
    ] {
        let reply = track(&sidecar, &event).await;
        let said = reply.json();
        assert_eq!((reply.status, said["error"].as_str()), (400, Some(code)), "{event} {said}");
        assert!(said["message"].as_str().unwrap().contains(part), "{event}: {said}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    let broken = exchange(sidecar.api, "POST", TRACK, &[], b"{\"type\":").await;
    assert_eq!((broken.status, broken.json()["error"].as_str()), (400, Some("malformed_event")));
    let zipped = [("content-encoding", "gzip")];
    let zipped = exchange(sidecar.api, "POST", TRACK, &zipped, b"...").await;
    assert_eq!((zipped.status, zipped.json()["error"].as_str()), (415, Some("coded_body")));
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0, "nothing was learned");
}

#[tokio::test]
async fn live_preferences_have_the_plans_shape_on_both_paths() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let by_path = get(sidecar.api, "/api/users/ann/preferences/live").await;
    let by_query = get(sidecar.api, "/api/preferences/live?user_id=ann").await;
    assert_eq!((by_path.status, by_path.json()), (200, by_query.json()));
    assert_eq!(by_path.header("cache-control"), Some("no-store"));
    let pretty = serde_json::to_string_pretty(&by_path.json()).unwrap() + "\n";
    golden::check("preferences_live.json", &pretty);
    let nobody = get(sidecar.api, "/api/users/nobody/preferences/live").await.json();
    assert_eq!(nobody, json!({"categories": {}, "attributes": {}, "brands": {}}));
    let unnamed = get(sidecar.api, "/api/preferences/live").await;
    assert_eq!((unnamed.status, unnamed.json()["error"].as_str()), (400, Some("no_user_id")));
}

#[tokio::test]
async fn pages_of_any_origin_may_call_it() {
    let (_shop, sidecar) = running("").await;
    let asks = [
        ("origin", "http://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-user-id"),
    ];
    let preflight = exchange(sidecar.api, "OPTIONS", TRACK, &asks, b"").await;
    assert_eq!(preflight.status, 204);
    // A beacon brings cookies: browsers ask for the page's own origin then.
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://shop.example"));
    assert_eq!(preflight.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(preflight.header("vary"), Some("origin"));
    let reading = "/api/preferences/live?user_id=ann";
    let read = exchange(sidecar.api, "GET", reading, &asks[..1], b"").await;
    assert_eq!(read.header("access-control-allow-origin"), Some("*"));
    assert_eq!(read.header("access-control-allow-credentials"), None, "what is read, without");
    assert!(preflight.header("access-control-allow-methods").unwrap().contains("POST"));
    let allowed = preflight.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("content-type") && allowed.contains("x-user-id"));
    let event = json!({"type": "click", "user_id": "ann", "product_id": "M5"});
    assert_eq!(track(&sidecar, &event).await.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn the_data_port_answers_no_path_of_ours_unless_it_is_listed() {
    let event = json!({"type": "click", "user_id": "ann", "product_id": "M5"});
    let (shop, sidecar) = running("").await;
    assert_eq!(post(sidecar.data, TRACK, &event).await.json(), json!({"success": true}));
    assert_eq!(shop.asked().len(), 1, "the shop was asked");

    let prefix = "/lr";
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address)
        .settings("mode: on")
        .argument("--set")
        .argument(&format!("listen.own_paths.prefix={prefix}"))
        .argument("--set")
        .argument(
            "listen.own_paths.paths=[\"/api/interactions/track\", \
             \"/api/users/{id}/preferences/live\"]",
        )
        .start()
        .await;
    let listed = post(sidecar.data, &format!("{prefix}{TRACK}"), &event).await;
    assert_eq!((listed.status, listed.json()["accepted"].as_bool()), (202, Some(true)));
    let live = get(sidecar.data, &format!("{prefix}/api/users/ann/preferences/live")).await;
    assert_eq!(live.status, 200);
    assert!(shop.asked().is_empty(), "the shop was not asked");
    let unlisted = get(sidecar.data, &format!("{prefix}/api/preferences/live?user_id=ann")).await;
    assert_eq!(unlisted.json(), json!({"success": true}));
    assert_eq!(post(sidecar.data, TRACK, &event).await.json(), json!({"success": true}));
    assert_eq!(shop.asked().len(), 2);
}
