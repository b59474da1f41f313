//! Floor 6: the operator's two ports.
//!
//! | port | path | what |
//! |---|---|---|
//! | ops, read-only | `GET /livez` `/readyz` `/startupz` | the process lives; takes traffic; has started |
//! | ops | `GET /metrics` `/version` | Prometheus text; name and version |
//! | admin, loopback | `GET /rules` | the live table, and why the last edit was rejected |
//! | admin | `POST /personalization/off`, `/on` | the kill switch: every route off, at once |
//! | admin | `POST /routes/{name}/on` | a route that its faults switched off, on again |
//!
//! Mutations are POST only. `/startupz` never asks the shop: a sidecar that waits for its shop, and
//! a shop that waits for its sidecar, would wait for ever.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::client::reach::Reach;
use crate::personalize::Personalizer;
use crate::reload::RulesTable;
use crate::shutdown::Lifecycle;
use crate::telemetry::metrics::Metrics;

/// What the operator looks at.
#[derive(Clone)]
pub struct Admin {
    /// The read path, with its switch.
    pub personalizer: Arc<Personalizer>,
    /// The rules.
    pub rules: Arc<RulesTable>,
    /// Who is being served.
    pub lifecycle: Arc<Lifecycle>,
    /// Does the shop accept connections?
    pub reach: Arc<Reach>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Read-only health and metrics.
pub fn ops(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/startupz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(admin)
}

/// The mutating port.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/rules", get(rules))
        .route("/personalization/off", post(switch_off))
        .route("/personalization/on", post(switch_on))
        .route("/routes/{name}/on", post(route_on))
        .with_state(admin)
}

async fn ready(State(admin): State<Admin>) -> Response {
    let why = match () {
        () if !admin.lifecycle.is_ready() => "draining\n",
        () if !admin.reach.is_up() => "the shop accepts no connection\n",
        () => return "ok\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.in_flight.set(i64::try_from(admin.lifecycle.in_flight()).unwrap_or(i64::MAX));
    admin.personalizer.measure();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.text()).into_response()
}

async fn version() -> Json<serde_json::Value> {
    Json(json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")}))
}

async fn rules(State(admin): State<Admin>) -> Response {
    let status = admin.rules.status();
    let problems = status.last_error.iter().flat_map(|all| all.iter());
    Json(json!({
        "version": &*status.version,
        "generation": status.generation,
        "loaded_at_ms": status.loaded_at.0,
        "source": status.source,
        "degraded": status.degraded.map(|degraded| degraded.reason()),
        "rejected_total": status.rejected_total,
        "last_error": problems.map(ToString::to_string).collect::<Vec<_>>(),
        "personalization": if admin.personalizer.is_on() { "on" } else { "off" },
    }))
    .into_response()
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
