//! From a reply's bytes to the same hits in a better order: decode, gather, rank, splice.
//!
//! In: the body, plain. Out: the body with its hits moved, and the lists as the shopper sees them.
//! Every list of the reply is ranked by itself, within one budget for all of them.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::explain::Explained;
use super::fail_open::FailOpen;
use super::funnel::Seen;
use super::{Looked, Personalizer, Reranked, Search, annotate};
use crate::config::{Mode, Wire};
use crate::rank::{Candidate, Muted, QueryView, RankRequest, Ranking, rank};
use crate::rules::Rules;
use crate::signals::ShownList;
use crate::types::budget::Budget;
use crate::types::product::{Axis, ProductFacts};
use crate::wire::{Doubt, HitList, HitView, Move, Reply, rewrite};

/// One list of a reply, ranked.
pub(super) struct Ranked<'r, 'a> {
    pub(super) list: &'r HitList<'a>,
    pub(super) facts: Vec<Arc<ProductFacts>>,
    pub(super) ranking: Ranking,
    /// Empty unless it was wanted.
    pub(super) explained: Vec<Explained>,
}

/// How lists are ranked this time.
pub(super) struct Pass<'a> {
    pub(super) rules: &'a Rules,
    pub(super) budget: &'a Budget<'a>,
    pub(super) explain: bool,
}

impl<'r, 'a> Ranked<'r, 'a> {
    pub(super) fn movement(&self) -> Move<'_, 'a> {
        let keep = self.ranking.order.len() - self.ranking.removed.len();
        Move { list: self.list, order: &self.ranking.order, keep }
    }

    fn shown(&self, personalizer: &Personalizer, search: &Search, natural: bool) -> ShownList {
        let keep = self.movement().keep;
        let order = self.ranking.order.iter().take(keep);
        let keys = order.filter_map(|old| self.facts.get(*old as usize)).map(|facts| facts.key);
        ShownList::new(personalizer.clock.now(), search.id, natural, keys)
    }
}

impl Search {
    /// Finds the lists of a reply that may be touched.
    pub(super) fn read<'a>(&self, body: &'a [u8]) -> Result<Reply<'a>, FailOpen> {
        let mut reply = self.plan.hits.decode(body)?;
        if let Some(searches) = &self.searches {
            reply.lists.retain(|list| searches.allow(list));
            if reply.lists.is_empty() {
                return Err(FailOpen::Doubt(Doubt::NoHits));
            }
        }
        Ok(reply)
    }

    /// The query of one list of the reply.
    fn query_of(&self, list: &HitList<'_>) -> &str {
        let own = self.searches.as_ref().and_then(|searches| searches.query(list));
        own.unwrap_or(&self.query)
    }
}

impl Personalizer {
    /// Ranks the hits of `body` for the shopper of `search`.
    ///
    /// # Errors
    /// The reason for which the original must go out. A list that is best left as it is is no
    /// error: its body is `None`.
    pub fn rerank(&self, search: &Search, body: &[u8]) -> Result<Reranked, FailOpen> {
        let budget = Budget::start(self.clock.as_ref(), self.settings.limits.rank_us);
        let rules = self.rules.load();
        let reply = search.read(body)?;
        if search.rests_on_moved() {
            return Ok(self.left_as_moved(search, &reply, &rules));
        }
        let pass = Pass { rules: &rules, budget: &budget, explain: self.is_followed(search) };
        let mut lists = self.rank_lists(search, &reply, &pass)?;
        let moved: usize = lists.iter().map(|one| one.ranking.moved()).sum();
        let stays = lists.iter().all(|one| one.ranking.is_identity());
        let out = match (search.mode, stays) {
            (Mode::Annotate, _) if search.wire() == Wire::Json => {
                Some(annotate::annotated(body, &lists, budget.spent_us())?)
            }
            (_, true) => None,
            (_, false) => {
                let moves: Vec<_> = lists.iter().map(Ranked::movement).collect();
                Some(rewrite(body, &moves, &[])?)
            }
        };
        let spent_us = budget.spent_us();
        self.metrics.rank_seconds.observe(spent_us as f64 / 1e6);
        if out.is_some() {
            search.leg.moved();
            self.metrics.hits_moved.inc_by(moved as u64);
            self.metrics.reranked.with_label_values(&[search.route()]).inc();
        }
        Ok(Reranked {
            shown: lists.iter().map(|one| one.shown(self, search, false)).collect(),
            unmoved: unmoved(&lists),
            seen: seen(lists.iter().flat_map(|one| &one.facts)),
            explained: explained(&mut lists),
            body: out,
            moved,
            spent_us,
            rules: rules.version.clone(),
            query: search.id,
        })
    }

