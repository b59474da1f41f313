//! A real browser, where there is one.

use std::process::Stdio;
use std::time::Duration;

/// What the page's document is after it has run, in Chromium; `None` where there is none.
pub async fn seen_in_chromium(url: &str) -> Option<String> {
    let home = tempfile::tempdir().unwrap();
    let run = tokio::process::Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=8000", "--dump-dom"])
        // Nothing but this machine: styling comes from elsewhere and is not looked at.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(Duration::from_secs(90), run).await.expect("the browser ends") {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            eprintln!("skipped: no chromium: {error}");
            None
        }
    }
}
