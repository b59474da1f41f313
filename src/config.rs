//! Floor 2: settings of the proxy, parsed into types that cannot be wrong.
//!
//! In: the text of `leafrank.yaml`, `LEAFRANK_*` variables, flags. Out: [`Settings`], or every
//! problem at once, each with file, line, column, key, what was found, what was expected and a
//! suggestion. The shipped `config/leafrank.yaml` names every key; a key that is left out has the
//! value written there. Environment variables are handed in as a map; nothing is read here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

mod build;
mod build_route;
mod build_weaviate;
mod legs;
mod limits;
mod overlay;
mod parse;
mod people;
pub mod preset;
mod raw;
mod raw_route;
mod routes;
#[cfg(test)]
mod shipped_tests;
pub mod source;
mod words;

pub use crate::wire::{Condition, Expected, HitMap, Pointer, PointerError};
pub use legs::{Entrance, Leg, LegName, Weaviate};
pub use limits::{Faults, Health, Limits, Preview, Track};
pub use overlay::{WEAVIATE_URL, variable};
pub use parse::{SettingsText, schema};
pub use people::{Consent, Cookie, Identity, Join, Token, Trust};
pub use routes::{
    EventRoute, Mode, Paging, PathPattern, PlaceOfNumber, Route, RouteKind, ScoreBetter,
    SearchRoute, Segment, SortParameter, Source, UpstreamOrder, Wire,
};

/// Everything the process needs to know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where we listen.
    pub listen: Listen,
    /// The shop; `None` where only a Weaviate was named.
    pub upstream: Option<Upstream>,
    /// A Weaviate, on listeners of its own.
    pub weaviate: Option<Weaviate>,
    /// Who is who.
    pub identity: Identity,
    /// Whose word counts.
    pub trust: Trust,
    /// Which request is what. First match wins.
    pub routes: Vec<Route>,
    /// Time and size limits.
    pub limits: Limits,
    /// When our own faults switch a route off.
    pub faults: Faults,
    /// What readiness means.
    pub health: Health,
    /// The rules file.
    pub rules: RulesFile,
    /// What is kept in memory.
    pub store: Store,
    /// The event log; `None` = none is kept.
    pub spool: Option<Spool>,
    /// Stopping.
    pub shutdown: Shutdown,
    /// Where the last good rules are kept; created when missing.
    pub data_dir: PathBuf,
    /// Share of sessions (0..=1) whose lists always go out in the upstream's order.
    pub holdout: f32,
    /// The mode of routes that do not say; already applied to [`Settings::routes`].
    pub mode: Mode,
    /// Names of the presets in force; their routes are already in [`Settings::routes`].
    pub presets: Vec<String>,
    /// Every key with its value and who set it, for the config dump.
    pub effective: Vec<Effective>,
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Effective {
    /// Dotted key.
    pub key: String,
    /// Its value as written, units as in the key's name.
    pub value: serde_json::Value,
    /// Who set it.
    pub origin: Origin,
}

/// Who set a setting; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody.
    Default,
    /// The settings file.
    File,
    /// A `LEAFRANK_*` variable.
    Environment,
    /// A flag.
    Flag,
}

/// Where we listen.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Data port addresses.
    pub data: Vec<ListenAddress>,
    /// TLS on the data port.
    pub tls: Option<ServerTls>,
    /// Our API.
    pub api: Option<SocketAddr>,
    /// Mutating admin; loopback unless the settings say otherwise.
    pub admin: Option<SocketAddr>,
    /// Read-only health and metrics.
    pub ops: Option<SocketAddr>,
    /// Paths of ours that the data port answers itself; empty by default.
    pub own_paths: OwnPaths,
    /// Worker threads of the data port; 0 = one a core.
    pub threads: usize,
}

