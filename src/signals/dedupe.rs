//! Doubles, dropped once.
//!
//! In: interactions in event time. Out: is this one a double? It is one
//!
//! - by its own id, when the same subject sent the same id before;
//! - without an id, when the same source told the same act with the same product less than a second
//!   from the first such event: a press in a real page sends two identical clicks;
//! - when the other source told it, within a window that slides with that source's events. Each
//!   event stands for one of the other source at most, so that two real presses that both sources
//!   tell stay two.
//!
//! Two windows of a fixed number of entries, oldest out first; event time only. What has fallen out
//! of the window counts as new.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use crate::types::bytes::{Reader, put_number};
use crate::types::ids::SubjectKey;
use crate::types::interaction::Interaction;

/// Events of one subject, product and kind that lie closer than this are one.
const SAME_PRESS_MS: u64 = 1_000;
/// No event yet: farther from any time than every window.
const NEVER: i64 = i64::MIN / 2;

/// Who reported an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The shop's own requests, read on their way through.
    Traffic,
    /// Our track API and the dialects that it speaks.
    Track,
}

/// The last interactions, as far as they are needed to know a double.
#[derive(Clone, Debug)]
pub struct Dedupe {
    ids: Window<()>,
    presses: Window<Presses>,
    join_ms: u64,
}

/// What both sources told of one act with one product, by [`Source`].
#[derive(Clone, Copy, Debug)]
struct Presses {
    /// The first of the events that are one press.
    first: [i64; 2],
    /// The last event that counted.
    last: [i64; 2],
    /// Events that counted and that the other source has not told yet.
    open: [u16; 2],
}

impl Default for Presses {
    fn default() -> Self {
        Self { first: [NEVER; 2], last: [NEVER; 2], open: [0; 2] }
    }
}

impl Presses {
    fn is_double(&mut self, at: i64, source: Source, has_id: bool, join_ms: u64) -> bool {
        let (own, other) = match source {
            Source::Traffic => (0, 1),
            Source::Track => (1, 0),
        };
        if !has_id {
            if at.abs_diff(self.first[own]) < SAME_PRESS_MS {
                return true;
            }
            self.first[own] = at;
        }
        if self.open[other] > 0 && at.abs_diff(self.last[other]) <= join_ms {
            self.open[other] -= 1;
            return true;
        }
        let near = at.abs_diff(self.last[own]) <= join_ms;
        self.open[own] = if near { self.open[own].saturating_add(1) } else { 1 };
        self.last[own] = self.last[own].max(at);
        false
    }
}

impl Dedupe {
    /// Remembers at most `events_max` event ids and as many presses (40 and 90 B each); acts that
    /// two sources tell within `join` are one.
    pub fn new(events_max: usize, join: Duration) -> Self {
        let join_ms = u64::try_from(join.as_millis()).unwrap_or(u64::MAX);
        Self { ids: Window::new(events_max), presses: Window::new(events_max), join_ms }
    }

    /// True when this interaction was seen before; else remembers it. `O(1)`.
    pub fn is_double(
        &mut self,
        subject: SubjectKey,
        interaction: &Interaction,
        source: Source,
    ) -> bool {
        let (id, press) = keys(subject, interaction);
        if id.is_some_and(|id| self.ids.entry(id).is_some_and(|(is_new, _)| !is_new)) {
            return true;
        }
        let Some((_, presses)) = self.presses.entry(press) else { return false };
        presses.is_double(interaction.at.0, source, id.is_some(), self.join_ms)
    }

    /// Takes over what `other` remembers of this interaction, unless something is known here: so
    /// that a small window can say what `other` would, and leave it as it is.
    pub fn learn_from(&mut self, other: &Self, subject: SubjectKey, interaction: &Interaction) {
        let (id, press) = keys(subject, interaction);
        if let Some(id) = id.filter(|id| other.ids.kept.contains_key(id)) {
            self.ids.entry(id);
        }
        if let Some(known) = other.presses.kept.get(&press)
            && let Some((true, presses)) = self.presses.entry(press)
        {
            *presses = *known;
        }
    }
}

