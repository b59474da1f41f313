//! Floor 6: an axum router on one of pingora's listeners: our API, admin and ops ports.
//!
//! In: a router and an accepted stream. Out: HTTP/1.1 and h2c served until the stream or the process
//! ends, `connections_max` at a time and each answer within [`ANSWER_MAX`]. The data port does not
//! come by here: its engine is `proxy::engine`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

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
        let service = TowerToHyperService::new(self.router.clone());
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

/// hyper's own timer sees to heads; this one to bodies that never end.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}
