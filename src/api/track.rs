//! `POST /api/interactions/track`: what shoppers did, in the plan's shape.
//!
//! ```json
//! {"type": "click", "user_id": "u1", "product_id": "sku1",
//!  "context": {"search_query": "milk", "position": 3, "time_on_page": 45}}
//! ```
//! One such object, an array of them, or one a line (NDJSON). Also read: `session_id`, `event_id`,
//! `quantity`, `timestamp`. A `time_on_page` beside another type counts as time on the product too;
//! `position` is 0-based. The answer is 202 once the events are in the profiles: they are in the
//! next ranking. `?debug=1` answers what would be learned, and learns nothing.

mod event;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::Call;
use super::error::ApiError;
use super::intake::{self, Entry, Read};
use super::items::{Items, items};

/// The answer to one object.
#[derive(Serialize)]
struct One {
    accepted: bool,
    /// Acts learned from; 0 when all were doubles.
    learned: usize,
}

/// The answer to several.
#[derive(Serialize)]
struct Many {
    /// At least one event could be used.
    accepted: bool,
    learned: usize,
    refused: usize,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    debug: bool,
    results: Vec<Entry>,
}

pub(super) async fn track(call: Call) -> Result<Response, ApiError> {
    let debug = call.debug;
    let found = items(&call.held.bytes, &call.headers, call.items_max());
    let found = found.map_err(|error| call.counted(error))?;
    let (api, asker) = (&call.api, call.asker());
    let now = api.clock.now();
    let read = |raw| event::read(raw, now, &api.limits);
    match found {
        Items::One(raw) if !debug => {
            let item = read(raw)?;
            let mut entries = intake::take(api, &asker, vec![Read::Item(item)], false).await;
            let Some(entry) = entries.pop() else { return Err(ApiError::no_answer()) };
            if let Some(refusal) = entry.refusal {
                return Err(refusal.into());
            }
            let one = One { accepted: true, learned: entry.learned.unwrap_or(0) };
            Ok((StatusCode::ACCEPTED, Json(one)).into_response())
        }
        found => {
            let read =
                |raw: Result<_, _>| raw.and_then(read).map_or_else(Read::Refused, Read::Item);
            let events = found.each().map(read).collect();
            let results = intake::take(api, &asker, events, debug).await;
            let refused = results.iter().filter(|entry| !entry.is_accepted()).count();
            let accepted = refused < results.len();
            let learned = if debug { 0 } else { results.iter().map(Entry::learned).sum() };
            let status = if debug { StatusCode::OK } else { StatusCode::ACCEPTED };
            let many = Many { accepted, learned, refused, debug, results };
            Ok((status, Json(many)).into_response())
        }
    }
}
