//! Hits that were read before are not read twice.
//!
//! A shop shows the same products again and again, and writes a product in the same bytes each time
//! but for its score. In: the text behind a hit's id. Out: where the hit ends and what its members
//! say, if the same text stood behind that id before. What a text says depends on the text, on the map
//! by which it is read, and on which mapped members stand in front of it; all three are compared, so
//! that a known hit says what it would say when read. Bounded in bytes; the least used go first. A
//! shop that writes its products anew each time is noticed and left in peace.

mod records;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::hit::{HitView, Words};
use super::json::Json;
use super::token;

/// Shorter texts are read as fast as they are looked up.
const BYTES_MIN: usize = 96;
/// Longer ones are not kept.
const BYTES_MAX: usize = 16 * 1024;
/// What an entry takes beside its text and words.
const ENTRY_BYTES: u64 = 400;
/// What a hit takes in most shops, to make room ahead.
const HIT_BYTES: u64 = 1024;
/// Maps whose luck is told apart.
const MAPS: usize = 64;
/// Lists that are read without looking after one in which most hits had changed.
const REST_LISTS: u32 = 32;

/// Hits read before, by any number of [`HitPlan`](super::HitPlan)s.
pub struct KnownHits {
    tails: Cache<u64, Arc<Tail>, Bytes>,
    /// Lists of a map that are still to be read without looking.
    resting: [AtomicU32; MAPS],
}

#[derive(Clone)]
struct Bytes;

impl Weighter<u64, Arc<Tail>> for Bytes {
    fn weight(&self, _: &u64, tail: &Arc<Tail>) -> u64 {
        let written = tail.before.len() + tail.after.len() + tail.values.len();
        ENTRY_BYTES + (written + tail.words.bytes()) as u64
    }
}

/// What stands behind the id of a hit, and says what.
struct Tail {
    /// Up to the score, or all of it.
    before: Box<str>,
    /// The score may be another one each time.
    scored: bool,
    /// From behind the score on.
    after: Box<str>,
    /// Of a hit of protobuf: its id and its values, each behind its length.
    values: Box<[u8]>,
    words: Words<'static>,
    digest: u64,
    price: Option<f32>,
    in_stock: Option<bool>,
    sponsored: bool,
}

/// What a hit read before says of its product.
#[derive(Clone)]
pub struct Known(Arc<Tail>);

impl Known {
    pub(super) fn words(&self) -> &Words<'static> {
        &self.0.words
    }

    pub(super) fn digest(&self) -> u64 {
        self.0.digest
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.words.fmt(f)
    }
}

/// Whether they say the same.
impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.0.words == other.0.words
    }
}

impl std::fmt::Debug for KnownHits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownHits({})", self.tails.len())
    }
}

impl KnownHits {
    /// Remembers hits whose texts take up to `bytes_max` together; 0 = none.
    pub fn new(bytes_max: u64) -> Self {
        let hits = usize::try_from(bytes_max / HIT_BYTES).unwrap_or(usize::MAX);
        Self {
            tails: Cache::with_weighter(hits.max(1), bytes_max, Bytes),
            resting: [const { AtomicU32::new(0) }; MAPS],
        }
    }

    /// For one list of the map that is known by `salt`; `None` where looking is in vain.
    pub(super) fn open(&self, salt: u64) -> Option<Memory<'_>> {
        let resting = self.resting.get(salt as usize % MAPS)?;
        let left = resting.load(Ordering::Relaxed);
        if left > 0 {
            resting.store(left - 1, Ordering::Relaxed);
            return None;
        }
        (self.tails.capacity() > 0).then_some(Memory {
            tails: &self.tails,
            resting,
            salt,
            same: 0,
            changed: 0,
        })
    }
}

/// The hits known, while a list is read.
pub(super) struct Memory<'k> {
    tails: &'k Cache<u64, Arc<Tail>, Bytes>,
    resting: &'k AtomicU32,
    salt: u64,
    /// Hits as they were.
    same: u32,
    /// Hits known with another text.
    changed: u32,
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        if self.changed > self.same {
            self.resting.store(REST_LISTS, Ordering::Relaxed);
        }
    }
}

