//! Search in the demo shop: full text first, then whatever looks a little alike.
//!
//! In: a query and how many products are wanted. Out: positions in the catalogue, best first.
//! Words are stemmed by the same code as everywhere else and scored by BM25 over name, brand,
//! category, attributes and terms; a word that no product has matches words that begin like it or
//! differ in one letter. What is missing up to the wanted number is filled with products that
//! share letter triples with the query, as LeafLoaf's hybrid search answers nonsense, too. Same
//! query, same answer: ties go by sku. Never ranks by shopper. Cost `O(products)`.

use tantivy::collector::TopDocs;
use tantivy::directory::RamDirectory;
use tantivy::query::{BooleanQuery, BoostQuery, FuzzyTermQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, Searcher, TantivyDocument, Term};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::catalog::Product;
use crate::rules::knowledge::words;

const MEMORY_BYTES: usize = 32 << 20;

/// Fields by how much a word in them says, and the boost for it.
const FIELDS: [(&str, f32); 4] = [("name", 3.0), ("category", 1.0), ("brand", 1.5), ("label", 0.7)];

/// Shortest word that may differ in a letter from what the shop has.
const FUZZY_LETTERS_MIN: usize = 4;

/// The search index over one catalogue.
pub struct SearchIndex {
    searcher: Searcher,
    fields: Vec<(Field, f32)>,
    triples: Vec<Vec<u32>>,
}

impl SearchIndex {
    /// Indexes products; their order is the tie-break.
    ///
    /// # Errors
    /// What tantivy says when the index cannot be built.
    pub fn build(products: &[Product]) -> tantivy::Result<Self> {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("whitespace")
            .set_index_option(IndexRecordOption::WithFreqs);
        let options = TextOptions::default().set_indexing_options(indexing);
        let fields: Vec<(Field, f32)> = FIELDS
            .iter()
            .map(|(name, boost)| (schema.add_text_field(name, options.clone()), *boost))
            .collect();
        let mut writer = Index::builder()
            .schema(schema.build())
            .single_segment_index_writer(RamDirectory::create(), MEMORY_BYTES)?;
        for product in products {
            let mut document = TantivyDocument::default();
            for ((field, _), text) in fields.iter().zip(texts(product)) {
                document.add_text(*field, words::index_stems(&text).join(" "));
            }
            writer.add_document(document)?;
        }
        let searcher = writer.finalize()?.reader()?.searcher();
        let name = |product: &Product| format!("{} {}", product.name, product.category);
        let triples = products.iter().map(|product| letter_triples(&name(product))).collect();
        Ok(Self { searcher, fields, triples })
    }

    /// The `wanted` best products for `query`, as positions in the catalogue, that `keep` accepts.
    ///
    /// # Errors
    /// What tantivy says when the search fails.
    pub fn search(
        &self,
        query: &str,
        wanted: usize,
        keep: impl Fn(usize) -> bool,
    ) -> tantivy::Result<Vec<usize>> {
        let mut found = self.full_text(query)?;
        found.retain(|at| keep(*at));
        if found.len() < wanted {
            let mut taken = vec![false; self.triples.len()];
            found.iter().for_each(|at| taken[*at] = true);
            found.extend(self.alike(query).into_iter().filter(|at| !taken[*at] && keep(*at)));
        }
        found.truncate(wanted);
        Ok(found)
    }

    /// Products that hold words of the query, best first.
    ///
    /// # Errors
    /// What tantivy says when the search fails.
    pub fn full_text(&self, query: &str) -> tantivy::Result<Vec<usize>> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for stem in words::content_stems(query) {
            self.push_clauses(&stem, &mut clauses)?;
        }
        if clauses.is_empty() {
            return Ok(Vec::new());
        }
        let all = TopDocs::with_limit(self.triples.len().max(1)).order_by_score();
        let mut scored = self.searcher.search(&BooleanQuery::new(clauses), &all)?;
        // One segment, filled in catalogue order: a document's number is its place there.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.doc_id.cmp(&b.1.doc_id)));
        Ok(scored.into_iter().map(|(_, address)| address.doc_id as usize).collect())
    }

    fn push_clauses(
        &self,
        stem: &str,
        clauses: &mut Vec<(Occur, Box<dyn Query>)>,
    ) -> tantivy::Result<()> {
        let known = clauses.len();
        for (field, boost) in &self.fields {
            let term = Term::from_field_text(*field, stem);
            if self.searcher.doc_freq(&term)? > 0 {
                let exact = TermQuery::new(term, IndexRecordOption::WithFreqs);
                let boosted = BoostQuery::new(Box::new(exact), *boost);
                clauses.push((Occur::Should, Box::new(boosted)));
            }
        }
        if clauses.len() == known && stem.chars().count() >= 2 {
            let distance = u8::from(stem.chars().count() >= FUZZY_LETTERS_MIN);
            for (field, boost) in &self.fields {
                let term = Term::from_field_text(*field, stem);
                let near = FuzzyTermQuery::new_prefix(term, distance, true);
                let boosted = BoostQuery::new(Box::new(near), *boost);
                clauses.push((Occur::Should, Box::new(boosted)));
            }
        }
        Ok(())
    }

    /// All products, those that share most letter triples with the query first.
    fn alike(&self, query: &str) -> Vec<usize> {
        let asked = letter_triples(query);
        let likeness = |at: usize| {
            let shared = asked.iter().filter(|triple| self.triples[at].contains(triple)).count();
            // Where nothing is shared the order is arbitrary but fixed, as nearest vectors are.
            (std::cmp::Reverse(shared), xxh3_64_with_seed(query.as_bytes(), at as u64))
        };
        let mut order: Vec<usize> = (0..self.triples.len()).collect();
        order.sort_by_cached_key(|at| likeness(*at));
        order
    }
}

