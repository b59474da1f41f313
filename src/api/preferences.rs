//! `GET /api/users/{id}/preferences/live`: what is known of a user, in the plan's shape.
//!
//! In: a user's name, from somebody who may speak for them. Out: affinities and the recent past as JSON. A user of whom nothing is known
//! has empty preferences, not a 404. Reads memory only.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use super::sent::{At, Words};
use super::{shape, trouble};
use crate::openapi::{Operation, Parameter, examples};
use crate::preferences::live::LivePreferences;
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

/// Whom it is about.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Asked {
    /// A user, as the shop names them.
    #[schemars(with = "shape::NamedText")]
    user_id: Option<String>,
}

/// `GET /api/users/{id}/preferences/live`.
pub(super) fn described_by_path() -> Operation {
    let id = Parameter::path::<shape::NamedText>("id", "A user, as the shop names them.");
    described("livePreferencesOfUser", &[]).parameter(id)
}

/// `GET /api/preferences/live`.
pub(super) fn described_by_query() -> Operation {
    described("livePreferences", &["malformed_query", "no_user_id"]).query::<Asked>()
}

fn described(id: &'static str, troubles: &[&str]) -> Operation {
    const SHOWN: &str = r#"{"categories":{"snacks":0.167,"snacks/chips":0.167},
        "attributes":{"spicy":-0.13},"brands":{"crispenden":0.2,"fuego lobo":-0.048}}"#;
    let operation = Operation::new(id, "preferences", "What is known of a user's taste")
        .about("A user of whom nothing is known has empty preferences.")
        .needs(super::SPEAKS)
        .answers::<LivePreferences>(200, "Affinities, the strongest first.")
        .shown(examples(&[("known", SHOWN)]));
    trouble::fails(operation, &[troubles, &["bad_user_id", "user_only_claimed"]].concat())
}

pub(super) async fn by_path(
    State(api): State<Api>,
    At(id): At,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Json<LivePreferences>, ApiError> {
    of(&api, &id, &headers, &spoken)
}

pub(super) async fn by_query(
    State(api): State<Api>,
    Words(asked): Words<Asked>,
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
