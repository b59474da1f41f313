//! Hit plans against made and recorded replies.

mod known;

use super::*;
use crate::wire::{DEPTH_MAX, Pointer};
use serde_json::json;

fn at(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

/// What the shop's own API calls things.
fn shop_map() -> HitMap {
    HitMap {
        at: at("/products"),
        id: at("/sku"),
        id_or: None,
        name: Some(at("/product_name")),
        category: Some(at("/category")),
        brand: Some(at("/supplier")),
        attributes: Some(at("/dietary_info")),
        terms: Some(at("/more/terms")),
        price: Some(at("/price")),
        score: Some(at("/score")),
        stock: Some(at("/in_stock")),
        sponsored: Some(at("/ad")),
    }
}

fn order_is_null() -> Condition {
    Condition { at: at("/order"), is: Expected::Null }
}

fn read(body: &str) -> Result<Reply<'_>, Doubt> {
    decode(body.as_bytes(), &shop_map(), &[order_is_null()], &DecodeLimits::default())
}

fn one_hit(hit: &str) -> HitView<'static> {
    let body: &'static str = Box::leak(format!(r#"{{"products":[{hit}]}}"#).into_boxed_str());
    read(body).unwrap().lists[0].hits[0].clone()
}

#[test]
fn a_hit_says_everything_that_the_map_names() {
    let body = r#" { "query":"oat", "products" : [ {"sku":"A-1","product_name":"Oat \"Barista\"",
        "category":"Dairy/Milk","supplier":"Hilltop","dietary_info":["vegan","organic"],
        "more":{"terms":"drink"},"price":"4.50","score":0.75,"in_stock":false,"ad":1},
        {"sku":17}] ,"order":null } "#;
    let reply = read(body).unwrap();
    let list = &reply.lists[0];
    assert_eq!(list.at, "/products");
    let bytes = |span: &std::ops::Range<u32>| &body[span.start as usize..span.end as usize];
    assert!(bytes(&list.span).starts_with("[ {") && bytes(&list.span).ends_with("}]"));
    let [first, second] = list.hits.as_slice() else { panic!("two hits") };
    assert_eq!(bytes(&first.span), first.raw);
    assert_eq!(first.id, "A-1");
    assert_eq!(first.read.name.as_deref(), Some("Oat \"Barista\""));
    assert_eq!(first.read.category.as_deref(), Some("Dairy/Milk"));
    assert_eq!(first.read.brand.as_deref(), Some("Hilltop"));
    assert_eq!(first.read.attributes, ["vegan", "organic"]);
    assert_eq!(first.read.terms, ["drink"]);
    assert_eq!((first.price, first.score), (Some(4.5), Some(0.75)));
    assert_eq!((first.in_stock, first.sponsored), (Some(false), true));
    assert_eq!(bytes(&second.span), r#"{"sku":17}"#);
    assert_eq!(second.id, "17");
    assert_eq!(
        second,
        &HitView {
            id: "17".into(),
            raw: second.raw,
            span: second.span.clone(),
            ..HitView::default()
        }
    );
}

