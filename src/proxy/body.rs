//! The two bodies of the data port: what goes to the shop, and what comes back.
//!
//! Both stream frame by frame and never collect more than they were given. A reply body can carry a
//! copy aside (a *tee*) up to a cap, handed over when the last byte has passed: this is how routes
//! in `off` and `shadow` mode are learned from without being held back.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::idle::Busy;
use crate::client::shop::{BoxError, ShopBody};
use crate::shutdown::InFlight;
use crate::telemetry::limits::{Limit, LimitHits};

/// Why a request body never reached its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Longer than `request_bytes_max`.
    TooLarge = 1,
    /// Silent for `body_timeout_seconds`.
    Silent = 2,
    /// Broken off, or framed as nothing that HTTP knows.
    Broken = 3,
}

/// Set by a request body that was cut off, read by whoever sees the request fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct CutFlag(Arc<AtomicU8>);

impl CutFlag {
    pub(crate) fn get(&self) -> Option<Cut> {
        match self.0.load(Ordering::Acquire) {
            1 => Some(Cut::TooLarge),
            2 => Some(Cut::Silent),
            3 => Some(Cut::Broken),
            _ => None,
        }
    }

    pub(crate) fn set(&self, cut: Cut) {
        self.0.store(cut as u8, Ordering::Release);
    }
}

/// What a streaming request body may take.
pub(crate) struct Bounds {
    /// In all.
    pub(crate) bytes_max: u64,
    /// Between two pieces; `None`: without end.
    pub(crate) silence: Option<Duration>,
    /// When the last piece came.
    pub(crate) since: Instant,
}

/// A request body on its way to the shop.
pub struct RequestBody(Request);

enum Request {
    /// Wholly in memory.
    Whole { bytes: Option<Bytes>, trailers: Option<Box<HeaderMap>>, tells_length: bool },
    /// What was read ahead, then the rest as it comes.
    Stream(Box<RequestStream>),
    /// What was read ahead of a body that broke off.
    Broken { ahead: VecDeque<Bytes>, error: Option<BoxError> },
}

struct RequestStream {
    ahead: VecDeque<Bytes>,
    rest: Incoming,
    left: u64,
    silence: Option<Duration>,
    /// When the client has been silent for too long; `None`: never.
    late: Option<Instant>,
    /// Runs while the client is silent; a body that is there already never starts it. May ring for
    /// an earlier piece's `late`.
    timer: Option<Pin<Box<Sleep>>>,
    cut: CutFlag,
}

impl RequestBody {
    /// A body that is wholly in memory, or none.
    pub(crate) fn whole(bytes: Option<Bytes>) -> Self {
        let bytes = bytes.filter(|b| !b.is_empty());
        Self(Request::Whole { bytes, trailers: None, tells_length: true })
    }

    pub(crate) fn with_trailers(bytes: Bytes, trailers: HeaderMap) -> Self {
        let trailers = Some(Box::new(trailers));
        Self(Request::Whole { bytes: Some(bytes), trailers, tells_length: true })
    }

    /// Leaves it to the request's head to tell the length, or not to: the engine adds none.
    pub(crate) fn without_length(mut self) -> Self {
        if let Request::Whole { tells_length, .. } = &mut self.0 {
            *tells_length = false;
        }
        self
    }

    /// Streams `ahead` and then `rest`, within `bounds`.
    pub(crate) fn stream(
        ahead: VecDeque<Bytes>,
        rest: Incoming,
        bounds: Bounds,
        cut: CutFlag,
    ) -> Self {
        let Bounds { bytes_max: left, silence, since } = bounds;
        let (late, timer) = (silence.map(|silence| since + silence), None);
        let stream = RequestStream { ahead, rest, left, silence, late, timer, cut };
        Self(Request::Stream(Box::new(stream)))
    }

    /// Breaks off where the client did.
    pub(crate) fn broken(ahead: VecDeque<Bytes>, error: BoxError) -> Self {
        Self(Request::Broken { ahead, error: Some(error) })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Request::Whole { bytes, trailers, .. } => Poll::Ready(match bytes.take() {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => trailers.take().map(|t| Ok(Frame::trailers(*t))),
            }),
            Request::Stream(stream) => stream.poll(cx),
            Request::Broken { ahead, error } => Poll::Ready(match ahead.pop_front() {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => error.take().map(Err),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Request::Whole { bytes, trailers, .. } => bytes.is_none() && trailers.is_none(),
            Request::Stream(stream) => stream.ahead.is_empty() && stream.rest.is_end_stream(),
            Request::Broken { ahead, error } => ahead.is_empty() && error.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Request::Whole { bytes, tells_length: true, .. } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Request::Whole { .. } | Request::Broken { .. } => SizeHint::default(),
            Request::Stream(stream) => ahead_and(&stream.ahead, stream.rest.size_hint()),
        }
    }
}

impl RequestStream {
    /// Ready once nothing has come until `late`.
    fn silent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(late) = self.late else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(late)));
        ready!(timer.as_mut().poll(cx));
        while timer.deadline() < late {
            timer.as_mut().reset(late);
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let ahead = self.ahead.pop_front();
        let is_fresh = ahead.is_none();
        let frame = match ahead {
            Some(bytes) => Some(Ok(Frame::data(bytes))),
            None => match Pin::new(&mut self.rest).poll_frame(cx) {
                Poll::Ready(frame) => frame.map(|f| f.map_err(Into::into)),
                Poll::Pending => {
                    ready!(self.silent(cx));
                    self.cut.set(Cut::Silent);
                    return Poll::Ready(Some(Err("the request body fell silent".into())));
                }
            },
        };
        if let Some(Err(_)) = &frame {
            self.cut.set(Cut::Broken);
        }
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => {
                    self.cut.set(Cut::TooLarge);
                    return Poll::Ready(Some(Err("the request body is too large".into())));
                }
            }
            if is_fresh {
                self.late = self.silence.map(|silence| Instant::now() + silence);
            }
        }
        Poll::Ready(frame)
    }
}

