//! Bodies made from fuzz bytes: JSON that is nearly right is worth more than noise.
//!
//! Each byte chooses the next piece; values are nested as the bytes say. A second run of bytes
//! breaks the text here and there.

/// Scalars, the ones that make scanners stumble among them.
const SCALARS: [&str; 16] = [
    "0",
    "-0",
    "1.5e-7",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "\"caf\u{e9}\"",
    "\"\\ud83e\\udd55\"",
    "\"quote \\\" inside a long text\"",
    "\"back\\\\\"",
    "\"[{,:\"",
    "7",
    "\"\u{7f}\u{80}\"",
];
/// What is no scalar, or none that serde_json builds.
const BROKEN: [&str; 12] = [
    "-",
    "01",
    "1.",
    "nul",
    "NaN",
    "1e999",
    "\"\\ud800\"",
    "\"\\udc00x\"",
    "\"\\u12\"",
    "\"\\x\"",
    "\"tab\there\"",
    "\"open",
];
const KEYS: [&str; 10] =
    ["id", "hits", "name", "\\u0069d", "tags", "a", "", "price", "\\ud800", "order"];
/// Bytes that mean something where they stand, or must not stand anywhere.
const BREAKERS: &[u8] = b"{}[],:\"\\ \x00\x1f\xffu0e-";
const BLANKS: [&str; 6] = ["", "", "", " ", "\n    \t      ", "\r\n"];

/// Reads choices off fuzz bytes; zeros when they run out.
pub(crate) struct Choices<'b> {
    bytes: std::slice::Iter<'b, u8>,
}

impl<'b> Choices<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    pub(crate) fn next(&mut self) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or(0))
    }

    pub(crate) fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.next() % from.len()]
    }

    /// Appends a value nested up to `depth` levels.
    pub(crate) fn value(&mut self, depth: usize, out: &mut String) {
        out.push_str(self.pick(&BLANKS));
        match self.next() {
            choice if depth > 0 && choice % 3 == 0 => {
                self.between(['{', '}'], out, |choices, out| {
                    let (blank, key) = (choices.pick(&BLANKS), choices.pick(&KEYS));
                    out.push_str(&format!("{blank}\"{key}\"{blank}:"));
                    choices.value(depth - 1, out);
                });
            }
            choice if depth > 0 && choice % 3 == 1 => {
                self.between(['[', ']'], out, |choices, out| choices.value(depth - 1, out));
            }
            choice if choice > 250 => out.push_str(self.pick(&BROKEN)),
            _ => out.push_str(self.pick(&SCALARS)),
        }
        out.push_str(self.pick(&BLANKS));
    }

    fn between(
        &mut self,
        brackets: [char; 2],
        out: &mut String,
        mut one: impl FnMut(&mut Self, &mut String),
    ) {
        out.push(brackets[0]);
        for n in 0..self.next() % 5 {
            if n > 0 {
                out.push(',');
            }
            one(self, out);
        }
        out.push(brackets[1]);
    }

    /// Changes, removes or repeats a few bytes.
    pub(crate) fn damage(&mut self, text: &mut Vec<u8>) {
        for _ in 0..self.next() % 4 {
            if text.is_empty() {
                return;
            }
            let at = (self.next() << 8 | self.next()) % text.len();
            match self.next() % 4 {
                0 => text[at] = self.next() as u8,
                1 => drop(text.remove(at)),
                2 => text.insert(at, BREAKERS[self.next() % BREAKERS.len()]),
                _ => text.truncate(at),
            }
        }
    }
}
