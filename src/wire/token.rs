//! The smallest steps over JSON text (RFC 8259): white space, strings, numbers, literals.
//!
//! Each function takes the bytes and the place where the token starts, and answers the place
//! behind it, or a doubt. Nothing is copied. Strings are skipped sixteen bytes at a time: product
//! JSON is many short strings and a few descriptions. The text must be UTF-8; that is not looked at
//! here.

use wide::u8x16;

use super::doubt::Doubt;

/// Bytes that are looked at in one step: what every x86-64 and ARM64 machine has.
const STEP: usize = 16;

/// The byte at `at`, or 0 at the end: no token starts with it.
#[inline(always)]
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Whether two texts of the same length are equal. Keys are short and most are equal: two
/// overlapping words tell what a call would take longer for.
#[inline(always)]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        8..=16 => {
            one.first_chunk::<8>() == other.first_chunk::<8>()
                && one.last_chunk::<8>() == other.last_chunk::<8>()
        }
        17..=32 => {
            one.first_chunk::<16>() == other.first_chunk::<16>()
                && one.last_chunk::<16>() == other.last_chunk::<16>()
        }
        _ => one == other,
    }
}

/// What follows `lead` in `text`, if it starts with it.
#[inline(always)]
pub(super) fn behind<'a>(text: &'a [u8], lead: &[u8]) -> Option<&'a [u8]> {
    let (here, behind) = text.split_at_checked(lead.len())?;
    same(here, lead).then_some(behind)
}

/// What follows the string, number or literal with which `text` starts, and whether it is a string
/// without escapes; `None` when it starts with none of these.
#[inline(always)]
pub(super) fn leaf(text: &[u8]) -> Option<(&[u8], bool)> {
    let (end, plain) = match text.first()? {
        b'"' => {
            let end = plain(text, 1);
            match text.get(end)? {
                b'"' => (end + 1, true),
                _ => (escaped(text, end).ok()?.0, false),
            }
        }
        b'-' | b'0'..=b'9' => (number(text, 0).ok()?, false),
        b't' | b'f' | b'n' => (literal(text, 0).ok()?, false),
        _ => return None,
    };
    Some((text.get(end..)?, plain))
}

/// The place of the first byte from `at` on that is not white space.
#[inline(always)]
pub(super) fn space(text: &[u8], at: usize) -> usize {
    if byte(text, at) > b' ' { at } else { long_space(text, at) }
}

/// Indented bodies hold long runs of blanks.
fn long_space(text: &[u8], mut at: usize) -> usize {
    while matches!(byte(text, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
        while text.get(at..).is_some_and(|rest| rest.starts_with(&[b' '; 8])) {
            at += 8;
        }
    }
    at
}

/// The place in `step` of the first byte that ends a run of plain string bytes: `"`, `\\` or a
/// control character.
#[inline(always)]
fn stop(step: &[u8; STEP]) -> Option<usize> {
    let step = u8x16::new(*step);
    let control = step.min(u8x16::splat(0x1f)).cmp_eq(step);
    let stops = control | step.cmp_eq(u8x16::splat(b'"')) | step.cmp_eq(u8x16::splat(b'\\'));
    let stops = stops.move_mask();
    (stops != 0).then(|| stops.trailing_zeros() as usize)
}

/// Skips a string whose opening quote is at `at`; answers the place behind the closing quote and
/// whether there were escapes.
#[inline(always)]
pub(super) fn string(text: &[u8], at: usize) -> Result<(usize, bool), Doubt> {
    let at = plain(text, at + 1);
    if byte(text, at) == b'"' { Ok((at + 1, false)) } else { escaped(text, at) }
}

/// The place of the first byte from `at` on that is no plain string byte; the end without one.
#[inline(always)]
pub(super) fn plain(text: &[u8], at: usize) -> usize {
    let (steps, tail) = text.get(at..).unwrap_or_default().as_chunks();
    let mut at = at;
    for step in steps {
        match stop(step) {
            Some(stop) => return at + stop,
            None => at += STEP,
        }
    }
    at + tail_stop(tail)
}

/// The next stop in the last bytes of a text.
#[cold]
fn tail_stop(tail: &[u8]) -> usize {
    let stop = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    stop.unwrap_or(tail.len())
}

/// Skips a string from the first byte on that is not plain.
fn escaped(text: &[u8], mut at: usize) -> Result<(usize, bool), Doubt> {
    loop {
        match byte(text, at) {
            b'"' => return Ok((at + 1, true)),
            b'\\' => at = plain(text, escape(text, at)?),
            _ => return Err(Doubt::NotJson),
        }
    }
}

/// Skips the escape whose backslash is at `at`.
fn escape(text: &[u8], at: usize) -> Result<usize, Doubt> {
    match byte(text, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 2),
        b'u' => match text.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(Doubt::NotJson),
        },
        _ => Err(Doubt::NotJson),
    }
}

