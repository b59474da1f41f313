//! The shopper's habit with a brand among the hits of one list.
//!
//! In: the hits of a window, what is remembered of each. Out: for each brand the share of what is remembered of these hits
//! that lies on products of that brand, in `0..=1`. Who takes this brand of yogurt and that of bread
//! has two habits; a brand's facet, one sum for the whole shop, knows neither. Nothing is stored for
//! it: the list says what belongs together, and the products' own memory says the rest.

use crate::types::product::{Axis, FacetKey, ProductFacts};

/// What is remembered of the hits of one list, by brand.
#[derive(Debug, Default)]
pub struct Habit {
    brands: Vec<(FacetKey, f32)>,
    whole: f32,
}

impl Habit {
    /// Counts what is remembered of one hit: its slow sum as of now. `O(brands)`.
    pub fn note(&mut self, facts: &ProductFacts, kept: f32) {
        if !(kept > 0.0 && kept.is_finite()) {
            return;
        }
        self.whole += kept;
        let Some(brand) = brand(facts) else { return };
        match self.brands.iter_mut().find(|(known, _)| *known == brand) {
            Some((_, sum)) => *sum += kept,
            None => self.brands.push((brand, kept)),
        }
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
    use crate::preferences::testing::branded;

    #[test]
    fn a_brand_weighs_what_is_remembered_of_its_products_in_this_list() {
        let facts = ["Mill", "Mill", "Creek", ""].map(|b| branded(b, b, b, "bread", &[]));
        let mut habit = Habit::default();
        facts.iter().zip([1.0, -5.0, 2.0, 1.0]).for_each(|(facts, kept)| habit.note(facts, kept));
        assert_eq!(facts.each_ref().map(|facts| habit.share(facts)), [0.25, 0.25, 0.5, 0.0]);
    }

    #[test]
    fn who_remembers_nothing_of_a_list_has_no_habit_in_it() {
        let facts = branded("a", "a", "Mill", "bread", &[]);
        let mut habit = Habit::default();
        [0.0, -1.0, f32::NAN, f32::INFINITY].iter().for_each(|kept| habit.note(&facts, *kept));
        assert_eq!(habit.share(&facts), 0.0);
    }
}
