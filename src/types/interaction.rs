//! One event as it arrives, from traffic or from the track API, before the shopper's history turns
//! it into signals.
//!
//! Carries its own time. The kinds are the words of the track API and of the settings' event routes.

use super::clock::Timestamp;
use super::ids::ProductId;
use super::signal::SignalKind;

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
    /// Bought, by a sender who says which of the kinds of purchase it is.
    PurchaseOf(SignalKind),
    /// Sent back.
    Return,
    /// Seen and passed over, as a client reports it.
    Scroll,
    /// Viewed and not bought in time, as a sender reports it who knows.
    NeverBought,
}

impl InteractionKind {
    /// Every word that names a kind, with the aliases that shops really send. The kinds of signals
    /// by their keys in the rules (`browse.click_product`) are words too.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("click", Self::Click),
        ("click_product", Self::Click),
        ("product_click", Self::Click),
        ("view", Self::View),
        ("view_details", Self::View),
        ("view_item", Self::View),
        ("time_on_product", Self::Dwell { seconds: 0.0 }),
        ("dwell", Self::Dwell { seconds: 0.0 }),
        ("10_seconds", Self::Dwell { seconds: 10.0 }),
        ("30_seconds", Self::Dwell { seconds: 30.0 }),
        ("60_seconds", Self::Dwell { seconds: 60.0 }),
        ("add_to_cart", Self::AddToCart),
        ("quantity_increase", Self::QuantityIncrease),
        ("save_for_later", Self::SaveForLater),
        ("remove_from_cart", Self::RemoveFromCart),
        ("purchase", Self::Purchase { subscription: false }),
        ("subscription", Self::Purchase { subscription: true }),
        ("first_time", Self::PurchaseOf(SignalKind::PurchaseFirstTime)),
        ("repeat", Self::PurchaseOf(SignalKind::PurchaseRepeat)),
        ("bulk_purchase", Self::PurchaseOf(SignalKind::PurchaseBulk)),
        ("return", Self::Return),
        ("returned", Self::Return),
        ("scroll", Self::Scroll),
        ("scroll_past", Self::Scroll),
        ("displayed_but_scrolled", Self::Scroll),
        ("viewed_never_bought", Self::NeverBought),
    ];

    /// How many kinds [`Self::index`] tells apart.
    pub const COUNT: usize = 11;

    /// The kind a word names; letter case does not matter.
    pub fn parse(word: &str) -> Option<Self> {
        let named = Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        named.map(|(_, kind)| *kind).or_else(|| {
            let signal = SignalKind::ALL.iter().find(|kind| kind.path().eq_ignore_ascii_case(word));
            signal.map(|kind| Self::of_signal(*kind))
        })
    }

    /// What was done, by the signal that it is to be.
    fn of_signal(kind: SignalKind) -> Self {
        match kind {
            SignalKind::PurchaseFirstTime
            | SignalKind::PurchaseRepeat
            | SignalKind::PurchaseBulk => Self::PurchaseOf(kind),
            SignalKind::PurchaseSubscription => Self::Purchase { subscription: true },
            SignalKind::AddToCart => Self::AddToCart,
            SignalKind::QuantityIncrease => Self::QuantityIncrease,
            SignalKind::SaveForLater => Self::SaveForLater,
            SignalKind::RemoveFromCart => Self::RemoveFromCart,
            SignalKind::ClickProduct => Self::Click,
            SignalKind::ViewDetails => Self::View,
            SignalKind::Dwell10 => Self::Dwell { seconds: 10.0 },
            SignalKind::Dwell30 => Self::Dwell { seconds: 30.0 },
            SignalKind::Dwell60 => Self::Dwell { seconds: 60.0 },
            SignalKind::DisplayedButScrolled => Self::Scroll,
            SignalKind::ViewedNeverBought => Self::NeverBought,
            SignalKind::Returned => Self::Return,
        }
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
            Self::Purchase { .. } | Self::PurchaseOf(_) => "purchase",
            Self::Return => "return",
            Self::Scroll => "scroll",
            Self::NeverBought => "viewed_never_bought",
        }
    }

    /// Position in tables that hold one value a kind; kinds of one name share it.
    pub fn index(self) -> usize {
        match self {
            Self::Click => 0,
            Self::View => 1,
            Self::Dwell { .. } => 2,
            Self::AddToCart => 3,
            Self::QuantityIncrease => 4,
            Self::SaveForLater => 5,
            Self::RemoveFromCart => 6,
            Self::Purchase { .. } | Self::PurchaseOf(_) => 7,
            Self::Return => 8,
            Self::Scroll => 9,
            Self::NeverBought => 10,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_signal_is_a_word_by_its_key_and_by_the_end_of_its_key() {
        for kind in SignalKind::ALL {
            let by_key = InteractionKind::parse(kind.path());
            let end = kind.path().rsplit('.').next().unwrap();
            assert!(by_key.is_some(), "{}", kind.path());
            assert_eq!(InteractionKind::parse(end), by_key, "{end}");
        }
        assert_eq!(InteractionKind::parse("Add_To_Cart"), Some(InteractionKind::AddToCart));
        // As LeafLoaf's pages and its server call them.
        for (word, kind) in [
            ("view", InteractionKind::View),
            ("click_product", InteractionKind::Click),
            ("scroll", InteractionKind::Scroll),
            ("scroll_past", InteractionKind::Scroll),
        ] {
            assert_eq!(InteractionKind::parse(word), Some(kind));
        }
        assert_eq!(InteractionKind::parse("browse"), None);
    }

    #[test]
    fn kinds_of_one_name_share_an_index_and_others_do_not() {
        for (_, one) in InteractionKind::NAMES {
            assert!(one.index() < InteractionKind::COUNT);
            for (_, other) in InteractionKind::NAMES {
                assert_eq!(one.name() == other.name(), one.index() == other.index());
            }
        }
    }
}
