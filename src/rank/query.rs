//! What a query asks for, as hashes and keys.
//!
//! In: the query's text and the knowledge tables, once a request. Out: the words a hit must hold to
//! be on topic, and what the query names outright: attributes (organic), brands, sizes (2 lb). What
//! is named is an intent, not a topic: for "organic milk" every milk is on topic, and organic ones
//! stay before the others. This is the only file of `rank` that looks at text.
//!
//! A brand is taken for named when some words in a row, hashed as a brand facet, are the brand of a
//! hit in the list, so no list of brands is needed. Bounded: the first [`TOKENS_MAX`] words count.

use crate::rules::knowledge::{Knowledge, content_words, words};
use crate::types::product::{Axis, FacetKey, normalise};

/// Words of a query that are looked at.
const TOKENS_MAX: usize = 16;

/// Longest run of words taken for one brand or attribute.
const PHRASE_MAX: usize = 3;

/// So many words of what is looked for mean one product: "milk" and "whole milk" are shelves.
const SPECIFIC_WORDS_MIN: usize = 3;

/// Words that make the number before them a size.
const UNITS: &[&str] = &[
    "oz", "ounce", "ounces", "lb", "lbs", "pound", "pounds", "g", "kg", "gram", "grams", "ml",
    "cl", "l", "liter", "liters", "litre", "litres", "gal", "gallon", "gallons", "pt", "pint",
    "pints", "qt", "quart", "quarts", "ct", "count", "pack", "pk",
];

/// A brand that the query may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBrand {
    /// The brand, were there one of this name.
    pub facet: FacetKey,
    /// The words that name it.
    pub words: Vec<u32>,
    /// Its words are stems of other words ("oatly" of "oat"): only the facet tells the brand.
    pub by_facet: bool,
}

/// A query as the ranking sees it. The default is an empty query: nothing is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryView {
    /// All words, folded and stemmed: what rules' `when.queries` are compared with. Sorted.
    pub words: Vec<u32>,
    /// Words that say what is looked for, without those that name attributes and sizes. Sorted.
    pub topic: Vec<u32>,
    /// Attributes named.
    pub attributes: Vec<FacetKey>,
    /// Brands that may be named; at most three a word.
    pub brands: Vec<NamedBrand>,
    /// Sizes named, each by all of its words.
    pub sizes: Vec<Vec<u32>>,
    /// It has so many words, or such a size, that it means one product and not a shelf.
    pub specific: bool,
}

impl QueryView {
    /// Reads a query.
    pub fn of(text: &str, knowledge: &Knowledge) -> Self {
        let text = normalise(text);
        let tokens: Vec<&str> =
            text.split(' ').filter(|t| !t.is_empty()).take(TOKENS_MAX).collect();
        let text = tokens.join(" ");
        let facet = |name: &str| FacetKey::of(Axis::Attribute, &normalise(name));
        let mut view = Self { words: words(&text), ..Self::default() };
        view.attributes = knowledge.query_attributes(&text).into_iter().map(facet).collect();
        view.attributes.sort_unstable();
        view.attributes.dedup();
        let mut named = attribute_words(&tokens, knowledge);
        view.read_sizes(&tokens, &mut named);
        view.read_brands(&tokens, &named);
        view.topic = content_words(&text);
        view.specific = view.topic.len() >= SPECIFIC_WORDS_MIN || !view.sizes.is_empty();
        view.topic.retain(|word| !named.contains(word));
        view.topic.sort_unstable();
        view
    }

