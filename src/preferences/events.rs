//! The last events of one shopper, each with the weight by which it stands in the sums.
//!
//! ```text
//! tag u8 = 1 · number u8 · events of 24 B, by time:
//!   product 6 B · kind u8 · quantity u8 · times f32 · weight f32 · time u32 · facets u16 · digest u16
//! facets:  bit 15 = all of the product's but its price tier · bits 13, 14 = the tier · bits 0 to 12 =
//!          some of them, by their place in the product's facts · digest: of those facts' facets
//! ```
//!
//! In: signals as they are learned. Out: what is shown of them, and what takes their share out of the
//! sums again when a weight is edited ([`reweigh`](super::reweigh)). Which facets an event counted on
//! is told by the product's facts as long as these are what they were; a price tier by itself. What is
//! taken back goes from here too. Bytes that nobody packed give `None`; what stands behind the last
//! event is left unread. No name, no time but the event's.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, PriceTier, ProductFacts};
use crate::types::signal::{Signal, SignalKind};

/// Bytes of a packed event.
pub const EVENT_BYTES: usize = 24;
/// Most events that may be kept of one shopper: their number is a byte, and a record of them short.
pub const EVENTS_MAX: usize = 128;

const TAG: u8 = 1;

/// All facets of the product but its tier.
const ALL: u16 = 1 << 15;
/// Where the tier stands: 0 = none.
const TIER_SHIFT: u16 = 13;
const TIER: u16 = 0b11 << TIER_SHIFT;
/// Facets that are told one by one.
const PLACES: usize = TIER_SHIFT as usize;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// With which product.
    pub product: ProductKey,
    /// What happened.
    pub kind: SignalKind,
    /// How often it counts, above 0.
    pub times: f32,
    /// Units; 0 where nobody said or counts them.
    pub quantity: u8,
    /// When, seconds since the epoch.
    pub at: u32,
    /// The weight of its kind by which it stands in the sums.
    pub weight: f32,
    facets: u16,
    digest: u16,
}

/// The last events of one shopper, by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events(Vec<Event>);

/// What is known of a product, and the part of it on which a signal counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shelf<'a> {
    /// All that is known.
    pub whole: Option<&'a ProductFacts>,
    /// That with the facets on which it counts; `None`: on the product alone.
    pub counted: Option<&'a ProductFacts>,
}

impl Event {
    /// The facets on which it counts, as far as `facts` of its product tell.
    pub fn facets<'a>(
        &self,
        facts: Option<&'a ProductFacts>,
    ) -> impl Iterator<Item = FacetKey> + use<'a> {
        let (mask, digest) = (self.facets, self.digest);
        let same = facts.filter(|facts| mask & !TIER != 0 && digest_of(facts) == digest);
        let counted = move |place: usize| mask & ALL != 0 || bit(place) & mask != 0;
        let named = same.into_iter().flat_map(untiered).enumerate();
        let named = named.filter(move |(place, _)| counted(*place)).map(|(_, facet)| facet);
        named.chain(tier_of(mask))
    }

    /// True where facts are needed to tell its facets.
    pub fn needs_facts(&self) -> bool {
        self.facets & !TIER != 0
    }

    /// Counts on `facet` no more. Where nobody can tell on which it does, on none.
    fn leave(&mut self, facet: FacetKey, facts: Option<&ProductFacts>) {
        if facet.axis() == Axis::PriceTier {
            if tier_of(self.facets) == Some(facet) {
                self.facets &= !TIER;
            }
            return;
        }
        if !self.needs_facts() {
            return;
        }
        let Some(facts) = facts.filter(|facts| digest_of(facts) == self.digest) else {
            self.facets &= TIER;
            return;
        };
        let Some(place) = untiered(facts).position(|own| own == facet) else { return };
        if self.facets & ALL != 0 {
            let each = (0..untiered(facts).count()).map(bit).fold(0, |bits, bit| bits | bit);
            self.facets = self.facets & TIER | each;
        }
        self.facets &= !bit(place);
    }
}

