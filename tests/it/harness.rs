//! What every story needs: a shop that does as told, a sidecar that really runs, a client that sees
//! raw bytes.

pub mod client;
pub mod fixtures;
pub mod shop;
pub mod sidecar;

pub use client::{Reply, exchange, get, post, raw};
pub use shop::{Answer, Asked, Shop};
pub use sidecar::Sidecar;
