//! Floor 6: the operator's two ports.
//!
//! | port | path | what |
//! |---|---|---|
//! | ops, read-only | `GET /livez` `/readyz` `/startupz` `/metrics` `/version` | see `ops` |
//! | admin, loopback | `GET /openapi.json` | all of this in the words of OpenAPI |
//! | admin | `GET /rules` `/status` | the live table; the funnel of each route and its biggest leak |
//! | admin, operators | `POST /rules/preview` | what an edit of the rules would change; it changes nothing |
//! | admin, operators | `GET /tap` `/explain/{query}` | searches as they end; one of them, explained |
//! | admin | `GET /spool`; operators: `/events/tail`, `/spool/dlq`, `POST …/retry`, `/drop` | the event log |
//! | admin, operators | `POST /personalization/off`, `/on` | the kill switch: every route off, at once |
//! | admin, operators | `POST /routes/{name}/on` | a route that its faults switched off, on again |
//!
//! What changes something is POST and wants an operator's token. The whole admin port turns pages
//! in browsers away, and wants the token for everything where it listens beyond loopback.

mod describe;
mod events;
mod follow;
mod ops;
pub mod preview;
pub mod status;

pub use ops::router as ops;

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::Value;

use crate::border::{Border, is_deliberate, name_us};
use crate::client::reach::Reaches;
use crate::config::RulesFile;
use crate::openapi::Endpoints;
use crate::personalize::Personalizer;
use crate::reload::RulesTable;
use crate::shutdown::Lifecycle;
use crate::spool::Spool;
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
    /// The event log, where there is one.
    pub log: Option<Arc<Spool>>,
    /// Nobody but this host reaches the admin port.
    pub loopback: bool,
}

/// The admin port.
pub fn router(admin: Admin) -> Router {
    let operator = || middleware::from_fn_with_state(admin.clone(), operator);
    let free = |router: Router<Admin>| {
        if admin.loopback { router } else { router.layer(operator()) }
    };
    told_to_all()
        .within(free)
        .and(for_operators().within(|router| router.layer(operator())))
        .router()
        .fallback(async || refused(StatusCode::NOT_FOUND, "no_such_path"))
        .method_not_allowed_fallback(async || refused(StatusCode::METHOD_NOT_ALLOWED, "method"))
        .layer(middleware::from_fn(deliberate))
        .with_state(admin)
}

/// Both ports' endpoints in the words of OpenAPI 3.1.
pub fn document() -> Value {
    told_to_all().and(for_operators()).and(ops::endpoints()).document(&describe::ABOUT)
}

fn told_to_all() -> Endpoints<Admin> {
    Endpoints::default()
        .get("/rules", rules, describe::rules())
        .get("/status", status::status, describe::status())
        .get("/spool", events::spool, events::described_spool())
        .get("/openapi.json", async || Json(document()), describe::document())
}

fn for_operators() -> Endpoints<Admin> {
    let off = describe::switch("switchOff", "The kill switch: every route off, at once");
    let on = describe::switch("switchOn", "Every route as the settings have it");
    Endpoints::default()
        .post("/rules/preview", preview::preview, describe::preview())
        .get("/tap", follow::tap, describe::tap())
        .get("/explain/{query}", follow::explain, describe::explain())
        .get("/events/tail", events::tail, events::described_tail())
        .get("/spool/dlq", events::dead, events::described_dead())
        .post("/spool/dlq/retry", events::retry, events::described_retry())
        .post("/spool/dlq/drop", events::drop_dead, events::described_drop())
        .post("/personalization/off", switch_off, off)
        .post("/personalization/on", switch_on, on)
        .post("/routes/{name}/on", route_on, describe::route_on())
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
    let problem = describe::Problem { error: reason, from: "leafrank" };
    let mut reply = (status, Json(problem)).into_response();
    name_us(reply.headers_mut(), reason);
    reply
}

async fn rules(State(admin): State<Admin>) -> Response {
    Json(rules_of(&admin)).into_response()
}

fn rules_of(admin: &Admin) -> describe::RulesInForce {
    let status = admin.rules.status();
    let problems = status.last_error.iter().flat_map(|all| all.iter());
    describe::RulesInForce {
        version: status.version.to_string(),
        model: status.model.as_deref().map(str::to_owned),
        generation: status.generation,
        loaded_at_ms: status.loaded_at.0,
        source: status.source,
        degraded: status.degraded.map(|degraded| degraded.reason()),
        rejected_total: status.rejected_total,
        last_error: problems.map(ToString::to_string).collect(),
        personalization: if admin.personalizer.is_on() { "on" } else { "off" },
    }
}

async fn switch_off(State(admin): State<Admin>) -> Json<describe::Switch> {
    admin.personalizer.switch(false);
    Json(describe::Switch { personalization: "off" })
}

async fn switch_on(State(admin): State<Admin>) -> Json<describe::Switch> {
    admin.personalizer.switch(true);
    Json(describe::Switch { personalization: "on" })
}

async fn route_on(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    match admin.personalizer.breaker_of(&name) {
        Some(breaker) => {
            let was_tripped = breaker.switch_on();
            Json(describe::RouteOn { route: name, was_tripped }).into_response()
        }
        None => refused(StatusCode::NOT_FOUND, "no_such_route"),
    }
}
