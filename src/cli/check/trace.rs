//! Follows a pointer through a reply, and says where it stopped and what is there instead.
//!
//! In: a JSON value and a [`Pointer`]. Out: every place that it leads to, and a [`Stop`] for each
//! way that ended early. Slower than the data port's reader, which it never replaces: that one
//! finds hits, this one explains why it did not.

use serde::Serialize;

use crate::wire::{Json, Kind, Pointer};
use crate::yaml::nearest;

/// Members of an object that are named at most.
const MEMBERS_MAX: usize = 16;
/// Values that are looked at in search of an array of objects.
const LOOKED_AT_MAX: usize = 100_000;

/// A way that ended early.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Stop {
    /// The pointer up to and with the step that failed.
    pub(super) at: String,
    /// Why.
    pub(super) because: String,
    /// What an object has instead.
    pub(super) members: Vec<String>,
    /// What was probably meant.
    pub(super) suggestion: Option<String>,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.because)?;
        if !self.members.is_empty() {
            write!(f, "; members there: {}", self.members.join(", "))?;
        }
        match &self.suggestion {
            Some(suggestion) => write!(f, " — did you mean \"{suggestion}\"?"),
            None => Ok(()),
        }
    }
}

/// Where a pointer led.
#[derive(Default)]
pub(super) struct Trace<'a> {
    /// The places, each with its pointer without `*`.
    pub(super) found: Vec<(String, Json<'a>)>,
    /// The ways that ended early.
    pub(super) stops: Vec<Stop>,
}

/// Follows `pointer` from the value at `from`; `word` is what the value is for.
pub(super) fn follow<'a>(from: &str, value: Json<'a>, pointer: &Pointer, word: &str) -> Trace<'a> {
    let mut trace = Trace::default();
    walk(from.to_owned(), value, &pointer.0, word, &mut trace);
    trace
}

fn walk<'a>(at: String, value: Json<'a>, steps: &[String], word: &str, trace: &mut Trace<'a>) {
    let Some((step, rest)) = steps.split_first() else {
        trace.found.push((at, value));
        return;
    };
    let any = step == Pointer::ANY;
    match value.kind() {
        Kind::Object => {
            let members = value.members();
            let mut fits =
                members.iter().filter(|(key, _)| any || *key == step.as_str()).peekable();
            if fits.peek().is_none() {
                let keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
                trace.stops.push(no_member(&at, step, word, &keys));
            }
            for (key, inner) in fits {
                walk(below(&at, key), *inner, rest, word, trace);
            }
        }
        Kind::Array => {
            let elements = value.elements();
            let index = step.parse::<usize>().ok().filter(|index| index.to_string() == *step);
            let mut fits = elements
                .iter()
                .enumerate()
                .filter(|(position, _)| any || index == Some(*position))
                .peekable();
            if fits.peek().is_none() {
                let because = match (elements.len(), index) {
                    (0, _) => "the array is empty".to_owned(),
                    (some, Some(_)) => format!("the array has {some} elements"),
                    (some, None) => format!("an array of {some} is here; a number or * selects"),
                };
                trace.stops.push(stop(below(&at, step), because));
            }
            for (position, inner) in fits {
                walk(below(&at, &position.to_string()), *inner, rest, word, trace);
            }
        }
        kind => {
            let because = format!("nothing is below {}", name(kind));
            trace.stops.push(stop(below(&at, step), because));
        }
    }
}

/// A stop of which nothing more is known.
pub(super) fn stop(at: String, because: impl Into<String>) -> Stop {
    Stop { at, because: because.into(), members: Vec::new(), suggestion: None }
}

fn no_member(at: &str, step: &str, word: &str, keys: &[&str]) -> Stop {
    let mut members: Vec<String> = keys.iter().take(MEMBERS_MAX).map(|key| shown(key)).collect();
    if keys.len() > MEMBERS_MAX {
        members.push("…".to_owned());
    }
    let because = if keys.is_empty() { "the object is empty" } else { "no such member" };
    let suggestion = meant(step, word, keys).map(shown);
    Stop { members, suggestion, ..stop(below(at, step), because) }
}

