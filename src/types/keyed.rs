//! Tables by keys that are hashes already.
//!
//! In: keys of products and facets. Out: where they stand in a table. Hashing them again would only
//! cost; their bits are spread to where the table takes its tags from.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Keys are hashes already; hashing them again would only cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

/// A table by such a key.
pub type ByKey<K, V> = HashMap<K, V, BuildHasherDefault<KeyHasher>>;

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        // a product's key has no bits on top, where the table takes its tags from
        self.0 = key ^ key.rotate_left(32);
    }
}
