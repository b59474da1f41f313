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
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::ApiError;
use super::field::{self, Raw};
use super::intake::{self, Asker};
use super::sent::Sent;
use super::{shape, trouble};
use crate::identity::Identity;
use crate::openapi::{Body, Operation, Parameter, examples};
use crate::personalize::question::{Answer, Question, VIEWS_MAX};
use crate::rules::daypart::Daypart;
use crate::trust::Spoken;
use crate::types::ids::ProductId;

/// Longest query, in bytes.
pub(super) const QUERY_BYTES_MAX: usize = 1024;
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

/// A search.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Search", extend("required" = ["query"]))]
pub(super) struct Asked<'a> {
    /// The words; at most 1024 bytes.
    #[schemars(with = "shape::Query")]
    query: Option<String>,
    /// For whom; wins over the visit.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    user_id: Raw<'a>,
    /// For whose visit.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    session_id: Raw<'a>,
    /// Hits wanted; where the route says where its length goes.
    #[schemars(with = "Option<u32>", range(min = 1, max = LIMIT_MAX))]
    limit: Option<f64>,
    /// The shopper's moment; counts for this search alone.
    #[serde(default, deserialize_with = "field::only_object")]
    context: Context,
}

/// The shopper's moment.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "SearchContext")]
struct Context {
    /// For rules by time of day; else the shop's clock tells. Letter case does not matter.
    #[schemars(with = "Option<shape::PartOfDay>")]
    time_of_day: Option<String>,
    /// Products viewed just now, last first; up to 20 count, and nothing is learned of them.
    #[serde(default)]
    #[schemars(with = "Vec<shape::NamedText>")]
    recent_views: Vec<String>,
}

/// The shop's hits in the shopper's order.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "PersonalizedSearch")]
pub(super) struct Found {
    /// The words, as they were asked.
    query: String,
    #[serde(flatten)]
    answer: Answer,
}

/// `POST /api/search/personalized`.
pub(super) fn described() -> Operation {
    const ASKED: &str = r#"{"query":"milk","user_id":"ada","context":{"time_of_day":"morning",
        "recent_views":["oat_milk","almond_milk"]}}"#;
    let search = Body::new("Words, and for whom.")
        .kind::<Asked<'_>>("application/json", examples(&[("milk", ASKED)]));
    let language = Parameter::header::<String>(
        "Accept-Language",
        "The language of reasons, of those that there are (messages.*.yaml).",
    );
    let operation =
        Operation::new("searchPersonalized", "search", "A search through the shop, with reasons")
            .about(
                "The shop is asked as its own search route is; each hit is as the shop wrote it. \
                 Without a user or a visit, and for one who is only claimed, the shop's order comes.",
            )
            .parameter(language)
            .takes(search)
            .needs(super::TEACHES)
            .answers::<Found>(200, "The hits in the shopper's order.");
    let codes = [
        "malformed_search",
        "bad_query",
        "bad_limit",
        "bad_user_id",
        "bad_session_id",
        "bad_time_of_day",
        "bad_recent_views",
        "user_only_claimed",
        "shop_declined",
        "no_search_route",
        "shop_unreachable",
        "shop_hung_up",
        "shop_timed_out",
        "shop_refused",
        "shop_reply_encoded",
        "shop_reply_broken",
        "shop_reply_unread",
    ];
    trouble::fails(operation, &[&codes[..], &trouble::UNSENT].concat())
}