/// The bit of a place; those beyond the last have none.
fn bit(place: usize) -> u16 {
    if place < PLACES { 1 << place } else { 0 }
}

fn untiered(facts: &ProductFacts) -> impl Iterator<Item = FacetKey> + '_ {
    facts.facets.iter().copied().filter(|facet| facet.axis() != Axis::PriceTier)
}

fn tier_of(mask: u16) -> Option<FacetKey> {
    let number = usize::from((mask & TIER) >> TIER_SHIFT);
    let tier = PriceTier::ALL.get(number.checked_sub(1)?)?;
    Some(FacetKey::of(Axis::PriceTier, tier.name()))
}

fn digest_of(facts: &ProductFacts) -> u16 {
    let mut hasher = Xxh3::new();
    untiered(facts).for_each(|facet| hasher.update(&facet.0.to_le_bytes()));
    hasher.digest() as u16
}

/// Which facets a signal counts on, as bits.
fn mask_of(Shelf { whole, counted }: Shelf<'_>) -> (u16, u16) {
    let (Some(whole), Some(counted)) = (whole, counted) else { return (0, 0) };
    let has = |facet: FacetKey| counted.facets.contains(&facet);
    let tiers = (1..=PriceTier::ALL.len() as u16).map(|number| number << TIER_SHIFT);
    let tier = tiers.into_iter().find(|mask| tier_of(*mask).is_some_and(has)).unwrap_or(0);
    let named = if untiered(whole).all(has) {
        ALL
    } else {
        let places = untiered(whole).enumerate().filter(|(_, facet)| has(*facet));
        places.fold(0, |bits, (place, _)| bits | bit(place))
    };
    (tier | named, digest_of(whole))
}

impl Events {
    /// Notes a signal that was learned with this weight of its kind; keeps the latest `max`.
    ///
    /// One that takes another back takes it out.
    pub fn note(&mut self, signal: &Signal, weight: f32, shelf: Shelf<'_>, max: usize) {
        let at = signal.at.seconds_u32();
        if signal.times <= 0.0 {
            let taken = |event: &Event| {
                (event.product, event.kind, event.at) == (signal.product, signal.kind, at)
                    && event.times == -signal.times
            };
            if let Some(place) = self.0.iter().rposition(taken) {
                self.0.remove(place);
            }
            return;
        }
        let (facets, digest) = mask_of(shelf);
        let Signal { kind, product, times, quantity, .. } = *signal;
        let event = Event { product, kind, times, quantity, at, weight, facets, digest };
        let place = self.0.partition_point(|other| other.at <= at);
        self.0.insert(place, event);
        self.keep_latest(max);
    }

    fn keep_latest(&mut self, max: usize) {
        let beyond = self.0.len().saturating_sub(max.min(EVENTS_MAX));
        self.0.drain(..beyond);
    }

    /// The events of two shoppers who are one.
    pub fn join(&mut self, other: Self, max: usize) {
        self.0.extend(other.0);
        // stable: of the same second the user's own stand first
        self.0.sort_by_key(|event| event.at);
        self.keep_latest(max);
    }

    /// Nothing of what happened is in `facet` any more.
    pub fn forget_facet(
        &mut self,
        facet: FacetKey,
        facts_of: impl Fn(ProductKey) -> Option<Arc<ProductFacts>>,
    ) {
        for event in &mut self.0 {
            event.leave(facet, facts_of(event.product).as_deref());
        }
    }

