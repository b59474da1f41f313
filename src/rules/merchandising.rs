//! The merchandising rules with an index, so that a search looks at those that may mean it alone.
//!
//! In: rules in file order. Out: for a list, the rules that can act on it, in file order. Each rule is
//! filed once, under what fewest searches have: a word of each of its queries, else its products, else
//! the taste that it asks for, else its facets. What is left names no query, product, facet or taste;
//! such rules are looked at each time. Cost a list: `O(hits · facets)` probes, whatever the number of
//! rules, and the rules that are found.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Deref;

use super::{Action, MerchandisingRule};
use crate::types::ids::ProductKey;
use crate::types::product::{FacetKey, ProductFacts};

/// So few are looked at without asking the index.
const FEW: usize = 12;

/// Rules in file order.
#[derive(Clone, Debug, Default)]
pub struct Merchandising {
    rules: Vec<MerchandisingRule>,
    words: Filed<u32>,
    products: Filed<ProductKey>,
    tastes: Filed<FacetKey>,
    facets: Filed<FacetKey>,
    /// Rules that are filed nowhere.
    rest: Vec<u32>,
    asks_daypart: bool,
    removes: bool,
}

/// Rules by what they are filed under.
type Filed<K> = HashMap<K, Vec<u32>, BuildHasherDefault<KeyHasher>>;

/// Calls back with each facet of which a shopper has a taste.
pub type Tastes<'a> = &'a dyn Fn(&mut dyn FnMut(FacetKey));

/// What a list has that rules are filed under.
#[derive(Clone, Copy)]
pub struct Sought<'a> {
    /// The words of the query.
    pub words: &'a [u32],
    /// The facets of which the shopper has a taste.
    pub tastes: Tastes<'a>,
}

impl Merchandising {
    /// True when a rule asks for the part of the day.
    pub fn asks_daypart(&self) -> bool {
        self.asks_daypart
    }

    /// True when a rule takes hits out of the reply.
    pub fn removes(&self) -> bool {
        self.removes
    }

    /// Rules that may act on one of these hits, by their number, in file order; no other can.
    pub fn may_act<'a>(
        &self,
        sought: Sought<'_>,
        hits: impl Iterator<Item = &'a ProductFacts>,
    ) -> Vec<u32> {
        if self.rules.len() <= FEW {
            return (0..self.rules.len() as u32).collect();
        }
        let mut found = self.rest.clone();
        for word in sought.words {
            found.extend(self.words.get(word).into_iter().flatten());
        }
        if !self.tastes.is_empty() {
            (sought.tastes)(&mut |facet| {
                found.extend(self.tastes.get(&facet).into_iter().flatten());
            });
        }
        if !self.products.is_empty() || !self.facets.is_empty() {
            self.of_hits(hits, &mut found);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn of_hits<'a>(&self, hits: impl Iterator<Item = &'a ProductFacts>, found: &mut Vec<u32>) {
        // Hits of one list share facets: what many rules are filed under is taken once.
        let mut taken: HashSet<FacetKey, BuildHasherDefault<KeyHasher>> = HashSet::default();
        for facts in hits {
            found.extend(self.products.get(&facts.key).into_iter().flatten());
            if self.facets.is_empty() {
                continue;
            }
            for facet in facts.facets.iter().chain(&facts.sizes) {
                if let Some(rules) = self.facets.get(facet)
                    && taken.insert(*facet)
                {
                    found.extend(rules);
                }
            }
        }
    }

    fn file(&mut self, number: u32, often: &HashMap<u32, usize>) {
        let Some(rule) = self.rules.get(number as usize) else { return };
        let (when, select) = (&rule.when, &rule.select);
        let rarest = |query: &Vec<u32>| {
            query.iter().copied().min_by_key(|word| (often.get(word).copied(), *word))
        };
        // An affinity that is not there is 0: it is enough for such a rule.
        let taste = when.shopper.filter(|(_, affinity_min)| *affinity_min > 0.0);
        if !when.queries.is_empty() && when.queries.iter().all(|query| !query.is_empty()) {
            for word in when.queries.iter().filter_map(rarest) {
                self.words.entry(word).or_default().push(number);
            }
        } else if let (Some((facet, _)), true) = (taste, select.products.is_empty()) {
            self.tastes.entry(facet).or_default().push(number);
        } else if select.products.is_empty() && select.facets.is_empty() {
            self.rest.push(number);
        } else {
            for product in &select.products {
                self.products.entry(*product).or_default().push(number);
            }
            for facet in &select.facets {
                self.facets.entry(*facet).or_default().push(number);
            }
        }
    }
}

impl From<Vec<MerchandisingRule>> for Merchandising {
    fn from(rules: Vec<MerchandisingRule>) -> Self {
        let mut often = HashMap::new();
        for word in rules.iter().flat_map(|rule| rule.when.queries.iter().flatten()) {
            *often.entry(*word).or_default() += 1;
        }
        let asks_daypart = rules.iter().any(|rule| !rule.when.dayparts.is_empty());
        let removal = Action::Hide { allow_removal: true };
        let removes = rules.iter().any(|rule| rule.action == removal);
        let count = rules.len() as u32;
        let mut filed = Self { rules, asks_daypart, removes, ..Self::default() };
        (0..count).for_each(|number| filed.file(number, &often));
        filed
    }
}

