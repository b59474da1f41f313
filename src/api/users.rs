//! `/api/users/{id}`: a user's own data, in their own hands.
//!
//! `GET` answers with all that is known, `DELETE` forgets it, `PUT …/consent` says what may be learned:
//! `{"personalization": true, "sensitive": false}`, one of them or both. Only for who proves to be that
//! user, and for operators: a name that is only claimed does not count here, whatever the settings
//! say. An answer of 200 means that it is on the disk; a choice that only holds until the next start
//! is a 500 that says so.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::ApiError;
use crate::observe::Choice;
use crate::personalize::{Known, ShownTo};
use crate::store::consent::{ConsentError, Standing};
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

/// What a user chose, as it is in force.
#[derive(Serialize)]
struct Chosen {
    personalization: bool,
    sensitive: bool,
}

impl From<Standing> for Chosen {
    fn from(standing: Standing) -> Self {
        Self { personalization: standing.personalization, sensitive: standing.sensitive }
    }
}

/// All that is known of a user.
#[derive(Serialize)]
pub(super) struct Export {
    user_id: String,
    consent: Chosen,
    /// When it was asked last that everything be forgotten.
    erased_at_ms: Option<i64>,
    #[serde(flatten)]
    known: Known,
    /// The lists that they were shown last, oldest first.
    recent_lists: Vec<ShownTo>,
}

/// What was forgotten.
#[derive(Serialize)]
pub(super) struct Erased {
    user_id: String,
    /// Nothing of what happened until then comes back.
    erased_at_ms: Option<i64>,
}

/// What a user chose.
#[derive(Serialize)]
pub(super) struct Agreed {
    user_id: String,
    #[serde(flatten)]
    consent: Chosen,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    personalization: Option<bool>,
    sensitive: Option<bool>,
}

pub(super) async fn export(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Json<Export>, ApiError> {
    let user = proven(&api, &id, &headers, &spoken)?;
    let standing = api.observer.choice_of(&user);
    let lists = api.observer.recent_lists(&user);
    let subject = Subject::User(user.clone());
    Ok(Json(Export {
        user_id: user.as_str().to_owned(),
        consent: standing.into(),
        erased_at_ms: standing.erased_at.map(|at| at.0),
        known: api.personalizer.known_of(&subject),
        recent_lists: api.personalizer.named_lists(&subject, &lists),
    }))
}

pub(super) async fn erase(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Json<Erased>, ApiError> {
    let user = proven(&api, &id, &headers, &spoken)?;
    let user_id = user.as_str().to_owned();
    let standing = on_disk(move || api.observer.erase(&user)).await?;
    Ok(Json(Erased { user_id, erased_at_ms: standing.erased_at.map(|at| at.0) }))
}

pub(super) async fn consent(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Agreed>, ApiError> {
    let user = proven(&api, &id, &headers, &spoken)?;
    let choice = read(&body)?;
    let user_id = user.as_str().to_owned();
    let standing = on_disk(move || api.observer.choose(&user, choice)).await?;
    Ok(Json(Agreed { user_id, consent: standing.into() }))
}

fn read(body: &[u8]) -> Result<Choice, ApiError> {
    const EXPECTED: &str = "expected {\"personalization\": true or false, \"sensitive\": true or \
                            false}, one of them or both";
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request("malformed_consent", format!("{error}; {EXPECTED}"))
    })?;
    let Asked { personalization, sensitive } = asked;
    match (personalization, sensitive) {
        (None, None) => Err(ApiError::bad_request("malformed_consent", EXPECTED)),
        (Some(false), Some(true)) => Err(ApiError::bad_request(
            "malformed_consent",
            "sensitive tastes cannot be learned of somebody who is not learned from; expected \
             personalization: true beside sensitive: true",
        )),
        _ => Ok(Choice { personalization, sensitive }),
    }
}

/// The user, if whoever asks has proven to be them, or is an operator.
pub(super) fn proven(
    api: &Api,
    id: &str,
    headers: &HeaderMap,
    spoken: &Spoken,
) -> Result<UserId, ApiError> {
    let user = UserId::parse(id).ok_or_else(ApiError::bad_user_id)?;
    if !api.border.answers_for(&user, headers, spoken) {
        return Err(ApiError::not_this_user());
    }
    if api.observer.means_nobody(user.as_str()) {
        let message = format!("{id:?} means nobody (identity.anonymous); expected a user");
        return Err(ApiError::bad_request("bad_user_id", message));
    }
    Ok(user)
}

/// Waits for the disk on a thread that serves nobody else.
async fn on_disk(
    work: impl FnOnce() -> Result<Standing, ConsentError> + Send + 'static,
) -> Result<Standing, ApiError> {
    let failed = |status, code, message: String| ApiError { status, code, message };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(standing)) => Ok(standing),
        Ok(Err(error @ ConsentError::Full(_))) => {
            tracing::error!(%error, "a shopper's choice was refused");
            Err(failed(StatusCode::INSUFFICIENT_STORAGE, "too_many_choices", error.to_string()))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "a shopper's choice is not kept");
            Err(failed(StatusCode::INTERNAL_SERVER_ERROR, "not_kept", error.to_string()))
        }
        Err(_) => {
            let message = "a fault of ours; whether the choice was taken is not known".to_owned();
            Err(failed(StatusCode::INTERNAL_SERVER_ERROR, "fault", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_says_one_of_two_things_and_does_not_contradict_itself() {
        let said = |text: &str| read(text.as_bytes()).map_err(|error| error.message);
        let choice = Choice { personalization: Some(true), sensitive: Some(false) };
        assert_eq!(said(r#"{"personalization":true,"sensitive":false}"#), Ok(choice));
        for (text, part) in [
            ("{}", "one of them or both"),
            (r#"{"personalisation":false}"#, "unknown field `personalisation`"),
            (r#"{"personalization":"no"}"#, "expected a boolean"),
            (r#"{"personalization":false,"sensitive":true}"#, "personalization: true"),
            ("", "EOF"),
        ] {
            let error = said(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
