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
mod recorded;
mod reports;
mod standing;
mod tastes;
mod visits;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;
use prometheus::IntCounter;

use crowd::Actor;
pub use events::Event;
use events::{EventPlan, Plan};
pub use reports::{Act, Fate, Outcome, Rehearsal, Report, Said};
pub use standing::Choice;
pub use tastes::{Action, Refused, Word};
pub use visits::kept;
use visits::{Visit, Visits};

use crate::config::{RouteKind, Settings};
use crate::identity::Identity;
use crate::preferences::learn::{Caps, PRICES_MAX};
use crate::preferences::merge::merge;
use crate::reload::RulesTable;
use crate::rules::Rules;
use crate::signals::crowd::Known;
use crate::signals::dwell::{self, LastView};
use crate::signals::{Dedupe, Derived, Shopper, ShownList, Source, derive};
use crate::signals::{contrast, visitor};
use crate::spool::Spool;
use crate::store::Store;
use crate::store::feeds::Change;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::{Clock, Timestamp};
use crate::types::event::Action as Row;
use crate::types::ids::{ProductKey, Subject, SubjectKey};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::signal::{Signal, SignalKind};
use crate::types::voice::Voice;

/// Parts of the memory for doubles: more than cores, so that two shoppers rarely meet.
const DOUBLES_PARTS: usize = 16;

