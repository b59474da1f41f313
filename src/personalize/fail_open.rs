//! Every reason for which the shop's own bytes go out: one table.
//!
//! In: what went another way than to a moved list. Out: the word in `X-Leafrank: bypass; reason=…`
//! and in `leafrank_bypass_total`, where the funnel loses such a search, and the setting that
//! decides. docs/METRICS.md lists the same words.

use super::funnel::Stage;
use crate::telemetry::limits::Limit;
use crate::wire::Doubt;
use crate::wire::weaviate::Left;

/// A row: the variant, its label, the stage of the funnel at which it loses a search (`None` for
/// searches that nobody meant to rank), and the setting that decides where one alone does.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident: $label:literal, $stage:expr, $setting:expr;)+) => {
        /// Why a search was answered with the upstream's own bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FailOpen {
            $($(#[$doc])+ $name,)+
            /// The reply is not what the route's map says, or a search cannot be read.
            Doubt(Doubt),
            /// What was asked of Weaviate is best left as it is.
            Left(Left),
        }

        impl FailOpen {
            /// All reasons.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$name),+]
                    .into_iter()
                    .chain(Doubt::ALL.into_iter().map(Self::Doubt))
                    .chain(Left::ALL.into_iter().map(Self::Left))
            }

            /// The label in metrics and the word in `X-Leafrank: bypass; reason=…`.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)+
                    Self::Doubt(doubt) => doubt.name(),
                    Self::Left(left) => left.name(),
                }
            }

            /// The stage of the funnel at which such a search is lost; `None` for searches that
            /// nobody meant to rank.
            pub fn lost_at(self) -> Option<Stage> {
                match self {
                    $(Self::$name => $stage,)+
                    Self::Doubt(Doubt::ConditionFailed) => None,
                    Self::Doubt(_) => Some(Stage::Decoded),
                    Self::Left(_) => None,
                }
            }

            /// The setting that decides, where one alone does.
            pub fn decided_by(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => $setting,)+
                    Self::Doubt(Doubt::ConditionFailed) => Some("routes[].search.only_if"),
                    Self::Doubt(_) | Self::Left(_) => None,
                }
            }
        }
    };
}

reasons! {
    /// The route's mode is `off`.
    Off: "off", Some(Stage::Allowed), Some("mode");
    /// The route's mode is `shadow`.
    Shadow: "shadow", Some(Stage::Allowed), Some("mode");
    /// Switched off by an operator or in the rules.
    SwitchedOff: "switched_off", Some(Stage::Allowed), Some("enabled in the rules, or POST /personalization/on");
    /// There are no usable rules.
    NoRules: "no_rules", Some(Stage::Allowed), Some("rules.path");
    /// Nobody is named.
    NoSubject: "no_subject", Some(Stage::Identified), None;
    /// The shopper asked not to be profiled.
    OptedOut: "opted_out", None, None;
    /// The request came by another sidecar, and that one ranks.
    OtherLeg: "other_leg", None, None;
    /// Nothing is known of this shopper.
    NoEvidence: "no_evidence", Some(Stage::Profile), None;
    /// Lists of this visit always go out in the upstream's order.
    Holdout: "holdout", Some(Stage::Allowed), Some("holdout");
    /// The caller chose an order.
    SortChosen: "sort_chosen", None, None;
    /// A part of a reply was asked for.
    Range: "range", None, None;
    /// The request was not kept: larger than `peek_bytes_max`, or its body broke off.
    RequestNotRead: "request_not_read", Some(Stage::Decoded), Some("limits.peek_bytes_max");
    /// The reply's status is not 200.
    Status: "status", None, None;
    /// The reply is not JSON.
    ContentType: "content_type", Some(Stage::Decoded), None;
    /// The reply's coding is unknown to us, or does not decode.
    Encoding: "encoding", Some(Stage::Decoded), None;
    /// The reply must not be transformed, or is signed or digested.
    Sealed: "sealed", Some(Stage::Allowed), None;
    /// The reply is larger than `reply_bytes_max`.
    TooLarge: "reply_too_large", Some(Stage::Decoded), Some("limits.reply_bytes_max");
    /// `hold_ms` ended before the reply did.
    HoldSpent: "hold_spent", Some(Stage::Decoded), Some("limits.hold_ms");
    /// The reply broke off.
    ReplyBroken: "reply_broken", Some(Stage::Decoded), None;
    /// `rank_us` ended before the ranking did.
    RankSpent: "rank_spent", Some(Stage::Allowed), Some("limits.rank_us");
    /// More than `in_flight_max` replies were being held.
    Overload: "overload", Some(Stage::Allowed), Some("limits.in_flight_max");
    /// Memory is above the soft mark.
    Memory: "memory", Some(Stage::Allowed), Some("limits.memory_bytes_max");
    /// Our own faults switched the route off.
    Tripped: "tripped", Some(Stage::Allowed), Some("POST /routes/{name}/on, once its faults are mended");
    /// An earlier page of this search went out in the upstream's order: so does this one.
    Frozen: "frozen", Some(Stage::Allowed), Some("store.orders_seconds");
    /// Nothing in the list is about the query, so nothing is a reason to move anything.
    OffTopic: "off_topic", Some(Stage::Changed), Some("routes[].search.query");
    /// The ranking is the upstream's order.
    Unmoved: "unmoved", Some(Stage::Changed), None;
    /// Our code panicked; the original was answered.
    Panic: "panic", Some(Stage::Allowed), None;
}

impl FailOpen {
    /// The reason with this label.
    pub fn parse(label: &str) -> Option<Self> {
        Self::all().find(|reason| reason.label() == label)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_names_one_reason() {
        for reason in FailOpen::all() {
            assert_eq!(FailOpen::parse(reason.label()), Some(reason));
        }
        assert_eq!(FailOpen::parse("nothing of ours"), None);
    }
}
