//! One source a kind: what a visit reports itself is not derived from its traffic as well.
//!
//! In: the kinds of what a visit reported, and when. Out: is a kind that was seen in its traffic to
//! be left to the reports? A visit that has reported nothing of the kind for [`TOLD_SECONDS`] is
//! read from its traffic again: another page of the shop may report less.

use crate::types::bytes::{Reader, put_number};
use crate::types::clock::Timestamp;
use crate::types::interaction::InteractionKind;

/// Half an hour: what web analytics calls one visit.
pub const TOLD_SECONDS: u32 = 1_800;

/// When each kind was reported last, in seconds since the epoch; 0 = never.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told([u32; InteractionKind::COUNT]);

impl Told {
    /// The visit reported something of this kind.
    pub fn note(&mut self, kind: InteractionKind, now: Timestamp) {
        if let Some(at) = self.0.get_mut(kind.index()) {
            *at = now.seconds_u32();
        }
    }

    /// Does the visit report this kind itself?
    pub fn has(&self, kind: InteractionKind, now: Timestamp) -> bool {
        let at = self.0.get(kind.index()).copied().unwrap_or_default();
        at > 0 && now.seconds_u32().abs_diff(at) <= TOLD_SECONDS
    }

    /// Appends for the snapshot the kinds that were ever reported, by their index.
    pub fn keep(&self, out: &mut Vec<u8>) {
        let told = || self.0.iter().enumerate().filter(|(_, at)| **at > 0);
        put_number(out, told().count());
        for (kind, at) in told() {
            out.push(kind as u8);
            out.extend(at.to_le_bytes());
        }
    }

    /// What [`Self::keep`] wrote; a kind that is not known is left out.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut told = Self::default();
        for (kind, at) in from.list(|from| Some((from.byte()?, from.u32()?)))? {
            told.0.get_mut(usize::from(kind)).into_iter().for_each(|place| *place = at);
        }
        Some(told)
    }

    /// Forgets reports of a time that is not admitted.
    pub fn retain(&mut self, admits: impl Fn(Timestamp) -> bool) {
        let admitted = |at: u32| admits(Timestamp::from_seconds(at.into()));
        self.0.iter_mut().filter(|at| !admitted(**at)).for_each(|at| *at = 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_was_reported_is_told_for_half_an_hour_and_no_other_kind_is() {
        let mut told = Told::default();
        let at = |seconds: i64| Timestamp::from_seconds(1_700_000_000 + seconds);
        assert!(!told.has(InteractionKind::Click, at(0)));
        told.note(InteractionKind::Click, at(0));
        assert!(told.has(InteractionKind::Click, at(1_800)));
        assert!(!told.has(InteractionKind::Click, at(1_801)));
        assert!(!told.has(InteractionKind::AddToCart, at(1)));
        let mut bytes = Vec::new();
        told.keep(&mut bytes);
        assert_eq!(Told::read(&mut Reader::new(&bytes)), Some(told));
        assert_eq!(Told::read(&mut Reader::new(&bytes[..4])), None);
        told.retain(|then| then > at(0));
        assert_eq!(told, Told::default());
    }
}
