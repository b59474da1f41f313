//! Holding bytes back, within limits: reply bodies that may be re-ranked, request bodies that may
//! be learned from.
//!
//! In: a streaming body, a cap in bytes, a deadline. Out: the whole body, or what was collected with
//! the rest still streaming. Never loses or reorders a byte, whatever ends first.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::body::ReplyBody;
use crate::client::shop::BoxError;

/// What holding a body came to.
pub(crate) enum Held {
    /// All of it, within the limits.
    Whole(Bytes, Option<HeaderMap>),
    /// The cap was reached, or is known to be.
    TooLarge(VecDeque<Bytes>, Incoming),
    /// The time was up.
    Late(VecDeque<Bytes>, Incoming),
    /// The body broke off.
    Broken(VecDeque<Bytes>, BoxError),
}

impl Held {
    /// The same bytes as a reply body, untouched.
    pub(crate) fn untouched(self) -> ReplyBody {
        match self {
            Self::Whole(bytes, trailers) => ReplyBody::whole(bytes, trailers),
            Self::TooLarge(ahead, rest) | Self::Late(ahead, rest) => ReplyBody::stream(ahead, rest),
            Self::Broken(ahead, error) => ReplyBody::failed(ahead, error),
        }
    }
}

/// Collects `body` up to `bytes_max` within `limit`.
pub(crate) async fn hold(mut body: Incoming, bytes_max: usize, limit: Duration) -> Held {
    let mut chunks = VecDeque::new();
    if body.size_hint().lower() > bytes_max as u64 {
        return Held::TooLarge(chunks, body);
    }
    let mut trailers = None;
    let mut length = 0;
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        if body.is_end_stream() {
            return Held::Whole(join(chunks), trailers);
        }
        match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => return Held::Late(chunks, body),
            Ok(None) => return Held::Whole(join(chunks), trailers),
            Ok(Some(Err(error))) => return Held::Broken(chunks, error.into()),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
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
