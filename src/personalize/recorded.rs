//! Searches and their orders as rows of the event log.
//!
//! In: the lists of a reply, ranked or as they came. Out: of each list a row that says what the shopper
//! saw, and where our order was made for it one that says how. Taken down while the lists are there,
//! written when it is known which order went out. Only of shoppers who may be learned from; nothing of
//! a search that tells of religion, health or intimacy unless its shopper allowed that.

use std::sync::Arc;

use serde_json::json;

use super::fail_open::FailOpen;
use super::ranked::Ranked;
use super::recent::is_sensitive;
use super::{Ending, Personalizer, Search};
use crate::config::Mode;
use crate::identity::Identity;
use crate::rank::Contributions;
use crate::rules::Rules;
use crate::spool::Spool;
use crate::types::clock::Timestamp;
use crate::types::event::column::{Micros, RawJson};
use crate::types::event::{Action, Body, Candidates, Decision, Names, Parts, RankedHit, Row};
use crate::types::ids::SubjectKey;
use crate::types::product::{Axis, ProductFacts};
use crate::wire::HitList;

/// Hits of a list that are written down.
const HITS_MAX: usize = 300;

/// What is written down of a reply.
pub struct Recorded {
    at: Timestamp,
    rules: Arc<str>,
    model: Option<Arc<str>>,
    lists: Vec<RecordedList>,
}

struct RecordedList {
    query: String,
    /// In the upstream's order.
    hits: Vec<RankedHit>,
    is_ranked: bool,
}

impl Personalizer {
    /// Writes searches down, too, from now on.
    pub fn with_log(self, log: Option<Arc<Spool>>) -> Self {
        Self { log, ..self }
    }

    /// How rows of this search name its shopper; `None` where none are written.
    pub(super) fn named(&self, identity: &Identity) -> Option<Arc<Names>> {
        if self.log.is_none() || identity.opted_out {
            return None;
        }
        Names::of(identity.user.as_ref(), identity.session.as_ref()).map(Arc::new)
    }

    /// Is anything of this search written down?
    fn is_recorded(&self, search: &Search) -> bool {
        let may = |key: SubjectKey| self.store.consents.of(key).personalization;
        self.log.is_some() && search.names.is_some() && search.pupil().is_some_and(may)
    }

    /// What is written down of lists that our order was made for.
    pub(super) fn recorded(
        &self,
        search: &Search,
        lists: &[Ranked<'_, '_>],
        rules: &Rules,
    ) -> Option<Box<Recorded>> {
        if !self.is_recorded(search) {
            return None;
        }
        let told = lists.iter().filter(|one| self.may_record(search, one.list, &one.facts, rules));
        let told = told.map(|one| RecordedList {
            query: search.query_of(one.list).to_owned(),
            hits: ranked_hits(one),
            is_ranked: true,
        });
        Some(self.taken_down(told.collect(), rules))
    }

    /// What is written down of lists that went out as they came.
    pub(super) fn recorded_natural(
        &self,
        search: &Search,
        lists: &[HitList<'_>],
        facts: &[Vec<Arc<ProductFacts>>],
        rules: &Rules,
    ) -> Option<Box<Recorded>> {
        if !self.is_recorded(search) {
            return None;
        }
        let told = lists.iter().zip(facts);
        let told = told.filter(|(list, facts)| self.may_record(search, list, facts, rules));
        let told = told.map(|(list, _)| {
            let hits = (0..).zip(&list.hits).take(HITS_MAX);
            let hits = hits.map(|(base, hit)| RankedHit {
                product_id: Box::from(&*hit.id),
                base,
                placed: Some(base),
                score: 0.0,
                parts: Parts::default(),
                tier: 0,
            });
            let query = search.query_of(list).to_owned();
            RecordedList { query, hits: hits.collect(), is_ranked: false }
        });
        Some(self.taken_down(told.collect(), rules))
    }

    fn taken_down(&self, lists: Vec<RecordedList>, rules: &Rules) -> Box<Recorded> {
        let (model, rules) = (rules.model_version.clone(), rules.version.clone());
        Box::new(Recorded { at: self.clock.now(), rules, model, lists })
    }

    fn may_record(
        &self,
        search: &Search,
        list: &HitList<'_>,
        facts: &[Arc<ProductFacts>],
        rules: &Rules,
    ) -> bool {
        let query = search.query_of(list);
        !facts.is_empty() && (self.allows(search) || !is_sensitive(query, facts, &rules.knowledge))
    }

    /// Offers the rows of a search that has ended to the log.
    pub(super) fn record(&self, search: &Search, ending: &mut Ending) {
        let (Some(log), Some(recorded)) = (&self.log, ending.recorded.take()) else { return };
        let (Some(names), Some(subject)) = (&search.names, search.pupil()) else { return };
        let Recorded { at, rules, model, lists } = *recorded;
        let went_out = Went { search, names, outcome: outcome(ending.why), at, log };
        for list in lists {
            // Where a page was to be cut from a window and was not, what was seen instead is not known.
            if ending.why.is_none() || search.rewritten().is_none() {
                let row = went_out.seen(&list, ending.why.is_none());
                log.offer(Row { subject, body: Body::Action(Box::new(row)) });
            }
            if list.is_ranked {
                let row = went_out.decided(list, (&rules, model.as_deref()), ending);
                log.offer(Row { subject, body: Body::Decision(Box::new(row)) });
            }
        }
    }
}

/// One search that has ended.
struct Went<'a> {
    search: &'a Search,
    names: &'a Names,
    outcome: &'static str,
    at: Timestamp,
    log: &'a Spool,
}

