//! Floor 5, the write path: what shoppers were shown and did, learned at once.
//!
//! ```text
//! request ─► interactions ─► signals ─► profile of the shopper
//! reply   ─► lists shown  ─┘       └─► population (natural lists only)
//! ```
//!
//! Used by the data plane and by the API alike. Takes short locks, waits for nothing. An interaction
//! is in the profile when [`Observer::learn`] or [`Observer::interactions`] returns: it is in the
//! next ranking.

mod crowd;
mod events;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;
use prometheus::IntCounter;
use quick_cache::sync::Cache;

use crowd::{Actor, Known};
pub use events::Event;
use events::EventPlan;

use crate::config::{RouteKind, Settings};
use crate::identity::Identity;
use crate::preferences::learn::{self, Caps};
use crate::preferences::merge::merge;
use crate::reload::RulesTable;
use crate::rules::Rules;
use crate::signals::cart::Cart;
use crate::signals::conduct::Conduct;
use crate::signals::dwell::{self, LastView};
use crate::signals::unbought::Unbought;
use crate::signals::{Dedupe, Derived, RecentLists, Shopper, ShownList, Source, derive};
use crate::signals::{contrast, visitor};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::{Clock, Timestamp};
use crate::types::ids::{Subject, SubjectKey};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::signal::Signal;
use crate::types::voice::Voice;

/// Presses and event ids remembered to recognise doubles.
const DOUBLES_MAX: usize = 65_536;
/// Price levels remembered a profile.
const PRICES_MAX: usize = 64;

/// The write path.
pub struct Observer {
    plans: Vec<Option<Arc<EventPlan>>>,
    store: Arc<Store>,
    rules: Arc<RulesTable>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    anonymous: Vec<String>,
    caps: Caps,
    visits: Cache<SubjectKey, Arc<Mutex<Visit>>>,
    doubles: Mutex<Dedupe>,
    /// Clicks reported to our own API.
    tracked: Clicks,
}

/// Clicks by where they were seen, and those that a list explains.
pub(super) struct Clicks {
    all: IntCounter,
    joined: IntCounter,
}

impl Clicks {
    fn of(route: &str, metrics: &Metrics) -> Self {
        Self {
            all: metrics.clicks.with_label_values(&[route]),
            joined: metrics.clicks_joined.with_label_values(&[route]),
        }
    }

    fn count(&self, kind: InteractionKind, joined: bool) {
        if matches!(kind, InteractionKind::Click | InteractionKind::View) {
            self.all.inc();
            self.joined.inc_by(u64::from(joined));
        }
    }
}

/// The name of our own API beside the routes of the settings.
const TRACK_ROUTE: &str = "track_api";

/// What a shopper did last.
#[derive(Default)]
struct Visit {
    recent: RecentLists,
    view: Option<LastView>,
    unbought: Unbought,
    cart: Cart,
    conduct: Conduct,
}

impl Observer {
    /// Compiles the settings' event routes.
    pub fn new(
        settings: &Settings,
        store: Arc<Store>,
        rules: Arc<RulesTable>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let plans = settings.routes.iter().map(|route| match &route.kind {
            RouteKind::Event(event) if route.learn => {
                let clicks = Clicks::of(&route.name, &metrics);
                Some(Arc::new(EventPlan::new(event, clicks)))
            }
            RouteKind::Event(_) | RouteKind::Search(_) => None,
        });
        Self {
            plans: plans.collect(),
            tracked: Clicks::of(TRACK_ROUTE, &metrics),
            store,
            rules,
            metrics,
            clock,
            anonymous: settings.identity.anonymous.clone(),
            caps: Caps {
                products: settings.store.products_per_profile_max,
                facets: settings.store.facets_per_profile_max,
                prices: PRICES_MAX,
            },
            visits: Cache::new(settings.store.recent_max.max(1)),
            doubles: Mutex::new(Dedupe::new(DOUBLES_MAX)),
        }
    }

    /// A request came: the stay on the product seen last has ended, and a visit that is now named
    /// is joined with the user's past.
    pub fn arrived(&self, identity: &Identity) {
        let learned = !identity.opted_out && identity.voice.silent.is_none();
        let Some(subject) = identity.subject().filter(|_| learned) else { return };
        let shopper = subject.key();
        if let (Some(_), Some(session)) = (&identity.user, &identity.session) {
            self.join(Subject::Session(session.clone()).key(), shopper);
        }
        let now = self.clock.now();
        let stay = self.visits.get(&shopper).and_then(|visit| {
            let view = visit.lock().view.take()?;
            dwell::from_next_request(&view, now)
        });
        let actor = Actor { shopper, voice: identity.voice };
        if let Some(stay) = stay {
            self.absorb(actor, &[stay], Source::Traffic, &self.tracked);
        }
        self.tell_unbought(shopper, now);
    }

    /// Remembers lists as they went out; without a pupil nobody and nothing learns from them.
    pub fn shown(&self, pupil: Option<SubjectKey>, lists: Vec<ShownList>) {
        let Some(pupil) = pupil else { return };
        let visit = self.visit(pupil);
        let impressions = self.entered(&mut visit.lock(), lists);
        self.count(impressions);
    }

    /// How far what a request says may teach, by its head and where it came from.
    pub fn voice(&self, headers: &HeaderMap, peer: Option<IpAddr>, proven: bool) -> Voice {
        visitor::voice(headers, peer, proven, &self.rules.load().crowd.bot_agents)
    }

