//! The equations behind a posterior, and how they are solved.
//!
//! In: a model, remembered products. Out: `α`, then a weight a facet. Rows are products, columns are
//! facets, each scaled by the deviation of its group; two columns more are the shopper's own level and
//! how everybody likes a product. No matrix is written down.

use super::remembered::Remembered;
use super::{Features, Model, features};
use crate::types::keyed::ByKey;
use crate::types::product::FacetKey;

/// Steps of the solver; it ends before where the rest is below [`REST_MAX`] of what it began with.
const STEPS_MAX: usize = 24;
const REST_MAX: f32 = 3.0e-3;

/// Noise below this is none.
const NOISE_MIN: f32 = 1.0e-3;

pub(super) struct System {
    places: ByKey<FacetKey, u32>,
    /// By place: the deviation of the facet's group.
    deviations: Vec<f32>,
    /// Row `r` is `entries[ends[r - 1]..ends[r]]`.
    entries: Vec<(u32, f32)>,
    ends: Vec<u32>,
    /// By row: the prior's score, times its deviation.
    popular: Vec<f32>,
    popular_deviation: f32,
    own: f32,
    /// By row.
    noise: Vec<f32>,
}

/// The mean of the weights.
pub(super) struct Weights {
    pub(super) facets: Vec<(FacetKey, f32)>,
    pub(super) popular: f32,
}

impl System {
    pub(super) fn of(model: &Model, seen: &[Remembered]) -> Self {
        let deviation = |variance: f32| variance.max(0.0).sqrt();
        let groups: Vec<f32> = model.groups.iter().map(|group| deviation(group.variance)).collect();
        let popular_deviation = deviation(model.popular_variance);
        let mut system = Self {
            places: ByKey::default(),
            deviations: Vec::new(),
            entries: Vec::with_capacity(seen.len() * 8),
            ends: Vec::with_capacity(seen.len()),
            popular: seen.iter().map(|one| one.popular * popular_deviation).collect(),
            popular_deviation,
            own: model.own_variance.max(0.0),
            noise: seen.iter().map(|one| (model.noise / one.weight).max(NOISE_MIN)).collect(),
        };
        let mut scratch = Features::new();
        for one in seen {
            features(model, &one.facts, &mut scratch);
            for (facet, group, x) in &scratch {
                let deviation = groups.get(usize::from(*group)).copied().unwrap_or_default();
                let new = system.deviations.len() as u32;
                let place = *system.places.entry(*facet).or_insert(new);
                if place == new {
                    system.deviations.push(deviation);
                }
                system.entries.push((place, x * deviation));
            }
            system.ends.push(system.entries.len() as u32);
        }
        system
    }

    fn rows(&self) -> impl Iterator<Item = &[(u32, f32)]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.entries[start as usize..*end as usize])
    }

    /// `Xᵀ α`
    fn back(&self, alpha: &[f32], out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.deviations.len(), 0.0);
        for (row, alpha) in self.rows().zip(alpha) {
            for (place, x) in row {
                out[*place as usize] += x * alpha;
            }
        }
    }

    /// `(X Xᵀ + σ₀² 1 1ᵀ + σ₁² p pᵀ + N) α`
    fn times(&self, alpha: &[f32], back: &mut Vec<f32>, out: &mut Vec<f32>) {
        self.back(alpha, back);
        let own = self.own * alpha.iter().sum::<f32>();
        let popular = dot(&self.popular, alpha);
        out.clear();
        for (number, row) in self.rows().enumerate() {
            let facets: f32 = row.iter().map(|(place, x)| x * back[*place as usize]).sum();
            let noise = self.noise[number] * alpha[number];
            out.push(facets + own + self.popular[number] * popular + noise);
        }
    }

    /// Conjugate gradients from 0.
    pub(super) fn solved(&self, seen: &[Remembered]) -> Vec<f32> {
        let mut alpha = vec![0.0; seen.len()];
        let surprise = |one: &Remembered| one.surprise.clamp(-1.0, 1.0);
        let mut rest: Vec<f32> = seen.iter().map(surprise).collect();
        let mut way = rest.clone();
        let mut size = dot(&rest, &rest);
        let enough = size * REST_MAX * REST_MAX;
        let (mut back, mut ahead) = (Vec::new(), Vec::with_capacity(seen.len()));
        for _ in 0..STEPS_MAX {
            // what is no number ends it as well
            if size.partial_cmp(&enough) != Some(std::cmp::Ordering::Greater) {
                break;
            }
            self.times(&way, &mut back, &mut ahead);
            let step = size / dot(&way, &ahead);
            if !step.is_finite() {
                break;
            }
            add(&mut alpha, step, &way);
            add(&mut rest, -step, &ahead);
            let now = dot(&rest, &rest);
            let turn = now / size;
            way.iter_mut().zip(&rest).for_each(|(way, rest)| *way = rest + turn * *way);
            size = now;
        }
        alpha
    }

    /// `w = Xᵀ α`, on the scale of the features.
    pub(super) fn weights(&self, alpha: &[f32]) -> Weights {
        let mut back = Vec::new();
        self.back(alpha, &mut back);
        let weight = |place: u32| {
            let place = place as usize;
            back.get(place)
                .zip(self.deviations.get(place))
                .map_or(0.0, |(x, deviation)| x * deviation)
        };
        let facets = self.places.iter().map(|(facet, place)| (*facet, weight(*place))).collect();
        Weights { facets, popular: dot(&self.popular, alpha) * self.popular_deviation }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f32], factor: f32, what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}
