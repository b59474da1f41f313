//! Leafrank: a sidecar that learns each shopper's taste from a shop's traffic and re-orders its
//! search results, inline and fail-open.
//!
//! The way of a request, stage by stage, is [`proxy::pipeline`]:
//!
//! ```text
//! client ─► listener ─► route ─► identity ─► forward to the shop ─► decode hits ─► gather
//!                                                                                     │
//! client ◄── respond ◄─ splice the hits into the original bytes ◄─ guard ◄─ blend ◄─ score
//!                │
//!                └─► observe: derive signals ─► learn into the profile
//! ```
//!
//! Modules are listed in reading order, top floor first. A module imports only floors below its own;
//! the pure wing (marked) has no sockets, files, async or clock.

// floor 8: the command line
pub mod cli;

// floor 7: puts everything together
pub mod app;

// floor 6: the planes, cases that anybody can read and what logs teach of the rules (pure)
pub mod admin;
pub mod api;
pub mod cases;
#[cfg(feature = "demo")]
pub mod demo;
pub mod fit;
pub mod proxy;
pub mod serve;

// floor 5: who is believed, the read path, the write path, and a log through both (pure)
pub mod border;
pub mod observe;
pub mod personalize;
pub mod replay;

// floor 4: engines (pure), and what holds
pub mod rank;
pub mod reload;
pub mod signals;
pub mod sink;
pub mod store;

// floor 3: readers (pure), connections, and the event log
pub mod client;
pub mod identity;
pub mod preferences;
pub mod route;
pub mod spool;
pub mod trust;

// floor 2: words of the operator and the merchandiser (pure)
pub mod config;
pub mod rules;

// floor 1: formats and fitted models (pure), what is said of endpoints, what the process says and how
// it ends
pub mod model;
pub mod openapi;
pub mod shutdown;
pub mod telemetry;
pub mod wire;
pub mod yaml;

// floor 0: the vocabulary (pure)
pub mod types;
