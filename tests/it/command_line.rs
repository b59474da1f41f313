//! What an engineer types on the first day: in front of a shop without a file, and a check that
//! asks the shop.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::fixtures::leafloaf;
use crate::harness::personal::{MILKS, metric_value, teach_at};
use crate::harness::sidecar::free_ports;
use crate::harness::{Answer, Shop, exchange};

/// Ended with the story.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn serve_in_front_of_a_url_needs_no_file_and_starts_in_shadow_mode() {
    let shop = Shop::start(|_| Answer::json(&leafloaf(&MILKS))).await;
    let directory = tempfile::tempdir().unwrap();
    let [data, api, admin, ops] = free_ports();
    let set = |key: &str, address| format!("--set=listen.{key}={address}");
    let child = Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(["serve", "--upstream", &format!("http://{}", shop.address)])
        .args([set("data", data), set("api", api), set("admin", admin), set("ops", ops)])
        .args(["--set=limits.hold_ms=10000", "--set=limits.rank_us=1000000"])
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    for port in [data, api, ops] {
        while std::net::TcpStream::connect(port).is_err() {
            assert!(Instant::now() < deadline, "{port} does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    teach_at(api, "u1", "m5").await;
    let headers = [("content-type", "application/json"), ("x-user-id", "u1")];
    let search = br#"{"query":"milk"}"#;
    let reply = exchange(data, "POST", "/api/v1/search", &headers, search).await;
    assert_eq!(reply.outcome(), "bypass; reason=shadow");
    assert_eq!(reply.body, leafloaf(&MILKS), "the shop's bytes");
    let counted = || metric_value(ops, "leafrank_shadowed_total");
    while counted().await < 1.0 {
        assert!(Instant::now() < deadline, "what would have moved is counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn check_warns_of_a_path_that_the_shop_answers_too() {
    let shop = Shop::start(|asked| match asked.path() {
        "/api/preferences/live" => Answer::json(b"{}"),
        _ => Answer::reply("404 Not Found", &[], b""),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("leafrank.yaml");
    let paths = "[/api/preferences/live, /api/interactions/track]";
    std::fs::write(&file, format!("listen: {{own_paths: {{prefix: \"\", paths: {paths}}}}}\n"))
        .unwrap();
    let upstream = format!("http://{}", shop.address);
    let checked = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_leafrank"))
            .args(["check", "--upstream", &upstream, "--config"])
            .arg(&file)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "a warning is no fault: {said}");
    assert!(said.contains("the shop answers GET /api/preferences/live too (200)"), "{said}");
    assert!(!said.contains("/api/interactions/track"), "{said}");
}

#[test]
fn check_and_serve_refuse_bodies_that_cannot_fit_into_the_memory_and_show_the_sum() {
    // The replies of the last one would fit, were there no events.
    for (command, in_flight, sum) in
        [("check", 100, 254_017_536), ("serve", 100, 254_017_536), ("check", 46, 137_232_384)]
    {
        let run = Command::new(env!("CARGO_BIN_EXE_leafrank"))
            .args([command, "--upstream", "http://127.0.0.1:1"])
            .arg("--set=limits.memory_bytes_max=100000000")
            .arg(format!("--set=limits.in_flight_max={in_flight}"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(78), "{command}: {said}");
        let sum = format!(
            "in_flight_max {in_flight} × (peek_bytes_max 65536 + 2 × reply_bytes_max 1048576) + \
             track_held_bytes_max 33554432 + preview_bytes_max 4194304 = {sum}"
        );
        assert!(said.contains(&sum) && said.contains("100000000 bytes"), "{command}: {said}");
    }
}

#[test]
fn help_and_version_are_no_faults_and_a_wrong_word_is_one() {
    let code = |argument: &str| {
        let outcome = Command::new(env!("CARGO_BIN_EXE_leafrank")).arg(argument).output().unwrap();
        outcome.status.code()
    };
    assert_eq!((code("--help"), code("--version"), code("sevre")), (Some(0), Some(0), Some(64)));
}
