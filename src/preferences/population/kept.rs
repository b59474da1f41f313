//! The population as it stands in the snapshot: a plain value apart from the live tables.
//!
//! In: a [`Population`]. Out: a value that serde writes and reads, and back. A field that a version
//! does not know is left unread, one that is missing is empty, and a count that can be none counts
//! nothing: so versions read each other's.

use serde::{Deserialize, Serialize};

use super::{ByKey, Counter, Population, Product};
use crate::preferences::propensity::Propensities;
use crate::types::ids::ProductKey;
use crate::types::product::FacetKey;

/// A population, to be written or as read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptPopulation {
    /// Product, impressions, clicks.
    products: Vec<(u64, f64, f64)>,
    /// Product, the prior that is told of it, the same when its hour began, that hour, its smoothing.
    told: Vec<(u64, f32, f32, u32, f32)>,
    /// Category, impressions, clicks.
    categories: Vec<(u64, f64, f64)>,
    everything: (f64, f64),
    /// Facet, positive evidence.
    evidence: Vec<(u64, f64)>,
    evidence_total: f64,
    /// By position.
    shown: Vec<f64>,
    clicked: Vec<f64>,
}

impl Population {
    /// A copy to be written. `O(entries)`, and nothing but copying.
    pub fn keep(&self) -> KeptPopulation {
        let (shown, clicked) = self.propensities.counts();
        KeptPopulation {
            products: self
                .products
                .iter()
                .map(|(key, p)| (key.0, p.counter.shown, p.counter.clicked))
                .collect(),
            told: self
                .products
                .iter()
                .map(|(key, p)| (key.0, p.told, p.anchor, p.hour, p.smoothing))
                .collect(),
            categories: self
                .categories
                .iter()
                .map(|(key, c)| (key.0, c.shown, c.clicked))
                .collect(),
            everything: (self.everything.shown, self.everything.clicked),
            evidence: self.evidence.iter().map(|(key, sum)| (key.0, *sum)).collect(),
            evidence_total: self.evidence_total,
            shown: shown.to_vec(),
            clicked: clicked.to_vec(),
        }
    }

    /// The population that was kept, under its own caps.
    pub fn restore(&mut self, kept: &KeptPopulation) {
        let products_max = self.products_max;
        let mut products: ByKey<ProductKey, Product> = counters(&kept.products, ProductKey)
            .into_iter()
            .map(|(key, counter)| (key, Product { counter, ..Product::default() }))
            .collect();
        for (key, told, anchor, hour, smoothing) in &kept.told {
            if let Some(product) = products.get_mut(&ProductKey(*key)) {
                (product.told, product.anchor) = (score(*told), score(*anchor));
                (product.hour, product.smoothing) = (*hour, *smoothing);
            }
        }
        *self = Self {
            products,
            categories: counters(&kept.categories, FacetKey),
            everything: counter(kept.everything),
            evidence: kept
                .evidence
                .iter()
                .map(|(key, sum)| (FacetKey(*key), count(*sum)))
                .collect(),
            evidence_total: count(kept.evidence_total),
            propensities: Propensities::from_counts(&counts(&kept.shown), &counts(&kept.clicked)),
            products_max,
            ..Self::new(products_max)
        };
        self.bound();
    }
}

fn count(count: f64) -> f64 {
    if count.is_finite() { count.max(0.0) } else { 0.0 }
}

fn score(score: f32) -> f32 {
    if score.is_finite() { score.clamp(-1.0, 1.0) } else { 0.0 }
}

fn counts(of: &[f64]) -> Vec<f64> {
    of.iter().copied().map(count).collect()
}

fn counter((shown, clicked): (f64, f64)) -> Counter {
    Counter { shown: count(shown), clicked: count(clicked) }
}

fn counters<K: Eq + std::hash::Hash>(
    rows: &[(u64, f64, f64)],
    key: impl Fn(u64) -> K,
) -> ByKey<K, Counter> {
    rows.iter()
        .map(|(number, shown, clicked)| (key(*number), counter((*shown, *clicked))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Pace;
    use super::*;
    use crate::preferences::testing::facts;
    use crate::types::clock::Timestamp;

    #[test]
    fn a_population_comes_back_as_it_was_kept() {
        let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
        let soy = facts("soy", "Soy Milk", "dairy/milk", &[]);
        let mut population = Population::new(100);
        for _ in 0..200 {
            let list = [(soy.key, soy.category), (oat.key, oat.category)];
            population.record_list(list, true);
            population.record_click(oat.key, oat.category, 1, true);
            population.record_evidence(&oat, 0.7, true);
        }
        let json = serde_json::to_string(&population.keep()).unwrap();
        // as a later version would write it
        let json = json.replacen('{', r#"{"later":[1,2],"#, 1);
        let mut back = Population::new(100);
        back.restore(&serde_json::from_str(&json).unwrap());
        for facts in [&oat, &soy] {
            let score = |p: &Population| p.prior_score(facts.key, facts.category, 20.0);
            assert_eq!(score(&back), score(&population));
            assert_eq!(back.base_rate(facts.facets[0]), population.base_rate(facts.facets[0]));
        }
        assert_eq!(back.propensity(1), {
            population.propensities.refresh();
            population.propensity(1)
        });
        assert!(back.base_rate(oat.facets[0]) > 0.0);
    }

    #[test]
    fn a_restart_does_not_hasten_what_is_told() {
        let milk = Some(FacetKey(0));
        let pace = Pace { prior_max: 0.1, base_rate_max: 0.1, smoothing: 20.0 };
        let now = Timestamp::from_seconds(1_700_000_000);
        let mut population = Population::new(10);
        population.keep_pace(pace, now);
        for _ in 0..200 {
            population.record_list([(ProductKey(1), milk), (ProductKey(2), milk)], true);
            population.record_click(ProductKey(2), milk, 1, true);
        }
        let told = population.prior_score(ProductKey(2), milk, 20.0);
        assert_eq!(told, 0.1);
        let mut back = Population::new(10);
        back.restore(&population.keep());
        back.keep_pace(pace, now);
        back.record_click(ProductKey(2), milk, 1, true);
        assert_eq!(back.prior_score(ProductKey(2), milk, 20.0), told);
    }

    #[test]
    fn counts_that_can_be_none_count_nothing() {
        let json = r#"{"products":[[1,-5,1e300]],"evidence":[[2,-1]],"evidence_total":-3}"#;
        let mut population = Population::new(10);
        population.restore(&serde_json::from_str(json).unwrap());
        assert!((0.0..=1.0).contains(&population.prior_score(ProductKey(1), None, 20.0)));
        assert_eq!(population.base_rate(FacetKey(2)), 0.0);
    }
}
