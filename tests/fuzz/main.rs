//! Fuzz targets that run as ordinary tests on stable Rust, each for a bounded time.
//!
//! Each target states a law against an independent judge: the JSON scanner against serde_json, the
//! protobuf walker against prost, GraphQL against what the maker of a document meant, the splice
//! against its own inverse, the content codings against their cap, trees of a model file against themselves. `LEAFRANK_FUZZ_SECONDS` sets the
//! time of each (5 where it is not set); `cargo bolero test` drives the same targets with a
//! coverage-guided engine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fuzz target says by a panic that a law is broken"
)]

mod encodings;
mod graphql;
mod models;
mod protobuf;
mod scanner;
mod shapes;
mod splicing;
mod trees;

use std::time::Duration;

/// How long each target runs.
fn fuzz_time() -> Duration {
    let seconds = std::env::var("LEAFRANK_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}
