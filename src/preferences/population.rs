//! What all shoppers have in common: the item prior, base rates of facets, position propensities.
//!
//! In: lists as they were shown and what was picked from them, each marked natural (it went out in
//! the upstream's order) or ranked by us. Out: numbers for the ranking. Only natural lists teach
//! anything here: what we ranked must not confirm itself.
//!
//! - prior: `(c + k·μ) / (n + k)`, `n` the impressions weighted by the propensity of the position
//!   they were made at, `μ` the mean of the product's category, itself smoothed to everybody's.
//! - base rate of a facet: its share of all positive evidence.
//!
//! What is learned moves slowly where [`Pace`] is set: a prior by at most so much within an hour, all
//! base rates together likewise, so that a storm is seen before it matters.
//!
//! Nobody's identity comes here. Every table is bounded: of a full one the eighth with the least
//! behind it is dropped, and counts that grow large are halved, which keeps every rate.

mod kept;
mod networks;

pub use kept::KeptPopulation;
use networks::Networks;

use super::propensity::Propensities;
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::keyed::ByKey;
pub use crate::types::keyed::KeyHasher;
use crate::types::product::{FacetKey, ProductFacts};
use crate::types::voice::Network;

/// Categories and facets told apart, each.
const FACETS_MAX: usize = 65_536;

/// Evidence worth of doubt in a base rate: below it, a facet's share is held down.
const BASE_SMOOTHING: f64 = 50.0;

/// Means of categories kept for one list.
const MEANS_MAX: usize = 16;

/// Counts above this are halved, so that old habits fade.
const COUNT_MAX: f64 = 1.0e6;

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How fast what everybody is told may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Most that [`Population::prior_score`] of a product moves within an hour of the clock.
    pub prior_max: f32,
    /// Most that a base rate moves within an hour of the clock.
    pub base_rate_max: f32,
    /// `k` of the prior.
    pub smoothing: f32,
}

/// Impressions and clicks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counter {
    /// Impressions, weighted by propensity.
    shown: f64,
    clicked: f64,
}

impl Counter {
    fn rate(self, mean: f64, smoothing: f64) -> f64 {
        let rate = (self.clicked + smoothing * mean) / (self.shown + smoothing);
        if rate.is_finite() { rate } else { 0.0 }
    }

    fn halve(&mut self) {
        self.shown /= 2.0;
        self.clicked /= 2.0;
    }
}

/// One product: its counts, and the prior that is told of it.
#[derive(Clone, Copy, Debug, Default)]
struct Product {
    counter: Counter,
    /// On the ranking's scale, as of the product's last count.
    told: f32,
    /// The same when its hour began.
    anchor: f32,
    /// Hours since the epoch.
    hour: u32,
    /// `k` of what is told.
    smoothing: f32,
}

/// What all shoppers have in common.
#[derive(Clone, Debug)]
pub struct Population {
    products: ByKey<ProductKey, Product>,
    pace: Option<Pace>,
    /// The latest hour that was seen, counted from the epoch.
    hour: u32,
    /// Evidence that may still count in this hour.
    evidence_left: f64,
    networks: Networks,
    categories: ByKey<FacetKey, Counter>,
    everything: Counter,
    evidence: ByKey<FacetKey, f64>,
    evidence_total: f64,
    propensities: Propensities,
    products_max: usize,
}

impl Population {
    /// Knows nothing yet and will keep counts of at most `products_max` products.
    pub fn new(products_max: usize) -> Self {
        Self {
            products: ByKey::default(),
            pace: None,
            hour: 0,
            evidence_left: f64::INFINITY,
            networks: Networks::default(),
            categories: ByKey::default(),
            everything: Counter::default(),
            evidence: ByKey::default(),
            evidence_total: 0.0,
            propensities: Propensities::default(),
            products_max: products_max.max(1),
        }
    }

    /// The same for lists in no order: every position is looked at alike.
    pub fn without_positions(self) -> Self {
        Self { propensities: Propensities::even(), ..self }
    }

    /// From now on everything moves at this pace; to be called with the time before counting. What
    /// another smoothing makes of the counts is told at once. `O(1)`.
    pub fn keep_pace(&mut self, pace: Pace, now: Timestamp) {
        let hour = u32::try_from(now.0.div_euclid(HOUR_MS)).unwrap_or_default();
        if self.pace.is_none() || hour > self.hour {
            self.hour = self.hour.max(hour);
            let total = self.evidence_total + BASE_SMOOTHING;
            self.evidence_left = total * f64::from(pace.base_rate_max);
        }
        self.pace = Some(pace);
    }

