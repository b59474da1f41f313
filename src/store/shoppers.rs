//! Profiles by subject, packed, under one cap in bytes.
//!
//! In: a subject's key. Out: the profile, unpacked for whoever asked: readers never wait for learning
//! longer than it takes to unpack, change and pack one profile. The table is sharded; beyond
//! `profiles_bytes_max` the weakest of a few sampled profiles goes (least evidence left, decayed to
//! now). Pages and index count; while a snapshot is written, so may pages of one shard that change
//! meanwhile, twice. Locks are a shard's, held for one step. Each subject's last events stand beside
//! the profile, within the same cap, and go with it; only who learns or shows them reads them.

mod shard;
mod slab;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config;
use crate::preferences::events::Events;
use crate::preferences::packed::{self, Head};
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;
use crate::types::profile::Profile;
use shard::{EVENTS, Part, Shard};
use slab::Slab;

/// Shards of the table: more than cores, so that two rarely meet, and few enough that their last,
/// half-filled pages do not matter.
const SHARDS: usize = 16;

/// What a restart adds to each version. An `ETag` that went out after the snapshot must not come
/// again for another order; nobody learns so much between two snapshots.
const RESTORED_VERSIONS: u32 = 1 << 16;

/// The profiles.
pub struct Shoppers {
    shards: Box<[Mutex<Shard>]>,
}

/// One shard's profiles as they were at one moment.
pub struct Frozen(Slab);

/// All that the table has of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// What was learned.
    pub profile: Profile,
    /// From what, lately.
    pub events: Events,
}

