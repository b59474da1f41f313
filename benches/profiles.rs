//! What profiles cost: bytes a shopper by the system's own count, look-ups while others learn, and the
//! snapshot, for light shoppers (16 products, 24 facets) and heavy households (1,024 and 512).
//!
//! `cargo bench --bench profiles -- 1000000 100000` fills the table with so many light and heavy ones
//! (2.5 GB), in steps from 1,000 on; without numbers with few. Each table in a process of its own, so
//! that what the system counts is this table's.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leafrank::config::{Settings, SettingsText};
use leafrank::preferences::learn::{Caps, apply};
use leafrank::rules::Rules;
use leafrank::store::Store;
use leafrank::store::snapshot::Snapshots;
use leafrank::types::clock::Timestamp;
use leafrank::types::ids::{ProductKey, SubjectKey};
use leafrank::types::product::{Axis, FacetKey, ProductFacts};
use leafrank::types::profile::Profile;
use leafrank::types::signal::{Signal, SignalKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CAPS: Caps = Caps { products: 1_024, facets: 512, prices: 64 };
/// First argument of a process that measures one table.
const TABLE: &str = "--table";
const START: i64 = 1_700_000_000;
/// Different profiles a kind: from nothing bought to nearly everything.
const TEMPLATES: usize = 16;

/// How many products, and different categories, brands, attributes and tiers among them.
struct Kind {
    name: &'static str,
    products: usize,
    departments: usize,
    categories: usize,
    brands: usize,
    attributes: usize,
    tiers: usize,
}

const LIGHT: Kind = Kind {
    name: "light",
    products: 16,
    departments: 2,
    categories: 8,
    brands: 7,
    attributes: 5,
    tiers: 2,
};
const HEAVY: Kind = Kind {
    name: "heavy",
    products: 1_024,
    departments: 20,
    categories: 150,
    brands: 300,
    attributes: 39,
    tiers: 3,
};

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, table, kind, size, lookups] = arguments.as_slice()
        && table == TABLE
    {
        let kind = if kind == LIGHT.name { &LIGHT } else { &HEAVY };
        return measure(kind, number(size), number(lookups));
    }
    let mut asked = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    for (kind, few) in [(&LIGHT, 1_000), (&HEAVY, 100)] {
        let (most, lookups) = asked.next().map_or((few, 1_000), |most| (most, 200_000));
        let steps = std::iter::successors(Some(1_000), |size| Some(size * 10));
        for size in steps.take_while(|size| *size < most).chain([most]) {
            let own = std::env::current_exe().expect("this program");
            let numbers = [size.to_string(), lookups.to_string()];
            let ended = Command::new(own).args([TABLE, kind.name]).args(numbers).status();
            assert!(ended.is_ok_and(|status| status.success()), "the table's process failed");
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn facts(kind: &Kind, n: usize) -> ProductFacts {
    let facet = |axis, name: &str, n: usize| FacetKey::of(axis, &format!("{name} {n}"));
    let category = facet(Axis::Category, "category", n % kind.categories);
    ProductFacts {
        sensitive: false,
        key: ProductKey::of(&n.to_string()),
        name: "x".into(),
        facets: [
            facet(Axis::Category, "department", n % kind.departments),
            category,
            facet(Axis::Brand, "brand", n % kind.brands),
            facet(Axis::Attribute, "attribute", n % kind.attributes),
            facet(Axis::PriceTier, "tier", n % kind.tiers),
        ]
        .into(),
        sizes: Box::default(),
        category: Some(category),
        price: Some(4.0),
        terms: Box::default(),
    }
}

fn template(kind: &Kind, rules: &Rules, number: usize) -> Profile {
    let mut profile = Profile::default();
    for n in 0..kind.products {
        let facts = facts(kind, n);
        let bought = n % TEMPLATES < number;
        for again in 0..1 + n % 3 {
            let kind = if bought { SignalKind::PurchaseRepeat } else { SignalKind::ClickProduct };
            let at = Timestamp::from_seconds(START + (n * 5_000 + again * 700_000) as i64);
            let quantity = 1 + (n % 4) as u8;
            let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity };
            apply(&mut profile, &signal, Some(&facts), rules, CAPS);
        }
    }
    profile
}

fn store() -> Store {
    let text = SettingsText {
        file: None,
        text: "upstream: {addresses: [\"127.0.0.1:1\"]}\nstore: {profiles_bytes_max: 17179869184}",
        environment: &Default::default(),
        flags: &[],
    };
    Store::new(&Settings::parse(&text).expect("settings").store)
}

/// Resident memory, as the system counts it.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("pages") * 4_096
}

