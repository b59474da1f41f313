//! What a `SearchRequest` asks, and the same request for another page.
//!
//! In: the bytes of the message. Out: a [`GrpcAsk`], or the message with `limit` and `offset`
//! replaced and every other byte as it was. As protobuf says, the last of several scalars counts
//! and the pieces of a message that comes in several are one.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::wire::Doubt;
use crate::wire::weaviate::protobuf::{Record, Records, put_bytes, put_number};
use crate::wire::weaviate::{ListAsk, Operator};

const PROPERTIES: u32 = 20;
const LIMIT: u32 = 30;
const OFFSET: u32 = 31;
/// Room made for names of properties.
const NAMES_AHEAD: usize = 16;

/// What a search asks of the one list of its reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcAsk {
    /// What was searched for, and everything that decides whether the list may be touched.
    pub list: ListAsk,
    /// `metadata.score` was asked for.
    pub score: bool,
    /// The properties that were asked for by name; `None` where all come: no `properties` at all,
    /// or the wish for all.
    pub properties: Option<Vec<String>>,
}

/// Reads a `SearchRequest`.
///
/// # Errors
/// [`Doubt::NotProtobuf`]; [`Doubt::InvalidUtf8`] in a text that is read.
pub fn request(message: &[u8]) -> Result<GrpcAsk, Doubt> {
    let mut reading = Reading::default();
    let mut fingerprint = 0;
    for record in Records::new(message) {
        let record = record?;
        if !matches!(record.number, LIMIT | OFFSET) {
            fingerprint = xxh3_64_with_seed(record.raw, fingerprint);
        }
        reading.field(&record)?;
    }
    let Reading { mut ask, words, concepts, several, named, .. } = reading;
    ask.list.unclear |= several;
    ask.list.fingerprint = fingerprint;
    ask.list.query = match ask.list.operator {
        Some(Operator::Hybrid | Operator::Bm25) => words,
        Some(Operator::NearText) => concepts.join(" "),
        _ => String::new(),
    };
    ask.properties = named.filter(|_| !reading.all);
    Ok(ask)
}

/// The same request for `limit` hits from `offset` on; 0 is left out. The numbers stand where they
/// stood, each time they did; one that was not there is put at the end.
///
/// # Errors
/// [`Doubt::NotProtobuf`].
pub fn with_window(message: &[u8], limit: u32, offset: u32) -> Result<Vec<u8>, Doubt> {
    let mut out = Vec::with_capacity(message.len() + 16);
    let (mut has_limit, mut has_offset) = (false, false);
    for record in Records::new(message) {
        let record = record?;
        let (has, value) = match record.number {
            LIMIT => (&mut has_limit, limit),
            OFFSET => (&mut has_offset, offset),
            _ => {
                out.extend_from_slice(record.raw);
                continue;
            }
        };
        record.varint()?;
        *has = true;
        put_set(&mut out, record.number, value);
    }
    if !has_limit {
        put_set(&mut out, LIMIT, limit);
    }
    if !has_offset {
        put_set(&mut out, OFFSET, offset);
    }
    Ok(out)
}

/// The same request for more properties. A message in two pieces is one, as protobuf says, so the
/// names stand at the end. Not for a request that gets all properties anyway.
pub fn with_properties(message: &[u8], names: &[String]) -> Vec<u8> {
    let mut wanted = Vec::new();
    for name in names {
        put_bytes(&mut wanted, 1, name.as_bytes());
    }
    let mut out = message.to_vec();
    put_bytes(&mut out, PROPERTIES, &wanted);
    out
}

fn put_set(out: &mut Vec<u8>, number: u32, value: u32) {
    if value > 0 {
        put_number(out, number, u64::from(value));
    }
}

/// A request while it is read.
#[derive(Default)]
struct Reading {
    ask: GrpcAsk,
    /// Which of the fields of operators is the one that counts so far.
    operator: Option<u32>,
    /// There are several operators: which one counts is the server's to know.
    several: bool,
    /// The query of `hybrid_search` or `bm25_search`.
    words: String,
    /// The queries of `near_text`.
    concepts: Vec<String>,
    named: Option<Vec<String>>,
    all: bool,
}