    /// Reads a reply that went out as it came; in shadow mode also ranks it, and counts.
    ///
    /// # Errors
    /// The reason for which it teaches nothing.
    pub fn look(&self, search: &Search, body: &[u8]) -> Result<Looked, FailOpen> {
        let rules = self.rules.load();
        let reply = search.read(body)?;
        let natural: Vec<_> = reply.lists.iter().map(|list| self.facts_of(list, &rules)).collect();
        let mut looked = Looked {
            seen: seen(natural.iter().flatten()),
            shown: Vec::with_capacity(natural.len()),
            ..Looked::default()
        };
        if search.mode == Mode::Shadow && search.shopper.is_some() {
            let budget = Budget::start(self.clock.as_ref(), self.settings.limits.rank_us);
            let pass = Pass { rules: &rules, budget: &budget, explain: self.is_followed(search) };
            let mut lists = self.rank_lists(search, &reply, &pass)?;
            looked.spent_us = budget.spent_us();
            looked.moved = lists.iter().map(|one| one.ranking.moved()).sum();
            looked.explained = explained(&mut lists);
            self.metrics.rank_seconds.observe(looked.spent_us as f64 / 1e6);
            if looked.moved > 0 {
                self.metrics.shadowed.with_label_values(&[search.route()]).inc();
            }
        }
        let natural_order = search.leg.is_natural();
        looked.shown.extend(natural.into_iter().map(|facts| {
            let keys = facts.into_iter().map(|facts| facts.key);
            ShownList::new(self.clock.now(), search.id, natural_order, keys)
        }));
        Ok(looked)
    }

    pub(super) fn rank_lists<'r, 'a>(
        &self,
        search: &Search,
        reply: &'r Reply<'a>,
        pass: &Pass<'_>,
    ) -> Result<Vec<Ranked<'r, 'a>>, FailOpen> {
        let profile = search.shopper.and_then(|key| self.store.shoppers.profile(key));
        let population = self.store.population.read();
        let mut lists = Vec::with_capacity(reply.lists.len());
        for list in &reply.lists {
            let query = self.read_query(search.query_of(list), pass.rules);
            let facts = self.facts_of(list, pass.rules);
            let candidates: Vec<_> = list.hits.iter().zip(&facts).map(candidate).collect();
            let request = RankRequest {
                query: &query,
                candidates: &candidates,
                profile: profile.as_deref(),
                population: &population,
                rules: pass.rules,
                now: self.clock.now(),
                upstream: search.plan.route.upstream,
                score_better: search.plan.route.score_better,
            };
            let ranking = rank(&request, pass.budget).map_err(|_| FailOpen::RankSpent)?;
            let explained = match pass.explain {
                true => self.explained(list, &request, &ranking),
                false => Vec::new(),
            };
            lists.push(Ranked { list, facts, ranking, explained });
        }
        Ok(lists)
    }

    /// The query's words and what they name. Depends on the knowledge tables alone.
    fn read_query(&self, query: &str, rules: &Rules) -> Arc<QueryView> {
        let key = xxh3_64_with_seed(query.as_bytes(), rules.knowledge.version());
        self.queries.get(&key).unwrap_or_else(|| {
            let view = Arc::new(QueryView::of(query, &rules.knowledge));
            self.queries.insert(key, view.clone());
            view
        })
    }

    pub(super) fn facts_of(&self, list: &HitList<'_>, rules: &Rules) -> Vec<Arc<ProductFacts>> {
        let hits = list.hits.iter();
        hits.map(|hit| self.store.catalog.describe(hit, &rules.knowledge)).collect()
    }
}

fn candidate<'a>((hit, facts): (&HitView<'_>, &'a Arc<ProductFacts>)) -> Candidate<'a> {
    Candidate {
        facts,
        score: hit.score,
        price: hit.price,
        in_stock: hit.in_stock,
        sponsored: hit.sponsored,
    }
}

/// What the reply lets us know of its hits. A price tier comes with any price and is no taste.
pub(super) fn seen<'f>(mut facts: impl Iterator<Item = &'f Arc<ProductFacts>>) -> Seen {
    let facets = facts.any(|facts| facts.facets.iter().any(|f| f.axis() != Axis::PriceTier));
    Seen { facets }
}

fn explained(lists: &mut [Ranked<'_, '_>]) -> Vec<Vec<Explained>> {
    lists.iter_mut().map(|one| std::mem::take(&mut one.explained)).collect()
}

/// Why nothing moved: the query had no part in any list, or the upstream's order is the best.
fn unmoved(lists: &[Ranked<'_, '_>]) -> FailOpen {
    let muted = |wanted| lists.iter().all(|one| one.ranking.muted == Some(wanted));
    match () {
        () if lists.is_empty() => FailOpen::Unmoved,
        () if muted(Muted::OffTopic) => FailOpen::OffTopic,
        () if muted(Muted::NoEvidence) => FailOpen::NoEvidence,
        () => FailOpen::Unmoved,
    }
}
