//! Reports of events, in process and on one thread: the write path alone, and our API with its JSON.
//!
//! Settings, rules and knowledge are the shipped ones with LeafLoaf's routes; 100 products are known.
//! Batches have 100 events of 100 shoppers, of ten, or of one; each batch comes 2 s after the one
//! before, so that nothing is a double. Divan prints events a second.
//! `cargo bench --bench ingest`

#![expect(clippy::expect_used, reason = "a bench that cannot go on stops")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use divan::Bencher;
use divan::counter::ItemsCount;
use leafrank::api::{self, Api};
use leafrank::border::Border;
use leafrank::config::{Settings, SettingsText};
use leafrank::identity::Identity;
use leafrank::observe::{Observer, Outcome, Report};
use leafrank::personalize::{Asked, Personalizer};
use leafrank::reload::RulesTable;
use leafrank::rules::Rules;
use leafrank::store::Store;
use leafrank::telemetry::limits::LimitHits;
use leafrank::telemetry::metrics::Metrics;
use leafrank::types::clock::{Clock, ManualClock, Timestamp};
use leafrank::types::ids::{ProductId, UserId};
use leafrank::types::interaction::{Interaction, InteractionKind};
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events of one batch.
const BATCH: usize = 100;
/// Shoppers of whom they tell.
const SHOPPERS: [usize; 3] = [1, 10, 100];
const PRODUCTS: usize = 100;
const START_MS: i64 = 1_795_400_000_000;
const KINDS: [&str; 4] = ["click", "view", "add_to_cart", "purchase"];

fn main() {
    divan::main();
}

/// The write path, and our API over it.
struct Paths {
    observer: Arc<Observer>,
    router: Router,
    clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl Paths {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path().display().to_string();
        let flags = [("mode".to_owned(), "on".to_owned()), ("data_dir".to_owned(), data_dir)];
        let settings = SettingsText {
            file: None,
            text: "presets: [leafloaf]",
            environment: &BTreeMap::new(),
            flags: &flags,
        };
        let settings = Arc::new(Settings::parse(&settings).expect("the shipped settings"));
        let clock = Arc::new(ManualClock::at(Timestamp(START_MS)));
        let store = Arc::new(Store::new(&settings.store));
        let rules = RulesTable::fixed(Rules::shipped());
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let time: Arc<dyn Clock> = clock.clone();
        let observer =
            Observer::new(&settings, store.clone(), rules.clone(), metrics.clone(), time.clone());
        let observer = Arc::new(observer);
        let personalizer =
            Personalizer::new(settings.clone(), store, rules, metrics.clone(), time.clone());
        describe(&personalizer);
        let border = Border::new(settings.clone(), metrics.clone(), time.clone());
        let router = api::router(Api {
            border: Arc::new(border.expect("no secrets")),
            observer: observer.clone(),
            personalizer: Arc::new(personalizer),
            limits: settings.limits.track,
            limit_hits: Arc::new(LimitHits::new(&metrics, time.clone())),
            metrics,
            log: None,
            shop: None,
            clock: time,
        });
        Self { observer, router, clock, _directory: directory }
    }

    /// The next batch's time.
    fn later(&self) -> i64 {
        self.clock.advance(Duration::from_secs(2));
        self.clock.now().0
    }
}

/// Lets a list with all products go by.
fn describe(personalizer: &Personalizer) {
    let hit = |n: usize| {
        format!(
            r#"{{"sku":"SKU-{n:05}","product_name":"Oat Milk {n}","price":{}.49,"supplier":"Farm {}",
                "category":"Dairy/Milk","dietary_info":["organic"],"in_stock":true}}"#,
            2 + n % 9,
            n % 7,
        )
    };
    let hits: Vec<String> = (0..PRODUCTS).map(hit).collect();
    let body = format!(r#"{{"success":true,"products":[{}],"order":null}}"#, hits.join(","));
    let user = UserId::parse("somebody").expect("an id");
    let search = personalizer.search_of(user, "milk", Asked::default()).expect("a search route");
    drop(personalizer.rerank(&search, body.as_bytes()));
}

fn reports(shoppers: usize, at: i64) -> Vec<Report> {
    let one = |n: usize| {
        let user = UserId::parse(&format!("user-{}", n % shoppers)).expect("an id");
        let kind = InteractionKind::parse(KINDS[n % KINDS.len()]).expect("a kind");
        let product = ProductId::parse(&format!("SKU-{:05}", n % PRODUCTS)).expect("an id");
        let at = Timestamp(at);
        Report {
            identity: Identity { user: Some(user), ..Identity::default() },
            interactions: vec![Interaction { kind, product, at, quantity: 1.0, event_id: None }],
        }
    };
    (0..BATCH).map(one).collect()
}

fn body(shoppers: usize, at: i64) -> String {
    let one = |n: usize| {
        format!(
            r#"{{"type":"{}","user_id":"user-{}","product_id":"SKU-{:05}","timestamp":{at},
                "context":{{"search_query":"milk","position":{}}}}}"#,
            KINDS[n % KINDS.len()],
            n % shoppers,
            n % PRODUCTS,
            n % 20,
        )
    };
    format!("[{}]", (0..BATCH).map(one).collect::<Vec<_>>().join(","))
}

#[divan::bench(args = SHOPPERS)]
fn learn_100_events(bencher: Bencher<'_, '_>, shoppers: usize) {
    let paths = Paths::new();
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| reports(shoppers, paths.later()))
        .bench_local_values(|reports| {
            let learned: usize = paths.observer.reports(reports).iter().map(Outcome::learned).sum();
            assert_eq!(learned, BATCH);
        });
}

#[divan::bench(args = SHOPPERS)]
fn post_100_events(bencher: Bencher<'_, '_>, shoppers: usize) {
    let paths = Paths::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| body(shoppers, paths.later()))
        .bench_local_values(|body| {
            let request = Request::post("/api/interactions/track").body(Body::from(body));
            let mut router = paths.router.clone();
            let reply = runtime.block_on(router.call(request.expect("a request")));
            assert_eq!(reply.expect("an answer").status(), StatusCode::ACCEPTED);
        });
}
