//! Places in a JSON body: RFC 6901 pointers in which a segment may be `*`.
//!
//! In: the text of a setting, `/data/Get/*`. Out: a [`Pointer`], or what is wrong with the text.
//! `*` stands for any key of an object and any index of an array; a key that is really named `*`
//! cannot be told from it. Nothing is looked up here.

use std::fmt;

/// A JSON Pointer (RFC 6901) in which a segment may be `*`: any key or index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pointer(pub Vec<String>);

/// What is wrong with the text of a [`Pointer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// A pointer is empty (the whole body) or starts with `/`.
    #[error("a JSON Pointer is empty or starts with '/'")]
    NoSlash,
    /// `~` is only written as `~0` (for `~`) or `~1` (for `/`).
    #[error("'~' must be followed by 0 (for '~') or 1 (for '/')")]
    BadEscape,
}

impl Pointer {
    /// The segment that stands for any key or index.
    pub const ANY: &'static str = "*";

    /// Reads a pointer; empty text is the whole body.
    ///
    /// # Errors
    /// When the text does not start with `/`, or `~` is followed by neither `0` nor `1`.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rest = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        rest.split('/').map(unescaped).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a segment is `*`, so that several places may match.
    pub fn is_plural(&self) -> bool {
        self.0.iter().any(|segment| segment == Self::ANY)
    }

    /// Whether this pointer leads to `other` or into something below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.len() >= other.0.len()
            && self.0.iter().zip(&other.0).all(|(a, b)| a == b || a == Self::ANY || b == Self::ANY)
    }
}

impl std::str::FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        Self::parse(text)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{}", Segment(segment)))
    }
}

/// Shows one segment with `~` and `/` escaped.
pub(super) struct Segment<'a>(pub(super) &'a str);

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['~', '/']) {
            match part.as_bytes().last() {
                Some(b'~') => write!(f, "{}~0", part.trim_end_matches('~'))?,
                Some(b'/') => write!(f, "{}~1", part.trim_end_matches('/'))?,
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

fn unescaped(segment: &str) -> Result<String, PointerError> {
    let mut out = String::with_capacity(segment.len());
    let mut parts = segment.split('~');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        if let Some(rest) = part.strip_prefix('0') {
            out.push('~');
            out.push_str(rest);
        } else if let Some(rest) = part.strip_prefix('1') {
            out.push('/');
            out.push_str(rest);
        } else {
            return Err(PointerError::BadEscape);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pointer_reads_as_rfc_6901_says() {
        let segments = |text: &str| Pointer::parse(text).unwrap().0;
        assert_eq!(segments(""), Vec::<String>::new());
        assert_eq!(segments("/"), [""]);
        assert_eq!(segments("/a~1b/m~0n/~01"), ["a/b", "m~n", "~1"]);
        assert_eq!(segments("/data/Get/*/0"), ["data", "Get", "*", "0"]);
    }

    #[test]
    fn a_pointer_without_slash_or_with_a_bare_tilde_is_refused() {
        assert_eq!(Pointer::parse("products"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/a~"), Err(PointerError::BadEscape));
        assert_eq!(Pointer::parse("/a~2"), Err(PointerError::BadEscape));
    }

    #[test]
    fn a_pointer_is_within_what_it_passes_through() {
        let within =
            |a: &str, b: &str| Pointer::parse(a).unwrap().is_within(&Pointer::parse(b).unwrap());
        assert!(within("/products/0/sku", "/products"));
        assert!(within("/data/Get/Product", "/data/*/*"));
        assert!(!within("/order", "/products"));
        assert!(!within("/products", "/products/0"));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(segments in prop::collection::vec("[a~/*01 ]{0,6}", 0..5)) {
            let pointer = Pointer(segments);
            prop_assert_eq!(Pointer::parse(&pointer.to_string()), Ok(pointer));
        }
    }
}