    /// True when nothing at all is asked for.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn read_sizes(&mut self, tokens: &[&str], named: &mut Vec<u32>) {
        for (i, token) in tokens.iter().enumerate() {
            if !token.starts_with(|c: char| c.is_ascii_digit()) {
                // amounts of money and the like say nothing about what a hit is
                if token.contains(|c: char| c.is_ascii_digit()) {
                    named.extend(words(token));
                }
                continue;
            }
            let unit = tokens.get(i + 1).filter(|next| UNITS.contains(next));
            let attached = UNITS.contains(&token.trim_start_matches(|c: char| !c.is_alphabetic()));
            let size = match unit {
                Some(unit) => words(&format!("{token} {unit}")),
                None => words(token),
            };
            named.extend(&size);
            if unit.is_some() || attached {
                self.sizes.push(size);
            }
        }
    }

    /// What asks for an attribute or a size ("fresh") names no brand.
    fn read_brands(&mut self, tokens: &[&str], named: &[u32]) {
        for (_, phrase) in phrases(tokens) {
            let facet = FacetKey::of(Axis::Brand, &phrase);
            let words = words(&phrase);
            if !words.iter().all(|word| named.contains(word)) {
                let by_facet = phrase.ends_with("ly");
                self.brands.push(NamedBrand { facet, words, by_facet });
            }
        }
    }
}

/// The words that name attributes, in the shortest run that does.
fn attribute_words(tokens: &[&str], knowledge: &Knowledge) -> Vec<u32> {
    let mut found: Vec<String> = Vec::new();
    let mut named = Vec::new();
    for (_, phrase) in phrases(tokens) {
        let attributes = knowledge.query_attributes(&phrase);
        let mut new = false;
        for attribute in attributes {
            if !found.iter().any(|known| known == attribute) {
                found.push(attribute.to_owned());
                new = true;
            }
        }
        if new {
            named.extend(words(&phrase));
        }
    }
    named
}

/// Runs of one to three words, shorter ones first.
fn phrases<'a>(tokens: &'a [&'a str]) -> impl Iterator<Item = (usize, String)> + 'a {
    (1..=PHRASE_MAX).flat_map(move |length| {
        tokens.windows(length).enumerate().map(|(start, run)| (start, run.join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preferences::testing::rules_for_tests;

    fn view(text: &str) -> QueryView {
        QueryView::of(text, &rules_for_tests().knowledge)
    }

    #[test]
    fn the_topic_is_what_is_looked_for_and_not_its_size_or_price() {
        assert_eq!(view("Milk").topic, words("milk"));
        assert_eq!(view("tomatoes $20").topic, words("tomatoes"));
        let milk = view("milk 2 lb");
        assert_eq!((milk.topic, milk.sizes), (words("milk"), vec![words("2 lb")]));
        let attached = view("12oz milk");
        assert_eq!((attached.topic, attached.sizes), (words("milk"), vec![words("12oz")]));
        assert!(view("burst 24").sizes.is_empty(), "a bare number is no size");
    }

    #[test]
    fn every_run_of_words_may_be_a_brand() {
        let facets: Vec<_> = view("green valley milk").brands.iter().map(|b| b.facet).collect();
        assert!(facets.contains(&FacetKey::of(Axis::Brand, "green valley")));
        assert!(facets.contains(&FacetKey::of(Axis::Brand, "milk")));
        assert_eq!(facets.len(), 6);
    }

    #[test]
    fn words_that_ask_for_an_attribute_name_no_brand() {
        assert!(view("fresh").brands.is_empty());
        let facets: Vec<_> = view("fresh express").brands.iter().map(|b| b.facet).collect();
        assert!(facets.contains(&FacetKey::of(Axis::Brand, "fresh express")));
    }

    #[test]
    fn three_words_or_a_number_with_a_unit_mean_one_product() {
        for query in ["oatly barista 1l", "milk 2 lb", "organic whole milk", "penne rigate pasta"] {
            assert!(view(query).specific, "{query}");
        }
        for query in ["milk", "whole milk", "show me some milk", "milk under $5", "7 up", ""] {
            assert!(!view(query).specific, "{query}");
        }
    }

    #[test]
    fn an_endless_query_is_read_up_to_a_limit() {
        let long = "milk ".repeat(10_000);
        assert!(view(&long).brands.len() <= 3 * TOKENS_MAX);
        assert!(view("").is_empty() && view(" \t ").is_empty());
    }
}
