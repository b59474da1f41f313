//! The demo shop's routes: LeafLoaf's contract for search, order and tracking, and our own
//! product page and cart.
//!
//! In: HTTP requests. Out: replies in LeafLoaf's shapes, with its headers (`x-cache`,
//! `x-response-time`, CORS `*` with preflights answered). Never keeps what is tracked and never
//! ranks by shopper. Limits: bodies of [`BODY_BYTES_MAX`].

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cart::{Carts, Line, QUANTITY_MAX};
use super::catalog::{Catalog, Product};
use super::index::SearchIndex;
use super::reply::{self, ProductReply, SearchReply, SearchRun};
use super::request::{Body, Invalid, SearchRequest};
use super::weaviate;
use crate::rules::knowledge::words;
use crate::types::clock::{Clock, SystemClock};

/// Largest request body, in bytes.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// Signal types that LeafLoaf's engine knows; to others it answers with an inner failure.
const SIGNAL_TYPES: [&str; 6] =
    ["click", "add_to_cart", "purchase", "view_details", "remove_from_cart", "scroll_past"];

/// One demo shop: its catalogue, index and carts.
pub struct Shop {
    pub(super) catalog: Catalog,
    pub(super) index: SearchIndex,
    carts: Carts,
    clock: SystemClock,
}

impl Shop {
    /// Opens the shop: indexes the catalogue.
    ///
    /// # Errors
    /// What tantivy says when the index cannot be built.
    pub fn open(catalog: Catalog) -> tantivy::Result<Arc<Self>> {
        let index = SearchIndex::build(catalog.products())?;
        Ok(Arc::new(Self {
            catalog,
            index,
            carts: Carts::default(),
            clock: SystemClock::default(),
        }))
    }

    fn ms_since(&self, started_us: u64) -> f64 {
        self.clock.monotonic_us().saturating_sub(started_us) as f64 / 1000.0
    }

    fn search(&self, request: &SearchRequest) -> tantivy::Result<SearchReply> {
        let started_us = self.clock.monotonic_us();
        let products = self.catalog.products();
        let keep = |at: usize| {
            let product = &products[at];
            request.price_max.is_none_or(|most| product.price <= most)
                && request.dietary.iter().all(|diet| product.attributes.contains(diet))
        };
        let found = self.index.search(&request.query, request.limit, keep)?;
        let search_ms = self.ms_since(started_us);
        let run = SearchRun {
            limit: request.limit,
            found: found.len(),
            search_ms,
            total_ms: search_ms,
            show_all: request.show_all,
        };
        Ok(reply::search(&request.query, run, found.iter().map(|at| &products[*at])))
    }
}

/// The router over an open shop.
pub fn routes(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/health", get(health))
        .route("/api/v1/search", post(search))
        .route("/api/v1/order", post(order))
        .route("/api/v1/track/click", post(track_click))
        .route("/api/personalization/track", post(track))
        .route("/product/{sku}", get(product))
        .route("/cart", get(cart))
        .route("/cart/add", post(cart_add))
        .route("/cart/remove", post(cart_remove))
        .route("/cart/checkout", post(cart_check_out))
        .route("/v1/graphql", post(weaviate::answer))
        .fallback(|| async { detail(StatusCode::NOT_FOUND, "Not Found") })
        .method_not_allowed_fallback(|| async {
            detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(shop.clone(), dress))
        .with_state(shop)
}

impl IntoResponse for Invalid {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(self)).into_response()
    }
}

fn detail(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"detail": text}))).into_response()
}

/// Adds the headers of every reply and answers CORS preflights.
async fn dress(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    let started_us = shop.clock.monotonic_us();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if let (Some(origin), true) = (&origin, asks) {
        return preflight(origin.clone(), request.headers());
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if origin.is_some() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.insert(HeaderName::from_static("x-cache"), HeaderValue::from_static("MISS"));
    let took = format!("{:.2}ms", shop.ms_since(started_us));
    if let Ok(took) = HeaderValue::from_str(&took) {
        headers.insert(HeaderName::from_static("x-response-time"), took);
    }
    let no_redis = HeaderValue::from_static("False");
    headers.insert(HeaderName::from_static("x-redis-enabled"), no_redis);
    response
}

fn preflight(origin: HeaderValue, asked: &HeaderMap) -> Response {
    let mut response = "OK".into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
    );
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}

async fn root() -> Response {
    let endpoints = json!({
        "health": "/health",
        "search": "POST /api/v1/search",
        "graphql": "POST /v1/graphql",
        "product": "GET /product/{sku}",
        "cart": "GET /cart, POST /cart/add, /cart/remove, /cart/checkout",
    });
    let page = json!({
        "service": "Leafrank demo shop",
        "version": env!("CARGO_PKG_VERSION"),
        "status": "running",
        "endpoints": endpoints,
    });
    Json(page).into_response()
}

