//! Tastes as the hierarchical preference reads them, kept until something changes.
//!
//! In: a shopper, their profile, who may have a say. Out: the posterior. It takes longer to compute than a
//! list to rank, and nothing in it but the profile changes from search to search; so that of the last
//! few shoppers is kept, by a digest of what it was read from. It is no state of its own: it goes with
//! the profile, and whoever is forgotten is forgotten here.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Personalizer;
use crate::preferences::hierarchical::Posterior;
use crate::preferences::hierarchical::remembered::{Reading, digest};
use crate::rules::Preference;
use crate::types::ids::{ProductKey, SubjectKey};
use crate::types::product::ProductFacts;
use crate::types::profile::Profile;

/// By shopper; each with the digest of what it was read from.
pub(super) struct Posteriors(Cache<SubjectKey, (u64, Option<Arc<Posterior>>)>);

impl Posteriors {
    /// Of at most so many shoppers.
    pub(super) fn new(shoppers_max: usize) -> Self {
        Self(Cache::new(shoppers_max.max(1)))
    }

    /// Nothing is left of this shopper.
    pub(super) fn forget(&self, key: SubjectKey) {
        self.0.remove(&key);
    }
}

impl Personalizer {
    /// The posterior of a profile as of now; `None` where the rules ask for none.
    pub(super) fn posterior_of(
        &self,
        shopper: Option<SubjectKey>,
        profile: &Profile,
        allowed: bool,
        reading: &Reading<'_>,
    ) -> Option<Arc<Posterior>> {
        if reading.rules.ranking.preference != Preference::Hierarchical {
            return None;
        }
        let from = digest(profile, reading.rules, reading.now).rotate_left(u32::from(allowed));
        let kept = shopper.and_then(|key| self.posteriors.0.get(&key));
        if let Some((_, posterior)) = kept.filter(|(known, _)| *known == from) {
            return posterior;
        }
        let posterior =
            reading.posterior(profile, |key| self.taught_by(key, allowed)).map(Arc::new);
        if let Some(key) = shopper {
            self.posteriors.0.insert(key, (from, posterior.clone()));
        }
        posterior
    }

    /// Facts of a product that may tell of a taste.
    pub(super) fn taught_by(&self, key: ProductKey, allowed: bool) -> Option<Arc<ProductFacts>> {
        self.store.catalog.get(key).filter(|facts| allowed || !facts.sensitive)
    }
}
