//! `GET /api/users/{id}/preferences/live`: what is known of a user, in the plan's shape.
//!
//! In: a user's name, from somebody who may speak for them; `view=full` asks for evidence, decay and
//! confidence of each taste. Out: affinities and the recent past as JSON. A user of whom nothing is
//! known has empty preferences, not a 404. Reads memory only. What a user says of single tastes is
//! taken by [`facets`].

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Api;
use super::error::ApiError;
use super::refusal::Refusal;
use super::sent::{At, Words};
use super::{shape, trouble};
use crate::openapi::{Operation, Parameter, examples};
use crate::personalize::FullView;
use crate::preferences::live::LivePreferences;
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

pub(super) mod facets;

/// The views that there are.
pub(super) const VIEWS: [&str; 2] = ["live", "full"];

/// Whom it is about, and how much of it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Asked {
    /// A user, as the shop names them.
    #[schemars(with = "shape::NamedText")]
    user_id: Option<String>,
    /// `full`: all that is remembered, with evidence, decay and confidence; `live` if left out.
    #[schemars(with = "Option<shape::View>")]
    view: Option<String>,
}

/// How much of it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Viewed {
    /// `full`: all that is remembered, with evidence, decay and confidence; `live` if left out.
    #[schemars(with = "Option<shape::View>")]
    view: Option<String>,
}

/// One of the views.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "PreferencesView")]
#[expect(dead_code, reason = "drawn alone: each is written by itself")]
enum View {
    /// `live`.
    Live(LivePreferences),
    /// `full`.
    Full(FullView),
}

/// `GET /api/users/{id}/preferences/live`.
pub(super) fn described_by_path() -> Operation {
    let id = Parameter::path::<shape::NamedText>("id", "A user, as the shop names them.");
    described("livePreferencesOfUser", &[]).parameter(id).query::<Viewed>()
}

/// `GET /api/preferences/live`.
pub(super) fn described_by_query() -> Operation {
    described("livePreferences", &["no_user_id"]).query::<Asked>()
}

fn described(id: &'static str, troubles: &[&str]) -> Operation {
    const SHOWN: &str = r#"{"categories":{"snacks":0.167,"snacks/chips":0.167},
        "attributes":{"spicy":-0.13},"brands":{"crispenden":0.2,"fuego lobo":-0.048}}"#;
    let operation = Operation::new(id, "preferences", "What is known of a user's taste")
        .about("A user of whom nothing is known has empty preferences.")
        .needs(super::SPEAKS)
        .answers::<View>(200, "Affinities, the strongest first; or the full view.")
        .shown(examples(&[("known", SHOWN)]));
    let codes = ["bad_user_id", "bad_view", "malformed_query", "user_only_claimed"];
    trouble::fails(operation, &[troubles, &codes].concat())
}

pub(super) async fn by_path(
    State(api): State<Api>,
    At(id): At,
    Words(asked): Words<Viewed>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    of(&api, &id, asked.view.as_deref(), (&headers, &spoken))
}

pub(super) async fn by_query(
    State(api): State<Api>,
    Words(asked): Words<Asked>,
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
