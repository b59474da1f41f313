//! One event in the plan's shape.
//!
//! In: its JSON. Out: who did what, or a refusal that names the key, what was found and what was
//! expected. Keys that are not known are left alone: pages send more than we read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::field::{self, Raw, found_at};
use super::super::intake::Item;
use super::super::refusal::Refusal;
use crate::config::Track;
use crate::types::clock::Timestamp;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::signal::SignalKind;

/// A stay beyond a day is a broken clock.
const SECONDS_MAX: f64 = 86_400.0;

#[derive(Default, Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Raw<'a>,
    #[serde(borrow, default)]
    user_id: Raw<'a>,
    #[serde(borrow, default)]
    session_id: Raw<'a>,
    #[serde(borrow, default)]
    product_id: Raw<'a>,
    #[serde(borrow, default)]
    event_id: Raw<'a>,
    #[serde(borrow, default)]
    quantity: Raw<'a>,
    #[serde(borrow, default)]
    timestamp: Raw<'a>,
    #[serde(borrow, default)]
    context: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Context<'a> {
    #[serde(borrow, default)]
    time_on_page: Raw<'a>,
    #[serde(borrow, default)]
    position: Raw<'a>,
}

/// Reads one event.
pub(super) fn read(raw: &RawValue, now: Timestamp, limits: &Track) -> Result<Item, Refusal> {
    let event: Event<'_> = field::object(raw, "type and product_id")?;
    let context = match event.context {
        None => Context::default(),
        Some(context) => serde_json::from_str(context.get()).map_err(|_| {
            Refusal::new("bad_context", "context", context.get(), "an object with time_on_page")
        })?,
    };
    let kind = kind(event.kind)?;
    let product = field::product(event.product_id, "product_id")?;
    let quantity = field::quantity(event.quantity, "quantity")?;
    let at = field::time(event.timestamp, "timestamp", now, limits)?;
    let event_id = field::text(event.event_id, "bad_event_id", "event_id")?.map(Box::<str>::from);
    let interaction = |kind| Interaction {
        kind,
        product: product.clone(),
        at,
        quantity,
        event_id: event_id.clone(),
    };
    let stay = seconds(context.time_on_page)?.map(|seconds| InteractionKind::Dwell { seconds });
    let acts = match (kind, stay) {
        (InteractionKind::Dwell { .. }, Some(stay)) => vec![interaction(stay)],
        (InteractionKind::Dwell { seconds: 0.0 }, None) => {
            let expected = "seconds beside this type";
            return Err(Refusal::new("bad_time", "context.time_on_page", "nothing", expected));
        }
        (kind, stay) => std::iter::once(kind).chain(stay).map(interaction).collect(),
    };
    Ok(Item {
        user: field::user(event.user_id, "user_id")?,
        session: field::session(event.session_id, "session_id")?,
        acts,
        position: position(context.position)?,
    })
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

fn seconds(raw: Raw<'_>) -> Result<Option<f32>, Refusal> {
    let Some(value) = raw else { return Ok(None) };
    let seconds = field::number(value).filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(|seconds| Some(seconds as f32)).ok_or_else(|| {
        let expected = format!("seconds from 0 to {SECONDS_MAX}");
        Refusal::new("bad_time", "context.time_on_page", value.get(), expected)
    })
}

fn position(raw: Raw<'_>) -> Result<Option<u32>, Refusal> {
    let Some(value) = raw else { return Ok(None) };
    let is_place = |n: &f64| n.fract() == 0.0 && (0.0..=field::POSITION_MAX).contains(n);
    field::number(value).filter(is_place).map(|n| Some(n as u32)).ok_or_else(|| {
        let expected = "a whole number from 0, which is the first hit; nothing if it is not known";
        Refusal::new("bad_position", "context.position", value.get(), expected)
    })
}

#[cfg(test)]
mod tests;
