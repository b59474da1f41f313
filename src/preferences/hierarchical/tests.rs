//! The posterior against the same by elimination, and what it makes of picks.

use std::sync::Arc;

use proptest::prelude::*;

use super::remembered::Reading;
use super::*;
use crate::preferences::learn::{self, apply};
use crate::preferences::merge::merge;
use crate::preferences::population::Population;
use crate::preferences::testing::{CAPS, branded, rules_for_tests};
use crate::rules::{Preference, Rules};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::profile::Profile;
use crate::types::signal::{Signal, SignalKind};

fn product(id: &str, brand: &str, category: &str, attributes: &[&str]) -> Arc<ProductFacts> {
    Arc::new(branded(id, id, brand, category, attributes))
}

fn seen(facts: Arc<ProductFacts>, surprise: f32) -> Remembered {
    Remembered { facts, surprise, popular: 0.0, weight: 1.0 }
}

fn liking(posterior: &Posterior, model: &Model, facts: &ProductFacts) -> f32 {
    posterior.parts(model, facts, &mut Features::new()).map(|(_, part)| part).sum()
}

/// Features of one product with those of the shopper's own level and of popularity, by deviation.
fn columns(model: &Model, one: &Remembered) -> Vec<(u64, f64)> {
    let mut scratch = Features::new();
    features(model, &one.facts, &mut scratch);
    let deviation = |group: u8| f64::from(model.groups[usize::from(group)].variance).sqrt();
    let facets = scratch.iter().map(|(f, group, x)| (f.0, f64::from(*x) * deviation(*group)));
    let own = (u64::MAX, f64::from(model.own_variance).sqrt());
    let popular = (u64::MAX - 1, f64::from(one.popular) * f64::from(model.popular_variance).sqrt());
    facets.chain([own, popular]).collect()
}

/// `K (K + N)⁻¹ e` of the facets with the kernel written down, by Gaussian elimination in f64.
fn exact(model: &Model, all: &[Remembered], of: &Remembered) -> f64 {
    let kernel = |a: &[(u64, f64)], b: &[(u64, f64)]| -> f64 {
        let same = |key| b.iter().find(|(k, _)| *k == key).map_or(0.0, |(_, x)| *x);
        a.iter().map(|(key, x)| x * same(*key)).sum()
    };
    let size = all.len();
    let features: Vec<_> = all.iter().map(|one| columns(model, one)).collect();
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|r| {
            let noise = f64::from(model.noise / all[r].weight);
            let entry =
                |c: usize| kernel(&features[r], &features[c]) + if r == c { noise } else { 0.0 };
            (0..size).map(entry).chain([f64::from(all[r].surprise)]).collect()
        })
        .collect();
    for at in 0..size {
        let pivot = rows[at].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(r, _)| *r != at) {
            let factor = row[at] / pivot[at];
            row.iter_mut().zip(&pivot).for_each(|(x, p)| *x -= factor * p);
        }
    }
    let own = columns(model, of);
    let facets = &own[..own.len() - 2];
    (0..size).map(|r| kernel(facets, &features[r]) * rows[r][size] / rows[r][r]).sum()
}

#[test]
fn a_pick_speaks_for_what_it_is_and_a_pass_against_it() {
    let model = Model::default();
    let all = [
        seen(product("a", "oatly", "milk", &["plant-based"]), 0.8),
        seen(product("b", "arla", "milk", &["dairy"]), -0.2),
    ];
    let posterior = Posterior::of(&model, &all);
    let plant = liking(&posterior, &model, &product("c", "", "yogurt", &["plant-based"]));
    let dairy = liking(&posterior, &model, &product("d", "", "yogurt", &["dairy"]));
    assert!(plant > 0.0 && dairy < 0.0, "{plant} {dairy}");
    assert_eq!(liking(&posterior, &model, &product("e", "x", "bread", &["rye"])), 0.0);
    assert!(Posterior::of(&model, &[]).is_empty());
}

