//! What we add to a reply, and the replies that are ours.
//!
//! `X-Leafrank` says what became of a search, `Server-Timing` what it took. Every error of ours
//! carries `X-Leafrank: error; reason=…`, so that nobody blames the wrong box.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use super::body::ReplyBody;
use crate::border::name_us;
use crate::personalize::Reranked;
use crate::personalize::fail_open::FailOpen;
use crate::types::ids::QueryId;

const X_LEAFRANK: HeaderName = HeaderName::from_static("x-leafrank");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Marks a reply as our own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    /// Why there is none of the shop.
    pub(crate) reason: &'static str,
}

/// A reply of our own: `status`, one JSON object, the reason in a header.
pub(crate) fn error(status: StatusCode, reason: &'static str) -> Response<ReplyBody> {
    let text = format!("{{\"error\":\"{reason}\",\"from\":\"leafrank\"}}\n");
    let mut reply = Response::new(ReplyBody::whole(Bytes::from(text), None));
    *reply.status_mut() = status;
    reply.extensions_mut().insert(Ours { reason });
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_us(headers, reason);
    reply
}

/// The same, to be asked again in a second.
pub(crate) fn later(mut reply: Response<ReplyBody>) -> Response<ReplyBody> {
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// Says that hits moved.
pub(crate) fn reranked(headers: &mut HeaderMap, outcome: &Reranked) {
    let Reranked { moved, spent_us, rules, query, .. } = outcome;
    let said = format!("reranked; moved={moved}; us={spent_us}; rules={rules}; query={query}");
    if let Ok(value) = HeaderValue::try_from(said) {
        headers.insert(X_LEAFRANK, value);
    }
    // Milliseconds with two decimals.
    let (whole, hundredths) = (spent_us / 1000, spent_us % 1000 / 10);
    let entry = format!("leafrank;dur={whole}.{hundredths:02}");
    if let Ok(value) = HeaderValue::try_from(entry) {
        headers.append(SERVER_TIMING, value);
    }
}

/// Says that they did not, and why; names the search where it can be asked about.
pub(crate) fn bypassed(headers: &mut HeaderMap, why: FailOpen, query: Option<QueryId>) {
    let query = query.map(|query| format!("; query={query}")).unwrap_or_default();
    insert(headers, X_LEAFRANK, &format!("bypass; reason={}{query}", why.label()));
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
