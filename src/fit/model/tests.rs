//! What was planted is found.

use std::sync::Arc;

use super::em::Variances;
use super::*;
use crate::preferences::testing::branded;

/// Numbers between 0 and 1, the same each time.
struct Chance(u64);

impl Chance {
    fn number(&mut self) -> f64 {
        self.0 += 1;
        mixed(self.0, 7) as f64 / u64::MAX as f64
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.number() * end as f64) as usize).min(end - 1)
    }

    /// Of mean 0 and this variance.
    fn normal(&mut self, variance: f64) -> f64 {
        (0..12).map(|_| self.number() - 0.5).sum::<f64>() * variance.sqrt()
    }
}

const LABELS: usize = 24;

fn product(chance: &mut Chance, number: usize) -> Arc<ProductFacts> {
    let mut label = |kind: &str| format!("{kind}:{}", chance.below(LABELS));
    let labels = [label("taste"), label("taste"), label("size")];
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let (brand, category) = (format!("b{}", chance.below(12)), format!("c{}", chance.below(6)));
    Arc::new(branded(&format!("p{number}"), "", &brand, &category, &labels))
}

/// A shop of products, and what is known of it before anything is fitted.
fn shop(chance: &mut Chance) -> (Vec<Arc<ProductFacts>>, Hierarchical) {
    let products: Vec<_> = (0..300).map(|number| product(chance, number)).collect();
    let mut names = BTreeMap::new();
    for number in 0..LABELS {
        for kind in ["taste", "size"] {
            let name = format!("{kind}:{number}");
            names.insert(FacetKey::of(Axis::Attribute, &name), name);
        }
    }
    for (axis, letter, end) in [(Axis::Brand, 'b', 12), (Axis::Category, 'c', 6)] {
        for number in 0..end {
            let name = format!("{letter}{number}");
            names.insert(FacetKey::of(axis, &name), name);
        }
    }
    let known = products.iter().map(|facts| &**facts);
    let model = begun(known, |facet| names.get(&facet).cloned());
    (products, model)
}

/// What so many people with planted tastes remember.
fn people(
    chance: &mut Chance,
    (products, model): (&[Arc<ProductFacts>], &Hierarchical),
    planted: &Variances,
    count: usize,
) -> Vec<Observed> {
    let mut scratch = crate::preferences::hierarchical::Features::new();
    let one = |_| {
        let (own, taste) = (chance.normal(planted.own), chance.normal(planted.popular));
        let mut weights = BTreeMap::new();
        let seen = |_| {
            let facts = products[chance.below(products.len())].clone();
            let popular = chance.number() as f32 - 0.5;
            crate::preferences::hierarchical::features(model, &facts, &mut scratch);
            let mut liking = own + taste * f64::from(popular);
            for (facet, group, x) in &scratch {
                let variance = planted.groups[usize::from(*group)];
                let weight = *weights.entry(*facet).or_insert_with(|| chance.normal(variance));
                liking += weight * f64::from(*x);
            }
            let surprise = (liking + chance.normal(planted.noise)) as f32;
            Remembered { facts, surprise, popular, weight: 1.0 }
        };
        (0..25).map(seen).collect()
    };
    (0..count).map(one).collect()
}

#[test]
fn kinds_of_labels_become_groups_and_rare_labels_tell_more() {
    let (_, model) = shop(&mut Chance(1));
    let names: Vec<&str> = model.groups.iter().map(|group| group.name.as_str()).collect();
    let axes = ["category", "brand", "attribute", "price_tier"];
    assert_eq!(names[..4], axes);
    assert_eq!(names[4..], ["attribute/size", "attribute/taste"]);
    let known = |axis, name: &str| model.known(FacetKey::of(axis, name));
    assert_eq!(known(Axis::Attribute, "taste:1").group, 5);
    assert_eq!(known(Axis::Brand, "b1").group, 1);
    assert!(known(Axis::Attribute, "size:1").scale > known(Axis::Category, "c1").scale);
}

#[test]
fn planted_variances_are_recovered() {
    let mut chance = Chance(2);
    let (products, model) = shop(&mut chance);
    let planted = Variances {
        groups: vec![0.02, 0.005, 0.02, 0.02, 0.02, 0.1],
        own: 0.03,
        popular: 0.04,
        noise: 0.1,
        likelihood: 0.0,
    };
    let people = people(&mut chance, (&products, &model), &planted, 80);
    let mut found = Variances::of(&model).scaled_to(&people);
    let mut before = f64::NEG_INFINITY;
    for _ in 0..20 {
        found = found.stepped(&model, &people).unwrap();
        assert!(found.likelihood >= before - 1e-6, "each step makes it likelier");
        before = found.likelihood;
    }
    let near = |name: &str, found: f64, planted: f64| {
        assert!((0.4..2.2).contains(&(found / planted)), "{name}: {found} of {planted}");
    };
    near("noise", found.noise, planted.noise);
    near("own", found.own, planted.own);
    near("popular", found.popular, planted.popular);
    near("category", found.groups[0], planted.groups[0]);
    near("size", found.groups[4], planted.groups[4]);
    near("taste", found.groups[5], planted.groups[5]);
    assert!(found.groups[1] < found.groups[5] / 3.0, "brand: {}", found.groups[1]);
}

#[test]
fn a_fit_that_goes_on_from_what_was_written_down_gives_the_same_bytes() {
    let mut chance = Chance(3);
    let (products, mut model) = shop(&mut chance);
    let planted = Variances::of(&model);
    let people = people(&mut chance, (&products, &model), &planted, 30);
    let step = |from: &Variances| from.stepped(&model, &people).unwrap();
    let begun = Variances::of(&model).scaled_to(&people);
    let whole = step(&step(&step(&begun)));
    let written = serde_json::to_string(&step(&begun)).unwrap();
    let read: Variances = serde_json::from_str(&written).unwrap();
    let resumed = step(&step(&read));
    assert_eq!(whole, resumed);
    let [one, other] = [whole, resumed].map(|found| {
        found.tell(&mut model);
        model.payload()
    });
    assert_eq!(one, other);
    assert!(Hierarchical::read(&one).is_ok());
}

#[test]
fn of_too_many_people_some_are_drawn_and_the_same_with_the_same_seed() {
    let facts = Arc::new(branded("p", "", "", "c", &[]));
    let one = Remembered { facts, surprise: 0.0, popular: 0.0, weight: 1.0 };
    let people = |count: usize| -> Vec<Observed> {
        let marked = |number: usize| Remembered { surprise: number as f32, ..one.clone() };
        (0..count).map(|number| vec![marked(number), marked(number), marked(number)]).collect()
    };
    let shown =
        |people: Vec<Observed>| -> Vec<f32> { people.iter().map(|p| p[0].surprise).collect() };
    assert_eq!(shown(drawn(people(50), 1)).len(), 50);
    assert_eq!(drawn(vec![vec![one.clone()]], 1).len(), 0, "who did too little is left out");
    let some = shown(drawn(people(PEOPLE_MAX + 500), 1));
    assert_eq!(some.len(), PEOPLE_MAX);
    assert_eq!(some, shown(drawn(people(PEOPLE_MAX + 500), 1)));
    assert_ne!(some, shown(drawn(people(PEOPLE_MAX + 500), 2)));
}
