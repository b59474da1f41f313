//! Closes connections that say nothing, or never finish saying it.
//!
//! In: what a connection's reader and service report. Out: the moment to give up on it. Three
//! silences end a connection: no first byte, a head begun and not finished (both
//! `header_timeout_seconds`), and nothing in flight for `idle_timeout_seconds`. A request in flight
//! keeps its connection open however long its reply takes. HTTP/2 knows no half heads here: its
//! frames keep a connection busy without a request, so only the last rule applies to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::types::clock::Clock;

/// "No head has begun."
const NEVER: u64 = u64::MAX;
/// First bytes of HTTP/2 with prior knowledge.
const H2_PREFACE: &[u8] = b"PRI ";

/// What is known of one connection.
pub(crate) struct Activity {
    clock: Arc<dyn Clock>,
    in_flight: AtomicU32,
    /// Since when nothing was in flight.
    quiet_us: AtomicU64,
    /// When the head being read began.
    head_us: AtomicU64,
    any_byte: AtomicBool,
    served: AtomicBool,
    http2: AtomicBool,
}

/// Held while a request of the connection is served.
pub(crate) struct Busy(Arc<Activity>);

impl Activity {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.monotonic_us();
        Self {
            clock,
            in_flight: AtomicU32::new(0),
            quiet_us: AtomicU64::new(now),
            head_us: AtomicU64::new(NEVER),
            any_byte: AtomicBool::new(false),
            served: AtomicBool::new(false),
            http2: AtomicBool::new(false),
        }
    }

    /// A request's head is complete; it is served until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.head_us.store(NEVER, Ordering::Relaxed);
        self.served.store(true, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Has a request come by this connection?
    pub(crate) fn has_served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// Bytes have come.
    pub(crate) fn received(&self, data: &[u8]) {
        if !self.any_byte.swap(true, Ordering::Relaxed) {
            self.http2.store(data.starts_with(H2_PREFACE), Ordering::Relaxed);
        }
        let fresh = self.head_us.load(Ordering::Relaxed) == NEVER;
        if fresh && self.in_flight.load(Ordering::Relaxed) == 0 {
            self.head_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
        }
    }

    /// How long the connection may still live as things stand; `None` = give up on it now.
    fn left(&self, head: Duration, idle: Duration) -> Option<Duration> {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return Some(idle);
        }
        let begun = self.head_us.load(Ordering::Relaxed);
        let quiet = self.quiet_us.load(Ordering::Relaxed);
        let (since, limit) = if !self.any_byte.load(Ordering::Relaxed) {
            (quiet, head)
        } else if begun != NEVER && !self.http2.load(Ordering::Relaxed) {
            (begun, head)
        } else {
            (quiet, idle)
        };
        let passed = Duration::from_micros(self.clock.monotonic_us().saturating_sub(since));
        limit.checked_sub(passed).filter(|left| !left.is_zero())
    }

    /// Returns when the connection should be closed. Looks at least every `head`.
    pub(crate) async fn expired(&self, head: Duration, idle: Duration) {
        while let Some(left) = self.left(head, idle) {
            tokio::time::sleep(left.min(head)).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.quiet_us.store(self.0.clock.monotonic_us(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::clock::{ManualClock, Timestamp};

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn connection() -> (Arc<ManualClock>, Arc<Activity>) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        (clock.clone(), Arc::new(Activity::new(clock)))
    }

    #[test]
    fn a_connection_without_a_first_byte_ends_with_the_head_timeout() {
        let (clock, activity) = connection();
        assert_eq!(activity.left(HEAD, IDLE), Some(HEAD));
        clock.advance(HEAD);
        assert_eq!(activity.left(HEAD, IDLE), None);
    }

    #[test]
    fn a_half_head_ends_with_the_head_timeout_and_a_whole_one_with_the_idle_timeout() {
        let (clock, activity) = connection();
        activity.received(b"GET / HT");
        clock.advance(HEAD);
        assert_eq!(activity.left(HEAD, IDLE), None);
        drop(activity.begin());
        assert_eq!(activity.left(HEAD, IDLE), Some(IDLE));
    }

    #[test]
    fn a_request_in_flight_keeps_its_connection() {
        let (clock, activity) = connection();
        activity.received(b"GET / HTTP/1.1\r\n\r\n");
        let busy = activity.begin();
        clock.advance(IDLE * 10);
        assert!(activity.left(HEAD, IDLE).is_some());
        drop(busy);
        assert_eq!(activity.left(HEAD, IDLE), Some(IDLE));
    }

    #[test]
    fn http2_frames_without_a_request_are_no_half_head() {
        let (clock, activity) = connection();
        activity.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        clock.advance(HEAD * 2);
        assert!(activity.left(HEAD, IDLE).is_some());
    }
}
