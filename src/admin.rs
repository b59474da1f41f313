//! Floor 6: the operator's two ports.
//!
//! | port | path | what |
//! |---|---|---|
//! | ops, read-only | `GET /livez` `/readyz` `/startupz` `/metrics` `/version` | see `ops` |
//! | admin, loopback | `GET /rules` | the live table, and why the last edit was rejected |
//! | admin | `GET /status` | the funnel of each route, and its biggest leak |
//! | admin, operators | `POST /rules/preview` | what an edit of the rules would change; it changes nothing |
//! | admin, operators | `GET /tap` `/explain/{query}` | searches as they end; one of them, explained |
//! | admin, operators | `POST /personalization/off`, `/on` | the kill switch: every route off, at once |
//! | admin, operators | `POST /routes/{name}/on` | a route that its faults switched off, on again |
//!
//! What changes something is POST and wants an operator's token. The whole admin port turns pages
//! in browsers away, and wants the token for everything where it listens beyond loopback.

mod follow;
mod ops;
mod preview;
pub mod status;

pub use ops::router as ops;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::border::{Border, is_deliberate, name_us};
use crate::client::reach::Reaches;
use crate::config::RulesFile;
use crate::personalize::Personalizer;
use crate::reload::RulesTable;
use crate::shutdown::Lifecycle;
use crate::telemetry::metrics::Metrics;

/// What the operator looks at.
#[derive(Clone)]
pub struct Admin {
    /// Whose word counts.
    pub border: Arc<Border>,
    /// The read path, with its switch.
    pub personalizer: Arc<Personalizer>,
    /// The rules.
    pub rules: Arc<RulesTable>,
    /// Where they are read from.
    pub rules_file: RulesFile,
    /// Who is being served.
    pub lifecycle: Arc<Lifecycle>,
    /// Do the upstreams accept connections?
    pub reaches: Arc<Reaches>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Nobody but this host reaches the admin port.
    pub loopback: bool,
}

/// The admin port.
pub fn router(admin: Admin) -> Router {
    let told_to_all =
        Router::new().route("/rules", get(rules)).route("/status", get(status::status));
    let for_operators = Router::new()
        .route("/rules/preview", post(preview::preview))
        .route("/tap", get(follow::tap))
        .route("/explain/{query}", get(follow::explain))
        .route("/personalization/off", post(switch_off))
        .route("/personalization/on", post(switch_on))
        .route("/routes/{name}/on", post(route_on));
    let operator = || middleware::from_fn_with_state(admin.clone(), operator);
    let told_to_all = if admin.loopback { told_to_all } else { told_to_all.layer(operator()) };
    told_to_all
        .merge(for_operators.layer(operator()))
        .layer(middleware::from_fn(deliberate))
        .with_state(admin)
}

/// Turns away what a page in somebody's browser makes it ask.
async fn deliberate(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    if is_deliberate(&head) {
        return next.run(Request::from_parts(head, body)).await;
    }
    refused(StatusCode::FORBIDDEN, "foreign_origin")
}

/// Wants an operator's token.
async fn operator(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    if admin.border.is_operator(request.headers()) {
        return next.run(request).await;
    }
    let mut reply = refused(StatusCode::UNAUTHORIZED, "operator_token");
    reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    reply
}

fn refused(status: StatusCode, reason: &'static str) -> Response {
    let mut reply = (status, Json(json!({"error": reason, "from": "leafrank"}))).into_response();
    name_us(reply.headers_mut(), reason);
    reply
}

async fn rules(State(admin): State<Admin>) -> Response {
    Json(rules_of(&admin)).into_response()
}

fn rules_of(admin: &Admin) -> serde_json::Value {
    let status = admin.rules.status();
    let problems = status.last_error.iter().flat_map(|all| all.iter());
    json!({
        "version": &*status.version,
        "generation": status.generation,
        "loaded_at_ms": status.loaded_at.0,
        "source": status.source,
        "degraded": status.degraded.map(|degraded| degraded.reason()),
        "rejected_total": status.rejected_total,
        "last_error": problems.map(ToString::to_string).collect::<Vec<_>>(),
        "personalization": if admin.personalizer.is_on() { "on" } else { "off" },
    })
}

async fn switch_off(State(admin): State<Admin>) -> Json<serde_json::Value> {
    admin.personalizer.switch(false);
    Json(json!({"personalization": "off"}))
}

async fn switch_on(State(admin): State<Admin>) -> Json<serde_json::Value> {
    admin.personalizer.switch(true);
    Json(json!({"personalization": "on"}))
}

async fn route_on(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match admin.personalizer.breaker_of(&name) {
        Some(breaker) => {
            let was_tripped = breaker.switch_on();
            Json(json!({"route": name, "was_tripped": was_tripped})).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such route\n").into_response(),
    }
}
