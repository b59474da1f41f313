//! What OpenSearch answers, as far as its clients and UBI's collector read it.
//!
//! In: what became of each document. Out: OpenSearch's words for it.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::super::error::ApiError;
use super::super::intake::Entry;

/// The answer to several documents.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiBulk")]
pub(super) struct Bulk {
    /// Milliseconds.
    pub(super) took: u64,
    /// One of the items could not be used.
    pub(super) errors: bool,
    /// Each under what was to be done with it.
    pub(super) items: Vec<BTreeMap<&'static str, Item>>,
}

/// What would be learned, where that was asked.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiRehearsal")]
pub(super) struct Rehearsal {
    /// Of each event, in order.
    pub(super) results: Vec<Entry>,
}

/// The answer to several documents, or what would be learned of them.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "UbiBulkAnswer")]
#[expect(dead_code, reason = "drawn alone: each is written by itself")]
pub(super) enum BulkAnswer {
    /// What became of them.
    Bulk(Bulk),
    /// What would.
    Rehearsal(Rehearsal),
}

/// The answer to a document whose id was there before, or what would be learned of it.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "UbiItemAnswer")]
#[expect(dead_code, reason = "drawn alone: each is written by itself")]
pub(super) enum ItemAnswer {
    /// What became of it.
    Item(Item),
    /// What would.
    Rehearsal(Rehearsal),
}

/// What became of one document.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiItem")]
pub(super) struct Item {
    /// Its index.
    #[serde(rename = "_index")]
    pub(super) index: String,
    /// Its id; made up where it had none.
    #[serde(rename = "_id")]
    pub(super) id: String,
    /// Its own status, among several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// Taken or not.
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "UbiOutcome")]
pub(super) enum Outcome {
    /// Taken.
    Written(Written),
    /// Not taken.
    Failed {
        /// Why.
        error: Cause,
    },
}

/// A document that was taken, as if it were stored.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiWritten")]
pub(super) struct Written {
    /// How often this id was there.
    #[serde(rename = "_version")]
    version: u8,
    /// `created`, or `updated` for a double.
    result: &'static str,
    /// Always the same.
    #[serde(rename = "_shards")]
    shards: Shards,
    /// Always 0.
    #[serde(rename = "_seq_no")]
    number: u8,
    /// Always 1.
    #[serde(rename = "_primary_term")]
    term: u8,
}

/// As if there were one copy of everything.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiShards")]
struct Shards {
    /// Always 1.
    total: u8,
    /// Always 1.
    successful: u8,
    /// Always 0.
    failed: u8,
}

impl Outcome {
    pub(super) fn written(result: &'static str, version: u8) -> Self {
        let shards = Shards { total: 1, successful: 1, failed: 0 };
        Self::Written(Written { version, result, shards, number: 0, term: 1 })
    }

    pub(super) fn failed(kind: &'static str, reason: impl Into<String>) -> Self {
        Self::Failed { error: Cause { kind, reason: reason.into() } }
    }
}

/// Why something was not taken.
#[derive(Clone, JsonSchema, Serialize)]
#[schemars(rename = "UbiCause")]
pub(super) struct Cause {
    /// For programs.
    #[serde(rename = "type")]
    kind: &'static str,
    /// For people.
    reason: String,
}

/// An error, as OpenSearch has it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiFailure")]
pub(super) struct Failure {
    /// What is wrong.
    error: Causes,
    /// The same as the answer's.
    status: u16,
}

/// What is wrong, with its cause.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UbiCauses")]
struct Causes {
    /// The cause, once more.
    root_cause: [Cause; 1],
    #[serde(flatten)]
    cause: Cause,
}

impl Failure {
    pub(super) fn of(status: StatusCode, cause: Cause) -> Self {
        let error = Causes { root_cause: [cause.clone()], cause };
        Self { error, status: status.as_u16() }
    }
}

/// A request that could not be read at all.
pub(super) fn unread(error: &ApiError) -> Response {
    let kind = match error.status {
        StatusCode::PAYLOAD_TOO_LARGE => "content_too_long_exception",
        StatusCode::SERVICE_UNAVAILABLE => "rejected_execution_exception",
        _ => "parse_exception",
    };
    let cause = Cause { kind, reason: error.message.clone() };
    let mut reply = (error.status, Json(Failure::of(error.status, cause))).into_response();
    if error.status == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    crate::border::name_us(reply.headers_mut(), error.code);
    reply
}
