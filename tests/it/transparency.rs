//! The check from outside, which knows nothing of this project, is client and shop at once and
//! compares every byte on both sides.

use std::process::Stdio;

use crate::harness::sidecar::free_ports;
use crate::harness::{Sidecar, fixtures};

const SESSION: &str = "fixtures/leafloaf/session.jsonl";

/// Runs the check on `session` with the sidecar in `mode`, and returns its last line.
async fn checked(session: &str, mode: &str, arguments: &[&str]) -> Option<String> {
    let script = fixtures::shared("check/transparency.py")?;
    let session = fixtures::shared(session)?;
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return None;
    }
    let [upstream] = free_ports();
    let settings = format!("mode: {mode}\nhealth: {{ready_needs_upstream: false}}");
    let sidecar = Sidecar::before(upstream).settings(&settings).start().await;
    let run = tokio::process::Command::new("python3")
        .arg(script)
        .arg(session)
        .args(["--upstream", &upstream.port().to_string()])
        .args(["--proxy", &sidecar.data.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), run)
        .await
        .expect("the check ends")
        .expect("the check runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{mode}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().unwrap_or("").to_owned();
    assert!(last.ends_with("violations 0"), "{mode}: {text}");
    Some(last)
}

#[tokio::test]
async fn leafloafs_session_passes_unchanged_when_off() {
    let Some(said) = checked(SESSION, "off", &[]).await else { return };
    assert_eq!(said, "equal 148, permuted 0, violations 0");
}

#[tokio::test]
async fn leafloafs_session_passes_unchanged_in_shadow() {
    let Some(said) = checked(SESSION, "shadow", &[]).await else { return };
    assert_eq!(said, "equal 148, permuted 0, violations 0");
}

#[tokio::test]
async fn leafloafs_session_is_at_most_permuted_when_on() {
    checked(SESSION, "on", &["--expect", "permuted", "--at-least", "10"]).await;
}
