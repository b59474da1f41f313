//! The knowledge tables as text: what may stand in them, and every fault with its place.
//!
//! In: the text of `attributes.yaml`, `query_terms.yaml` or `sensitive.yaml`. Out: validated entries in file order,
//! or all problems (unknown and repeated keys, unknown attributes, order of `unless` and
//! `implies`, empty phrases). Never compiles: `matcher` does. Limits: [`ATTRIBUTES_MAX`] attributes.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::types::problem::Problem;

/// Most attributes a table may have: one bit each in a 64-bit set.
pub(super) const ATTRIBUTES_MAX: usize = 64;

type Phrases = Vec<Spanned<String>>;

/// One attribute of `attributes.yaml`; the keys are explained at the top of that file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Attribute {
    pub(super) certain: Phrases,
    pub(super) any: Phrases,
    pub(super) first: Phrases,
    pub(super) then: Phrases,
    pub(super) not_phrases: Phrases,
    pub(super) not_words: Phrases,
    pub(super) categories: Phrases,
    pub(super) unless: Phrases,
    pub(super) implies: Phrases,
    pub(super) size: bool,
}

/// One attribute of `query_terms.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QueryTerm {
    pub(super) any: Phrases,
    pub(super) not_phrases: Phrases,
}

/// One topic of `sensitive.yaml`; the keys are explained at the top of that file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Topic {
    pub(super) attributes: Phrases,
    pub(super) any: Phrases,
    pub(super) not_phrases: Phrases,
    pub(super) not_words: Phrases,
    pub(super) categories: Phrases,
}

/// A YAML mapping in file order with the place of each key.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Spanned<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping of attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder(std::marker::PhantomData))
    }
}

/// Collects the problems of one file.
pub(super) struct Faults<'a> {
    file: Arc<str>,
    into: &'a mut Vec<Problem>,
}

impl<'a> Faults<'a> {
    pub(super) fn of(file: &str, into: &'a mut Vec<Problem>) -> Self {
        Self { file: Arc::from(file), into }
    }

    pub(super) fn add(
        &mut self,
        at: Location,
        key: String,
        found: String,
        expected: &str,
    ) -> &mut Problem {
        self.into.push(Problem {
            file: self.file.clone(),
            line: u32::try_from(at.line()).unwrap_or(0),
            column: u32::try_from(at.column()).unwrap_or(0),
            key,
            found,
            expected: expected.to_owned(),
            suggestion: None,
        });
        let last = self.into.len() - 1;
        &mut self.into[last]
    }

    /// Reads a mapping; a text that is no such mapping is one problem and gives nothing.
    pub(super) fn read<T: for<'de> Deserialize<'de>>(&mut self, text: &str) -> Entries<T> {
        match serde_saphyr::from_str::<Entries<T>>(text) {
            Ok(entries) => entries,
            Err(error) => {
                let at = error.location().unwrap_or(Location::UNKNOWN);
                let found = error.without_snippet().to_string();
                let first_line = found.lines().next().unwrap_or_default().to_owned();
                self.add(at, String::new(), first_line, "");
                Entries::default()
            }
        }
    }

    /// Checks what the shape alone does not say about the attributes.
    pub(super) fn check_attributes(&mut self, entries: &Entries<Attribute>) {
        let names: Vec<&str> = entries.0.iter().map(|(name, _)| name.value.as_str()).collect();
        for (at, (name, entry)) in entries.0.iter().enumerate() {
            if at == ATTRIBUTES_MAX {
                let expected = format!("at most {ATTRIBUTES_MAX} attributes");
                self.add(name.referenced, name.value.clone(), "one too many".into(), &expected);
            }
            self.check_name(name);
            self.check_phrases(name, "certain", &entry.certain);
            self.check_phrases(name, "any", &entry.any);
            self.check_phrases(name, "first", &entry.first);
            self.check_phrases(name, "then", &entry.then);
            self.check_phrases(name, "not_phrases", &entry.not_phrases);
            self.check_phrases(name, "not_words", &entry.not_words);
            self.check_phrases(name, "categories", &entry.categories);
            if entry.first.is_empty() != entry.then.is_empty() {
                let found = "only one of `first` and `then`".to_owned();
                self.add(name.referenced, name.value.clone(), found, "both or neither");
            }
            for other in &entry.unless {
                self.check_reference(name, "unless", other, (&names[..at], "further up", &names));
            }
            for other in &entry.implies {
                let below = &names[at + 1..];
                self.check_reference(name, "implies", other, (below, "further down", &names));
            }
        }
    }

