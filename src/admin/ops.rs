//! The ops port, read-only: what the kubelet and Prometheus ask.
//!
//! `/livez` the process lives; `/readyz` it takes traffic; `/startupz` it has started; `/metrics`
//! Prometheus text; `/version` name and version. `/startupz` never asks the shop: a sidecar that
//! waits for its shop, and a shop that waits for its sidecar, would wait for ever.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};

use super::{Admin, describe};
use crate::openapi::Endpoints;

/// Health, metrics, version.
pub fn router(admin: Admin) -> Router {
    endpoints().router().with_state(admin)
}

pub(super) fn endpoints() -> Endpoints<Admin> {
    Endpoints::default()
        .get("/livez", async || "ok\n", describe::alive("livez", "The process lives"))
        .get("/startupz", async || "ok\n", describe::alive("startupz", "It has started"))
        .get("/readyz", ready, describe::ready())
        .get("/metrics", metrics, describe::metrics())
        .get("/version", version, describe::version())
}

async fn ready(State(admin): State<Admin>) -> Response {
    let why = match admin.reaches.missing() {
        _ if !admin.lifecycle.is_ready() => "draining\n".to_owned(),
        Some(leg) => format!("{} accepts no connection\n", leg.upstream()),
        None => return "ok\n".into_response(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.in_flight.set(i64::try_from(admin.lifecycle.in_flight()).unwrap_or(i64::MAX));
    admin.personalizer.measure();
    if let Some(log) = &admin.log {
        log.measure();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.text()).into_response()
}

async fn version() -> Json<describe::Version> {
    Json(describe::Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}
