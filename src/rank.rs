//! Floor 4: the order of one list for one shopper.
//!
//! In: the upstream's hits in the upstream's order, the query's words, the shopper's profile, what
//! all shoppers have in common, the rules, a time. Out: a permutation, with the contributions that
//! each hit's score is the sum of. The steps, each a file:
//! 1. [`relevance`]: how much the upstream thinks of each hit, and which hits belong to the query.
//! 2. [`merchandise`]: what the merchandiser's rules ask for.
//! 3. [`score`]: the terms, each on a bounded scale before its weight; [`habit`] is one of them.
//! 4. [`guard`]: what may not happen, whatever the score says.
//! 5. [`window`]: the parts are put together; only the leading hits may move.
//!
//! [`explain`] names the contributions afterwards, from the same numbers. Deterministic, stable
//! (ties keep the upstream's order), finite for any input. [`Muted`] says when taste is silent.
//! Cost: `O(window · (facets + log memory))`; an off-topic tail or a guard that bites adds `O(window²)`
//! small steps. No text is looked at.

pub mod explain;
pub mod features;
pub mod guard;
pub mod habit;
pub mod merchandise;
pub mod query;
pub mod relevance;
pub mod score;
pub mod trees;
pub mod unweighed;
pub mod window;

pub use query::QueryView;
pub use score::Contributions;

use crate::config::{ScoreBetter, UpstreamOrder};
use crate::preferences::hierarchical::Posterior;
use crate::preferences::population::Population;
use crate::preferences::taste::Taste;
use crate::rules::daypart::Daypart;
use crate::rules::{PriorAppliesTo, Rules};
use crate::types::budget::Budget;
use crate::types::clock::Timestamp;
use crate::types::product::ProductFacts;
use crate::types::profile::Profile;

/// One hit of the upstream's list.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What the catalogue knows of it; empty facts for a product seen for the first time.
    pub facts: &'a ProductFacts,
    /// The upstream's score, if it names one.
    pub score: Option<f64>,
    /// The price in this reply; the catalogue's otherwise.
    pub price: Option<f32>,
    /// What the reply says of the stock.
    pub in_stock: Option<bool>,
    /// Paid for: its position is locked.
    pub sponsored: bool,
    /// The shopper's history with it must not be told by its place.
    pub unremembered: bool,
}

impl<'a> Candidate<'a> {
    /// A hit of which the reply says nothing but which product it is. What is sensitive is remembered
    /// only for those who `allowed` it.
    pub fn of(facts: &'a ProductFacts, allowed: bool) -> Self {
        Self {
            facts,
            score: None,
            price: None,
            in_stock: None,
            sponsored: false,
            unremembered: facts.sensitive && !allowed,
        }
    }
}

/// All that one ranking depends on.
#[derive(Clone, Copy, Debug)]
pub struct RankRequest<'a> {
    /// The query's words, built once a request.
    pub query: &'a QueryView,
    /// The hits in the upstream's order.
    pub candidates: &'a [Candidate<'a>],
    /// The shopper, if anything is known.
    pub profile: Option<&'a Profile>,
    /// Their taste as one posterior, where the rules ask for it and it is known: it stands in for the
    /// profile's sums in the facet term.
    pub posterior: Option<&'a Posterior>,
    /// What all shoppers have in common.
    pub population: &'a Population,
    /// The rules.
    pub rules: &'a Rules,
    /// Event time of the search.
    pub now: Timestamp,
    /// The part of the day, on the shop's clock or as the caller says; `None` where no rule asks.
    pub daypart: Option<Daypart>,
    /// Is the upstream's order a ranking at all?
    pub upstream: UpstreamOrder,
    /// Which way the upstream's scores point, where they mean something.
    pub score_better: Option<ScoreBetter>,
}

/// Why taste did not speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Muted {
    /// Nothing is known of this shopper: the upstream's order stands, whole, unless
    /// `prior.applies_to: everyone` lets the prior and the rules speak.
    NoEvidence,
    /// No hit holds the query's words: only the merchandiser's rules and the guards speak.
    OffTopic,
}

