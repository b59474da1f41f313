//! Why did this search come out so? `GET /tap` streams searches as they end, one JSON object a
//! line, before and after; `GET /explain/{query}` gives one that a trusted peer wanted explained.
//!
//! For operators alone: both show what was searched for. A listener that is slow misses searches
//! and is told how many.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::describe::Missed;
use super::{Admin, refused};
use crate::personalize::Told;
use crate::types::ids::QueryId;

pub(super) async fn explain(State(admin): State<Admin>, Path(query): Path<String>) -> Response {
    let Some(id) = QueryId::parse(&query) else {
        return refused(StatusCode::BAD_REQUEST, "malformed_query_id");
    };
    match admin.personalizer.told(id) {
        Some(told) => Json(&*told).into_response(),
        None => refused(StatusCode::NOT_FOUND, "not_explained"),
    }
}

pub(super) async fn tap(State(admin): State<Admin>) -> Response {
    let Some(searches) = admin.personalizer.follow() else {
        return refused(StatusCode::TOO_MANY_REQUESTS, "too_many_listeners");
    };
    let lines = stream::unfold(searches, |mut searches| async {
        let line = next(&mut searches).await?;
        Some((Ok::<_, Infallible>(line), searches))
    });
    let kind =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    (kind, Body::from_stream(lines)).into_response()
}

/// The next line; `None` at the end of the process.
async fn next(searches: &mut Receiver<Arc<Told>>) -> Option<Bytes> {
    let line = match searches.recv().await {
        Ok(told) => serde_json::to_string(&*told).ok()?,
        Err(RecvError::Lagged(missed)) => serde_json::to_string(&Missed { missed }).ok()?,
        Err(RecvError::Closed) => return None,
    };
    Some(Bytes::from(line + "\n"))
}
