//! Hits of protobuf that were read before.
//!
//! In: a hit's id and the bytes of the values that a plan wants of it, in the plan's own order:
//! servers write a map's entries in another order each time. Out: what the same values said before.
//! The values are compared whole, so that a known hit says what it would say when read.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{BYTES_MAX, Known, Memory, Tail};
use crate::wire::hit::HitView;

/// Where a hit that is not known is kept.
pub(in crate::wire) struct Place(u64);

impl Memory<'_> {
    /// Reads the rest of `hit`, whose id is read, from what is known of its values. `Err` is where
    /// to keep it once it is read.
    #[inline]
    pub(in crate::wire) fn recall_values<'v>(
        &mut self,
        hit: &mut HitView<'_>,
        values: impl Iterator<Item = &'v [u8]>,
    ) -> Result<(), Place> {
        let key = xxh3_64_with_seed(hit.id.as_bytes(), self.salt);
        let Some(tail) = self.tails.get(&key) else { return Err(Place(key)) };
        if !is_same(&tail.values, hit.id.as_bytes(), values) {
            self.changed += 1;
            return Err(Place(key));
        }
        self.same += 1;
        hit.price = tail.price;
        hit.in_stock = tail.in_stock;
        hit.sponsored = tail.sponsored;
        hit.known = Some(Known(tail));
        Ok(())
    }

    /// Keeps what was read of `hit`.
    #[cold]
    pub(in crate::wire) fn keep_values<'v>(
        &self,
        hit: &'v HitView<'_>,
        Place(key): Place,
        values: impl Iterator<Item = &'v [u8]>,
    ) {
        let mut all = Vec::new();
        for value in std::iter::once(hit.id.as_bytes()).chain(values) {
            // a length that does not fit is one of a value that is not kept
            all.extend_from_slice(&(value.len() as u32).to_le_bytes());
            all.extend_from_slice(value);
            if all.len() > BYTES_MAX {
                return;
            }
        }
        let tail = Tail {
            before: "".into(),
            scored: false,
            after: "".into(),
            values: all.into(),
            words: hit.read.clone().into_owned(),
            digest: hit.read.digest(),
            price: hit.price,
            in_stock: hit.in_stock,
            sponsored: hit.sponsored,
        };
        self.tails.insert(key, Arc::new(tail));
    }
}

/// Are the values kept this id and these values?
#[inline]
fn is_same<'v>(kept: &[u8], id: &[u8], values: impl Iterator<Item = &'v [u8]>) -> bool {
    let Some(mut rest) = after(kept, id) else { return false };
    for value in values {
        match after(rest, value) {
            Some(more) => rest = more,
            None => return false,
        }
    }
    rest.is_empty()
}

/// What is kept behind `value`, if that is what is kept first.
#[inline]
fn after<'k>(kept: &'k [u8], value: &[u8]) -> Option<&'k [u8]> {
    let (length, rest) = kept.split_first_chunk()?;
    if u32::from_le_bytes(*length) as usize != value.len() {
        return None;
    }
    let (was, rest) = rest.split_at_checked(value.len())?;
    (was == value).then_some(rest)
}
