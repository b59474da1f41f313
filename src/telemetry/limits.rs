//! Limits that were reached, counted and named in the log by their settings key.
//!
//! In: which limit. Out: `leafrank_limit_hits_total{limit}` at every hit, and at most one line a
//! minute and limit, which says how many hits went before it unsaid. A hit costs two atomic
//! operations; nothing of who reached it is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use prometheus::IntCounter;

use super::metrics::Metrics;
use crate::types::clock::Clock;

/// One line a limit in so many microseconds.
const SAY_EVERY_US: u64 = 60_000_000;
/// Nothing was said yet.
const NEVER: u64 = u64::MAX;

/// A limit of the settings that we can see being reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `limits.hold_ms`
    HoldMs,
    /// `limits.rank_us`
    RankUs,
    /// `limits.reply_bytes_max`
    ReplyBytesMax,
    /// `limits.peek_bytes_max`
    PeekBytesMax,
    /// `limits.request_bytes_max`
    RequestBytesMax,
    /// `limits.header_bytes_max`, or `header_count_max`: the engine does not tell which.
    HeaderBytesMax,
    /// `limits.header_timeout_seconds`
    HeaderTimeout,
    /// `limits.body_timeout_seconds`
    BodyTimeout,
    /// `limits.write_timeout_seconds`
    WriteTimeout,
    /// `limits.reply_silence_seconds`
    ReplySilence,
    /// `limits.in_flight_max`
    InFlightMax,
    /// `limits.requests_max`
    RequestsMax,
    /// `limits.h2_resets_max`, or another flood of HTTP/2 frames: the engine does not tell which.
    H2ResetsMax,
    /// `limits.connections_max`
    ConnectionsMax,
    /// `limits.memory_soft_percent`
    MemorySoft,
    /// `limits.memory_hard_percent`
    MemoryHard,
    /// `limits.track_items_max`, or `track_debug_items_max` where a request only asks.
    TrackItemsMax,
    /// `limits.track_bytes_max`
    TrackBytesMax,
    /// `limits.track_held_bytes_max`
    TrackHeldBytesMax,
}

impl Limit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 19] = [
        Self::HoldMs,
        Self::RankUs,
        Self::ReplyBytesMax,
        Self::PeekBytesMax,
        Self::RequestBytesMax,
        Self::HeaderBytesMax,
        Self::HeaderTimeout,
        Self::BodyTimeout,
        Self::WriteTimeout,
        Self::ReplySilence,
        Self::InFlightMax,
        Self::RequestsMax,
        Self::H2ResetsMax,
        Self::ConnectionsMax,
        Self::MemorySoft,
        Self::MemoryHard,
        Self::TrackItemsMax,
        Self::TrackBytesMax,
        Self::TrackHeldBytesMax,
    ];

    /// The settings key below `limits`.
    pub fn key(self) -> &'static str {
        match self {
            Self::HoldMs => "hold_ms",
            Self::RankUs => "rank_us",
            Self::ReplyBytesMax => "reply_bytes_max",
            Self::PeekBytesMax => "peek_bytes_max",
            Self::RequestBytesMax => "request_bytes_max",
            Self::HeaderBytesMax => "header_bytes_max",
            Self::HeaderTimeout => "header_timeout_seconds",
            Self::BodyTimeout => "body_timeout_seconds",
            Self::WriteTimeout => "write_timeout_seconds",
            Self::ReplySilence => "reply_silence_seconds",
            Self::InFlightMax => "in_flight_max",
            Self::RequestsMax => "requests_max",
            Self::H2ResetsMax => "h2_resets_max",
            Self::ConnectionsMax => "connections_max",
            Self::MemorySoft => "memory_soft_percent",
            Self::MemoryHard => "memory_hard_percent",
            Self::TrackItemsMax => "track_items_max",
            Self::TrackBytesMax => "track_bytes_max",
            Self::TrackHeldBytesMax => "track_held_bytes_max",
        }
    }
}

/// The one place that counts and says them.
pub struct LimitHits {
    counters: [IntCounter; Limit::ALL.len()],
    said_us: [AtomicU64; Limit::ALL.len()],
    unsaid: [AtomicU64; Limit::ALL.len()],
    clock: Arc<dyn Clock>,
}

impl LimitHits {
    /// Counts into `metrics`; each limit is there from the start, at zero.
    pub fn new(metrics: &Metrics, clock: Arc<dyn Clock>) -> Self {
        let counter = |limit: Limit| metrics.limit_hits.with_label_values(&[limit.key()]);
        Self {
            counters: Limit::ALL.map(counter),
            said_us: Limit::ALL.map(|_| AtomicU64::new(NEVER)),
            unsaid: Limit::ALL.map(|_| AtomicU64::new(0)),
            clock,
        }
    }

    /// `limit` was reached.
    pub fn hit(&self, limit: Limit) {
        let number = limit as usize;
        self.counters[number].inc();
        let now = self.clock.monotonic_us();
        let said = self.said_us[number].load(Ordering::Relaxed);
        let due = said == NEVER || now.saturating_sub(said) >= SAY_EVERY_US;
        let ours = due
            && self.said_us[number]
                .compare_exchange(said, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if ours {
            let unsaid = self.unsaid[number].swap(0, Ordering::Relaxed);
            let key = limit.key();
            tracing::warn!(unsaid, "a limit was reached: limits.{key}");
        } else {
            self.unsaid[number].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets in so many at a time; one more is a hit of its limit.
pub struct Gate {
    max: usize,
    limit: Limit,
    inside: AtomicUsize,
    hits: Arc<LimitHits>,
}

/// Somebody inside, until dropped.
pub struct Inside(Arc<Gate>);

impl Gate {
    /// A gate for `max`.
    pub fn new(max: usize, limit: Limit, hits: Arc<LimitHits>) -> Arc<Self> {
        Arc::new(Self { max, limit, inside: AtomicUsize::new(0), hits })
    }

    /// One more, unless it is full.
    pub fn enter(self: &Arc<Self>) -> Option<Inside> {
        let inside = Inside(self.clone());
        if self.inside.fetch_add(1, Ordering::AcqRel) < self.max {
            return Some(inside);
        }
        self.hits.hit(self.limit);
        None
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Write;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::types::clock::{ManualClock, Timestamp};

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_limit_has_its_own_key_at_its_own_number() {
        let keys: HashSet<_> = Limit::ALL.iter().map(|limit| limit.key()).collect();
        assert_eq!(keys.len(), Limit::ALL.len());
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number);
        }
    }

    #[test]
    fn a_limit_is_named_once_a_minute_and_counted_every_time() {
        let said = Said::default();
        let writer = said.clone();
        let log =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let metrics = Metrics::new().unwrap();
        let hits = LimitHits::new(&metrics, clock.clone());
        tracing::subscriber::with_default(log, || {
            (0..100).for_each(|_| hits.hit(Limit::HoldMs));
            hits.hit(Limit::RankUs);
            clock.advance(Duration::from_secs(61));
            hits.hit(Limit::HoldMs);
        });
        let text = String::from_utf8(said.0.lock().clone()).unwrap();
        assert_eq!(text.matches("limits.hold_ms").count(), 2, "{text}");
        assert_eq!(text.matches("limits.rank_us").count(), 1, "{text}");
        assert!(text.contains("unsaid=99"), "{text}");
        assert_eq!(metrics.limit_hits.with_label_values(&["hold_ms"]).get(), 101);
    }
}