/// The write path.
pub struct Observer {
    plans: Vec<Option<Plan>>,
    store: Arc<Store>,
    rules: Arc<RulesTable>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    anonymous: Vec<String>,
    caps: Caps,
    events_max: usize,
    visits: Arc<Visits>,
    doubles: Box<[Mutex<Dedupe>]>,
    join: Duration,
    /// Clicks reported to our own API.
    tracked: Clicks,
    /// Where acts are written down, if they are.
    log: Option<Arc<Spool>>,
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
                Some(Plan::Learn(Arc::new(EventPlan::new(event, clicks))))
            }
            RouteKind::Forget(_) if settings.identity.trusted_only => {
                Some(Plan::Forget(Vec::new()))
            }
            RouteKind::Forget(user) => Some(Plan::Forget(user.clone())),
            RouteKind::Event(_) | RouteKind::Search(_) => None,
        });
        let (join, doubles_max) = (settings.limits.track.join, settings.store.doubles_max);
        let doubles = || Mutex::new(Dedupe::new(doubles_max.div_ceil(DOUBLES_PARTS), join));
        let visits = Arc::new(Visits::new(settings.store.recent_max));
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
            events_max: settings.store.events_per_profile_max,
            visits,
            doubles: (0..DOUBLES_PARTS).map(|_| doubles()).collect(),
            join,
            log: None,
        }
    }

    /// A request came: the stay on the product seen last has ended, and a visit that is now named
    /// is joined with the user's past.
    pub fn arrived(&self, identity: &Identity) {
        if identity.opted_out {
            return self.leave_unlearned(identity);
        }
        let silent = identity.voice.silent.is_some();
        let Some(subject) = identity.subject().filter(|_| !silent) else { return };
        let shopper = subject.key();
        self.log_in(identity);
        let now = self.clock.now();
        let stay = self.visits.get(&shopper).and_then(|visit| {
            let view = visit.lock().view.take()?;
            dwell::from_next_request(&view, now)
        });
        if let Some(stay) = stay {
            let actor = Actor { shopper, voice: identity.voice };
            let (_, rows) = self.absorb(actor, &[stay], Source::Traffic, &self.tracked);
            self.offer(shopper, self.named(identity, None), rows);
        }
        self.tell_unbought(shopper, now);
    }

    /// Remembers lists as they went out; without a pupil nobody and nothing learns from them.
    pub fn shown(&self, pupil: Option<SubjectKey>, lists: Vec<ShownList>) {
        let Some(pupil) = pupil.filter(|key| self.store.consents.of(*key).personalization) else {
            return;
        };
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
        let report = Report { identity: identity.clone(), interactions };
        self.reports(vec![report]).iter().map(Outcome::learned).sum()
    }

    /// Forgets what is known of somebody; what they do from now on is learned again.
    pub fn forget(&self, shopper: SubjectKey) {
        self.store.forget(shopper);
    }

    /// Learns what one shopper did, in order. Says of each act what became of it, and of each that was
    /// learned the row that tells of it. Locks are taken for all of them together, whatever their number.
    fn absorb(
        &self,
        actor: Actor,
        interactions: &[Interaction],
        source: Source,
        clicks: &Clicks,
    ) -> (Vec<Fate>, Vec<Option<Row>>) {
        let rules = self.rules.load();
        let shopper = actor.shopper;
        let mut rows = Vec::new();
        let visit = self.visit(shopper);
        let fates = self.fates(actor, interactions, source, &visit);
        let news = interactions.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Learned);
        let news: Vec<&Interaction> = news.map(|(interaction, _)| interaction).collect();
        let mut rest = news.as_slice();
        while !rest.is_empty() {
            let (run, later) = rest.split_at(run_of(rest));
            let mut derived = self.derive(shopper, run, &visit, &rules);
            let silenced = self.silence(shopper, &mut derived);
            if silenced > 0 {
                self.dropped("sensitive", silenced);
            }
            for (interaction, derived) in run.iter().zip(&derived) {
                clicks.count(interaction.kind, derived.joined.is_some());
                self.metrics.interactions.with_label_values(&[interaction.kind.name()]).inc();
            }
            let known = self.teach(shopper, &derived, &rules);
            self.tell(shopper, run.iter().zip(&derived), &rules);
            let mut known = known.as_slice();
            for (interaction, derived) in run.iter().zip(&derived) {
                let own;
                (own, known) = known.split_at(derived.signals.len().min(known.len()));
                self.teach_others(actor, interaction, derived, own);
                rows.push(self.row(shopper, (interaction, derived), source, &rules));
            }
            rest = later;
        }
        (fates, rows)
    }

    /// Doubles, and what the visit tells itself, set apart.
    fn fates(
        &self,
        Actor { shopper, voice }: Actor,
        interactions: &[Interaction],
        source: Source,
        visit: &Mutex<Visit>,
    ) -> Vec<Fate> {
        let now = self.clock.now();
        let standing = self.store.consents.of(shopper);
        let views_max = self.rules.load().crowd.views_per_minute_max;
        let mut visit = visit.lock();
        let mut doubles = self.doubles(shopper).lock();
        let fate = |interaction: &Interaction| {
            if !standing.admits(interaction.at) {
                return Fate::unwanted(standing);
            }
            if let Some(silent) = voice.silent {
                return Fate::Silent(silent);
            }
            let kind = interaction.kind;
            if kind == InteractionKind::View && source == Source::Traffic {
                visit.conduct.views(interaction.at, views_max);
            }
            if visit.conduct.is_crawler(interaction.at) {
                return Fate::Crawler;
            }
            match source {
                Source::Track => visit.told.note(kind, now),
                Source::Traffic => {
                    if kind == InteractionKind::View {
                        let product = interaction.product.clone();
                        visit.view = Some(LastView { product, at: interaction.at });
                    }
                    if visit.told.has(kind, now) {
                        return Fate::Reported;
                    }
                }
            }
            let double = doubles.is_double(shopper, interaction, source);
            if double { Fate::Double } else { Fate::Learned }
        };
        let fates: Vec<Fate> = interactions.iter().map(fate).collect();
        drop((visit, doubles));
        for fate in fates.iter().filter(|fate| **fate != Fate::Learned) {
            self.dropped(fate.reason(), 1);
        }
        fates
    }

    fn derive(
        &self,
        shopper: SubjectKey,
        run: &[&Interaction],
        visit: &Mutex<Visit>,
        rules: &Rules,
    ) -> Vec<Derived> {
        let profile = self.store.shoppers.profile(shopper);
        let now = self.clock.now();
        let mut visit = visit.lock();
        let tells = |kind| visit.told.has(kind, now);
        let (tells_clicks, tells_scrolls) =
            (tells(InteractionKind::Click), tells(InteractionKind::Scroll));
        run.iter().for_each(|act| visit.unbought.note(act, profile.as_deref()));
        let recent = &mut visit.recent;
        let mut who = Shopper { profile: profile.as_deref(), recent, tells_clicks, tells_scrolls };
        run.iter().map(|interaction| derive(interaction, &mut who, rules)).collect()
    }

    /// Takes out signals that tell of what the shopper has not allowed to learn; says of how many
    /// interactions.
    fn silence(&self, shopper: SubjectKey, derived: &mut [Derived]) -> usize {
        if self.store.consents.of(shopper).sensitive {
            return 0;
        }
        let catalog = &self.store.catalog;
        let sensitive =
            |signal: &Signal| catalog.get(signal.product).is_some_and(|facts| facts.sensitive);
        let mut silenced = 0;
        for derived in derived {
            let before = derived.signals.len();
            derived.signals.retain(|signal| !sensitive(signal));
            silenced += usize::from(derived.signals.len() < before);
        }
        silenced
    }

    /// Tells what was looked at and not bought in the time that the rules set.
    fn tell_unbought(&self, shopper: SubjectKey, now: Timestamp) {
        let Some(visit) = self.visits.get(&shopper) else { return };
        let rules = self.rules.load();
        let due = visit.lock().unbought.due(now, rules.thresholds.never_bought_ms);
        if due.is_empty() || !self.store.consents.of(shopper).personalization {
            return;
        }
        let mut derived = [Derived::of(due)];
        self.silence(shopper, &mut derived);
        self.teach(shopper, &derived, &rules);
    }

    /// Learns signals into the shopper's profile; returns them with what is known of their products.
    fn teach(&self, shopper: SubjectKey, derived: &[Derived], rules: &Rules) -> Vec<Known> {
        let catalog = &self.store.catalog;
        let counted = |derived| contrast::counted(derived, rules, |key| catalog.get(key));
        let known: Vec<Known> = derived.iter().flat_map(counted).collect();
        if known.is_empty() {
            return known;
        }
        self.learn_and_note(shopper, &known, rules);
        for kind in SignalKind::ALL {
            let count = known.iter().filter(|(signal, _)| signal.kind == *kind).count();
            if count > 0 {
                let counter = self.metrics.signals.with_label_values(&[kind.path()]);
                counter.inc_by(count as u64);
            }
        }
        known
    }

    /// Tells whoever follows this shopper.
    fn tell<'a>(
        &self,
        shopper: SubjectKey,
        acts: impl Iterator<Item = (&'a &'a Interaction, &'a Derived)>,
        rules: &Rules,
    ) {
        let weighed = |signal: &Signal| (signal.kind.path(), weight_of(signal, rules));
        for (interaction, derived) in acts.filter(|(_, derived)| !derived.signals.is_empty()) {
            self.store.feeds.tell(shopper, || Change {
                at: interaction.at,
                product: Some(interaction.product.as_str().into()),
                signals: derived.signals.iter().map(weighed).collect(),
                said: None,
            });
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
        if let Some(visit) = self.visits.remove(&session) {
            let Visit { recent, view, unbought, cart, .. } = std::mem::take(&mut *visit.lock());
            let own = self.visit(user);
            let mut own = own.lock();
            own.recent.join(recent);
            own.unbought.join(unbought);
            own.cart.join(cart);
            let later = |view: &LastView| own.view.as_ref().is_none_or(|own| view.at > own.at);
            if let Some(view) = view.filter(later) {
                own.view = Some(view);
            }
        }
        self.store.choices.join(session, user);
        let Some(past) = self.store.shoppers.take(session) else { return };
        // What ended before the user had everything forgotten is not theirs any more.
        let latest = Timestamp::from_seconds(i64::from(past.profile.at));
        if !self.store.consents.admits(user, latest) {
            return;
        }
        let rules = self.rules.load();
        self.store.shoppers.teach(user, self.clock.now(), |profile, events| {
            *profile = merge(profile, &past.profile, &rules, self.caps);
            events.join(past.events, self.events_max);
        });
    }

    fn visit(&self, shopper: SubjectKey) -> Arc<Mutex<Visit>> {
        self.visits.open(shopper)
    }

    fn doubles(&self, shopper: SubjectKey) -> &Mutex<Dedupe> {
        &self.doubles[shopper.0 as usize % DOUBLES_PARTS]
    }

    fn dropped(&self, reason: &str, count: usize) {
        self.metrics.interactions_dropped.with_label_values(&[reason]).inc_by(count as u64);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// How many leading acts can be told apart by what is known before the first of them: whether a
/// product was bought before is known of each product once.
fn run_of(acts: &[&Interaction]) -> usize {
    let mut bought: HashSet<ProductKey> = HashSet::new();
    let is_purchase =
        |kind| matches!(kind, InteractionKind::Purchase { .. } | InteractionKind::PurchaseOf(_));
    let again =
        acts.iter().position(|act| is_purchase(act.kind) && !bought.insert(act.product.key()));
    again.unwrap_or(acts.len()).max(1)
}

fn weight_of(signal: &Signal, rules: &Rules) -> f32 {
    rules.signal_weights[signal.kind.index()] * signal.times
}

#[cfg(test)]
mod tests;
