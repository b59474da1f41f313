//! With personalisation off, or with anything broken, the client gets the shop's own bytes, the
//! reply says why, and the reason is counted.

use std::time::Duration;

use serde_json::json;

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, milk_shop, shelf};
use crate::harness::{Answer, Asked, Reply, Shop, Shopper, Sidecar, exchange, post};

/// The shop's own bytes went out, for `reason`, and it was counted.
async fn assert_untouched(sidecar: &Sidecar, reply: &Reply, own: &[u8], reason: &str) {
    assert_eq!(reply.outcome(), format!("bypass; reason={reason}"));
    assert_eq!(reply.body, own, "{reason}: the shop's own bytes");
    assert!(sidecar.bypassed(reason).await >= 1.0, "{reason} is counted");
    assert_eq!(reply.header("server-timing"), None, "{reason}");
}

async fn known_shopper_at(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings(settings).start().await;
    Shopper::of(&sidecar, "ann").likes_oat_milk().await;
    (shop, sidecar)
}

#[tokio::test]
async fn nothing_broken_moves_the_list_or_the_other_stories_here_would_show_nothing() {
    let (_shop, sidecar) = known_shopper_at("mode: on").await;
    let reply = Shopper::of(&sidecar, "ann").search("milk").await;
    assert!(reply.outcome().starts_with("reranked; moved="), "{}", reply.outcome());
    assert_eq!(reply.skus()[0], "M5");
    assert!(reply.header("server-timing").is_some_and(|t| t.starts_with("leafrank;dur=")));
}

#[tokio::test]
async fn a_route_that_is_off_or_in_shadow_passes_the_shops_bytes() {
    for mode in ["off", "shadow"] {
        let (_shop, sidecar) = known_shopper_at(&format!("mode: {mode}")).await;
        let reply = Shopper::of(&sidecar, "ann").search("milk").await;
        assert_untouched(&sidecar, &reply, &leafloaf(&MILKS), mode).await;
    }
}

#[tokio::test]
async fn rules_that_say_enabled_false_pass_the_shops_bytes_and_still_learn() {
    let shop = milk_shop().await;
    let sidecar =
        Sidecar::before(shop.address).settings("mode: on").rules("enabled: false\n").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_untouched(&sidecar, &ann.search("milk").await, &leafloaf(&MILKS), "switched_off").await;
    assert_ne!(ann.preferences().await["attributes"], json!({}));
}

#[tokio::test]
async fn the_operators_switch_turns_every_route_off_and_on_again_at_once() {
    let (_shop, sidecar) = known_shopper_at("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    let off = sidecar.operate("POST", "/personalization/off").await;
    assert_eq!(off.json(), json!({"personalization": "off"}));
    assert_untouched(&sidecar, &ann.search("milk").await, &leafloaf(&MILKS), "switched_off").await;
    assert_eq!(sidecar.admin("/rules").await.json()["personalization"], "off");
    sidecar.operate("POST", "/personalization/on").await;
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
}

#[tokio::test]
async fn rules_broken_at_start_without_a_last_good_copy_are_ready_pass_and_say_so() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address)
        .settings("mode: on")
        .rules("ranking: {impact: banana}\n")
        .start()
        .await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_untouched(&sidecar, &ann.search("milk").await, &leafloaf(&MILKS), "no_rules").await;
    assert_eq!(sidecar.metric("leafrank_degraded{reason=\"no_rules\"}").await, 1.0);
    let status = sidecar.admin("/rules").await.json();
    assert_eq!(status["degraded"], "no_rules");
    let said = status["last_error"][0].as_str().unwrap();
    assert!(said.contains("personalization_rules.yaml:1:") && said.contains("impact"), "{said}");
}

#[tokio::test]
async fn rules_broken_at_start_are_replaced_by_the_last_good_copy() {
    let shop = milk_shop().await;
    let state = tempfile::tempdir().unwrap();
    let settings = format!("mode: on\ndata_dir: {}", state.path().display());
    drop(Sidecar::before(shop.address).settings(&settings).start().await);
    let sidecar =
        Sidecar::before(shop.address).settings(&settings).rules("nonsense: 1\n").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    assert_eq!(sidecar.metric("leafrank_degraded{reason=\"rules_last_good_copy\"}").await, 1.0);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_stops_nothing() {
    let (_shop, sidecar) = known_shopper_at("mode: on\ndata_dir: /proc/leafrank-cannot-be").await;
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus()[0], "M5");
    assert!(sidecar.log().contains("cannot be kept"), "{}", sidecar.log());
}

