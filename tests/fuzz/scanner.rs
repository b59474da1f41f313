//! The JSON scanner against serde_json: the same texts accepted, the same values found.

use leafrank::wire::{
    DEPTH_MAX, DecodeLimits, Doubt, HitMap, HitPlan, Json, KnownHits, Pointer, Reply, decode,
};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fuzz_time;
use crate::shapes::Choices;

/// Holds the laws of one body.
fn judge(body: &[u8]) {
    let ours = Json::parse(body);
    let grammar = serde_json::from_slice::<&RawValue>(body);
    match (ours, &grammar) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours.raw(), theirs.get()),
        // serde_json sets a depth only where it builds values
        (Err(Doubt::TooDeep), Ok(_)) => assert!(nesting(body) > DEPTH_MAX as usize),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("{:?}: {ours:?} / {theirs:?}", String::from_utf8_lossy(body)),
    }
    let Ok(built) = serde_json::from_slice::<Value>(body) else { return };
    let ours = ours.expect("what serde_json builds is JSON");
    same_values(ours, &built);
    lists(body, &built);
}

/// The deepest nesting that brackets outside strings could make: an upper bound is enough.
fn nesting(body: &[u8]) -> usize {
    body.iter().filter(|byte| matches!(byte, b'{' | b'[')).count()
}

/// Kinds, texts, elements and members are what serde_json reads.
fn same_values(ours: Json<'_>, theirs: &Value) {
    match theirs {
        Value::Array(all) => {
            let elements = ours.elements();
            assert_eq!(elements.len(), all.len());
            elements.iter().zip(all).for_each(|(ours, theirs)| same_values(*ours, theirs));
        }
        Value::Object(all) => {
            let members = ours.members();
            for (key, theirs) in all {
                let last = members.iter().rfind(|(ours, _)| ours == key);
                same_values(last.expect("the member").1, theirs);
            }
        }
        Value::String(text) => assert_eq!(ours.text().unwrap().as_deref(), Some(text.as_str())),
        Value::Number(number) => {
            // serde_json rounds a last digit differently unless told otherwise
            let (ours, theirs) = (ours.number().unwrap(), number.as_f64().unwrap());
            assert!((ours - theirs).abs() <= theirs.abs() * 4.0 * f64::EPSILON, "{ours} {theirs}");
        }
        Value::Bool(truth) => assert_eq!(ours.truth(), Some(*truth)),
        Value::Null => assert!(ours.is_null()),
    }
}

/// Lists that we would re-order are the arrays that serde_json sees, hit by hit.
fn lists(body: &[u8], built: &Value) {
    let at = |text| Pointer::parse(text).unwrap();
    for place in ["", "/hits", "/*", "/hits/*/hits", "/0"] {
        let map = HitMap {
            at: at(place),
            id: at("/id"),
            name: Some(at("/name")),
            attributes: Some(at("/tags/*")),
            price: Some(at("/price")),
            ..HitMap::default()
        };
        let limits = DecodeLimits::default();
        let Ok(reply) = decode(body, &map, &[], &limits) else { continue };
        recognised(body, &HitPlan::new(&map, &[]), &reply);
        for list in reply.lists {
            let theirs = built.pointer(&list.at).and_then(Value::as_array).expect("an array");
            assert_eq!(list.hits.len(), theirs.len());
            for (ours, theirs) in list.hits.iter().zip(theirs) {
                let span = ours.span.start as usize..ours.span.end as usize;
                assert_eq!(&body[span], ours.raw.as_bytes());
                assert_eq!(&serde_json::from_str::<Value>(ours.raw).unwrap(), theirs);
                match &theirs["id"] {
                    Value::String(id) => assert_eq!(ours.id, id.as_str()),
                    Value::Number(_) => {
                        assert_eq!(Some(&ours.id.parse().unwrap()), theirs.get("id"))
                    }
                    other => panic!("{other} is no id"),
                }
                let named =
                    matches!(theirs["name"], Value::String(_) | Value::Number(_) | Value::Bool(_));
                assert_eq!(ours.words().name.is_some(), named);
            }
        }
    }
}

/// Hits that come again say what they said.
fn recognised(body: &[u8], plan: &HitPlan, reply: &Reply<'_>) {
    let known = KnownHits::new(1 << 20);
    for _ in 0..2 {
        let again = plan.decode(body, &DecodeLimits::knowing(&known)).unwrap();
        assert_eq!(again.lists.len(), reply.lists.len());
        let hits = |reply: &Reply<'_>| -> Vec<_> {
            let all = reply.lists.iter().flat_map(|list| &list.hits);
            all.map(|hit| {
                let words = format!("{:?} {:?} {:?}", hit.words(), hit.price, hit.score);
                (hit.span.clone(), hit.id.clone().into_owned(), words)
            })
            .collect()
        };
        assert_eq!(hits(&again), hits(reply));
    }
}

#[test]
fn texts_that_are_nearly_json_are_judged_as_by_serde_json() {
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        let mut choices = Choices::new(bytes);
        let mut text = String::new();
        choices.value(5, &mut text);
        let mut body = text.into_bytes();
        choices.damage(&mut body);
        judge(&body);
    });
}

#[test]
fn noise_is_judged_as_by_serde_json() {
    bolero::check!().with_test_time(fuzz_time() / 2).for_each(|bytes: &[u8]| judge(bytes));
}

#[test]
fn texts_that_broke_scanners_before_are_judged_as_by_serde_json() {
    let deep = |n: usize| format!("{}{}", "[{\"a\":".repeat(n), "}]".repeat(n));
    let many = [deep(63), deep(64), deep(500), "[".repeat(5_000), "{\"a\":".repeat(5_000)];
    let few = [
        "\u{feff}{}",
        "{}\u{feff}",
        "{}{}",
        "[]]",
        "{\"a\":1,\"a\":2}",
        "[\"\\ud800\"]",
        "1e99999",
        "-",
        "[1e]",
        "\"\\u00\"",
        "\"\u{0}\"",
        "[\"\u{7f}\"]",
        "\t\n\r {}",
        "\u{b}{}",
        "\u{a0}{}",
        "{\"a\" :\n1 , \"b\":[ ]}",
        "[1,]",
        "tru",
        "truee",
        "[nulll]",
        "{\"id\"}",
        "",
    ];
    for text in many.iter().map(String::as_str).chain(few) {
        judge(text.as_bytes());
    }
    judge(b"\"\xff\"");
    judge(b"\"\xed\xa0\x80\"");
    judge(b"[1]\0");
}
