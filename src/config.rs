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
mod limits;
mod overlay;
mod parse;
mod people;
pub mod preset;
mod raw;
mod raw_route;
#[cfg(test)]
mod shipped_tests;
pub mod source;
mod words;

pub use crate::wire::{Condition, Expected, HitMap, Pointer, PointerError};
pub use limits::{Faults, Health, Limits};
pub use overlay::variable;
pub use parse::{SettingsText, schema};
pub use people::{Identity, Join, Trust};

/// Everything the process needs to know to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where we listen.
    pub listen: Listen,
    /// The shop.
    pub upstream: Upstream,
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

/// The shop.
#[derive(Clone, Debug)]
pub struct Upstream {
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

/// A place in a request that holds a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `header:X-User-ID`
    Header(http::HeaderName),
    /// `cookie:sid`
    Cookie(String),
    /// `body:/user_id`, a JSON Pointer.
    Body(Pointer),
    /// `query:q`, a URL query parameter.
    Query(String),
    /// `path:sku`, a `{sku}` segment of the route's path.
    Path(String),
    /// `jwt:sub`, a claim of the token in `Authorization: Bearer …`. Its signature is not checked.
    Jwt(String),
    /// `baggage:user.id`, a member of W3C baggage.
    Baggage(String),
    /// `tenant`: the tenant that a Weaviate search names.
    Tenant,
}

/// Which request is what.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in metrics and logs.
    pub name: String,
    /// Method; `None` = any.
    pub method: Option<http::Method>,
    /// Path with `{name}` segments.
    pub path: PathPattern,
    /// What it does.
    pub kind: RouteKind,
    /// False: nothing is learned from it.
    pub learn: bool,
    /// The request changes nothing in the shop and may be sent twice.
    pub read: bool,
}

/// `/product/{sku}`: literal and named segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(pub Vec<Segment>);

/// One segment of a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// Any one segment, remembered under a name.
    Named(String),
}

impl Route {
    /// True when something that the route or `identity` looks for may be in the request's body.
    pub fn reads_body(&self, identity: &Identity) -> bool {
        let mut places = identity.user.iter().chain(&identity.session);
        places.any(Source::needs_body)
            || match &self.kind {
                RouteKind::Search(search) if search.wire != Wire::Json => true,
                RouteKind::Search(search) => {
                    let sort = search.sort.iter().map(|parameter| &parameter.source);
                    search.query.iter().chain(sort).any(Source::needs_body)
                }
                RouteKind::Event(event) => {
                    let places = [&event.kind_from, &event.product, &event.quantity];
                    event.each.is_some()
                        || event.facts.is_some()
                        || places.into_iter().flatten().any(Source::needs_body)
                }
            }
    }
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum RouteKind {
    /// Answers with hits.
    Search(Box<SearchRoute>),
    /// Says what the shopper did.
    Event(Box<EventRoute>),
}

/// A route that answers with hits.
#[derive(Clone, Debug)]
pub struct SearchRoute {
    /// What is done with the order.
    pub mode: Mode,
    /// How requests and replies are written.
    pub wire: Wire,
    /// Where the query is.
    pub query: Vec<Source>,
    /// Parameters that choose an order, each with the values that mean "by relevance".
    pub sort: Vec<SortParameter>,
    /// Is the upstream's order a ranking at all?
    pub upstream: UpstreamOrder,
    /// Are scores meaningful, and which way?
    pub score_better: Option<ScoreBetter>,
    /// Where the hits are in the reply.
    pub hits: HitMap,
    /// The list is left alone unless all of these hold in the reply.
    pub only_if: Vec<Condition>,
}

/// What is done with a route's order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Not ranked; still learned from unless `learn: false`.
    Off,
    /// Ranked and counted, not applied.
    Shadow,
    /// Applied.
    On,
    /// Applied, and the fields that LeafLoaf's own demo page reads are added.
    Annotate,
}

impl Mode {
    /// The mode a word names; letter case does not matter.
    pub fn parse(word: &str) -> Option<Self> {
        let modes = [Self::Off, Self::Shadow, Self::On, Self::Annotate];
        let names = ["off", "shadow", "on", "annotate"];
        let mut named = modes.into_iter().zip(names);
        named.find(|(_, name)| name.eq_ignore_ascii_case(word)).map(|(mode, _)| mode)
    }
}

/// How a search and its reply are written.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// JSON of any shape: the route's map says where things are.
    Json,
    /// Weaviate's GraphQL: each list under `data.Get` is a search of its own.
    Graphql,
    /// Weaviate's gRPC search.
    Grpc,
    /// Weaviate's REST search.
    Rest,
}

impl Wire {
    /// Where lists are, where that is not up to the shop.
    pub fn lists(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Graphql => Some("/data/Get/*"),
            Self::Grpc | Self::Rest => Some("/results"),
        }
    }
}

/// A parameter by which a caller chooses an order.
#[derive(Clone, Debug)]
pub struct SortParameter {
    /// Where it is.
    pub source: Source,
    /// Values that mean "by relevance".
    pub neutral: Vec<String>,
}

/// Is the upstream's order a ranking?
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamOrder {
    /// Yes: it is an opinion worth keeping.
    Ranked,
    /// No: it only breaks ties.
    Unranked,
}

/// Which way a meaningful score points.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ScoreBetter {
    /// More is better.
    Higher,
    /// Less is better (distances).
    Lower,
}

/// A route that says what the shopper did.
#[derive(Clone, Debug)]
pub struct EventRoute {
    /// The kind, where the route itself is one (`view`, `add_to_cart`, …).
    pub kind: Option<crate::types::interaction::InteractionKind>,
    /// Where the request names the kind, else.
    pub kind_from: Vec<Source>,
    /// Words of this shop for kinds, before the built-in ones: (word, kind).
    pub kinds: Vec<(String, crate::types::interaction::InteractionKind)>,
    /// One event a matching element (an order's lines); `None` = the request is one event.
    pub each: Option<Pointer>,
    /// The product key; body pointers start at the element where `each` is set.
    pub product: Vec<Source>,
    /// Units.
    pub quantity: Vec<Source>,
    /// Event id.
    pub event_id: Vec<Source>,
    /// Seconds on the page.
    pub seconds: Vec<Source>,
    /// Facts about the product in the request, pointers from the element; `id` is ignored.
    pub facts: Option<HitMap>,
    /// Asked for each member that `facts` does not yield (a shop with two spellings).
    pub facts_or: Option<HitMap>,
    /// The same, in a product page's reply: what the reply says of the product.
    pub reply_facts: Option<HitMap>,
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
}

/// What is kept in memory.
#[derive(Clone, Debug)]
pub struct Store {
    /// Profiles.
    pub profiles_max: usize,
    /// Products in the catalogue.
    pub products_max: usize,
    /// Products remembered a profile.
    pub products_per_profile_max: usize,
    /// Facets remembered a profile.
    pub facets_per_profile_max: usize,
    /// Subjects whose last lists are remembered.
    pub recent_max: usize,
}

/// Stopping.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Not ready, but still accepting: time for balancers to notice.
    pub lame_duck: Duration,
    /// After that, requests in flight get this long.
    pub drain: Duration,
}
