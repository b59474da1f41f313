//! Reading a few values out of a JSON body without building it.
//!
//! In: a body. Out: [`Json`], a checked piece of its text, which answers for its kind, its text,
//! its members, and for what a [`Pointer`] leads to. Requests are read with it (who asks, for
//! what, in which order, events of a batch). Values are borrowed; only text with escapes is
//! copied. Each look-up passes over the text again: made for bodies that are read a few times.

use std::borrow::Cow;
use std::ops::Range;

use super::doubt::Doubt;
use super::pointer::Pointer;
use super::scan::Scan;
use super::text::unescape;
use super::trie::{Node, Visit, walk};

/// A JSON value, as its checked text in a body.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    text: &'a str,
    start: usize,
    /// Known to be a string without escapes.
    plain: bool,
}

/// Two values are equal when they are the same text in the same place.
impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.text, self.start) == (other.text, other.start)
    }
}

impl Eq for Json<'_> {}

/// What kind of value a [`Json`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// The text of a body: UTF-8 without byte order mark, small enough for 32-bit spans.
pub(super) fn text_of(body: &[u8]) -> Result<&str, Doubt> {
    if u32::try_from(body.len()).is_err() {
        return Err(Doubt::TooLarge);
    }
    if body.starts_with("\u{feff}".as_bytes()) {
        return Err(Doubt::ByteOrderMark);
    }
    simdutf8::basic::from_utf8(body).map_err(|_| Doubt::InvalidUtf8)
}

