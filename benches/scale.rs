//! What grows with the number of users and of rules: an event learned, a profile looked up, a list of
//! 20 hits ranked; the rules read anew; and what the snapshot of 100,000 visits costs.
//!
//! `cargo bench --bench scale -- 1000000 10000 100000` goes up to so many users, rules and visits, each
//! in steps of ten; without numbers to few. Prints a table that `benches/plot.py` draws:
//! `what  over  size  p50_ns  p99_ns`.

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leafrank::config::{Settings, SettingsText, UpstreamOrder};
use leafrank::observe::{Observer, kept};
use leafrank::preferences::learn::{Caps, apply};
use leafrank::preferences::population::Population;
use leafrank::rank::{Candidate, QueryView, RankRequest, rank};
use leafrank::reload::RulesTable;
use leafrank::rules::Rules;
use leafrank::rules::knowledge::{self, Knowledge};
use leafrank::signals::ShownList;
use leafrank::store::Store;
use leafrank::store::snapshot::Snapshots;
use leafrank::telemetry::metrics::Metrics;
use leafrank::types::budget::Budget;
use leafrank::types::clock::{Clock, SystemClock, Timestamp};
use leafrank::types::ids::{ProductKey, QueryId, SubjectKey};
use leafrank::types::product::{Axis, FacetKey, ProductFacts};
use leafrank::types::profile::Profile;
use leafrank::types::signal::{Signal, SignalKind};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CAPS: Caps = Caps { products: 1_024, facets: 512, prices: 64 };
const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// Products of a light shopper.
const PRODUCTS: usize = 16;
/// Products of the shop.
const SHOP: usize = 100_000;
const HITS: usize = 20;
const USERS_MIN: usize = 1_000;
const RULES_MIN: usize = 10;

fn main() {
    let mut asked = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let small = asked.next();
    let users_max = small.unwrap_or(10_000);
    let (rules_max, visits) = (asked.next().unwrap_or(1_000), asked.next().unwrap_or(1_000));
    let times = if small.is_some() { 20_000 } else { 500 };
    println!("what\tover\tsize\tp50_ns\tp99_ns");
    let rules = some_rules(RULES_MIN);
    for users in steps(USERS_MIN, users_max) {
        all(&rules, users, times).print("users", users);
    }
    for count in steps(RULES_MIN, rules_max) {
        let started = Instant::now();
        let rules = some_rules(count);
        let read = started.elapsed();
        all(&rules, USERS_MIN, times).print("rules", count);
        println!("compile\trules\t{count}\t{}\t{}", read.as_nanos(), read.as_nanos());
    }
    snapshot(visits);
}

fn steps(from: usize, to: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(from), |size| Some(size * 10)).take_while(move |size| *size <= to)
}

fn spread(n: usize) -> usize {
    (n as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) as usize
}

fn product(n: usize) -> ProductFacts {
    let facet = |axis, name: &str, n: usize| FacetKey::of(axis, &format!("{name} {n}"));
    let category = facet(Axis::Category, "category", n % 300);
    let mut facets = vec![
        facet(Axis::Category, "department", n % 20),
        category,
        facet(Axis::Brand, "brand", spread(n) % 3_000),
        facet(Axis::Attribute, "attribute", n % 39),
        facet(Axis::PriceTier, "tier", n % 3),
    ];
    facets.sort_by_key(|facet| (facet.axis(), *facet));
    let name = format!("Milk {n}");
    ProductFacts {
        key: ProductKey::of(&format!("p{n}")),
        terms: knowledge::words(&name).into(),
        name: name.into(),
        facets: facets.into(),
        sizes: Box::default(),
        category: Some(category),
        price: Some(4.0),
        sensitive: false,
    }
}

