//! What a search asks: each field that decides, and the rewriting of the page.

use proptest::prelude::*;
use prost::Message;

use super::super::*;
use crate::wire::Doubt;
use crate::wire::weaviate::protobuf::{Records, put_bytes, put_number};
use crate::wire::weaviate::{ListAsk, Operator};

/// The part of `SearchRequest` that decides, as prost reads it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SearchRequest {
    #[prost(string, tag = "1")]
    pub(super) collection: String,
    #[prost(string, tag = "10")]
    pub(super) tenant: String,
    #[prost(message, optional, tag = "20")]
    pub(super) properties: Option<PropertiesRequest>,
    #[prost(message, optional, tag = "21")]
    pub(super) metadata: Option<MetadataRequest>,
    #[prost(message, optional, tag = "22")]
    pub(super) group_by: Option<Anything>,
    #[prost(uint32, tag = "30")]
    pub(super) limit: u32,
    #[prost(uint32, tag = "31")]
    pub(super) offset: u32,
    #[prost(uint32, tag = "32")]
    pub(super) autocut: u32,
    #[prost(string, tag = "33")]
    pub(super) after: String,
    #[prost(message, repeated, tag = "34")]
    pub(super) sort_by: Vec<Anything>,
    #[prost(message, optional, tag = "40")]
    pub(super) filters: Option<Anything>,
    #[prost(message, optional, tag = "41")]
    pub(super) hybrid: Option<Hybrid>,
    #[prost(message, optional, tag = "42")]
    pub(super) bm25: Option<Bm25>,
    #[prost(message, optional, tag = "43")]
    pub(super) near_vector: Option<NearVector>,
    #[prost(message, optional, tag = "44")]
    pub(super) near_object: Option<NearObject>,
    #[prost(message, optional, tag = "45")]
    pub(super) near_text: Option<NearText>,
    #[prost(message, optional, tag = "46")]
    pub(super) near_image: Option<NearObject>,
    #[prost(message, optional, tag = "60")]
    pub(super) generative: Option<Anything>,
    #[prost(message, optional, tag = "61")]
    pub(super) rerank: Option<Anything>,
    #[prost(message, optional, tag = "62")]
    pub(super) boost: Option<Anything>,
    #[prost(bool, tag = "102")]
    pub(super) uses_127_api: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Anything {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PropertiesRequest {
    #[prost(string, repeated, tag = "1")]
    pub(super) named: Vec<String>,
    #[prost(bool, tag = "11")]
    pub(super) all: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetadataRequest {
    #[prost(bool, tag = "1")]
    pub(super) uuid: bool,
    #[prost(bool, tag = "7")]
    pub(super) score: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Hybrid {
    #[prost(string, tag = "1")]
    pub(super) query: String,
    #[prost(message, optional, tag = "8")]
    pub(super) near_text: Option<NearText>,
    #[prost(message, optional, tag = "9")]
    pub(super) near_vector: Option<NearVector>,
    #[prost(message, optional, tag = "14")]
    pub(super) selection: Option<Anything>,
    #[prost(float, optional, tag = "20")]
    pub(super) vector_distance: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Bm25 {
    #[prost(string, tag = "1")]
    pub(super) query: String,
}

/// `near_object` and all the media.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NearObject {
    #[prost(double, optional, tag = "2")]
    pub(super) certainty: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub(super) distance: Option<f64>,
    #[prost(message, optional, tag = "6")]
    pub(super) selection: Option<Anything>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NearVector {
    #[prost(double, optional, tag = "2")]
    pub(super) certainty: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub(super) distance: Option<f64>,
    #[prost(message, optional, tag = "6")]
    pub(super) targets: Option<Anything>,
    #[prost(message, optional, tag = "10")]
    pub(super) selection: Option<Anything>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NearText {
    #[prost(string, repeated, tag = "1")]
    pub(super) query: Vec<String>,
    #[prost(double, optional, tag = "2")]
    pub(super) certainty: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub(super) distance: Option<f64>,
    #[prost(message, optional, tag = "8")]
    pub(super) selection: Option<Anything>,
}

/// Fails where a request was read another way than prost reads it.
pub(super) fn agrees(read: &GrpcAsk, request: &SearchRequest) {
    let list = &read.list;
    assert_eq!(list.collection, request.collection);
    assert_eq!(list.tenant.as_deref().unwrap_or(""), request.tenant);
    assert_eq!(list.limit.unwrap_or(0), request.limit);
    assert_eq!((list.offset, list.autocut), (request.offset, request.autocut > 0));
    assert_eq!((list.after, list.sort), (!request.after.is_empty(), !request.sort_by.is_empty()));
    assert_eq!(list.group_by, request.group_by.is_some());
    assert_eq!(list.generative, request.generative.is_some());
    assert_eq!((list.rerank, list.boost), (request.rerank.is_some(), request.boost.is_some()));
    let names = request.properties.as_ref().filter(|it| !it.all).map(|it| &it.named);
    assert_eq!(read.properties.as_ref(), names);
    assert_eq!(read.score, request.metadata.as_ref().is_some_and(|it| it.score));
    if list.unclear || list.operator == Some(Operator::NearMedia) {
        return;
    }
    let (mut operator, mut query, mut threshold, mut selection) =
        (None, String::new(), false, false);
    if let Some(it) = &request.hybrid {
        (operator, query) = (Some(Operator::Hybrid), it.query.clone());
        let text = it.near_text.clone().unwrap_or_default();
        let vector = it.near_vector.clone().unwrap_or_default();
        let numbers = [text.certainty, text.distance, vector.certainty, vector.distance];
        threshold = it.vector_distance.is_some() || numbers.iter().any(Option::is_some);
        let choices = [&it.selection, &text.selection, &vector.selection];
        selection = choices.into_iter().any(Option::is_some);
    } else if let Some(it) = &request.bm25 {
        (operator, query) = (Some(Operator::Bm25), it.query.clone());
    } else if let Some(it) = &request.near_vector {
        operator = Some(Operator::NearVector);
        threshold = it.certainty.is_some() || it.distance.is_some();
        selection = it.selection.is_some();
    } else if let Some(it) = &request.near_object {
        operator = Some(Operator::NearObject);
        threshold = it.certainty.is_some() || it.distance.is_some();
        selection = it.selection.is_some();
    } else if let Some(it) = &request.near_text {
        (operator, query) = (Some(Operator::NearText), it.query.join(" "));
        threshold = it.certainty.is_some() || it.distance.is_some();
        selection = it.selection.is_some();
    }
    assert_eq!((list.operator, &list.query), (operator, &query));
    assert_eq!((list.threshold, list.selection), (threshold, selection));
}

/// A search as the shop sends it.
pub(super) fn shop_search() -> SearchRequest {
    SearchRequest {
        collection: "Product".into(),
        properties: Some(PropertiesRequest {
            named: vec!["sku".into(), "name".into()],
            all: false,
        }),
        metadata: Some(MetadataRequest { uuid: true, score: false }),
        limit: 30,
        bm25: Some(Bm25 { query: "oat milk".into() }),
        uses_127_api: true,
        ..SearchRequest::default()
    }
}

fn ask(request: &SearchRequest) -> GrpcAsk {
    super::super::request(&request.encode_to_vec()).unwrap()
}

#[test]
fn a_search_of_the_shop_says_what_and_how_many() {
    let read = ask(&shop_search());
    assert_eq!(read.list.collection, "Product");
    assert_eq!(read.list.operator, Some(Operator::Bm25));
    assert_eq!(read.list.query, "oat milk");
    assert_eq!((read.list.limit, read.list.offset), (Some(30), 0));
    assert_eq!((read.list.tenant.as_deref(), read.list.key.as_str()), (None, ""));
    assert_eq!(read.properties.as_deref(), Some(&["sku".to_owned(), "name".to_owned()][..]));
    assert!(!read.score && !read.list.threshold && !read.list.unclear);
}

#[test]
fn each_field_that_decides_is_seen_and_sets_nothing_else() {
    type Case = (fn(&mut SearchRequest), fn(&mut ListAsk));
    let cases: [Case; 12] = [
        (|r| r.tenant = "t1".into(), |a| a.tenant = Some("t1".into())),
        (|r| r.group_by = Some(Anything {}), |a| a.group_by = true),
        (|r| r.limit = 0, |a| a.limit = None),
        (|r| r.offset = 300, |a| a.offset = 300),
        (|r| r.autocut = 1, |a| a.autocut = true),
        (|r| r.after = "0000".into(), |a| a.after = true),
        (|r| r.sort_by = vec![Anything {}], |a| a.sort = true),
        (|r| r.filters = Some(Anything {}), |_| {}),
        (|r| r.generative = Some(Anything {}), |a| a.generative = true),
        (|r| r.rerank = Some(Anything {}), |a| a.rerank = true),
        (|r| r.boost = Some(Anything {}), |a| a.boost = true),
        (|r| r.bm25 = None, |a| (a.operator, a.query) = (None, String::new())),
    ];
    for (case, (set, expect)) in cases.into_iter().enumerate() {
        let mut request = shop_search();
        set(&mut request);
        let read = ask(&request).list;
        let mut expected = ask(&shop_search()).list;
        expect(&mut expected);
        expected.fingerprint = read.fingerprint;
        assert_eq!(read, expected, "case {case}");
    }
}

#[test]
fn each_operator_says_its_words_its_bounds_and_its_choice() {
    use Operator::{Hybrid as H, NearMedia, NearObject as O, NearText as T, NearVector as V};
    let some = || Some(Anything {});
    let vector = NearVector::default;
    let thing = NearObject::default;
    let words = |words: &[&str]| NearText {
        query: words.iter().map(|word| (*word).to_owned()).collect(),
        ..NearText::default()
    };
    let bare = SearchRequest::default;
    let hybrid = |hybrid| SearchRequest { hybrid: Some(hybrid), ..bare() };
    let near_text = |near| SearchRequest { near_text: Some(near), ..bare() };
    let near_vector = |near| SearchRequest { near_vector: Some(near), ..bare() };
    let near_object = |near| SearchRequest { near_object: Some(near), ..bare() };
    let near_image = |near| SearchRequest { near_image: Some(near), ..bare() };
    let tea = || Hybrid { query: "tea".into(), ..Hybrid::default() };
    let far = NearVector { distance: Some(0.3), targets: some(), ..vector() };
    let varied = NearVector { selection: some(), ..vector() };
    let sure = NearText { certainty: Some(0.0), ..words(&[]) };
    // what is asked, then: operator, words, a bound, a choice
    let cases = [
        (hybrid(tea()), H, "tea", false, false),
        (hybrid(Hybrid { vector_distance: Some(0.0), ..tea() }), H, "tea", true, false),
        (hybrid(Hybrid { selection: some(), ..tea() }), H, "tea", false, true),
        (hybrid(Hybrid { near_text: Some(sure.clone()), ..tea() }), H, "tea", true, false),
        (hybrid(Hybrid { near_vector: Some(varied.clone()), ..tea() }), H, "tea", false, true),
        (near_text(words(&["oat", "tea"])), T, "oat tea", false, false),
        (near_text(sure), T, "", true, false),
        (near_text(NearText { selection: some(), ..words(&["a"]) }), T, "a", false, true),
        (near_vector(NearVector { targets: some(), ..vector() }), V, "", false, false),
        (near_vector(far), V, "", true, false),
        (near_vector(varied), V, "", false, true),
        (near_object(thing()), O, "", false, false),
        (near_object(NearObject { selection: some(), ..thing() }), O, "", false, true),
        (near_image(NearObject { distance: Some(0.1), ..thing() }), NearMedia, "", true, false),
        (near_image(NearObject { selection: some(), ..thing() }), NearMedia, "", false, true),
    ];
    for (case, (request, operator, query, threshold, selection)) in cases.into_iter().enumerate() {
        let read = ask(&request).list;
        let expected = ListAsk {
            operator: Some(operator),
            query: query.into(),
            threshold,
            selection,
            fingerprint: read.fingerprint,
            ..ListAsk::default()
        };
        assert_eq!(read, expected, "case {case}");
    }
}

#[test]
fn all_properties_come_where_none_are_named_or_all_are_wished() {
    let mut request = shop_search();
    request.metadata = Some(MetadataRequest { uuid: true, score: true });
    request.properties = None;
    assert_eq!((ask(&request).properties, ask(&request).score), (None, true));
    request.properties = Some(PropertiesRequest { named: vec!["sku".into()], all: true });
    assert_eq!(ask(&request).properties, None);
    request.properties = Some(PropertiesRequest::default());
    assert_eq!(ask(&request).properties, Some(Vec::new()));
}

#[test]
fn pieces_are_one_and_the_last_scalar_counts() {
    let mut message = shop_search().encode_to_vec();
    put_number(&mut message, 30, 7);
    put_number(&mut message, 31, u64::from(u32::MAX) + 6);
    put_bytes(&mut message, 42, &Bm25 { query: "tea".into() }.encode_to_vec());
    let more = PropertiesRequest { named: vec!["brand".into()], all: false };
    put_bytes(&mut message, 20, &more.encode_to_vec());
    let read = request(&message).unwrap();
    assert_eq!((read.list.limit, read.list.offset), (Some(7), 5));
    assert_eq!(read.list.query, "tea");
    assert_eq!(read.properties.unwrap(), ["sku", "name", "brand"]);
}

#[test]
fn two_operators_are_unclear_in_either_order() {
    let hybrid = Hybrid { query: "tea".into(), ..Hybrid::default() }.encode_to_vec();
    let bm25 = Bm25 { query: "oat".into() }.encode_to_vec();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    put_bytes(&mut one, 41, &hybrid);
    put_bytes(&mut one, 42, &bm25);
    put_bytes(&mut other, 42, &bm25);
    put_bytes(&mut other, 41, &hybrid);
    for message in [one, other] {
        let list = request(&message).unwrap().list;
        assert_eq!((list.operator, list.query.as_str()), (Some(Operator::Hybrid), "tea"));
        assert!(list.unclear);
    }
}

#[test]
fn fields_of_another_type_and_broken_text_are_doubts() {
    let mut message = Vec::new();
    put_bytes(&mut message, 30, b"7");
    assert_eq!(request(&message), Err(Doubt::NotProtobuf));
    assert_eq!(with_window(&message, 1, 0), Err(Doubt::NotProtobuf));
    message.clear();
    put_number(&mut message, 42, 1);
    assert_eq!(request(&message), Err(Doubt::NotProtobuf));
    message.clear();
    put_bytes(&mut message, 1, b"\xff");
    assert_eq!(request(&message), Err(Doubt::InvalidUtf8));
}

#[test]
fn the_fingerprint_is_that_of_everything_but_the_page() {
    let print = |request: &SearchRequest| ask(request).list.fingerprint;
    let mut other = shop_search();
    (other.limit, other.offset) = (10, 20);
    assert_eq!(print(&other), print(&shop_search()));
    other.filters = Some(Anything {});
    assert_ne!(print(&other), print(&shop_search()));
    other.filters = None;
    other.uses_127_api = false;
    assert_ne!(print(&other), print(&shop_search()));
}

#[test]
fn a_window_stands_where_the_page_stood() {
    let mut request = shop_search();
    request.offset = 60;
    let message = request.encode_to_vec();
    request.limit = 100;
    request.offset = 0;
    assert_eq!(with_window(&message, 100, 0).unwrap(), request.encode_to_vec());
    request.offset = 300;
    assert_eq!(with_window(&message, 100, 300).unwrap(), request.encode_to_vec());
    let bare = SearchRequest::default().encode_to_vec();
    assert_eq!(with_window(&bare, 9, 4).unwrap(), b"\xf0\x01\x09\xf8\x01\x04");
}

proptest! {
    #[test]
    fn a_window_changes_nothing_but_the_page(
        pieces in prop::collection::vec((0..6_u32, any::<u64>(), prop::collection::vec(any::<u8>(), 0..9)), 0..12),
        limit: u32,
        offset: u32,
    ) {
        let mut message = Vec::new();
        for (kind, value, bytes) in &pieces {
            match kind {
                0 => put_number(&mut message, 30, *value),
                1 => put_number(&mut message, 31, *value),
                2 => put_number(&mut message, 32, *value),
                3 => put_number(&mut message, 500, *value),
                _ => put_bytes(&mut message, 40 + kind, bytes),
            }
        }
        let others = |message: &[u8]| -> Vec<Vec<u8>> {
            let records = Records::new(message).map(Result::unwrap);
            let others = records.filter(|record| !matches!(record.number, 30 | 31));
            others.map(|record| record.raw.to_vec()).collect()
        };
        let widened = with_window(&message, limit, offset).unwrap();
        prop_assert_eq!(others(&widened), others(&message));
        for (number, value) in [(30, limit), (31, offset)] {
            let page = |message: &[u8]| -> Vec<u64> {
                let records = Records::new(message).map(Result::unwrap);
                let page = records.filter(|record| record.number == number);
                page.map(|record| record.varint().unwrap()).collect()
            };
            let times = page(&message).len().max(1);
            let expected = if value == 0 { Vec::new() } else { vec![u64::from(value); times] };
            prop_assert_eq!(page(&widened), expected);
        }
    }

    #[test]
    fn what_is_read_of_any_bytes_is_what_prost_reads(
        message in prop::collection::vec(
            prop_oneof![Just(0x0a_u8), Just(0xd2), Just(0x02), Just(0xf0), Just(0x01), any::<u8>()],
            0..48,
        )
    ) {
        if let (Ok(read), Ok(expected)) = (request(&message), SearchRequest::decode(&*message)) {
            agrees(&read, &expected);
        }
        let _ = with_window(&message, 1, 1);
    }
}
