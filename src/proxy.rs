//! Floor 6, the data plane: everything that arrives on the data port.
//!
//! [`pipeline`] states the way of a request and is the file to read first; `exchange` is what
//! happens once the shop has answered. Around them: [`engine`] turns connections into requests,
//! `framing` keeps one hop's headers from the next, `forward` goes to the shop and back, `peek` and
//! `hold` keep bytes back within limits, `body` streams, `tunnel` carries upgraded connections,
//! `caching` keeps personal replies out of shared caches, `watched` reads the client for `sniff`, which
//! sees what hyper hides, and `idle`, which closes what fell silent; `own` lets our API answer,
//! `respond` writes our headers, `visit` our cookie, `grpc` words our failures for its clients, and `shield` keeps our panics from costing an answer.

pub mod pipeline;

mod body;
mod caching;
pub mod engine;
mod exchange;
mod forward;
mod framing;
mod grpc;
mod hold;
mod idle;
mod own;
mod packing;
mod peek;
mod respond;
mod shield;
mod sniff;
mod trace;
mod tunnel;
mod visit;
mod watched;

pub use body::RequestBody;
pub(crate) use packing::Packing;