#[test]
fn of_two_facets_that_always_come_together_each_gets_half() {
    let model = Model::default();
    let one = [seen(product("a", "", "", &["spicy"]), 0.9)];
    let two = [seen(product("a", "", "", &["spicy", "red"]), 0.9)];
    let hot = product("b", "", "", &["spicy"]);
    let [alone, shared] = [&one, &two].map(|all| liking(&Posterior::of(&model, all), &model, &hot));
    assert!(shared < alone && shared > 0.0, "{shared} {alone}");
}

#[test]
fn who_picks_what_everybody_picks_likes_that_and_no_facet_in_full() {
    let model = Model::default();
    let popular =
        |popular: f32| Remembered { popular, ..seen(product("a", "", "", &["red"]), 0.5) };
    let plain = Posterior::of(&model, &[popular(0.0)]);
    let known = Posterior::of(&model, &[popular(0.8)]);
    assert_eq!(plain.popular(1.0), 0.0);
    assert!(known.popular(1.0) > 0.0);
    let red = product("b", "", "", &["red"]);
    assert!(liking(&known, &model, &red) < liking(&plain, &model, &red));
}

/// Rules, and what a shop of four products is learned from.
struct Shop {
    rules: Rules,
    population: Population,
    facts: Vec<Arc<ProductFacts>>,
}

impl Shop {
    fn new() -> Self {
        let mut rules = rules_for_tests();
        rules.ranking.preference = Preference::Hierarchical;
        let facts = vec![
            product("chili", "mill", "snacks/chips", &["spicy"]),
            product("plain", "mill", "snacks/chips", &["mild"]),
            product("hot", "creek", "snacks/nuts", &["spicy"]),
            product("sweet", "creek", "snacks/nuts", &["mild"]),
        ];
        Self { rules, population: Population::new(10), facts }
    }

    fn learn(&self, profile: &mut Profile, kind: SignalKind, id: &str, day: i64) {
        let at = Timestamp::from_seconds(day * 86_400 + 600);
        let signal = Signal { kind, product: ProductKey::of(id), at, times: 1.0, quantity: 1 };
        apply(profile, &signal, self.facts_of(signal.product).as_deref(), &self.rules, CAPS);
    }

    fn facts_of(&self, key: ProductKey) -> Option<Arc<ProductFacts>> {
        self.facts.iter().find(|facts| facts.key == key).cloned()
    }

    fn liking(&self, profile: &Profile, attribute: &str, day: i64) -> f32 {
        let now = Timestamp::from_seconds(day * 86_400);
        let reading = Reading { population: &self.population, rules: &self.rules, now };
        let posterior = reading.posterior(profile, |key| self.facts_of(key));
        let facts = product("x", "", "", &[attribute]);
        posterior.map_or(0.0, |own| liking(&own, &self.rules.model, &facts))
    }
}

#[test]
fn what_is_long_ago_says_less() {
    let shop = Shop::new();
    let mut profile = Profile::default();
    shop.learn(&mut profile, SignalKind::ClickProduct, "chili", 100);
    let now = shop.liking(&profile, "spicy", 100);
    let later = shop.liking(&profile, "spicy", 400);
    assert!(now > 2.0 * later && later > 0.0, "{now} {later}");
    // of two picks the later one counts more, though it was learned first
    shop.learn(&mut profile, SignalKind::ClickProduct, "sweet", 350);
    let (spicy, mild) = (shop.liking(&profile, "spicy", 400), shop.liking(&profile, "mild", 400));
    assert!(mild > 1.5 * spicy && spicy > 0.0, "{mild} {spicy}");
}

