//! Laws over replies of any shape: read as prost reads them, spliced to a permutation.

use proptest::prelude::*;
use prost::Message;

use super::super::*;
use super::judge::{
    Kind, ListKind, ListValue, MetadataResult, Packed, Properties, SearchReply, ShallowReply,
    Texts, Value, facts,
};
use super::replies::{object, seen};
use crate::wire::weaviate::protobuf::{Records, put_bytes, put_number};
use crate::wire::{DecodeLimits, Doubt, HitView, KnownHits, splice};

fn value() -> impl Strategy<Value = Value> {
    let text =
        || prop_oneof!["[a-z/ \u{e9}]{0,6}", Just(" TRUE ".to_owned()), Just("7.5".to_owned())];
    let list = prop_oneof![
        prop::collection::vec(text(), 0..3).prop_map(|values| ListKind::Texts(Texts { values })),
        prop::collection::vec(text(), 0..3).prop_map(|values| ListKind::Dates(Texts { values })),
        prop::collection::vec(any::<f64>(), 0..3).prop_map(|numbers| {
            let values = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
            ListKind::Numbers(Packed { values })
        }),
        prop::collection::vec(any::<i64>(), 0..3).prop_map(|numbers| {
            let values = numbers.into_iter().flat_map(i64::to_le_bytes).collect();
            ListKind::Ints(Packed { values })
        }),
    ];
    let leaf = prop_oneof![
        text().prop_map(Kind::Text),
        text().prop_map(Kind::OldText),
        any::<f64>().prop_map(Kind::Number),
        any::<i64>().prop_map(Kind::Int),
        any::<bool>().prop_map(Kind::Bool),
        Just(Kind::Null(0)),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Kind::Geo),
        (prop::option::of(list), prop::collection::vec(text(), 0..2)).prop_map(|(kind, old)| {
            let old = old.into_iter().map(|text| Value { kind: Some(Kind::Text(text)) });
            Kind::List(ListValue { values: old.collect(), kind })
        }),
    ];
    let leaf = prop::option::weighted(0.9, leaf).prop_map(|kind| Value { kind });
    prop_oneof![4 => leaf.clone(), 1 => leaf.prop_map(|inner| object("name", inner))]
}

fn property() -> impl Strategy<Value = (String, Value)> {
    const NAMES: &[&str] = &[
        "name",
        "category",
        "brand",
        "searchTerms",
        "terms",
        "retailPrice",
        "isOrganic",
        "nome",
        "usage",
        "",
    ];
    (prop::sample::select(NAMES).prop_map(str::to_owned), value())
}

/// Pieces of messages as encoders may write them: in any order, in several pieces, with fields
/// between that nobody knows, twice.
fn unknown() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(Vec::new()),
        1 => (200..300_u32, any::<u64>()).prop_map(|(number, value)| {
            let mut out = Vec::new();
            put_number(&mut out, number, value);
            out
        }),
        1 => prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| {
            let mut out = Vec::new();
            put_bytes(&mut out, 301, &bytes);
            out
        }),
        1 => Just(b"\xfd\x3f\0\0\x80\x3f\xf9\x3f\0\0\0\0\0\0\x80\x3f".to_vec()),
    ]
}

fn properties() -> impl Strategy<Value = Vec<u8>> {
    let entries = prop::collection::vec((property(), unknown()), 0..5);
    (entries, unknown(), any::<bool>()).prop_map(|(entries, between, split)| {
        let mut result = Vec::new();
        let mut fields = Vec::new();
        for ((name, value), unknown) in entries {
            fields.extend_from_slice(&unknown);
            Properties { fields: [(name, value)].into() }.encode(&mut fields).unwrap();
            if split {
                put_bytes(&mut result, 11, &std::mem::take(&mut fields));
                result.extend_from_slice(&between);
            }
        }
        put_bytes(&mut result, 11, &fields);
        put_bytes(&mut result, 3, b"Product");
        result
    })
}

