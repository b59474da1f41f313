//! Reading a request's body ahead, where a route learns from it.
//!
//! In: a request and `peek_bytes_max`. Out: the same request, its body wholly in memory (and then
//! fit to be sent twice) or streaming on, and the bytes that may be read. A body above the cap is
//! never collected: what was read goes first, the rest follows as it comes.

use bytes::Bytes;
use http::header;
use http::request::Parts;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::{Cut, CutFlag, RequestBody};
use super::forward::Outgoing;
use super::hold::{Held, hold};
use crate::config::Limits;
use crate::telemetry::limits::{Limit, LimitHits};

/// Reads the body ahead if `reads`; the second value is `None` when it could not be kept.
pub(super) async fn peek(
    head: Box<Parts>,
    body: Incoming,
    reads: bool,
    limits: &Limits,
    limit_hits: &LimitHits,
) -> (Outgoing, Option<Bytes>) {
    if body.is_end_stream() {
        return (Outgoing::whole(head, None), Some(Bytes::new()));
    }
    // A client that waits for `100 Continue` gets it from whoever reads its body first.
    if !reads || head.headers.contains_key(header::CONTENT_ENCODING) {
        return (Outgoing::streamed(head, body, limits), None);
    }
    match hold(body, limits.peek_bytes_max, limits.body_timeout).await {
        Held::Whole(bytes, None) => (Outgoing::whole(head, Some(bytes.clone())), Some(bytes)),
        Held::Whole(bytes, Some(trailers)) => {
            let body = RequestBody::with_trailers(bytes.clone(), trailers);
            (Outgoing { head, body, cut: CutFlag::default() }, Some(bytes))
        }
        Held::TooLarge(ahead, rest) => {
            limit_hits.hit(Limit::PeekBytesMax);
            (Outgoing::ahead(head, ahead, rest, limits, Instant::now()), None)
        }
        Held::Late(ahead, rest, last) => (Outgoing::ahead(head, ahead, rest, limits, last), None),
        Held::Broken(ahead, error) => {
            let (body, cut) = (RequestBody::broken(ahead, error), CutFlag::default());
            cut.set(Cut::Broken);
            (Outgoing { head, body, cut }, None)
        }
    }
}
