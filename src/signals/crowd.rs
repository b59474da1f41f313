//! What one shopper's acts may teach others: which lists and acts count, and how they are counted.
//!
//! In: lists as they went out, acts with their signals, how far their sender's word goes, the rules'
//! limits. Out: impressions, and a [`Lesson`] for the population. Not counted are lists that we
//! ranked, lists that nobody can have read, purchases of somebody who is only claimed, the same act
//! from one network twice a day, and more of one visit than the rules allow. No locks: the caller
//! brings the population.

use std::sync::Arc;

use super::conduct::Conduct;
use super::recent::{Entered, RecentLists, ShownList};
use super::{Derived, Joined};
use crate::preferences::learn::is_purchase;
use crate::preferences::population::{Pace, Population};
use crate::rules::Rules;
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::product::{FacetKey, ProductFacts};
use crate::types::signal::Signal;
use crate::types::voice::Voice;

/// A signal with what is known of its product.
pub type Known = (Signal, Option<Arc<ProductFacts>>);

/// A list's products, each with its category.
pub type Categorised = Vec<(ProductKey, Option<FacetKey>)>;

/// Natural lists by the products that they showed.
#[derive(Debug, Default)]
pub struct Impressions {
    /// To be counted.
    pub read: Vec<Vec<ProductKey>>,
    /// To be taken back.
    pub unread: Vec<Vec<ProductKey>>,
}

/// Remembers lists of one reply as they went out; returns what they tell of their products.
pub fn entered(
    recent: &mut RecentLists,
    conduct: &mut Conduct,
    lists: impl IntoIterator<Item = ShownList>,
    rules: &Rules,
) -> Impressions {
    let mut impressions = Impressions::default();
    for list in lists {
        let at = list.at;
        let natural: Option<Vec<_>> = list.natural.then(|| list.products().collect());
        match recent.enter(list, rules.thresholds.list_seconds) {
            Entered::Reloaded => continue,
            Entered::Instead(unread) if unread.natural => {
                impressions.unread.push(unread.products().collect());
            }
            Entered::Instead(_) | Entered::New => {}
        }
        let counts =
            !conduct.is_crawler(at) && conduct.lends_list(at, rules.crowd.session_lists_max);
        impressions.read.extend(natural.filter(|_| counts));
    }
    impressions
}

/// Counts impressions, and takes back those of lists that nobody read.
pub fn count(
    population: &mut Population,
    read: Vec<Categorised>,
    unread: Vec<Categorised>,
    rules: &Rules,
    now: Timestamp,
) {
    population.keep_pace(pace(rules), now);
    unread.into_iter().for_each(|hits| population.forget_list(hits));
    read.into_iter().for_each(|hits| population.record_list(hits, true));
}

/// What one act in a natural list tells of what all shoppers have in common.
#[derive(Debug)]
pub struct Lesson<'a> {
    joined: Joined,
    picked: ProductKey,
    category: Option<FacetKey>,
    at: Timestamp,
    act: &'static str,
    known: &'a [Known],
}

impl<'a> Lesson<'a> {
    /// What an act may teach, with its signals; `None` outside a natural list.
    pub fn of(interaction: &Interaction, derived: &Derived, known: &'a [Known]) -> Option<Self> {
        let joined = derived.joined.filter(|joined| joined.natural)?;
        let picked = interaction.product.key();
        let own = known.iter().find(|(signal, _)| signal.product == picked);
        Some(Self {
            joined,
            picked,
            category: own.and_then(|(_, facts)| facts.as_ref()?.category),
            at: interaction.at,
            act: act(interaction.kind),
            known,
        })
    }

    /// May it teach others, by whoever says it and by how much they have said today?
    ///
    /// # Errors
    /// Why not, as the metrics name it.
    pub fn admit(
        &self,
        voice: Voice,
        conduct: &mut Conduct,
        rules: &Rules,
    ) -> Result<(), &'static str> {
        if !voice.proven && self.known.iter().any(|(signal, _)| is_purchase(signal.kind)) {
            return Err("claimed");
        }
        let weight = self.says(rules).map(|(_, weight)| weight).sum();
        match conduct.lends(self.at, weight, rules.crowd.session_weight_max) {
            true => Ok(()),
            false => Err("visit_spent"),
        }
    }

    /// Counts it.
    ///
    /// # Errors
    /// Why not, as the metrics name it.
    pub fn teach(
        &self,
        population: &mut Population,
        voice: Voice,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        population.keep_pace(pace(rules), now);
        if !population.is_first(voice.network, self.picked, self.act, now) {
            return Err("network_spent");
        }
        for (facts, weight) in self.says(rules) {
            // What one shopper allowed tells nothing of the others.
            if let Some(facts) = facts.filter(|facts| !facts.sensitive) {
                population.record_evidence(facts, weight, true);
            }
        }
        if self.joined.first_pick {
            population.record_click(self.picked, self.category, self.joined.position, true);
        }
        Ok(())
    }

    fn says(&self, rules: &Rules) -> impl Iterator<Item = (Option<&'a ProductFacts>, f32)> {
        let weights = rules.signal_weights;
        self.known.iter().filter_map(move |(signal, facts)| {
            let weight = weights[signal.kind.index()] * signal.times;
            (signal.times > 0.0 && weight > 0.0).then_some((facts.as_deref(), weight))
        })
    }
}

/// What counts once a day from one network: a page that is opened is a click.
fn act(kind: InteractionKind) -> &'static str {
    match kind {
        InteractionKind::View => InteractionKind::Click.name(),
        kind => kind.name(),
    }
}

fn pace(rules: &Rules) -> Pace {
    Pace {
        prior_max: rules.crowd.prior_per_hour_max,
        base_rate_max: rules.crowd.base_rate_per_hour_max,
        smoothing: rules.ranking.prior.smoothing,
    }
}
