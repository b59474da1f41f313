//! Variances by expectation and maximisation.
//!
//! In: variances, what people remember. Out: variances under which it is likelier. With `S = X V Xᵀ + N`
//! of one person and `a = S⁻¹ e`, a weight's expected square is `(v xᵀa)² + v − v² xᵀS⁻¹x`; a group's
//! variance becomes the mean of those over all people and facets that they remember. One Cholesky a
//! person and step, of at most [`REMEMBERED_MAX`] rows. The same numbers in, the same out, on any
//! machine with the same arithmetic: people are read in their order, by one thread.
//!
//! [`REMEMBERED_MAX`]: crate::preferences::hierarchical::REMEMBERED_MAX

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::Observed;
use crate::model::Hierarchical;
use crate::preferences::hierarchical::{Features, features};
use crate::types::product::FacetKey;

/// No variance falls below this share of the noise.
const SHARE_MIN: f64 = 1.0e-4;

/// How much tastes differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variances {
    /// By group.
    pub groups: Vec<f64>,
    /// Of the shopper's own level.
    pub own: f64,
    /// Of the taste for what everybody picks.
    pub popular: f64,
    /// Of what taste does not explain.
    pub noise: f64,
    /// How likely all that is remembered was under the variances of the step before.
    pub likelihood: f64,
}

/// Sums over people.
#[derive(Clone, Debug, Default)]
struct Sums {
    groups: Vec<(f64, f64)>,
    own: (f64, f64),
    popular: (f64, f64),
    noise: (f64, f64),
    likelihood: f64,
}

impl Variances {
    /// As a model has them.
    pub fn of(model: &Hierarchical) -> Self {
        Self {
            groups: model.groups.iter().map(|group| f64::from(group.variance)).collect(),
            own: f64::from(model.own_variance),
            popular: f64::from(model.popular_variance),
            noise: f64::from(model.noise),
            likelihood: f64::NEG_INFINITY,
        }
    }

    /// The same, so that together they are as much as what was seen varies.
    pub fn scaled_to(mut self, people: &[Observed]) -> Self {
        let squares = people.iter().flatten().map(|one| f64::from(one.surprise).powi(2));
        let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), one| (sum + one, count + 1.0));
        let factor = if count > 0.0 { (sum / count).max(1.0e-6) / self.noise } else { 1.0 };
        self.groups.iter_mut().for_each(|group| *group *= factor);
        self.own *= factor;
        self.popular *= factor;
        self.noise *= factor;
        self
    }

    /// Puts them into a model.
    pub fn tell(&self, model: &mut Hierarchical) {
        for (group, variance) in model.groups.iter_mut().zip(&self.groups) {
            group.variance = *variance as f32;
        }
        (model.own_variance, model.popular_variance) = (self.own as f32, self.popular as f32);
        model.noise = self.noise as f32;
    }

    /// One step. `None` where the numbers have left what can be computed with.
    pub fn stepped(&self, model: &Hierarchical, people: &[Observed]) -> Option<Self> {
        let mut sums = Sums { groups: vec![(0.0, 0.0); self.groups.len()], ..Sums::default() };
        for observed in people {
            self.person(model, observed, &mut sums)?;
        }
        let noise = sums.noise.0 / sums.noise.1.max(1.0);
        let least = noise * SHARE_MIN;
        let mean = |(sum, count): (f64, f64), before: f64| {
            if count > 0.0 { (sum / count).max(least) } else { before }
        };
        let groups = sums.groups.iter().zip(&self.groups);
        let next = Self {
            groups: groups.map(|(sum, before)| mean(*sum, *before)).collect(),
            own: mean(sums.own, self.own),
            popular: mean(sums.popular, self.popular),
            noise,
            likelihood: sums.likelihood,
        };
        let rest = [next.own, next.popular, next.noise];
        let sound = |one: &f64| one.is_finite() && *one > 0.0;
        (next.groups.iter().all(sound) && rest.iter().all(sound)).then_some(next)
    }

    fn person(&self, model: &Hierarchical, observed: &Observed, sums: &mut Sums) -> Option<()> {
        let rows = observed.len();
        let columns = columns(model, observed);
        let noise: Vec<f64> =
            observed.iter().map(|one| self.noise / f64::from(one.weight)).collect();
        let popular =
            DVector::from_iterator(rows, observed.iter().map(|one| f64::from(one.popular)));
        let mut kernel = &popular * popular.transpose() * self.popular;
        kernel.add_scalar_mut(self.own);
        for (at, noise) in noise.iter().enumerate() {
            *kernel.get_mut((at, at))? += noise;
        }
        for (group, column) in columns.values() {
            let variance = *self.groups.get(usize::from(*group))?;
            for (row, x) in column {
                for (other, y) in column {
                    *kernel.get_mut((*row, *other))? += variance * x * y;
                }
            }
        }
        let surprise = observed.iter().map(|one| f64::from(one.surprise));
        let surprise = DVector::from_iterator(rows, surprise);
        let factor = kernel.cholesky()?;
        let alpha = factor.solve(&surprise);
        let inverse = factor.inverse();
        for (group, column) in columns.values() {
            let variance = *self.groups.get(usize::from(*group))?;
            let sum = sums.groups.get_mut(usize::from(*group))?;
            sum.0 += square(variance, column, &alpha, &inverse)?;
            sum.1 += 1.0;
        }
        let whole: Vec<(usize, f64)> = (0..rows).map(|row| (row, 1.0)).collect();
        let taste: Vec<(usize, f64)> = popular.iter().copied().enumerate().collect();
        sums.own.0 += square(self.own, &whole, &alpha, &inverse)?;
        sums.own.1 += 1.0;
        sums.popular.0 += square(self.popular, &taste, &alpha, &inverse)?;
        sums.popular.1 += 1.0;
        for (at, (noise, one)) in noise.iter().zip(observed).enumerate() {
            let rest = square(*noise, &[(at, 1.0)], &alpha, &inverse)?;
            sums.noise.0 += rest * f64::from(one.weight);
            sums.noise.1 += 1.0;
        }
        let determinant: f64 = factor.l_dirty().diagonal().iter().map(|x| x.ln()).sum();
        sums.likelihood -= 0.5 * surprise.dot(&alpha) + determinant;
        Some(())
    }
}

/// `(v xᵀa)² + v − v² xᵀS⁻¹x`
fn square(
    variance: f64,
    column: &[(usize, f64)],
    alpha: &DVector<f64>,
    inverse: &DMatrix<f64>,
) -> Option<f64> {
    let (mut mean, mut known) = (0.0, 0.0);
    for (row, x) in column {
        mean += x * alpha.get(*row)?;
        for (other, y) in column {
            known += x * y * inverse.get((*row, *other))?;
        }
    }
    Some((variance * mean).powi(2) + variance - variance * variance * known)
}

/// By facet: its group, and its features by row.
type Columns = BTreeMap<FacetKey, (u8, Vec<(usize, f64)>)>;

fn columns(model: &Hierarchical, observed: &Observed) -> Columns {
    let mut columns = Columns::new();
    let mut scratch = Features::new();
    for (row, one) in observed.iter().enumerate() {
        features(model, &one.facts, &mut scratch);
        for (facet, group, x) in &scratch {
            let column = columns.entry(*facet).or_insert_with(|| (*group, Vec::new()));
            column.1.push((row, f64::from(*x)));
        }
    }
    columns
}