/// Where a hit's text goes on behind its id.
pub(super) struct Pivot {
    key: u64,
    /// In the body.
    at: usize,
    /// Where the score stands in the body.
    score: Option<Range<usize>>,
    /// The score was read more than once.
    twice: bool,
    /// The hit as it was read up to here.
    had: Had,
}

/// Which members of a hit were read.
struct Had {
    price: bool,
    score: bool,
    in_stock: bool,
    sponsored: bool,
}

impl Pivot {
    /// The score was read at `span`.
    pub(super) fn score(&mut self, span: Range<usize>) {
        self.twice |= self.score.is_some();
        self.score = Some(span);
    }
}

impl Memory<'_> {
    /// Reads the rest of `hit`, whose id is read, from what is known of `text`, the rest of the body
    /// from `at` on. `Ok` is what follows the hit; `Err` is where to go on reading, and nothing when
    /// this hit cannot be known: words that stand in front of the id are not compared.
    pub(super) fn recall<'a>(
        &mut self,
        hit: &mut HitView<'a>,
        seen: u64,
        (at, text): (usize, &'a str),
    ) -> Result<&'a str, Option<Pivot>> {
        if !hit.read.is_empty() {
            return Err(None);
        }
        let key = xxh3_64_with_seed(hit.id.as_bytes(), self.salt ^ seen);
        if let Some(tail) = self.tails.get(&key) {
            if let Some(behind) = tail.tell(hit, text) {
                self.same += 1;
                hit.known = Some(Known(tail));
                return Ok(behind);
            }
            self.changed += 1;
        }
        let had = Had {
            price: hit.price.is_some(),
            score: hit.score.is_some(),
            in_stock: hit.in_stock.is_some(),
            sponsored: hit.sponsored,
        };
        Err(Some(Pivot { key, at, score: None, twice: false, had }))
    }

    /// Keeps what was read of `hit`, whose text goes from the pivot to the end of `passed`.
    pub(super) fn keep(&self, hit: &HitView<'_>, pivot: &Pivot, passed: &str) {
        let text = passed.get(pivot.at..).unwrap_or_default();
        if (BYTES_MIN..=BYTES_MAX).contains(&text.len())
            && !pivot.twice
            && let Some(tail) = Tail::of(hit, pivot, text)
        {
            self.tails.insert(pivot.key, Arc::new(tail));
        }
    }
}

impl Tail {
    fn of(hit: &HitView<'_>, pivot: &Pivot, text: &str) -> Option<Self> {
        let (before, after) = match &pivot.score {
            Some(score) => {
                let (start, end) =
                    (score.start.checked_sub(pivot.at)?, score.end.checked_sub(pivot.at)?);
                (text.get(..start)?, text.get(end..)?)
            }
            // a score that was read together with something else
            None if hit.score.is_some() && !pivot.had.score => return None,
            None => (text, ""),
        };
        Some(Self {
            before: before.into(),
            scored: pivot.score.is_some(),
            after: after.into(),
            values: [].into(),
            words: hit.read.clone().into_owned(),
            digest: hit.read.digest(),
            price: hit.price.filter(|_| !pivot.had.price),
            in_stock: hit.in_stock.filter(|_| !pivot.had.in_stock),
            sponsored: hit.sponsored && !pivot.had.sponsored,
        })
    }

    /// What follows the hit in `text`, if it goes on as this one did; `hit` then has its numbers.
    fn tell<'a>(&self, hit: &mut HitView<'a>, text: &'a str) -> Option<&'a str> {
        let mut rest = text.strip_prefix(&*self.before)?;
        if self.scored {
            let (behind, _) = token::leaf(rest.as_bytes())?;
            let (score, behind) = rest.split_at_checked(rest.len() - behind.len())?;
            rest = behind.strip_prefix(&*self.after)?;
            hit.score = Json::within(score, 0).number();
        }
        hit.price = hit.price.or(self.price);
        hit.in_stock = hit.in_stock.or(self.in_stock);
        hit.sponsored |= self.sponsored;
        Some(rest)
    }
}
