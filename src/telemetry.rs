//! Floor 1, i/o: what the process says about itself: logs and metrics.

pub mod log;
pub mod metrics;
