//! One value of a text written anew, and nothing else: comments, layout and order stay.
//!
//! In: a text, a path of keys, a scalar as YAML writes it. Out: the text with that value there; a key
//! that is not written yet is written where it belongs. The result is read again: where it says
//! anything else than before at any other key, nothing is given. [`unified`] shows two texts as a
//! unified diff.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::edits::edits;
use super::{Node, Path, Place, Problems, Value, tree};

/// Lines of a text above which the parts that differ are shown whole.
const COMPARED_MAX: usize = 4_000_000;

/// Lines around a difference.
const CONTEXT: usize = 3;

/// The text with `value` at the path of `keys`; `None` where that cannot be written.
pub fn set(text: &str, keys: &[&str], value: &str) -> Option<String> {
    let before = read(text)?;
    let mut above = None;
    let mut node = &before;
    let mut depth = 0;
    while let Some(key) = keys.get(depth) {
        let Value::Map(entries) = &node.value else { break };
        let Some(entry) = entries.iter().find(|entry| entry.key == *key) else { break };
        (above, node, depth) = (Some(&entry.place), &entry.node, depth + 1);
    }
    let written = match keys.get(depth..)? {
        [] => replaced(text, node, above?, value)?,
        missing => inserted(text, node, above, (missing, value))?,
    };
    let after = read(&written)?;
    let path = keys.iter().fold(Path::default(), |path, key| path.key(key));
    let said = after.at(&path)?.to_json();
    let wanted = read(value)?.to_json();
    let differ = edits(&before, &after, &Json::Null);
    let alone = differ.iter().all(|edit| edit.key == path.to_string());
    (alone && said == wanted).then_some(written)
}

fn read(text: &str) -> Option<Node> {
    let mut problems = Problems::default();
    let node = tree::parse("", text, &mut problems);
    problems.is_empty().then_some(node)
}

/// Where a place is, in bytes.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let before: usize =
        text.split_inclusive('\n').take(line.checked_sub(1)? as usize).map(str::len).sum();
    let rest = text.get(before..)?;
    let skipped: usize =
        rest.chars().take(column.checked_sub(1)? as usize).map(char::len_utf8).sum();
    Some(before + skipped)
}

fn replaced(text: &str, node: &Node, key: &Place, value: &str) -> Option<String> {
    if matches!(node.value, Value::Map(_) | Value::List(_)) {
        return None;
    }
    let start = offset(text, node.place.line, node.place.column)?;
    let token = |c: char| !c.is_whitespace() && !matches!(c, ',' | '}' | ']' | '#');
    let rest = text.get(start..)?;
    let length = rest.find(|c| !token(c)).unwrap_or(rest.len());
    if length > 0 {
        return Some([text.get(..start)?, value, text.get(start + length..)?].concat());
    }
    // a key with nothing behind it
    let key = offset(text, key.line, key.column)?;
    let colon = key + text.get(key..)?.find(':')? + 1;
    Some([text.get(..colon)?, " ", value, text.get(colon..)?].concat())
}

/// A key that is not written, below the section that is.
fn inserted(
    text: &str,
    section: &Node,
    above: Option<&Place>,
    (missing, value): (&[&str], &str),
) -> Option<String> {
    let start = offset(text, section.place.line, section.place.column).unwrap_or(0);
    let is_flow = text.get(start..)?.starts_with('{') && above.is_some();
    if is_flow {
        let open = start + 1;
        let opened = missing.split_last()?.1.iter().fold(String::new(), |mut all, key| {
            let _ = write!(all, "{key}: {{");
            all
        });
        let last = missing.last()?;
        let closed = "}".repeat(missing.len() - 1);
        let more = matches!(&section.value, Value::Map(entries) if !entries.is_empty());
        let comma = if more { ", " } else { "" };
        let inner = format!("{opened}{last}: {value}{closed}{comma}");
        return Some([text.get(..open)?, &inner, text.get(open..)?].concat());
    }
    let first = match &section.value {
        Value::Map(entries) => entries.first().map(|entry| entry.place.column),
        Value::Null => None,
        _ => return None,
    };
    let key_column = above.map_or(1, |place| place.column + 2);
    let indent = first.unwrap_or(key_column).saturating_sub(1) as usize;
    let mut lines = String::new();
    for (depth, key) in missing.iter().enumerate() {
        let _ = write!(lines, "{}{key}:", " ".repeat(indent + 2 * depth));
        match depth + 1 == missing.len() {
            true => writeln!(lines, " {value}").ok()?,
            false => lines.push('\n'),
        }
    }
    let at = match above {
        Some(place) => offset(text, place.line + 1, 1)?,
        None => text.len(),
    };
    let (head, tail) = (text.get(..at)?, text.get(at..)?);
    let gap = if head.is_empty() || head.ends_with('\n') { "" } else { "\n" };
    Some([head, gap, &lines, tail].concat())
}

