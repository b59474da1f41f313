//! What a product is, from how it is described.
//!
//! In: a description (a hit, a page, a catalogue's line), the knowledge tables, a [`Shelf`] that
//! keeps names and price levels. Out: its facts: facets of all axes, price, and the words a query may
//! match. Nothing is kept here: the catalogue of live traffic and that of a replay each bring their
//! own shelf.

use std::borrow::Cow;

use super::knowledge::{Knowledge, words};
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, PriceTier, ProductFacts, normalise};
use crate::wire::HitView;

/// Prices seen in a category before its products get a tier.
const PRICES_MIN: f32 = 8.0;
/// Weight at which a category's price level stops growing firmer, so that it can follow a trend.
const PRICES_MAX: f32 = 1_000.0;
/// Distance from the category's mean, in standard deviations of ln(price), that makes a tier.
const TIER_DEVIATIONS: f32 = 0.5;

/// Where names and price levels are kept.
pub trait Shelf {
    /// The key of a facet whose name is remembered.
    fn facet(&self, axis: Axis, value: &str) -> FacetKey;

    /// Notes a price and says how dear it is among its category, once enough prices are known.
    fn tier(&self, category: FacetKey, price: f32) -> Option<PriceTier>;
}

/// The facts of a product as it is described.
pub fn facts_of(hit: &HitView<'_>, knowledge: &Knowledge, shelf: &impl Shelf) -> ProductFacts {
    let said = hit.words();
    let name = said.name.as_deref().unwrap_or("");
    let category = said.category.as_deref().map(normalise).filter(|c| !c.is_empty());
    let terms: Vec<&str> = said.terms.iter().map(Cow::as_ref).collect();
    let mut facets = Vec::with_capacity(8);
    let mut leaf = None;
    if let Some(path) = &category {
        for level in levels_of(path) {
            leaf = Some(shelf.facet(Axis::Category, level));
            facets.extend(leaf);
        }
    }
    let brand = said.brand.as_deref().map(normalise).filter(|b| !b.is_empty());
    facets.extend(brand.map(|brand| shelf.facet(Axis::Brand, &brand)));
    let labels: Vec<String> = said.attributes.iter().map(|label| normalise(label)).collect();
    let given = labels.iter().filter(|label| !label.is_empty());
    facets.extend(given.map(|label| shelf.facet(Axis::Attribute, label)));
    let mut sizes = Vec::new();
    let inferred = knowledge.infer(name, said.category.as_deref(), &terms);
    let texts = [name, said.brand.as_deref().unwrap_or("")].into_iter();
    let texts = texts.chain(terms.iter().copied()).chain(inferred.iter().copied());
    let texts = texts.chain(labels.iter().map(String::as_str));
    let sensitive = knowledge.is_sensitive(texts, category.as_deref());
    for attribute in inferred {
        let list = if knowledge.is_size(attribute) { &mut sizes } else { &mut facets };
        list.push(shelf.facet(Axis::Attribute, attribute));
    }
    let price = hit.price.filter(|price| price.is_finite() && *price > 0.0);
    if let (Some(category), Some(price)) = (leaf, price)
        && let Some(tier) = shelf.tier(category, price)
    {
        facets.push(shelf.facet(Axis::PriceTier, tier.name()));
    }
    facets.sort_unstable_by_key(|facet| (facet.axis(), *facet));
    facets.dedup();
    let text = [name, category.as_deref().unwrap_or("")].into_iter().chain(terms);
    let terms = words(&text.collect::<Vec<_>>().join(" "));
    ProductFacts {
        key: ProductKey::of(&hit.id),
        name: name.into(),
        facets: facets.into(),
        sizes: sizes.into(),
        category: leaf,
        price,
        terms: terms.into(),
        sensitive,
    }
}

/// Running mean and variance of ln(price) in one category.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriceLevel {
    /// How much is behind it, bounded.
    pub weight: f32,
    /// Mean of ln(price).
    pub mean: f32,
    /// Mean of squared deviations.
    pub variance: f32,
}

impl PriceLevel {
    /// Says how dear a price is among those noted before, and notes it.
    pub fn place(&mut self, price: f32) -> Option<PriceTier> {
        let tier = self.tier(price.ln());
        self.note(price.ln());
        tier
    }

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
