//! Which hits of a list are alike in one respect, and what is remembered of them together.
//!
//! In: keys of each hit (its brand, its attributes) with what is remembered of it. Out: sums a key. A
//! list has a few dozen keys, found by a look at each; what comes beyond [`KEYS_MAX`] is not told apart.

use crate::types::product::FacetKey;

/// Keys told apart in one list.
const KEYS_MAX: usize = 256;

/// Hits that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Sum of their slow sums.
    pub(super) kept: f32,
    /// How many they are.
    pub(super) hits: u16,
    /// How many of them are remembered.
    pub(super) known: u16,
}

/// Sums by key.
#[derive(Debug, Default)]
pub(super) struct Alike {
    keys: Vec<u32>,
    sums: Vec<Sums>,
    /// The first key of each hit.
    first: Vec<Option<u32>>,
}

/// A facet among those of its axis.
pub(super) fn key_of(facet: FacetKey) -> u32 {
    facet.hash()
}

impl Alike {
    /// The next hit.
    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = u32>, kept: f32, known: bool) {
        let mut first = None;
        for key in keys {
            first = first.or(Some(key));
            let place = match self.place(key) {
                Some(place) => place,
                None if self.keys.len() < KEYS_MAX => {
                    self.keys.push(key);
                    self.sums.push(Sums::default());
                    self.keys.len() - 1
                }
                None => continue,
            };
            if let Some(sums) = self.sums.get_mut(place) {
                sums.kept += kept;
                sums.hits = sums.hits.saturating_add(1);
                sums.known += u16::from(known);
            }
        }
        self.first.push(first);
    }

    /// What the hits with this key have together.
    pub(super) fn of(&self, key: u32) -> Sums {
        self.place(key).and_then(|place| self.sums.get(place)).copied().unwrap_or_default()
    }

    /// The first key of the hit at a place.
    pub(super) fn first_of(&self, place: usize) -> Option<u32> {
        self.first.get(place).copied().flatten()
    }

    /// All keys' sums together.
    pub(super) fn kept(&self) -> f32 {
        self.sums.iter().map(|sums| sums.kept).sum()
    }

    fn place(&self, key: u32) -> Option<usize> {
        self.keys.iter().position(|known| *known == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_summed_by_each_of_their_keys() {
        let mut alike = Alike::default();
        alike.add([1, 2], 0.5, true);
        alike.add([2], 0.25, true);
        alike.add([], 1.0, false);
        assert_eq!(alike.of(2), Sums { kept: 0.75, hits: 2, known: 2 });
        assert_eq!(alike.of(3), Sums::default());
        assert_eq!(
            (alike.first_of(0), alike.first_of(2), alike.first_of(9)),
            (Some(1), None, None)
        );
        assert_eq!(alike.kept(), 1.25);
    }

    #[test]
    fn keys_beyond_the_bound_are_not_told_apart() {
        let mut alike = Alike::default();
        (0..1_000).for_each(|key| alike.add([key], 1.0, true));
        assert_eq!(alike.keys.len(), KEYS_MAX);
        assert_eq!(alike.of(999), Sums::default());
        assert_eq!(alike.first_of(999), Some(999));
    }
}
