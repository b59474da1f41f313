//! Floor 5, the read path: a reply's bytes in, the same hits in a better order out.
//!
//! ```text
//! decode hits ─► gather (profile, facts, population) ─► rank ─► splice
//! ```
//!
//! Used by the data plane. [`Personalizer::prepare`] decides from the request what will be done with
//! its reply ([`Treatment`]); [`Personalizer::rerank`] does it within `rank_us`. Knows neither hyper
//! nor pingora, waits for nothing, and answers every doubt with a [`FailOpen`].

pub mod breaker;
pub mod explain;
pub mod fail_open;
pub mod funnel;

mod annotate;
mod frozen;
mod full;
mod joined;
mod known;
mod order;
mod pages;
mod posteriors;
pub mod question;
mod ranked;
mod recent;
mod recorded;
mod search;
mod searches;
mod told;
mod trial;

pub use full::{Decay, FullFacet, FullProduct, FullView, KnownEvent};
pub use joined::Role;
pub use known::{Known, KnownFacet, KnownPrice, KnownProduct, ShownTo};
pub use search::{Asked, Place, Search, Tag, Treatment};
pub use searches::Searches;
pub use told::Told;
pub use trial::{TRIAL_US_MAX, Trial, Tried};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use quick_cache::sync::Cache;
use tokio::sync::broadcast;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Mode, RouteKind, SearchRoute, Settings, Wire};
use crate::rank::QueryView;
use crate::reload::RulesTable;
use crate::rules::knowledge::messages::ENGLISH;
use crate::signals::ShownList;
use crate::spool::Spool;
use crate::store::Store;
use crate::store::feeds::Listening;
use crate::store::joins::Joins;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;
use crate::types::ids::{QueryId, SubjectKey};
use crate::wire::weaviate::graphql::GraphqlPlan;
use crate::wire::weaviate::grpc::GrpcPlan;
use crate::wire::{DecodeLimits, Doubt, HitPlan, KnownHits, Reply};
use breaker::Breaker;
use explain::Explained;
use fail_open::FailOpen;
use frozen::Orders;
use funnel::{Funnel, Seen};
use posteriors::Posteriors;
use recent::Recent;
use recorded::Recorded;
use told::Audience;

/// Queries whose reading is kept.
const QUERIES_MAX: usize = 4096;

/// A route of the settings, ready to be used.
struct SearchPlan {
    name: String,
    breaker: Arc<Breaker>,
    route: SearchRoute,
    hits: Hits,
    learn: bool,
    funnel: Funnel,
}

/// How the hits of a reply are found.
enum Hits {
    Json(Box<HitPlan>),
    Graphql(Box<GraphqlPlan>),
    Grpc(Box<GrpcPlan>),
}

impl Hits {
    fn of(route: &SearchRoute) -> Self {
        match route.wire {
            Wire::Grpc => Self::Grpc(Box::new(GrpcPlan::new(&route.hits))),
            Wire::Graphql => Self::Graphql(Box::new(GraphqlPlan::new(&route.hits, &route.only_if))),
            Wire::Json | Wire::Rest => {
                Self::Json(Box::new(HitPlan::new(&route.hits, &route.only_if)))
            }
        }
    }

    fn decode<'a>(&self, body: &'a [u8], known: &KnownHits) -> Result<Reply<'a>, Doubt> {
        let limits = DecodeLimits::knowing(known);
        match self {
            Self::Json(plan) => plan.decode(body, &limits),
            Self::Graphql(plan) => plan.decode(body, &limits),
            Self::Grpc(plan) => plan.decode(body, &limits),
        }
    }
}

