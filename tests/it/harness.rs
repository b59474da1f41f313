//! What every story needs: a shop that does as told, a sidecar that really runs, a client that sees
//! raw bytes.

pub mod browser;
pub mod client;
pub mod fixtures;
pub mod golden;
pub mod house;
pub mod http2;
pub mod personal;
pub mod shop;
pub mod shopper;
pub mod sidecar;
pub mod siege;
pub mod tls;
pub mod weaviate;
pub mod wire;

pub use client::{Reply, exchange, get, post};
pub use house::{Fate, House};
pub use shop::{Answer, Asked, Shop};
pub use shopper::Shopper;
pub use sidecar::{API_TOKEN, PEER_TOKEN, SIGNING_KEY, Sidecar, TRUSTING};
pub use wire::Wire;
