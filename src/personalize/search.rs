//! What will be done with one search's reply, decided from its request.
//!
//! In: the request as the route reads it, who asks, what is known of them, the switches. Out: a
//! [`Search`] with its [`Treatment`]; whatever is not ranked carries its reason from here on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::breaker::Breaker;
use super::fail_open::FailOpen;
use super::frozen::{Key, Order};
use super::searches::Page;
use super::{Personalizer, Role, SearchPlan, Searches, order};
use crate::config::source::{Ask, first};
use crate::config::{Mode, RouteKind, Wire};
use crate::identity::Identity;
use crate::route::Matched;
use crate::rules::{PriorAppliesTo, Rules};
use crate::types::event::Names;
use crate::types::ids::{QueryId, Subject, SubjectKey, UserId};

/// What will be done with a search's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Held, ranked, applied.
    Rank,
    /// Passed as it is; a copy is looked at when it has gone by.
    Look(FailOpen),
    /// Passed, and not looked at.
    Pass(FailOpen),
}

/// What the request said beside its body.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// A lower mode, asked for by a trusted peer.
    pub mode: Option<Mode>,
    /// A trusted peer wants the order explained.
    pub explain: bool,
    /// The route needs the request's body, and it could not be kept.
    pub unread: bool,
    /// Why nothing of ours may run for this request.
    pub barred: Option<FailOpen>,
    /// What is asked of Weaviate; `None` where the route is another's.
    pub searches: Option<Arc<Searches>>,
}

/// What an order depends on: shopper, profile, rules and this life of the process, as one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(u64);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One search, from its request to its reply.
#[derive(Clone)]
pub struct Search {
    pub(super) plan: Arc<SearchPlan>,
    pub(super) shopper: Option<SubjectKey>,
    pub(super) query: Arc<str>,
    pub(super) searches: Option<Arc<Searches>>,
    pub(super) role: Role,
    /// The request for more than the caller asked for.
    rewritten: Option<Bytes>,
    /// The query of that request's URL, where it is another.
    rewritten_query: Option<String>,
    treatment: Treatment,
    /// Something is known of the shopper.
    pub(super) known: bool,
    /// The shopper may have said something of single tastes.
    pub(super) said: bool,
    /// Somebody looks at the reply.
    pub(super) heard: bool,
    /// How rows of the event log name the shopper; `None`: none are written.
    pub(super) names: Option<Arc<Names>>,
    explained: bool,
    pub(super) mode: Mode,
    pub(super) id: QueryId,
    tag: Tag,
}

/// A place among the replies that are held or copied at a time, until it is dropped.
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Search {
    /// The route's name.
    pub fn route(&self) -> &str {
        &self.plan.name
    }

    /// What will be done with the reply.
    pub fn treatment(&self) -> Treatment {
        self.treatment
    }

    /// How its reply is written.
    pub fn wire(&self) -> Wire {
        self.plan.route.wire
    }

    /// Whom the search teaches, if it may teach.
    pub fn pupil(&self) -> Option<SubjectKey> {
        self.shopper.filter(|_| self.heard && self.plan.learn && !self.role.taught_in_front())
    }

    /// What hears of our faults on this route.
    pub fn breaker(&self) -> &Breaker {
        &self.plan.breaker
    }

    /// Its list rests on one that was moved for its shopper behind the shop.
    pub fn rests_on_moved(&self) -> bool {
        self.role.rests_on_moved()
    }

    /// What the order depends on, for the reply's `ETag`.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// The request for more than the caller asked for, where the reply will be cut to that.
    pub fn rewritten(&self) -> Option<&Bytes> {
        self.rewritten.as_ref()
    }

    /// The query of that request's URL, where it is another than the caller's.
    pub fn rewritten_query(&self) -> Option<&str> {
        self.rewritten_query.as_deref()
    }

    /// Under which the order of this page's search is kept.
    pub(super) fn key_of(&self, page: Page) -> Option<Key> {
        Some(Key::of(self.shopper?, &self.plan.name, page.fingerprint, page.window))
    }

    /// The search's name.
    pub fn id(&self) -> QueryId {
        self.id
    }

    /// True where a trusted peer wants to know why.
    pub fn is_explained(&self) -> bool {
        self.explained
    }

    /// True on routes whose replies differ by shopper.
    pub fn is_personal(&self) -> bool {
        self.mode >= Mode::On
    }
}

