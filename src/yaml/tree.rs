//! YAML text as a tree in which every node and key knows its line and column.
//!
//! YAML 1.2 core schema. Refused, each with its place: a second document, anchors and aliases (the
//! value must be written out), tags, keys that are not scalars, keys that come twice, texts above
//! [`TEXT_BYTES_MAX`], nesting deeper than [`DEPTH_MAX`]. A syntax error ends the reading there;
//! everything else is collected. Built without recursion, so that depth cannot end the stack.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::{Fault, Path, Place, Problems, Step, TEXT_BYTES_MAX, printable};

/// Maps and lists inside each other, at most.
pub const DEPTH_MAX: usize = 32;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub place: Place,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number; may be infinite or not a number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in file order, without doubles.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key, as text.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub node: Node,
}

impl Node {
    /// The node at `path`, if it is written down.
    pub fn at(&self, path: &Path) -> Option<&Node> {
        path.0.iter().try_fold(self, Node::step)
    }

    fn step(&self, step: &Step) -> Option<&Node> {
        match (&self.value, step) {
            (Value::Map(entries), Step::Key(key)) => {
                entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.node)
            }
            (Value::List(items), Step::Item(position)) => items.get(*position),
            _ => None,
        }
    }

    /// The place of `path`, or of the nearest thing above it that is written down.
    pub fn nearest_place(&self, path: &Path) -> &Place {
        let mut node = self;
        for step in &path.0 {
            match node.step(step) {
                Some(next) => node = next,
                None => break,
            }
        }
        &node.place
    }

    /// Puts `node` at a path of keys, making the maps on the way; false where something else than
    /// a map is in the way.
    pub fn put(&mut self, keys: &[&str], node: Node) -> bool {
        let Some((key, rest)) = keys.split_first() else {
            *self = node;
            return true;
        };
        if self.value == Value::Null {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return false };
        match entries.iter_mut().find(|entry| entry.key == *key) {
            Some(entry) => entry.node.put(rest, node),
            None => {
                let place = node.place.clone();
                let mut inner = Node { value: Value::Null, place: place.clone() };
                let done = inner.put(rest, node);
                entries.push(Entry { key: (*key).to_owned(), place, node: inner });
                done
            }
        }
    }

    /// Lays `over` on top: maps are merged key by key, anything else takes the place of what is there.
    pub fn lay(&mut self, over: &Node) {
        let (Value::Map(entries), Value::Map(more)) = (&mut self.value, &over.value) else {
            self.clone_from(over);
            return;
        };
        for new in more {
            match entries.iter_mut().find(|entry| entry.key == new.key) {
                Some(entry) => entry.node.lay(&new.node),
                None => entries.push(new.clone()),
            }
        }
    }

    /// The same value as JSON; numbers that JSON cannot hold become null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::{Number, Value as Json};
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Integer(number) => Number::from_i128(*number).map_or(Json::Null, Json::Number),
            Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
            ),
        }
    }

    /// The value in words, for a problem: `text "300ms"`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(flag) => flag.to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) if number.is_nan() => ".nan".into(),
            Value::Float(number) => number.to_string(),
            Value::Text(text) => format!("text \"{}\"", printable(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }
}

/// Reads one document. An empty text is `null`. What is wrong goes to `problems`; the tree then
/// holds what could be read.
pub fn parse(file: &str, text: &str, problems: &mut Problems) -> Node {
    let mut builder =
        Builder { file: Arc::from(file), open: Vec::new(), root: None, documents: 0, problems };
    if text.len() > TEXT_BYTES_MAX {
        let found = format!("{} bytes", text.len());
        builder.whole(Fault::new(found, format!("at most {TEXT_BYTES_MAX} bytes")));
        return builder.finish();
    }
    for next in Parser::new_from_str(text) {
        let more = match next {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let place = builder.place(error.marker().line(), error.marker().col());
                let fault = Fault::new(format!("not valid YAML: {}", error.kind()), "");
                let path = builder.path();
                builder.problems.report(&place, &path, fault);
                false
            }
        };
        if !more {
            break;
        }
    }
    builder.finish()
}

/// A map or list whose end has not come yet.
enum Open {
    List { place: Place, items: Vec<Node> },
    Map { place: Place, entries: Vec<Entry>, lines: HashMap<String, u32>, pending: Pending },
}

/// What the next node of a map is.
enum Pending {
    /// A key.
    Key,
    /// The value of this key.
    Value(String, Place),
    /// The value of a key that was refused.
    Skipped,
}

struct Builder<'p> {
    file: Arc<str>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    problems: &'p mut Problems,
}

