//! What trees add to the formula's scores.
//!
//! In: the hits of a window with their terms, a taste, the rules' trees. Out: one more term a hit, the
//! sum of what single features put in ([`parts`]), times the impact of taste. A correction, not another
//! score: what people say of their own (muted, pinned), what rules ask for and what the terms mean stay as
//! they are, and without trees the formula serves. Trees never lift what the shopper muted, nor sink what
//! they pinned.

use super::score::marked_on;
use super::{Contributions, RankRequest, features};
use crate::model::trees::{Features, Trees};
use crate::preferences::taste::Taste;
use crate::rules::Preference;
use crate::types::product::{Axis, ProductFacts};
use crate::types::profile::{Mark, Profile};

/// Adds the term to each hit's terms; nothing where the rules have no trees.
pub fn add(request: &RankRequest<'_>, taste: &Taste<'_>, scores: &mut [Contributions]) {
    let Some(trees) = served(request) else { return };
    let capped = request.rules.ranking.repeat_slots.is_some();
    let impact = request.rules.ranking.impact;
    let mut terms = Vec::with_capacity(scores.len());
    features::each(request, taste, scores, |_, features| {
        terms.push(impact * trees.score(features));
    });
    for ((terms, value), hit) in scores.iter_mut().zip(terms).zip(request.candidates) {
        let marked = whole_mark(taste.profile, hit.facts);
        let value = if value.is_finite() { allowed(value, marked) } else { 0.0 };
        // What may not pass for being known does not pass for that here either.
        terms.trees = if capped && terms.item == 0.0 { value.min(0.0) } else { value };
    }
}

/// The term of the hit at a place, by feature; the parts add up to it.
pub fn parts(
    request: &RankRequest<'_>,
    taste: &Taste<'_>,
    scores: &[Contributions],
    place: usize,
) -> Option<Features> {
    let trees = served(request)?;
    let whole = scores.get(place)?.trees;
    if whole == 0.0 {
        return None;
    }
    let mut found = None;
    features::each(request, taste, scores, |at, features| {
        if at == place {
            found = Some(of_whole(trees, features, whole));
        }
    });
    found
}

/// The trees that the rules ask for.
fn served<'a>(request: &RankRequest<'a>) -> Option<&'a Trees> {
    let asked = request.rules.ranking.preference == Preference::Trees;
    request.rules.trees.as_deref().filter(|trees| asked && !trees.is_empty())
}

/// Parts as they are in the score: with its impact.
fn of_whole(trees: &Trees, features: &Features, whole: f32) -> Features {
    let mut parts = trees.parts(features);
    let factor = whole / parts.iter().sum::<f32>();
    for part in &mut parts {
        *part = if factor.is_finite() { *part * factor } else { 0.0 };
    }
    parts
}

/// The shopper's own word on any axis: less of one thing weighs more than more of another.
fn whole_mark(profile: &Profile, facts: &ProductFacts) -> Option<Mark> {
    let marks = Axis::ALL.into_iter().filter_map(|axis| marked_on(profile, facts, axis));
    marks.reduce(|one, other| if one == Mark::Muted { one } else { other })
}

fn allowed(value: f32, marked: Option<Mark>) -> f32 {
    match marked {
        None => value,
        Some(Mark::Muted) => value.min(0.0),
        Some(Mark::Pinned) => value.max(0.0),
    }
}
