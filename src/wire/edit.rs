//! Adding members to objects of a body, for the one mode that adds anything.
//!
//! In: an object and a member. Out: an [`Edit`], a span of the body and the bytes that replace it,
//! which `rewrite` applies together with the new order. Nothing else of the object is touched. A
//! member that is there already is never written twice.

use std::ops::Range;

use super::doubt::Doubt;
use super::hit::HitView;
use super::json::{Json, Kind};
use super::pointer::Pointer;
use super::splice::{Move, rewrite};

/// A span of the body and what replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Bytes of the body; empty = an insertion.
    pub span: Range<u32>,
    /// What stands there afterwards.
    pub with: Vec<u8>,
}

/// A member to add to an object.
#[derive(Clone, Copy, Debug)]
pub struct Member<'m> {
    /// Its key, as plain text.
    pub key: &'m str,
    /// Its value, as JSON text.
    pub value: &'m str,
}

/// Appends members to an object as its last ones, but for those whose key is there already, whatever
/// its value; nothing when `object` is none.
///
/// # Errors
/// When a member's value is not JSON.
pub fn append_members(object: Json<'_>, more: &[Member<'_>]) -> Result<Option<Edit>, Doubt> {
    if object.kind() != Kind::Object {
        return Ok(None);
    }
    let members = object.members();
    let (at, mut comma) = match members.last() {
        Some((_, last)) => (last.span().end, ","),
        None => (object.span().start + 1, ""),
    };
    let mut text = String::new();
    for member in more.iter().filter(|member| !members.iter().any(|(key, _)| key == member.key)) {
        let key = serde_json::to_string(member.key).map_err(|_| Doubt::NotJson)?;
        let value = Json::parse(member.value.as_bytes())?.raw();
        text.extend([comma, &key, ":", value]);
        comma = ",";
    }
    if text.is_empty() {
        return Ok(None);
    }
    edit(at..at, text).map(Some)
}

/// Replaces a member's value, or appends the member; nothing when `object` is no object.
///
/// # Errors
/// When the member's value is not JSON, or [`Doubt::DuplicateKey`] when the key is there twice.
pub fn set_member(object: Json<'_>, member: Member<'_>) -> Result<Option<Edit>, Doubt> {
    let members = object.members();
    let mut same = members.iter().filter(|(key, _)| key == member.key);
    match (same.next(), same.next()) {
        (None, _) => append_members(object, &[member]),
        (Some((_, old)), None) => {
            let value = Json::parse(member.value.as_bytes())?.raw();
            edit(old.span(), value.to_owned()).map(Some)
        }
        (Some(_), Some(_)) => Err(Doubt::DuplicateKey),
    }
}

/// Takes a member out of an object, with the comma beside it; nothing when it is not there, or when
/// `object` is none.
///
/// # Errors
/// [`Doubt::DuplicateKey`] when the key is there twice.
pub fn remove_member(object: Json<'_>, key: &str) -> Result<Option<Edit>, Doubt> {
    let members = object.members();
    let mut same = members.iter().enumerate().filter(|(_, (name, _))| name == key);
    let Some((position, (_, value))) = same.next() else { return Ok(None) };
    if same.next().is_some() {
        return Err(Doubt::DuplicateKey);
    }
    let before = position.checked_sub(1).and_then(|before| members.get(before));
    let start = before.map_or(object.span().start + 1, |(_, value)| value.span().end);
    let behind = value.span().end - object.span().start;
    let comma = match (before, members.len()) {
        // the first of several takes the comma behind it
        (None, 2..) => object.raw().get(behind..).and_then(|rest| rest.find(',')).map(|at| at + 1),
        _ => Some(0),
    };
    edit(start..value.span().end + comma.ok_or(Doubt::NotJson)?, String::new()).map(Some)
}

