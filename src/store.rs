//! Floor 4, i/o: what is kept in memory, all of it bounded.
//!
//! [`shoppers`] holds profiles, [`catalog`] what is known of products, and the population what all
//! shoppers have in common; [`joins`] remembers for seconds who searches at the shop's door;
//! [`consent`] what subjects have said about themselves. Reads and writes take short locks that are
//! never held across an await; nothing here waits for a disk or a network but a choice that is made.

pub mod catalog;
pub mod consent;
pub mod joins;
pub mod shoppers;

use parking_lot::{Mutex, RwLock};

use crate::config;
use crate::preferences::population::Population;
use crate::types::ids::SubjectKey;
use crate::wire::KnownHits;
use catalog::Catalog;
use consent::Consents;
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
    /// Priors, base rates, propensities.
    pub population: RwLock<Population>,
    /// Who may be learned from.
    pub consents: Consents,
    forgetters: Mutex<Vec<Hook>>,
}

impl Store {
    /// An empty store with the settings' caps.
    pub fn new(settings: &config::Store) -> Self {
        Self {
            shoppers: Shoppers::new(settings),
            catalog: Catalog::new(settings.products_max),
            hits: KnownHits::new(settings.hits_bytes_max),
            population: RwLock::new(Population::new(settings.products_max)),
            consents: Consents::in_memory(UNKEPT_CHOICES_MAX),
            forgetters: Mutex::default(),
        }
    }

    /// The same with choices that outlive a restart.
    pub fn with_consents(self, consents: Consents) -> Self {
        Self { consents, ..self }
    }

    /// Calls `hook` with each subject that is forgotten from now on: for whoever keeps something of
    /// subjects elsewhere.
    pub fn on_forget(&self, hook: impl Fn(SubjectKey) + Send + Sync + 'static) {
        self.forgetters.lock().push(Box::new(hook));
    }

    /// Forgets what was learned of a subject, here and wherever a hook knows of. Says nothing about
    /// what comes later: that is the [`Consents`]' to say.
    pub fn forget(&self, key: SubjectKey) {
        self.shoppers.take(key);
        self.forgetters.lock().iter().for_each(|hook| hook(key));
    }
}
