//! A cursor over one JSON text that checks everything it passes.
//!
//! In: text that is known to be UTF-8. Out: the places where values start and end. The cursor
//! either descends step by step (`open`, `key`, `more`) or skips a whole value; both check
//! brackets, commas, colons, strings, numbers and literals, and both count depth. Skipping does
//! not recurse: which bracket closes what is kept as bits in one integer, whose width is the
//! depth limit.

use super::doubt::Doubt;
use super::token;

/// Arrays and objects may be nested this deeply, as in serde_json.
pub const DEPTH_MAX: u32 = 127;

/// The inside of a string, as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    /// Between the quotes.
    pub(super) text: &'a str,
    /// It holds escapes.
    pub(super) escaped: bool,
}

/// A cursor over JSON text.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    /// The value skipped last is a string without escapes.
    plain: bool,
}

impl<'a> Scan<'a> {
    /// Stands at the first value of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: token::space(text.as_bytes(), 0), depth: 0, plain: false }
    }

    /// Where the cursor stands.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes from the cursor to the end of the text.
    pub(super) fn left(&self) -> usize {
        self.text.len().saturating_sub(self.at)
    }

    /// The byte at the cursor; 0 at the end.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        token::byte(self.text.as_bytes(), self.at)
    }

    /// The text from `start` to the cursor.
    #[inline(always)]
    pub(super) fn since(&self, start: usize) -> Result<&'a str, Doubt> {
        self.text.get(start..self.at).ok_or(Doubt::NotJson)
    }

    /// Enters the array or object at the cursor; false when it is empty (and is left again).
    #[inline(always)]
    pub(super) fn open(&mut self, closing: u8) -> Result<bool, Doubt> {
        if self.depth >= DEPTH_MAX {
            return Err(Doubt::TooDeep);
        }
        self.step(1);
        if self.peek() == closing {
            self.at += 1;
            return Ok(false);
        }
        self.depth += 1;
        Ok(true)
    }

    /// Reads a key and its colon; the cursor then stands at the value.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<Quoted<'a>, Doubt> {
        if self.peek() != b'"' {
            return Err(Doubt::NotJson);
        }
        let (end, escaped) = token::string(self.text.as_bytes(), self.at)?;
        let text = self.text.get(self.at + 1..end - 1).ok_or(Doubt::NotJson)?;
        self.at = colon(self.text.as_bytes(), end)?;
        Ok(Quoted { text, escaped })
    }

    /// What is left from the cursor on.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Moves the cursor to where only `rest` is left.
    #[inline(always)]
    pub(super) fn go_on(&mut self, rest: &[u8]) {
        self.at = self.text.len().saturating_sub(rest.len());
    }

    /// The text from the cursor on.
    #[inline(always)]
    pub(super) fn ahead(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// All of the text up to the cursor.
    #[inline(always)]
    pub(super) fn passed(&self) -> &'a str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// What stands between two ends of the text, and where it starts.
    #[inline(always)]
    pub(super) fn between(&self, rest: &[u8], behind: &[u8]) -> Result<(usize, &'a str), Doubt> {
        let start = self.text.len().saturating_sub(rest.len());
        let end = self.text.len().saturating_sub(behind.len());
        Ok((start, self.text.get(start..end).ok_or(Doubt::NotJson)?))
    }

    /// Counts a bracket that was passed elsewhere.
    #[inline(always)]
    pub(super) fn deepen(&mut self) -> Result<(), Doubt> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Doubt::TooDeep) } else { Ok(()) }
    }

    /// Counts a closing bracket that was passed elsewhere.
    #[inline(always)]
    pub(super) fn rise(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Passes white space.
    #[inline(always)]
    pub(super) fn settle(&mut self) {
        self.step(0);
    }

    /// After a value: true when another follows, false when the array or object closes here.
    #[inline(always)]
    pub(super) fn more(&mut self, closing: u8) -> Result<bool, Doubt> {
        self.step(0);
        match self.peek() {
            b',' => {
                self.step(1);
                Ok(true)
            }
            byte if byte == closing => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => Err(Doubt::NotJson),
        }
    }

    /// Leaves the array or object if it closes at the cursor.
    #[inline(always)]
    pub(super) fn closes(&mut self, closing: u8) -> bool {
        let closes = self.peek() == closing;
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    /// Skips the value at the cursor.
    #[inline(always)]
    pub(super) fn skip(&mut self) -> Result<(), Doubt> {
        let bytes = self.text.as_bytes();
        self.plain = false;
        self.at = match token::byte(bytes, self.at) {
            b'"' => {
                let (end, escaped) = token::string(bytes, self.at)?;
                self.plain = !escaped;
                end
            }
            b'{' | b'[' => container(bytes, self.at, DEPTH_MAX - self.depth)?,
            _ => scalar(bytes, self.at)?,
        };
        Ok(())
    }

    /// Passes the string without escapes at the cursor, if there is one; answers its inside.
    #[inline(always)]
    pub(super) fn plain_string(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if token::byte(bytes, self.at) != b'"' {
            return None;
        }
        let end = token::plain(bytes, self.at + 1);
        if token::byte(bytes, end) != b'"' {
            return None;
        }
        let inside = self.text.get(self.at + 1..end)?;
        self.at = end + 1;
        Some(inside)
    }

    /// Whether the value skipped last is a string without escapes.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Checks that nothing but white space is left.
    pub(super) fn finish(&mut self) -> Result<(), Doubt> {
        self.step(0);
        if self.at == self.text.len() { Ok(()) } else { Err(Doubt::NotJson) }
    }

    #[inline(always)]
    fn step(&mut self, bytes: usize) {
        self.at = token::space(self.text.as_bytes(), self.at + bytes);
    }
}

/// Passes the colon behind a key; answers where the value starts.
#[inline(always)]
fn colon(text: &[u8], at: usize) -> Result<usize, Doubt> {
    let at = token::space(text, at);
    if token::byte(text, at) != b':' {
        return Err(Doubt::NotJson);
    }
    Ok(token::space(text, at + 1))
}

#[inline(always)]
fn scalar(text: &[u8], at: usize) -> Result<usize, Doubt> {
    match token::byte(text, at) {
        b'-' | b'0'..=b'9' => token::number(text, at),
        _ => token::literal(text, at),
    }
}

/// Skips the array or object at `at`, in which up to `room` levels may be nested.
fn container(text: &[u8], mut at: usize, room: u32) -> Result<usize, Doubt> {
    // one bit a level: 1 = object; the innermost is lowest
    let mut levels = 0_u128;
    let mut depth = 0_u32;
    loop {
        match token::byte(text, at) {
            b'"' => at = token::string(text, at)?.0,
            bracket @ (b'{' | b'[') => {
                if depth >= room {
                    return Err(Doubt::TooDeep);
                }
                let object = bracket == b'{';
                at = token::space(text, at + 1);
                if token::byte(text, at) == if object { b'}' } else { b']' } {
                    at += 1;
                } else {
                    depth += 1;
                    levels = levels << 1 | u128::from(object);
                    if object {
                        at = key(text, at)?;
                    }
                    continue;
                }
            }
            _ => at = scalar(text, at)?,
        }
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = token::space(text, at);
            match (token::byte(text, at), levels & 1 == 1) {
                (b',', true) => {
                    at = key(text, token::space(text, at + 1))?;
                    break;
                }
                (b',', false) => {
                    at = token::space(text, at + 1);
                    break;
                }
                (b'}', true) | (b']', false) => {
                    depth -= 1;
                    levels >>= 1;
                    at += 1;
                }
                _ => return Err(Doubt::NotJson),
            }
        }
    }
}

