//! Logs: text on a terminal, one JSON object a line otherwise; RFC 3339 times.
//!
//! In: `LEAFRANK_LOG` (an env-filter, e.g. `leafrank=debug`), default `info`. Messages read alone
//! and carry fields. Never at info or above: user ids, bodies, tokens.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Ours in full, of libraries what is wrong.
const DEFAULT: &str = "info,pingora_core=warn,pingora_load_balancing=warn,fjall=warn,lsm_tree=warn";

/// Starts logging to stderr. A second call changes nothing.
pub fn start(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or(DEFAULT));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let outcome = if std::io::stderr().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // Already started: in tests, where several sidecars share a process.
    drop(outcome);
}