#[test]
fn two_profiles_that_are_merged_have_the_taste_of_who_did_all_of_it() {
    let shop = Shop::new();
    let [mut visit, mut user, mut both] = [(); 3].map(|()| Profile::default());
    for (of_visit, kind, id) in [
        (true, SignalKind::ClickProduct, "chili"),
        (false, SignalKind::PurchaseFirstTime, "hot"),
        (false, SignalKind::DisplayedButScrolled, "plain"),
    ] {
        shop.learn(if of_visit { &mut visit } else { &mut user }, kind, id, 100);
        shop.learn(&mut both, kind, id, 100);
    }
    let user = merge(&user, &visit, &shop.rules, CAPS);
    for attribute in ["spicy", "mild"] {
        let (merged, whole) =
            (shop.liking(&user, attribute, 100), shop.liking(&both, attribute, 100));
        assert!((merged - whole).abs() < 1e-4 && whole != 0.0, "{merged} {whole}");
    }
}

#[test]
fn who_is_erased_or_whose_products_nobody_knows_has_no_taste() {
    let shop = Shop::new();
    let mut profile = Profile::default();
    shop.learn(&mut profile, SignalKind::ClickProduct, "chili", 100);
    assert!(shop.liking(&profile, "spicy", 100) > 0.0);
    assert_eq!(shop.liking(&Profile::default(), "spicy", 100), 0.0);
    let reading = Reading {
        population: &shop.population,
        rules: &shop.rules,
        now: Timestamp::from_seconds(100 * 86_400),
    };
    assert!(reading.posterior(&profile, |_| None).is_none());
    let table = Rules { ranking: rules_for_tests().ranking, ..shop.rules.clone() };
    let reading = Reading { rules: &table, ..reading };
    assert!(reading.posterior(&profile, |key| shop.facts_of(key)).is_none());
}

#[test]
fn a_click_that_is_taken_back_leaves_no_taste() {
    let shop = Shop::new();
    let mut profile = Profile::default();
    let at = Timestamp::from_seconds(100 * 86_400 + 600);
    let passed = |times| Signal {
        kind: SignalKind::DisplayedButScrolled,
        product: ProductKey::of("chili"),
        at,
        times,
        quantity: 1,
    };
    for times in [1.0, -1.0] {
        learn::apply(&mut profile, &passed(times), Some(&shop.facts[0]), &shop.rules, CAPS);
    }
    assert_eq!(shop.liking(&profile, "spicy", 100), 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_solver_agrees_with_elimination(
        all in prop::collection::vec(
            (0_usize..4, 0_usize..3, 0_usize..8, -1.0_f32..1.0, -1.0_f32..1.0, 0.05_f32..4.0), 1..24),
    ) {
        let mut model = Model::default();
        model.know(2, "a", 0.3);
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let all: Vec<_> = all
            .into_iter()
            .map(|(brand, category, attribute, surprise, popular, weight)| {
                let labels = [names[attribute], names[(attribute + brand + 1) % 8]];
                let facts = product("x", names[brand], names[category], &labels);
                Remembered { facts, surprise, popular, weight }
            })
            .collect();
        let posterior = Posterior::of(&model, &all);
        for one in &all {
            let (ours, right) = (liking(&posterior, &model, &one.facts), exact(&model, &all, one));
            prop_assert!((f64::from(ours) - right).abs() < 1e-2, "{ours} {right}");
        }
    }

    #[test]
    fn anything_gives_finite_numbers(
        surprises in prop::collection::vec((any::<f32>(), any::<f32>(), any::<f32>()), 0..400),
        variance in any::<f32>(),
        noise in any::<f32>(),
    ) {
        let mut model = Model::default();
        model.noise = noise;
        model.groups.iter_mut().for_each(|group| group.variance = variance);
        let facts = product("a", "b", "c", &["d"]);
        let one = |(surprise, popular, weight): &(f32, f32, f32)| Remembered {
            facts: facts.clone(),
            surprise: *surprise,
            popular: *popular,
            weight: *weight,
        };
        let all: Vec<_> = surprises.iter().map(one).collect();
        let posterior = Posterior::of(&model, &all);
        prop_assert!(liking(&posterior, &model, &facts).is_finite());
        prop_assert!(posterior.popular(1.0).is_finite());
    }
}
