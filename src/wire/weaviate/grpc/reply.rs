//! Finding the hits of a `SearchReply`: one pass, only what is wanted is read.
//!
//! In: a [`HitMap`], compiled once into a [`GrpcPlan`], and a plain body. Out: a [`Reply`] of one
//! list, whose hits are whole records of `results`, tag and length included. The pointers of the
//! map are read against this shape of a hit:
//!
//! ```text
//! {"id": …, "_additional": {"id": …, "score": …}, "properties": {"name": …}, "name": …}
//! ```
//!
//! Properties that nobody wants are passed by their length. Of several properties of one name the
//! last one counts, and a message in several pieces is one, as protobuf says.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::frame::{HEAD_BYTES, message};
use super::value::{self, Take, Value, follow};
use crate::wire::known::Memory;
use crate::wire::weaviate::protobuf::{Records, short_varint, utf8};
use crate::wire::{DecodeLimits, Doubt, HitList, HitMap, HitView, Pointer, Reply};

/// A map names eleven members; each leads to one property at most.
const NAMES_MAX: usize = 11;
const SLOTS: usize = 64;
/// Room made for hits ahead of reading them.
const HITS_AHEAD_MAX: usize = 256;
const HITS_AT: &str = "/results";
const UUID_BYTES: usize = 16;

/// A [`HitMap`], compiled for reading many replies.
#[derive(Clone, Debug)]
pub struct GrpcPlan {
    /// Members that are read of every hit: its key and its score.
    live: Vec<Member>,
    /// Members that say the same as long as their values are the same.
    kept: Vec<Member>,
    /// The places of those values.
    compared: Vec<usize>,
    /// Tells this map from others among the hits that are known.
    salt: u64,
    names: Vec<Box<str>>,
    /// Which names a property may have, by [`slot`]; most properties that nobody wants end here.
    slots: [u16; SLOTS],
}

#[derive(Clone, Debug)]
struct Member {
    source: Source,
    take: Take,
}

/// Where a member of a hit comes from.
#[derive(Clone, Debug)]
enum Source {
    /// The object's uuid.
    Id,
    /// The score, where one is said to be there.
    Score,
    /// A property, by its place among the names, and the way on below it.
    Property(usize, Vec<String>),
}

impl GrpcPlan {
    /// Compiles what the members of a hit are called. `map.at` is not followed: a reply has one
    /// list.
    pub fn new(map: &HitMap) -> Self {
        let live: [(Option<&Pointer>, Take); 3] = [
            (Some(&map.id), value::take_id),
            (map.id_or.as_ref(), value::take_id),
            (map.score.as_ref(), value::take_score),
        ];
        let kept: [(Option<&Pointer>, Take); 8] = [
            (map.name.as_ref(), value::take_name),
            (map.category.as_ref(), value::take_category),
            (map.brand.as_ref(), value::take_brand),
            (map.attributes.as_ref(), value::take_attributes),
            (map.terms.as_ref(), value::take_terms),
            (map.price.as_ref(), value::take_price),
            (map.stock.as_ref(), value::take_stock),
            (map.sponsored.as_ref(), value::take_sponsored),
        ];
        let mut plan = Self {
            live: Vec::new(),
            kept: Vec::new(),
            compared: Vec::new(),
            salt: xxh3_64(format!("grpc {map:?}").as_bytes()),
            names: Vec::new(),
            slots: [0; SLOTS],
        };
        plan.live = live.into_iter().filter_map(|member| plan.member(member)).collect();
        plan.kept = kept.into_iter().filter_map(|member| plan.member(member)).collect();
        let places = plan.kept.iter().filter_map(|member| match member.source {
            Source::Property(place, _) => Some(place),
            Source::Id | Source::Score => None,
        });
        plan.compared = places.collect();
        plan.compared.sort_unstable();
        plan.compared.dedup();
        plan
    }

    fn member(&mut self, (pointer, take): (Option<&Pointer>, Take)) -> Option<Member> {
        let source = self.source(&pointer?.0)?;
        Some(Member { source, take })
    }

    fn source(&mut self, path: &[String]) -> Option<Source> {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let (name, below) = match words.as_slice() {
            ["id"] | ["_additional", "id"] => return Some(Source::Id),
            ["_additional", "score"] => return Some(Source::Score),
            [] | ["_additional", ..] => return None,
            ["properties", name, ..] => (*name, 2),
            [name, ..] => (*name, 1),
        };
        let known = self.names.iter().position(|known| **known == *name);
        let place = known.unwrap_or(self.names.len());
        if known.is_none() {
            self.slots[slot(name.as_bytes())] |= 1 << place;
            self.names.push(name.into());
        }
        Some(Source::Property(place, path.get(below..)?.to_vec()))
    }

