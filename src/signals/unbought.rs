//! Products that were looked at, and whether they were bought after all.
//!
//! In: what a subject does, in event time. Out: after the time that the rules set, the products that
//! were viewed and neither bought nor put into the cart: one `viewed_never_bought` each, told at the
//! subject's next request or act and dated when the time was over. Remembers the last [`VIEWED_MAX`]
//! products, the oldest out first and then never told.

use std::collections::VecDeque;

use crate::types::bytes::{Reader, put_number, put_product, put_time};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::profile::Profile;
use crate::types::signal::{Signal, SignalKind};

/// Products remembered a subject.
pub const VIEWED_MAX: usize = 32;

const BOUGHT: InteractionKind = InteractionKind::Purchase { subscription: false };

/// What one subject looked at and has not bought, the oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unbought {
    viewed: VecDeque<(ProductKey, Timestamp)>,
}

impl Unbought {
    /// Notes what was done. A product that was ever bought is no doubtful case.
    pub fn note(&mut self, interaction: &Interaction, profile: Option<&Profile>) {
        let product = interaction.product.key();
        let bought = profile.and_then(|p| p.product(product)).is_some_and(|p| p.purchases > 0);
        match interaction.kind {
            InteractionKind::Click | InteractionKind::View | InteractionKind::RemoveFromCart
                if !bought =>
            {
                self.forget(product);
                if self.viewed.len() >= VIEWED_MAX {
                    self.viewed.pop_front();
                }
                self.viewed.push_back((product, interaction.at));
            }
            InteractionKind::AddToCart
            | InteractionKind::QuantityIncrease
            | InteractionKind::SaveForLater => self.forget(product),
            kind if kind.name() == BOUGHT.name() => self.forget(product),
            _ => {}
        }
    }

    /// The signals whose time has come; each product is told once.
    pub fn due(&mut self, now: Timestamp, after_ms: i64) -> Vec<Signal> {
        let mut due = Vec::new();
        self.viewed.retain(|(product, viewed)| {
            let at = Timestamp(viewed.0.saturating_add(after_ms));
            if at > now {
                return true;
            }
            let kind = SignalKind::ViewedNeverBought;
            due.push(Signal { kind, product: *product, at, times: 1.0, quantity: 0 });
            false
        });
        due
    }

    /// Takes over what another remembers, the oldest first.
    pub fn join(&mut self, other: Self) {
        let mut viewed: Vec<_> = self.viewed.drain(..).chain(other.viewed).collect();
        viewed.sort_by_key(|(_, at)| *at);
        let surplus = viewed.len().saturating_sub(VIEWED_MAX);
        self.viewed.extend(viewed.into_iter().skip(surplus));
    }

    /// True when nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.viewed.is_empty()
    }

    /// Appends it for the snapshot, but for products that must not be told.
    pub fn keep(&self, tells: &dyn Fn(ProductKey) -> bool, out: &mut Vec<u8>) {
        let viewed = || self.viewed.iter().filter(|(product, _)| tells(*product));
        put_number(out, viewed().count());
        for (product, at) in viewed() {
            put_product(out, *product);
            put_time(out, *at);
        }
    }

    /// What [`Self::keep`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let viewed = from.list(|from| Some((from.product()?, from.time()?)))?;
        (viewed.len() <= VIEWED_MAX).then(|| Self { viewed: viewed.into() })
    }

    /// Forgets what was viewed at a time that is not admitted.
    pub fn retain(&mut self, admits: impl Fn(Timestamp) -> bool) {
        self.viewed.retain(|(_, at)| admits(*at));
    }

    fn forget(&mut self, product: ProductKey) {
        self.viewed.retain(|(viewed, _)| *viewed != product);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ids::ProductId;

    const WEEK_MS: i64 = 7 * 86_400_000;

    fn did(kind: InteractionKind, id: &str, at: i64) -> Interaction {
        let product = ProductId::parse(id).unwrap();
        Interaction { kind, product, at: Timestamp(at), quantity: 1.0, event_id: None }
    }

    #[test]
    fn what_was_viewed_and_not_bought_is_told_once_when_the_time_is_over() {
        let mut unbought = Unbought::default();
        for (kind, id, at) in [
            (InteractionKind::View, "left", 10),
            (InteractionKind::View, "bought", 20),
            (InteractionKind::View, "kept", 30),
            (InteractionKind::Purchase { subscription: false }, "bought", 40),
            (InteractionKind::AddToCart, "kept", 50),
            (InteractionKind::View, "later", 60),
        ] {
            unbought.note(&did(kind, id, at), None);
        }
        assert_eq!(unbought.due(Timestamp(WEEK_MS), WEEK_MS), []);
        let due = unbought.due(Timestamp(WEEK_MS + 59), WEEK_MS);
        let told: Vec<_> = due.iter().map(|s| (s.kind, s.product, s.at.0)).collect();
        let left = (SignalKind::ViewedNeverBought, ProductKey::of("left"), WEEK_MS + 10);
        assert_eq!(told, [left]);
        assert_eq!(unbought.due(Timestamp(WEEK_MS + 60), WEEK_MS).len(), 1);
        assert!(unbought.is_empty());
    }

    #[test]
    fn what_is_read_back_still_counts_when_its_time_has_come() {
        let (mut unbought, mut bytes) = (Unbought::default(), Vec::new());
        for (id, at) in [("left", 10), ("hidden", 20), ("erased", 5)] {
            unbought.note(&did(InteractionKind::View, id, at), None);
        }
        unbought.keep(&|product| product != ProductKey::of("hidden"), &mut bytes);
        let mut back = Unbought::read(&mut Reader::new(&bytes)).unwrap();
        back.retain(|at| at > Timestamp(5));
        let due = back.due(Timestamp(WEEK_MS + 60), WEEK_MS);
        let told: Vec<_> = due.iter().map(|signal| (signal.product, signal.at.0)).collect();
        assert_eq!(told, [(ProductKey::of("left"), WEEK_MS + 10)]);
        assert_eq!(Unbought::read(&mut Reader::new(&bytes[..bytes.len() - 1])), None);
    }

    #[test]
    fn a_product_looked_at_again_has_its_time_again_and_memory_is_bounded() {
        let mut unbought = Unbought::default();
        unbought.note(&did(InteractionKind::View, "oat", 0), None);
        unbought.note(&did(InteractionKind::View, "oat", WEEK_MS), None);
        assert_eq!(unbought.due(Timestamp(WEEK_MS), WEEK_MS), []);
        for number in 0..1_000 {
            unbought.note(&did(InteractionKind::View, &number.to_string(), WEEK_MS), None);
        }
        assert_eq!(unbought.due(Timestamp(3 * WEEK_MS), WEEK_MS).len(), VIEWED_MAX);
    }
}
