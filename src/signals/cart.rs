//! What a subject has in the cart, as far as the shop's cart calls have told.
//!
//! In: cart calls as their routes read them. Out: what each call was: many shops have one call for
//! "put into the cart" and "one more of it", or one that sets the number of units. Remembers
//! [`PRODUCTS_MAX`] products a subject, the oldest out first; event time only.

use std::collections::VecDeque;

use crate::types::bytes::{Reader, put_number, put_product, put_time};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::interaction::InteractionKind;

/// Products remembered a subject: more than fit into a trolley.
pub const PRODUCTS_MAX: usize = 64;

/// The same call again within this is one press, whose double is to be known as such.
const SAME_PRESS_MS: i64 = 1_000;

/// What is in the cart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cart {
    lines: VecDeque<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    product: ProductKey,
    units: f32,
    /// When it was put there.
    since: Timestamp,
}

impl Cart {
    /// So many units are put into it: a product that is there already is more of the same.
    pub fn add(&mut self, product: ProductKey, units: f32, at: Timestamp) -> InteractionKind {
        let Some(line) = self.line(product) else {
            self.put(Line { product, units, since: at });
            return InteractionKind::AddToCart;
        };
        if at.0.abs_diff(line.since.0) < SAME_PRESS_MS.unsigned_abs() {
            return InteractionKind::AddToCart;
        }
        line.units += units;
        InteractionKind::QuantityIncrease
    }

    /// From now on it holds so many units. Fewer of a product than before say nothing.
    pub fn set(
        &mut self,
        product: ProductKey,
        units: f32,
        at: Timestamp,
    ) -> Option<InteractionKind> {
        if units <= 0.0 {
            self.take_out(product);
            return Some(InteractionKind::RemoveFromCart);
        }
        let Some(line) = self.line(product) else {
            self.put(Line { product, units, since: at });
            return Some(InteractionKind::AddToCart);
        };
        let before = std::mem::replace(&mut line.units, units);
        (units > before).then_some(InteractionKind::QuantityIncrease)
    }

    /// Takes over what another holds.
    pub fn join(&mut self, other: Self) {
        for line in other.lines {
            match self.line(line.product) {
                Some(own) => own.units += line.units,
                None => self.put(line),
            }
        }
    }

    /// It was taken out, or bought.
    pub fn take_out(&mut self, product: ProductKey) {
        self.lines.retain(|line| line.product != product);
    }

    /// Appends it for the snapshot, but for products that must not be told.
    pub fn keep(&self, tells: &dyn Fn(ProductKey) -> bool, out: &mut Vec<u8>) {
        let lines = || self.lines.iter().filter(|line| tells(line.product));
        put_number(out, lines().count());
        for line in lines() {
            put_product(out, line.product);
            out.extend(line.units.to_le_bytes());
            put_time(out, line.since);
        }
    }

    /// What [`Self::keep`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let lines = from.list(|from| {
            Some(Line { product: from.product()?, units: from.finite()?, since: from.time()? })
        })?;
        (lines.len() <= PRODUCTS_MAX).then(|| Self { lines: lines.into() })
    }

    /// Forgets what was put there at a time that is not admitted.
    pub fn retain(&mut self, admits: impl Fn(Timestamp) -> bool) {
        self.lines.retain(|line| admits(line.since));
    }

    /// True when nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn line(&mut self, product: ProductKey) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.product == product)
    }

    fn put(&mut self, line: Line) {
        if self.lines.len() >= PRODUCTS_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InteractionKind::{AddToCart, QuantityIncrease, RemoveFromCart};

    const OAT: ProductKey = ProductKey(7);

    #[test]
    fn the_same_product_a_second_time_is_more_of_it() {
        let mut cart = Cart::default();
        let at = Timestamp::from_seconds;
        assert_eq!(cart.add(OAT, 1.0, at(10)), AddToCart);
        assert_eq!(cart.add(OAT, 1.0, at(10)), AddToCart, "the same press, told twice");
        assert_eq!(cart.add(OAT, 1.0, at(20)), QuantityIncrease);
        assert_eq!(cart.add(ProductKey(8), 1.0, at(21)), AddToCart);
        cart.take_out(OAT);
        assert_eq!(cart.add(OAT, 1.0, at(30)), AddToCart);
    }

    #[test]
    fn a_call_that_sets_the_number_says_by_it_what_was_done() {
        let mut cart = Cart::default();
        let at = Timestamp(0);
        assert_eq!(cart.set(OAT, 2.0, at), Some(AddToCart));
        assert_eq!(cart.set(OAT, 3.0, at), Some(QuantityIncrease));
        assert_eq!(cart.set(OAT, 3.0, at), None);
        assert_eq!(cart.set(OAT, 1.0, at), None);
        assert_eq!(cart.set(OAT, 0.0, at), Some(RemoveFromCart));
        assert_eq!(cart.set(OAT, 1.0, at), Some(AddToCart));
    }

    #[test]
    fn a_cart_that_is_read_back_knows_what_is_in_it_but_for_what_must_not_be_told() {
        let (mut cart, mut bytes) = (Cart::default(), Vec::new());
        cart.add(OAT, 2.0, Timestamp(5));
        cart.add(ProductKey(8), 1.0, Timestamp(6));
        cart.keep(&|product| product == OAT, &mut bytes);
        let mut back = Cart::read(&mut Reader::new(&bytes)).unwrap();
        assert_eq!(back.add(OAT, 1.0, Timestamp::from_seconds(60)), QuantityIncrease);
        assert_eq!(back.add(ProductKey(8), 1.0, Timestamp::from_seconds(60)), AddToCart);
        back.retain(|at| at > Timestamp(5));
        assert_eq!(back.lines.len(), 1);
        assert_eq!(Cart::read(&mut Reader::new(&bytes[..bytes.len() - 1])), None);
    }

    #[test]
    fn a_cart_remembers_no_more_than_it_may() {
        let mut cart = Cart::default();
        for product in 0..1_000 {
            cart.add(ProductKey(product), 1.0, Timestamp(0));
        }
        assert_eq!(cart.lines.len(), PRODUCTS_MAX);
    }
}
