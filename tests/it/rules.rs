//! The hot-edited file: live within a second, never taken over when it is wrong, and what the
//! merchandiser's rules do.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{MILKS, eventually, milk_shop, shelf};
use crate::harness::{Shop, Shopper, Sidecar};

/// A rules file with these merchandising rules.
fn merchandising(rules: &str) -> String {
    format!("merchandising:\n{rules}\n")
}

fn pin(sku: &str) -> String {
    merchandising(&format!(
        "  - id: pin-it\n    select: {{product: [{sku}]}}\n    then: {{pin: 1}}"
    ))
}

/// A sidecar with `rules`, and ann, who has clicked Oat Milk, the fifth.
async fn with_rules(rules: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").rules(rules).start().await;
    Shopper::of(&sidecar, "ann").likes_oat_milk().await;
    (shop, sidecar)
}

async fn generation(sidecar: &Sidecar) -> u64 {
    sidecar.admin("/rules").await.json()["generation"].as_u64().unwrap()
}

#[tokio::test]
async fn a_saved_edit_changes_the_next_list_within_a_second() {
    let (_shop, sidecar) = with_rules("{}\n").await;
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    let before = sidecar.admin("/rules").await.json();
    std::fs::write(sidecar.rules_path(), pin("M2")).unwrap();
    let saved = Instant::now();
    eventually("the pin is live", || async { ann.search("milk").await.skus()[0] == "M2" }).await;
    assert!(saved.elapsed() < Duration::from_secs(1), "{:?}", saved.elapsed());
    let after = sidecar.admin("/rules").await.json();
    assert_eq!(after["generation"], 2);
    assert_ne!(after["version"], before["version"]);
    assert!(ann.search("milk").await.outcome().contains(after["version"].as_str().unwrap()));
    assert_eq!(sidecar.metric("leafrank_rules_generation").await, 2.0);
}

#[tokio::test]
async fn an_editors_save_by_rename_is_seen_too() {
    let (_shop, sidecar) = with_rules("{}\n").await;
    let ann = Shopper::of(&sidecar, "ann");
    let new = sidecar.rules_path().with_extension("swp");
    std::fs::write(&new, pin("M2")).unwrap();
    std::fs::rename(&new, sidecar.rules_path()).unwrap();
    eventually("the pin is live", || async { ann.search("milk").await.skus()[0] == "M2" }).await;
}

#[tokio::test]
async fn a_bad_edit_keeps_the_last_good_rules_and_says_file_line_and_key() {
    let (_shop, sidecar) = with_rules(&pin("M2")).await;
    let ann = Shopper::of(&sidecar, "ann");
    std::fs::write(sidecar.rules_path(), "enabled: true\nranking:\n  impakt: 5\n").unwrap();
    eventually("the edit is refused", || async {
        sidecar.metric("leafrank_rules_rejected_total").await == 1.0
    })
    .await;
    let status = sidecar.admin("/rules").await.json();
    let said = status["last_error"][0].as_str().unwrap();
    assert!(said.contains("personalization_rules.yaml:3:3"), "{said}");
    assert!(said.contains("ranking.impakt") && said.contains("impact"), "{said}");
    assert_eq!((&status["generation"], &status["degraded"]), (&1.into(), &Value::Null));
    assert_eq!(ann.search("milk").await.skus()[0], "M2", "the last good rules serve");
    assert!(sidecar.log().contains("impakt"), "the log says so too");
    std::fs::write(sidecar.rules_path(), pin("M3")).unwrap();
    eventually("a good edit lands", || async { ann.search("milk").await.skus()[0] == "M3" }).await;
    assert_eq!(sidecar.admin("/rules").await.json()["last_error"], serde_json::json!([]));
}

/// Mounts `text` as Kubernetes does: the file is a link to ..data/, which is a link that is swapped.
fn mount(directory: &Path, version: &str, text: &str) {
    let versioned = directory.join(format!("..{version}"));
    std::fs::create_dir_all(&versioned).unwrap();
    std::fs::write(versioned.join("personalization_rules.yaml"), text).unwrap();
    let new = directory.join("..data_tmp");
    std::os::unix::fs::symlink(format!("..{version}"), &new).unwrap();
    std::fs::rename(&new, directory.join("..data")).unwrap();
    let file = directory.join("personalization_rules.yaml");
    if !file.exists() {
        std::os::unix::fs::symlink("..data/personalization_rules.yaml", file).unwrap();
    }
}

