//! Where two products differ, for evidence that counts only there.
//!
//! In: what is known of a hit that was passed over, of the one that was picked, and of their list.
//! Out: the facets that may have made the difference. What both have did not; nor did the list's own
//! type, which is what was searched for: a click on the one oat drink among milks says
//! nothing against milk.

use std::sync::Arc;

use super::derive::{Counts, Derived};
use crate::rules::Rules;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::signal::Signal;

/// The signals of one act, each with those facts of its product on which it counts. Where nothing is
/// known of the product, or of what was picked instead, it counts on the product alone.
pub fn counted(
    derived: &Derived,
    rules: &Rules,
    facts_of: impl Fn(ProductKey) -> Option<Arc<ProductFacts>>,
) -> Vec<(Signal, Option<Arc<ProductFacts>>)> {
    let list: Vec<_> = derived.list.iter().filter_map(|key| facts_of(*key)).collect();
    let share_min = rules.ranking.relevance.category_share_min;
    let own = own_types(list.iter().map(|facts| &**facts), share_min);
    let counted = |signal: &Signal| {
        let facts = match derived.counts(signal) {
            Counts::Fully => facts_of(signal.product),
            Counts::ProductAlone => None,
            Counts::Beside(picked) => facts_of(signal.product)
                .zip(facts_of(picked))
                .map(|(facts, picked)| Arc::new(beside(&facts, &picked, &own))),
        };
        (*signal, facts)
    };
    derived.signals.iter().map(counted).collect()
}

/// What is left of `passed` for evidence against it.
fn beside(passed: &ProductFacts, picked: &ProductFacts, own: &[FacetKey]) -> ProductFacts {
    let tells = |facet: &&FacetKey| !picked.facets.contains(*facet) && !own.contains(*facet);
    let facets = passed.facets.iter().filter(tells).copied().collect();
    ProductFacts { facets, ..passed.clone() }
}

/// The list's own type: the categories that at least `share_min` of its hits have, and the most
/// common one of all.
///
/// `O(hits · categories)`; hits are few.
fn own_types<'a>(list: impl Iterator<Item = &'a ProductFacts>, share_min: f32) -> Vec<FacetKey> {
    let mut hits = 0_usize;
    let mut counts: Vec<(FacetKey, usize)> = Vec::new();
    for facts in list {
        hits += 1;
        for facet in facts.facets.iter().filter(|facet| facet.axis() == Axis::Category) {
            match counts.iter_mut().find(|(known, _)| known == facet) {
                Some((_, count)) => *count += 1,
                None => counts.push((*facet, 1)),
            }
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let often = |count: usize| count == most || count as f32 >= share_min * hits as f32;
    counts.into_iter().filter(|(_, count)| often(*count)).map(|(facet, _)| facet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preferences::testing::facts;

    #[test]
    fn only_what_the_picked_one_lacks_and_the_list_is_not_about_speaks_against_a_hit() {
        let hot = facts("hot", "Hot Chips", "snacks/chips", &["spicy", "vegan"]);
        let picked = facts("original", "Original Chips", "snacks/crisps", &["vegan"]);
        let own = own_types([&hot, &hot, &picked].into_iter(), 0.4);
        let left = beside(&hot, &picked, &own);
        assert_eq!(&*left.facets, [FacetKey::of(Axis::Attribute, "spicy")]);
        let without_the_list = beside(&hot, &picked, &[]);
        assert!(without_the_list.facets.contains(&FacetKey::of(Axis::Category, "snacks/chips")));
        assert_eq!(left.key, hot.key);
    }
}