/// For the snapshot.
impl Dedupe {
    /// Appends what is remembered, the oldest first.
    pub fn keep(&self, out: &mut Vec<u8>) {
        put_number(out, self.ids.order.len());
        self.ids.order.iter().for_each(|id| out.extend(id.to_le_bytes()));
        put_number(out, self.presses.order.len());
        for key in &self.presses.order {
            let presses = self.presses.kept.get(key).copied().unwrap_or_default();
            out.extend(key.to_le_bytes());
            presses.keep(out);
        }
    }

    /// Takes in what [`Self::keep`] wrote, as far as there is room: false for bytes that it did not.
    pub fn restore(&mut self, from: &mut Reader<'_>) -> bool {
        let ids = from.list(Reader::u64);
        let presses = from.list(|from| Some((from.u64()?, Presses::read(from)?)));
        let (Some(ids), Some(presses)) = (ids, presses) else { return false };
        for id in ids {
            self.ids.entry(id);
        }
        for (key, known) in presses {
            if let Some((_, presses)) = self.presses.entry(key) {
                *presses = known;
            }
        }
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.ids = Window::new(self.ids.entries_max);
        self.presses = Window::new(self.presses.entries_max);
    }

    /// How many event ids and presses are remembered.
    pub fn sizes(&self) -> (usize, usize) {
        (self.ids.order.len(), self.presses.order.len())
    }
}

impl Presses {
    /// A byte that says which of the times there are, these, and what is open.
    fn keep(&self, out: &mut Vec<u8>) {
        let times = || self.first.into_iter().chain(self.last);
        let there = times().enumerate().filter(|(_, at)| *at != NEVER);
        out.push(there.map(|(place, _)| 1 << place).sum());
        times().filter(|at| *at != NEVER).for_each(|at| out.extend(at.to_le_bytes()));
        self.open.iter().for_each(|open| put_number(out, usize::from(*open)));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (mut presses, there) = (Self::default(), from.byte()?);
        let times = presses.first.iter_mut().chain(&mut presses.last).enumerate();
        for (_, at) in times.filter(|(place, _)| there & 1 << place != 0) {
            *at = from.i64()?;
        }
        for open in &mut presses.open {
            *open = u16::try_from(from.number()?).ok()?;
        }
        Some(presses)
    }
}

/// The keys of an interaction's own id, and of what was done with what.
fn keys(subject: SubjectKey, interaction: &Interaction) -> (Option<u64>, u64) {
    let mut hash = Xxh3::new();
    hash.update(&subject.0.to_le_bytes());
    let id = interaction.event_id.as_ref().map(|id| {
        let mut hash = hash.clone();
        hash.update(id.as_bytes());
        hash.digest()
    });
    hash.update(&interaction.product.key().0.to_le_bytes());
    hash.update(interaction.kind.name().as_bytes());
    (id, hash.digest())
}

/// Values by key, oldest key out first.
#[derive(Clone, Debug)]
struct Window<T> {
    kept: HashMap<u64, T>,
    order: VecDeque<u64>,
    entries_max: usize,
}