impl Builder<'_> {
    fn place(&self, line: usize, column: usize) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(&self.file),
            line: number(line.max(1)),
            column: number(column.saturating_add(1)),
        }
    }

    fn whole(&mut self, fault: Fault) {
        self.problems.report(&Place::whole(&self.file), &Path::default(), fault);
    }

    /// The path of the node that comes next.
    fn path(&self) -> Path {
        let steps = self.open.iter().filter_map(|open| match open {
            Open::List { items, .. } => Some(Step::Item(items.len())),
            Open::Map { pending: Pending::Value(key, _), .. } => Some(Step::Key(key.clone())),
            Open::Map { .. } => None,
        });
        Path(steps.collect())
    }

    fn refuse(&mut self, place: &Place, what: &str, expected: &str) {
        let path = self.path();
        self.problems.report(place, &path, Fault::new(what, expected));
    }

    /// False ends the reading.
    fn event(&mut self, event: Event<'_>, span: &Span) -> bool {
        let place = self.place(span.start.line(), span.start.col());
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.refuse(&place, "a second document", "one document a file");
                    return false;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(&place, anchor, tag.is_some());
                self.scalar(&text, style, place);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.properties(&place, anchor, tag.is_some());
                return self.begin(Open::List { place, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.properties(&place, anchor, tag.is_some());
                let (entries, lines) = (Vec::new(), HashMap::new());
                return self.begin(Open::Map { place, entries, lines, pending: Pending::Key });
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(_) => {
                self.refuse(&place, "an alias", "the value itself, written out");
                self.add(Node { value: Value::Null, place });
            }
            _ => {}
        }
        true
    }

    fn properties(&mut self, place: &Place, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(place, "an anchor", "no anchors or aliases");
        }
        if tagged {
            self.refuse(place, "a YAML tag", "a plain value");
        }
    }

    fn begin(&mut self, open: Open) -> bool {
        let (Open::List { place, .. } | Open::Map { place, .. }) = &open;
        if self.open.len() >= DEPTH_MAX {
            let place = place.clone();
            self.refuse(&place, "nested too deeply", &format!("at most {DEPTH_MAX} levels"));
            return false;
        }
        self.open.push(open);
        true
    }

    fn end(&mut self) {
        let node = match self.open.pop() {
            Some(Open::List { place, items }) => Node { value: Value::List(items), place },
            Some(Open::Map { place, entries, .. }) => Node { value: Value::Map(entries), place },
            None => return,
        };
        self.add(node);
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Place) {
        if let Some(Open::Map { pending: pending @ Pending::Key, .. }) = self.open.last_mut() {
            *pending = Pending::Value(text.to_owned(), place);
            return;
        }
        let value = match style {
            ScalarStyle::Plain => plain(text),
            _ => Value::Text(text.to_owned()),
        };
        self.add(Node { value, place });
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, lines, pending, .. }) => {
                match std::mem::replace(pending, Pending::Key) {
                    Pending::Key => {
                        *pending = Pending::Skipped;
                        self.refuse(&node.place, "a key that is no text", "a word");
                    }
                    Pending::Skipped => {}
                    Pending::Value(key, place) => {
                        if let Some(line) = lines.get(&key).copied() {
                            let path = self.path().key(&key);
                            self.problems.report_duplicate(&place, &path, line);
                        } else {
                            lines.insert(key.clone(), place.line);
                            entries.push(Entry { key, place, node });
                        }
                    }
                }
            }
        }
    }

    fn finish(mut self) -> Node {
        while !self.open.is_empty() {
            self.end();
        }
        let place = Place { file: Arc::clone(&self.file), line: 1, column: 1 };
        self.root.unwrap_or(Node { value: Value::Null, place })
    }
}

/// The value of an unquoted scalar by YAML's core schema.
pub fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let radix = |digits: &str, radix| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then(|| i128::from_str_radix(digits, radix).ok()).flatten()
    };
    if let Some(number) = text.strip_prefix("0x").and_then(|digits| radix(digits, 16)) {
        return Value::Integer(number);
    }
    if let Some(number) = text.strip_prefix("0o").and_then(|digits| radix(digits, 8)) {
        return Value::Integer(number);
    }
    // Rust also reads `inf` and `nan`, which are words here.
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return Value::Text(text.to_owned());
    }
    if let Ok(number) = text.parse::<i128>() {
        return Value::Integer(number);
    }
    text.parse::<f64>().map_or_else(|_| Value::Text(text.to_owned()), Value::Float)
}

#[cfg(test)]
mod tests;
