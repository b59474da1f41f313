//! A process that takes rows and sends them to files is killed again and again, and its disk is full
//! for a while: every row that it said to have is in the files, and none twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use leafrank::config;
use leafrank::sink::parquet::{self, Parquet, read};
use leafrank::sink::{self, Running};
use leafrank::spool::Spool;
use leafrank::telemetry::metrics::Metrics;
use leafrank::types::clock::{Clock, SystemClock, Timestamp};
use leafrank::types::event::column::{Cell, Micros};
use leafrank::types::event::{ACTIONS, Action, Body, EventId, Row};
use leafrank::types::ids::SubjectKey;

/// Where the child works; set in the child alone.
const DIRECTORY: &str = "LEAFRANK_STORY_SPOOL";
/// Which round it is.
const ROUND: &str = "LEAFRANK_STORY_ROUND";
const ROUNDS: usize = 100;
/// All rounds together.
const AT_MOST: Duration = Duration::from_secs(60);

fn settings() -> config::Spool {
    config::Spool {
        group: Duration::from_millis(1),
        bytes_max: 1 << 30,
        queue_bytes_max: 1 << 24,
        row_bytes_max: 131_072,
        batch: Duration::from_millis(5),
        batch_rows_max: 40,
        keep_days: 0,
        events_bytes_max: 0,
    }
}

fn row(name: &str, bytes: usize) -> Row {
    let action = Action {
        event_id: EventId::new(Timestamp(1_800_000_000_000), &[1; 10]),
        // Two days, so that a batch has two files.
        event_timestamp: Micros(1_800_000_000_000_000 + (name.len() as i64 % 2) * 86_400_000_000),
        event_type: "click".into(),
        user_id: "ann".into(),
        session_id: "x".repeat(bytes),
        product_id: Some(name.to_owned()),
        product_category: None,
        product_attributes: None,
        interaction_strength: None,
        interaction_context: None,
        search_query: None,
        search_results_shown: None,
        result_position: None,
        raw_event_data: None,
    };
    Row { subject: SubjectKey(1), body: Body::Action(Box::new(action)) }
}

/// A log with its sink at work.
struct Log {
    spool: Arc<Spool>,
    sink: Running,
}

impl Log {
    fn open(directory: &Path, settings: config::Spool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let metrics = Arc::new(Metrics::new().unwrap());
        let owned = Spool::own(directory).unwrap();
        let files = parquet::directory(directory);
        let sink = Parquet::open(files, settings.clone(), clock.clone()).unwrap();
        let known = (&[parquet::NAME][..], sink.last().unwrap());
        let spool = Spool::open(owned, settings, known, (metrics.clone(), clock.clone())).unwrap();
        sink.settle(&spool).unwrap();
        let spool = Arc::new(spool);
        let sink = sink::run(sink, spool.clone(), metrics, clock).unwrap();
        Self { spool, sink }
    }

    fn end(self) {
        self.spool.flush();
        self.sink.end();
        self.spool.end();
    }
}

/// How often each row is in the files.
fn in_files(directory: &Path) -> BTreeMap<String, usize> {
    let place = ACTIONS.place("product_id").unwrap();
    let mut found = BTreeMap::new();
    read::rows(&parquet::directory(directory), &ACTIONS, (None, None), |cells| {
        let Cell::Text(name) = &cells[place] else { panic!("{cells:?}") };
        *found.entry(name.clone()).or_default() += 1;
        true
    })
    .unwrap();
    found
}

/// The child: takes rows, says which it has, until it is killed.
#[test]
#[ignore = "it is what the story below kills"]
fn a_process_that_takes_rows_until_it_is_killed() {
    let (Ok(directory), Ok(round)) = (std::env::var(DIRECTORY), std::env::var(ROUND)) else {
        return;
    };
    let log = Log::open(Path::new(&directory), settings());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut out = std::io::stdout();
    for number in 0.. {
        let names = [0, 1, 2].map(|part| format!("{round}-{number}-{part}"));
        log.spool.offer(row(&format!("{round}-{number}-offered"), 0));
        let rows = names.iter().map(|name| row(name, number % 300)).collect();
        runtime.block_on(log.spool.accept(rows)).unwrap();
        for name in names {
            writeln!(out, "has {name}").unwrap();
        }
        out.flush().unwrap();
    }
}

