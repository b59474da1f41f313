//! `POST /api/search/personalized`: a search through the shop, in the shopper's order, with reasons.
//!
//! ```json
//! {"query": "milk", "user_id": "u1",
//!  "context": {"time_of_day": "morning", "recent_views": ["oat_milk", "almond_milk"]}}
//! ```
//! Also read: `session_id`, `limit`; `Accept-Language` for the reasons. The shop is asked as its own
//! search route is; the answer has its hits, each as the shop wrote it. `context` counts for this
//! search alone. A shop that does not answer, or answers something without hits, is a 502 with its
//! name.

use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{self, HeaderMap};
use axum::http::{Request, StatusCode};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::ApiError;
use super::intake::{self, Asker};
use crate::identity::Identity;
use crate::personalize::question::{Answer, Question, VIEWS_MAX};
use crate::rules::daypart::Daypart;
use crate::trust::Spoken;
use crate::types::ids::{ProductId, SessionId, UserId};

/// Longest query, in bytes.
const QUERY_BYTES_MAX: usize = 1024;
/// Most hits that may be asked for.
const LIMIT_MAX: u32 = 1_000;

/// Asks the shop something.
#[async_trait]
pub trait AskShop: Send + Sync {
    /// The shop's reply to a request, whole and without content coding.
    ///
    /// # Errors
    /// Why there is none, as a code.
    async fn ask(&self, request: Request<Bytes>) -> Result<(StatusCode, Bytes), &'static str>;
}

#[derive(Deserialize)]
pub(super) struct Asked {
    query: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    limit: Option<u32>,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
struct Context {
    time_of_day: Option<String>,
    #[serde(default)]
    recent_views: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Found {
    query: String,
    #[serde(flatten)]
    answer: Answer,
}

pub(super) async fn personalized(
    State(api): State<Api>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Found>, ApiError> {
    let asked: Asked = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request("malformed_search", error.to_string()))?;
    let query = words(&asked)?;
    let identity = api.observer.standing(identity(&api, &asked, &headers, &spoken)?);
    let views = views(&asked.context)?;
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let language = api.personalizer.language(accepted.unwrap_or_default());
    let question = Question {
        identity: &identity,
        query: &query,
        limit: asked.limit,
        daypart: daypart(&asked.context)?,
        views: &views,
        language: &language,
    };
    let written = api.personalizer.written(&question).ok_or_else(no_route)?;
    let Some(shop) = &api.shop else { return Err(no_route()) };
    let (status, reply) = shop.ask(written.request).await.map_err(unanswered)?;
    if status != StatusCode::OK {
        return Err(bad_gateway("shop_refused", format!("the shop answered {status}")));
    }
    let answer = api.personalizer.answer(&written.search, &reply, &question);
    let mut answer = answer.map_err(|why| {
        let why = why.label();
        bad_gateway("shop_reply_unread", format!("the shop's reply has no list to rank: {why}"))
    })?;
    api.observer.shown(written.search.pupil(), std::mem::take(&mut answer.shown));
    Ok(Json(Found { query, answer }))
}

fn words(asked: &Asked) -> Result<String, ApiError> {
    let query = asked.query.as_deref().map(str::trim).unwrap_or_default();
    if query.is_empty() || query.len() > QUERY_BYTES_MAX || query.contains(char::is_control) {
        return Err(ApiError::bad_request(
            "bad_query",
            format!("expected query, 1 to {QUERY_BYTES_MAX} bytes without control characters"),
        ));
    }
    if let Some(limit) = asked.limit.filter(|limit| !(1..=LIMIT_MAX).contains(limit)) {
        return Err(ApiError::bad_request(
            "bad_limit",
            format!("limit {limit}: expected 1 to {LIMIT_MAX}"),
        ));
    }
    Ok(query.to_owned())
}

/// For whom the list is made. One who is only claimed gets what their visit is known for.
fn identity(
    api: &Api,
    asked: &Asked,
    headers: &HeaderMap,
    spoken: &Spoken,
) -> Result<Identity, ApiError> {
    let user = asked.user_id.as_deref().and_then(UserId::parse);
    let session = asked.session_id.as_deref().and_then(SessionId::parse);
    let voice = api.observer.voice(headers, None, spoken.names_somebody());
    let named = intake::named(api, (user, session), &Asker { headers, spoken }, voice);
    match &named.user {
        Some(user) if !api.border.speaks_for(user, headers, spoken) => match named.session {
            Some(_) => Ok(Identity { user: None, ..named }),
            None => Err(ApiError::only_claimed()),
        },
        _ => Ok(named),
    }
}

fn daypart(context: &Context) -> Result<Option<Daypart>, ApiError> {
    let Some(word) = context.time_of_day.as_deref() else { return Ok(None) };
    Daypart::parse(word).map(Some).ok_or_else(|| {
        let words = Daypart::WORDS.join(", ");
        ApiError::bad_request("bad_time_of_day", format!("{word:?}: expected one of {words}"))
    })
}

fn views(context: &Context) -> Result<Vec<ProductId>, ApiError> {
    let views = context.recent_views.iter().take(VIEWS_MAX);
    views
        .map(|id| {
            ProductId::parse(id).ok_or_else(|| {
                ApiError::bad_request(
                    "bad_recent_views",
                    "expected product ids of 1 to 256 bytes without control characters",
                )
            })
        })
        .collect()
}

fn no_route() -> ApiError {
    ApiError {
        status: StatusCode::NOT_IMPLEMENTED,
        code: "no_search_route",
        message:
            "no search route of JSON without variable parts in its path (routes[].search), or \
                  no shop behind it"
                .into(),
    }
}

fn unanswered(code: &'static str) -> ApiError {
    bad_gateway(code, format!("the shop did not answer: {code}"))
}

fn bad_gateway(code: &'static str, message: String) -> ApiError {
    ApiError { status: StatusCode::BAD_GATEWAY, code, message }
}
