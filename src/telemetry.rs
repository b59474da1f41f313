//! Floor 1, i/o: what the process says about itself: logs, metrics, limits, memory.
//!
//! [`log`] writes lines that read alone; [`metrics`] counts; [`limits`] counts and names each limit
//! that was reached; [`memory`] knows how much is left. None ever holds a user's id, a body or a
//! token.

pub mod limits;
pub mod log;
pub mod memory;
pub mod metrics;
