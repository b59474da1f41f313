//! A place in a request that holds a word, and how it is read.
//!
//! In: one request as the routes see it ([`Ask`]). Out: the word, trimmed and not empty. Bodies are
//! looked up without building a tree; a body that is no JSON holds nothing.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};

use super::{Pointer, Source};
use crate::wire;

/// One request, as settings may refer to its parts.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its URL's query, without `?`.
    pub query: &'a str,
    /// Named segments of its path.
    pub named: &'a [(&'a str, String)],
    /// Its body, or the element of it that is being read; empty when it was not kept.
    pub body: &'a [u8],
    /// The one tenant that its Weaviate searches name.
    pub tenant: Option<&'a str>,
    /// What its token claims.
    pub claims: Claims<'a>,
}

/// What a request's token claims.
#[derive(Clone, Copy, Debug, Default)]
pub enum Claims<'a> {
    /// Tokens are not checked here: what the bearer's claims counts as any claim does.
    #[default]
    Unchecked,
    /// The claims of a token that was checked, as JSON; `None`: there is no good one.
    Checked(Option<&'a str>),
}

impl Source {
    /// The word at this place.
    pub fn read<'a>(&self, ask: &Ask<'a>) -> Option<Cow<'a, str>> {
        let found = match self {
            Self::Header(name) => Cow::Borrowed(ask.headers.get(name)?.to_str().ok()?),
            Self::Cookie(name) => Cow::Borrowed(cookie(ask.headers, name)?),
            Self::Body(pointer) => wire::lookup_text(ask.body, pointer)?,
            Self::Query(name) => query_value(ask.query, name)?,
            Self::Path(name) => {
                Cow::Borrowed(ask.named.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())?)
            }
            Self::Jwt(claim) => Cow::Owned(match ask.claims {
                Claims::Unchecked => claimed(ask.headers, claim)?,
                Claims::Checked(claims) => {
                    wire::lookup_text(claims?.as_bytes(), claim)?.into_owned()
                }
            }),
            Self::Baggage(key) => baggage(ask.headers, key)?,
            Self::Tenant => Cow::Borrowed(ask.tenant?),
        };
        let kept = match found {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        (!kept.is_empty()).then_some(kept)
    }

    /// True for a place whose word is proven, not only claimed.
    pub fn is_proven(&self, ask: &Ask<'_>) -> bool {
        matches!((self, ask.claims), (Self::Jwt(_), Claims::Checked(_)))
    }

    /// True when the word can only be found in a body.
    pub fn needs_body(&self) -> bool {
        matches!(self, Self::Body(_))
    }
}

/// The first of `sources` that holds a word which `accept` takes.
pub fn first<'a, T>(
    sources: &[Source],
    ask: &Ask<'a>,
    accept: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    sources.iter().find_map(|source| source.read(ask).and_then(|word| accept(&word)))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value.trim_matches('"'))
}

/// A claim of the bearer's JSON Web Token (RFC 7519): text, a number or a boolean.
fn claimed(headers: &HeaderMap, claim: &Pointer) -> Option<String> {
    let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = said.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let payload = token.trim().split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    wire::lookup_text(&payload, claim).map(Cow::into_owned)
}

/// A member of W3C baggage: `key=value;property,key=value`.
fn baggage<'a>(headers: &'a HeaderMap, key: &str) -> Option<Cow<'a, str>> {
    let lines = headers.get_all("baggage").iter().filter_map(|value| value.to_str().ok());
    let members = lines.flat_map(|line| line.split(','));
    let mut pairs = members.filter_map(|member| member.split(';').next()?.split_once('='));
    pairs.find(|(name, _)| name.trim() == key).and_then(|(_, value)| percent_decode(value.trim()))
}

fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query_pairs(query).find(|(n, _)| n == name).map(|(_, value)| value)
}

