//! Documents say what the code says: metrics, reasons, links.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::none;
use crate::source::{files_below, line_of, read, root};

/// The string literals of a piece of Rust, in order; none of ours holds an escaped quote.
fn strings(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("no {start:?}")) + start.len();
    let to = text[from..].find(end).unwrap_or_else(|| panic!("no {end:?} after {start:?}"));
    &text[from..from + to]
}

/// The code words that a document's table rows start with.
fn first_cells(document: &str) -> BTreeSet<String> {
    let words = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    words.map(|(word, _)| word.to_owned()).collect()
}

#[test]
fn the_metrics_document_lists_the_metrics_with_their_labels_and_help() {
    let source = read("src/telemetry/metrics.rs");
    let mut expected = String::new();
    let names = between(&source, "pub const NAMES", "];");
    let mut words = strings(names).into_iter().peekable();
    while let Some(name) = words.next() {
        let help = words.next().unwrap_or("");
        let mut labels = Vec::new();
        while let Some(label) = words.next_if(|word| !word.starts_with("leafrank_")) {
            labels.push(format!("`{label}`"));
        }
        let _ = writeln!(expected, "{name} | {} | {help}", labels.join(" "));
    }
    let document = read("docs/METRICS.md");
    let listed = between(&document, "## Names", "\n## ");
    let mut found = String::new();
    for line in listed.lines().filter_map(|line| line.strip_prefix("| `leafrank_")) {
        let cells: Vec<_> = line.trim_end_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_end_matches('`');
        let _ = writeln!(found, "leafrank_{name} | {} | {}", cells[1], cells[2]);
    }
    assert_eq!(found, expected, "docs/METRICS.md (left) and src/telemetry/metrics.rs (right)");
}

#[test]
fn every_bypass_reason_is_documented_and_nothing_else() {
    let source = read("src/personalize/fail_open.rs");
    let rows = between(&source, "\nreasons! {", "\n}\n").lines();
    let rows = rows.filter(|row| !row.trim_start().starts_with("//"));
    let labels = rows.filter_map(|row| strings(row).first().map(|label| (*label).to_owned()));
    let mut expected: BTreeSet<String> = labels.collect();
    for table in ["src/wire/doubt.rs", "src/wire/weaviate/decision.rs"] {
        let source = read(table);
        let names = strings(between(&source, "pub fn name(self)", "\n    }\n"));
        expected.extend(names.into_iter().map(str::to_owned));
    }
    let document = read("docs/METRICS.md");
    let reasons = between(&document, "## Reasons for a bypass", "\n## ");
    assert_eq!(first_cells(reasons), expected, "docs/METRICS.md (left) and the code (right)");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut documents = vec!["README.md".into(), "ARCHITECTURE.md".into(), "CHANGELOG.md".into()];
    documents.push("SECURITY.md".into());
    files_below("docs", ".md", &mut documents);
    let mut problems = Vec::new();
    for document in &documents {
        let text = read(document);
        let folder = Path::new(document).parent().unwrap_or(Path::new(""));
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#', ' ']).next().unwrap_or("");
            let elsewhere = target.is_empty() || target.contains("://");
            if !elsewhere && !root().join(folder).join(target).exists() {
                problems.push(format!("{document}:{}: {target}", line_of(&text, at)));
            }
        }
    }
    none(problems, "no link into the void");
}
