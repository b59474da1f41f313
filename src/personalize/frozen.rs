//! Orders that stay for a while, so that the pages of one search fit together.
//!
//! In: who searches, what for, which window. Out: the order of the whole window as its first page
//! was cut from it, or that this search goes out in the shop's order. A first page is always ranked
//! anew; the pages after it are cut from what it was cut from, whatever was learned meanwhile, so
//! that no hit is on two of them and none is missing. Bounded in number and in time.

use std::sync::Arc;

use quick_cache::sync::Cache;
use xxhash_rust::xxh3::Xxh3;

use crate::types::ids::{ProductKey, SubjectKey};

/// One search of one shopper, whichever page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    /// `fingerprint` is the same for all pages of a search; `window` is how much is asked for.
    pub(super) fn of(shopper: SubjectKey, route: &str, fingerprint: u64, window: u32) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&shopper.0.to_le_bytes());
        hash.update(route.as_bytes());
        hash.update(&fingerprint.to_le_bytes());
        hash.update(&window.to_le_bytes());
        Self(hash.digest128())
    }
}

/// What the pages of a search are cut from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// The shop's order: nothing is asked for beyond the page.
    Natural,
    /// These products, in this order.
    Ranked(Arc<[ProductKey]>),
}

/// The orders of recent searches.
pub(super) struct Orders {
    all: Cache<Key, (u64, Order)>,
    stay_us: u64,
}

impl Orders {
    /// At most `orders_max` of them, each for `seconds`.
    pub(super) fn new(orders_max: usize, seconds: u64) -> Self {
        Self { all: Cache::new(orders_max.max(1)), stay_us: seconds.saturating_mul(1_000_000) }
    }

    /// The order that a page is cut from which is not the first one.
    pub(super) fn of(&self, key: Key, now_us: u64) -> Option<Order> {
        let (since_us, order) = self.all.get(&key)?;
        (now_us.saturating_sub(since_us) < self.stay_us).then_some(order)
    }

    /// Keeps an order for the pages that follow.
    pub(super) fn keep(&self, key: Key, order: Order, now_us: u64) {
        self.all.insert(key, (now_us, order));
    }
}

/// The hits (old positions) in the order in which `frozen` names their products; those that it does
/// not name come last, as they stand. Of two hits of one product the first stands first.
pub(super) fn as_frozen(hits: &[ProductKey], frozen: &[ProductKey]) -> Vec<u32> {
    let mut waiting: Vec<(ProductKey, u32)> =
        hits.iter().enumerate().map(|(position, key)| (*key, position as u32)).collect();
    waiting.sort_unstable();
    let mut is_placed = vec![false; hits.len()];
    let mut order = Vec::with_capacity(hits.len());
    for key in frozen {
        let from = waiting.partition_point(|(other, _)| other < key);
        let of_key = waiting[from..].iter().take_while(|(other, _)| other == key);
        let next = of_key.map(|(_, position)| *position).find(|at| !is_placed[*at as usize]);
        if let Some(position) = next {
            is_placed[position as usize] = true;
            order.push(position);
        }
    }
    order.extend((0..hits.len() as u32).filter(|position| !is_placed[*position as usize]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(names: &[u8]) -> Vec<ProductKey> {
        names.iter().map(|name| ProductKey::of(&name.to_string())).collect()
    }

    #[test]
    fn new_hits_come_last_and_lost_ones_leave_no_gap() {
        let order = as_frozen(&keys(&[1, 2, 3, 4]), &keys(&[3, 9, 1, 4]));
        assert_eq!(order, [2, 0, 3, 1]);
    }

    proptest! {
        #[test]
        fn a_frozen_order_is_a_permutation_and_keeps_doubles_apart(
            hits in proptest::collection::vec(0..12_u8, 0..20),
            frozen in proptest::collection::vec(0..12_u8, 0..20),
        ) {
            let (hits, frozen) = (keys(&hits), keys(&frozen));
            let order = as_frozen(&hits, &frozen);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..hits.len() as u32));
            let shown: Vec<ProductKey> = order.iter().map(|at| hits[*at as usize]).collect();
            prop_assert_eq!(as_frozen(&shown, &shown), (0..hits.len() as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_order_is_forgotten_after_its_time() {
        let orders = Orders::new(10, 60);
        let shopper =
            crate::types::ids::Subject::User(crate::types::ids::UserId::parse("u").unwrap());
        let key = Key::of(shopper.key(), "route", 7, 50);
        assert_ne!(key, Key::of(shopper.key(), "route", 7, 40));
        orders.keep(key, Order::Natural, 1_000_000);
        assert_eq!(orders.of(key, 60_999_999), Some(Order::Natural));
        assert_eq!(orders.of(key, 61_000_000), None);
    }
}
