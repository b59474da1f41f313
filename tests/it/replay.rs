//! `leafrank replay` as it is typed: tables, JSON, an edit's effect, and logs that cannot be used.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Three shoppers who search for milk twelve times each, and mostly buy the one they bought before.
fn log(folder: &Path) {
    let products = ["m0", "m1", "m2", "m3", "m4", "m5"];
    let line = |id: &&str| {
        format!(r#"{{"id":"{id}","category":"dairy","subcategory":"MILK","brand":"b","price":2}}"#)
    };
    let catalog: Vec<String> = products.iter().map(line).collect();
    std::fs::write(folder.join("shop.catalog.jsonl"), catalog.join("\n")).unwrap();
    let mut lines = Vec::new();
    for round in 0..12 {
        for shopper in 0..3 {
            let at = 1_700_000_000 + round * 86_400 + shopper * 600;
            let bought = if round % 4 == 3 { 0 } else { 3 + shopper };
            lines.push(format!(
                r#"{{"t":{at},"k":"search","user":"u{shopper}","query":"milk","list":["m0","m1","m2","m3","m4","m5"],"truth":["m{bought}"],"score":true}}"#
            ));
            lines.push(format!(
                r#"{{"t":{},"k":"event","user":"u{shopper}","type":"purchase","product":"m{bought}","qty":1}}"#,
                at + 60
            ));
        }
    }
    let file = std::fs::File::create(folder.join("shop.log.jsonl.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(lines.join("\n").as_bytes()).unwrap();
    packed.finish().unwrap();
}

fn replay(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    command.arg("replay").args(arguments).args(["--resamples", "50"]).current_dir(folder);
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_log_is_measured_with_its_catalogue_found_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let told = json(&replay(folder.path(), &["shop.log.jsonl.gz", "--json"]));
    let rankers = told["rankers"].as_array().unwrap();
    let names: Vec<&str> = rankers.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["upstream", "popularity", "item counter", "oracle", "leafrank"]);
    let of = |ranker: usize, metric: &str| rankers[ranker][metric].as_f64().unwrap();
    assert!(of(4, "ndcg@10") > of(0, "ndcg@10") + 0.1, "what was bought before comes first");
    assert_eq!((of(3, "mrr"), of(3, "hit@1")), (1.0, 1.0));
    assert_eq!((&told["lists"], &told["users"]), (&Value::from(36), &Value::from(3)));
    let files = told["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file["sha256"].as_str().unwrap().len() == 16));
    let segments = told["segments"].as_array().unwrap().iter();
    let segments: Vec<_> = segments.map(|one| (one["name"].as_str(), &one["lists"])).collect();
    let wanted = [("repeat", 30), ("new item", 3), ("new type", 3)];
    let wanted = wanted.map(|(name, lists)| (Some(name), Value::from(lists)));
    assert!(segments.iter().zip(&wanted).all(|(a, b)| a.0 == b.0 && *a.1 == b.1), "{segments:?}");

    let text = replay(folder.path(), &["shop.log.jsonl.gz"]);
    let text = String::from_utf8(text.stdout).unwrap();
    for wanted in ["sha256 ", "rules  ", "leafrank ", "over upstream", "all: 36 lists of 3 users"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn an_edit_of_the_rules_is_told_before_it_is_live() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    std::fs::write(folder.path().join("off.yaml"), "enabled: false\n").unwrap();
    let arguments = ["shop.log.jsonl.gz", "--against", "off.yaml"];
    let told = json(&replay(folder.path(), &[&arguments[..], &["--json"]].concat()));
    assert_eq!(told["lists"], 36);
    assert!(told["changed"].as_u64().unwrap() > 15, "{told}");
    assert!(told["difference"]["ndcg@10"]["mean"].as_f64().unwrap() < -0.1, "{told}");
    let mover = &told["movers"][0];
    assert_eq!(mover["reason"]["part"], "own history with it", "{mover}");
    assert!(mover["from"].as_u64() < mover["to"].as_u64(), "{mover}");
    let text = String::from_utf8(replay(folder.path(), &arguments).stdout).unwrap();
    assert!(text.contains("lists changed") && text.contains("moved farthest"), "{text}");
}

#[test]
fn the_folds_of_the_users_are_parts_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let lists = |fold: &str| {
        let told =
            json(&replay(folder.path(), &["shop.log.jsonl.gz", "--json", "--users-fold", fold]));
        told["lists"].as_u64().unwrap()
    };
    assert_eq!(lists("1/2") + lists("2/2"), 36);
    assert_eq!(lists("-1/2"), lists("2/2"));
}

#[test]
fn a_line_that_cannot_be_used_is_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"t":5,"k":"search","user":"u","query":"","list":["a"],"truth":["a"]}"#;
    for (line, wanted) in [
        (r#"{"t":1,"k":"serach","user":"u"}"#, "did you mean \"search\"?"),
        (r#"{"t":9,"k":"event","user":"u","type":"purchse","product":"a"}"#, "\"purchase\"?"),
        (r#"{"t":9,"k":"event","type":"click","product":"a"}"#, "a user or a session"),
        (r#"{"t":9,"k":"event","user":"u","type":"click"}"#, "product: missing"),
        (
            r#"{"t":1700000000000,"k":"event","user":"u","type":"click","product":"a"}"#,
            "divide by 1000",
        ),
        (r#"{"t":4,"k":"event","user":"u","type":"click","product":"a"}"#, "time order"),
        (r#"{"t":9,"k":"search","user":"u","list":["a","a"]}"#, "found \"a\" twice"),
        (r#"{"t":9,"k":"search","user":"u","list":"#, "one JSON object a line"),
        ("[]", "log.jsonl:2:"),
    ] {
        std::fs::write(folder.path().join("bad.log.jsonl"), format!("{good}\n{line}\n")).unwrap();
        let output = replay(folder.path(), &["bad.log.jsonl"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(65), "{line}: {said}");
        assert!(said.contains(wanted) && said.contains("bad.log.jsonl:2:"), "{line}: {said}");
    }
    assert_eq!(replay(folder.path(), &["none.jsonl"]).status.code(), Some(66));
    std::fs::write(folder.path().join("good.jsonl"), good).unwrap();
    std::fs::write(folder.path().join("rules.yaml"), "enabld: true\n").unwrap();
    let output = replay(folder.path(), &["good.jsonl", "--rules", "rules.yaml"]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn metaranks_events_are_read_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let item = |id: &str, genre: &str| {
        format!(
            r#"{{"event":"item","id":"i{id}","item":"{id}","timestamp":"1","fields":[{{"name":"title","value":"Film {id}"}},{{"name":"genres","value":["{genre}"]}}]}}"#
        )
    };
    let ranking = |id: &str, at: u32| {
        format!(
            r#"{{"event":"ranking","id":"{id}","user":"u","session":"s","timestamp":"{at}","fields":[],"items":[{{"id":"a"}},{{"id":"b"}},{{"id":"c"}}]}}"#
        )
    };
    let click = |ranking: &str, item: &str, at: u32| {
        format!(
            r#"{{"event":"interaction","id":"c{at}","ranking":"{ranking}","user":"u","session":"s","timestamp":"{at}","type":"click","item":"{item}","fields":[]}}"#
        )
    };
    let lines = [
        item("a", "war"),
        item("b", "drama"),
        item("c", "love"),
        ranking("r1", 10_000),
        click("r1", "c", 15_000),
        ranking("r2", 20_000),
        click("r2", "c", 25_000),
        ranking("r3", 30_000),
    ];
    std::fs::write(folder.path().join("events.jsonl"), lines.join("\n")).unwrap();
    let told = json(&replay(folder.path(), &["events.jsonl", "--json"]));
    assert_eq!(told["lists"], 2, "the last one has no click: {told}");
    let served = &told["rankers"][4];
    assert_eq!(served["mrr"].as_f64().unwrap(), (1.0 / 3.0 + 1.0) / 2.0);
}

/// `leafrank diff` as it is typed.
fn diff(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    command.arg("diff").args(arguments).args(["--resamples", "50"]).current_dir(folder);
    command.output().unwrap()
}

#[test]
fn a_diff_tells_the_edit_by_line_then_which_searches_change_for_whom_and_how_well() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.yaml", "# as it is\nranking:\n  impact: 60\n");
    write("b.yaml", "ranking: {impact: 0}\n");
    let arguments = ["a.yaml", "b.yaml", "shop.log.jsonl.gz"];
    let told = json(&diff(folder.path(), &[&arguments[..], &["--json"]].concat()));
    let edit = &told["edit"][0];
    assert_eq!(edit["key"], "ranking.impact");
    assert_eq!(edit["was"], serde_json::json!({"value": "60", "line": 3}));
    assert_eq!(edit["is"], serde_json::json!({"value": "0", "line": 1}));
    assert!(told["difference"]["ndcg@10"]["mean"].as_f64().unwrap() < -0.1, "{told}");
    let changed = told["changed"].as_u64().unwrap();
    assert!(changed > 15, "{told}");
    assert_eq!(
        told["queries"],
        serde_json::json!([{"query": "milk", "lists": 36, "changed": changed}])
    );
    for parts in ["segments", "history"] {
        let parts = told[parts].as_array().unwrap().iter();
        let sums = parts.fold((0, 0), |(lists, changed), part| {
            let of = |key: &str| part[key].as_u64().unwrap();
            (lists + of("lists"), changed + of("changed"))
        });
        assert_eq!(sums, (36, changed), "the parts are the whole: {told}");
    }
    let new = &told["history"][0];
    assert_eq!((&new["name"], &new["changed"]), (&Value::from("0 events"), &Value::from(0)));

    let text = String::from_utf8(diff(folder.path(), &arguments).stdout).unwrap();
    let wanted = "edit   1 key differs\n  ranking.impact: 60 (line 3) → 0 (line 1)\n";
    assert!(text.starts_with(wanted), "{text}");
    for part in ["lists changed", "RBO@10", "repeat", "more events", "\"milk\": ", "moved farthest"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_diff_of_rules_that_mean_the_same_changes_nothing_and_one_that_is_wrong_ends_as_replay_does() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("a.yaml", "{}\n");
    write("b.yaml", "# the default, written out\nenabled: true\n");
    write("wrong.yaml", "enabld: true\n");
    let log = "shop.log.jsonl.gz";
    let told = json(&diff(folder.path(), &["a.yaml", "b.yaml", log, "--json"]));
    assert_eq!((&told["edit"], &told["changed"]), (&serde_json::json!([]), &Value::from(0)));
    let code = |arguments: &[&str]| diff(folder.path(), arguments).status.code();
    assert_eq!(code(&["a.yaml", "wrong.yaml", log]), Some(78));
    assert_eq!(code(&["a.yaml", "none.yaml", log]), Some(78));
    assert_eq!(code(&["a.yaml", "b.yaml", "none.jsonl"]), Some(66));
    assert_eq!(code(&["a.yaml", "b.yaml"]), Some(64));
}