/// A TCP or unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `host:port`.
    Tcp(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Certificate and key files, PEM.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Paths of ours on the data port.
#[derive(Clone, Debug, Default)]
pub struct OwnPaths {
    /// Put before each of our paths there, e.g. `/leafrank`; empty = none.
    pub prefix: String,
    /// Our paths to answer, e.g. `/api/interactions/track`; a `{id}` segment matches any one.
    pub paths: Vec<String>,
}

/// Who answers: the shop, or one port of a Weaviate.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Whose upstream it is.
    pub leg: LegName,
    /// Sent as `Host` and `:authority`; `None`: the client's own stays.
    pub authority: Option<String>,
    /// At least one address.
    pub addresses: Vec<UpstreamAddress>,
    /// TLS towards the shop.
    pub tls: Option<ClientTls>,
    /// HTTP version towards the shop.
    pub protocol: UpstreamProtocol,
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time until the reply's head.
    pub response_timeout: Duration,
    /// Idle pooled connections are closed after this.
    pub idle_timeout: Duration,
    /// Idle connections kept an address and worker.
    pub idle_connections_max: usize,
    /// Time between health checks; zero = none.
    pub health_interval: Duration,
    /// An HTTP/2 connection with calls under way that is silent for this is pinged; zero = never.
    pub silence: Duration,
}

/// One address of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamAddress {
    /// `host:port`, host by name or number.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

impl std::fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS towards the shop.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Name expected in the certificate.
    pub server_name: String,
    /// Extra trusted roots, PEM; the public web's roots otherwise.
    pub ca: Option<PathBuf>,
}

/// HTTP version towards the shop.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/2 for gRPC, HTTP/1.1 for the rest.
    Auto,
    /// HTTP/1.1 always.
    Http1,
    /// HTTP/2 always.
    Http2,
}

/// The rules file.
#[derive(Clone, Debug)]
pub struct RulesFile {
    /// The hot-edited file; `None` = the shipped rules.
    pub path: Option<PathBuf>,
    /// Nobody named the path: where there is no such file, the shipped rules serve.
    pub may_be_missing: bool,
    /// A directory of knowledge tables; `None` = the shipped ones.
    pub knowledge_dir: Option<PathBuf>,
    /// A model file; `None` = the model built in.
    pub model: Option<PathBuf>,
}

impl RulesFile {
    /// A rules file that must be there, with what is built in.
    pub fn alone(path: PathBuf) -> Self {
        Self { path: Some(path), may_be_missing: false, knowledge_dir: None, model: None }
    }
}

/// What is kept in memory.
#[derive(Clone, Debug)]
pub struct Store {
    /// Bytes of all profiles together, with their index.
    pub profiles_bytes_max: u64,
    /// Time between two snapshots of the profiles on disk; `None` = none are read or written.
    pub snapshot: Option<Duration>,
    /// Products in the catalogue.
    pub products_max: usize,
    /// Bytes of hits that are remembered as they were written; 0 = none.
    pub hits_bytes_max: u64,
    /// Products remembered a profile.
    pub products_per_profile_max: usize,
    /// Facets remembered a profile.
    pub facets_per_profile_max: usize,
    /// Last events remembered a profile; 0 = none.
    pub events_per_profile_max: usize,
    /// Facets that one user may have pinned or muted.
    pub choices_per_user_max: usize,
    /// Facets that all users together may have pinned or muted.
    pub choices_max: usize,
    /// Subjects whose last lists are remembered.
    pub recent_max: usize,
    /// Acts, and ids of events, that are remembered to know a double.
    pub doubles_max: usize,
    /// Widened searches whose order is remembered for their further pages.
    pub orders_max: usize,
    /// Seconds for which it is.
    pub orders_seconds: u64,
    /// Shoppers whose taste, as the hierarchical preference reads it, is kept until it changes.
    pub posteriors_max: usize,
    /// Who may follow profiles live at a time.
    pub live_listeners_max: usize,
}

/// The event log.
#[derive(Clone, Debug)]
pub struct Spool {
    /// Rows are written to the disk together at most so often.
    pub group: Duration,
    /// Bytes of rows that some sink does not have yet.
    pub bytes_max: u64,
    /// Bytes of rows on their way to the disk.
    pub queue_bytes_max: usize,
    /// Bytes of one row.
    pub row_bytes_max: usize,
    /// A Parquet file is closed after so long.
    pub batch: Duration,
    /// Or when it has so many rows.
    pub batch_rows_max: usize,
    /// Days for which Parquet files are kept; 0 = for ever.
    pub keep_days: u64,
    /// Bytes of all of them; the oldest day goes first. 0 = no limit.
    pub events_bytes_max: u64,
}

/// Stopping.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Not ready, but still accepting: time for balancers to notice.
    pub lame_duck: Duration,
    /// After that, requests in flight get this long.
    pub drain: Duration,
}
