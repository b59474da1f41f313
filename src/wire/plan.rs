//! Finding the hits of a reply: one pass over the body, nothing built that is not asked for.
//!
//! In: a [`HitMap`] and conditions, compiled once into a [`HitPlan`], and a body. Out: a [`Reply`]
//! with every list of hits that may be re-ordered, or the [`Doubt`] that forbids to touch the body.
//! The whole body is checked on the way. A list with a hit of which we are unsure is left out,
//! with its reason; the other lists stay usable. Cost: `O(body)`, 100 hits of 650 bytes in some
//! 40 µs.

use std::fmt::Write as _;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::doubt::Doubt;
use super::hit::{HitView, Reading, fields_of};
use super::json::{Json, Kind, text_of};
use super::known::{KnownHits, Memory};
use super::map::{Condition, Expected, HitMap};
use super::pointer::Segment;
use super::scan::Scan;
use super::text::unescape;
use super::trie::{Node, Shape, Step, Visit, walk, walk_alike};

/// The mark of the array of hits; conditions use the bits below.
const LIST: u64 = 1 << 63;
/// Conditions that are read in the same pass; more are looked up one by one.
const CONDITIONS_IN_PASS_MAX: usize = 32;
/// Room made for hits ahead of reading them.
const HITS_AHEAD_MAX: usize = 256;

/// How much is read of one body.
#[derive(Clone, Copy, Debug)]
pub struct DecodeLimits<'k> {
    /// Hits in one list; a list with more is left alone.
    pub hits_max: usize,
    /// Hits that need not be read, as they were before.
    pub known: Option<&'k KnownHits>,
}

impl Default for DecodeLimits<'_> {
    /// Shops page by tens; a thousand covers the largest pages that are still looked at.
    fn default() -> Self {
        Self { hits_max: 1_000, known: None }
    }
}

impl<'k> DecodeLimits<'k> {
    /// The usual ones, and what is known need not be read.
    pub fn knowing(known: &'k KnownHits) -> Self {
        Self { known: Some(known), ..Self::default() }
    }
}

/// A [`HitMap`] and conditions, compiled for reading many bodies.
#[derive(Clone, Debug)]
pub struct HitPlan {
    reply: Node,
    hit: Node,
    in_pass: Vec<Condition>,
    /// Conditions with `*` or inside the list: looked up when everything else holds.
    looked_up: Vec<Condition>,
    /// Tells this map from others among the hits that are known.
    salt: u64,
}

/// What was found in a body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply<'a> {
    /// The lists, in the order of the body; each has hits.
    pub lists: Vec<HitList<'a>>,
    /// Lists that must be left alone.
    pub skipped: Vec<SkippedList>,
}

/// A list of hits.
#[derive(Clone, Debug, PartialEq)]
pub struct HitList<'a> {
    /// Where the array is, as a JSON Pointer without `*`.
    pub at: String,
    /// The array's bytes in the body, brackets included.
    pub span: Range<u32>,
    /// Its hits, in the upstream's order.
    pub hits: Vec<HitView<'a>>,
}

/// A list that must be left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedList {
    /// Where the array is, as a JSON Pointer without `*`.
    pub at: String,
    /// Why.
    pub doubt: Doubt,
}

impl HitPlan {
    /// Compiles where hits are, what they are called, and what must hold beside them.
    pub fn new(map: &HitMap, only_if: &[Condition]) -> Self {
        let (simple, mut looked_up): (Vec<_>, Vec<_>) = only_if
            .iter()
            .cloned()
            .partition(|condition| !condition.at.is_plural() && !condition.at.is_within(&map.at));
        let mut in_pass = simple;
        looked_up.extend(in_pass.split_off(in_pass.len().min(CONDITIONS_IN_PASS_MAX)));
        let mut reply = Node::of(&map.at, LIST);
        for (bit, condition) in in_pass.iter().enumerate() {
            reply.add(&condition.at.0, 1 << bit);
        }
        let salt = xxh3_64(format!("{map:?}").as_bytes());
        Self { reply, hit: fields_of(map), in_pass, looked_up, salt }
    }