    /// Finds the hits of a plain body.
    ///
    /// # Errors
    /// The reason to leave the body alone: [`Doubt::NoHits`] also where the hits are in groups,
    /// [`Doubt::ConditionFailed`] where text was generated from the hits or their order.
    pub fn decode<'a>(
        &self,
        body: &'a [u8],
        limits: &DecodeLimits<'_>,
    ) -> Result<Reply<'a>, Doubt> {
        let mut memory = limits.known.and_then(|known| known.open(self.salt));
        let message = message(body)?;
        let mut hits = Vec::new();
        let mut records = Records::new(message);
        let mut at = 0;
        while let Some(record) = records.next() {
            let record = record?;
            match record.number {
                2 if hits.len() == limits.hits_max => return Err(Doubt::TooManyHits),
                2 => {
                    let span = span(HEAD_BYTES + at..HEAD_BYTES + records.at())?;
                    hits.push(HitView { span, ..HitView::default() });
                    if let Some(hit) = hits.last_mut() {
                        self.hit(record.bytes()?, hit, memory.as_mut())?;
                    }
                    if hits.len() == 1 {
                        let ahead = message.len() / record.raw.len().max(1);
                        hits.reserve(ahead.min(limits.hits_max).min(HITS_AHEAD_MAX));
                    }
                }
                1 => _ = record.float()?,
                3 | 5 if !record.bytes()?.is_empty() => return Err(Doubt::ConditionFailed),
                4 => return record.bytes().and(Err(Doubt::NoHits)),
                6 => _ = record.bytes()?,
                _ => {}
            }
            at = records.at();
        }
        if hits.is_empty() {
            return Err(Doubt::NoHits);
        }
        let list = HitList { at: HITS_AT.to_owned(), span: span(HEAD_BYTES..body.len())?, hits };
        Ok(Reply { lists: vec![list], skipped: Vec::new() })
    }

    /// Reads a `SearchResult`.
    #[inline]
    fn hit<'a>(
        &self,
        message: &'a [u8],
        hit: &mut HitView<'a>,
        memory: Option<&mut Memory<'_>>,
    ) -> Result<(), Doubt> {
        let mut found = Found::default();
        for record in Records::new(message) {
            let record = record?;
            match record.number {
                1 => self.properties(record.bytes()?, &mut found)?,
                2 => found.metadata(record.bytes()?)?,
                3 if !record.bytes()?.is_empty() => return Err(Doubt::ConditionFailed),
                _ => {}
            }
        }
        found.read(&self.live, hit)?;
        if hit.id.is_empty() {
            return Err(Doubt::MissingId);
        }
        let Some(memory) = memory else { return found.read(&self.kept, hit) };
        let values = || self.compared.iter().map(|place| found.value(*place));
        if let Err(place) = memory.recall_values(hit, values()) {
            found.read(&self.kept, hit)?;
            memory.keep_values(hit, place, values());
        }
        Ok(())
    }

    /// Reads a `PropertiesResult`.
    #[inline]
    fn properties<'a>(&self, message: &'a [u8], found: &mut Found<'a>) -> Result<(), Doubt> {
        for record in Records::new(message) {
            let record = record?;
            if record.number == 11 {
                self.entries(record.bytes()?, found)?;
            }
        }
        Ok(())
    }

    /// Reads a `Properties` message.
    #[inline]
    fn entries<'a>(&self, message: &'a [u8], found: &mut Found<'a>) -> Result<(), Doubt> {
        let mut rest = message;
        // nearly always there is nothing but entries of the usual form
        while let Some((key, value, after)) = usual_record(rest) {
            self.keep(key, value, found);
            rest = after;
        }
        for record in Records::new(rest) {
            let record = record?;
            if record.number == 1 {
                let (key, value) = entry(record.bytes()?)?;
                self.keep(key, value, found);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn keep<'a>(&self, key: &[u8], value: &'a [u8], found: &mut Found<'a>) {
        if let Some(place) = self.place(key)
            && let Some(found) = found.values.get_mut(place)
        {
            *found = value;
        }
    }

    /// The place of a property's name among the names.
    #[inline(always)]
    fn place(&self, key: &[u8]) -> Option<usize> {
        let mut left = self.slots[slot(key)];
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            if self.names.get(place).is_some_and(|name| name.as_bytes() == key) {
                return Some(place);
            }
            left &= left - 1;
        }
        None
    }
}

/// What was found of a hit.
#[derive(Default)]
struct Found<'a> {
    id: &'a [u8],
    id_as_bytes: &'a [u8],
    score: f32,
    score_present: bool,
    /// The last `Value` of each name of the plan; where there is none, an empty one, which says the
    /// same.
    values: [&'a [u8]; NAMES_MAX],
}