/// A percent-decoded text; `None` when it is not UTF-8 or an escape is broken.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = (bytes.next()? as char).to_digit(16)?;
            let low = (bytes.next()? as char).to_digit(16)?;
            out.push((high * 16 + low) as u8);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// The (name, value) pairs of a URL's query, decoded; `+` is a space. Broken pairs are left out.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode_form(name)?, decode_form(value)?))
    })
}

fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        percent_decode(&text.replace('+', " ")).map(|t| Cow::Owned(t.into_owned()))
    } else {
        percent_decode(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: Source, headers: &HeaderMap, query: &str) -> Option<String> {
        let named = [("sku", "A1".to_owned())];
        let (tenant, claims) = (Some("shop-7"), Claims::Unchecked);
        let ask = Ask { headers, query, named: &named, body: b"", tenant, claims };
        source.read(&ask).map(Cow::into_owned)
    }

    #[test]
    fn each_place_yields_its_word() {
        let mut headers = HeaderMap::new();
        headers.insert("x-user-id", http::HeaderValue::from_static(" u1 "));
        headers.insert(header::COOKIE, http::HeaderValue::from_static("a=1; sid=\"s 2\""));
        let header = Source::Header(http::HeaderName::from_static("x-user-id"));
        assert_eq!(read(header, &headers, "").as_deref(), Some("u1"));
        assert_eq!(read(Source::Cookie("sid".into()), &headers, "").as_deref(), Some("s 2"));
        assert_eq!(read(Source::Path("sku".into()), &headers, "").as_deref(), Some("A1"));
        let query = "x=1&q=oat+milk%21";
        assert_eq!(read(Source::Query("q".into()), &headers, query).as_deref(), Some("oat milk!"));
        assert_eq!(read(Source::Query("nope".into()), &headers, query), None);
    }

    #[test]
    fn a_claim_is_read_from_a_token_whatever_its_signature() {
        let read_claim = |authorization: &str, claim: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
            read(Source::parse(&format!("jwt:{claim}")).ok()?, &headers, "")
        };
        let payload = URL_SAFE_NO_PAD
            .encode(r#"{"sub":"u1","https://shop/visit":7,"aud":["a"],"realm":{"user":"u2"}}"#);
        let token = format!("Bearer e30.{payload}.signature");
        assert_eq!(read_claim(&token, "sub").as_deref(), Some("u1"));
        assert_eq!(read_claim(&token, "https://shop/visit").as_deref(), Some("7"));
        assert_eq!(read_claim(&token, "/realm/user").as_deref(), Some("u2"));
        for nothing in ["aud", "none", ""] {
            assert_eq!(read_claim(&token, nothing), None, "{nothing}");
        }
        for no_token in
            ["Bearer WCS-api-key", "Bearer a.!.c", "Basic a.e30.c", "Bearer", "Bearer .."]
        {
            assert_eq!(read_claim(no_token, "sub"), None, "{no_token}");
        }
    }

    #[test]
    fn baggage_is_found_among_its_neighbours_and_decoded() {
        let mut headers = HeaderMap::new();
        headers.append("baggage", "tenant=x, user.id = u%201 ;ttl=3".parse().unwrap());
        headers.append("baggage", "visit=s1".parse().unwrap());
        let key = |key: &str| read(Source::Baggage(key.into()), &headers, "");
        assert_eq!(key("user.id").as_deref(), Some("u 1"));
        assert_eq!(key("visit").as_deref(), Some("s1"));
        assert_eq!(key("ttl"), None);
        assert_eq!(read(Source::Tenant, &headers, "").as_deref(), Some("shop-7"));
    }

    #[test]
    fn an_empty_word_is_absent_and_a_broken_escape_harmless() {
        let headers = HeaderMap::new();
        assert_eq!(read(Source::Query("q".into()), &headers, "q=%20"), None);
        assert_eq!(read(Source::Query("q".into()), &headers, "q=%zz&q=b").as_deref(), Some("b"));
    }
}