impl Muted {
    /// The word in `X-Leafrank: bypass; reason=…` and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoEvidence => "no_evidence",
            Self::OffTopic => "off_topic",
        }
    }
}

/// What holds a hit, besides its score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing: it stands where its score puts it.
    #[default]
    Free,
    /// Outside the window: keeps its place.
    Tail,
    /// Paid for: keeps its place.
    Sponsored,
    /// Locked by a rule, the one at this index of [`Rules::merchandising`].
    Pinned(u32),
    /// Nothing is known of it that could move it: keeps its place.
    Unknown,
    /// Out of stock: last, or never lifted.
    OutOfStock,
    /// Put behind the rest by the rule at this index.
    Demoted(u32),
    /// Hidden below the rest by the rule at this index.
    Hidden(u32),
    /// Taken out of the reply by the rule at this index.
    Removed(u32),
}

/// One list's order, with the reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// `order[k]` is the old position of the hit now at `k`: a permutation of all hits.
    pub order: Vec<u32>,
    /// Old positions of hits that a rule takes out of the reply; they also end `order`.
    pub removed: Vec<u32>,
    /// What each score is the sum of, by old position; zero outside the window.
    pub scores: Vec<Contributions>,
    /// Relevance tier by old position; 0 is the most relevant.
    pub tiers: Vec<u8>,
    /// What holds each hit, by old position.
    pub holds: Vec<Hold>,
    /// Why taste did not speak, if it did not.
    pub muted: Option<Muted>,
}

impl Ranking {
    /// The upstream's order of `length` hits.
    pub fn unmoved(length: usize, muted: Option<Muted>) -> Self {
        Self {
            order: (0..length as u32).collect(),
            removed: Vec::new(),
            scores: vec![Contributions::default(); length],
            tiers: vec![0; length],
            holds: vec![Hold::Free; length],
            muted,
        }
    }

    /// True when the list is as the upstream sent it.
    pub fn is_identity(&self) -> bool {
        self.removed.is_empty() && self.order.iter().enumerate().all(|(k, old)| k == *old as usize)
    }

    /// How many hits stand elsewhere than before.
    pub fn moved(&self) -> usize {
        self.order.iter().enumerate().filter(|(k, old)| *k != **old as usize).count()
    }
}

/// The budget ended before the ranking did; the upstream's order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time for ranking ran out")]
pub struct BudgetSpent;

/// Ranks one list.
///
/// # Errors
/// [`BudgetSpent`] when the budget ends between two steps.
pub fn rank(request: &RankRequest<'_>, budget: &Budget<'_>) -> Result<Ranking, BudgetSpent> {
    let length = request.candidates.len();
    let Some(taste) = may_speak(request) else {
        return Ok(Ranking::unmoved(length, Some(Muted::NoEvidence)));
    };
    let mut ranking = Ranking::unmoved(length, None);

    let topic = relevance::sorted_into_tiers(request, &mut ranking);
    within(budget)?;
    let acts = merchandise::acts(request, taste.as_ref());
    within(budget)?;
    score::contributions(request, taste.as_ref(), &acts, &mut ranking);
    within(budget)?;
    let front = guard::arranged(request, &topic, &acts, &mut ranking);
    within(budget)?;
    window::assembled(request, front, &acts, &mut ranking);
    Ok(ranking)
}

/// The taste, if anything is known of the shopper; `None` where nothing may speak.
fn may_speak<'a>(request: &RankRequest<'a>) -> Option<Option<Taste<'a>>> {
    let profile = request.profile.filter(|profile| !profile.is_empty());
    let everyone = request.rules.ranking.prior.applies_to == PriorAppliesTo::Everyone;
    let taste = profile.map(|profile| Taste::at(profile, request.rules, request.now));
    (taste.is_some() || everyone).then_some(taste)
}

fn within(budget: &Budget<'_>) -> Result<(), BudgetSpent> {
    if budget.is_spent() { Err(BudgetSpent) } else { Ok(()) }
}

#[cfg(test)]
mod chosen;
#[cfg(test)]
mod hierarchical;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod staging;