impl Search {
    /// One that is asked of us: ranked whatever the route's mode, as nothing is applied to traffic.
    pub(super) fn asked(
        plan: Arc<SearchPlan>,
        shopper: Option<SubjectKey>,
        query: &str,
        id: QueryId,
    ) -> Self {
        Self {
            shopper,
            query: Arc::from(query),
            searches: None,
            role: Role::Alone,
            rewritten: None,
            rewritten_query: None,
            treatment: Treatment::Rank,
            known: true,
            said: true,
            heard: true,
            names: None,
            explained: false,
            mode: plan.route.mode,
            id,
            tag: Tag::default(),
            plan,
        }
    }
}

impl Personalizer {
    /// A search for `user` on the first search route, as if it had been asked for.
    pub fn search_of(&self, user: UserId, query: &str, asked: Asked) -> Option<Search> {
        let plan = self.plans.iter().flatten().next()?.clone();
        let mode = asked.mode.unwrap_or(plan.route.mode);
        let search = Search::asked(plan, Some(Subject::User(user).key()), query, QueryId(0));
        Some(Search { mode, explained: asked.explain, ..search })
    }

    /// Reads what a request asks of Weaviate; one that cannot be read is barred.
    pub fn searches(&self, matched: &Matched<'_>, path: &str, ask: &Ask<'_>, asked: &mut Asked) {
        let RouteKind::Search(route) = &matched.route.kind else { return };
        if asked.barred.is_some() || asked.unread {
            return;
        }
        match Searches::of(route, path, ask) {
            Ok(searches) => asked.searches = searches.map(Arc::new),
            Err(doubt) => asked.barred = Some(FailOpen::Doubt(doubt)),
        }
    }

    /// Decides what will be done with the reply to this request. `None` when the route is no search.
    pub fn prepare(
        &self,
        matched: &Matched<'_>,
        ask: &Ask<'_>,
        identity: &Identity,
        asked: &Asked,
    ) -> Option<Search> {
        let plan = self.plans.get(matched.index)?.clone()?;
        let subject = identity.subject();
        let shopper = subject.as_ref().map(Subject::key);
        let mode = asked.mode.map_or(plan.route.mode, |lower| lower.min(plan.route.mode));
        let query = match &asked.searches {
            Some(searches) => searches.only_query(),
            None => first(&plan.route.query, ask, |word| Some(Arc::from(word))),
        };
        let number = self.searches.fetch_add(1, Ordering::Relaxed);
        let mut search = Search {
            shopper: shopper.filter(|_| !identity.opted_out),
            query: query.unwrap_or_else(|| Arc::from("")),
            searches: asked.searches.clone(),
            role: Role::Alone,
            rewritten: None,
            rewritten_query: None,
            treatment: Treatment::Pass(FailOpen::Off),
            known: false,
            said: false,
            heard: identity.voice.silent.is_none(),
            names: self.named(identity),
            explained: asked.explain,
            mode,
            id: QueryId(xxh3_64_with_seed(&number.to_le_bytes(), self.life)),
            tag: Tag::default(),
            plan,
        };
        search.treatment = match self.unrankable(&search, ask, identity, asked) {
            Some(why) => Treatment::Pass(why),
            None => self.treat(&mut search, identity),
        };
        self.widen(&mut search, ask);
        Some(search)
    }

    /// Why the reply is neither ranked nor learned from, whatever is known of the shopper.
    fn unrankable(
        &self,
        search: &Search,
        ask: &Ask<'_>,
        identity: &Identity,
        asked: &Asked,
    ) -> Option<FailOpen> {
        let plan = &search.plan;
        match () {
            () if asked.barred.is_some() => asked.barred,
            () if identity.opted_out => Some(FailOpen::OptedOut),
            () if search.mode == Mode::Off && !plan.learn => Some(FailOpen::Off),
            () if asked.unread => Some(FailOpen::RequestNotRead),
            () if ask.headers.contains_key(header::RANGE) => Some(FailOpen::Range),
            () if plan.route.wire != Wire::Json => search.searches.as_ref()?.barred(),
            () => order::is_chosen(&plan.route.sort, ask).then_some(FailOpen::SortChosen),
        }
    }

