//! Opaque identifiers, checked once at the border and never printed by accident.
//!
//! In: text from headers, cookies and bodies. Out: values of 1..=256 bytes without control
//! characters. `Debug` shows a short digest, never the identifier, so that a stray `{:?}` in a log
//! line cannot leak a person.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Longest identifier accepted, in bytes. Longer ones are treated as absent.
pub const ID_BYTES_MAX: usize = 256;

fn acceptable(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.chars().any(char::is_control)
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes an identifier of 1..=[`ID_BYTES_MAX`] bytes without control characters.
            pub fn parse(text: &str) -> Option<Self> {
                let text = text.trim();
                acceptable(text).then(|| Self(Arc::from(text)))
            }

            /// The identifier itself. Never log it above debug.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(#{:08x})"), xxh3_64(self.0.as_bytes()) as u32)
            }
        }
    };
}

text_id! {
    /// A shopper, as the shop names them.
    UserId
}
text_id! {
    /// One visit, as the shop names it.
    SessionId
}
text_id! {
    /// A product's stable key in the shop (LeafLoaf: `sku`).
    ProductId
}

impl ProductId {
    /// The product's key in profiles and in the catalogue.
    pub fn key(&self) -> ProductKey {
        ProductKey::of(&self.0)
    }
}

/// A product's id as 48 stable bits: what profiles, priors and the catalogue store.
///
/// Two of a million products meet in one key with a probability of 0.2 %, and then share what is
/// known of them; a profile of a thousand products is 2 kB smaller than with 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductKey(pub u64);

impl ProductKey {
    /// Hashes an id by XXH3-64, which is stable across versions and machines.
    pub fn of(id: &str) -> Self {
        Self(xxh3_64(id.as_bytes()) & Self::MASK)
    }

    /// The bits that a key has.
    pub const MASK: u64 = (1 << 48) - 1;
}

/// Whom a request teaches and whose taste ranks it: the user, else the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user known by id.
    User(UserId),
    /// Nobody is named; the visit stands for the shopper.
    Session(SessionId),
}

impl Subject {
    /// The profile's key: 128 stable bits over kind and id.
    pub fn key(&self) -> SubjectKey {
        let (kind, id) = match self {
            Self::User(id) => ("user:", id.as_str()),
            Self::Session(id) => ("session:", id.as_str()),
        };
        let mut text = String::with_capacity(kind.len() + id.len());
        text.push_str(kind);
        text.push_str(id);
        SubjectKey(xxh3_128(text.as_bytes()))
    }
}

/// A subject as 128 stable bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectKey(pub u128);

/// One search as the reply's `X-Leafrank: query=` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryId(pub u64);

impl QueryId {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let is_whole = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_whole.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One trace of W3C Trace Context: what the legs of one request have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl TraceId {
    /// Reads 32 hexadecimal digits, small letters, not all 0.
    pub fn from_hex(text: &str) -> Option<Self> {
        let id = is_hex(text, 32).then(|| u128::from_str_radix(text, 16).ok())?;
        id.filter(|id| *id != 0).map(Self)
    }

    /// Reads a `traceparent`: `00-<32 hex digits>-<16>-<2>`; later versions may say more behind.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let (parent, flags) = (parts.next()?, parts.next()?);
        let whole = [(version, 2), (parent, 16), (flags, 2)];
        if !whole.into_iter().all(|(part, length)| is_hex(part, length))
            || version == "ff"
            || (version == "00" && parts.next().is_some())
        {
            return None;
        }
        Self::from_hex(trace)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == length && text.bytes().all(digit)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_from_a_whole_traceparent_alone() {
        let of = |text: &str| TraceId::parse(text).map(|trace| trace.0);
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let whole = format!("00-{trace}-{parent}-01");
        assert_eq!(of(&whole), Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c));
        assert_eq!(TraceId::parse(&whole).unwrap().to_string(), trace);
        assert_eq!(of(&format!("cc-{trace}-{parent}-01-more")), of(&whole));
        let zeros = "0".repeat(32);
        for wrong in [
            String::new(),
            trace.to_owned(),
            whole.to_uppercase(),
            format!("{whole}-more"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{trace}-{parent}"),
            format!("00-{}+-{parent}-01", &trace[1..]),
        ] {
            assert_eq!(of(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_identifier_with_control_characters_or_of_257_bytes_is_absent() {
        assert_eq!(UserId::parse("a\u{0}b"), None);
        assert_eq!(UserId::parse("  "), None);
        assert_eq!(UserId::parse(&"x".repeat(257)), None);
        assert!(UserId::parse(&"x".repeat(256)).is_some());
    }

    #[test]
    fn the_name_of_a_search_is_sixteen_hexadecimal_digits() {
        assert_eq!(QueryId::parse("000000000000002a"), Some(QueryId(42)));
        for wrong in ["2a", "+00000000000002a", "000000000000002g", "0000000000000002a"] {
            assert_eq!(QueryId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn debug_output_does_not_hold_the_identifier() {
        let id = UserId::parse("alice@example.com").unwrap();
        assert!(!format!("{id:?} {:?}", Subject::User(id.clone())).contains("alice"));
    }

    #[test]
    fn a_user_and_a_session_of_the_same_name_are_two_subjects() {
        let user = Subject::User(UserId::parse("x").unwrap());
        let session = Subject::Session(SessionId::parse("x").unwrap());
        assert_ne!(user.key(), session.key());
    }
}
