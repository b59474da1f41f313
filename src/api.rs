//! Floor 6: our own endpoints, on one page.
//!
//! | path | what |
//! |---|---|
//! | `POST /api/interactions/track` | one interaction, learned before the answer goes out |
//! | `GET /api/users/{id}/preferences/live` | what is known of a user, in the plan's shape |
//! | `GET /api/preferences/live?user_id=` | the same |
//! | `GET`, `DELETE /api/users/{id}` | all that is known of a user; forgets it |
//! | `PUT /api/users/{id}/consent` | what may be learned |
//! | `POST /api/joins` | searches at another sidecar, in front of the shop |
//!
//! Served on a port of its own, on loopback unless the settings say otherwise; the data port answers
//! one of these only where the settings list it. A path that names a user answers to whom `border`
//! lets speak for that user. Answers are never cached and allow any origin, as the shop's own API
//! does.

mod error;
mod joins;
mod preferences;
mod track;
mod users;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use futures_util::FutureExt;

use crate::border::{Border, Peer};
use crate::observe::Observer;
use crate::personalize::Personalizer;
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
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Longest request body, in bytes: one interaction with its context.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// All endpoints.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/interactions/track", post(track::track))
        .route("/api/users/{id}/preferences/live", get(preferences::by_path))
        .route("/api/preferences/live", get(preferences::by_query))
        .route("/api/users/{id}", get(users::export).delete(users::erase))
        .route("/api/users/{id}/consent", put(users::consent))
        .route("/api/joins", post(joins::told))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
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
            "authorization, content-type, x-user-id, x-session-id, x-personalization",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}
