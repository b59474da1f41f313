//! The event log for operators: how it stands, rows as they are written, and dead letters.
//!
//! Rows name shoppers, so that they are for operators alone; how the log stands is told to whoever may
//! ask the admin port. A follower that is slow misses rows and is told how many. Work on the log waits
//! for the disk, on a thread of its own.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::describe::{Missed, admin, closed, free};
use super::{Admin, refused};
use crate::openapi::{Operation, Trouble};
use crate::spool::{DeadLetter, Spool, Status};

/// Dead letters of one answer.
const LISTED_MAX: usize = 1_000;

const NO_LOG: Trouble = (404, "no_event_log", "there is no event log (spool.enabled, data_dir)");
const FAILED: Trouble = (500, "event_log_broken", "the disk does not give it; the log says why");

/// Which dead letters.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WhichDeadLetters")]
pub(super) struct Which {
    /// Their numbers, with commas between; all, where none is named.
    #[serde(default)]
    #[schemars(with = "Option<String>", regex(pattern = "^[0-9]{1,19}(,[0-9]{1,19})*$"))]
    seq: Option<String>,
}

/// What a caller asks for, as far as it can be read.
type Asked = Result<Query<Which>, QueryRejection>;

/// What became of dead letters.
#[derive(JsonSchema, Serialize)]
pub(super) struct Settled {
    /// How many were told of.
    rows: usize,
}

/// A row, as it is written.
#[derive(JsonSchema)]
#[schemars(rename = "WrittenRow")]
#[expect(dead_code, reason = "drawn alone: it is written by the log")]
struct Line {
    /// `raw_user_actions` or `ranking_decisions`.
    table: String,
    /// Its number in the log.
    seq: u64,
    /// Its columns; see docs/EVENTS.md.
    row: serde_json::Map<String, serde_json::Value>,
}

/// A line of the live stream.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "EventsLine")]
#[expect(dead_code, reason = "drawn alone: each is written by itself")]
enum TailLine {
    /// A row.
    Row(Line),
    /// The follower was slow.
    Missed(Missed),
}

pub(super) fn described_spool() -> Operation {
    let spool = admin("spool", "How the event log stands")
        .answers::<Status>(200, "Its bytes, its age, and each sink.");
    free(spool).fails::<super::describe::Problem>(&[NO_LOG, FAILED], Some("error"))
}

pub(super) fn described_tail() -> Operation {
    let tail = admin("tailEvents", "Rows as they come onto the disk, one JSON object a line")
        .about("Without an end. A follower that is slow misses rows, and is told how many.")
        .answers_as::<TailLine>(200, "application/x-ndjson", "Each line is one such object.");
    closed(tail, &[NO_LOG, (429, "too_many_listeners", "as many follow as may")])
}

pub(super) fn described_dead() -> Operation {
    let dead = admin("deadLetters", "Rows that a sink does not take, the oldest thousand")
        .answers::<Vec<DeadLetter>>(200, "Each with the reason.");
    closed(dead, &[NO_LOG, FAILED])
}

pub(super) fn described_retry() -> Operation {
    settled("retryDeadLetters", "Sends dead letters again")
}

pub(super) fn described_drop() -> Operation {
    settled("dropDeadLetters", "Drops dead letters")
}

fn settled(id: &'static str, summary: &'static str) -> Operation {
    let settled = admin(id, summary).query::<Which>().answers::<Settled>(200, "How many.");
    closed(settled, &[(400, "malformed_seq", "numbers with commas between"), NO_LOG, FAILED])
}

pub(super) async fn spool(State(admin): State<Admin>) -> Response {
    on_disk(&admin, |log| log.status()).await
}

pub(super) async fn dead(State(admin): State<Admin>) -> Response {
    on_disk(&admin, |log| log.dead(None, LISTED_MAX)).await
}

pub(super) async fn retry(State(admin): State<Admin>, which: Asked) -> Response {
    settle(&admin, which, true).await
}

pub(super) async fn drop_dead(State(admin): State<Admin>, which: Asked) -> Response {
    settle(&admin, which, false).await
}

async fn settle(admin: &Admin, which: Asked, again: bool) -> Response {
    let Ok(Query(Which { seq })) = which else {
        return refused(StatusCode::BAD_REQUEST, "malformed_seq");
    };
    let seqs = seq.map(|all| all.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>());
    let Ok(seqs) = seqs.transpose() else {
        return refused(StatusCode::BAD_REQUEST, "malformed_seq");
    };
    on_disk(admin, move |log| Ok(Settled { rows: log.settle_dead(seqs.as_deref(), again)? })).await
}

async fn on_disk<T: Serialize + Send + 'static>(
    admin: &Admin,
    work: impl FnOnce(&Spool) -> io::Result<T> + Send + 'static,
) -> Response {
    let Some(log) = admin.log.clone() else {
        return refused(StatusCode::NOT_FOUND, "no_event_log");
    };
    match tokio::task::spawn_blocking(move || work(&log)).await {
        Ok(Ok(found)) => Json(found).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "an operator was not told of the event log");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "event_log_broken")
        }
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "fault"),
    }
}

pub(super) async fn tail(State(admin): State<Admin>) -> Response {
    let Some(log) = &admin.log else {
        return refused(StatusCode::NOT_FOUND, "no_event_log");
    };
    let Some(rows) = log.follow() else {
        return refused(StatusCode::TOO_MANY_REQUESTS, "too_many_listeners");
    };
    let lines = stream::unfold(rows, |mut rows| async {
        let line = next(&mut rows).await?;
        Some((Ok::<_, Infallible>(line), rows))
    });
    let kind =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(lines)).into_response()
}

/// The next line; `None` at the end of the process.
async fn next(rows: &mut Receiver<Arc<str>>) -> Option<Bytes> {
    let line = match rows.recv().await {
        Ok(row) => row.to_string(),
        Err(RecvError::Lagged(missed)) => serde_json::to_string(&Missed { missed }).ok()?,
        Err(RecvError::Closed) => return None,
    };
    Some(Bytes::from(line + "\n"))
}
