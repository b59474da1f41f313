//! Floor 4, i/o: what is kept in memory, all of it bounded.
//!
//! [`shoppers`] holds profiles, [`catalog`] what is known of products, and the population what all
//! shoppers have in common; [`joins`] remembers for seconds who searches at the shop's door. Reads
//! and writes take short locks that are never held across an await; nothing here waits for a disk or
//! a network.

pub mod catalog;
pub mod feeds;
pub mod joins;
pub mod shoppers;

use std::sync::Arc;

use parking_lot::RwLock;

use crate::config;
use crate::preferences::population::Population;
use crate::wire::KnownHits;
use catalog::Catalog;
use feeds::Feeds;
use shoppers::Shoppers;

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
        }
    }
}