/// A moved list, or one that stayed.
pub struct Reranked {
    /// The new body; `None` when no hit moved.
    pub body: Option<Vec<u8>>,
    /// Why not, then.
    pub unmoved: FailOpen,
    /// Hits that left their position.
    pub moved: usize,
    /// Our own computation, in µs.
    pub spent_us: u64,
    /// Version of the rules.
    pub rules: Arc<str>,
    /// Name of this search.
    pub query: QueryId,
    /// What the shopper sees, for the write path.
    pub shown: Vec<ShownList>,
    /// What is known of the hits.
    pub seen: Seen,
    /// Each list's hits with their reasons, where somebody follows.
    pub explained: Vec<Vec<Explained>>,
    /// What is written down of it.
    pub recorded: Option<Box<Recorded>>,
}

/// A list that went out as it came.
#[derive(Default)]
pub struct Looked {
    /// What the shopper sees, for the write path.
    pub shown: Vec<ShownList>,
    /// What is known of the hits.
    pub seen: Seen,
    /// Hits that would have moved, in shadow mode.
    pub moved: usize,
    /// Our own computation, in µs.
    pub spent_us: u64,
    /// Each list's hits with their reasons, where somebody follows.
    pub explained: Vec<Vec<Explained>>,
    /// What is written down of it.
    pub recorded: Option<Box<Recorded>>,
}

/// How a search ended.
#[derive(Default)]
pub struct Ending {
    /// Why the shop's order went out; `None`: ours did.
    pub why: Option<FailOpen>,
    /// What was seen of the reply; `None`: it was not read.
    pub seen: Option<Seen>,
    /// Hits that moved, or would have.
    pub moved: usize,
    /// Our own computation, in µs.
    pub spent_us: u64,
    /// Each list's hits with their reasons, where somebody follows.
    pub explained: Vec<Vec<Explained>>,
    /// What is written down of it.
    pub recorded: Option<Box<Recorded>>,
    /// How long its reply was held back, in µs.
    pub held_us: Option<u64>,
}

/// What a route did so far.
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Its own faults switched it off.
    pub tripped: bool,
    /// Searches that came through each [`Stage`](funnel::Stage).
    pub funnel: [u64; 7],
}

/// The read path.
pub struct Personalizer {
    settings: Arc<Settings>,
    plans: Vec<Option<Arc<SearchPlan>>>,
    store: Arc<Store>,
    rules: Arc<RulesTable>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    on: AtomicBool,
    audience: Audience,
    /// Searches in front of the shop, for those behind it; `None`: one door alone is ours.
    joins: Option<Arc<Joins>>,
    /// Replies being held or copied.
    held: Arc<AtomicUsize>,
    breakers: Vec<Arc<Breaker>>,
    searches: AtomicU64,
    /// Queries as read: people ask for the same few things.
    queries: Cache<u64, Arc<QueryView>>,
    /// What further pages of widened searches are cut from.
    orders: Orders,
    /// What the hierarchical preference reads of the last shoppers' profiles.
    posteriors: Arc<Posteriors>,
    /// What an edit of the rules can be tried on.
    recent: Arc<Recent>,
    /// Where searches and their orders are written down, if they are.
    log: Option<Arc<Spool>>,
    /// Differs between starts, so that tags of an earlier life do not match.
    life: u64,
}

impl Personalizer {
    /// Compiles the settings' search routes.
    pub fn new(
        settings: Arc<Settings>,
        store: Arc<Store>,
        rules: Arc<RulesTable>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let breakers = breaker::all(&settings.routes, settings.faults, &metrics, &clock);
        let routes = settings.routes.iter().zip(&breakers);
        let plans = routes.map(|(route, breaker)| match &route.kind {
            RouteKind::Search(search) => Some(Arc::new(SearchPlan {
                name: route.name.clone(),
                breaker: breaker.clone(),
                hits: Hits::of(search),
                route: (**search).clone(),
                learn: route.learn,
                funnel: Funnel::of(&route.name, &metrics),
            })),
            RouteKind::Event(_) | RouteKind::Forget(_) => None,
        });
        let plans = plans.collect();
        let orders = Orders::new(settings.store.orders_max, settings.store.orders_seconds);
        let recent = Arc::new(Recent::new(settings.limits.preview));
        let posteriors = Arc::new(Posteriors::new(settings.store.posteriors_max));
        let forgets = (recent.clone(), posteriors.clone());
        store.on_forget(move |key| {
            forgets.0.retain(|kept| kept.shopper != key);
            forgets.1.forget(key);
        });
        Self {
            plans,
            joins: joined::joins(&settings, &clock),
            life: xxh3_64(&clock.now().0.to_le_bytes()),
            settings,
            store,
            rules,
            metrics,
            clock,
            on: AtomicBool::new(true),
            audience: Audience::default(),
            held: Arc::default(),
            breakers,
            searches: AtomicU64::new(0),
            queries: Cache::new(QUERIES_MAX),
            orders,
            posteriors,
            recent,
            log: None,
        }
    }

