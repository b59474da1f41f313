//! The numbers of each hit that trees may ask for.
//!
//! In: the hits of a window with their relevance, a taste, the population. Out: [`Features`] a hit, every
//! one a finite number. They are read from what the terms of the formula are read from: product memory
//! of the hits, lifts of facets, priors; nothing is stored for them. A hit whose history must not be told
//! counts as one without history, for itself and for its list. What is alike for all hits of a list (how
//! many of them the shopper knows, how often they take another one) says how likely something known is
//! taken this time. Cost: `O(hits · (log memory + kinds))`.

mod alike;

use super::score::Lifts;
use super::{Candidate, Contributions, RankRequest, window};
use crate::model::trees::{Feature, Features};
use crate::preferences::taste::Taste;
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::profile::{DAY_SECONDS, ProductMemory};
use alike::{Alike, key_of};

/// Stands for "never bought", and for more days.
const DAYS_MAX: f32 = 999.0;

/// Stands for a price that cannot be compared.
const NO_PRICE: f32 = 9.0;

/// No list is so long that a place counts for more.
const PLACES_MAX: f32 = 999.0;

/// Tells the features of each hit of the window, in order. `scores` are what the formula says: the
/// relevance is taken from there.
pub fn each(
    request: &RankRequest<'_>,
    taste: &Taste<'_>,
    scores: &[Contributions],
    mut then: impl FnMut(usize, &Features),
) {
    let list = OfList::of(request, taste);
    let ranking = &request.rules.ranking;
    let mut priors = request.population.priors(ranking.prior.smoothing);
    let mut lifts = Lifts::default();
    let mut lift = |facet| lifts.of(request, taste, facet);
    let mut known_before = 0.0;
    for (place, (hit, terms)) in window::of(request).iter().zip(scores).enumerate() {
        let relevance = ratio(terms.relevance, ranking.weights.relevance, 0.0);
        let prior = priors.score(hit.facts.key, hit.facts.category);
        let asked = Asked { taste, place, hit, relevance, prior, known_before };
        then(place, &list.features(&asked, &mut lift));
        known_before += list.known(place);
    }
}

/// What is remembered of one hit.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    slow: f32,
    fast: f32,
    memory: f32,
    purchases: f32,
    days: f32,
    units: f32,
    /// As it fades with categories.
    evidence: f32,
    better: f32,
    price: Option<f32>,
}

impl Kept {
    fn is_known(&self) -> bool {
        self.memory > 0.0
    }
}

/// What the hits of one list share.
#[derive(Debug, Default)]
struct OfList {
    kept: Vec<Kept>,
    shared: Shared,
    brands: Alike,
    attributes: Alike,
    sets: Alike,
    best: Option<usize>,
}

/// One hit, and what is asked of it.
struct Asked<'a, 'r> {
    taste: &'a Taste<'r>,
    place: usize,
    hit: &'a Candidate<'r>,
    relevance: f32,
    prior: f32,
    known_before: f32,
}

/// Sums over the list and the shopper.
#[derive(Clone, Copy, Debug, Default)]
struct Shared {
    slow: f32,
    fast: f32,
    purchases: f32,
    known: f32,
    days: f32,
    memory_of_best: f32,
    evidence_of_hits: f32,
    attributes_kept: f32,
    variety_of_all: f32,
    /// Of ln(price), weighed by what is remembered.
    usual_price: Option<f32>,
    mean_price: Option<f32>,
}

impl OfList {
    /// Reads what is remembered of each hit, and what follows for the list.
    fn of(request: &RankRequest<'_>, taste: &Taste<'_>) -> Self {
        let hits = window::of(request);
        let mut list = Self {
            kept: hits.iter().map(|hit| kept(request, taste, hit)).collect(),
            ..Self::default()
        };
        for (hit, kept) in hits.iter().zip(&list.kept) {
            let brand = hit.facts.on_axis(Axis::Brand).map(key_of);
            list.brands.add(brand, kept.slow, kept.is_known());
            list.attributes.add(attributes(hit.facts), kept.slow, kept.is_known());
            list.sets.add([set_of(hit.facts)], kept.slow, kept.is_known());
        }
        list.order();
        list.sum(taste);
        list
    }

