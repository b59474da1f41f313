//! Shapes: every fault of a section in one run, defaults, ranges, suggestions.

use super::super::{read, schema_of, section, tree};
use super::*;
use crate::types::problem::Problem;

section! {
    /// Everything that a schema of ours can hold.
    Everything {
        /// A count.
        #[schemars(range(min = 1, max = 10))]
        count_ms: u64 = 5,
        /// A share.
        #[schemars(range(min = 0.0, max = 1.0))]
        share: Option<f64> = None,
        /// A word.
        mode: crate::config::Mode = crate::config::Mode::Shadow,
        /// Words.
        #[schemars(length(min = 1))]
        words: Vec<String> = vec!["a".into()],
        /// A section.
        inner: Inner = Inner::default(),
        /// A section or nothing.
        maybe: Option<Inner> = None,
        /// Many sections.
        many: Vec<Inner> = Vec::new(),
    }
}

section! {
    /// A section.
    #[schemars(extend("required" = ["name"]))]
    Inner {
        /// A name.
        name: String = String::new(),
        /// A switch.
        flag: bool = true,
    }
}

fn fitted(text: &str) -> (Everything, Vec<Problem>) {
    let mut problems = Problems::default();
    let tree = tree::parse("f", text, &mut problems);
    let value = read(&tree, &schema_of::<Everything>(), &mut problems);
    (value, problems.into_sorted())
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn all_faults_are_found_in_one_run_and_the_rest_is_still_read() {
    let (value, problems) = fitted(
        "count_ms: 300ms\nshare: 1.5\nmode: shadwo\nwords: [x, 7]\n\
         inner: {name: n, flag: 1, flga: true}\nmany: [{name: a}, {flag: false}, 3]\n",
    );
    assert_eq!(
        lines(&problems),
        [
            "f:1:11: count_ms: found text \"300ms\"; \
             expected a whole number of milliseconds from 1 to 10",
            "f:2:8: share: found 1.5; expected a number from 0 to 1, or null",
            "f:3:7: mode: found text \"shadwo\"; expected one of off, shadow, on, annotate \
             — did you mean \"shadow\"?",
            "f:4:12: words[1]: found 7; expected text — did you mean \"'7' in quotes\"?",
            "f:5:24: inner.flag: found 1; expected true or false",
            "f:5:27: inner.flga: unknown key; expected one of flag, name — did you mean \"flag\"?",
            "f:6:19: many[1].name: missing key; expected text",
            "f:6:34: many[2]: found 3; expected a map",
        ]
    );
    assert_eq!((value.count_ms, value.share, value.inner.name.as_str()), (5, None, "n"));
    assert_eq!(value.many.len(), 3);
}

#[test]
fn a_section_whose_lines_are_all_commented_out_has_its_defaults() {
    let (value, problems) = fitted("words:\nshare: null\nmaybe:\nmany:\n");
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(value, Everything::default());
}

#[test]
fn numbers_that_are_not_finite_or_too_large_are_refused() {
    for text in ["share: .nan", "share: .inf", "count_ms: 1e1", "count_ms: 99999999999999999999"] {
        assert_eq!(fitted(text).1.len(), 1, "{text}");
    }
    assert_eq!(fitted("words: []").1[0].expected, "a list, not empty");
    assert_eq!(fitted("[1]").1[0].expected, "a map");
}

#[test]
fn an_endless_list_of_faults_is_cut_short() {
    let text = (0..500).map(|n| format!("k{n}: 1\n")).collect::<String>();
    let problems = fitted(&text).1;
    assert_eq!(problems.len(), super::super::PROBLEMS_MAX + 1);
    assert_eq!(problems.last().unwrap().found, "and 400 more problems");
}
