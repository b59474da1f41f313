//! Shoppers, in LeafLoaf's words, and a shop that sells milk.

use std::future::Future;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{PATIENCE, Reply, exchange, post};
use super::fixtures::leafloaf;
use super::shop::{Answer, Shop};
use super::sidecar::Sidecar;

/// What the shop of [`milk_shop`] answers to any search, in its own order.
pub const MILKS: [(&str, &str); 6] = [
    ("M1", "Whole Milk"),
    ("M2", "Skim Milk"),
    ("M3", "Goat Milk"),
    ("M4", "Chocolate Milk"),
    ("M5", "Oat Milk"),
    ("M6", "Almond Milk"),
];

/// The keys of [`MILKS`].
pub fn shelf() -> Vec<&'static str> {
    MILKS.map(|(sku, _)| sku).to_vec()
}

/// A shop that answers searches with [`MILKS`] and takes every other request.
pub async fn milk_shop() -> Shop {
    Shop::start(|asked| match asked.path() {
        path if path.starts_with("/api/v1/search") => Answer::json(&leafloaf(&MILKS)),
        _ => Answer::json(b"{\"success\":true}"),
    })
    .await
}

/// One shopper at one sidecar.
pub struct Shopper<'a> {
    pub sidecar: &'a Sidecar,
    pub name: &'a str,
}

impl<'a> Shopper<'a> {
    pub fn of(sidecar: &'a Sidecar, name: &'a str) -> Self {
        Self { sidecar, name }
    }

    /// A search, as LeafLoaf's app asks it.
    pub async fn search(&self, query: &str) -> Reply {
        self.search_with(query, &[]).await
    }

    /// A search with further headers.
    pub async fn search_with(&self, query: &str, headers: &[(&str, &str)]) -> Reply {
        let mut all = vec![("content-type", "application/json"), ("x-user-id", self.name)];
        all.extend_from_slice(headers);
        let body = json!({"query": query, "limit": 20}).to_string();
        exchange(self.sidecar.data, "POST", "/api/v1/search", &all, body.as_bytes()).await
    }

    /// A signal by LeafLoaf's own track call, on its way through the sidecar.
    pub async fn signals(&self, kind: &str, sku: &str) -> Reply {
        let event = json!({"user_id": self.name, "signal_type": kind, "product": {"sku": sku}});
        post(self.sidecar.data, "/api/personalization/track", &event).await
    }

    /// An interaction by our own API.
    pub async fn tracks(&self, kind: &str, sku: &str) -> Reply {
        let event = json!({"type": kind, "user_id": self.name, "product_id": sku});
        post(self.sidecar.api, "/api/interactions/track", &event).await
    }

    /// Searches milk and clicks Oat Milk, the fifth: the next search comes out in another order.
    pub async fn likes_oat_milk(&self) {
        let first = self.search("milk").await;
        assert_eq!(first.skus(), shelf(), "a shopper of whom nothing is known");
        assert_eq!(self.signals("click", "M5").await.status, 200);
    }

    /// What is known of the shopper.
    pub async fn preferences(&self) -> Value {
        self.sidecar.preferences(self.name).await
    }
}

/// Asks again until it holds; fails with `what` when it does not come true.
pub async fn eventually<F, Fut>(what: &str, mut holds: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
