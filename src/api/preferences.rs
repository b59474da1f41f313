//! `GET /api/users/{id}/preferences/live`: what is known of a user, in the plan's shape.
//!
//! In: a user's name, from somebody who may speak for them; `view=full` asks for evidence, decay and
//! confidence of each taste. Out: affinities and the recent past as JSON. A user of whom nothing is
//! known has empty preferences, not a 404. Reads memory only. What a user says of single tastes is
//! taken by [`facets`].

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use super::refusal::Refusal;
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

pub(super) mod facets;

/// The views that there are.
const VIEWS: [&str; 2] = ["live", "full"];

#[derive(Deserialize)]
pub(super) struct Asked {
    user_id: Option<String>,
    view: Option<String>,
}

pub(super) async fn by_path(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    of(&api, &id, asked.view.as_deref(), (&headers, &spoken))
}

pub(super) async fn by_query(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = asked.user_id.as_deref().ok_or_else(|| {
        ApiError::bad_request("no_user_id", "expected the query parameter user_id")
    })?;
    of(&api, id, asked.view.as_deref(), (&headers, &spoken))
}

/// An unknown user has empty preferences, as an unknown shopper has none.
fn of(
    api: &Api,
    id: &str,
    view: Option<&str>,
    (headers, spoken): (&HeaderMap, &Spoken),
) -> Result<Response, ApiError> {
    let user = UserId::parse(id).ok_or_else(ApiError::bad_user_id)?;
    if !api.border.speaks_for(&user, headers, spoken) {
        return Err(ApiError::only_claimed());
    }
    let subject = Subject::User(user);
    match view {
        None | Some("live") => {
            Ok(Json(api.personalizer.live_preferences(&subject)).into_response())
        }
        Some("full") => Ok(Json(api.personalizer.full_view(&subject)).into_response()),
        Some(other) => {
            let found = format!("\"{other}\"");
            let refusal = Refusal::new("bad_view", "view", &found, "live or full");
            Err(refusal.suggest_near(other, &VIEWS).into())
        }
    }
}
