//! The shopper's habit with a brand among the hits of one list.
//!
//! In: the hits of a window, a taste. Out: for each brand the share of what is remembered of these hits
//! that lies on products of that brand, in `0..=1`. Who takes this brand of yogurt and that of bread
//! has two habits; a brand's facet, one sum for the whole shop, knows neither. Nothing is stored for
//! it: the list says what belongs together, and the products' own memory says the rest.

use super::Candidate;
use crate::preferences::taste::Taste;
use crate::types::product::{Axis, FacetKey, ProductFacts};

/// What is remembered of the hits of one list, by brand.
#[derive(Debug, Default)]
pub struct Habit {
    brands: Vec<(FacetKey, f32)>,
    whole: f32,
}

impl Habit {
    /// Reads the slow memory of every hit that may be remembered. `O(hits · (log memory + brands))`.
    pub fn of(hits: &[Candidate<'_>], taste: &Taste<'_>) -> Self {
        let mut habit = Self::default();
        for hit in hits.iter().filter(|hit| !hit.unremembered) {
            let kept = taste.sums(hit.facts.key).0;
            if !(kept > 0.0 && kept.is_finite()) {
                continue;
            }
            habit.whole += kept;
            let Some(brand) = brand(hit.facts) else { continue };
            match habit.brands.iter_mut().find(|(known, _)| *known == brand) {
                Some((_, sum)) => *sum += kept,
                None => habit.brands.push((brand, kept)),
            }
        }
        habit
    }

    /// The share of a product's brand; 0 where nothing of this list is remembered.
    pub fn share(&self, facts: &ProductFacts) -> f32 {
        if self.brands.is_empty() {
            return 0.0;
        }
        let of_brand = brand(facts).and_then(|own| self.brands.iter().find(|(b, _)| *b == own));
        of_brand.map_or(0.0, |(_, sum)| sum / self.whole)
    }
}

fn brand(facts: &ProductFacts) -> Option<FacetKey> {
    facts.on_axis(Axis::Brand).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preferences::testing::{branded, rules_for_tests};
    use crate::types::clock::Timestamp;
    use crate::types::profile::{ProductMemory, Profile};

    #[test]
    fn a_brand_weighs_what_is_remembered_of_its_products_in_this_list() {
        let rules = rules_for_tests();
        let facts = ["Mill", "Mill", "Creek", ""].map(|b| branded(b, b, b, "bread", &[]));
        let keys = ["a", "b", "c", "d"].map(crate::types::ids::ProductKey::of);
        let facts: Vec<_> =
            facts.into_iter().zip(keys).map(|(f, key)| ProductFacts { key, ..f }).collect();
        let kept = |at: usize, slow| ProductMemory { slow, ..ProductMemory::blank(keys[at]) };
        let mut products = vec![kept(0, 1.0), kept(2, 2.0), kept(3, 1.0), kept(1, -5.0)];
        products.sort_by_key(|product| product.key);
        let profile = Profile { products, evidence: 4.0, ..Profile::default() };
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        let hit = |unremembered| {
            move |facts| Candidate {
                facts,
                score: None,
                price: None,
                in_stock: None,
                sponsored: false,
                unremembered,
            }
        };
        let hits: Vec<_> = facts.iter().map(hit(false)).collect();
        let habit = Habit::of(&hits, &taste);
        let shares: Vec<_> = facts.iter().map(|facts| habit.share(facts)).collect();
        assert_eq!(shares, [0.25, 0.25, 0.5, 0.0]);
        let hidden: Vec<_> = facts.iter().map(hit(true)).collect();
        let habit = Habit::of(&hidden, &taste);
        assert!(facts.iter().all(|facts| habit.share(facts) == 0.0));
    }
}
