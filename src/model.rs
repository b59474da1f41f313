//! Floor 1: placeholder until the envelope is here.
pub mod trees;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As a phrase.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Refused {
    /// Found one thing, expected another.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }
}

fn shown(word: &str) -> String {
    word.chars().take(40).flat_map(char::escape_debug).collect()
}
