//! One thing that is wrong in a file, a variable or a flag, said so that it can be put right.
//!
//! Every reader of text (settings, rules, knowledge) collects these and returns all of them at
//! once: place, key, what was found, what was expected, and the nearest word where one is near.

use std::fmt;
use std::sync::Arc;

/// A fault in settings, rules or knowledge, with its place.
///
/// Shown as `file:line:column: key: found; expected … — did you mean "…"?`.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Problem {
    /// The file as the operator named it, or the variable or flag.
    pub file: Arc<str>,
    /// 1-based; 0 where there is no line (a variable, a flag, a file that cannot be read).
    pub line: u32,
    /// 1-based, in characters; 0 where there is none.
    pub column: u32,
    /// Dotted path, e.g. `routes[2].search.hits.id`; empty for the text as a whole.
    pub key: String,
    /// What is wrong there, as a phrase: `unknown key`, `found text "300ms"`.
    pub found: String,
    /// What would be right; empty where `found` says it all.
    pub expected: String,
    /// The word that was probably meant.
    pub suggestion: Option<String>,
}

impl Problem {
    /// A problem with a whole file: it cannot be read, it is too large.
    pub fn with_file(file: &str, found: impl Into<String>) -> Self {
        Self {
            file: Arc::from(file),
            line: 0,
            column: 0,
            key: String::new(),
            found: found.into(),
            expected: String::new(),
            suggestion: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.found)?;
        if !self.expected.is_empty() {
            write!(f, "; expected {}", self.expected)?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, " — did you mean \"{suggestion}\"?")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_one_line_with_place_key_reason_and_suggestion() {
        let problem = Problem {
            file: Arc::from("config/leafrank.yaml"),
            line: 12,
            column: 5,
            key: "upstream.adresses".into(),
            found: "unknown key".into(),
            expected: "one of addresses, tls".into(),
            suggestion: Some("addresses".into()),
        };
        assert_eq!(
            problem.to_string(),
            "config/leafrank.yaml:12:5: upstream.adresses: unknown key; \
             expected one of addresses, tls — did you mean \"addresses\"?"
        );
    }

    #[test]
    fn a_problem_with_a_variable_has_no_line() {
        let mut problem = Problem::with_file("LEAFRANK_HOLDOUT", "found 2");
        problem.key = "holdout".into();
        assert_eq!(problem.to_string(), "LEAFRANK_HOLDOUT: holdout: found 2");
    }
}
