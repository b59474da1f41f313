//! Bodies of reported events, each within a cap, all of them together within another.
//!
//! In: a request's body as it comes. Out: its bytes, counted as held until they are dropped. Only
//! what has really arrived is counted, so that nobody takes room by announcing a body.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde_json::value::RawValue;

use super::Api;
use super::error::ApiError;
use super::intake::{self, Asker, Entry, Read};
use super::refusal::Refusal;
use super::shape;
use crate::config::Track;
use crate::config::source::query_pairs;
use crate::telemetry::limits::Limit;
use crate::trust::Spoken;
use crate::types::clock::Timestamp;
use crate::types::event::column::RawJson;
use crate::yaml::printable;

/// Bytes of all bodies in our hands.
#[derive(Debug, Default)]
pub(super) struct Room {
    taken: AtomicUsize,
}

/// A body that was read.
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    _place: Place,
}

/// A report of events, as it came.
pub(super) struct Call {
    pub(super) api: Api,
    pub(super) headers: HeaderMap,
    pub(super) held: Held,
    /// The caller only asks what would happen.
    pub(super) debug: bool,
    spoken: Spoken,
}

impl FromRequest<Api> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let room = head.extensions.get::<Arc<Room>>().cloned().unwrap_or_default();
        let spoken = head.extensions.get::<Spoken>().cloned().unwrap_or_default();
        let held = read(api, &room, &head.headers, body).await?;
        let debug = wants_debug(head.uri.query().unwrap_or(""))?;
        Ok(Self { api: api.clone(), headers: head.headers, held, debug, spoken })
    }
}

impl Call {
    /// What the body holds, taken apart by `take_apart` into at most so many events.
    ///
    /// # Errors
    /// Those of `take_apart`; a limit that is reached is counted.
    pub(super) fn apart<'a, T>(
        &'a self,
        take_apart: impl FnOnce(&'a [u8], usize) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let limits = &self.api.limits;
        let items_max = if self.debug { limits.debug_items_max } else { limits.items_max };
        let found = take_apart(&self.held.bytes, items_max);
        if found.as_ref().is_err_and(|error| error.status == StatusCode::PAYLOAD_TOO_LARGE) {
            self.api.limit_hits.hit(Limit::TrackItemsMax);
        }
        found
    }

    /// Reads each event, and learns it or says what would become of it.
    ///
    /// # Errors
    /// As of [`Call::learned`].
    pub(super) async fn heard<'a>(
        &self,
        events: impl Iterator<Item = Result<&'a RawValue, Refusal>>,
        read: impl Fn(&'a RawValue, Timestamp, &Track) -> Result<Read, Refusal>,
    ) -> Result<Vec<Entry>, ApiError> {
        let (now, limits) = (self.api.clock.now(), &self.api.limits);
        let read =
            |event: Result<_, _>| event.and_then(|raw| self.noted(raw, || read(raw, now, limits)));
        self.learned(events.map(|event| read(event).unwrap_or_else(Read::Refused)).collect()).await
    }

    /// Learns what was read, or says what would become of it.
    ///
    /// # Errors
    /// 503 where the event log takes nothing.
    pub(super) async fn learned(&self, events: Vec<Read>) -> Result<Vec<Entry>, ApiError> {
        let asker = Asker { headers: &self.headers, spoken: &self.spoken };
        let taken = intake::take(&self.api, &asker, events, self.debug).await;
        taken.map_err(|refused| ApiError {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "not_kept_now",
            message: format!("{refused}; try again"),
        })
    }

    /// One event with what it looked like, where that is written down.
    ///
    /// # Errors
    /// Those of `read`, and that it is too large to be written down.
    pub(super) fn noted(
        &self,
        raw: &RawValue,
        read: impl FnOnce() -> Result<Read, Refusal>,
    ) -> Result<Read, Refusal> {
        self.fits(raw)?;
        let mut event = read()?;
        if let (Read::Item(item), Some(_)) = (&mut event, &self.api.log) {
            item.raw = Some(RawJson(raw.get().into()));
        }
        Ok(event)
    }

    /// An event is written down as it was sent, and a row has a limit.
    fn fits(&self, raw: &RawValue) -> Result<(), Refusal> {
        let Some(log) = &self.api.log else { return Ok(()) };
        let (bytes, max) = (raw.get().len(), log.settings().row_bytes_max / 2);
        if bytes <= max {
            return Ok(());
        }
        let said = format!(
            "the event has {bytes} bytes; expected at most {max}, half of spool.row_bytes_max"
        );
        Err(Refusal { code: "event_too_large", ..Refusal::malformed(said) })
    }
}

/// What a report of events says in its query.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "drawn, and read by hand below")]
pub(super) struct Asked {
    /// Only say what would be learned, and learn nothing.
    #[schemars(with = "Option<shape::Switch>")]
    debug: bool,
}

/// Words for no, then for yes.
pub(super) const SWITCH_WORDS: [&str; 5] = ["0", "false", "", "1", "true"];

fn wants_debug(query: &str) -> Result<bool, ApiError> {
    let said = query_pairs(query).filter(|(name, _)| name == "debug").map(|(_, value)| {
        let word = SWITCH_WORDS.iter().position(|word| *word == value);
        word.map(|at| at >= 2).ok_or_else(|| {
            let found = printable(&value);
            ApiError::bad_request("bad_debug", format!("debug: found {found}, expected 1 or 0"))
        })
    });
    said.collect::<Result<Vec<_>, _>>().map(|said| said.contains(&true))
}

struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Refuses a body in a content coding.
///
/// # Errors
/// 415 with the coding.
pub(super) fn refuse_coded(headers: &HeaderMap) -> Result<(), ApiError> {
    let coded = headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity");
    let Some(coding) = coded else { return Ok(()) };
    let coding = String::from_utf8_lossy(coding.as_bytes());
    Err(ApiError {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        code: "coded_body",
        message: format!("content-encoding {coding}: expected a body that is not compressed"),
    })
}

/// Reads a body of events.
///
/// # Errors
/// 413 above `track_bytes_max`, 503 where `track_held_bytes_max` are held already, 415 for a coded
/// body, 400 for one that breaks off.
async fn read(
    api: &Api,
    room: &Arc<Room>,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Held, ApiError> {
    refuse_coded(headers)?;
    let bytes_max = api.limits.bytes_max;
    let too_large = || {
        api.limit_hits.hit(Limit::TrackBytesMax);
        ApiError {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "body_too_large",
            message: format!(
                "the body: expected at most {bytes_max} bytes (limits.track_bytes_max); send the \
                 events in several requests"
            ),
        }
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    if length > bytes_max {
        return Err(too_large());
    }
    let mut place = Place { room: room.clone(), bytes: 0 };
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| ApiError::bad_request("body_broken", error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large());
        }
        place.bytes += data.len();
        let taken = room.taken.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        if taken > api.limits.held_bytes_max {
            api.limit_hits.hit(Limit::TrackHeldBytesMax);
            return Err(ApiError {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "too_many_bodies",
                message: "too many bodies at a time (limits.track_held_bytes_max); try again"
                    .into(),
            });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes, _place: place })
}