/// The key that was probably meant: like the step, part of it, or named as what it is for.
fn meant<'k>(step: &str, word: &str, keys: &[&'k str]) -> Option<&'k str> {
    let step = step.to_lowercase();
    let part = |key: &&&str| {
        let key = key.to_lowercase();
        let (short, long) = if key.len() < step.len() { (&key, &step) } else { (&step, &key) };
        short.len() > 2 && long.contains(short.as_str())
    };
    nearest(&step, keys)
        .or_else(|| keys.iter().find(part).copied())
        .or_else(|| keys.iter().find(|key| key.to_lowercase().contains(word)).copied())
}

/// The pointer of the largest array of objects in a value, with its length.
pub(super) fn largest_list(value: Json<'_>) -> Option<(String, usize)> {
    let mut best: Option<(String, usize)> = None;
    let mut open = std::collections::VecDeque::from([(String::new(), value)]);
    let mut looked_at = 0;
    while let Some((at, value)) = open.pop_front() {
        looked_at += 1;
        if looked_at > LOOKED_AT_MAX {
            break;
        }
        match value.kind() {
            Kind::Array => {
                let elements = value.elements();
                let objects = elements.iter().filter(|e| e.kind() == Kind::Object).count();
                let better = best.as_ref().is_none_or(|(_, most)| objects > *most);
                if objects > 0 && objects == elements.len() && better {
                    best = Some((at, objects));
                } else {
                    let inner = elements.into_iter().enumerate();
                    open.extend(inner.map(|(i, e)| (below(&at, &i.to_string()), e)));
                }
            }
            Kind::Object => {
                open.extend(value.members().into_iter().map(|(key, e)| (below(&at, &key), e)));
            }
            _ => {}
        }
    }
    best
}

/// At most 64 characters of the shop's text, on one line.
pub(super) fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let mut out: String = plain.take(64).collect();
    if text.chars().nth(64).is_some() {
        out.push('…');
    }
    out
}

fn below(at: &str, step: &str) -> String {
    format!("{at}{}", Pointer(vec![step.to_owned()]))
}

/// A kind in a sentence.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool => "a boolean",
        Kind::Number => "a number",
        Kind::Text => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(body: &str, pointer: &str, word: &str) -> Vec<String> {
        let json = Json::parse(body.as_bytes()).unwrap();
        let trace = follow("", json, &Pointer::parse(pointer).unwrap(), word);
        trace.stops.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pointer_that_misses_says_where_it_stopped_and_what_is_there() {
        let body = r#"{"a":{"product_name":1,"sku":2},"l":[{"x":1}],"s":"t","e":[],"o":{}}"#;
        assert_eq!(
            stops(body, "/a/skv", "id"),
            ["/a/skv: no such member; members there: product_name, sku — did you mean \"sku\"?"]
        );
        assert!(stops(body, "/a/title", "name")[0].ends_with("did you mean \"product_name\"?"));
        assert!(stops(body, "/a/NAME", "name")[0].ends_with("did you mean \"product_name\"?"));
        assert_eq!(stops(body, "/l/x", ""), ["/l/x: an array of 1 is here; a number or * selects"]);
        assert_eq!(stops(body, "/l/3/x", ""), ["/l/3: the array has 1 elements"]);
        assert_eq!(stops(body, "/s/x", ""), ["/s/x: nothing is below a string"]);
        assert_eq!(stops(body, "/e/*", ""), ["/e/*: the array is empty"]);
        assert_eq!(stops(body, "/o/x", ""), ["/o/x: the object is empty"]);
    }

    #[test]
    fn a_star_leads_to_every_place_and_stops_where_one_lacks_the_rest() {
        let json = Json::parse(br#"{"g":[{"i":1},{"j":2},{"i":3}]}"#).unwrap();
        let trace = follow("", json, &Pointer::parse("/g/*/i").unwrap(), "");
        let found: Vec<_> = trace.found.iter().map(|(at, _)| at.as_str()).collect();
        assert_eq!(found, ["/g/0/i", "/g/2/i"]);
        assert_eq!(trace.stops.len(), 1);
        assert_eq!(trace.stops[0].at, "/g/1/i");
    }

    #[test]
    fn the_largest_array_of_objects_is_found() {
        let json = |text: &'static str| Json::parse(text.as_bytes()).unwrap();
        let body = r#"{"f":[{"n":1}],"r":{"a/b":[{"s":1},{"s":2}]},"t":["x","y","z"]}"#;
        assert_eq!(largest_list(json(body)), Some(("/r/a~1b".to_owned(), 2)));
        assert_eq!(largest_list(json(r#"{"t":["x"],"n":[1,{}]}"#)), None);
    }
}
