//! Connections into requests: hyper's server inside pingora's listeners.
//!
//! In: an accepted stream (TCP, unix socket, TLS already off). Out: each request handed to
//! [`Pipeline::handle`], on the worker thread that accepted it. Speaks HTTP/1.1, HTTP/2 and h2c on
//! one port. Limits: connections, header bytes and lines (431), silent and half-sent requests,
//! clients that do not read, streams a connection. A panic inside a request ends in the original
//! reply, or in a 500 of ours where there is none, never in a lost connection.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use super::body::ReplyBody;
use super::framing::Hop;
use super::idle::{Activity, Patience, Silence};
use super::pipeline::{Connection, Pipeline};
use super::sniff::{Seen, Sniffer};
use super::watched::Watched;
use crate::config::Limits;
use crate::telemetry::limits::{Gate, Inside, Limit};
use crate::telemetry::metrics::Metrics;

/// The data port's application.
pub struct Engine {
    pipeline: Arc<Pipeline>,
    http: auto::Builder<TokioExecutor>,
    gate: Arc<Gate>,
}

/// Counted while a connection is open.
struct Open {
    _inside: Inside,
    metrics: Arc<Metrics>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Engine {
    /// Prepares hyper with the settings' limits.
    pub fn new(pipeline: Arc<Pipeline>) -> Self {
        let http = http_builder(pipeline.limits());
        let hits = pipeline.limit_hits.clone();
        let gate = Gate::new(pipeline.limits().connections_max, Limit::ConnectionsMax, hits);
        Self { pipeline, http, gate }
    }

    /// Counts one more connection; `None` when there are `connections_max`.
    fn open(&self) -> Option<Open> {
        let inside = self.gate.enter()?;
        let metrics = self.pipeline.metrics.clone();
        metrics.connections.inc();
        Some(Open { _inside: inside, metrics })
    }

    async fn serve(&self, stream: Stream) {
        let Some(_open) = self.open() else { return };
        let hop = Hop { peer: peer_of(&stream), secure: stream.get_ssl_digest().is_some() };
        let activity = Arc::new(Activity::new(self.pipeline.clock.clone()));
        let seen = Arc::new(Seen::default());
        let sniffer = Sniffer::new(seen.clone());
        let io = Watched { inner: stream, activity: activity.clone(), sniffer };
        let connection = Arc::new(Connection { hop, seen, activity: activity.clone() });
        let service = service_fn(|request: Request<Incoming>| {
            let connection = connection.clone();
            let pipeline = self.pipeline.clone();
            // On the heap, for hyper moves a service's future; the head for the same reason.
            let (head, body) = request.into_parts();
            let request = (Box::new(head), body);
            Box::pin(async move {
                Ok::<_, std::convert::Infallible>(answer(&pipeline, request, connection).await)
            })
        });
        let serving = self.http.serve_connection_with_upgrades(TokioIo::new(io), service);
        tokio::pin!(serving);
        let limits = self.pipeline.limits();
        let expired = activity.expired(Patience {
            head: limits.header_timeout,
            idle: limits.idle_timeout,
            write: limits.write_timeout,
        });
        tokio::pin!(expired);
        let closing = self.pipeline.lifecycle.closing();
        tokio::pin!(closing);
        let mut told = false;
        loop {
            tokio::select! {
                outcome = &mut serving => {
                    if let Err(error) = outcome {
                        self.ended_early(error.as_ref());
                    }
                    return;
                }
                silence = &mut expired => return self.given_up(silence),
                () = &mut closing, if !told => {
                    told = true;
                    // A connection that has just come gets its one reply, which says "close":
                    // hyper would drop it without a word.
                    if activity.has_served() {
                        serving.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

impl Engine {
    fn ended_early(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) {
        tracing::debug!(?error, "a client connection ended early");
        let large =
            error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large);
        if large {
            self.pipeline.limit_hits.hit(Limit::HeaderBytesMax);
        } else if format!("{error:?}").contains("ENHANCE_YOUR_CALM") {
            // The goodbye of HTTP/2's engine to a flood of frames; hyper keeps it in this text alone.
            self.pipeline.limit_hits.hit(Limit::H2ResetsMax);
        }
    }

    fn given_up(&self, silence: Silence) {
        match silence {
            Silence::Head => self.pipeline.limit_hits.hit(Limit::HeaderTimeout),
            Silence::Write => self.pipeline.limit_hits.hit(Limit::WriteTimeout),
            // The ordinary end of a connection that was kept.
            Silence::Idle => {}
        }
    }
}

/// A request's answer, whatever happens on the way to it.
async fn answer(
    pipeline: &Pipeline,
    request: (Box<Parts>, Incoming),
    connection: Arc<Connection>,
) -> Response<ReplyBody> {
    let handling = AssertUnwindSafe(pipeline.handle(request, connection)).catch_unwind();
    handling.await.unwrap_or_else(|_| {
        tracing::error!("a panic was caught outside of any route");
        pipeline.refuse(StatusCode::INTERNAL_SERVER_ERROR, "panic")
    })
}

#[async_trait]
impl ServerApp for Engine {
    async fn process_new(self: &Arc<Self>, stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        self.serve(stream).await;
        None
    }
}

fn peer_of(stream: &Stream) -> Option<IpAddr> {
    stream.get_socket_digest()?.peer_addr()?.as_inet().map(std::net::SocketAddr::ip)
}

fn http_builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        // Half-sent heads are closed by `idle`; hyper's own timer would also end idle connections.
        .header_read_timeout(None)
        // The shop's reply has a date or has none; it is not ours to add one.
        .auto_date_header(false)
        .max_buf_size(limits.header_bytes_max.max(MIN_BUFFER))
        // A client that ends its side has left: its request ends here and at the shop, at once.
        .half_close(false);
    // Told nothing, hyper reads up to so many in place; told any number, it allocates for each head.
    if limits.header_count_max != HEADERS_IN_PLACE {
        http.http1().max_headers(limits.header_count_max);
    }
    http.http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(limits.h2_streams_max)
        .max_pending_accept_reset_streams(limits.h2_resets_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.header_timeout);
    http
}

/// The number of headers that hyper reads without an allocation, and at most unless told otherwise.
const HEADERS_IN_PLACE: usize = 100;
/// hyper refuses a smaller read buffer.
const MIN_BUFFER: usize = 8 * 1024;