fn texts(product: &Product) -> [String; 4] {
    let labels = product.attributes.iter().chain(&product.terms);
    let labels = labels.map(String::as_str).collect::<Vec<_>>().join(" ");
    let category = product.category.clone();
    [
        product.shelf_name.clone(),
        category,
        product.brand.clone(),
        format!("{labels} {}", product.size),
    ]
}

fn letter_triples(text: &str) -> Vec<u32> {
    let mut triples = Vec::new();
    for stem in words::index_stems(text) {
        let letters: Vec<char> = stem.chars().collect();
        triples.extend(letters.windows(3).map(|three| words::hash(&String::from_iter(three))));
    }
    triples.sort_unstable();
    triples.dedup();
    triples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Catalog;

    struct Shelf {
        catalog: Catalog,
        index: SearchIndex,
    }

    impl Shelf {
        fn ours() -> Self {
            let catalog = Catalog::ours();
            let index = SearchIndex::build(catalog.products()).unwrap();
            Self { catalog, index }
        }

        fn list(&self, query: &str) -> Vec<&Product> {
            let found = self.index.search(query, 15, |_| true).unwrap();
            found.iter().map(|at| &self.catalog.products()[*at]).collect()
        }
    }

    fn positions(list: &[&Product], attribute: &str) -> Vec<usize> {
        let has = |product: &Product| product.attributes.iter().any(|have| have == attribute);
        (0..list.len()).filter(|at| has(list[*at])).collect()
    }

    fn shown(list: &[&Product]) -> String {
        list.iter().map(|product| format!("{}\n", product.name)).collect()
    }

    #[test]
    fn milk_lists_dairy_first_and_oat_milk_further_down() {
        let shelf = Shelf::ours();
        let list = shelf.list("milk");
        let plant = positions(&list, "plant-based");
        assert!(plant.first().is_some_and(|first| *first >= 3), "{}", shown(&list));
        let oat = list.iter().position(|product| product.shelf_name == "Oat Milk");
        assert!(oat.is_some_and(|at| at >= 3), "{}", shown(&list));
        assert!(list.iter().all(|product| product.shelf_name.contains("Milk")), "{}", shown(&list));
    }

    #[test]
    fn yogurt_lists_dairy_first_and_plant_based_yogurt_further_down() {
        let shelf = Shelf::ours();
        for query in ["yogurt", "Yoghurts"] {
            let list = shelf.list(query);
            let plant = positions(&list, "plant-based");
            assert!(plant.first().is_some_and(|first| *first >= 3), "{}", shown(&list));
            assert!(plant.len() >= 3, "{}", shown(&list));
        }
    }

    #[test]
    fn chips_lists_spicy_ones_above_the_original() {
        let shelf = Shelf::ours();
        let list = shelf.list("chips");
        let spicy = positions(&list, "spicy");
        let original = list.iter().position(|product| product.shelf_name == "Original Chips");
        let original = original.unwrap_or_else(|| panic!("no original\n{}", shown(&list)));
        assert!(spicy.iter().filter(|at| **at < original).count() >= 2, "{}", shown(&list));
        assert!(spicy.len() >= 5 && list.len() - spicy.len() >= 5, "{}", shown(&list));
    }

    #[test]
    fn nonsense_still_brings_fifteen_products_the_same_each_time() {
        let shelf = Shelf::ours();
        assert!(shelf.index.full_text("zzzz qqqq").unwrap().is_empty());
        assert_eq!(shelf.list("zzzz qqqq").len(), 15);
        assert_eq!(shown(&shelf.list("zzzz")), shown(&shelf.list("zzzz")));
        assert_eq!(shelf.list("").len(), 15);
    }

    #[test]
    fn a_word_that_begins_or_nearly_reads_like_one_of_the_shop_finds_it() {
        let shelf = Shelf::ours();
        for (query, word) in [("yogrt", "Yogurt"), ("choc", "Chocolate"), ("bananna", "Banana")] {
            let list = shelf.list(query);
            assert!(list[0].shelf_name.contains(word), "{query}: {}", shown(&list));
        }
    }

    #[test]
    fn several_words_ask_for_products_that_have_them_all() {
        let shelf = Shelf::ours();
        for (query, first) in [
            ("organic milk", "Organic"),
            ("oat milk under $5", "Oat Milk"),
            ("gluten free bread", "Gluten-Free"),
            ("vegan cheese", "Vegan"),
            ("meadowgate butter", "Butter"),
        ] {
            let list = shelf.list(query);
            assert!(list[0].shelf_name.contains(first), "{query}: {}", shown(&list));
        }
    }

    #[test]
    fn what_is_not_kept_is_not_listed() {
        let shelf = Shelf::ours();
        let cheap = |at: usize| shelf.catalog.products()[at].price <= 2.0;
        let found = shelf.index.search("milk", 15, cheap).unwrap();
        assert_eq!(found.len(), 15);
        assert!(found.into_iter().all(cheap));
    }
}
