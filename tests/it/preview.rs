//! An edit of the rules before it goes live: previewed over the last real searches, then saved.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::shopper::{eventually, milk_shop};
use crate::harness::{Reply, Shop, Shopper, Sidecar, exchange, post};

/// The shop's own order, whatever is known of a shopper.
const NO_TASTE: &str = "ranking: {impact: 0}\n";

/// A sidecar with these settings, and ann, who has clicked Oat Milk, the fifth.
async fn with(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).rules("{}\n").start().await;
    Shopper::of(&sidecar, "ann").likes_oat_milk().await;
    (shop, sidecar)
}

/// Asks with these headers beside the host's.
async fn asks(sidecar: &Sidecar, more: &[(&str, &str)], text: &str) -> Reply {
    let host = sidecar.admin.to_string();
    let headers = [&[("host", host.as_str())], more].concat();
    exchange(sidecar.admin, "POST", "/rules/preview", &headers, text.as_bytes()).await
}

async fn preview(sidecar: &Sidecar, text: &str) -> Reply {
    let bearer = format!("Bearer {}", sidecar.admin_token());
    asks(sidecar, &[("authorization", &bearer)], text).await
}

/// How many searches an edit is tried on.
async fn kept(sidecar: &Sidecar) -> u64 {
    preview(sidecar, NO_TASTE).await.json()["searches"].as_u64().unwrap()
}

