//! A cookie of ours for shoppers whom nothing else names: a random visit, signed.
//!
//! In: a request's cookies, the keys in force. Out: the visit that a good cookie names; for somebody
//! without any, a new one with its `Set-Cookie`. Off unless the settings name the cookie. A forged or
//! old one names nobody, and is counted. It says nothing of who it is, and scripts cannot read it.
//!
//! `v1.<32 hex digits>.<issued at, seconds>.<HMAC-SHA256 over all before, 64 hex digits>`

use http::HeaderMap;
use http::header::HeaderValue;
use ring::rand::{SecureRandom, SystemRandom};

use super::Border;
use crate::config::Source;
use crate::config::source::{Ask, Claims};
use crate::trust::Secrets;
use crate::types::ids::SessionId;

/// Keeps these signatures apart from every other use of a key.
const PURPOSE: &str = "leafrank visit ";
/// Random bytes of a visit: nobody guesses another's.
const VISIT_BYTES: usize = 16;
/// Seconds that clocks of replicas may be apart.
const AHEAD_SECONDS_MAX: i64 = 300;

/// Why a cookie names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Forged,
    Expired,
}

impl Border {
    /// The visit that the request's own cookie names.
    pub fn visit(&self, headers: &HeaderMap) -> Option<SessionId> {
        let cookie = &self.settings.identity.cookie;
        let place = Source::Cookie(cookie.name.clone()?);
        let claims = Claims::Unchecked;
        let ask = Ask { headers, query: "", named: &[], body: b"", tenant: None, claims };
        let word = place.read(&ask)?;
        let now = self.clock.now().0.div_euclid(1000);
        let max_age = i64::try_from(cookie.max_age.as_secs()).unwrap_or(i64::MAX);
        let read = read(&word, &self.ring.keys().visits, (now, max_age));
        let outcome = match read {
            Ok(_) => "good",
            Err(Refused::Forged) => "forged",
            Err(Refused::Expired) => "expired",
        };
        self.metrics.visit_cookies.with_label_values(&[outcome]).inc();
        read.ok()
    }

    /// A new visit and its cookie. `None`: there is no such cookie, or no key or chance to make one.
    pub fn new_visit(&self, secure: bool) -> Option<(SessionId, HeaderValue)> {
        let cookie = &self.settings.identity.cookie;
        let name = cookie.name.as_deref()?;
        let mut bytes = [0; VISIT_BYTES];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let now = self.clock.now().0.div_euclid(1000);
        let (visit, value) = written(&hex(&bytes), now, &self.ring.keys().visits)?;
        let max_age = cookie.max_age.as_secs();
        let secure = if secure { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
        let header = HeaderValue::from_str(&text).ok()?;
        self.metrics.visit_cookies.with_label_values(&["given"]).inc();
        Some((visit, header))
    }
}

fn written(id: &str, now: i64, keys: &Secrets) -> Option<(SessionId, String)> {
    let said = format!("v1.{id}.{now}");
    let tag = keys.sign(&format!("{PURPOSE}{said}"))?;
    Some((session(id)?, format!("{said}.{}", hex(tag.as_ref()))))
}

fn read(word: &str, keys: &Secrets, (now, max_age): (i64, i64)) -> Result<SessionId, Refused> {
    let (said, tag) = word.rsplit_once('.').ok_or(Refused::Forged)?;
    let tag = bytes_of(tag).ok_or(Refused::Forged)?;
    if !keys.signed(&format!("{PURPOSE}{said}"), &tag) {
        return Err(Refused::Forged);
    }
    // From here on it is what we wrote.
    let mut parts = said.split('.').skip(1);
    let id = parts.next().and_then(session).ok_or(Refused::Forged)?;
    let issued: i64 = parts.next().and_then(|at| at.parse().ok()).ok_or(Refused::Forged)?;
    let age = now.saturating_sub(issued);
    if (-AHEAD_SECONDS_MAX..max_age).contains(&age) { Ok(id) } else { Err(Refused::Expired) }
}

/// A name that no session of a shop has by chance.
fn session(id: &str) -> Option<SessionId> {
    SessionId::parse(&format!("leafrank-{id}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Secrets {
        Secrets::parse(text).unwrap()
    }

    #[test]
    fn a_cookie_names_its_visit_until_it_is_old_and_also_by_an_exchanged_key() {
        let old = keys("the key of last month");
        let (visit, value) = written("00ff", 1_000, &old).unwrap();
        let both = keys("the key of this month\nthe key of last month");
        for keys in [&old, &both] {
            assert_eq!(read(&value, keys, (1_000, 60)), Ok(visit.clone()));
            assert_eq!(read(&value, keys, (1_059, 60)), Ok(visit.clone()));
            assert_eq!(read(&value, keys, (1_060, 60)), Err(Refused::Expired));
            assert_eq!(read(&value, keys, (0, 60)), Err(Refused::Expired), "of the future");
        }
        let new = keys("the key of this month");
        assert_eq!(read(&value, &new, (1_000, 60)), Err(Refused::Forged));
        assert_eq!(written("00ff", 1_000, &Secrets::default()), None);
    }

    #[test]
    fn no_changed_byte_of_a_cookie_passes() {
        let keys = keys("the key of this month");
        let (_, value) = written("0123456789abcdef", 1_000, &keys).unwrap();
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(read(&changed, &keys, (1_000, 60)), Err(Refused::Forged), "{changed}");
        }
        for broken in ["", ".", "v1", "v1.a.b", "v1.0.1000.", "v1.0.1000.zz", "v1.0.1000.+1"] {
            assert_eq!(read(broken, &keys, (1_000, 60)), Err(Refused::Forged), "{broken}");
        }
    }
}
