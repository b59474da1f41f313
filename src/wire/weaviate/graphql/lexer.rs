//! GraphQL text into tokens, as its specification (October 2021, section 2.1) says.
//!
//! In: text. Out: one token after the other, each borrowed from the text, with its place. White
//! space, line ends, commas, comments and byte order marks are passed over. Stricter than some
//! servers where they are lax: a number that a name follows without a blank, and the `\u{…}` of
//! later drafts, are refused, since what is read in two ways must not decide anything.

use std::borrow::Cow;

use crate::wire::doubt::Doubt;
use crate::wire::text::unescape;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Mark(u8),
    /// `...`
    Spread,
    /// A name, keywords among them.
    Name,
    /// A number without point and exponent.
    Int,
    /// Any other number.
    Float,
    /// A string in quotes.
    Text,
    /// A string in three quotes.
    Block,
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As written, quotes included.
    pub(super) text: &'a str,
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// A cursor over GraphQL text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token; the end again and again when there is none.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Doubt> {
        let bytes = self.text.as_bytes();
        self.at = ignored(bytes, self.at);
        let start = self.at;
        let (kind, end) = match byte(bytes, start) {
            0 if start == bytes.len() => (Kind::End, start),
            mark @ (b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{'
            | b'|' | b'}') => (Kind::Mark(mark), start + 1),
            b'.' if bytes.get(start..start + 3) == Some(b"...") => (Kind::Spread, start + 3),
            b'"' if bytes.get(start..start + 3) == Some(b"\"\"\"") => {
                (Kind::Block, block(bytes, start)?)
            }
            b'"' => (Kind::Text, string(bytes, start)?),
            b'-' | b'0'..=b'9' => number(bytes, start)?,
            first if starts_name(first) => (Kind::Name, name(bytes, start)),
            _ => return Err(Doubt::NotGraphql),
        };
        self.at = end;
        let text = self.text.get(start..end).ok_or(Doubt::NotGraphql)?;
        Ok(Token { kind, text, start })
    }
}

/// The byte at `at`, or 0 at the end: no token starts with it.
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Whether `text` is a name as the grammar has it.
pub(super) fn is_name(text: &str) -> bool {
    starts_name(byte(text.as_bytes(), 0)) && name(text.as_bytes(), 0) == text.len()
}

/// Passes over what stands between tokens.
fn ignored(text: &[u8], mut at: usize) -> usize {
    loop {
        at = match byte(text, at) {
            b' ' | b',' | b'\n' | b'\r' | b'\t' => at + 1,
            b'#' => {
                let rest = text.get(at..).unwrap_or_default();
                at + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
            }
            0xef if text.get(at..at + 3) == Some("\u{feff}".as_bytes()) => at + 3,
            _ => return at,
        };
    }
}

/// The end of the run of bytes from `start` on that are as `is` says.
#[inline(always)]
fn run(text: &[u8], start: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len())
}

