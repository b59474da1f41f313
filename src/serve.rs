//! Floor 6: an axum router on one of pingora's listeners: our API, admin and ops ports.
//!
//! In: a router and an accepted stream. Out: HTTP/1.1 and h2c served until the stream or the process
//! ends; the router learns where a request came from, and every error names us. The data port does not come by here: its engine is `proxy::engine`.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use crate::border::{Peer, sign};

/// A router as an application of pingora's.
pub struct HttpApp {
    router: Router,
    http: auto::Builder<TokioExecutor>,
}

impl HttpApp {
    /// Serves `router` over HTTP/1.1 and h2c.
    pub fn new(router: Router) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new());
        http.http2().timer(TokioTimer::new());
        Self { router, http }
    }
}

#[async_trait]
impl ServerApp for HttpApp {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let peer = Peer(peer_of(&stream));
        let service = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
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
