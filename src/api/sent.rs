//! What a caller sends to an endpoint that is not one of events: a name in the path, words in the
//! query, a body of one JSON object.
//!
//! In: a request. Out: values, or an error in our own form with the code of what is wrong. A body may
//! be called JSON, a form or plain text, as curl and pages call it unasked; whatever is called
//! something else is refused.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Api;
use super::body::refuse_coded;
use super::error::ApiError;
use super::field;
use crate::yaml::printable;

/// A name in the path.
pub(super) struct At(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for At {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = Path::<String>::from_request_parts(head, state).await;
        found.map(|Path(name)| Self(name)).map_err(|_| ApiError::bad_user_id())
    }
}

/// Words in the query.
pub(super) struct Words<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Words<T> {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = Query::<T>::from_request_parts(head, state).await;
        found
            .map(|Query(words)| Self(words))
            .map_err(|error| ApiError::bad_request("malformed_query", error.body_text()))
    }
}

/// A body of one JSON object, not yet read.
pub(super) struct Sent(Bytes);

impl FromRequest<Api> for Sent {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        refuse_coded(request.headers())?;
        refuse_foreign(request.headers())?;
        let bytes = Bytes::from_request(request, api).await.map_err(|error| {
            if error.status() != StatusCode::PAYLOAD_TOO_LARGE {
                return ApiError::bad_request("body_broken", error.body_text());
            }
            ApiError {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                code: "body_too_large",
                message: format!("the body: expected at most {} bytes", super::BODY_BYTES_MAX),
            }
        })?;
        Ok(Self(bytes))
    }
}

impl Sent {
    /// The object.
    ///
    /// # Errors
    /// 400 with `code` for what is none.
    pub(super) fn object<'a, T: Deserialize<'a>>(
        &'a self,
        code: &'static str,
    ) -> Result<T, ApiError> {
        let wrong = |why: String| ApiError::bad_request(code, why);
        let text = std::str::from_utf8(&self.0)
            .map_err(|error| wrong(format!("the body is not UTF-8: {error}")))?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = field::only_object(&mut reader);
        read.and_then(|read| reader.end().map(|()| read))
            .map_err(|error| wrong(format!("the body: {error}; expected one JSON object")))
    }
}

#[cfg(test)]
impl Sent {
    pub(super) fn of(text: impl Into<Bytes>) -> Self {
        Self(text.into())
    }
}

fn refuse_foreign(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = String::from_utf8_lossy(kind.as_bytes());
    let bare = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    const TAKEN: [&str; 4] =
        ["", "application/json", "application/x-www-form-urlencoded", "text/plain"];
    if TAKEN.contains(&&*bare) || bare.ends_with("+json") {
        return Ok(());
    }
    Err(ApiError {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        code: "not_json",
        message: format!("content-type: found {}, expected application/json", printable(&kind)),
    })
}
