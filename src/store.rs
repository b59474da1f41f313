//! Floor 4, i/o: what is kept in memory, all of it bounded.
//!
//! [`shoppers`] holds profiles, [`catalog`] what is known of products, and the population what all
//! shoppers have in common; [`joins`] remembers for seconds who searches at the shop's door;
//! [`consent`] what subjects have said about themselves, [`choices`] what of single tastes. Reads and writes take short locks that are
//! never held across an await; nothing here waits for a network, and for a disk only a choice that is
//! made and [`snapshot`], on a thread of its own.

pub mod catalog;
pub mod choices;
pub mod consent;
pub mod feeds;
pub mod joins;
mod journal;
pub mod shoppers;
pub mod snapshot;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::config;
use crate::preferences::learn::forget_facet;
use crate::preferences::population::Population;
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;
use crate::types::product::FacetKey;
use crate::wire::KnownHits;
use catalog::Catalog;
use choices::Choices;
use consent::Consents;
use feeds::Feeds;
use shoppers::Shoppers;

/// Called with each subject that is forgotten.
type Hook = Box<dyn Fn(SubjectKey) + Send + Sync>;

/// Subjects who may make a choice where nothing is kept of it.
const UNKEPT_CHOICES_MAX: usize = 100_000;

/// Everything that is remembered.
pub struct Store {
    /// Profiles.
    pub shoppers: Shoppers,
    /// Products.
    pub catalog: Catalog,
    /// Hits as they were last written.
    pub hits: KnownHits,
    /// Who follows whose profile.
    pub feeds: Arc<Feeds>,
    /// Priors, base rates, propensities.
    pub population: RwLock<Population>,
    /// Who may be learned from.
    pub consents: Consents,
    /// Which facets are pinned or muted, by whom.
    pub choices: Choices,
    forgetters: Mutex<Vec<Hook>>,
}

impl Store {
    /// An empty store with the settings' caps.
    pub fn new(settings: &config::Store) -> Self {
        Self {
            shoppers: Shoppers::new(settings),
            catalog: Catalog::new(settings.products_max),
            hits: KnownHits::new(settings.hits_bytes_max),
            feeds: Arc::new(Feeds::new(settings.live_listeners_max)),
            population: RwLock::new(Population::new(settings.products_max)),
            consents: Consents::in_memory(UNKEPT_CHOICES_MAX),
            choices: Choices::in_memory(settings),
            forgetters: Mutex::default(),
        }
    }

    /// The same with choices that outlive a restart.
    pub fn with_choices(self, consents: Consents, choices: Choices) -> Self {
        Self { consents, choices, ..self }
    }

    /// Calls `hook` with each subject that is forgotten from now on: for whoever keeps something of
    /// subjects elsewhere.
    pub fn on_forget(&self, hook: impl Fn(SubjectKey) + Send + Sync + 'static) {
        self.forgetters.lock().push(Box::new(hook));
    }

    /// Forgets whom a choice says not to know, and what: for after profiles were read back from a
    /// disk, where those of before the choice may still stand.
    pub fn keep_to_choices(&self) {
        for (key, standing) in self.consents.all() {
            self.choices.retain(key, |choice| standing.admits(choice.at));
            let latest = self.shoppers.head(key).map(|profile| profile.at);
            let latest = latest.map(|at| Timestamp::from_seconds(i64::from(at)));
            if latest.is_some_and(|at| !standing.admits(at)) {
                self.forget(key);
            }
        }
        for (key, facet, at) in self.choices.forgotten() {
            // With an event of after that, the profile is of after that too.
            let before = self.shoppers.head(key).is_some_and(|head| head.at <= at.seconds_u32());
            if before {
                self.forget_facet(key, facet, at);
            }
        }
    }

    /// Forgets what was learned of one facet of one subject; true where there was something.
    pub fn forget_facet(&self, key: SubjectKey, facet: FacetKey, now: Timestamp) -> bool {
        let forgotten = self.shoppers.amend(key, now, |profile, events| {
            let known = forget_facet(profile, facet);
            if known {
                events.forget_facet(facet, |product| self.catalog.get(product));
            }
            known
        });
        forgotten == Some(true)
    }

    /// Forgets what was learned of a subject, here and wherever a hook knows of. Says nothing about
    /// what comes later: that is the [`Consents`]' to say.
    pub fn forget(&self, key: SubjectKey) {
        self.shoppers.take(key);
        self.choices.forget(key);
        self.forgetters.lock().iter().for_each(|hook| hook(key));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn store() -> Store {
        Store::new(&super::testing::settings())
    }

    fn learned(store: &Store, key: SubjectKey, at_seconds: u32) {
        let then = Timestamp::from_seconds(i64::from(at_seconds));
        store.shoppers.learn(key, then, |profile| {
            (profile.evidence, profile.at) = (1.0, at_seconds);
        });
    }

    #[test]
    fn a_profile_that_was_read_back_stays_unless_its_subject_chose_otherwise_after_it() {
        let store = store();
        let [ann, bob, eve, zoe] = [1, 2, 3, 4].map(|number: u128| SubjectKey(number << 64));
        let chosen_at = Timestamp::from_seconds(1_000);
        store.consents.set(ann, chosen_at, |standing| standing.personalization = false).unwrap();
        store.consents.set(bob, chosen_at, |standing| standing.erase(chosen_at)).unwrap();
        store.consents.set(eve, chosen_at, |standing| standing.erase(chosen_at)).unwrap();
        for (key, at) in [(ann, 2_000), (bob, 999), (eve, 1_001), (zoe, 1)] {
            learned(&store, key, at);
        }
        store.keep_to_choices();
        let kept = [ann, bob, eve, zoe].map(|key| store.shoppers.profile(key).is_some());
        assert_eq!(kept, [false, false, true, true]);
    }

    #[test]
    fn whoever_keeps_something_of_subjects_hears_whom_to_forget() {
        let store = store();
        let heard = Arc::<Mutex<Vec<SubjectKey>>>::default();
        let hears = heard.clone();
        store.on_forget(move |key| hears.lock().push(key));
        learned(&store, SubjectKey(7), 1);
        store.forget(SubjectKey(7));
        assert!(store.shoppers.profile(SubjectKey(7)).is_none());
        assert_eq!(*heard.lock(), [SubjectKey(7)]);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use crate::config;

    /// Small caps, and nothing on disk.
    pub(crate) fn settings() -> config::Store {
        config::Store {
            profiles_bytes_max: 1 << 24,
            snapshot: None,
            products_max: 10,
            products_per_profile_max: 10,
            facets_per_profile_max: 10,
            events_per_profile_max: 32,
            choices_per_user_max: 3,
            choices_max: 5,
            recent_max: 2,
            hits_bytes_max: 0,
            orders_max: 2,
            posteriors_max: 2,
            orders_seconds: 1,
            doubles_max: 2,
            live_listeners_max: 1,
        }
    }
}