fn child(directory: &Path, round: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "spool_kill::a_process_that_takes_rows_until_it_is_killed"])
        .args(["--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills a child a while after its first row; says which rows it said to have.
fn killed(directory: &Path, round: usize) -> Vec<String> {
    let mut child = child(directory, round);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let has = |line: &str| line.split_once("has ").map(|(_, name)| name.trim().to_owned());
    let mut said: Vec<String> = Vec::new();
    let wanted = 1 + (round * 37) % 120;
    for line in lines.by_ref().map_while(Result::ok) {
        said.extend(has(&line));
        if said.len() >= wanted {
            break;
        }
    }
    assert!(said.len() >= wanted, "round {round}: the child ended by itself");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said before it died counts too; its last line may be cut.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    said.extend(rest.iter().filter(|line| line.matches('-').count() == 2).filter_map(|l| has(l)));
    said
}

#[test]
fn kill_9_a_hundred_times_loses_no_row_that_was_acknowledged_and_doubles_none() {
    let directory = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (mut owed, mut rounds) = (BTreeSet::new(), 0);
    while rounds < ROUNDS && started.elapsed() < AT_MOST {
        owed.extend(killed(directory.path(), rounds));
        rounds += 1;
    }
    // What is left of the log is sent by one that ends in order.
    Log::open(directory.path(), settings()).end();
    let found = in_files(directory.path());
    let lost: Vec<_> = owed.iter().filter(|name| !found.contains_key(*name)).collect();
    assert!(
        lost.is_empty(),
        "of {} acknowledged rows {} are lost: {lost:?}",
        owed.len(),
        lost.len()
    );
    let doubled: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    println!("{rounds} rounds, {} acknowledged, {} in the files", owed.len(), found.len());
    assert!(rounds >= 5, "only {rounds} rounds in {AT_MOST:?}");
}

/// A small disk of its own, where one can be had.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn of(mebibytes: usize) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "leafrank-story"]).arg(directory.path());
        match run(&mut mount) {
            Ok(()) => Some(Self(directory)),
            Err(reason) => {
                let _ = writeln!(std::io::stderr(), "skipped: no small disk: {reason}");
                None
            }
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).status());
    }
}

#[test]
fn a_full_disk_refuses_new_rows_keeps_all_that_it_took_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::of(24) else { return };
    let (directory, ballast) = (disk.0.path().join("state"), disk.0.path().join("ballast"));
    std::fs::write(&ballast, vec![1; 12 << 20]).unwrap();
    let never =
        config::Spool { batch: Duration::from_secs(3_600), batch_rows_max: 1 << 30, ..settings() };
    let log = Log::open(&directory, never);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let accept = |name: &str| runtime.block_on(log.spool.accept(vec![row(name, 60_000)]));
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut taken = Vec::new();
    let refused = loop {
        assert!(Instant::now() < deadline, "the disk never fills up");
        let name = format!("before-{}", taken.len());
        match accept(&name) {
            Ok(()) => taken.push(name),
            Err(refused) => break refused.to_string(),
        }
    };
    assert!(taken.len() > 10, "{} rows, then {refused}", taken.len());
    assert!(log.spool.ready().is_err(), "further events are refused before anything is learned");
    std::fs::remove_file(&ballast).unwrap();
    while log.spool.ready().is_err() {
        assert!(Instant::now() < deadline, "it goes on: {refused}");
        std::thread::sleep(Duration::from_millis(10));
    }
    accept("after").unwrap();
    taken.push("after".to_owned());
    log.end();
    let found = in_files(&directory);
    for name in &taken {
        assert_eq!(found.get(name), Some(&1), "{name}");
    }
}
