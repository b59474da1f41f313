//! To the shop and back: one hop's head exchanged for the next one's, upgrades tunnelled, the
//! shop's failures turned into answers that name us.
//!
//! In: a request, whole or streaming. Out: the shop's reply, or an answer of ours with its reason.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::body::{Bounds, Cut, CutFlag, ReplyBody, RequestBody};
use super::framing::{self, Hop};
use super::pipeline::Pipeline;
use super::{grpc, respond, trace, tunnel};
use crate::client::shop::{Repeat, ShopError};
use crate::config::Limits;

/// A request about to be forwarded.
pub(super) struct Outgoing {
    pub(super) head: Box<Parts>,
    pub(super) body: RequestBody,
    pub(super) cut: CutFlag,
}

impl Outgoing {
    /// A body that is wholly in memory, or none.
    pub(super) fn whole(head: Box<Parts>, body: Option<Bytes>) -> Self {
        let body = match RequestBody::whole(body) {
            // to a gRPC server it would be metadata that nobody sent
            body if grpc::is_call(&head) => body.without_length(),
            body => body,
        };
        Self { head, body, cut: CutFlag::default() }
    }

    /// The same request with another body, wholly in memory.
    pub(super) fn with_body(&self, body: Bytes) -> Self {
        let mut head = self.head.clone();
        if head.headers.contains_key(header::CONTENT_LENGTH) {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Self::whole(head, Some(body))
    }

    /// A body that streams through.
    pub(super) fn streamed(head: Box<Parts>, body: Incoming, limits: &Limits) -> Self {
        Self::ahead(head, VecDeque::new(), body, limits, Instant::now())
    }

    /// A body of which a part was read ahead, the last of it at `since`.
    pub(super) fn ahead(
        head: Box<Parts>,
        ahead: VecDeque<Bytes>,
        rest: Incoming,
        limits: &Limits,
        since: Instant,
    ) -> Self {
        if ahead.is_empty() && http_body::Body::is_end_stream(&rest) {
            return Self::whole(head, None);
        }
        let cut = CutFlag::default();
        let silence = (!grpc::is_call(&head)).then_some(limits.body_timeout);
        let bounds = Bounds { bytes_max: limits.request_bytes_cap(), silence, since };
        let body = RequestBody::stream(ahead, rest, bounds, cut.clone());
        Self { head, body, cut }
    }
}

impl Pipeline {
    /// Sends a request on; the reply's head comes back fit for the client, its body streaming.
    /// `Err` is an answer that ends here: a failure of the shop, or a switch of protocols.
    pub(super) async fn forward(
        &self,
        outgoing: Outgoing,
        hop: Hop,
        repeat: Repeat,
    ) -> Result<Response<Incoming>, Response<ReplyBody>> {
        let Outgoing { mut head, body, cut } = outgoing;
        let upgrade = framing::upgrade(&head);
        let client = head.extensions.remove::<OnUpgrade>().filter(|_| upgrade.is_some());
        let carried = framing::request_head(&mut head, hop);
        if let Some(protocol) = upgrade {
            framing::switch_to(&mut head.headers, protocol);
        }
        if let Some(host) = self.shop.host(carried.host) {
            head.headers.insert(header::HOST, host);
        }
        if !carried.traceparent {
            trace::create(&mut head.headers);
        }
        let asked_us = self.clock.monotonic_us();
        let mut reply = match self.shop.send(head, body, repeat).await {
            Ok(reply) => {
                let waited_us = self.clock.monotonic_us().saturating_sub(asked_us);
                self.metrics.upstream_seconds.observe(waited_us as f64 / 1e6);
                reply
            }
            Err(error) => return Err(self.unanswered(&error, cut.get())),
        };
        if reply.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.switch(client, reply));
        }
        let received = reply.version();
        framing::reply_head(reply.headers_mut(), received);
        // The shop's version ends at this hop: an HTTP/1.0 reply would end the client's connection.
        *reply.version_mut() = Version::HTTP_11;
        Ok(reply)
    }

    /// The shop agreed to switch protocols: bytes flow both ways from here on.
    fn switch(
        &self,
        client: Option<OnUpgrade>,
        mut reply: Response<Incoming>,
    ) -> Response<ReplyBody> {
        let Some(client) = client else {
            return self.refuse(StatusCode::BAD_GATEWAY, "upgrade_not_asked_for");
        };
        let shop = hyper::upgrade::on(&mut reply);
        tunnel::join(client, shop, self.lifecycle.enter());
        let protocol = reply.headers().get(header::UPGRADE).cloned();
        framing::reply_head(reply.headers_mut(), Version::HTTP_11);
        if let Some(protocol) = protocol {
            framing::switch_to(reply.headers_mut(), protocol);
        }
        reply.map(|_| ReplyBody::empty())
    }

    /// The shop did not answer, or the client did not finish asking.
    fn unanswered(&self, error: &ShopError, cut: Option<Cut>) -> Response<ReplyBody> {
        match cut {
            Some(Cut::TooLarge) => {
                return self.refuse(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large");
            }
            Some(Cut::Silent) => {
                return self.refuse(StatusCode::REQUEST_TIMEOUT, "request_silent");
            }
            Some(Cut::Broken) => return self.refuse(StatusCode::BAD_REQUEST, "request_broken"),
            None => {}
        }
        let (status, reason) = match error {
            ShopError::Unreachable(_) => (StatusCode::BAD_GATEWAY, "shop_unreachable"),
            ShopError::HungUp(_) => (StatusCode::BAD_GATEWAY, "shop_hung_up"),
            ShopError::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "shop_timed_out"),
        };
        self.metrics.upstream_errors.with_label_values(&[reason]).inc();
        tracing::debug!(%error, "the shop did not answer");
        respond::error(status, reason)
    }
}
