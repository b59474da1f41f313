//! `POST /1/events`: Algolia's Insights events, as its own clients send them.
//!
//! In: `{"events": [...]}`, by `navigator.sendBeacon` as `text/plain` or from a server as JSON. Out:
//! what Algolia answers, `{"status", "message"}`; but an event that cannot be used costs no other one
//! its place: the message names it. `authenticatedUserToken` is the user. `userToken` is the user
//! where that is missing, and the visit in any case; one that Algolia's client made up
//! (`anonymous-…`) is a visit alone. One table says which event is which act.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::Call;
use super::error::ApiError;
use super::field::{self, Raw, found_at};
use super::intake::{Entry, Item, Read};
use super::items::array;
use super::refusal::Refusal;
use super::{body, shape, trouble};
use crate::config::Track;
use crate::openapi::{Body, Operation, examples};
use crate::types::clock::Timestamp;
use crate::types::ids::UserId;
use crate::types::interaction::{Interaction, InteractionKind as Kind};

/// Type, subtype, words of the name, and which act that is.
type Row = (&'static str, Option<&'static str>, &'static [&'static str], Option<Kind>);

/// Which event is which act: the first row that fits. A subtype must be the row's own; of the words
/// one must be part of the event's name. `None`: it says nothing of a single product.
const TABLE: &[Row] = &[
    ("click", None, &[], Some(Kind::Click)),
    // InstantSearch says so of each list that it shows.
    ("view", None, &["hits viewed", "list viewed", "impression"], None),
    ("view", None, &[], Some(Kind::View)),
    ("conversion", Some("addToCart"), &[], Some(Kind::AddToCart)),
    ("conversion", Some("purchase"), &[], Some(Kind::Purchase { subscription: false })),
    // Not one of Algolia's; its clients let it pass.
    ("conversion", Some("removeFromCart"), &[], Some(Kind::RemoveFromCart)),
    // Before there were subtypes, names said it.
    ("conversion", None, &["remove"], Some(Kind::RemoveFromCart)),
    ("conversion", None, &["return", "refund"], Some(Kind::Return)),
    ("conversion", None, &["wish", "save", "favorite", "favourite"], Some(Kind::SaveForLater)),
    (
        "conversion",
        None,
        &["purchase", "bought", "order", "checkout"],
        Some(Kind::Purchase { subscription: false }),
    ),
    // The least that a conversion can be.
    ("conversion", None, &[], Some(Kind::AddToCart)),
];

const EVENT_TYPES: [&str; 3] = ["click", "view", "conversion"];
const SUBTYPES: [&str; 3] = ["addToCart", "purchase", "removeFromCart"];
/// As Algolia allows.
const OBJECTS_MAX: usize = 20;
/// Refused events that one message names.
const NAMED_MAX: usize = 10;

/// What one request of Algolia's clients holds.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "InsightsEvents")]
struct Envelope<'a> {
    /// The events.
    #[serde(borrow)]
    #[schemars(with = "Vec<Event<'a>>")]
    events: &'a RawValue,
}

/// One of Algolia's Insights events.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(
    rename = "InsightsEvent",
    extend("required" = ["eventType"],
           "anyOf" = shape::one_of(&["userToken", "authenticatedUserToken"]))
)]
struct Event<'a> {
    /// What happened.
    #[serde(borrow, default)]
    #[schemars(with = "String", extend("enum" = EVENT_TYPES))]
    event_type: Raw<'a>,
    /// Which conversion it is; without it its name says so.
    #[serde(borrow, default)]
    #[schemars(with = "Option<String>", extend("enum" = some_subtype()))]
    event_subtype: Raw<'a>,
    /// A name that the shop made up.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Words")]
    event_name: Raw<'a>,
    /// The visit; the user too, where no other is named and it does not begin with `anonymous-`.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    user_token: Raw<'a>,
    /// The user.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Id")]
    authenticated_user_token: Raw<'a>,
    /// Milliseconds since 1970; now if left out.
    #[serde(borrow, default)]
    #[schemars(with = "shape::When")]
    timestamp: Raw<'a>,
    /// The products.
    #[serde(borrow, default, rename = "objectIDs")]
    #[schemars(with = "Option<Vec<shape::Named>>", extend("maxItems" = OBJECTS_MAX))]
    object_ids: Raw<'a>,
    /// More about each of the products.
    #[serde(borrow, default)]
    #[schemars(with = "Option<Vec<Option<ObjectData<'a>>>>")]
    object_data: Raw<'a>,
    /// Where the products stood; 1-based.
    #[serde(borrow, default)]
    #[schemars(with = "Option<Vec<shape::Position>>")]
    positions: Raw<'a>,
}

