//! From a reply's bytes to the same hits in a better order: decode, gather, rank, splice.
//!
//! In: the body, plain. Out: the body with its hits moved, and the lists as the shopper sees them.
//! Every list of the reply is ranked by itself, within one budget for all of them.

use std::ops::Range;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::explain::Explained;
use super::fail_open::FailOpen;
use super::frozen::{Order, as_frozen};
use super::funnel::Seen;
use super::question::Moment;
use super::{Looked, Personalizer, Reranked, Search, annotate};
use crate::config::{Mode, UpstreamOrder, Wire};
use crate::preferences::hierarchical::remembered::Reading;
use crate::rank::{Candidate, Muted, QueryView, RankRequest, Ranking, rank};
use crate::rules::Rules;
use crate::signals::ShownList;
use crate::types::budget::Budget;
use crate::types::product::{Axis, ProductFacts};
use crate::wire::weaviate::grpc;
use crate::wire::{
    Doubt, HitList, HitView, KnownHits, Move, Pointer, Reply, remove_member, rewrite,
};

/// One list of a reply, ranked.
pub(super) struct Ranked<'r, 'a> {
    pub(super) list: &'r HitList<'a>,
    pub(super) facts: Vec<Arc<ProductFacts>>,
    pub(super) ranking: Ranking,
    /// What is shown of it, where that is a page of a wider window.
    page: Option<Cut>,
    /// Empty unless it was wanted.
    pub(super) explained: Vec<Explained>,
}

/// A page cut out of a window.
pub(super) struct Cut {
    /// The window's hits (old positions), those of the page first.
    order: Vec<u32>,
    /// Hits on the page.
    keep: usize,
    /// Hits on the page that the upstream has elsewhere.
    moved: usize,
}

impl Cut {
    /// Cuts `page` from the leading `shown` hits of `order`.
    fn of(order: &[u32], shown: usize, page: Range<usize>) -> Self {
        let end = page.end.min(shown);
        let page = page.start.min(end)..end;
        let mut first = order[page.clone()].to_vec();
        let keep = first.len();
        let moved = page.clone().zip(&first).filter(|(slot, old)| *slot != **old as usize).count();
        first.extend_from_slice(&order[..page.start]);
        first.extend_from_slice(&order[page.end..]);
        Self { order: first, keep, moved }
    }
}

/// How lists are ranked this time.
pub(super) struct Pass<'a> {
    pub(super) rules: &'a Rules,
    pub(super) budget: &'a Budget<'a>,
    /// What the caller says of the shopper's moment, where somebody asks for it.
    pub(super) moment: Option<&'a Moment>,
    /// The language in which reasons are wanted, where they are.
    pub(super) explain: Option<&'a str>,
}

impl<'r, 'a> Ranked<'r, 'a> {
    pub(super) fn movement(&self) -> Move<'_, 'a> {
        if let Some(Cut { order, keep, .. }) = &self.page {
            return Move { list: self.list, order, keep: *keep };
        }
        let keep = self.ranking.order.len() - self.ranking.removed.len();
        Move { list: self.list, order: &self.ranking.order, keep }
    }

    fn moved(&self) -> usize {
        self.page.as_ref().map_or_else(|| self.ranking.moved(), |page| page.moved)
    }

    pub(super) fn shown(
        &self,
        personalizer: &Personalizer,
        search: &Search,
        natural: bool,
    ) -> ShownList {
        let Move { order, keep, .. } = self.movement();
        let keys = order
            .iter()
            .take(keep)
            .filter_map(|old| self.facts.get(*old as usize))
            .map(|facts| facts.key);
        ShownList::new(personalizer.clock.now(), search.id, natural, keys)
            .asked(search.query_of(self.list))
            .unordered(search.plan.route.upstream == UpstreamOrder::Unranked)
    }
}

impl Search {
    /// Finds the lists of a reply that may be touched.
    pub(super) fn read<'a>(
        &self,
        body: &'a [u8],
        known: &KnownHits,
    ) -> Result<Reply<'a>, FailOpen> {
        let mut reply = self.plan.hits.decode(body, known)?;
        if let Some(searches) = &self.searches {
            reply.lists.retain(|list| searches.allow(list));
            // a list that holds more than was asked for must be brought back to that
            let unread = reply.skipped.iter().find(|skipped| searches.is_rewritten(&skipped.at));
            if let (Some(unread), Some(_)) = (unread, self.rewritten()) {
                return Err(FailOpen::Doubt(unread.doubt));
            }
            if reply.lists.is_empty() {
                return Err(FailOpen::Doubt(Doubt::NoHits));
            }
        }
        Ok(reply)
    }

    /// The properties that are to be taken out of a list's hits again.
    fn added(&self, list: &HitList<'_>) -> &[String] {
        match (&self.searches, self.rewritten()) {
            (Some(searches), Some(_)) => searches.added(list),
            _ => &[],
        }
    }

    /// The query of one list of the reply.
    pub(super) fn query_of(&self, list: &HitList<'_>) -> &str {
        let own = self.searches.as_ref().and_then(|searches| searches.query(list));
        own.unwrap_or(&self.query)
    }
}

