//! Leafrank: a sidecar that re-ranks a shop's search results, inline and fail-open.
pub mod types;

pub mod wire;

pub mod config;
pub mod rules;

pub mod preferences;

pub mod rank;
pub mod signals;

pub mod reload;
