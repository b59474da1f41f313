//! One event in the plan's shape.
//!
//! In: its JSON. Out: who did what, or a refusal that names the key, what was found and what was
//! expected. Keys that are not known are left alone: pages send more than we read.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::field::{self, Raw, found_at};
use super::super::intake::{Item, Read};
use super::super::refusal::Refusal;
use super::super::shape;
use crate::config::Track;
use crate::types::clock::Timestamp;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::signal::SignalKind;

/// What one shopper did with one product.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(
    rename = "Interaction",
    extend("required" = ["type", "product_id"], "anyOf" = shape::one_of(&["user_id", "session_id"]),
           "allOf" = shape::stays())
)]
pub(in super::super) struct Event<'a> {
    /// What was done; letter case does not matter. The keys of `signal_weights` in the rules are words
    /// for it too.
    #[serde(borrow, default, rename = "type")]
    #[schemars(with = "shape::Kind")]
    kind: Raw<'a>,
    /// The shopper, as the shop names them; wins over the visit, where they are more than claimed or
    /// claims count.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    user_id: Raw<'a>,
    /// The visit, as the shop names it.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    session_id: Raw<'a>,
    /// The key that search replies use; at most 256 bytes.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Named")]
    product_id: Raw<'a>,
    /// Yours; a second event with it is not counted. Without it the same act within a second of the
    /// first counts once.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    event_id: Raw<'a>,
    /// Units; 1 if left out.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Quantity")]
    quantity: Raw<'a>,
    /// Seconds or milliseconds since 1970, or RFC 3339; now if left out. At most
    /// `limits.track_age_days_max` back and `track_ahead_seconds_max` ahead.
    #[serde(borrow, default)]
    #[schemars(with = "shape::When")]
    timestamp: Raw<'a>,
    /// Where and for how long.
    #[serde(borrow, default)]
    #[schemars(with = "Option<Context<'a>>")]
    context: Raw<'a>,
}

/// Where a product stood, and how long somebody stayed.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "InteractionContext")]
struct Context<'a> {
    /// Seconds; counts as time on the product beside any other type.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Seconds")]
    time_on_page: Raw<'a>,
    /// 0-based; what counts is where the product stood when it went by here.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Position")]
    position: Raw<'a>,
}

/// Reads one event.
pub(in super::super) fn read(
    raw: &RawValue,
    now: Timestamp,
    limits: &Track,
) -> Result<Read, Refusal> {
    let event: Event<'_> = field::object(raw, "type and product_id")?;
    let context = match event.context {
        None => Context::default(),
        Some(context) => field::only_object(context).map_err(|_| {
            Refusal::new("bad_context", "context", context.get(), "an object with time_on_page")
        })?,
    };
    let kind = kind(event.kind)?;
    let product = field::product(event.product_id, "product_id")?;
    let quantity = field::quantity(event.quantity, "quantity")?;
    let at = field::time(event.timestamp, "timestamp", now, limits)?;
    let event_id = field::event_id(event.event_id, "event_id")?;
    let interaction = |kind| Interaction {
        kind,
        product: product.clone(),
        at,
        quantity,
        event_id: event_id.clone(),
    };
    let stay = field::seconds(context.time_on_page, "context.time_on_page")?
        .map(|seconds| InteractionKind::Dwell { seconds });
    let acts = match (kind, stay) {
        (InteractionKind::Dwell { .. }, Some(stay)) => vec![interaction(stay)],
        (InteractionKind::Dwell { seconds: 0.0 }, None) => {
            let expected = "seconds beside this type";
            return Err(Refusal::new("bad_time", "context.time_on_page", "nothing", expected));
        }
        (kind, stay) => std::iter::once(kind).chain(stay).map(interaction).collect(),
    };
    Ok(Read::Item(Item {
        user: field::user(event.user_id, "user_id")?,
        session: field::session(event.session_id, "session_id")?,
        acts,
        position: field::from_zero(context.position, "context.position")?,
        raw: None,
    }))
}

fn kind(raw: Raw<'_>) -> Result<InteractionKind, Refusal> {
    let word = field::text(raw, "unknown_type", "type")?.unwrap_or_default();
    InteractionKind::parse(word.trim()).ok_or_else(|| {
        let names: Vec<&str> = InteractionKind::NAMES.iter().map(|(name, _)| *name).collect();
        let paths: Vec<&str> = SignalKind::ALL.iter().map(|kind| kind.path()).collect();
        let expected =
            format!("one of {}, or a key of signal_weights in the rules", names.join(", "));
        let refusal = Refusal::new("unknown_type", "type", found_at(raw), expected);
        refusal.suggest_near(&word, &[names, paths].concat())
    })
}

#[cfg(test)]
mod tests;
