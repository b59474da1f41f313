//! All that is kept of one shopper, as it is in hand: decayed sums a product and a facet.
//!
//! ```text
//! ProductMemory  24 B   key · slow f32 · fast f32 · last purchase u16 · purchases u8 · quantities 4 × u8
//! FacetMemory    16 B   key · sum f32
//! PriceMemory    16 B   category · mean of ln(price) f32 · weight f32
//! ```
//!
//! Entries are sorted by key and found by binary search. All sums stand as of one time, the profile's
//! [`landmark`](Profile::landmark): the midnight before its latest event, to which every increment is
//! carried exactly. Readers decay them to their own time. In the table of profiles and on disk a
//! profile is smaller: see `preferences::packed`. No entry count here is unbounded:
//! `preferences::learn` forgets the weakest beyond its caps.

use super::clock::Timestamp;
use super::ids::ProductKey;
use super::product::FacetKey;

/// Seconds of a day: how far two landmarks are apart.
pub const DAY_SECONDS: u32 = 86_400;

/// Purchases of a product of which the quantity is remembered.
pub const QUANTITIES: usize = 4;

/// What a purchase's quantity counts beside the next later one's, when the usual one is asked for.
const OLDER_PURCHASE: f32 = 0.75;

/// What is remembered of one product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProductMemory {
    /// The product.
    pub key: ProductKey,
    /// Sum of signal weights under the slow half-life, as of the profile's landmark.
    pub slow: f32,
    /// The same sum under the fast half-life.
    pub fast: f32,
    /// Day of the last purchase, counted from the epoch; 0 = never bought.
    pub bought_day: u16,
    /// Purchases so far, saturating.
    pub purchases: u8,
    /// Units of the last purchases, the latest first; 0 = no purchase.
    pub quantities: [u8; QUANTITIES],
}

/// What is remembered of one facet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FacetMemory {
    /// The facet.
    pub key: FacetKey,
    /// Sum of signal weights, as of the profile's landmark.
    pub sum: f32,
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
    /// Evidence: sum of |weight| of all signals, decayed like a category, as of the landmark.
    pub evidence: f32,
    /// Time of the latest event, seconds since the epoch.
    pub at: u32,
    /// Counts up with every change: part of a personalised reply's `ETag`.
    pub version: u32,
    /// What the shopper said themselves of single facets, sorted by facet. Not learned, not packed:
    /// whoever reads a profile to rank puts it there.
    pub chosen: Vec<Chosen>,
}

/// A shopper's own word on one facet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The facet.
    pub facet: FacetKey,
    /// What was said.
    pub mark: Mark,
}

/// What a shopper may say of a facet that stands until they take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The strongest like, whatever was learned.
    Pinned,
    /// The strongest dislike.
    Muted,
}

impl Mark {
    /// The word in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Muted => "muted",
        }
    }
}

impl ProductMemory {
    /// Nothing yet.
    pub fn blank(key: ProductKey) -> Self {
        let quantities = [0; QUANTITIES];
        Self { key, slow: 0.0, fast: 0.0, bought_day: 0, purchases: 0, quantities }
    }

    /// Notes a purchase of so many units (saturating; at least one).
    ///
    /// One that comes late stands behind those known, so that the latest stays first.
    pub fn bought(&mut self, day: u16, units: u8) {
        self.purchases = self.purchases.saturating_add(1);
        let units = units.max(1);
        if day >= self.bought_day {
            self.bought_day = day;
            self.quantities.rotate_right(1);
            self.quantities[0] = units;
        } else if let Some(free) = self.quantities.iter_mut().find(|known| **known == 0) {
            *free = units;
        }
    }

    /// What this shopper usually takes of the product: of the last purchases' quantities the one
    /// with the most behind it, later purchases counting more; of equals the latest.
    pub fn usual_quantity(&self) -> Option<u8> {
        let known = self.quantities.iter().take_while(|units| **units > 0);
        let mut best = None;
        for units in known.clone() {
            let weighed = known
                .clone()
                .zip(0..)
                .map(|(other, age)| if other == units { OLDER_PURCHASE.powi(age) } else { 0.0 });
            let behind: f32 = weighed.sum();
            if best.is_none_or(|(most, _)| behind > most) {
                best = Some((behind, *units));
            }
        }
        best.map(|(_, units)| units)
    }
}

impl Profile {
    /// True when nothing was ever learned or said: such a shopper gets the upstream's bytes.
    pub fn is_empty(&self) -> bool {
        self.evidence <= 0.0 && self.chosen.is_empty()
    }

    /// The shopper's own word on `facet`. `O(log chosen)`, one branch where there is none.
    pub fn mark(&self, facet: FacetKey) -> Option<Mark> {
        if self.chosen.is_empty() {
            return None;
        }
        let place = self.chosen.binary_search_by_key(&facet, |chosen| chosen.facet).ok()?;
        self.chosen.get(place).map(|chosen| chosen.mark)
    }

    /// The time as of which all sums stand, seconds since the epoch: midnight (UTC) before the
    /// latest event.
    pub fn landmark(&self) -> u32 {
        landmark(self.at)
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

/// The last midnight (UTC) up to `at`.
pub fn landmark(at: u32) -> u32 {
    at - at % DAY_SECONDS
}

/// The day that holds `at`, counted from the epoch (until 2149).
pub fn day(at: u32) -> u16 {
    u16::try_from(at / DAY_SECONDS).unwrap_or(u16::MAX)
}

/// What a sum as of `from` is worth as of `to`, a factor: `2^(-(to − from)/half_life)`. Above 1 where
/// `to` is the earlier: so an increment is carried back to a landmark.
pub fn carried(from: u32, to: u32, half_life_seconds: f32) -> f64 {
    ((f64::from(from) - f64::from(to)) / f64::from(half_life_seconds)).exp2()
}

/// `sum` as of `at`, decayed to `now` with `half_life_seconds`: `sum · 2^(-(now − at)/half_life)`.
///
/// A `now` before `at` leaves the sum as it is: the past is never inflated.
pub fn decayed(sum: f32, at: u32, now: Timestamp, half_life_seconds: f32) -> f32 {
    let age = now.seconds_u32().saturating_sub(at) as f32;
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
        assert_eq!(carried(100, 160, 60.0), 0.5);
        assert_eq!(carried(160, 100, 60.0), 2.0);
    }

    fn bought(purchases: &[(u16, u8)]) -> ProductMemory {
        let mut memory = ProductMemory::blank(ProductKey(1));
        purchases.iter().for_each(|(day, units)| memory.bought(*day, *units));
        memory
    }

    #[test]
    fn the_usual_quantity_is_what_most_of_the_last_purchases_had_and_later_ones_count_more() {
        assert_eq!(bought(&[]).usual_quantity(), None);
        assert_eq!(bought(&[(1, 3)]).usual_quantity(), Some(3));
        assert_eq!(bought(&[(1, 2), (2, 2), (3, 12)]).usual_quantity(), Some(2));
        assert_eq!(bought(&[(1, 2), (2, 12)]).usual_quantity(), Some(12));
        assert_eq!(bought(&[(1, 1), (2, 1), (3, 6), (4, 6), (5, 6)]).usual_quantity(), Some(6));
    }

    #[test]
    fn a_purchase_that_comes_late_does_not_become_the_last_one() {
        let memory = bought(&[(9, 5), (3, 1)]);
        assert_eq!((memory.bought_day, memory.purchases), (9, 2));
        assert_eq!(memory.quantities, [5, 1, 0, 0]);
        assert_eq!(bought(&[(1, 1); 300]).purchases, 255);
    }
}
