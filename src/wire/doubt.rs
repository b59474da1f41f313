//! Why a body is left alone: one name for each reason.
//!
//! Everything in `wire` answers either with what it found or with a [`Doubt`]. A doubt is not a
//! fault of the shop: it says that we are not certain enough to touch these bytes. It holds no
//! text of the body, so that it may be logged and counted.

/// A reason to leave a body, or one list of it, as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Doubt {
    /// The body has 4 GiB or more, so that its spans do not fit.
    #[error("the body is too large for 32-bit spans")]
    TooLarge,
    /// The body starts with a byte order mark.
    #[error("the body starts with a byte order mark")]
    ByteOrderMark,
    /// The body is not UTF-8.
    #[error("the body is not UTF-8")]
    InvalidUtf8,
    /// The body is not one JSON value, or something follows it.
    #[error("the body is not one JSON value")]
    NotJson,
    /// A request holds no GraphQL document.
    #[error("the request holds no GraphQL document")]
    NotGraphql,
    /// The body is not one protobuf message in gRPC's framing.
    #[error("the body is not one protobuf message")]
    NotProtobuf,
    /// Arrays and objects are nested deeper than we follow.
    #[error("the body is nested too deeply")]
    TooDeep,
    /// A key that we read or pass through is there twice.
    #[error("a key that matters is there twice")]
    DuplicateKey,
    /// There is no array, or only empty ones, where hits should be.
    #[error("there are no hits where they should be")]
    NoHits,
    /// A hit has no stable product key.
    #[error("a hit has no id")]
    MissingId,
    /// A list holds more hits than the limit.
    #[error("a list holds too many hits")]
    TooManyHits,
    /// Text that we read holds half of a surrogate pair and is thus no text.
    #[error("a text that matters holds half a surrogate pair")]
    LoneSurrogate,
    /// A condition of the route, or of its wire, does not hold.
    #[error("a condition of the route, or of its wire, does not hold")]
    ConditionFailed,
    /// An order is not a permutation of its list.
    #[error("the order is not a permutation of the list")]
    NotAPermutation,
    /// A list or an edit does not fit this body, or two of them overlap.
    #[error("a list or an edit does not fit the body")]
    Misplaced,
}

impl Doubt {
    /// All doubts, for tables of metrics and tests.
    pub const ALL: [Self; 15] = [
        Self::TooLarge,
        Self::ByteOrderMark,
        Self::InvalidUtf8,
        Self::NotJson,
        Self::NotGraphql,
        Self::NotProtobuf,
        Self::TooDeep,
        Self::DuplicateKey,
        Self::NoHits,
        Self::MissingId,
        Self::TooManyHits,
        Self::LoneSurrogate,
        Self::ConditionFailed,
        Self::NotAPermutation,
        Self::Misplaced,
    ];

    /// The name used in metrics and reply headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::ByteOrderMark => "byte_order_mark",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotJson => "not_json",
            Self::NotGraphql => "not_graphql",
            Self::NotProtobuf => "not_protobuf",
            Self::TooDeep => "too_deep",
            Self::DuplicateKey => "duplicate_key",
            Self::NoHits => "no_hits",
            Self::MissingId => "missing_id",
            Self::TooManyHits => "too_many_hits",
            Self::LoneSurrogate => "lone_surrogate",
            Self::ConditionFailed => "condition_failed",
            Self::NotAPermutation => "not_a_permutation",
            Self::Misplaced => "misplaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_doubt_has_a_name_of_its_own() {
        let names: HashSet<_> = Doubt::ALL.iter().map(|doubt| doubt.name()).collect();
        assert_eq!(names.len(), Doubt::ALL.len());
    }
}
