//! Stories over real sockets: the real program, a shop that does as told, raw bytes.

#![expect(unreachable_pub, reason = "one binary: the harness says what stories may use")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a story that cannot go on fails")]

mod harness;

mod annotate;
mod any_api;
mod api_document;
mod asked;
mod budgets;
mod caching;
mod cases;
mod check_reply;
mod command_line;
mod consent;
mod drain;
mod encodings;
mod fail_open;
mod faults;
mod feedback;

mod fit;
mod floods;
mod floods_http2;
mod flows;
mod forget;
mod framing;
mod http2;
mod identity;
mod identity_cookie;
mod identity_token;
mod limits;
mod live;
mod matrix;
mod modes;
mod openapi;
mod openapi_answers;
mod openapi_checked;
mod openapi_mended;
mod pages;
mod preview;
mod prometheus;
mod replay;
mod restart;
mod rolling;
mod rules;
mod scenarios;
mod session;
mod signals;
mod smoke;
mod soak;
mod streaming;
mod taste;
mod taste_full;
mod taste_weights;
mod tls;
mod track_api;
mod track_batches;
mod track_beacon;
mod track_dialects;
mod track_sources;
mod transparency;
mod trust;
mod upgrades;
mod upstreams;
mod visible;
mod weaviate;
mod weaviate_checked;
mod weaviate_clients;
mod weaviate_joined;
mod weaviate_legs;
mod weaviate_packed;
mod weaviate_ranked;
mod weaviate_streams;
mod weaviate_window;