    /// Finds the hits of `body`.
    ///
    /// # Errors
    /// The reason to leave the whole body alone. When no list is usable, that is the reason of the
    /// first list, or [`Doubt::NoHits`].
    pub fn decode<'a>(
        &self,
        body: &'a [u8],
        limits: &DecodeLimits<'_>,
    ) -> Result<Reply<'a>, Doubt> {
        let mut scan = Scan::new(text_of(body)?);
        let mut decoding = Decoding {
            plan: self,
            limits,
            path: Vec::new(),
            reply: Reply::default(),
            found: vec![None; self.in_pass.len()],
        };
        walk(&mut scan, &self.reply, &mut decoding)?;
        scan.finish()?;
        let Decoding { reply, found, .. } = decoding;
        if reply.lists.is_empty() {
            return Err(reply.skipped.first().map_or(Doubt::NoHits, |list| list.doubt));
        }
        if !self.in_pass.iter().zip(found).all(|(condition, value)| condition.is.holds(value)) {
            return Err(Doubt::ConditionFailed);
        }
        for condition in &self.looked_up {
            let values = Json::parse(body)?.all(&condition.at)?;
            let absent = values.is_empty() && !condition.is.holds(None);
            if absent || !values.into_iter().all(|value| condition.is.holds(Some(value))) {
                return Err(Doubt::ConditionFailed);
            }
        }
        Ok(reply)
    }

    /// Reads what one value says of a product: an event's line, a product page's reply.
    ///
    /// `map.at` is not followed; the id is empty when the value names none.
    ///
    /// # Errors
    /// [`Doubt::DuplicateKey`] or [`Doubt::LoneSurrogate`] in a mapped member.
    pub fn read<'a>(&self, value: Json<'a>) -> Result<HitView<'a>, Doubt> {
        let mut hit = HitView { span: span(value.span())?, raw: value.raw(), ..HitView::default() };
        let mut reading = Reading::of(&mut hit);
        walk(&mut Scan::new(value.raw()), &self.hit, &mut reading)?;
        reading.done("").map_or(Ok(hit), Err)
    }
}

/// Finds the hits of `body`, for callers that read one body only; see [`HitPlan::decode`].
///
/// # Errors
/// The reason to leave the whole body alone.
pub fn decode<'a>(
    body: &'a [u8],
    map: &HitMap,
    only_if: &[Condition],
    limits: &DecodeLimits<'_>,
) -> Result<Reply<'a>, Doubt> {
    HitPlan::new(map, only_if).decode(body, limits)
}

/// A body while it is read.
struct Decoding<'p, 'a> {
    plan: &'p HitPlan,
    limits: &'p DecodeLimits<'p>,
    path: Vec<Step<'a>>,
    reply: Reply<'a>,
    found: Vec<Option<Json<'a>>>,
}

impl<'a> Visit<'a> for Decoding<'_, 'a> {
    fn enter(&mut self, marks: u64, _: bool, scan: &mut Scan<'a>) -> Result<bool, Doubt> {
        if marks & LIST == 0 || scan.peek() != b'[' {
            return Ok(false);
        }
        self.list(scan)?;
        Ok(true)
    }

    fn take(&mut self, marks: u64, value: Json<'a>) {
        for (bit, found) in self.found.iter_mut().enumerate() {
            if marks & (1 << bit) != 0 {
                *found = Some(value);
            }
        }
    }

    fn down(&mut self, step: Step<'a>) {
        self.path.push(step);
    }

    fn up(&mut self) {
        self.path.pop();
    }
}