fn metadata() -> impl Strategy<Value = Vec<u8>> {
    let id = prop_oneof![3 => "[0-9a-f]{4}", 1 => Just(String::new())];
    let bytes = prop_oneof![3 => prop::collection::vec(any::<u8>(), 16), 1 => Just(Vec::new())];
    (id, bytes, any::<f32>(), any::<bool>(), unknown()).prop_map(
        |(id, id_as_bytes, score, score_present, mut out)| {
            let metadata =
                MetadataResult { id, id_as_bytes, score, score_present, ..Default::default() };
            metadata.encode(&mut out).unwrap();
            out
        },
    )
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        properties().prop_map(|part| (1, part)),
        metadata().prop_map(|part| (2, part)),
    ];
    let more = prop::collection::vec((parts, unknown()), 0..4);
    (metadata(), more).prop_map(|(metadata, more)| {
        let mut out = Vec::new();
        put_bytes(&mut out, 2, &metadata);
        for ((number, part), unknown) in more {
            put_bytes(&mut out, number, &part);
            out.extend_from_slice(&unknown);
        }
        out
    })
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((record(), unknown()), 0..6).prop_map(|records| {
        let mut out = b"\x0d\0\0\x80\x3f".to_vec();
        for (record, unknown) in records {
            put_bytes(&mut out, 2, &record);
            out.extend_from_slice(&unknown);
        }
        put_bytes(&mut out, 3, b"");
        out
    })
}

