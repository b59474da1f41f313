//! Products as the catalogue knows them: a handful of facets as hashed keys.
//!
//! A facet is a product dimension with a value: category `dairy/milk`, brand `oatly`, attribute
//! `plant-based`, price tier `premium`. Names are hashed once, when a product is first seen;
//! ranking compares keys.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ids::ProductKey;

/// A product dimension on which taste is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Axis {
    /// Where the product stands in the shop; each level of a path is a facet.
    Category,
    /// Who makes or sells it.
    Brand,
    /// What it is: organic, plant-based, spicy, gluten-free.
    Attribute,
    /// How dear it is among its category.
    PriceTier,
}

impl Axis {
    /// All axes, in the order of [`Axis::index`].
    pub const ALL: [Self; 4] = [Self::Category, Self::Brand, Self::Attribute, Self::PriceTier];

    /// Position in tables that hold one value an axis.
    #[inline]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name used in rules, metrics, API and explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Brand => "brand",
            Self::Attribute => "attribute",
            Self::PriceTier => "price_tier",
        }
    }
}

/// A facet as 34 stable bits: 32 of a hash, and the axis above them.
///
/// 32 bits an axis are what a profile has room for; among 10,000 facets of one axis two meet in one
/// key with a probability of 1.2 %, and then share one taste.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FacetKey(pub u64);

impl FacetKey {
    /// The key of `value` on `axis`. The value must already be in [`normalise`]d form.
    pub fn of(axis: Axis, value: &str) -> Self {
        Self::from_parts(axis, xxh3_64_with_seed(value.as_bytes(), axis.index() as u64) as u32)
    }

    /// The key of a facet that is kept as its axis and its hash.
    pub fn from_parts(axis: Axis, hash: u32) -> Self {
        Self((axis.index() as u64) << 32 | u64::from(hash))
    }

    /// The key without its axis.
    #[inline]
    pub fn hash(self) -> u32 {
        self.0 as u32
    }

    /// The axis this facet lies on.
    #[inline]
    pub fn axis(self) -> Axis {
        Axis::ALL[(self.0 >> 32 & 0b11) as usize]
    }
}

/// The form in which facet values are compared and shown: trimmed, lower case, single spaces.
pub fn normalise(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for word in value.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

/// How dear a product is among its category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceTier {
    /// More than half a standard deviation below its category's usual (log) price.
    Budget,
    /// Near the usual.
    Standard,
    /// More than half a standard deviation above.
    Premium,
}

impl PriceTier {
    /// All tiers, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Budget, Self::Standard, Self::Premium];

    /// The facet value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Standard => "standard",
            Self::Premium => "premium",
        }
    }
}

/// What the catalogue keeps of one product: `O(facets)` small, shared by `Arc`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductFacts {
    /// The product.
    pub key: ProductKey,
    /// Its name as the shop writes it; for explanations only.
    pub name: Box<str>,
    /// Facets of all axes, sorted by axis then key, without doubles.
    pub facets: Box<[FacetKey]>,
    /// Attributes that a query may name and that are no taste: sizes. Sorted, without doubles.
    pub sizes: Box<[FacetKey]>,
    /// The most specific category, if any: the unit in which prices and priors are compared.
    pub category: Option<FacetKey>,
    /// The price in the shop's own currency unit, if it is a positive finite number.
    pub price: Option<f32>,
    /// Hashes of the folded, stemmed words of name, category and terms; sorted.
    pub terms: Box<[u32]>,
    /// A taste for it would tell of religion, health or intimacy.
    pub sensitive: bool,
}

impl ProductFacts {
    /// Of a product of which nothing but its key is known.
    pub fn bare(key: ProductKey) -> Self {
        Self {
            key,
            name: Box::default(),
            facets: Box::default(),
            sizes: Box::default(),
            category: None,
            price: None,
            terms: Box::default(),
            sensitive: false,
        }
    }

    /// True when the product has this facet or size.
    pub fn has(&self, facet: FacetKey) -> bool {
        self.facets.contains(&facet) || self.sizes.contains(&facet)
    }

    /// The facets that lie on `axis`.
    pub fn on_axis(&self, axis: Axis) -> impl Iterator<Item = FacetKey> + '_ {
        self.facets.iter().copied().filter(move |facet| facet.axis() == axis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_facet_key_remembers_its_axis() {
        for axis in Axis::ALL {
            let key = FacetKey::of(axis, "organic");
            assert_eq!(key.axis(), axis);
            assert_eq!(FacetKey::from_parts(axis, key.hash()), key);
        }
        assert_ne!(FacetKey::of(Axis::Brand, "organic"), FacetKey::of(Axis::Attribute, "organic"));
    }

    #[test]
    fn values_that_differ_in_case_and_spaces_are_one_facet() {
        assert_eq!(normalise("  Oat   MILK "), "oat milk");
    }
}
