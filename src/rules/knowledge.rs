//! What we know about groceries: tables under `rules/knowledge`, compiled for matching.
//!
//! In: the text of `attributes.yaml` (what a product's name says about it), `query_terms.yaml`
//! (what a query asks for) and `sensitive.yaml` (what tells of religion, health or intimacy); later,
//! names and queries. Out: attribute values, whether something is sensitive, and the comparable words
//! of a text ([`words`], [`content_words`]). A text that does not compile gives every
//! problem at once. Never reads files: `reload` does. A product is read in one pass over its
//! words, since a product not seen before is inferred while its reply waits. Limits: 64
//! attributes, the first 64 words of a name.

use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::Xxh3;

use crate::types::problem::Problem;
use crate::types::product::Axis;

use matcher::{Matcher, Role};
use messages::Messages;
use sensitive::Sensitive;
use table::{Attribute, Faults, QueryTerm, Topic};
pub use words::{content_words, words};

#[cfg(test)]
mod cases;
mod matcher;
pub mod messages;
mod sensitive;
mod table;
pub mod words;

const ATTRIBUTES: &str = "attributes.yaml";
const QUERY_TERMS: &str = "query_terms.yaml";
const SENSITIVE: &str = "sensitive.yaml";
const MESSAGES: &str = "messages.en.yaml";
const TABLES: [&str; 4] = [ATTRIBUTES, QUERY_TERMS, SENSITIVE, MESSAGES];

/// The tables that the binary carries: `(path, text)`.
const SHIPPED: [(&str, &str); 4] = [
    ("rules/knowledge/attributes.yaml", include_str!("../../rules/knowledge/attributes.yaml")),
    ("rules/knowledge/query_terms.yaml", include_str!("../../rules/knowledge/query_terms.yaml")),
    ("rules/knowledge/messages.en.yaml", include_str!("../../rules/knowledge/messages.en.yaml")),
    ("rules/knowledge/sensitive.yaml", include_str!("../../rules/knowledge/sensitive.yaml")),
];

/// The knowledge tables, compiled. The default knows nothing.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    version: u64,
    attributes: Vec<AttributeRule>,
    names: Matcher,
    queries: Matcher,
    messages: Messages,
    sensitive: Sensitive,
}

#[derive(Clone, Debug)]
struct AttributeRule {
    name: Box<str>,
    unless: u64,
    implies: u64,
    size: bool,
}

impl Knowledge {
    /// The tables that the binary carries, compiled once.
    pub fn shipped() -> Arc<Self> {
        static COMPILED: OnceLock<Arc<Knowledge>> = OnceLock::new();
        // A test proves that the shipped text compiles; nothing known is the safe other end.
        COMPILED.get_or_init(|| Arc::new(Self::parse(&SHIPPED).unwrap_or_default())).clone()
    }

