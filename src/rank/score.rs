//! The terms of the score, each on a bounded scale before its weight.
//!
//! `score = w_rel · relevance + impact · (w_item · item + w_brand · brand habit + w_facets · facets
//! + w_price · price + trees) + w_prior · prior + w_ctx · context + merchandising`
//!
//! In: a taste, the population, the acts of the rules, the relevance of each hit. Out: the
//! contributions of each hit of the window, weighted; their sum is the score, and there is no other.
//! The facet term of an axis is `Σ lift(f) / √n` over the product's `n` facets on it, cut to `-1..=1`:
//! what is personal, not what everybody buys. Under the hierarchical preference it is what the
//! posterior adds to the rate of picks, cut alike; `facets.*` say there only which axes count at all. A hit with something that the shopper muted stands at
//! the lower end of that axis, and one with something pinned at the upper end, whatever else it is and
//! whatever others like. Context stays 0 until the rules speak of time and place. What is not a finite
//! number contributes nothing.

use super::habit::Habit;
use super::merchandise::Acts;
use super::{Candidate, Muted, RankRequest, Ranking, trees, window};
use crate::config::UpstreamOrder;
use crate::preferences::hierarchical::Features;
use crate::preferences::taste::{Taste, spoken};
use crate::rules::Preference;
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
    /// How much this shopper likes what everybody likes.
    pub popular: f32,
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
        let own = self.item + self.brand_habit + self.price + self.popular + self.trees;
        own + self.facets.iter().sum::<f32>()
    }
}

/// Scores the window's hits; their `relevance` is expected unweighted and is weighted here.
pub fn contributions(
    request: &RankRequest<'_>,
    taste: Option<&Taste<'_>>,
    acts: &Acts,
    ranking: &mut Ranking,
) {
    terms(request, taste, acts, ranking);
    weigh(request, &mut ranking.scores);
    if let Some(taste) = taste.filter(|_| ranking.muted.is_none()) {
        trees::add(request, taste, &mut ranking.scores);
    }
}

/// The terms of the window's hits before anything weighs them; `item` is how well the product is
/// remembered, before what is taken off that.
pub fn terms(
    request: &RankRequest<'_>,
    taste: Option<&Taste<'_>>,
    acts: &Acts,
    ranking: &mut Ranking,
) {
    let hits = window::of(request);
    let muted = ranking.muted == Some(Muted::OffTopic);
    let mut lifts = Lifts::default();
    let mut personal =
        taste.filter(|_| !muted).map(|taste| Personal::of(request, taste, &mut lifts));
    let smoothing = request.rules.ranking.prior.smoothing;
    let mut priors = (!muted).then(|| request.population.priors(smoothing));
    if let Some(personal) = &mut personal {
        let terms = ranking.scores.iter_mut();
        hits.iter().zip(terms).for_each(|(hit, terms)| personal.remember(hit, terms));
    }
    for (position, hit) in hits.iter().enumerate() {
        let terms = &mut ranking.scores[position];
        if let Some(personal) = &mut personal {
            personal.add(hit, terms);
        }
        if let Some(priors) = &mut priors {
            terms.prior = priors.score(hit.facts.key, hit.facts.category);
            terms.popular = request.posterior.map_or(0.0, |own| own.popular(terms.prior));
        }
        terms.merchandising = finite(acts.boosts.get(position).copied().unwrap_or_default());
    }
}

