//! Variables and flags laid over the file: defaults < file < `LEAFRANK_*` < flags.
//!
//! `LEAFRANK_LIMITS__HOLD_MS=200` sets `limits.hold_ms`: two underscores go one section down. A
//! value is read as YAML where the key wants a number, a flag or a map, taken as it is where the
//! key wants text, and split at commas where it wants a list of text and does not look like one.
//! `WEAVIATE_URL`, as Weaviate's own users call it, sets `weaviate.url` where no other variable does.
//! Out: the tree with the values in it, each placed at its variable, and who set which key.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Origin, SettingsText};
use crate::yaml::shape::{self, Kind, Shape};
use crate::yaml::{Fault, Node, Path, Place, Problems, Value, nearest, tree};

const PREFIX: &str = "LEAFRANK_";

/// A variable that is not ours and sets `weaviate.url`; empty, as many a compose file has it, it does
/// not count.
pub const WEAVIATE_URL: &str = "WEAVIATE_URL";

/// Variables of the command line's own, which name no setting.
const NOT_SETTINGS: [&str; 3] = ["LEAFRANK_CONFIG", "LEAFRANK_LOG", "LEAFRANK_BLESS"];

/// Lays variables, then flags, over `tree`; gives the origin of each key that one of them set.
pub(super) fn apply(
    tree: &mut Node,
    schema: &Json,
    text: &SettingsText<'_>,
    problems: &mut Problems,
) -> BTreeMap<String, Origin> {
    let mut origins = BTreeMap::new();
    let variables = text.environment.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix(PREFIX).filter(|_| names_a_setting(name))?;
        let key = key.to_lowercase().replace("__", ".");
        Some((Origin::Environment, name.clone(), key, value.as_str()))
    });
    let flags = text
        .flags
        .iter()
        .map(|(key, value)| (Origin::Flag, format!("flag {key}"), key.clone(), value.as_str()));
    let weaviate =
        text.environment.get(WEAVIATE_URL).filter(|url| !url.trim().is_empty()).map(|url| {
            (Origin::Environment, WEAVIATE_URL.to_owned(), "weaviate.url".to_owned(), url.as_str())
        });
    for (origin, name, key, value) in weaviate.into_iter().chain(variables).chain(flags) {
        let place = Place::whole(&name);
        match setting(schema, &key, value, &place, problems) {
            Ok(node) => {
                let keys: Vec<&str> = key.split('.').collect();
                if tree.put(&keys, node) {
                    origins.insert(key, origin);
                }
            }
            Err(fault) => problems.report(&place, &Path::of(&key), fault),
        }
    }
    origins
}

/// False for the variables that Kubernetes sets in every pod beside a Service called `leafrank…`.
fn names_a_setting(name: &str) -> bool {
    let of_a_service = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| name.contains(protocol));
    !of_a_service && !NOT_SETTINGS.contains(&name)
}

fn setting(
    schema: &Json,
    key: &str,
    value: &str,
    place: &Place,
    problems: &mut Problems,
) -> Result<Node, Fault> {
    let keys: Vec<&str> = key.split('.').collect();
    let inner = shape::schema_at(schema, &keys).map_err(|(depth, words)| {
        let fault = Fault::not_one_of("unknown key".into(), keys.get(depth).unwrap_or(&""), &words);
        // One underscore where two were meant is the commonest slip.
        let all = shape::keys(schema);
        let flat: Vec<String> = all.iter().map(|key| key.replace('.', "_")).collect();
        let flat: Vec<&str> = flat.iter().map(String::as_str).collect();
        let near = nearest(&key.replace('.', "_"), &flat);
        match near.and_then(|near| all.iter().find(|key| key.replace('.', "_") == near)) {
            Some(key) if place.file.starts_with(PREFIX) => fault.suggest(variable(key)),
            Some(key) => fault.suggest(key),
            None => fault,
        }
    })?;
    let shape = Shape::of(inner);
    if shape.kind == Kind::Map && shape.schema.get("properties").is_some() && !shape.nullable {
        let example = shape::keys(inner).first().map(|first| format!("{key}.{first}"));
        let example = variable(&example.unwrap_or_default());
        return Err(Fault::new("a section", format!("one of its keys, such as {example}")));
    }
    let node = |value| Node { value, place: place.clone() };
    if shape.nullable && tree::plain(value) == Value::Null {
        return Ok(node(Value::Null));
    }
    let of_text = |schema: &Json| {
        schema.get("items").is_some_and(|items| Shape::of(items).kind == Kind::Text)
    };
    match shape.kind {
        Kind::Text | Kind::Word => Ok(node(Value::Text(value.to_owned()))),
        Kind::List if of_text(shape.schema) && !value.trim_start().starts_with('[') => {
            let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
            Ok(node(Value::List(words.map(|word| node(Value::Text(word.to_owned()))).collect())))
        }
        _ => Ok(unplaced(tree::parse(&place.file, value, problems), place)),
    }
}

/// The variable that sets `key`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// Line numbers inside a variable help nobody.
fn unplaced(mut node: Node, place: &Place) -> Node {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => {
            *items = std::mem::take(items).into_iter().map(|item| unplaced(item, place)).collect();
        }
        Value::Map(entries) => {
            for entry in entries {
                entry.place = place.clone();
                let empty = Node { value: Value::Null, place: place.clone() };
                let inner = std::mem::replace(&mut entry.node, empty);
                entry.node = unplaced(inner, place);
            }
        }
        _ => {}
    }
    node
}