    /// True for a word that the settings say means nobody.
    pub fn means_nobody(&self, word: &str) -> bool {
        self.anonymous.iter().any(|nobody| nobody.eq_ignore_ascii_case(word))
    }

    /// Learns interactions that a client reports; returns how many said something new.
    pub fn interactions(&self, identity: &Identity, interactions: Vec<Interaction>) -> usize {
        if identity.opted_out {
            self.dropped("opted_out", interactions.len());
            return 0;
        }
        let Some(subject) = identity.subject() else {
            self.dropped("no_subject", interactions.len());
            return 0;
        };
        if let Some(silent) = identity.voice.silent {
            self.dropped(silent.label(), interactions.len());
            return 0;
        }
        let actor = Actor { shopper: subject.key(), voice: identity.voice };
        self.absorb(actor, &interactions, Source::Track, &self.tracked)
    }

    fn absorb(
        &self,
        actor: Actor,
        interactions: &[Interaction],
        source: Source,
        clicks: &Clicks,
    ) -> usize {
        let rules = self.rules.load();
        let mut learned = 0;
        for interaction in interactions {
            if self.is_crawled(actor.shopper, interaction, source, &rules) {
                self.dropped("crawler", 1);
                continue;
            }
            let derived = self.derive(actor.shopper, interaction, source, &rules);
            if derived.double {
                self.dropped("double", 1);
                continue;
            }
            learned += 1;
            clicks.count(interaction.kind, derived.joined.is_some());
            self.metrics.interactions.with_label_values(&[interaction.kind.name()]).inc();
            let known = self.teach(actor.shopper, &derived, &rules);
            self.teach_others(actor, interaction, &derived, &known);
        }
        learned
    }

    fn derive(
        &self,
        shopper: SubjectKey,
        interaction: &Interaction,
        source: Source,
        rules: &Rules,
    ) -> Derived {
        let profile = self.store.shoppers.profile(shopper);
        let visit = self.visit(shopper);
        let mut visit = visit.lock();
        if interaction.kind == InteractionKind::View && source == Source::Traffic {
            let product = interaction.product.clone();
            visit.view = Some(LastView { product, at: interaction.at });
        }
        visit.unbought.note(interaction, profile.as_deref());
        let mut who =
            Shopper { subject: shopper, profile: profile.as_deref(), recent: &mut visit.recent };
        derive(interaction, &mut who, source, &mut self.doubles.lock(), rules)
    }

    /// Is it opened by a program, by the pace at which this subject opens pages?
    fn is_crawled(
        &self,
        shopper: SubjectKey,
        interaction: &Interaction,
        source: Source,
        rules: &Rules,
    ) -> bool {
        let visit = self.visit(shopper);
        let conduct = &mut visit.lock().conduct;
        match interaction.kind {
            InteractionKind::View if source == Source::Traffic => {
                !conduct.views(interaction.at, rules.crowd.views_per_minute_max)
            }
            _ => conduct.is_crawler(interaction.at),
        }
    }

    /// Tells what was looked at and not bought in the time that the rules set.
    fn tell_unbought(&self, shopper: SubjectKey, now: Timestamp) {
        let Some(visit) = self.visits.get(&shopper) else { return };
        let rules = self.rules.load();
        let signals = visit.lock().unbought.due(now, rules.thresholds.never_bought_ms);
        if !signals.is_empty() {
            self.teach(shopper, &Derived::of(signals), &rules);
        }
    }

    /// Learns signals into the shopper's profile; returns them with what is known of their products.
    fn teach(&self, shopper: SubjectKey, derived: &Derived, rules: &Rules) -> Vec<Known> {
        let catalog = &self.store.catalog;
        let known = contrast::counted(derived, rules, |key| catalog.get(key));
        self.store.shoppers.learn(shopper, self.clock.now(), |profile| {
            for (signal, facts) in &known {
                learn::apply(profile, signal, facts.as_deref(), rules, self.caps);
            }
        });
        for (signal, _) in &known {
            self.metrics.signals.with_label_values(&[signal.kind.path()]).inc();
        }
        known
    }

    /// Joins what a visit without a name taught with the user's own past.
    fn join(&self, session: SubjectKey, user: SubjectKey) {
        let visit = self.visits.remove(&session).map(|(_, visit)| visit);
        let Some(past) = self.store.shoppers.take(session) else { return };
        let rules = self.rules.load();
        self.store.shoppers.learn(user, self.clock.now(), |profile| {
            *profile = merge(profile, &past, &rules, self.caps);
        });
        if let Some(visit) = visit {
            let before = std::mem::take(&mut *visit.lock());
            *self.visit(user).lock() = before;
        }
    }

    fn visit(&self, shopper: SubjectKey) -> Arc<Mutex<Visit>> {
        if let Some(visit) = self.visits.get(&shopper) {
            return visit;
        }
        let visit = Arc::<Mutex<Visit>>::default();
        self.visits.insert(shopper, visit.clone());
        visit
    }

    fn dropped(&self, reason: &str, count: usize) {
        self.metrics.interactions_dropped.with_label_values(&[reason]).inc_by(count as u64);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn weight_of(signal: &Signal, rules: &Rules) -> f32 {
    rules.signal_weights[signal.kind.index()] * signal.times
}

#[cfg(test)]
mod tests;
