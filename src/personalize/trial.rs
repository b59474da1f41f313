//! An edit of the rules, tried on the last real searches. Changes nothing.
//!
//! In: rules that are not in force. Out: for each search kept in [`recent`](super::recent) its order
//! under the rules in force and under these, with the requests that made them. Each profile is read
//! as it is now; where the edit weighs signals otherwise, its last events weigh what the edit says, as
//! they will a few seconds after the edit is live. Time is the search's own, so that rules by hour and
//! date speak as they would have.
//!
//! For a thread that serves nobody. Ends after [`TRIAL_US_MAX`].

use std::sync::Arc;

use super::Personalizer;
use super::recent::Kept;
use crate::preferences::hierarchical::remembered::Reading;
use crate::preferences::learn::{Caps, PRICES_MAX};
use crate::preferences::packed;
use crate::preferences::reweigh::{Scales, Unknown, reweigh};
use crate::rank::{Candidate, RankRequest, Ranking, rank};
use crate::rules::Rules;
use crate::types::budget::Budget;
use crate::types::ids::SubjectKey;
use crate::types::product::{FacetKey, ProductFacts};
use crate::types::profile::Profile;

/// Longer than the searches that are kept as shipped take by far, and who waits does not give up before.
pub const TRIAL_US_MAX: u64 = 10_000_000;

/// One search under two rules tables: those in force, and the edited ones.
pub struct Tried<'a> {
    /// Its words.
    pub query: &'a str,
    /// What each ranking answers.
    pub requests: [&'a RankRequest<'a>; 2],
    /// The two orders.
    pub rankings: [&'a Ranking; 2],
    /// The name of a facet, unless it tells what must not be told.
    pub facet_name: &'a dyn Fn(FacetKey) -> Option<Arc<str>>,
    kept: &'a Kept,
    allowed: bool,
}

impl Tried<'_> {
    /// The product at an old position: its id, and its name as far as it is known and may be told.
    pub fn product(&self, old: usize) -> (&str, &str) {
        let hit = self.requests[0].candidates.get(old);
        let told = hit.filter(|hit| self.allowed || !hit.facts.sensitive);
        (self.kept.id(old), told.map_or("", |hit| &hit.facts.name))
    }
}

/// How far a trial came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Searches that were ranked under both.
    pub searches: usize,
    /// Searches whose shopper or products are not known any more.
    pub forgotten: usize,
    /// Time ended before the searches did.
    pub is_cut_short: bool,
}

impl Personalizer {
    /// Are searches kept at all?
    pub fn keeps_searches(&self) -> bool {
        self.recent.is_on()
    }