/// So many rules as a shop may write them: by product, by query, by brand and season, by taste, by
/// category and time of day.
fn some_rules(count: usize) -> Rules {
    let mut text = String::from("merchandising:\n");
    for n in 0..count {
        let (id, some) = (format!("r{n}"), spread(n));
        let rule = match n % 5 {
            0 => format!("select: {{product: [p{}]}}, then: {{boost: 0.3}}", some % SHOP),
            1 => format!(
                "if: {{query: [milk w{n}]}}, select: {{brand: [brand {}]}}, then: {{pin: 2}}",
                some % 3_000
            ),
            2 => format!(
                "if: {{until: '2020-01-01T00:00:00Z'}}, select: {{brand: [brand {}]}}, then: {{bury: 0.2}}",
                some % 3_000
            ),
            3 => format!(
                "if: {{shopper: {{brand: brand {}, affinity_min: 0.9}}}}, then: {{boost: 0.1}}",
                some % 3_000
            ),
            _ => format!(
                "if: {{time_of_day: [night]}}, select: {{product: [p{}]}}, then: {{demote: true}}",
                some % SHOP
            ),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {{id: {id}, {rule}}}");
    }
    Rules::compile("bench.yaml", &text, Knowledge::shipped()).expect("rules that compile")
}

fn settings() -> Settings {
    let text = SettingsText {
        file: None,
        text: "upstream: {addresses: [\"127.0.0.1:1\"]}\nstore: {profiles_bytes_max: 17179869184}",
        environment: &Default::default(),
        flags: &[],
    };
    Settings::parse(&text).expect("settings")
}

fn subject(n: usize) -> SubjectKey {
    SubjectKey(u128::from(spread(n) as u64) << 64 | u128::from(spread(!n) as u64))
}

fn teach(profile: &mut Profile, facts: &ProductFacts, rules: &Rules) {
    let kind = SignalKind::ClickProduct;
    let signal = Signal { kind, product: facts.key, at: NOW, times: 1.0, quantity: 1 };
    apply(profile, &signal, Some(facts), rules, CAPS);
}

/// Times of each kind of work.
struct Times {
    update: Vec<Duration>,
    look_up: Vec<Duration>,
    rank: Vec<Duration>,
}

impl Times {
    fn print(mut self, over: &str, size: usize) {
        for (what, times) in
            [("update", &mut self.update), ("look_up", &mut self.look_up), ("rank", &mut self.rank)]
        {
            times.sort();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_nanos();
            println!("{what}\t{over}\t{size}\t{}\t{}", at(0.5), at(0.99));
        }
    }
}

fn all(rules: &Rules, users: usize, times: usize) -> Times {
    let store = Store::new(&settings().store);
    let goods: Vec<_> = (0..256).map(|n| product(spread(n) % SHOP)).collect();
    for user in 0..users {
        store.shoppers.learn(subject(user), NOW, |profile| {
            for n in 0..PRODUCTS {
                teach(profile, &goods[(user + n * 7) % goods.len()], rules);
            }
        });
    }
    let population = Population::new(SHOP);
    let query = QueryView::of("milk", &rules.knowledge);
    let clock = SystemClock::default();
    let mut measured = Times { update: Vec::new(), look_up: Vec::new(), rank: Vec::new() };
    for n in 0..times {
        let who = subject(spread(n) % users);
        let started = Instant::now();
        store.shoppers.learn(who, NOW, |profile| teach(profile, &goods[n % goods.len()], rules));
        measured.update.push(started.elapsed());
        let started = Instant::now();
        let profile = store.shoppers.profile(who);
        measured.look_up.push(started.elapsed());
        let hits = (0..HITS).map(|place| &goods[(n * 3 + place * 5) % goods.len()]);
        let candidates: Vec<_> = hits.map(candidate).collect();
        let request = RankRequest {
            query: &query,
            candidates: &candidates,
            profile: profile.as_deref(),
            posterior: None,
            population: &population,
            rules,
            now: NOW,
            daypart: rules.daypart(NOW),
            upstream: UpstreamOrder::Ranked,
            score_better: None,
        };
        let started = Instant::now();
        assert!(black_box(rank(&request, &Budget::start(&clock, 1_000_000))).is_ok());
        measured.rank.push(started.elapsed());
    }
    measured
}

fn candidate(facts: &ProductFacts) -> Candidate<'_> {
    Candidate {
        facts,
        score: None,
        price: None,
        in_stock: None,
        sponsored: false,
        unremembered: false,
    }
}

/// Writes visits of four lists of 20 hits each, and reads them.
fn snapshot(visits: usize) {
    let open = || {
        let (settings, clock) = (settings(), Arc::new(SystemClock::default()));
        let store = Arc::new(Store::new(&settings.store));
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let rules = RulesTable::fixed(Rules::shipped());
        let observer = Observer::new(&settings, store.clone(), rules, metrics, clock);
        (store, Arc::new(observer))
    };
    let directory = tempfile::tempdir().expect("a directory");
    let snapshots = |(store, observer): &(Arc<Store>, Arc<Observer>)| {
        Snapshots::new(directory.path(), store.clone()).with(kept(observer))
    };
    let before = open();
    let now = SystemClock::default().now();
    for n in 0..visits {
        for list in 0..4 {
            let shown = (0..HITS).map(|place| ProductKey::of(&format!("{n} {list} {place}")));
            let list = ShownList::new(now, QueryId((n * 4 + list) as u64), false, shown);
            before.1.shown(Some(subject(n)), vec![list]);
        }
    }
    let started = Instant::now();
    let length = snapshots(&before).write().expect("a snapshot");
    let written = started.elapsed();
    let after = open();
    let started = Instant::now();
    snapshots(&after).restore();
    println!(
        "# {visits} visits: {length} B written in {written:?}, read in {:?}",
        started.elapsed()
    );
}
