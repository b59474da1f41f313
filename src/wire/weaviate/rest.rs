//! Searches over REST: `POST /v1/search/{collection}/{kind}`.
//!
//! In: the path and the body, a JSON object. Out: a [`RestAsk`] for the one list of the reply, which
//! stands at [`AT`], and the body with another limit ([`with_window`]). The server passes over
//! members that it does not know; here one of them makes the list unclear, since to a later server
//! it may mean anything.

use std::borrow::Cow;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::digits::digits;
use super::{Decision, ListAsk, Operator};
use crate::wire::doubt::Doubt;
use crate::wire::json::{Json, Kind};
use crate::wire::splice::rewrite;

/// Where the list is in the reply, as a JSON Pointer.
pub const AT: &str = "/results";
/// Members of one body; the searches of today know some twenty.
const MEMBERS_MAX: usize = 64;

/// What was asked for, and where that stands in the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestAsk {
    /// What was asked; its key is empty.
    pub ask: ListAsk,
    /// The digits of the limit in the body, where it is above 0.
    pub limit_digits: Option<Range<usize>>,
    /// The digits of the offset in the body.
    pub offset_digits: Option<Range<usize>>,
}

impl RestAsk {
    /// What may be done with the list.
    pub fn decide(&self, window: Option<u32>) -> Decision {
        self.ask.decide(window)
    }
}

/// Reads what a search asks for; nothing when `path` (without query string) is no search.
///
/// # Errors
/// The reason why the body cannot be read.
pub fn search(path: &str, body: &[u8]) -> Result<Option<RestAsk>, Doubt> {
    let Some((collection, kind, operator)) = place(path) else { return Ok(None) };
    let json = Json::parse(body)?;
    if json.kind() != Kind::Object {
        return Err(Doubt::NotJson);
    }
    let members = json.members();
    if members.len() > MEMBERS_MAX {
        return Err(Doubt::TooLarge);
    }
    let mut out = RestAsk::default();
    out.ask.collection = collection.to_owned();
    out.ask.operator = Some(operator);
    let mut seen = Vec::with_capacity(body.len());
    for text in [collection, kind] {
        seen.extend_from_slice(text.as_bytes());
        seen.push(0);
    }
    for (position, (key, value)) in members.iter().enumerate() {
        // the server tells keys apart as Go does: by letters, not by their case
        let mut before = members.iter().take(position);
        if before.any(|(other, _)| other.eq_ignore_ascii_case(key)) {
            return Err(Doubt::DuplicateKey);
        }
        if !value.is_null() && member(&mut out, &key.to_ascii_lowercase(), *value) {
            for text in [key, value.raw()] {
                seen.extend_from_slice(text.as_bytes());
                seen.push(0);
            }
        }
    }
    out.ask.fingerprint = xxh3_64(&seen);
    Ok(Some(out))
}

/// The collection, the kind of search, and its operator.
fn place(path: &str) -> Option<(&str, &str, Operator)> {
    let (collection, kind) = path.strip_prefix("/v1/search/")?.split_once('/')?;
    let operator = match kind {
        "bm25" => Operator::Bm25,
        "hybrid" => Operator::Hybrid,
        "near-object" => Operator::NearObject,
        "near-text" => Operator::NearText,
        "near-vector" => Operator::NearVector,
        _ => return None,
    };
    (!collection.is_empty()).then_some((collection, kind, operator))
}