#[tokio::test]
async fn spent_budgets_and_full_limits_pass_the_shops_bytes() {
    for (limits, reason) in [
        ("limits: {rank_us: 1}", "rank_spent"),
        ("limits: {reply_bytes_max: 1024}", "reply_too_large"),
        ("limits: {peek_bytes_max: 64}", "request_not_read"),
    ] {
        let shop = milk_shop().await;
        let settings = format!("mode: on\n{limits}");
        let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
        let ann = Shopper::of(&sidecar, "ann");
        assert_eq!(ann.tracks("purchase", "M5").await.status, 202);
        let long = "milk milk milk milk milk milk milk milk milk milk milk milk milk milk milk";
        let reply = ann.search(long).await;
        assert_untouched(&sidecar, &reply, &leafloaf(&MILKS), reason).await;
    }
}

#[tokio::test]
async fn a_reply_that_takes_longer_than_hold_ms_streams_on_whole() {
    let shop = Shop::start(|_| {
        let own = leafloaf(&MILKS);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            own.len()
        );
        let (one, two) = own.split_at(own.len() / 2);
        let late = Duration::from_millis(300);
        Answer::Pieces(vec![
            (Duration::ZERO, [head.as_bytes(), one].concat()),
            (late, two.to_vec()),
        ])
    })
    .await;
    let sidecar =
        Sidecar::before(shop.address).settings("mode: on\nlimits: {hold_ms: 20}").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.tracks("purchase", "M5").await;
    let reply = ann.search("milk").await;
    assert_untouched(&sidecar, &reply, &leafloaf(&MILKS), "hold_spent").await;
}

/// Bodies that are not what the route's map says, and why.
fn broken_bodies() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = String::from_utf8(leafloaf(&MILKS)).unwrap();
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    vec![
        ("html", b"<html>no</html>".to_vec(), "not_json"),
        ("empty", Vec::new(), "not_json"),
        ("cut", good.as_bytes()[..good.len() - 1].to_vec(), "not_json"),
        ("trailing", format!("{good}x").into_bytes(), "not_json"),
        ("bom", format!("\u{feff}{good}").into_bytes(), "byte_order_mark"),
        ("latin1", [good.as_bytes(), b"\xe9"].concat(), "invalid_utf8"),
        ("elsewhere", b"{\"items\":[{\"sku\":\"M5\"}]}".to_vec(), "no_hits"),
        ("object", b"{\"products\":{\"sku\":\"M5\"}}".to_vec(), "no_hits"),
        ("no-products", leafloaf(&[]), "no_hits"),
        ("no-id", good.replace("\"sku\":\"M3\",", "").into_bytes(), "missing_id"),
        ("twice", good.replacen('{', "{\"products\":[],", 1).into_bytes(), "duplicate_key"),
        (
            "id-twice",
            good.replace("\"sku\":\"M3\"", "\"sku\":\"M3\",\"sku\":\"M9\"").into_bytes(),
            "duplicate_key",
        ),
        ("deep", good.replacen('{', &format!("{{\"x\":{deep},"), 1).into_bytes(), "too_deep"),
        ("order", good.replace("\"order\":null", "\"order\":[]").into_bytes(), "condition_failed"),
    ]
}

#[tokio::test]
async fn a_reply_in_another_shape_passes_as_it_is() {
    let bodies = broken_bodies();
    let answers = bodies.clone();
    let shop = Shop::start(move |asked: &Asked| {
        let wanted = asked.header("x-break").unwrap_or("");
        match answers.iter().find(|(name, ..)| *name == wanted) {
            Some((_, body, _)) => Answer::json(body),
            None => Answer::json(&leafloaf(&MILKS)),
        }
    })
    .await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for (name, body, reason) in &bodies {
        let reply = ann.search_with("milk", &[("x-break", name)]).await;
        assert_eq!(reply.outcome(), format!("bypass; reason={reason}"), "{name}");
        assert_untouched(&sidecar, &reply, body, reason).await;
    }
    assert_eq!(ann.search("milk").await.skus()[0], "M5", "and then it goes on");
}

#[tokio::test]
async fn a_reply_whose_head_says_that_it_is_not_ours_to_change_passes() {
    /// Route of the shop, status, headers, reason.
    type Head = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);
    let heads: [Head; 7] = [
        ("text", "200 OK", &[("content-type", "text/plain")], "content_type"),
        ("untyped", "200 OK", &[], "content_type"),
        ("created", "201 Created", &[("content-type", "application/json")], "status"),
        ("failed", "500 Oh", &[("content-type", "application/json")], "status"),
        (
            "coded",
            "200 OK",
            &[("content-type", "application/json"), ("content-encoding", "x-shop")],
            "encoding",
        ),
        (
            "not-gzip",
            "200 OK",
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            "encoding",
        ),
        (
            "sealed",
            "200 OK",
            &[("content-type", "application/json"), ("cache-control", "no-transform")],
            "sealed",
        ),
    ];
    let shop = Shop::start(move |asked: &Asked| {
        let wanted = asked.header("x-break").unwrap_or("");
        match heads.iter().find(|(name, ..)| *name == wanted) {
            Some((_, status, headers, _)) => Answer::reply(status, headers, &leafloaf(&MILKS)),
            None => Answer::json(&leafloaf(&MILKS)),
        }
    })
    .await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for (name, status, _, reason) in heads {
        let reply = ann.search_with("milk", &[("x-break", name)]).await;
        assert_eq!(reply.status.to_string(), status[..3], "{name}");
        assert_untouched(&sidecar, &reply, &leafloaf(&MILKS), reason).await;
    }
}