#[tokio::test]
async fn a_config_map_swap_is_an_edit() {
    let shop = milk_shop().await;
    let mounted = tempfile::tempdir().unwrap();
    mount(mounted.path(), "one", "{}\n");
    let settings = format!(
        "mode: on\nrules: {{path: \"{}/personalization_rules.yaml\"}}",
        mounted.path().display()
    );
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    mount(mounted.path(), "two", &pin("M2"));
    let swapped = Instant::now();
    eventually("the swap is live", || async { ann.search("milk").await.skus()[0] == "M2" }).await;
    assert!(swapped.elapsed() < Duration::from_secs(1), "{:?}", swapped.elapsed());
}

#[tokio::test]
async fn no_request_fails_or_waits_during_a_hundred_swaps_under_load() {
    let (_shop, sidecar) = with_rules("{}\n").await;
    let sidecar = Arc::new(sidecar);
    let over = Arc::new(AtomicBool::new(false));
    let load = (0..2).map(|_| {
        let (sidecar, over) = (sidecar.clone(), over.clone());
        tokio::spawn(async move {
            let (mut asked, mut slowest) = (0, Duration::ZERO);
            while !over.load(Ordering::Relaxed) {
                let started = Instant::now();
                let reply = Shopper::of(&sidecar, "ann").search("milk").await;
                slowest = slowest.max(started.elapsed());
                assert_eq!(reply.status, 200);
                assert!(reply.outcome().starts_with("reranked"), "{}", reply.outcome());
                let mut skus = reply.skus();
                assert!(["M2", "M3"].contains(&&*skus[0]) || skus[0] == "M5", "{skus:?}");
                skus.sort();
                assert_eq!(skus, shelf());
                asked += 1;
            }
            (asked, slowest)
        })
    });
    let load: Vec<_> = load.collect();
    for swap in 0..100_u64 {
        // Each text is new, and each is waited for: a hundred swaps, not a hundred saves.
        let text = format!("{}# {swap}\n", pin(if swap % 2 == 0 { "M2" } else { "M3" }));
        std::fs::write(sidecar.rules_path(), text).unwrap();
        eventually("the swap", || async { generation(&sidecar).await == swap + 2 }).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in load {
        let (asked, slowest) = client.await.expect("no request fails");
        assert!(asked > 100, "{asked} requests");
        assert!(slowest < Duration::from_secs(1), "one waited {slowest:?}");
    }
    assert_eq!(sidecar.metric("leafrank_rules_rejected_total").await, 0.0);
}

#[tokio::test]
async fn hiding_demotes_and_removes_only_where_the_rule_says_so() {
    let hide = |removal: bool| {
        merchandising(&format!(
            "  - id: recalled\n    select: {{product: [M5, M2]}}\n    then: {{hide: {{allow_removal: {removal}}}}}"
        ))
    };
    let (_shop, sidecar) = with_rules(&hide(false)).await;
    let hidden = Shopper::of(&sidecar, "ann").search("milk").await.skus();
    assert_eq!(hidden[4..], ["M2", "M5"], "behind the rest, in the shop's order");
    assert_eq!(hidden.len(), 6);

    let (_shop, sidecar) = with_rules(&hide(true)).await;
    let reply = Shopper::of(&sidecar, "ann").search("milk").await;
    let left = reply.skus();
    assert_eq!(left.len(), 4);
    assert!(!left.contains(&"M5".to_owned()) && !left.contains(&"M2".to_owned()));
    assert_eq!(reply.json()["metadata"]["total_count"], 6, "nothing else of the reply changes");
}

#[tokio::test]
async fn what_is_demoted_is_last_and_no_pin_lifts_it() {
    let rules = merchandising(
        "  - {id: first, select: {product: [M5]}, then: {pin: 1}}\n  \
         - {id: last, select: {product: [M5]}, then: {demote: true}}",
    );
    let (_shop, sidecar) = with_rules(&rules).await;
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus()[5], "M5");
}

