//! All that is kept of one shopper: decayed sums a product and a facet, packed.
//!
//! ```text
//! ProductMemory  24 B   key u64 · slow f32 · fast f32 · at u32 · purchases u16 · events u16
//! FacetMemory    16 B   key u64 · sum f32 · at u32
//! PriceMemory    16 B   category u64 · mean of ln(price) f32 · weight f32
//! ```
//!
//! Entries are sorted by key and found by binary search. Sums are stored as they were at `at`
//! (seconds since the epoch); readers decay them to their own time. No entry count here is
//! unbounded: `preferences::learn` evicts the weakest beyond its caps.

use super::clock::Timestamp;
use super::ids::ProductKey;
use super::product::FacetKey;

/// What is remembered of one product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductMemory {
    /// The product.
    pub key: ProductKey,
    /// Sum of signal weights under the slow half-life, as of `at`.
    pub slow: f32,
    /// The same sum under the fast half-life, as of `at`.
    pub fast: f32,
    /// Time of the latest event, seconds since the epoch.
    pub at: u32,
    /// Purchases so far, saturating.
    pub purchases: u16,
    /// Events so far, saturating.
    pub events: u16,
}

/// What is remembered of one facet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FacetMemory {
    /// The facet.
    pub key: FacetKey,
    /// Sum of signal weights, as of `at`.
    pub sum: f32,
    /// Time of the latest event, seconds since the epoch.
    pub at: u32,
}

/// The price level this shopper chooses in one category.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceMemory {
    /// The category.
    pub category: FacetKey,
    /// Weighted mean of `ln(price)` of what was chosen.
    pub mean_ln: f32,
    /// Weight behind the mean, bounded.
    pub weight: f32,
}

/// One shopper's profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Remembered products, sorted by key.
    pub products: Vec<ProductMemory>,
    /// Remembered facets, sorted by key.
    pub facets: Vec<FacetMemory>,
    /// Price levels, sorted by category.
    pub prices: Vec<PriceMemory>,
    /// Evidence: sum of |weight| of all signals, decayed like a category, as of `evidence_at`.
    pub evidence: f32,
    /// Time of the latest event, seconds since the epoch.
    pub evidence_at: u32,
    /// Counts up with every change: part of a personalised reply's `ETag`.
    pub version: u32,
}

impl Profile {
    /// True when nothing was ever learned: such a shopper gets the upstream's bytes.
    pub fn is_empty(&self) -> bool {
        self.evidence <= 0.0
    }

    /// What is remembered of `key`. `O(log products)`.
    pub fn product(&self, key: ProductKey) -> Option<&ProductMemory> {
        self.products.binary_search_by_key(&key, |p| p.key).ok().map(|i| &self.products[i])
    }

    /// What is remembered of `key`. `O(log facets)`.
    pub fn facet(&self, key: FacetKey) -> Option<&FacetMemory> {
        self.facets.binary_search_by_key(&key, |f| f.key).ok().map(|i| &self.facets[i])
    }

    /// The price level in `category`. `O(log prices)`.
    pub fn price(&self, category: FacetKey) -> Option<&PriceMemory> {
        self.prices.binary_search_by_key(&category, |p| p.category).ok().map(|i| &self.prices[i])
    }
}

/// `sum` as of `at`, decayed to `now` with `half_life_seconds`: `sum · 2^(-(now − at)/half_life)`.
///
/// A `now` before `at` leaves the sum as it is: the past is never inflated.
pub fn decayed(sum: f32, at: u32, now: Timestamp, half_life_seconds: f32) -> f32 {
    decayed_to(sum, at, now.seconds_u32(), half_life_seconds)
}

/// The same for a `now` in seconds since the epoch.
pub fn decayed_to(sum: f32, at: u32, now: u32, half_life_seconds: f32) -> f32 {
    let age = now.saturating_sub(at) as f32;
    sum * (-age / half_life_seconds).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_product_takes_24_bytes_and_a_facet_16() {
        assert_eq!(size_of::<ProductMemory>(), 24);
        assert_eq!(size_of::<FacetMemory>(), 16);
        assert_eq!(size_of::<PriceMemory>(), 16);
    }

    #[test]
    fn a_sum_halves_in_one_half_life() {
        assert_eq!(decayed(2.0, 100, Timestamp::from_seconds(160), 60.0), 1.0);
        assert_eq!(decayed(2.0, 100, Timestamp::from_seconds(40), 60.0), 2.0);
    }
}
