//! What one shopper's acts teach others: priors and base rates.
//!
//! In: acts and lists of one subject, and how far its word goes ([`Voice`]). Out: counts in the
//! population, at the pace of the rules. What counts is `signals::crowd`'s to say; here are the
//! locks, and what was not counted is.

use super::{Observer, Visit};
use crate::signals::crowd::{self, Categorised, Impressions, Known, Lesson};
use crate::signals::{Derived, ShownList};
use crate::types::ids::{ProductKey, SubjectKey};
use crate::types::interaction::Interaction;
use crate::types::voice::Voice;

/// Who acts, and how far their word goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    /// Whom it teaches.
    pub(super) shopper: SubjectKey,
    /// How far it teaches others.
    pub(super) voice: Voice,
}

impl Observer {
    /// Remembers lists of one reply as they went out; returns what they tell of their products.
    pub(super) fn entered(&self, visit: &mut Visit, lists: Vec<ShownList>) -> Impressions {
        let Visit { recent, conduct, .. } = visit;
        crowd::entered(recent, conduct, lists, &self.rules.load())
    }

    /// Counts impressions, and takes back those of lists that nobody read.
    pub(super) fn count(&self, Impressions { read, unread }: Impressions) {
        if read.is_empty() && unread.is_empty() {
            return;
        }
        let category = |key| self.store.catalog.get(key).and_then(|facts| facts.category);
        let with_category = |list: Vec<ProductKey>| -> Categorised {
            list.into_iter().map(|key| (key, category(key))).collect()
        };
        // Looked up before the lock is taken: every ranking waits for it.
        let read: Vec<_> = read.into_iter().map(with_category).collect();
        let unread: Vec<_> = unread.into_iter().map(with_category).collect();
        let rules = self.rules.load();
        let mut population = self.store.population.write();
        crowd::count(&mut population, read, unread, &rules, self.now());
    }

    /// Learns from one act what all shoppers have in common, where its list was natural.
    pub(super) fn teach_others(
        &self,
        actor: Actor,
        interaction: &Interaction,
        derived: &Derived,
        known: &[Known],
    ) {
        let Some(lesson) = Lesson::of(interaction, derived, known) else { return };
        let rules = self.rules.load();
        let visit = self.visit(actor.shopper);
        let admitted = lesson.admit(actor.voice, &mut visit.lock().conduct, &rules);
        let taught = admitted.and_then(|()| {
            let mut population = self.store.population.write();
            lesson.teach(&mut population, actor.voice, &rules, self.now())
        });
        if let Err(reason) = taught {
            // It taught its shopper alone.
            self.metrics.unheard.with_label_values(&[reason]).inc();
        }
    }
}