impl ShopBody for RequestBody {
    fn again(&self) -> Option<Self> {
        match &self.0 {
            Request::Whole { bytes, trailers, tells_length } => {
                let (bytes, trailers) = (bytes.clone(), trailers.clone());
                Some(Self(Request::Whole { bytes, trailers, tells_length: *tells_length }))
            }
            Request::Stream(_) | Request::Broken { .. } => None,
        }
    }
}

/// A reply that is wholly in memory is given to the engine in parts of this length.
const PART_BYTES: usize = 64 * 1024;

/// Room made in a copy when the second piece comes, in multiples of the two.
const PIECES_AHEAD: usize = 2;

/// A reply body on its way to the client.
pub(crate) struct ReplyBody {
    kind: Kind,
    tee: Option<Box<Tee>>,
    in_flight: Option<(InFlight, Busy)>,
    patience: Option<(Duration, Arc<LimitHits>)>,
    /// Runs while the shop is silent; most replies never start it.
    silence: Option<Pin<Box<Sleep>>>,
    tells_length: bool,
}

enum Kind {
    Whole { bytes: Option<Bytes>, trailers: Option<Box<HeaderMap>> },
    Stream { ahead: VecDeque<Bytes>, rest: Incoming },
    Failed { ahead: VecDeque<Bytes>, error: Option<BoxError>, flushed: bool },
    Own(axum::body::Body),
}

/// What passes, kept aside up to a cap.
struct Tee {
    /// What passed, where it came as one piece: shared, not copied.
    first: Bytes,
    /// All that passed, once there was a second piece.
    copy: Vec<u8>,
    bytes_max: usize,
    done: Option<Box<dyn FnOnce(Bytes) + Send>>,
}

impl ReplyBody {
    fn of(kind: Kind) -> Self {
        let tells_length = true;
        Self { kind, tee: None, in_flight: None, patience: None, silence: None, tells_length }
    }

    pub(crate) fn empty() -> Self {
        Self::of(Kind::Whole { bytes: None, trailers: None })
    }

    pub(crate) fn whole(bytes: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self::of(Kind::Whole {
            bytes: (!bytes.is_empty()).then_some(bytes),
            trailers: trailers.map(Box::new),
        })
    }

    /// `ahead`, then `rest` as it comes.
    pub(crate) fn stream(ahead: VecDeque<Bytes>, rest: Incoming) -> Self {
        Self::of(Kind::Stream { ahead, rest })
    }

    /// `ahead`, then the error with which the shop's own body ended: the client sees what it would
    /// have seen without us, a reply that breaks off.
    pub(crate) fn failed(ahead: VecDeque<Bytes>, error: BoxError) -> Self {
        Self::of(Kind::Failed { ahead, error: Some(error), flushed: false })
    }

    /// The body of an answer of our own API.
    pub(crate) fn own(body: axum::body::Body) -> Self {
        Self::of(Kind::Own(body))
    }

    /// Leaves it to the reply's head to tell the length, or not to: the engine adds none.
    pub(crate) fn without_length(mut self) -> Self {
        self.tells_length = false;
        self
    }

    /// Keeps the request counted as in flight until the last byte.
    pub(crate) fn counted(mut self, in_flight: (InFlight, Busy)) -> Self {
        self.in_flight = Some(in_flight);
        self
    }

    /// Breaks off when the shop is silent for so long; zero = never.
    pub(crate) fn patient(mut self, silence: Duration, limit_hits: &Arc<LimitHits>) -> Self {
        if matches!(self.kind, Kind::Stream { .. }) && !silence.is_zero() {
            self.patience = Some((silence, limit_hits.clone()));
        }
        self
    }

