//! HTTP caching of replies whose order belongs to one shopper (RFC 9111, RFC 9110 §8.8 and §13).
//!
//! A moved reply is `private` and its `ETag` is composed with what the order depends on:
//! `"abc"` becomes `"abc.lr-5f3c…"`. A later `If-None-Match` is translated back while the order
//! would still be the same, so that the shop can answer 304; a tag of another order is dropped, so
//! that the shop answers in full. Directives stricter than ours are never weakened.

use std::fmt::Display;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Between the shop's tag and ours.
const MARK: &str = ".lr-";

/// Does this header seal a body? Asked of those that are there, for eight lookups cost more.
fn seals(name: &HeaderName) -> bool {
    match name.as_str() {
        "content-digest" | "repr-digest" | "digest" | "content-md5" => true,
        "signature" | "signature-input" => true,
        // Orders to caches in front of us that would outrank `Cache-Control: private` (RFC 9213).
        "cdn-cache-control" | "surrogate-control" => true,
        _ => false,
    }
}

/// True when the reply must go out as it came.
pub(crate) fn is_sealed(headers: &HeaderMap) -> bool {
    headers.keys().any(seals) || directives(headers).any(|d| d.eq_ignore_ascii_case("no-transform"))
}

/// True when a cache in front of us may keep the reply and serve it to others.
pub(crate) fn is_shared_cacheable(method: &Method, headers: &HeaderMap) -> bool {
    let directed = headers.contains_key(header::CACHE_CONTROL);
    let has = |wanted: &str| {
        directed && directives(headers).any(|d| name_of(d).eq_ignore_ascii_case(wanted))
    };
    if has("private") || has("no-store") {
        return false;
    }
    let fresh = has("max-age") || headers.contains_key(header::EXPIRES);
    has("public") || has("s-maxage") || (fresh && method == Method::GET)
}

/// Makes the reply private and its tag ours.
pub(crate) fn personalise(headers: &mut HeaderMap, tag: impl Display) {
    compose_etag(headers, tag);
    make_private(headers);
}

/// Keeps a reply out of caches that serve it to others.
pub(crate) fn make_private(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        return;
    }
    let kept: Vec<&str> = directives(headers)
        .filter(|d| !matches!(&*name_of(d).to_ascii_lowercase(), "public" | "s-maxage" | "private"))
        .collect();
    let strict = kept.iter().any(|d| d.eq_ignore_ascii_case("no-store"));
    let mut text = kept.join(", ");
    if !strict {
        text = if text.is_empty() { "private".into() } else { format!("private, {text}") };
    }
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(header::CACHE_CONTROL, value);
    }
}

/// Puts our part into the reply's tag, if it has one.
pub(crate) fn compose_etag(headers: &mut HeaderMap, tag: impl Display) {
    let Some(etag) = headers.get(header::ETAG).and_then(|v| v.to_str().ok()) else { return };
    let composed = etag.strip_suffix('"').map(|open| format!("{open}{MARK}{tag}\""));
    match composed.and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(value) => headers.insert(header::ETAG, value),
        // Not a tag at all: it must not name our bytes.
        None => headers.remove(header::ETAG),
    };
}

/// Translates `If-None-Match` for the shop; true when a composed tag became the shop's own, so that
/// a 304 must carry the composed one again.
pub(crate) fn translate(headers: &mut HeaderMap, tag: impl Display) -> bool {
    let Some(asked) = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let mark = format!("{MARK}{tag}\"");
    let own: Vec<String> = asked
        .split(',')
        .map(str::trim)
        .filter_map(|etag| etag.strip_suffix(&mark).map(|open| format!("{open}\"")))
        .collect();
    match HeaderValue::from_str(&own.join(", ")) {
        Ok(value) if !own.is_empty() => {
            headers.insert(header::IF_NONE_MATCH, value);
            true
        }
        _ => {
            headers.remove(header::IF_NONE_MATCH);
            false
        }
    }
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
}

fn name_of(directive: &str) -> &str {
    directive.split('=').next().unwrap_or(directive).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn a_personalised_reply_is_private_and_never_less_strict_than_before() {
        for (before, after) in [
            ("", "private"),
            ("public, max-age=60, s-maxage=600", "private, max-age=60"),
            ("no-store", "no-store"),
            ("private, no-cache", "private, no-cache"),
            ("max-age=0, must-revalidate", "private, max-age=0, must-revalidate"),
        ] {
            let mut headers = HeaderMap::new();
            if !before.is_empty() {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(before));
            }
            personalise(&mut headers, "1");
            assert_eq!(headers[header::CACHE_CONTROL], after, "{before}");
        }
    }

    #[test]
    fn a_composed_tag_is_translated_back_while_the_order_holds() {
        for etag in ["\"abc\"", "W/\"abc\""] {
            let mut reply = HeaderMap::new();
            reply.insert(header::ETAG, HeaderValue::from_static(etag));
            compose_etag(&mut reply, "f00");
            let composed = reply[header::ETAG].clone();
            assert_ne!(composed, etag);
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, composed);
            assert!(!translate(&mut request.clone(), "f01"));
            assert!(translate(&mut request, "f00"));
            assert_eq!(request[header::IF_NONE_MATCH], etag);
        }
    }

    #[test]
    fn a_tag_of_another_order_is_dropped() {
        let mut request = with(&[("if-none-match", "\"abc.lr-old\", \"plain\"")]);
        assert!(!translate(&mut request, "new"));
        assert!(!request.contains_key(header::IF_NONE_MATCH));
    }

    #[test]
    fn digests_signatures_and_no_transform_seal_a_reply() {
        for pair in [
            ("content-digest", "sha-256=:x:"),
            ("content-md5", "x"),
            ("signature", "x"),
            ("cdn-cache-control", "max-age=60"),
            ("cache-control", "max-age=1, No-Transform"),
        ] {
            assert!(is_sealed(&with(&[pair])), "{pair:?}");
        }
        assert!(!is_sealed(&with(&[("cache-control", "no-store")])));
    }

    #[test]
    fn what_a_shared_cache_may_keep_is_recognised() {
        let cacheable =
            |method, value| is_shared_cacheable(&method, &with(&[("cache-control", value)]));
        assert!(cacheable(Method::GET, "max-age=60"));
        assert!(!cacheable(Method::POST, "max-age=60"));
        assert!(cacheable(Method::POST, "public"));
        assert!(!cacheable(Method::GET, "private, max-age=60"));
        assert!(!cacheable(Method::GET, "no-store"));
    }
}
