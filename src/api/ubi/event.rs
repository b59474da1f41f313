//! One event of UBI's schema (1.3).
//!
//! In: its JSON, and the document's id. Out: who did what, why it says nothing, or why it cannot be
//! used. One table says which action is which act; shops make up actions of their own, so that one
//! that is not known says nothing. Our own words for acts are known too.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::field::{self, Raw};
use super::super::intake::{Item, Read};
use super::super::refusal::Refusal;
use super::super::shape;
use super::{ID, ID_BYTES_MAX};
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

/// One of UBI's events.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(
    rename = "UbiEvent",
    extend("required" = ["action_name"],
           "anyOf" = shape::one_of(&["user_id", "session_id", "client_id"]),
           "allOf" = acts())
)]
pub(super) struct Event<'a> {
    /// What was done. An action that is not known, and `impression`, teaches nothing.
    #[serde(borrow, default)]
    #[schemars(with = "shape::SomeWords")]
    action_name: Raw<'a>,
    /// The user.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    user_id: Raw<'a>,
    /// The visit.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    session_id: Raw<'a>,
    /// The visit, where none is named.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    client_id: Raw<'a>,
    /// RFC 3339, or seconds or milliseconds since 1970; now if left out.
    #[serde(borrow, default)]
    #[schemars(with = "shape::When")]
    timestamp: Raw<'a>,
    /// With what, and where.
    #[serde(borrow, default, deserialize_with = "field::object_if_any")]
    event_attributes: Option<Attributes<'a>>,
}

/// With what something was done, and where.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "UbiEventAttributes")]
struct Attributes<'a> {
    /// The product.
    #[serde(borrow, default, deserialize_with = "field::object_if_any")]
    object: Option<Object<'a>>,
    /// Where it stood.
    #[serde(borrow, default, deserialize_with = "field::object_if_any")]
    position: Option<Position<'a>>,
    /// Units; 1 if left out.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Quantity")]
    quantity: Raw<'a>,
}

/// A product.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "UbiObject")]
struct Object<'a> {
    /// The key that search replies use.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    object_id: Raw<'a>,
}

/// A place in a list.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "UbiPosition")]
struct Position<'a> {
    /// 1-based.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Position")]
    ordinal: Raw<'a>,
}

/// An action that is known is done with a product.
fn acts() -> Value {
    let own = Kind::NAMES.iter().map(|(name, kind)| (*name, Some(*kind)));
    let known = TABLE.iter().copied().chain(own);
    let known = known.filter(|(_, kind)| kind.is_some_and(|kind| says_something(&kind)));
    let names: Vec<&str> = known.map(|(name, _)| name).collect();
    let needs = |member: &str, inside: Value| json!({"type": "object", "required": [member], "properties": {member: inside}});
    let product = json!({"$ref": "#/components/schemas/Named"});
    let then = needs("event_attributes", needs("object", needs("object_id", product)));
    let known =
        json!({"required": ["action_name"], "properties": {"action_name": {"enum": names}}});
    json!([{"if": known, "then": then}])
}

/// A stay of which nobody says how long it was says nothing.
fn says_something(kind: &Kind) -> bool {
    !matches!(kind, Kind::Dwell { seconds: 0.0 })
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
    let Some(kind) = kind.filter(says_something) else {
        return Ok(Read::Ignored("unknown_action"));
    };
    if let Some(id) = id.filter(|id| id.len() > ID_BYTES_MAX) {
        return Err(Refusal::new("bad_event_id", "_id", &format!("{} bytes", id.len()), ID));
    }
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
        raw: None,
    }))
}
