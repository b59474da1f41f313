//! Floor 6: an axum router on one of pingora's listeners: our API, admin and ops ports.
//!
//! In: a router and an accepted stream. Out: HTTP/1.1 and h2c served until the stream or the process
//! ends, `connections_max` at a time and each answer within [`ANSWER_MAX`]. The router learns where
//! a request came from, and every error names us. The data port does not come by here: its engine
//! is `proxy::engine`.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use crate::border::{Peer, name_us, sign};
use crate::telemetry::limits::Gate;

/// A request's body must have come and its answer be made within this.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A router as an application of pingora's.
pub struct HttpApp {
    router: Router,
    gate: Arc<Gate>,
    http: auto::Builder<TokioExecutor>,
}

impl HttpApp {
    /// Serves `router` over HTTP/1.1 and h2c to whom `gate` lets in.
    pub fn new(router: Router, gate: Arc<Gate>) -> Self {
        let router = router.layer(middleware::from_fn(in_time));
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new());
        http.http2().timer(TokioTimer::new());
        Self { router, gate, http }
    }
}

#[async_trait]
impl ServerApp for HttpApp {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let _inside = self.gate.enter()?;
        let peer = Peer(peer_of(&stream));
        let service = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: axum::http::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let reply = service.call(request);
            async move {
                let mut reply = reply.await?;
                sign(reply.status(), reply.headers_mut());
                Ok::<_, Infallible>(reply)
            }
        });
        let serving = self.http.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let mut shutdown = shutdown.clone();
        tokio::select! {
            outcome = &mut serving => {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "an API connection ended early");
                }
            }
            _ = shutdown.changed() => {}
        }
        None
    }
}

fn peer_of(stream: &Stream) -> Option<IpAddr> {
    stream.get_socket_digest()?.peer_addr()?.as_inet().map(SocketAddr::ip)
}

/// What any of our endpoints says of an answer that was not made in time.
#[derive(Clone, Copy, serde::Serialize)]
struct TooSlow {
    error: &'static str,
    message: &'static str,
    from: &'static str,
}

const TOO_SLOW: TooSlow = TooSlow {
    error: "too_slow",
    message: "the body did not come, or the answer was not made, within 30 s",
    from: "leafrank",
};

/// hyper's own timer sees to heads; this one to bodies that never end.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let mut reply = (StatusCode::REQUEST_TIMEOUT, Json(TOO_SLOW)).into_response();
        name_us(reply.headers_mut(), TOO_SLOW.error);
        reply
    })
}
