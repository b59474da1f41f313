//! `GET /api/users/{id}/preferences/live`: what is known of a user, in the plan's shape.
//!
//! In: a user's name. Out: affinities and the recent past as JSON. A user of whom nothing is known
//! has empty preferences, not a 404. Reads memory only.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use crate::preferences::live::LivePreferences;
use crate::types::ids::{Subject, UserId};

#[derive(Deserialize)]
pub(super) struct Asked {
    user_id: Option<String>,
}

pub(super) async fn by_path(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<LivePreferences>, ApiError> {
    of(&api, &id)
}

pub(super) async fn by_query(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<LivePreferences>, ApiError> {
    let id = asked.user_id.ok_or_else(|| {
        ApiError::bad_request("no_user_id", "expected the query parameter user_id")
    })?;
    of(&api, &id)
}

/// An unknown user has empty preferences, as an unknown shopper has none.
fn of(api: &Api, id: &str) -> Result<Json<LivePreferences>, ApiError> {
    let user = UserId::parse(id).ok_or_else(|| {
        ApiError::bad_request("bad_user_id", "expected 1 to 256 bytes without control characters")
    })?;
    Ok(Json(api.personalizer.live_preferences(&Subject::User(user))))
}