impl<'p, 'a> Decoding<'p, 'a> {
    /// Reads the array at the cursor; after the first doubt its rest is only checked.
    fn list(&mut self, scan: &mut Scan<'a>) -> Result<(), Doubt> {
        let start = scan.at();
        let mut hits = Vec::new();
        let mut doubt = None;
        let mut shape = Shape::default();
        let mut memory = self.limits.known.and_then(|known| known.open(self.plan.salt));
        let mut more = scan.open(b']')?;
        while more {
            if doubt.is_some() {
                scan.skip()?;
            } else if hits.len() == self.limits.hits_max {
                doubt = Some(Doubt::TooManyHits);
                scan.skip()?;
            } else {
                hits.push(HitView::default());
                if let Some(hit) = hits.last_mut() {
                    doubt = self.hit(scan, hit, &mut shape, memory.as_mut())?;
                }
                if hits.len() == 1 {
                    hits.reserve(self.hits_ahead(scan, scan.at() - start));
                }
            }
            more = scan.more(b']')?;
        }
        if let Some(doubt) = doubt {
            self.reply.skipped.push(SkippedList { at: self.at(), doubt });
        } else if !hits.is_empty() {
            let span = span(start..scan.at())?;
            self.reply.lists.push(HitList { at: self.at(), span, hits });
        }
        Ok(())
    }

    /// Reads the hit at the cursor; answers what forbids to touch its list.
    fn hit(
        &self,
        scan: &mut Scan<'a>,
        hit: &mut HitView<'a>,
        shape: &mut Shape<'p, 'a>,
        memory: Option<&mut Memory<'_>>,
    ) -> Result<Option<Doubt>, Doubt> {
        let start = scan.at();
        let mut reading = Reading::knowing(hit, memory);
        walk_alike(scan, &self.plan.hit, &mut reading, shape)?;
        let doubt = reading.done(scan.passed());
        hit.span = span(start..scan.at())?;
        hit.raw = scan.since(start)?;
        Ok(doubt.or_else(|| hit.id.is_empty().then_some(Doubt::MissingId)))
    }

    /// How many hits as large as the first the rest of the body may hold.
    fn hits_ahead(&self, scan: &Scan<'a>, hit_bytes: usize) -> usize {
        (scan.left() / hit_bytes.max(1) + 1).min(self.limits.hits_max).min(HITS_AHEAD_MAX)
    }

    /// The path to the cursor as pointer text.
    fn at(&self) -> String {
        let mut text = String::new();
        for step in &self.path {
            let written = match step {
                Step::Key(key) => match unescape(key.text) {
                    Ok(key) => write!(text, "/{}", Segment(&key)),
                    Err(_) => write!(text, "/{}", Segment(key.text)),
                },
                Step::Index(index) => write!(text, "/{index}"),
            };
            debug_assert!(written.is_ok(), "writing to a String does not fail");
        }
        text
    }
}

fn span(span: Range<usize>) -> Result<Range<u32>, Doubt> {
    match (u32::try_from(span.start), u32::try_from(span.end)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(Doubt::TooLarge),
    }
}

impl Expected {
    /// Whether `value`, or its absence, is what is asked for. Numbers compare by value.
    pub fn holds(&self, value: Option<Json<'_>>) -> bool {
        use serde_json::Value;
        let (expected, value) = match (self, value) {
            (Self::Null | Self::Value(Value::Null), value) => {
                return value.is_none_or(Json::is_null);
            }
            (Self::Value(_), None) => return false,
            (Self::Value(expected), Some(value)) => (expected, value),
        };
        match expected {
            Value::Bool(expected) => value.kind() == Kind::Bool && value.truth() == Some(*expected),
            Value::String(expected) => {
                value.kind() == Kind::Text && value.text() == Ok(Some(expected.as_str().into()))
            }
            Value::Number(expected) => {
                value.kind() == Kind::Number && value.number() == expected.as_f64()
            }
            composed => serde_json::from_str::<Value>(value.raw()).is_ok_and(|v| v == *composed),
        }
    }
}

#[cfg(test)]
mod tests;
