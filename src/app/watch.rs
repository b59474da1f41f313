//! What is looked at while requests are served, on a thread of its own: memory, and the upstreams' doors.
//!
//! In: the process's memory and the upstreams' addresses. Out: a level and an answer in atomics, which
//! the request path and `/readyz` read, and the gauges. Never on the request's path.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use crate::client::reach::Reaches;
use crate::telemetry::memory::Memory;
use crate::telemetry::metrics::Metrics;

/// Between two looks at the memory: what a flood can bring in this time must fit between the hard
/// mark and the limit.
const MEMORY_EVERY: Duration = Duration::from_millis(200);

/// The looks.
pub(super) struct Watch {
    pub(super) memory: Arc<Memory>,
    pub(super) reaches: Arc<Reaches>,
    /// False: readiness does not need them, and nobody asks whether they are there.
    pub(super) asks: bool,
    pub(super) metrics: Arc<Metrics>,
}

#[async_trait]
impl BackgroundService for Watch {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let memory = async {
            loop {
                self.memory.sample(&self.metrics);
                tokio::time::sleep(MEMORY_EVERY).await;
            }
        };
        tokio::select! {
            () = memory => {}
            () = self.watch_upstreams() => {}
            _ = shutdown.changed() => {}
        }
    }
}

impl Watch {
    async fn watch_upstreams(&self) {
        if !self.asks {
            return std::future::pending().await;
        }
        let each = self.reaches.iter().map(|reach| {
            let leg = reach.leg();
            reach.watch(move |refused: Option<&str>| {
                let up = i64::from(refused.is_none());
                self.metrics.upstream_up.with_label_values(&[leg.label()]).set(up);
                let whose = leg.upstream();
                match refused {
                    None => tracing::info!("{whose} accepts connections"),
                    Some(reason) if self.reaches.decides(leg) => {
                        tracing::warn!(
                            reason,
                            "{whose} accepts no connection: not ready until it does"
                        );
                    }
                    Some(reason) => tracing::warn!(reason, "{whose} accepts no connection"),
                }
            })
        });
        futures_util::future::join_all(each).await;
    }
}
