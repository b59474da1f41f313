//! A route that faults too often is switched off by itself.
//!
//! In: faults of ours on one route (a caught panic, an order that is no permutation, an edit that
//! does not fit). Out: is the route tripped? As many faults within a minute as the settings allow
//! trip it; it comes back when an operator says so, or when it has been quiet for the set time.
//! While tripped, nothing of ours runs on the route: its requests only pass. Asking costs one
//! atomic read; the lock is taken by faults alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::config::{Faults, Route};
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;

/// Faults are counted within so many microseconds.
const MINUTE_US: u64 = 60_000_000;

/// The breaker of one route.
pub struct Breaker {
    route: String,
    faults: Faults,
    tripped: AtomicBool,
    /// When the latest faults were, oldest first; as many as it takes to trip.
    latest_us: Mutex<VecDeque<u64>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// One breaker a route, in the routes' order.
pub(super) fn all(
    routes: &[Route],
    faults: Faults,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
) -> Vec<Arc<Breaker>> {
    let one = |route: &Route| {
        // There from the start, so that the first fault is seen as an increase.
        metrics.route_tripped.with_label_values(&[&route.name]).set(0);
        metrics.faults.with_label_values(&[&route.name]).inc_by(0);
        Arc::new(Breaker {
            route: route.name.clone(),
            faults,
            tripped: AtomicBool::new(false),
            latest_us: Mutex::default(),
            metrics: metrics.clone(),
            clock: clock.clone(),
        })
    };
    routes.iter().map(one).collect()
}

impl Breaker {
    /// The route's name.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Counts one fault of ours; `what` is its name in the log.
    pub fn fault(&self, what: &str) {
        self.metrics.faults.with_label_values(&[&self.route]).inc();
        let route = self.route.as_str();
        tracing::error!(route, what, "a fault of ours was caught; the request goes on without us");
        let now = self.clock.monotonic_us();
        let mut latest = self.latest_us.lock();
        latest.push_back(now);
        while latest.len() > self.faults.per_minute_max {
            latest.pop_front();
        }
        let within = latest.front().is_some_and(|first| now.saturating_sub(*first) <= MINUTE_US);
        let trips = latest.len() >= self.faults.per_minute_max && within;
        if trips && !self.tripped.swap(true, Ordering::AcqRel) {
            self.metrics.route_tripped.with_label_values(&[route]).set(1);
            tracing::error!(
                route,
                faults = latest.len(),
                quiet_seconds = self.faults.quiet.as_secs(),
                "too many faults within a minute: the route is off until it was quiet for so long, \
                 or is switched on by POST /routes/{route}/on"
            );
        }
    }

    /// Is the route off? One that has been quiet for long enough comes back by being asked.
    pub fn is_tripped(&self) -> bool {
        if !self.tripped.load(Ordering::Acquire) {
            return false;
        }
        let quiet_us = u64::try_from(self.faults.quiet.as_micros()).unwrap_or(u64::MAX);
        let last = self.latest_us.lock().back().copied().unwrap_or(0);
        let quiet = self.clock.monotonic_us().saturating_sub(last) >= quiet_us;
        if quiet && quiet_us > 0 {
            self.come_back("it was quiet");
        }
        self.tripped.load(Ordering::Acquire)
    }

    /// Switches the route on again; false when it was on.
    pub fn switch_on(&self) -> bool {
        self.come_back("an operator said so")
    }

    fn come_back(&self, why: &str) -> bool {
        let mut latest = self.latest_us.lock();
        if !self.tripped.swap(false, Ordering::AcqRel) {
            return false;
        }
        latest.clear();
        let route = self.route.as_str();
        self.metrics.route_tripped.with_label_values(&[route]).set(0);
        tracing::warn!(route, why, "the route is on again");
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::types::clock::{ManualClock, Timestamp};

    fn breaker(per_minute_max: usize, quiet_seconds: u64) -> (Arc<ManualClock>, Breaker) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let breaker = Breaker {
            route: "search".into(),
            faults: Faults { per_minute_max, quiet: Duration::from_secs(quiet_seconds) },
            tripped: AtomicBool::new(false),
            latest_us: Mutex::default(),
            metrics: Arc::new(Metrics::new().unwrap()),
            clock: clock.clone(),
        };
        (clock, breaker)
    }

    #[test]
    fn enough_faults_within_a_minute_trip_and_as_many_over_a_longer_time_do_not() {
        let (clock, breaker) = breaker(3, 300);
        for _ in 0..10 {
            breaker.fault("panic");
            clock.advance(Duration::from_secs(31));
        }
        assert!(!breaker.is_tripped(), "two a minute");
        breaker.fault("panic");
        breaker.fault("panic");
        assert!(breaker.is_tripped());
        assert_eq!(breaker.metrics.route_tripped.with_label_values(&["search"]).get(), 1);
        assert_eq!(breaker.metrics.faults.with_label_values(&["search"]).get(), 12);
    }

    #[test]
    fn a_tripped_route_comes_back_when_it_was_quiet_and_every_fault_starts_the_time_anew() {
        let (clock, breaker) = breaker(1, 300);
        breaker.fault("panic");
        clock.advance(Duration::from_secs(299));
        breaker.fault("panic");
        clock.advance(Duration::from_secs(299));
        assert!(breaker.is_tripped());
        clock.advance(Duration::from_secs(1));
        assert!(!breaker.is_tripped());
        assert_eq!(breaker.metrics.route_tripped.with_label_values(&["search"]).get(), 0);
    }

    #[test]
    fn an_operator_switches_it_on_with_a_clean_slate_and_zero_seconds_leave_it_to_them() {
        let (clock, breaker) = breaker(2, 0);
        breaker.fault("panic");
        breaker.fault("panic");
        clock.advance(Duration::from_secs(1_000_000));
        assert!(breaker.is_tripped());
        assert!(breaker.switch_on());
        assert!(!breaker.switch_on(), "it was on");
        breaker.fault("panic");
        assert!(!breaker.is_tripped(), "one fault since");
    }
}
