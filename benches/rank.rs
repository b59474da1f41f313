//! What one ranking costs: 20, 100 and 300 hits, a light and a heavy profile, with and without trees.
//!
//! With the shipped rules. Run on an idle machine: `cargo bench --bench rank`.
#![allow(missing_docs, reason = "a benchmark has no callers")]

use std::sync::Arc;

use leafrank::config::UpstreamOrder;
use leafrank::model::trees::{Feature, Node, Trees};
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
const CASES: &[(usize, usize)] = &[(20, 8), (20, 1000), (100, 8), (100, 1000), (300, 1000)];

#[divan::bench(args = CASES)]
fn rank_list(bencher: divan::Bencher<'_, '_>, case: (usize, usize)) {
    rank_with(bencher, Rules::shipped(), case);
}

/// The same with sixty trees of fifteen leaves, as benches/quality/trees.py makes them.
#[divan::bench(args = CASES)]
fn rank_list_trees(bencher: divan::Bencher<'_, '_>, case: (usize, usize)) {
    let mut rules = Rules::shipped();
    rules.ranking.preference = Preference::Trees;
    rules.trees = Some(Arc::new(sixty_trees()));
    rank_with(bencher, rules, case);
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

fn rank_with(bencher: divan::Bencher<'_, '_>, rules: Rules, case: (usize, usize)) {
    let (hits, remembered) = case;
    let facts: Vec<_> = (0..hits).map(product).collect();
    let mut profile = Profile::default();
    let mut population = Population::new(100_000);
    let caps = Caps { products: 1024, facets: 512, prices: 64 };
    for i in 0..remembered {
        let facts = product(i * 3);
        let at = Timestamp(NOW.0 - i as i64 * 3_600_000);
        let kind = SignalKind::ALL[i % SignalKind::ALL.len()];
        let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity: 1 };
        apply(&mut profile, &signal, Some(&facts), &rules, caps);
        population.record_list([(facts.key, facts.category)], true);
        population.record_evidence(&facts, 0.5, true);
    }
    let candidates: Vec<_> = facts
        .iter()
        .map(|facts| Candidate {
            facts,
            score: None,
            price: None,
            in_stock: None,
            sponsored: false,
            unremembered: false,
        })
        .collect();
    let query = QueryView::of("milk", &rules.knowledge);
    let request = RankRequest {
        query: &query,
        candidates: &candidates,
        profile: Some(&profile),
        posterior: None,
        population: &population,
        rules: &rules,
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

#[divan::bench]
fn read_query(bencher: divan::Bencher<'_, '_>) {
    let rules = Rules::shipped();
    bencher
        .bench_local(|| QueryView::of(divan::black_box("organic oat milk 2 l"), &rules.knowledge));
}