impl Search {
    /// The body with its lists in their new orders, cut to what was asked for.
    fn written(&self, body: &[u8], lists: &[Ranked<'_, '_>]) -> Result<Vec<u8>, Doubt> {
        if let (Wire::Grpc, Some(_), [one]) = (self.wire(), self.rewritten(), lists) {
            // the lengths around the list change with it
            let kept = one.movement();
            let stripped =
                grpc::Stripped { score: false, properties: self.added(one.list).to_vec() };
            return grpc::cut(body, one.list, kept.order, 0..kept.keep, &stripped);
        }
        let moves: Vec<_> = lists.iter().map(Ranked::movement).collect();
        let mut edits = Vec::new();
        for one in lists {
            for key in self.added(one.list) {
                for hit in &one.list.hits {
                    let properties = match self.wire() {
                        Wire::Rest => hit.json().get(&Pointer(vec!["properties".to_owned()]))?,
                        Wire::Json | Wire::Graphql | Wire::Grpc => Some(hit.json()),
                    };
                    edits.extend(
                        properties.map(|all| remove_member(all, key)).transpose()?.flatten(),
                    );
                }
            }
        }
        rewrite(body, &moves, &edits)
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
        let reply = search.read(body, &self.store.hits)?;
        if search.rests_on_moved() {
            return Ok(self.left_as_moved(search, &reply, &rules));
        }
        let pass = Pass {
            rules: &rules,
            budget: &budget,
            moment: None,
            explain: self.language_of(search),
        };
        let mut lists = self.rank_lists(search, &reply, &pass)?;
        let moved: usize = lists.iter().map(Ranked::moved).sum();
        let stays =
            search.rewritten().is_none() && lists.iter().all(|one| one.ranking.is_identity());
        let out = match (search.mode, stays) {
            (Mode::Annotate, _) if search.wire() == Wire::Json => {
                let profile = search.shopper.and_then(|key| self.store.shoppers.profile(key));
                let known = (profile.as_deref(), self.allows(search));
                Some(annotate::annotated(body, &lists, known, budget.spent_us())?)
            }
            (_, true) => None,
            (_, false) => Some(search.written(body, &lists)?),
        };
        let spent_us = budget.spent_us();
        self.metrics.rank_seconds.observe(spent_us as f64 / 1e6);
        if out.is_some() {
            if moved > 0 {
                search.role.moved();
            }
            self.metrics.hits_moved.inc_by(moved as u64);
            self.metrics.reranked.with_label_values(&[search.route()]).inc();
        }
        lists.iter().for_each(|one| self.keep_search(search, one.list, &one.facts));
        Ok(Reranked {
            shown: lists.iter().map(|one| one.shown(self, search, false)).collect(),
            unmoved: unmoved(&lists),
            seen: seen(lists.iter().flat_map(|one| &one.facts)),
            recorded: self.recorded(search, &lists, &rules),
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
        let reply = search.read(body, &self.store.hits)?;
        let natural: Vec<_> = reply.lists.iter().map(|list| self.facts_of(list, &rules)).collect();
        let mut looked = Looked {
            seen: seen(natural.iter().flatten()),
            shown: Vec::with_capacity(natural.len()),
            ..Looked::default()
        };
        if search.mode == Mode::Shadow && search.shopper.is_some() {
            let budget = Budget::start(self.clock.as_ref(), self.settings.limits.rank_us);
            let pass = Pass {
                rules: &rules,
                budget: &budget,
                moment: None,
                explain: self.language_of(search),
            };
            let mut lists = self.rank_lists(search, &reply, &pass)?;
            looked.spent_us = budget.spent_us();
            looked.moved = lists.iter().map(|one| one.ranking.moved()).sum();
            looked.explained = explained(&mut lists);
            looked.recorded = self.recorded(search, &lists, &rules);
            self.metrics.rank_seconds.observe(looked.spent_us as f64 / 1e6);
            if looked.moved > 0 {
                self.metrics.shadowed.with_label_values(&[search.route()]).inc();
            }
        }
        if looked.recorded.is_none() {
            looked.recorded = self.recorded_natural(search, &reply.lists, &natural, &rules);
        }
        let read = reply.lists.iter().zip(&natural);
        read.for_each(|(list, facts)| self.keep_search(search, list, facts));
        let natural_order = search.role.is_natural();
        looked.shown.extend(natural.into_iter().zip(&reply.lists).map(|(facts, list)| {
            let keys = facts.into_iter().map(|facts| facts.key);
            ShownList::new(self.clock.now(), search.id, natural_order, keys)
                .asked(search.query_of(list))
                .unordered(search.plan.route.upstream == UpstreamOrder::Unranked)
        }));
        Ok(looked)
    }

    pub(super) fn rank_lists<'r, 'a>(
        &self,
        search: &Search,
        reply: &'r Reply<'a>,
        pass: &Pass<'_>,
    ) -> Result<Vec<Ranked<'r, 'a>>, FailOpen> {
        let profile = match pass.moment {
            Some(moment) => moment.profile.clone(),
            None => search.shopper.and_then(|key| match search.said {
                true => self.profile_of(key, pass.rules),
                false => self.store.shoppers.profile(key),
            }),
        };
        let allowed = self.allows(search);
        let now = self.clock.now();
        let said = pass.moment.and_then(|moment| moment.daypart);
        let daypart = said.or_else(|| pass.rules.daypart(now));
        let population = self.store.population.read();
        let reading = Reading { population: &population, rules: pass.rules, now };
        let posterior = profile
            .as_deref()
            .and_then(|profile| self.posterior_of(search.shopper, profile, allowed, &reading));
        let mut lists = Vec::with_capacity(reply.lists.len());
        for list in &reply.lists {
            let query = self.read_query(search.query_of(list), pass.rules);
            let facts = self.facts_of(list, pass.rules);
            let candidates = list.hits.iter().zip(&facts);
            let candidates: Vec<_> =
                candidates.map(|(hit, facts)| candidate(hit, facts, allowed)).collect();
            let request = RankRequest {
                query: &query,
                candidates: &candidates,
                profile: profile.as_deref(),
                posterior: posterior.as_deref(),
                population: &population,
                rules: pass.rules,
                now,
                daypart,
                upstream: search.plan.route.upstream,
                score_better: search.plan.route.score_better,
            };
            let ranking = rank(&request, pass.budget).map_err(|_| FailOpen::RankSpent)?;
            let explained = match pass.explain {
                Some(language) => self.explained(list, &request, &ranking, (language, allowed)),
                None => Vec::new(),
            };
            let page = self.page(search, list, &facts, &ranking);
            lists.push(Ranked { list, facts, ranking, page, explained });
        }
        Ok(lists)
    }

    /// May tastes that tell of religion, health or intimacy have a say?
    pub(super) fn allows(&self, search: &Search) -> bool {
        search.shopper.is_some_and(|key| self.store.consents.of(key).sensitive)
    }

    /// What is shown of a list that is a wider window: the first page is cut from the order of now,
    /// the others from what the first one was cut from.
    fn page(
        &self,
        search: &Search,
        list: &HitList<'_>,
        facts: &[Arc<ProductFacts>],
        ranking: &Ranking,
    ) -> Option<Cut> {
        search.rewritten()?;
        let page = search.searches.as_ref()?.page(list)?;
        let key = search.key_of(page)?;
        let now_us = self.clock.monotonic_us();
        let kept = if page.first > 0 { self.orders.of(key, now_us) } else { None };
        if let Some(Order::Ranked(frozen)) = kept {
            let keys: Vec<_> = facts.iter().map(|facts| facts.key).collect();
            let order = as_frozen(&keys, &frozen);
            let shown = order.len();
            return Some(Cut::of(&order, shown, page.range()));
        }
        let shown = ranking.order.len() - ranking.removed.len();
        let keys = ranking.order.iter().take(shown).filter_map(|old| facts.get(*old as usize));
        let keys = keys.map(|facts| facts.key).collect();
        self.orders.keep(key, Order::Ranked(keys), now_us);
        Some(Cut::of(&ranking.order, shown, page.range()))
    }

    /// The query's words and what they name. Depends on the knowledge tables alone.
    pub(super) fn read_query(&self, query: &str, rules: &Rules) -> Arc<QueryView> {
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

fn candidate<'a>(hit: &HitView<'_>, facts: &'a ProductFacts, allowed: bool) -> Candidate<'a> {
    Candidate {
        score: hit.score,
        price: hit.price,
        in_stock: hit.in_stock,
        sponsored: hit.sponsored,
        ..Candidate::of(facts, allowed)
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
