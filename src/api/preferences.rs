//! `GET /api/users/{id}/preferences/live`: what is known of a user, in the plan's shape.
//!
//! In: a user's name, from somebody who may speak for them. Out: affinities and the recent past as JSON. A user of whom nothing is known
//! has empty preferences, not a 404. Reads memory only.

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::{Extension, Json};
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use crate::preferences::live::LivePreferences;
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

#[derive(Deserialize)]
pub(super) struct Asked {
    user_id: Option<String>,
}

pub(super) async fn by_path(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Json<LivePreferences>, ApiError> {
    of(&api, &id, &headers, &spoken)
}

pub(super) async fn by_query(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Json<LivePreferences>, ApiError> {
    let id = asked.user_id.ok_or_else(|| {
        ApiError::bad_request("no_user_id", "expected the query parameter user_id")
    })?;
    of(&api, &id, &headers, &spoken)
}

/// An unknown user has empty preferences, as an unknown shopper has none.
fn of(
    api: &Api,
    id: &str,
    headers: &HeaderMap,
    spoken: &Spoken,
) -> Result<Json<LivePreferences>, ApiError> {
    let user = UserId::parse(id).ok_or_else(ApiError::bad_user_id)?;
    if !api.border.speaks_for(&user, headers, spoken) {
        return Err(ApiError::only_claimed());
    }
    Ok(Json(api.personalizer.live_preferences(&Subject::User(user))))
}
