//! The model of the hierarchical preference, learned from logs.
//!
//! In: what each person's profile remembers at the end of a stretch of a log ([`Observed`], read by the
//! code that serves), the names of facets. Out: how much tastes differ, group by group: the variances by
//! expectation and maximisation ([`em`]), one step a call, so that a fit can be stopped and go on.
//!
//! Groups are the axes, and kinds of labels (`actor:`) that are frequent enough. A facet's scale is the
//! root of the logarithm of how rare it is: what half of all products have tells little. Deterministic
//! with a seed, which draws the people where there are too many.

pub mod em;

use std::collections::BTreeMap;

use crate::model::Hierarchical;
use crate::model::hierarchical::{FACETS_MAX, GROUPS_MAX, Group};
use crate::preferences::hierarchical::remembered::Remembered;
use crate::types::product::{Axis, FacetKey, ProductFacts};

/// People that a fit reads at most; of more, some are drawn.
pub const PEOPLE_MAX: usize = 5_000;

/// Fewer tell nothing of how people differ.
pub const PEOPLE_MIN: usize = 20;

/// Fewer remembered products tell nothing of a taste.
const OBSERVED_MIN: usize = 3;

/// A kind of label is a group of its own where it has so many labels, each of two products at least.
const KIND_LABELS_MIN: usize = 8;

/// What one person's profile remembers.
pub type Observed = Vec<Remembered>;

/// A facet with its name and how many products have it.
type Named = BTreeMap<FacetKey, (String, usize)>;

/// What is known before anything is fitted: groups, and facets with their scales.
pub fn begun<'a>(
    products: impl Iterator<Item = &'a ProductFacts>,
    name: impl Fn(FacetKey) -> Option<String>,
) -> Hierarchical {
    let mut named = Named::new();
    let mut all = 0_usize;
    for facts in products {
        all += 1;
        for facet in &facts.facets {
            if let Some((_, count)) = named.get_mut(facet) {
                *count += 1;
            } else if let Some(name) = name(*facet) {
                named.insert(*facet, (name, 1));
            }
        }
    }
    let mut model = Hierarchical::default();
    let kinds = kinds(&named);
    for kind in &kinds {
        let name = format!("{}/{kind}", Axis::Attribute.name());
        let variance = model.groups.get(Axis::Attribute.index()).map_or(1.0, |own| own.variance);
        model.groups.push(Group { name, variance });
    }
    for (facet, (name, count)) in named.into_iter().filter(|(_, (_, count))| *count > 1) {
        if model.facets.len() >= FACETS_MAX {
            break;
        }
        let kind = Hierarchical::kind_of(&name).filter(|_| facet.axis() == Axis::Attribute);
        let own = kind.and_then(|kind| kinds.iter().position(|known| known == kind));
        let group = own.map_or(facet.axis().index(), |place| Axis::ALL.len() + place);
        let rare = (all as f32 / count as f32).ln().max(0.01).sqrt();
        model.know(group as u8, &name, rare);
    }
    model
}

/// Kinds of labels that are frequent enough, the most frequent first.
fn kinds(named: &Named) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (facet, (name, count)) in named {
        if let Some(kind) = Hierarchical::kind_of(name)
            && facet.axis() == Axis::Attribute
            && *count > 1
        {
            *counts.entry(kind).or_default() += 1;
        }
    }
    let mut kinds: Vec<_> =
        counts.into_iter().filter(|(_, labels)| *labels >= KIND_LABELS_MIN).collect();
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let room = GROUPS_MAX - Axis::ALL.len();
    kinds.into_iter().take(room).map(|(kind, _)| kind.to_owned()).collect()
}

/// Of the people those who are read: who remembers enough, at most [`PEOPLE_MAX`], drawn with a seed.
pub fn drawn(people: Vec<Observed>, seed: u64) -> Vec<Observed> {
    let mut known: Vec<(u64, Observed)> = people
        .into_iter()
        .enumerate()
        .filter(|(_, observed)| observed.len() >= OBSERVED_MIN)
        .map(|(number, observed)| (mixed(number as u64, seed), observed))
        .collect();
    if known.len() > PEOPLE_MAX {
        known.sort_by_key(|(lot, _)| *lot);
        known.truncate(PEOPLE_MAX);
    }
    known.into_iter().map(|(_, observed)| observed).collect()
}

/// SplitMix64.
fn mixed(number: u64, seed: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests;
