//! Holding bytes back, within limits: reply bodies that may be re-ranked, request bodies that may
//! be learned from.
//!
//! In: a streaming body, a cap in bytes, a deadline. Out: the whole body, or what was collected with
//! the rest still streaming. Never loses or reorders a byte, whatever ends first.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::body::ReplyBody;
use crate::client::shop::BoxError;
use crate::personalize::Place;

/// What holding a body came to.
pub(crate) enum Held {
    /// All of it, within the limits.
    Whole(Bytes, Option<HeaderMap>),
    /// The cap was reached, or is known to be.
    TooLarge(VecDeque<Bytes>, Incoming),
    /// The time was up; the last bytes had come at this moment.
    Late(VecDeque<Bytes>, Incoming, Instant),
    /// The body broke off.
    Broken(VecDeque<Bytes>, BoxError),
}

impl Held {
    /// The same bytes as a reply body, untouched; the place is taken until the client has them.
    pub(crate) fn untouched(self, place: Place) -> ReplyBody {
        match self {
            Self::Whole(bytes, trailers) => ReplyBody::whole(placed(bytes, place), trailers),
            Self::TooLarge(ahead, rest) | Self::Late(ahead, rest, _) => {
                ReplyBody::stream(all_placed(ahead, place), rest)
            }
            Self::Broken(ahead, error) => ReplyBody::failed(all_placed(ahead, place), error),
        }
    }
}

/// Bytes that keep their place until the last of them is sent.
struct Placed {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The same bytes; the place is free when the engine has written them and lets go.
pub(crate) fn placed(bytes: Bytes, place: Place) -> Bytes {
    Bytes::from_owner(Placed { bytes, _place: place })
}

fn all_placed(mut chunks: VecDeque<Bytes>, place: Place) -> VecDeque<Bytes> {
    if let Some(last) = chunks.pop_back() {
        chunks.push_back(placed(last, place));
    }
    chunks
}

/// Collects `body` up to `bytes_max` within `limit`.
pub(crate) async fn hold(mut body: Incoming, bytes_max: usize, limit: Duration) -> Held {
    let mut chunks = VecDeque::new();
    if body.size_hint().lower() > bytes_max as u64 {
        return Held::TooLarge(chunks, body);
    }
    let mut trailers = None;
    let mut length = 0;
    let mut last = Instant::now();
    let deadline = last + limit;
    // Started once something is waited for: most bodies are there when they are asked for.
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    loop {
        if body.is_end_stream() {
            return Held::Whole(join(chunks), trailers);
        }
        let next = poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending => {
                let timer =
                    timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                timer.as_mut().poll(cx).map(|()| None)
            }
        });
        match next.await {
            None => return Held::Late(chunks, body, last),
            Some(None) => return Held::Whole(join(chunks), trailers),
            Some(Some(Err(error))) => return Held::Broken(chunks, error.into()),
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    last = Instant::now();
                    length += data.len();
                    chunks.push_back(data);
                    if length > bytes_max {
                        return Held::TooLarge(chunks, body);
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    }
}

fn join(mut chunks: VecDeque<Bytes>) -> Bytes {
    if chunks.len() <= 1 {
        return chunks.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        whole.extend_from_slice(&chunk);
    }
    whole.freeze()
}
