//! Closes connections that say nothing, or never finish saying it.
//!
//! In: what a connection's reader and service report. Out: the moment to give up on it. Three
//! silences end a connection: no first byte, a head begun and not finished (both
//! `header_timeout_seconds`), and nothing in flight for `idle_timeout_seconds`. HTTP/2 knows no half
//! heads here: its frames keep a connection busy without a request, so only the last one applies. A
//! request in flight keeps its connection open however long its reply takes, unless the client does
//! not take what is there for `write_timeout_seconds`: no byte fits into its socket, or none of the
//! bodies that gave it something is asked for more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::types::clock::Clock;

/// "No head has begun."
const NEVER: u64 = u64::MAX;
/// First bytes of HTTP/2 with prior knowledge.
const H2_PREFACE: &[u8] = b"PRI ";

/// How long each silence may last.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) write: Duration,
}

/// Which of them ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    Head,
    Idle,
    Write,
}

/// What is known of one connection.
pub(crate) struct Activity {
    clock: Arc<dyn Clock>,
    in_flight: AtomicU32,
    /// Since when nothing was in flight.
    quiet_us: AtomicU64,
    /// When the head being read began.
    head_us: AtomicU64,
    /// Since when no byte fits into the client's socket.
    blocked_us: AtomicU64,
    /// Bodies that gave something and were not asked for more.
    waiting: AtomicU32,
    /// When one of them last gave something.
    given_us: AtomicU64,
    any_byte: AtomicBool,
    served: AtomicBool,
    http2: AtomicBool,
}

/// Held while a request of the connection is served.
pub(crate) struct Busy {
    activity: Arc<Activity>,
    gave: bool,
}

impl Activity {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.monotonic_us();
        Self {
            clock,
            in_flight: AtomicU32::new(0),
            quiet_us: AtomicU64::new(now),
            head_us: AtomicU64::new(NEVER),
            blocked_us: AtomicU64::new(NEVER),
            waiting: AtomicU32::new(0),
            given_us: AtomicU64::new(now),
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
        Busy { activity: self.clone(), gave: false }
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

    /// A write was tried: were any bytes taken?
    pub(crate) fn wrote(&self, taken: bool) {
        let blocked = self.blocked_us.load(Ordering::Relaxed) != NEVER;
        if blocked == taken {
            let now = self.clock.monotonic_us();
            self.blocked_us.store(if taken { NEVER } else { now }, Ordering::Relaxed);
            // What is still being sent is no silence.
            self.quiet_us.store(now, Ordering::Relaxed);
        }
        // In HTTP/2 a write may be any frame; in HTTP/1.1 it is some of what the client waits for.
        let http1 = !self.http2.load(Ordering::Relaxed);
        if taken && http1 && self.waiting.load(Ordering::Relaxed) > 0 {
            self.given_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
        }
    }

    /// How long the connection may still live as things stand.
    fn left(&self, patience: Patience) -> Result<Duration, Silence> {
        let (since, limit, silence) = self.silence(patience);
        let passed = Duration::from_micros(self.clock.monotonic_us().saturating_sub(since));
        limit.checked_sub(passed).filter(|left| !left.is_zero()).ok_or(silence)
    }

    /// The silence that counts now: since when, how long it may last, which one it is.
    fn silence(&self, patience: Patience) -> (u64, Duration, Silence) {
        let Patience { head, idle, write } = patience;
        let blocked = self.blocked_us.load(Ordering::Relaxed);
        if blocked != NEVER {
            return (blocked, write, Silence::Write);
        }
        if self.waiting.load(Ordering::Relaxed) > 0 {
            return (self.given_us.load(Ordering::Relaxed), write, Silence::Write);
        }
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return (self.clock.monotonic_us(), idle, Silence::Idle);
        }
        let begun = self.head_us.load(Ordering::Relaxed);
        let quiet = self.quiet_us.load(Ordering::Relaxed);
        if !self.any_byte.load(Ordering::Relaxed) {
            (quiet, head, Silence::Head)
        } else if begun != NEVER && !self.http2.load(Ordering::Relaxed) {
            (begun, head, Silence::Head)
        } else {
            (quiet, idle, Silence::Idle)
        }
    }