impl<'a> Found<'a> {
    fn value(&self, place: usize) -> &'a [u8] {
        self.values.get(place).copied().unwrap_or_default()
    }

    /// Reads some members.
    #[inline]
    fn read(&self, members: &[Member], hit: &mut HitView<'a>) -> Result<(), Doubt> {
        for Member { source, take } in members {
            match source {
                // a key that the hit has already is not read twice
                Source::Id if hit.id.is_empty() => take(hit, self.id()?)?,
                Source::Id => {}
                Source::Score => take(hit, self.score())?,
                Source::Property(place, path) => {
                    let value = self.value(*place);
                    match path.as_slice() {
                        _ if value.is_empty() => {}
                        [] => take(hit, Value::read(value)?)?,
                        path => follow(Value::read(value)?, path, &mut |value| take(hit, value))?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a `MetadataResult`.
    #[inline]
    fn metadata(&mut self, message: &'a [u8]) -> Result<(), Doubt> {
        for record in Records::new(message) {
            let record = record?;
            match record.number {
                1 => self.id = record.bytes()?,
                11 => self.score = record.float()?,
                12 => self.score_present = record.truth()?,
                16 if !record.bytes()?.is_empty() => return Err(Doubt::ConditionFailed),
                17 if record.truth()? => return Err(Doubt::ConditionFailed),
                20 => self.id_as_bytes = record.bytes()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn id(&self) -> Result<Value<'a>, Doubt> {
        if !self.id.is_empty() {
            return utf8(self.id).map(|id| Value::Text(id.into()));
        }
        Ok(match self.id_as_bytes.try_into() {
            Ok(bytes) => Value::Text(hyphenated(bytes).into()),
            Err(_) => Value::Absent,
        })
    }

    fn score(&self) -> Value<'a> {
        if self.score_present { Value::Number(f64::from(self.score)) } else { Value::Absent }
    }
}

/// Key and value of the entry of `Properties.fields` that starts here, and what follows it, where
/// the entry is as every encoder writes it.
#[inline(always)]
fn usual_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    if let Some(short) = short_record(bytes) {
        return Some(short);
    }
    let [0x0a, rest @ ..] = bytes else { return None };
    let (length, rest) = short_varint(rest)?;
    let (message, after) = rest.split_at_checked(length as usize)?;
    let (key, value) = usual_entry(message)?;
    Some((key, value, after))
}

/// The same of an entry of at most 127 bytes. Its two tags and the lengths behind them are looked at
/// as one number.
#[inline(always)]
fn short_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const HEAD: usize = 4;
    let head = u32::from_le_bytes(*bytes.first_chunk::<HEAD>()?);
    if head & 0x80ff_80ff != 0x000a_000a {
        return None;
    }
    let (length, key_end) = ((head >> 8 & 0x7f) as usize, HEAD + (head >> 24) as usize);
    let (entry, after) = bytes.split_at_checked(2 + length)?;
    let (head, rest) = entry.split_at_checked(key_end)?;
    let [0x12, length @ ..0x80, value @ ..] = rest else { return None };
    let usual = usize::from(*length) == value.len();
    usual.then_some((head.get(HEAD..)?, value, after))
}

/// What every encoder writes: the key, then the value, once each and nothing else.
#[inline(always)]
fn usual_entry(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, rest @ ..] = message else { return None };
    let (length, rest) = short_varint(rest)?;
    let (key, rest) = rest.split_at_checked(length as usize)?;
    let [0x12, rest @ ..] = rest else { return None };
    let (length, value) = short_varint(rest)?;
    (length as usize == value.len()).then_some((key, value))
}

/// Key and value of an entry of `Properties.fields`.
pub(super) fn entry(message: &[u8]) -> Result<(&[u8], &[u8]), Doubt> {
    match usual_entry(message) {
        Some(entry) => Ok(entry),
        None => unusual_entry(message),
    }
}

#[cold]
fn unusual_entry(message: &[u8]) -> Result<(&[u8], &[u8]), Doubt> {
    let (mut key, mut value): (&[u8], Option<&[u8]>) = (&[], None);
    for record in Records::new(message) {
        let record = record?;
        match record.number {
            1 => key = record.bytes()?,
            // two pieces of one value would have to be put together
            2 if value.is_some() => return Err(Doubt::DuplicateKey),
            2 => value = Some(record.bytes()?),
            _ => {}
        }
    }
    Ok((key, value.unwrap_or_default()))
}

/// The usual text of a uuid.
fn hyphenated(bytes: &[u8; UUID_BYTES]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut text = String::with_capacity(2 * UUID_BYTES + 4);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    text
}

/// A cheap hash of a property's name.
#[inline(always)]
fn slot(key: &[u8]) -> usize {
    let first = key.first().map_or(0, |first| usize::from(*first));
    (key.len() + 31 * first) % SLOTS
}

fn span(span: Range<usize>) -> Result<Range<u32>, Doubt> {
    match (u32::try_from(span.start), u32::try_from(span.end)) {
        (Ok(start), Ok(end)) => Ok(start..end),
        _ => Err(Doubt::TooLarge),
    }
}