/// Skips a number that starts at `at`.
#[inline]
pub(super) fn number(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let start = at + usize::from(byte(text, at) == b'-');
    let mut end = digits(text, start)?;
    if byte(text, start) == b'0' && end != start + 1 {
        return Err(Doubt::NotJson);
    }
    if byte(text, end) == b'.' {
        end = digits(text, end + 1)?;
    }
    if matches!(byte(text, end), b'e' | b'E') {
        let sign = matches!(byte(text, end + 1), b'+' | b'-');
        end = digits(text, end + 1 + usize::from(sign))?;
    }
    Ok(end)
}

/// Skips digits, of which there must be one.
#[inline(always)]
fn digits(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let mut end = at;
    while byte(text, end).is_ascii_digit() {
        end += 1;
    }
    if end == at { Err(Doubt::NotJson) } else { Ok(end) }
}

/// Skips `true`, `false` or `null` at `at`.
#[inline]
pub(super) fn literal(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let rest = text.get(at..).unwrap_or_default();
    if rest.starts_with(b"true") || rest.starts_with(b"null") {
        Ok(at + 4)
    } else if rest.starts_with(b"false") {
        Ok(at + 5)
    } else {
        Err(Doubt::NotJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skips(text: &str) -> Option<usize> {
        string(text.as_bytes(), 0).ok().map(|(end, _)| end)
    }

    proptest::proptest! {
        #[test]
        fn texts_are_the_same_when_each_byte_is(text in "[a-c\"]{0,40}", at in 0_usize..40) {
            let other: String = text.char_indices().map(|(i, c)| if i == at { 'x' } else { c }).collect();
            proptest::prop_assert!(same(text.as_bytes(), text.as_bytes()));
            let differ = at < text.len();
            proptest::prop_assert_eq!(same(text.as_bytes(), other.as_bytes()), !differ);
        }
    }

    #[test]
    fn a_string_ends_at_its_own_quote_wherever_it_falls_in_a_word() {
        for before in 0..150 {
            let text = format!("\"{}\\\"é\"  \"next\"", "x".repeat(before));
            assert_eq!(skips(&text), Some(before + 6), "{text}");
        }
    }

    #[test]
    fn raw_control_characters_and_unknown_escapes_are_no_string() {
        for text in [
            "\"a\nb      \"",
            "\"\u{1f}\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"open",
            "\"open but longer than a word",
            "\"\\",
        ] {
            assert_eq!(skips(text), None, "{text:?}");
        }
        assert_eq!(skips("\"\u{7f}\u{80}ÿ\\u00e9\""), Some(13));
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for good in ["0", "-0", "10", "1.5", "1e9", "-1.25E-3", "0.0e+00"] {
            assert_eq!(number(good.as_bytes(), 0), Ok(good.len()), "{good}");
        }
        for bad in ["", "-", "01", "-01", "1.", ".5", "1e", "1e+", "+1"] {
            assert_eq!(number(bad.as_bytes(), 0), Err(Doubt::NotJson), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_stop_of_a_step_is_the_first_of_all(bytes in any::<[u8; STEP]>()) {
            let plain = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(stop(&bytes), plain);
        }
    }
}
