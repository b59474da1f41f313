//! **The file to read first**: the way of a request through the sidecar.
//!
//! ```text
//! client ─► framing ─► route ─► identity ─► forward to the shop ─► hold ─► rerank ─► respond ─► client
//!                                                                    └─────► observe
//! ```
//!
//! The stages are called here, in this order, one call each, and nothing else knows the order.
//! Whatever goes wrong after the shop has answered, its own bytes go out.

use std::collections::VecDeque;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::body::{ReplyBody, RequestBody};
use super::exchange::Lesson;
use super::forward::Outgoing;
use super::framing::{self, Hop};
use super::idle::Activity;
use super::shield::shielded;
use super::sniff::Seen;
use super::{grpc, own, peek, respond, trace, visit};
use crate::border::Border;
use crate::client::shop::{Repeat, Shop};
use crate::config::source::Ask;
use crate::config::{Limits, RouteKind, Settings};
use crate::identity::{self, Identity};
use crate::observe::{Event, Observer};
use crate::personalize::breaker::Breaker;
use crate::personalize::fail_open::FailOpen;
use crate::personalize::{Asked, Personalizer, Search};
use crate::route::{self, Matched};
use crate::shutdown::Lifecycle;
use crate::telemetry::limits::{Limit, LimitHits};
use crate::telemetry::memory::{Level, Memory};
use crate::telemetry::metrics::Metrics;
use crate::trust::Spoken;
use crate::types::clock::Clock;

/// What the data port is made of.
pub struct Pipeline {
    /// Settings of the whole process.
    pub settings: Arc<Settings>,
    /// The shop.
    pub shop: Arc<Shop<RequestBody>>,
    /// Whose word counts.
    pub border: Arc<Border>,
    /// The read path.
    pub personalizer: Arc<Personalizer>,
    /// The write path.
    pub observer: Arc<Observer>,
    /// Our own API, for the paths that the settings list.
    pub own: axum::Router,
    /// Who is being served.
    pub lifecycle: Arc<Lifecycle>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Where reached limits are counted and named.
    pub limit_hits: Arc<LimitHits>,
    /// How scarce memory is.
    pub memory: Arc<Memory>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The connection a request came by.
pub(super) struct Connection {
    pub(super) hop: Hop,
    pub(super) seen: Arc<Seen>,
    pub(super) activity: Arc<Activity>,
}

/// Where a request came from, and what was said to us and not to the shop.
pub(super) struct Caller {
    pub(super) hop: Hop,
    pub(super) spoken: Spoken,
}

/// What a request of a route is for.
enum Purpose {
    Search(Box<Search>),
    /// `None`: it teaches nothing.
    Event(Option<Event>),
}

impl Pipeline {
    /// One request, from its head to the first byte of the reply's body.
    pub(super) async fn handle(
        &self,
        (head, body): (Box<Parts>, Incoming),
        connection: Arc<Connection>,
    ) -> Response<ReplyBody> {
        let in_flight = (self.lifecycle.enter(), connection.activity.begin());
        let version = head.version;
        let is_call = grpc::is_call(&head);
        let conflict = connection.seen.conflict(&head.headers);
        let mut reply = self.answer(head, body, connection.hop).await;
        if conflict || !self.lifecycle.is_ready() {
            reply = closing(reply, version);
        }
        self.metrics.requests.with_label_values(&[class_of(reply.status())]).inc();
        if is_call {
            // A stream of calls may be silent for hours; whether the peers live, pings tell.
            return grpc::worded(reply).map(|body| body.without_length().counted(in_flight));
        }
        let silence = self.limits().reply_silence;
        reply.map(|body| body.counted(in_flight).patient(silence, &self.limit_hits))
    }

    async fn answer(&self, mut head: Box<Parts>, body: Incoming, hop: Hop) -> Response<ReplyBody> {
        if self.memory.level() == Level::Exhausted {
            let refusal = self.refuse(StatusCode::SERVICE_UNAVAILABLE, "memory");
            return closing(respond::later(refusal), head.version);
        }
        if self.lifecycle.in_flight() > self.limits().requests_max {
            return respond::later(self.refuse(StatusCode::SERVICE_UNAVAILABLE, "requests"));
        }
        if let Err(refusal) = framing::check(&head, self.limits().request_bytes_cap()) {
            return closing(self.refuse(refusal.status(), refusal.reason()), head.version);
        }
        let spoken = self.border.hear(&mut head, hop.peer);
        if let Some(path) = own::path(&self.settings.listen.own_paths, head.uri.path()) {
            head.extensions.insert(spoken);
            return Box::pin(own::serve(self.own.clone(), path, *head, body)).await;
        }
        let settings = self.settings.clone();
        match route::classify(&settings.routes, &head.method, head.uri.path()) {
            None => self.pass(head, body, hop).await,
            Some(matched) => self.routed(head, body, Caller { hop, spoken }, &matched).await,
        }
    }

    /// A request of no route: forwarded, nothing more. A method that is safe is a read.
    async fn pass(&self, head: Box<Parts>, body: Incoming, hop: Hop) -> Response<ReplyBody> {
        let repeat = if head.method.is_safe() { Repeat::Once } else { Repeat::Never };
        let outgoing = Outgoing::streamed(head, body, self.limits());
        match self.forward(outgoing, hop, repeat).await {
            Ok(reply) => reply.map(|body| ReplyBody::stream(VecDeque::new(), body)),
            Err(own) => own,
        }
    }