#[test]
fn members_of_unexpected_kinds_count_as_absent() {
    let hit = one_hit(
        r#"{"sku":"a","product_name":null,"category":["Dairy","Milk",{}],"supplier":{},
        "dietary_info":"vegan","price":1e999,"score":"high","in_stock":"yes?","ad":"false"}"#,
    );
    assert_eq!(hit.read.category.as_deref(), Some("Dairy/Milk"));
    assert_eq!(hit.read.attributes, ["vegan"]);
    assert_eq!((hit.read.name, hit.read.brand, hit.price, hit.score), (None, None, None, None));
    assert_eq!((hit.in_stock, hit.sponsored), (None, false));
    assert_eq!(one_hit(r#"{"sku":"a","price":1e39}"#).price, None);
}

#[test]
fn stock_and_sponsoring_are_read_in_the_ways_shops_write_them() {
    for (text, expected) in [
        ("true", Some(true)),
        ("0", Some(false)),
        ("12", Some(true)),
        ("\"0\"", Some(false)),
        ("null", None),
    ] {
        assert_eq!(one_hit(&format!(r#"{{"sku":"a","in_stock":{text}}}"#)).in_stock, expected);
    }
    for (text, expected) in [
        ("true", true),
        ("0", false),
        ("\"\"", false),
        ("\"No\"", false),
        ("\"gold\"", true),
        ("{}", false),
        ("{\"by\":\"x\"}", true),
        ("[]", false),
        ("null", false),
    ] {
        assert_eq!(one_hit(&format!(r#"{{"sku":"a","ad":{text}}}"#)).sponsored, expected, "{text}");
    }
}

#[test]
fn several_lists_are_found_below_a_star() {
    let body = r#"{"data":{"Get":{"Product":[{"id":"a"}],"none":null,"empty":[],
        "a/b":[{"id":"b"},{"id":"c"}]}},"extra":[1]}"#;
    let map = HitMap { at: at("/data/Get/*"), id: at("/id"), ..HitMap::default() };
    let reply = decode(body.as_bytes(), &map, &[], &DecodeLimits::default()).unwrap();
    let found: Vec<_> = reply.lists.iter().map(|l| (l.at.as_str(), l.hits.len())).collect();
    assert_eq!(found, [("/data/Get/Product", 1), ("/data/Get/a~1b", 2)]);
}

#[test]
fn hits_may_be_the_body_itself_or_stand_below_an_index() {
    let limits = DecodeLimits::default();
    let map = HitMap { id: at("/id"), ..HitMap::default() };
    let reply = decode(br#" [{"id":1}, {"id":2}] "#, &map, &[], &limits).unwrap();
    assert_eq!((reply.lists[0].at.as_str(), reply.lists[0].hits.len()), ("", 2));
    let map = HitMap { at: at("/results/1/hits"), id: at("/_source/id"), ..HitMap::default() };
    let body = br#"{"results":[{"hits":[{}]},{"hits":[{"_source":{"id":"x"}}]}]}"#;
    let reply = decode(body, &map, &[], &limits).unwrap();
    assert_eq!(reply.lists[0].hits[0].id, "x");
}

#[test]
fn a_list_we_are_unsure_of_is_skipped_and_the_others_stay() {
    let map = HitMap { at: at("/*"), id: at("/id"), name: Some(at("/name")), ..HitMap::default() };
    let limits = DecodeLimits { hits_max: 3, ..DecodeLimits::default() };
    let body = br#"{"a":[{"id":"1"}],"b":[{"id":"1"},{"name":"x"}],"c":[{"id":"1","i\u0064":"2"}],
        "d":[{"id":"1","name":"\udc00"}],"e":[{"id":""}],"f":[{"id":true}],"g":[7],
        "h":[{"id":1},{"id":2},{"id":3}],"i":[{"id":1},{"id":2},{"id":3},{"id":4}]}"#;
    let reply = decode(body, &map, &[], &limits).unwrap();
    let kept: Vec<_> = reply.lists.iter().map(|list| list.at.as_str()).collect();
    assert_eq!(kept, ["/a", "/h"]);
    let skipped: Vec<_> = reply.skipped.iter().map(|s| (s.at.as_str(), s.doubt)).collect();
    assert_eq!(
        skipped,
        [
            ("/b", Doubt::MissingId),
            ("/c", Doubt::DuplicateKey),
            ("/d", Doubt::LoneSurrogate),
            ("/e", Doubt::MissingId),
            ("/f", Doubt::MissingId),
            ("/g", Doubt::MissingId),
            ("/i", Doubt::TooManyHits),
        ]
    );
}

#[test]
fn every_doubt_of_the_whole_body_is_named() {
    let deep =
        format!(r#"{{"products":[{{"sku":"a"}}],"x":{}1{}}}"#, "[".repeat(127), "]".repeat(127));
    let cases: &[(&str, Doubt)] = &[
        ("", Doubt::NotJson),
        ("<html>", Doubt::NotJson),
        (r#"{"products":[{"sku":"a"}]} x"#, Doubt::NotJson),
        (r#"{"products":[{"sku":"a"},]}"#, Doubt::NotJson),
        (r#"{"products":[{"sku":"a"}],"x":01}"#, Doubt::NotJson),
        ("\u{feff}{\"products\":[{\"sku\":\"a\"}]}", Doubt::ByteOrderMark),
        (&deep, Doubt::TooDeep),
        (r#"{"products":[]}"#, Doubt::NoHits),
        (r#"{"products":null}"#, Doubt::NoHits),
        (r#"{"products":{"0":{"sku":"a"}}}"#, Doubt::NoHits),
        (r#"{"results":[{"sku":"a"}]}"#, Doubt::NoHits),
        (r#"[{"sku":"a"}]"#, Doubt::NoHits),
        (r#"{"products":[{"id":"a"}]}"#, Doubt::MissingId),
        (r#"{"products":[{"sku":"a"}],"products":[{"sku":"b"}]}"#, Doubt::DuplicateKey),
        (r#"{"products":[{"sku":"a"}],"\u0070roducts":null}"#, Doubt::DuplicateKey),
        (r#"{"products":[{"sku":"a"}],"order":null,"order":1}"#, Doubt::DuplicateKey),
        (r#"{"products":[{"sku":"a"}],"order":{}}"#, Doubt::ConditionFailed),
    ];
    for (body, doubt) in cases {
        assert_eq!(read(body).err(), Some(*doubt), "{body}");
    }
    let broken = b"{\"products\":[{\"sku\":\"a\"}],\"x\":\"\xc3\"}";
    assert_eq!(
        HitPlan::new(&shop_map(), &[]).decode(broken, &DecodeLimits::default()).err(),
        Some(Doubt::InvalidUtf8)
    );
    assert_eq!(DEPTH_MAX, 127);
}

#[test]
fn doubles_and_odd_text_that_nobody_reads_do_not_matter() {
    let body = r#"{"x":1,"x":2,"products":[{"sku":"a","y":"\ud800","y":1e999}]}"#;
    assert_eq!(read(body).unwrap().lists[0].hits.len(), 1);
}

#[test]
fn conditions_compare_scalars_wherever_they_stand() {
    let body = br#"{"n":1.0,"t":"a\u0062","b":true,"z":null,"o":{"k":[1]},
        "products":[{"sku":"a","v":1},{"sku":"b","v":2}]}"#;
    let holds = |place: &str, value: serde_json::Value| {
        let only_if = [Condition { at: at(place), is: Expected::Value(value) }];
        decode(body, &shop_map(), &only_if, &DecodeLimits::default()).map(|_| ())
    };
    for (place, value) in [
        ("/n", json!(1)),
        ("/t", json!("ab")),
        ("/b", json!(true)),
        ("/z", json!(null)),
        ("/none", json!(null)),
        ("/o/k/0", json!(1)),
        ("/o", json!({"k":[1]})),
        ("/products/1/v", json!(2)),
        ("/products/*/none", json!(null)),
    ] {
        assert_eq!(holds(place, value), Ok(()), "{place}");
    }
    for (place, value) in [
        ("/n", json!("1.0")),
        ("/t", json!("a")),
        ("/b", json!("true")),
        ("/z", json!(0)),
        ("/none", json!(1)),
        ("/products/*/v", json!(1)),
        ("/products/9/v", json!(1)),
    ] {
        assert_eq!(holds(place, value), Err(Doubt::ConditionFailed), "{place}");
    }
}

#[test]
fn many_conditions_are_all_asked() {
    let mut only_if: Vec<_> =
        (0..100).map(|n| Condition { at: at(&format!("/k{n}")), is: Expected::Null }).collect();
    let body = br#"{"products":[{"sku":"a"}],"k99":1}"#;
    let limits = DecodeLimits::default();
    assert_eq!(decode(body, &shop_map(), &only_if, &limits).err(), Some(Doubt::ConditionFailed));
    only_if.pop();
    assert!(decode(body, &shop_map(), &only_if, &limits).is_ok());
}

#[test]
fn one_value_is_read_without_a_list() {
    let plan = HitPlan::new(&shop_map(), &[]);
    let body = br#" {"product_name":"Oats","price":3} "#;
    let facts = plan.read(Json::parse(body).unwrap()).unwrap();
    assert_eq!(
        (facts.id.as_ref(), facts.read.name.as_deref(), facts.price),
        ("", Some("Oats"), Some(3.0))
    );
    assert_eq!(&body[facts.span.start as usize..facts.span.end as usize], facts.raw.as_bytes());
    let twice = Json::parse(br#"{"price":3,"price":4}"#).unwrap();
    assert_eq!(plan.read(twice), Err(Doubt::DuplicateKey));
}

#[test]
fn a_star_in_a_member_gathers_texts() {
    let map = HitMap {
        id: at("/id"),
        category: Some(at("/categories/*/name")),
        attributes: Some(at("/tags/*/label")),
        ..HitMap::default()
    };
    let body = br#"[{"id":"a","categories":[{"name":"Dairy"},{"name":"Milk"}],
        "tags":{"x":{"label":"vegan"},"y":{"label":["raw","local"]}}}]"#;
    let reply = decode(body, &map, &[], &DecodeLimits::default()).unwrap();
    let hit = &reply.lists[0].hits[0];
    assert_eq!(hit.read.category.as_deref(), Some("Dairy/Milk"));
    assert_eq!(hit.read.attributes, ["vegan", "raw", "local"]);
}

/// A hit as shops may write it, most of them alike: members left out, doubled, in other words, with
/// white space, now and then broken.
fn any_hit() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let often = |usual: &'static str, rare: Vec<&'static str>| prop_oneof![6 => Just(usual), 1 => proptest::sample::select(rare)];
    let space = || often("", vec![" ", "\n  "]);
    let members = (
        often(
            "\"sku\":\"A1\"",
            vec!["\"sku\" :7", "\"sk\\u0075\":\"B\"", "\"sku\":\"\"", "\"id\":1"],
        ),
        often(
            "\"product_name\":\"Oat Milk\"",
            vec!["\"product_name\":\"O\\\"a\"", "\"sku\":\"C\""],
        ),
        often("\"x\":{\"y\":[1,{}]}", vec!["\"x\":{\"y\":[1,{]}", "\"x\": null", "\"x\":nul"]),
        often(
            "\"dietary_info\":[\"a\",\"b\"]",
            vec!["\"dietary_info\":\"a\"", "\"dietary_info\":[\"\\ud800\"]"],
        ),
        often(
            "\"price\":3.25",
            vec!["\"price\":-0", "\"price\":03", "\"price\":\"4\"", "\"price\":3,\"price\":4"],
        ),
        often("\"in_stock\":true", vec!["\"in_stock\":false", "\"in_stock\":0"]),
    );
    (members, [space(), space(), space()])
        .prop_map(|((a, b, c, d, e, f), [i, j, k])| format!("{{{i}{a},{b}{j},{c},{d},{e}{k},{f}}}"))
}

proptest::proptest! {
    #[test]
    fn a_hit_says_the_same_in_a_list_as_alone(
        hits in proptest::collection::vec(any_hit(), 1..12),
    ) {
        let body = format!("{{\"products\":[{}],\"order\":null}}", hits.join(","));
        let reply = read(&body);
        let valid = serde_json::from_str::<&serde_json::value::RawValue>(&body).is_ok();
        if !valid {
            proptest::prop_assert_eq!(reply, Err(Doubt::NotJson));
            return Ok(());
        }
        let plan = HitPlan::new(&shop_map(), &[]);
        let alone: Vec<_> =
            hits.iter().map(|hit| plan.read(Json::parse(hit.as_bytes()).unwrap())).collect();
        let doubt = alone.iter().find_map(|hit| match hit {
            Err(doubt) => Some(*doubt),
            Ok(hit) => hit.id.is_empty().then_some(Doubt::MissingId),
        });
        match doubt {
            Some(doubt) => proptest::prop_assert_eq!(reply, Err(doubt)),
            None => {
                let list = reply.unwrap().lists.remove(0);
                for (together, alone) in list.hits.into_iter().zip(alone) {
                    let alone = HitView { span: together.span.clone(), ..alone.unwrap() };
                    proptest::prop_assert_eq!(together, alone);
                }
            }
        }
    }
}

/// The shop's captured replies, or nothing (said aloud) where they are not at hand.
fn captured() -> Vec<(String, String)> {
    let shared =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/leafloaf");
    let Ok(session) = std::fs::read_to_string(shared.join("session.jsonl")) else {
        eprintln!("skipped: {} is not there", shared.display());
        return Vec::new();
    };
    let mut bodies: Vec<(String, String)> = session
        .lines()
        .map(|line| {
            let exchange: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| exchange[key].as_str().unwrap_or_default().to_owned();
            (text("http"), text("reply_body"))
        })
        .collect();
    for file in std::fs::read_dir(shared.join("responses")).unwrap() {
        let path = file.unwrap().path();
        bodies.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
    }
    bodies
}

#[test]
fn captured_replies_decode_as_serde_json_reads_them() {
    let bodies = captured();
    let mut searches = 0;
    for (name, body) in &bodies {
        let parsed = serde_json::from_str::<serde_json::Value>(body);
        assert_eq!(Json::parse(body.as_bytes()).is_ok(), parsed.is_ok(), "{name}");
        let Ok(whole) = parsed else { continue };
        let products = whole["products"].as_array().filter(|all| !all.is_empty());
        match (products, whole["order"].is_null(), read(body)) {
            (Some(products), true, reply)
                if name.contains("/search") || name.contains("response") =>
            {
                searches += 1;
                let reply = reply.unwrap_or_else(|doubt| panic!("{name}: {doubt}"));
                let hits = &reply.lists[0].hits;
                assert_eq!(hits.len(), products.len(), "{name}");
                for (hit, product) in hits.iter().zip(products) {
                    assert_eq!(
                        &serde_json::from_str::<serde_json::Value>(hit.raw).unwrap(),
                        product
                    );
                    assert_eq!(hit.id, product["sku"].as_str().unwrap());
                    assert_eq!(hit.read.name.as_deref(), product["product_name"].as_str());
                    assert_eq!(hit.read.category.as_deref(), product["category"].as_str());
                    assert_eq!(hit.read.brand.as_deref(), product["supplier"].as_str());
                    assert_eq!(hit.price, product["price"].as_f64().map(|price| price as f32));
                    assert_eq!(hit.in_stock, product["in_stock"].as_bool());
                }
            }
            (Some(_), true, _) => {}
            (_, _, reply) => assert!(reply.is_err(), "{name}"),
        }
    }
    assert!(bodies.is_empty() || searches > 20, "{searches} searches among the recordings");
}
