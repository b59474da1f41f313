//! What happens after the shop has answered a routed request.
//!
//! A search to be ranked is held, ranked and respliced within its limits; any other is at most
//! copied aside as it passes. An event is learned from once the shop has taken it. Whatever goes
//! wrong here, the shop's own bytes go out: every way out of this file that is not a moved reply
//! carries a [`FailOpen`] and the original body.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode, Uri};
use hyper::body::Incoming;

use super::body::ReplyBody;
use super::forward::Outgoing;
use super::framing::Hop;
use super::hold::{Held, hold, placed};
use super::packing::{GRPC_ENCODING, Packing};
use super::pipeline::Pipeline;
use super::shield::shielded;
use super::{caching, respond};
use crate::client::shop::Repeat;
use crate::config::Wire;
use crate::observe::{Event, Observer};
use crate::personalize::breaker::Breaker;
use crate::personalize::fail_open::FailOpen;
use crate::personalize::{Ending, Looked, Reranked, Search, Treatment};
use crate::telemetry::limits::Limit;
use crate::wire::{Doubt, encoding};

/// What a request of an event route may teach, and what hears of our faults in it.
pub(super) struct Lesson {
    /// `None`: nothing.
    pub(super) event: Option<Event>,
    pub(super) breaker: Arc<Breaker>,
}

impl Pipeline {
    /// A search: forwarded, then ranked, or looked at, or only passed.
    pub(super) async fn search(
        &self,
        search: Box<Search>,
        mut outgoing: Outgoing,
        hop: Hop,
        repeat: Repeat,
    ) -> Response<ReplyBody> {
        let method = outgoing.head.method.clone();
        let translated = ready_request(&mut outgoing.head.headers, &search);
        if let Some(body) = search.rewritten() {
            let mut wide = outgoing.with_body(body.clone());
            if let Some(query) = search.rewritten_query() {
                match with_query(&wide.head.uri, query) {
                    Some(uri) => wide.head.uri = uri,
                    None => {
                        let why = FailOpen::Doubt(Doubt::TooLarge);
                        return self.passed_after(&search, why, outgoing, hop).await;
                    }
                }
            }
            // what we wrote is not compressed
            wide.head.headers.remove(GRPC_ENCODING);
            return match self.cut_from(&search, wide, hop, repeat).await {
                Ok(page) => page,
                Err(why) => self.passed_after(&search, why, outgoing, hop).await,
            };
        }
        let reply = match self.forward(outgoing, hop, repeat).await {
            Ok(reply) => reply,
            Err(own) => return own,
        };
        let (mut parts, body) = reply.into_parts();
        self.warn_of_shared_caches(&search, &method, &parts);
        if search.rests_on_moved() {
            // The shop does not know that its list is one shopper's.
            caching::make_private(&mut parts.headers);
        }
        if translated && parts.status == StatusCode::NOT_MODIFIED {
            caching::compose_etag(&mut parts.headers, search.tag());
        }
        let (why, body) = match search.treatment() {
            Treatment::Pass(why) => {
                self.personalizer.ended(&search, Ending { why: Some(why), ..Ending::default() });
                (why, ReplyBody::stream(VecDeque::new(), body))
            }
            Treatment::Look(why) => (why, self.look((Search::clone(&search), why), &parts, body)),
            Treatment::Rank => match self.rank(&search, &mut parts, body).await {
                Ok(moved) => return Response::from_parts(parts, moved),
                Err((why, body)) => (why, body),
            },
        };
        self.tell(&search, why, &mut parts.headers);
        Response::from_parts(parts, body)
    }

    /// Asks for a whole window and cuts the page from it. `Err` is why the page must be asked for
    /// by itself: what was asked for beyond it must never reach a client.
    async fn cut_from(
        &self,
        search: &Search,
        wide: Outgoing,
        hop: Hop,
        repeat: Repeat,
    ) -> Result<Response<ReplyBody>, FailOpen> {
        let reply = self.forward(wide, hop, repeat).await.map_err(|_| FailOpen::Status)?;
        let (mut parts, body) = reply.into_parts();
        match self.rank(search, &mut parts, body).await {
            Ok(moved) => Ok(Response::from_parts(parts, moved)),
            Err((why, _)) => Err(why),
        }
    }

    /// Asks for the page itself, in the shop's order; so will the pages after it be.
    async fn passed_after(
        &self,
        search: &Search,
        why: FailOpen,
        outgoing: Outgoing,
        hop: Hop,
    ) -> Response<ReplyBody> {
        self.personalizer.stays_natural(search);
        let reply = match self.forward(outgoing, hop, Repeat::Once).await {
            Ok(reply) => reply,
            Err(own) => return own,
        };
        let (mut parts, body) = reply.into_parts();
        self.tell(search, why, &mut parts.headers);
        Response::from_parts(parts, ReplyBody::stream(VecDeque::new(), body))
    }

