//! Many shoppers come, search, click, buy and leave; rules are edited, snapshots written, visits
//! forgotten. What the process holds stays the same, and no request fails.
//!
//! Twice: simulated days by a clock whose hands are turned, in a minute; and for as long as
//! `SOAK_SECONDS` says against the real process (`make soak`). The caps are small, so that all of them
//! bind before the first look.

mod visits;
mod watched;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leafrank::app::{Sidecar as Assembled, Until};
use leafrank::config::{Settings, SettingsText};
use leafrank::types::clock::{ManualClock, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::harness::shopper::eventually;
use crate::harness::sidecar::free_ports;
use crate::harness::{Sidecar, get};
use visits::{Place, strangers, visits};
use watched::{Caps, Watched};

/// As the real program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CAPS: Caps =
    Caps { profile_bytes: 16_777_216.0, products: 150.0, visits: 400, doubles: 2_048 };
const SETTINGS: &str = "mode: on\npresets: [leafloaf, demo]\nholdout: 0\n\
    store: {profiles_bytes_max: 16777216, products_max: 150, recent_max: 400, doubles_max: 2048, \
    hits_bytes_max: 262144, orders_max: 50, snapshot_seconds: 1}\n\
    limits: {rank_us: 1000000, hold_ms: 10000}";

/// Shoppers who fill the table of profiles.
const STRANGERS: usize = 170_000;
/// Simulated days before the first look, and after it.
const DAYS: [usize; 2] = [4, 10];
const VISITS_A_DAY: usize = 120;
/// A day of visits is cut into so many steps of the clock.
const STEPS: usize = 12;
/// On a busy machine fewer days have to do, but for [`DAYS_MIN`] after the first look.
const LASTS: Duration = Duration::from_secs(50);
const DAYS_MIN: usize = 3;

async fn demo_shop() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let catalog = leafrank::demo::Catalog::ours();
    tokio::spawn(leafrank::demo::serve(catalog, listener, std::future::pending()));
    address
}

/// Saves rules that differ with `number`; every fourth save is one that cannot be used.
fn edit(rules: &Path, number: usize) {
    let shipped = include_str!("../../config/personalization_rules.yaml");
    let impact = match number % 4 {
        3 => "impact: a lot".to_owned(),
        _ => format!("impact: {}", 100 - number % 10),
    };
    let text = shipped.replacen("impact: 100", &impact, 1);
    assert_ne!(text, shipped.replacen("impact: 100", "", 1));
    let new = rules.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, rules).unwrap();
}

