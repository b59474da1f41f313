//! The shapes of LeafLoaf's replies, key for key in its order.
//!
//! In: products and what was asked. Out: values that serialise to the recorded bodies' shape.
//! `product_id` is a new random UUID in every reply and `score` is always null, as in the real
//! shop; `dietary_info` is always empty. Never ranks.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use serde::Serialize;

use super::catalog::Product;

/// Most products a reply shows, whatever the limit: LeafLoaf's own cap.
pub const PRODUCTS_SHOWN_MAX: usize = 15;

/// The reply to a search or an order.
#[derive(Clone, Debug, Serialize)]
pub struct SearchReply {
    success: bool,
    query: String,
    results: Option<Nothing>,
    products: Vec<ProductReply>,
    metadata: Metadata,
    execution: Execution,
    conversation: Conversation,
    message: String,
    error: Option<Nothing>,
    pagination: Option<Nothing>,
    langsmith_trace_url: Option<Nothing>,
    suggestions: Option<Nothing>,
    order: Option<Nothing>,
}

/// One product as replies show it.
#[derive(Clone, Debug, Serialize)]
pub struct ProductReply {
    product_id: String,
    sku: String,
    product_name: String,
    product_description: &'static str,
    price: f64,
    supplier: String,
    category: String,
    dietary_info: [String; 0],
    in_stock: bool,
    score: Option<f64>,
}

/// An object without keys.
#[derive(Clone, Copy, Debug, Serialize)]
struct Nothing {}

