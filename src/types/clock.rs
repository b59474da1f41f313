//! Time, read in one place.
//!
//! Events carry their own time, so that a replayed log and live traffic run the same code. What
//! needs "now" takes a [`Clock`]; tests pass a [`ManualClock`] and turn its hands.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// A time of so many whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, clamped to what a profile's `u32` holds (until 2106).
    pub fn seconds_u32(self) -> u32 {
        (self.0.max(0) / 1000).min(i64::from(u32::MAX)) as u32
    }

    /// How far `self` is after `earlier`; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }
}

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;
    /// Microseconds since an arbitrary start; never goes back.
    fn monotonic_us(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis() as i64)
    }

    fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_us: AtomicU64,
    tick_us: AtomicU64,
}

impl ManualClock {
    /// A clock showing `now`.
    pub fn at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.wall_ms.store(now.0, Ordering::Relaxed);
        clock
    }

    /// Moves both hands on.
    pub fn advance(&self, by: Duration) {
        self.wall_ms.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
        self.monotonic_us.fetch_add(by.as_micros() as u64, Ordering::Relaxed);
    }

    /// Makes every reading of the monotonic hand move it on, so that a budget runs out by itself.
    pub fn tick_on_read(&self, by_us: u64) {
        self.tick_us.store(by_us, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.load(Ordering::Relaxed))
    }

    fn monotonic_us(&self) -> u64 {
        self.monotonic_us.fetch_add(self.tick_us.load(Ordering::Relaxed), Ordering::Relaxed)
    }
}
