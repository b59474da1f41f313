//! The checks from outside on all recordings of a Weaviate: nothing is touched when off, in shadow,
//! or for a shopper of whom nothing is known; and where the shopper of each request bought the last
//! hit of its lists, those that the golden file names are permutations.
//!
//! The checks number the requests; the sidecar is told to take that number for the shopper, so that
//! recordings whose clients named nobody have shoppers too.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::sidecar::free_ports;
use crate::harness::weaviate::{clients, recorded};
use crate::harness::{Sidecar, fixtures, golden, personal};
use crate::weaviate_ranked::keys;

/// No check takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

const SETTINGS: &str = "presets: [weaviate]\nholdout: 0\n\
                        identity: {user: ['header:X-Replay-Index'], session: [], trust_claimed_ids: true}\n\
                        health: {ready_needs_upstream: false}";

/// One of the checks.
struct Check {
    script: &'static str,
    python: PathBuf,
    /// The key that rows of its kind have.
    kind: &'static str,
    /// How many rows of its kind the recordings hold.
    rows: usize,
}

impl Check {
    fn http() -> Self {
        let (script, python) = ("check/transparency.py", "python3".into());
        Self { script, python, kind: "http", rows: 121 }
    }

    async fn grpc() -> Option<Self> {
        let (script, python) = ("check/transparency_grpc.py", clients::python("4.23.0").await?);
        Some(Self { script, python, kind: "rpc", rows: 118 })
    }

    /// How many rows the golden file says are re-ranked, and how many may be: those on which the
    /// shopper's taste decides, not what was asked or answered.
    fn golden(&self) -> (usize, usize) {
        let of_taste = ["no_evidence", "off_topic", "unmoved"];
        let (mut are, mut may_be) = (0, 0);
        for line in golden::read("weaviate.txt").lines() {
            let (row, outcome) = line.split_once(" | ").expect("a row and its outcome");
            let asked = row.split_once(": ").expect("what was asked").1;
            if asked.starts_with('/') != (self.kind == "rpc") {
                continue;
            }
            let reason = outcome.rsplit_once("reason=").map_or("", |(_, reason)| reason);
            let is = outcome.starts_with("reranked");
            are += usize::from(is);
            may_be += usize::from(is || of_taste.contains(&reason));
        }
        (are, may_be)
    }
}

/// All recordings as one, and a sidecar before what replays them.
struct Stand {
    check: Check,
    rows: Vec<Value>,
    script: PathBuf,
    upstream: SocketAddr,
    sidecar: Sidecar,
}

impl Stand {
    async fn of(check: Check, mode: &str) -> Option<Self> {
        let script = fixtures::shared(check.script)?;
        let mut rows = Vec::new();
        for name in recorded::SESSIONS {
            let session = recorded::session(name)?;
            rows.extend(session.into_iter().filter(|row| row[check.kind].is_string()));
        }
        assert_eq!(rows.len(), check.rows);
        let [upstream] = free_ports();
        let settings = format!("{SETTINGS}\nmode: \"{mode}\"");
        let sidecar = Sidecar::before(upstream).settings(&settings).start().await;
        Some(Self { check, rows, script, upstream, sidecar })
    }

    /// The shopper of each request buys the last hit of each of its lists.
    async fn teach(&self) {
        for (number, row) in self.rows.iter().enumerate() {
            for key in keys(row) {
                personal::teach(&self.sidecar, &number.to_string(), &key).await;
            }
        }
    }

    /// Runs the check; answers how many replies came out permuted, where all others were equal.
    async fn permuted(&self, at_least: usize) -> usize {
        let mut lines = String::new();
        self.rows.iter().for_each(|row| writeln!(lines, "{row}").unwrap());
        let session = self.sidecar.directory.path().join("session.jsonl");
        std::fs::write(&session, lines).unwrap();
        let mut check = Command::new(&self.check.python);
        check.arg(&self.script).arg(session);
        check.args(["--upstream", &self.upstream.port().to_string()]);
        check.args(["--proxy", &self.sidecar.data.to_string()]);
        if at_least > 0 {
            check.args(["--expect", "permuted", "--at-least", &at_least.to_string()]);
        }
        let output = clients::run(&mut check, PATIENCE).await.unwrap_or_else(|why| panic!("{why}"));
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        let is_all = |n: &usize| {
            last == format!("equal {}, permuted {n}, violations 0", self.rows.len() - n)
        };
        (0..=self.rows.len()).find(is_all).unwrap_or_else(|| panic!("{text}"))
    }
}

async fn nothing_is_touched_in(check: Check, mode: &str) {
    let Some(stand) = Stand::of(check, mode).await else { return };
    stand.teach().await;
    assert_eq!(stand.permuted(0).await, 0);
}

/// Nothing is touched before something is bought; then what the golden file names, and at most what
/// may be.
async fn what_was_bought_moves(check: Check) {
    let (are, may_be) = check.golden();
    let Some(stand) = Stand::of(check, "on").await else { return };
    assert_eq!(stand.permuted(0).await, 0, "nobody is known");
    stand.teach().await;
    let permuted = stand.permuted(are).await;
    println!("{permuted} are permuted, {are} in the golden file, of {may_be} that may be");
    assert!((are..=may_be).contains(&permuted), "{permuted} of {are} to {may_be}");
}

#[tokio::test]
async fn the_check_finds_pages_unchanged_when_off() {
    nothing_is_touched_in(Check::http(), "off").await;
}

#[tokio::test]
async fn the_check_finds_pages_unchanged_in_shadow() {
    nothing_is_touched_in(Check::http(), "shadow").await;
}

#[tokio::test]
async fn the_check_finds_pages_permuted_where_something_was_bought_and_only_there() {
    what_was_bought_moves(Check::http()).await;
}

#[tokio::test]
async fn the_check_finds_calls_unchanged_when_off() {
    let Some(check) = Check::grpc().await else { return };
    nothing_is_touched_in(check, "off").await;
}

#[tokio::test]
async fn the_check_finds_calls_unchanged_in_shadow() {
    let Some(check) = Check::grpc().await else { return };
    nothing_is_touched_in(check, "shadow").await;
}

#[tokio::test]
async fn the_check_finds_calls_permuted_where_something_was_bought_and_only_there() {
    let Some(check) = Check::grpc().await else { return };
    what_was_bought_moves(check).await;
}
