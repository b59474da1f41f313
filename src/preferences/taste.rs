//! A profile read at one moment.
//!
//! In: a profile, the rules, a time. Out: numbers on stated, bounded scales that the ranking weighs:
//! affinity of a facet, memory of a product, distance from the usual price, confidence. Reading
//! never changes the profile and allocates nothing; each read is one binary search, for all sums
//! decay by the same few factors.

use crate::rules::Rules;
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey};
use crate::types::profile::{Mark, ProductMemory, Profile, carried};

/// A distance of this many natural-log units (a factor of four) is as far as a price can be.
const PRICE_DISTANCE_MAX_LN: f32 = 1.386_294_4;

/// What this month's memory of a product counts beside the root of the year's.
const FAST_WEIGHT: f32 = 1.75;

/// As far as the memory of one product can speak.
const ITEM_MAX: f32 = 8.0;

/// Of nobody is it thought, before they show it, that they buy hardly anything twice: what the share
/// of single purchases is taken to be, and how many purchases' worth that counts.
const ONCE_BEFORE: f32 = 0.9;
const ONCE_TRUST: f32 = 10.0;

/// One shopper's taste at one time.
#[derive(Clone, Copy, Debug)]
pub struct Taste<'a> {
    /// Whose taste.
    pub profile: &'a Profile,
    saturation: f32,
    discovery: f32,
    /// What sums as of the landmark are worth now: a product's two, and a facet's by axis.
    slow: f32,
    fast: f32,
    axes: [f32; 4],
    /// What the evidence is worth now, at least 0.
    evidence: f32,
    /// How surely a purchase is this shopper's only one of its product, in `(0, 1]`.
    once: f32,
}

impl<'a> Taste<'a> {
    /// Reads `profile` as of `now`, or as of its latest event if that is later: the past is never
    /// inflated.
    pub fn at(profile: &'a Profile, rules: &'a Rules, now: Timestamp) -> Self {
        let now = now.seconds_u32().max(profile.at);
        let decay = |seconds: f32| carried(profile.landmark(), now, seconds) as f32;
        let axes = rules.half_life.axis_seconds.map(decay);
        let saturation = rules.ranking.saturation;
        let evidence = profile.evidence * axes[Axis::Category.index()];
        Self {
            profile,
            saturation,
            discovery: rules.ranking.discovery,
            slow: decay(rules.half_life.item_slow_seconds),
            fast: decay(rules.half_life.item_fast_seconds),
            axes,
            evidence: if evidence.is_finite() { evidence.max(0.0) } else { 0.0 },
            once: once(profile),
        }
    }

    /// How much is known of this shopper at all: `e / (e + saturation)` of the decayed evidence,
    /// in `[0, 1)`.
    pub fn confidence(&self) -> f32 {
        saturated(self.evidence, self.saturation)
    }

    /// Preference for a facet, in `[-1, 1]`: the shopper's own word where they gave it, 1 or -1; else
    /// what was [learned](Self::learned).
    pub fn affinity(&self, facet: FacetKey) -> f32 {
        match self.profile.mark(facet) {
            Some(Mark::Pinned) => 1.0,
            Some(Mark::Muted) => -1.0,
            None => self.learned(facet),
        }
    }

    /// Learned preference for a facet: `s / (|s| + saturation)` of its decayed sum, in `(-1, 1)`; 0
    /// for a facet without evidence. `O(log facets)`.
    pub fn learned(&self, facet: FacetKey) -> f32 {
        saturated(self.sum(facet), self.saturation)
    }

