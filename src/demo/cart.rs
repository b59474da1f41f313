//! Carts of the demo shop, one a user or session.
//!
//! In: whose cart, a sku, a quantity. Out: the lines. Kept in memory only. Limits:
//! [`CARTS_MAX`] carts (a new one beyond that replaces an arbitrary old one), [`LINES_MAX`] lines
//! a cart, [`QUANTITY_MAX`] a line.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// Carts kept.
pub const CARTS_MAX: usize = 10_000;
/// Lines in one cart.
pub const LINES_MAX: usize = 100;
/// Units of one product in a cart.
pub const QUANTITY_MAX: u64 = 999;

/// One product and how many of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product.
    pub sku: String,
    /// Units, 1..=[`QUANTITY_MAX`].
    pub quantity: u64,
}

/// All carts.
#[derive(Debug, Default)]
pub struct Carts {
    carts: Mutex<HashMap<String, BTreeMap<String, u64>>>,
}

impl Carts {
    /// Puts `quantity` more of `sku` into the cart; false when the cart holds too many lines.
    pub fn add(&self, whose: &str, sku: &str, quantity: u64) -> bool {
        let mut carts = self.carts.lock();
        if carts.len() >= CARTS_MAX && !carts.contains_key(whose) {
            let oldest = carts.keys().next().cloned();
            oldest.and_then(|key| carts.remove(&key));
        }
        let cart = carts.entry(whose.to_owned()).or_default();
        if cart.len() >= LINES_MAX && !cart.contains_key(sku) {
            return false;
        }
        let line = cart.entry(sku.to_owned()).or_default();
        *line = line.saturating_add(quantity).min(QUANTITY_MAX);
        true
    }

    /// Takes `quantity` of `sku` out, all of it where none is given; false when there was none.
    pub fn remove(&self, whose: &str, sku: &str, quantity: Option<u64>) -> bool {
        let mut carts = self.carts.lock();
        let Some(cart) = carts.get_mut(whose) else { return false };
        let Some(line) = cart.get_mut(sku) else { return false };
        *line = quantity.map_or(0, |quantity| line.saturating_sub(quantity));
        if *line == 0 {
            cart.remove(sku);
        }
        true
    }

    /// The cart's lines by sku.
    pub fn lines(&self, whose: &str) -> Vec<Line> {
        self.carts.lock().get(whose).map(lines_of).unwrap_or_default()
    }

    /// Empties the cart and gives what was in it.
    pub fn check_out(&self, whose: &str) -> Vec<Line> {
        self.carts.lock().remove(whose).as_ref().map(lines_of).unwrap_or_default()
    }
}

fn lines_of(cart: &BTreeMap<String, u64>) -> Vec<Line> {
    cart.iter().map(|(sku, quantity)| Line { sku: sku.clone(), quantity: *quantity }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_adds_up_and_what_goes_out_is_gone() {
        let carts = Carts::default();
        assert!(carts.add("u1", "MILK-001", 2) && carts.add("u1", "MILK-001", 1));
        assert_eq!(carts.lines("u1"), [Line { sku: "MILK-001".into(), quantity: 3 }]);
        assert!(carts.remove("u1", "MILK-001", Some(1)) && !carts.remove("u2", "MILK-001", None));
        assert_eq!(carts.lines("u1")[0].quantity, 2);
        assert!(carts.remove("u1", "MILK-001", None) && carts.lines("u1").is_empty());
    }

    #[test]
    fn checking_out_empties_the_cart() {
        let carts = Carts::default();
        carts.add("u1", "B", 1);
        carts.add("u1", "A", 4);
        let skus: Vec<_> = carts.check_out("u1").into_iter().map(|line| line.sku).collect();
        assert_eq!(skus, ["A", "B"]);
        assert!(carts.check_out("u1").is_empty());
    }

    #[test]
    fn lines_quantities_and_carts_are_limited() {
        let carts = Carts::default();
        for at in 0..LINES_MAX {
            assert!(carts.add("u1", &format!("S{at}"), 1));
        }
        assert!(!carts.add("u1", "one more", 1) && carts.add("u1", "S0", u64::MAX));
        assert_eq!(carts.lines("u1").iter().map(|line| line.quantity).max(), Some(QUANTITY_MAX));
        for at in 0..=CARTS_MAX {
            carts.add(&format!("u{at}"), "S", 1);
        }
        assert!(carts.carts.lock().len() <= CARTS_MAX);
    }
}