    /// Checks that each query term is an attribute.
    pub(super) fn check_terms(&mut self, entries: &Entries<QueryTerm>, attributes: &[String]) {
        let names: Vec<&str> = attributes.iter().map(String::as_str).collect();
        for (name, entry) in &entries.0 {
            self.check_phrases(name, "any", &entry.any);
            self.check_phrases(name, "not_phrases", &entry.not_phrases);
            if !names.contains(&name.value.as_str()) {
                let found = format!("unknown attribute `{}`", name.value);
                let key = name.value.clone();
                self.add(name.referenced, key, found, "an attribute of attributes.yaml")
                    .suggestion = nearest(&name.value, &names);
            }
        }
    }

    /// Checks the topics of what is sensitive. `known` are the attributes that can be meant; `None`:
    /// it is not asked, for the shipped table stands beside somebody's own attributes.
    pub(super) fn check_topics(&mut self, entries: &Entries<Topic>, known: Option<&[String]>) {
        for (at, (name, topic)) in entries.0.iter().enumerate() {
            if at == ATTRIBUTES_MAX {
                let expected = format!("at most {ATTRIBUTES_MAX} topics");
                self.add(name.referenced, name.value.clone(), "one too many".into(), &expected);
            }
            self.check_phrases(name, "any", &topic.any);
            self.check_phrases(name, "not_phrases", &topic.not_phrases);
            self.check_phrases(name, "not_words", &topic.not_words);
            self.check_phrases(name, "categories", &topic.categories);
            let Some(known) = known else { continue };
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            for other in &topic.attributes {
                if !names.contains(&other.value.as_str()) {
                    let key = format!("{}.attributes", name.value);
                    let found = format!("unknown attribute `{}`", other.value);
                    let expected = "an attribute of attributes.yaml; words of the shop under `any`";
                    self.add(other.referenced, key, found, expected).suggestion =
                        nearest(&other.value, &names);
                }
            }
        }
    }

    fn check_name(&mut self, name: &Spanned<String>) {
        if crate::types::product::normalise(&name.value) != name.value || name.value.is_empty() {
            let found = format!("the name `{}`", name.value);
            self.add(name.referenced, name.value.clone(), found, "lower case, single spaces");
        }
    }

    fn check_phrases(&mut self, name: &Spanned<String>, list: &str, phrases: &Phrases) {
        for phrase in phrases {
            if super::words::stems(&phrase.value).is_empty() {
                let key = format!("{}.{list}", name.value);
                let found = format!("`{}`, which holds no word", phrase.value);
                self.add(phrase.referenced, key, found, "at least one word");
            }
        }
    }

    fn check_reference(
        &mut self,
        name: &Spanned<String>,
        list: &str,
        other: &Spanned<String>,
        (allowed, place, all): (&[&str], &str, &[&str]),
    ) {
        if allowed.contains(&other.value.as_str()) {
            return;
        }
        let key = format!("{}.{list}", name.value);
        let known = all.contains(&other.value.as_str());
        let kind = if known { "attribute out of order" } else { "unknown attribute" };
        let found = format!("{kind} `{}`", other.value);
        let problem =
            self.add(other.referenced, key, found, &format!("an attribute that stands {place}"));
        if !known {
            problem.suggestion = nearest(&other.value, all);
        }
    }
}

/// The word of `known` that `word` was probably meant to be.
pub(super) fn nearest(word: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}
