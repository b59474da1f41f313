//! One shard: packed profiles in a slab, found by an index, bounded in bytes.
//!
//! ```text
//! record: subject 16 B · part u16 · length u16 (top bit: a further part follows) · bytes
//! ```
//!
//! In: a subject's key and bytes. Out: the same bytes. What is longer than a record stands in several;
//! the index knows each by 48 bits of the key, and each record tells whose it is: two subjects that
//! meet in those bits push each other out and never read each other. A subject's last events stand in
//! a record of their own, so that reading a profile does not touch them; they go with it. Evicts whole
//! profiles.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::slab::{Handle, PAGE_BYTES, RECORD_MAX, Slab, piece};
use crate::preferences::packed::{self, Head};
use crate::preferences::population::KeyHasher;
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;
use crate::types::profile::{decayed, landmark};

/// Bytes of a record before the profile's.
const HEAD: usize = 20;
/// In the length: a further part follows.
const MORE: u16 = 1 << 15;
/// The part that holds a subject's events; a profile has fewer.
pub(super) const EVENTS: u16 = u16::MAX;
/// Profiles looked at to find one to forget.
const SAMPLE: usize = 8;
/// Half-life by which the worth of a profile's evidence is judged when one must go: 60 days.
const WORTH_HALF_LIFE_SECONDS: f32 = 60.0 * 86_400.0;

type Index = HashMap<Digest, Handle, BuildHasherDefault<KeyHasher>>;

/// What the index knows of a part: 48 bits, so that an entry takes 10 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Digest([u16; 3]);

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c] = self.0.map(u64::from);
        state.write_u64(a | b << 16 | c << 32);
    }
}

/// Some of the profiles.
pub(super) struct Shard {
    index: Index,
    slab: Slab,
    /// Profiles: first parts.
    subjects: usize,
    bytes_max: usize,
    /// Counts up with every profile written or removed.
    changes: u64,
    /// Moves on with every look for the weakest, so that samples differ.
    hand: u64,
}

/// A record, read.
pub(super) struct Part<'a> {
    pub(super) key: SubjectKey,
    pub(super) number: u16,
    /// A further part follows.
    pub(super) more: bool,
    pub(super) bytes: &'a [u8],
}

impl<'a> Part<'a> {
    pub(super) fn parse(record: &'a [u8]) -> Option<Self> {
        let (key, rest) = record.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u16::from_le_bytes(*length);
        Some(Self {
            key: SubjectKey(u128::from_le_bytes(*key)),
            number: u16::from_le_bytes(*number),
            more: length & MORE != 0,
            bytes: rest.get(..usize::from(length & !MORE))?,
        })
    }
}

/// The shard is chosen by the key's other half.
fn digest(key: SubjectKey, number: u16) -> Digest {
    let bits = (key.0 as u64).wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Digest([bits as u16, (bits >> 16) as u16, (bits >> 32) as u16])
}

fn write_head(record: &mut [u8; RECORD_MAX], key: SubjectKey, number: u16, length: u16) {
    record[..16].copy_from_slice(&key.0.to_le_bytes());
    record[16..18].copy_from_slice(&number.to_le_bytes());
    record[18..HEAD].copy_from_slice(&length.to_le_bytes());
}

/// Bytes of an index with room for so many: as many places as the next power of two above 8/7 of it.
fn index_bytes(capacity: usize) -> usize {
    let places = if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() };
    places * (size_of::<(Digest, Handle)>() + 1)
}

