//! Events and decisions on the disk: accepted is kept, files are readable, a shopper's no is a no.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::sidecar::Builder;
use crate::harness::weaviate::clients;
use crate::harness::{Shop, Shopper, Sidecar, client, exchange, post};

const TRACK: &str = "/api/interactions/track";

fn logging(shop: &Shop, state: &Path, batch_seconds: u32) -> Builder {
    let settings = format!(
        "mode: on\ndata_dir: {}\nspool: {{batch_seconds: {batch_seconds}}}",
        state.display()
    );
    Sidecar::before(shop.address).settings(&settings)
}

async fn end(mut sidecar: Sidecar) {
    sidecar.terminate();
    assert_eq!(sidecar.ended(Duration::from_secs(30)).await, Some(0));
}

/// What `leafrank` says to these arguments.
async fn leafrank(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut run = tokio::process::Command::new(env!("CARGO_BIN_EXE_leafrank"));
    let output = run.args(arguments).stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Rows in the files of events.
async fn rows(state: &Path, more: &[&str]) -> Vec<Value> {
    let state = state.to_str().unwrap();
    let arguments = [&["events", "query", "--data-dir", state, "--json"], more].concat();
    let (code, out, problems) = leafrank(&arguments).await;
    assert_eq!(code, Some(0), "{problems}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The operators' token that a sidecar made in its data directory.
fn token(state: &Path) -> String {
    std::fs::read_to_string(state.join("admin.token")).unwrap().trim().to_owned()
}

/// Everything below a directory, as one text.
fn bytes_below(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        all.extend(if path.is_dir() { bytes_below(&path) } else { std::fs::read(path).unwrap() });
    }
    all
}

fn holds(directory: &Path, text: &str) -> bool {
    memchr_in(&bytes_below(directory), text.as_bytes())
}

fn memchr_in(all: &[u8], wanted: &[u8]) -> bool {
    all.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test]
async fn what_a_shopper_saw_and_did_is_in_the_files_with_the_decision_between_them() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = logging(&shop, state.path(), 3_600).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let event = json!({"type": "add_to_cart", "user_id": "ann", "product_id": "M5", "quantity": 2,
                       "event_id": "e-1", "note": "as sent"});
    assert_eq!(post(sidecar.api, TRACK, &event).await.status, 202);
    let second = ann.search("milk").await;
    assert_eq!(second.skus()[0], "M5");
    let rules = second.header("x-leafrank").unwrap().to_owned();
    end(sidecar).await;

    let actions = rows(state.path(), &["--user", "ann"]).await;
    let kinds: Vec<_> = actions.iter().map(|row| row["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["search", "click", "add_to_cart", "search"], "{actions:#?}");
    let [first, click, cart, last] = &actions[..] else { panic!("{actions:#?}") };
    assert_eq!(first["search_query"], "milk");
    assert_eq!(first["search_results_shown"], json!(shelf()));
    assert_eq!(first["interaction_context"]["outcome"], "no_evidence");
    assert_eq!((&click["product_id"], &click["result_position"]), (&json!("M5"), &json!(4)));
    let list = &click["interaction_context"]["query_id"];
    assert_eq!(list, &first["interaction_context"]["query_id"], "the list it came from");
    assert_eq!(click["interaction_context"]["source"], "traffic");
    assert!(click["raw_event_data"].is_null());
    assert_eq!(cart["raw_event_data"], event, "word for word");
    assert_eq!(cart["interaction_context"]["client_event_id"], "e-1");
    assert!(cart["interaction_strength"].as_f64().unwrap() > 0.0);
    assert_eq!(last["search_results_shown"], json!(second.skus()), "as it went out");

    let decisions = rows(state.path(), &["--decisions"]).await;
    let [decision] = &decisions[..] else { panic!("{decisions:#?}") };
    assert_eq!(decision["query_id"], last["interaction_context"]["query_id"]);
    assert_eq!((&decision["outcome"], &decision["mode"]), (&json!("reranked"), &json!("on")));
    assert!(rules.contains(decision["rules_version"].as_str().unwrap()), "{rules}");
    let candidates = decision["candidates"].as_array().unwrap();
    let ids: Vec<_> = candidates.iter().map(|hit| hit["product_id"].as_str().unwrap()).collect();
    assert_eq!(ids, shelf(), "in the shop's order");
    let mut placed: Vec<_> = candidates.iter().collect();
    placed.sort_by_key(|hit| hit["final"].as_u64());
    let placed: Vec<_> = placed.iter().map(|hit| hit["product_id"].as_str().unwrap()).collect();
    assert_eq!(placed, second.skus());
    for hit in candidates {
        let parts = hit["parts"].as_object().unwrap().values().filter_map(Value::as_f64);
        let sum: f64 = parts.sum();
        assert!((sum - hit["score"].as_f64().unwrap()).abs() < 1e-4, "{hit}");
    }
    let mut ids: Vec<_> = actions.iter().chain(&decisions).map(|row| &row["event_id"]).collect();
    ids.sort_by_key(|id| id.as_str());
    ids.dedup();
    assert_eq!(ids.len(), 5, "each row has an id of its own");
}

#[tokio::test]
async fn an_event_that_was_answered_outlives_kill_9_and_is_in_the_files_once() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let mut expected = Vec::new();
    for round in 0..3 {
        let sidecar = logging(&shop, state.path(), 1).start().await;
        for number in 0..20 {
            let id = format!("e-{round}-{number}");
            let event = json!({"type": "click", "user_id": "ann", "product_id": "M5",
                               "event_id": id});
            assert_eq!(post(sidecar.api, TRACK, &event).await.status, 202);
            expected.push(id);
        }
        // Killed, not asked to end.
        drop(sidecar);
    }
    end(logging(&shop, state.path(), 1).start().await).await;
    let all = rows(state.path(), &["--kind", "click"]).await;
    let id =
        |row: &Value| row["interaction_context"]["client_event_id"].as_str().map(str::to_owned);
    let mut found: Vec<_> = all.iter().filter_map(id).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn nothing_is_written_of_whoever_said_no_or_of_what_is_nobodys_business() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = logging(&shop, state.path(), 1).start().await;
    let bearer = format!("Bearer {}", token(state.path()));
    let consent = "/api/users/opted-out-olga/consent";
    let no = br#"{"personalization":false}"#;
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    assert_eq!(exchange(sidecar.api, "PUT", consent, &headers, no).await.status, 200);
    for name in ["opted-out-olga", "gpc-greta"] {
        let shopper = Shopper::of(&sidecar, name);
        let gpc = [("sec-gpc", "1"), ("content-type", "application/json")];
        shopper.search_with("milk", &gpc[..1]).await;
        let event = json!({"type": "click", "user_id": name, "product_id": "M5"}).to_string();
        let reply = exchange(sidecar.api, "POST", TRACK, &gpc, event.as_bytes()).await;
        assert_eq!(reply.status, 202);
    }
    let plain = Shopper::of(&sidecar, "plain-paula");
    plain.search("condoms").await;
    plain.search("milk").await;
    end(sidecar).await;
    let all = rows(state.path(), &[]).await;
    let users: Vec<_> = all.iter().map(|row| row["user_id"].as_str().unwrap()).collect();
    assert_eq!(users, ["plain-paula"], "{all:#?}");
    assert_eq!(all[0]["search_query"], "milk", "and not the other one");
    for name in ["opted-out-olga", "gpc-greta"] {
        assert!(!holds(&state.path().join("spool"), name), "{name}");
        assert!(!holds(&state.path().join("events"), name), "{name}");
    }
}

#[tokio::test]
async fn rows_of_an_erased_user_that_were_not_sent_yet_are_not_sent() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = logging(&shop, state.path(), 3_600).start().await;
    for name in ["ann", "ben"] {
        assert_eq!(Shopper::of(&sidecar, name).tracks("click", "M5").await.status, 202);
    }
    let bearer = format!("Bearer {}", token(state.path()));
    let headers = [("authorization", bearer.as_str())];
    let erased = exchange(sidecar.api, "DELETE", "/api/users/ann", &headers, b"").await;
    assert_eq!(erased.status, 200);
    assert_eq!(Shopper::of(&sidecar, "ann").tracks("view", "M4").await.status, 202);
    end(sidecar).await;
    let all = rows(state.path(), &[]).await;
    let told = |row: &Value| (row["user_id"].clone(), row["product_id"].clone());
    let mut told: Vec<_> = all.iter().map(told).collect();
    told.sort_by_key(|(user, _)| user.to_string());
    assert_eq!(told, [(json!("ann"), json!("M4")), (json!("ben"), json!("M5"))]);
}

#[tokio::test]
async fn a_second_sidecar_on_the_directory_ends_with_a_line_that_names_the_first() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let first = logging(&shop, state.path(), 1).start().await;
    let mut second = logging(&shop, state.path(), 1).spawn();
    assert_eq!(second.ended(Duration::from_secs(20)).await, Some(78));
    let said = second.log();
    let expected = format!("process {} owns it", first.pid());
    assert!(said.contains("data_dir: ") && said.contains(&expected), "{said}");
    drop(first);
    end(logging(&shop, state.path(), 1).start().await).await;
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_clearly_and_costs_no_other_its_place() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let settings = format!("data_dir: {}\nspool: {{row_bytes_max: 4096}}", state.path().display());
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let large = json!({"type": "click", "user_id": "ann", "product_id": "M5",
                       "note": "x".repeat(3_000)});
    let small = json!({"type": "click", "user_id": "ann", "product_id": "M4"});
    let alone = post(sidecar.api, TRACK, &large).await;
    assert_eq!(alone.status, 400);
    assert_eq!(alone.json()["error"], "event_too_large");
    let said = alone.json()["message"].as_str().unwrap().to_owned();
    assert!(said.contains("at most 2048, half of spool.row_bytes_max"), "{said}");
    let both = post(sidecar.api, TRACK, &json!([large, small])).await.json();
    assert_eq!((&both["refused"], &both["learned"]), (&json!(1), &json!(1)), "{both}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_costs_the_log_and_nothing_else() {
    let shop = milk_shop().await;
    let sidecar = logging(&shop, Path::new("/proc/leafrank-cannot-be"), 1).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_eq!(ann.tracks("click", "M5").await.status, 202);
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    let degraded = "leafrank_degraded{reason=\"no_event_log\"}";
    assert_eq!(sidecar.metric(degraded).await, 1.0);
    assert!(sidecar.log().contains("there is no event log"));
    let mut off = Sidecar::before(shop.address).settings("spool: {enabled: false}").start().await;
    assert_eq!(off.metric(degraded).await, 0.0);
    assert!(!off.directory.path().join("state/spool").exists());
    off.terminate();
    assert_eq!(off.ended(Duration::from_secs(20)).await, Some(0));
}

#[tokio::test]
async fn operators_follow_new_rows_and_see_how_the_log_stands() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = logging(&shop, state.path(), 3_600).start().await;
    let admin = sidecar.admin.to_string();
    let token = state.path().join("admin.token");
    let asks: Vec<&str> = vec!["--admin", &admin, "--token-file", token.to_str().unwrap()];
    let mut tail = tokio::process::Command::new(env!("CARGO_BIN_EXE_leafrank"));
    let tail = tail.args(["events", "tail", "--kind", "click", "--limit", "1"]).args(&asks);
    let tail = tail.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let told = tokio::spawn(tail.wait_with_output());
    let ann = Shopper::of(&sidecar, "ann");
    let number = std::sync::atomic::AtomicUsize::new(0);
    // It may not follow yet: one click after another, until it has heard one.
    eventually("the follower hears a click", || async {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(ann.tracks("click", &format!("P{number}")).await.status, 202);
        told.is_finished()
    })
    .await;
    let line = String::from_utf8(told.await.unwrap().unwrap().stdout).unwrap();
    assert!(line.contains("  ann  click") && line.contains("  P"), "{line}");
    assert_eq!(line.lines().count(), 1);

    let (code, page, _) = leafrank(&[&["spool", "status"][..], &asks].concat()).await;
    assert_eq!(code, Some(0));
    assert!(page.starts_with("event log · takes rows · last row "), "{page}");
    assert!(page.contains("parquet      row 0 · "), "{page}");
    let (_, dead, _) = leafrank(&[&["spool", "dlq", "list"][..], &asks].concat()).await;
    assert_eq!(dead, "no row was refused\n");
    let retry = [&["spool", "dlq", "retry", "--all"][..], &asks].concat();
    assert_eq!(leafrank(&retry).await.1, "0 rows are sent again\n");
    assert_eq!(leafrank(&["spool", "dlq", "drop"]).await.0, Some(64), "which ones?");
    let bytes = sidecar.metric("leafrank_spool_bytes").await;
    assert!(bytes > 0.0 && sidecar.metric("leafrank_spool_accepted_total").await >= 1.0);
    for path in ["/spool/dlq", "/events/tail"] {
        let stranger = client::operate(sidecar.admin, "no operator's", ("GET", path)).await;
        assert_eq!(stranger.status, 401, "{path}: rows name shoppers");
    }
}

#[tokio::test]
async fn duckdb_reads_the_files_as_they_are() {
    let Some(python) = clients::python_with("duckdb==1.5.5", "duckdb").await else { return };
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let sidecar = logging(&shop, state.path(), 3_600).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    ann.search("milk").await;
    end(sidecar).await;
    let files =
        |table: &str| -> PathBuf { state.path().join(format!("events/{table}/*/*.parquet")) };
    let script = format!(
        "import duckdb\n\
         actions = \"read_parquet('{}', hive_partitioning=true)\"\n\
         decisions = \"read_parquet('{}', hive_partitioning=true)\"\n\
         q = lambda sql: duckdb.sql(sql).fetchall()\n\
         print(q(f'select event_type, count(*) from {{actions}} group by 1 order by 1'))\n\
         print(q(f'select count(distinct event_id), min(event_date) = min(event_timestamp)::date from {{actions}}'))\n\
         print(q(f'select hits_moved > 0, candidates is not null from {{decisions}}'))\n\
         print([c[0] for c in q(f'describe select * from {{actions}}')])\n",
        files("raw_user_actions").display(),
        files("ranking_decisions").display()
    );
    let output = Command::new(&python).args(["-c", &script]).env("TZ", "UTC").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let out = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "[('click', 1), ('search', 2)]");
    assert_eq!(lines[1], "[(3, True)]");
    assert_eq!(lines[2], "[(True, True)]");
    assert!(lines[3].starts_with("['event_id', 'event_timestamp', 'event_type'"), "{}", lines[3]);
}
