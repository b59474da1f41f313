//! Floor 1, i/o: what the process says about itself: logs and metrics.
//!
//! [`log`] writes lines that read alone; [`metrics`] counts. Neither ever holds a user's id, a body
//! or a token.

pub mod log;
pub mod metrics;