    /// Counts why a search was answered with the shop's bytes, and says so.
    fn tell(&self, search: &Search, why: FailOpen, headers: &mut HeaderMap) {
        self.metrics.bypass.with_label_values(&[search.route(), why.label()]).inc();
        why.limit().into_iter().for_each(|limit| self.limit_hits.hit(limit));
        respond::bypassed(headers, why, search.is_explained().then(|| search.id()));
    }

    /// Holds the reply and ranks it. `Err` is the reason and the original body.
    async fn rank(
        &self,
        search: &Search,
        parts: &mut Parts,
        body: Incoming,
    ) -> Result<ReplyBody, (FailOpen, ReplyBody)> {
        let mut ending = Ending::default();
        let outcome = self.held_and_ranked(search, parts, body, &mut ending).await;
        ending.why = outcome.as_ref().err().map(|(why, _)| *why);
        self.personalizer.ended(search, ending);
        outcome
    }

    async fn held_and_ranked(
        &self,
        search: &Search,
        parts: &mut Parts,
        body: Incoming,
        ending: &mut Ending,
    ) -> Result<ReplyBody, (FailOpen, ReplyBody)> {
        let packing = match Packing::of(parts, search.wire()) {
            Ok(packing) => packing,
            Err(why) => return Err((why, ReplyBody::stream(VecDeque::new(), body))),
        };
        let Some(place) = self.personalizer.place() else {
            return Err((FailOpen::Overload, ReplyBody::stream(VecDeque::new(), body)));
        };
        let limits = self.limits();
        let started_us = self.clock.monotonic_us();
        let held = hold(body, limits.reply_bytes_max, Duration::from_millis(limits.hold_ms)).await;
        let held_us = self.clock.monotonic_us().saturating_sub(started_us);
        self.metrics.hold_seconds.observe(held_us as f64 / 1e6);
        ending.held_us = Some(held_us);
        let (bytes, trailers) = match held {
            Held::Whole(bytes, trailers) => (bytes, trailers),
            held @ Held::TooLarge(..) => return Err((FailOpen::TooLarge, held.untouched(place))),
            held @ Held::Late(..) => return Err((FailOpen::HoldSpent, held.untouched(place))),
            held @ Held::Broken(..) => return Err((FailOpen::ReplyBroken, held.untouched(place))),
        };
        if !packing.ended_well(trailers.as_ref()) {
            return Err((FailOpen::Status, ReplyBody::whole(placed(bytes, place), trailers)));
        }
        let breaker = search.breaker();
        let rerank = || self.rerank(search, (&packing, &bytes), ending);
        let outcome = shielded(breaker, FailOpen::Panic, rerank);
        let (reranked, moved) = match outcome {
            Ok(outcome) => outcome,
            Err(why) => {
                if why.is_our_fault() {
                    breaker.fault(why.label());
                }
                return Err((why, ReplyBody::whole(placed(bytes, place), trailers)));
            }
        };
        if search.wire() != Wire::Grpc {
            caching::personalise(&mut parts.headers, search.tag());
        }
        if search.wire() != Wire::Grpc || parts.headers.contains_key(header::CONTENT_LENGTH) {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(moved.len()));
        }
        packing.unsay(&mut parts.headers);
        respond::reranked(&mut parts.headers, &reranked);
        Ok(ReplyBody::whole(placed(moved, place), trailers))
    }

    /// Decodes, ranks, records what was shown, and encodes again.
    fn rerank(
        &self,
        search: &Search,
        (packing, bytes): (&Packing, &Bytes),
        ending: &mut Ending,
    ) -> Result<(Reranked, Bytes), FailOpen> {
        let plain = packing.unpacked(bytes, self.limits().reply_bytes_max)?;
        let mut reranked = self.personalizer.rerank(search, &plain)?;
        self.observer.shown(search.pupil(), std::mem::take(&mut reranked.shown));
        ending.seen = Some(reranked.seen);
        ending.spent_us = reranked.spent_us;
        ending.moved = reranked.moved;
        ending.explained = std::mem::take(&mut reranked.explained);
        ending.recorded = reranked.recorded.take();
        let body = reranked.body.take().ok_or(reranked.unmoved)?;
        let moved = packing.packed(body)?;
        Ok((reranked, moved))
    }

    /// Lets the reply pass and looks at a copy when its last byte has gone by.
    fn look(&self, (search, why): (Search, FailOpen), parts: &Parts, body: Incoming) -> ReplyBody {
        let body = ReplyBody::stream(VecDeque::new(), body);
        let unread = |why| Ending { why: Some(why), ..Ending::default() };
        let packing = match Packing::of(parts, search.wire()) {
            Ok(packing) => packing,
            Err(why) => {
                self.personalizer.ended(&search, unread(why));
                return body;
            }
        };
        let Some(place) = self.personalizer.place() else {
            self.limit_hits.hit(Limit::InFlightMax);
            self.personalizer.ended(&search, unread(FailOpen::Overload));
            return body;
        };
        let bytes_max = self.limits().reply_bytes_max;
        let (personalizer, observer) = (self.personalizer.clone(), self.observer.clone());
        body.teed(bytes_max, move |copy| {
            // Nothing depends on this look: a reply that cannot be read teaches nothing.
            let looked = shielded(search.breaker(), FailOpen::Panic, || {
                personalizer.look(&search, &packing.unpacked(&copy, bytes_max)?)
            });
            let ending = match looked {
                Err(unreadable) => unread(unreadable),
                Ok(looked) => {
                    let Looked { shown, seen, moved, spent_us, explained, recorded } = looked;
                    observer.shown(search.pupil(), shown);
                    let (why, seen) = (Some(why), Some(seen));
                    Ending { why, seen, moved, spent_us, explained, recorded, held_us: None }
                }
            };
            personalizer.ended(&search, ending);
            drop(place);
        })
    }

    /// An event: forwarded, then learned from if the shop took it.
    pub(super) async fn event(
        &self,
        lesson: Lesson,
        outgoing: Outgoing,
        hop: Hop,
        repeat: Repeat,
    ) -> Response<ReplyBody> {
        let reply = match self.forward(outgoing, hop, repeat).await {
            Ok(reply) => reply,
            Err(own) => return own,
        };
        let (parts, body) = reply.into_parts();
        let body = ReplyBody::stream(VecDeque::new(), body);
        let Lesson { event, breaker } = lesson;
        let Some(event) = event.filter(|_| parts.status.is_success()) else {
            return Response::from_parts(parts, body);
        };
        let body = match (event.reads_reply(), Packing::of(&parts, Wire::Json)) {
            (true, Ok(packing)) => self.learn_at_end(event, breaker, packing, body),
            _ => {
                learn(&breaker, &self.observer, event);
                body
            }
        };
        Response::from_parts(parts, body)
    }

    /// Learns from an event together with the page that answers it.
    fn learn_at_end(
        &self,
        event: Event,
        breaker: Arc<Breaker>,
        packing: Packing,
        body: ReplyBody,
    ) -> ReplyBody {
        let Some(place) = self.personalizer.place() else {
            self.limit_hits.hit(Limit::InFlightMax);
            learn(&breaker, &self.observer, event);
            return body;
        };
        let bytes_max = self.limits().reply_bytes_max;
        let observer = self.observer.clone();
        body.teed(bytes_max, move |copy| {
            let _: Result<(), ()> = shielded(&breaker, (), || {
                let page = packing.unpacked(&copy, bytes_max).ok();
                observer.learn(event, page.as_deref());
                Ok(())
            });
            drop(place);
        })
    }

    fn warn_of_shared_caches(&self, search: &Search, method: &Method, parts: &Parts) {
        if search.is_personal() && caching::is_shared_cacheable(method, &parts.headers) {
            self.metrics.shared_cacheable.with_label_values(&[search.route()]).inc();
        }
    }
}

/// The same target with another query; `None` where it would be too long.
fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let target = PathAndQuery::try_from(format!("{}?{query}", uri.path()));
    parts.path_and_query = Some(target.ok()?);
    Uri::from_parts(parts).ok()
}

/// Narrows `Accept-Encoding` to what we decode and translates `If-None-Match`; true when a 304
/// would have to carry our tag again.
fn ready_request(headers: &mut HeaderMap, search: &Search) -> bool {
    if matches!(search.treatment(), Treatment::Pass(_)) || search.wire() == Wire::Grpc {
        return false;
    }
    let asked = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if let Ok(narrowed) = HeaderValue::from_str(&encoding::narrow_accept_encoding(asked)) {
        headers.insert(header::ACCEPT_ENCODING, narrowed);
    }
    search.treatment() == Treatment::Rank && caching::translate(headers, search.tag())
}

/// Learns from an event. A panic in it costs this event and nothing else.
fn learn(breaker: &Breaker, observer: &Observer, event: Event) {
    let _: Result<(), ()> = shielded(breaker, (), || {
        observer.learn(event, None);
        Ok(())
    });
}