/// A short decimal such as a price, exactly: its digits and the power of ten by which they are
/// divided are whole numbers that a double holds, so that the one rounding of the division is the
/// right one (Clinger 1990). `None` for all other numbers.
fn decimal(text: &[u8]) -> Option<f64> {
    const TENS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
    if text.len() > DECIMAL_MAX {
        return None;
    }
    let (mut digits, mut behind, mut point) = (0_u64, 0, false);
    for byte in text {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                behind += usize::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    Some(digits as f64 / TENS.get(behind)?)
}

/// Longest text that [`decimal`] reads, in bytes: so many digits are below 2⁵³.
const DECIMAL_MAX: usize = 10;

impl<'a> Json<'a> {
    /// Checks that `body` is one JSON value with nothing but white space around it.
    ///
    /// # Errors
    /// The [`Doubt`] that says why it is not.
    pub fn parse(body: &'a [u8]) -> Result<Self, Doubt> {
        let mut scan = Scan::new(text_of(body)?);
        let start = scan.at();
        scan.skip()?;
        let value = Self::passed(&scan, start)?;
        scan.finish()?;
        Ok(value)
    }

    /// A piece of text that the scanner has passed.
    pub(super) fn within(text: &'a str, start: usize) -> Self {
        Self { text, start, plain: false }
    }

    /// The value from `start` on that the cursor has just passed.
    #[inline]
    pub(super) fn passed(scan: &Scan<'a>, start: usize) -> Result<Self, Doubt> {
        Ok(Self { text: scan.since(start)?, start, plain: scan.is_plain() })
    }

    /// The string, number or literal with which `rest` starts and behind which is `behind`, both ends
    /// of the cursor's text.
    #[inline(always)]
    pub(super) fn leaf(
        scan: &Scan<'a>,
        rest: &[u8],
        behind: &[u8],
        plain: bool,
    ) -> Result<Self, Doubt> {
        let (start, text) = scan.between(rest, behind)?;
        Ok(Self { text, start, plain })
    }

    /// The inside of a string that is known to have no escapes.
    #[inline(always)]
    pub(super) fn word(self) -> Option<&'a str> {
        if self.plain { self.text.get(1..self.text.len() - 1) } else { None }
    }

    /// The same value, whose text was scanned by itself, in the body around it.
    fn moved(self, offset: usize) -> Self {
        Self { start: offset + self.start, ..self }
    }

    /// The value as written.
    pub fn raw(self) -> &'a str {
        self.text
    }

    /// Where the value stands in the body, in bytes.
    pub fn span(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// What kind of value it is.
    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// A string's text, or a number or boolean as written; nothing for the other kinds.
    ///
    /// # Errors
    /// [`Doubt::LoneSurrogate`] when the string is no text.
    pub fn text(self) -> Result<Option<Cow<'a, str>>, Doubt> {
        match self.kind() {
            Kind::Text => {
                let quoted = self.text.get(1..self.text.len() - 1).ok_or(Doubt::NotJson)?;
                if self.plain {
                    Ok(Some(Cow::Borrowed(quoted)))
                } else {
                    unescape(quoted).map(Some)
                }
            }
            Kind::Number | Kind::Bool => Ok(Some(Cow::Borrowed(self.text))),
            Kind::Null | Kind::Array | Kind::Object => Ok(None),
        }
    }

    /// A number, or the number that a string holds; nothing if it is not finite.
    pub fn number(self) -> Option<f64> {
        let number: f64 = match self.kind() {
            Kind::Number => match decimal(self.text.as_bytes()) {
                Some(number) => number,
                None => self.text.parse().ok()?,
            },
            Kind::Text => self.text().ok()??.trim().parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// A boolean, a number (0 is false), or a string that says either.
    pub fn truth(self) -> Option<bool> {
        match self.kind() {
            Kind::Bool => Some(self.text == "true"),
            Kind::Text => match self.text().ok()??.trim() {
                word if word.eq_ignore_ascii_case("true") => Some(true),
                word if word.eq_ignore_ascii_case("false") => Some(false),
                _ => self.number().map(|number| number != 0.0),
            },
            _ => self.number().map(|number| number != 0.0),
        }
    }

    /// The value that `pointer` leads to; the first one where it holds a `*`.
    ///
    /// # Errors
    /// [`Doubt::DuplicateKey`] when a key on the way is there twice.
    pub fn get(self, pointer: &Pointer) -> Result<Option<Self>, Doubt> {
        match pointer.0.as_slice() {
            [name] if name != Pointer::ANY && self.kind() == Kind::Object => self.member(name),
            _ => self.all(pointer).map(|found| found.first().copied()),
        }
    }

    /// The member of this name: the common pointer, for which no trie is built.
    fn member(self, name: &str) -> Result<Option<Self>, Doubt> {
        let mut scan = Scan::new(self.text);
        let mut found = None;
        let mut more = scan.open(b'}')?;
        while more {
            let key = scan.key()?;
            let start = scan.at();
            scan.skip()?;
            let named = match key.escaped {
                true => unescape(key.text).is_ok_and(|key| key == name),
                false => key.text == name,
            };
            if named {
                let value = Self::passed(&scan, start)?.moved(self.start);
                if found.replace(value).is_some() {
                    return Err(Doubt::DuplicateKey);
                }
            }
            more = scan.more(b'}')?;
        }
        Ok(found)
    }

    /// Every value that `pointer` leads to, in the order of the text.
    ///
    /// # Errors
    /// [`Doubt::DuplicateKey`] when a key on the way is there twice.
    pub fn all(self, pointer: &Pointer) -> Result<Vec<Self>, Doubt> {
        let mut found = Found { start: self.start, values: Vec::new() };
        walk(&mut Scan::new(self.text), &Node::of(pointer, 1), &mut found)?;
        Ok(found.values)
    }

    /// The elements of an array; none for the other kinds.
    pub fn elements(self) -> Vec<Self> {
        let mut elements = Vec::new();
        if self.kind() == Kind::Array {
            let passed = self.each_element(|element| {
                elements.push(element);
                Ok(())
            });
            debug_assert!(passed.is_ok(), "the text of a value was checked when it was made");
        }
        elements
    }

    /// The members of an object in the order of the text, doubles included; none for other kinds.
    pub fn members(self) -> Vec<(Cow<'a, str>, Self)> {
        if self.kind() == Kind::Object {
            self.scan_members().unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    /// Calls `take` with each element of the array that this is.
    pub(super) fn each_element(
        self,
        mut take: impl FnMut(Self) -> Result<(), Doubt>,
    ) -> Result<(), Doubt> {
        let mut scan = Scan::new(self.text);
        let mut more = scan.open(b']')?;
        while more {
            let start = scan.at();
            scan.skip()?;
            take(Self::passed(&scan, start)?.moved(self.start))?;
            more = scan.more(b']')?;
        }
        Ok(())
    }

    fn scan_members(self) -> Result<Vec<(Cow<'a, str>, Self)>, Doubt> {
        let mut scan = Scan::new(self.text);
        let mut members = Vec::new();
        let mut more = scan.open(b'}')?;
        while more {
            let key = scan.key()?.text;
            let start = scan.at();
            scan.skip()?;
            let value = Self::passed(&scan, start)?.moved(self.start);
            members.push((unescape(key).unwrap_or(Cow::Borrowed(key)), value));
            more = scan.more(b'}')?;
        }
        Ok(members)
    }
}

/// Collects what a pointer leads to.
struct Found<'a> {
    start: usize,
    values: Vec<Json<'a>>,
}

impl<'a> Visit<'a> for Found<'a> {
    fn take(&mut self, _marks: u64, value: Json<'a>) {
        self.values.push(value.moved(self.start));
    }
}

/// The value that `pointer` leads to in `body`.
///
/// # Errors
/// When `body` is not JSON, or a key on the way is there twice.
pub fn lookup<'a>(body: &'a [u8], pointer: &Pointer) -> Result<Option<Json<'a>>, Doubt> {
    Json::parse(body)?.get(pointer)
}

