//! Schemas of values that are read by hand, so that text and numbers both do: see `field`.
//!
//! In: the limits and tables that the readers use. Out: JSON Schema. A test below puts values before
//! both, the reader and the schema, and holds their verdicts equal. What no schema can say (bytes
//! rather than characters, how far back a time may lie) is said in words.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::field::{POSITION_MAX, QUANTITY_MAX, SECONDS_MAX};
use crate::observe::Action;
use crate::rules::daypart::Daypart;
use crate::store::choices::WORD_BYTES_MAX;
use crate::types::ids::ID_BYTES_MAX;
use crate::types::interaction::InteractionKind;
use crate::types::product::Axis;
use crate::types::signal::SignalKind;

/// Text without control characters.
const PLAIN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// The same, of which something is left when blanks are taken off its ends.
const NAMED: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident $($by_name:ident)? = $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                concat!($(stringify!($by_name))?).is_empty()
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                Schema::try_from($schema).unwrap_or_default()
            }
        }
    )*};
}

shapes! {
    /// A name that may be left out: text or a number as it is written.
    Id by_name = json!({
        "description": "A name that may be left out: text, or a number as it is written; at most 256 \
                        bytes of UTF-8.",
        "type": ["string", "number", "null"], "maxLength": ID_BYTES_MAX, "pattern": PLAIN,
    });
    /// A name that must be there.
    Named by_name = named(json!(["string", "number"]));
    /// A name that must be text.
    NamedText = named(json!("string"));
    /// Any text, or a number.
    Words = json!({"type": ["string", "number", "null"]});
    /// Text or a number that must be there.
    SomeWords = json!({"type": ["string", "number"], "pattern": r"[^\s]"});
    /// Units.
    Quantity = json!({
        "type": ["number", "string", "null"], "exclusiveMinimum": 0, "maximum": QUANTITY_MAX,
        "pattern": r"^(0*[1-9][0-9]{0,3}(\.[0-9]*)?|0*10000(\.0*)?|0+\.[0-9]*[1-9][0-9]*)$",
    });
    /// Seconds of a stay.
    Seconds = json!({
        "type": ["number", "string", "null"], "minimum": 0, "maximum": SECONDS_MAX,
        "pattern": concat!(
            r"^0*([0-9]{1,4}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2})(\.[0-9]*)?$",
            r"|^0*86400(\.0*)?$"
        ),
    });
    /// A place in a list.
    Position = json!({
        "type": ["integer", "string", "null"], "minimum": 0, "maximum": POSITION_MAX as u64,
        "pattern": r"^0*([0-9]{1,6}|1000000)(\.0*)?$",
    });
    /// When it happened.
    When = json!({"anyOf": [
        {"type": ["number", "null"]}, {"type": "string", "format": "date-time"}, {"const": ""},
    ]});
    /// What was done.
    Kind = json!({"type": "string", "enum": kinds()});
    /// A part of the day.
    PartOfDay = json!({"type": "string", "enum": Daypart::WORDS});
    /// A trace of W3C Trace Context.
    Trace = json!({
        "type": "string", "minLength": 32, "maxLength": 32,
        "pattern": "^[0-9a-f]*[1-9a-f][0-9a-f]*$",
    });
    /// The words of a search.
    Query = json!({
        "type": "string", "minLength": 1, "maxLength": super::search::QUERY_BYTES_MAX,
        "pattern": NAMED,
    });
    /// One of the views of preferences.
    View = json!({"type": "string", "enum": super::preferences::VIEWS});
    /// An axis of facets.
    AxisName = json!({"type": "string", "enum": Axis::ALL.map(Axis::name)});
    /// A facet's value.
    FacetValue = json!({
        "type": "string", "minLength": 1, "maxLength": WORD_BYTES_MAX, "pattern": NAMED,
    });
    /// What a shopper says of a facet.
    ActionName = json!({"type": "string", "enum": Action::ALL.map(Action::name)});
    /// A document's id.
    DocumentId = json!({"type": "string", "minLength": 1, "maxLength": super::ubi::ID_BYTES_MAX});
    /// A switch in a query string.
    Switch = json!({"type": "string", "enum": super::body::SWITCH_WORDS});
    /// A document of OpenAPI.
    Document = json!({"type": "object", "required": ["openapi", "paths"]});
    /// What the shop wrote.
    Anything = json!({});
}

fn named(types: Value) -> Value {
    json!({
        "description": "A name: text that is not blank, or a number as it is written; at most 256 bytes \
                        of UTF-8.",
        "type": types, "minLength": 1, "maxLength": ID_BYTES_MAX, "pattern": NAMED,
    })
}

/// Every word for what was done.
fn kinds() -> Vec<&'static str> {
    let mut all: Vec<&str> = InteractionKind::NAMES.iter().map(|(name, _)| *name).collect();
    all.extend(SignalKind::ALL.iter().map(|kind| kind.path()));
    all
}

/// One of these names must be there.
pub(super) fn one_of(names: &[&'static str]) -> Value {
    let one = |name: &&str| {
        let named = json!({"$ref": "#/components/schemas/Named"});
        json!({"required": [name], "properties": {*name: named}})
    };
    names.iter().map(one).collect::<Vec<_>>().into()
}

/// Who says that somebody stayed says for how long.
pub(super) fn stays() -> Value {
    let kinds = InteractionKind::NAMES.iter();
    let open = kinds.filter(|(_, kind)| *kind == InteractionKind::Dwell { seconds: 0.0 });
    let open: Vec<&str> = open.map(|(name, _)| *name).collect();
    let long = json!({"required": ["time_on_page"],
                      "properties": {"time_on_page": {"type": ["number", "string"]}}});
    json!([{
        "if": {"required": ["type"], "properties": {"type": {"enum": open}}},
        "then": {"required": ["context"],
                 "properties": {"context": {"allOf": [{"type": "object"}, long]}}},
    }])
}

#[cfg(test)]
mod tests;
