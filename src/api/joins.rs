//! `POST /api/joins`: searches that a sidecar in front of the shop has sent on.
//!
//! ```json
//! {"searches": [{"trace": "0af7651916cd43dd8448eb211c80319c", "user_id": "u1"}]}
//! ```
//! Also read: `session_id`, `opted_out`. Only with an API token: it says in whose name the shop's
//! own searches are ranked. A search that names nobody is told too, so that its trace is nobody's.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use crate::identity::Identity;
use crate::store::joins::Told;
use crate::types::ids::{SessionId, TraceId, UserId};
use crate::types::voice::Voice;

#[derive(Deserialize)]
struct Message {
    searches: Vec<Search>,
}

#[derive(Deserialize)]
struct Search {
    trace: String,
    user_id: Option<String>,
    session_id: Option<String>,
    #[serde(default)]
    opted_out: bool,
}

pub(super) async fn told(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    if !api.border.is_api_client(&headers) {
        return Err(ApiError::no_token());
    }
    let message: Message = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request("malformed_joins", error.to_string()))?;
    let told = message.searches.iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(|| {
        ApiError::bad_request("bad_trace", "expected a trace of 32 hexadecimal digits, not all 0")
    })?;
    api.personalizer.hear(&told);
    Ok(StatusCode::ACCEPTED)
}

fn read(search: &Search) -> Option<Told> {
    let identity = Identity {
        user: search.user_id.as_deref().and_then(UserId::parse),
        session: search.session_id.as_deref().and_then(SessionId::parse),
        opted_out: search.opted_out,
        voice: Voice::default(),
    };
    Some(Told { trace: TraceId::from_hex(&search.trace)?, identity })
}