async fn health(State(shop): State<Arc<Shop>>) -> Response {
    let now = jiff::Timestamp::from_millisecond(shop.clock.now().0).unwrap_or_default();
    let page = json!({
        "status": "healthy",
        "service": "leafrank-demo",
        "version": env!("CARGO_PKG_VERSION"),
        "products": shop.catalog.products().len(),
        "timestamp": now.to_string(),
    });
    Json(page).into_response()
}

async fn search(State(shop): State<Arc<Shop>>, body: Bytes) -> Result<Response, Invalid> {
    let request = SearchRequest::parse(&body)?;
    Ok(match shop.search(&request) {
        Ok(reply) => Json(reply).into_response(),
        Err(error) => {
            tracing::error!(%error, "the demo shop's search failed");
            detail(StatusCode::INTERNAL_SERVER_ERROR, "Search failed")
        }
    })
}

/// Understands "add 2 oat milk to cart"; the reply, as LeafLoaf's, does not tell.
async fn order(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Invalid> {
    let started_us = shop.clock.monotonic_us();
    let request = SearchRequest::parse(&body)?;
    let session = request.session_id.as_deref();
    let whose = whose(request.user_id.as_deref(), session, &headers);
    let stems = words::stems(&request.query);
    let says = |word: &str| stems.iter().any(|stem| stem == word);
    let intent = if says("confirm") || says("checkout") {
        whose.map(|whose| shop.carts.check_out(&whose));
        "Checkout"
    } else if says("add") {
        let quantity = stems.iter().find_map(|stem| stem.parse().ok()).unwrap_or(1);
        let wanted: Vec<String> = words::content_stems(&request.query);
        let wanted: Vec<&str> =
            wanted.iter().map(String::as_str).filter(|stem| stem.parse::<u64>().is_err()).collect();
        let best = shop.index.full_text(&wanted.join(" ")).unwrap_or_default();
        if let (Some(whose), Some(at)) = (whose, best.first()) {
            shop.carts.add(&whose, &shop.catalog.products()[*at].sku, quantity);
        }
        "Add to cart"
    } else if says("remov") {
        "Remove from cart"
    } else {
        "List cart"
    };
    Ok(Json(reply::order(&request.query, intent, shop.ms_since(started_us))).into_response())
}

#[derive(Serialize)]
struct Tracked {
    success: bool,
    data: TrackedInside,
    message: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum TrackedInside {
    Known { success: bool, update_time_ms: f64, signal_type: String, preference_count: u32 },
    Unknown { success: bool, error: String, update_time_ms: f64 },
}

async fn track(State(shop): State<Arc<Shop>>, body: Bytes) -> Result<Response, Invalid> {
    let started_us = shop.clock.monotonic_us();
    let mut body = Body::parse(&body)?;
    body.text("user_id");
    let signal_type = body.text("signal_type");
    body.object("product");
    body.finish()?;
    let update_time_ms = shop.ms_since(started_us);
    let data = if SIGNAL_TYPES.contains(&signal_type.as_str()) {
        TrackedInside::Known { success: true, update_time_ms, signal_type, preference_count: 1 }
    } else {
        let error = format!("'{signal_type}' is not a valid SignalType");
        TrackedInside::Unknown { success: false, error, update_time_ms }
    };
    let message = "Interaction tracked successfully";
    Ok(Json(Tracked { success: true, data, message }).into_response())
}

async fn track_click(body: Bytes) -> Result<Response, Invalid> {
    let mut body = Body::parse(&body)?;
    body.object("product");
    body.finish()?;
    Ok(Json(json!({"success": true})).into_response())
}

#[derive(Serialize)]
struct ProductPage {
    product: ProductDetails,
}

#[derive(Serialize)]
struct ProductDetails {
    #[serde(flatten)]
    shown: ProductReply,
    brand: String,
    size: String,
}

async fn product(State(shop): State<Arc<Shop>>, Path(sku): Path<String>) -> Response {
    let Some(product) = shop.catalog.get(&sku) else { return no_product() };
    let shown = ProductReply::of(product);
    let product =
        ProductDetails { shown, brand: product.brand.clone(), size: product.size.clone() };
    Json(ProductPage { product }).into_response()
}

fn no_product() -> Response {
    detail(StatusCode::NOT_FOUND, "Product not found")
}

/// Whose cart: the user of the header unless anonymous, of the body, else the session.
fn whose(user: Option<&str>, session: Option<&str>, headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let named =
        |id: Option<&str>| id.filter(|id| !id.is_empty() && *id != "anonymous").map(str::to_owned);
    named(header("x-user-id")).or_else(|| named(user)).map(|user| format!("user:{user}")).or_else(
        || {
            let session = named(session).or_else(|| named(header("x-session-id")));
            session.map(|session| format!("session:{session}"))
        },
    )
}

fn nobody() -> Response {
    detail(StatusCode::BAD_REQUEST, "user_id or session_id is needed")
}

#[derive(Deserialize)]
struct CartQuery {
    user_id: Option<String>,
    session_id: Option<String>,
}

#[derive(Serialize)]
struct CartPage {
    cart: CartReply,
}

#[derive(Serialize)]
struct CartReply {
    lines: Vec<CartLine>,
    total: f64,
}

#[derive(Serialize)]
struct CartLine {
    sku: String,
    product_name: String,
    quantity: u64,
    price: f64,
}

fn cart_page(shop: &Shop, whose: &str) -> Response {
    let line = |line: Line| {
        let product: &Product = shop.catalog.get(&line.sku)?;
        let product_name = product.name.clone();
        Some(CartLine {
            sku: line.sku,
            product_name,
            quantity: line.quantity,
            price: product.price,
        })
    };
    let lines: Vec<CartLine> = shop.carts.lines(whose).into_iter().filter_map(line).collect();
    let total = lines.iter().fold(0.0, |sum, line| sum + line.price * line.quantity as f64);
    let total = (total * 100.0_f64).round() / 100.0;
    Json(CartPage { cart: CartReply { lines, total } }).into_response()
}

async fn cart(
    State(shop): State<Arc<Shop>>,
    Query(query): Query<CartQuery>,
    headers: HeaderMap,
) -> Response {
    match whose(query.user_id.as_deref(), query.session_id.as_deref(), &headers) {
        Some(whose) => cart_page(&shop, &whose),
        None => nobody(),
    }
}

/// The parts that all cart bodies have: whose cart, and the sku.
struct CartBody {
    whose: Option<String>,
    body: Body,
}

impl CartBody {
    fn parse(bytes: &[u8], headers: &HeaderMap) -> Result<Self, Invalid> {
        let mut body = Body::parse(bytes)?;
        let (user, session) = (body.optional_text("user_id"), body.optional_text("session_id"));
        Ok(Self { whose: whose(user.as_deref(), session.as_deref(), headers), body })
    }
}

async fn cart_add(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Invalid> {
    let CartBody { whose, mut body } = CartBody::parse(&bytes, &headers)?;
    let sku = body.text("sku");
    let quantity = body.count("quantity", 1, QUANTITY_MAX);
    body.finish()?;
    let Some(whose) = whose else { return Ok(nobody()) };
    if shop.catalog.get(&sku).is_none() {
        return Ok(no_product());
    }
    if !shop.carts.add(&whose, &sku, quantity) {
        return Ok(detail(StatusCode::CONFLICT, "The cart is full"));
    }
    Ok(cart_page(&shop, &whose))
}

async fn cart_remove(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Invalid> {
    let CartBody { whose, mut body } = CartBody::parse(&bytes, &headers)?;
    let sku = body.text("sku");
    let all = body.value("quantity").is_none_or(Value::is_null);
    let quantity = body.count("quantity", 1, QUANTITY_MAX);
    body.finish()?;
    let Some(whose) = whose else { return Ok(nobody()) };
    if !shop.carts.remove(&whose, &sku, (!all).then_some(quantity)) {
        return Ok(detail(StatusCode::NOT_FOUND, "Not in the cart"));
    }
    Ok(cart_page(&shop, &whose))
}

#[derive(Serialize)]
struct OrderPage {
    order: OrderReply,
}

#[derive(Serialize)]
struct OrderReply {
    lines: Vec<Line>,
}

/// Orders the lines that the body names, else what is in the cart; the cart is empty afterwards.
async fn cart_check_out(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Invalid> {
    let CartBody { whose, body } = CartBody::parse(&bytes, &headers)?;
    let named = body.value("lines").filter(|lines| !lines.is_null()).cloned();
    body.finish()?;
    let Some(whose) = whose else { return Ok(nobody()) };
    let named: Option<Vec<Line>> = match named.map(serde_json::from_value).transpose() {
        Ok(named) => named,
        Err(_) => {
            let text = "lines must be a list of {sku, quantity}";
            return Ok(detail(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
    };
    let lines = named.as_deref().unwrap_or_default();
    if lines.iter().any(|line| shop.catalog.get(&line.sku).is_none()) {
        return Ok(no_product());
    }
    let in_cart = shop.carts.check_out(&whose);
    Ok(Json(OrderPage { order: OrderReply { lines: named.unwrap_or(in_cart) } }).into_response())
}
