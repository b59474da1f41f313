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
pub mod fail_open;

mod annotate;
pub mod explain;
mod order;
mod ranked;
mod search;

pub use search::{Asked, Place, Search, Treatment};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use quick_cache::sync::Cache;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{RouteKind, SearchRoute, Settings};
use crate::preferences::live::{LivePreferences, live};
use crate::preferences::taste::Taste;
use crate::rank::QueryView;
use crate::reload::RulesTable;
use crate::signals::ShownList;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;
use crate::types::ids::{QueryId, Subject};
use crate::wire::HitPlan;
use breaker::Breaker;
use fail_open::FailOpen;

/// Queries whose reading is kept.
const QUERIES_MAX: usize = 4096;
/// Affinities shown of one axis.
const LIVE_TOP: usize = 50;

/// A route of the settings, ready to be used.
struct SearchPlan {
    name: String,
    breaker: Arc<Breaker>,
    route: SearchRoute,
    hits: HitPlan,
    learn: bool,
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
    /// Replies being held or copied.
    held: Arc<AtomicUsize>,
    breakers: Vec<Arc<Breaker>>,
    searches: AtomicU64,
    /// Queries as read: people ask for the same few things.
    queries: Cache<u64, Arc<QueryView>>,
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
                hits: HitPlan::new(&search.hits, &search.only_if),
                route: (**search).clone(),
                learn: route.learn,
            })),
            RouteKind::Event(_) => None,
        });
        let plans = plans.collect();
        Self {
            plans,
            life: xxh3_64(&clock.now().0.to_le_bytes()),
            settings,
            store,
            rules,
            metrics,
            clock,
            on: AtomicBool::new(true),
            held: Arc::default(),
            breakers,
            searches: AtomicU64::new(0),
            queries: Cache::new(QUERIES_MAX),
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

    /// What switches the route of this number off when our code faults on it.
    pub fn breaker(&self, route: usize) -> Arc<Breaker> {
        self.breakers[route].clone()
    }

    /// The breaker of the route called so.
    pub fn breaker_of(&self, name: &str) -> Option<&Arc<Breaker>> {
        self.breakers.iter().find(|breaker| breaker.route() == name)
    }

    /// What is known of `subject`, in the plan's shape.
    pub fn live_preferences(&self, subject: &Subject) -> LivePreferences {
        let rules = self.rules.load();
        let profile = self.store.shoppers.profile(subject.key());
        match profile {
            Some(profile) => {
                let taste = Taste::at(&profile, &rules, self.clock.now());
                live(&taste, LIVE_TOP, &|facet| self.store.catalog.name(facet))
            }
            None => LivePreferences::default(),
        }
    }

    /// Sets the gauges of what is kept.
    pub fn measure(&self) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.metrics.profiles.set(count(self.store.shoppers.profiles()));
        self.metrics.products.set(count(self.store.catalog.products()));
    }
}
