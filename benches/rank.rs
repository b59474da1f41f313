//! What one ranking costs: 20, 100 and 300 hits, a light and a heavy profile, each model of taste; and
//! what it costs to read the posterior of the hierarchical one, once a change of the profile.
//!
//! With the shipped rules. Run on an idle machine: `cargo bench --bench rank`.
#![allow(missing_docs, reason = "a benchmark has no callers")]

use std::collections::HashMap;
use std::sync::Arc;

use leafrank::config::UpstreamOrder;
use leafrank::model::trees::{Feature, Node, Trees};
use leafrank::preferences::hierarchical::Posterior;
use leafrank::preferences::hierarchical::remembered::{Reading, digest};
use leafrank::preferences::learn::{Caps, apply};
use leafrank::preferences::population::Population;
use leafrank::rank::{Candidate, QueryView, RankRequest, Ranking, rank};
use leafrank::rules::{Preference, Rules, knowledge};
use leafrank::types::budget::Budget;
use leafrank::types::clock::{SystemClock, Timestamp};
use leafrank::types::ids::ProductKey;
use leafrank::types::product::{Axis, FacetKey, ProductFacts};
use leafrank::types::profile::Profile;
use leafrank::types::signal::{Signal, SignalKind};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn main() {
    divan::main();
}

fn product(i: usize) -> ProductFacts {
    let category = FacetKey::of(Axis::Category, &format!("dairy/{}", i % 7));
    let mut facets = vec![FacetKey::of(Axis::Category, "dairy"), category];
    facets.push(FacetKey::of(Axis::Brand, &format!("brand {}", i % 31)));
    facets.push(FacetKey::of(Axis::Attribute, &format!("attribute {}", i % 11)));
    facets.push(FacetKey::of(Axis::Attribute, &format!("attribute {}", 20 + i % 5)));
    facets.push(FacetKey::of(Axis::PriceTier, ["budget", "standard", "premium"][i % 3]));
    facets.sort_by_key(|f| (f.axis(), *f));
    let name = if i % 5 == 4 { format!("Cheese {i}") } else { format!("Milk {i}") };
    ProductFacts {
        key: ProductKey((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & ProductKey::MASK),
        terms: knowledge::words(&name).into(),
        name: name.into(),
        facets: facets.into(),
        sizes: Box::default(),
        category: Some(category),
        price: Some(1.0 + i as f32),
        sensitive: false,
    }
}

/// Hits listed and products remembered.
const CASES: &[(usize, usize)] =
    &[(20, 8), (20, 1000), (100, 8), (100, 1000), (300, 8), (300, 1000)];

/// A shopper and a shop.
struct Case {
    rules: Rules,
    profile: Profile,
    population: Population,
    /// What is listed comes first.
    facts: Vec<Arc<ProductFacts>>,
    hits: usize,
}

impl Case {
    fn new((hits, remembered): (usize, usize), preference: Preference) -> Self {
        let mut rules = Rules::shipped();
        rules.ranking.preference = preference;
        rules.ranking.window_size = hits;
        let mut profile = Profile::default();
        let mut population = Population::new(100_000);
        let caps = Caps { products: 1024, facets: 512, prices: 64 };
        let facts: Vec<_> = (0..hits.max(remembered * 3)).map(|i| Arc::new(product(i))).collect();
        for i in 0..remembered {
            let facts = &facts[i * 3];
            let at = Timestamp(NOW.0 - i as i64 * 3_600_000);
            let kind = SignalKind::ALL[i % SignalKind::ALL.len()];
            let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity: 1 };
            apply(&mut profile, &signal, Some(facts), &rules, caps);
            population.record_list([(facts.key, facts.category)], true);
            population.record_evidence(facts, 0.5, true);
        }
        Self { rules, profile, population, facts, hits }
    }

    fn posterior(&self) -> Option<Posterior> {
        let reading = Reading { population: &self.population, rules: &self.rules, now: NOW };
        let by_key: HashMap<ProductKey, &Arc<ProductFacts>> =
            self.facts.iter().map(|facts| (facts.key, facts)).collect();
        reading.posterior(&self.profile, |key| by_key.get(&key).map(|facts| (*facts).clone()))
    }

    fn ranked(&self, bencher: divan::Bencher<'_, '_>) {
        let candidates: Vec<_> =
            self.facts[..self.hits].iter().map(|facts| Candidate::of(facts, true)).collect();
        let query = QueryView::of("milk", &self.rules.knowledge);
        let posterior = self.posterior();
        let request = RankRequest {
            query: &query,
            candidates: &candidates,
            profile: Some(&self.profile),
            posterior: posterior.as_ref(),
            population: &self.population,
            rules: &self.rules,
            now: NOW,
            daypart: None,
            upstream: UpstreamOrder::Ranked,
            score_better: None,
        };
        let clock = SystemClock::default();
        bencher.bench_local(|| {
            let ranked = rank(divan::black_box(&request), &Budget::start(&clock, 1_000_000));
            ranked.unwrap_or_else(|_| Ranking::unmoved(0, None))
        });
    }
}