    /// A request of a route: read as far as the route needs, then handled by its kind (`exchange`).
    async fn routed(
        &self,
        head: Box<Parts>,
        body: Incoming,
        caller: Caller,
        matched: &Matched<'_>,
    ) -> Response<ReplyBody> {
        let Caller { hop, spoken } = &caller;
        let hop = *hop;
        let breaker = self.personalizer.breaker(matched.index);
        let barred = self.barred(&breaker, &head.headers);
        let reads = barred.is_none() && matched.route.reads_body(&self.settings.identity);
        let (mut outgoing, kept) =
            peek::peek(head, body, reads, self.limits(), &self.limit_hits).await;
        if self.personalizer.is_sought(matched) {
            trace::ensure(&mut outgoing.head.headers);
        }
        let bearer = self.border.bearer(&outgoing.head.headers);
        let ask = Ask {
            claims: bearer.claims(),
            headers: &outgoing.head.headers,
            query: outgoing.head.uri.query().unwrap_or(""),
            named: &matched.named,
            body: kept.as_deref().unwrap_or(b""),
            tenant: None,
        };
        let mut asked = Asked {
            mode: spoken.mode,
            explain: spoken.explain,
            unread: reads && kept.is_none(),
            barred,
            searches: None,
        };
        let path = outgoing.head.uri.path();
        let purpose = shielded(&breaker, (), || {
            self.personalizer.searches(matched, path, &ask, &mut asked);
            Ok(self.understand(matched, &ask, &caller, &asked))
        });
        let (purpose, cookie) = match purpose {
            Ok((purpose, cookie)) => (Ok(purpose), cookie),
            Err(()) => (Err(()), None),
        };
        let repeat = if matched.route.read { Repeat::Once } else { Repeat::Never };
        let mut reply = match purpose {
            Ok(Purpose::Search(search)) => self.search(search, outgoing, hop, repeat).await,
            Ok(Purpose::Event(event)) => {
                self.event(Lesson { event, breaker }, outgoing, hop, repeat).await
            }
            Err(()) => self.event(Lesson { event: None, breaker }, outgoing, hop, repeat).await,
        };
        visit::given(reply.headers_mut(), cookie);
        reply
    }

    /// Why nothing of ours may run for a request of this route.
    fn barred(&self, breaker: &Breaker, headers: &HeaderMap) -> Option<FailOpen> {
        if framing::came_by_us(headers) {
            return Some(FailOpen::OtherLeg);
        }
        if self.memory.level() >= Level::Scarce {
            self.limit_hits.hit(Limit::MemorySoft);
            return Some(FailOpen::Memory);
        }
        breaker.is_tripped().then_some(FailOpen::Tripped)
    }

    /// Does a token that was checked name the user of an act?
    fn is_proven(&self, matched: &Matched<'_>, ask: &Ask<'_>, identity: &Identity) -> bool {
        matches!(matched.route.kind, RouteKind::Event(_))
            && identity.user.is_some()
            && identity::proven(&self.settings.identity, ask).user == identity.user
    }

    /// Who asks, and what the request is for; and the cookie of a visit that begins with it.
    fn understand(
        &self,
        matched: &Matched<'_>,
        ask: &Ask<'_>,
        Caller { hop, spoken }: &Caller,
        asked: &Asked,
    ) -> (Purpose, Option<HeaderValue>) {
        let ask = &Ask { tenant: asked.searches.as_ref().and_then(|all| all.tenant()), ..*ask };
        let identity = identity::resolve(&self.settings.identity, ask);
        let identity = identity.vouched(spoken.user.as_ref(), spoken.session.as_ref());
        let mut identity = self.observer.standing(identity);
        let proven = spoken.names_somebody() || self.is_proven(matched, ask, &identity);
        identity.voice = self.observer.voice(ask.headers, hop.peer, proven);
        let mut cookie = None;
        if asked.barred.is_none() {
            cookie = self.visit(matched, ask, &mut identity, hop.secure);
            self.observer.arrived(&identity);
        }
        let (identity, role) = self.personalizer.join(matched, ask, asked, identity);
        let identity = self.observer.standing(identity);
        let purpose = match self.personalizer.prepare(matched, ask, &identity, asked) {
            Some(search) => {
                let search = self.personalizer.seat(search, role, ask, (asked, &identity));
                Purpose::Search(Box::new(search))
            }
            None if asked.barred.is_some() => Purpose::Event(None),
            None => Purpose::Event(self.observer.prepare(matched, ask, &identity)),
        };
        (purpose, cookie)
    }

    /// A refusal of ours, counted.
    pub(super) fn refuse(&self, status: StatusCode, reason: &'static str) -> Response<ReplyBody> {
        self.metrics.refused.with_label_values(&[reason]).inc();
        let limit = match reason {
            "request_too_large" => Some(Limit::RequestBytesMax),
            "request_silent" => Some(Limit::BodyTimeout),
            "memory" => Some(Limit::MemoryHard),
            "requests" => Some(Limit::RequestsMax),
            _ => None,
        };
        limit.into_iter().for_each(|limit| self.limit_hits.hit(limit));
        respond::error(status, reason)
    }

    /// Time and size limits.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }
}

/// Ends the connection with this reply; HTTP/2 has a frame of its own for that.
fn closing(mut reply: Response<ReplyBody>, version: Version) -> Response<ReplyBody> {
    if version != Version::HTTP_2 {
        reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

fn class_of(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