fn subject(n: usize) -> SubjectKey {
    let spread = |n: u64| n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let high = u128::from(spread(n as u64)) << 64;
    SubjectKey(high | u128::from(spread(!(n as u64))))
}

fn measure(kind: &Kind, size: usize, lookups: usize) {
    let rules = Rules::shipped();
    let templates: Vec<_> = (0..TEMPLATES).map(|number| template(kind, &rules, number)).collect();
    let (products, facets) = (templates[0].products.len(), templates[0].facets.len());
    let store = Arc::new(store());
    let before = resident();
    for n in 0..size {
        let template = &templates[n % TEMPLATES];
        store.shoppers.learn(subject(n), Timestamp(0), |profile| profile.clone_from(template));
    }
    let (grown, counted) = (resident().saturating_sub(before), store.shoppers.bytes());
    println!(
        "{:>7} {} shoppers of {products} products and {facets} facets: {} B each resident, {} B counted",
        store.shoppers.profiles(),
        kind.name,
        grown / size,
        counted / size
    );
    latencies((kind, &rules), &store, size, lookups);
    snapshot(store);
}

/// Looks profiles up at random while another thread teaches others without a pause.
fn latencies((kind, rules): (&Kind, &Rules), store: &Store, size: usize, lookups: usize) {
    let over = AtomicBool::new(false);
    let facts: Vec<_> = (0..64).map(|n| facts(kind, n)).collect();
    let (mut looked, mut learned) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 7_usize;
            while !over.load(Ordering::Relaxed) {
                n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let facts = &facts[n % facts.len()];
                let at = Timestamp::from_seconds(START + 86_400 * 30);
                let kind = SignalKind::ClickProduct;
                let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity: 1 };
                let started = Instant::now();
                store.shoppers.learn(subject((n >> 20) % size), at, |profile| {
                    apply(profile, &signal, Some(facts), rules, CAPS)
                });
                learned.push(started.elapsed());
            }
        });
        let mut n = 11_usize;
        for _ in 0..lookups {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let started = Instant::now();
            let profile = store.shoppers.profile(subject((n >> 20) % size));
            looked.push(started.elapsed());
            assert!(profile.is_some_and(|profile| !profile.is_empty()));
        }
        over.store(true, Ordering::Relaxed);
    });
    println!("        look-up while learning {}", quantiles(&mut looked));
    println!("        learning one signal    {}", quantiles(&mut learned));
}

fn quantiles(of: &mut [Duration]) -> String {
    of.sort();
    let at = |share: f64| of[((of.len() - 1) as f64 * share) as usize];
    format!("p50 {:?} p99 {:?} p99.9 {:?} max {:?}", at(0.5), at(0.99), at(0.999), at(1.0))
}

fn snapshot(store: Arc<Store>) {
    let directory = tempfile::tempdir().expect("a directory");
    let started = Instant::now();
    let length = Snapshots::new(directory.path(), store.clone()).write().expect("a snapshot");
    let took = started.elapsed();
    drop(store);
    let again = Arc::new(self::store());
    let started = Instant::now();
    Snapshots::new(directory.path(), again.clone()).restore();
    println!(
        "        snapshot of {length} B written in {took:?}, {} restored in {:?}",
        again.shoppers.profiles(),
        started.elapsed()
    );
}
