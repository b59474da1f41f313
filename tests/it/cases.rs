//! `leafrank test` as it is typed: the shipped cases, one's own, rules that break them, bad files.

use std::path::Path;
use std::process::{Command, Output};

fn test(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leafrank"));
    let output = command.arg("test").args(arguments).current_dir(folder).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

const CASE: &str = "products: {a: {name: Milk}, b: {name: Oat Milk}}
cases:
  - name: Who bought oat milk finds it first
    past: [{did: purchase, product: b, days_ago: 3}]
    search: milk
    hits: [a, b]
    expect: {first: b}
";

#[test]
fn the_shipped_cases_hold_and_rules_that_take_taste_away_break_them() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told, _) = test(folder.path(), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("✓ A first visit sees the shop's order\n"), "{told}");
    std::fs::write(folder.path().join("off.yaml"), "enabled: false\n").unwrap();
    std::fs::write(folder.path().join("own.yaml"), CASE).unwrap();
    let (code, told, _) = test(folder.path(), &["own.yaml", "--rules", "off.yaml"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("✗ Who bought oat milk finds it first (own.yaml:3)"), "{told}");
    assert!(told.contains("expected b first; came a") && told.contains("0 of 1 cases hold"));
}

#[test]
fn files_that_cannot_be_used_have_an_exit_code_each() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("own.yaml", CASE);
    write("bad.yaml", &CASE.replace("first: b", "frist: b"));
    write("rules.yaml", "ranking: {impcat: 3}\n");
    let (code, _, told) = test(folder.path(), &["bad.yaml"]);
    assert_eq!(code, Some(65), "{told}");
    assert!(told.contains("bad.yaml:7:") && told.contains("did you mean \"first\"?"), "{told}");
    let (code, _, told) = test(folder.path(), &["own.yaml", "--rules", "rules.yaml"]);
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("rules.yaml:1:") && told.contains("did you mean \"impact\"?"), "{told}");
    assert_eq!(test(folder.path(), &["none.yaml"]).0, Some(66));
    assert_eq!(test(folder.path(), &["own.yaml"]).0, Some(0));
}