/// What differs between two texts, as `diff -u` tells it; empty where nothing does.
pub fn unified(file: &str, was: &str, is: &str) -> String {
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    let steps = steps(&was, &is);
    let changed: Vec<usize> =
        (0..steps.len()).filter(|at| !matches!(steps[*at], Step::Same(..))).collect();
    let Some(first) = changed.first() else { return String::new() };
    let mut out = format!("--- {file}\n+++ {file}\n");
    let mut hunk = (*first, *first);
    for at in changed.iter().skip(1) {
        if *at <= hunk.1 + 2 * CONTEXT {
            hunk.1 = *at;
        } else {
            tell(&mut out, &steps, hunk, [&was, &is]);
            hunk = (*at, *at);
        }
    }
    tell(&mut out, &steps, hunk, [&was, &is]);
    out
}

/// One line of a comparison; what is taken out knows how many lines of the other text are before it.
#[derive(Clone, Copy)]
enum Step {
    Same(usize, usize),
    Out(usize, usize),
    In(usize, usize),
}

fn steps(was: &[&str], is: &[&str]) -> Vec<Step> {
    let head = was.iter().zip(is).take_while(|(a, b)| a == b).count();
    let (rest, other) = (&was[head..], &is[head..]);
    let tail = rest.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    let (rest, other) = (&rest[..rest.len() - tail], &other[..other.len() - tail]);
    let mut steps: Vec<Step> = (0..head).map(|line| Step::Same(line, line)).collect();
    let (mut a, mut b) = (0, 0);
    if rest.len().saturating_mul(other.len()) <= COMPARED_MAX {
        let width = other.len() + 1;
        let mut longest = vec![0_u32; (rest.len() + 1) * width];
        for i in (0..rest.len()).rev() {
            for j in (0..other.len()).rev() {
                longest[i * width + j] = match rest[i] == other[j] {
                    true => longest[(i + 1) * width + j + 1] + 1,
                    false => longest[(i + 1) * width + j].max(longest[i * width + j + 1]),
                };
            }
        }
        while a < rest.len() && b < other.len() {
            if rest[a] == other[b] {
                steps.push(Step::Same(head + a, head + b));
                (a, b) = (a + 1, b + 1);
            } else if longest[(a + 1) * width + b] >= longest[a * width + b + 1] {
                steps.push(Step::Out(head + a, head + b));
                a += 1;
            } else {
                steps.push(Step::In(head + a, head + b));
                b += 1;
            }
        }
    }
    steps.extend((a..rest.len()).map(|a| Step::Out(head + a, head + b)));
    steps.extend((b..other.len()).map(|b| Step::In(head + rest.len(), head + b)));
    let ends = (head + rest.len(), head + other.len());
    steps.extend((0..tail).map(|line| Step::Same(ends.0 + line, ends.1 + line)));
    steps
}

