//! Which networks have told us of which products today.
//!
//! In: network, product, kind of act, day. Out: is it the first time? A set of hashes of fixed size,
//! emptied each day: [`PLACES`] of 8 B, allocated with the first act. An act whose bucket is full
//! counts as told before: what many invented networks can do at worst is that nothing moves.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Places in the set: a million would be eight times the memory for shops with many visitors a day,
/// and only those need it that are flooded.
const PLACES: usize = 131_072;
/// Places that one act may take.
const BUCKET: usize = 8;

/// Acts of today, by network.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks {
    day: i64,
    told: Box<[u64]>,
}

impl Networks {
    /// True for the first such act of the day; remembers it.
    pub(super) fn is_first(
        &mut self,
        (network, product): (u64, u64),
        kind: &str,
        day: i64,
    ) -> bool {
        if self.told.is_empty() {
            self.told = vec![0; PLACES].into();
        }
        if day > self.day {
            self.day = day;
            self.told.fill(0);
        }
        // 0 marks a free place
        let hash = xxh3_64_with_seed(kind.as_bytes(), product ^ network.rotate_left(32)).max(1);
        let start = (hash >> 32) as usize % (PLACES / BUCKET) * BUCKET;
        for place in self.told.iter_mut().skip(start).take(BUCKET) {
            if *place == hash {
                return false;
            }
            if *place == 0 {
                *place = hash;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_tells_of_a_product_once_a_day_for_each_kind() {
        let mut networks = Networks::default();
        assert!(networks.is_first((1, 9), "click", 3));
        assert!(!networks.is_first((1, 9), "click", 3));
        assert!(networks.is_first((2, 9), "click", 3));
        assert!(networks.is_first((1, 8), "click", 3));
        assert!(networks.is_first((1, 9), "purchase", 3));
        assert!(!networks.is_first((1, 9), "click", 2), "another day cannot be claimed back");
        assert!(networks.is_first((1, 9), "click", 4));
    }

    #[test]
    fn the_set_takes_many_and_never_grows() {
        let mut networks = Networks::default();
        let taken = (0..60_000_u64).filter(|n| networks.is_first((*n, 1), "click", 1)).count();
        assert!(taken > 59_000, "{taken}");
        let flooded = (0..1_000_000_u64).filter(|n| networks.is_first((*n, 2), "click", 1)).count();
        assert!(flooded < PLACES, "{flooded}");
        assert_eq!(networks.told.len(), PLACES);
    }
}
