//! OpenSearch's User Behavior Insights: `ubi_events`, as its collector and OpenSearch's clients send
//! them.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /ubi_events` | an array, an object, or one a line | as `_bulk` |
//! | `POST /ubi_events/_doc`, `PUT …/_doc/{id}`, `…/_create/{id}` | one document | as OpenSearch |
//! | `POST`, `PUT /ubi_events/_bulk`, `/_bulk` | pairs of lines | each item with its status |
//! | `POST /ubi_queries` | whatever | 200; not needed here |
//!
//! Nothing is stored as a document. `user_id` is the user; `session_id`, else `client_id`, is the
//! visit. A document's id is the event's id.

mod bulk;
mod event;

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::body::Call;
use super::error::ApiError;
use super::intake::{self, Entry, Read};
use super::items::items;
use super::refusal::Refusal;
use bulk::{Verb, Write};

/// The index that holds events.
const EVENTS: &str = "ubi_events";
/// The index that holds searches: those we have seen ourselves.
const QUERIES: &str = "ubi_queries";

/// `POST /ubi_events`: as UBI's own collector sends them.
pub(super) async fn collected(call: Result<Call, ApiError>) -> Response {
    let outcome = async {
        let call = call?;
        let all = items(&call.held.bytes, &call.headers, call.items_max());
        let all = all.map_err(|error| call.counted(error))?;
        let writes = all.each().map(|doc| Write::event(doc, None, Verb::Index));
        bulk_answer(&call, writes.collect()).await
    };
    outcome.await.unwrap_or_else(|error| failed(&error))
}

/// `POST /ubi_events/_doc`.
pub(super) async fn document(call: Result<Call, ApiError>) -> Response {
    one(call, None, Verb::Index).await
}

/// `PUT /ubi_events/_doc/{id}`.
pub(super) async fn named(Path(id): Path<String>, call: Result<Call, ApiError>) -> Response {
    one(call, Some(id), Verb::Index).await
}

/// `PUT /ubi_events/_create/{id}`.
pub(super) async fn created(Path(id): Path<String>, call: Result<Call, ApiError>) -> Response {
    one(call, Some(id), Verb::Create).await
}

/// `POST /ubi_events/_bulk`.
pub(super) async fn bulk_of_events(call: Result<Call, ApiError>) -> Response {
    bulk_of(call, Some(EVENTS)).await
}

/// `POST /_bulk`: each item names its index.
pub(super) async fn bulk_of_any(call: Result<Call, ApiError>) -> Response {
    bulk_of(call, None).await
}

/// `POST /ubi_queries`.
pub(super) async fn queries() -> Response {
    Json(json!({"took": 0, "errors": false, "items": []})).into_response()
}

async fn bulk_of(call: Result<Call, ApiError>, index: Option<&str>) -> Response {
    let outcome = async {
        let call = call?;
        let writes = bulk::writes(&call.held.bytes, index, call.items_max());
        let writes = writes.map_err(|error| call.counted(error))?;
        bulk_answer(&call, writes).await
    };
    outcome.await.unwrap_or_else(|error| failed(&error))
}

async fn one(call: Result<Call, ApiError>, id: Option<String>, verb: Verb) -> Response {
    let outcome = async {
        let call = call?;
        let doc: &RawValue = serde_json::from_slice(&call.held.bytes).map_err(|error| {
            ApiError::bad_request("malformed_event", format!("the body: {error}"))
        })?;
        let write = Write::event(Ok(doc), id, verb);
        let (mut shown, entries) = learned(&call, vec![write]).await;
        if call.debug {
            return Ok(Json(json!({"results": entries})).into_response());
        }
        let (status, mut body) = shown.pop().unwrap_or((StatusCode::OK, Value::Null));
        if let Some(error) = body.get("error").cloned() {
            body = json!({
                "error": {"root_cause": [error.clone()], "type": error["type"],
                          "reason": error["reason"]},
                "status": status.as_u16(),
            });
        } else if let Some(body) = body.as_object_mut() {
            body.remove("status");
        }
        Ok((status, Json(body)).into_response())
    };
    outcome.await.unwrap_or_else(|error: ApiError| failed(&error))
}