    /// Returns when the connection should be closed, and why. Looks at least every `head`.
    pub(crate) async fn expired(&self, patience: Patience) -> Silence {
        loop {
            match self.left(patience) {
                Ok(left) => tokio::time::sleep(left.min(patience.head)).await,
                Err(silence) => return silence,
            }
        }
    }
}

impl Busy {
    /// The engine asks the reply's body for more: the client took what it had.
    pub(crate) fn asked(&mut self) {
        if std::mem::take(&mut self.gave) {
            self.activity.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The reply's body gave something, and there will be more.
    pub(crate) fn gave(&mut self) {
        self.activity.given_us.store(self.activity.clock.monotonic_us(), Ordering::Relaxed);
        if !std::mem::replace(&mut self.gave, true) {
            self.activity.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.asked();
        let activity = &self.activity;
        activity.quiet_us.store(activity.clock.monotonic_us(), Ordering::Relaxed);
        activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::clock::{ManualClock, Timestamp};

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);
    const WRITE: Duration = Duration::from_secs(60);
    const PATIENCE: Patience = Patience { head: HEAD, idle: IDLE, write: WRITE };

    fn connection() -> (Arc<ManualClock>, Arc<Activity>) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        (clock.clone(), Arc::new(Activity::new(clock)))
    }

    #[test]
    fn a_connection_without_a_first_byte_ends_with_the_head_timeout() {
        let (clock, activity) = connection();
        assert_eq!(activity.left(PATIENCE), Ok(HEAD));
        clock.advance(HEAD);
        assert_eq!(activity.left(PATIENCE), Err(Silence::Head));
    }

    #[test]
    fn a_half_head_ends_with_the_head_timeout_and_a_whole_one_with_the_idle_timeout() {
        let (clock, activity) = connection();
        activity.received(b"GET / HT");
        clock.advance(HEAD);
        assert_eq!(activity.left(PATIENCE), Err(Silence::Head));
        drop(activity.begin());
        assert_eq!(activity.left(PATIENCE), Ok(IDLE));
        clock.advance(IDLE);
        assert_eq!(activity.left(PATIENCE), Err(Silence::Idle));
    }

    #[test]
    fn a_request_in_flight_keeps_its_connection() {
        let (clock, activity) = connection();
        activity.received(b"GET / HTTP/1.1\r\n\r\n");
        let busy = activity.begin();
        clock.advance(IDLE * 10);
        assert!(activity.left(PATIENCE).is_ok());
        drop(busy);
        assert_eq!(activity.left(PATIENCE), Ok(IDLE));
    }

    #[test]
    fn http2_frames_without_a_request_are_no_half_head() {
        let (clock, activity) = connection();
        activity.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        clock.advance(HEAD * 2);
        assert!(activity.left(PATIENCE).is_ok());
    }

    #[test]
    fn a_full_socket_ends_with_the_write_timeout_and_every_byte_taken_starts_it_anew() {
        let (clock, activity) = connection();
        activity.received(b"GET / HTTP/1.1\r\n\r\n");
        let _busy = activity.begin();
        activity.wrote(false);
        clock.advance(WRITE - HEAD);
        activity.wrote(false);
        assert_eq!(activity.left(PATIENCE), Ok(HEAD), "a second try is no progress");
        activity.wrote(true);
        activity.wrote(false);
        assert_eq!(activity.left(PATIENCE), Ok(WRITE));
        clock.advance(WRITE);
        assert_eq!(activity.left(PATIENCE), Err(Silence::Write));
    }

    #[test]
    fn a_body_that_gave_and_is_not_asked_for_more_ends_with_the_write_timeout() {
        let (clock, activity) = connection();
        activity.received(H2_PREFACE);
        let mut busy = activity.begin();
        busy.gave();
        clock.advance(WRITE);
        assert_eq!(activity.left(PATIENCE), Err(Silence::Write));
        busy.asked();
        assert!(activity.left(PATIENCE).is_ok(), "it waits for the shop now");
        busy.gave();
        drop(busy);
        assert_eq!(activity.left(PATIENCE), Ok(IDLE));
    }
}
