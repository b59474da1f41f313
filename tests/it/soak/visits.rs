//! Visits of many shoppers: they come, search, open, put into the cart, buy, are told of, and leave.

use std::net::SocketAddr;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{Reply, exchange, post};

/// Where a sidecar listens.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) data: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) ops: SocketAddr,
}

const QUERIES: [&str; 16] = [
    "milk", "yogurt", "chips", "bread", "apples", "cheese", "crackers", "cookies", "salsa",
    "popcorn", "beans", "paneer", "naan", "bowl", "carrots", "organic",
];

/// Visits at a time.
const AT_ONCE: usize = 8;
/// Users who come again; everybody else comes once.
const REGULARS: usize = 60;

/// So many visits from number `first` on; returns how many requests were answered. Panics at the
/// first that was not.
pub(super) async fn visits(place: Place, first: usize, count: usize) -> usize {
    let mut running = JoinSet::new();
    let mut requests = 0;
    for number in first..first + count {
        if running.len() >= AT_ONCE {
            requests += running.join_next().await.map_or(0, |visit| visit.expect("a visit"));
        }
        running.spawn(visit(place, number));
    }
    requests + running.join_all().await.into_iter().sum::<usize>()
}

async fn visit(place: Place, number: usize) -> usize {
    let name = if number.is_multiple_of(3) {
        format!("regular-{}", number % REGULARS)
    } else {
        format!("guest-{number}")
    };
    let who = ("x-user-id", name.as_str());
    let query = QUERIES[number % QUERIES.len()];
    let found = search(place, who, query).await.skus();
    let mut requests = 1;
    let Some(sku) = found.get(number % 5) else { return requests };
    ok(exchange(place.data, "GET", &format!("/product/{sku}"), &[who], b"").await);
    ok(send(place, who, "/cart/add", &json!({"sku": sku, "quantity": 1 + number % 3})).await);
    requests += 2;
    if number.is_multiple_of(3) {
        let order = json!({"lines": [{"sku": sku, "quantity": 1 + number % 3}]});
        ok(send(place, who, "/cart/checkout", &order).await);
        requests += 1;
    }
    if number.is_multiple_of(4) {
        let event = json!({"type": "view", "user_id": name, "product_id": sku,
            "event_id": format!("event-{}", number / 8)});
        ok(post(place.api, "/api/interactions/track", &event).await);
        ok(exchange(place.api, "GET", &format!("/api/users/{name}/preferences/live"), &[], b"")
            .await);
        requests += 2;
    }
    search(place, who, QUERIES[(number / 7) % QUERIES.len()]).await;
    requests + 1
}

/// So many shoppers whom nobody saw before, each told of once: they fill the table of profiles.
pub(super) async fn strangers(place: Place, first: usize, count: usize) {
    for batch in (first..first + count).step_by(1_000) {
        let lines = (batch..(batch + 1_000).min(first + count)).map(|number| {
            json!({"type": "click", "user_id": format!("stranger-{number}"),
                "product_id": format!("P{}", number % 977)})
            .to_string()
        });
        let lines: Vec<String> = lines.collect();
        let headers = [("content-type", "application/x-ndjson")];
        let body = lines.join("\n");
        let path = "/api/interactions/track";
        ok(exchange(place.api, "POST", path, &headers, body.as_bytes()).await);
    }
}

async fn search(place: Place, who: (&str, &str), query: &str) -> Reply {
    ok(send(place, who, "/api/v1/search", &json!({"query": query, "limit": 15})).await)
}

async fn send(place: Place, who: (&str, &str), path: &str, body: &serde_json::Value) -> Reply {
    let headers = [("content-type", "application/json"), who];
    exchange(place.data, "POST", path, &headers, body.to_string().as_bytes()).await
}

fn ok(reply: Reply) -> Reply {
    assert!((200..300).contains(&reply.status), "{}: {}", reply.status, reply.text());
    reply
}
