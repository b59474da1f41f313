//! What shoppers have said about being learned from, kept to on the write path.
//!
//! In: who asks, and choices from `api`. Out: an identity that is opted out where its user is, and
//! a store that has forgotten what it should. A choice waits for the disk: callers that must not
//! wait make it on a thread that may.

use super::Observer;
use crate::identity::Identity;
use crate::signals::ShownList;
use crate::store::consent::{ConsentError, Standing};
use crate::types::ids::{Subject, SubjectKey, UserId};
use crate::types::product::FacetKey;

/// What a user chooses; `None`: as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// May they be learned from?
    pub personalization: Option<bool>,
    /// May tastes be learned that tell of religion, health or intimacy?
    pub sensitive: Option<bool>,
}

impl Observer {
    /// Who asks, with what they chose for good.
    pub fn standing(&self, identity: Identity) -> Identity {
        let chosen = |subject: Subject| self.store.consents.of(subject.key()).personalization;
        let opted_out = identity.opted_out || !identity.subject().is_none_or(chosen);
        Identity { opted_out, ..identity }
    }

    /// What a user chose so far.
    pub fn choice_of(&self, user: &UserId) -> Standing {
        self.store.consents.of(Subject::User(user.clone()).key())
    }

    /// Takes a user's choice. One who opts out is forgotten; one who takes back that sensitive tastes
    /// may be learned is forgotten as far as those go; what happened until one who comes back
    /// came back is never learned. Waits for the disk.
    ///
    /// # Errors
    /// A choice that was not taken in full; one that could not be kept is in force all the same.
    pub fn choose(&self, user: &UserId, choice: Choice) -> Result<Standing, ConsentError> {
        let (key, now) = (Subject::User(user.clone()).key(), self.now());
        let before = self.store.consents.of(key);
        let outcome = self.store.consents.set(key, now, |standing| {
            let personalization = choice.personalization.unwrap_or(standing.personalization);
            if personalization != standing.personalization {
                standing.erase(now);
            }
            standing.personalization = personalization;
            standing.sensitive = personalization && choice.sensitive.unwrap_or(standing.sensitive);
        });
        let after = self.store.consents.of(key);
        if !after.personalization {
            self.store.forget(key);
        } else if before.sensitive && !after.sensitive {
            self.forget_sensitive(key);
        }
        let settled = self.store.choices.settle();
        outcome.and_then(|standing| Ok(settled.map(|()| standing)?))
    }

    /// Keeps of a profile what is known to tell nothing. What has no name any more might tell.
    fn forget_sensitive(&self, key: SubjectKey) {
        let (catalog, rules) = (&self.store.catalog, self.rules.load());
        self.store.choices.retain(key, |choice| {
            choice.mark.is_none()
                || !rules.knowledge.is_sensitive_facet(choice.facet.axis(), &choice.word)
        });
        let harmless = |facet: FacetKey| {
            let name = catalog.name(facet);
            name.is_some_and(|name| !rules.knowledge.is_sensitive_facet(facet.axis(), &name))
        };
        let plain = |product| catalog.get(product).is_some_and(|facts| !facts.sensitive);
        let left = self.store.shoppers.amend(key, self.now(), |profile, events| {
            events.retain(|event| plain(event.product));
            profile.facets.retain(|memory| harmless(memory.key));
            profile.products.retain(|memory| plain(memory.key));
            profile.prices.retain(|memory| harmless(memory.category));
            profile.version = profile.version.wrapping_add(1);
            profile.facets.len() + profile.products.len()
        });
        if left == Some(0) {
            self.store.shoppers.take(key);
        }
    }

    /// Forgets all that is known of a user, and what is told later of the time until now. Waits for
    /// the disk.
    ///
    /// # Errors
    /// That it was forgotten is not known after a restart; it is forgotten all the same, unless
    /// nothing can be noted at all.
    pub fn erase(&self, user: &UserId) -> Result<Standing, ConsentError> {
        let (key, now) = (Subject::User(user.clone()).key(), self.now());
        let outcome = self.store.consents.set(key, now, |standing| standing.erase(now));
        self.store.forget(key);
        let settled = self.store.choices.settle();
        outcome.and_then(|standing| Ok(settled.map(|()| standing)?))
    }

    /// The lists that a user was shown last, oldest first.
    pub fn recent_lists(&self, user: &UserId) -> Vec<ShownList> {
        let visit = self.visits.get(&Subject::User(user.clone()).key());
        visit.map(|visit| visit.lock().recent.iter().cloned().collect()).unwrap_or_default()
    }

    /// A visit of a user who opted out: what it taught before the user was named goes too.
    pub(super) fn leave_unlearned(&self, identity: &Identity) {
        let (Some(user), Some(session)) = (&identity.user, &identity.session) else { return };
        let session = Subject::Session(session.clone()).key();
        let known = || {
            self.visits.get(&session).is_some() || self.store.shoppers.profile(session).is_some()
        };
        if !self.choice_of(user).personalization && known() {
            self.store.forget(session);
        }
    }
}