/// Gives the terms of the window's hits their weights, in place: the numbers of the rules that say
/// only what a term is worth count here and nowhere else.
pub fn weigh(request: &RankRequest<'_>, scores: &mut [Contributions]) {
    let ranking = &request.rules.ranking;
    let (impact, weights) = (ranking.impact, &ranking.weights);
    // Where the upstream has no opinion, what everybody picks stands in for it.
    let prior = match request.upstream {
        UpstreamOrder::Ranked => weights.prior,
        UpstreamOrder::Unranked => weights.prior + weights.relevance,
    };
    let (item, brand, price) =
        (impact * weights.item, impact * weights.brand_habit, impact * weights.price);
    let facets = impact * weights.facets;
    let axes = request.rules.facets.map(|axis| match ranking.preference {
        // The model says what each axis is worth.
        Preference::Hierarchical if axis > 0.0 => facets,
        _ => axis * facets,
    });
    let window = window::of(request).len().min(scores.len());
    for terms in scores.iter_mut().take(window) {
        terms.relevance = finite(terms.relevance * weights.relevance);
        terms.item = finite(item * spoken(terms.item, ranking.discovery));
        terms.brand_habit = finite(brand * terms.brand_habit);
        for (facet, axis) in terms.facets.iter_mut().zip(axes) {
            *facet = finite(*facet * axis);
        }
        terms.price = finite(price * terms.price);
        terms.prior = finite(terms.prior * prior);
        terms.popular = finite(terms.popular * facets);
    }
    if let Some(slots) = ranking.repeat_slots {
        keep_repeats(&mut scores[..window], slots);
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
    scratch: Features,
}

impl<'a> Personal<'a> {
    fn of(request: &'a RankRequest<'a>, taste: &'a Taste<'a>, lifts: &'a mut Lifts) -> Self {
        let (habit, scratch) = (Habit::default(), Features::new());
        Self { request, taste, lifts, habit, scratch }
    }

    /// What is remembered of the product itself: of every hit first, for the habit is of the list.
    fn remember(&mut self, hit: &Candidate<'_>, terms: &mut Contributions) {
        if hit.unremembered {
            return;
        }
        let Some(memory) = self.taste.profile.product(hit.facts.key) else { return };
        terms.item = self.taste.remembered_of(memory);
        if self.request.rules.ranking.weights.brand_habit != 0.0 {
            self.habit.note(hit.facts, self.taste.sums_of(memory).0);
        }
    }

    fn add(&mut self, hit: &Candidate<'_>, terms: &mut Contributions) {
        terms.brand_habit = self.habit.share(hit.facts);
        let sums = match self.request.rules.ranking.preference {
            Preference::Hierarchical => self.likings(hit.facts),
            Preference::Table | Preference::Trees => self.lifted(hit.facts),
        };
        for axis in Axis::ALL {
            let Some(sum) = sums[axis.index()] else { continue };
            terms.facets[axis.index()] = match marked_on(self.taste.profile, hit.facts, axis) {
                Some(Mark::Muted) => -1.0,
                Some(Mark::Pinned) => 1.0,
                None => sum.clamp(-1.0, 1.0),
            };
        }
        if self.request.rules.ranking.weights.price != 0.0 {
            terms.price = self.taste.price(hit.facts.category, hit.price.or(hit.facts.price));
        }
    }

    /// By axis, where the product has facets: what the table says of them.
    fn lifted(&mut self, facts: &ProductFacts) -> [Option<f32>; 4] {
        let (mut sums, mut counts) = ([0.0_f32; 4], [0_u16; 4]);
        for facet in &facts.facets {
            let axis = facet.axis().index();
            counts[axis] += 1;
            sums[axis] += self.lifts.of(self.request, self.taste, *facet);
        }
        let mean = |axis: Axis| {
            let (sum, count) = (sums[axis.index()], counts[axis.index()]);
            (count > 0).then(|| sum / f32::from(count).sqrt())
        };
        Axis::ALL.map(mean)
    }

    /// The same: what the posterior says of them, nothing where there is none.
    fn likings(&mut self, facts: &ProductFacts) -> [Option<f32>; 4] {
        let mut sums = [None; 4];
        facts.facets.iter().for_each(|facet| sums[facet.axis().index()] = Some(0.0));
        let Some(posterior) = self.request.posterior else { return sums };
        let model = &self.request.rules.model;
        for (facet, part) in posterior.parts(model, facts, &mut self.scratch) {
            let sum: &mut Option<f32> = &mut sums[facet.axis().index()];
            *sum = sum.map(|sum| sum + part);
        }
        sums
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

/// What each facet of a hit says on one axis, before the weight: for explanations.
pub(super) fn said_on(
    request: &RankRequest<'_>,
    taste: &Taste<'_>,
    facts: &ProductFacts,
    axis: Axis,
) -> Vec<(FacetKey, f32)> {
    match (request.rules.ranking.preference, request.posterior) {
        (Preference::Hierarchical, Some(posterior)) => {
            let mut scratch = Features::new();
            let parts = posterior.parts(&request.rules.model, facts, &mut scratch);
            parts.filter(|(facet, _)| facet.axis() == axis).collect()
        }
        (Preference::Hierarchical, None) => facts.on_axis(axis).map(|facet| (facet, 0.0)).collect(),
        (Preference::Table | Preference::Trees, _) => {
            facts.on_axis(axis).map(|facet| (facet, lift(request, taste, facet))).collect()
        }
    }
}

/// How much more this shopper likes a facet than is to be expected.
fn lift(request: &RankRequest<'_>, taste: &Taste<'_>, facet: FacetKey) -> f32 {
    taste.lift(facet, request.population.base_rate(facet))
}

/// Only the `slots` most remembered products keep their memory's lift; the others stand by the rest
/// of their score.
fn keep_repeats(scores: &mut [Contributions], slots: usize) {
    let mut repeated: Vec<usize> = (0..scores.len()).filter(|i| scores[*i].item > 0.0).collect();
    repeated.sort_by(|a, b| scores[*b].item.total_cmp(&scores[*a].item));
    for position in repeated.into_iter().skip(slots) {
        scores[position].item = 0.0;
    }
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}