#[tokio::test]
async fn a_rule_speaks_only_in_its_time_to_its_query_and_its_shoppers() {
    let rules = merchandising(
        "  - {id: over, if: {until: 2020-01-01T00:00:00Z}, select: {product: [M2]}, then: {pin: 1}}\n  \
         - {id: later, if: {from: 2999-01-01T00:00:00Z}, select: {product: [M2]}, then: {pin: 1}}\n  \
         - {id: other, if: {query: [cocoa]}, select: {product: [M2]}, then: {pin: 1}}\n  \
         - {id: never, if: {shopper: {attribute: spicy, affinity_min: 0.1}}, select: {product: [M2]}, then: {pin: 1}}\n  \
         - {id: now, if: {query: [chocolate milk], from: 2020-01-01T00:00:00Z}, select: {product: [M4]}, then: {pin: 1}}\n  \
         - {id: vegans, if: {shopper: {attribute: plant-based, affinity_min: 0.1}, query: [vegan]}, select: {product: [M6]}, then: {pin: 1}}",
    );
    let (_shop, sidecar) = with_rules(&rules).await;
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    assert_eq!(ann.search("milk chocolate").await.skus()[0], "M4");
    assert_eq!(ann.search("vegan milk").await.skus()[0], "M6");
}

#[tokio::test]
async fn boosts_move_a_list_of_an_unknown_shopper_only_where_the_prior_applies_to_everyone() {
    let boost = merchandising("  - {id: push, select: {product: [M6]}, then: {boost: 5}}");
    let (_shop, sidecar) = with_rules(&boost).await;
    assert_eq!(Shopper::of(&sidecar, "ann").search("milk").await.skus()[0], "M6");
    let new = Shopper::of(&sidecar, "new").search("milk").await;
    assert_eq!((new.outcome(), &new.body), ("bypass; reason=no_evidence", &leafloaf(&MILKS)));

    let everyone = format!("ranking: {{prior: {{applies_to: everyone}}}}\n{boost}");
    std::fs::write(sidecar.rules_path(), everyone).unwrap();
    eventually("everyone is moved", || async {
        Shopper::of(&sidecar, "new").search("milk").await.skus()[0] == "M6"
    })
    .await;
}

/// `leafrank` with these arguments in `directory`: exit code and all that it wrote.
fn run(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("run leafrank");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn check_takes_the_shipped_files() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, said) = run(project, &["check", "--config", "config/leafrank.yaml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("rules: version"), "{said}");
}

#[test]
fn check_and_serve_name_every_problem_and_exit_78() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config");
    std::fs::create_dir(&config).unwrap();
    // Paths are from the settings file's directory, wherever the program is started.
    let rules = "rules: {path: our-rules.yaml}\n";
    std::fs::write(
        config.join("our-rules.yaml"),
        "signal_weights:\n  cart: {ad_to_cart: 1}\nenabled: 3\n",
    )
    .unwrap();
    std::fs::write(config.join("leafrank.yaml"), rules).unwrap();
    let (code, said) = run(directory.path(), &["check", "--config", "config/leafrank.yaml"]);
    assert_eq!(code, Some(78), "{said}");
    for part in ["our-rules.yaml:2:10", "ad_to_cart", "add_to_cart", "our-rules.yaml:3", "enabled"]
    {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    let bad = format!("{rules}limits: {{hold_ms: soon, hold_us: 3}}\nupstraem: {{}}\nmode: of\n");
    std::fs::write(config.join("leafrank.yaml"), bad).unwrap();
    for command in ["check", "serve"] {
        let (code, said) = run(directory.path(), &[command, "--config", "config/leafrank.yaml"]);
        assert_eq!(code, Some(78), "{command}: {said}");
        for part in [
            "leafrank.yaml:2:",
            "hold_ms",
            "hold_us",
            "leafrank.yaml:3:1",
            "upstream",
            "leafrank.yaml:4:",
            "off",
        ] {
            assert!(said.contains(part), "{command}: {part} is missing in: {said}");
        }
    }
}
