//! What is known of products, learned from the replies that flow by.
//!
//! In: a product as a hit, an event or a page describes it. Out: its facts: facets of all axes,
//! price, and the words a query may match. A product seen before costs one look-up; its attributes
//! are inferred again only when its description or the knowledge tables change. At most
//! `products_max` products and as many facet names are kept; the least used go first. The snapshot
//! holds them ([`kept`]): what a restarted process learns from its first click has its facets.

mod kept;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::rules::facts::{PriceLevel, Shelf, facts_of};
use crate::rules::knowledge::Knowledge;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, PriceTier, ProductFacts};
use crate::wire::HitView;

/// Categories whose price level is kept.
const CATEGORIES_MAX: usize = 10_000;

/// The catalogue.
pub struct Catalog {
    products: Cache<ProductKey, Entry>,
    names: Cache<FacetKey, Arc<str>>,
    levels: Cache<FacetKey, Arc<Mutex<PriceLevel>>>,
    knowledge: AtomicU64,
}

/// Facts and a digest of the description they were made from.
#[derive(Clone)]
struct Entry {
    digest: u64,
    /// What the description gave ([`said_by`]).
    said: u8,
    facts: Arc<ProductFacts>,
}

impl Catalog {
    /// An empty catalogue.
    pub fn new(products_max: usize) -> Self {
        Self {
            products: Cache::new(products_max.max(1)),
            names: Cache::new(products_max.max(1)),
            levels: Cache::new(CATEGORIES_MAX),
            knowledge: AtomicU64::new(0),
        }
    }

    /// The facts of a product as last described.
    pub fn get(&self, key: ProductKey) -> Option<Arc<ProductFacts>> {
        self.products.get(&key).map(|entry| entry.facts)
    }

    /// The facts of the product that `hit` describes, learned now if they are new.
    ///
    /// A description that says less than the one known changes nothing: a page that lists names, or
    /// an event that only gives a key.
    pub fn describe(&self, hit: &HitView<'_>, knowledge: &Knowledge) -> Arc<ProductFacts> {
        self.follow(knowledge);
        let key = ProductKey::of(&hit.id);
        let digest = hit.digest();
        let known = self.products.get(&key);
        // nearly every hit is one described before, in the same words
        let known = match known {
            Some(entry) if entry.digest == digest => return entry.facts,
            known => known,
        };
        let said = said_by(hit);
        if let Some(entry) = known
            && (is_bare(hit) || (said != entry.said && said & !entry.said == 0))
        {
            return entry.facts;
        }
        let facts = Arc::new(facts_of(hit, knowledge, self));
        if !is_bare(hit) {
            self.products.insert(key, Entry { digest, said, facts: facts.clone() });
        }
        facts
    }

    /// The name of a facet, as first seen.
    pub fn name(&self, facet: FacetKey) -> Option<Arc<str>> {
        self.names.get(&facet)
    }

    /// Products known.
    pub fn products(&self) -> usize {
        self.products.len()
    }

    /// Other tables infer other attributes: everything is inferred again when next seen.
    fn follow(&self, knowledge: &Knowledge) {
        let version = knowledge.version();
        if self.knowledge.load(Ordering::Relaxed) != version
            && self.knowledge.swap(version, Ordering::Relaxed) != 0
        {
            self.products.clear();
        }
    }
}

impl Shelf for Catalog {
    fn facet(&self, axis: Axis, value: &str) -> FacetKey {
        let key = FacetKey::of(axis, value);
        if self.names.get(&key).is_none() {
            self.names.insert(key, Arc::from(value));
        }
        key
    }

    fn tier(&self, category: FacetKey, price: f32) -> Option<PriceTier> {
        let level = self.levels.get(&category).unwrap_or_else(|| {
            let level = Arc::<Mutex<PriceLevel>>::default();
            self.levels.insert(category, level.clone());
            level
        });
        let mut level = level.lock();
        level.place(price)
    }
}

fn is_bare(hit: &HitView<'_>) -> bool {
    let said = hit.words();
    said.name.is_none() && said.category.is_none()
}

