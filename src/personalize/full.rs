//! The full view of a shopper's tastes: of each facet and product how it stands, on what evidence, how
//! it fades, and what the shopper said of it themselves.
//!
//! In: a subject. Out: plain values, the strongest first. Counts and times are those of the last
//! events that are kept beside the profile (`store.events_per_profile_max`); what was learned before
//! them is in the sums alone. What would tell of religion, health or intimacy is left out unless the
//! shopper allowed it.

use std::sync::Arc;

use super::Personalizer;
use crate::preferences::events::{Event, Events};
use crate::preferences::live::rounded;
use crate::preferences::taste::Taste;
use crate::rules::Rules;
use crate::store::choices::Choice;
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductKey, Subject};
use crate::types::product::{FacetKey, ProductFacts};
use crate::types::profile::decayed;

const DAY_SECONDS: f64 = 86_400.0;

/// All tastes of one shopper.
#[derive(Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct FullView {
    /// How much is known at all, 0 to 1.
    pub confidence: f64,
    /// When something was learned last; seconds since 1970.
    pub last_event: Option<u32>,
    /// Events that counts and times below are taken from.
    pub events: usize,
    /// Every facet that is remembered, pinned or muted.
    pub facets: Vec<FullFacet>,
    /// Every remembered product.
    pub products: Vec<FullProduct>,
}

/// How a sum fades.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Decay {
    /// Days until half of it has faded.
    pub half_life_days: f64,
    /// What is left by now of a signal of the time last seen, 0 to 1.
    pub left: f64,
}

/// One facet.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct FullFacet {
    /// `category`, `brand`, `attribute` or `price_tier`.
    pub axis: &'static str,
    /// Its value; `None`: forgotten, a number is left of it.
    pub name: Option<Arc<str>>,
    /// What was learned, -1 to 1: `sum / (|sum| + saturation)`.
    pub affinity: f64,
    /// The sum of signal weights that is left by now.
    pub sum: f64,
    /// How many of the last events were about it.
    pub evidence: usize,
    /// When the last of them was; seconds since 1970.
    pub last_seen: Option<u32>,
    /// How it fades; from the shopper's last event on where none of the last was about it.
    pub decay: Decay,
    /// How firmly it is known, 0 to 1, whichever way: `e / (e + saturation)` with `e` the larger of
    /// `|sum|` and of what is left of all |weights| of the last events about it.
    pub confidence: f64,
    /// What the shopper said themselves: `pinned` or `muted`.
    pub chosen: Option<&'static str>,
    /// A product with it has gone by.
    pub known: bool,
}

/// One product.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct FullProduct {
    /// Its name; `None`: forgotten, a number is left of it.
    pub name: Option<String>,
    /// How it is remembered, -1 to 1.
    pub memory: f64,
    /// Its sum under the slow half-life, by now.
    pub slow: f64,
    /// Its sum under the fast one.
    pub fast: f64,
    /// How many of the last events were about it.
    pub evidence: usize,
    /// When the last of them was; seconds since 1970.
    pub last_seen: Option<u32>,
    /// How the slow sum fades.
    pub decay_slow: Decay,
    /// How the fast one does.
    pub decay_fast: Decay,
    /// As for a facet, of the slow sum.
    pub confidence: f64,
}

/// One of the last events.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct KnownEvent {
    /// When; seconds since 1970.
    pub at: u32,
    /// What, by its key in `signal_weights`.
    pub signal: &'static str,
    /// With which product, as far as its name is known.
    pub product: Option<String>,
    /// What it weighs: the kind's weight, as often as it counts.
    pub weight: f64,
    /// Units; `None` where nobody said or counts them.
    pub quantity: Option<u8>,
}

/// What one view is made from.
struct Viewed<'a> {
    taste: Taste<'a>,
    rules: &'a Rules,
    now: Timestamp,
    said: &'a [Choice],
    /// The last events, each with its facets.
    events: &'a [(&'a Event, Vec<FacetKey>)],
}

/// What the last events say of one thing.
#[derive(Default)]
struct Seen {
    count: usize,
    last: Option<u32>,
    /// What is left of their |weights|.
    weight: f32,
}

