//! What the shipped rules are worth on a small slice of the recorded logs, to four digits: a change
//! of the ranking is seen here before it is argued about. LEAFRANK_BLESS=1 accepts one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{fixtures, golden};

fn packed(file: &Path) -> impl Iterator<Item = String> {
    let file = std::fs::File::open(file).unwrap();
    BufReader::new(flate2::read::GzDecoder::new(file)).lines().map(Result::unwrap)
}

/// The records of the first `most` people that a log names, and the catalogue beside it, unpacked.
fn slice(log: &Path, most: usize, to: &Path) {
    let mut people: Vec<String> = Vec::new();
    let mut out = std::fs::File::create(to.join("slice.log.jsonl")).unwrap();
    for line in packed(log) {
        let record: Value = serde_json::from_str(&line).unwrap();
        let user = record["user"].as_str().unwrap();
        let known = people.iter().any(|one| one == user);
        if !known && people.len() < most {
            people.push(user.to_owned());
        }
        if known || people.last().is_some_and(|last| last == user) {
            writeln!(out, "{line}").unwrap();
        }
    }
    let name = log.file_name().unwrap().to_str().unwrap().replace(".log.", ".catalog.");
    let mut out = std::fs::File::create(to.join("slice.catalog.jsonl")).unwrap();
    packed(&log.with_file_name(name)).for_each(|line| writeln!(out, "{line}").unwrap());
}

/// NDCG@10, MRR, Hit@1 and Hit@10 of the upstream, the item counter and us; by segment too.
fn measured(folder: &Path, flags: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    command.args(["replay", "slice.log.jsonl", "--json", "--resamples", "1"]).args(flags);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut text = String::new();
    for table in std::iter::once(&told).chain(told["segments"].as_array().unwrap()) {
        text += &format!("{}, {} lists\n", table["name"].as_str().unwrap(), table["lists"]);
        for ranker in table["rankers"].as_array().unwrap() {
            let name = ranker["name"].as_str().unwrap();
            if name == "popularity" || name == "oracle" {
                continue;
            }
            let four = ["ndcg@10", "mrr", "hit@1", "hit@10"]
                .map(|metric| format!("{:.4}", ranker[metric].as_f64().unwrap()));
            text += &format!("  {name:13}{}\n", four.join(" "));
        }
    }
    text
}

#[test]
fn the_order_on_a_slice_of_real_logs_is_worth_what_it_was_to_four_digits() {
    let mut text = String::new();
    let logs = [
        ("completejourney", 12, &[][..]),
        ("completejourney", 12, &["--sensitive"]),
        ("ranklens", 120, &["--protocol", "p1"]),
    ];
    for (name, people, flags) in logs {
        let Some(log) = fixtures::shared(&format!("data/replay/{name}.log.jsonl.gz")) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        slice(&log, people, folder.path());
        text += &format!("{name} {}\n{}\n", flags.join(" "), measured(folder.path(), flags));
    }
    golden::check("replay_slice.txt", &text);
}
