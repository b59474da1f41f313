//! Stories over real sockets: the real program, a shop that does as told, raw bytes.

mod harness;

mod budgets;
mod caching;
mod drain;
mod encodings;
mod framing;
mod http2;
mod limits;
mod smoke;
mod streaming;
mod tls;
mod upgrades;
mod upstreams;