fn tell(out: &mut String, steps: &[Step], hunk: (usize, usize), [was, is]: [&[&str]; 2]) {
    let from = hunk.0.saturating_sub(CONTEXT);
    let shown = &steps[from..steps.len().min(hunk.1 + CONTEXT + 1)];
    let (Some(Step::Same(a, b) | Step::Out(a, b) | Step::In(a, b)), counts) = (
        shown.first(),
        shown.iter().fold((0, 0), |(old, new), step| match step {
            Step::Same(..) => (old + 1, new + 1),
            Step::Out(..) => (old + 1, new),
            Step::In(..) => (old, new + 1),
        }),
    ) else {
        return;
    };
    // an empty side is named by the line before it
    let line = |start: usize, count: usize| if count == 0 { start } else { start + 1 };
    let (old, new) = (line(*a, counts.0), line(*b, counts.1));
    let _ = writeln!(out, "@@ -{old},{} +{new},{} @@", counts.0, counts.1);
    for step in shown {
        let _ = match step {
            Step::Same(line, _) => writeln!(out, " {}", was[*line]),
            Step::Out(line, _) => writeln!(out, "-{}", was[*line]),
            Step::In(_, line) => writeln!(out, "+{}", is[*line]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_where_it_stands_and_comments_stay() {
        let text = "# head\nranking:\n  weights:\n    item: 0.7      # own history\n    price: 0\n";
        let keys = ["ranking", "weights", "item"];
        let written = set(text, &keys, "1.4").unwrap();
        assert_eq!(written, text.replace("item: 0.7 ", "item: 1.4 "));
        let flow = "ranking: {weights: {item: 0.7, price: 0}, repeat_slots: null}\n";
        assert_eq!(set(flow, &keys, "2").unwrap(), flow.replace("0.7", "2"));
        let slots = set(flow, &["ranking", "repeat_slots"], "3").unwrap();
        assert_eq!(slots, flow.replace("null", "3"));
        assert_eq!(
            set("ranking:\n  impact:\n", &["ranking", "impact"], "5").unwrap(),
            "ranking:\n  impact: 5\n"
        );
    }

    #[test]
    fn a_key_that_is_not_written_is_written_where_it_belongs() {
        let keys = ["ranking", "weights", "item"];
        assert_eq!(set("", &keys, "1").unwrap(), "ranking:\n  weights:\n    item: 1\n");
        assert_eq!(
            set("ranking:\n    # far in\n    impact: 9\nenabled: true\n", &keys, "1").unwrap(),
            "ranking:\n    weights:\n      item: 1\n    # far in\n    impact: 9\nenabled: true\n"
        );
        assert_eq!(
            set("enabled: true # on", &keys, "1").unwrap(),
            "enabled: true # on\nranking:\n  weights:\n    item: 1\n"
        );
        assert_eq!(
            set("ranking: {impact: 9}\n", &keys, "1").unwrap(),
            "ranking: {weights: {item: 1}, impact: 9}\n"
        );
        assert_eq!(
            set("ranking: {}\n", &["ranking", "impact"], "1").unwrap(),
            "ranking: {impact: 1}\n"
        );
    }

    #[test]
    fn what_cannot_be_written_alone_is_not_written() {
        assert_eq!(set("ranking: 5\n", &["ranking", "impact"], "1"), None);
        assert_eq!(set("ranking: {impact: 5}\n", &["ranking"], "1"), None);
        assert_eq!(set("ranking: [\n", &["ranking", "impact"], "1"), None);
    }

    #[test]
    fn the_shipped_rules_take_every_number_and_nothing_else_moves() {
        let text = include_str!("../../config/personalization_rules.yaml");
        for keys in [&["ranking", "discovery"][..], &["half_life", "item_fast_days"]] {
            let written = set(text, keys, "0.25").unwrap();
            let differ = text.lines().zip(written.lines()).filter(|(a, b)| a != b).count();
            assert_eq!((differ, text.lines().count()), (1, written.lines().count()));
        }
    }

    #[test]
    fn a_diff_shows_what_differs_with_three_lines_around_it() {
        let was: String = (1..=20).map(|line| format!("line {line}\n")).collect();
        assert_eq!(unified("f", &was, &was), "");
        let is = was.replace("line 10\n", "line ten\n").replace("line 2\n", "line 2\nmore\n");
        let told = unified("rules.yaml", &was, &is);
        let wanted = "--- rules.yaml\n+++ rules.yaml\n@@ -1,5 +1,6 @@\n line 1\n line 2\n+more\n line 3\n line 4\n line 5\n@@ -7,7 +8,7 @@\n line 7\n line 8\n line 9\n-line 10\n+line ten\n line 11\n line 12\n line 13\n";
        assert_eq!(told, wanted);
        assert_eq!(unified("f", "", "a\n"), "--- f\n+++ f\n@@ -0,0 +1,1 @@\n+a\n");
    }
}