    /// Keeps those of which `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(&Event) -> bool) {
        self.0.retain(keep);
    }

    /// By time, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Event> {
        self.0.iter_mut()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where nothing happened yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends them to `out`; nothing where there are none.
    pub fn pack(&self, out: &mut Vec<u8>) {
        if self.0.is_empty() {
            return;
        }
        let latest = &self.0[self.0.len().saturating_sub(EVENTS_MAX)..];
        out.extend([TAG, latest.len() as u8]);
        for event in latest {
            out.extend(&event.product.0.to_le_bytes()[..6]);
            out.extend([event.kind.index() as u8, event.quantity]);
            out.extend(event.times.to_le_bytes());
            out.extend(event.weight.to_le_bytes());
            out.extend(event.at.to_le_bytes());
            out.extend(event.facets.to_le_bytes());
            out.extend(event.digest.to_le_bytes());
        }
    }

    /// The events that `bytes` hold; those of kinds that are not known are left out.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let ([tag, number], rest) = bytes.split_first_chunk()?;
        let packed = rest.get(..usize::from(*number) * EVENT_BYTES).filter(|_| *tag == TAG)?;
        let events: Vec<Event> = packed.chunks_exact(EVENT_BYTES).filter_map(unpacked).collect();
        let sane = |event: &Event| event.times.is_finite() && event.weight.is_finite();
        let sorted = events.is_sorted_by_key(|event| event.at);
        (sorted && events.iter().all(sane)).then_some(Self(events))
    }

    /// True where one of the packed events stands in the sums by another weight than `weights` say.
    pub fn is_stale(bytes: &[u8], weights: &[f32]) -> bool {
        let stale = |event: &Event| weights.get(event.kind.index()) != Some(&event.weight);
        Self::unpack(bytes).is_some_and(|events| events.iter().any(stale))
    }
}

