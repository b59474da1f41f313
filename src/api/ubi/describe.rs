//! What is said of the endpoints of OpenSearch's dialect.
//!
//! Out: their operations. The documents' schema is that of `event`.

use schemars::JsonSchema;

use super::super::{body, shape, trouble};
use super::answer::{Bulk, BulkAnswer, Failure, Item, ItemAnswer};
use super::event::Event;
use crate::openapi::{Body, Operation, Parameter, Trouble, examples};

const SHOWN: &str = r#"{"action_name":"add_to_cart","client_id":"browser-1","user_id":"ada",
    "event_attributes":{"object":{"object_id":"TEA-001","object_id_field":"sku"},
    "position":{"ordinal":3}}}"#;

const BULK: &str = "{\"index\":{\"_id\":\"u-1\"}}\n{\"action_name\":\"add_to_cart\",\
    \"client_id\":\"browser-1\",\"event_attributes\":{\"object\":{\"object_id\":\"TEA-001\"}}}\n";

/// One event, or several.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "UbiEvents")]
#[expect(dead_code, reason = "drawn alone: bodies are taken apart by `items`")]
enum Events<'a> {
    /// One event.
    One(Event<'a>),
    /// Several.
    Several(Vec<Event<'a>>),
}

/// Events, one a line.
#[derive(JsonSchema)]
#[schemars(rename = "UbiEventLines")]
#[expect(dead_code, reason = "drawn alone: bodies are taken apart by `items`")]
struct Lines<'a>(#[schemars(length(min = 1))] Vec<Event<'a>>);

/// What becomes of a document alone that is not taken.
const REFUSED: [Trouble; 3] = [
    (400, "mapper_parsing_exception", "a document that cannot be used"),
    (403, "security_exception", "nobody vouches for the user, and claims do not count here"),
    (409, "version_conflict_engine_exception", "an event of this id was here before"),
];

fn described(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "dialects", summary)
        .about(
            "OpenSearch's User Behavior Insights (1.3). The answers are OpenSearch's; no document is \
             stored. A document's id is the event's id.",
        )
        .query::<body::Asked>()
        .needs(super::super::TEACHES)
}

fn unread(operation: Operation) -> Operation {
    let rows = trouble::rows(&[&trouble::UNREAD[..], &["bad_event_id"]].concat());
    operation.fails::<Failure>(&rows, None)
}

/// `POST /ubi_events`.
pub(in super::super) fn described_collected() -> Operation {
    let events = Body::new("One event, an array of them, or one a line; by a beacon as text.")
        .kind::<Events<'_>>("application/json", examples(&[("one", SHOWN)]))
        .kind::<Events<'_>>("text/plain", examples(&[("one", SHOWN)]))
        .kind::<Lines<'_>>("application/x-ndjson", Vec::new());
    let operation = described("ubiEvents", "Events as UBI's collector posts them").takes(events);
    unread(operation.answers::<BulkAnswer>(200, "Each with its own status."))
}

fn described_one(id: &'static str, summary: &'static str) -> Operation {
    let event =
        Body::new("One event.").kind::<Event<'_>>("application/json", examples(&[("one", SHOWN)]));
    let operation = described(id, summary)
        .takes(event)
        .answers::<ItemAnswer>(200, "It was here before; or what would be learned.")
        .answers::<Item>(201, "Taken.");
    unread(operation).fails::<Failure>(&REFUSED, None)
}

fn with_id(operation: Operation) -> Operation {
    operation.parameter(Parameter::path::<shape::DocumentId>("id", "The event's id."))
}

/// `POST /ubi_events/_doc`, also with a slash behind.
pub(in super::super) fn described_document(id: &'static str) -> Operation {
    described_one(id, "One event without an id")
}

/// `POST` and `PUT /ubi_events/_doc/{id}`.
pub(in super::super) fn described_named(id: &'static str) -> Operation {
    with_id(described_one(id, "One event by its id"))
}

/// `POST` and `PUT /ubi_events/_create/{id}`.
pub(in super::super) fn described_created(id: &'static str) -> Operation {
    with_id(described_one(id, "One event by its id, once"))
}

/// `POST` and `PUT /ubi_events/_bulk` and `/_bulk`.
pub(in super::super) fn described_bulk(id: &'static str) -> Operation {
    let pairs = Body::new(
        "Pairs of lines: what is to be done (`index` or `create`, with `_id`; at `/_bulk` with \
         `_index`), and the event. Other actions are refused by themselves.",
    )
    .kind::<String>("application/x-ndjson", examples(&[("one", BULK)]));
    let operation = described(id, "Events in OpenSearch's bulk format").takes(pairs);
    unread(operation.answers::<BulkAnswer>(200, "Each with its own status."))
}

/// `POST /ubi_queries`.
pub(in super::super) fn described_queries() -> Operation {
    let whatever = Body::optional("Whatever it is, it is not needed here.")
        .kind::<shape::Anything>("application/json", Vec::new());
    Operation::new("ubiQueries", "dialects", "UBI's queries")
        .about("Answered, and not needed: searches are seen as they go by.")
        .takes(whatever)
        .needs(super::super::TEACHES)
        .answers::<Bulk>(200, "Nothing was done.")
        .fails::<Failure>(&trouble::rows(&[]), None)
}
