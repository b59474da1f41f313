//! Replies: what is read of a hit, what forbids to touch a list, what is cut and taken out.

use prost::Message;

use super::super::*;
use super::judge::{
    Facts, Kind, ListKind, ListValue, MetadataResult, Packed, Properties, PropertiesResult,
    SearchReply, SearchResult, Texts, Value,
};
use crate::wire::weaviate::protobuf::{put_bytes, put_number};
use crate::wire::{DecodeLimits, Doubt, HitMap, HitView, KnownHits, Pointer, splice};

pub(super) fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

pub(super) fn texts(values: &[&str]) -> Value {
    let values = values.iter().map(|text| (*text).to_owned()).collect();
    let kind = Some(ListKind::Texts(Texts { values }));
    value(Kind::List(ListValue { values: Vec::new(), kind }))
}

pub(super) fn object(name: &str, inner: Value) -> Value {
    value(Kind::Object(Properties { fields: [(name.to_owned(), inner)].into() }))
}

fn text(text: &str) -> Value {
    value(Kind::Text(text.into()))
}

pub(super) fn result(id: &str, fields: &[(&str, Value)]) -> SearchResult {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    SearchResult {
        properties: Some(PropertiesResult {
            target_collection: "Product".into(),
            non_ref_props: Some(Properties { fields }),
            ref_props_requested: false,
        }),
        metadata: Some(MetadataResult { id: id.into(), ..MetadataResult::default() }),
        generative: None,
    }
}

pub(super) fn reply(results: Vec<SearchResult>) -> SearchReply {
    let generative_grouped_result = Some(String::new());
    SearchReply { took: 0.5, results, generative_grouped_result, ..SearchReply::default() }
}

fn body(reply: &SearchReply) -> Vec<u8> {
    framed(&reply.encode_to_vec()).unwrap()
}

/// A hit in the words of the judge.
pub(super) fn seen(hit: &HitView<'_>) -> Facts {
    let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let words = hit.words();
    Facts {
        id: hit.id.clone().into_owned(),
        name: owned(&words.name),
        category: owned(&words.category),
        brand: owned(&words.brand),
        attributes: words.attributes.iter().map(|text| text.clone().into_owned()).collect(),
        terms: words.terms.iter().map(|text| text.clone().into_owned()).collect(),
        price: hit.price,
        score: hit.score,
        in_stock: hit.in_stock,
    }
}

fn decoded(reply: &SearchReply) -> Result<Vec<Facts>, Doubt> {
    let body = body(reply);
    let read = GrpcPlan::new(&super::map()).decode(&body, &DecodeLimits::default())?;
    Ok(read.lists[0].hits.iter().map(seen).collect())
}

fn at(text: &str) -> Option<Pointer> {
    Some(Pointer::parse(text).unwrap())
}

#[test]
fn a_hit_says_what_its_properties_say() {
    let mut hit = result(
        "id-1",
        &[
            ("name", text("Oat drink")),
            ("category", texts(&["Drinks", "Plant"])),
            ("brand", object("name", text("Oat & Co"))),
            ("searchTerms", texts(&["vegan", "local"])),
            ("retailPrice", value(Kind::Number(3.5))),
            ("isOrganic", value(Kind::Bool(true))),
            ("terms", texts(&["a", "b"])),
            ("packSize", text("nobody wants this")),
        ],
    );
    let metadata = hit.metadata.as_mut().unwrap();
    (metadata.score, metadata.score_present) = (0.25, true);
    let read = decoded(&reply(vec![hit])).unwrap();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let expected = Facts {
        id: "id-1".into(),
        name: Some("Oat drink".into()),
        category: Some("Drinks/Plant".into()),
        brand: Some("Oat & Co".into()),
        attributes: words(&["vegan", "local"]),
        terms: words(&["a", "b"]),
        price: Some(3.5),
        score: Some(0.25),
        in_stock: Some(true),
    };
    assert_eq!(read, [expected]);
}

#[test]
fn a_uuid_in_bytes_is_the_id_where_there_is_no_other() {
    let mut hit = result("", &[]);
    hit.metadata.as_mut().unwrap().id_as_bytes = (0x10..0x20).collect();
    let read = decoded(&reply(vec![hit.clone()])).unwrap();
    assert_eq!(read[0].id, "10111213-1415-1617-1819-1a1b1c1d1e1f");
    hit.metadata.as_mut().unwrap().id_as_bytes.pop();
    assert_eq!(decoded(&reply(vec![hit.clone()])), Err(Doubt::MissingId));
    hit.metadata = None;
    assert_eq!(decoded(&reply(vec![hit])), Err(Doubt::MissingId));
}