    /// Is the operator's switch on?
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Turns the operator's switch: off = every route off, at once.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Release);
        tracing::warn!(on, "personalisation was switched by an operator");
    }

    /// Does somebody want to know why this search comes out as it does?
    fn is_followed(&self, search: &Search) -> bool {
        search.is_explained() || self.audience.listens()
    }

    /// The language in which this search is explained, if it is.
    fn language_of(&self, search: &Search) -> Option<&'static str> {
        self.is_followed(search).then_some(ENGLISH)
    }

    /// A search has ended: it is counted, and told to whoever follows it.
    pub fn ended(&self, search: &Search, mut ending: Ending) {
        self.record(search, &mut ending);
        let known = (search.shopper.is_some(), search.known);
        search.plan.funnel.count(ending.why, known, ending.seen);
        if !self.is_followed(search) {
            return;
        }
        let told = Told {
            query: search.id.to_string(),
            at_ms: self.clock.now().0,
            route: search.route().to_owned(),
            mode: search.mode,
            text: search.query.clone(),
            shopper: search.shopper.map(|key| format!("{:08x}", key.0 as u32)),
            rules: self.rules.load().version.clone(),
            outcome: if ending.why.is_none() { "reranked" } else { "bypass" },
            reason: ending.why.map(FailOpen::label),
            moved: ending.moved,
            us: ending.spent_us,
            lists: ending.explained,
        };
        self.audience.tell(search.id, told, search.is_explained());
    }

    /// Searches as they end from now on; `None` when too many listen already.
    pub fn follow(&self) -> Option<broadcast::Receiver<Arc<Told>>> {
        self.audience.join()
    }

    /// What is learned of a subject from now on; `None` when too many listen already.
    pub fn follow_profile(&self, subject: SubjectKey) -> Option<Listening> {
        self.store.feeds.listen(subject)
    }

    /// A search that a trusted peer wanted explained; the last few hundred are kept.
    pub fn told(&self, query: QueryId) -> Option<Arc<Told>> {
        self.audience.kept(query)
    }

    /// What each search route did so far.
    pub fn routes(&self) -> Vec<RouteStatus> {
        let status = |(number, plan): (usize, &Option<Arc<SearchPlan>>)| {
            let plan = plan.as_ref()?;
            Some(RouteStatus {
                name: plan.name.clone(),
                mode: plan.route.mode,
                tripped: self.breakers[number].is_tripped(),
                funnel: plan.funnel.counts(),
            })
        };
        self.plans.iter().enumerate().filter_map(status).collect()
    }

    /// What switches the route of this number off when our code faults on it.
    pub fn breaker(&self, route: usize) -> Arc<Breaker> {
        self.breakers[route].clone()
    }

    /// The breaker of the route called so.
    pub fn breaker_of(&self, name: &str) -> Option<&Arc<Breaker>> {
        self.breakers.iter().find(|breaker| breaker.route() == name)
    }

    /// Sets the gauges of what is kept.
    pub fn measure(&self) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.profiles.set(count(self.store.shoppers.profiles()));
        self.metrics.profile_bytes.set(count(self.store.shoppers.bytes()));
        self.metrics.products.set(count(self.store.catalog.products()));
    }
}
