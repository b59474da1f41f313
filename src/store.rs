//! Floor 4, i/o: what is kept in memory, all of it bounded.
//!
//! [`shoppers`] holds profiles, [`catalog`] what is known of products, and the population what all
//! shoppers have in common; [`joins`] remembers for seconds who searches at the shop's door. Reads
//! and writes take short locks that are never held across an await; nothing here waits for a network,
//! and only [`snapshot`], on a thread of its own, for a disk.

pub mod catalog;
pub mod joins;
pub mod shoppers;
pub mod snapshot;

use parking_lot::RwLock;

use crate::config;
use crate::preferences::population::Population;
use crate::wire::KnownHits;
use catalog::Catalog;
use shoppers::Shoppers;

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
}

impl Store {
    /// An empty store with the settings' caps.
    pub fn new(settings: &config::Store) -> Self {
        Self {
            shoppers: Shoppers::new(settings),
            catalog: Catalog::new(settings.products_max),
            hits: KnownHits::new(settings.hits_bytes_max),
            population: RwLock::new(Population::new(settings.products_max)),
        }
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
            recent_max: 2,
            hits_bytes_max: 0,
            orders_max: 2,
            orders_seconds: 1,
        }
    }
}