#[test]
fn a_property_may_be_the_id_and_pointers_start_with_properties_or_not() {
    let fields = [("sku", value(Kind::Int(-7))), ("stock", value(Kind::Int(0)))];
    let body = body(&reply(vec![result("uuid", &fields)]));
    for (id, stock) in [("/sku", "/properties/stock"), ("/properties/sku", "/stock")] {
        let map = HitMap { id: at(id).unwrap(), stock: at(stock), ..HitMap::default() };
        let read = GrpcPlan::new(&map).decode(&body, &DecodeLimits::default()).unwrap();
        let hit = &read.lists[0].hits[0];
        assert_eq!((&*hit.id, hit.in_stock), ("-7", Some(false)));
    }
    let map = HitMap { id: at("/_additional/certainty").unwrap(), ..HitMap::default() };
    let read = GrpcPlan::new(&map).decode(&body, &DecodeLimits::default());
    assert_eq!(read, Err(Doubt::MissingId));
}

#[test]
fn several_members_may_come_from_one_property_and_names_may_share_a_slot() {
    // first letters, last letters and lengths are the same
    let fields = [("abcd", text("one")), ("axyd", text("two")), ("a__d", text("nobody's"))];
    let body = body(&reply(vec![result("uuid", &fields)]));
    let map = HitMap {
        id: at("/id").unwrap(),
        name: at("/abcd"),
        brand: at("/axyd"),
        terms: at("/abcd"),
        ..HitMap::default()
    };
    let read = GrpcPlan::new(&map).decode(&body, &DecodeLimits::default()).unwrap();
    let hit = seen(&read.lists[0].hits[0]);
    assert_eq!((hit.name.as_deref(), hit.brand.as_deref()), (Some("one"), Some("two")));
    assert_eq!(hit.terms, ["one"]);
}

#[test]
fn lists_of_numbers_and_lists_as_old_servers_write_them_are_texts() {
    let packed = |values: Vec<u8>| Packed { values };
    let list = |kind| value(Kind::List(ListValue { values: Vec::new(), kind: Some(kind) }));
    let floats = list(ListKind::Numbers(packed(1.5_f64.to_le_bytes().to_vec())));
    let ints = list(ListKind::Ints(packed([7_i64.to_le_bytes(), (-1_i64).to_le_bytes()].concat())));
    let values = vec![value(Kind::OldText("old".into())), value(Kind::Int(3))];
    let old = value(Kind::List(ListValue { values, kind: None }));
    let uuids = list(ListKind::Uuids(Texts { values: vec!["u".into()] }));
    for (value, expected) in [
        (floats, vec!["1.5"]),
        (ints, vec!["7", "-1"]),
        (old, vec!["old", "3"]),
        (uuids, vec!["u"]),
    ] {
        let hit = result("id", &[("searchTerms", value.clone()), ("terms", value)]);
        let read = decoded(&reply(vec![hit])).unwrap();
        assert_eq!(
            (&read[0].attributes, &read[0].terms),
            (&expected.iter().map(|text| (*text).to_owned()).collect(), &read[0].attributes)
        );
    }
    let short = list(ListKind::Ints(packed(vec![0; 9])));
    let short = result("id", &[("searchTerms", short)]);
    assert_eq!(decoded(&reply(vec![short])), Err(Doubt::NotProtobuf));
}

#[test]
fn places_in_lists_and_names_in_objects_lead_on() {
    let levels = texts(&["Food", "Bread"]);
    let hit = result("id", &[("a", object("b", levels))]);
    let body = body(&reply(vec![hit]));
    for (pointer, expected) in [
        ("/a/b/1", Some("Bread")),
        ("/a/b", None),
        ("/a/c", None),
        ("/a/b/2", None),
        ("/a/b/x", None),
    ] {
        let map = HitMap { id: at("/id").unwrap(), name: at(pointer), ..HitMap::default() };
        let read = GrpcPlan::new(&map).decode(&body, &DecodeLimits::default()).unwrap();
        assert_eq!(read.lists[0].hits[0].read.name.as_deref(), expected, "{pointer}");
    }
}

