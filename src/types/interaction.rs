//! One event as it arrives, from traffic or from the track API, before the shopper's history turns
//! it into signals.
//!
//! Carries its own time. The kinds are the words of the track API and of the settings' event routes.

use super::clock::Timestamp;
use super::ids::ProductId;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InteractionKind {
    /// Chosen from a list.
    Click,
    /// Product page opened.
    View,
    /// Stayed on the product for so many seconds.
    Dwell {
        /// Seconds on the page.
        seconds: f32,
    },
    /// Put into the cart.
    AddToCart,
    /// More of what is in the cart.
    QuantityIncrease,
    /// Kept for later.
    SaveForLater,
    /// Taken out of the cart.
    RemoveFromCart,
    /// Bought.
    Purchase {
        /// Repeats by contract.
        subscription: bool,
    },
    /// Sent back.
    Return,
    /// Seen and passed over, as a client reports it.
    Scroll,
}

impl InteractionKind {
    /// Every word that names a kind, with the aliases that shops really send.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("click", Self::Click),
        ("click_product", Self::Click),
        ("product_click", Self::Click),
        ("view", Self::View),
        ("view_details", Self::View),
        ("view_item", Self::View),
        ("time_on_product", Self::Dwell { seconds: 0.0 }),
        ("dwell", Self::Dwell { seconds: 0.0 }),
        ("add_to_cart", Self::AddToCart),
        ("quantity_increase", Self::QuantityIncrease),
        ("save_for_later", Self::SaveForLater),
        ("remove_from_cart", Self::RemoveFromCart),
        ("purchase", Self::Purchase { subscription: false }),
        ("subscription", Self::Purchase { subscription: true }),
        ("return", Self::Return),
        ("returned", Self::Return),
        ("scroll", Self::Scroll),
        ("scroll_past", Self::Scroll),
        ("displayed_but_scrolled", Self::Scroll),
    ];

    /// The kind a word names; letter case does not matter.
    pub fn parse(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, kind)| *kind)
    }

    /// The word used for de-duplication, metrics and the API's answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::View => "view_details",
            Self::Dwell { .. } => "time_on_product",
            Self::AddToCart => "add_to_cart",
            Self::QuantityIncrease => "quantity_increase",
            Self::SaveForLater => "save_for_later",
            Self::RemoveFromCart => "remove_from_cart",
            Self::Purchase { .. } => "purchase",
            Self::Return => "return",
            Self::Scroll => "scroll",
        }
    }
}

/// One interaction of one shopper with one product.
#[derive(Clone, Debug, PartialEq)]
pub struct Interaction {
    /// What was done.
    pub kind: InteractionKind,
    /// With which product.
    pub product: ProductId,
    /// When, in event time.
    pub at: Timestamp,
    /// Units, at least 1.
    pub quantity: f32,
    /// The sender's own id of the event, if any: doubles are dropped by it.
    pub event_id: Option<Box<str>>,
}