    /// How many are remembered better, and which best; of equals the first.
    fn order(&mut self) {
        for place in 0..self.kept.len() {
            let memory = self.kept[place].memory;
            let better = self.kept.iter().filter(|other| other.memory > memory).count();
            self.kept[place].better = (better as f32).min(PLACES_MAX);
        }
        self.best = self.kept.iter().position(|kept| kept.is_known() && kept.better == 0.0);
    }

    fn sum(&mut self, taste: &Taste<'_>) {
        let mut shared = Shared { days: DAYS_MAX, ..Shared::default() };
        let (mut level, mut weight, mut prices, mut priced) = (0.0, 0.0, 0.0, 0.0);
        for kept in &self.kept {
            if let Some(price) = kept.price {
                (prices, priced) = (prices + price, priced + 1.0);
                (level, weight) = (level + kept.slow * price, weight + kept.slow);
            }
            shared.slow += kept.slow;
            shared.fast += kept.fast;
            shared.purchases += kept.purchases;
            shared.known += f32::from(u8::from(kept.is_known()));
            shared.days = shared.days.min(kept.days);
            shared.evidence_of_hits += kept.evidence;
        }
        shared.memory_of_best = self.best.map_or(0.0, |best| self.kept[best].memory);
        shared.usual_price = (weight > 0.0).then(|| level / weight);
        shared.mean_price = (priced > 0.0).then(|| prices / priced);
        shared.attributes_kept = self.attributes.kept();
        let (mut bought, mut purchases) = (0_u32, 0_u32);
        for memory in &taste.profile.products {
            bought += u32::from(memory.purchases > 0);
            purchases += u32::from(memory.purchases);
        }
        shared.variety_of_all = ratio(bought as f32, purchases as f32, -1.0);
        self.shared = shared;
    }

    /// The features of the hit at a place of the window; its relevance is unweighted.
    fn features(&self, asked: &Asked<'_, '_>, lift: &mut dyn FnMut(FacetKey) -> f32) -> Features {
        let mut features = [0.0; Feature::ALL.len()];
        let Some(kept) = self.kept.get(asked.place) else { return features };
        let mut set = |feature: Feature, value: f32| {
            features[feature.index()] = if value.is_finite() { value } else { 0.0 };
        };
        set(Feature::Relevance, asked.relevance);
        set(Feature::Prior, asked.prior);
        self.own(kept, &mut set);
        self.brand(asked.hit, lift, &mut set);
        self.kind(asked, lift, &mut set);
        self.price(kept, &mut set);
        self.list(&mut set);
        set(Feature::KnownBefore, asked.known_before);
        let category = asked.hit.facts.category;
        let sum = category.map_or(0.0, |category| asked.taste.sum(category).max(0.0));
        set(Feature::CategorySum, sum);
        set(Feature::Covered, ratio(self.shared.evidence_of_hits, sum, -1.0));
        set(Feature::Evidence, asked.taste.evidence());
        features
    }

    /// 1 for a hit that is remembered.
    fn known(&self, place: usize) -> f32 {
        self.kept.get(place).map_or(0.0, |kept| f32::from(u8::from(kept.is_known())))
    }

    fn own(&self, kept: &Kept, set: &mut impl FnMut(Feature, f32)) {
        set(Feature::Slow, kept.slow);
        set(Feature::Fast, kept.fast);
        set(Feature::Memory, kept.memory);
        set(Feature::Purchases, kept.purchases);
        set(Feature::Days, kept.days);
        set(Feature::Units, kept.units);
        set(Feature::Share, ratio(kept.slow, self.shared.slow, 0.0));
        set(Feature::Better, kept.better);
        set(Feature::OfBest, ratio(kept.memory, self.shared.memory_of_best, 0.0));
    }

    fn brand(
        &self,
        hit: &Candidate<'_>,
        lift: &mut dyn FnMut(FacetKey) -> f32,
        set: &mut impl FnMut(Feature, f32),
    ) {
        let brand = hit.facts.on_axis(Axis::Brand).next();
        let of_best = self.best.map(|best| self.brands.first_of(best));
        let own = brand.map(key_of);
        set(Feature::BrandOfBest, said(of_best.map(|best| best.is_some() && best == own)));
        let Some(brand) = brand else { return };
        let alike = self.brands.of(key_of(brand));
        set(Feature::BrandShare, ratio(alike.kept, self.shared.slow, 0.0));
        set(Feature::BrandKnown, f32::from(alike.known));
        set(Feature::BrandHits, f32::from(alike.hits));
        set(Feature::BrandLift, lift(brand));
    }

