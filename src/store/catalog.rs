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

use crate::rules::knowledge::{Knowledge, words};
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, PriceTier, ProductFacts, normalise};
use crate::wire::HitView;

/// Prices seen in a category before its products get a tier.
const PRICES_MIN: f32 = 8.0;
/// Weight at which a category's price level stops growing firmer, so that it can follow a trend.
const PRICES_MAX: f32 = 1_000.0;
/// Distance from the category's mean, in standard deviations of ln(price), that makes a tier.
const TIER_DEVIATIONS: f32 = 0.5;
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

/// Running mean and variance of ln(price) in one category.
#[derive(Clone, Copy, Debug, Default)]
struct PriceLevel {
    weight: f32,
    mean: f32,
    /// Mean of squared deviations.
    variance: f32,
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
        let facts = Arc::new(self.facts_of(key, hit, knowledge));
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

    fn facts_of(&self, key: ProductKey, hit: &HitView<'_>, knowledge: &Knowledge) -> ProductFacts {
        let said = hit.words();
        let name = said.name.as_deref().unwrap_or("");
        let category = said.category.as_deref().map(normalise).filter(|c| !c.is_empty());
        let terms: Vec<&str> = said.terms.iter().map(Cow::as_ref).collect();
        let mut facets = Vec::with_capacity(8);
        let mut leaf = None;
        if let Some(path) = &category {
            for level in levels_of(path) {
                leaf = Some(self.facet(Axis::Category, level));
                facets.extend(leaf);
            }
        }
        let brand = said.brand.as_deref().map(normalise).filter(|b| !b.is_empty());
        facets.extend(brand.map(|brand| self.facet(Axis::Brand, &brand)));
        let labels: Vec<String> = said.attributes.iter().map(|label| normalise(label)).collect();
        let given = labels.iter().filter(|label| !label.is_empty());
        facets.extend(given.map(|label| self.facet(Axis::Attribute, label)));
        let mut sizes = Vec::new();
        let inferred = knowledge.infer(name, said.category.as_deref(), &terms);
        let texts = [name, said.brand.as_deref().unwrap_or("")].into_iter();
        let texts = texts.chain(terms.iter().copied()).chain(inferred.iter().copied());
        let texts = texts.chain(labels.iter().map(String::as_str));
        let sensitive = knowledge.is_sensitive(texts, category.as_deref());
        for attribute in inferred {
            let list = if knowledge.is_size(attribute) { &mut sizes } else { &mut facets };
            list.push(self.facet(Axis::Attribute, attribute));
        }
        let price = hit.price.filter(|price| price.is_finite() && *price > 0.0);
        if let (Some(category), Some(price)) = (leaf, price)
            && let Some(tier) = self.tier(category, price)
        {
            facets.push(self.facet(Axis::PriceTier, tier.name()));
        }
        facets.sort_unstable_by_key(|facet| (facet.axis(), *facet));
        facets.dedup();
        let text = [name, category.as_deref().unwrap_or("")].into_iter().chain(terms);
        let terms = words(&text.collect::<Vec<_>>().join(" "));
        ProductFacts {
            key,
            name: name.into(),
            facets: facets.into(),
            sizes: sizes.into(),
            category: leaf,
            price,
            terms: terms.into(),
            sensitive,
        }
    }

    fn facet(&self, axis: Axis, value: &str) -> FacetKey {
        let key = FacetKey::of(axis, value);
        if self.names.get(&key).is_none() {
            self.names.insert(key, Arc::from(value));
        }
        key
    }

    /// Notes a price and says how dear it is among its category, once enough prices are known.
    fn tier(&self, category: FacetKey, price: f32) -> Option<PriceTier> {
        let level = self.levels.get(&category).unwrap_or_else(|| {
            let level = Arc::<Mutex<PriceLevel>>::default();
            self.levels.insert(category, level.clone());
            level
        });
        let mut level = level.lock();
        let tier = level.tier(price.ln());
        level.note(price.ln());
        tier
    }
}

impl PriceLevel {
    fn tier(&self, ln: f32) -> Option<PriceTier> {
        let deviation = self.variance.sqrt();
        if self.weight < PRICES_MIN || deviation <= f32::EPSILON {
            return None;
        }
        let distance = (ln - self.mean) / deviation;
        Some(match distance {
            d if d < -TIER_DEVIATIONS => PriceTier::Budget,
            d if d > TIER_DEVIATIONS => PriceTier::Premium,
            _ => PriceTier::Standard,
        })
    }

    /// Welford's update with a capped weight.
    fn note(&mut self, ln: f32) {
        self.weight = (self.weight + 1.0).min(PRICES_MAX);
        let before = ln - self.mean;
        self.mean += before / self.weight;
        self.variance += (before * (ln - self.mean) - self.variance) / self.weight;
    }
}

/// `a/b/c` as `a`, `a/b`, `a/b/c`: taste for a whole shelf reaches what stands on it.
fn levels_of(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| &path[..end]).filter(|level| !level.is_empty())
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