/// Numbers that lie all over the place, the same after each start (SplitMix64).
fn mixed(hand: &mut u64) -> u64 {
    *hand = hand.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *hand;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Shard {
    pub(super) fn new(bytes_max: usize) -> Self {
        let (index, slab) = (Index::default(), Slab::new());
        Self { index, slab, subjects: 0, bytes_max, changes: 0, hand: 0 }
    }

    pub(super) fn subjects(&self) -> usize {
        self.subjects
    }

    pub(super) fn bytes(&self) -> usize {
        self.slab.pages() * (PAGE_BYTES + 2 * size_of::<usize>())
            + index_bytes(self.index.capacity())
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn freeze(&self) -> Slab {
        self.slab.clone()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }

    /// Appends the profile of `key` to `out`; false when there is none.
    pub(super) fn read(&self, key: SubjectKey, out: &mut Vec<u8>) -> bool {
        let mut number = 0;
        while let Some((_, part)) = self.find(key, number) {
            out.extend(part.bytes);
            if !part.more {
                return true;
            }
            number += 1;
        }
        false
    }

    /// Appends the events of `key` to `out`.
    pub(super) fn read_events(&self, key: SubjectKey, out: &mut Vec<u8>) {
        if let Some((_, part)) = self.find(key, EVENTS) {
            out.extend(part.bytes);
        }
    }

    /// What stands first in the profile of `key`.
    pub(super) fn head(&self, key: SubjectKey) -> Option<Head> {
        let (_, first) = self.find(key, 0)?;
        packed::head(first.bytes)
    }

    /// Puts the profile of `key` in the place of what was there, forgetting others where there is
    /// no room.
    pub(super) fn write(&mut self, key: SubjectKey, bytes: &[u8], now: Timestamp) {
        self.changes += 1;
        let mut record = [0; RECORD_MAX];
        let (mut rest, mut number) = (bytes, 0_u16);
        loop {
            let length = piece(HEAD + rest.len()) - HEAD;
            let (now_put, later) = rest.split_at(length);
            let more = if later.is_empty() { 0 } else { MORE };
            write_head(&mut record, key, number, length as u16 | more);
            record[HEAD..HEAD + length].copy_from_slice(now_put);
            self.put(key, number, &record[..HEAD + length], now);
            rest = later;
            // 2¹⁶ parts are 260 MB: the caps of a profile end far below.
            number = number.saturating_add(1);
            if rest.is_empty() {
                break;
            }
        }
        self.remove_from(key, number);
    }

    /// Puts the events of `key` in the place of those that were there. For who has a profile.
    pub(super) fn write_events(&mut self, key: SubjectKey, bytes: &[u8], now: Timestamp) {
        let length = bytes.len().min(RECORD_MAX - HEAD);
        if length == 0 {
            return self.remove_events(key);
        }
        let mut record = [0; RECORD_MAX];
        write_head(&mut record, key, EVENTS, length as u16);
        record[HEAD..HEAD + length].copy_from_slice(&bytes[..length]);
        self.put(key, EVENTS, &record[..HEAD + length], now);
    }

    /// Forgets `key`.
    pub(super) fn remove(&mut self, key: SubjectKey) {
        self.changes += 1;
        self.remove_from(key, 0);
        self.remove_events(key);
    }

    fn remove_events(&mut self, key: SubjectKey) {
        if let Some((handle, _)) = self.find(key, EVENTS) {
            self.remove_record(digest(key, EVENTS), handle, EVENTS);
        }
    }

    fn put(&mut self, key: SubjectKey, number: u16, record: &[u8], now: Timestamp) {
        let digest = digest(key, number);
        match self.find(key, number).map(|(handle, _)| handle) {
            Some(handle) if self.slab.replace(handle, record) => return,
            Some(handle) => self.remove_record(digest, handle, number),
            // another subject's part may be known by the same bits
            None => {
                let other = self.index.get(&digest).and_then(|handle| self.slab.get(*handle));
                if let Some(other) = other.and_then(Part::parse).map(|part| part.key) {
                    self.remove(other);
                }
            }
        }
        while self.lacks_room(record.len()) && self.forget_one(key, now) {}
        if let Some(handle) = self.slab.put(record) {
            self.index.insert(digest, handle);
            self.subjects += usize::from(number == 0);
        }
    }

    fn lacks_room(&self, bytes: usize) -> bool {
        let page = if self.slab.has_room(bytes) { 0 } else { PAGE_BYTES + 2 * size_of::<usize>() };
        let (known, capacity) = (self.index.len(), self.index.capacity());
        let index = if known < capacity { 0 } else { index_bytes(known + 1) };
        self.bytes() + page + index > self.bytes_max
    }

    fn find(&self, key: SubjectKey, number: u16) -> Option<(Handle, Part<'_>)> {
        let handle = *self.index.get(&digest(key, number))?;
        let part = self.slab.get(handle).and_then(Part::parse)?;
        (part.key == key && part.number == number).then_some((handle, part))
    }

    /// Removes the parts from `number` on.
    fn remove_from(&mut self, key: SubjectKey, mut number: u16) {
        while let Some((handle, _)) = self.find(key, number) {
            self.remove_record(digest(key, number), handle, number);
            number = number.saturating_add(1);
        }
    }

    fn remove_record(&mut self, digest_of_it: Digest, handle: Handle, number: u16) {
        self.index.remove(&digest_of_it);
        self.subjects -= usize::from(number == 0);
        if self.slab.remove(handle)
            && let Some(moved) = self.slab.get(handle).and_then(Part::parse)
        {
            self.index.insert(digest(moved.key, moved.number), handle);
        }
    }

    /// Forgets the weakest of a few profiles, never that of `spared`; false when there is none.
    fn forget_one(&mut self, spared: SubjectKey, now: Timestamp) -> bool {
        let records = self.slab.records().max(1);
        let mut hand = self.hand;
        let numbers: [usize; SAMPLE] = std::array::from_fn(|_| mixed(&mut hand) as usize % records);
        self.hand = hand;
        let sampled = numbers
            .into_iter()
            .filter_map(|number| self.owner(number))
            .filter(|key| *key != spared);
        let weakest = sampled.min_by(|a, b| self.worth(*a, now).total_cmp(&self.worth(*b, now)));
        let other =
            || (0..self.slab.records()).filter_map(|n| self.owner(n)).find(|k| *k != spared);
        let Some(weakest) = weakest.or_else(other) else { return false };
        self.remove(weakest);
        true
    }

    /// Whose the `number`-th record is.
    fn owner(&self, number: usize) -> Option<SubjectKey> {
        let record = self.slab.nth(number).and_then(|handle| self.slab.get(handle))?;
        Part::parse(record).map(|part| part.key)
    }

    /// Evidence, decayed to `now`.
    fn worth(&self, key: SubjectKey, now: Timestamp) -> f32 {
        let head = self.find(key, 0).and_then(|(_, part)| packed::head(part.bytes));
        head.map_or(f32::NEG_INFINITY, |head| {
            decayed(head.evidence, landmark(head.at), now, WORTH_HALF_LIFE_SECONDS)
        })
    }
}