    fn kind(
        &self,
        Asked { place, hit, .. }: &Asked<'_, '_>,
        lift: &mut dyn FnMut(FacetKey) -> f32,
        set: &mut impl FnMut(Feature, f32),
    ) {
        let share = |kept: f32| ratio(kept, self.shared.slow, 0.0);
        let (mut rare, mut common) = ((u16::MAX, 0.0), (0, 0.0));
        let (mut own, mut lifts, mut count) = (0.0, 0.0, 0.0_f32);
        for facet in hit.facts.on_axis(Axis::Attribute) {
            let alike = self.attributes.of(key_of(facet));
            if alike.hits < rare.0 {
                rare = (alike.hits, alike.kept);
            }
            if alike.hits > common.0 {
                common = (alike.hits, alike.kept);
            }
            (own, lifts, count) = (own + alike.kept, lifts + lift(facet), count + 1.0);
        }
        set(Feature::RareShare, share(rare.1));
        set(Feature::CommonShare, share(common.1));
        set(Feature::Missing, share(self.shared.attributes_kept - own));
        set(Feature::AttributeLift, ratio(lifts, count.sqrt(), 0.0));
        let same = self.sets.of(set_of(hit.facts));
        set(Feature::SameShare, share(same.kept));
        set(Feature::SameKnown, f32::from(same.known));
        let of_best = self.best.map(|best| self.sets.first_of(best) == self.sets.first_of(*place));
        set(Feature::SameAsBest, said(of_best));
        let tier = hit.facts.on_axis(Axis::PriceTier).next();
        set(Feature::TierLift, tier.map_or(0.0, &mut *lift));
    }

    fn price(&self, kept: &Kept, set: &mut impl FnMut(Feature, f32)) {
        let from = |level: Option<f32>| Some(kept.price? - level?);
        let away = from(self.shared.usual_price).unwrap_or_default();
        set(Feature::Dearer, away);
        set(Feature::PriceAway, away.abs());
        let best = self.best.and_then(|best| self.kept[best].price);
        set(Feature::DearerThanBest, from(best).unwrap_or(NO_PRICE));
        set(Feature::DearerThanList, from(self.shared.mean_price).unwrap_or_default());
    }

    fn list(&self, set: &mut impl FnMut(Feature, f32)) {
        let shared = &self.shared;
        set(Feature::Hits, self.kept.len() as f32);
        set(Feature::Known, shared.known);
        set(Feature::SlowSum, shared.slow);
        set(Feature::FastSum, shared.fast);
        set(Feature::PurchasesSum, shared.purchases);
        set(Feature::Best, shared.memory_of_best);
        set(Feature::BestPlace, self.best.map_or(PLACES_MAX, |place| place as f32));
        set(Feature::DaysOfAny, shared.days);
        set(Feature::Variety, ratio(shared.known, shared.purchases, -1.0));
        set(Feature::VarietyOfAll, shared.variety_of_all);
    }
}

fn kept(request: &RankRequest<'_>, taste: &Taste<'_>, hit: &Candidate<'_>) -> Kept {
    let price = hit.price.or(hit.facts.price).filter(|price| *price > 0.0).map(f32::ln);
    let price = price.filter(|ln| ln.is_finite());
    let nothing = Kept { days: DAYS_MAX, price, ..Kept::default() };
    let memory = match hit.unremembered {
        true => None,
        false => taste.profile.product(hit.facts.key),
    };
    let Some(memory) = memory else { return nothing };
    let finite = |sum: f32| if sum.is_finite() { sum.max(0.0) } else { 0.0 };
    let (slow, fast) = taste.sums(hit.facts.key);
    let (slow, fast) = (finite(slow), finite(fast));
    let days = days_since(memory, request);
    Kept {
        slow,
        fast,
        memory: finite(taste.remembered(hit.facts.key)),
        purchases: f32::from(memory.purchases),
        days,
        units: f32::from(memory.quantities[0]),
        evidence: finite(memory.slow * taste.faded(Axis::Category)),
        ..nothing
    }
}

fn days_since(memory: &ProductMemory, request: &RankRequest<'_>) -> f32 {
    if memory.bought_day == 0 {
        return DAYS_MAX;
    }
    let today = request.now.seconds_u32() as f32 / DAY_SECONDS as f32;
    (today - f32::from(memory.bought_day)).clamp(0.0, DAYS_MAX)
}

