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
//! | `POST /api/joins`, `GET /openapi.json` | searches at another sidecar; all of this for programs |
//!
//! Served on a port of its own; the data port answers one of these only where the settings list it.
//! Who may ask about a user, `border` says. Never cached; pages of any origin may call.

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
mod sent;
mod shape;
mod track;
mod trouble;
mod ubi;
mod users;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use futures_util::FutureExt;
use serde_json::Value;

use error::ApiError;
pub use search::AskShop;

use crate::border::{Border, Peer};
use crate::config::Track;
use crate::observe::Observer;
use crate::openapi::{About, Endpoints, Operation, Scheme};
use crate::personalize::Personalizer;
use crate::spool::Spool;
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
    /// Where events are written down, if they are.
    pub log: Option<Arc<Spool>>,
    /// What asks the shop, if there is one.
    pub shop: Option<Arc<dyn AskShop>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Longest request body, in bytes, where it is not one of events, which has a limit of its own.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Who may ask about a user, or act as one.
const SPEAKS: &[&str] = &["apiToken", "userToken", "peerToken"];
/// Anybody may; who proves something is believed more.
const TEACHES: &[&str] = &["", "apiToken", "userToken", "peerToken"];

/// All endpoints.
pub fn router(api: Api) -> Router {
    endpoints()
        .router()
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(Arc::<body::Room>::default()))
        .layer(middleware::from_fn_with_state(api.clone(), heard))
        .layer(middleware::from_fn(open_to_pages))
        .with_state(api)
}

/// All endpoints in the words of OpenAPI 3.1.
pub fn document() -> Value {
    endpoints().document(&ABOUT)
}

fn endpoints() -> Endpoints<Api> {
    events().and(dialects()).and(shoppers()).get("/openapi.json", described, described_document())
}

fn events() -> Endpoints<Api> {
    Endpoints::default().post("/api/interactions/track", track::track, track::described()).post(
        "/api/joins",
        joins::told,
        joins::described(),
    )
}

fn dialects() -> Endpoints<Api> {
    let (doc, create) = ("/ubi_events/_doc/{id}", "/ubi_events/_create/{id}");
    let (bulk, any) = ("/ubi_events/_bulk", "/_bulk");
    Endpoints::default()
        .post("/1/events", insights::events, insights::described())
        .post("/ubi_events", ubi::collected, ubi::described_collected())
        .post("/ubi_events/_doc", ubi::document, ubi::described_document("ubiDocument"))
        .post("/ubi_events/_doc/", ubi::document, ubi::described_document("ubiDocumentSlash"))
        .post(doc, ubi::named, ubi::described_named("ubiPostDocument"))
        .put(doc, ubi::named, ubi::described_named("ubiPutDocument"))
        .post(create, ubi::created, ubi::described_created("ubiPostCreate"))
        .put(create, ubi::created, ubi::described_created("ubiPutCreate"))
        .post(bulk, ubi::bulk_of_events, ubi::described_bulk("ubiPostBulk"))
        .put(bulk, ubi::bulk_of_events, ubi::described_bulk("ubiPutBulk"))
        .post(any, ubi::bulk_of_any, ubi::described_bulk("postBulk"))
        .put(any, ubi::bulk_of_any, ubi::described_bulk("putBulk"))
        .post("/ubi_queries", ubi::queries, ubi::described_queries())
}

fn shoppers() -> Endpoints<Api> {
    let (user, live) = ("/api/users/{id}", "/api/users/{id}/preferences/live");
    let facet = "/api/users/{id}/preferences/facets/{axis}/{value}";
    Endpoints::default()
        .get(live, preferences::by_path, preferences::described_by_path())
        .get("/api/preferences/live", preferences::by_query, preferences::described_by_query())
        .put(facet, preferences::facets::put, preferences::facets::described_put())
        .delete(facet, preferences::facets::clear, preferences::facets::described_clear())
        .post("/api/search/personalized", search::personalized, search::described())
        .get("/api/live", live::live, live::described())
        .get(user, users::export, users::described_export())
        .delete(user, users::erase, users::described_erase())
        .put("/api/users/{id}/consent", users::consent, users::described_consent())
}

const ABOUT: About = About {
    title: "Leafrank",
    description: "What a shop, its pages and its shoppers tell the sidecar, and what it knows of them. \
                  Every answer that is an error says so in `X-Leafrank`; no answer may be cached; \
                  pages of any origin may call.",
    server: "http://127.0.0.1:8081",
    tags: &[
        ("events", "What shoppers did."),
        ("dialects", "The same in Algolia's and OpenSearch's words."),
        ("preferences", "What is known of a user's taste."),
        ("search", "A search through the shop, in the shopper's order."),
        ("users", "A user's own data, in their own hands."),
        ("sidecars", "What sidecars tell each other, and this document."),
    ],
    schemes: &[
        Scheme {
            name: "apiToken",
            header: None,
            format: None,
            about: "A token of `trust.api_token_file`: may ask about any user and report for any.",
        },
        Scheme {
            name: "operatorToken",
            header: None,
            format: None,
            about: "A token of `trust.admin_token_file`, else `admin.token` in `data_dir`.",
        },
        Scheme {
            name: "userToken",
            header: None,
            format: Some("JWT"),
            about: "A token that names the user, where `identity.token` has keys. It may stand wherever \
                    `identity.user` looks for it.",
        },
        Scheme {
            name: "peerToken",
            header: Some("X-Leafrank-Token"),
            format: None,
            about: "A token of `trust.token_file`, from a peer who names the user in \
                    `X-Leafrank-User` and the visit in `X-Leafrank-Session`.",
        },
    ],
    elsewhere: &[],
};

/// `GET /openapi.json`: this document.
fn described_document() -> Operation {
    let operation = Operation::new("document", "sidecars", "This document")
        .answers::<shape::Document>(200, "OpenAPI 3.1.");
    trouble::fails(operation, &[])
}

async fn described() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(|| document().to_string()).as_str();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn no_such_path(request: Request) -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        code: "no_such_path",
        message: format!("found {}; what there is, GET /openapi.json says", request.uri().path()),
    }
}

async fn no_such_method(request: Request) -> ApiError {
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method",
        message: format!("found {}; the header Allow says what may be", request.method()),
    }
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
            ApiError::fault().into_response()
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