/// More about one product of an event.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "InsightsObjectData")]
struct ObjectData<'a> {
    /// Units; 1 if left out.
    #[serde(borrow, default)]
    #[schemars(with = "shape::Quantity")]
    quantity: Raw<'a>,
}

/// The answer, as Algolia has it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "InsightsAnswer")]
struct Answer<'a> {
    /// The same as the answer's.
    status: u16,
    /// `OK`, or what is wrong with which event.
    message: &'a str,
    /// What would become of each event, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<Entry>>,
}

fn some_subtype() -> Vec<Option<&'static str>> {
    SUBTYPES.into_iter().map(Some).chain([None]).collect()
}

/// `POST /1/events`.
pub(super) fn described() -> Operation {
    const SHOWN: &str = r#"{"events":[{"eventType":"click","eventName":"Product Clicked",
        "index":"products","userToken":"ada","objectIDs":["TEA-001"],"positions":[3]}]}"#;
    let shown = || examples(&[("click", SHOWN)]);
    let events = Body::new("As Algolia's clients send it; by a beacon as text.")
        .kind::<Envelope<'_>>("application/json", shown())
        .kind::<Envelope<'_>>("text/plain", shown());
    Operation::new("insightsEvents", "dialects", "Algolia's Insights events")
        .about(
            "Point the `host` of Algolia's clients here. An event that cannot be used costs no other \
             one its place; the message names it.",
        )
        .query::<body::Asked>()
        .takes(events)
        .needs(super::TEACHES)
        .answers::<Answer<'_>>(200, "Taken; the message names events that were not used.")
        .shown(examples(&[("taken", r#"{"status":200,"message":"OK"}"#)]))
        .fails::<Answer<'_>>(&trouble::rows(&trouble::UNREAD), None)
        .fails::<Answer<'_>>(&[(422, "all_refused", "none of the events could be used")], None)
}

pub(super) async fn events(call: Result<Call, ApiError>) -> Response {
    match taken(call).await {
        Ok(reply) => reply,
        Err(error) => {
            let (status, message) = (error.status, error.message.clone());
            let headers = error.into_response().headers().clone();
            let mut reply = answer(status, &message);
            for name in ["x-leafrank", "retry-after"] {
                if let Some(value) = headers.get(name) {
                    reply.headers_mut().insert(name, value.clone());
                }
            }
            reply
        }
    }
}

async fn taken(call: Result<Call, ApiError>) -> Result<Response, ApiError> {
    let call = call?;
    let envelope: Envelope<'_> = serde_json::from_slice(&call.held.bytes).map_err(|error| {
        let why = format!("the body: {error}; expected an object with events, an array");
        ApiError::bad_request("malformed_event", why)
    })?;
    let found = call.apart(|_, items_max| array(envelope.events.get(), items_max))?;
    let entries = call.heard(found.into_iter().map(Ok), read).await?;
    if call.debug {
        let answer = Answer { status: 200, message: "debug", results: Some(entries) };
        return Ok(Json(answer).into_response());
    }
    let refused: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_accepted()).collect();
    if refused.is_empty() {
        return Ok(answer(StatusCode::OK, "OK"));
    }
    let named = refused.iter().take(NAMED_MAX).filter_map(|entry| {
        let refusal = entry.refusal.as_ref()?;
        Some(format!("events[{}]: {}", entry.item, refusal.message))
    });
    let named = named.collect::<Vec<_>>().join("; ");
    let message = format!("{} of {} events were not used: {named}", refused.len(), entries.len());
    let all = refused.len() == entries.len();
    let status = if all { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(answer(status, &message))
}

fn answer(status: StatusCode, message: &str) -> Response {
    let answer = Answer { status: status.as_u16(), message, results: None };
    (status, Json(answer)).into_response()
}

fn read(raw: &RawValue, now: Timestamp, limits: &Track) -> Result<Read, Refusal> {
    let event: Event<'_> = field::object(raw, "eventType, userToken and objectIDs")?;
    let Some(kind) = kind(&event)? else { return Ok(Read::Ignored("shown_in_a_list")) };
    let ids: Vec<Raw<'_>> = list(event.object_ids, "objectIDs")?;
    if ids.is_empty() {
        return Ok(Read::Ignored("no_product"));
    }
    if ids.len() > OBJECTS_MAX {
        let found = format!("{} keys", ids.len());
        let expected = format!("at most {OBJECTS_MAX}");
        return Err(Refusal::new("too_many_objects", "objectIDs", &found, expected));
    }
    if kind == Kind::View && ids.len() > 1 {
        return Ok(Read::Ignored("shown_in_a_list"));
    }
    let at = field::time(event.timestamp, "timestamp", now, limits)?;
    let data: Vec<Option<ObjectData<'_>>> = list(event.object_data, "objectData")?;
    let acts = ids.into_iter().enumerate().map(|(number, id)| {
        let quantity = data.get(number).and_then(|data| data.as_ref()?.quantity);
        Ok(Interaction {
            kind,
            product: field::product(id, "objectIDs")?,
            at,
            quantity: field::quantity(quantity, "objectData.quantity")?,
            event_id: None,
        })
    });
    let acts = acts.collect::<Result<Vec<_>, _>>()?;
    let positions: Vec<Raw<'_>> = list(event.positions, "positions")?;
    let position = positions.first().copied().flatten();
    let user = field::user(event.authenticated_user_token, "authenticatedUserToken")?;
    let session = field::session(event.user_token, "userToken")?;
    if user.is_none() && session.is_none() {
        return Err(Refusal::new("no_subject", "userToken", "nothing", "1 to 129 letters"));
    }
    let named = session.as_ref().filter(|token| !token.as_str().starts_with("anonymous-"));
    let user = user.or_else(|| named.and_then(|token| UserId::parse(token.as_str())));
    Ok(Read::Item(Item {
        user,
        session,
        acts,
        position: field::from_one(position, "positions")?,
        raw: None,
    }))
}

/// The act, by the table; `None` where it is none with a single product.
fn kind(event: &Event<'_>) -> Result<Option<Kind>, Refusal> {
    const CODE: &str = "unknown_type";
    let word = |raw, key| field::text(raw, CODE, key).map(Option::unwrap_or_default);
    let kind = word(event.event_type, "eventType")?;
    let name = word(event.event_name, "eventName")?.to_lowercase();
    let subtype = field::text(event.event_subtype, CODE, "eventSubtype")?;
    let fits = |row: &&(&str, Option<&str>, &[&str], Option<Kind>)| {
        row.0 == kind
            && row.1 == subtype.as_deref()
            && (row.2.is_empty() || row.2.iter().any(|word| name.contains(word)))
    };
    if let Some(row) = TABLE.iter().find(fits) {
        return Ok(row.3);
    }
    let (key, raw, words) = match EVENT_TYPES.contains(&&*kind) {
        true => ("eventSubtype", event.event_subtype, SUBTYPES),
        false => ("eventType", event.event_type, EVENT_TYPES),
    };
    let refusal = Refusal::new(CODE, key, found_at(raw), format!("one of {}", words.join(", ")));
    Err(refusal.suggest_near(raw.map_or("", RawValue::get).trim_matches('"'), &words))
}

fn list<'a, T: Deserialize<'a>>(raw: Raw<'a>, key: &'static str) -> Result<Vec<T>, Refusal> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    serde_json::from_str(raw.get())
        .map_err(|_| Refusal::new("malformed_event", key, raw.get(), "an array"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, SettingsText};

    fn limits() -> Track {
        let environment = std::collections::BTreeMap::new();
        let text = SettingsText { file: None, text: "", environment: &environment, flags: &[] };
        Settings::parse(&text).unwrap().limits.track
    }

    fn said(event: &str) -> Result<Read, Refusal> {
        let raw: Box<RawValue> = serde_json::from_str(event).unwrap();
        read(&raw, Timestamp(1_795_400_000_000), &limits())
    }

    fn kind_of(kind: &str, subtype: &str, name: &str) -> Option<Kind> {
        let subtype = match subtype {
            "" => String::new(),
            subtype => format!(r#""eventSubtype":"{subtype}","#),
        };
        let event = format!(
            r#"{{"eventType":"{kind}",{subtype}"eventName":"{name}","index":"i",
                 "userToken":"u","objectIDs":["a"]}}"#
        );
        match said(&event) {
            Ok(Read::Item(item)) => Some(item.acts[0].kind),
            Ok(Read::Ignored(_)) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_row_of_the_table_is_an_act() {
        let bought = Some(Kind::Purchase { subscription: false });
        for (kind, subtype, name, act) in [
            ("click", "", "Product Clicked", Some(Kind::Click)),
            ("view", "", "Product Viewed", Some(Kind::View)),
            ("view", "", "Hits Viewed", None),
            ("conversion", "addToCart", "anything", Some(Kind::AddToCart)),
            ("conversion", "purchase", "anything", bought),
            ("conversion", "removeFromCart", "anything", Some(Kind::RemoveFromCart)),
            ("conversion", "", "Product Removed From Cart", Some(Kind::RemoveFromCart)),
            ("conversion", "", "Order Refunded", Some(Kind::Return)),
            ("conversion", "", "Product Added To Wishlist", Some(Kind::SaveForLater)),
            ("conversion", "", "Products Purchased", bought),
            ("conversion", "", "Product Added To Cart", Some(Kind::AddToCart)),
        ] {
            assert_eq!(kind_of(kind, subtype, name), act, "{kind} {subtype} {name}");
        }
    }

    #[test]
    fn quantities_positions_and_both_tokens_are_read() {
        let event = r#"{"eventType":"conversion","eventSubtype":"purchase","eventName":"n",
            "index":"i","userToken":"t","authenticatedUserToken":"ada","objectIDs":["a","b"],
            "objectData":[{"quantity":3,"price":"1.20"},null],"positions":[4,9]}"#;
        let Ok(Read::Item(item)) = said(event) else { panic!("an item") };
        let acts: Vec<_> = item.acts.iter().map(|a| (a.product.as_str(), a.quantity)).collect();
        assert_eq!(acts, [("a", 3.0), ("b", 1.0)]);
        assert_eq!(item.position, Some(3), "Algolia counts from 1");
        assert_eq!((item.user.unwrap().as_str(), item.session.unwrap().as_str()), ("ada", "t"));
        let made_up = r#"{"eventType":"click","eventName":"n","userToken":"anonymous-1",
            "objectIDs":["a"]}"#;
        let Ok(Read::Item(item)) = said(made_up) else { panic!("an item") };
        assert!(item.user.is_none() && item.session.is_some());
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_key() {
        let long = format!("[{}]", vec!["\"a\""; 21].join(","));
        for (member, key) in [
            (r#""eventType":"klick","objectIDs":["a"],"userToken":"u""#, "eventType"),
            (
                r#""eventType":"conversion","eventSubtype":"addtocart","objectIDs":["a"]"#,
                "eventSubtype",
            ),
            (r#""eventType":"click","objectIDs":["a"]"#, "userToken"),
            (r#""eventType":"click","userToken":"u","objectIDs":"a""#, "objectIDs"),
            (r#""eventType":"click","userToken":"u","objectIDs":[""]"#, "objectIDs"),
            (&format!(r#""eventType":"click","userToken":"u","objectIDs":{long}"#), "objectIDs"),
            (
                r#""eventType":"click","userToken":"u","objectIDs":["a"],"positions":[-1]"#,
                "positions",
            ),
        ] {
            let refusal = said(&format!("{{{member}}}")).unwrap_err();
            assert_eq!(refusal.key, key, "{member}: {refusal:?}");
        }
    }
}