    /// How much more of this shopper's evidence lies on a facet than of everybody's, in `[-1, 1]`:
    /// `(s − e · base) / (e + saturation)` of its decayed sum, all evidence `e` and everybody's share
    /// of it, `base`. A share, not the affinity: who buys much likes nearly everything in full, and is
    /// told from others by how much of it. A dislike counts in full however much is liked beside it,
    /// and the shopper's own word stands as it is.
    ///
    /// `d = s − e · base` counts by `d² / (d² + e · base · (1 − base))`: what evidence of that size,
    /// one a pick, comes to by chance where there is no taste at all. One click on what few choose
    /// says much; a third of the picks on what a quarter of them is says nearly nothing.
    pub fn lift(&self, facet: FacetKey, base: f32) -> f32 {
        if self.profile.mark(facet).is_some() {
            return self.affinity(facet);
        }
        let sum = self.sum(facet);
        let disliked = if sum < 0.0 { saturated(sum, self.saturation) } else { 0.0 };
        let more = sum.max(0.0) - self.evidence * base;
        let chance = self.evidence * base * (1.0 - base);
        let told = more * more / (more * more + chance.max(f32::MIN_POSITIVE));
        let lift = told * more / (self.evidence + self.saturation) + disliked;
        if lift.is_finite() { lift.clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// What sums of an axis as of the landmark are worth now, a factor.
    pub fn faded(&self, axis: Axis) -> f32 {
        self.axes[axis.index()]
    }

    /// All evidence, as it is worth now, at least 0.
    pub fn evidence(&self) -> f32 {
        self.evidence
    }

    /// What a facet's sum is worth now.
    pub fn sum(&self, facet: FacetKey) -> f32 {
        self.profile.facet(facet).map_or(0.0, |memory| memory.sum * self.axes[facet.axis().index()])
    }

    /// What a product's two sums are worth now, the slow one first.
    pub fn sums(&self, product: ProductKey) -> (f32, f32) {
        self.profile.product(product).map_or((0.0, 0.0), |memory| self.sums_of(memory))
    }

    /// The same, of the product's memory.
    pub fn sums_of(&self, memory: &ProductMemory) -> (f32, f32) {
        (memory.slow * self.slow, memory.fast * self.fast)
    }

    /// What the memory of this very product says for it, in `(-8, 8)`; 0 for one without history.
    ///
    /// `raw = sign(slow)·√|slow| + 1.75 · fast` of the two decayed sums (the best pair of time scales
    /// on a year of grocery baskets). Of what speaks for a product `discovery` is taken off, down to 0:
    /// the discount of the Pitman–Yor process, by which what was taken once says less than once that it
    /// will be taken again. Then `raw / (1 + |raw| / 8)`, monotone and of slope 1 near zero: a heavy
    /// habit cannot drown the list. `O(log products)`.
    pub fn item(&self, product: ProductKey) -> f32 {
        spoken(self.remembered(product), self.discovery)
    }

    /// How well this very product is remembered, in `(-1, 1)`: what people are told.
    pub fn memory(&self, product: ProductKey) -> f32 {
        saturated(raw(self.sums(product)), 1.0)
    }

    /// What is left of both time scales, before `discovery` is taken off: the `raw` of [`item`](Self::item).
    pub fn remembered(&self, product: ProductKey) -> f32 {
        self.profile.product(product).map_or(0.0, |memory| self.remembered_of(memory))
    }

    /// The same, of the product's memory; counted less for who buys hardly anything twice.
    ///
    /// `(n − once) / (n − 0.9)` of `n` purchases, at most 1: a product bought `n` times is bought again
    /// in proportion to `n − d`, and this shopper's `d` is estimated as Ney, Essen and Kneser do.
    pub fn remembered_of(&self, memory: &ProductMemory) -> f32 {
        let raw = raw(self.sums_of(memory));
        let bought = f32::from(memory.purchases);
        if raw <= 0.0 || bought < 1.0 {
            return raw;
        }
        raw * ((bought - self.once) / (bought - ONCE_BEFORE)).min(1.0)
    }

    /// How far a price is from what this shopper usually chooses in the category, in `[-1, 0]`.
    ///
    /// `-min(1, |ln price − mean| / ln 4)`, scaled by the weight behind the mean `w / (w + 1)`.
    /// 0 without a usual price, a category or a positive finite price.
    pub fn price(&self, category: Option<FacetKey>, price: Option<f32>) -> f32 {
        let distance = self.price_distance_ln(category, price);
        let Some((distance, weight)) = distance else { return 0.0 };
        -(distance.abs() / PRICE_DISTANCE_MAX_LN).min(1.0) * saturated(weight, 1.0)
    }

    /// Signed distance from the usual price in natural-log units (above zero is dearer), with the
    /// weight behind the usual price.
    pub fn price_distance_ln(
        &self,
        category: Option<FacetKey>,
        price: Option<f32>,
    ) -> Option<(f32, f32)> {
        let usual = self.profile.price(category?)?;
        let level = price.filter(|p| *p > 0.0 && p.is_finite())?.ln();
        let distance = level - usual.mean_ln;
        distance.is_finite().then_some((distance, usual.weight))
    }
}

/// What a memory says for its product once `discovery` is taken off: see [`Taste::item`].
pub fn spoken(remembered: f32, discovery: f32) -> f32 {
    let kept = if remembered > 0.0 { (remembered - discovery).max(0.0) } else { remembered };
    ITEM_MAX * saturated(kept, ITEM_MAX)
}

fn raw((slow, fast): (f32, f32)) -> f32 {
    slow.abs().sqrt().copysign(slow) + FAST_WEIGHT * fast
}

/// The share of purchases that stay the only ones of their product: `n₁ / (n₁ + 2 n₂)` of the numbers
/// of products bought once and twice (H. Ney, U. Essen, R. Kneser 1994), drawn towards
/// [`ONCE_BEFORE`]. `O(products)`.
fn once(profile: &Profile) -> f32 {
    let bought =
        |times: u8| profile.products.iter().filter(|p| p.purchases == times).count() as f32;
    let (once, twice) = (bought(1), bought(2));
    (once + ONCE_TRUST * ONCE_BEFORE) / (once + 2.0 * twice + ONCE_TRUST)
}

/// `s / (|s| + k)`: monotone, in `(-1, 1)`, one half at `s = k`; 0 for what is not a number.
pub(super) fn saturated(sum: f32, k: f32) -> f32 {
    let value = sum / (sum.abs() + k);
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preferences::testing::rules_for_tests;
    use crate::types::profile::{Chosen, FacetMemory, PriceMemory, ProductMemory};

    fn profile() -> Profile {
        let memory = |id: &str, slow: f32, fast: f32| ProductMemory {
            slow,
            fast,
            ..ProductMemory::blank(ProductKey::of(id))
        };
        let mut products = vec![
            memory("liked", 4.0, 1.0),
            memory("some", 0.2, 0.2),
            memory("returned", -0.25, 0.0),
        ];
        products.sort_by_key(|p| p.key);
        let facet = FacetKey::of(Axis::Attribute, "spicy");
        Profile {
            products,
            facets: vec![FacetMemory { key: facet, sum: -1.0 }],
            prices: vec![PriceMemory {
                category: FacetKey::of(Axis::Category, "milk"),
                mean_ln: 4.0_f32.ln(),
                weight: 1.0,
            }],
            evidence: 3.0,
            at: 0,
            version: 1,
            chosen: Vec::new(),
        }
    }

    #[test]
    fn an_affinity_reaches_one_half_at_the_saturation_and_keeps_its_sign() {
        let (profile, rules) = (profile(), rules_for_tests());
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        assert_eq!(taste.affinity(FacetKey::of(Axis::Attribute, "spicy")), -0.5);
        assert_eq!(taste.affinity(FacetKey::of(Axis::Attribute, "sweet")), 0.0);
        assert_eq!(taste.confidence(), 0.75);
    }

    #[test]
    fn a_shoppers_own_word_stands_above_what_was_learned_and_not_in_the_place_of_it() {
        let (mut profile, rules) = (profile(), rules_for_tests());
        let [spicy, new] = ["spicy", "new"].map(|word| FacetKey::of(Axis::Attribute, word));
        let said = |facet, mark| Chosen { facet, mark };
        profile.chosen = vec![said(spicy, Mark::Pinned), said(new, Mark::Muted)];
        profile.chosen.sort_by_key(|chosen| chosen.facet);
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        assert_eq!((taste.affinity(spicy), taste.affinity(new)), (1.0, -1.0));
        assert_eq!((taste.learned(spicy), taste.learned(new)), (-0.5, 0.0));
    }

    #[test]
    fn taste_fades_with_its_half_life() {
        let (profile, rules) = (profile(), rules_for_tests());
        let later = Timestamp::from_seconds(60 * 86_400);
        let taste = Taste::at(&profile, &rules, later);
        let spicy = taste.affinity(FacetKey::of(Axis::Attribute, "spicy"));
        assert!((spicy + 1.0 / 3.0).abs() < 1e-5, "{spicy}");
    }

    #[test]
    fn item_memory_adds_the_signed_root_of_the_slow_sum_and_the_fast_sum() {
        let (profile, rules) = (profile(), rules_for_tests());
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        let item = |id| taste.item(ProductKey::of(id));
        assert!((item("liked") - 3.75 / (1.0 + 3.75 / 8.0)).abs() < 1e-6);
        assert!(item("some") > 0.0);
        assert!((item("returned") + 0.5 / (1.0 + 0.5 / 8.0)).abs() < 1e-6);
        assert_eq!(item("never seen"), 0.0);
        assert!((taste.memory(ProductKey::of("liked")) - 3.75 / 4.75).abs() < 1e-6);
    }

    #[test]
    fn who_buys_nothing_twice_is_not_told_to_buy_it_again() {
        let rules = rules_for_tests();
        let bought = |times: u8| {
            move |number: u64| ProductMemory {
                slow: 0.8,
                fast: 0.8,
                purchases: times,
                ..ProductMemory::blank(ProductKey(number))
            }
        };
        let of = |products: Vec<ProductMemory>| {
            let profile = Profile { products, evidence: 30.0, ..Profile::default() };
            Taste::at(&profile, &rules, Timestamp(0)).remembered(ProductKey(0))
        };
        let seeker = of((0..30).map(bought(1)).collect());
        let usual = of((0..15).map(bought(1)).chain((15..20).map(bought(2))).collect());
        let clicked = of((0..30).map(bought(0)).collect());
        assert_eq!(usual, clicked);
        assert!(seeker > 0.0 && seeker < 0.3 * usual, "{seeker} {usual}");
    }

    #[test]
    fn what_chance_would_do_to_a_share_of_the_evidence_is_hardly_a_taste() {
        let (mut profile, rules) = (profile(), rules_for_tests());
        let spicy = FacetKey::of(Axis::Attribute, "spicy");
        let mut lift = |sum, evidence, base| {
            profile.evidence = evidence;
            profile.facets = vec![FacetMemory { key: spicy, sum }];
            Taste::at(&profile, &rules, Timestamp(0)).lift(spicy, base)
        };
        let chance = lift(6.0, 20.0, 0.25);
        assert!(chance > 0.0 && chance < 0.015, "{chance}");
        assert!(lift(14.0, 20.0, 0.25) > 0.4);
        assert!(lift(0.2, 0.2, 0.02) > 0.1, "one click on what few choose");
    }

    #[test]
    fn discovery_is_taken_off_what_speaks_for_a_product_and_never_speaks_against_it() {
        let (profile, mut rules) = (profile(), rules_for_tests());
        let plain = Taste::at(&profile, &rules, Timestamp(0));
        let before = ["liked", "some", "returned"].map(|id| plain.item(ProductKey::of(id)));
        rules.ranking.discovery = 2.0;
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        let after = ["liked", "some", "returned"].map(|id| taste.item(ProductKey::of(id)));
        assert!(after[0] > 0.0 && after[0] < before[0]);
        assert_eq!((after[1], after[2]), (0.0, before[2]));
    }

    #[test]
    fn a_price_far_from_the_usual_one_counts_against_a_product_in_both_directions() {
        let (profile, rules) = (profile(), rules_for_tests());
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        let milk = Some(FacetKey::of(Axis::Category, "milk"));
        assert_eq!(taste.price(milk, Some(4.0)), 0.0);
        assert!((taste.price(milk, Some(16.0)) + 0.5).abs() < 1e-6);
        assert!(taste.price(milk, Some(2.0)) < 0.0);
        for odd in [None, Some(0.0), Some(-1.0), Some(f32::NAN), Some(f32::INFINITY)] {
            assert_eq!(taste.price(milk, odd), 0.0);
        }
    }
}
