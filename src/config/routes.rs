//! Which request is what: the routes, as the rest of the program sees them.
//!
//! In: what `build_route` has read and checked. Out: for each kind of request where it says what,
//! and for searches what is done with their replies.

use super::{Condition, HitMap, Identity, Pointer};

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
    /// `jwt:sub` or `jwt:/realm/user`, a claim of the request's token; checked where
    /// `identity.token` has keys.
    Jwt(Pointer),
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
        let mut places =
            identity.user.iter().chain(&identity.session).chain(&identity.consent.from);
        places.any(Source::needs_body)
            || match &self.kind {
                RouteKind::Search(search) if search.wire != Wire::Json => true,
                RouteKind::Search(search) => {
                    let sort = search.sort.iter().map(|parameter| &parameter.source);
                    search.window_size > 0
                        || search.query.iter().chain(sort).any(Source::needs_body)
                }
                RouteKind::Forget(user) => user.iter().any(Source::needs_body),
                RouteKind::Event(event) => {
                    let places = [
                        &event.kind_from,
                        &event.product,
                        &event.quantity,
                        &event.cart_quantity,
                        &event.subscription,
                    ];
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
    /// Makes the shop forget a shopper: where it names the user; none = as everywhere.
    Forget(Vec<Source>),
}

/// A route that answers with hits.
#[derive(Clone, Debug)]
pub struct SearchRoute {
    /// What is done with the order.
    pub mode: Mode,
    /// How requests and replies are written.
    pub wire: Wire,
    /// Hits to ask the shop for where a request asks for fewer; 0 = as many as it asks for.
    pub window_size: u32,
    /// Where a request of JSON names its page.
    pub paging: Paging,
    /// Properties that Weaviate is asked for beside those that a search asks for.
    pub ask_also: Vec<String>,
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

/// Where a request of JSON names its page.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    /// Hits on it.
    pub limit: Option<PlaceOfNumber>,
    /// Hits before it.
    pub offset: Option<PlaceOfNumber>,
    /// Its number, instead.
    pub page: Option<PlaceOfNumber>,
    /// The number of the first page.
    pub page_first: u32,
    /// Hits of a page where the URL names no length; 0 = nobody knows.
    pub page_size: u32,
}

/// Where a request names a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceOfNumber {
    /// In its body.
    Body(Pointer),
    /// A parameter of its URL.
    Query(String),
}

impl SearchRoute {
    /// A route of JSON with hits under `/products`.
    #[cfg(test)]
    pub(crate) fn for_tests(window_size: u32) -> Self {
        Self {
            mode: Mode::On,
            wire: Wire::Json,
            window_size,
            paging: Paging::default(),
            ask_also: Vec::new(),
            query: Vec::new(),
            sort: Vec::new(),
            upstream: UpstreamOrder::Ranked,
            score_better: None,
            hits: HitMap::default(),
            only_if: Vec::new(),
        }
    }
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
    /// Units that the cart then holds.
    pub cart_quantity: Vec<Source>,
    /// Does the purchase repeat by contract?
    pub subscription: Vec<Source>,
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