/// The text, number or boolean that `pointer` leads to in `body`, as text; nothing in any doubt.
pub fn lookup_text<'a>(body: &'a [u8], pointer: &Pointer) -> Option<Cow<'a, str>> {
    lookup(body, pointer).ok()??.text().ok()?
}

/// The keys of the object that `body` is, doubles included.
///
/// # Errors
/// When `body` is not JSON. A body that is no object has no keys.
pub fn object_keys(body: &[u8]) -> Result<Vec<Cow<'_, str>>, Doubt> {
    Ok(Json::parse(body)?.members().into_iter().map(|(key, _)| key).collect())
}

/// The elements of every array that `pointer` leads to in `body`.
///
/// # Errors
/// When `body` is not JSON, or a key on the way is there twice.
pub fn elements<'a>(body: &'a [u8], pointer: &Pointer) -> Result<Vec<Json<'a>>, Doubt> {
    Ok(Json::parse(body)?.all(pointer)?.into_iter().flat_map(Json::elements).collect())
}

/// The values of a body with one JSON text a line (NDJSON); blank lines are passed over.
///
/// Each line stands for itself: a broken one is a doubt, and the next is read all the same.
pub fn lines(body: &[u8]) -> impl Iterator<Item = Result<Json<'_>, Doubt>> {
    let mut start = 0;
    body.split_inclusive(|byte| *byte == b'\n').filter_map(move |line| {
        let line_start = start;
        start += line.len();
        if line.trim_ascii().is_empty() {
            return None;
        }
        let json = Json::parse(line);
        Some(json.map(|json| json.moved(line_start)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn a_short_decimal_is_the_number_that_the_standard_library_reads(
            text in "(0|[1-9][0-9]{0,6})(\\.[0-9]{1,6})?([eE]-?[0-9])?",
        ) {
            let read = Json::parse(text.as_bytes()).unwrap().number();
            proptest::prop_assert_eq!(read, text.parse::<f64>().ok(), "{}", text);
            if let Some(decimal) = decimal(text.as_bytes()) {
                proptest::prop_assert_eq!(decimal.to_bits(), text.parse::<f64>().unwrap().to_bits());
            }
        }
    }

    #[test]
    fn identity_and_query_are_read_from_a_request_body() {
        let body = br#" {"query":"caf\u00e9 oat","user_id": 42,"limit":15,"ok":true,
            "no":null,"deep":{"a/b":["x",{"y":"z"}]}} "#;
        assert_eq!(lookup_text(body, &at("/query")).as_deref(), Some("café oat"));
        assert_eq!(lookup_text(body, &at("/user_id")).as_deref(), Some("42"));
        assert_eq!(lookup_text(body, &at("/ok")).as_deref(), Some("true"));
        assert_eq!(lookup_text(body, &at("/deep/a~1b/1/y")).as_deref(), Some("z"));
        for nothing in ["/no", "/none", "/deep", "/deep/a~1b/01", "/deep/a~1b/2", "/query/0", ""] {
            assert_eq!(lookup_text(body, &at(nothing)), None, "{nothing}");
        }
        let keys = object_keys(body).unwrap();
        assert_eq!(keys, ["query", "user_id", "limit", "ok", "no", "deep"]);
    }

    #[test]
    fn values_know_where_they_stand_in_the_body() {
        let body = br#"  {"items": [ {"sku":"a"}, {"sku":"b"} ]}"#;
        for item in elements(body, &at("/items")).unwrap() {
            assert_eq!(&body[item.span()], item.raw().as_bytes());
            let sku = item.get(&at("/sku")).unwrap().unwrap();
            assert_eq!(&body[sku.span()], sku.raw().as_bytes());
        }
        let skus = Json::parse(body).unwrap().all(&at("/items/*/sku")).unwrap();
        assert_eq!(skus.iter().map(|sku| sku.raw()).collect::<Vec<_>>(), ["\"a\"", "\"b\""]);
    }

    #[test]
    fn a_key_that_is_there_twice_is_a_doubt_only_on_the_way() {
        let body = br#"{"a":1,"b":{"c":1,"\u0063":2},"a":2}"#;
        assert_eq!(lookup(body, &at("/a")), Err(Doubt::DuplicateKey));
        assert_eq!(lookup(body, &at("/b/c")), Err(Doubt::DuplicateKey));
        assert_eq!(lookup(body, &at("/*")), Err(Doubt::DuplicateKey));
        assert_eq!(lookup(body, &at("/b")).unwrap().map(Json::kind), Some(Kind::Object));
    }

    #[test]
    fn numbers_and_truths_are_read_from_text_too() {
        let read = |text: &'static str| Json::parse(text.as_bytes()).unwrap();
        assert_eq!(read("1e2").number(), Some(100.0));
        assert_eq!(read("\" 12.50 \"").number(), Some(12.5));
        for none in ["1e999", "\"inf\"", "\"NaN\"", "\"cheap\"", "true", "null", "[1]"] {
            assert_eq!(read(none).number(), None, "{none}");
        }
        assert_eq!(read("\"TRUE\"").truth(), Some(true));
        assert_eq!(read("0").truth(), Some(false));
        assert_eq!(read("\"0\"").truth(), Some(false));
        assert_eq!(read("\"maybe\"").truth(), None);
    }

    #[test]
    fn a_broken_line_does_not_spoil_the_next() {
        let body = b"{\"a\":1}\r\n\n{\"a\":\n{\"a\":2}";
        let read: Vec<_> = lines(body).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[1], Err(Doubt::NotJson));
        let last = read[2].unwrap();
        assert_eq!(&body[last.span()], last.raw().as_bytes());
    }

    #[test]
    fn marks_and_broken_bytes_are_named() {
        assert_eq!(Json::parse(b"\xef\xbb\xbf{}"), Err(Doubt::ByteOrderMark));
        assert_eq!(Json::parse(b"{\"a\":\"\xff\"}"), Err(Doubt::InvalidUtf8));
        assert_eq!(Json::parse(b"{} {}"), Err(Doubt::NotJson));
        let lone = Json::parse(br#"{"a":"\ud800"}"#).unwrap();
        let value = lone.get(&at("/a")).unwrap().unwrap();
        assert_eq!(value.text(), Err(Doubt::LoneSurrogate));
    }
}
