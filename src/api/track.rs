//! `POST /api/interactions/track`: what shoppers did, in the plan's shape.
//!
//! ```json
//! {"type": "click", "user_id": "u1", "product_id": "sku1",
//!  "context": {"search_query": "milk", "position": 3, "time_on_page": 45}}
//! ```
//! One such object, an array of them, or one a line (NDJSON). Also read: `session_id`, `event_id`,
//! `quantity`, `timestamp`. A `time_on_page` beside another type counts as time on the product too;
//! `position` is 0-based. The answer is 202 once the events are in the profiles: they are in the
//! next ranking; and on the disk, where there is an event log (503 where that takes nothing).
//! `?debug=1` answers what would be learned, and learns nothing.

pub(super) mod event;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::body::Call;
use super::error::ApiError;
use super::intake::Entry;
use super::items::{Items, items};
use super::{body, trouble};
use crate::openapi::{Body, Operation, examples};

/// The answer to one object.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Taken")]
struct One {
    /// Always true.
    accepted: bool,
    /// Acts learned from; 0 when all were doubles.
    learned: usize,
}

/// The answer to several.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "TakenEach")]
struct Many {
    /// At least one event could be used.
    accepted: bool,
    /// Acts learned from.
    learned: usize,
    /// Events that could not be used.
    refused: usize,
    /// Nothing was learned: it was only asked what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    debug: bool,
    /// What became of each event, in order.
    results: Vec<Entry>,
}

/// One event, or several.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "Interactions")]
#[expect(dead_code, reason = "drawn alone: bodies are taken apart by `items`")]
enum Told<'a> {
    /// One event.
    One(event::Event<'a>),
    /// Several, each with its own outcome.
    Several(Vec<event::Event<'a>>),
}

/// Events, one a line.
#[derive(JsonSchema)]
#[schemars(rename = "InteractionLines")]
#[expect(dead_code, reason = "drawn alone: bodies are taken apart by `items`")]
struct Lines<'a>(#[schemars(length(min = 1))] Vec<event::Event<'a>>);

/// What one request is answered with.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "TakenAll")]
#[expect(dead_code, reason = "drawn alone: each is written by itself")]
enum Answer {
    /// To one event.
    One(One),
    /// To several.
    Several(Many),
}

/// `POST /api/interactions/track`.
pub(super) fn described() -> Operation {
    const ONE: &str = r#"{"type":"add_to_cart","user_id":"ada","product_id":"OAT-006","quantity":2,
        "event_id":"e-1"}"#;
    const SEVERAL: &str = r#"[{"type":"view","user_id":"ada","product_id":"OAT-006",
        "context":{"position":0,"time_on_page":45}},
        {"type":"add_to_cart","user_id":"ada","product_id":"OAT-006"}]"#;
    const EACH: &str = r#"{"accepted":true,"learned":3,"refused":0,"results":[
        {"item":0,"status":"learned","learned":2},{"item":1,"status":"learned","learned":1}]}"#;
    let shown = || examples(&[("one", ONE), ("several", SEVERAL)]);
    let told = Body::new(
        "One event, an array of them, or one a line. As text a page's beacon sends it, with the same \
         JSON inside; any other type is read like JSON too. Not compressed.",
    )
    .kind::<Told<'_>>("application/json", shown())
    .kind::<Told<'_>>("text/plain", shown())
    .kind::<Lines<'_>>("application/x-ndjson", Vec::new());
    let operation = Operation::new("track", "events", "What shoppers did")
        .about(
            "The answer comes when it is in the profiles, so that the next ranking sees it, and in the \
             event log on the disk, where there is one. Of several events \
             each has its own outcome, and none costs another its place; one alone that is refused is \
             a 400 with its reason.",
        )
        .query::<body::Asked>()
        .takes(told)
        .needs(super::TEACHES)
        .answers::<Many>(200, "What would be learned, where that was asked (`debug`).")
        .answers::<Answer>(202, "Taken.")
        .shown(examples(&[("one", r#"{"accepted":true,"learned":1}"#), ("several", EACH)]));
    let codes = [&trouble::UNREAD[..], &trouble::REFUSED, &["user_only_claimed", "no_answer"]];
    trouble::fails(operation, &codes.concat())
}

pub(super) async fn track(call: Call) -> Result<Response, ApiError> {
    let debug = call.debug;
    let found = call.apart(|body, items_max| items(body, &call.headers, items_max))?;
    let alone = matches!(found, Items::One(_)) && !debug;
    let mut results = call.heard(found.each(), event::read).await?;
    if alone {
        let Some(entry) = results.pop() else { return Err(ApiError::no_answer()) };
        let learned = entry.learned();
        if let Some(refusal) = entry.refusal {
            return Err(refusal.into());
        }
        return Ok((StatusCode::ACCEPTED, Json(One { accepted: true, learned })).into_response());
    }
    let refused = results.iter().filter(|entry| !entry.is_accepted()).count();
    let accepted = refused < results.len();
    let learned = if debug { 0 } else { results.iter().map(Entry::learned).sum() };
    let status = if debug { StatusCode::OK } else { StatusCode::ACCEPTED };
    let many = Many { accepted, learned, refused, debug, results };
    Ok((status, Json(many)).into_response())
}
