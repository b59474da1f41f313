//! One rules table on its way through a log: the code of live traffic on a manual clock.
//!
//! In: searches and events in time order. Out: the order that the rules give each list, and profiles
//! and a population that learn as live ones do (`signals` → `preferences` → `rank`). What is not
//! live here: events are reports of their own (no doubles, no programs among them), people are who
//! the log says they are, the shown list is the recorded one, and what is sensitive counts as it
//! does for somebody who said nothing.
//!
//! A profile is packed and unpacked before each ranking that reads it: what does not fit there does
//! not count. Bounded a person as in live traffic; nobody is evicted.

use std::sync::Arc;

use super::forget::Forget;
use super::log::{Event, Log, Search};
use super::shelf::Products;
use crate::config::UpstreamOrder;
use crate::preferences::hierarchical::Posterior;
use crate::preferences::hierarchical::remembered::{Reading, digest};
use crate::preferences::learn::{self, Caps, PRICES_MAX};
use crate::preferences::packed;
use crate::preferences::population::Population;
use crate::rank::{Candidate, QueryView, RankRequest, Ranking, rank};
use crate::rules::{Preference, Rules};
use crate::signals::conduct::Conduct;
use crate::signals::crowd::{self, Categorised, Impressions, Known, Lesson};
use crate::signals::unbought::Unbought;
use crate::signals::{Derived, RecentLists, Shopper, ShownList, Told, contrast, derive};
use crate::types::budget::Budget;
use crate::types::clock::{ManualClock, Timestamp};
use crate::types::ids::{ProductKey, QueryId};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::product::ProductFacts;
use crate::types::profile::Profile;
use crate::types::signal::SignalKind;
use crate::types::voice::Voice;

/// How a log is walked through.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// How much a profile remembers.
    pub caps: Caps,
    /// What a full profile forgets.
    pub forget: Forget,
    /// Does the recorded order mean anything?
    pub upstream: UpstreamOrder,
    /// Is a position's chance to be looked at taken into account?
    pub positions: bool,
    /// Has everybody allowed that what is sensitive is learned?
    pub sensitive: bool,
    /// Microseconds for a ranking on a clock that stands still; 0 makes each one fail.
    pub budget_us: u64,
}

impl Conditions {
    /// As live traffic is served, with so many products and facets remembered.
    pub fn live(products: usize, facets: usize) -> Self {
        Self {
            caps: Caps { products, facets, prices: PRICES_MAX },
            forget: Forget::Live,
            upstream: UpstreamOrder::Ranked,
            positions: true,
            sensitive: false,
            budget_us: u64::MAX,
        }
    }

    /// Nothing is ever forgotten: for comparison only, no profile has room for it.
    pub fn unbounded(self) -> Self {
        let caps = Caps { products: usize::MAX, facets: usize::MAX, prices: usize::MAX };
        Self { caps, ..self }
    }
}

/// The state of one rules table.
pub(super) struct Walk<'l> {
    log: &'l Log,
    products: Arc<Products>,
    pub(super) rules: Arc<Rules>,
    conditions: Conditions,
    population: Population,
    people: Vec<Person>,
    /// By query.
    queries: Vec<QueryView>,
    clock: ManualClock,
    lists: u64,
    /// Signals that were learned from, by kind.
    heard: [u64; SignalKind::ALL.len()],
}

/// One person of the log.
#[derive(Default)]
struct Person {
    profile: Profile,
    /// Learned from since it was packed last.
    changed: bool,
    /// Their taste as one posterior, with what it was read from.
    posterior: Option<(u64, Option<Posterior>)>,
    recent: RecentLists,
    told: Told,
    unbought: Unbought,
    conduct: Conduct,
}

/// Everybody in a log is who it says.
const VOICE: Voice = Voice { silent: None, proven: true, network: None };