impl Reading {
    fn field(&mut self, record: &Record<'_>) -> Result<(), Doubt> {
        let list = &mut self.ask.list;
        match record.number {
            1 => record.text()?.clone_into(&mut list.collection),
            10 => list.tenant = Some(record.text()?.to_owned()).filter(|name| !name.is_empty()),
            20 => self.properties(record.bytes()?)?,
            21 => self.metadata(record.bytes()?)?,
            22 => list.group_by = record.bytes().map(|_| true)?,
            LIMIT => list.limit = Some(record.varint()? as u32).filter(|limit| *limit > 0),
            OFFSET => list.offset = record.varint()? as u32,
            32 => list.autocut = record.varint()? as u32 > 0,
            33 => list.after = !record.text()?.is_empty(),
            34 => list.sort = record.bytes().map(|_| true)?,
            41..=51 => self.operator(record.number, record.bytes()?)?,
            60 => list.generative = record.bytes().map(|_| true)?,
            61 => list.rerank = record.bytes().map(|_| true)?,
            62 => list.boost = record.bytes().map(|_| true)?,
            _ => {}
        }
        Ok(())
    }

    fn operator(&mut self, number: u32, message: &[u8]) -> Result<(), Doubt> {
        self.several |= self.operator.is_some_and(|other| other != number);
        let counts = self.operator.is_none_or(|other| number <= other);
        if counts {
            if self.operator != Some(number) {
                self.words.clear();
            }
            self.operator = Some(number);
            self.ask.list.operator = Some(match number {
                41 => Operator::Hybrid,
                42 => Operator::Bm25,
                43 => Operator::NearVector,
                44 => Operator::NearObject,
                45 => Operator::NearText,
                _ => Operator::NearMedia,
            });
        }
        match number {
            41 => self.hybrid(message),
            42 => self.bm25(message, counts),
            _ => self.near(number, message),
        }
    }

    fn hybrid(&mut self, message: &[u8]) -> Result<(), Doubt> {
        for record in Records::new(message) {
            let record = record?;
            match record.number {
                1 => record.text()?.clone_into(&mut self.words),
                // the searches within decide about cutting and choosing as much as their own would
                8 => self.bounds(8, record.bytes()?)?,
                9 => self.bounds(10, record.bytes()?)?,
                14 => self.ask.list.selection = record.bytes().map(|_| true)?,
                20 => self.ask.list.threshold = record.float().map(|_| true)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn bm25(&mut self, message: &[u8], counts: bool) -> Result<(), Doubt> {
        for record in Records::new(message) {
            let record = record?;
            if record.number == 1 {
                let words = record.text()?;
                if counts {
                    words.clone_into(&mut self.words);
                }
            }
        }
        Ok(())
    }

    fn near(&mut self, number: u32, message: &[u8]) -> Result<(), Doubt> {
        let selection = match number {
            43 => 10,
            45 => 8,
            _ => 6,
        };
        if number == 45 {
            for record in Records::new(message) {
                let record = record?;
                if record.number == 1 {
                    self.concepts.push(record.text()?.to_owned());
                }
            }
        }
        self.bounds(selection, message)
    }

    /// Certainty and distance, and the choice for diversity: all of `near_*` have them.
    fn bounds(&mut self, selection: u32, message: &[u8]) -> Result<(), Doubt> {
        for record in Records::new(message) {
            let record = record?;
            match record.number {
                2 | 3 => self.ask.list.threshold = record.double().map(|_| true)?,
                number if number == selection => {
                    self.ask.list.selection = record.bytes().map(|_| true)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn properties(&mut self, message: &[u8]) -> Result<(), Doubt> {
        let named = self.named.get_or_insert_with(|| Vec::with_capacity(NAMES_AHEAD));
        for record in Records::new(message) {
            let record = record?;
            match record.number {
                1 => named.push(record.text()?.to_owned()),
                11 => self.all = record.truth()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn metadata(&mut self, message: &[u8]) -> Result<(), Doubt> {
        for record in Records::new(message) {
            let record = record?;
            if record.number == 7 {
                self.ask.score = record.truth()?;
            }
        }
        Ok(())
    }
}
