//! What an edit changes: two trees, key by key.
//!
//! In: a tree before, a tree after, what holds where nothing is written. Out: each key whose value
//! differs, with both values and their lines, in the order of the later file. Items of a list that
//! have an `id` are told apart by it and not by their place. Layout, comments, and a default that is
//! written out or left out change nothing. `O(keys · log keys)`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{Node, Path, Value, printable};

/// A value where it is written, or where it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The value in words; `None`: nothing is written, and there is no default.
    pub text: Option<String>,
    /// Its line; `None`: it is the default.
    pub line: Option<u32>,
}

/// A key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// `ranking.impact`, `merchandising[own-bread-first].then.pin`.
    pub key: String,
    /// Before.
    pub was: Side,
    /// After.
    pub is: Side,
}

/// Every key whose value differs. `defaults` is what an empty text means.
pub fn edits(was: &Node, is: &Node, defaults: &Json) -> Vec<Edit> {
    let (was, is) = (Leaves::of(was), Leaves::of(is));
    let mut known = BTreeMap::new();
    json_leaves(defaults, &Path::default(), &mut known);
    let mut seen = BTreeSet::new();
    let keys = is.order.iter().chain(&was.order).filter(|key| seen.insert(key.as_str()));
    let edit = |key: &String| {
        let (was, is) = (was.side(key, &known), is.side(key, &known));
        (was.text != is.text).then(|| {
            let told = |side: Side| Side { text: side.text.as_deref().map(printable), ..side };
            Edit { key: key.clone(), was: told(was), is: told(is) }
        })
    };
    keys.filter_map(edit).collect()
}

/// The values of a tree that are no maps, by key.
#[derive(Default)]
struct Leaves {
    order: Vec<String>,
    values: BTreeMap<String, (String, u32)>,
}

impl Leaves {
    fn of(tree: &Node) -> Self {
        let mut leaves = Self::default();
        leaves.walk(tree, &Path::default());
        leaves
    }

    fn side(&self, key: &str, defaults: &BTreeMap<String, String>) -> Side {
        match self.values.get(key) {
            Some((text, line)) => Side { text: Some(text.clone()), line: Some(*line) },
            None => Side { text: defaults.get(key).cloned(), line: None },
        }
    }

    /// The reader refuses trees deeper than [`super::tree::DEPTH_MAX`].
    fn walk(&mut self, node: &Node, path: &Path) {
        match &node.value {
            Value::Map(entries) => {
                entries.iter().for_each(|entry| self.walk(&entry.node, &path.key(&entry.key)));
            }
            Value::List(items) if items.iter().any(|item| id_of(item).is_some()) => {
                let ids: Vec<&str> = items.iter().filter_map(id_of).collect();
                for (place, item) in items.iter().enumerate() {
                    match id_of(item) {
                        Some(id) => self.walk(item, &named(path, id)),
                        None => self.walk(item, &path.item(place)),
                    }
                }
                self.put(format!("{path} (order)"), ids.join(", "), node);
            }
            Value::Null if path.0.is_empty() => {}
            _ => self.put(path.to_string(), text_of(&node.to_json()), node),
        }
    }

    fn put(&mut self, key: String, text: String, node: &Node) {
        self.order.push(key.clone());
        self.values.insert(key, (text, node.place.line));
    }
}

fn id_of(item: &Node) -> Option<&str> {
    match &item.at(&Path::of("id"))?.value {
        Value::Text(id) => Some(id),
        _ => None,
    }
}

/// The path of the item with this id: `merchandising[own-bread-first]`.
fn named(path: &Path, id: &str) -> Path {
    let mut path = path.clone();
    match path.0.pop() {
        Some(super::Step::Key(list)) => path.key(&format!("{list}[{id}]")),
        _ => path.key(id),
    }
}

fn json_leaves(value: &Json, path: &Path, into: &mut BTreeMap<String, String>) {
    match value {
        Json::Object(members) => {
            members.iter().for_each(|(key, value)| json_leaves(value, &path.key(key), into));
        }
        _ => {
            into.insert(path.to_string(), text_of(value));
        }
    }
}

/// A value as people write it; 60 and 60.0 are one number.
fn text_of(value: &Json) -> String {
    match value {
        Json::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |n| n.to_string())
        }
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(text_of).collect();
            format!("[{}]", items.join(", "))
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::{Problems, tree};

    /// Each edit as one line.
    fn told(was: &str, is: &str) -> Vec<String> {
        let read = |text| tree::parse("f", text, &mut Problems::default());
        let defaults = json!({"enabled": true, "ranking": {"impact": 60.0}, "merchandising": []});
        let side = |side: Side| {
            let line = side.line.map_or("default".to_owned(), |line| line.to_string());
            format!("{} ({line})", side.text.unwrap_or("-".to_owned()))
        };
        let edits = edits(&read(was), &read(is), &defaults).into_iter();
        edits.map(|edit| format!("{}: {} → {}", edit.key, side(edit.was), side(edit.is))).collect()
    }

    #[test]
    fn a_value_that_differs_is_told_with_both_lines() {
        let edits = told("ranking:\n  impact: 60\n", "# new\nranking: {impact: 80}\n");
        assert_eq!(edits, ["ranking.impact: 60 (2) → 80 (2)"]);
    }

    #[test]
    fn layout_comments_and_a_default_that_is_written_out_change_nothing() {
        assert!(told("", "enabled: true # on\nranking: {impact: 60.0}\n").is_empty());
        assert_eq!(told("enabled: false", ""), ["enabled: false (1) → true (default)"]);
    }

    #[test]
    fn rules_are_told_apart_by_their_ids_and_their_order_counts() {
        let a = "  - {id: a, then: {pin: 1}}\n";
        let b = "  - {id: b, then: {boost: 0.2}}\n";
        let file = |rules: &[&str]| format!("merchandising:\n{}", rules.concat());
        let added = told(&file(&[a]), &file(&[b, a]));
        assert_eq!(
            added,
            [
                "merchandising[b].id: - (default) → b (2)",
                "merchandising[b].then.boost: - (default) → 0.2 (2)",
                "merchandising (order): a (2) → b, a (2)",
            ]
        );
        let turned = told(&file(&[a, b]), &file(&[b, a]));
        assert_eq!(turned, ["merchandising (order): a, b (2) → b, a (2)"]);
    }

    #[test]
    fn a_value_too_long_to_read_is_compared_whole_and_told_short() {
        let long = "x".repeat(100);
        assert!(told(&format!("a: {long}"), &format!("a: {long}")).is_empty());
        let edits = told(&format!("a: {long}1"), &format!("a: {long}2"));
        assert!(edits.len() == 1 && edits[0].len() < 200, "{edits:?}");
    }
}