#[test]
fn simulated_days_of_many_shoppers_leave_memory_flat_and_no_request_fails() {
    // In a process of its own: what the system counts there is not that of other stories.
    let own = std::env::current_exe().unwrap();
    let story = "soak::in_a_process_of_its_own_simulated_days_leave_memory_flat";
    let soak = Command::new(own)
        .args(["--exact", story, "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&soak.stdout),
        String::from_utf8_lossy(&soak.stderr)
    );
    assert!(soak.status.success() && said.contains("1 passed"), "{said}");
    said.lines().filter(|line| line.starts_with("soak:")).for_each(|line| println!("{line}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the story above runs it, in a process of its own"]
async fn in_a_process_of_its_own_simulated_days_leave_memory_flat() {
    let started = Instant::now();
    let (shop, directory) = (demo_shop().await, tempfile::tempdir().unwrap());
    let rules = directory.path().join("rules.yaml");
    edit(&rules, 0);
    let [data, api, admin, ops] = free_ports();
    let text = format!(
        "listen: {{data: [\"{data}\"], api: \"{api}\", admin: \"{admin}\", ops: \"{ops}\", threads: 2}}\n\
         upstream: {{addresses: [\"{shop}\"]}}\nrules: {{path: {}}}\ndata_dir: {}\n{SETTINGS}\n",
        rules.display(),
        directory.path().display()
    );
    let text =
        SettingsText { file: None, text: &text, environment: &Default::default(), flags: &[] };
    let settings = Settings::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
    let sidecar = Assembled::assemble_with(settings, clock.clone()).unwrap();
    std::thread::spawn(move || {
        let (_stop, stopped) = watch::channel(false);
        sidecar.run(Until::Told(stopped));
    });
    let place = Place { data, api, admin, ops };
    eventually("it is ready", || async {
        let ports = [data, api, admin, ops];
        let listens = ports.iter().all(|port| std::net::TcpStream::connect(port).is_ok());
        listens && get(ops, "/readyz").await.status == 200
    })
    .await;
    let state = directory.path().to_owned();
    let watched = Watched { pid: std::process::id(), place, state };
    strangers(place, 0, STRANGERS).await;
    println!("soak: {STRANGERS} strangers after {:?}", started.elapsed());
    let (mut day, mut requests) = (0, 0);
    let mut first = None;
    for days in DAYS {
        for number in 0..days {
            if number >= DAYS_MIN && started.elapsed() > LASTS {
                break;
            }
            edit(&rules, day);
            for step in 0..STEPS {
                let count = VISITS_A_DAY / STEPS;
                requests += visits(place, day * VISITS_A_DAY + step * count, count).await;
                clock.advance(Duration::from_secs(86_400 / STEPS as u64));
            }
            strangers(place, STRANGERS + day * 500, 500).await;
            day += 1;
        }
        let sample = settled(&watched).await;
        println!("soak: day {day}, {requests} requests: {}", sample.line());
        match &first {
            None => first = Some(sample),
            Some(first) => sample.is_no_more_than(first, CAPS),
        }
    }
    assert!(watched.rules().await.contains("rejected"));
}

/// A look when nobody asks anything and all that happened is in a snapshot.
async fn settled(watched: &Watched) -> watched::Sample {
    let ops = watched.place.ops;
    let written = "leafrank_snapshots_total{outcome=\"written\"}";
    let value = async |name: &str| crate::harness::personal::metric_value(ops, name).await;
    let before = value(written).await;
    let mut number = 0;
    eventually("two snapshots are written", || {
        number += 1;
        async move {
            strangers(watched.place, 10_000_000 + number, 1).await;
            value(written).await >= before + 2.0
        }
    })
    .await;
    eventually("connections are closed", || async { value("leafrank_connections").await <= 4.0 })
        .await;
    watched.look().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "an hour, or SOAK_SECONDS: `make soak`"]
async fn an_hour_over_loopback_leaves_memory_flat() {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let lasts = Duration::from_secs(seconds.unwrap_or(3_600));
    let minute = Duration::from_secs(60).min(lasts / 6);
    let shop = demo_shop().await;
    let sidecar = Sidecar::before(shop).settings(SETTINGS).start().await;
    let Sidecar { data, api, admin, ops, .. } = sidecar;
    let place = Place { data, api, admin, ops };
    let state = sidecar.directory.path().join("state");
    let watched = Watched { pid: sidecar.pid(), place, state };
    let started = Instant::now();
    strangers(place, 0, STRANGERS).await;
    let (mut number, mut edits, mut requests, mut first) = (0, 0, 0, None);
    while started.elapsed() < lasts {
        let until = Instant::now() + minute;
        while Instant::now() < until {
            requests += visits(place, number, 40).await;
            strangers(place, STRANGERS + number, 40).await;
            number += 40;
        }
        edit(&sidecar.rules_path(), edits);
        edits += 1;
        let sample = settled(&watched).await;
        println!(
            "soak: {:>5} s, {requests} requests: {}",
            started.elapsed().as_secs(),
            sample.line()
        );
        // The first third warms up.
        if started.elapsed() < lasts / 3 {
            continue;
        }
        match &first {
            None => first = Some(sample),
            Some(first) => sample.is_no_more_than(first, CAPS),
        }
    }
    assert!(first.is_some(), "SOAK_SECONDS is too short for a second look");
}