fn name(text: &[u8], start: usize) -> usize {
    run(text, start, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn number(text: &[u8], start: usize) -> Result<(Kind, usize), Doubt> {
    let whole = start + usize::from(byte(text, start) == b'-');
    let mut end = digits(text, whole)?;
    if byte(text, whole) == b'0' && end != whole + 1 {
        return Err(Doubt::NotGraphql);
    }
    let mut kind = Kind::Int;
    if byte(text, end) == b'.' {
        (kind, end) = (Kind::Float, digits(text, end + 1)?);
    }
    if matches!(byte(text, end), b'e' | b'E') {
        let sign = usize::from(matches!(byte(text, end + 1), b'+' | b'-'));
        (kind, end) = (Kind::Float, digits(text, end + 1 + sign)?);
    }
    let next = byte(text, end);
    if starts_name(next) || next == b'.' { Err(Doubt::NotGraphql) } else { Ok((kind, end)) }
}

/// Passes over digits, of which there must be one.
fn digits(text: &[u8], start: usize) -> Result<usize, Doubt> {
    let end = run(text, start, |byte| byte.is_ascii_digit());
    if end == start { Err(Doubt::NotGraphql) } else { Ok(end) }
}

/// The end of the string whose quote is at `start`.
fn string(text: &[u8], start: usize) -> Result<usize, Doubt> {
    let mut at = start + 1;
    loop {
        at += match (byte(text, at), byte(text, at + 1)) {
            (b'"', _) => return Ok(at + 1),
            (b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            (b'\\', b'u') => match text.get(at + 2..at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => 6,
                _ => return Err(Doubt::NotGraphql),
            },
            (b'\\', _) => return Err(Doubt::NotGraphql),
            (plain, _) if is_plain(plain) => {
                let quote = |byte| byte == b'"' || byte == b'\\';
                run(text, at, |byte| is_plain(byte) && !quote(byte)) - at
            }
            _ => return Err(Doubt::NotGraphql),
        };
    }
}

fn is_plain(byte: u8) -> bool {
    byte >= b' ' || byte == b'\t'
}

/// The end of the string whose three quotes are at `start`.
fn block(text: &[u8], start: usize) -> Result<usize, Doubt> {
    let mut at = start + 3;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += match rest {
            [b'"', b'"', b'"', ..] => return Ok(at + 3),
            [b'\\', b'"', b'"', b'"', ..] => 4,
            [b'\n' | b'\r', ..] => 1,
            [plain, ..] if is_plain(*plain) => 1,
            _ => return Err(Doubt::NotGraphql),
        };
    }
}

/// What a string in quotes says.
///
/// # Errors
/// [`Doubt::LoneSurrogate`] when it is no text.
pub(super) fn text_value(quoted: &str) -> Result<Cow<'_, str>, Doubt> {
    let inside = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    // GraphQL's escapes are JSON's
    unescape(inside.ok_or(Doubt::NotGraphql)?)
}

/// What a string in three quotes says: blank lines around it and its common indentation go.
pub(super) fn block_value(quoted: &str) -> String {
    let inside = quoted.strip_prefix("\"\"\"").and_then(|text| text.strip_suffix("\"\"\""));
    let inside = inside.unwrap_or_default();
    let lines = inside.replace("\r\n", "\n").replace('\r', "\n").replace("\\\"\"\"", "\"\"\"");
    let lines: Vec<&str> = lines.split('\n').collect();
    let is_blank = |line: &&str| line.trim_matches([' ', '\t']).is_empty();
    let depth = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let indent = lines.iter().skip(1).filter(|line| !is_blank(line)).map(depth).min().unwrap_or(0);
    let first = lines.iter().position(|line| !is_blank(line)).unwrap_or(lines.len());
    let last = lines.iter().rposition(|line| !is_blank(line)).map_or(first, |last| last + 1);
    let mut out = String::with_capacity(inside.len());
    for (number, line) in lines.iter().enumerate().take(last).skip(first) {
        if number > first {
            out.push('\n');
        }
        out.push_str(if number == 0 { line } else { line.get(indent..).unwrap_or("") });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Result<Vec<(Kind, &str)>, Doubt> {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            let token = lexer.next()?;
            assert_eq!(&text[token.start..token.end()], token.text);
            if token.kind == Kind::End {
                return Ok(out);
            }
            out.push((token.kind, token.text));
        }
    }

    #[test]
    fn what_stands_between_tokens_is_passed_over() {
        let text = "\u{feff} # limit: 3 \"\"\"\r,,{\t\u{feff}a # end";
        assert_eq!(kinds(text).unwrap(), [(Kind::Mark(b'{'), "{"), (Kind::Name, "a")]);
        assert_eq!(kinds("").unwrap(), []);
    }

    #[test]
    fn every_token_is_told_from_the_others() {
        let text = r#"{}()[]!$&:=@|...on _a1 0 -12 1.5 -1e9 "a\"b" "" """c"d""""#;
        let marks = "{}()[]!$&:=@|".bytes().map(Kind::Mark);
        let rest = [
            Kind::Spread,
            Kind::Name,
            Kind::Name,
            Kind::Int,
            Kind::Int,
            Kind::Float,
            Kind::Float,
            Kind::Text,
            Kind::Text,
            Kind::Block,
        ];
        let read: Vec<_> = kinds(text).unwrap().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(read, marks.chain(rest).collect::<Vec<_>>());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for bad in [
            "..",
            ".",
            "01",
            "-",
            "-a",
            "1.",
            "1.e2",
            "1e",
            "5name",
            "1.2.3",
            "0x1",
            "\"a",
            "\"a\nb\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u{61}\"",
            "\"\u{1}\"",
            "\"\"\"a",
            "\"\"\"a\\\"\"\"",
            "é",
            "%",
            "\u{0}",
            "a\u{b}",
            "?",
            ";",
            "~",
            "'a'",
            "<",
            "\u{a0}",
        ] {
            assert_eq!(kinds(bad), Err(Doubt::NotGraphql), "{bad:?}");
        }
    }

    #[test]
    fn strings_say_what_their_escapes_name() {
        assert_eq!(text_value(r#""caf\u00e9 \"x\"\n""#).unwrap(), "café \"x\"\n");
        assert_eq!(text_value("\"\"").unwrap(), "");
        assert_eq!(text_value(r#""\ud800""#), Err(Doubt::LoneSurrogate));
    }

    #[test]
    fn block_strings_lose_their_indentation_and_blank_ends() {
        let text = "\"\"\"\n\n    Hello,\n      World!\n\n    Yours,\r\n    GraphQL.\n  \n\"\"\"";
        assert_eq!(block_value(text), "Hello,\n  World!\n\nYours,\nGraphQL.");
        assert_eq!(block_value("\"\"\"  a\n   b \"\"\""), "  a\nb ");
        assert_eq!(block_value("\"\"\"say \\\"\"\"so\\\"\"\" \\n\"\"\""), "say \"\"\"so\"\"\" \\n");
        for empty in ["\"\"\"\"\"\"", "\"\"\" \n \"\"\"", "", "\"\"\""] {
            assert_eq!(block_value(empty), "", "{empty:?}");
        }
    }
}
