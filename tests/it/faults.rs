//! A route whose code of ours faults switches itself off, says so, and comes back. The sidecar runs
//! in this process, by a clock that panics when it is told to: our code asks it for the time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use leafrank::app::{Sidecar as Assembled, Until};
use leafrank::config::{Settings, SettingsText};
use leafrank::types::clock::{Clock, SystemClock, Timestamp};
use serde_json::json;
use tokio::sync::watch;

use crate::harness::client::operate;
use crate::harness::fixtures::leafloaf;
use crate::harness::personal::{metric_value, teach_at};
use crate::harness::shopper::{MILKS, eventually, milk_shop};
use crate::harness::sidecar::free_ports;
use crate::harness::{Answer, Reply, Shop, Wire, exchange, get, post};

const CALM: i64 = i64::MAX / 2;

/// The machine's clock; panics when it is asked for the time once more than it was told to bear.
struct Touchy {
    clock: SystemClock,
    bears: AtomicI64,
}

impl Clock for Touchy {
    fn now(&self) -> Timestamp {
        assert!(self.bears.fetch_sub(1, Ordering::SeqCst) > 0, "told to panic");
        self.clock.now()
    }

    fn monotonic_us(&self) -> u64 {
        self.clock.monotonic_us()
    }
}

/// A sidecar in this process.
struct Inside {
    data: SocketAddr,
    api: SocketAddr,
    admin: SocketAddr,
    ops: SocketAddr,
    clock: Arc<Touchy>,
    state: tempfile::TempDir,
}

impl Inside {
    async fn before(shop: &Shop, settings: &str) -> Self {
        log();
        let state = tempfile::tempdir().unwrap();
        let [data, api, admin, ops] = free_ports();
        let text = format!(
            "listen: {{data: [\"{data}\"], api: \"{api}\", admin: \"{admin}\", ops: \"{ops}\", threads: 2, \
             own_paths: {{prefix: /lr, paths: [/api/interactions/track]}}}}\n\
             upstream: {{addresses: [\"{}\"]}}\nmode: on\nholdout: 0\nrules: {{path: null}}\n\
             limits: {{rank_us: 1000000, hold_ms: 10000}}\n\
             shutdown: {{lame_duck_ms: 0, drain_ms: 1000}}\ndata_dir: {}\n{settings}\n",
            shop.address,
            state.path().display()
        );
        let text =
            SettingsText { file: None, text: &text, environment: &Default::default(), flags: &[] };
        let settings = Settings::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let clock = Arc::new(Touchy { clock: SystemClock::default(), bears: AtomicI64::new(CALM) });
        let sidecar = Assembled::assemble_with(settings, clock.clone()).unwrap();
        // It ends with the process: pingora keeps runtimes by thread number, and a server that starts
        // on a number whose runtime has ended would never listen.
        std::thread::spawn(move || {
            let (_stop, stopped) = watch::channel(false);
            sidecar.run(Until::Told(stopped));
        });
        let inside = Self { data, api, admin, ops, clock, state };
        eventually("it is ready", || async {
            let listens = [data, api, admin, ops]
                .iter()
                .all(|port| std::net::TcpStream::connect(port).is_ok());
            listens && get(ops, "/readyz").await.status == 200
        })
        .await;
        inside
    }

    /// Our code may ask for the time so often; then it panics until it is calm again.
    fn bears(&self, times: i64) {
        self.clock.bears.store(times, Ordering::SeqCst);
    }

