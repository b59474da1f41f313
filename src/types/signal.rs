//! What one interaction of one shopper with one product says: the kinds of the plan's
//! `signal_weights`, each with its place in the rules table.
//!
//! A kind knows its key in the rules and its index in the table of weights, and no weight.

use super::clock::Timestamp;
use super::ids::ProductKey;

macro_rules! signal_kinds {
    ($($(#[$doc:meta])* $name:ident => $path:literal,)*) => {
        /// The kind of a signal; its weight is `signal_weights.<path>` in the rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum SignalKind { $($(#[$doc])* $name,)* }

        impl SignalKind {
            /// All kinds, in the order of [`SignalKind::index`].
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The key under `signal_weights`, with dots.
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// Position in tables that hold one value a kind.
            pub fn index(self) -> usize {
                self as usize
            }
        }
    };
}

signal_kinds! {
    /// The shopper's first purchase of the product.
    PurchaseFirstTime => "purchase.first_time",
    /// A later purchase.
    PurchaseRepeat => "purchase.repeat",
    /// A purchase of at least `thresholds.bulk_quantity_min` units.
    PurchaseBulk => "purchase.bulk_purchase",
    /// A purchase that repeats by contract.
    PurchaseSubscription => "purchase.subscription",
    /// Put into the cart.
    AddToCart => "cart.add_to_cart",
    /// More of what is in the cart.
    QuantityIncrease => "cart.quantity_increase",
    /// Kept for another day.
    SaveForLater => "cart.save_for_later",
    /// Taken out of the cart.
    RemoveFromCart => "cart.remove_from_cart",
    /// Chosen from a list.
    ClickProduct => "browse.click_product",
    /// The product's page was opened.
    ViewDetails => "browse.view_details",
    /// Stayed at least 10 seconds.
    Dwell10 => "browse.time_on_product.10_seconds",
    /// Stayed at least 30 seconds.
    Dwell30 => "browse.time_on_product.30_seconds",
    /// Stayed at least 60 seconds.
    Dwell60 => "browse.time_on_product.60_seconds",
    /// Shown above the lowest click of its list and not clicked.
    DisplayedButScrolled => "negative.displayed_but_scrolled",
    /// Viewed and not bought within the time set.
    ViewedNeverBought => "negative.viewed_never_bought",
    /// Sent back.
    Returned => "negative.returned",
}

/// One signal, ready to be learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// What happened.
    pub kind: SignalKind,
    /// With which product.
    pub product: ProductKey,
    /// When, in event time.
    pub at: Timestamp,
    /// Signed multiplicity: `-1.0` takes back a signal that turned out wrong (a product marked as
    /// scrolled past that was then clicked), `1.0` otherwise.
    pub times: f32,
    /// Units of a purchase, saturating; 0 where nobody said or counts them.
    pub quantity: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_of_each_kind_how_it_is_recognised() {
        let document = include_str!("../../docs/SIGNALS.md");
        let (_, kinds) = document.split_once("## Kinds").unwrap();
        let (kinds, _) = kinds.split_once("\n## ").unwrap();
        let rows = kinds.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let listed: Vec<&str> = rows.map(|(kind, _)| kind).collect();
        let expected: Vec<&str> = SignalKind::ALL.iter().map(|kind| kind.path()).collect();
        assert_eq!(listed, expected, "docs/SIGNALS.md (left) and SignalKind::ALL (right)");
    }

    #[test]
    fn each_kind_has_its_own_index_and_path() {
        for (index, kind) in SignalKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(SignalKind::ALL.iter().filter(|k| k.path() == kind.path()).count(), 1);
        }
    }
}
