//! Searches in front of the shop, told to sidecars behind it: off the request's path, a few at a time.
//!
//! In: what [`crate::store::joins`] puts into its bounded queue. Out: `POST /api/joins` at each
//! address of `identity.join.tell`, at most one for all that came within 20 ms. Nothing is sent
//! twice: what comes too late helps nobody.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use parking_lot::Mutex;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use serde_json::json;
use tokio::sync::mpsc;

use crate::client::shop::{Repeat, Shop, ShopSetupError};
use crate::config::{LegName, Settings, Upstream, UpstreamAddress, UpstreamProtocol};
use crate::proxy::RequestBody;
use crate::store::joins::Told;
use crate::telemetry::metrics::Metrics;

/// For so long the first waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// In one request: a few ids each, below what our API reads.
const TOGETHER_MAX: usize = 64;
/// Later than this the search behind the shop has been.
const PATIENCE: Duration = Duration::from_secs(1);
/// A connection that was idle for so long is not used again.
const IDLE: Duration = Duration::from_secs(5);

/// Tells.
pub(super) struct Tell {
    queue: Mutex<Option<mpsc::Receiver<Told>>>,
    /// Each with what it is called.
    others: Vec<(String, Shop<RequestBody>)>,
    token_file: Option<PathBuf>,
    metrics: Arc<Metrics>,
}

impl Tell {
    /// # Errors
    /// An address that cannot be used.
    pub(super) fn new(
        settings: &Settings,
        queue: mpsc::Receiver<Told>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ShopSetupError> {
        let join = &settings.identity.join;
        let others = join.tell.iter().map(|address| {
            let host = match address {
                UpstreamAddress::Tcp { host, port } => format!("{host}:{port}"),
                UpstreamAddress::Unix(_) => "localhost".to_owned(),
            };
            let other = Shop::new(&Upstream {
                leg: LegName::Shop,
                authority: None,
                addresses: vec![address.clone()],
                tls: None,
                protocol: UpstreamProtocol::Http1,
                connect_timeout: PATIENCE,
                response_timeout: PATIENCE,
                idle_timeout: IDLE,
                idle_connections_max: 1,
                health_interval: Duration::ZERO,
                silence: Duration::ZERO,
            });
            other.map(|other| (host, other))
        });
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            others: others.collect::<Result<_, _>>()?,
            token_file: join.tell_token_file.clone(),
            metrics,
        })
    }

    async fn run(&self, mut queue: mpsc::Receiver<Told>) {
        let mut batch = Vec::with_capacity(TOGETHER_MAX);
        while queue.recv_many(&mut batch, TOGETHER_MAX).await > 0 {
            if batch.len() < TOGETHER_MAX {
                tokio::time::sleep(GATHER).await;
                while batch.len() < TOGETHER_MAX
                    && let Ok(told) = queue.try_recv()
                {
                    batch.push(told);
                }
            }
            self.tell(&batch).await;
            batch.clear();
        }
    }

    async fn tell(&self, batch: &[Told]) {
        let body = Bytes::from(message(batch));
        let Some(token) = self.token() else { return self.count(false, batch.len()) };
        let sends = self.others.iter().map(|other| self.send(other, &body, &token));
        for sent in futures_util::future::join_all(sends).await {
            self.count(sent, batch.len());
        }
    }

    async fn send(
        &self,
        (host, other): &(String, Shop<RequestBody>),
        body: &Bytes,
        token: &str,
    ) -> bool {
        let request = http::Request::post("/api/joins")
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(());
        let Ok(request) = request else { return false };
        let (head, ()) = request.into_parts();
        let sent =
            other.send(Box::new(head), RequestBody::whole(Some(body.clone())), Repeat::Never);
        match sent.await {
            Ok(reply) if reply.status().is_success() => true,
            Ok(reply) => {
                tracing::debug!(status = %reply.status(), "a sidecar did not take what it was told");
                false
            }
            Err(error) => {
                tracing::debug!(%error, "a sidecar could not be told");
                false
            }
        }
    }

    /// The first line that is one; read each time, so that it may be exchanged.
    fn token(&self) -> Option<String> {
        // This thread serves nobody else.
        let text = std::fs::read_to_string(self.token_file.as_ref()?).ok()?;
        let mut lines = text.lines().map(str::trim);
        lines.find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
    }

    fn count(&self, sent: bool, searches: usize) {
        let outcome = if sent { "told" } else { "failed" };
        self.metrics.joins_told.with_label_values(&[outcome]).inc_by(searches as u64);
    }
}

/// As `api` reads it.
fn message(batch: &[Told]) -> String {
    let searches: Vec<_> = batch
        .iter()
        .map(|told| {
            json!({
                "trace": told.trace.to_string(),
                "user_id": told.identity.user.as_ref().map(|user| user.as_str()),
                "session_id": told.identity.session.as_ref().map(|session| session.as_str()),
                "opted_out": told.identity.opted_out,
            })
        })
        .collect();
    json!({ "searches": searches }).to_string()
}

#[async_trait]
impl BackgroundService for Tell {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let Some(queue) = self.queue.lock().take() else { return };
        tokio::select! {
            () = self.run(queue) => {}
            _ = shutdown.changed() => {}
        }
    }
}