/// Reads one member; answers whether it is the same for all pages.
fn member(out: &mut RestAsk, key: &str, value: Json<'_>) -> bool {
    match key {
        "limit" => match whole(value) {
            Some(..=0) => {}
            Some(limit) => {
                out.ask.limit = u32::try_from(limit).ok();
                out.ask.unclear |= out.ask.limit.is_none();
                out.limit_digits = Some(value.span());
            }
            None => out.ask.unclear = true,
        },
        "offset" => match whole(value).and_then(|offset| u32::try_from(offset).ok()) {
            Some(offset) => {
                out.ask.offset = offset;
                out.offset_digits = Some(value.span());
            }
            None => out.ask.unclear = true,
        },
        "query" => match words(value) {
            Some(words) => out.ask.query = words,
            None => out.ask.unclear = true,
        },
        "tenant" => match value.text() {
            Ok(Some(tenant)) if value.kind() == Kind::Text => {
                out.ask.tenant = (!tenant.is_empty()).then(|| tenant.into_owned());
            }
            _ => out.ask.unclear = true,
        },
        "after" => out.ask.after = true,
        "sort" | "sortby" => out.ask.sort = true,
        "autolimit" | "autocut" => out.ask.autocut = true,
        "certainty" | "distance" | "maxvectordistance" => out.ask.threshold = true,
        "groupby" | "numberofgroups" | "objectspergroup" => out.ask.group_by = true,
        "generative" | "singleprompt" | "groupedtask" => out.ask.generative = true,
        "rerank" => out.ask.rerank = true,
        "boost" => out.ask.boost = true,
        "selection" | "diversity" => out.ask.selection = true,
        "alpha" | "consistencylevel" | "fusiontype" | "id" | "includevector" | "includevectors"
        | "queryproperties" | "returnmetadata" | "returnproperties" | "returnreferences"
        | "targetvector" | "targetvectors" | "vector" | "where" => {}
        _ => out.ask.unclear = true,
    }
    !matches!(key, "limit" | "offset")
}

/// A whole number written without point and exponent, as the server wants it.
fn whole(value: Json<'_>) -> Option<i64> {
    (value.kind() == Kind::Number).then_some(value)?.raw().parse().ok()
}

/// The words of a text, or of an array of texts, joined by blanks.
fn words(value: Json<'_>) -> Option<String> {
    let text = |value: Json<'_>| match value.kind() {
        Kind::Text => value.text().ok()?.map(Cow::into_owned),
        _ => None,
    };
    match value.kind() {
        Kind::Array => {
            let words: Option<Vec<String>> = value.elements().into_iter().map(text).collect();
            words.map(|words| words.join(" "))
        }
        _ => text(value),
    }
}

/// The body with a new limit, counted from the first hit: its offset becomes 0.
///
/// # Errors
/// [`Doubt::Misplaced`] when `asked` is not of this body or has no limit.
pub fn with_window(body: &[u8], asked: &RestAsk, limit: u32) -> Result<Vec<u8>, Doubt> {
    let mut edits = vec![digits(body, asked.limit_digits.as_ref(), limit)?];
    if asked.ask.offset > 0 {
        edits.push(digits(body, asked.offset_digits.as_ref(), 0)?);
    }
    rewrite(body, &[], &edits)
}

#[cfg(test)]
mod tests {
    use super::super::Left;
    use super::*;

