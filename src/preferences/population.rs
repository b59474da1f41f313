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
//! Nobody's identity comes here. Every table is bounded: of a full one the eighth with the least
//! behind it is dropped, and counts that grow large are halved, which keeps every rate.

mod kept;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub use kept::KeptPopulation;

use super::propensity::Propensities;
use crate::types::ids::ProductKey;
use crate::types::product::{FacetKey, ProductFacts};

/// Categories and facets told apart, each.
const FACETS_MAX: usize = 65_536;

/// Evidence worth of doubt in a base rate: below it, a facet's share is held down.
const BASE_SMOOTHING: f64 = 50.0;

/// Means of categories kept for one list.
const MEANS_MAX: usize = 16;

/// Counts above this are halved, so that old habits fade.
const COUNT_MAX: f64 = 1.0e6;

/// Keys are hashes already; hashing them again would only cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        // a product's key has no bits on top, where the table takes its tags from
        self.0 = key ^ key.rotate_left(32);
    }
}

type ByKey<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

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

/// What all shoppers have in common.
#[derive(Clone, Debug)]
pub struct Population {
    products: ByKey<ProductKey, Counter>,
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
            categories: ByKey::default(),
            everything: Counter::default(),
            evidence: ByKey::default(),
            evidence_total: 0.0,
            propensities: Propensities::default(),
            products_max: products_max.max(1),
        }
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
        if !natural || !weight.is_finite() || weight <= 0.0 {
            return;
        }
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
        let counter = self.products.get(&product).copied().unwrap_or_default();
        counter.rate(mean, f64::from(k)) as f32
    }

    /// The prior on the ranking's scale: `(p − μ) / (p + μ)`, in `[-1, 1]`, 0 at the category's mean
    /// and for a product or category of which nothing is known. Monotone in the prior. `O(1)`.
    pub fn prior_score(&self, product: ProductKey, category: Option<FacetKey>, k: f32) -> f32 {
        self.priors(k).score(product, category)
    }

    /// The priors of one list's products.
    pub fn priors(&self, k: f32) -> Priors<'_> {
        Priors { population: self, k, means: [None; MEANS_MAX] }
    }

    /// The chance that a 0-based position is looked at, in `(0, 1]`.
    pub fn propensity(&self, position: usize) -> f32 {
        self.propensities.at(position)
    }

    /// How many products are counted now.
    pub fn products(&self) -> usize {
        self.products.len()
    }

    fn category_rate(&self, category: Option<FacetKey>, k: f32) -> f32 {
        let everything = self.everything.rate(0.0, 0.0);
        let counter = category.and_then(|c| self.categories.get(&c)).copied().unwrap_or_default();
        counter.rate(everything, f64::from(k)) as f32
    }

    fn count(
        &mut self,
        product: ProductKey,
        category: Option<FacetKey>,
        change: impl Fn(&mut Counter),
    ) {
        change(self.products.entry(product).or_default());
        if let Some(category) = category {
            change(self.categories.entry(category).or_default());
        }
        change(&mut self.everything);
    }

    fn bound(&mut self) {
        if self.everything.shown > COUNT_MAX {
            self.everything.halve();
            self.categories.values_mut().for_each(Counter::halve);
            self.products.values_mut().for_each(Counter::halve);
        }
        thin_out(&mut self.products, self.products_max, |c| c.shown);
        thin_out(&mut self.categories, FACETS_MAX, |c| c.shown);
    }
}

/// Priors of one list's products, which share a few categories.
#[derive(Debug)]
pub struct Priors<'a> {
    population: &'a Population,
    k: f32,
    /// Means of categories; two that meet at one place push each other out.
    means: [Option<(FacetKey, f32)>; MEANS_MAX],
}