#[divan::bench(args = CASES)]
fn rank_list(bencher: divan::Bencher<'_, '_>, case: (usize, usize)) {
    Case::new(case, Preference::Table).ranked(bencher);
}

#[divan::bench(args = CASES)]
fn rank_list_hierarchical(bencher: divan::Bencher<'_, '_>, case: (usize, usize)) {
    Case::new(case, Preference::Hierarchical).ranked(bencher);
}

/// The same with sixty trees of fifteen leaves, as benches/quality/trees.py makes them.
#[divan::bench(args = CASES)]
fn rank_list_trees(bencher: divan::Bencher<'_, '_>, case: (usize, usize)) {
    let mut case = Case::new(case, Preference::Trees);
    case.rules.trees = Some(Arc::new(sixty_trees()));
    case.ranked(bencher);
}

/// Heaps four deep that ask for one feature after the other, at numbers that part the hits.
fn sixty_trees() -> Trees {
    let features = Feature::ALL.map(|feature| feature.name().to_owned());
    let tree = |number: u16| {
        let node = |place: u16| Node {
            feature: (number * 7 + place * 3) % features.len() as u16,
            threshold: [0.05, 0.3, 0.8, 2.5][usize::from((number + place) % 4)],
            left: if place < 15 { 2 * place + 1 } else { 0 },
            value: f32::from((number * 5 + place * 11) % 17) * 0.01,
        };
        (0..31).map(node).collect()
    };
    Trees::new(&features, (0..60).map(tree).collect()).unwrap_or_default()
}

/// By products remembered; the look-up of their facts is a hash table's.
#[divan::bench(args = [8, 64, 256, 1000])]
fn read_posterior(bencher: divan::Bencher<'_, '_>, remembered: usize) {
    let case = Case::new((1, remembered), Preference::Hierarchical);
    let by_key: HashMap<ProductKey, Arc<ProductFacts>> =
        case.facts.iter().map(|facts| (facts.key, facts.clone())).collect();
    let reading = Reading { population: &case.population, rules: &case.rules, now: NOW };
    bencher.bench_local(|| {
        reading.posterior(divan::black_box(&case.profile), |key| by_key.get(&key).cloned())
    });
}

/// What a request pays to know that its posterior is ready.
#[divan::bench(args = [8, 1000])]
fn digest_profile(bencher: divan::Bencher<'_, '_>, remembered: usize) {
    let case = Case::new((1, remembered), Preference::Hierarchical);
    bencher.bench_local(|| digest(divan::black_box(&case.profile), &case.rules, NOW));
}

#[divan::bench]
fn read_query(bencher: divan::Bencher<'_, '_>) {
    let rules = Rules::shipped();
    bencher
        .bench_local(|| QueryView::of(divan::black_box("organic oat milk 2 l"), &rules.knowledge));
}