impl<'l> Walk<'l> {
    pub(super) fn new(
        log: &'l Log,
        products: Arc<Products>,
        rules: Arc<Rules>,
        conditions: Conditions,
    ) -> Self {
        let population = Population::new(log.products.len());
        let population = match conditions.positions {
            true => population,
            false => population.without_positions(),
        };
        let clock = ManualClock::default();
        clock.tick_on_read(u64::from(conditions.budget_us == 0));
        Self {
            people: (0..log.people.len()).map(|_| Person::default()).collect(),
            queries: log
                .words
                .all
                .iter()
                .map(|(q, ())| QueryView::of(q, &rules.knowledge))
                .collect(),
            log,
            products,
            rules,
            conditions,
            population,
            clock,
            lists: 0,
            heard: [0; SignalKind::ALL.len()],
        }
    }

    /// What is due by now is learned, and the profile is what is kept of it.
    pub(super) fn settle(&mut self, search: &Search) {
        self.tell_unbought(search);
        let person = &mut self.people[search.person as usize];
        if person.changed {
            let mut bytes = Vec::new();
            packed::pack(&person.profile, &mut bytes);
            // Bounds that are lifted may not fit the format.
            if let Some(profile) = packed::unpack(&bytes) {
                person.profile = profile;
            }
            person.changed = false;
        }
        self.read_taste(search.person, search.at);
    }

    /// Asks for a list: its order, as old positions. A ranking that fails leaves it as it is.
    pub(super) fn ask(&mut self, search: &Search) -> Ranking {
        self.settle(search);
        let unmoved = || Ranking::unmoved(search.list.len(), None);
        if !self.rules.enabled {
            return unmoved();
        }
        let budget = Budget::start(&self.clock, self.conditions.budget_us);
        self.with_request(search, |request| rank(request, &budget)).unwrap_or_else(|_| unmoved())
    }

    /// Reads a person's taste anew, where something was learned since, or the day is another.
    fn read_taste(&mut self, person: u32, now: Timestamp) {
        if self.rules.ranking.preference != Preference::Hierarchical {
            return;
        }
        let profile = &self.people[person as usize].profile;
        let from = digest(profile, &self.rules, now);
        if self.people[person as usize].posterior.as_ref().is_some_and(|(known, _)| *known == from)
        {
            return;
        }
        let posterior = self.reading(now).posterior(profile, |key| self.remembered(key));
        self.people[person as usize].posterior = Some((from, posterior));
    }

