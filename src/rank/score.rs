//! The terms of the score, each on a bounded scale before its weight.
//!
//! `score = w_rel · relevance + impact · (w_item · item + w_brand · brand habit + w_facets · facets
//! + w_price · price + trees) + w_prior · prior + w_ctx · context + merchandising`
//!
//! In: a taste, the population, the acts of the rules, the relevance of each hit. Out: the
//! contributions of each hit of the window, weighted; their sum is the score, and there is no other.
//! The facet term of an axis is `Σ lift(f) / √n` over the product's `n` facets on it, cut to `-1..=1`:
//! what is personal, not what everybody buys. A hit with something that the shopper muted stands at
//! the lower end of that axis, and one with something pinned at the upper end, whatever else it is and
//! whatever others like. Context stays 0 until the rules speak of time and place. What is not a finite
//! number contributes nothing.

use super::habit::Habit;
use super::merchandise::Acts;
use super::{Candidate, Muted, RankRequest, Ranking, trees, window};
use crate::config::UpstreamOrder;
use crate::preferences::taste::Taste;
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::profile::{Mark, Profile};

/// What one hit's score is the sum of; every part carries its weight already.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Contributions {
    /// The upstream's opinion.
    pub relevance: f32,
    /// The shopper's own history with the product.
    pub item: f32,
    /// The shopper's habit with its brand in this list.
    pub brand_habit: f32,
    /// The shopper's taste for its facets, by `Axis::index`.
    pub facets: [f32; 4],
    /// Distance from the shopper's usual price.
    pub price: f32,
    /// What trees make of all features together, beyond the other terms.
    pub trees: f32,
    /// How the product does with everybody.
    pub prior: f32,
    /// Time and place.
    pub context: f32,
    /// Boosts and burials by rule.
    pub merchandising: f32,
}

impl Contributions {
    /// The score: what the order is made by.
    pub fn total(&self) -> f32 {
        self.relevance + self.taste() + self.prior + self.context + self.merchandising
    }

    /// What this shopper's taste adds.
    pub fn taste(&self) -> f32 {
        self.item + self.brand_habit + self.facets.iter().sum::<f32>() + self.price + self.trees
    }
}

/// Scores the window's hits; their `relevance` is expected unweighted and is weighted here.
pub fn contributions(
    request: &RankRequest<'_>,
    taste: Option<&Taste<'_>>,
    acts: &Acts,
    ranking: &mut Ranking,
) {
    let hits = window::of(request);
    let weights = &request.rules.ranking.weights;
    let muted = ranking.muted == Some(Muted::OffTopic);
    let mut lifts = Lifts::default();
    let mut personal =
        taste.filter(|_| !muted).map(|taste| Personal::of(request, taste, &mut lifts));
    let smoothing = request.rules.ranking.prior.smoothing;
    // Where the upstream has no opinion, what everybody picks stands in for it.
    let prior_weight = match request.upstream {
        UpstreamOrder::Ranked => weights.prior,
        UpstreamOrder::Unranked => weights.prior + weights.relevance,
    };
    let mut priors = (!muted).then(|| request.population.priors(smoothing));
    for (position, hit) in hits.iter().enumerate() {
        let terms = &mut ranking.scores[position];
        terms.relevance = finite(terms.relevance * weights.relevance);
        if let Some(personal) = &mut personal {
            personal.add(hit, terms);
        }
        if let Some(priors) = &mut priors {
            let prior = priors.score(hit.facts.key, hit.facts.category);
            terms.prior = finite(prior * prior_weight);
        }
        terms.merchandising = finite(acts.boosts.get(position).copied().unwrap_or_default());
    }
    if let Some(taste) = taste.filter(|_| !muted) {
        trees::add(request, taste, &mut ranking.scores[..hits.len()]);
    }
    if let Some(slots) = request.rules.ranking.repeat_slots {
        keep_repeats(&mut ranking.scores[..hits.len()], slots);
    }
}

/// Lifts of the facets of one list, which its hits share: each is computed once, unless two that
/// meet at one place here push each other out.
pub(super) struct Lifts([(FacetKey, f32); Self::PLACES]);

impl Default for Lifts {
    fn default() -> Self {
        let mut places = [(FacetKey(0), 0.0); Self::PLACES];
        // Every place starts with a key that belongs to another place.
        places[0].0 = FacetKey(u64::MAX);
        Self(places)
    }
}