    /// Nothing has come: an error once the shop was silent for too long.
    fn silent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some((limit, limit_hits)) = &self.patience else { return Poll::Pending };
        let timer = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(*limit)));
        ready!(timer.as_mut().poll(cx));
        limit_hits.hit(Limit::ReplySilence);
        Poll::Ready(Some(Err("the shop fell silent within its reply".into())))
    }

    /// Hands a copy to `done` when the last byte has passed; nothing above `bytes_max`.
    pub(crate) fn teed(
        mut self,
        bytes_max: usize,
        done: impl FnOnce(Bytes) + Send + 'static,
    ) -> Self {
        let done: Option<Box<dyn FnOnce(Bytes) + Send>> = Some(Box::new(done));
        let tee = Tee { first: Bytes::new(), copy: Vec::new(), bytes_max, done };
        self.tee = Some(Box::new(tee));
        self
    }
}

impl Tee {
    /// False when the cap is passed and the copy is given up.
    fn add(&mut self, data: &Bytes) -> bool {
        if self.first.len() + self.copy.len() + data.len() > self.bytes_max {
            return false;
        }
        if self.first.is_empty() && self.copy.is_empty() {
            self.first = data.clone();
            return true;
        }
        if !self.first.is_empty() {
            self.copy.reserve(PIECES_AHEAD * (self.first.len() + data.len()));
            self.copy.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.copy.extend_from_slice(data);
        true
    }

    fn finish(&mut self) {
        if let Some(done) = self.done.take() {
            let copy = std::mem::take(&mut self.copy);
            done(if copy.is_empty() { std::mem::take(&mut self.first) } else { copy.into() });
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some((_, busy)) = &mut self.in_flight {
            busy.asked();
        }
        let frame = match self.kind.poll(cx) {
            Poll::Ready(frame) => {
                self.silence = None;
                frame
            }
            Poll::Pending => ready!(self.silent(cx)),
        };
        let ended = matches!(frame, None | Some(Err(_))) || self.kind.is_end();
        if let Some(tee) = &mut self.tee {
            let data = frame.as_ref().and_then(|f| f.as_ref().ok()).and_then(Frame::data_ref);
            let whole = data.is_none_or(|data| tee.add(data));
            match (whole, &frame) {
                (false, _) | (_, Some(Err(_))) => self.tee = None,
                _ if ended => {
                    tee.finish();
                    self.tee = None;
                }
                _ => {}
            }
        }
        match self.in_flight.take() {
            Some(guards) if ended => {
                return Poll::Ready(frame.map(|frame| frame.map(|last| sent_with(last, guards))));
            }
            Some((in_flight, mut busy)) => {
                busy.gave();
                self.in_flight = Some((in_flight, busy));
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.tee.is_none() && self.kind.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            _ if !self.tells_length => SizeHint::default(),
            Kind::Whole { bytes, .. } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Kind::Stream { ahead, rest } => ahead_and(ahead, rest.size_hint()),
            Kind::Failed { .. } => SizeHint::default(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}

/// The last bytes of a reply: the request is in flight until the engine has written them.
struct Last {
    bytes: Bytes,
    _guards: (InFlight, Busy),
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn sent_with(frame: Frame<Bytes>, mut guards: (InFlight, Busy)) -> Frame<Bytes> {
    match frame.into_data() {
        Ok(bytes) if !bytes.is_empty() => {
            guards.1.gave();
            Frame::data(Bytes::from_owner(Last { bytes, _guards: guards }))
        }
        Ok(bytes) => Frame::data(bytes),
        Err(frame) => frame,
    }
}

impl Kind {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Whole { bytes, trailers } => Poll::Ready(match bytes {
                // In parts, so that a client that takes none of them is told from a slow one.
                Some(rest) if rest.len() > PART_BYTES => {
                    Some(Ok(Frame::data(rest.split_to(PART_BYTES))))
                }
                Some(_) => bytes.take().map(|last| Ok(Frame::data(last))),
                None => trailers.take().map(|t| Ok(Frame::trailers(*t))),
            }),
            Self::Stream { ahead, rest } => match ahead.pop_front() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => {
                    Pin::new(rest).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)))
                }
            },
            Self::Failed { ahead, error, flushed } => match ahead.pop_front() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None if *flushed => Poll::Ready(error.take().map(Err)),
                None => {
                    // hyper drops what it has not sent when a body fails: let it send first.
                    *flushed = true;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            Self::Own(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|f| f.map_err(Into::into)))
            }
        }
    }

    fn is_end(&self) -> bool {
        match self {
            Self::Whole { bytes, trailers } => bytes.is_none() && trailers.is_none(),
            Self::Stream { ahead, rest } => ahead.is_empty() && rest.is_end_stream(),
            Self::Failed { ahead, error, .. } => ahead.is_empty() && error.is_none(),
            Self::Own(body) => body.is_end_stream(),
        }
    }
}

fn ahead_and(ahead: &VecDeque<Bytes>, rest: SizeHint) -> SizeHint {
    let ahead: u64 = ahead.iter().map(|b| b.len() as u64).sum();
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower() + ahead);
    if let Some(upper) = rest.upper() {
        hint.set_upper(upper + ahead);
    }
    hint
}
