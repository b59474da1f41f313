//! What the log's catalogue says of its products, as facts.
//!
//! In: descriptions. Out: facts made by the same code as in live traffic. Products are described in
//! the catalogue's order, once, as a shop's replies would the first time. What the catalogue does not
//! know has facts without anything in them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::log::{Description, Log};
use crate::preferences::population::KeyHasher;
use crate::rules::facts::{PriceLevel, Shelf, facts_of};
use crate::rules::knowledge::Knowledge;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, PriceTier, ProductFacts};
use crate::wire::{HitView, Words};

/// Facts by product.
pub struct Products {
    facts: Vec<Arc<ProductFacts>>,
    /// Only what is described.
    known: HashMap<ProductKey, u32, BuildHasherDefault<KeyHasher>>,
    names: HashMap<FacetKey, Arc<str>>,
}

#[derive(Default)]
struct Memory {
    names: RefCell<HashMap<FacetKey, Arc<str>>>,
    levels: RefCell<HashMap<FacetKey, PriceLevel>>,
}

impl Shelf for Memory {
    fn facet(&self, axis: Axis, value: &str) -> FacetKey {
        let key = FacetKey::of(axis, value);
        self.names.borrow_mut().entry(key).or_insert_with(|| Arc::from(value));
        key
    }

    fn tier(&self, category: FacetKey, price: f32) -> Option<PriceTier> {
        self.levels.borrow_mut().entry(category).or_default().place(price)
    }
}

impl Products {
    /// Describes the products of a log.
    pub fn of(log: &Log, knowledge: &Knowledge) -> Self {
        let memory = Memory::default();
        let mut facts = Vec::with_capacity(log.products.len());
        let mut known = HashMap::default();
        for (number, (id, _)) in log.products.all.iter().enumerate() {
            let description = log.described.get(number).and_then(Option::as_ref);
            let hit = description.map(|description| hit(id, description));
            let hit = hit.unwrap_or_else(|| HitView { id: (&**id).into(), ..HitView::default() });
            let of_product = facts_of(&hit, knowledge, &memory);
            if description.is_some() {
                known.insert(of_product.key, number as u32);
            }
            facts.push(Arc::new(of_product));
        }
        Self { facts, known, names: memory.names.into_inner() }
    }

    pub(super) fn facts(&self, product: u32) -> &Arc<ProductFacts> {
        &self.facts[product as usize]
    }

    /// The facts of a product that is described.
    pub(super) fn get(&self, key: ProductKey) -> Option<Arc<ProductFacts>> {
        self.known.get(&key).map(|number| self.facts(*number).clone())
    }

    pub(super) fn category(&self, key: ProductKey) -> Option<FacetKey> {
        self.known.get(&key).and_then(|number| self.facts(*number).category)
    }

    /// Facts of the products that are described.
    pub fn described(&self) -> impl Iterator<Item = &ProductFacts> {
        let known = |facts: &&Arc<ProductFacts>| self.known.contains_key(&facts.key);
        self.facts.iter().filter(known).map(|facts| &**facts)
    }

    /// A facet's value.
    pub fn name(&self, facet: FacetKey) -> Option<Arc<str>> {
        self.names.get(&facet).cloned()
    }
}

fn hit<'a>(id: &'a str, description: &'a Description) -> HitView<'a> {
    // A slash within a level is no further level.
    let levels = description.category.iter().map(|level| level.replace('/', " "));
    let category = levels.collect::<Vec<_>>().join("/");
    let read = Words {
        name: description.name.as_deref().map(Into::into),
        category: (!category.is_empty()).then(|| category.into()),
        brand: description.brand.as_deref().map(Into::into),
        attributes: description.attributes.iter().map(|label| label.as_str().into()).collect(),
        terms: Vec::new(),
    };
    HitView { id: id.into(), read, price: description.price, ..HitView::default() }
}
