//! Events in the plan's shape: what they say, and what is wrong with those that say nothing.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_795_400_000_000);

const LIMITS: Track = Track {
    items_max: 1_000,
    debug_items_max: 100,
    bytes_max: 1 << 20,
    held_bytes_max: 1 << 24,
    age: Duration::from_secs(30 * 86_400),
    ahead: Duration::from_secs(300),
    join: Duration::from_secs(10),
};

fn parse(text: &str) -> Result<Item, Refusal> {
    match read(&serde_json::from_str::<Box<RawValue>>(text).unwrap(), NOW, &LIMITS)? {
        Read::Item(item) => Ok(item),
        other => panic!("{other:?}"),
    }
}

/// A good event with one more member.
fn with(member: &str) -> Result<Item, Refusal> {
    parse(&format!(r#"{{"type":"click","user_id":"u","product_id":"x",{member}}}"#))
}

#[test]
fn the_plans_example_is_a_click_and_its_dwell_time() {
    let got = parse(
        r#"{"type":"click","user_id":"u","product_id":"sku",
            "context":{"search_query":"milk","position":3,"time_on_page":45}}"#,
    )
    .unwrap();
    let kinds: Vec<_> = got.acts.iter().map(|act| act.kind).collect();
    assert_eq!(kinds, [InteractionKind::Click, InteractionKind::Dwell { seconds: 45.0 }]);
    assert_eq!((got.acts[0].at, got.position), (NOW, Some(3)));
}

#[test]
fn numbers_may_be_ids_and_text_may_hold_escapes() {
    let got =
        parse(r#"{"type":"cli\u0063k","user_id":12345,"product_id":678,"quantity":"2"}"#).unwrap();
    let act = &got.acts[0];
    assert_eq!((act.kind, act.product.as_str()), (InteractionKind::Click, "678"));
    assert_eq!((got.user.unwrap().as_str(), act.quantity), ("12345", 2.0));
    let blank = parse(r#"{"type":"click","user_id":"","session_id":"s","product_id":"x"}"#);
    assert_eq!(blank.unwrap().user, None);
}

#[test]
fn time_on_product_is_read_from_the_context_or_from_its_own_key_in_the_rules() {
    let stay = |event: &str| parse(event).map(|item| item.acts[0].kind);
    let told = r#"{"type":"time_on_product","product_id":"x","context":{"time_on_page":31}}"#;
    assert_eq!(stay(told), Ok(InteractionKind::Dwell { seconds: 31.0 }));
    let key = r#"{"type":"browse.time_on_product.60_seconds","product_id":"x"}"#;
    assert_eq!(stay(key), Ok(InteractionKind::Dwell { seconds: 60.0 }));
    let untold = stay(r#"{"type":"time_on_product","product_id":"x"}"#).unwrap_err();
    assert_eq!((untold.code, untold.key), ("bad_time", "context.time_on_page"));
}

#[test]
fn a_misspelt_type_gets_the_right_one_suggested() {
    for (word, right) in
        [("add_to_carT2", "add_to_cart"), ("negative.retuned", "negative.returned")]
    {
        let event = format!(r#"{{"type":"{word}","product_id":"x"}}"#);
        let error = parse(&event).unwrap_err();
        assert_eq!(error.code, "unknown_type");
        assert_eq!(error.suggestion, Some(format!("\"{right}\"")));
    }
}

#[test]
fn a_time_counts_within_thirty_days_back_and_five_minutes_ahead() {
    let at = |time: &str| with(&format!(r#""timestamp":{time}"#)).map(|item| item.acts[0].at.0);
    let (now_s, now_ms) = (NOW.0 / 1000, NOW.0);
    assert_eq!(at(&now_s.to_string()), Ok(now_ms), "seconds");
    assert_eq!(at(&now_ms.to_string()), Ok(now_ms), "milliseconds");
    assert_eq!(at("\"2026-11-23T03:13:20+01:00\""), Ok(now_ms));
    assert_eq!(at("null"), Ok(now_ms));
    let (back, ahead) = (30 * 86_400_000, 300_000);
    assert_eq!(at(&(now_ms - back).to_string()), Ok(now_ms - back));
    assert_eq!(at(&(now_ms + ahead).to_string()), Ok(now_ms + ahead));
    for wrong in [now_ms - back - 1, now_ms + ahead + 1, 0, -1] {
        assert_eq!(at(&wrong.to_string()).unwrap_err().code, "timestamp_out_of_range", "{wrong}");
    }
    for huge in ["1e300", "-1e300"] {
        assert_eq!(at(huge).unwrap_err().code, "timestamp_out_of_range");
    }
    for wrong in ["\"yesterday\"", "{}", "true", "\"NaN\""] {
        assert_eq!(at(wrong).unwrap_err().code, "bad_timestamp", "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_an_event_holds_it_is_read_or_refused_with_a_sentence(
        key in prop::sample::select(&["type", "user_id", "product_id", "quantity", "timestamp",
            "event_id", "session_id", "context"][..]),
        value in prop_oneof![
            any::<f64>().prop_map(|n| n.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just("{\"position\":[],\"time_on_page\":1e400}".to_owned()),
            Just("[[[[]]]]".to_owned()),
        ],
    ) {
        let event = format!(r#"{{"product_id":"x","type":"click","{key}":{value}}}"#);
        if let Ok(raw) = serde_json::from_str::<Box<RawValue>>(&event)
            && let Err(refusal) = read(&raw, NOW, &LIMITS)
        {
            prop_assert!(!refusal.message.is_empty() && refusal.message.len() < 2_000);
        }
    }
}

#[test]
fn microseconds_are_recognised_and_milliseconds_suggested() {
    let error = with(&format!(r#""timestamp":{}"#, NOW.0 * 1000)).unwrap_err();
    assert_eq!(error.suggestion, Some(NOW.0.to_string()));
}

#[test]
fn what_cannot_be_used_names_its_key_what_was_found_and_what_was_expected() {
    for (member, code, key, found) in [
        (r#""quantity":0"#, "bad_quantity", "quantity", "0"),
        (r#""quantity":"many""#, "bad_quantity", "quantity", "\"many\""),
        (r#""quantity":1e9"#, "bad_quantity", "quantity", "1e9"),
        (r#""event_id":[1]"#, "bad_event_id", "event_id", "[1]"),
        (r#""session_id":{}"#, "bad_session_id", "session_id", "{}"),
        (r#""context":3"#, "bad_context", "context", "3"),
        (r#""context":{"position":-1}"#, "bad_position", "context.position", "-1"),
        (r#""context":{"position":1.5}"#, "bad_position", "context.position", "1.5"),
        (r#""context":{"time_on_page":-3}"#, "bad_time", "context.time_on_page", "-3"),
    ] {
        let error = with(member).unwrap_err();
        assert_eq!((error.code, error.key, &*error.found), (code, key, found), "{error:?}");
        assert!(error.message.contains(&*error.expected), "{error:?}");
    }
    for (event, code) in [
        ("[]", "malformed_event"),
        ("3", "malformed_event"),
        (r#"{"type":"click","type":"view"}"#, "malformed_event"),
        (r#"{"type":"click"}"#, "bad_product_id"),
        (r#"{"type":"click","product_id":"a\u0000b"}"#, "bad_product_id"),
        (r#"{"product_id":"x"}"#, "unknown_type"),
        (r#"{"type":7,"product_id":"x"}"#, "unknown_type"),
    ] {
        assert_eq!(parse(event).unwrap_err().code, code, "{event}");
    }
}