#[test]
fn null_is_absent_and_the_last_property_of_a_name_counts() {
    let first = result("id", &[("name", text("first")), ("brand", text("gone"))]);
    let last = result("id", &[("name", text("last")), ("retailPrice", value(Kind::Null(0)))]);
    let mut record = first.encode_to_vec();
    record.extend_from_slice(&last.encode_to_vec());
    let mut message = Vec::new();
    put_bytes(&mut message, 2, &record);
    let body = framed(&message).unwrap();
    let read = GrpcPlan::new(&super::map()).decode(&body, &DecodeLimits::default()).unwrap();
    let hit = seen(&read.lists[0].hits[0]);
    assert_eq!((hit.name.as_deref(), hit.brand, hit.price), (Some("last"), None, None));
}

#[test]
fn what_forbids_to_touch_a_list_is_named() {
    let hit = || result("id", &[("name", text("x"))]);
    assert_eq!(decoded(&reply(Vec::new())), Err(Doubt::NoHits));
    let mut grouped = reply(vec![hit()]);
    grouped.group_by_results = vec![Vec::new()];
    assert_eq!(decoded(&grouped), Err(Doubt::NoHits));
    let mut told = reply(vec![hit()]);
    told.generative_grouped_result = Some("a tale of all hits".into());
    assert_eq!(decoded(&told), Err(Doubt::ConditionFailed));
    let mut told = reply(vec![hit()]);
    told.generative_grouped_results = Some(b"\x0a\x00".to_vec());
    assert_eq!(decoded(&told), Err(Doubt::ConditionFailed));
    let mut told = hit();
    told.generative = Some(b"\x0a\x00".to_vec());
    assert_eq!(decoded(&reply(vec![told])), Err(Doubt::ConditionFailed));
    let mut told = hit();
    told.metadata.as_mut().unwrap().generative_present = true;
    assert_eq!(decoded(&reply(vec![told])), Err(Doubt::ConditionFailed));
    let many = body(&reply(vec![hit(), hit(), hit()]));
    let plan = GrpcPlan::new(&super::map());
    assert!(plan.decode(&many, &DecodeLimits { hits_max: 3, ..DecodeLimits::default() }).is_ok());
    let refused = plan.decode(&many, &DecodeLimits { hits_max: 2, ..DecodeLimits::default() });
    assert_eq!(refused, Err(Doubt::TooManyHits));
    assert_eq!(plan.decode(&many[1..], &DecodeLimits::default()), Err(Doubt::NotProtobuf));
}

#[test]
fn broken_text_is_a_doubt_where_it_is_read_and_nowhere_else() {
    let broken = |name: &str| {
        let mut message = result("id", &[]).encode_to_vec();
        let (mut value, mut entry, mut fields, mut properties) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        put_bytes(&mut value, 13, b"\xff");
        put_bytes(&mut entry, 1, name.as_bytes());
        put_bytes(&mut entry, 2, &value);
        put_bytes(&mut fields, 1, &entry);
        put_bytes(&mut properties, 11, &fields);
        put_bytes(&mut message, 1, &properties);
        let mut reply = Vec::new();
        put_bytes(&mut reply, 2, &message);
        framed(&reply).unwrap()
    };
    let plan = GrpcPlan::new(&super::map());
    let limits = DecodeLimits::default();
    assert_eq!(plan.decode(&broken("name"), &limits), Err(Doubt::InvalidUtf8));
    assert!(plan.decode(&broken("usage"), &limits).is_ok());
}

#[test]
fn a_page_is_cut_out_of_the_new_order_and_the_rest_is_gone() {
    let hits: Vec<_> = (0..5).map(|n| result(&format!("id-{n}"), &[])).collect();
    let mut reply = reply(hits);
    let body = body(&reply);
    let read = GrpcPlan::new(&super::map()).decode(&body, &DecodeLimits::default()).unwrap();
    let (list, order) = (&read.lists[0], [4, 2, 0, 1, 3]);
    let nothing = Stripped::default();
    let all = reply.results.clone();
    for (page, expected) in [(0..2, &[4, 2][..]), (2..4, &[0, 1]), (4..9, &[3]), (7..9, &[])] {
        let cut = cut(&body, list, &order, page, &nothing).unwrap();
        reply.results = expected.iter().map(|from: &usize| all[*from].clone()).collect();
        assert_eq!(SearchReply::decode(message(&cut).unwrap()).unwrap(), reply);
    }
    assert_eq!(cut(&body, list, &order, 0..5, &nothing), splice(&body, &[(list, &order)]));
    assert_eq!(cut(&body, list, &[0, 1], 0..2, &nothing), Err(Doubt::NotAPermutation));
    let short = framed(&message(&body).unwrap()[..9]).unwrap();
    assert_eq!(cut(&short, list, &order, 0..2, &nothing), Err(Doubt::Misplaced));
}

