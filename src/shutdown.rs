//! Floor 1, i/o: the process's one state of life, and who is still being served.
//!
//! In: "drain" from a signal. Out: readiness, the count of requests in flight, and the end of the
//! drain. Never kills a request: after `drain` the process simply no longer waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How often the end of the last request is looked for while draining.
const POLL: Duration = Duration::from_millis(10);

/// Shared by listeners, health endpoints and the signal watch.
#[derive(Debug, Default)]
pub struct Lifecycle {
    draining: AtomicBool,
    in_flight: AtomicUsize,
    closing: watch::Sender<bool>,
}

/// Held while a request is served, until the last byte of its reply.
#[derive(Debug)]
pub struct InFlight(Arc<Lifecycle>);

impl Lifecycle {
    /// False from the first sign of the end on: `/readyz` says so, and replies close connections.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::Acquire)
    }

    /// Requests being served.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts one request in until the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(self.clone())
    }

    /// Ends when connections should finish what they serve and close.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closing = self.closing.subscribe();
        async move {
            // The sender lives in `self`; when it is gone, so is the process.
            drop(closing.wait_for(|closing| *closing).await);
        }
    }

    /// Not ready, still accepting for `lame_duck`; then connections close after what they serve, and
    /// the last request is waited for, `drain` at most. Returns how many were still in flight.
    pub async fn drain(&self, lame_duck: Duration, drain: Duration) -> usize {
        self.draining.store(true, Ordering::Release);
        tokio::time::sleep(lame_duck).await;
        self.closing.send_replace(true);
        let wait = async {
            while self.in_flight() > 0 {
                tokio::time::sleep(POLL).await;
            }
        };
        // Running out of time is not an error here: the count tells.
        drop(tokio::time::timeout(drain, wait).await);
        self.in_flight()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