pub(super) async fn personalized(
    State(api): State<Api>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Json<Found>, ApiError> {
    let asked: Asked<'_> = sent.object("malformed_search")?;
    let query = words(&asked)?;
    let identity = api.observer.standing(identity(&api, &asked, &headers, &spoken)?);
    let views = views(&asked.context)?;
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let language = api.personalizer.language(accepted.unwrap_or_default());
    let question = Question {
        identity: &identity,
        query: &query,
        limit: limit(&asked)?,
        daypart: daypart(&asked.context)?,
        views: &views,
        language: &language,
    };
    let written = api.personalizer.written(&question).ok_or_else(no_route)?;
    let Some(shop) = &api.shop else { return Err(no_route()) };
    let (status, reply) = shop.ask(written.request).await.map_err(unanswered)?;
    if status != StatusCode::OK {
        return Err(refused(status));
    }
    let answer = api.personalizer.answer(&written.search, &reply, &question);
    let mut answer = answer.map_err(|why| {
        let why = why.label();
        bad_gateway("shop_reply_unread", format!("the shop's reply has no list to rank: {why}"))
    })?;
    api.observer.shown(written.search.pupil(), std::mem::take(&mut answer.shown));
    Ok(Json(Found { query, answer }))
}

fn words(asked: &Asked<'_>) -> Result<String, ApiError> {
    let query = asked.query.as_deref().unwrap_or_default();
    if query.trim().is_empty() || query.len() > QUERY_BYTES_MAX || query.contains(char::is_control)
    {
        return Err(ApiError::bad_request(
            "bad_query",
            format!("expected query, 1 to {QUERY_BYTES_MAX} bytes without control characters"),
        ));
    }
    Ok(query.trim().to_owned())
}

/// How many hits are wanted; a whole number may be written as `20.0`.
fn limit(asked: &Asked<'_>) -> Result<Option<u32>, ApiError> {
    let Some(limit) = asked.limit else { return Ok(None) };
    if limit.fract() != 0.0 || !(1.0..=f64::from(LIMIT_MAX)).contains(&limit) {
        let message =
            format!("limit: found {limit}, expected a whole number from 1 to {LIMIT_MAX}");
        return Err(ApiError::bad_request("bad_limit", message));
    }
    Ok(Some(limit as u32))
}

/// For whom the list is made. One who is only claimed gets what their visit is known for.
fn identity(
    api: &Api,
    asked: &Asked<'_>,
    headers: &HeaderMap,
    spoken: &Spoken,
) -> Result<Identity, ApiError> {
    let user = field::user(asked.user_id, "user_id")?;
    let session = field::session(asked.session_id, "session_id")?;
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
    let read = |id: &String| {
        let plain = !id.contains(char::is_control);
        plain.then(|| ProductId::parse(id)).flatten().ok_or_else(|| {
            ApiError::bad_request(
                "bad_recent_views",
                "expected product ids of 1 to 256 bytes without control characters",
            )
        })
    };
    let mut views = context.recent_views.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    views.truncate(VIEWS_MAX);
    Ok(views)
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

/// The shop's answer is an error: the caller's, where the shop says so of what was asked.
fn refused(status: StatusCode) -> ApiError {
    const OF_THE_QUESTION: [StatusCode; 4] = [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::URI_TOO_LONG,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    if !OF_THE_QUESTION.contains(&status) {
        return bad_gateway("shop_refused", format!("the shop answered {status}"));
    }
    ApiError {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        code: "shop_declined",
        message: format!("the shop answered {status}; expected a query and a limit that it takes"),
    }
}

fn unanswered(code: &'static str) -> ApiError {
    bad_gateway(code, format!("the shop did not answer: {code}"))
}

fn bad_gateway(code: &'static str, message: String) -> ApiError {
    ApiError { status: StatusCode::BAD_GATEWAY, code, message }
}

/// What the schemas are held against.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Is this a search, by itself?
    pub(crate) fn takes(text: &str) -> bool {
        let read = || -> Result<(), ApiError> {
            let sent = Sent::of(text.to_owned());
            let asked: Asked<'_> = sent.object("malformed_search")?;
            words(&asked)?;
            limit(&asked)?;
            field::user(asked.user_id, "user_id")?;
            field::session(asked.session_id, "session_id")?;
            views(&asked.context)?;
            daypart(&asked.context).map(drop)
        };
        read().is_ok()
    }
}