impl Deref for Merchandising {
    type Target = [MerchandisingRule];

    fn deref(&self) -> &[MerchandisingRule] {
        &self.rules
    }
}

/// Keys are hashes already: one multiplication spreads them.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, key: u32) {
        self.write_u64(key.into());
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = (self.0 ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::rules::{Select, When};
    use crate::types::product::Axis;

    fn facet(n: u8) -> FacetKey {
        FacetKey::of(Axis::Brand, &n.to_string())
    }

    fn product(key: u8, facets: &[u8]) -> ProductFacts {
        ProductFacts {
            key: ProductKey(key.into()),
            name: Box::default(),
            facets: facets.iter().map(|n| facet(*n)).collect(),
            sizes: Box::default(),
            category: None,
            price: None,
            terms: Box::default(),
            sensitive: false,
        }
    }

    type Raw = (Vec<Vec<u32>>, Option<(u8, f32)>, Vec<u8>, Vec<u8>);

    fn rule((queries, shopper, products, facets): Raw) -> MerchandisingRule {
        let shopper = shopper.map(|(n, least)| (facet(n), least));
        let products = products.into_iter().map(|key| ProductKey(key.into())).collect();
        let facets = facets.into_iter().map(facet).collect();
        MerchandisingRule {
            id: "x".into(),
            when: When { queries, shopper, ..When::default() },
            select: Select { products, facets, without: Vec::new() },
            action: Action::Boost(1.0),
        }
    }

    /// Could the rule act on one of the hits, for a shopper with full tastes for `tastes`?
    fn acts(
        rule: &MerchandisingRule,
        words: &[u32],
        tastes: &[FacetKey],
        hits: &[ProductFacts],
    ) -> bool {
        let asked = |query: &Vec<u32>| query.iter().all(|word| words.contains(word));
        let queries = &rule.when.queries;
        let liked = |(facet, least): (FacetKey, f32)| {
            least <= if tastes.contains(&facet) { 1.0 } else { 0.0 }
        };
        let select = &rule.select;
        let every = select.products.is_empty() && select.facets.is_empty();
        let means = |hit: &ProductFacts| {
            every
                || select.products.contains(&hit.key)
                || select.facets.iter().any(|facet| hit.has(*facet))
        };
        (queries.is_empty() || queries.iter().any(asked))
            && rule.when.shopper.is_none_or(liked)
            && hits.iter().any(means)
    }

    proptest! {
        #[test]
        fn no_rule_that_can_act_is_left_out(
            raw in vec((vec(vec(0..6_u32, 1..3), 0..3), proptest::option::of((0..6_u8, -0.5..0.9_f32)),
                vec(0..8_u8, 0..3), vec(0..6_u8, 0..3)), 0..60),
            words in vec(0..6_u32, 0..4),
            tastes in vec(0..6_u8, 0..3),
            hits in vec((0..8_u8, vec(0..6_u8, 0..3)), 0..6),
        ) {
            let rules = Merchandising::from(raw.into_iter().map(rule).collect::<Vec<_>>());
            let hits: Vec<_> = hits.iter().map(|(key, facets)| product(*key, facets)).collect();
            let tastes: Vec<_> = tastes.into_iter().map(facet).collect();
            let each = |then: &mut dyn FnMut(FacetKey)| tastes.iter().for_each(|facet| then(*facet));
            let found = rules.may_act(Sought { words: &words, tastes: &each }, hits.iter());
            prop_assert!(found.is_sorted_by(|a, b| a < b), "{:?}", found);
            for (number, rule) in rules.iter().enumerate() {
                if acts(rule, &words, &tastes, &hits) {
                    prop_assert!(found.contains(&(number as u32)), "{:?} of {:?}", rule, found);
                }
            }
        }
    }

    #[test]
    fn ten_thousand_rules_that_mean_something_else_are_not_looked_at() {
        let one = |n: u32| match n % 4 {
            0 => (vec![vec![7, 100 + n]], None, vec![], vec![]),
            1 => (vec![], None, vec![200], vec![]),
            2 => (vec![], Some((100, 0.5)), vec![], vec![3]),
            _ => (vec![], None, vec![], vec![100 + (n % 100) as u8]),
        };
        let rules: Vec<_> = (0..10_000).map(one).map(rule).collect();
        let rules = Merchandising::from(rules);
        let hits = [product(1, &[3, 4]), product(2, &[3])];
        let tastes = |then: &mut dyn FnMut(FacetKey)| then(facet(3));
        let found = rules.may_act(Sought { words: &[7, 8], tastes: &tastes }, hits.iter());
        assert_eq!(found, [] as [u32; 0]);
        let found = rules.may_act(Sought { words: &[7, 104], tastes: &tastes }, hits.iter());
        assert_eq!(found, [4]);
    }
}