impl Shoppers {
    /// An empty table with the settings' cap.
    pub fn new(settings: &config::Store) -> Self {
        let bytes = usize::try_from(settings.profiles_bytes_max).unwrap_or(usize::MAX);
        let shard = || Mutex::new(Shard::new(bytes / SHARDS));
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect() }
    }

    /// The profile of `key`, if anything was ever learned.
    pub fn profile(&self, key: SubjectKey) -> Option<Arc<Profile>> {
        let mut bytes = Vec::new();
        // Copied under the lock, unpacked after it.
        self.shard(key)
            .lock()
            .read(key, &mut bytes)
            .then(|| packed::unpack(&bytes).map(Arc::new))?
    }

    /// What stands first in the profile of `key`: whether anything is known, and as of when. `O(1)`.
    pub fn head(&self, key: SubjectKey) -> Option<Head> {
        self.shard(key).lock().head(key)
    }

    /// Lets `learn` change the profile of `key`, which is empty at first.
    pub fn learn<T>(
        &self,
        key: SubjectKey,
        now: Timestamp,
        learn: impl FnOnce(&mut Profile) -> T,
    ) -> T {
        let mut shard = self.shard(key).lock();
        let mut bytes = Vec::new();
        let known = shard.read(key, &mut bytes);
        let mut profile = packed::unpack(&bytes).unwrap_or_default();
        let learned = learn(&mut profile);
        if known || profile != Profile::default() {
            bytes.clear();
            packed::pack(&profile, &mut bytes);
            shard.write(key, &bytes, now);
        }
        learned
    }

    /// Lets `teach` change the profile of `key` and its events, both empty at first.
    pub fn teach<T>(
        &self,
        key: SubjectKey,
        now: Timestamp,
        teach: impl FnOnce(&mut Profile, &mut Events) -> T,
    ) -> T {
        let mut shard = self.shard(key).lock();
        Self::change(&mut shard, key, now, teach)
    }

    /// The same for who is known already; `None` for anybody else.
    pub fn amend<T>(
        &self,
        key: SubjectKey,
        now: Timestamp,
        amend: impl FnOnce(&mut Profile, &mut Events) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(key).lock();
        shard.head(key)?;
        Some(Self::change(&mut shard, key, now, amend))
    }

    fn change<T>(
        shard: &mut Shard,
        key: SubjectKey,
        now: Timestamp,
        change: impl FnOnce(&mut Profile, &mut Events) -> T,
    ) -> T {
        let mut bytes = Vec::new();
        let known = shard.read(key, &mut bytes);
        let mut profile = packed::unpack(&bytes).unwrap_or_default();
        bytes.clear();
        shard.read_events(key, &mut bytes);
        let mut events = Events::unpack(&bytes).unwrap_or_default();
        let changed = change(&mut profile, &mut events);
        if known || profile != Profile::default() {
            bytes.clear();
            packed::pack(&profile, &mut bytes);
            shard.write(key, &bytes, now);
            bytes.clear();
            events.pack(&mut bytes);
            shard.write_events(key, &bytes, now);
        }
        changed
    }

    /// The profile of `key` and its events.
    pub fn remembered(&self, key: SubjectKey) -> Option<Remembered> {
        self.read(key, &self.shard(key).lock())
    }

    /// Takes a profile out of the table, and its events.
    pub fn take(&self, key: SubjectKey) -> Option<Remembered> {
        let mut shard = self.shard(key).lock();
        let taken = self.read(key, &shard);
        shard.remove(key);
        taken
    }

    fn read(&self, key: SubjectKey, shard: &Shard) -> Option<Remembered> {
        let mut bytes = Vec::new();
        let profile = shard.read(key, &mut bytes).then(|| packed::unpack(&bytes))??;
        bytes.clear();
        shard.read_events(key, &mut bytes);
        Some(Remembered { profile, events: Events::unpack(&bytes).unwrap_or_default() })
    }

    /// Profiles in memory. `O(shards)`.
    pub fn profiles(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().subjects()).sum()
    }

    /// Bytes that they and their index take. `O(shards)`.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().bytes()).sum()
    }

    /// Counts up with every change of any profile. `O(shards)`.
    pub fn changes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().changes()).sum()
    }

    /// All profiles, shard by shard, each as it is at the moment it is asked for. A shard's lock is
    /// held for the copy of its list of pages.
    pub fn freeze(&self) -> impl Iterator<Item = Frozen> {
        self.shards.iter().map(|shard| Frozen(shard.lock().freeze()))
    }

    /// Puts back a profile as [`Frozen::for_each`] gave it; false for bytes that are none.
    pub fn restore(&self, key: SubjectKey, bytes: &[u8]) -> bool {
        let Some((mut profile, rest)) = packed::unpack_front(bytes) else { return false };
        // What a later version put there instead is not for us.
        let events = Events::unpack(rest).unwrap_or_default();
        profile.version = profile.version.wrapping_add(RESTORED_VERSIONS);
        let mut bytes = Vec::with_capacity(bytes.len());
        packed::pack(&profile, &mut bytes);
        let then = Timestamp::from_seconds(profile.at.into());
        let mut shard = self.shard(key).lock();
        shard.write(key, &bytes, then);
        bytes.clear();
        events.pack(&mut bytes);
        shard.write_events(key, &bytes, then);
        true
    }

    /// Forgets everybody.
    pub fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.lock().clear());
    }

    fn shard(&self, key: SubjectKey) -> &Mutex<Shard> {
        &self.shards[(key.0 >> 64) as usize % SHARDS]
    }
}

impl Frozen {
    /// Whose events `stale` says something of, given their packed bytes.
    pub fn whose_events(&self, stale: impl Fn(&[u8]) -> bool) -> Vec<SubjectKey> {
        let parts = self.0.iter().filter_map(Part::parse).filter(|part| part.number == EVENTS);
        parts.filter(|part| stale(part.bytes)).map(|part| part.key).collect()
    }

    /// Every profile with its packed bytes, and those of its events behind them.
    ///
    /// # Errors
    /// The first that `each` returns.
    pub fn for_each<E>(
        &self,
        mut each: impl FnMut(SubjectKey, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let parts = || self.0.iter().filter_map(Part::parse);
        let further = parts().filter(|part| part.number > 0);
        let further: HashMap<_, _> = further.map(|part| ((part.key, part.number), part)).collect();
        let mut whole = Vec::new();
        for first in parts().filter(|part| part.number == 0) {
            whole.clear();
            whole.extend(first.bytes);
            let (mut more, mut number) = (first.more, 1);
            while more && let Some(part) = further.get(&(first.key, number)) {
                whole.extend(part.bytes);
                (more, number) = (part.more, number + 1);
            }
            if let Some(events) = further.get(&(first.key, EVENTS)) {
                whole.extend(events.bytes);
            }
            each(first.key, &whole)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
