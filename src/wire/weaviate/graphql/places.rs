//! Where a place of the GraphQL text is in the body that holds it as a JSON string.
//!
//! In: the string as written. Out: for an offset of the unescaped text, the offset in the body. The
//! string is walked through once; what is kept is one pair for each escape. Cost: `O(string)` to
//! make, `O(log escapes)` to ask.

use std::ops::Range;

/// The places of one JSON string.
#[derive(Debug)]
pub(super) struct Places {
    /// Where the inside of the string starts in the body.
    start: usize,
    /// Behind each escape: the offset in the text, and in the string as written.
    escapes: Vec<(usize, usize)>,
}

impl Places {
    /// `quoted` is the inside of a string whose escapes are known to be sound, `start` its place.
    pub(super) fn new(quoted: &str, start: usize) -> Self {
        let bytes = quoted.as_bytes();
        let mut escapes = Vec::new();
        let (mut text, mut raw) = (0, 0);
        while let Some(plain) = bytes.get(raw..).and_then(|rest| memchr::memchr(b'\\', rest)) {
            let (long, short) = escape(bytes.get(raw + plain..).unwrap_or_default());
            (text, raw) = (text + plain + short, raw + plain + long);
            escapes.push((text, raw));
        }
        Self { start, escapes }
    }

    /// The place in the body of an offset of the text.
    pub(super) fn at(&self, offset: usize) -> usize {
        let behind = self.escapes.partition_point(|(text, _)| *text <= offset);
        let last = behind.checked_sub(1).and_then(|last| self.escapes.get(last));
        let (text, raw) = last.copied().unwrap_or_default();
        self.start + raw + (offset - text)
    }

    /// The bytes of the body that a span of the text is; nothing where they hold escapes.
    pub(super) fn plain(&self, span: Range<usize>) -> Option<Range<usize>> {
        let place = self.at(span.start)..self.at(span.end);
        (place.len() == span.len()).then_some(place)
    }
}

/// How long the escape at the start of `raw` is, as written and as text.
fn escape(raw: &[u8]) -> (usize, usize) {
    if raw.get(1) != Some(&b'u') {
        return (2, 1);
    }
    let digits = raw.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok());
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0);
    match char::from_u32(code) {
        Some(character) => (6, character.len_utf8()),
        // half of a pair: the other half follows
        None => (12, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::text::unescape;

    #[test]
    fn every_character_is_found_where_it_is_written() {
        let quoted = r#"a\n\"é\u00e9\ud83e\udd55🥕\\5\u0031z"#;
        let text = unescape(quoted).unwrap();
        let body = format!("{{\"query\":\"{quoted}\"}}");
        let places = Places::new(quoted, 10);
        let written: Vec<&str> = text
            .char_indices()
            .map(|(at, c)| &body[places.at(at)..places.at(at + c.len_utf8())])
            .collect();
        let expected =
            ["a", r"\n", "\\\"", "é", r"\u00e9", r"\ud83e\udd55", "🥕", r"\\", "5", r"\u0031", "z"];
        assert_eq!(written, expected);
        let at = text.find('5').unwrap();
        assert_eq!(places.plain(at..at + 1).map(|span| &body[span]), Some("5"));
        assert_eq!(places.plain(at..at + 2), None, "an escaped digit");
        assert_eq!(places.plain(at + 1..at + 2), None, "an escaped digit");
    }
}