    /// Is this the first such act of its network today? One that nobody can place is. `kind` tells
    /// acts apart. `O(1)`.
    pub fn is_first(
        &mut self,
        network: Option<Network>,
        product: ProductKey,
        kind: &str,
        at: Timestamp,
    ) -> bool {
        network.is_none_or(|network| {
            self.networks.is_first((network.0, product.0), kind, at.0.div_euclid(DAY_MS))
        })
    }

    /// Takes back the impressions of a list that nobody can have read.
    pub fn forget_list(&mut self, shown: impl IntoIterator<Item = (ProductKey, Option<FacetKey>)>) {
        let mut length = 0;
        for (position, (product, category)) in shown.into_iter().enumerate() {
            length = position + 1;
            let weight = f64::from(self.propensities.at(position));
            self.count(product, category, |counter| {
                counter.shown = (counter.shown - weight).max(0.0);
            });
        }
        self.propensities.forget_list(length);
    }

    /// Counts a list's impressions, in shown order. A list that we ranked teaches nothing.
    pub fn record_list(
        &mut self,
        shown: impl IntoIterator<Item = (ProductKey, Option<FacetKey>)>,
        natural: bool,
    ) {
        if !natural {
            return;
        }
        let mut length = 0;
        for (position, (product, category)) in shown.into_iter().enumerate() {
            length = position + 1;
            let weight = f64::from(self.propensities.at(position));
            self.count(product, category, |counter| counter.shown += weight);
        }
        self.propensities.record_list(length);
        self.bound();
    }

    /// Counts the first click on a hit of a list, at its shown 0-based position. A click in a list
    /// that we ranked teaches nothing.
    pub fn record_click(
        &mut self,
        product: ProductKey,
        category: Option<FacetKey>,
        position: usize,
        natural: bool,
    ) {
        if !natural {
            return;
        }
        self.count(product, category, |counter| counter.clicked += 1.0);
        self.propensities.record_click(position);
    }

    /// Counts positive evidence for a product's facets. Evidence that came out of a list that we
    /// ranked, or out of nobody knows where, is not natural and teaches nothing.
    pub fn record_evidence(&mut self, facts: &ProductFacts, weight: f32, natural: bool) {
        let left = self.evidence_left;
        if !natural || !weight.is_finite() || weight <= 0.0 || f64::from(weight) > left {
            return;
        }
        self.evidence_left = left - f64::from(weight);
        for facet in &facts.facets {
            *self.evidence.entry(*facet).or_default() += f64::from(weight);
        }
        self.evidence_total += f64::from(weight);
        if self.evidence_total > COUNT_MAX {
            self.evidence_total /= 2.0;
            self.evidence.values_mut().for_each(|sum| *sum /= 2.0);
        }
        if self.evidence.len() > FACETS_MAX {
            thin_out(&mut self.evidence, FACETS_MAX, |sum| *sum);
        }
    }

    /// Share of everybody's positive evidence that lies on this facet, in `[0, 1)`. `O(1)`.
    pub fn base_rate(&self, facet: FacetKey) -> f32 {
        let Some(evidence) = self.evidence.get(&facet) else { return 0.0 };
        (evidence / (self.evidence_total + BASE_SMOOTHING)) as f32
    }

    /// Smoothed click rate of a product over all users: `(c + k·μ) / (n + k)`, at least 0. `O(1)`.
    pub fn prior(&self, product: ProductKey, category: Option<FacetKey>, k: f32) -> f32 {
        let mean = f64::from(self.category_rate(category, k));
        let counter = self.products.get(&product).map(|p| p.counter).unwrap_or_default();
        counter.rate(mean, f64::from(k)) as f32
    }

    /// The prior on the ranking's scale: `(p − m) / (p + m)`, in `[-1, 1]`, with `m` the rate of all
    /// products; 0 there, and for a product of which nothing is known. Monotone in the prior. `O(1)`.
    pub fn prior_score(&self, product: ProductKey, category: Option<FacetKey>, k: f32) -> f32 {
        self.priors(k).score(product, category)
    }

