//! The second preference model: all of a shopper's picks at once, as one Gaussian posterior.
//!
//! A shopper's liking of a product is `w₀ + w₁ · p + Σ w_f · x_f`: `p` how everybody likes it, `x_f =
//! scale_f / norm` over its facets (one norm a group, so that a film with forty tags does not shout), all
//! weights `N(0, variance of their group)` by the [`Model`]. What was seen of each remembered product,
//! 1 = picked, 0 = passed over, less the rate at which everybody picks it, is that liking and noise.
//! The posterior's mean is the taste: picking what everybody picks says little, and of two facets
//! that always come together each gets half (the table counts both in full).
//!
//! In: remembered products with their facts ([`remembered`]). Out: [`Posterior`], a weight a facet.
//! Nothing is kept a shopper: decay, merging and erasing are the profile's own. `(XXᵀ + N) α = e` is
//! solved by conjugate gradients, then `w = Xᵀα`: `O(steps · facets of all products)`. Deterministic.

pub mod remembered;
mod system;

use crate::types::keyed::ByKey;
use crate::types::product::{FacetKey, ProductFacts};
use remembered::Remembered;
use system::System;

pub use crate::model::Hierarchical as Model;
use crate::model::hierarchical::GROUPS_MAX;

/// Remembered products that a posterior is computed from, the strongest first.
pub const REMEMBERED_MAX: usize = 256;

/// Weights kept, the largest: 16 bytes each.
pub const WEIGHTS_MAX: usize = 2_048;

/// The mean of one shopper's weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posterior {
    weights: ByKey<FacetKey, f32>,
    popular: f32,
}

/// `x_f` of each facet of one product, with the facet's group.
pub type Features = Vec<(FacetKey, u8, f32)>;

/// Writes the features of a product to `out`, in the order of its facets.
pub(super) fn features(model: &Model, facts: &ProductFacts, out: &mut Features) {
    out.clear();
    let mut squares = [0.0_f32; GROUPS_MAX];
    for facet in &facts.facets {
        let known = model.known(*facet);
        if let Some(sum) = squares.get_mut(usize::from(known.group)) {
            *sum += known.scale * known.scale;
            out.push((*facet, known.group, known.scale));
        }
    }
    for (_, group, x) in out {
        let sum = squares.get(usize::from(*group)).copied().unwrap_or_default();
        *x = if sum > 0.0 { *x / sum.sqrt() } else { 0.0 };
    }
}

impl Posterior {
    /// What the picks say. At most [`REMEMBERED_MAX`] are read.
    pub fn of(model: &Model, remembered: &[Remembered]) -> Self {
        let seen = remembered.get(..remembered.len().min(REMEMBERED_MAX)).unwrap_or_default();
        let system = System::of(model, seen);
        let solved = system.weights(&system.solved(seen));
        let finite = |weight: &f32| weight.is_finite() && *weight != 0.0;
        let mut weights: Vec<(FacetKey, f32)> =
            solved.facets.into_iter().filter(|(_, weight)| finite(weight)).collect();
        if weights.len() > WEIGHTS_MAX {
            weights.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
            weights.truncate(WEIGHTS_MAX);
        }
        let popular = Some(solved.popular).filter(finite).unwrap_or_default();
        Self { weights: weights.into_iter().collect(), popular }
    }

    /// True where nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// What liking what everybody likes adds, by the prior's score of a product.
    pub fn popular(&self, score: f32) -> f32 {
        self.popular * score
    }

    /// What each facet of a product adds to the rate at which this shopper picks it.
    pub fn parts<'a>(
        &'a self,
        model: &Model,
        facts: &ProductFacts,
        scratch: &'a mut Features,
    ) -> impl Iterator<Item = (FacetKey, f32)> + 'a {
        features(model, facts, scratch);
        let weight = |facet| self.weights.get(&facet).copied().unwrap_or_default();
        scratch.iter().map(move |(facet, _, x)| (*facet, x * weight(*facet)))
    }
}

#[cfg(test)]
mod tests;