async fn bulk_answer(call: &Call, writes: Vec<Write<'_>>) -> Result<Response, ApiError> {
    let started_us = call.api.clock.monotonic_us();
    let verbs: Vec<&str> = writes.iter().map(|write| write.verb.name()).collect();
    let (shown, entries) = learned(call, writes).await;
    if call.debug {
        return Ok(Json(json!({"results": entries})).into_response());
    }
    let errors = shown.iter().any(|(status, _)| status.is_client_error());
    let items = verbs.into_iter().zip(shown).map(|(verb, (_, item))| json!({verb: item}));
    let took = call.api.clock.monotonic_us().saturating_sub(started_us) / 1000;
    let items: Vec<Value> = items.collect();
    Ok(Json(json!({"took": took, "errors": errors, "items": items})).into_response())
}

/// Learns what is to be written, and says of each what OpenSearch would.
async fn learned(call: &Call, writes: Vec<Write<'_>>) -> (Vec<(StatusCode, Value)>, Vec<Entry>) {
    let now = call.api.clock.now();
    let mut named = Vec::with_capacity(writes.len());
    let mut events = Vec::with_capacity(writes.len());
    for write in writes {
        let event = match &write.doc {
            Err(refusal) => Read::Refused(refusal.clone()),
            Ok(_) if write.index == QUERIES => Read::Ignored("a_query"),
            Ok(doc) => event::read(doc, write.id.as_deref(), now, &call.api.limits)
                .unwrap_or_else(Read::Refused),
        };
        let had_id = write.id.is_some();
        let made_up = || {
            let text = write.doc.as_ref().map_or("", |doc| doc.get());
            format!("{:032x}", xxh3_128(text.as_bytes()))
        };
        named.push((write.index, write.id.clone().unwrap_or_else(made_up), had_id, write.verb));
        events.push(event);
    }
    let entries = intake::take(&call.api, &call.asker(), events, call.debug).await;
    let shown = named.into_iter().zip(&entries).map(|((index, id, had_id, verb), entry)| {
        let again = had_id && entry.status == "double";
        shown(&Target { index, id }, again.then_some(verb), entry)
    });
    (shown.collect(), entries)
}

struct Target {
    index: String,
    id: String,
}

/// One item as OpenSearch answers it; `again`: its id was there before.
fn shown(target: &Target, again: Option<Verb>, entry: &Entry) -> (StatusCode, Value) {
    let Target { index, id } = target;
    let error = |status: StatusCode, kind: &str, reason: &str| {
        let error = json!({"type": kind, "reason": reason});
        (status, json!({"_index": index, "_id": id, "status": status.as_u16(), "error": error}))
    };
    if let Some(refusal) = &entry.refusal {
        let (status, kind) = match refusal.code {
            NO_SUCH_INDEX => (StatusCode::NOT_FOUND, "index_not_found_exception"),
            super::refusal::ONLY_CLAIMED => (StatusCode::FORBIDDEN, "security_exception"),
            _ => (StatusCode::BAD_REQUEST, "mapper_parsing_exception"),
        };
        return error(status, kind, &refusal.message);
    }
    let (status, result, version) = match again {
        Some(Verb::Create) => {
            let reason = format!("[{id}]: version conflict, document already exists");
            return error(StatusCode::CONFLICT, "version_conflict_engine_exception", &reason);
        }
        Some(_) => (StatusCode::OK, "updated", 2),
        None => (StatusCode::CREATED, "created", 1),
    };
    let item = json!({
        "_index": index, "_id": id, "_version": version, "result": result,
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "_seq_no": 0, "_primary_term": 1, "status": status.as_u16(),
    });
    (status, item)
}

/// The code of an item for another index.
const NO_SUCH_INDEX: &str = "no_such_index";

fn no_such_index(index: &str) -> Refusal {
    Refusal::new(NO_SUCH_INDEX, "_index", index, format!("{EVENTS} or {QUERIES}"))
}

/// A request that could not be read at all, as OpenSearch says it.
fn failed(error: &ApiError) -> Response {
    let kind = match error.status {
        StatusCode::PAYLOAD_TOO_LARGE => "content_too_long_exception",
        StatusCode::SERVICE_UNAVAILABLE => "rejected_execution_exception",
        _ => "parse_exception",
    };
    let cause = json!({"type": kind, "reason": error.message});
    let body = json!({
        "error": {"root_cause": [cause], "type": kind, "reason": error.message},
        "status": error.status.as_u16(),
    });
    let mut reply = (error.status, Json(body)).into_response();
    if error.status == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    crate::border::name_us(reply.headers_mut(), error.code);
    reply
}
