//! `PUT` and `DELETE /api/users/{id}/preferences/facets/{axis}/{value}`: a shopper's own word on one
//! taste.
//!
//! In: a facet by its axis and any word, and `{"action": "pin" | "mute" | "forget" | "clear"}`; `DELETE`
//! clears. Out: the facet as it now stands in the full view. Only for who proves to be that user, and
//! for operators: a mark outlives a restart and moves what the user is shown, so that a name which
//! anybody may claim (`identity.trust_claimed_ids`) can read tastes and set none. 200 means that it is
//! on the disk.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Api;
use super::super::error::ApiError;
use super::super::refusal::Refusal;
use super::super::sent::Sent;
use super::super::users::proven;
use super::super::{shape, trouble};
use crate::observe::{Action, Refused, Word};
use crate::openapi::{Body, Operation, Parameter, examples};
use crate::personalize::FullFacet;
use crate::store::choices::{ChoiceError, WORD_BYTES_MAX};
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};
use crate::types::product::{Axis, normalise};

/// A shopper's own word on one taste.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TasteChoice")]
struct Asked {
    /// `pin`: the strongest like; `mute`: the strongest dislike; `forget`: what was learned of it is
    /// gone; `clear`: takes a pin or a mute back.
    #[schemars(with = "shape::ActionName")]
    action: String,
}

/// What was said, and what came of it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TasteChosen")]
pub(in super::super) struct Said {
    /// The user.
    user_id: String,
    /// What was said.
    action: &'static str,
    /// The facet as it stands now.
    facet: FullFacet,
}

