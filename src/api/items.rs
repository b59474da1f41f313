//! A body taken apart into events.
//!
//! In: bytes and the headers they came with. Out: one JSON object, or many: the elements of an array,
//! or one a line (NDJSON). Which it is, is told by the content type where that names NDJSON, else by
//! looking: pages and `navigator.sendBeacon` send JSON as `text/plain` or with no type at all. A
//! line that is no JSON is refused by itself; a broken array is broken as a whole.

use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::ApiError;
use super::refusal::Refusal;

/// The events of a body.
#[derive(Debug)]
pub(super) enum Items<'a> {
    /// One object.
    One(&'a RawValue),
    /// An array, or one a line.
    Many(Vec<Result<&'a RawValue, Refusal>>),
}

impl<'a> Items<'a> {
    /// The events in order.
    pub(super) fn each(self) -> impl Iterator<Item = Result<&'a RawValue, Refusal>> {
        match self {
            Self::One(raw) => vec![Ok(raw)].into_iter(),
            Self::Many(all) => all.into_iter(),
        }
    }
}

const EXPECTED: &str = "expected one JSON object, an array of them, or one a line (NDJSON)";

/// Takes a body apart.
///
/// # Errors
/// 400 for what is no JSON, 413 for more than `items_max` events.
pub(super) fn items<'a>(
    body: &'a [u8],
    headers: &HeaderMap,
    items_max: usize,
) -> Result<Items<'a>, ApiError> {
    let malformed = |why: String| ApiError::bad_request("malformed_event", why);
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("the body is not UTF-8: {error}; {EXPECTED}")))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    match text.as_bytes().first() {
        None => Err(malformed(format!("the body is empty; {EXPECTED}"))),
        Some(_) if names_lines(headers) => lines(text, items_max).map(Items::Many),
        Some(b'[') => {
            let all = array(text, items_max)?;
            Ok(Items::Many(all.into_iter().map(Ok).collect()))
        }
        Some(_) => match serde_json::from_str::<&RawValue>(text) {
            Ok(one) => Ok(Items::One(one)),
            // Several values, one a line, or simply broken.
            Err(_) if text.lines().nth(1).is_some() && begins_with_a_value(text) => {
                lines(text, items_max).map(Items::Many)
            }
            Err(error) => Err(malformed(format!("the body: {error}; {EXPECTED}"))),
        },
    }
}

/// The elements of an array.
///
/// # Errors
/// 400 for what is no array, 413 for more than `items_max` elements.
pub(super) fn array(text: &str, items_max: usize) -> Result<Vec<&RawValue>, ApiError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let all = UpTo(items_max).deserialize(&mut reader);
    let all = all.and_then(|all| reader.end().map(|()| all));
    let all = all.map_err(|error| {
        ApiError::bad_request("malformed_event", format!("the body: {error}; {EXPECTED}"))
    })?;
    all.ok_or_else(|| too_many(items_max))
}

fn names_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or("").trim();
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(kind))
}

/// Is the first line a whole value?
fn begins_with_a_value(text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    serde_json::from_str::<IgnoredAny>(first).is_ok()
}

/// The lines that are not blank.
fn lines(text: &str, items_max: usize) -> Result<Vec<Result<&RawValue, Refusal>>, ApiError> {
    let mut all = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if all.len() == items_max {
            return Err(too_many(items_max));
        }
        let raw = serde_json::from_str(line);
        all.push(raw.map_err(|error| Refusal::malformed(format!("the line: {error}"))));
    }
    Ok(all)
}

pub(super) fn too_many(items_max: usize) -> ApiError {
    ApiError {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "too_many_events",
        message: format!(
            "the body: found more than {items_max} events, expected at most {items_max} \
             (limits.track_items_max, with debug=1 limits.track_debug_items_max); send them in \
             several requests"
        ),
    }
}

/// Reads an array of at most so many values; `None` where there are more.
struct UpTo(usize);

impl<'de> DeserializeSeed<'de> for UpTo {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for UpTo {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while all.len() < self.0 {
            match from.next_element()? {
                Some(raw) => all.push(raw),
                None => return Ok(Some(all)),
            }
        }
        let mut more = false;
        while from.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok((!more).then_some(all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str, kind: &'static str) -> Result<(usize, usize), (u16, &'static str)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        match items(body.as_bytes(), &headers, 3) {
            Ok(Items::One(_)) => Ok((1, 0)),
            Ok(Items::Many(all)) => Ok((all.len(), all.iter().filter(|one| one.is_err()).count())),
            Err(error) => Err((error.status.as_u16(), error.code)),
        }
    }

    #[test]
    fn one_object_an_array_and_lines_are_told_apart_by_looking() {
        for (body, found) in [
            ("{\"a\":1}", (1, 0)),
            ("\u{feff} {\n\"a\":\n1}\n", (1, 0)),
            ("[{}, {}]", (2, 0)),
            ("[]", (0, 0)),
            ("{}\n\n{\"b\":2}\r\n{}", (3, 0)),
            ("{}\n{broken\n{}", (3, 1)),
        ] {
            for kind in ["application/json", "text/plain;charset=UTF-8"] {
                assert_eq!(read(body, kind), Ok(found), "{body:?}");
            }
        }
    }

    #[test]
    fn the_content_type_tells_lines_from_a_broken_object() {
        assert_eq!(read("{broken", "application/x-ndjson; charset=utf-8"), Ok((1, 1)));
        assert_eq!(read("{broken", "application/json"), Err((400, "malformed_event")));
        assert_eq!(read("{broken\n{}", "application/json"), Err((400, "malformed_event")));
        for kind in ["application/json", "application/x-ndjson", "text/plain"] {
            assert_eq!(read(" \n ", kind), Err((400, "malformed_event")), "{kind}");
        }
        assert_eq!(read("[{}", "application/json"), Err((400, "malformed_event")));
        assert_eq!(read("[{}] {}", "application/json"), Err((400, "malformed_event")));
    }

    proptest! {
        #[test]
        fn whatever_a_body_holds_it_is_taken_apart_or_refused(
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "[\\[\\]{}:,\"a-z0-9\\\\ \n-]{0,80}".prop_map(String::into_bytes),
            ],
            lines in any::<bool>(),
        ) {
            let mut headers = HeaderMap::new();
            let kind = if lines { "application/x-ndjson" } else { "text/plain" };
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            if let Ok(found) = items(&body, &headers, 3) {
                prop_assert!(found.each().count() <= 3);
            }
        }
    }

    #[test]
    fn one_event_too_many_is_one_too_many_in_each_form() {
        assert_eq!(read("[1,2,3]", "application/json"), Ok((3, 0)));
        assert_eq!(read("[1,2,3,4]", "application/json"), Err((413, "too_many_events")));
        assert_eq!(read("1\n2\n3\n4", "application/json"), Err((413, "too_many_events")));
    }
}