impl Viewed<'_> {
    fn seen(&self, about: impl Fn(&Event, &[FacetKey]) -> bool, half_life_seconds: f32) -> Seen {
        let mut seen = Seen::default();
        for (event, _) in self.events.iter().filter(|(event, facets)| about(event, facets)) {
            seen.count += 1;
            seen.last = seen.last.max(Some(event.at));
            let weight = (event.weight * event.times).abs();
            seen.weight += decayed(weight, event.at, self.now, half_life_seconds);
        }
        seen
    }

    fn decay(&self, seen: &Seen, half_life_seconds: f32) -> Decay {
        let since = seen.last.unwrap_or(self.taste.profile.at);
        Decay {
            half_life_days: (f64::from(half_life_seconds) / DAY_SECONDS * 1e6).round() / 1e6,
            left: rounded(decayed(1.0, since, self.now, half_life_seconds)),
        }
    }

    fn confidence(&self, sum: f32, seen: &Seen) -> f64 {
        let evidence = sum.abs().max(seen.weight);
        let confidence = evidence / (evidence + self.rules.ranking.saturation);
        if confidence.is_finite() { rounded(confidence) } else { 0.0 }
    }

    fn mark(&self, facet: FacetKey) -> Option<&Choice> {
        self.said.iter().find(|choice| choice.facet == facet)
    }

    fn facet(&self, facet: FacetKey, name: Option<Arc<str>>) -> FullFacet {
        let half_life = self.rules.half_life.axis_seconds[facet.axis().index()];
        let seen = self.seen(|_, facets| facets.contains(&facet), half_life);
        let sum = self.taste.sum(facet);
        let choice = self.mark(facet);
        FullFacet {
            axis: facet.axis().name(),
            known: name.is_some(),
            name: name.or_else(|| choice.map(|choice| choice.word.clone())),
            affinity: rounded(self.taste.learned(facet)),
            sum: rounded(sum),
            evidence: seen.count,
            last_seen: seen.last,
            decay: self.decay(&seen, half_life),
            confidence: self.confidence(sum, &seen),
            chosen: choice.and_then(|choice| choice.mark).map(|mark| mark.name()),
        }
    }

    fn product(&self, product: ProductKey, name: Option<String>) -> FullProduct {
        let half_life = &self.rules.half_life;
        let (slow, fast) = (half_life.item_slow_seconds, half_life.item_fast_seconds);
        let seen = self.seen(|event, _| event.product == product, slow);
        let sums = self.taste.sums(product);
        FullProduct {
            name,
            memory: rounded(self.taste.item(product)),
            slow: rounded(sums.0),
            fast: rounded(sums.1),
            evidence: seen.count,
            last_seen: seen.last,
            decay_slow: self.decay(&seen, slow),
            decay_fast: self.decay(&seen, fast),
            confidence: self.confidence(sums.0, &seen),
        }
    }
}

impl Personalizer {
    /// All tastes of `subject`.
    pub fn full_view(&self, subject: &Subject) -> FullView {
        let rules = self.rules.load();
        let allowed = self.allows_sensitive(subject);
        self.viewed(subject, &rules, |viewed| {
            let profile = viewed.taste.profile;
            let chosen = viewed.said.iter().map(|choice| choice.facet);
            let mut keys: Vec<FacetKey> = profile.facets.iter().map(|memory| memory.key).collect();
            keys.extend(chosen.filter(|facet| profile.facet(*facet).is_none()));
            keys.retain(|facet| allowed || !self.is_sensitive_facet(*facet, &rules));
            let facet = |key| viewed.facet(key, self.facet_name(key, &rules, allowed));
            let mut facets: Vec<_> = keys.into_iter().map(facet).collect();
            facets.sort_by(|a, b| {
                let strength = b.affinity.abs().total_cmp(&a.affinity.abs());
                strength.then_with(|| (a.axis, &a.name).cmp(&(b.axis, &b.name)))
            });
            let told = profile.products.iter().map(|memory| memory.key);
            let told = told.filter(|key| self.may_tell(*key, allowed));
            let product = |key| viewed.product(key, self.product_name(key));
            let mut products: Vec<_> = told.map(product).collect();
            products.sort_by(|a, b| {
                b.memory.abs().total_cmp(&a.memory.abs()).then_with(|| a.name.cmp(&b.name))
            });
            FullView {
                confidence: rounded(viewed.taste.confidence()),
                last_event: (profile.at > 0).then_some(profile.at),
                events: viewed.events.len(),
                facets,
                products,
            }
        })
    }

    /// One facet as the full view has it, also where nothing is known of it.
    pub fn full_facet(&self, subject: &Subject, facet: FacetKey, word: &str) -> FullFacet {
        let rules = self.rules.load();
        let allowed = self.allows_sensitive(subject);
        self.viewed(subject, &rules, |viewed| {
            let told = allowed || !rules.knowledge.is_sensitive_facet(facet.axis(), word);
            let name = self.facet_name(facet, &rules, allowed);
            let known = name.is_some();
            let shown = viewed.facet(facet, name);
            let name = Some(Arc::from(word));
            match told {
                true => FullFacet { name, known, ..shown },
                // Whether anything is known of it is not told, to whoever it may be.
                false => FullFacet {
                    name,
                    known: false,
                    affinity: 0.0,
                    sum: 0.0,
                    evidence: 0,
                    last_seen: None,
                    confidence: 0.0,
                    chosen: None,
                    ..shown
                },
            }
        })
    }

    /// The last events with the names of their products, as far as they may be told.
    pub(super) fn events_told(&self, events: &Events, allowed: bool) -> Vec<KnownEvent> {
        let told = events.iter().filter(|event| self.may_tell(event.product, allowed));
        let told = told.map(|event| KnownEvent {
            at: event.at,
            signal: event.kind.path(),
            product: self.product_name(event.product),
            weight: rounded(event.weight * event.times),
            quantity: Some(event.quantity).filter(|units| *units > 0),
        });
        told.collect()
    }

    fn viewed<T>(
        &self,
        subject: &Subject,
        rules: &Rules,
        view: impl FnOnce(&Viewed<'_>) -> T,
    ) -> T {
        let now = self.clock.now();
        let said = self.said_by(subject.key(), rules);
        let known = self.store.shoppers.remembered(subject.key());
        let (profile, events) = known.map_or_else(Default::default, |k| (k.profile, k.events));
        let facts =
            |event: &Event| -> Option<Arc<ProductFacts>> { self.store.catalog.get(event.product) };
        let with_facets = |event| (event, Event::facets(event, facts(event).as_deref()).collect());
        let events: Vec<_> = events.iter().map(with_facets).collect();
        let taste = Taste::at(&profile, rules, now);
        view(&Viewed { taste, rules, now, said: &said, events: &events })
    }
}