/// `PUT …/preferences/facets/{axis}/{value}`.
pub(in super::super) fn described_put() -> Operation {
    let action = Body::new("What the shopper says of it.")
        .kind::<Asked>("application/json", examples(&[("mute", r#"{"action":"mute"}"#)]));
    let operation = described("sayTaste", "A user's own word on one taste").takes(action);
    let codes = ["malformed_choice", "bad_action"];
    trouble::fails(operation, &[&codes[..], &WRONG, &trouble::UNSENT].concat())
}

/// `DELETE …/preferences/facets/{axis}/{value}`.
pub(in super::super) fn described_clear() -> Operation {
    trouble::fails(described("clearTaste", "Takes a pin or a mute of one taste back"), &WRONG)
}

const WRONG: [&str; 10] = [
    "bad_path",
    "bad_user_id",
    "bad_axis",
    "bad_value",
    "not_this_user",
    "opted_out",
    "sensitive_not_allowed",
    "too_many_choices",
    "not_kept",
    "no_answer",
];

fn described(id: &'static str, summary: &'static str) -> Operation {
    let value = "Any word, folded as facets are; at most 64 bytes.";
    Operation::new(id, "preferences", summary)
        .about(
            "For the user themselves and for operators. The next ranking obeys; what is learned goes on \
             below a pin or a mute.",
        )
        .parameter(Parameter::path::<shape::NamedText>("id", "A user, as the shop names them."))
        .parameter(Parameter::path::<shape::AxisName>("axis", "The facet's axis."))
        .parameter(Parameter::path::<shape::FacetValue>("value", value))
        .needs(&["operatorToken", "userToken", "peerToken"])
        .answers::<Said>(200, "The facet as it stands now, on the disk.")
}

type Place = Result<Path<(String, String, String)>, PathRejection>;

pub(in super::super) async fn put(
    State(api): State<Api>,
    place: Place,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<Json<Said>, ApiError> {
    let (user, axis, value) = asker(&api, place, (&headers, &spoken))?;
    let word = read_word(&axis, &value)?;
    say(api, user, word, read_action(&sent)?).await
}

pub(in super::super) async fn clear(
    State(api): State<Api>,
    place: Place,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
) -> Result<Json<Said>, ApiError> {
    let (user, axis, value) = asker(&api, place, (&headers, &spoken))?;
    let word = read_word(&axis, &value)?;
    say(api, user, word, Action::Clear).await
}

/// The user that a path names, if whoever asks has proven to be them; with the facet as it is written.
fn asker(
    api: &Api,
    place: Place,
    (headers, spoken): (&HeaderMap, &Spoken),
) -> Result<(UserId, String, String), ApiError> {
    let Path((id, axis, value)) = place.map_err(|_| {
        ApiError::bad_request("bad_path", "expected UTF-8, percent-encoded, in the path")
    })?;
    Ok((proven(api, &id, headers, spoken)?, axis, value))
}

fn read_word(axis: &str, value: &str) -> Result<Word, ApiError> {
    let names = Axis::ALL.map(Axis::name);
    let Some(known) = Axis::ALL.into_iter().find(|known| known.name() == axis) else {
        let expected = format!("one of {}", names.join(", "));
        let refusal = Refusal::new("bad_axis", "axis", &format!("\"{axis}\""), expected);
        return Err(refusal.suggest_near(axis, &names).into());
    };
    let plain = value.len() <= WORD_BYTES_MAX && !value.contains(char::is_control);
    let value = normalise(value);
    if !plain
        || value.is_empty()
        || value.len() > WORD_BYTES_MAX
        || value.chars().any(char::is_control)
    {
        let expected = format!("1 to {WORD_BYTES_MAX} bytes of text without control characters");
        return Err(Refusal::new("bad_value", "value", &format!("\"{value}\""), expected).into());
    }
    Ok(Word { axis: known, value: value.into() })
}

fn read_action(sent: &Sent) -> Result<Action, ApiError> {
    let names = Action::ALL.map(Action::name);
    let expected = format!("one of {}", names.join(", "));
    let asked: Asked = sent.object("malformed_choice").map_err(|error| {
        let message = format!("{}; expected {{\"action\": …}}, {expected}", error.message);
        ApiError { message, ..error }
    })?;
    let known = Action::ALL.into_iter().find(|action| action.name() == asked.action);
    known.ok_or_else(|| {
        let found = format!("\"{}\"", asked.action);
        let refusal = Refusal::new("bad_action", "action", &found, expected);
        refusal.suggest_near(&asked.action, &names).into()
    })
}

async fn say(api: Api, user: UserId, word: Word, action: Action) -> Result<Json<Said>, ApiError> {
    let (observer, who, what) = (api.observer.clone(), user.clone(), word.clone());
    // Waits for the disk on a thread that serves nobody else.
    let said = tokio::task::spawn_blocking(move || observer.say(&who, &what, action)).await;
    said.map_err(|_| ApiError::no_answer())?.map_err(|refused| answer(&user, &word, &refused))?;
    let user_id = user.as_str().to_owned();
    let subject = Subject::User(user);
    let facet = api.personalizer.full_facet(&subject, word.facet(), &word.value);
    Ok(Json(Said { user_id, action: action.name(), facet }))
}

fn answer(user: &UserId, word: &Word, refused: &Refused) -> ApiError {
    let path = format!("PUT /api/users/{}/consent", user.as_str());
    let (status, code, message) = match refused {
        Refused::OptedOut => (
            StatusCode::FORBIDDEN,
            "opted_out",
            format!("{refused}; expected {path} with {{\"personalization\": true}} before"),
        ),
        Refused::Sensitive => (
            StatusCode::FORBIDDEN,
            "sensitive_not_allowed",
            format!(
                "{}: {refused}; expected {path} with {{\"sensitive\": true}} before",
                word.value
            ),
        ),
        Refused::Choice(error @ (ChoiceError::FullForSubject(_) | ChoiceError::Full(_))) => {
            (StatusCode::INSUFFICIENT_STORAGE, "too_many_choices", error.to_string())
        }
        Refused::Choice(error) => {
            tracing::error!(%error, "a shopper's choice is not kept");
            (StatusCode::INTERNAL_SERVER_ERROR, "not_kept", error.to_string())
        }
    };
    ApiError { status, code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_facet_is_named_by_an_axis_and_a_word_that_is_folded() {
        let word = read_word("category", "  Dairy/Oat   MILK ").unwrap();
        assert_eq!((word.axis, &*word.value), (Axis::Category, "dairy/oat milk"));
        for (axis, value, part) in [
            ("categories", "milk", "did you mean \"category\"?"),
            ("flavour", "milk", "one of category, brand, attribute, price_tier"),
            ("brand", " ", "found \"\", expected 1 to 64 bytes"),
            ("brand", "a\u{7}b", "without control characters"),
        ] {
            let said = read_word(axis, value).unwrap_err().message;
            assert!(said.contains(part), "{said}");
        }
        assert!(read_word("brand", &"x".repeat(65)).is_err());
    }

    #[test]
    fn an_action_is_one_of_four_words() {
        assert_eq!(read_action(&Sent::of(r#"{"action":"mute"}"#)).unwrap(), Action::Mute);
        for (body, part) in [
            (r#"{"action":"mutes"}"#, "did you mean \"mute\"?"),
            (r#"{"action":"love"}"#, "one of pin, mute, forget, clear"),
            (r#"{"do":"mute"}"#, "unknown field `do`"),
            ("", "expected {\"action\": …}"),
        ] {
            let said = read_action(&Sent::of(body)).unwrap_err().message;
            assert!(said.contains(part), "{body}: {said}");
        }
    }
}
