//! Floor 6: executable cases, which a shop owner can read.
//!
//! In: YAML texts (`rules/cases/*.yaml`), the rules to try. Out: cases, each a shopper's past, a search,
//! the shop's hits and what is expected of their order; and of each a verdict, with the list that came
//! and the parts of its scores. A case is told as a short log and goes through the replay's walk, so
//! that it runs the code of live traffic on a clock that the case sets.
//!
//! A text that cannot be used gives every problem at once, with file, line and key. No files here.

mod judge;
mod read;
mod written;

pub use judge::Verdict;
pub use read::{Base, Case, read};
pub use written::schema;

/// The cases that come with the program: `(path, text)`.
pub const SHIPPED: [(&str, &str); 6] = [
    ("rules/cases/scenarios.yaml", include_str!("../rules/cases/scenarios.yaml")),
    ("rules/cases/shoppers.yaml", include_str!("../rules/cases/shoppers.yaml")),
    ("rules/cases/diets.yaml", include_str!("../rules/cases/diets.yaml")),
    ("rules/cases/merchandising.yaml", include_str!("../rules/cases/merchandising.yaml")),
    ("rules/cases/crowd.yaml", include_str!("../rules/cases/crowd.yaml")),
    ("rules/cases/queries.yaml", include_str!("../rules/cases/queries.yaml")),
];

#[cfg(test)]
mod tests;
