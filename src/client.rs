//! Floor 3, i/o: outbound connections, made once, with limits and timeouts set once.
//!
//! [`connect`] opens one connection; [`shop`] is the shop as one service with its pools and health
//! checks; [`reach`] knows whether it accepts connections at all. Nothing here knows what a request
//! means.

pub mod connect;
pub mod reach;
pub mod shop;