fn attributes(facts: &ProductFacts) -> impl Iterator<Item = u32> + '_ {
    facts.on_axis(Axis::Attribute).map(key_of)
}

/// One key for all attributes of a product; facets are sorted.
fn set_of(facts: &ProductFacts) -> u32 {
    attributes(facts).fold(0, |all, key| all.rotate_left(5).wrapping_mul(0x9e37_79b1) ^ key)
}

fn ratio(part: f32, whole: f32, otherwise: f32) -> f32 {
    if whole > 0.0 { part / whole } else { otherwise }
}

/// 1, 0, or -1 for what cannot be said.
fn said(answer: Option<bool>) -> f32 {
    answer.map_or(-1.0, |yes| f32::from(u8::from(yes)))
}

#[cfg(test)]
mod tests {
    use super::super::staging::Stage;
    use super::*;
    use crate::types::signal::SignalKind;

    fn all(stage: &Stage) -> Vec<Features> {
        let mut all = Vec::new();
        stage.with_request(|request| {
            let taste = Taste::at(&stage.profile, request.rules, request.now);
            each(request, &taste, &stage.ranked().scores, |_, features| all.push(*features));
        });
        all
    }

    fn staged() -> Stage {
        let mut stage = Stage::new(
            "",
            &[
                "One | Mill | dairy/milk | organic",
                "Two | Mill | dairy/milk | organic",
                "Three | Creek | dairy/milk | spicy",
                "Four | | dairy/milk | ",
            ],
        );
        stage.goods[0].facts.price = None;
        stage.goods[1].facts.price = Some(2.0);
        stage.goods[2].facts.price = Some(4.0);
        for (name, times) in [("Two", 3), ("Three", 1)] {
            let facts = stage.facts(name);
            stage.did(times, SignalKind::PurchaseRepeat, &facts);
        }
        stage
    }

    #[test]
    fn a_hit_is_told_by_its_own_history_and_by_what_it_has_in_common_with_what_is_known() {
        let all = all(&staged());
        let of = |feature: Feature| -> Vec<f32> {
            all.iter().map(|features| features[feature.index()]).collect()
        };
        assert_eq!(of(Feature::Purchases), [0.0, 3.0, 1.0, 0.0]);
        assert_eq!(of(Feature::Better), [2.0, 0.0, 1.0, 2.0]);
        assert_eq!(of(Feature::KnownBefore), [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(of(Feature::BrandOfBest), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(of(Feature::BrandHits), [2.0, 2.0, 1.0, 0.0]);
        assert_eq!(of(Feature::SameAsBest), [1.0, 1.0, 0.0, 0.0]);
        assert_eq!(of(Feature::BestPlace), [1.0; 4]);
        assert_eq!(of(Feature::Known), [2.0; 4]);
        assert_eq!(of(Feature::PurchasesSum), [4.0; 4]);
        assert_eq!(of(Feature::Variety), [0.5; 4]);
        assert_eq!(of(Feature::Days)[0], DAYS_MAX);
        assert!(of(Feature::Days)[1] < 1.0);
        let share = of(Feature::BrandShare);
        assert!(share[0] == share[1] && (share[0] - 0.75).abs() < 1e-5 && share[3] == 0.0);
        let missing = of(Feature::Missing);
        assert!((missing[2] - 0.75).abs() < 1e-5 && (missing[3] - 1.0).abs() < 1e-5);
        let dearer = of(Feature::DearerThanBest);
        assert!((dearer[2] - 2.0_f32.ln()).abs() < 1e-6 && dearer[0] == NO_PRICE);
        assert!(all.iter().flatten().all(|value| value.is_finite()));
    }

    #[test]
    fn a_list_of_which_nothing_is_known_says_so() {
        let mut stage = staged();
        stage.goods.remove(2);
        stage.goods.remove(1);
        for features in all(&stage) {
            assert_eq!(features[Feature::Known.index()], 0.0);
            assert_eq!(features[Feature::Variety.index()], -1.0);
            assert_eq!(features[Feature::BrandOfBest.index()], -1.0);
            assert_eq!(features[Feature::BestPlace.index()], PLACES_MAX);
            assert!(features[Feature::Evidence.index()] > 0.0);
        }
    }
}