impl<T: Default> Window<T> {
    fn new(entries_max: usize) -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), entries_max }
    }

    /// The value at `key`, and whether it is new; `None` where nothing may be kept.
    fn entry(&mut self, key: u64) -> Option<(bool, &mut T)> {
        if self.entries_max == 0 {
            return None;
        }
        let is_new = !self.kept.contains_key(&key);
        if is_new {
            if self.order.len() >= self.entries_max
                && let Some(oldest) = self.order.pop_front()
            {
                self.kept.remove(&oldest);
            }
            self.order.push_back(key);
        }
        Some((is_new, self.kept.entry(key).or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::clock::Timestamp;
    use crate::types::ids::ProductId;
    use crate::types::interaction::InteractionKind;

    const ALICE: SubjectKey = SubjectKey(1);
    const JOIN: Duration = Duration::from_secs(10);

    fn click(at: i64) -> Interaction {
        Interaction {
            kind: InteractionKind::Click,
            product: ProductId::parse("oat").unwrap(),
            at: Timestamp(at),
            quantity: 1.0,
            event_id: None,
        }
    }

    fn named(id: &str, at: i64) -> Interaction {
        Interaction { event_id: Some(id.into()), ..click(at) }
    }

    /// How many of these clicks count.
    fn counted(clicks: &[(Source, i64)]) -> usize {
        let mut dedupe = Dedupe::new(10, JOIN);
        clicks.iter().filter(|(source, at)| !dedupe.is_double(ALICE, &click(*at), *source)).count()
    }

    #[test]
    fn one_press_that_sends_two_clicks_counts_once() {
        let mut dedupe = Dedupe::new(10, JOIN);
        assert!(!dedupe.is_double(ALICE, &click(5_000), Source::Traffic));
        assert!(dedupe.is_double(ALICE, &click(5_003), Source::Traffic));
        assert!(dedupe.is_double(ALICE, &click(4_200), Source::Traffic));
        assert!(!dedupe.is_double(ALICE, &click(6_000), Source::Traffic));
    }

    #[test]
    fn a_chain_of_clicks_is_measured_from_the_first_so_it_cannot_last_forever() {
        let mut dedupe = Dedupe::new(10, JOIN);
        let doubles = (0..30).filter(|i| dedupe.is_double(ALICE, &click(i * 100), Source::Traffic));
        assert_eq!(doubles.count(), 27);
    }

    #[test]
    fn another_shopper_product_or_kind_is_another_event() {
        let mut dedupe = Dedupe::new(10, JOIN);
        dedupe.is_double(ALICE, &click(0), Source::Traffic);
        assert!(!dedupe.is_double(SubjectKey(2), &click(0), Source::Traffic));
        let view = Interaction { kind: InteractionKind::View, ..click(0) };
        assert!(!dedupe.is_double(ALICE, &view, Source::Traffic));
        let other = Interaction { product: ProductId::parse("soy").unwrap(), ..click(0) };
        assert!(!dedupe.is_double(ALICE, &other, Source::Traffic));
    }

    #[test]
    fn what_both_sources_tell_counts_once_whichever_tells_it_first() {
        use Source::{Track, Traffic};
        assert_eq!(counted(&[(Traffic, 0), (Track, 400)]), 1);
        assert_eq!(counted(&[(Track, 0), (Traffic, 9_999)]), 1);
        assert_eq!(counted(&[(Track, 0), (Traffic, 10_001)]), 2, "too far apart");
        assert_eq!(counted(&[(Track, 5_000), (Traffic, 0)]), 1, "told late");
    }

    #[test]
    fn two_real_presses_that_both_sources_tell_stay_two() {
        use Source::{Track, Traffic};
        let in_turn = [(Traffic, 0), (Track, 300), (Traffic, 3_000), (Track, 3_300)];
        assert_eq!(counted(&in_turn), 2);
        let in_bulk = [(Traffic, 0), (Traffic, 3_000), (Track, 300), (Track, 3_300)];
        assert_eq!(counted(&in_bulk), 2);
        assert_eq!(counted(&[(Track, 0), (Track, 1_500), (Traffic, 1_600)]), 2);
    }

    #[test]
    fn the_window_across_sources_slides_with_the_events() {
        use Source::{Track, Traffic};
        // Four presses, 8 s apart, and their reports all at once.
        let presses = (0..4).map(|i| (Traffic, i * 8_000));
        let reports = (0..4).map(|i| (Track, 30_000 + i * 1_001));
        assert_eq!(counted(&presses.chain(reports).collect::<Vec<_>>()), 4);
    }

    #[test]
    fn an_event_with_an_id_is_joined_with_what_the_other_source_told() {
        let mut dedupe = Dedupe::new(10, JOIN);
        assert!(!dedupe.is_double(ALICE, &click(0), Source::Traffic));
        assert!(dedupe.is_double(ALICE, &named("e1", 100), Source::Track));
        assert!(!dedupe.is_double(ALICE, &named("e2", 200), Source::Track), "a second press");
    }

    #[test]
    fn an_event_id_names_an_event_whatever_its_time_and_two_ids_are_two_events() {
        let mut dedupe = Dedupe::new(10, JOIN);
        assert!(!dedupe.is_double(ALICE, &named("e1", 0), Source::Track));
        assert!(dedupe.is_double(ALICE, &named("e1", 86_400_000), Source::Track));
        assert!(!dedupe.is_double(ALICE, &named("e2", 10), Source::Track));
        assert!(!dedupe.is_double(SubjectKey(2), &named("e1", 0), Source::Track));
    }

    #[test]
    fn what_another_window_would_say_can_be_asked_without_changing_it() {
        let mut real = Dedupe::new(10, JOIN);
        real.is_double(ALICE, &named("e1", 0), Source::Track);
        real.is_double(ALICE, &click(50_000), Source::Traffic);
        let mut asked = Dedupe::new(10, JOIN);
        let mut says = |interaction: &Interaction| {
            asked.learn_from(&real, ALICE, interaction);
            asked.is_double(ALICE, interaction, Source::Track)
        };
        assert!(says(&named("e1", 99)));
        assert!(says(&click(50_100)), "told by traffic");
        assert!(!says(&click(52_000)), "but once");
        assert!(real.is_double(ALICE, &click(50_100), Source::Track), "it was only asked");
    }

    #[test]
    fn what_is_read_back_knows_the_same_doubles_and_forgets_the_oldest_first() {
        let (mut before, mut bytes) = (Dedupe::new(10, JOIN), Vec::new());
        before.is_double(ALICE, &named("e1", 0), Source::Track);
        before.is_double(ALICE, &named("e2", 50_000), Source::Track);
        before.is_double(SubjectKey(2), &click(70_000), Source::Traffic);
        before.keep(&mut bytes);
        let back = |events_max: usize| {
            let mut dedupe = Dedupe::new(events_max, JOIN);
            assert!(dedupe.restore(&mut Reader::new(&bytes)));
            dedupe
        };
        let mut after = back(10);
        assert_eq!(after.sizes(), before.sizes());
        assert!(after.is_double(ALICE, &named("e1", 9), Source::Track));
        assert!(after.is_double(SubjectKey(2), &click(70_500), Source::Traffic));
        assert!(after.is_double(SubjectKey(2), &click(71_500), Source::Track), "the other's");
        assert!(!after.is_double(SubjectKey(2), &click(72_600), Source::Track), "but once");
        let mut small = back(1);
        assert_eq!(small.sizes(), (1, 1));
        assert!(!small.clone().is_double(ALICE, &named("e1", 9), Source::Track));
        assert!(small.is_double(ALICE, &named("e2", 9), Source::Track));
        small.clear();
        assert_eq!(small.sizes(), (0, 0));
        for length in 0..bytes.len() {
            let cut = &mut Reader::new(&bytes[..length]);
            assert!(!Dedupe::new(10, JOIN).restore(cut), "{length}");
        }
    }

    #[test]
    fn the_window_holds_no_more_than_it_may() {
        let mut dedupe = Dedupe::new(3, JOIN);
        for subject in 0..100 {
            dedupe.is_double(SubjectKey(subject), &click(0), Source::Traffic);
        }
        assert_eq!(dedupe.presses.kept.len(), 3);
        assert_eq!(dedupe.presses.order.len(), 3);
        let mut none = Dedupe::new(0, JOIN);
        assert!(!none.is_double(ALICE, &click(0), Source::Traffic));
        assert!(!none.is_double(ALICE, &named("e1", 0), Source::Track));
        assert!(!none.is_double(ALICE, &named("e1", 0), Source::Track));
    }
}