    fn reading(&self, now: Timestamp) -> Reading<'_> {
        Reading { population: &self.population, rules: &self.rules, now }
    }

    /// Facts of a product that may tell of a taste.
    fn remembered(&self, key: ProductKey) -> Option<Arc<ProductFacts>> {
        self.products.get(key).filter(|facts| self.conditions.sensitive || !facts.sensitive)
    }

    /// The request that a ranking answers.
    pub(super) fn with_request<T>(
        &self,
        search: &Search,
        then: impl FnOnce(&RankRequest<'_>) -> T,
    ) -> T {
        let candidates = candidates(search, &self.products, self.conditions.sensitive);
        then(&RankRequest {
            query: &self.queries[search.query as usize],
            candidates: &candidates,
            profile: Some(&self.people[search.person as usize].profile),
            posterior: self.posterior(search.person),
            population: &self.population,
            rules: &self.rules,
            now: search.at,
            daypart: self.rules.daypart(search.at),
            upstream: self.conditions.upstream,
            score_better: None,
        })
    }

    /// The recorded list went out.
    pub(super) fn shown(&mut self, search: &Search) {
        self.lists += 1;
        let keys = search.list.iter().map(|product| self.products.facts(*product).key);
        let list = ShownList::new(search.at, QueryId(self.lists), !search.ranked, keys)
            .asked(self.log.words.text(search.query))
            .unordered(self.conditions.upstream == UpstreamOrder::Unranked);
        let Person { recent, conduct, .. } = &mut self.people[search.person as usize];
        let Impressions { read, unread } = crowd::entered(recent, conduct, [list], &self.rules);
        let with_category = |list: Vec<ProductKey>| -> Categorised {
            list.into_iter().map(|key| (key, self.products.category(key))).collect()
        };
        let read: Vec<_> = read.into_iter().map(with_category).collect();
        let unread: Vec<_> = unread.into_iter().map(with_category).collect();
        if !read.is_empty() || !unread.is_empty() {
            crowd::count(&mut self.population, read, unread, &self.rules, search.at);
        }
    }

    /// Learns what somebody did.
    pub(super) fn hear(&mut self, event: &Event) {
        let Some((_, product)) = self.log.products.all.get(event.product as usize) else { return };
        let interaction = Interaction {
            kind: event.kind,
            product: product.clone(),
            at: event.at,
            quantity: event.quantity,
            event_id: None,
        };
        let person = &mut self.people[event.person as usize];
        person.told.note(event.kind, event.at);
        let tells = |kind| person.told.has(kind, event.at);
        let (tells_clicks, tells_scrolls) =
            (tells(InteractionKind::Click), tells(InteractionKind::Scroll));
        person.unbought.note(&interaction, Some(&person.profile));
        let (profile, recent) = (Some(&person.profile), &mut person.recent);
        let mut who = Shopper { profile, recent, tells_clicks, tells_scrolls };
        let mut derived = derive(&interaction, &mut who, &self.rules);
        self.silence(&mut derived);
        let known = self.teach(event.person, &derived);
        let Some(lesson) = Lesson::of(&interaction, &derived, &known) else { return };
        let conduct = &mut self.people[event.person as usize].conduct;
        let taught = lesson
            .admit(VOICE, conduct, &self.rules)
            .and_then(|()| lesson.teach(&mut self.population, VOICE, &self.rules, event.at));
        // What others may not be taught has taught its shopper.
        taught.unwrap_or_default();
    }

    fn posterior(&self, person: u32) -> Option<&Posterior> {
        self.people[person as usize]
            .posterior
            .as_ref()
            .and_then(|(_, posterior)| posterior.as_ref())
    }

    /// What is known of a person now.
    pub(super) fn profile(&self, person: u32) -> &Profile {
        &self.people[person as usize].profile
    }

    /// Signals that were learned from, by kind.
    pub(super) fn heard(&self) -> [u64; SignalKind::ALL.len()] {
        self.heard
    }

    pub(super) fn population(&self) -> &Population {
        &self.population
    }

    fn tell_unbought(&mut self, search: &Search) {
        let person = &mut self.people[search.person as usize];
        let due = person.unbought.due(search.at, self.rules.thresholds.never_bought_ms);
        if !due.is_empty() {
            let mut derived = Derived::of(due);
            self.silence(&mut derived);
            self.teach(search.person, &derived);
        }
    }

    /// Takes out what nobody allowed to learn.
    fn silence(&self, derived: &mut Derived) {
        if !self.conditions.sensitive {
            let sensitive = |key| self.products.get(key).is_some_and(|facts| facts.sensitive);
            derived.signals.retain(|signal| !sensitive(signal.product));
        }
    }

    fn teach(&mut self, person: u32, derived: &Derived) -> Vec<Known> {
        let products = &self.products;
        let known = contrast::counted(derived, &self.rules, |key| products.get(key));
        let person = &mut self.people[person as usize];
        for (signal, facts) in &known {
            self.heard[signal.kind.index()] += 1;
            let caps = self.conditions.forget.caps(self.conditions.caps);
            let profile = &mut person.profile;
            person.changed |= learn::apply(profile, signal, facts.as_deref(), &self.rules, caps);
            let kept = self.conditions.caps.products;
            self.conditions.forget.trim(profile, kept, signal.product, &self.rules.half_life);
        }
        known
    }
}

/// The hits of a list as they are ranked.
pub(super) fn candidates<'p>(
    search: &Search,
    products: &'p Products,
    sensitive: bool,
) -> Vec<Candidate<'p>> {
    let hit = |product: &u32| {
        let facts = &**products.facts(*product);
        let unremembered = facts.sensitive && !sensitive;
        let (score, price, in_stock, sponsored) = (None, None, None, false);
        Candidate { facts, score, price, in_stock, sponsored, unremembered }
    };
    search.list.iter().map(hit).collect()
}
