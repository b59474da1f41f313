//! What the merchandiser's rules ask for in one list.
//!
//! In: the rules in file order, the query, the time, the shopper's taste. Out: boosts and burials to
//! be added to scores, pins, demotions, hides. Deciding what comes of them is `guard`'s job, so that
//! precedence stands in one place. Where rules of one kind meet at a hit, boosts add up and else the
//! first in the file wins. Cost: that of the rules' index, and `O(hits · facets)` a rule that applies.

use super::{Candidate, RankRequest, window};
use crate::preferences::taste::Taste;
use crate::rules::merchandising::Sought;
use crate::rules::{Action, MerchandisingRule, Select, When};
use crate::types::product::{FacetKey, ProductFacts};

/// A hit locked by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The hit's old position.
    pub hit: u32,
    /// Where it is to stand, 0-based.
    pub slot: usize,
    /// The rule, by index in the rules.
    pub rule: u32,
}

/// What the rules ask for; old positions throughout, sorted where it says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acts {
    /// Sum of boosts by position in the window; empty when there is none.
    pub boosts: Vec<f32>,
    /// In file order, each hit and each rule at most once.
    pub pins: Vec<Pin>,
    /// (hit, rule), hits of the window, in list order.
    pub demoted: Vec<(u32, u32)>,
    /// (hit, rule), hits of the window, in list order.
    pub hidden: Vec<(u32, u32)>,
    /// (hit, rule), hits of the whole list, in list order.
    pub removed: Vec<(u32, u32)>,
}

/// Collects the acts of all rules that apply now.
pub fn acts(request: &RankRequest<'_>, taste: Option<&Taste<'_>>) -> Acts {
    let mut acts = Acts::default();
    let rules = &request.rules.merchandising;
    // Only removal reaches past the window.
    let reach = if rules.removes() { request.candidates } else { window::of(request) };
    for index in may_act(request, reach) {
        let Some(rule) = rules.get(index as usize) else { continue };
        if applies(&rule.when, request, taste) {
            acts.add(request, index, rule);
        }
    }
    for list in [&mut acts.demoted, &mut acts.hidden, &mut acts.removed] {
        list.sort_unstable();
        list.dedup_by_key(|(hit, _)| *hit);
    }
    acts
}

impl Acts {
    fn add(&mut self, request: &RankRequest<'_>, index: u32, rule: &MerchandisingRule) {
        let window = window::of(request).len();
        // only removal reaches past the window
        let reach = match rule.action {
            Action::Hide { allow_removal: true } => request.candidates.len(),
            _ => window,
        };
        for (position, hit) in request.candidates[..reach].iter().enumerate() {
            if !selects(&rule.select, hit.facts) {
                continue;
            }
            let entry = (position as u32, index);
            match rule.action {
                Action::Boost(by) => {
                    self.boosts.resize(window, 0.0);
                    self.boosts[position] += by;
                }
                Action::Pin(slot) => {
                    if !self.pins.iter().any(|pin| pin.hit == entry.0) {
                        self.pins.push(Pin { hit: entry.0, slot, rule: index });
                        return;
                    }
                }
                Action::Hide { allow_removal: true } => self.removed.push(entry),
                Action::Hide { allow_removal: false } => self.hidden.push(entry),
                Action::Demote => self.demoted.push(entry),
            }
        }
    }
}

/// The rules that may act on these hits, by their number.
fn may_act(request: &RankRequest<'_>, hits: &[Candidate<'_>]) -> Vec<u32> {
    let facets = request.profile.iter().flat_map(|profile| &profile.facets);
    let tastes =
        |each: &mut dyn FnMut(FacetKey)| facets.clone().for_each(|memory| each(memory.key));
    let sought = Sought { words: &request.query.words, tastes: &tastes };
    request.rules.merchandising.may_act(sought, hits.iter().map(|hit| hit.facts))
}

/// True when every part of the condition that is present holds.
fn applies(when: &When, request: &RankRequest<'_>, taste: Option<&Taste<'_>>) -> bool {
    let words = &request.query.words;
    let asked = |query: &Vec<u32>| query.iter().all(|word| words.contains(word));
    (when.queries.is_empty() || when.queries.iter().any(asked))
        && when.from.is_none_or(|from| request.now >= from)
        && when.until.is_none_or(|until| request.now < until)
        && (when.dayparts.is_empty()
            || request.daypart.is_some_and(|now| when.dayparts.contains(&now)))
        && when.shopper.is_none_or(|(facet, affinity_min)| {
            taste.is_some_and(|taste| taste.affinity(facet) >= affinity_min)
        })
}

/// True when the rule means this product.
pub(super) fn selects(select: &Select, facts: &ProductFacts) -> bool {
    let has = |facets: &[_]| facets.iter().any(|facet| facts.has(*facet));
    let every = select.products.is_empty() && select.facets.is_empty();
    let named = every || select.products.contains(&facts.key) || has(&select.facets);
    named && !has(&select.without)
}

/// The boosts of one hit by rule index: what [`Acts::boosts`] is the sum of.
pub(super) fn boosts_of<'a>(
    request: &'a RankRequest<'_>,
    taste: Option<&'a Taste<'_>>,
    hit: &'a Candidate<'_>,
) -> impl Iterator<Item = (u32, f32)> + 'a {
    let rules = &request.rules.merchandising;
    may_act(request, std::slice::from_ref(hit)).into_iter().filter_map(move |index| {
        let rule = rules.get(index as usize)?;
        match rule.action {
            Action::Boost(by)
                if applies(&rule.when, request, taste) && selects(&rule.select, hit.facts) =>
            {
                Some((index, by))
            }
            _ => None,
        }
    })
}
