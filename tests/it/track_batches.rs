//! Our own API, many events at a time: an array or one a line, each with its own outcome; and what
//! would happen, asked without learning.

use std::future::Future;

use serde_json::{Value, json};

use crate::harness::personal::now_seconds;
use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::{Reply, Shop, Shopper, Sidecar, Wire, exchange, post};

const TRACK: &str = "/api/interactions/track";

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

async fn track(sidecar: &Sidecar, body: &str) -> Reply {
    exchange(sidecar.api, "POST", TRACK, &[("content-type", "text/plain")], body.as_bytes()).await
}

fn event(kind: &str, user: &str, product: &str) -> Value {
    json!({"type": kind, "user_id": user, "product_id": product})
}

fn statuses(reply: &Reply) -> Vec<String> {
    let said = reply.json();
    let results = said["results"].as_array().unwrap_or_else(|| panic!("{said}"));
    results.iter().map(|entry| entry["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_event_of_an_array_has_its_own_outcome_and_the_good_ones_are_learned() {
    let (_shop, sidecar) = running("").await;
    let batch = json!([
        event("click", "ann", "M5"),
        event("clik", "ann", "M5"),
        event("click", "ann", "M5"),
        {"type": "click", "product_id": "M5"},
        event("purchase", "bob", "M4"),
        17,
    ]);
    let reply = post(sidecar.api, TRACK, &batch).await;
    assert_eq!(reply.status, 202);
    let statuses = statuses(&reply);
    assert_eq!(statuses, ["learned", "refused", "double", "refused", "learned", "refused"]);
    let said = reply.json();
    assert_eq!(
        (&said["accepted"], &said["learned"], &said["refused"]),
        (&json!(true), &json!(2), &json!(3))
    );
    let wrong = &said["results"][1];
    for (key, value) in [
        ("item", json!(1)),
        ("error", json!("unknown_type")),
        ("key", json!("type")),
        ("found", json!("\"clik\"")),
        ("suggestion", json!("\"click\"")),
    ] {
        assert_eq!(wrong[key], value, "{wrong}");
    }
    assert!(wrong["expected"].as_str().unwrap().starts_with("one of click"), "{wrong}");
    assert_eq!(said["results"][3]["error"], "no_subject");
    assert_eq!(said["results"][5]["error"], "malformed_event");
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus()[0], "M5");
    assert_eq!(Shopper::of(&sidecar, "bob").search("milk").await.skus()[0], "M4");
    let refused = sidecar.metric("leafrank_interactions_dropped_total{reason=\"refused\"}").await;
    assert_eq!(refused, 3.0);
}

#[tokio::test]
async fn events_one_a_line_are_told_by_their_type_or_by_looking_and_a_broken_line_costs_itself() {
    let (_shop, sidecar) = running("").await;
    let body =
        format!("{}\n{{broken\n\n{}\n", event("click", "ann", "M5"), event("click", "ann", "M4"));
    let looked = track(&sidecar, &body).await;
    assert_eq!(
        (looked.status, statuses(&looked)),
        (202, vec!["learned".into(), "refused".into(), "learned".into()])
    );
    let named = [("content-type", "application/x-ndjson")];
    let one = event("click", "bob", "M5").to_string();
    let named = exchange(sidecar.api, "POST", TRACK, &named, one.as_bytes()).await;
    assert_eq!((named.status, statuses(&named)), (202, vec!["learned".into()]));
    let none = track(&sidecar, "[]").await;
    assert_eq!((none.status, none.json()["results"].clone()), (202, json!([])));
}

#[tokio::test]
async fn a_batch_teaches_what_the_same_events_teach_one_by_one() {
    let (_shop, sidecar) = running("").await;
    let events = |user: &str| -> Vec<Value> {
        let at = now_seconds() - 1_000;
        let kinds = ["click", "view", "add_to_cart", "purchase", "purchase", "purchase", "return"];
        let of = |(n, kind): (usize, &&str)| {
            let mut event = event(kind, user, ["M5", "M3"][n % 2]);
            event["timestamp"] = json!(at + 10 * n as i64);
            event
        };
        kinds.iter().enumerate().map(of).collect()
    };
    for user in ["one", "all"] {
        Shopper::of(&sidecar, user).search("milk").await;
    }
    for event in events("one") {
        assert_eq!(post(sidecar.api, TRACK, &event).await.status, 202);
    }
    let learned = |kind: &str| format!("leafrank_signals_total{{kind=\"{kind}\"}}");
    let repeated = sidecar.metric(&learned("purchase.repeat")).await;
    assert_eq!(repeated, 1.0, "M5, then M3, then M5 again... each first once");
    let reply = post(sidecar.api, TRACK, &json!(events("all"))).await;
    assert_eq!(reply.json()["learned"], 7);
    assert_eq!(sidecar.metric(&learned("purchase.repeat")).await, 2.0 * repeated);
    assert_eq!(sidecar.preferences("all").await, sidecar.preferences("one").await);
    let order = Shopper::of(&sidecar, "one").search("milk").await.skus();
    assert_eq!(Shopper::of(&sidecar, "all").search("milk").await.skus(), order);
}

#[tokio::test]
async fn every_kind_of_signal_can_be_reported_by_its_key_in_the_rules() {
    let (_shop, sidecar) = running("").await;
    let keys = [
        "purchase.first_time",
        "purchase.repeat",
        "purchase.bulk_purchase",
        "purchase.subscription",
        "cart.add_to_cart",
        "cart.quantity_increase",
        "cart.save_for_later",
        "cart.remove_from_cart",
        "browse.click_product",
        "browse.view_details",
        "browse.time_on_product.10_seconds",
        "browse.time_on_product.30_seconds",
        "browse.time_on_product.60_seconds",
        "negative.displayed_but_scrolled",
        "negative.viewed_never_bought",
        "negative.returned",
    ];
    let now = now_seconds() - 1_000;
    let of = |(n, key): (usize, &&str)| {
        // what was bought is never lowered by being passed over
        let sku = if *key == "negative.displayed_but_scrolled" { "M6" } else { "M5" };
        let mut event = event(key, "ann", sku);
        event["timestamp"] = json!(now + 2 * n as i64);
        event
    };
    let batch: Vec<Value> = keys.iter().enumerate().map(of).collect();
    assert_eq!(post(sidecar.api, TRACK, &json!(batch)).await.json()["learned"], 16);
    for key in keys {
        let learned = sidecar.metric(&format!("leafrank_signals_total{{kind=\"{key}\"}}")).await;
        assert_eq!(learned, 1.0, "{key}");
    }
}

#[tokio::test]
async fn debug_says_what_would_be_learned_and_learns_nothing() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("milk").await;
    let path = format!("{TRACK}?debug=1");
    let mut click = event("click", "ann", "M2");
    click["context"] = json!({"position": 2, "time_on_page": 12});
    let batch = json!([click, event("clik", "ann", "M5"), event("click", "ann", "M2")]);
    for _ in 0..2 {
        let reply = post(sidecar.api, &path, &batch).await;
        assert_eq!(
            (reply.status, statuses(&reply)),
            (200, vec!["learned".into(), "refused".into(), "double".into()])
        );
        let said = reply.json();
        assert_eq!((&said["debug"], &said["learned"]), (&json!(true), &json!(0)));
        let act = &said["results"][0]["acts"][0];
        assert_eq!((&act["type"], &act["status"]), (&json!("click"), &json!("learned")), "{act}");
        assert_eq!(act["list"]["position"], 1, "{act}");
        assert_eq!(act["list"]["reported_position"], 2, "counted from 1 by the sender: {act}");
        let signals = act["signals"].as_array().unwrap();
        let kinds: Vec<&str> = signals.iter().map(|s| s["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["negative.displayed_but_scrolled", "browse.click_product"]);
        assert_eq!(
            (&signals[0]["product"], &signals[0]["passed_over"]),
            (&json!("Whole Milk"), &json!(true))
        );
        assert_eq!(signals[1]["weight"].as_f64().map(|w| (w * 100.0).round()), Some(20.0));
        let facets = signals[1]["facets"].as_array().unwrap();
        assert!(facets.contains(&json!("category:produce")), "{facets:?}");
        let stay = &said["results"][0]["acts"][1];
        assert_eq!(stay["signals"][0]["kind"], "browse.time_on_product.10_seconds", "{stay}");
    }
    assert_eq!(ann.search("milk").await.skus(), shelf());
    assert_eq!(sidecar.metric("leafrank_signals_total").await, 0.0);
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
    let one = post(sidecar.api, &path, &event("click", "ann", "M5")).await;
    assert_eq!(statuses(&one), ["learned"]);
    assert_eq!(post(sidecar.api, TRACK, &event("click", "ann", "M5")).await.json()["learned"], 1);
}

#[tokio::test]
async fn a_thousand_events_are_taken_and_one_more_or_two_megabytes_are_not() {
    let (_shop, sidecar) = running("").await;
    let batch = |count: usize| {
        let of = |n: usize| event("click", &format!("user-{n}"), "M5");
        json!((0..count).map(of).collect::<Vec<_>>())
    };
    let full = post(sidecar.api, TRACK, &batch(1_000)).await;
    assert_eq!((full.status, &full.json()["learned"]), (202, &json!(1_000)));
    let last = Shopper::of(&sidecar, "user-999").search("milk").await;
    assert_eq!(last.skus()[0], "M5", "{}", last.outcome());
    let over = post(sidecar.api, TRACK, &batch(1_001)).await;
    assert_eq!((over.status, over.json()["error"].as_str()), (413, Some("too_many_events")));
    let asked = post(sidecar.api, &format!("{TRACK}?debug=1"), &batch(101)).await;
    assert_eq!((asked.status, asked.json()["error"].as_str()), (413, Some("too_many_events")));
    let long = track(&sidecar, &" ".repeat(2 * 1024 * 1024 + 1)).await;
    assert_eq!((long.status, long.json()["error"].as_str()), (413, Some("body_too_large")));
    for limit in ["track_items_max", "track_bytes_max"] {
        let hits = sidecar.metric(&format!("leafrank_limit_hits_total{{limit=\"{limit}\"}}")).await;
        assert!(hits >= 1.0, "{limit}");
    }
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 1_000.0);
}

#[tokio::test]
async fn bodies_that_would_fill_the_memory_together_are_turned_away_and_the_rest_is_taken() {
    let limits = "limits: {track_bytes_max: 100000, track_held_bytes_max: 100000, rank_us: 1000000, \
                  hold_ms: 10000}";
    let (_shop, sidecar) = running(limits).await;
    let large = || async {
        let body = format!("{}{}", event("click", "ann", "M5"), " ".repeat(3_000));
        track(&sidecar, &body).await
    };
    let slow = slow_body_that_holds(&sidecar, large).await;
    let turned_away = large().await;
    assert_eq!((turned_away.status, turned_away.header("retry-after")), (503, Some("1")));
    assert_eq!(turned_away.json()["error"], "too_many_bodies");
    assert_eq!(track(&sidecar, &event("click", "ann", "M4").to_string()).await.status, 202);
    slow.reset();
    eventually("its room is free again", || async { large().await.status == 202 }).await;
}

/// A body that is nearly there and takes room. Where two meet, either may be the one too many: then
/// another slow one is sent.
async fn slow_body_that_holds<Fut: Future<Output = Reply>>(
    sidecar: &Sidecar,
    large: impl Fn() -> Fut,
) -> Wire {
    let head = format!("POST {TRACK} HTTP/1.1\r\nHost: x\r\nContent-Length: 99000\r\n\r\n");
    for _ in 0..20 {
        let mut slow = Wire::to(sidecar.api).await;
        slow.send(head.as_bytes()).await;
        slow.send(vec![b' '; 98_000]).await;
        for _ in 0..20 {
            if large().await.status == 503 {
                return slow;
            }
        }
    }
    panic!("no slow body took its room");
}
