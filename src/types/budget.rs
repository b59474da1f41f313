//! The time that our own computation may take on a request's path.
//!
//! In: a clock and a limit in µs. Out: whether it is spent. Nobody is interrupted: steps ask between
//! themselves.

use super::clock::Clock;

/// A deadline on a clock's monotonic hand.
///
/// Checked between steps of bounded cost, never inside one: a step is at most a pass over
/// `window_size` hits.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    clock: &'a dyn Clock,
    started_us: u64,
    limit_us: u64,
}

impl<'a> Budget<'a> {
    /// Starts now and ends after `limit_us` microseconds.
    pub fn start(clock: &'a dyn Clock, limit_us: u64) -> Self {
        Self { clock, started_us: clock.monotonic_us(), limit_us }
    }

    /// Microseconds used so far.
    pub fn spent_us(&self) -> u64 {
        self.clock.monotonic_us().saturating_sub(self.started_us)
    }

    /// True when nothing is left.
    pub fn is_spent(&self) -> bool {
        self.spent_us() > self.limit_us
    }
}