#[tokio::test]
async fn a_request_for_a_part_or_in_an_order_of_its_own_passes() {
    let (_shop, sidecar) = known_shopper_at("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    let own = leafloaf(&MILKS);
    let part = ann.search_with("milk", &[("range", "bytes=0-10")]).await;
    assert_untouched(&sidecar, &part, &own, "range").await;
    let headers = [("content-type", "application/json"), ("x-user-id", "ann")];
    let asks = [
        ("/api/v1/search?sort=price", json!({"query": "milk"})),
        ("/api/v1/search", json!({"query": "milk", "sort_by": "price"})),
    ];
    for (path, body) in asks {
        let body = body.to_string();
        let sorted = exchange(sidecar.data, "POST", path, &headers, body.as_bytes()).await;
        assert_untouched(&sidecar, &sorted, &own, "sort_chosen").await;
    }
}

#[tokio::test]
async fn a_shopper_who_opted_out_passes_and_nothing_is_stored() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    let gpc = [("sec-gpc", "1")];
    let own = leafloaf(&MILKS);
    assert_untouched(&sidecar, &ann.search_with("milk", &gpc).await, &own, "opted_out").await;
    let event = json!({"user_id": "ann", "signal_type": "click",
                       "product": {"sku": "M5", "product_name": "Oat Milk"}});
    let headers = [("content-type", "application/json"), ("sec-gpc", "1")];
    for (port, path, event) in [
        (sidecar.data, "/api/personalization/track", event),
        (
            sidecar.api,
            "/api/interactions/track",
            json!({"type": "purchase", "user_id": "ann", "product_id": "M5"}),
        ),
    ] {
        let reply = exchange(port, "POST", path, &headers, event.to_string().as_bytes()).await;
        assert!(reply.status < 300, "{path}");
    }
    let nothing = json!({"categories": {}, "attributes": {}, "brands": {}});
    assert_eq!(ann.preferences().await, nothing);
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
    assert_eq!(ann.search("milk").await.outcome(), "bypass; reason=no_evidence");
    assert_eq!(
        sidecar.metric("leafrank_interactions_dropped_total{reason=\"opted_out\"}").await,
        2.0
    );
}

#[tokio::test]
async fn nobody_and_a_new_shopper_get_the_shops_bytes() {
    let (_shop, sidecar) = known_shopper_at("mode: on").await;
    let own = leafloaf(&MILKS);
    let anonymous = post(sidecar.data, "/api/v1/search", &json!({"query": "milk"})).await;
    assert_untouched(&sidecar, &anonymous, &own, "no_subject").await;
    let new = Shopper::of(&sidecar, "new").search("milk").await;
    assert_untouched(&sidecar, &new, &own, "no_evidence").await;
    assert_eq!(new.skus(), shelf());
}

#[tokio::test]
async fn past_the_most_searches_at_a_time_the_next_passes() {
    let shop = Shop::start(|asked: &Asked| {
        let own = leafloaf(&MILKS);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            own.len()
        );
        let pause = if asked.header("x-slow").is_some() { 1_500 } else { 0 };
        Answer::Pieces(vec![
            (Duration::ZERO, head.into_bytes()),
            (Duration::from_millis(pause), own),
        ])
    })
    .await;
    let limits = "mode: on\nlimits: {in_flight_max: 1, hold_ms: 10000, rank_us: 1000000}";
    let sidecar = Sidecar::before(shop.address).settings(limits).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.tracks("purchase", "M5").await;
    let slow = ann.search_with("milk", &[("x-slow", "1")]);
    let next = async {
        crate::harness::shopper::eventually("the slow one is at the shop", || async {
            !shop.asked().is_empty()
        })
        .await;
        ann.search("milk").await
    };
    let (slow, next) = tokio::join!(slow, next);
    assert!(slow.outcome().starts_with("reranked"), "{}", slow.outcome());
    assert_untouched(&sidecar, &next, &leafloaf(&MILKS), "overload").await;
    crate::harness::shopper::eventually("there is room again", || async {
        ann.search("milk").await.outcome().starts_with("reranked")
    })
    .await;
}
