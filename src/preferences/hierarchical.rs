//! The second preference model: all of a shopper's picks at once, as one Gaussian posterior.
//!
//! A shopper's liking of a product is `w₀ + Σ w_f · x_f` over its facets, with `x_f = scale_f / norm`
//! (`norm` over the facets of one axis, so that a film with forty tags does not shout), and
//! `w_f ~ N(0, σ²_axis)`, `w₀ ~ N(0, σ²₀)`. What was seen of each remembered product, 1 = picked,
//! 0 = passed over, less the rate at which everybody picks it, is that liking and noise. The
//! posterior's mean is the taste: picking what everybody picks says little, and of two facets that
//! always come together each gets half (the table counts both in full).
//!
//! In: remembered products with their facts. Out: [`Posterior`], a weight a facet. Nothing is kept a
//! shopper: it is computed from what the profile remembers, so decay, merging and erasing are the
//! profile's own. `(XXᵀ + σ²I) α = e` is solved by conjugate gradients, then `w = Xᵀα`:
//! `O(iterations · facets of all products)`, no matrix is written down. Deterministic.

use std::collections::HashMap;

use super::population::KeyHasher;
use crate::types::product::{Axis, FacetKey, ProductFacts};

type ByFacet<V> = HashMap<FacetKey, V, std::hash::BuildHasherDefault<KeyHasher>>;

/// Remembered products that a posterior is computed from, the strongest first.
pub const OBSERVED_MAX: usize = 256;

/// Steps of the solver; it ends before where the rest is below [`REST_MAX`] of what it began with.
const STEPS_MAX: usize = 24;
const REST_MAX: f32 = 1.0e-3;

/// What is known of shoppers in general.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// How much tastes differ: variance of the weights of an axis, by `Axis::index`.
    pub axis_variance: [f32; 4],
    /// How much shoppers differ in picking at all.
    pub own_variance: f32,
    /// Variance of what taste does not explain.
    pub noise: f32,
    /// How telling a facet is beside others of its axis, above 0; 1 where nothing is said.
    pub scales: ByFacet<f32>,
}

/// One remembered product.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// What it is.
    pub facts: &'a ProductFacts,
    /// 1 = picked, 0 = passed over, less everybody's rate: in `-1..=1`.
    pub surprise: f32,
}

/// The mean of one shopper's weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posterior {
    weights: ByFacet<f32>,
}

impl Model {
    fn scale(&self, facet: FacetKey) -> f32 {
        self.scales.get(&facet).copied().unwrap_or(1.0)
    }

    /// `scale / norm` of each facet of a product.
    fn features<'a>(
        &'a self,
        facts: &'a ProductFacts,
    ) -> impl Iterator<Item = (FacetKey, f32)> + 'a {
        let mut squares = [0.0_f32; 4];
        for facet in &facts.facets {
            squares[facet.axis().index()] += self.scale(*facet).powi(2);
        }
        let norms = squares.map(|sum| if sum > 0.0 { sum.sqrt().recip() } else { 0.0 });
        let of = move |facet: &FacetKey| (*facet, self.scale(*facet) * norms[facet.axis().index()]);
        facts.facets.iter().map(of)
    }
}

impl Posterior {
    /// What the picks say. At most [`OBSERVED_MAX`] are read.
    pub fn of(model: &Model, observed: &[Observed<'_>]) -> Self {
        let observed = &observed[..observed.len().min(OBSERVED_MAX)];
        let system = System::of(model, observed);
        let alpha = system.solved(observed);
        let mut weights = ByFacet::default();
        let back = system.back(&alpha);
        for (facet, place) in &system.places {
            let deviation = model.axis_variance[facet.axis().index()].max(0.0).sqrt();
            let weight = deviation * back[*place as usize];
            if weight.is_finite() && weight != 0.0 {
                weights.insert(*facet, weight);
            }
        }
        Self { weights }
    }

    /// True where nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// What each facet of a product adds to the rate at which this shopper picks it.
    pub fn parts<'a>(
        &'a self,
        model: &'a Model,
        facts: &'a ProductFacts,
    ) -> impl Iterator<Item = (FacetKey, f32)> + 'a {
        let weight = |facet| self.weights.get(&facet).copied().unwrap_or_default();
        model.features(facts).map(move |(facet, x)| (facet, x * weight(facet)))
    }
}

