//! The shipped cases under the shipped rules, and files that cannot be used.

use super::*;
use crate::rules::knowledge::Knowledge;
use crate::rules::{SHIPPED_FILE, SHIPPED_TEXT};
use crate::types::problem::Problem;

fn base() -> Base {
    let knowledge = Knowledge::shipped();
    Base { file: SHIPPED_FILE.to_owned(), text: SHIPPED_TEXT.to_owned(), knowledge }
}

fn problems(text: &str) -> Vec<Problem> {
    read("cases.yaml", text, &base()).err().unwrap_or_default()
}

const SHOP: &str = "products: {a: {name: Milk}, b: {name: Oat Milk}}\n";

#[test]
fn the_shipped_cases_hold_under_the_shipped_rules() {
    let mut failed = Vec::new();
    for (file, text) in SHIPPED {
        let cases = read(file, text, &base()).unwrap_or_else(|problems| {
            panic!("{}", problems.iter().map(|p| format!("{p}\n")).collect::<String>())
        });
        for case in cases {
            let verdict = case.run();
            if !verdict.holds() {
                let (faults, list) = (verdict.faults.join("\n  "), verdict.list().join("\n    "));
                failed.push(format!("{file}:{} {}\n  {faults}\n    {list}", case.line, case.name));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn fifty_searches_are_labelled() {
    let queries = SHIPPED.iter().find(|(file, _)| file.ends_with("queries.yaml")).unwrap();
    assert_eq!(read(queries.0, queries.1, &base()).unwrap_or_default().len(), 50);
}

#[test]
fn every_file_of_the_folder_is_shipped_and_names_its_schema() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/cases");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("rules/cases/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    files.sort();
    let mut shipped: Vec<String> = SHIPPED.iter().map(|(file, _)| (*file).to_owned()).collect();
    shipped.sort();
    assert_eq!(files, shipped);
    for (file, text) in SHIPPED {
        let first = text.lines().next();
        let schema = "# yaml-language-server: $schema=../schema/cases.schema.json";
        assert_eq!(first, Some(schema), "{file}");
    }
}

#[test]
fn a_case_that_does_not_hold_tells_what_was_expected_what_came_and_why() {
    let text = format!(
        "{SHOP}cases:\n  - name: Milk first\n    past: [{{did: purchase, product: b, days_ago: 3}}]\n    \
         search: milk\n    hits: [a, b]\n    expect: {{first: a, quantity: {{b: 2}}}}\n"
    );
    let cases = read("cases.yaml", &text, &base()).unwrap_or_default();
    let verdict = cases[0].run();
    assert_eq!(cases[0].line, 3);
    assert_eq!(
        verdict.faults,
        ["expected a first; came b", "expected 2 of b to be suggested; came 1"]
    );
    let list = verdict.list();
    assert!(list[0].starts_with("  1. ▲1   b "), "{list:?}");
    assert!(list[0].contains("own history with it +") && list[0].contains("relevance +"));
    assert!(list[1].starts_with("  2. ▼1   a "), "{list:?}");
}

#[test]
fn each_kind_of_expectation_can_fail() {
    for (expect, told) in [
        ("{order: [a, b]}", "expected a, b; came b, a"),
        ("{last: [b]}", "expected b at the end; came b, a"),
        ("{before: [[a, b]]}", "expected a before b; came b, a"),
        ("{unmoved: true}", "expected the shop's order; came b, a"),
        ("{top: keeps}", "expected the shop's first hit to stay; came b"),
        ("{gone: [a]}", "expected a not to be shown; came it with the rest"),
        (
            "{reason: {b: because}}",
            "expected the reason \"because\" for b; came \"you bought this before\"",
        ),
    ] {
        let text = format!(
            "{SHOP}past: [{{did: purchase, product: b, days_ago: 3, times: 5}}]\ncases:\n  \
             - {{name: x, search: milk, hits: [a, b], expect: {expect}}}\n"
        );
        let cases = read("cases.yaml", &text, &base()).unwrap_or_default();
        assert_eq!(cases[0].run().faults, [told], "{expect}");
    }
}

#[test]
fn a_text_that_cannot_be_used_gives_every_problem_with_its_line() {
    let text = format!(
        "{SHOP}cases:\n  - name: one\n    past: [{{did: buy, product: a}}, {{did: click, product: c}}]\n    \
         search: milk\n    hits: [a, bb]\n    expekt: {{first: a}}\n    expect: {{first: a}}\n"
    );
    let told: Vec<String> = problems(&text).iter().map(Problem::to_string).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("cases.yaml:4:") && told[0].contains("cases[0].past[0].did"));
    assert!(told[1].contains("past[1].product: found \"c\"; expected one of a, b"), "{told:?}");
    assert!(told[2].starts_with("cases.yaml:6:") && told[2].contains("hits[1]"), "{told:?}");
    assert!(told[3].contains("did you mean \"expect\"?"), "{told:?}");
}

#[test]
fn an_edit_of_the_rules_that_is_wrong_is_told_at_its_own_place() {
    let text = format!(
        "{SHOP}cases:\n  - name: one\n    hits: [a, b]\n    expect: {{first: a}}\n    rules:\n      \
         merchandising:\n        - {{id: x, then: {{pin: 1}}, if: {{query: ['']}}}}\n"
    );
    let told = problems(&text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&*told[0].file, told[0].line), ("cases.yaml", 8));
    assert!(told[0].found.contains("\"\""), "{told:?}");
    let text = text.replace("merchandising:", "mercandising:");
    assert!(problems(&text)[0].suggestion.as_deref() == Some("merchandising"));
}

#[test]
fn what_nobody_could_mean_is_refused() {
    for (case, key) in [
        ("{name: x, hits: [a], expect: {}}", "cases[0].expect"),
        ("{name: x, hits: [a, a], expect: {first: a}}", "cases[0].hits[1]"),
        ("{name: x, expect: {first: a}}", "cases[0].hits"),
        ("{name: x, hits: [a], expect: {first: b}}", "cases[0].expect.first[0]"),
        ("{name: x, list: z, expect: {first: b}}", "cases[0].list"),
        ("{name: x, hits: [a], at: noon, expect: {first: a}}", "cases[0].at"),
        ("{name: x, hits: [a], past: [{did: click}], expect: {first: a}}", "cases[0].past[0]"),
        (
            "{name: x, hits: [a], past: [{did: click, product: a, times: 900}], expect: {first: a}}",
            "cases[0].past[0]",
        ),
        ("{hits: [a], expect: {first: a}}", "cases[0].name"),
    ] {
        let told = problems(&format!("{SHOP}cases: [{case}]\n"));
        assert_eq!(told.first().map(|p| p.key.as_str()), Some(key), "{case}: {told:?}");
    }
    assert_eq!(problems("cases: []\n")[0].expected, "1 to 1000");
}

#[test]
fn a_storm_moves_others_where_its_limits_are_taken_away() {
    let (file, text) = SHIPPED.iter().find(|(file, _)| file.ends_with("crowd.yaml")).unwrap();
    let loud = "rules: {ranking: {weights: {prior: 1}, prior: {smoothing: 1}}, \
                crowd: {prior_per_hour_max: 2, session_weight_max: 10000}}\n";
    let text = format!("{text}\n{loud}");
    let cases = read(file, &text, &base()).unwrap_or_default();
    assert!(!cases[0].run().holds(), "{:?}", cases[0].run().list());
}

#[test]
fn the_schema_is_the_one_on_disk() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/schema/cases.schema.json");
    let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("LEAFRANK_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(on_disk == generated, "{}: run again with LEAFRANK_BLESS=1", path.display());
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (file, text) in SHIPPED {
        let mut problems = crate::yaml::Problems::default();
        let tree = crate::yaml::tree::parse(file, text, &mut problems).to_json();
        let errors: Vec<String> = validator.iter_errors(&tree).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
}
