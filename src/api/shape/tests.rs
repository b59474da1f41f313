//! What the readers take, the schemas allow, and the other way round.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::super::field::{self, Raw};
use super::super::intake::Read;
use super::super::search::Asked;
use super::super::track::event::{Event, read as read_event};
use super::*;
use crate::config::Track;
use crate::types::clock::Timestamp;

fn validator<T: JsonSchema>() -> jsonschema::Validator {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    let text = schema.to_value().to_string().replace("#/components/schemas/", "#/$defs/");
    jsonschema::draft202012::options().build(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Values of every kind, near every limit that there is.
fn values() -> Vec<Value> {
    let long = |count| "x".repeat(count);
    let texts = "|  |\u{a0}|\t|a\u{0}b|a\u{9f}| a |a|ünï|0|00|0.5|.5|0.|1|1.0|1.5|-1|1e3|9999|9999.9|10000|\
                 10000.0|10000.1|86399.9|86400|86400.1|86401|999999|1000000|1000000.0|1000001|NaN|inf|\
                 0x1|click|Click!|morning|noon";
    let mut all: Vec<Value> = texts.split('|').map(Value::from).collect();
    all.extend([json!(long(256)), json!(long(257)), json!(" ".repeat(257))]);
    let others = r#"[null, true, false, [], {}, ["a"], {"a": 1}, 0, -0.0, -1, 1, 1.0, 1.5, 0.5, 1e-300,
        9999.5, 10000, 10000.5, 86400, 86400.5, 1000000, 1000001, 1e300, 18446744073709551615]"#;
    all.extend(serde_json::from_str::<Vec<Value>>(others).unwrap());
    all
}

fn agrees<T: JsonSchema>(read: impl Fn(Raw<'_>) -> bool) {
    let validator = validator::<T>();
    for value in values() {
        let raw: Option<Box<RawValue>> = match &value {
            Value::Null => None,
            value => Some(serde_json::from_str(&value.to_string()).unwrap()),
        };
        let takes = read(raw.as_deref());
        assert_eq!(takes, validator.is_valid(&value), "{}: {value}", T::schema_name());
    }
}

#[test]
fn a_schema_and_its_reader_agree_on_each_value() {
    agrees::<Id>(|raw| field::user(raw, "k").is_ok());
    agrees::<Id>(|raw| field::session(raw, "k").is_ok());
    agrees::<Id>(|raw| field::event_id(raw, "k").is_ok());
    agrees::<Named>(|raw| field::product(raw, "k").is_ok());
    agrees::<Words>(|raw| field::text(raw, "c", "k").is_ok());
    agrees::<SomeWords>(|raw| matches!(field::text(raw, "c", "k"), Ok(Some(_))));
    agrees::<Quantity>(|raw| field::quantity(raw, "k").is_ok());
    agrees::<Seconds>(|raw| field::seconds(raw, "k").is_ok());
    agrees::<Position>(|raw| field::from_zero(raw, "k").is_ok());
    agrees::<Position>(|raw| field::from_one(raw, "k").is_ok());
}

const LIMITS: Track = Track {
    items_max: 1_000,
    debug_items_max: 100,
    bytes_max: 1 << 20,
    held_bytes_max: 1 << 24,
    age: Duration::from_secs(30 * 86_400),
    ahead: Duration::from_secs(300),
    join: Duration::from_secs(10),
};

/// A whole event, as it is read and as the intake asks for somebody whom it teaches.
fn takes_event(event: &Value) -> bool {
    let raw: Box<RawValue> = serde_json::from_str(&event.to_string()).unwrap();
    let item = read_event(&raw, Timestamp(1_795_400_000_000), &LIMITS);
    matches!(item, Ok(Read::Item(item)) if item.user.is_some() || item.session.is_some())
}

proptest! {
    #[test]
    fn an_event_with_any_members_is_taken_if_its_schema_allows_it(
        members in proptest::collection::hash_map(
            prop::sample::select(vec![
                "type", "user_id", "session_id", "product_id", "event_id", "quantity", "context",
                "time_on_page", "position", "other",
            ]),
            prop::sample::select(values()),
            0..6,
        ),
        kind in prop::sample::select(kinds()),
    ) {
        let validator = validator::<Event<'static>>();
        let mut event = json!({"type": kind, "product_id": "p", "user_id": "u"});
        let mut context = json!({});
        for (name, value) in members {
            match name {
                "time_on_page" | "position" => context[name] = value,
                name => event[name] = value,
            }
        }
        if event.get("context").is_none() && context != json!({}) {
            event["context"] = context;
        }
        prop_assert_eq!(takes_event(&event), validator.is_valid(&event), "{}", event);
    }
}

#[test]
fn every_word_for_what_was_done_is_read() {
    for kind in kinds() {
        let event = json!({"type": kind, "user_id": "u", "product_id": "p",
                           "context": {"time_on_page": 3}});
        assert!(takes_event(&event), "{kind}");
    }
}

#[test]
fn a_search_is_refused_where_its_schema_does_not_allow_it() {
    let validator = validator::<Asked<'static>>();
    for value in values() {
        for name in ["query", "user_id", "session_id", "limit", "context"] {
            let mut search = json!({"query": "milk"});
            search[name] = value.clone();
            let text = search.to_string();
            let taken = super::super::search::testing::takes(&text);
            assert_eq!(taken, validator.is_valid(&search), "{search}");
        }
        for name in ["time_of_day", "recent_views"] {
            for value in [value.clone(), json!([value])] {
                let search = json!({"query": "milk", "context": {name: value}});
                let taken = super::super::search::testing::takes(&search.to_string());
                assert_eq!(taken, validator.is_valid(&search), "{search}");
            }
        }
    }
}

#[test]
fn a_refusal_names_a_code_of_the_table() {
    for value in values() {
        for name in
            ["type", "user_id", "product_id", "event_id", "quantity", "timestamp", "context"]
        {
            let mut event = json!({"type": "click", "user_id": "u", "product_id": "p"});
            event[name] = value.clone();
            let raw: Box<RawValue> = serde_json::from_str(&event.to_string()).unwrap();
            if let Err(refusal) = read_event(&raw, Timestamp(1_795_400_000_000), &LIMITS) {
                assert!(super::super::trouble::REFUSED.contains(&refusal.code), "{}", refusal.code);
            }
        }
    }
}