/// Skips a key and its colon.
#[inline(always)]
fn key(text: &[u8], at: usize) -> Result<usize, Doubt> {
    if token::byte(text, at) != b'"' {
        return Err(Doubt::NotJson);
    }
    colon(text, token::string(text, at)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Doubt> {
        let mut scan = Scan::new(text);
        scan.skip()?;
        scan.finish()
    }

    #[test]
    fn whole_texts_are_accepted_only_by_the_grammar() {
        for good in
            ["{}", " [ ] ", "[1,2 , {\"a\":[{}]}]\n", "null", "{\"a\":1,\"b\":[true,\"x\"]}"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            " ",
            "{",
            "[",
            "]",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1}",
            "{\"a\":1]",
            "[1 2]",
            "1 2",
            "tru",
            "nullx",
            "[truefalse]",
            "{}{}",
            "{\"a\":1}x",
            "[\u{a0}1]",
            "{1:2}",
            "[NaN]",
            "'a'",
        ] {
            assert_eq!(check(bad), Err(Doubt::NotJson), "{bad}");
        }
    }

    #[test]
    fn depth_ends_where_serde_json_ends() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(&nested(127)), Ok(()));
        assert_eq!(check(&nested(128)), Err(Doubt::TooDeep));
        assert!(serde_json::from_str::<serde_json::Value>(&nested(127)).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&nested(128)).is_err());
        assert_eq!(check(&"[".repeat(1_000_000)), Err(Doubt::TooDeep));
    }
}
