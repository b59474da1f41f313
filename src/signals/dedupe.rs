//! Doubles, dropped once.
//!
//! In: interactions in event time. Out: is this one a double? An event with an id of its own is a
//! double when the same subject sent the same id before. Any other is a double when the same
//! subject did the same thing with the same product less than a second from the first such event,
//! reported by the same source: a press in a real page sends two identical clicks, while a page and
//! the track API may each rightly report one.
//!
//! Two windows of a fixed number of entries, oldest out first; event time only. What has fallen out
//! of the window counts as new.

use std::collections::{HashMap, VecDeque};

use xxhash_rust::xxh3::Xxh3;

use crate::types::ids::SubjectKey;
use crate::types::interaction::Interaction;

/// Events of one subject, product and kind that lie closer than this are one.
const SAME_PRESS_MS: u64 = 1_000;

/// Who reported an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The shop's own requests, read on their way through.
    Traffic,
    /// Our track API.
    Track,
}

/// The last interactions, as far as they are needed to know a double.
#[derive(Clone, Debug)]
pub struct Dedupe {
    ids: Window,
    presses: Window,
}

impl Dedupe {
    /// Remembers at most `events_max` event ids and as many presses (about 40 B each).
    pub fn new(events_max: usize) -> Self {
        Self { ids: Window::new(events_max), presses: Window::new(events_max) }
    }

    /// True when this interaction was seen before; else remembers it. `O(1)`.
    pub fn is_double(
        &mut self,
        subject: SubjectKey,
        interaction: &Interaction,
        source: Source,
    ) -> bool {
        let mut hash = Xxh3::new();
        hash.update(&subject.0.to_le_bytes());
        let at = interaction.at.0;
        if let Some(id) = &interaction.event_id {
            hash.update(id.as_bytes());
            return self.ids.met(hash.digest(), at, u64::MAX);
        }
        hash.update(&interaction.product.key().0.to_le_bytes());
        hash.update(&[source as u8]);
        hash.update(interaction.kind.name().as_bytes());
        self.presses.met(hash.digest(), at, SAME_PRESS_MS)
    }
}

/// First times by key, oldest entry out first.
#[derive(Clone, Debug)]
struct Window {
    first: HashMap<u64, i64>,
    order: VecDeque<u64>,
    entries_max: usize,
}

impl Window {
    fn new(entries_max: usize) -> Self {
        Self { first: HashMap::new(), order: VecDeque::new(), entries_max }
    }

    /// True when `key` was first met less than `within_ms` away; else this is its first time.
    fn met(&mut self, key: u64, at: i64, within_ms: u64) -> bool {
        if let Some(first) = self.first.get_mut(&key) {
            if at.abs_diff(*first) < within_ms {
                return true;
            }
            *first = at;
            return false;
        }
        if self.entries_max == 0 {
            return false;
        }
        if self.order.len() >= self.entries_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.first.remove(&oldest);
        }
        self.first.insert(key, at);
        self.order.push_back(key);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::clock::Timestamp;
    use crate::types::ids::ProductId;
    use crate::types::interaction::InteractionKind;

    const ALICE: SubjectKey = SubjectKey(1);

    fn click(at: i64) -> Interaction {
        Interaction {
            kind: InteractionKind::Click,
            product: ProductId::parse("oat").unwrap(),
            at: Timestamp(at),
            quantity: 1.0,
            event_id: None,
        }
    }

    #[test]
    fn one_press_that_sends_two_clicks_counts_once() {
        let mut dedupe = Dedupe::new(10);
        assert!(!dedupe.is_double(ALICE, &click(5_000), Source::Traffic));
        assert!(dedupe.is_double(ALICE, &click(5_003), Source::Traffic));
        assert!(dedupe.is_double(ALICE, &click(4_200), Source::Traffic));
        assert!(!dedupe.is_double(ALICE, &click(6_000), Source::Traffic));
    }

    #[test]
    fn a_chain_of_clicks_is_measured_from_the_first_so_it_cannot_last_forever() {
        let mut dedupe = Dedupe::new(10);
        let doubles = (0..30).filter(|i| dedupe.is_double(ALICE, &click(i * 100), Source::Traffic));
        assert_eq!(doubles.count(), 27);
    }

    #[test]
    fn another_shopper_product_kind_or_source_is_another_event() {
        let mut dedupe = Dedupe::new(10);
        dedupe.is_double(ALICE, &click(0), Source::Traffic);
        assert!(!dedupe.is_double(SubjectKey(2), &click(0), Source::Traffic));
        assert!(!dedupe.is_double(ALICE, &click(0), Source::Track));
        let view = Interaction { kind: InteractionKind::View, ..click(0) };
        assert!(!dedupe.is_double(ALICE, &view, Source::Traffic));
        let other = Interaction { product: ProductId::parse("soy").unwrap(), ..click(0) };
        assert!(!dedupe.is_double(ALICE, &other, Source::Traffic));
    }

    #[test]
    fn an_event_id_names_an_event_whatever_its_time_and_two_ids_are_two_events() {
        let mut dedupe = Dedupe::new(10);
        let named = |id: &str, at| Interaction { event_id: Some(id.into()), ..click(at) };
        assert!(!dedupe.is_double(ALICE, &named("e1", 0), Source::Track));
        assert!(dedupe.is_double(ALICE, &named("e1", 86_400_000), Source::Track));
        assert!(!dedupe.is_double(ALICE, &named("e2", 10), Source::Track));
        assert!(!dedupe.is_double(SubjectKey(2), &named("e1", 0), Source::Track));
    }

    #[test]
    fn the_window_holds_no_more_than_it_may() {
        let mut dedupe = Dedupe::new(3);
        for subject in 0..100 {
            dedupe.is_double(SubjectKey(subject), &click(0), Source::Traffic);
        }
        assert_eq!(dedupe.presses.first.len(), 3);
        assert_eq!(dedupe.presses.order.len(), 3);
        assert!(!Dedupe::new(0).is_double(ALICE, &click(0), Source::Traffic));
    }
}
