//! Why a list came out as it did: the same ranking again, each hit with its reason.
//!
//! In: a body and whose it is. Out: the hits in their new order with old position, score and a true
//! sentence, by the code that ranks; nothing is recorded.

use super::fail_open::FailOpen;
use super::ranked::candidate;
use super::{Personalizer, Search};
use crate::rank::explain::{Names, reason};
use crate::rank::{RankRequest, rank};
use crate::types::budget::Budget;
use crate::wire::DecodeLimits;

/// One hit, explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The product's key as the reply writes it.
    pub id: String,
    /// Its name, as far as the reply gives one.
    pub name: String,
    /// 0-based position in the upstream's order.
    pub was: usize,
    /// 0-based position now.
    pub is: usize,
    /// Sum of the contributions.
    pub score: f32,
    /// Why it moved, if something of its own moved it.
    pub reason: Option<String>,
}

impl Personalizer {
    /// Ranks the first list of `body` as [`Personalizer::rerank`] would now, and says why.
    ///
    /// # Errors
    /// The reason for which the list would be left alone.
    pub fn explain(&self, search: &Search, body: &[u8]) -> Result<Vec<Explained>, FailOpen> {
        let budget = Budget::start(self.clock.as_ref(), self.settings.limits.rank_us);
        let rules = self.rules.load();
        let reply = search.plan.hits.decode(body, &DecodeLimits::default())?;
        let list = reply.lists.first().ok_or(FailOpen::Unmoved)?;
        let facts = self.facts_of(list, &rules);
        let candidates: Vec<_> = list.hits.iter().zip(&facts).map(candidate).collect();
        let profile = search.shopper.and_then(|key| self.store.shoppers.profile(key));
        let population = self.store.population.read();
        let request = RankRequest {
            query: &self.read_query(search, &rules),
            candidates: &candidates,
            profile: profile.as_deref(),
            population: &population,
            rules: &rules,
            now: self.clock.now(),
            upstream: search.plan.route.upstream,
            score_better: search.plan.route.score_better,
        };
        let ranking = rank(&request, &budget).map_err(|_| FailOpen::RankSpent)?;
        let catalog = &self.store.catalog;
        let names = Names { facet: &|facet| catalog.name(facet), product: &|key| catalog.get(key) };
        let explained = ranking.order.iter().enumerate().filter_map(|(is, old)| {
            let was = *old as usize;
            let hit = list.hits.get(was)?;
            Some(Explained {
                id: hit.id.clone().into_owned(),
                name: hit.name.as_deref().unwrap_or_default().to_owned(),
                was,
                is,
                score: ranking.scores.get(was).map_or(0.0, |terms| terms.total()),
                reason: reason(&request, &ranking, was, &names),
            })
        });
        Ok(explained.collect())
    }
}
