//! A shopper's browser, as far as the stories need one.
//!
//! In: requests of one shopper. Out: the reply's body and its `X-Leafrank` words. Real sockets; no
//! cookies, no retries.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// What came back.
pub(super) struct Answer {
    pub(super) outcome: String,
    pub(super) body: Bytes,
}

/// One shopper, who sends the headers that LeafLoaf's own pages send.
pub(super) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    user: &'static str,
}

impl Browser {
    pub(super) fn new(user: &'static str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), user }
    }

    pub(super) async fn get(&self, to: SocketAddr, path: &str) -> anyhow::Result<Answer> {
        self.send(to, "GET", path, Bytes::new()).await
    }

    pub(super) async fn search(&self, to: SocketAddr, query: &str) -> anyhow::Result<Answer> {
        let body = serde_json::json!({"query": query, "limit": 15}).to_string();
        self.send(to, "POST", "/api/v1/search", Bytes::from(body)).await
    }

    /// Buys so many of one product, at the shop's checkout.
    pub(super) async fn buy(&self, to: SocketAddr, sku: &str, units: u32) -> anyhow::Result<()> {
        let order = serde_json::json!({"lines": [{"sku": sku, "quantity": units}]}).to_string();
        self.send(to, "POST", "/cart/checkout", Bytes::from(order)).await.map(drop)
    }

    /// How many of each product are suggested with a search.
    pub(super) async fn suggested(
        &self,
        to: SocketAddr,
        query: &str,
    ) -> anyhow::Result<HashMap<String, u64>> {
        let question = serde_json::json!({"query": query, "user_id": self.user}).to_string();
        let asked =
            self.send(to, "POST", "/api/search/personalized", Bytes::from(question)).await?;
        let reply: Value = serde_json::from_slice(&asked.body)?;
        let hits = reply["results"].as_array().context("no results in the reply")?;
        let one = |hit: &Value| {
            Some((hit["product_id"].as_str()?.to_owned(), hit["suggested_quantity"].as_u64()?))
        };
        Ok(hits.iter().filter_map(one).collect())
    }

    async fn send(
        &self,
        to: SocketAddr,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{to}{path}"))
            .header("content-type", "application/json")
            .header("x-user-id", self.user)
            .body(Full::new(body))?;
        let reply = self.client.request(request).await.context(format!("{method} {path}"))?;
        anyhow::ensure!(reply.status().is_success(), "{method} {path}: {}", reply.status());
        let outcome = reply.headers().get("x-leafrank").and_then(|v| v.to_str().ok());
        let outcome = outcome.unwrap_or_default().to_owned();
        let body = reply.into_body().collect().await?.to_bytes();
        Ok(Answer { outcome, body })
    }
}

impl Answer {
    /// (sku, name) of each hit.
    pub(super) fn hits(&self) -> anyhow::Result<Vec<(String, String)>> {
        let body: Value = serde_json::from_slice(&self.body)?;
        let products = body["products"].as_array().context("no products in the reply")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(products.iter().map(|p| (text(&p["sku"]), text(&p["product_name"]))).collect())
    }

    /// The price of each hit that has one.
    pub(super) fn prices(&self) -> anyhow::Result<HashMap<String, f64>> {
        let body: Value = serde_json::from_slice(&self.body)?;
        let products = body["products"].as_array().context("no products in the reply")?;
        let priced = |p: &Value| Some((p["sku"].as_str()?.to_owned(), p["price"].as_f64()?));
        Ok(products.iter().filter_map(priced).collect())
    }
}
