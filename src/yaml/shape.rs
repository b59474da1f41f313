//! A tree against a JSON schema: every unknown key, wrong type and number out of range at once.
//!
//! In: a [`Node`] and a schema as `schemars` writes it for a `section!`. Out: the same tree, in
//! which whatever did not fit is left out (a key) or replaced by an empty value (a list's element),
//! so that the rest can still be read and checked. Understands the keywords that our schemas use
//! (a test holds them to that): type, properties, additionalProperties, required, min/maxProperties,
//! items, minItems, enum, oneOf of constants, anyOf with null, minimum, maximum, minLength.

use serde_json::Value as Json;

use super::tree::Entry;
use super::{Fault, Node, Path, Place, Problems, Value};

/// Reports what in `tree` does not fit `schema`, and takes it out. A missing document is `{}`.
pub fn fit(tree: &mut Node, schema: &Json, problems: &mut Problems) {
    if tree.value == Value::Null {
        tree.value = Value::Map(Vec::new());
    }
    if !visit(tree, schema, &Path::default(), problems) {
        tree.value = Value::Map(Vec::new());
    }
}

/// Every key that a text under `schema` may set, with dots; lists and free maps are one key each,
/// and so is a section that may be null.
pub fn keys(schema: &Json) -> Vec<String> {
    fn collect(schema: &Json, path: &Path, into: &mut Vec<String>) {
        let shape = Shape::of(schema);
        match properties(shape.schema) {
            Some(properties) if shape.kind == Kind::Map && !shape.nullable => {
                properties.iter().for_each(|(key, inner)| collect(inner, &path.key(key), into));
            }
            _ => into.push(path.to_string()),
        }
    }
    let mut keys = Vec::new();
    collect(schema, &Path::default(), &mut keys);
    keys
}

/// The schema of one key path, through sections that may be null; or how far the path is right and
/// which keys are possible there.
///
/// # Errors
/// The number of leading keys that exist, and the words possible after them.
pub fn schema_at<'s>(schema: &'s Json, keys: &[&str]) -> Result<&'s Json, (usize, Vec<&'s str>)> {
    let mut schema = schema;
    for (depth, key) in keys.iter().enumerate() {
        let known = properties(Shape::of(schema).schema);
        match known.and_then(|known| known.get(*key)) {
            Some(inner) => schema = inner,
            None => return Err((depth, known.map_or_else(Vec::new, words_of))),
        }
    }
    Ok(schema)
}

fn words_of(properties: &serde_json::Map<String, Json>) -> Vec<&str> {
    properties.keys().map(String::as_str).collect()
}

/// What kind of value a schema asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A section, or a map with free keys.
    Map,
    /// A list.
    List,
    /// One of a few words.
    Word,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Bool,
    /// Anything.
    Any,
}

/// A schema, looked through `anyOf … null` and type lists.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'s> {
    /// The kind asked for.
    pub kind: Kind,
    /// Whether null is possible too.
    pub nullable: bool,
    /// The schema of the value that is not null.
    pub schema: &'s Json,
}

impl<'s> Shape<'s> {
    /// Reads a schema.
    pub fn of(schema: &'s Json) -> Self {
        if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
            let is_null =
                |option: &&Json| option.get("type").and_then(Json::as_str) == Some("null");
            if let Some(inner) = options.iter().find(|option| !is_null(option)) {
                return Self { nullable: options.iter().any(|o| is_null(&o)), ..Self::of(inner) };
            }
        }
        let (name, nullable) = match schema.get("type") {
            Some(Json::String(name)) => (name.as_str(), false),
            Some(Json::Array(names)) => (
                names.iter().filter_map(Json::as_str).find(|n| *n != "null").unwrap_or_default(),
                names.iter().any(|name| name == "null"),
            ),
            _ => ("", false),
        };
        let kind = match name {
            _ if !words(schema).is_empty() => Kind::Word,
            "object" => Kind::Map,
            "array" => Kind::List,
            "string" => Kind::Text,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Bool,
            _ => Kind::Any,
        };
        Self { kind, nullable, schema }
    }
}

fn properties(schema: &Json) -> Option<&serde_json::Map<String, Json>> {
    schema.get("properties").and_then(Json::as_object)
}

/// The words of an enumeration, written as `enum` or as `oneOf` constants.
fn words(schema: &Json) -> Vec<&str> {
    let list = |key: &str| schema.get(key).and_then(Json::as_array).into_iter().flatten();
    let constants = list("oneOf").filter_map(|option| option.get("const"));
    list("enum").chain(constants).filter_map(Json::as_str).collect()
}

fn limit(schema: &Json, keyword: &str) -> Option<f64> {
    schema.get(keyword).and_then(Json::as_f64)
}

