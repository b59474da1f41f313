//! Floor 3, i/o: outbound connections, made once, with limits and timeouts set once.

pub mod connect;
pub mod shop;
