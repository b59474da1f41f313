//! What one shopper's acts teach others: priors and base rates.
//!
//! In: acts and lists of one subject, and how far its word goes ([`Voice`]). Out: counts in the
//! population, at the pace of the rules. Not counted are lists that we ranked, lists that nobody can
//! have read, purchases of somebody who is only claimed, the same act from one network twice a day,
//! and more of one visit than the rules allow.

use std::sync::Arc;

use super::{Observer, Visit, weight_of};
use crate::preferences::learn::is_purchase;
use crate::preferences::population::Pace;
use crate::rules::Rules;
use crate::signals::{Derived, Entered, ShownList};
use crate::types::ids::{ProductKey, SubjectKey};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::product::ProductFacts;
use crate::types::signal::Signal;
use crate::types::voice::Voice;

/// Who acts, and how far their word goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    /// Whom it teaches.
    pub(super) shopper: SubjectKey,
    /// How far it teaches others.
    pub(super) voice: Voice,
}

/// A signal with what is known of its product.
pub(super) type Known = (Signal, Option<Arc<ProductFacts>>);

/// Natural lists by the products that they showed.
#[derive(Default)]
pub(super) struct Impressions {
    /// To be counted.
    read: Vec<Vec<ProductKey>>,
    /// To be taken back.
    unread: Vec<Vec<ProductKey>>,
}

impl Observer {
    /// Remembers lists of one reply as they went out; returns what they tell of their products.
    pub(super) fn entered(&self, visit: &mut Visit, lists: Vec<ShownList>) -> Impressions {
        let rules = self.rules.load();
        let mut impressions = Impressions::default();
        for list in lists {
            let at = list.at;
            let natural: Option<Vec<_>> = list.natural.then(|| list.products().collect());
            match visit.recent.enter(list, rules.thresholds.list_seconds) {
                Entered::Reloaded => continue,
                Entered::Instead(unread) if unread.natural => {
                    impressions.unread.push(unread.products().collect());
                }
                Entered::Instead(_) | Entered::New => {}
            }
            let counts = !visit.conduct.is_crawler(at)
                && visit.conduct.lends_list(at, rules.crowd.session_lists_max);
            impressions.read.extend(natural.filter(|_| counts));
        }
        impressions
    }

    /// Counts impressions, and takes back those of lists that nobody read.
    pub(super) fn count(&self, Impressions { read, unread }: Impressions) {
        if read.is_empty() && unread.is_empty() {
            return;
        }
        let category = |key| self.store.catalog.get(key).and_then(|facts| facts.category);
        let with_category = |list: Vec<ProductKey>| -> Vec<_> {
            list.into_iter().map(|key| (key, category(key))).collect()
        };
        // Looked up before the lock is taken: every ranking waits for it.
        let read: Vec<_> = read.into_iter().map(with_category).collect();
        let unread: Vec<_> = unread.into_iter().map(with_category).collect();
        let pace = pace(&self.rules.load());
        let mut population = self.store.population.write();
        population.keep_pace(pace, self.now());
        unread.into_iter().for_each(|hits| population.forget_list(hits));
        read.into_iter().for_each(|hits| population.record_list(hits, true));
    }

    /// Learns from one act what all shoppers have in common, where its list was natural.
    pub(super) fn teach_others(
        &self,
        actor: Actor,
        interaction: &Interaction,
        derived: &Derived,
        known: &[Known],
    ) {
        let Some(joined) = derived.joined.filter(|joined| joined.natural) else { return };
        let rules = self.rules.load();
        let says = |(signal, _): &&Known| signal.times > 0.0 && weight_of(signal, &rules) > 0.0;
        let weight = known.iter().filter(says).map(|(signal, _)| weight_of(signal, &rules)).sum();
        if !actor.voice.proven && known.iter().any(|(signal, _)| is_purchase(signal.kind)) {
            return self.unheard("claimed");
        }
        let visit = self.visit(actor.shopper);
        if !visit.lock().conduct.lends(interaction.at, weight, rules.crowd.session_weight_max) {
            return self.unheard("visit_spent");
        }
        let picked = interaction.product.key();
        let own = known.iter().find(|(signal, _)| signal.product == picked);
        let category = own.and_then(|(_, facts)| facts.as_ref()?.category);
        let mut population = self.store.population.write();
        population.keep_pace(pace(&rules), self.now());
        let act = act(interaction.kind);
        if !population.is_first(actor.voice.network, picked, act, self.now()) {
            drop(population);
            return self.unheard("network_spent");
        }
        for (signal, facts) in known.iter().filter(says) {
            // What one shopper allowed tells nothing of the others.
            if let Some(facts) = facts.as_ref().filter(|facts| !facts.sensitive) {
                population.record_evidence(facts, weight_of(signal, &rules), true);
            }
        }
        if joined.first_pick {
            population.record_click(picked, category, joined.position, true);
        }
    }

    /// Counts an act that taught its shopper alone.
    fn unheard(&self, reason: &str) {
        self.metrics.unheard.with_label_values(&[reason]).inc();
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
