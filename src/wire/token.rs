//! The smallest steps over JSON text (RFC 8259): white space, strings, numbers, literals.
//!
//! Each function takes the bytes and the place where the token starts, and answers the place
//! behind it, or a doubt. Nothing is copied. Strings are skipped eight bytes at a time in a plain
//! machine word: product JSON is many short strings, for which wider vectors do not pay. One that
//! is still open after a few words is a description, and goes on in wider steps.
//! The text must be UTF-8; that is not looked at here.

use super::doubt::Doubt;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

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

/// The place of the first byte from `at` on that is not white space.
#[inline(always)]
pub(super) fn space(text: &[u8], at: usize) -> usize {
    if byte(text, at) > b' ' { at } else { long_space(text, at) }
}

/// Indented bodies hold long runs of blanks.
fn long_space(text: &[u8], mut at: usize) -> usize {
    while matches!(byte(text, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
        while word(text, at) == Some(LOW * b' ' as u64) {
            at += 8;
        }
    }
    at
}

#[inline(always)]
fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Marks bytes of `word` that end a run of plain string bytes: `"`, `\` and control characters.
///
/// Subtraction borrows upwards only, so the lowest mark is always true.
#[inline(always)]
fn stops(word: u64) -> u64 {
    let quote = word ^ (LOW * b'"' as u64);
    let slash = word ^ (LOW * b'\\' as u64);
    let quote = quote.wrapping_sub(LOW) & !quote;
    let slash = slash.wrapping_sub(LOW) & !slash;
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (quote | slash | control) & HIGH
}

/// Skips a string whose opening quote is at `at`; answers the place behind the closing quote and
/// whether there were escapes.
#[inline(always)]
pub(super) fn string(text: &[u8], at: usize) -> Result<(usize, bool), Doubt> {
    let mut at = at + 1;
    let mut escaped = false;
    let mut words = 0;
    loop {
        at = match word(text, at) {
            Some(word) => match stops(word) {
                0 => {
                    at += 8;
                    words += 1;
                    if words == WORDS_FIRST {
                        at = long_plain(text, at);
                    }
                    continue;
                }
                marks => at + (marks.trailing_zeros() / 8) as usize,
            },
            None => tail_stop(text, at)?,
        };
        match byte(text, at) {
            b'"' => return Ok((at + 1, escaped)),
            b'\\' => at = escape(text, at)?,
            _ => return Err(Doubt::NotJson),
        }
        escaped = true;
        words = 0;
    }
}

/// Words of a string that are looked at one by one before the wider steps begin.
const WORDS_FIRST: u32 = 3;
/// Bytes of a wider step.
const WIDE: usize = 32;

/// The place of the first wide step from `at` on that holds a stop, or that the text has no room for.
fn long_plain(text: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<WIDE>) {
        // written so that the compiler makes vector instructions of it
        let stop =
            |byte: u8| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
        if chunk.iter().fold(0, |any, byte| any | stop(*byte)) != 0 {
            break;
        }
        at += WIDE;
    }
    at
}

/// The next stop in the last seven bytes of the text.
#[cold]
fn tail_stop(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let rest = text.get(at..).unwrap_or_default();
    let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    stop.map(|stop| at + stop).ok_or(Doubt::NotJson)
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
        fn the_word_at_a_time_stop_is_the_first_of_all(bytes in any::<[u8; 8]>()) {
            let plain = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            let marks = stops(u64::from_le_bytes(bytes));
            let first = (marks != 0).then(|| (marks.trailing_zeros() / 8) as usize);
            prop_assert_eq!(first, plain);
        }
    }
}
