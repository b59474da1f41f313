//! What we know about groceries: tables under `rules/knowledge`, compiled for matching.

/// The knowledge tables, compiled.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {}
