//! Tokens that name a shopper: JSON Web Tokens (RFC 7519, 7515), checked before a claim counts.
//!
//! In: the text of a token, the keys in force, what is asked of it, a time. Out: its claims, or why it
//! does not count. A key verifies by the one algorithm it was made for, whatever the token says: there
//! is no `none`, and a public key is never a secret. A token without an end is refused. No error, no
//! `Debug` holds a token or a key. Verifies with `ring`; knows HS256, RS256, ES256.

mod keys;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::types::clock::Timestamp;
pub use keys::TokenKeys;

/// Longer ones are not looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What is asked of a token besides its signature.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Who must have issued it.
    pub issuer: Option<&'a str>,
    /// For whom it must be.
    pub audience: Option<&'a str>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Now.
    pub now: Timestamp,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be read, or asks for what we do not know (`crit`).
    Malformed,
    /// An algorithm that no key of ours has.
    Algorithm,
    /// No key of that name and algorithm.
    UnknownKey,
    /// Not signed by the key.
    Signature,
    /// It has ended, or has no end.
    Expired,
    /// It has not begun.
    NotYet,
    /// Somebody else's.
    Issuer,
    /// For somebody else.
    Audience,
}

impl Refused {
    /// The label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
        }
    }
}

/// What a key was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Hs256,
    Rs256,
    Es256,
}

impl Algorithm {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// Times are numbers: text that looks like one must not pass for "no limit".
#[derive(Deserialize)]
struct Registered {
    exp: Option<f64>,
    nbf: Option<f64>,
    iss: Option<String>,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Three parts with points between: other tokens are none of ours.
pub fn is_token(text: &str) -> bool {
    text.split('.').count() == 3
}

/// The claims of a token that is signed by one of `keys` and meets the terms, as JSON.
///
/// # Errors
/// Why it does not count.
pub fn verify(token: &str, keys: &TokenKeys, terms: &Terms<'_>) -> Result<String, Refused> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refused::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Refused::Malformed)?;
    let header: Header =
        serde_json::from_slice(&decoded(header)?).map_err(|_| Refused::Malformed)?;
    if header.crit.is_some() {
        return Err(Refused::Malformed);
    }
    let algorithm = Algorithm::parse(&header.alg).ok_or(Refused::Algorithm)?;
    keys.check(algorithm, header.kid.as_deref(), signed.as_bytes(), &decoded(signature)?)?;
    let claims = String::from_utf8(decoded(payload)?).map_err(|_| Refused::Malformed)?;
    let registered = serde_json::from_str(&claims).map_err(|_| Refused::Malformed)?;
    met(&registered, terms)?;
    Ok(claims)
}

fn met(claims: &Registered, terms: &Terms<'_>) -> Result<(), Refused> {
    let now = terms.now.0 as f64 / 1000.0;
    let leeway = terms.leeway.as_secs_f64();
    // Written so that what is no number at all does not pass either.
    if !claims.exp.is_some_and(|end| now < end + leeway) {
        return Err(Refused::Expired);
    }
    if !claims.nbf.is_none_or(|start| start - leeway <= now) {
        return Err(Refused::NotYet);
    }
    if terms.issuer.is_some() && terms.issuer != claims.iss.as_deref() {
        return Err(Refused::Issuer);
    }
    let Some(wanted) = terms.audience else { return Ok(()) };
    let meant = match &claims.aud {
        Some(Audience::One(one)) => one == wanted,
        Some(Audience::Several(all)) => all.iter().any(|one| one == wanted),
        None => false,
    };
    if meant { Ok(()) } else { Err(Refused::Audience) }
}

fn decoded(part: &str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)
}

#[cfg(test)]
mod tests;