/// Moves lists, appends members to hits that lack them, and sets members of objects elsewhere.
///
/// A member that is there already, and a pointer that leads to no object, are left as they are.
///
/// # Errors
/// As [`rewrite`], [`append_members`] and [`set_member`].
pub fn annotate(
    body: &[u8],
    moves: &[Move<'_, '_>],
    hits: &[(&HitView<'_>, Vec<Member<'_>>)],
    objects: &[(&Pointer, Member<'_>)],
) -> Result<Vec<u8>, Doubt> {
    let mut edits = Vec::with_capacity(hits.len() + objects.len());
    for (hit, members) in hits {
        edits.extend(append_members(hit.json(), members)?);
    }
    let whole = if objects.is_empty() { None } else { Some(Json::parse(body)?) };
    for (pointer, member) in objects {
        if let Some(object) = whole.map(|whole| whole.get(pointer)).transpose()?.flatten() {
            edits.extend(set_member(object, *member)?);
        }
    }
    rewrite(body, moves, &edits)
}

fn edit(span: Range<usize>, with: String) -> Result<Edit, Doubt> {
    match (u32::try_from(span.start), u32::try_from(span.end)) {
        (Ok(start), Ok(end)) => Ok(Edit { span: start..end, with: with.into_bytes() }),
        _ => Err(Doubt::TooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{DecodeLimits, HitMap, decode};
    use serde_json::{Value, json};

    fn map() -> HitMap {
        let at = Pointer::parse("/products").unwrap();
        HitMap { at, id: Pointer::parse("/sku").unwrap(), ..HitMap::default() }
    }

    #[test]
    fn a_member_that_is_taken_out_leaves_an_object_without_it() {
        for (body, key, left) in [
            (r#"{"a":1,"b":[2,3],"c":"x,y"}"#, "a", r#"{"b":[2,3],"c":"x,y"}"#),
            (r#"{"a":1,"b":[2,3],"c":"x,y"}"#, "b", r#"{"a":1,"c":"x,y"}"#),
            (r#"{"a":1,"b":[2,3],"c":"x,y"}"#, "c", r#"{"a":1,"b":[2,3]}"#),
            (r#"{ "a" : 1 , "b" : 2 }"#, "a", r#"{ "b" : 2 }"#),
            (r#"{"a":{"a":1}}"#, "a", "{}"),
        ] {
            let edit = remove_member(Json::parse(body.as_bytes()).unwrap(), key).unwrap().unwrap();
            let out = rewrite(body.as_bytes(), &[], &[edit]).unwrap();
            assert_eq!(std::str::from_utf8(&out), Ok(left), "{body} without {key}");
        }
        let none = Json::parse(br#"{"a":1}"#).unwrap();
        assert_eq!(remove_member(none, "b"), Ok(None));
        let twice = Json::parse(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(remove_member(twice, "a"), Err(Doubt::DuplicateKey));
    }

    const SCORE: Member<'_> = Member { key: "_personalization_score", value: "0.123" };

    fn annotated(body: &str, order: &[u32], metadata: Member<'_>) -> String {
        let reply = decode(body.as_bytes(), &map(), &[], &DecodeLimits::default()).unwrap();
        let list = &reply.lists[0];
        let hits: Vec<_> = list.hits.iter().map(|hit| (hit, vec![SCORE])).collect();
        let at = Pointer::parse("/metadata").unwrap();
        let moves = [Move { list, order, keep: order.len() }];
        let out = annotate(body.as_bytes(), &moves, &hits, &[(&at, metadata)]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn several_members_are_appended_together_without_those_that_are_there() {
        let quantity = Member { key: "_suggested_quantity", value: "2" };
        for (body, with) in [
            (r#"{"a":1}"#, r#"{"a":1,"_personalization_score":0.123,"_suggested_quantity":2}"#),
            ("{}", r#"{"_personalization_score":0.123,"_suggested_quantity":2}"#),
            (
                r#"{"_suggested_quantity":9 }"#,
                r#"{"_suggested_quantity":9,"_personalization_score":0.123 }"#,
            ),
        ] {
            let object = Json::parse(body.as_bytes()).unwrap();
            let edit = append_members(object, &[SCORE, quantity]).unwrap().unwrap();
            let out = rewrite(body.as_bytes(), &[], &[edit]).unwrap();
            assert_eq!(std::str::from_utf8(&out), Ok(with), "{body}");
        }
    }

    #[test]
    fn members_travel_with_their_hits_and_nothing_else_changes() {
        let body = "{\"products\": [ {\"sku\":\"a\"\n}, {\"sku\":\"b\"} ],\"metadata\":{ }}";
        let metadata = Member { key: "personalization_metrics", value: "{\"reranked\":true}" };
        assert_eq!(
            annotated(body, &[1, 0], metadata),
            "{\"products\": [ {\"sku\":\"b\",\"_personalization_score\":0.123}, \
             {\"sku\":\"a\",\"_personalization_score\":0.123\n} ],\
             \"metadata\":{\"personalization_metrics\":{\"reranked\":true} }}"
        );
    }

    #[test]
    fn a_key_that_is_there_is_kept_in_hits_and_replaced_in_objects() {
        let body = r#"{"metadata":{"search_metadata":{"m":1},"m":{},"n":2},
            "products":[{"sku":"a","_personalization_score":null},{"sku":"b"}]}"#;
        let out: Value =
            serde_json::from_str(&annotated(body, &[0, 1], Member { key: "m", value: " 7 " }))
                .unwrap();
        assert_eq!(out["metadata"], json!({"search_metadata":{"m":1},"m":7,"n":2}));
        assert_eq!(out["products"][0]["_personalization_score"], Value::Null);
        assert_eq!(out["products"][1]["_personalization_score"], 0.123);
    }

    #[test]
    fn a_missing_object_is_not_created_and_a_broken_value_is_refused() {
        let body = r#"{"products":[{"sku":"a"}],"metadata":null}"#;
        let out = annotated(body, &[0], Member { key: "m", value: "1" });
        assert_eq!(out, body.replace("\"a\"", "\"a\",\"_personalization_score\":0.123"));
        let object = Json::parse(b"{}").unwrap();
        let broken = [Member { key: "m", value: "1,2" }];
        assert_eq!(append_members(object, &broken), Err(Doubt::NotJson));
        let twice = Json::parse(br#"{"m":1,"\u006d":2}"#).unwrap();
        assert_eq!(set_member(twice, Member { key: "m", value: "1" }), Err(Doubt::DuplicateKey));
    }
}