fn unpacked(bytes: &[u8]) -> Option<Event> {
    let word = |from: usize| -> Option<[u8; 4]> { bytes.get(from..from + 4)?.try_into().ok() };
    let half = |from: usize| -> Option<[u8; 2]> { bytes.get(from..from + 2)?.try_into().ok() };
    let mut key = [0; 8];
    key[..6].copy_from_slice(bytes.get(..6)?);
    Some(Event {
        product: ProductKey(u64::from_le_bytes(key)),
        kind: *SignalKind::ALL.get(usize::from(*bytes.get(6)?))?,
        quantity: *bytes.get(7)?,
        times: f32::from_le_bytes(word(8)?),
        weight: f32::from_le_bytes(word(12)?),
        at: u32::from_le_bytes(word(16)?),
        facets: u16::from_le_bytes(half(20)?),
        digest: u16::from_le_bytes(half(22)?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::testing::facts;
    use crate::types::clock::Timestamp;

    fn signal(kind: SignalKind, id: &str, at: i64, times: f32) -> Signal {
        let (product, at) = (ProductKey::of(id), Timestamp::from_seconds(at));
        Signal { kind, product, at, times, quantity: 2 }
    }

    fn fully(facts: &ProductFacts) -> Shelf<'_> {
        Shelf { whole: Some(facts), counted: Some(facts) }
    }

    fn facets_of(event: &Event, facts: Option<&ProductFacts>) -> Vec<FacetKey> {
        event.facets(facts).collect()
    }

    fn tiered(facts: &ProductFacts, tier: PriceTier) -> ProductFacts {
        let tier = FacetKey::of(Axis::PriceTier, tier.name());
        let facets = facts.facets.iter().copied().chain([tier]).collect();
        ProductFacts { facets, ..facts.clone() }
    }

    #[test]
    fn an_event_takes_24_bytes_and_comes_back() {
        let oat = tiered(&facts("oat", "Oat", "dairy/milk", &["vegan"]), PriceTier::Premium);
        let mut events = Events::default();
        events.note(&signal(SignalKind::Returned, "oat", 90, 0.25), -0.8, fully(&oat), 32);
        let mut bytes = Vec::new();
        events.pack(&mut bytes);
        assert_eq!(bytes.len(), 2 + EVENT_BYTES);
        bytes.extend(b"more");
        assert_eq!(Events::unpack(&bytes), Some(events));
    }

    #[test]
    fn the_latest_are_kept_in_whatever_order_they_come() {
        let mut events = Events::default();
        for at in [5, 1, 9, 7, 3] {
            events.note(&signal(SignalKind::ClickProduct, "a", at, 1.0), 0.2, Shelf::default(), 3);
        }
        assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), [5, 7, 9]);
    }

    #[test]
    fn what_is_taken_back_did_not_happen() {
        let mut events = Events::default();
        let passed = signal(SignalKind::DisplayedButScrolled, "a", 5, 0.5);
        events.note(&passed, -0.05, Shelf::default(), 32);
        events.note(&Signal { times: -0.5, ..passed }, -0.05, Shelf::default(), 32);
        events.note(&Signal { times: -0.5, ..passed }, -0.05, Shelf::default(), 32);
        assert!(events.is_empty());
    }

    #[test]
    fn the_facets_of_an_event_are_told_while_the_facts_are_what_they_were() {
        let whole = tiered(&facts("hot", "Hot", "snacks/chips", &["spicy"]), PriceTier::Budget);
        let spicy = FacetKey::of(Axis::Attribute, "spicy");
        let counted = ProductFacts { facets: Box::new([spicy]), ..whole.clone() };
        let shelf = Shelf { whole: Some(&whole), counted: Some(&counted) };
        let mut events = Events::default();
        events.note(&signal(SignalKind::DisplayedButScrolled, "hot", 1, 1.0), -0.05, shelf, 32);
        events.note(&signal(SignalKind::ClickProduct, "hot", 2, 1.0), 0.2, fully(&whole), 32);
        let [passed, clicked] = [events.0[0], events.0[1]];
        assert_eq!(facets_of(&passed, Some(&whole)), [spicy]);
        assert_eq!(facets_of(&clicked, Some(&whole)), &*whole.facets);
        // its tier of then, whatever it is now
        let dearer = tiered(&facts("hot", "Hot", "snacks/chips", &["spicy"]), PriceTier::Premium);
        assert_eq!(facets_of(&clicked, Some(&dearer)), &*whole.facets);
        let other = facts("hot", "Hot", "snacks/crisps", &["spicy"]);
        let budget = FacetKey::of(Axis::PriceTier, "budget");
        assert_eq!(facets_of(&clicked, Some(&other)), [budget]);
        assert_eq!(facets_of(&clicked, None), [budget]);
        assert!(clicked.needs_facts());
    }

    #[test]
    fn a_forgotten_facet_is_in_no_event_any_more_and_the_others_are() {
        let whole = tiered(&facts("hot", "Hot", "snacks/chips", &["spicy"]), PriceTier::Budget);
        let mut events = Events::default();
        events.note(&signal(SignalKind::ClickProduct, "hot", 2, 1.0), 0.2, fully(&whole), 32);
        let spicy = FacetKey::of(Axis::Attribute, "spicy");
        let known = Arc::new(whole.clone());
        events.forget_facet(spicy, |_| Some(known.clone()));
        let left: Vec<_> = whole.facets.iter().copied().filter(|facet| *facet != spicy).collect();
        assert_eq!(facets_of(&events.0[0], Some(&whole)), left);
        events.forget_facet(FacetKey::of(Axis::PriceTier, "budget"), |_| Some(known.clone()));
        assert_eq!(facets_of(&events.0[0], Some(&whole)), left[..2]);
        events.forget_facet(left[0], |_| None);
        assert_eq!(facets_of(&events.0[0], Some(&whole)), []);
    }

    proptest! {
        #[test]
        fn bytes_from_anywhere_are_events_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(events) = Events::unpack(&bytes) {
                let mut again = Vec::new();
                events.pack(&mut again);
                let back = Events::unpack(&again).unwrap_or_default();
                prop_assert_eq!(back, events);
            }
        }
    }
}
