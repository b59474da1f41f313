//! Shops that already send events change nothing: Algolia's Insights and OpenSearch's UBI, as their
//! own clients send them (tests/recorded: search-insights 2.17 in Chromium, opensearch-js 3.9; their
//! times are put in when they are played).

use serde_json::{Value, json};

use crate::harness::shopper::{milk_shop, shelf};
use crate::harness::{Reply, Shop, Shopper, Sidecar, exchange, post};

const INSIGHTS: &str = include_str!("../recorded/insights.jsonl");
const UBI: &str = include_str!("../recorded/ubi.jsonl");

async fn running() -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    (shop, sidecar)
}

/// Plays a recording; the answers in order.
async fn played(sidecar: &Sidecar, recording: &str) -> Vec<Reply> {
    let mut replies = Vec::new();
    for line in recording.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let now = jiff::Timestamp::now();
        let body = row["body"].as_str().unwrap();
        let body = body.replace("NOW_MS", &now.as_millisecond().to_string());
        let body = body.replace("NOW_ISO", &now.to_string());
        let pairs = row["headers"].as_array().unwrap().iter();
        let headers: Vec<(&str, &str)> =
            pairs.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
        let words: Vec<&str> = row["http"].as_str().unwrap().split(' ').collect();
        replies.push(exchange(sidecar.api, words[0], words[1], &headers, body.as_bytes()).await);
    }
    replies
}

async fn learned(sidecar: &Sidecar, kind: &str) -> f64 {
    sidecar.metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await
}

async fn first_for(sidecar: &Sidecar, body: Value) -> String {
    post(sidecar.data, "/api/v1/search", &body).await.skus()[0].clone()
}

#[tokio::test]
async fn algolias_own_client_teaches_what_its_events_say() {
    let (_shop, sidecar) = running().await;
    for reply in played(&sidecar, INSIGHTS).await {
        assert_eq!((reply.status, reply.json()), (200, json!({"status": 200, "message": "OK"})));
        assert_eq!(reply.header("access-control-allow-origin"), Some("http://shop.test"));
    }
    for (kind, times) in [
        ("browse.click_product", 2.0),
        ("browse.view_details", 1.0),
        ("cart.add_to_cart", 1.0),
        ("cart.save_for_later", 1.0),
        ("purchase.first_time", 2.0),
    ] {
        assert_eq!(learned(&sidecar, kind).await, times, "{kind}");
    }
    // A list that was shown, and a filter.
    let ignored = sidecar.metric("leafrank_interactions_dropped_total{reason=\"ignored\"}").await;
    assert_eq!(ignored, 2.0);
    assert_eq!(Shopper::of(&sidecar, "shopper-7").search("milk").await.skus()[0], "M5");
    let account = Shopper::of(&sidecar, "account-7").search("milk").await.skus();
    assert!(["M5", "M6"].contains(&&*account[0]), "{account:?}");
}

