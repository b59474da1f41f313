//! Floor 1: YAML text → typed values, with every problem at once.
//!
//! ```text
//! text ─ tree::parse ─► Node (each with line and column) ─ shape::fit ─► repaired Node ─► Raw
//! ```
//!
//! `tree` knows YAML and nothing of meaning; `shape` compares the tree with the JSON schema that
//! `schemars` derives from the raw type, so that editor completion, validation and defaults have
//! one source; [`read`] then deserialises what is left. Later checks ask the tree for places. The
//! first problem of a key silences its followers and those
//! below it. Limits: [`TEXT_BYTES_MAX`],
//! [`tree::DEPTH_MAX`], [`PROBLEMS_MAX`]. No I/O, and no input panics.

pub mod edits;
pub mod rewrite;
pub mod shape;
pub mod tree;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::types::problem::Problem;
pub use tree::{Node, Value};

/// Larger texts are refused: a Kubernetes ConfigMap holds no more either.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// Problems kept of one text; nobody reads more in one go.
pub const PROBLEMS_MAX: usize = 100;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File, variable or flag.
    pub file: Arc<str>,
    /// 1-based; 0 outside files.
    pub line: u32,
    /// 1-based; 0 outside files.
    pub column: u32,
}

impl Place {
    /// The place of something that has no lines: a variable, a flag, a whole file.
    pub fn whole(file: &str) -> Self {
        Self { file: Arc::from(file), line: 0, column: 0 }
    }
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// A 0-based position in a list.
    Item(usize),
}

/// The way to a value: `routes[2].search.hits.id`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// A path of keys, written with dots.
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// This path and then `key`.
    pub fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Key(key.to_owned()));
        path
    }

    /// This path and then the element at `position`.
    pub fn item(&self, position: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Item(position));
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(position) => write!(f, "[{position}]")?,
                Step::Key(key) if number == 0 => f.write_str(&printable(key))?,
                Step::Key(key) => write!(f, ".{}", printable(key))?,
            }
        }
        Ok(())
    }
}

/// At most 64 characters of foreign text without control characters.
pub fn printable(text: &str) -> String {
    let mut out: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().nth(64).is_some() {
        out.push('…');
    }
    out
}

/// What is wrong at a place, before the place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    found: String,
    expected: String,
    suggestion: Option<String>,
}

impl Fault {
    /// What was found, and what would be right.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into(), suggestion: None }
    }

    /// A word that is none of `words`; the nearest one is suggested.
    pub fn not_one_of(found: String, word: &str, words: &[&str]) -> Self {
        let expected = if words.is_empty() {
            "nothing here".to_owned()
        } else {
            format!("one of {}", words.join(", "))
        };
        Self { found, expected, suggestion: nearest(word, words).map(str::to_owned) }
    }

    /// The same with a suggestion.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }
}

/// The word of `words` that is most like `word`, if any is like it at all.
pub fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    // Likeness is O(length²), and a word of a hundred letters was not mistyped from one of ours.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    words
        .iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Problems as they are found, at most [`PROBLEMS_MAX`] and one a key.
#[derive(Debug, Default)]
pub struct Problems {
    /// Each with the path whose further faults it silences; an empty one silences nothing.
    list: Vec<(Path, Problem)>,
    more: usize,
}

impl Problems {
    /// Notes a fault, unless the key or what holds it already has one.
    pub fn report(&mut self, place: &Place, key: &Path, fault: Fault) {
        let known = self.list.iter().any(|(path, problem)| {
            problem.file == place.file && !path.0.is_empty() && key.0.starts_with(&path.0)
        });
        if !known {
            self.push(place, key, fault);
        }
    }

    /// Notes that `key` comes twice; neither value is silenced by it.
    pub fn report_duplicate(&mut self, place: &Place, key: &Path, first_line: u32) {
        let fault = Fault::new(format!("duplicate key, first on line {first_line}"), "it once");
        self.push(place, key, fault);
        if let Some((silences, _)) = self.list.last_mut() {
            *silences = Path::default();
        }
    }

    /// Whether something is wrong with `key` or below it.
    pub fn concern(&self, key: &Path) -> bool {
        self.list.iter().any(|(path, _)| path.0.starts_with(&key.0))
    }

    fn push(&mut self, place: &Place, key: &Path, fault: Fault) {
        if self.list.len() >= PROBLEMS_MAX {
            self.more += 1;
            return;
        }
        let problem = Problem {
            file: Arc::clone(&place.file),
            line: place.line,
            column: place.column,
            key: key.to_string(),
            found: fault.found,
            expected: fault.expected,
            suggestion: fault.suggestion,
        };
        self.list.push((key.clone(), problem));
    }

    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All problems, by line; those of variables and flags last.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.list.into_iter().map(|(_, problem)| problem).collect();
        problems.sort_by_key(|problem| (problem.line == 0, problem.line, problem.column));
        if self.more > 0 {
            let file = problems.first().map_or("", |problem| &problem.file).to_owned();
            problems.push(Problem::with_file(&file, format!("and {} more problems", self.more)));
        }
        problems
    }
}

/// A tree and the list to which what is wrong in it is added.
#[derive(Debug)]
pub struct Check<'t> {
    /// The text as it stands, for places.
    pub tree: &'t Node,
    /// What was found so far.
    pub problems: &'t mut Problems,
}

impl Check<'_> {
    /// Notes a fault at `key`, or at the nearest thing above it that is written down.
    pub fn fault(&mut self, key: &Path, fault: Fault) {
        self.problems.report(self.tree.nearest_place(key), key, fault);
    }

    /// `result`'s value; its error becomes a fault at `key`.
    pub fn take<T>(&mut self, key: &Path, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.fault(key, fault)).ok()
    }
}

/// Fits `tree` to the schema of `T` and gives the typed value of what fits; whatever does not is
/// reported and replaced by its default.
pub fn read<T>(tree: &Node, schema: &serde_json::Value, problems: &mut Problems) -> T
where
    T: DeserializeOwned + Default,
{
    let mut fitted = tree.clone();
    shape::fit(&mut fitted, schema, problems);
    serde_json::from_value(fitted.to_json()).unwrap_or_else(|error| {
        // Reached only where the schema is wider than the type; then it still must not pass.
        problems.report(&tree.place, &Path::default(), Fault::new(error.to_string(), ""));
        T::default()
    })
}

/// Declares one section of a YAML file: for each key its documentation, limits, type and default.
/// Documentation becomes the schema's description, so editors show it.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)*
    }) => {
        #[derive(
            Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        $(#[$meta])*
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$field_meta])* pub(crate) $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}
pub(crate) use section;

/// The JSON Schema (draft 2020-12) of `T` without references, for [`read`] and for editors.
pub fn schema_of<T: schemars::JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