#[test]
fn what_was_added_is_taken_out_again_and_lengths_are_right() {
    let asked = [("name", text("x")), ("terms", texts(&["a"]))];
    let more = [asked.as_slice(), &[("sku", text(&"7".repeat(200)))]].concat();
    let mut added = result("id", &more);
    let metadata = added.metadata.as_mut().unwrap();
    (metadata.score, metadata.score_present, metadata.distance) = (0.25, true, 0.5);
    let mut plain = result("id", &asked);
    plain.metadata.as_mut().unwrap().distance = 0.5;
    let record = |result: &SearchResult| {
        let mut record = Vec::new();
        put_bytes(&mut record, 2, &result.encode_to_vec());
        record
    };
    let stripped = Stripped { score: true, properties: vec!["sku".into()] };
    assert_eq!(strip(&record(&added), &stripped).unwrap(), record(&plain));
    assert_eq!(strip(&record(&plain), &stripped).unwrap(), record(&plain));
    assert_eq!(strip(&record(&added), &Stripped::default()).unwrap(), record(&added));

    let mut wide = body(&reply(vec![added.clone(), added]));
    put_number(&mut wide, 900, 1);
    let message_bytes = u32::try_from(wide.len() - 5).unwrap();
    wide[1..5].copy_from_slice(&message_bytes.to_be_bytes());
    let read = GrpcPlan::new(&super::map()).decode(&wide, &DecodeLimits::default()).unwrap();
    let narrow = cut(&wide, &read.lists[0], &[1, 0], 0..1, &stripped).unwrap();
    let mut expected = body(&reply(vec![plain]));
    put_number(&mut expected, 900, 1);
    assert_eq!(message(&narrow).unwrap(), &expected[5..]);
}

#[test]
fn a_hit_that_comes_again_is_recognised_in_any_order_and_one_that_changed_is_read() {
    let map = HitMap { id: at("/sku").unwrap(), score: at("/score"), ..super::map() };
    let (plan, known) = (GrpcPlan::new(&map), KnownHits::new(1 << 20));
    let recognised = |name: &str, score: f64, turned: bool| {
        let entry = |key: &str, held: Value| {
            let (mut entry, mut field) = (Vec::new(), Vec::new());
            put_bytes(&mut entry, 1, key.as_bytes());
            put_bytes(&mut entry, 2, &held.encode_to_vec());
            put_bytes(&mut field, 1, &entry);
            field
        };
        let hit = |sku: &str| {
            let mut entries = [
                entry("sku", text(sku)),
                entry("name", text(name)),
                entry("terms", texts(&["leafy", sku])),
                entry("score", value(Kind::Number(score))),
                entry("usage", text(if turned { "raw" } else { "nobody reads this" })),
            ];
            if turned {
                entries.reverse();
            }
            let (mut properties, mut record, mut out) = (Vec::new(), Vec::new(), Vec::new());
            put_bytes(&mut properties, 11, &entries.concat());
            put_bytes(&mut record, 1, &properties);
            put_bytes(&mut out, 2, &record);
            out
        };
        let body = framed(&["a", "b", "c"].map(hit).concat()).unwrap();
        let read = plan.decode(&body, &DecodeLimits::knowing(&known)).unwrap();
        let hits = &read.lists[0].hits;
        for (hit, sku) in hits.iter().zip(["a", "b", "c"]) {
            assert_eq!((&*hit.id, hit.score), (sku, Some(score)));
            assert_eq!(hit.words().name.as_deref(), Some(name));
            assert_eq!(hit.words().terms, ["leafy", sku]);
        }
        hits.iter().filter(|hit| hit.read.name.is_none()).count()
    };
    assert_eq!(recognised("Spinach", 0.5, false), 0);
    assert_eq!(recognised("Spinach", 0.5, false), 3);
    assert_eq!(recognised("Spinach", 0.25, true), 3, "neither order nor score are a change");
    assert_eq!(recognised("Kale", 0.25, true), 0, "a name is");
    // a list in which more changed than stayed: the next ones are read without looking
    assert!((0..32).all(|_| recognised("Kale", 0.5, false) == 0));
    assert_eq!(recognised("Kale", 0.5, false), 3);
}
