//! Splicing: hits move, every other byte stays.

use super::*;
use crate::wire::{DecodeLimits, Edit, HitMap, Pointer, Reply, decode};
use proptest::prelude::*;
use serde_json::Value;

fn map(at: &str) -> HitMap {
    let pointer = |text| Pointer::parse(text).unwrap();
    HitMap { at: pointer(at), id: pointer("/id"), ..HitMap::default() }
}

fn read(body: &str) -> Reply<'_> {
    decode(body.as_bytes(), &map("/data/*"), &[], &DecodeLimits::default()).unwrap()
}

const BODY: &str = "{\"data\":{\"x\":[ {\"id\":1} ,\n\t{\"id\":2,\"n\":[{}]}\n,{\"id\":3}]}}";

fn spliced(order: &[u32]) -> Result<String, Doubt> {
    let reply = read(BODY);
    splice(BODY.as_bytes(), &[(&reply.lists[0], order)]).map(|out| String::from_utf8(out).unwrap())
}

#[test]
fn separators_stay_where_they_are_while_hits_move() {
    assert_eq!(
        spliced(&[2, 0, 1]).unwrap(),
        "{\"data\":{\"x\":[ {\"id\":3} ,\n\t{\"id\":1}\n,{\"id\":2,\"n\":[{}]}]}}"
    );
    assert_eq!(spliced(&[0, 1, 2]).unwrap(), BODY);
}

#[test]
fn what_is_no_permutation_is_refused() {
    for order in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, 2, 2], &[], &[0, 1, u32::MAX]] {
        assert_eq!(spliced(order), Err(Doubt::NotAPermutation), "{order:?}");
    }
}

#[test]
fn a_list_of_another_body_or_the_same_list_twice_is_refused() {
    let reply = read(BODY);
    let list = &reply.lists[0];
    let order = [2, 1, 0];
    assert_eq!(splice(b"{\"data\":{}}", &[(list, &order)]), Err(Doubt::Misplaced));
    assert_eq!(splice(BODY.as_bytes(), &[(list, &order), (list, &order)]), Err(Doubt::Misplaced));
}