/// What an operator does with a shopper.
async fn shopper(sidecar: &Sidecar, method: &str, path: &str, body: Value) {
    let bearer = format!("Bearer {}", sidecar.admin_token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = exchange(sidecar.api, method, path, &headers, body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

fn command(sidecar: &Sidecar, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(["preview", "--admin", &sidecar.admin.to_string(), "--token-file"])
        .arg(sidecar.directory.path().join("state/admin.token"))
        .args(arguments)
        .current_dir(sidecar.directory.path())
        .output()
        .unwrap()
}

fn place_of(skus: &[String], sku: &str) -> usize {
    skus.iter().position(|one| one == sku).unwrap() + 1
}

#[tokio::test]
async fn an_edit_of_one_weight_is_previewed_then_saved_and_visible_in_the_next_reply() {
    let (_shop, sidecar) = with("").await;
    let ann = Shopper::of(&sidecar, "ann");
    let before = ann.search("milk").await.skus();
    assert_eq!(place_of(&before, "M5"), 1);
    let edit = "signal_weights:\n  browse: {click_product: -1}\n";

    let told = preview(&sidecar, edit).await.json();
    assert!(told["searches"].as_u64() >= Some(1) && told["changed"] == told["searches"], "{told}");
    assert!(told["rbo@10"].as_f64() < Some(1.0) && told["off"].is_null(), "{told}");
    assert_eq!(told["queries"][0]["query"], "milk");
    let mover = &told["movers"][0];
    let place = |key: &str| mover[key].as_u64().unwrap() as usize;
    let (sku, from, to) = (mover["product"].as_str().unwrap(), place("from"), place("to"));
    assert_eq!((place_of(&before, sku), &mover["query"]), (from, &json!("milk")), "{told}");
    assert!(mover["name"].as_str().unwrap().ends_with(" Milk"), "{mover}");
    let (was, is) = (mover["reason"]["was"].as_f64(), mover["reason"]["is"].as_f64());
    assert!(is.is_some() && (to > from) == (is < was), "{mover}");
    assert_eq!(ann.search("milk").await.skus(), before, "a preview changes nothing");

    std::fs::write(sidecar.rules_path(), edit).unwrap();
    eventually("the edit is visible where the preview said", || async {
        let reply = ann.search("milk").await;
        reply.outcome().contains(told["rules"].as_str().unwrap())
            && place_of(&reply.skus(), sku) == to
    })
    .await;
    assert_ne!(ann.search("milk").await.skus()[0], "M5", "what was clicked counts against it now");
    let again = preview(&sidecar, edit).await.json();
    assert_eq!((&again["changed"], &again["live"]), (&json!(0), &told["rules"]), "{again}");
}

#[tokio::test]
async fn a_rule_that_pins_is_named_as_the_reason() {
    let (_shop, sidecar) = with("").await;
    Shopper::of(&sidecar, "ann").search("milk").await;
    let pin = "merchandising:\n  - {id: soya-week, select: {product: [M6]}, then: {pin: 1}}\n";
    let told = preview(&sidecar, pin).await.json();
    let mover = &told["movers"][0];
    assert_eq!((&mover["product"], &mover["to"]), (&json!("M6"), &json!(1)), "{told}");
    assert_eq!(mover["reason"], json!({"part": "rule soya-week", "was": 0.0, "is": 1.0}));
    assert_eq!(told["first_changed"], told["changed"]);
}

#[tokio::test]
async fn only_an_operator_previews_and_nothing_is_changed_by_it() {
    let (_shop, sidecar) = with("").await;
    let rules = sidecar.admin("/rules").await.json();
    assert_eq!(asks(&sidecar, &[], NO_TASTE).await.status, 401);
    let bearer = format!("Bearer {}", sidecar.admin_token());
    let foreign = [("authorization", bearer.as_str()), ("origin", "http://evil.example")];
    assert_eq!(asks(&sidecar, &foreign, NO_TASTE).await.status, 403);
    assert_eq!(sidecar.admin("/rules/preview").await.status, 405);
    assert_eq!(preview(&sidecar, NO_TASTE).await.status, 200);
    let long = preview(&sidecar, &"#".repeat((1 << 20) + 1)).await;
    assert_eq!((long.status, &long.json()["error"]), (413, &json!("rules_too_large")));
    assert_eq!(sidecar.admin("/rules").await.json(), rules);
}

#[tokio::test]
async fn rules_that_cannot_be_used_are_told_with_every_problem() {
    let (_shop, sidecar) = with("").await;
    let wrong = "enabled: 3\nranking:\n  impcat: 5\n";
    let reply = preview(&sidecar, wrong).await;
    assert_eq!((reply.status, reply.outcome()), (422, "error; reason=rules_unusable"));
    let told = reply.json();
    let problems = told["problems"].as_array().unwrap();
    let named = |place: usize| (&problems[place]["line"], &problems[place]["key"]);
    assert_eq!(named(0), (&json!(1), &json!("enabled")));
    assert_eq!(named(1), (&json!(3), &json!("ranking.impcat")));
    assert_eq!(problems[1]["suggestion"], "impact");
    assert!(problems.len() == 2 && !problems[1]["expected"].as_str().unwrap().is_empty());

    std::fs::write(sidecar.directory.path().join("edited.yaml"), wrong).unwrap();
    let run = command(&sidecar, &["edited.yaml"]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(78), "{said}");
    assert!(said.contains("edited.yaml:1:") && said.contains("edited.yaml:3:3: ranking.impcat"));
}

#[tokio::test]
async fn searches_of_who_is_erased_or_opts_out_are_gone_at_once_and_nobody_is_named() {
    let (_shop, sidecar) = with("").await;
    Shopper::of(&sidecar, "bobby").likes_oat_milk().await;
    for name in ["ann", "bobby", "bobby"] {
        assert!(Shopper::of(&sidecar, name).search("milk").await.outcome().starts_with("reranked"));
    }
    // with the first search of each, at which nothing was known of them
    eventually("all are kept", || async { kept(&sidecar).await == 5 }).await;
    let told = preview(&sidecar, NO_TASTE).await.text();
    assert!(!told.contains("ann\"") && !told.contains("bobby"), "{told}");
    shopper(&sidecar, "DELETE", "/api/users/ann", Value::Null).await;
    assert_eq!(kept(&sidecar).await, 3);
    let no = json!({"personalization": false});
    shopper(&sidecar, "PUT", "/api/users/bobby/consent", no).await;
    assert_eq!(kept(&sidecar).await, 0);
    Shopper::of(&sidecar, "bobby").search("milk").await;
    assert_eq!(kept(&sidecar).await, 0, "who opted out is not kept");
    assert_eq!(preview(&sidecar, NO_TASTE).await.json()["forgotten"], 0);
}

#[tokio::test]
async fn a_reset_of_the_shops_own_takes_the_searches_with_it() {
    let (_shop, sidecar) = with("").await;
    Shopper::of(&sidecar, "ann").search("milk").await;
    eventually("both are kept", || async { kept(&sidecar).await == 2 }).await;
    let reset = json!({"user_id": "ann"});
    assert_eq!(post(sidecar.data, "/api/personalization/reset", &reset).await.status, 200);
    eventually("none is kept", || async { kept(&sidecar).await == 0 }).await;
    let told = preview(&sidecar, NO_TASTE).await.json();
    assert_eq!(told["forgotten"], 0, "not only passed over: {told}");
}

#[tokio::test]
async fn a_search_that_tells_of_health_or_religion_is_kept_with_consent_alone() {
    let (_shop, sidecar) = with("").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("milk").await;
    eventually("two are kept", || async { kept(&sidecar).await == 2 }).await;
    let allow =
        |yes: bool| shopper(&sidecar, "PUT", "/api/users/ann/consent", json!({"sensitive": yes}));
    ann.search("pregnancy milk").await;
    assert_eq!(kept(&sidecar).await, 2);
    allow(true).await;
    ann.search("pregnancy milk").await;
    assert_eq!(kept(&sidecar).await, 3);
    allow(false).await;
    assert_eq!(kept(&sidecar).await, 2);
}

#[tokio::test]
async fn only_so_many_searches_are_kept_and_none_where_the_setting_is_0() {
    let limits = |preview: &str| format!("limits: {{rank_us: 1000000, hold_ms: 10000, {preview}}}");
    let (_shop, sidecar) = with(&limits("preview_searches_max: 3")).await;
    let ann = Shopper::of(&sidecar, "ann");
    for _ in 0..6 {
        ann.search("milk").await;
    }
    assert_eq!(kept(&sidecar).await, 3);
    let (_shop, sidecar) = with(&limits("preview_bytes_max: 0")).await;
    Shopper::of(&sidecar, "ann").search("milk").await;
    let told = preview(&sidecar, NO_TASTE).await.json();
    assert_eq!((&told["searches"], &told["rbo@10"]), (&json!(0), &json!(1.0)));
    assert!(told["off"].as_str().unwrap().contains("limits.preview_bytes_max"), "{told}");
}

#[tokio::test]
async fn what_a_route_in_shadow_would_change_is_previewed_too() {
    let (_shop, sidecar) = {
        let shop = milk_shop().await;
        let sidecar =
            Sidecar::before(shop.address).settings("mode: shadow").rules("{}\n").start().await;
        Shopper::of(&sidecar, "ann").likes_oat_milk().await;
        (shop, sidecar)
    };
    Shopper::of(&sidecar, "ann").search("milk").await;
    eventually("both are kept", || async { kept(&sidecar).await == 2 }).await;
    assert_eq!(preview(&sidecar, NO_TASTE).await.json()["changed"], 2);
    let off = preview(&sidecar, "enabled: false\n").await.json();
    assert_eq!(off["changed"], 2);
    assert!(off["off"].as_str().unwrap().starts_with("enabled: false"), "{off}");
}

#[tokio::test]
async fn the_command_prints_a_page_for_people_and_json_for_machines() {
    let (_shop, sidecar) = with("").await;
    Shopper::of(&sidecar, "ann").search("milk").await;
    eventually("both are kept", || async { kept(&sidecar).await == 2 }).await;
    let file = sidecar.directory.path().join("edited.yaml");
    std::fs::write(&file, NO_TASTE).unwrap();
    let run = command(&sidecar, &["edited.yaml"]);
    let page = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for part in ["2 of the last 2 (100.0 %)", "\"milk\": 2 of 2", " Milk) in \"milk\": ", "+0.000"]
    {
        assert!(page.contains(part), "{part} is missing in: {page}");
    }
    let run = command(&sidecar, &["edited.yaml", "--json"]);
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(told["changed"], 2);
    assert_eq!(command(&sidecar, &["none.yaml"]).status.code(), Some(66));
    std::fs::write(sidecar.directory.path().join("no.token"), "none\n").unwrap();
    let stranger = Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(["preview", "--admin", &sidecar.admin.to_string(), "--token-file", "no.token"])
        .arg("edited.yaml")
        .current_dir(sidecar.directory.path())
        .output()
        .unwrap();
    assert_eq!(stranger.status.code(), Some(69));
}
