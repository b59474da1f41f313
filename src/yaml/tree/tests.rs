//! Trees: places of nodes and keys, scalars as YAML 1.2 reads them, refusals.

use super::super::Problems;
use super::*;
use crate::types::problem::Problem;

fn read(text: &str) -> (Node, Vec<Problem>) {
    let mut problems = Problems::default();
    let tree = parse("f.yaml", text, &mut problems);
    (tree, problems.into_sorted())
}

fn only(text: &str) -> Problem {
    let (_, mut problems) = read(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn every_node_and_key_knows_its_line_and_column() {
    let (tree, problems) = read("a:\n  b: [1, two]\n  c: {d: 'x'}\n");
    assert!(problems.is_empty());
    let place = |path: &Path| {
        let place = &tree.at(path).unwrap().place;
        (place.line, place.column)
    };
    assert_eq!(place(&Path::of("a.b").item(1)), (2, 10));
    assert_eq!(place(&Path::of("a.c.d")), (3, 10));
    assert_eq!(tree.nearest_place(&Path::of("a.b.nope")).line, 2);
    let (tree, _) = read("ä: {ö: 1}");
    assert_eq!(tree.at(&Path::of("ä.ö")).unwrap().place.column, 8);
}

#[test]
fn unquoted_words_are_what_yaml_1_2_says() {
    for (text, value) in [
        ("", Value::Null),
        ("~", Value::Null),
        ("on", Value::Text("on".into())),
        ("no", Value::Text("no".into())),
        ("TRUE", Value::Bool(true)),
        ("-12", Value::Integer(-12)),
        ("+7", Value::Integer(7)),
        ("0x1F", Value::Integer(31)),
        ("0o17", Value::Integer(15)),
        ("1e3", Value::Float(1000.0)),
        (".5", Value::Float(0.5)),
        ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ("inf", Value::Text("inf".into())),
        ("0x", Value::Text("0x".into())),
        ("0x-1", Value::Text("0x-1".into())),
        ("1.2.3", Value::Text("1.2.3".into())),
        ("300ms", Value::Text("300ms".into())),
        ("2026-12-01T00:00:00Z", Value::Text("2026-12-01T00:00:00Z".into())),
    ] {
        assert_eq!(plain(text), value, "{text}");
    }
    assert_eq!(read("a: '12'").0.at(&Path::of("a")).unwrap().value, Value::Text("12".into()));
}

#[test]
fn a_key_that_comes_twice_is_refused_where_it_comes_the_second_time() {
    let problem = only("x:\n  a: 1\n  b: 2\n  a: 3\n");
    assert_eq!((problem.line, problem.column, problem.key.as_str()), (4, 3, "x.a"));
    assert_eq!(problem.found, "duplicate key, first on line 2");
}

#[test]
fn anchors_aliases_tags_strange_keys_and_second_documents_are_refused() {
    for (text, found, line) in [
        ("a: &x 1\n", "an anchor", 1),
        ("a: !!str 1\n", "a YAML tag", 1),
        ("a: 1\n---\nb: 2\n", "a second document", 2),
        ("? [a, b]\n: 1\n", "a key that is no text", 1),
    ] {
        let problem = only(text);
        assert_eq!((problem.found.as_str(), problem.line), (found, line), "{text}");
    }
    let (_, problems) = read("a: &x [1]\nb: *x\nc: *x\n");
    let found: Vec<&str> = problems.iter().map(|problem| problem.found.as_str()).collect();
    assert_eq!(found, ["an anchor", "an alias", "an alias"]);
}

#[test]
fn a_syntax_error_says_where() {
    let problem = only("a:\n  b: [1, 2\nc: 3\n");
    assert!(problem.found.starts_with("not valid YAML"), "{problem}");
    assert!(problem.line >= 2);
}

#[test]
fn deep_nesting_and_large_texts_are_refused() {
    let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
    assert_eq!(only(&deep).found, "nested too deeply");
    assert!(read(&("[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX))).1.is_empty());
    assert!(only(&" ".repeat(TEXT_BYTES_MAX + 1)).found.ends_with("bytes"));
}

#[test]
fn any_bytes_give_a_tree_or_problems_and_never_a_panic() {
    bolero::check!().with_iterations(3_000).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let (tree, _) = read(&text);
        let _ = tree.to_json();
    });
}
