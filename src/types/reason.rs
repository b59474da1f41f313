//! Why a hit moved, before anybody puts it into words.
//!
//! In: nothing. Out: [`Reason`], the one thing that is said to a shopper about a hit, and the words
//! that a sentence about it may use. The sentences themselves are the merchandiser's.

use std::sync::Arc;

macro_rules! reason_kinds {
    ($($(#[$doc:meta])* $name:ident => $key:literal $places:expr,)*) => {
        /// What a reason is about; its sentence is `<key>` in a message file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ReasonKind { $($(#[$doc])* $name,)* }

        impl ReasonKind {
            /// All kinds, in the order of [`ReasonKind::index`].
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its key in message files.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)* }
            }

            /// The words that its sentence may use, as `{word}`.
            pub fn places(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$places,)* }
            }

            /// Position in tables that hold one value a kind.
            pub fn index(self) -> usize {
                self as usize
            }
        }
    };
}

reason_kinds! {
    /// The shopper bought this very product.
    BoughtBefore => "bought_before" [],
    /// The shopper chose it before, and has not bought it.
    PickedBefore => "picked_before" [],
    /// Bought, and what came after speaks against it.
    GivenBack => "given_back" [],
    /// Shown before and passed over.
    PassedOver => "passed_over" [],
    /// A taste, and the product that it comes from.
    FacetLike => "facet_like" ["facet", "product"],
    /// A taste.
    FacetLiked => "facet_liked" ["facet"],
    /// A dislike.
    FacetPassedOver => "facet_passed_over" ["facet"],
    /// Liked less than most people like it.
    FacetUnusual => "facet_unusual" ["facet"],
    /// The shopper asked for more of it.
    FacetPinned => "facet_pinned" ["facet"],
    /// The shopper asked for less of it.
    FacetMuted => "facet_muted" ["facet"],
    /// Above the shopper's usual price.
    Dearer => "dearer" [],
    /// Below the shopper's usual price.
    Cheaper => "cheaper" [],
    /// Does well with everybody.
    OftenPicked => "often_picked" [],
    /// Does badly with everybody.
    SeldomPicked => "seldom_picked" [],
    /// Its place is paid for.
    Sponsored => "sponsored" [],
    /// It cannot be bought now.
    OutOfStock => "out_of_stock" [],
    /// A rule put it here.
    Pinned => "pinned" ["rule"],
    /// A rule put it last.
    PutLast => "put_last" ["rule"],
    /// A rule raised or lowered it.
    MovedByRule => "moved_by_rule" ["rule"],
}

/// Why a hit moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What it is about.
    pub kind: ReasonKind,
    /// The facet's value, for people.
    pub facet: Option<Arc<str>>,
    /// A product's name.
    pub product: Option<Arc<str>>,
    /// A rule's id.
    pub rule: Option<Arc<str>>,
}

impl Reason {
    /// A reason without words of its own.
    pub fn of(kind: ReasonKind) -> Self {
        Self { kind, facet: None, product: None, rule: None }
    }

    /// A reason about a facet.
    pub fn of_facet(kind: ReasonKind, facet: &str) -> Self {
        Self { facet: Some(facet.into()), ..Self::of(kind) }
    }

    /// A reason that is a rule.
    pub fn of_rule(kind: ReasonKind, rule: &str) -> Self {
        Self { rule: Some(rule.into()), ..Self::of(kind) }
    }

    /// What stands at a place of its sentence.
    pub fn word(&self, place: &str) -> Option<&str> {
        match place {
            "facet" => self.facet.as_deref(),
            "product" => self.product.as_deref(),
            "rule" => self.rule.as_deref(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_index_and_key() {
        for (index, kind) in ReasonKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(ReasonKind::ALL.iter().filter(|k| k.key() == kind.key()).count(), 1);
        }
    }

    #[test]
    fn every_place_of_a_kind_is_one_that_a_reason_can_fill() {
        let reason = Reason {
            facet: Some("spicy".into()),
            product: Some("Oat Milk".into()),
            rule: Some("spring".into()),
            ..Reason::of(ReasonKind::FacetLike)
        };
        let places = ReasonKind::ALL.iter().flat_map(|kind| kind.places());
        assert!(places.clone().count() > 0);
        assert!(places.into_iter().all(|place| reason.word(place).is_some()));
    }
}
