//! One event of UBI's schema (1.3).
//!
//! In: its JSON, and the document's id. Out: who did what, why it says nothing, or why it cannot be
//! used. One table says which action is which act; shops make up actions of their own, so that one
//! that is not known says nothing. Our own words for acts are known too.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::field::{self, Raw};
use super::super::intake::{Item, Read};
use super::super::refusal::Refusal;
use crate::config::Track;
use crate::types::clock::Timestamp;
use crate::types::interaction::{Interaction, InteractionKind as Kind};

/// Which action is which act, beside our own words. `None`: seen in a list, which the list itself
/// has told.
const TABLE: &[(&str, Option<Kind>)] = &[
    ("impression", None),
    ("hover", None),
    ("item_click", Some(Kind::Click)),
    ("result_click", Some(Kind::Click)),
    ("product_view", Some(Kind::View)),
    ("product_details", Some(Kind::View)),
    ("cart_add", Some(Kind::AddToCart)),
    ("cart_remove", Some(Kind::RemoveFromCart)),
    ("add_to_wishlist", Some(Kind::SaveForLater)),
    ("wishlist", Some(Kind::SaveForLater)),
    ("buy", Some(Kind::Purchase { subscription: false })),
    ("conversion", Some(Kind::Purchase { subscription: false })),
    ("refund", Some(Kind::Return)),
];

#[derive(Default, Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    action_name: Raw<'a>,
    #[serde(borrow, default)]
    user_id: Raw<'a>,
    #[serde(borrow, default)]
    session_id: Raw<'a>,
    #[serde(borrow, default)]
    client_id: Raw<'a>,
    #[serde(borrow, default)]
    timestamp: Raw<'a>,
    #[serde(borrow, default)]
    event_attributes: Option<Attributes<'a>>,
}

#[derive(Default, Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, default)]
    object: Option<Object<'a>>,
    #[serde(borrow, default)]
    position: Option<Position<'a>>,
    #[serde(borrow, default)]
    quantity: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Object<'a> {
    #[serde(borrow, default)]
    object_id: Raw<'a>,
}

#[derive(Default, Deserialize)]
struct Position<'a> {
    #[serde(borrow, default)]
    ordinal: Raw<'a>,
}

/// Reads one event.
pub(super) fn read(
    raw: &RawValue,
    id: Option<&str>,
    now: Timestamp,
    limits: &Track,
) -> Result<Read, Refusal> {
    let event: Event<'_> = field::object(raw, "action_name, client_id and event_attributes")?;
    let action = field::text(event.action_name, "unknown_type", "action_name")?;
    let Some(action) = action else {
        return Err(Refusal::new("unknown_type", "action_name", "nothing", "an action"));
    };
    let row = TABLE.iter().find(|(name, _)| name.eq_ignore_ascii_case(&action));
    let kind = match row {
        Some((_, None)) => return Ok(Read::Ignored("shown_in_a_list")),
        Some((_, kind)) => *kind,
        None => Kind::parse(&action),
    };
    let Some(kind) = kind.filter(|kind| !matches!(kind, Kind::Dwell { seconds: 0.0 })) else {
        return Ok(Read::Ignored("unknown_action"));
    };
    let attributes = event.event_attributes.unwrap_or_default();
    let object = attributes.object.unwrap_or_default().object_id;
    let act = Interaction {
        kind,
        product: field::product(object, "event_attributes.object.object_id")?,
        at: field::time(event.timestamp, "timestamp", now, limits)?,
        quantity: field::quantity(attributes.quantity, "event_attributes.quantity")?,
        event_id: id.map(Box::from),
    };
    let session = field::session(event.session_id, "session_id")?;
    let client = field::session(event.client_id, "client_id")?;
    let ordinal = attributes.position.unwrap_or_default().ordinal;
    Ok(Read::Item(Item {
        user: field::user(event.user_id, "user_id")?,
        session: session.or(client),
        acts: vec![act],
        position: field::from_one(ordinal, "event_attributes.position.ordinal")?,
    }))
}