#[test]
fn removed_hits_take_the_separator_before_them_along() {
    let reply = read(BODY);
    let kept = |order: &[u32], keep| {
        let out = splice_without(BODY.as_bytes(), &reply.lists[0], order, keep).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(kept(&[2, 0, 1], 2), "{\"data\":{\"x\":[ {\"id\":3} ,\n\t{\"id\":1}]}}");
    assert_eq!(kept(&[2, 0, 1], 0), "{\"data\":{\"x\":[ ]}}");
    assert_eq!(kept(&[0, 1, 2], 3), BODY);
    let too_many = splice_without(BODY.as_bytes(), &reply.lists[0], &[0, 1, 2], 4);
    assert_eq!(too_many, Err(Doubt::NotAPermutation));
}

#[test]
fn edits_that_overlap_or_reach_over_a_hit_are_refused() {
    let reply = read(BODY);
    let moves = [Move { list: &reply.lists[0], order: &[1, 0, 2], keep: 3 }];
    let edit = |span: Range<u32>| Edit { span, with: b"1".to_vec() };
    let first = reply.lists[0].hits[0].span.clone();
    let over = edit(first.start + 1..first.end + 1);
    assert_eq!(rewrite(BODY.as_bytes(), &moves, &[over]), Err(Doubt::Misplaced));
    let twice = [edit(3..3), edit(3..3)];
    assert_eq!(rewrite(BODY.as_bytes(), &[], &twice), Err(Doubt::Misplaced));
    let across = [edit(3..6), edit(5..7)];
    assert_eq!(rewrite(BODY.as_bytes(), &[], &across), Err(Doubt::Misplaced));
    let outside = edit(BODY.len() as u32 + 1..BODY.len() as u32 + 2);
    assert_eq!(
        rewrite(BODY.as_bytes(), &[], &[outside]).map(|out| out.len()),
        Err(Doubt::Misplaced)
    );
}

#[test]
fn an_edit_at_either_end_of_the_body_is_applied() {
    let edits = [
        Edit { span: 0..0, with: b"<".to_vec() },
        Edit { span: 4..4, with: b">".to_vec() },
        Edit { span: 1..3, with: b"".to_vec() },
    ];
    assert_eq!(rewrite(b"abcd", &[], &edits).unwrap(), b"<ad>");
}

fn blank() -> impl Strategy<Value = String> {
    "[ \n\r\t]{0,12}"
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,8}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// A hit's text, laid out in one of two ways.
fn hit() -> impl Strategy<Value = String> {
    (".{1,12}", value(), any::<bool>(), blank()).prop_map(|(id, more, pretty, blank)| {
        let hit = serde_json::json!({"more": more, "id": format!("x{id}")});
        let text = if pretty { serde_json::to_string_pretty(&hit) } else { Ok(hit.to_string()) };
        format!("{{{blank}{}", &text.unwrap()[1..])
    })
}

/// Some lists of hits with blanks around everything, and an order for each.
fn lists() -> impl Strategy<Value = (String, Vec<Vec<u32>>)> {
    let hits = prop::collection::vec((blank(), hit(), blank()), 1..8);
    let list = hits.prop_flat_map(|hits| {
        let order: Vec<u32> = (0..hits.len() as u32).collect();
        (Just(hits), Just(order).prop_shuffle())
    });
    prop::collection::vec((blank(), list, value()), 1..4).prop_map(|lists| {
        let mut members = Vec::new();
        let mut orders = Vec::new();
        for (n, (blank, (hits, order), between)) in lists.into_iter().enumerate() {
            let hits: Vec<_> = hits.into_iter().map(|(a, hit, b)| format!("{a}{hit}{b}")).collect();
            members.push(format!("{blank}\"l{n}\":{blank}[{}]{blank}", hits.join(",")));
            let other = if between.is_array() { Value::Null } else { between };
            members.push(format!("\"o{n}\":{other}"));
            orders.push(order);
        }
        (format!("{{\"data\":{{{}}}}}", members.join(",")), orders)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_splice_exchanges_spans_and_nothing_else((body, orders) in lists()) {
        let reply = read(&body);
        prop_assert_eq!(reply.lists.len(), orders.len());
        let moves: Vec<_> =
            reply.lists.iter().zip(&orders).map(|(list, order)| (list, order.as_slice())).collect();
        let out = splice(body.as_bytes(), &moves).unwrap();
        prop_assert_eq!(out.len(), body.len());
        let out = String::from_utf8(out).unwrap();
        let after = read(&out);
        let (mut old, mut new) = (0, 0);
        for ((before, after), order) in reply.lists.iter().zip(&after.lists).zip(&orders) {
            prop_assert_eq!(&before.span, &after.span);
            for (position, (was, is)) in before.hits.iter().zip(&after.hits).enumerate() {
                prop_assert_eq!(is.raw, before.hits[order[position] as usize].raw);
                let gap = |text: &str, from: usize, to: u32| text[from..to as usize].to_owned();
                prop_assert_eq!(gap(&body, old, was.span.start), gap(&out, new, is.span.start));
                (old, new) = (was.span.end as usize, is.span.end as usize);
            }
        }
        prop_assert_eq!(&body[old..], &out[new..]);
    }

    #[test]
    fn the_order_that_is_gives_the_bytes_that_were((body, _) in lists()) {
        let reply = read(&body);
        let orders: Vec<Vec<u32>> =
            reply.lists.iter().map(|list| (0..list.hits.len() as u32).collect()).collect();
        let moves: Vec<_> =
            reply.lists.iter().zip(&orders).map(|(list, order)| (list, order.as_slice())).collect();
        prop_assert_eq!(splice(body.as_bytes(), &moves).unwrap(), body.as_bytes());
    }

    #[test]
    fn what_is_left_after_removal_is_json_with_the_kept_hits(
        (body, orders) in lists(),
        keep in 0_usize..8,
    ) {
        let reply = read(&body);
        let (list, order) = (&reply.lists[0], &orders[0]);
        let keep = keep.min(order.len());
        let out = splice_without(body.as_bytes(), list, order, keep).unwrap();
        let out: Value = serde_json::from_slice(&out).unwrap();
        let left = out["data"]["l0"].as_array().unwrap();
        let kept = order.iter().take(keep).map(|from| list.hits[*from as usize].raw);
        let kept: Vec<Value> = kept.map(|raw| serde_json::from_str(raw).unwrap()).collect();
        prop_assert_eq!(left, &kept);
    }
}