/// Which of name, category, brand, attributes, terms and price a description gives, a bit each.
fn said_by(hit: &HitView<'_>) -> u8 {
    let text = |part: &Option<Cow<'_, str>>| part.as_deref().is_some_and(|t| !t.trim().is_empty());
    let said = hit.words();
    let parts = [
        text(&said.name),
        text(&said.category),
        text(&said.brand),
        !said.attributes.is_empty(),
        !said.terms.is_empty(),
        hit.price.is_some(),
    ];
    parts.into_iter().fold(0, |bits, said| bits << 1 | u8::from(said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Words;

    fn hit<'a>(id: &'a str, name: &'a str, category: &'a str, price: f32) -> HitView<'a> {
        HitView {
            id: id.into(),
            read: Words {
                name: Some(name.into()),
                category: Some(category.into()),
                brand: Some("Harvest Lane".into()),
                ..Words::default()
            },
            price: Some(price),
            ..HitView::default()
        }
    }

    #[test]
    fn a_category_path_gives_a_facet_a_level() {
        let catalog = Catalog::new(10);
        let facts =
            catalog.describe(&hit("1", "Gala", "Produce/Fruit/Apples", 2.0), &Knowledge::shipped());
        let names: Vec<_> = facts.on_axis(Axis::Category).filter_map(|f| catalog.name(f)).collect();
        for wanted in ["produce", "produce/fruit", "produce/fruit/apples"] {
            assert!(names.iter().any(|n| &**n == wanted), "{wanted} in {names:?}");
        }
        assert_eq!(catalog.name(facts.category.unwrap()).as_deref(), Some("produce/fruit/apples"));
    }

    #[test]
    fn an_event_that_only_gives_a_key_changes_nothing_known() {
        let catalog = Catalog::new(10);
        let knowledge = Knowledge::shipped();
        let known = catalog.describe(&hit("1", "Oat Milk", "Dairy", 3.0), &knowledge);
        let bare = HitView { id: "1".into(), ..HitView::default() };
        assert_eq!(catalog.describe(&bare, &knowledge), known);
        let unknown = HitView { id: "2".into(), ..HitView::default() };
        assert!(catalog.describe(&unknown, &knowledge).facets.is_empty());
        assert!(catalog.get(ProductKey::of("2")).is_none());
    }

    #[test]
    fn a_description_that_says_less_changes_nothing_and_one_that_says_other_things_does() {
        let catalog = Catalog::new(10);
        let knowledge = Knowledge::shipped();
        let known = catalog.describe(&hit("1", "Oat Milk", "Dairy", 3.0), &knowledge);
        let name = Some("Oat Milk".into());
        let read = Words { name, ..Words::default() };
        let listed = HitView { id: "1".into(), read, ..HitView::default() };
        assert_eq!(catalog.describe(&listed, &knowledge), known);
        let read = Words { attributes: vec!["new".into()], ..listed.read.clone() };
        let tagged = HitView { read, ..listed };
        assert_ne!(catalog.describe(&tagged, &knowledge), known);
    }

    #[test]
    fn a_size_can_be_asked_for_and_is_no_taste() {
        let catalog = Catalog::new(10);
        let facts =
            catalog.describe(&hit("1", "Oat Milk 0.5 gal", "Dairy", 3.0), &Knowledge::shipped());
        let size = FacetKey::of(Axis::Attribute, "half-gallon");
        assert!(facts.has(size) && !facts.facets.contains(&size));
    }

    #[test]
    fn a_changed_price_is_learned() {
        let catalog = Catalog::new(10);
        let knowledge = Knowledge::shipped();
        catalog.describe(&hit("1", "Oat Milk", "Dairy", 3.0), &knowledge);
        catalog.describe(&hit("1", "Oat Milk", "Dairy", 4.0), &knowledge);
        assert_eq!(catalog.get(ProductKey::of("1")).unwrap().price, Some(4.0));
    }

    #[test]
    fn tiers_follow_the_category_and_need_some_prices_first() {
        let catalog = Catalog::new(100);
        let knowledge = Knowledge::shipped();
        let tier = |facts: &ProductFacts| {
            facts.on_axis(Axis::PriceTier).next().and_then(|f| catalog.name(f))
        };
        let first = catalog.describe(&hit("0", "Apple", "Fruit", 9.0), &knowledge);
        assert_eq!(tier(&first), None);
        for number in 1..30 {
            let id = number.to_string();
            catalog.describe(&hit(&id, "Apple", "Fruit", 2.0 + 0.1 * number as f32), &knowledge);
        }
        let dear = catalog.describe(&hit("dear", "Apple", "Fruit", 12.0), &knowledge);
        assert_eq!(tier(&dear).as_deref(), Some("premium"));
        let cheap = catalog.describe(&hit("cheap", "Apple", "Fruit", 0.9), &knowledge);
        assert_eq!(tier(&cheap).as_deref(), Some("budget"));
    }
}
