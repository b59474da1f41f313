//! What is learned kept in step with what shoppers say and with what the rules say.
//!
//! In: a shopper's own word on one facet; an edit of signal weights; signals to be learned. Out: marks
//! that stand above what is learned, a profile without what was to be forgotten, sums in which the last
//! events weigh what the rules say now. A word waits for the disk: callers that must not wait say it on
//! a thread that may.

use std::sync::Arc;

use super::Observer;
use crate::preferences::events::{Events, Shelf};
use crate::preferences::learn;
use crate::preferences::reweigh::{Reweighed, Scales, Unknown, reweigh};
use crate::rules::{HalfLives, Rules};
use crate::signals::crowd::Known;
use crate::store::choices::{Choice, ChoiceError};
use crate::store::feeds::{Change, Said};
use crate::types::ids::{Subject, SubjectKey, UserId};
use crate::types::product::{Axis, FacetKey};
use crate::types::profile::{Mark, Profile};

/// What a shopper may ask of one facet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The strongest like, from now on.
    Pin,
    /// The strongest dislike, from now on.
    Mute,
    /// What was learned of it goes; it is learned anew.
    Forget,
    /// What was said of it goes; what was learned counts again.
    Clear,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pin, Self::Mute, Self::Forget, Self::Clear];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Mute => "mute",
            Self::Forget => "forget",
            Self::Clear => "clear",
        }
    }
}

/// A facet as the shopper names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its axis.
    pub axis: Axis,
    /// Its value, folded.
    pub value: Arc<str>,
}

impl Word {
    /// Its key.
    pub fn facet(&self) -> FacetKey {
        FacetKey::of(self.axis, &self.value)
    }
}

/// Why a shopper's word was not taken in full.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nothing may be kept of them.
    #[error("nothing is kept of a user who has opted out")]
    OptedOut,
    /// It would tell of religion, health or intimacy.
    #[error("it tells of religion, health or intimacy, and the user has not allowed to keep that")]
    Sensitive,
    /// It was not kept.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
}

impl Observer {
    /// Takes a user's own word on one facet. Waits for the disk.
    ///
    /// # Errors
    /// A word that was not taken in full; one that could not be kept is in force all the same.
    pub fn say(&self, user: &UserId, word: &Word, action: Action) -> Result<(), Refused> {
        let (key, now) = (Subject::User(user.clone()).key(), self.now());
        let standing = self.store.consents.of(key);
        if !standing.personalization && action != Action::Clear {
            return Err(Refused::OptedOut);
        }
        let marks = matches!(action, Action::Pin | Action::Mute);
        let knowledge = &self.rules.load().knowledge;
        if marks && !standing.sensitive && knowledge.is_sensitive_facet(word.axis, &word.value) {
            return Err(Refused::Sensitive);
        }
        let facet = word.facet();
        let said = |mark, word| Choice { facet, mark, at: now, word };
        let choices = &self.store.choices;
        let outcome = match action {
            Action::Pin => choices.say(key, said(Some(Mark::Pinned), word.value.clone())),
            Action::Mute => choices.say(key, said(Some(Mark::Muted), word.value.clone())),
            Action::Clear => choices.take_back(key, facet, now).map(drop),
            Action::Forget if self.store.forget_facet(key, facet, now) => {
                choices.say(key, said(None, Arc::from("")))
            }
            Action::Forget => choices.take_back(key, facet, now).map(drop),
        };
        if !self.store.consents.of(key).admits(now) {
            // They opted out, or had all forgotten, in the same moment.
            choices.forget(key);
        }
        self.store.feeds.tell(key, || Change {
            at: now,
            product: None,
            signals: Vec::new(),
            said: Some(Said {
                axis: word.axis.name(),
                value: word.value.clone(),
                action: action.name(),
            }),
        });
        Ok(outcome?)
    }

    /// Learns signals into a profile, and notes them beside it.
    pub(super) fn learn_and_note(&self, shopper: SubjectKey, known: &[Known], rules: &Rules) {
        let whole: Vec<_> =
            known.iter().map(|(signal, _)| self.store.catalog.get(signal.product)).collect();
        self.store.shoppers.teach(shopper, self.clock.now(), |profile, events| {
            for ((signal, counted), whole) in known.iter().zip(&whole) {
                let counted = counted.as_deref();
                learn::apply(profile, signal, counted, rules, self.caps);
                let weight = rules.signal_weights[signal.kind.index()];
                let shelf = Shelf { whole: whole.as_deref(), counted };
                events.note(signal, weight, shelf, self.events_max);
            }
        });
        let now = self.rules.load();
        if now.signal_weights != rules.signal_weights {
            // The edit's sweep may have been here before.
            self.reweigh_one(shopper, &now, (&rules.half_life, Unknown::ProductAlone));
        }
    }

    /// Moves what all profiles remember of their last events to the weights of now; says how many
    /// profiles moved, and how many have events that wait. `half_life` is what they were learned
    /// under. Locks are a shard's, for one profile at a time. For a thread that serves nobody.
    pub fn reweigh(&self, half_life: &HalfLives, unknown: Unknown) -> (usize, usize) {
        let rules = self.rules.load();
        let (mut moved, mut waiting) = (0, 0);
        for frozen in self.store.shoppers.freeze() {
            let stale = frozen.whose_events(|bytes| Events::is_stale(bytes, &rules.signal_weights));
            // Pages that somebody holds are copied when they are written to.
            drop(frozen);
            for key in stale {
                let done = self.reweigh_one(key, &rules, (half_life, unknown));
                moved += usize::from(done.moved > 0);
                waiting += usize::from(done.waiting > 0);
            }
            std::thread::yield_now();
        }
        self.metrics.profiles_reweighed.inc_by(moved as u64);
        (moved, waiting)
    }

    fn reweigh_one(
        &self,
        key: SubjectKey,
        rules: &Rules,
        (half_life, unknown): (&HalfLives, Unknown),
    ) -> Reweighed {
        let scales = Scales {
            weights: &rules.signal_weights,
            half_life,
            caps: self.caps,
            facts_of: |product| self.store.catalog.get(product),
            unknown,
        };
        let now = self.clock.now();
        let weigh = |profile: &mut Profile, events: &mut Events| reweigh(profile, events, &scales);
        self.store.shoppers.amend(key, now, weigh).unwrap_or_default()
    }

    /// Brings choices that went from memory off the disk too. Waits for the disk.
    ///
    /// # Errors
    /// Those of the disk; it is tried again at the next call.
    pub fn settle(&self) -> std::io::Result<()> {
        self.store.choices.settle()
    }
}
