//! The sidecar's own work as shipped: one search's reply decoded, ranked and spliced; one interaction
//! learned; the rules read anew.
//!
//! Settings, rules and knowledge are the shipped ones, with `mode: on` and LeafLoaf's routes; the
//! shopper has a dozen purchases behind them. Bodies have 650 bytes a hit: 20 hits are 13 KB.
//! `cargo bench --bench personalize`; `make load` measures the same inside the running process.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use std::collections::BTreeMap;
use std::sync::Arc;

use divan::{Bencher, black_box};
use leafrank::config::{Settings, SettingsText};
use leafrank::identity::Identity;
use leafrank::observe::Observer;
use leafrank::personalize::{Asked, Personalizer};
use leafrank::reload::RulesTable;
use leafrank::rules::Rules;
use leafrank::store::Store;
use leafrank::telemetry::metrics::Metrics;
use leafrank::types::clock::{Clock, SystemClock, Timestamp};
use leafrank::types::ids::{ProductId, UserId};
use leafrank::types::interaction::{Interaction, InteractionKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HITS: [usize; 3] = [20, 100, 300];

fn main() {
    divan::main();
}

/// The read path and the write path over one store.
struct Paths {
    personalizer: Personalizer,
    observer: Observer,
    clock: Arc<dyn Clock>,
}

impl Paths {
    fn new() -> Self {
        let flags = [("mode".to_owned(), "on".to_owned())];
        let settings = SettingsText {
            file: None,
            text: "presets: [leafloaf]",
            environment: &BTreeMap::new(),
            flags: &flags,
        };
        let settings = Arc::new(Settings::parse(&settings).expect("the shipped settings"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let store = Arc::new(Store::new(&settings.store));
        let rules = RulesTable::fixed(Rules::shipped());
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let (for_observer, for_metrics) = (clock.clone(), metrics.clone());
        let observer =
            Observer::new(&settings, store.clone(), rules.clone(), for_metrics, for_observer);
        let personalizer = Personalizer::new(settings, store, rules, metrics, clock.clone());
        Self { personalizer, observer, clock }
    }

    /// Buys every seventh product of the list, of which the facts must be known.
    fn warm_up(&self, hits: usize) {
        let now = self.clock.now();
        let bought = |n| interaction(n, InteractionKind::Purchase { subscription: false }, now);
        for number in (3..hits.min(90)).step_by(7) {
            self.observer.interactions(&shopper(), vec![bought(number)]);
        }
    }
}

fn user() -> UserId {
    UserId::parse("shopper").expect("an id")
}

fn shopper() -> Identity {
    Identity { user: Some(user()), ..Identity::default() }
}

fn interaction(product: usize, kind: InteractionKind, at: Timestamp) -> Interaction {
    let product = ProductId::parse(&format!("SKU-{product:05}")).expect("an id");
    Interaction { kind, product, at, quantity: 1.0, event_id: None }
}

/// A reply in the shape of LeafLoaf's search.
fn body(hits: usize) -> Vec<u8> {
    let pick = |from: &[&'static str], n: usize| from[n % from.len()];
    let category = ["Dairy/Milk", "Dairy/Plant-Based", "Dairy/Cream", "Pantry/Milk", "Baby/Milk"];
    let supplier = ["Hilltop Farm", "Oat & Co", "Three Mills", "Northshore", "Casa Verde"];
    let one = |n: usize| {
        let (supplier, category) = (pick(&supplier, n * 7), pick(&category, n * 3));
        let description = "Creamy, for coffee, cereal and baking. ".repeat(9);
        format!(
            concat!(
                r#"{{"product_id":"{id:036x}","sku":"SKU-{n:05}","product_name":"{supplier} Milk "#,
                r#"{size} oz","product_description":"{description}","price":{price}.49,"#,
                r#""supplier":"{supplier}","category":"{category}","dietary_info":["organic"],"#,
                r#""in_stock":true,"score":null}}"#
            ),
            id = n * 2_654_435_761,
            n = n,
            supplier = supplier,
            size = 16 + n % 8 * 8,
            description = description,
            price = 2 + n % 9,
            category = category,
        )
    };
    let all: Vec<String> = (1..=hits).map(one).collect();
    format!(r#"{{"success":true,"products":[{}],"order":null}}"#, all.join(",")).into_bytes()
}

#[divan::bench(args = HITS)]
fn decode_rank_splice(bencher: Bencher<'_, '_>, hits: usize) {
    let (paths, body) = (Paths::new(), body(hits));
    let search =
        paths.personalizer.search_of(user(), "milk", Asked::default()).expect("a search route");
    // Products become known, then the shopper.
    drop(paths.personalizer.rerank(&search, &body));
    paths.warm_up(hits);
    let once = paths.personalizer.rerank(&search, &body).ok().and_then(|moved| moved.body);
    assert!(once.is_some_and(|moved| moved != body), "the list must move");
    bencher.bench_local(|| paths.personalizer.rerank(&search, black_box(&body)).is_ok());
}

#[divan::bench]
fn learn_one_interaction(bencher: Bencher<'_, '_>) {
    let (paths, body) = (Paths::new(), body(100));
    let search =
        paths.personalizer.search_of(user(), "milk", Asked::default()).expect("a search route");
    drop(paths.personalizer.rerank(&search, &body));
    paths.warm_up(100);
    let who = shopper();
    let mut number = 0;
    let start = paths.clock.now().0;
    bencher.bench_local(|| {
        number += 1;
        // Seconds apart: the same act within one second would be taken for a double.
        let at = Timestamp(start + number as i64 * 2_000);
        let act = interaction(number % 100, InteractionKind::AddToCart, at);
        paths.observer.interactions(&who, vec![act])
    });
}

#[divan::bench]
fn read_the_rules_anew(bencher: Bencher<'_, '_>) {
    bencher.bench_local(Rules::shipped);
}

#[divan::bench]
fn take_the_rules_in_force(bencher: Bencher<'_, '_>) {
    let table = RulesTable::fixed(Rules::shipped());
    bencher.bench_local(|| black_box(&table).load());
}