#[tokio::test]
async fn an_algolia_event_that_cannot_be_used_costs_no_other_one_its_place() {
    let (_shop, sidecar) = running().await;
    let good = json!({"eventType": "click", "eventName": "n", "index": "i", "userToken": "ann",
                      "objectIDs": ["M5"], "positions": [5]});
    let mut wrong = good.clone();
    wrong["eventType"] = json!("clik");
    let mixed = post(sidecar.api, "/1/events", &json!({"events": [wrong, good]})).await;
    let said = mixed.json();
    assert_eq!((mixed.status, &said["status"]), (200, &json!(200)));
    let message = said["message"].as_str().unwrap();
    for part in ["1 of 2", "events[0]", "eventType", "did you mean \"click\""] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus()[0], "M5");
    let none = post(sidecar.api, "/1/events", &json!({"events": [wrong]})).await;
    assert_eq!((none.status, &none.json()["status"]), (422, &json!(422)));
    for (body, status) in [("{}", 400), ("[]", 400), ("{\"events\":3}", 400), ("", 400)] {
        let reply = exchange(sidecar.api, "POST", "/1/events", &[], body.as_bytes()).await;
        let said = reply.json();
        assert_eq!((reply.status, &said["status"]), (status, &json!(status)), "{body} {said}");
        assert!(said["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    let many = json!({"events": vec![good.clone(); 1_001]});
    let many = post(sidecar.api, "/1/events", &many).await;
    assert_eq!((many.status, &many.json()["status"]), (413, &json!(413)));
    let asked = post(sidecar.api, "/1/events?debug=1", &json!({"events": [good]})).await;
    assert_eq!(asked.json()["results"][0]["acts"][0]["type"], "click");
}

#[tokio::test]
async fn opensearchs_own_client_teaches_and_is_answered_as_by_opensearch() {
    let (_shop, sidecar) = running().await;
    let replies = played(&sidecar, UBI).await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [201, 201, 201, 200, 200]);
    let one = replies[1].json();
    assert_eq!(
        (&one["_index"], &one["_id"], &one["result"], &one["_shards"]["failed"]),
        (&json!("ubi_events"), &json!("e-7"), &json!("created"), &json!(0))
    );
    let bulk = replies[3].json();
    assert_eq!((&bulk["errors"], bulk["items"].as_array().unwrap().len()), (&json!(false), 3));
    assert!(bulk["took"].is_u64());
    assert_eq!(bulk["items"][0]["index"]["_id"], "b-1");
    assert_eq!(bulk["items"][2]["create"]["status"], 201);
    for (kind, times) in [
        ("browse.click_product", 2.0),
        ("browse.view_details", 1.0),
        ("cart.add_to_cart", 1.0),
        ("purchase.first_time", 1.0),
    ] {
        assert_eq!(learned(&sidecar, kind).await, times, "{kind}");
    }
    let visit = "fdb13692-d42c-4d1d-950b-b8814c963de2";
    assert_eq!(first_for(&sidecar, json!({"query": "milk", "session_id": visit})).await, "M5");
    // The same documents again: they have ids.
    let again = played(&sidecar, UBI).await;
    assert_eq!((again[1].status, &again[1].json()["result"]), (200, &json!("updated")));
    assert_eq!(again[2].status, 409);
    assert_eq!(learned(&sidecar, "cart.add_to_cart").await, 1.0);
}

#[tokio::test]
async fn ubis_collector_posts_an_array_and_each_event_has_its_own_status() {
    let (_shop, sidecar) = running().await;
    let event = |action: &str, object: Value| {
        json!({"application": "shop", "action_name": action, "user_id": "", "session_id": null,
               "client_id": "browser-1", "message_type": "INFO",
               "timestamp": jiff::Timestamp::now().to_string(),
               "event_attributes": {"object": {"object_id": object, "object_id_field": "sku"},
                                    "position": {"ordinal": 4}}})
    };
    let old = {
        let mut old = event("click", json!("M1"));
        old["timestamp"] = json!("2024-05-16T12:34:56.789Z");
        old
    };
    let events = [
        event("add_to_cart", json!("M4")),
        event("add_to_cart", Value::Null),
        event("brand_filter", Value::Null),
        old,
    ];
    let reply = post(sidecar.api, "/ubi_events", &json!(events)).await;
    let said = reply.json();
    assert_eq!((reply.status, &said["errors"]), (200, &json!(true)));
    let items = said["items"].as_array().unwrap();
    let statuses: Vec<_> = items.iter().map(|item| item["index"]["status"].clone()).collect();
    assert_eq!(statuses, [201, 400, 201, 400]);
    let error = &items[1]["index"]["error"];
    assert_eq!(error["type"], "mapper_parsing_exception");
    assert!(error["reason"].as_str().unwrap().contains("event_attributes.object.object_id"));
    assert!(items[3]["index"]["error"]["reason"].as_str().unwrap().contains("30 days back"));
    let client = json!({"query": "milk", "session_id": "browser-1"});
    assert_eq!(first_for(&sidecar, client).await, "M4");
    let queries = post(sidecar.api, "/ubi_queries", &json!([{"user_query": "milk"}])).await;
    assert_eq!(queries.status, 200);
}

#[tokio::test]
async fn what_opensearch_would_refuse_is_refused_in_its_words() {
    let (_shop, sidecar) = running().await;
    for (path, body, status, kind) in [
        ("/ubi_events/_doc", "{", 400, "parse_exception"),
        ("/ubi_events/_doc", "{}", 400, "mapper_parsing_exception"),
        ("/ubi_events/_bulk", "{\"what\":{}}\n{}\n", 400, "parse_exception"),
    ] {
        let reply = exchange(sidecar.api, "POST", path, &[], body.as_bytes()).await;
        let said = reply.json();
        assert_eq!((reply.status, &said["status"]), (status, &json!(status)), "{path} {said}");
        assert_eq!(
            (&said["error"]["type"], &said["error"]["root_cause"][0]["type"]),
            (&json!(kind), &json!(kind))
        );
    }
    let other =
        "{\"index\":{\"_index\":\"products\"}}\n{}\n{\"delete\":{\"_index\":\"ubi_events\"}}\n";
    let reply = exchange(sidecar.api, "POST", "/_bulk", &[], other.as_bytes()).await.json();
    assert_eq!(reply["errors"], true);
    assert_eq!(reply["items"][0]["index"]["status"], 404);
    assert_eq!(reply["items"][1]["delete"]["status"], 400);
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus(), shelf());
}