proptest! {
    #[test]
    fn a_reply_of_any_shape_is_read_as_prost_reads_it_and_moves_as_a_whole(
        message in message(),
        keys in prop::collection::vec(any::<u8>(), 6),
        page in 0..4_usize,
    ) {
        let body = framed(&message).unwrap();
        let expected = SearchReply::decode(&*message).unwrap();
        let plan = GrpcPlan::new(&super::map());
        let judged: Vec<_> = expected.results.iter().map(facts).collect();
        let read = plan.decode(&body, &DecodeLimits::default());
        let Ok(read) = read else {
            let nothing = judged.is_empty() && read == Err(Doubt::NoHits);
            let no_id = judged.iter().any(|hit| hit.id.is_empty()) && read == Err(Doubt::MissingId);
            prop_assert!(nothing || no_id, "{read:?}");
            return Ok(());
        };
        let list = &read.lists[0];
        let hits: Vec<_> = list.hits.iter().map(seen).collect();
        // NaN is not itself, but is written alike
        prop_assert_eq!(format!("{hits:?}"), format!("{judged:?}"));

        let mut order: Vec<u32> = (0..list.hits.len() as u32).collect();
        order.sort_by_key(|position| keys[*position as usize]);
        let spliced = splice(&body, &[(list, &order)]).unwrap();
        prop_assert_eq!(spliced.len(), body.len());
        let others = |body: &[u8]| -> Vec<Vec<u8>> {
            let records = Records::new(super::super::message(body).unwrap()).map(Result::unwrap);
            records.filter(|record| record.number != 2).map(|record| record.raw.to_vec()).collect()
        };
        prop_assert_eq!(others(&spliced), others(&body));
        let shallow = |body: &[u8]| ShallowReply::decode(super::super::message(body).unwrap()).unwrap();
        let (before, after) = (shallow(&body), shallow(&spliced));
        let expected: Vec<_> =
            order.iter().map(|from| before.results[*from as usize].clone()).collect();
        prop_assert_eq!(&after.results, &expected);

        let count = 2.min(order.len().saturating_sub(page));
        let one = cut(&body, list, &order, page..page + 2, &Stripped::default()).unwrap();
        prop_assert_eq!(others(&one), others(&body));
        prop_assert_eq!(&shallow(&one).results, &expected[page.min(order.len())..][..count]);
    }

    #[test]
    fn a_hit_that_is_known_says_what_it_would_say_when_read(
        messages in prop::collection::vec(message(), 1..8),
    ) {
        let plan = GrpcPlan::new(&super::map());
        let (known, limits) = (KnownHits::new(1 << 20), DecodeLimits::default());
        // each once more: there is something to know
        for message in messages.iter().flat_map(|message| [message, message]) {
            let body = framed(message).unwrap();
            let read = plan.decode(&body, &limits);
            let told = plan.decode(&body, &DecodeLimits::knowing(&known));
            let (read, told) = match (read, told) {
                (Ok(read), Ok(told)) => (read, told),
                (read, told) => {
                    prop_assert_eq!(read, told);
                    continue;
                }
            };
            let said = |hits: &[HitView<'_>]| -> Vec<_> {
                let one = |hit: &HitView<'_>| {
                    (hit.span.clone(), hit.digest(), hit.sponsored, format!("{:?}", seen(hit)))
                };
                hits.iter().map(one).collect()
            };
            prop_assert_eq!(said(&told.lists[0].hits), said(&read.lists[0].hits));
        }
    }

    #[test]
    fn stripping_takes_out_what_is_named_and_nothing_else(message in message()) {
        let body = framed(&message).unwrap();
        let mut expected = SearchReply::decode(&*message).unwrap();
        let plan = GrpcPlan::new(&super::map());
        let Ok(read) = plan.decode(&body, &DecodeLimits::default()) else { return Ok(()) };
        let list = &read.lists[0];
        let stripped = Stripped { score: true, properties: vec!["name".into(), "terms".into()] };
        let order: Vec<u32> = (0..list.hits.len() as u32).collect();
        let narrow = cut(&body, list, &order, 0..order.len(), &stripped).unwrap();
        for hit in &mut expected.results {
            if let Some(metadata) = &mut hit.metadata {
                (metadata.score, metadata.score_present) = (0.0, false);
            }
            if let Some(it) = hit.properties.as_mut().and_then(|it| it.non_ref_props.as_mut()) {
                it.fields.retain(|name, _| name != "name" && name != "terms");
            }
        }
        let after = SearchReply::decode(super::super::message(&narrow).unwrap()).unwrap();
        prop_assert_eq!(format!("{after:?}"), format!("{expected:?}"));
        let nothing = cut(&body, list, &order, 0..order.len(), &Stripped::default()).unwrap();
        prop_assert_eq!(nothing, body);
    }

    #[test]
    fn a_few_broken_bytes_never_panic_and_never_give_spans_outside(
        message in message(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut message = message;
        for (at, byte) in breaks {
            let at = at.index(message.len());
            message[at] = byte;
        }
        if end.index(3) == 0 {
            message.truncate(end.index(message.len()));
        }
        let body = framed(&message).unwrap();
        let plan = GrpcPlan::new(&super::map());
        let Ok(read) = plan.decode(&body, &DecodeLimits::default()) else { return Ok(()) };
        let list = &read.lists[0];
        let mut at = 5;
        for hit in &list.hits {
            prop_assert!(hit.span.start >= at && hit.span.end > hit.span.start);
            prop_assert_eq!(body[hit.span.start as usize], 0x12);
            at = hit.span.end;
        }
        prop_assert!(at as usize <= body.len());
        let shallow = ShallowReply::decode(&*message);
        prop_assert_eq!(shallow.map(|reply| reply.results.len()), Ok(list.hits.len()));
        if let Ok(deep) = SearchReply::decode(&*message) {
            let judged: Vec<_> = deep.results.iter().map(facts).collect();
            let hits: Vec<_> = list.hits.iter().map(seen).collect();
            prop_assert_eq!(format!("{hits:?}"), format!("{judged:?}"));
        }
        let reversed: Vec<u32> = (0..list.hits.len() as u32).rev().collect();
        prop_assert_eq!(splice(&body, &[(list, &reversed)]).map(|out| out.len()), Ok(body.len()));
        let stripped = Stripped { score: true, properties: vec!["name".into()] };
        let _ = cut(&body, list, &reversed, 0..1, &stripped);
    }
}
