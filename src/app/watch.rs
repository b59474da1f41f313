//! What is looked at while requests are served, on a thread of its own: memory, and the shop's door.
//!
//! In: the process's memory and the shop's addresses. Out: a level and an answer in atomics, which
//! the request path and `/readyz` read, and the gauges. Never on the request's path.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use crate::client::reach::Reach;
use crate::telemetry::memory::Memory;
use crate::telemetry::metrics::Metrics;

/// Between two looks at the memory: what a flood can bring in this time must fit between the hard
/// mark and the limit.
const MEMORY_EVERY: Duration = Duration::from_millis(200);

/// The looks.
pub(super) struct Watch {
    pub(super) memory: Arc<Memory>,
    pub(super) reach: Arc<Reach>,
    /// False: readiness does not need the shop, and nobody asks whether it is there.
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
            () = self.watch_shop() => {}
            _ = shutdown.changed() => {}
        }
    }
}

impl Watch {
    async fn watch_shop(&self) {
        if !self.asks {
            return std::future::pending().await;
        }
        let changed = |up: bool| {
            self.metrics.upstream_up.set(i64::from(up));
            if up {
                tracing::info!("the shop accepts connections");
            } else {
                tracing::warn!("the shop accepts no connection: not ready until it does");
            }
        };
        self.reach.watch(changed).await;
    }
}
