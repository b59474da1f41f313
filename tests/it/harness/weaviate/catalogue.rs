//! The shared catalogue as a Weaviate holds it: twelve properties an object, ids made from skus as
//! the recorded server's were, in the order of ids.

use std::collections::BTreeMap;

use leafrank::demo::weaviate::uuid_of;
use serde_json::Value;

use super::super::fixtures;

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    pub id: String,
    /// By name, as JSON.
    pub properties: BTreeMap<String, Value>,
    /// Its words, small letters.
    words: Vec<String>,
}

/// All objects.
pub struct Catalogue {
    objects: Vec<Object>,
}

/// What one search asks for, whichever wire it came by.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub limit: usize,
    pub offset: usize,
    pub after: Option<String>,
    /// The one object with this id.
    pub id: Option<String>,
    pub words: Option<String>,
    /// Objects without any of the words come too, last: as vectors would have it.
    pub all: bool,
}

/// An object that was found, with its score.
pub type Found<'a> = (&'a Object, f32);

impl Catalogue {
    /// Reads it; `None` when it is not there.
    pub fn read() -> Option<Self> {
        let rows = |file: &str| -> Option<Vec<Value>> {
            let path = fixtures::shared(&format!("fixtures/leafloaf/catalog/{file}"))?;
            Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        };
        let mut prices = BTreeMap::new();
        for price in rows("product_prices.json")? {
            let current = price["end_date"].is_null();
            let sku = price["product_sku"].as_str().unwrap().to_owned();
            let known = prices.contains_key(&sku);
            if current || !known {
                prices.insert(sku, price);
            }
        }
        let products = rows("products.json")?;
        let mut objects: Vec<Object> =
            products.iter().map(|p| object(p, &prices[p["sku"].as_str().unwrap()])).collect();
        objects.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Self { objects })
    }

    /// Every object, by id.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// What is found, best first; ids decide between equals.
    pub fn search(&self, wanted: &Wanted) -> Vec<Found<'_>> {
        let after = wanted.after.as_deref().unwrap_or("");
        let objects = self.objects.iter().filter(|object| {
            object.id.as_str() > after && wanted.id.as_ref().is_none_or(|id| *id == object.id)
        });
        let mut found: Vec<Found<'_>> = match &wanted.words {
            None => objects.map(|object| (object, 0.0)).collect(),
            Some(query) => {
                let query = words_of(query);
                objects.map(|object| (object, object.score(&query))).collect()
            }
        };
        found.retain(|(_, score)| wanted.words.is_none() || wanted.all || *score > 0.0);
        // Stable: what is equal stays in the order of ids.
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.into_iter().skip(wanted.offset).take(wanted.limit).collect()
    }
}

impl Object {
    /// How many of the words it has, those of a short text counting more.
    fn score(&self, query: &[String]) -> f32 {
        let held = query.iter().filter(|word| self.words.contains(word)).count();
        held as f32 * (1.0 + 1.0 / (1.0 + self.words.len() as f32))
    }
}

fn words_of(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(str::to_lowercase).collect()
}

fn object(product: &Value, price: &Value) -> Object {
    let sku = product["sku"].as_str().unwrap();
    let properties = [
        ("sku", product["sku"].clone()),
        ("name", product["name"].clone()),
        ("category", product["category"].clone()),
        ("supplier", product["brand"].clone()),
        ("retailPrice", price["retail_price"].clone()),
        ("wholesalePrice", price["wholesale_price"].clone()),
        ("packSize", product["unit_size"].clone()),
        ("retailPackSize", product["unit_type"].clone()),
        ("usage", product["subcategory"].clone()),
        ("searchTerms", product["search_terms"].clone()),
        ("isOrganic", product["is_organic"].clone()),
        ("supplierCategory", product["subcategory"].clone()),
    ];
    let mut words = words_of(product["name"].as_str().unwrap());
    for term in product["search_terms"].as_array().unwrap() {
        words.extend(words_of(term.as_str().unwrap()));
    }
    let properties = properties.map(|(name, value)| (name.to_owned(), value));
    Object { id: uuid_of(sku), properties: properties.into(), words }
}
