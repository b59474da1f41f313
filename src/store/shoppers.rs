//! Profiles by subject.
//!
//! In: a subject's key. Out: the profile, shared by `Arc`: readers never wait for learning, which
//! copies on write. At most `profiles_max` profiles are kept; beyond that the weakest of a few
//! sampled ones goes (least evidence left, decayed to now). Locks are a shard's, held for one step.

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use crate::config;
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;
use crate::types::profile::{Profile, decayed};

/// Shards of the profile table: more than cores, so that two rarely meet.
const SHARDS: usize = 64;
/// Profiles looked at to find one to forget.
const SAMPLE: usize = 8;
/// Half-life by which the worth of a profile's evidence is judged when one must go: 60 days.
const WORTH_HALF_LIFE_SECONDS: f32 = 60.0 * 86_400.0;

/// The profiles.
pub struct Shoppers {
    shards: Box<[Mutex<Shard>]>,
    shard_max: usize,
}

#[derive(Default)]
struct Shard {
    profiles: IndexMap<SubjectKey, Arc<Profile>>,
    /// Moves on with every eviction, so that samples differ.
    hand: usize,
}

impl Shoppers {
    /// An empty table with the settings' caps.
    pub fn new(settings: &config::Store) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_max: settings.profiles_max.div_ceil(SHARDS).max(1),
        }
    }

    /// The profile of `key`, if anything was ever learned.
    pub fn profile(&self, key: SubjectKey) -> Option<Arc<Profile>> {
        self.shard(key).lock().profiles.get(&key).cloned()
    }

    /// Lets `learn` change the profile of `key`, which is empty at first.
    pub fn learn<T>(
        &self,
        key: SubjectKey,
        now: Timestamp,
        learn: impl FnOnce(&mut Profile) -> T,
    ) -> T {
        let mut shard = self.shard(key).lock();
        if !shard.profiles.contains_key(&key) {
            while shard.profiles.len() >= self.shard_max {
                shard.forget_one(now);
            }
        }
        learn(Arc::make_mut(shard.profiles.entry(key).or_default()))
    }

    /// Takes a profile out of the table.
    pub fn take(&self, key: SubjectKey) -> Option<Arc<Profile>> {
        self.shard(key).lock().profiles.swap_remove(&key)
    }

    /// Profiles in memory. `O(shards)`.
    pub fn profiles(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().profiles.len()).sum()
    }

    fn shard(&self, key: SubjectKey) -> &Mutex<Shard> {
        &self.shards[(key.0 >> 64) as usize % SHARDS]
    }
}

impl Shard {
    fn forget_one(&mut self, now: Timestamp) {
        let length = self.profiles.len();
        let worth = |index: &usize| {
            self.profiles.get_index(*index).map_or(f32::INFINITY, |(_, p)| {
                decayed(p.evidence, p.evidence_at, now, WORTH_HALF_LIFE_SECONDS)
            })
        };
        // Steps of a large odd number visit places that lie far apart.
        let places = (0..SAMPLE).map(|step| (self.hand + step * 0x9e37_79b1) % length.max(1));
        let weakest = places.min_by(|a, b| worth(a).total_cmp(&worth(b))).unwrap_or(0);
        self.profiles.swap_remove_index(weakest);
        self.hand = self.hand.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(profiles_max: usize) -> Shoppers {
        Shoppers::new(&config::Store {
            profiles_max,
            products_max: 10,
            products_per_profile_max: 10,
            facets_per_profile_max: 10,
            recent_max: 2,
            doubles_max: 2,
            hits_bytes_max: 0,
            orders_max: 2,
            orders_seconds: 1,
            live_listeners_max: 1,
        })
    }

    fn strengthen(table: &Shoppers, key: SubjectKey, evidence: f32) {
        table.learn(key, Timestamp(0), |profile| profile.evidence = evidence);
    }

    #[test]
    fn the_number_of_profiles_stays_under_its_cap_and_the_weak_go_first() {
        let table = table(64 * 4);
        let strong: Vec<_> = (0..64_u128).map(|n| SubjectKey(n << 64)).collect();
        strong.iter().for_each(|key| strengthen(&table, *key, 100.0));
        for number in 0..10_000_u128 {
            strengthen(&table, SubjectKey((number << 64) | 7), 0.1);
        }
        assert!(table.profiles() <= 64 * 4);
        assert!(strong.iter().all(|key| table.profile(*key).is_some()));
    }

    #[test]
    fn a_reader_keeps_the_profile_it_took_while_learning_goes_on() {
        let table = table(64);
        let key = SubjectKey(1);
        strengthen(&table, key, 1.0);
        let before = table.profile(key).unwrap();
        strengthen(&table, key, 2.0);
        assert_eq!(before.evidence, 1.0);
        assert_eq!(table.profile(key).unwrap().evidence, 2.0);
    }
}
