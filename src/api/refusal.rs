//! Why one reported event cannot be used.
//!
//! In: the key, what was found there, what was expected. Out: the same in an answer, in parts for
//! programs and as one sentence for people, with a suggestion where one is near.

use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use crate::yaml::{nearest, printable};

/// One event that cannot be used.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize)]
pub(super) struct Refusal {
    /// Why, for programs.
    #[serde(rename = "error")]
    pub(super) code: &'static str,
    /// Why, for people.
    pub(super) message: Box<str>,
    /// The member that is wrong.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) key: &'static str,
    /// What it held, as JSON.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) found: Box<str>,
    /// What it may hold.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) expected: Box<str>,
    /// What may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) suggestion: Option<String>,
}

impl Refusal {
    /// `found` is JSON as it was written, or says `nothing`.
    pub(super) fn new(
        code: &'static str,
        key: &'static str,
        found: &str,
        expected: impl Into<String>,
    ) -> Self {
        let (found, expected) = (quoted(found), expected.into());
        let message = format!("{key}: found {found}, expected {expected}").into();
        let (found, expected) = (found.into(), expected.into());
        Self { code, message, key, found, expected, suggestion: None }
    }

    /// The event as a whole is none.
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self {
            code: "malformed_event",
            message: why.into().into(),
            key: "",
            found: Box::default(),
            expected: Box::default(),
            suggestion: None,
        }
    }

    /// What may have been meant.
    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        let suggestion = suggestion.into();
        self.message = format!("{} (did you mean {suggestion}?)", self.message).into();
        self.suggestion = Some(suggestion);
        self
    }

    /// The nearest of `words` as a suggestion, if one is near.
    pub(super) fn suggest_near(self, found: &str, words: &[&str]) -> Self {
        match nearest(found, words) {
            Some(word) => self.suggest(format!("\"{word}\"")),
            None => self,
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        if refusal.code == ONLY_CLAIMED {
            return Self::only_claimed();
        }
        Self::bad_request(refusal.code, refusal.message)
    }
}

/// The code of an event in the name of a user for whom nobody vouches.
pub(super) const ONLY_CLAIMED: &str = "user_only_claimed";

fn quoted(found: &str) -> String {
    let text = printable(found);
    // JSON text brings its quotes; escaped ones would be doubled.
    text.replace("\\\"", "\"")
}
