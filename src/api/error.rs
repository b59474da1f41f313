//! Our errors as answers: a status, a code for programs, a sentence for people.
//!
//! In: what an endpoint found wrong with a request. Out: `{"error": code, "message": sentence}`,
//! where the sentence names what was expected. Never holds anything stored.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::border::name_us;

/// What a caller is told.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl ApiError {
    /// Nobody vouches for the user that the request speaks of.
    pub(super) fn only_claimed() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "user_only_claimed",
            message: "the user is only claimed; expected a trusted peer's X-Leafrank-User, or \
                      Authorization: Bearer with an API token (see identity.trust_claimed_ids)"
                .into(),
        }
    }

    /// Nobody has proven to be the user that the request speaks of.
    pub(super) fn not_this_user() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "not_this_user",
            message: "expected the user's own token, a trusted peer's X-Leafrank-User, or \
                      Authorization: Bearer with an operators' token; a user who is only claimed \
                      does not count here"
                .into(),
        }
    }

    /// Only who has an API token may say this.
    pub(super) fn no_token() -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            code: "no_api_token",
            message: "expected Authorization: Bearer with an API token (trust.api_token_file)"
                .into(),
        }
    }

    /// A fault of ours.
    pub(super) fn no_answer() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "no_answer",
            message: "a fault of ours; expected an answer".into(),
        }
    }

    /// A fault of ours that was caught.
    pub(super) fn fault() -> Self {
        Self { code: "fault", ..Self::no_answer() }
    }

    /// A name that cannot be a user's.
    pub(super) fn bad_user_id() -> Self {
        Self::bad_request("bad_user_id", "expected 1 to 256 bytes without control characters")
    }

    pub(super) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }
}

/// Why there is no other answer.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Problem")]
pub(super) struct Body<'a> {
    /// For programs.
    error: &'a str,
    /// For people: what was found, what was expected.
    message: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body { error: self.code, message: &self.message };
        let mut reply = (self.status, Json(body)).into_response();
        let headers = reply.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        name_us(headers, self.code);
        reply
    }
}