/// False: reported, and of no use to the caller.
fn visit(node: &mut Node, schema: &Json, path: &Path, problems: &mut Problems) -> bool {
    let shape = Shape::of(schema);
    if shape.nullable && node.value == Value::Null {
        return true;
    }
    let schema = shape.schema;
    let place = node.place.clone();
    let fits = match (shape.kind, &mut node.value) {
        (Kind::Any, _) | (Kind::Bool, Value::Bool(_)) => true,
        (Kind::Map, Value::Map(entries)) => {
            let whole = map_as_whole(entries, &place, schema, path, problems);
            map(entries, schema, path, problems);
            return whole;
        }
        (Kind::List, Value::List(items)) => {
            for (position, item) in items.iter_mut().enumerate() {
                let inner = schema.get("items").unwrap_or(&Json::Null);
                if !visit(item, inner, &path.item(position), problems) {
                    item.value = empty(Shape::of(inner).kind);
                }
            }
            items.len() as f64 >= limit(schema, "minItems").unwrap_or(0.0)
        }
        (Kind::Word, Value::Text(text)) => {
            let words = words(schema);
            if words.contains(&text.as_str()) {
                return true;
            }
            let text = text.clone();
            let fault = Fault::not_one_of(format!("found {}", node.describe()), &text, &words);
            problems.report(&place, path, fault);
            return false;
        }
        (Kind::Text, Value::Text(text)) => {
            text.chars().count() as f64 >= limit(schema, "minLength").unwrap_or(0.0)
        }
        (Kind::Integer, Value::Integer(number)) => in_range(*number as f64, schema),
        (Kind::Number, Value::Integer(number)) => in_range(*number as f64, schema),
        (Kind::Number, Value::Float(number)) => number.is_finite() && in_range(*number, schema),
        _ => false,
    };
    if !fits {
        let found = format!("found {}", node.describe());
        let mut fault = Fault::new(found, expectation(shape, path));
        if let (Kind::Text, Value::Integer(_) | Value::Float(_) | Value::Bool(_)) =
            (shape.kind, &node.value)
        {
            fault = fault.suggest(format!("'{}' in quotes", node.describe()));
        }
        problems.report(&place, path, fault);
    }
    fits
}

fn in_range(number: f64, schema: &Json) -> bool {
    limit(schema, "minimum").is_none_or(|least| number >= least)
        && limit(schema, "maximum").is_none_or(|most| number <= most)
}

/// The entries of a section or of a map with free keys.
fn map(entries: &mut Vec<Entry>, schema: &Json, path: &Path, problems: &mut Problems) {
    let known = properties(schema);
    let free = schema.get("additionalProperties").filter(|free| free.is_object());
    entries.retain_mut(|entry| {
        let path = path.key(&entry.key);
        let inner = known.and_then(|known| known.get(&entry.key)).or(free);
        let Some(inner) = inner else {
            let words = known.map_or_else(Vec::new, words_of);
            let fault = Fault::not_one_of("unknown key".into(), &entry.key, &words);
            problems.report(&entry.place, &path, fault);
            return false;
        };
        // A section whose every line is commented out is a section left out.
        let left_out = entry.node.value == Value::Null
            && matches!(
                Shape::of(inner),
                Shape { kind: Kind::Map | Kind::List, nullable: false, .. }
            );
        !left_out && visit(&mut entry.node, inner, &path, problems)
    });
}

/// Keys that must be there, and how many there may be, whatever their values.
fn map_as_whole(
    entries: &[Entry],
    place: &Place,
    schema: &Json,
    path: &Path,
    problems: &mut Problems,
) -> bool {
    let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
    for key in required.filter_map(Json::as_str) {
        if !entries.iter().any(|entry| entry.key == key) {
            let path = path.key(key);
            let inner = properties(schema).and_then(|known| known.get(key)).unwrap_or(&Json::Null);
            let fault = Fault::new("missing key", expectation(Shape::of(inner), &path));
            problems.report(place, &path, fault);
        }
    }
    let count = entries.len() as f64;
    let most = limit(schema, "maxProperties").unwrap_or(f64::INFINITY);
    let right = (limit(schema, "minProperties").unwrap_or(0.0)..=most).contains(&count);
    if !right {
        let words = properties(schema).map_or_else(Vec::new, words_of).join(", ");
        let fault = Fault::new(format!("found {count} keys"), format!("exactly one of {words}"));
        problems.report(place, path, fault);
    }
    right
}

/// What a shape asks for, in words, with the unit that the key's name ends in.
fn expectation(shape: Shape<'_>, path: &Path) -> String {
    let what = match shape.kind {
        Kind::Map => "a map".to_owned(),
        Kind::List if limit(shape.schema, "minItems").is_some() => "a list, not empty".to_owned(),
        Kind::List => "a list".to_owned(),
        Kind::Word => format!("one of {}", words(shape.schema).join(", ")),
        Kind::Text if limit(shape.schema, "minLength").is_some() => "text, not empty".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Integer => format!("a whole number{}{}", unit(path), range(shape.schema)),
        Kind::Number => format!("a number{}{}", unit(path), range(shape.schema)),
        Kind::Bool => "true or false".to_owned(),
        Kind::Any => "a value".to_owned(),
    };
    if shape.nullable { format!("{what}, or null") } else { what }
}

fn unit(path: &Path) -> &'static str {
    let Some(super::Step::Key(key)) = path.0.last() else { return "" };
    let units = [
        ("_ms", " of milliseconds"),
        ("_us", " of microseconds"),
        ("_seconds", " of seconds"),
        ("_days", " of days"),
        ("_bytes_max", " of bytes"),
    ];
    units.iter().find(|(end, _)| key.ends_with(end)).map_or("", |(_, unit)| unit)
}

fn range(schema: &Json) -> String {
    match (limit(schema, "minimum"), limit(schema, "maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    }
}

fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Map => Value::Map(Vec::new()),
        Kind::List => Value::List(Vec::new()),
        Kind::Text | Kind::Word => Value::Text(String::new()),
        Kind::Integer | Kind::Number => Value::Integer(0),
        Kind::Bool => Value::Bool(false),
        Kind::Any => Value::Null,
    }
}

#[cfg(test)]
mod tests;
