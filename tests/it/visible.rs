//! What an operator sees: explanations, the live stream, the funnel and its biggest leak.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, eventually, milk_shop, shelf};
use crate::harness::{PEER_TOKEN, Shop, Shopper, Sidecar, TRUSTING, exchange, get};

/// A trusted peer that wants to know why.
const WHY: [(&str, &str); 2] = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-explain", "1")];

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("{TRUSTING}\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

fn query_of(outcome: &str) -> &str {
    outcome.split("query=").nth(1).unwrap_or_else(|| panic!("no query in {outcome:?}"))
}

/// `leafrank ARGUMENTS` about this sidecar.
fn leafrank(sidecar: &Sidecar, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    let token = sidecar.directory.path().join("state/admin.token");
    let port = sidecar.admin.to_string();
    command.args(arguments).args(["--admin", &port, "--token-file"]).arg(token);
    command.current_dir(sidecar.directory.path()).stdin(Stdio::null());
    command
}

async fn ran(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("run")).await.unwrap()
}

async fn status(sidecar: &Sidecar) -> String {
    let output = ran(leafrank(sidecar, &["status"])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Each explained hit's parts add up to its score, and scores fall from place to place.
fn assert_adds_up(list: &Value) {
    for hit in list.as_array().expect("hits") {
        let parts = hit["parts"].as_array().expect("parts");
        let sum: f64 = parts.iter().map(|part| part["value"].as_f64().unwrap()).sum();
        let score = hit["score"].as_f64().unwrap();
        assert!((sum - score).abs() < 1e-5, "{sum} is not {score}: {hit}");
    }
}

#[tokio::test]
async fn an_explanation_names_every_part_of_every_score_and_a_true_reason() {
    let (_shop, sidecar) = running("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search_with("milk", &WHY).await;
    let told = sidecar.admin(&format!("/explain/{}", query_of(reply.outcome()))).await.json();
    assert_eq!((&told["outcome"], &told["text"]), (&json!("reranked"), &json!("milk")));
    let list = &told["lists"][0];
    assert_adds_up(list);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|hit| hit["id"].clone()).collect();
    assert_eq!(ids, reply.skus(), "in the order that went out");
    let oat = &list[0];
    assert_eq!((&oat["id"], &oat["was"], &oat["is"]), (&json!("M5"), &json!(4), &json!(0)));
    assert_eq!(oat["reason"], "you picked this before");
    let parts: Vec<_> =
        oat["parts"].as_array().unwrap().iter().map(|p| p["part"].as_str()).collect();
    assert!(parts.contains(&Some("item")) && parts.contains(&Some("relevance")), "{parts:?}");
    let plant = list
        .as_array()
        .unwrap()
        .iter()
        .find(|hit| hit["reason"].as_str().is_some_and(|reason| reason.contains("like ")));
    assert!(plant.is_some(), "a hit that rose for what it shares: {list}");
    assert!(!told.to_string().contains("ann"), "the shopper is a digest");
}

#[tokio::test]
async fn a_list_that_stayed_is_explained_too_and_so_is_one_in_shadow() {
    let (_shop, sidecar) = running("mode: shadow").await;
    let ann = Shopper::of(&sidecar, "ann");
    let first = ann.search_with("milk", &WHY).await;
    let query = query_of(first.outcome()).to_owned();
    eventually("it is told once the reply has gone by", || async {
        sidecar.admin(&format!("/explain/{query}")).await.status == 200
    })
    .await;
    ann.likes_oat_milk().await;
    let reply = ann.search_with("milk", &WHY).await;
    assert_eq!(reply.skus(), shelf());
    let path = format!("/explain/{}", query_of(reply.outcome()));
    eventually("the second too", || async { sidecar.admin(&path).await.status == 200 }).await;
    let told = sidecar.admin(&path).await.json();
    assert_eq!((&told["outcome"], &told["reason"]), (&json!("bypass"), &json!("shadow")));
    assert_eq!(told["lists"][0][0]["id"], "M5", "what would have been first");
    assert!(told["moved"].as_u64().unwrap() > 0);
    assert_adds_up(&told["lists"][0]);
}

#[tokio::test]
async fn an_explanation_is_for_trusted_peers_to_ask_for_and_for_operators_to_read() {
    let (_shop, sidecar) = running("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let reply = ann.search_with("milk", &[("x-leafrank-explain", "1")]).await;
    let path = format!("/explain/{}", query_of(reply.outcome()));
    assert_eq!(sidecar.admin(&path).await.status, 404, "a stranger asked");
    let reply = ann.search_with("milk", &WHY).await;
    let path = format!("/explain/{}", query_of(reply.outcome()));
    let local = [("host", "localhost")];
    assert_eq!(exchange(sidecar.admin, "GET", &path, &local, b"").await.status, 401);
    assert_eq!(exchange(sidecar.admin, "GET", "/tap", &local, b"").await.status, 401);
    assert_eq!(sidecar.admin(&path).await.status, 200);
    assert_eq!(sidecar.admin("/explain/nonsense").await.status, 400);
    let unmoved = Shopper::of(&sidecar, "new").search_with("milk", &[WHY[0]]).await;
    assert_eq!(unmoved.outcome(), "bypass; reason=no_evidence", "named only where asked for");
}

#[tokio::test]
async fn tap_shows_searches_as_they_end_before_and_after_with_their_reason() {
    let (_shop, sidecar) = running("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let tap = tokio::spawn(ran(leafrank(&sidecar, &["tap", "--limit", "40", "--hits", "2"])));
    eventually("forty searches were told", || async {
        ann.search("milk").await;
        Shopper::of(&sidecar, "new").search("milk").await;
        tap.is_finished()
    })
    .await;
    let output = tap.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("leafloaf-search \"milk\" for "), "{text}");
    assert!(text.contains("bypass, no_evidence"), "{text}");
    assert!(text.contains("reranked, ") && text.contains("▲4"), "{text}");
    assert!(text.contains("you picked this before"), "{text}");
}

#[tokio::test]
async fn status_counts_each_search_up_to_where_it_is_lost_and_names_what_mends_it() {
    let (_shop, sidecar) = running("mode: on").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for _ in 0..3 {
        let reply = ann.search("milk").await;
        assert!(reply.outcome().starts_with("reranked"), "{}", reply.outcome());
    }
    let nobody = [("content-type", "application/json")];
    for _ in 0..10 {
        let path = "/api/v1/search";
        let reply = exchange(sidecar.data, "POST", path, &nobody, br#"{"query":"milk"}"#).await;
        assert_eq!(reply.outcome(), "bypass; reason=no_subject");
        assert_eq!(reply.body, leafloaf(&MILKS));
    }
    get(sidecar.data, "/product/M5").await;
    let stage = |stage: &str| {
        format!("leafrank_funnel_total{{route=\"leafloaf-search\",stage=\"{stage}\"}}")
    };
    let wanted = [("searches", 14.0), ("decoded", 14.0), ("identified", 4.0), ("profile", 3.0)];
    let later = [("facets", 3.0), ("allowed", 3.0), ("changed", 3.0)];
    for (name, count) in wanted.into_iter().chain(later) {
        eventually(name, || async { sidecar.metric(&stage(name)).await == count }).await;
    }
    let page = status(&sidecar).await;
    assert!(
        page.contains("leafloaf-search loses 10 of 14 searches before \"identified\""),
        "{page}"
    );
    assert!(page.contains("setting: identity.user, identity.session"), "{page}");
    assert!(page.contains("no_subject 10"), "{page}");
    assert!(page.contains("1 → 1"), "the click is joined to its list: {page}");
}

#[tokio::test]
async fn the_leak_of_a_route_in_shadow_is_its_mode() {
    let (_shop, sidecar) = running("mode: shadow").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for _ in 0..5 {
        ann.search("milk").await;
    }
    let page = status(&sidecar).await;
    assert!(page.contains("loses 5 of 5 searches before \"allowed\" (shadow)"), "{page}");
    assert!(page.contains("setting: mode"), "{page}");
}

#[tokio::test]
async fn the_leak_of_a_spent_budget_is_the_budget_and_not_the_map_of_the_hits() {
    let (_shop, sidecar) = running("mode: on\nlimits: {rank_us: 1}").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    for _ in 0..5 {
        assert_eq!(ann.search("milk").await.outcome(), "bypass; reason=rank_spent");
    }
    let page = status(&sidecar).await;
    assert!(page.contains("loses 5 of 5 searches before \"allowed\" (rank_spent)"), "{page}");
    assert!(page.contains("setting: limits.rank_us"), "{page}");
}

#[tokio::test]
async fn an_operator_who_is_not_one_is_told_what_is_missing() {
    let (_shop, sidecar) = running("mode: on").await;
    let mut twice = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    let port = sidecar.admin.to_string();
    twice.args(["tap", "--admin", &port, "--token-file", "nowhere"]);
    let output = ran(twice).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.contains("nowhere") && error.contains("--token-file"), "{error}");
    let mut nobody = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    nobody.args(["status", "--admin", "127.0.0.1:9"]);
    let output = ran(nobody).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{error}");
    assert!(error.contains("127.0.0.1:9: no sidecar answers there"), "{error}");
}

#[tokio::test]
async fn the_log_is_json_and_names_no_shopper_query_or_product() {
    let (_shop, sidecar) = running("mode: on\nlimits: {peek_bytes_max: 1024}").await;
    let ann = Shopper::of(&sidecar, "ann-the-shopper");
    ann.likes_oat_milk().await;
    ann.search_with("secret-query", &WHY).await;
    ann.tracks("purchase", "M5").await;
    ann.tracks("no such kind", "M5").await;
    ann.search(&"secret-query".repeat(200)).await;
    sidecar.operate("POST", "/personalization/off").await;
    sidecar.operate("POST", "/personalization/on").await;
    std::fs::write(sidecar.rules_path(), "ranking: nonsense\n").unwrap();
    eventually("an edit is refused", || async { sidecar.log().contains("nonsense") }).await;
    let log = sidecar.log();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    for secret in ["ann-the-shopper", "secret-query", "Oat", "M5", PEER_TOKEN] {
        assert!(!log.contains(secret), "{secret:?} is in the log: {log}");
    }
}

#[tokio::test]
async fn every_error_on_every_port_of_ours_names_us() {
    let health = "health: {ready_needs_upstream: false}";
    let sidecar = Sidecar::before("127.0.0.1:9").settings(health).start().await;
    for (port, path) in [
        (sidecar.api, "/nothing"),
        (sidecar.admin, "/nothing"),
        (sidecar.ops, "/nothing"),
        (sidecar.data, "/the/shop/is/gone"),
    ] {
        let reply = exchange(port, "GET", path, &[("host", "localhost")], b"").await;
        assert!(reply.status >= 400, "{path}");
        assert!(reply.outcome().starts_with("error; reason="), "{path}: {reply:?}");
    }
}
