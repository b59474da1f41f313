//! `/api/users/{id}`: a user's own data, in their own hands.
//!
//! `GET` answers with all that is known, `DELETE` forgets it, `PUT …/consent` says what may be learned:
//! `{"personalization": true, "sensitive": false}`, one of them or both. Only for who proves to be that
//! user, and for operators: a name that is only claimed does not count here, whatever the settings
//! say. An answer of 200 means that it is on the disk; a choice that only holds until the next start
//! is a 500 that says so.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Api;
use super::error::ApiError;
use super::sent::{At, Sent};
use super::{shape, trouble};
use crate::observe::Choice;
use crate::openapi::{Body, Operation, Parameter, examples};
use crate::personalize::{Known, ShownTo};
use crate::store::consent::{ConsentError, Standing};
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

/// What a user chose, as it is in force.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Consent")]
struct Chosen {
    /// Taste is learned.
    personalization: bool,
    /// What tells of religion, health or intimacy is learned too.
    sensitive: bool,
}

impl From<Standing> for Chosen {
    fn from(standing: Standing) -> Self {
        Self { personalization: standing.personalization, sensitive: standing.sensitive }
    }
}

/// All that is known of a user.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UserExport")]
pub(super) struct Export {
    /// The user.
    user_id: String,
    /// What may be learned.
    consent: Chosen,
    /// When it was asked last that everything be forgotten; milliseconds since 1970.
    erased_at_ms: Option<i64>,
    #[serde(flatten)]
    known: Known,
    /// The lists that they were shown last, oldest first.
    recent_lists: Vec<ShownTo>,
}

/// What was forgotten.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UserErased")]
pub(super) struct Erased {
    /// The user.
    user_id: String,
    /// Nothing of what happened until then comes back; milliseconds since 1970.
    erased_at_ms: Option<i64>,
}

/// What a user chose.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ConsentInForce")]
pub(super) struct Agreed {
    /// The user.
    user_id: String,
    #[serde(flatten)]
    consent: Chosen,
}

/// What may be learned of a user: one of them or both.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConsentChoice", extend("anyOf" = choices(), "not" = contradiction()))]
struct Asked {
    /// False: everything known is forgotten, and nothing is learned from now on.
    personalization: Option<bool>,
    /// True: what tells of religion, health or intimacy is learned too.
    sensitive: Option<bool>,
}

/// One of them is told.
fn choices() -> Value {
    let one = |name: &str| json!({"required": [name], "properties": {name: {"type": "boolean"}}});
    json!([one("personalization"), one("sensitive")])
}

/// What cannot be told at once.
fn contradiction() -> Value {
    json!({
        "required": ["personalization", "sensitive"],
        "properties": {"personalization": {"const": false}, "sensitive": {"const": true}},
    })
}

fn described(id: &'static str, summary: &'static str) -> Operation {
    let user = Parameter::path::<shape::NamedText>("id", "A user, as the shop names them.");
    Operation::new(id, "users", summary)
        .about(
            "For the user themselves and for operators. A name that is only claimed does not count \
             here, whatever the settings say, and an API token does not either.",
        )
        .parameter(user)
        .needs(&["operatorToken", "userToken", "peerToken"])
}

/// `GET /api/users/{id}`.
pub(super) fn described_export() -> Operation {
    let operation = described("exportUser", "All that is known of a user")
        .answers::<Export>(200, "Everything; of an unknown user nothing.");
    trouble::fails(operation, &["bad_user_id", "not_this_user"])
}

/// `DELETE /api/users/{id}`.
pub(super) fn described_erase() -> Operation {
    const SHOWN: &str = r#"{"user_id":"shopper-2","erased_at_ms":1795449357941}"#;
    let operation = described("eraseUser", "Forgets all that is known of a user")
        .answers::<Erased>(200, "Forgotten, and what is told late does not bring it back.")
        .shown(examples(&[("forgotten", SHOWN)]));
    trouble::fails(operation, &["bad_user_id", "not_this_user", "too_many_choices", "not_kept"])
}

/// `PUT /api/users/{id}/consent`.
pub(super) fn described_consent() -> Operation {
    const ASKED: &str = r#"{"personalization":true,"sensitive":true}"#;
    const SHOWN: &str = r#"{"user_id":"shopper-2","personalization":true,"sensitive":true}"#;
    let choice = Body::new("One of the two or both.")
        .kind::<Asked>("application/json", examples(&[("both", ASKED)]));
    let operation = described("chooseConsent", "What may be learned of a user, from now on")
        .takes(choice)
        .answers::<Agreed>(200, "In force, and on the disk.")
        .shown(examples(&[("both", SHOWN)]));
    let codes =
        ["bad_user_id", "not_this_user", "malformed_consent", "too_many_choices", "not_kept"];
    trouble::fails(operation, &[&codes[..], &trouble::UNSENT].concat())
}

pub(super) async fn export(
    State(api): State<Api>,
    At(id): At,
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
    At(id): At,
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
    At(id): At,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Json<Agreed>, ApiError> {
    let user = proven(&api, &id, &headers, &spoken)?;
    let choice = read(&sent)?;
    let user_id = user.as_str().to_owned();
    let standing = on_disk(move || api.observer.choose(&user, choice)).await?;
    Ok(Json(Agreed { user_id, consent: standing.into() }))
}

fn read(sent: &Sent) -> Result<Choice, ApiError> {
    const EXPECTED: &str = "expected {\"personalization\": true or false, \"sensitive\": true or \
                            false}, one of them or both";
    let asked: Asked = sent.object("malformed_consent")?;
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
        let said = |text: &str| read(&Sent::of(text.to_owned())).map_err(|error| error.message);
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
