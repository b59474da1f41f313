//! `POST /api/joins`: searches that a sidecar in front of the shop has sent on.
//!
//! ```json
//! {"searches": [{"trace": "0af7651916cd43dd8448eb211c80319c", "user_id": "u1"}]}
//! ```
//! Also read: `session_id`, `opted_out`. Only with an API token: it says in whose name the shop's
//! own searches are ranked. A search that names nobody is told too, so that its trace is nobody's.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use super::field::{self, Raw};
use super::sent::Sent;
use super::{shape, trouble};
use crate::identity::Identity;
use crate::openapi::{Body, Operation, examples};
use crate::store::joins::Told;
use crate::types::ids::TraceId;
use crate::types::voice::Voice;

/// Searches that were sent on.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "Joins")]
struct Message<'a> {
    /// Each with its trace.
    #[serde(borrow)]
    searches: Vec<Search<'a>>,
}

/// A search, and whose it is.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "JoinedSearch")]
struct Search<'a> {
    /// The second part of `traceparent`.
    #[schemars(with = "shape::Trace")]
    trace: String,
    /// Who searches; neither a user nor a visit: nobody, and nobody else either.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    user_id: Raw<'a>,
    /// Their visit.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    session_id: Raw<'a>,
    /// True: must not be learned from.
    #[serde(default)]
    opted_out: bool,
}

/// `POST /api/joins`.
pub(super) fn described() -> Operation {
    const SHOWN: &str =
        r#"{"searches":[{"trace":"0af7651916cd43dd8448eb211c80319c","user_id":"ada"}]}"#;
    let searches = Body::new("Searches, each with its trace.")
        .kind::<Message<'_>>("application/json", examples(&[("one", SHOWN)]));
    let operation = Operation::new(
        "join",
        "sidecars",
        "Searches at a sidecar in front of the shop",
    )
    .about("Whose a search behind the shop is that carries the same trace (`identity.join.tell`).")
    .takes(searches)
    .needs(&["apiToken"])
    .answers_nothing(202, "Taken.");
    let codes = ["no_api_token", "malformed_joins", "bad_trace", "bad_user_id", "bad_session_id"];
    trouble::fails(operation, &[&codes[..], &trouble::UNSENT].concat())
}

pub(super) async fn told(
    State(api): State<Api>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<StatusCode, ApiError> {
    if !api.border.is_api_client(&headers) {
        return Err(ApiError::no_token());
    }
    let message: Message<'_> = sent.object("malformed_joins")?;
    let told = message.searches.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    api.personalizer.hear(&told);
    Ok(StatusCode::ACCEPTED)
}

fn read(search: &Search<'_>) -> Result<Told, ApiError> {
    let identity = Identity {
        user: field::user(search.user_id, "user_id")?,
        session: field::session(search.session_id, "session_id")?,
        opted_out: search.opted_out,
        voice: Voice::default(),
    };
    let trace = TraceId::from_hex(&search.trace).ok_or_else(|| {
        ApiError::bad_request(
            "bad_trace",
            "expected a trace of 32 hexadecimal digits in small letters, not all 0",
        )
    })?;
    Ok(Told { trace, identity })
}