    /// Ranks the last searches under the rules in force and under `edited`.
    pub fn try_rules(&self, edited: &Rules, mut each: impl FnMut(&Tried<'_>)) -> Trial {
        let live = self.rules.load();
        let time = Budget::start(self.clock.as_ref(), TRIAL_US_MAX);
        let mut trial = Trial::default();
        // before anything is looked at: whose word changed while their search was on its way
        self.recent.retain(|kept| self.may_keep(kept));
        for kept in self.recent.all() {
            if time.is_spent() {
                trial.is_cut_short = true;
                break;
            }
            match self.try_one(&kept, [&live, edited], &mut each) {
                Some(()) => trial.searches += 1,
                None => trial.forgotten += 1,
            }
        }
        trial
    }

    /// Does nothing that its shopper said since speak against it?
    fn may_keep(&self, kept: &Kept) -> bool {
        let standing = self.store.consents.of(kept.shopper);
        standing.personalization
            && standing.admits(kept.at)
            && (standing.sensitive || !kept.sensitive)
    }

    /// `None` where it cannot be ranked as it was: its shopper or a product is forgotten.
    fn try_one(
        &self,
        kept: &Kept,
        rules: [&Rules; 2],
        each: &mut impl FnMut(&Tried<'_>),
    ) -> Option<()> {
        let profiles = self.profiles_under(kept.shopper, rules);
        if !self.may_keep(kept) || (kept.known && profiles.iter().all(Option::is_none)) {
            return None;
        }
        let allowed = self.store.consents.of(kept.shopper).sensitive;
        let facts = self.facts_of_kept(kept)?;
        let candidates: Vec<Candidate<'_>> = kept
            .hits
            .iter()
            .zip(&facts)
            .map(|(hit, facts)| Candidate {
                facts,
                score: hit.score,
                price: hit.price,
                in_stock: hit.in_stock,
                sponsored: hit.sponsored,
                unremembered: facts.sensitive && !allowed,
            })
            .collect();
        let [one, other] = rules.map(|rules| self.read_query(&kept.query, rules));
        let population = self.store.population.read();
        let posterior = |place: usize| {
            let reading = Reading { population: &population, rules: rules[place], now: kept.at };
            let profile = profiles[place].as_deref()?;
            reading.posterior(profile, |key| self.taught_by(key, allowed))
        };
        let posteriors = [posterior(0), posterior(1)];
        let request = |place: usize, query| RankRequest {
            query,
            candidates: &candidates,
            profile: profiles[place].as_deref(),
            posterior: posteriors[place].as_ref(),
            population: &population,
            rules: rules[place],
            now: kept.at,
            daypart: rules[place].daypart(kept.at),
            upstream: kept.upstream,
            score_better: kept.score_better,
        };
        let (one, other) = (request(0, &one), request(1, &other));
        let rankings = [self.order_under(&one), self.order_under(&other)];
        each(&Tried {
            query: &kept.query,
            requests: [&one, &other],
            rankings: [&rankings[0], &rankings[1]],
            facet_name: &|facet| self.facet_name(facet, rules[1], allowed),
            kept,
            allowed,
        });
        Some(())
    }

    fn order_under(&self, request: &RankRequest<'_>) -> Ranking {
        let unmoved = || Ranking::unmoved(request.candidates.len(), None);
        if !request.rules.enabled {
            return unmoved();
        }
        let budget = Budget::start(self.clock.as_ref(), TRIAL_US_MAX);
        rank(request, &budget).unwrap_or_else(|_| unmoved())
    }

    /// The shopper's profile as it ranks now, and as it will once the edit is live.
    fn profiles_under(&self, key: SubjectKey, rules: [&Rules; 2]) -> [Option<Arc<Profile>>; 2] {
        let [live, edited] = rules;
        let now = self.profile_of(key, live);
        if live.signal_weights == edited.signal_weights {
            return [now.clone(), now];
        }
        let store = &self.settings.store;
        let scales = Scales {
            weights: &edited.signal_weights,
            half_life: &live.half_life,
            caps: Caps {
                products: store.products_per_profile_max,
                facets: store.facets_per_profile_max,
                prices: PRICES_MAX,
            },
            facts_of: |product| self.store.catalog.get(product),
            unknown: Unknown::ProductAlone,
        };
        let Some(mut known) = self.store.shoppers.remembered(key) else {
            return [now.clone(), now];
        };
        reweigh(&mut known.profile, &mut known.events, &scales);
        // as it will be read back: rounded
        let mut bytes = Vec::new();
        packed::pack(&known.profile, &mut bytes);
        let mut then = packed::unpack(&bytes).unwrap_or(known.profile);
        if let Some(now) = &now {
            then.chosen.clone_from(&now.chosen);
        }
        [now, Some(Arc::new(then))]
    }

    /// What is known of the hits; `None` where one was described and is forgotten.
    fn facts_of_kept(&self, kept: &Kept) -> Option<Vec<Arc<ProductFacts>>> {
        let one = |hit: &super::recent::KeptHit| {
            let known = self.store.catalog.get(hit.product);
            known.or_else(|| (!hit.described).then(|| Arc::new(ProductFacts::bare(hit.product))))
        };
        kept.hits.iter().map(one).collect()
    }
}