    fn read(kind: &str, body: &str) -> RestAsk {
        let path = format!("/v1/search/Product/{kind}");
        search(&path, body.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn every_kind_of_search_is_told_by_its_path() {
        for (kind, operator) in [
            ("bm25", Operator::Bm25),
            ("hybrid", Operator::Hybrid),
            ("near-text", Operator::NearText),
            ("near-object", Operator::NearObject),
            ("near-vector", Operator::NearVector),
        ] {
            let ask = read(kind, "{}").ask;
            assert_eq!((ask.operator, ask.collection.as_str()), (Some(operator), "Product"));
        }
        for path in [
            "/v1/search/Product",
            "/v1/search//bm25",
            "/v1/search/Product/bm25/x",
            "/v1/search/Product/near-image",
            "/v1/aggregate/Product",
            "/v1/objects",
            "",
        ] {
            assert_eq!(search(path, b"{}"), Ok(None), "{path}");
        }
    }

    #[test]
    fn what_is_asked_is_read_from_the_members() {
        let body = r#"{"query":"caf\u00e9 oat","limit":12,"offset":24,"tenant":"north",
            "where":{"path":["a"],"operator":"Equal","valueInt":1},"returnProperties":["sku"]}"#;
        let asked = read("bm25", body);
        let expected = ListAsk {
            collection: "Product".into(),
            tenant: Some("north".into()),
            operator: Some(Operator::Bm25),
            query: "café oat".into(),
            limit: Some(12),
            offset: 24,
            fingerprint: asked.ask.fingerprint,
            ..ListAsk::default()
        };
        assert_eq!(asked.ask, expected);
        assert_eq!(&body[asked.limit_digits.unwrap()], "12");
        assert_eq!(&body[asked.offset_digits.unwrap()], "24");
        assert_eq!(read("near-text", r#"{"query":["leafy","greens"]}"#).ask.query, "leafy greens");
    }

    #[test]
    fn members_that_decide_are_read_whatever_their_case() {
        let left = |body: &str| match read("hybrid", body).decide(Some(50)) {
            Decision::Leave(left) => Some(left.name()),
            Decision::Permute => None,
            widened @ Decision::Widen { .. } => panic!("{body}: {widened:?}"),
        };
        for (member, expected) in [
            (r#""after":"a""#, Some("cursor")),
            (r#""sort":[]"#, Some("sorted")),
            (r#""groupBy":{}"#, Some("grouped")),
            (r#""singlePrompt":"a""#, Some("generative")),
            (r#""groupedTask":"a""#, Some("generative")),
            (r#""RERANK":{"property":"name"}"#, Some("reranker")),
            (r#""boost":{}"#, Some("boosted")),
            (r#""selection":{}"#, Some("selected")),
            (r#""new":1"#, Some("unclear")),
            (r#""Limit":"5""#, Some("unclear")),
            (r#""limit":1e1"#, Some("unclear")),
            (r#""limit":5000000000"#, Some("unclear")),
            (r#""limit":5,"offset":-1"#, Some("unclear")),
            (r#""limit":5,"tenant":7"#, Some("unclear")),
            (r#""limit":40,"offset":20"#, Some("past_window")),
            (r#""limit":5,"autoLimit":1"#, None),
            (r#""limit":5,"distance":0.5"#, None),
            (r#""limit":5,"certainty":0.5"#, None),
            (r#""limit":5,"maxVectorDistance":0.5"#, None),
            (r#""limit":0"#, None),
            (r#""limit":null"#, None),
        ] {
            assert_eq!(left(&format!("{{\"query\":\"a\",{member}}}")), expected, "{member}");
        }
        assert_eq!(
            read("bm25", r#"{"query":{}}"#).decide(None),
            Decision::Leave(Left::Unclear),
            "a query that is no text"
        );
        let twice = search("/v1/search/A/bm25", br#"{"limit":5,"Limit":6}"#);
        assert_eq!(twice, Err(Doubt::DuplicateKey));
        assert_eq!(search("/v1/search/A/bm25", b"[]"), Err(Doubt::NotJson));
        assert_eq!(search("/v1/search/A/bm25", b"{"), Err(Doubt::NotJson));
    }

    #[test]
    fn pages_of_one_search_have_one_fingerprint() {
        let of = |kind: &str, body: &str| read(kind, body).ask.fingerprint;
        let first = of("bm25", r#"{"query":"kale","limit":10}"#);
        assert_eq!(first, of("bm25", r#"{"limit":20, "query": "kale","offset":10}"#));
        assert_ne!(first, of("hybrid", r#"{"query":"kale","limit":10}"#));
        assert_ne!(first, of("bm25", r#"{"query":"Kale","limit":10}"#));
        assert_ne!(first, of("bm25", r#"{"query":"kale","tenant":"a","limit":10}"#));
    }

    #[test]
    fn a_wider_request_differs_in_its_numbers_only() {
        let body = br#"{"query":"\"limit\":5", "offset" : 20,"limit": 10 }"#;
        let asked = search("/v1/search/Product/bm25", body).unwrap().unwrap();
        let wide = with_window(body, &asked, 100).unwrap();
        assert_eq!(wide, br#"{"query":"\"limit\":5", "offset" : 0,"limit": 100 }"#);
        let again = search("/v1/search/Product/bm25", &wide).unwrap().unwrap();
        assert_eq!((again.ask.limit, again.ask.offset), (Some(100), 0));
        assert_eq!(again.ask.fingerprint, asked.ask.fingerprint);
        assert_eq!(with_window(b"{}", &asked, 100), Err(Doubt::Misplaced));
        assert_eq!(with_window(body, &RestAsk::default(), 100), Err(Doubt::Misplaced));
    }
}