    /// Ranked, or looked at and why not ranked.
    fn treat(&self, search: &mut Search, identity: &Identity) -> Treatment {
        let look = Treatment::Look;
        let profile = search.shopper.and_then(|key| self.store.shoppers.head(key));
        let marks = search.shopper.map_or(0, |key| self.store.choices.digest(key));
        search.said = marks != 0;
        search.known = search.said || profile.as_ref().is_some_and(|profile| !profile.is_empty());
        if search.shopper.is_none() {
            return look(FailOpen::NoSubject);
        }
        match search.mode {
            Mode::Off => return look(FailOpen::Off),
            Mode::Shadow => return look(FailOpen::Shadow),
            Mode::On | Mode::Annotate => {}
        }
        let rules = self.rules.load();
        if self.rules.has_none() {
            return look(FailOpen::NoRules);
        }
        if !self.is_on() || !rules.enabled {
            return look(FailOpen::SwitchedOff);
        }
        if self.is_held_out(identity) {
            return look(FailOpen::Holdout);
        }
        if !search.known && rules.ranking.prior.applies_to == PriorAppliesTo::Known {
            return look(FailOpen::NoEvidence);
        }
        let version = u64::from(profile.map_or(0, |profile| profile.version));
        search.tag = self.tag(search.shopper, version.wrapping_add(marks), &rules);
        Treatment::Rank
    }

    /// Writes the request for the whole window, where the page is cut from one; where it is not, the
    /// further pages of this search will not be either.
    fn widen(&self, search: &mut Search, ask: &Ask<'_>) {
        let Some(searches) = search.searches.clone() else { return };
        let now_us = self.clock.monotonic_us();
        let order = |page: Page| self.orders.of(search.key_of(page)?, now_us);
        // what began in the shop's order goes on in it
        let natural =
            searches.pages().any(|page| page.first > 0 && order(page) == Some(Order::Natural));
        if search.treatment == Treatment::Rank && !natural {
            match searches.rewritten(ask) {
                Ok(body) => {
                    search.rewritten_query = searches.query_rewritten(ask);
                    search.rewritten = body.map(Bytes::from);
                }
                Err(doubt) => search.treatment = Treatment::Pass(FailOpen::Doubt(doubt)),
            }
        } else if natural {
            search.treatment = Treatment::Look(FailOpen::Frozen);
        }
        if search.rewritten.is_none() {
            self.stays_natural(search);
        }
    }

    /// A page of this search goes out in the shop's order: those that follow will too.
    pub fn stays_natural(&self, search: &Search) {
        let now_us = self.clock.monotonic_us();
        for page in search.searches.iter().flat_map(|searches| searches.pages()) {
            let Some(key) = search.key_of(page) else { continue };
            if page.first == 0 || self.orders.of(key, now_us).is_none() {
                self.orders.keep(key, Order::Natural, now_us);
            }
        }
    }

    /// A fixed share of sessions always gets the upstream's order, so that something unbiased is
    /// left to learn from.
    fn is_held_out(&self, identity: &Identity) -> bool {
        let name = match (&identity.session, &identity.user) {
            (Some(session), _) => session.as_str(),
            (None, Some(user)) => user.as_str(),
            (None, None) => return false,
        };
        let place = xxh3_64_with_seed(name.as_bytes(), HOLDOUT_SEED) as f64 / u64::MAX as f64;
        place < f64::from(self.settings.holdout)
    }

    /// A place for a reply that is about to be held or copied, if one of `in_flight_max` is free.
    pub fn place(&self) -> Option<Place> {
        let place = Place(self.held.clone());
        let before = self.held.fetch_add(1, Ordering::AcqRel);
        (before < self.settings.limits.in_flight_max).then_some(place)
    }

    fn tag(&self, shopper: Option<SubjectKey>, version: u64, rules: &Rules) -> Tag {
        let shopper = shopper.map_or(0, |key| (key.0 >> 64) as u64 ^ key.0 as u64);
        let rules = xxh3_64_with_seed(rules.version.as_bytes(), version);
        let parts = (u128::from(shopper) << 64) | u128::from(rules);
        Tag(xxh3_64_with_seed(&parts.to_le_bytes(), self.life))
    }
}

/// Keeps the holdout's choice apart from every other use of the hash.
const HOLDOUT_SEED: u64 = 0x686f_6c64;
