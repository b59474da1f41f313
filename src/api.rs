//! Floor 6: our own endpoints, on one page.
//!
//! | path | what |
//! |---|---|
//! | `POST /api/interactions/track` | what shoppers did, learned before the answer goes out |
//! | `POST /1/events`, `/ubi_events` and below | the same in Algolia's and OpenSearch's words |
//! | `GET /api/users/{id}/preferences/live`, `/api/preferences/live?user_id=` | tastes of a user |
//! | `PUT`, `DELETE …/preferences/facets/{axis}/{value}` | their own word on one taste |
//! | `POST /api/search/personalized` | a search through the shop, with reasons |
//! | `GET /api/live?user_id=` | a WebSocket: what is learned of a user, as it happens |
//! | `GET`, `DELETE /api/users/{id}`, `PUT …/consent` | all that is known; forgets it; what may be |
//! | `POST /api/joins` | searches at another sidecar, in front of the shop |
//!
//! Served on a port of its own; the data port answers one only where the settings list it. Who names a
//! user must be one whom `border` lets speak for them. Never cached; pages of any origin may call.

mod body;
mod error;
mod field;
mod insights;
mod intake;
mod items;
mod joins;
mod live;
mod preferences;
mod refusal;
mod search;
mod track;
mod ubi;
mod users;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use futures_util::FutureExt;

pub use search::AskShop;

use crate::border::{Border, Peer};
use crate::config::Track;
use crate::observe::Observer;
use crate::personalize::Personalizer;
use crate::telemetry::limits::LimitHits;
use crate::telemetry::metrics::Metrics;
use crate::trust::Spoken;
use crate::types::clock::Clock;

/// What the endpoints work on.
#[derive(Clone)]
pub struct Api {
    /// Whose word counts.
    pub border: Arc<Border>,
    /// The write path.
    pub observer: Arc<Observer>,
    /// The read path.
    pub personalizer: Arc<Personalizer>,
    /// What reports of events may bring.
    pub limits: Track,
    /// Where reached limits are counted.
    pub limit_hits: Arc<LimitHits>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// What asks the shop, if there is one.
    pub shop: Option<Arc<dyn AskShop>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Longest request body, in bytes, where it is not one of events, which has a limit of its own.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// All endpoints.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/interactions/track", post(track::track))
        .route("/1/events", post(insights::events))
        .route("/ubi_events", post(ubi::collected))
        .route("/ubi_events/_doc", post(ubi::document))
        .route("/ubi_events/_doc/", post(ubi::document))
        .route("/ubi_events/_doc/{id}", post(ubi::named).put(ubi::named))
        .route("/ubi_events/_create/{id}", post(ubi::created).put(ubi::created))
        .route("/ubi_events/_bulk", post(ubi::bulk_of_events).put(ubi::bulk_of_events))
        .route("/_bulk", post(ubi::bulk_of_any).put(ubi::bulk_of_any))
        .route("/ubi_queries", post(ubi::queries))
        .route("/api/users/{id}/preferences/live", get(preferences::by_path))
        .route("/api/preferences/live", get(preferences::by_query))
        .route(
            "/api/users/{id}/preferences/facets/{axis}/{value}",
            put(preferences::facets::put).delete(preferences::facets::clear),
        )
        .route("/api/search/personalized", post(search::personalized))
        .route("/api/live", get(live::live))
        .route("/api/users/{id}", get(users::export).delete(users::erase))
        .route("/api/users/{id}/consent", put(users::consent))
        .route("/api/joins", post(joins::told))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(Arc::<body::Room>::default()))
        .layer(middleware::from_fn_with_state(api.clone(), heard))
        .layer(middleware::from_fn(open_to_pages))
        .with_state(api)
}

/// Hears what the peer says to us; on the data port that was done before.
async fn heard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let mut spoken = head.extensions.remove::<Spoken>().unwrap_or_else(|| {
        let peer = head.extensions.get::<Peer>().and_then(|peer| peer.0);
        api.border.hear(&mut head, peer)
    });
    spoken.user = spoken.user.or_else(|| api.border.proven_user(&head));
    head.extensions.insert(spoken);
    if api.border.opts_out(&head) {
        // One word for it from here on.
        head.headers.insert("sec-gpc", HeaderValue::from_static("1"));
    }
    next.run(Request::from_parts(head, body)).await
}

/// Lets pages of any origin call us, answers their preflights, forbids caching, and turns a panic
/// into a 500: it must not end the connection, on which the shop's replies may be under way.
async fn open_to_pages(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).filter(|_| takes_reports(&request)).cloned();
    let mut reply = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answer.unwrap_or_else(|_| {
            tracing::error!("a panic was caught in our own API");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })
    };
    let headers = reply.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE, OPTIONS"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, x-user-id, x-session-id, x-personalization, \
             x-algolia-application-id, x-algolia-api-key, x-algolia-agent",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(origin) = origin {
        // A beacon always sends what cookies there are, and browsers let that pass only to who names
        // the page's origin. No endpoint of ours reads a cookie here.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let yes = HeaderValue::from_static("true");
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    reply
}

/// Is this a path to which pages report, and from which nothing is read?
fn takes_reports(request: &Request) -> bool {
    let path = request.uri().path();
    path == "/api/interactions/track" || path == "/1/events" || path.starts_with("/ubi_")
}
