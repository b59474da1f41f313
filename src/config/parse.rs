//! The way from text to [`Settings`]: file, variables and flags in, everything checked out.
//!
//! ```text
//! text ─► tree ─ overlay ─► tree ─ yaml::read ─► RawSettings ─ build ─► Settings
//! ```
//!
//! Every step adds to one list of problems; settings are given only when it is empty. Nothing is
//! read from the system here: the caller hands in text and variables.

use std::collections::BTreeMap;

use super::raw::RawSettings;
use super::{Effective, Origin, Settings, build, build_weaviate, overlay};
use crate::types::problem::Problem;
use crate::yaml::{self, Node, Path, Problems, shape, tree};

/// What settings are made of.
#[derive(Clone, Copy, Debug)]
pub struct SettingsText<'a> {
    /// The file's path as the operator named it; `None`: there is no file. Paths in the file start
    /// from its directory.
    pub file: Option<&'a str>,
    /// The file's text; empty: every key has its default.
    pub text: &'a str,
    /// Variables of the process; those that begin with `LEAFRANK_` count, and [`super::WEAVIATE_URL`].
    pub environment: &'a BTreeMap<String, String>,
    /// Keys and values of flags: `("limits.hold_ms", "200")`.
    pub flags: &'a [(String, String)],
}

impl Settings {
    /// Reads settings; defaults < file < variables < flags.
    ///
    /// # Errors
    /// Every problem, in file order, those of variables and flags last.
    pub fn parse(text: &SettingsText<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let schema = schema();
        let mut tree = tree::parse(text.file.unwrap_or("settings"), text.text, &mut problems);
        let written = tree.clone();
        let overlaid = overlay::apply(&mut tree, &schema, text, &mut problems);
        let mut raw: RawSettings = yaml::read(&tree, &schema, &mut problems);
        build_weaviate::add_preset(&mut raw, &tree);
        let effective = effective(&raw, &schema, &written, &overlaid);
        let mut settings = build::settings(&raw, text.file, &tree, &mut problems);
        settings.effective = effective;
        let path_origin = settings.effective.iter().find(|e| e.key == "rules.path");
        if path_origin.is_none_or(|effective| effective.origin == Origin::Default) {
            settings.rules.may_be_missing = true;
            if text.file.is_none() {
                settings.rules.path = None;
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems.into_sorted()) }
    }

    /// Settings without a file, for one shop at `url`: defaults, shipped rules, shadow mode.
    ///
    /// # Errors
    /// Problems with the URL, the variables or the flags.
    pub fn for_upstream(
        url: &str,
        environment: &BTreeMap<String, String>,
        flags: &[(String, String)],
    ) -> Result<Self, Vec<Problem>> {
        let mut all = vec![("upstream.addresses".to_owned(), url.to_owned())];
        all.extend_from_slice(flags);
        Self::parse(&SettingsText { file: None, text: "", environment, flags: &all })
    }
}

/// The JSON Schema of the settings file (draft 2020-12).
pub fn schema() -> serde_json::Value {
    yaml::schema_of::<RawSettings>()
}

/// Every key with the value in force and who set it, in alphabetical order.
fn effective(
    raw: &RawSettings,
    schema: &serde_json::Value,
    written: &Node,
    overlaid: &BTreeMap<String, Origin>,
) -> Vec<Effective> {
    let values = serde_json::to_value(raw).unwrap_or_default();
    let one = |key: String| {
        let pointer = format!("/{}", key.replace('.', "/"));
        let inside = format!("{key}.");
        let above = overlaid.iter().filter(|(set, _)| **set == key || set.starts_with(&inside));
        let origin = match above.map(|(_, origin)| *origin).max() {
            Some(origin) => origin,
            None if written.at(&Path::of(&key)).is_some() => Origin::File,
            None => Origin::Default,
        };
        Effective { value: values.pointer(&pointer).cloned().unwrap_or_default(), key, origin }
    };
    shape::keys(schema).into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
