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

mod answer;
mod bulk;
mod describe;
mod event;

pub(super) use describe::*;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::body::Call;
use super::error::ApiError;
use super::intake::{Entry, Read};
use super::items::items;
use super::refusal::Refusal;
use super::sent::At;
use answer::{Bulk, Failure, Item, Outcome, Rehearsal, unread};
use bulk::{Verb, Write};

/// The index that holds events.
const EVENTS: &str = "ubi_events";
/// The index that holds searches: those we have seen ourselves.
const QUERIES: &str = "ubi_queries";

/// `POST /ubi_events`: as UBI's own collector sends them.
pub(super) async fn collected(call: Result<Call, ApiError>) -> Response {
    let outcome = async {
        let call = call?;
        let all = call.apart(|body, items_max| items(body, &call.headers, items_max))?;
        let writes = all.each().map(|doc| Write::event(doc, None, Verb::Index));
        bulk_answer(&call, writes.collect()).await
    };
    outcome.await.unwrap_or_else(|error| unread(&error))
}

/// `POST /ubi_events/_doc`.
pub(super) async fn document(call: Result<Call, ApiError>) -> Response {
    one(call, None, Verb::Index).await
}

/// `PUT /ubi_events/_doc/{id}`.
pub(super) async fn named(id: Result<At, ApiError>, call: Result<Call, ApiError>) -> Response {
    with_id(id, call, Verb::Index).await
}

/// `PUT /ubi_events/_create/{id}`.
pub(super) async fn created(id: Result<At, ApiError>, call: Result<Call, ApiError>) -> Response {
    with_id(id, call, Verb::Create).await
}

async fn with_id(id: Result<At, ApiError>, call: Result<Call, ApiError>, verb: Verb) -> Response {
    match id {
        Ok(At(id)) if id.len() <= ID_BYTES_MAX => one(call, Some(id), verb).await,
        _ => unread(&ApiError::bad_request("bad_event_id", format!("_id: expected {ID}"))),
    }
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
    Json(Bulk { took: 0, errors: false, items: Vec::new() }).into_response()
}

async fn bulk_of(call: Result<Call, ApiError>, index: Option<&str>) -> Response {
    let outcome = async {
        let call = call?;
        let writes = call.apart(|body, items_max| bulk::writes(body, index, items_max))?;
        bulk_answer(&call, writes).await
    };
    outcome.await.unwrap_or_else(|error| unread(&error))
}

async fn one(call: Result<Call, ApiError>, id: Option<String>, verb: Verb) -> Response {
    let outcome = async {
        let call = call?;
        let doc: &RawValue = serde_json::from_slice(&call.held.bytes).map_err(|error| {
            ApiError::bad_request("malformed_event", format!("the body: {error}"))
        })?;
        let write = Write::event(Ok(doc), id, verb);
        let (mut shown, entries) = learned(&call, vec![write]).await?;
        if call.debug {
            return Ok(Json(Rehearsal { results: entries }).into_response());
        }
        let Some((status, item)) = shown.pop() else { return Err(ApiError::no_answer()) };
        if let Outcome::Failed { error } = item.outcome {
            return Ok((status, Json(Failure::of(status, error))).into_response());
        }
        Ok((status, Json(Item { status: None, ..item })).into_response())
    };
    outcome.await.unwrap_or_else(|error: ApiError| unread(&error))
}

async fn bulk_answer(call: &Call, writes: Vec<Write<'_>>) -> Result<Response, ApiError> {
    let started_us = call.api.clock.monotonic_us();
    let verbs: Vec<&str> = writes.iter().map(|write| write.verb.name()).collect();
    let (shown, entries) = learned(call, writes).await?;
    if call.debug {
        return Ok(Json(Rehearsal { results: entries }).into_response());
    }
    let errors = shown.iter().any(|(status, _)| status.is_client_error());
    let items = verbs.into_iter().zip(shown).map(|(verb, (_, item))| [(verb, item)].into());
    let took = call.api.clock.monotonic_us().saturating_sub(started_us) / 1000;
    Ok(Json(Bulk { took, errors, items: items.collect() }).into_response())
}

/// Learns what is to be written, and says of each what OpenSearch would.
async fn learned(
    call: &Call,
    writes: Vec<Write<'_>>,
) -> Result<(Vec<(StatusCode, Item)>, Vec<Entry>), ApiError> {
    let now = call.api.clock.now();
    let mut named = Vec::with_capacity(writes.len());
    let mut events = Vec::with_capacity(writes.len());
    for write in writes {
        let event = match &write.doc {
            Err(refusal) => Read::Refused(refusal.clone()),
            Ok(_) if write.index == QUERIES => Read::Ignored("a_query"),
            Ok(doc) => call
                .noted(doc, || event::read(doc, write.id.as_deref(), now, &call.api.limits))
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
    let entries = call.learned(events).await?;
    let shown = named.into_iter().zip(&entries).map(|((index, id, had_id, verb), entry)| {
        let again = had_id && entry.status == "double";
        shown(Target { index, id }, again.then_some(verb), entry)
    });
    Ok((shown.collect(), entries))
}

struct Target {
    index: String,
    id: String,
}

/// One item as OpenSearch answers it; `again`: its id was there before.
fn shown(target: Target, again: Option<Verb>, entry: &Entry) -> (StatusCode, Item) {
    let (status, outcome) = outcome(&target.id, again, entry);
    let Target { index, id } = target;
    (status, Item { index, id, status: Some(status.as_u16()), outcome })
}

fn outcome(id: &str, again: Option<Verb>, entry: &Entry) -> (StatusCode, Outcome) {
    if let Some(refusal) = &entry.refusal {
        let (status, kind) = match refusal.code {
            NO_SUCH_INDEX => (StatusCode::NOT_FOUND, "index_not_found_exception"),
            super::refusal::ONLY_CLAIMED => (StatusCode::FORBIDDEN, "security_exception"),
            _ => (StatusCode::BAD_REQUEST, "mapper_parsing_exception"),
        };
        return (status, Outcome::failed(kind, &*refusal.message));
    }
    match again {
        Some(Verb::Create) => {
            let reason = format!("[{id}]: version conflict, document already exists");
            let kind = "version_conflict_engine_exception";
            (StatusCode::CONFLICT, Outcome::failed(kind, reason))
        }
        Some(_) => (StatusCode::OK, Outcome::written("updated", 2)),
        None => (StatusCode::CREATED, Outcome::written("created", 1)),
    }
}

/// What a document's id may be, as OpenSearch has it.
const ID: &str = "at most 512 bytes of UTF-8";
pub(super) const ID_BYTES_MAX: usize = 512;

/// The code of an item for another index.
const NO_SUCH_INDEX: &str = "no_such_index";

fn no_such_index(index: &str) -> Refusal {
    Refusal::new(NO_SUCH_INDEX, "_index", index, format!("{EVENTS} or {QUERIES}"))
}
