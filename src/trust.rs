//! Floor 3, pure: whose word counts.
//!
//! In: the `X-Leafrank-*` headers of a request, the keys of the settings, where it came from. Out:
//! what a trusted peer said ([`Spoken`]), or nothing. The headers are taken off in either case: no
//! shop sees them. A peer is trusted by a token or by a signature over what it says, and only from
//! the addresses of the settings where there are any. Comparisons take the same time for every
//! wrong secret.
//!
//! Signed text, one value a line, empty where the header is absent:
//! `v1`, time, method, path with query, user, session, mode, explain.

pub mod token;

use std::net::IpAddr;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Uri};
use ring::hmac;

use crate::config::{Mode, Trust};
use crate::types::clock::Timestamp;
use crate::types::ids::{SessionId, UserId};

/// Shortest secret that is accepted, in bytes.
pub const SECRET_BYTES_MIN: usize = 16;

const PREFIX: &str = "x-leafrank-";
const USER: HeaderName = HeaderName::from_static("x-leafrank-user");
const SESSION: HeaderName = HeaderName::from_static("x-leafrank-session");
const MODE: HeaderName = HeaderName::from_static("x-leafrank-mode");
const EXPLAIN: HeaderName = HeaderName::from_static("x-leafrank-explain");
const TOKEN: HeaderName = HeaderName::from_static("x-leafrank-token");
const SIGNATURE: HeaderName = HeaderName::from_static("x-leafrank-signature");

/// What a trusted peer said; everything empty for all others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    /// Whether the peer is trusted.
    pub trusted: bool,
    /// The user it vouches for.
    pub user: Option<UserId>,
    /// The visit it vouches for.
    pub session: Option<SessionId>,
    /// The mode it asks for.
    pub mode: Option<Mode>,
    /// Whether it wants the order explained.
    pub explain: bool,
}

impl Spoken {
    /// Does a trusted peer say who asks?
    pub fn names_somebody(&self) -> bool {
        self.user.is_some() || self.session.is_some()
    }
}

/// Where a request came from and what it asks for: what a signature covers besides our headers.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// The peer's address; `None` on a unix socket.
    pub peer: Option<IpAddr>,
    /// Now.
    pub now: Timestamp,
}

/// Secrets of one kind; any of them is good.
#[derive(Clone, Default)]
pub struct Secrets(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    /// Signs with the secret itself.
    key: hmac::Key,
    /// The secret's own tag under [`Secrets::tags`]' key: what tokens are compared by.
    tag: hmac::Tag,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// Reads secrets, one a line; blank lines and lines that begin with `#` are none.
    ///
    /// # Errors
    /// What is wrong with which line; the text itself is never part of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut secrets = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() < SECRET_BYTES_MIN {
                let length = line.len();
                let number = number + 1;
                return Err(format!(
                    "line {number}: {length} characters; expected at least {SECRET_BYTES_MIN}"
                ));
            }
            let key = hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes());
            secrets.push(Secret { key, tag: hmac::sign(&Self::tags(), line.as_bytes()) });
        }
        if secrets.is_empty() {
            return Err("no secret in it; expected one a line".into());
        }
        Ok(Self(secrets))
    }

    /// Compared are tags under a fixed key: where two differ says nothing about the secrets.
    fn tags() -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, b"leafrank token")
    }

    /// Is this one of them?
    pub fn hold(&self, token: &str) -> bool {
        let key = Self::tags();
        self.0
            .iter()
            .any(|secret| hmac::verify(&key, token.as_bytes(), secret.tag.as_ref()).is_ok())
    }

    /// Signs with the first of them.
    pub fn sign(&self, text: &str) -> Option<hmac::Tag> {
        self.0.first().map(|secret| hmac::sign(&secret.key, text.as_bytes()))
    }

    /// Was `text` signed with one of them?
    pub fn signed(&self, text: &str, signature: &[u8]) -> bool {
        self.0.iter().any(|secret| hmac::verify(&secret.key, text.as_bytes(), signature).is_ok())
    }
}

/// All secrets in force.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Tokens of trusted peers.
    pub peers: Secrets,
    /// Keys that trusted peers sign with.
    pub signing: Secrets,
    /// Tokens that may ask about any user.
    pub api: Secrets,
    /// Tokens of operators.
    pub admin: Secrets,
    /// Keys of our own cookie.
    pub visits: Secrets,
    /// What verifies tokens that name a shopper.
    pub jwt: token::TokenKeys,
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// True when a request carries a header of ours.
pub fn speaks(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PREFIX))
}

/// Takes our headers off a request. `Ok` is what a trusted peer said; `Err` names the headers that
/// anybody else sent, from a closed set.
///
/// # Errors
/// Nothing failed: the peer is not trusted.
pub fn hear(
    trust: &Trust,
    keys: &Keys,
    headers: &mut HeaderMap,
    origin: &Origin<'_>,
) -> Result<Spoken, Vec<&'static str>> {
    if !speaks(headers) {
        return Ok(Spoken::default());
    }
    let from_there = trust.addresses.is_empty()
        || origin.peer.is_some_and(|peer| trust.addresses.contains(&peer.to_canonical()));
    let trusted = from_there
        && (has_token(keys, headers) || is_signed(keys, headers, origin, trust.signature_max_age));
    let spoken = trusted.then(|| Spoken {
        trusted,
        user: said(headers, &USER).and_then(UserId::parse),
        session: said(headers, &SESSION).and_then(SessionId::parse),
        mode: said(headers, &MODE).and_then(Mode::parse),
        explain: said(headers, &EXPLAIN).is_some_and(|word| word != "0" && word != "false"),
    });
    let ours: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(PREFIX)).cloned().collect();
    for name in &ours {
        headers.remove(name);
    }
    spoken.ok_or_else(|| ours.iter().map(label).collect())
}

fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn has_token(keys: &Keys, headers: &HeaderMap) -> bool {
    said(headers, &TOKEN).is_some_and(|token| keys.peers.hold(token.trim()))
}

fn is_signed(keys: &Keys, headers: &HeaderMap, origin: &Origin<'_>, max_age: Duration) -> bool {
    let Some((at, signature)) = said(headers, &SIGNATURE).and_then(parts) else { return false };
    let now = origin.now.0.div_euclid(1000);
    if now.abs_diff(at) > max_age.as_secs() {
        return false;
    }
    keys.signing.signed(&signed_text(at, headers, origin), &signature)
}

/// `t=1700000000,v1=ab12…` as time and tag.
fn parts(text: &str) -> Option<(i64, Vec<u8>)> {
    let value = |key: &str| {
        let mut pairs = text.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let hex = value("v1")?;
    let digits = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    });
    Some((value("t")?.parse().ok()?, digits.collect::<Option<_>>()?))
}

/// What a signature covers.
fn signed_text(at: i64, headers: &HeaderMap, origin: &Origin<'_>) -> String {
    let target = origin.uri.path_and_query().map_or("/", |target| target.as_str());
    let [user, session, mode, explain] =
        [&USER, &SESSION, &MODE, &EXPLAIN].map(|name| said(headers, name).unwrap_or_default());
    format!("v1\n{at}\n{}\n{target}\n{user}\n{session}\n{mode}\n{explain}", origin.method)
}

/// The header's name as a label, without the prefix.
fn label(name: &HeaderName) -> &'static str {
    let known = ["user", "session", "mode", "explain", "token", "signature"];
    let name = name.as_str().strip_prefix(PREFIX).unwrap_or_default();
    known.into_iter().find(|known| *known == name).unwrap_or("other")
}

#[cfg(test)]
mod tests;