    /// The shipped tables as `(path, text)`, for writing them out and for comparing.
    pub fn shipped_files() -> &'static [(&'static str, &'static str)] {
        &SHIPPED
    }

    /// Compiles tables given as `(file name, text)`; a table is known by the end of its name.
    ///
    /// # Errors
    /// Every problem of every file: unknown tables, keys and attributes, empty phrases, references
    /// in the wrong order. A table that is not given is the shipped one.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut knowledge = Self::default();
        // A table that is not given is the shipped one: a shop may replace just one.
        let table = |wanted: &str| {
            let given = files.iter().find(|(name, _)| base(name) == wanted);
            given.or_else(|| SHIPPED.iter().find(|(name, _)| base(name) == wanted))
        };
        if let Some((file, text)) = table(ATTRIBUTES) {
            let mut faults = Faults::of(file, &mut problems);
            let entries = faults.read::<Attribute>(text);
            faults.check_attributes(&entries);
            knowledge.compile_names(&entries);
        }
        let names: Vec<String> =
            knowledge.attributes.iter().map(|rule| rule.name.to_string()).collect();
        if let Some((file, text)) = table(QUERY_TERMS) {
            let mut faults = Faults::of(file, &mut problems);
            let entries = faults.read::<QueryTerm>(text);
            faults.check_terms(&entries, &names);
            knowledge.compile_queries(&entries);
        }
        if let Some((file, text)) = table(SENSITIVE) {
            let mut faults = Faults::of(file, &mut problems);
            let entries = faults.read::<Topic>(text);
            let own = files.iter().any(|(name, _)| base(name) == SENSITIVE);
            faults.check_topics(&entries, own.then_some(&names));
            knowledge.sensitive = Sensitive::compile(&entries);
        }
        // What a shop's own English leaves out is said as shipped.
        let shipped = SHIPPED.iter().filter(|(name, _)| base(name) == MESSAGES);
        for (file, text) in shipped.chain(files) {
            if let Some(language) = messages::language_of(base(file)) {
                knowledge.messages.add(language, text, &mut Faults::of(file, &mut problems));
            } else if !TABLES.contains(&base(file)) {
                let mut problem = Problem::with_file(file, "unknown table");
                problem.expected = format!("{} or messages.<language>.yaml", TABLES.join(", "));
                problem.suggestion = table::nearest(base(file), &TABLES);
                problems.push(problem);
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        knowledge.version = version_of(files);
        Ok(knowledge)
    }

    /// Changes when any table changes by which products and queries are read: XXH3-64 over names and
    /// texts. 0 for the default.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Reasons in words.
    pub fn messages(&self) -> &Messages {
        &self.messages
    }

    /// All attribute values, in the table's order.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|rule| &*rule.name)
    }

    /// True for an attribute that says how much it is: it can be asked for, and is no taste.
    pub fn is_size(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|rule| rule.size && &*rule.name == attribute)
    }

    /// Does one of these texts (name, brand, terms, labels, attributes) tell of religion, health or
    /// intimacy, or does the category's path?
    pub fn is_sensitive<'a>(
        &self,
        mut texts: impl Iterator<Item = &'a str>,
        category: Option<&str>,
    ) -> bool {
        category.is_some_and(|path| self.is_sensitive_facet(Axis::Category, path))
            || texts.any(|text| self.sensitive.is_text(text))
    }

    /// Does a taste for the facet of this name tell of it?
    pub fn is_sensitive_facet(&self, axis: Axis, name: &str) -> bool {
        self.sensitive.is_facet(axis, name)
    }

    /// The attributes of a product, in the table's order; values are already normalised.
    ///
    /// `terms` are the shop's own words for the product (search terms, labels) and count like the
    /// name. `O(words · log patterns)`.
    pub fn infer(&self, name: &str, category: Option<&str>, terms: &[&str]) -> Vec<&str> {
        let mut found = self.names.scan(name);
        for term in terms {
            let more = self.names.scan(term);
            found.certain |= more.certain;
            found.given |= more.given;
            found.denied |= more.denied;
        }
        let placed = category.map_or(0, |path| self.names.scan(path).category);
        let mut open = found.certain | (found.given | placed) & !found.denied;
        let mut set = 0u64;
        let mut out = Vec::new();
        for (at, rule) in self.attributes.iter().enumerate() {
            if open & (1 << at) != 0 && set & rule.unless == 0 {
                set |= 1 << at;
                open |= rule.implies;
                out.push(&*rule.name);
            }
        }
        out
    }

    /// The attributes that a query asks for, in the table's order.
    pub fn query_attributes(&self, query: &str) -> Vec<&str> {
        let asked = self.queries.scan(query).given;
        let bit = |at: usize| asked & (1 << at) != 0;
        let rules = self.attributes.iter().enumerate();
        rules.filter(|(at, _)| bit(*at)).map(|(_, rule)| &*rule.name).collect()
    }

    fn compile_names(&mut self, entries: &table::Entries<Attribute>) {
        let names: Vec<&str> = entries.0.iter().map(|(name, _)| name.value.as_str()).collect();
        let bits = |list: &[serde_saphyr::Spanned<String>]| {
            let place = |other: &serde_saphyr::Spanned<String>| {
                names.iter().position(|name| *name == other.value)
            };
            list.iter().filter_map(place).fold(0u64, |set, at| set | 1u64.wrapping_shl(at as u32))
        };
        for (at, (name, entry)) in entries.0.iter().take(table::ATTRIBUTES_MAX).enumerate() {
            for (phrases, role) in [
                (&entry.certain, Role::Certain),
                (&entry.any, Role::Give),
                (&entry.first, Role::First),
                (&entry.then, Role::Then),
                (&entry.not_phrases, Role::Hide),
                (&entry.not_words, Role::Deny),
                (&entry.categories, Role::Category),
            ] {
                phrases.iter().for_each(|phrase| self.names.add(&phrase.value, at, role));
            }
            let (unless, implies) = (bits(&entry.unless), bits(&entry.implies));
            self.attributes.push(AttributeRule {
                name: name.value.as_str().into(),
                unless,
                implies,
                size: entry.size,
            });
        }
        self.names.finish();
    }

    fn compile_queries(&mut self, entries: &table::Entries<QueryTerm>) {
        for (name, entry) in &entries.0 {
            let place = self.attributes.iter().position(|rule| *rule.name == *name.value);
            let Some(at) = place else { continue };
            entry.any.iter().for_each(|phrase| self.queries.add(&phrase.value, at, Role::Give));
            let hidden = &entry.not_phrases;
            hidden.iter().for_each(|phrase| self.queries.add(&phrase.value, at, Role::Hide));
        }
        self.queries.finish();
    }
}

fn base(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

fn version_of(files: &[(&str, &str)]) -> u64 {
    let mut hasher = Xxh3::new();
    let read_by = files.iter().filter(|(name, _)| messages::language_of(base(name)).is_none());
    for (name, text) in read_by {
        for part in [base(name), text] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.digest()
}
