//! The splice against its inverse: moved there and back, the bytes are the same.

use leafrank::wire::{DecodeLimits, HitMap, Pointer, decode, splice};

use crate::fuzz_time;
use crate::shapes::Choices;

/// A body with one list of `count` hits of any shape, and something around it.
fn body(choices: &mut Choices<'_>, count: usize) -> String {
    let mut text = String::from("{\"before\":");
    choices.value(2, &mut text);
    text.push_str(",\"hits\":[");
    for n in 0..count {
        text.push_str(if n == 0 { " " } else { " ,\n " });
        text.push_str(&format!("{{\"id\":{n},\"x\":"));
        choices.value(3, &mut text);
        text.push('}');
    }
    text.push_str("],\"after\":");
    choices.value(2, &mut text);
    text.push('}');
    text
}

#[test]
fn a_splice_and_its_inverse_give_the_same_bytes() {
    let at = |text| Pointer::parse(text).unwrap();
    let map = HitMap { at: at("/hits"), id: at("/id"), ..HitMap::default() };
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        let limits = DecodeLimits::default();
        let (keys, rest) = bytes.split_at(bytes.len().min(8));
        let body = body(&mut Choices::new(rest), keys.len());
        let Ok(reply) = decode(body.as_bytes(), &map, &[], &limits) else { return };
        let list = &reply.lists[0];
        let mut order: Vec<u32> = (0..list.hits.len() as u32).collect();
        order.sort_by_key(|position| keys[*position as usize]);

        let moved = splice(body.as_bytes(), &[(list, &order)]).unwrap();
        assert_eq!(moved.len(), body.len());
        let after = decode(&moved, &map, &[], &limits).unwrap();
        let ids: Vec<u32> = after.lists[0].hits.iter().map(|hit| hit.id.parse().unwrap()).collect();
        assert_eq!(ids, order);
        assert_eq!(moved[..list.span.start as usize], body.as_bytes()[..list.span.start as usize]);
        assert_eq!(moved[list.span.end as usize..], body.as_bytes()[list.span.end as usize..]);

        let mut back = vec![0; order.len()];
        for (position, from) in order.iter().enumerate() {
            back[*from as usize] = position as u32;
        }
        assert_eq!(splice(&moved, &[(&after.lists[0], &back)]).unwrap(), body.as_bytes());

        if let Some(first) = order.first_mut() {
            *first += u32::from(keys[0]) + 1;
            let distinct: std::collections::HashSet<_> = order.iter().collect();
            let fits =
                distinct.len() == order.len() && order.iter().all(|p| (*p as usize) < order.len());
            assert_eq!(splice(body.as_bytes(), &[(list, &order)]).is_ok(), fits);
        }
    });
}