    /// The priors of one list's products.
    pub fn priors(&self, k: f32) -> Priors<'_> {
        Priors { population: self, k, everything: self.rate(), means: [None; MEANS_MAX] }
    }

    /// The chance that a 0-based position is looked at, in `(0, 1]`.
    pub fn propensity(&self, position: usize) -> f32 {
        self.propensities.at(position)
    }

    /// How many products are counted now.
    pub fn products(&self) -> usize {
        self.products.len()
    }

    /// The prior on the ranking's scale, whatever the pace.
    fn raw_score(&self, product: ProductKey, category: Option<FacetKey>, k: f32) -> f32 {
        let Some(product) = self.products.get(&product) else { return 0.0 };
        scored(product.counter, self.category_rate(category, k), self.rate(), k)
    }

    fn category_rate(&self, category: Option<FacetKey>, k: f32) -> f32 {
        let everything = self.rate();
        let counter = category.and_then(|c| self.categories.get(&c)).copied().unwrap_or_default();
        counter.rate(f64::from(everything), f64::from(k)) as f32
    }

    /// How often what is shown is picked at all.
    fn rate(&self) -> f32 {
        self.everything.rate(0.0, 0.0) as f32
    }

    fn count(
        &mut self,
        product: ProductKey,
        category: Option<FacetKey>,
        change: impl Fn(&mut Counter),
    ) {
        let smoothing = self.pace.map_or(0.0, |pace| pace.smoothing);
        let new = Product { hour: self.hour, smoothing, ..Product::default() };
        let of_product = self.products.entry(product).or_insert(new);
        change(&mut of_product.counter);
        if let Some(category) = category {
            change(self.categories.entry(category).or_default());
        }
        change(&mut self.everything);
        self.tell(product, category);
    }

    /// Moves what is told of a product towards what its counts say, as far as this hour allows.
    fn tell(&mut self, product: ProductKey, category: Option<FacetKey>) {
        let Some(pace) = self.pace else { return };
        let raw = self.raw_score(product, category, pace.smoothing);
        let hour = self.hour;
        let Some(product) = self.products.get_mut(&product) else { return };
        if product.smoothing != pace.smoothing {
            (product.told, product.smoothing) = (raw, pace.smoothing);
            (product.anchor, product.hour) = (raw, hour);
        } else if hour > product.hour {
            (product.anchor, product.hour) = (product.told, hour);
        }
        let (low, high) = (product.anchor - pace.prior_max, product.anchor + pace.prior_max);
        product.told = raw.max(low).min(high);
    }

    fn bound(&mut self) {
        if self.everything.shown > COUNT_MAX {
            self.everything.halve();
            self.categories.values_mut().for_each(Counter::halve);
            self.products.values_mut().for_each(|product| product.counter.halve());
        }
        thin_out(&mut self.products, self.products_max, |product| product.counter.shown);
        thin_out(&mut self.categories, FACETS_MAX, |c| c.shown);
    }
}

/// Priors of one list's products, which share a few categories.
#[derive(Debug)]
pub struct Priors<'a> {
    population: &'a Population,
    k: f32,
    everything: f32,
    /// Means of categories; two that meet at one place push each other out.
    means: [Option<(FacetKey, f32)>; MEANS_MAX],
}

impl Priors<'_> {
    /// The same as [`Population::prior_score`].
    pub fn score(&mut self, product: ProductKey, category: Option<FacetKey>) -> f32 {
        let Some(product) = self.population.products.get(&product) else { return 0.0 };
        if self.population.pace.is_some() && product.smoothing == self.k {
            return product.told;
        }
        let counter = product.counter;
        scored(counter, self.mean(category), self.everything, self.k)
    }

    /// The same, and the rate that it stands for, in `0..=1`.
    pub fn expected(&mut self, product: ProductKey, category: Option<FacetKey>) -> (f32, f32) {
        let score = self.score(product, category);
        let rate = self.everything * (1.0 + score) / (1.0 - score);
        (score, if rate.is_finite() { rate.clamp(0.0, 1.0) } else { 1.0 })
    }

    fn mean(&mut self, category: Option<FacetKey>) -> f32 {
        let Some(key) = category else { return self.population.category_rate(None, self.k) };
        let place = &mut self.means[key.hash() as usize % MEANS_MAX];
        match *place {
            Some((known, mean)) if known == key => mean,
            _ => {
                let mean = self.population.category_rate(category, self.k);
                *place = Some((key, mean));
                mean
            }
        }
    }
}

/// A product's rate, smoothed to its category's `mean`, beside that of everything, in `[-1, 1]`: the
/// hits of a list compete across categories.
fn scored(counter: Counter, mean: f32, everything: f32, k: f32) -> f32 {
    let prior = counter.rate(f64::from(mean), f64::from(k)) as f32;
    let score = (prior - everything) / (prior + everything);
    if score.is_finite() { score.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Drops the entries with the least behind them until seven eighths of `entries_max` are left; of
/// equals the smaller key goes first, so that the order of insertion does not matter.
fn thin_out<K: Copy + Ord + std::hash::Hash, V>(
    table: &mut ByKey<K, V>,
    entries_max: usize,
    size: impl Fn(&V) -> f64,
) {
    if table.len() <= entries_max {
        return;
    }
    let surplus = table.len() - (entries_max - entries_max / 8);
    let mut sizes: Vec<(f64, K)> = table.iter().map(|(key, value)| (size(value), *key)).collect();
    sizes.select_nth_unstable_by(surplus - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for (_, key) in sizes.into_iter().take(surplus) {
        table.remove(&key);
    }
}

#[cfg(test)]
mod tests;
