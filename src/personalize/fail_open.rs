//! Every reason for which the shop's own bytes go out: one enum, one label, one place.
//!
//! In: what went another way than to a moved list. Out: the word in `X-Leafrank: bypass; reason=…`
//! and in `leafrank_bypass_total`. docs/METRICS.md lists the same words.

use crate::telemetry::limits::Limit;
use crate::wire::Doubt;

/// Why a search was answered with the upstream's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailOpen {
    /// The route's mode is `off`.
    Off,
    /// The route's mode is `shadow`.
    Shadow,
    /// Switched off by an operator or in the rules.
    SwitchedOff,
    /// There are no usable rules.
    NoRules,
    /// Nobody is named.
    NoSubject,
    /// The shopper asked not to be profiled.
    OptedOut,
    /// Nothing is known of this shopper.
    NoEvidence,
    /// Lists of this visit always go out in the upstream's order.
    Holdout,
    /// The caller chose an order.
    SortChosen,
    /// A part of a reply was asked for.
    Range,
    /// The request was not kept: larger than `peek_bytes_max`, or its body broke off.
    RequestNotRead,
    /// The reply's status is not 200.
    Status,
    /// The reply is not JSON.
    ContentType,
    /// The reply's coding is unknown to us, or does not decode.
    Encoding,
    /// The reply must not be transformed, or is signed or digested.
    Sealed,
    /// The reply is larger than `reply_bytes_max`.
    TooLarge,
    /// `hold_ms` ended before the reply did.
    HoldSpent,
    /// The reply broke off.
    ReplyBroken,
    /// `rank_us` ended before the ranking did.
    RankSpent,
    /// More than `in_flight_max` replies were being held.
    Overload,
    /// Memory is above the soft mark.
    Memory,
    /// Our own faults switched the route off.
    Tripped,
    /// The reply is not what the route's map says.
    Doubt(Doubt),
    /// Nothing in the list is about the query, so nothing is a reason to move anything.
    OffTopic,
    /// The ranking is the upstream's order.
    Unmoved,
    /// Our code panicked; the original was answered.
    Panic,
}

impl FailOpen {
    /// The label in metrics and the word in `X-Leafrank: bypass; reason=…`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::SwitchedOff => "switched_off",
            Self::NoRules => "no_rules",
            Self::NoSubject => "no_subject",
            Self::OptedOut => "opted_out",
            Self::NoEvidence => "no_evidence",
            Self::Holdout => "holdout",
            Self::SortChosen => "sort_chosen",
            Self::Range => "range",
            Self::RequestNotRead => "request_not_read",
            Self::Status => "status",
            Self::ContentType => "content_type",
            Self::Encoding => "encoding",
            Self::Sealed => "sealed",
            Self::TooLarge => "reply_too_large",
            Self::HoldSpent => "hold_spent",
            Self::ReplyBroken => "reply_broken",
            Self::RankSpent => "rank_spent",
            Self::Overload => "overload",
            Self::Memory => "memory",
            Self::Tripped => "tripped",
            Self::Doubt(doubt) => doubt.name(),
            Self::OffTopic => "off_topic",
            Self::Unmoved => "unmoved",
            Self::Panic => "panic",
        }
    }
}

impl FailOpen {
    /// Is it a fault of ours that [`super::breaker`] should hear of? Panics tell it themselves.
    pub fn is_our_fault(self) -> bool {
        matches!(self, Self::Doubt(Doubt::NotAPermutation | Doubt::Misplaced))
    }

    /// The limit that was reached, if that is the reason.
    pub fn limit(self) -> Option<Limit> {
        match self {
            Self::HoldSpent => Some(Limit::HoldMs),
            Self::RankSpent => Some(Limit::RankUs),
            Self::TooLarge => Some(Limit::ReplyBytesMax),
            Self::Overload => Some(Limit::InFlightMax),
            _ => None,
        }
    }
}

impl From<Doubt> for FailOpen {
    fn from(doubt: Doubt) -> Self {
        Self::Doubt(doubt)
    }
}