    async fn search(&self) -> Reply {
        let headers = [("content-type", "application/json"), ("x-user-id", "ann")];
        exchange(self.data, "POST", "/api/v1/search", &headers, br#"{"query":"milk"}"#).await
    }

    async fn operate(&self, method: &str, path: &str) -> Reply {
        let token = std::fs::read_to_string(self.state.path().join("admin.token")).unwrap();
        operate(self.admin, token.trim(), (method, path)).await
    }

    async fn metric(&self, name: &str) -> f64 {
        metric_value(self.ops, name).await
    }
}

/// What the sidecars of this process wrote to their log.
fn log() -> String {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    struct Into(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Into {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = LOG.get_or_init(|| {
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let into = log.clone();
        let writer = move || Into(into.clone());
        tracing_subscriber::fmt().with_ansi(false).with_writer(writer).init();
        log
    });
    String::from_utf8_lossy(&log.lock().unwrap()).into_owned()
}

const TRIPPED: &str = "leafrank_route_tripped{route=\"leafloaf-search\"}";

#[tokio::test]
async fn a_ranking_that_panics_costs_no_answer_and_enough_of_them_switch_the_route_off() {
    let shop = milk_shop().await;
    let sidecar = Inside::before(&shop, "faults: {per_minute_max: 3, quiet_seconds: 0}").await;
    teach_at(sidecar.api, "ann", "M5").await;
    let ranked = sidecar.search().await;
    assert!(ranked.outcome().starts_with("reranked"), "{}", ranked.outcome());
    for fault in 1..=3 {
        // Once for her arrival; the second time is in the ranking.
        sidecar.bears(1);
        let reply = sidecar.search().await;
        assert_eq!((reply.status, reply.outcome()), (200, "bypass; reason=panic"), "{fault}");
        assert_eq!(reply.body, leafloaf(&MILKS), "{fault}");
    }
    for _ in 0..3 {
        let reply = sidecar.search().await;
        assert_eq!(reply.outcome(), "bypass; reason=tripped", "our code is not even asked");
        assert_eq!(reply.body, leafloaf(&MILKS));
    }
    assert_eq!(sidecar.metric(TRIPPED).await, 1.0);
    assert_eq!(sidecar.metric("leafrank_faults_total{route=\"leafloaf-search\"}").await, 3.0);
    sidecar.bears(CALM);
    assert_eq!(sidecar.search().await.outcome(), "bypass; reason=tripped", "nobody said so yet");
    let unknown = sidecar.operate("POST", "/routes/no-such/on").await;
    assert_eq!(unknown.status, 404);
    let on = sidecar.operate("POST", "/routes/leafloaf-search/on").await;
    assert_eq!(on.json(), json!({"route": "leafloaf-search", "was_tripped": true}));
    assert!(sidecar.search().await.outcome().starts_with("reranked"));
    assert_eq!(sidecar.metric(TRIPPED).await, 0.0);
    let log = log();
    // Other stories of this process write to the same log, about other routes.
    let tripped =
        |line: &&str| line.contains("too many faults") && line.contains("leafloaf-search");
    assert_eq!(log.lines().filter(tripped).count(), 1, "{log}");
    assert!(log.contains("an operator said so") && log.contains("leafloaf-search"), "{log}");
}

#[tokio::test]
async fn a_route_of_events_that_faults_still_forwards_and_comes_back_when_it_was_quiet() {
    let shop = milk_shop().await;
    let sidecar = Inside::before(
        &shop,
        "faults: {per_minute_max: 2, quiet_seconds: 2}\nroutes:\n  - {name: our-events, method: POST, \
         path: /our/events, event: {kind: purchase, product: [\"body:/sku\"]}}",
    )
    .await;
    let event = json!({"user_id": "bob", "sku": "M5"});
    let known = async || {
        let path = "/api/users/bob/preferences/live";
        get(sidecar.api, path).await.json()["categories"] != json!({})
    };
    sidecar.bears(0);
    for _ in 0..2 {
        assert_eq!(post(sidecar.data, "/our/events", &event).await.status, 200);
    }
    sidecar.bears(CALM);
    let tripped = "leafrank_route_tripped{route=\"our-events\"}";
    assert_eq!(sidecar.metric(tripped).await, 1.0);
    assert_eq!(post(sidecar.data, "/our/events", &event).await.status, 200);
    assert!(!known().await, "nothing is learned while it is off");
    eventually("it was quiet", || async {
        assert_eq!(post(sidecar.data, "/our/events", &event).await.status, 200);
        sidecar.metric("leafrank_interactions_total{kind=\"purchase\"}").await > 0.0
    })
    .await;
    assert_eq!(sidecar.metric(tripped).await, 0.0);
    let asked = shop.asked().iter().filter(|asked| asked.path() == "/our/events").count();
    assert!(asked >= 4, "each was forwarded");
}

#[tokio::test]
async fn a_panic_in_our_own_api_is_a_500_and_leaves_the_connection_to_the_shops_replies() {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"the shop")).await;
    let sidecar = Inside::before(&shop, "").await;
    let event = r#"{"type":"purchase","user_id":"ann","product_id":"M5"}"#;
    let track = format!(
        "POST /lr/api/interactions/track HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{event}",
        event.len()
    );
    let mut wire = Wire::to(sidecar.data).await;
    sidecar.bears(0);
    wire.send(&track).await;
    assert_eq!(wire.reply().await.status, 500);
    sidecar.bears(CALM);
    wire.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(wire.reply().await.text(), "the shop");
    wire.send(&track).await;
    assert_eq!(wire.reply().await.status, 202);
}