impl Went<'_> {
    fn seen(&self, list: &RecordedList, is_ours: bool) -> Action {
        let mut shown: Vec<&RankedHit> = list.hits.iter().collect();
        if is_ours {
            shown.retain(|hit| hit.placed.is_some());
            shown.sort_by_key(|hit| hit.placed);
        }
        let shown: Vec<&str> = shown.iter().map(|hit| &*hit.product_id).collect();
        let context = json!({
            "source": "traffic", "route": self.search.route(), "mode": mode(self.search.mode),
            "outcome": self.outcome, "query_id": self.search.id().to_string(),
        });
        let Names { user_id, session_id } = self.names.clone();
        Action {
            event_id: self.log.id(),
            event_timestamp: Micros(self.at.0.saturating_mul(1_000)),
            event_type: "search".into(),
            user_id,
            session_id,
            product_id: None,
            product_category: None,
            product_attributes: None,
            interaction_strength: None,
            interaction_context: Some(RawJson::of(&context)),
            search_query: Some(list.query.clone()),
            search_results_shown: Some(RawJson::of(&shown)),
            result_position: None,
            raw_event_data: None,
        }
    }

    fn decided(
        &self,
        list: RecordedList,
        (rules, model): (&str, Option<&str>),
        ending: &Ending,
    ) -> Decision {
        let us = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
        let moved = list.hits.iter().filter(|hit| hit.placed != Some(hit.base)).count();
        let Names { user_id, session_id } = self.names.clone();
        Decision {
            event_id: self.log.id(),
            event_timestamp: Micros(self.at.0.saturating_mul(1_000)),
            user_id,
            session_id,
            query_id: self.search.id().to_string(),
            route: self.search.route().to_owned(),
            mode: mode(self.search.mode).to_owned(),
            outcome: self.outcome.to_owned(),
            arm: None,
            rules_version: rules.to_owned(),
            model_version: model.map(str::to_owned),
            search_query: Some(list.query),
            candidates: Candidates(list.hits),
            hits_moved: i64::try_from(moved).unwrap_or(i64::MAX),
            rank_us: us(ending.spent_us),
            hold_us: ending.held_us.map(us),
        }
    }
}

fn outcome(why: Option<FailOpen>) -> &'static str {
    why.map_or("reranked", FailOpen::label)
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Shadow => "shadow",
        Mode::On => "on",
        Mode::Annotate => "annotate",
    }
}

/// The hits of a ranked list in the upstream's order, each with where it went and why.
fn ranked_hits(one: &Ranked<'_, '_>) -> Vec<RankedHit> {
    let movement = one.movement();
    let mut placed = vec![None; one.list.hits.len()];
    for (position, old) in (0_u32..).zip(movement.order.iter().take(movement.keep)) {
        if let Some(place) = placed.get_mut(*old as usize) {
            *place = Some(position);
        }
    }
    let hits = (0_u32..).zip(one.list.hits.iter().zip(placed)).take(HITS_MAX);
    let hits = hits.map(|(base, (hit, placed))| {
        let terms = one.ranking.scores.get(base as usize).copied().unwrap_or_default();
        RankedHit {
            product_id: Box::from(&*hit.id),
            base,
            placed,
            score: finite(terms.total()),
            parts: parts(&terms),
            tier: one.ranking.tiers.get(base as usize).copied().unwrap_or_default(),
        }
    });
    hits.collect()
}

fn parts(terms: &Contributions) -> Parts {
    let facets = Axis::ALL
        .into_iter()
        .map(|axis| (axis.name(), terms.facets.get(axis.index()).copied().unwrap_or_default()));
    let own = [
        ("relevance", terms.relevance),
        ("item", terms.item),
        ("brand_habit", terms.brand_habit),
        ("price", terms.price),
        ("prior", terms.prior),
        ("context", terms.context),
        ("rule", terms.merchandising),
    ];
    let named = own.into_iter().chain(facets);
    Parts(named.filter(|(_, value)| *value != 0.0 && value.is_finite()).collect())
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}