/// The products as rows of features, each scaled by its axis' deviation; the last column is the
/// shopper's own.
struct System {
    places: ByFacet<u32>,
    columns: usize,
    /// Row `r` is `entries[ends[r - 1]..ends[r]]`.
    entries: Vec<(u32, f32)>,
    ends: Vec<u32>,
    own: f32,
    noise: f32,
}

impl System {
    fn of(model: &Model, observed: &[Observed<'_>]) -> Self {
        let deviations = model.axis_variance.map(|variance| variance.max(0.0).sqrt());
        let mut system = Self {
            places: ByFacet::default(),
            columns: 0,
            entries: Vec::with_capacity(observed.len() * 8),
            ends: Vec::with_capacity(observed.len()),
            own: model.own_variance.max(0.0),
            noise: model.noise.max(1.0e-3),
        };
        for one in observed {
            for (facet, x) in model.features(one.facts) {
                let new = system.columns as u32;
                let place = *system.places.entry(facet).or_insert(new);
                system.columns = system.columns.max(place as usize + 1);
                system.entries.push((place, x * deviations[facet.axis().index()]));
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
    fn back(&self, alpha: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.columns];
        for (row, alpha) in self.rows().zip(alpha) {
            for (place, x) in row {
                out[*place as usize] += x * alpha;
            }
        }
        out
    }

    /// `(X Xᵀ + σ₀² 1 1ᵀ + σ² I) α`
    fn times(&self, alpha: &[f32]) -> Vec<f32> {
        let back = self.back(alpha);
        let own = self.own * alpha.iter().sum::<f32>();
        let row = |row: &[(u32, f32)]| row.iter().map(|(p, x)| x * back[*p as usize]).sum::<f32>();
        self.rows().zip(alpha).map(|(r, alpha)| row(r) + own + self.noise * alpha).collect()
    }

    /// Conjugate gradients from 0.
    fn solved(&self, observed: &[Observed<'_>]) -> Vec<f32> {
        let mut alpha = vec![0.0; observed.len()];
        let mut rest: Vec<f32> = observed.iter().map(|one| one.surprise.clamp(-1.0, 1.0)).collect();
        let mut way = rest.clone();
        let mut size = dot(&rest, &rest);
        let enough = size * REST_MAX * REST_MAX;
        for _ in 0..STEPS_MAX {
            if !(size > enough) {
                break;
            }
            let ahead = self.times(&way);
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
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f32], factor: f32, what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

/// Variances fitted to nothing: those with which film lists were ranked well. See docs/QUALITY.md.
impl Default for Model {
    fn default() -> Self {
        let mut axis_variance = [0.5; 4];
        axis_variance[Axis::Attribute.index()] = 2.0;
        Self { axis_variance, own_variance: 1.0, noise: 3.0, scales: ByFacet::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::testing::branded;

    fn product(id: &str, brand: &str, category: &str, attributes: &[&str]) -> ProductFacts {
        branded(id, id, brand, category, attributes)
    }

    fn observed(facts: &[(ProductFacts, f32)]) -> Vec<Observed<'_>> {
        facts.iter().map(|(facts, surprise)| Observed { facts, surprise: *surprise }).collect()
    }

    fn liking(posterior: &Posterior, model: &Model, facts: &ProductFacts) -> f32 {
        posterior.parts(model, facts).map(|(_, part)| part).sum()
    }

    /// `K (K + σ² I)⁻¹ e` with the kernel written down, by Gaussian elimination in f64.
    fn exact(model: &Model, seen: &[(ProductFacts, f32)], of: &ProductFacts) -> f64 {
        let features = |facts: &ProductFacts| -> Vec<(FacetKey, f64)> {
            let scaled = |(facet, x): (FacetKey, f32)| {
                let deviation = f64::from(model.axis_variance[facet.axis().index()]).sqrt();
                (facet, f64::from(x) * deviation)
            };
            model.features(facts).map(scaled).collect()
        };
        let kernel = |a: &ProductFacts, b: &ProductFacts| -> f64 {
            let b = features(b);
            let same = |key| b.iter().find(|(k, _)| *k == key).map_or(0.0, |(_, x)| *x);
            features(a).iter().map(|(key, x)| x * same(*key)).sum()
        };
        let size = seen.len();
        let mut rows: Vec<Vec<f64>> = seen
            .iter()
            .enumerate()
            .map(|(r, (a, surprise))| {
                let entry = |(c, (b, _)): (usize, &(ProductFacts, f32))| {
                    let noise = if r == c { f64::from(model.noise) } else { 0.0 };
                    kernel(a, b) + f64::from(model.own_variance) + noise
                };
                let row = seen.iter().enumerate().map(entry);
                row.chain([f64::from(*surprise)]).collect()
            })
            .collect();
        for at in 0..size {
            let pivot = rows[at].clone();
            for (r, row) in rows.iter_mut().enumerate().filter(|(r, _)| *r != at) {
                let _ = r;
                let factor = row[at] / pivot[at];
                row.iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
            }
        }
        let alpha = |r: usize| rows[r][size] / rows[r][r];
        seen.iter().enumerate().map(|(r, (facts, _))| kernel(of, facts) * alpha(r)).sum()
    }

    #[test]
    fn a_pick_speaks_for_what_it_is_and_a_pass_against_it() {
        let model = Model::default();
        let seen = [
            (product("a", "oatly", "milk", &["plant-based"]), 0.8),
            (product("b", "arla", "milk", &["dairy"]), -0.2),
        ];
        let posterior = Posterior::of(&model, &observed(&seen));
        let plant = liking(&posterior, &model, &product("c", "", "yogurt", &["plant-based"]));
        let dairy = liking(&posterior, &model, &product("d", "", "yogurt", &["dairy"]));
        assert!(plant > 0.0 && dairy < 0.0, "{plant} {dairy}");
        assert_eq!(liking(&posterior, &model, &product("e", "x", "bread", &["rye"])), 0.0);
        assert!(Posterior::of(&model, &[]).is_empty());
    }

    #[test]
    fn of_two_facets_that_always_come_together_each_gets_half() {
        let model = Model::default();
        let one = [(product("a", "", "", &["spicy"]), 0.9)];
        let two = [(product("a", "", "", &["spicy", "red"]), 0.9)];
        let hot = product("b", "", "", &["spicy"]);
        let [alone, shared] =
            [&one, &two].map(|seen| liking(&Posterior::of(&model, &observed(seen)), &model, &hot));
        assert!(shared < alone && shared > 0.0, "{shared} {alone}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_solver_agrees_with_elimination(
            seen in prop::collection::vec((0_usize..4, 0_usize..3, 0_usize..8, -1.0_f32..1.0), 1..24),
        ) {
            let model = Model::default();
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let seen: Vec<_> = seen
                .into_iter()
                .map(|(brand, category, attribute, surprise)| {
                    let labels = [names[attribute], names[(attribute + brand + 1) % 8]];
                    (product("x", names[brand], names[category], &labels), surprise)
                })
                .collect();
            let posterior = Posterior::of(&model, &observed(&seen));
            for (facts, _) in &seen {
                let (ours, right) = (liking(&posterior, &model, facts), exact(&model, &seen, facts));
                prop_assert!((f64::from(ours) - right).abs() < 5e-3, "{ours} {right}");
            }
        }

        #[test]
        fn anything_gives_finite_numbers(
            surprises in prop::collection::vec(any::<f32>(), 0..400),
            variance in any::<f32>(),
            noise in any::<f32>(),
        ) {
            let model = Model { axis_variance: [variance; 4], noise, ..Model::default() };
            let facts = product("a", "b", "c", &["d"]);
            let seen: Vec<_> =
                surprises.iter().map(|s| Observed { facts: &facts, surprise: *s }).collect();
            let posterior = Posterior::of(&model, &seen);
            prop_assert!(posterior.parts(&model, &facts).all(|(_, part)| part.is_finite()));
        }
    }
}