impl Priors<'_> {
    /// The same as [`Population::prior_score`].
    pub fn score(&mut self, product: ProductKey, category: Option<FacetKey>) -> f32 {
        let Some(counter) = self.population.products.get(&product) else { return 0.0 };
        let mean = self.mean(category);
        let prior = counter.rate(f64::from(mean), f64::from(self.k)) as f32;
        let score = (prior - mean) / (prior + mean);
        if score.is_finite() { score.clamp(-1.0, 1.0) } else { 0.0 }
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
mod tests {
    use super::*;
    use crate::preferences::testing::facts;
    use crate::types::product::Axis;

    const K: f32 = 20.0;

    fn key(i: usize) -> ProductKey {
        ProductKey::of(&i.to_string())
    }

    fn list(length: usize) -> Vec<(ProductKey, Option<FacetKey>)> {
        (0..length).map(|i| (key(i), Some(FacetKey::of(Axis::Category, "milk")))).collect()
    }

    #[test]
    fn a_click_far_down_says_more_than_a_click_at_the_top() {
        let mut population = Population::new(1_000);
        let milk = Some(FacetKey::of(Axis::Category, "milk"));
        for _ in 0..200 {
            population.record_list(list(10), true);
        }
        for _ in 0..30 {
            population.record_click(key(0), milk, 0, true);
            population.record_click(key(9), milk, 9, true);
        }
        assert!(population.prior(key(9), milk, K) > 2.0 * population.prior(key(0), milk, K));
        let (top, low) =
            (population.prior_score(key(0), milk, K), population.prior_score(key(9), milk, K));
        assert!(low > top && top > 0.0, "{top} {low}");
        assert!(population.prior_score(key(5), milk, K) < 0.0);
    }

    #[test]
    fn an_unknown_product_has_its_categorys_mean_and_no_say_in_the_ranking() {
        let mut population = Population::new(1_000);
        let milk = Some(FacetKey::of(Axis::Category, "milk"));
        assert_eq!(population.prior(key(77), milk, K), 0.0);
        for _ in 0..100 {
            population.record_list(list(5), true);
            population.record_click(key(1), milk, 1, true);
        }
        let mean = population.category_rate(milk, K);
        assert!((population.prior(key(77), milk, K) - mean).abs() < 1e-6);
        assert_eq!(population.prior_score(key(77), milk, K), 0.0);
    }

    #[test]
    fn lists_that_we_ranked_change_no_prior_no_base_rate_and_no_propensity() {
        let mut population = Population::new(1_000);
        let milk = Some(FacetKey::of(Axis::Category, "milk"));
        let oat = facts("3", "Oat Milk", "milk", &["plant-based"]);
        for _ in 0..100 {
            population.record_list(list(5), true);
            population.record_click(key(3), milk, 3, true);
            population.record_evidence(&oat, 0.2, true);
        }
        let numbers = |p: &Population| {
            let plant_based = FacetKey::of(Axis::Attribute, "plant-based");
            let priors = (0..5).map(|i| p.prior(key(i), milk, K)).collect::<Vec<_>>();
            let propensities = (0..10).map(|i| p.propensity(i)).collect::<Vec<_>>();
            (priors, propensities, p.base_rate(plant_based))
        };
        let before = numbers(&population);
        for _ in 0..1_000 {
            population.record_list(list(5), false);
            population.record_click(key(0), milk, 0, false);
            population.record_evidence(&oat, 0.2, false);
        }
        assert_eq!(numbers(&population), before);
    }

    #[test]
    fn a_base_rate_is_the_share_of_evidence_and_is_held_down_while_there_is_little() {
        let mut population = Population::new(10);
        let spicy = facts("a", "Hot Chips", "chips", &["spicy"]);
        let plain = facts("b", "Chips", "chips", &[]);
        let facet = FacetKey::of(Axis::Attribute, "spicy");
        population.record_evidence(&spicy, 0.2, true);
        assert!(population.base_rate(facet) < 0.01);
        for _ in 0..10_000 {
            population.record_evidence(&spicy, 0.25, true);
            population.record_evidence(&plain, 0.75, true);
        }
        assert!((population.base_rate(facet) - 0.25).abs() < 0.01);
        population.record_evidence(&spicy, f32::NAN, true);
        population.record_evidence(&spicy, -5.0, true);
        assert!((population.base_rate(facet) - 0.25).abs() < 0.01);
    }

    #[test]
    fn a_full_table_drops_the_products_seen_least() {
        let mut population = Population::new(100);
        for _ in 0..50 {
            population.record_list(list(10), true);
        }
        for i in 1_000..1_500 {
            population.record_list([(key(i), None)], true);
        }
        assert!(population.products() <= 100);
        assert!((0..10).all(|i| population.products.contains_key(&key(i))));
    }
}
