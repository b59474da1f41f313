//! A shopper with a taste: a list about milk, one product of it bought, the search asked again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::client::{self, Reply};
use super::fixtures;
use super::sidecar::{Builder, Sidecar};

/// What the shop answers to "milk", in its order.
pub const MILKS: [(&str, &str); 6] = [
    ("m1", "Whole Milk"),
    ("m2", "Skim Milk"),
    ("m3", "Goat Milk"),
    ("m4", "Oat Milk"),
    ("m5", "Rice Milk"),
    ("m6", "Soy Milk"),
];

/// The list's reply, as JSON bytes.
pub fn milks() -> Vec<u8> {
    fixtures::leafloaf(&MILKS)
}

/// The skus in the shop's order.
pub fn shops_order() -> Vec<&'static str> {
    MILKS.iter().map(|(sku, _)| *sku).collect()
}

/// A sidecar that ranks, with `limits` as flow YAML inside `{}`.
pub fn ranking(upstream: impl ToString, limits: &str) -> Builder {
    Sidecar::before(upstream).settings("mode: on").settings(&format!("limits: {{{limits}}}"))
}

/// Generous in time: what a story is not about must not decide it on a busy machine.
pub const PATIENT: &str = "hold_ms: 20000, rank_us: 1000000";

/// Lets `user` buy `sku`.
pub async fn teach(sidecar: &Sidecar, user: &str, sku: &str) {
    teach_at(sidecar.api, user, sku).await;
}

/// Lets `user` buy `sku`, as the API at this address is told.
pub async fn teach_at(api: SocketAddr, user: &str, sku: &str) {
    let event = serde_json::json!({"type": "purchase", "user_id": user, "product_id": sku});
    let reply = client::post(api, "/api/interactions/track", &event).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

/// The sum of a metric over its labels, as the ops port at this address says.
pub async fn metric_value(ops: SocketAddr, name: &str) -> f64 {
    let text = client::get(ops, "/metrics").await.text();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A search's bytes, on a connection that stays.
pub fn request(user: &str, headers: &str) -> String {
    let body = r#"{"query":"milk"}"#;
    format!(
        "POST /api/v1/search HTTP/1.1\r\nhost: shop.test\r\nx-user-id: {user}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Searches for milk as `user`.
pub async fn search(sidecar: &Sidecar, user: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("content-type", "application/json"), ("x-user-id", user)];
    all.extend_from_slice(headers);
    client::exchange(sidecar.data, "POST", "/api/v1/search", &all, br#"{"query":"milk"}"#).await
}

/// Now, in seconds since 1970.
pub fn now_seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Waits until a metric is what it should be.
pub async fn metric_becomes(sidecar: &Sidecar, name: &str, wanted: f64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = sidecar.metric(name).await;
        if (found - wanted).abs() < 0.5 {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
