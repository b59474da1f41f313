//! What a profile remembers, as observations of a taste.
//!
//! In: a profile, the catalogue's facts, what all shoppers have in common, the rules, a time. Out: for
//! each remembered product whose facts are known whether it was picked, how surprising that is beside
//! what everybody does, and what it still weighs. What was picked long ago weighs less: a product's two
//! sums, which fade at two speeds, tell how long ago that is. Reads a day, not the hour: within a day
//! the same profile gives the same.

use std::sync::Arc;

use super::{Posterior, REMEMBERED_MAX};
use crate::preferences::population::Population;
use crate::rules::{Preference, Rules};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, ProductFacts};
use crate::types::profile::{ProductMemory, Profile, landmark};

/// Sums closer to 0 say nothing.
const SUM_MIN: f32 = 1.0e-5;

/// Nothing weighs less, however old.
const WEIGHT_MIN: f32 = 1.0e-3;

/// One remembered product.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What it is.
    pub facts: Arc<ProductFacts>,
    /// 1 = picked, 0 = passed over, less everybody's rate: in `-1..=1`.
    pub surprise: f32,
    /// How everybody likes it, on the prior's scale, `-1..=1`.
    pub popular: f32,
    /// What it weighs: 1 for what was picked or passed over once, just now.
    pub weight: f32,
}

/// What ranks a profile's lists beside the profile itself.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// What all shoppers have in common.
    pub population: &'a Population,
    /// The rules.
    pub rules: &'a Rules,
    /// Event time of the search.
    pub now: Timestamp,
}

impl Reading<'_> {
    /// The posterior of a profile; `None` where the rules ask for none, or nothing that is remembered is
    /// known to the catalogue.
    pub fn posterior(
        &self,
        profile: &Profile,
        facts_of: impl Fn(ProductKey) -> Option<Arc<ProductFacts>>,
    ) -> Option<Posterior> {
        if self.rules.ranking.preference != Preference::Hierarchical {
            return None;
        }
        let remembered = self.remembered(profile, facts_of);
        let posterior = Posterior::of(&self.rules.model, &remembered);
        (!posterior.is_empty()).then_some(posterior)
    }

    /// What the profile remembers most, the strongest first.
    pub fn remembered(
        &self,
        profile: &Profile,
        facts_of: impl Fn(ProductKey) -> Option<Arc<ProductFacts>>,
    ) -> Vec<Remembered> {
        let mut strongest: Vec<&ProductMemory> =
            profile.products.iter().filter(|memory| memory.slow.abs() > SUM_MIN).collect();
        let by_strength = |a: &&ProductMemory, b: &&ProductMemory| {
            b.slow.abs().total_cmp(&a.slow.abs()).then(a.key.cmp(&b.key))
        };
        if strongest.len() > REMEMBERED_MAX {
            strongest.select_nth_unstable_by(REMEMBERED_MAX, by_strength);
            strongest.truncate(REMEMBERED_MAX);
        }
        strongest.sort_unstable_by(by_strength);
        let mut priors = self.population.priors(self.rules.ranking.prior.smoothing);
        let one = |memory: &ProductMemory| {
            let facts = facts_of(memory.key)?;
            let (popular, rate) = priors.expected(memory.key, facts.category);
            let picked = if memory.slow > 0.0 { 1.0 } else { 0.0 };
            let weight = self.weight(profile, memory);
            Some(Remembered { facts, surprise: picked - rate, popular, weight })
        };
        strongest.into_iter().filter_map(one).collect()
    }

    /// What a memory still weighs.
    fn weight(&self, profile: &Profile, memory: &ProductMemory) -> f32 {
        let half_life = &self.rules.half_life;
        let (slow, fast) = (half_life.item_slow_seconds, half_life.item_fast_seconds);
        // sums of one age t are in the ratio 2^(t/fast − t/slow)
        let speed = fast.recip() - slow.recip();
        let apart = (memory.slow / memory.fast).log2();
        let age = if speed > 0.0 && apart > 0.0 { apart / speed } else { 0.0 };
        let since = landmark(self.now.seconds_u32()).saturating_sub(profile.landmark());
        let faded = -(age + since as f32) / half_life.axis_seconds[Axis::Category.index()];
        let repeated = 1.0 + f32::from(memory.purchases.max(1)).ln();
        let weight = faded.exp2() * repeated;
        if weight.is_finite() { weight.max(WEIGHT_MIN) } else { WEIGHT_MIN }
    }
}

/// Tells apart what [`Reading::posterior`] reads of a profile on one day under one rules table; what all
/// shoppers have in common is left out of it.
pub fn digest(profile: &Profile, rules: &Rules, now: Timestamp) -> u64 {
    let mut sum = Mixed(xxhash_rust::xxh3::xxh3_64(rules.version.as_bytes()));
    sum.mix(u64::from(landmark(now.seconds_u32())) << 32 | u64::from(profile.at));
    for memory in &profile.products {
        sum.mix(memory.key.0 ^ u64::from(memory.purchases) << 56);
        sum.mix(u64::from(memory.slow.to_bits()) << 32 | u64::from(memory.fast.to_bits()));
    }
    sum.0
}

struct Mixed(u64);

impl Mixed {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
