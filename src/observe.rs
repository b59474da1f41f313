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

mod events;
mod standing;

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::IntCounter;
use quick_cache::sync::Cache;

pub use events::Event;
use events::EventPlan;
pub use standing::Choice;

use crate::config::{RouteKind, Settings};
use crate::identity::Identity;
use crate::preferences::learn::{self, Caps};
use crate::preferences::merge::merge;
use crate::reload::RulesTable;
use crate::rules::Rules;
use crate::signals::dwell::{self, LastView};
use crate::signals::{Dedupe, Derived, RecentLists, Shopper, ShownList, Source, derive};
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::{Clock, Timestamp};
use crate::types::ids::{Subject, SubjectKey};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::product::ProductFacts;
use crate::types::signal::Signal;

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
    visits: Arc<Visits>,
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

type Visits = Cache<SubjectKey, Arc<Mutex<Visit>>>;

/// What a shopper did last.
#[derive(Default)]
struct Visit {
    recent: RecentLists,
    view: Option<LastView>,
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
        let visits = Arc::new(Visits::new(settings.store.recent_max.max(1)));
        let forgotten = visits.clone();
        store.on_forget(move |key| drop(forgotten.remove(&key)));
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
            visits,
            doubles: Mutex::new(Dedupe::new(DOUBLES_MAX)),
        }
    }

    /// A request came: the stay on the product seen last has ended, and a visit that is now named
    /// is joined with the user's past.
    pub fn arrived(&self, identity: &Identity) {
        if identity.opted_out {
            return self.leave_unlearned(identity);
        }
        let Some(subject) = identity.subject() else { return };
        let shopper = subject.key();
        self.log_in(identity);
        let now = self.clock.now();
        let stay = self.visits.get(&shopper).and_then(|visit| {
            let view = visit.lock().view.take()?;
            dwell::from_next_request(&view, now)
        });
        if let Some(stay) = stay {
            self.absorb(shopper, &[stay], Source::Traffic, &self.tracked);
        }
    }

    /// Remembers lists as they went out; without a pupil nobody and nothing learns from them.
    pub fn shown(&self, pupil: Option<SubjectKey>, lists: Vec<ShownList>) {
        let Some(pupil) = pupil.filter(|key| self.store.consents.of(*key).personalization) else {
            return;
        };
        let category = |key| self.store.catalog.get(key).and_then(|facts| facts.category);
        // Looked up before the lock is taken: every ranking waits for it.
        let natural: Vec<Vec<_>> = lists
            .iter()
            .filter(|list| list.natural)
            .map(|list| list.products().map(|key| (key, category(key))).collect())
            .collect();
        if !natural.is_empty() {
            let mut population = self.store.population.write();
            natural.into_iter().for_each(|hits| population.record_list(hits, true));
        }
        let visit = self.visit(pupil);
        let mut visit = visit.lock();
        lists.into_iter().for_each(|list| visit.recent.push(list));
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
        self.log_in(identity);
        self.absorb(subject.key(), &interactions, Source::Track, &self.tracked)
    }

    fn absorb(
        &self,
        shopper: SubjectKey,
        interactions: &[Interaction],
        source: Source,
        clicks: &Clicks,
    ) -> usize {
        let rules = self.rules.load();
        let standing = self.store.consents.of(shopper);
        let mut learned = 0;
        for interaction in interactions {
            if !standing.admits(interaction.at) {
                self.dropped(if standing.personalization { "erased" } else { "opted_out" }, 1);
                continue;
            }
            let derived = self.derive(shopper, interaction, source, &rules);
            if derived.double {
                self.dropped("double", 1);
                continue;
            }
            learned += 1;
            clicks.count(interaction.kind, derived.joined.is_some());
            self.metrics.interactions.with_label_values(&[interaction.kind.name()]).inc();
            self.teach(shopper, interaction, &derived, &rules);
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
        let mut who =
            Shopper { subject: shopper, profile: profile.as_deref(), recent: &mut visit.recent };
        derive(interaction, &mut who, source, &mut self.doubles.lock(), rules)
    }

    /// Learns signals into the shopper's profile and, where the list was natural, into the
    /// population.
    fn teach(
        &self,
        shopper: SubjectKey,
        interaction: &Interaction,
        derived: &Derived,
        rules: &Rules,
    ) {
        let catalog = &self.store.catalog;
        let allowed = self.store.consents.of(shopper).sensitive;
        let told = |facts: &Option<Arc<ProductFacts>>| facts.as_ref().is_some_and(|f| f.sensitive);
        let with_facts = derived.signals.iter().map(|s| (s, catalog.get(s.product)));
        let with_facts: Vec<_> = with_facts.filter(|(_, facts)| allowed || !told(facts)).collect();
        if with_facts.len() < derived.signals.len() {
            self.dropped("sensitive", 1);
        }
        self.store.shoppers.learn(shopper, self.clock.now(), |profile| {
            for (signal, facts) in &with_facts {
                learn::apply(profile, signal, facts.as_deref(), rules, self.caps);
            }
        });
        for (signal, _) in &with_facts {
            self.metrics.signals.with_label_values(&[signal.kind.path()]).inc();
        }
        let Some(joined) = &derived.joined else { return };
        let mut population = self.store.population.write();
        for (signal, facts) in &with_facts {
            // What one shopper allowed tells nothing of the others.
            let Some(facts) = facts.as_ref().filter(|facts| !facts.sensitive) else { continue };
            population.record_evidence(facts, weight_of(signal, rules), joined.natural);
        }
        if joined.first_pick {
            // The signals also speak of the hits above: the pick is the interaction's own product.
            let picked = interaction.product.key();
            let category = catalog.get(picked).and_then(|facts| facts.category);
            population.record_click(picked, category, joined.position, joined.natural);
        }
    }

    /// A visit that is now named is the user's.
    fn log_in(&self, identity: &Identity) {
        if let (Some(user), Some(session)) = (&identity.user, &identity.session) {
            let session = Subject::Session(session.clone()).key();
            self.join(session, Subject::User(user.clone()).key());
        }
    }

    /// Joins what a visit without a name taught with the user's own past: added, once, for it is
    /// taken from the visit.
    fn join(&self, session: SubjectKey, user: SubjectKey) {
        if let Some((_, visit)) = self.visits.remove(&session) {
            let Visit { recent, view } = std::mem::take(&mut *visit.lock());
            let own = self.visit(user);
            let mut own = own.lock();
            own.recent.join(recent);
            let later = |view: &LastView| own.view.as_ref().is_none_or(|own| view.at > own.at);
            if let Some(view) = view.filter(later) {
                own.view = Some(view);
            }
        }
        let Some(past) = self.store.shoppers.take(session) else { return };
        // What ended before the user had everything forgotten is not theirs any more.
        let latest = Timestamp::from_seconds(i64::from(past.evidence_at));
        if !self.store.consents.admits(user, latest) {
            return;
        }
        let rules = self.rules.load();
        self.store.shoppers.learn(user, self.clock.now(), |profile| {
            *profile = merge(profile, &past, &rules, self.caps);
        });
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
