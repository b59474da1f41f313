//! One list before its terms are weighed, kept to be weighed many times.
//!
//! In: a request. Out: tiers, acts and terms, as [`super::rank`] has them before the numbers that say
//! only what a term is worth (`impact`, `weights`, `facets`, `discovery`, `repeat_slots`) and the
//! guards come in; later, with the same hits and other such numbers, the order that `rank` would give.
//! The steps are those of `rank`, so that what is fitted cannot drift from what is served.
//!
//! Some 50 bytes a hit. Whoever keeps a list asks with rules in which `brand_habit` and `price` weigh
//! something: a term that weighs nothing is not read.

use super::merchandise::{self, Acts};
use super::relevance::{self, Topic};
use super::{Contributions, Muted, RankRequest, Ranking, guard, may_speak, score, window};

/// A list before its terms are weighed.
#[derive(Clone, Debug)]
pub struct Unweighed {
    topic: Topic,
    acts: Acts,
    terms: Box<[Contributions]>,
    tiers: Box<[u8]>,
    muted: Option<Muted>,
}

/// Reads a list; `None` where nothing may speak and the upstream's order stands.
pub fn unweighed(request: &RankRequest<'_>) -> Option<Unweighed> {
    let taste = may_speak(request)?;
    let mut ranking = Ranking::unmoved(request.candidates.len(), None);
    let topic = relevance::sorted_into_tiers(request, &mut ranking);
    let acts = merchandise::acts(request, taste.as_ref());
    score::terms(request, taste.as_ref(), &acts, &mut ranking);
    let Ranking { scores, tiers, muted, .. } = ranking;
    Some(Unweighed { topic, acts, terms: scores.into(), tiers: tiers.into(), muted })
}

impl Unweighed {
    /// The order of the same hits under the numbers of `request`, whose profile and population are
    /// not looked at.
    pub fn weighed(&self, request: &RankRequest<'_>) -> Ranking {
        let mut ranking = Ranking::unmoved(request.candidates.len(), self.muted);
        for (to, from) in ranking.scores.iter_mut().zip(&self.terms) {
            *to = *from;
        }
        for (to, from) in ranking.tiers.iter_mut().zip(&self.tiers) {
            *to = *from;
        }
        score::weigh(request, &mut ranking.scores);
        let front = guard::arranged(request, &self.topic, &self.acts, &mut ranking);
        window::assembled(request, front, &self.acts, &mut ranking);
        ranking
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.terms.len() * size_of::<Contributions>() + self.tiers.len()
    }
}