impl Lifts {
    /// A list of a hundred hits has some fifty facets.
    const PLACES: usize = 128;

    pub(super) fn of(
        &mut self,
        request: &RankRequest<'_>,
        taste: &Taste<'_>,
        facet: FacetKey,
    ) -> f32 {
        let place = &mut self.0[facet.hash() as usize % Self::PLACES];
        if place.0 != facet {
            *place = (facet, lift(request, taste, facet));
        }
        place.1
    }
}

/// The personal terms of one list: what its hits share is computed once.
struct Personal<'a> {
    request: &'a RankRequest<'a>,
    taste: &'a Taste<'a>,
    lifts: &'a mut Lifts,
    habit: Habit,
    item_weight: f32,
    brand_weight: f32,
    /// By `Axis::index`.
    axis_weights: [f32; 4],
    price_weight: f32,
}

impl<'a> Personal<'a> {
    fn of(request: &'a RankRequest<'a>, taste: &'a Taste<'a>, lifts: &'a mut Lifts) -> Self {
        let ranking = &request.rules.ranking;
        let (impact, weights) = (ranking.impact, &ranking.weights);
        let mut axis_weights = request.rules.facets;
        axis_weights.iter_mut().for_each(|axis| *axis *= impact * weights.facets);
        Self {
            request,
            taste,
            lifts,
            habit: if weights.brand_habit == 0.0 {
                Habit::default()
            } else {
                Habit::of(window::of(request), taste)
            },
            item_weight: impact * weights.item,
            brand_weight: impact * weights.brand_habit,
            axis_weights,
            price_weight: impact * weights.price,
        }
    }

    fn add(&mut self, hit: &Candidate<'_>, terms: &mut Contributions) {
        if !hit.unremembered {
            terms.item = finite(self.item_weight * self.taste.item(hit.facts.key));
        }
        terms.brand_habit = finite(self.brand_weight * self.habit.share(hit.facts));
        let mut counts = [0_u16; 4];
        for facet in &hit.facts.facets {
            let axis = facet.axis().index();
            counts[axis] += 1;
            terms.facets[axis] += self.lifts.of(self.request, self.taste, *facet);
        }
        for axis in Axis::ALL {
            let (sum, count) = (&mut terms.facets[axis.index()], counts[axis.index()]);
            if count > 0 {
                let marked = marked_on(self.taste.profile, hit.facts, axis);
                let cut = match marked {
                    Some(Mark::Muted) => -1.0,
                    Some(Mark::Pinned) => 1.0,
                    None => (*sum / f32::from(count).sqrt()).clamp(-1.0, 1.0),
                };
                *sum = finite(cut * self.axis_weights[axis.index()]);
            }
        }
        if self.request.rules.ranking.weights.price != 0.0 {
            let price = self.taste.price(hit.facts.category, hit.price.or(hit.facts.price));
            terms.price = finite(self.price_weight * price);
        }
    }
}

/// The shopper's own word on what a product is on one axis: less of one thing weighs more than more
/// of another. One branch where they have said nothing.
pub(super) fn marked_on(profile: &Profile, facts: &ProductFacts, axis: Axis) -> Option<Mark> {
    if profile.chosen.is_empty() {
        return None;
    }
    let marks = || facts.on_axis(axis).filter_map(|facet| profile.mark(facet));
    let muted = marks().find(|mark| *mark == Mark::Muted);
    muted.or_else(|| marks().next())
}

/// How much more this shopper likes a facet than is to be expected.
pub(super) fn lift(request: &RankRequest<'_>, taste: &Taste<'_>, facet: FacetKey) -> f32 {
    taste.lift(facet, request.population.base_rate(facet))
}

/// Only the `slots` most remembered products keep their memory's lift; the others stand by the rest
/// of their score.
fn keep_repeats(scores: &mut [Contributions], slots: usize) {
    let mut repeated: Vec<usize> = (0..scores.len()).filter(|i| scores[*i].item > 0.0).collect();
    repeated.sort_by(|a, b| scores[*b].item.total_cmp(&scores[*a].item));
    for position in repeated.into_iter().skip(slots) {
        scores[position].item = 0.0;
        scores[position].trees = scores[position].trees.min(0.0);
    }
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}