/// How a search went.
#[derive(Clone, Copy, Debug)]
pub struct SearchRun {
    /// What the caller wanted, 1..=50.
    pub limit: usize,
    /// Products found, at most `limit`.
    pub found: usize,
    /// Time the search took, in milliseconds.
    pub search_ms: f64,
    /// Time the whole request took so far, in milliseconds.
    pub total_ms: f64,
    /// Whether the caller asked for everything.
    pub show_all: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Metadata {
    Search(Box<SearchMetadata>),
    Order(Nothing),
}

#[derive(Clone, Debug, Serialize)]
struct SearchMetadata {
    total_count: usize,
    original_count: usize,
    category_filtered: bool,
    excluded_categories: [String; 0],
    categories: [String; 0],
    brands: [String; 0],
    search_metadata: InnerMetadata,
    search_config: SearchConfig,
}

#[derive(Clone, Debug, Serialize)]
struct InnerMetadata {
    query: String,
    alpha: f64,
    count: usize,
    original_count: usize,
    filtered_count: usize,
    category_filtered: bool,
    excluded_categories: [String; 0],
    search_type: &'static str,
    search_config: SearchConfig,
    personalization_applied: bool,
    personalization_metrics: Nothing,
    graphiti_mode: Option<Nothing>,
    graphiti_applied: bool,
    show_all: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct SearchConfig {
    strategy: &'static str,
    alpha: f64,
    search_time_ms: f64,
    connection_pooling: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Execution {
    total_time_ms: f64,
    agent_timings: Timings,
    reasoning_steps: [String; 1],
    agents_run: [String; 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Timings {
    supervisor: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    product_search: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_agent: Option<f64>,
    response_compiler: f64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Conversation {
    Search { intent: &'static str, confidence: f64, response: String },
    Order(Nothing),
}

impl ProductReply {
    /// The product as a reply shows it, under a new id.
    pub fn of(product: &Product) -> Self {
        Self {
            product_id: random_uuid(),
            sku: product.sku.clone(),
            product_name: product.name.clone(),
            product_description: "",
            price: product.price,
            supplier: product.brand.clone(),
            category: product.category.clone(),
            dietary_info: [],
            in_stock: true,
            score: None,
        }
    }
}

/// The reply to a search; `products` are those found, best first, of which 15 are shown.
pub fn search<'a>(
    query: &str,
    run: SearchRun,
    products: impl Iterator<Item = &'a Product>,
) -> SearchReply {
    let message = match run.found {
        0 => "No products found. Try broadening your search.".to_owned(),
        found => format!("Found {found} products matching your search."),
    };
    let timings = Timings { product_search: Some(run.search_ms), ..Timings::default() };
    SearchReply {
        products: products.take(PRODUCTS_SHOWN_MAX).map(ProductReply::of).collect(),
        metadata: Metadata::Search(Box::new(metadata(query, run))),
        execution: Execution {
            timeout_ms: Some(5000),
            ..execution(run.total_ms, timings, "Default to product search")
        },
        conversation: Conversation::Search {
            intent: "product_search",
            confidence: 0.8,
            response: message.clone(),
        },
        ..skeleton(query, message)
    }
}

/// The reply to an order in words; LeafLoaf's says no more than that it was processed.
pub fn order(query: &str, intent: &str, total_ms: f64) -> SearchReply {
    let timings = Timings { order_agent: Some(total_ms), ..Timings::default() };
    SearchReply {
        execution: Execution {
            agent: Some("order_agent"),
            ..execution(total_ms, timings, &format!("{intent} intent detected"))
        },
        ..skeleton(query, "Order processed.".to_owned())
    }
}

fn skeleton(query: &str, message: String) -> SearchReply {
    SearchReply {
        success: true,
        query: query.to_owned(),
        results: None,
        products: Vec::new(),
        metadata: Metadata::Order(Nothing {}),
        execution: execution(0.0, Timings::default(), ""),
        conversation: Conversation::Order(Nothing {}),
        message,
        error: None,
        pagination: None,
        langsmith_trace_url: None,
        suggestions: None,
        order: None,
    }
}

fn execution(total_time_ms: f64, agent_timings: Timings, step: &str) -> Execution {
    Execution {
        total_time_ms,
        agent_timings,
        reasoning_steps: [format!("Voice-native (0ms): {step}")],
        agents_run: [],
        timeout_ms: None,
        agent: None,
    }
}

fn metadata(query: &str, run: SearchRun) -> SearchMetadata {
    // The shop asks its engine for three times the limit, within 30 and 50.
    let original_count = (run.limit * 3).clamp(30, 50);
    let config = |alpha| SearchConfig {
        strategy: "hybrid",
        alpha,
        search_time_ms: run.search_ms,
        connection_pooling: false,
    };
    SearchMetadata {
        total_count: run.found,
        original_count,
        category_filtered: false,
        excluded_categories: [],
        categories: [],
        brands: [],
        search_metadata: InnerMetadata {
            query: query.to_owned(),
            alpha: 0.5,
            count: run.found,
            original_count,
            filtered_count: original_count,
            category_filtered: false,
            excluded_categories: [],
            search_type: "hybrid",
            search_config: config(0.7),
            personalization_applied: false,
            personalization_metrics: Nothing {},
            graphiti_mode: None,
            graphiti_applied: false,
            show_all: run.show_all,
        },
        search_config: config(0.5),
    }
}

/// A version 4 UUID from the process's own hash seeds; for ids only, not for secrets.
fn random_uuid() -> String {
    let half = || RandomState::new().build_hasher().finish();
    let bits = (u128::from(half()) << 64) | u128::from(half());
    let bits = (bits & !(0xF << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_ids_are_fresh_version_4_uuids() {
        let (one, other) = (random_uuid(), random_uuid());
        assert_ne!(one, other);
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'));
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }

    #[test]
    fn the_found_count_is_not_capped_but_the_list_is() {
        let catalog = crate::demo::Catalog::ours();
        let run =
            SearchRun { limit: 20, found: 20, search_ms: 1.0, total_ms: 2.0, show_all: false };
        let reply = search("zzzz", run, catalog.products().iter());
        assert_eq!(reply.products.len(), PRODUCTS_SHOWN_MAX);
        assert_eq!(reply.message, "Found 20 products matching your search.");
    }
}
