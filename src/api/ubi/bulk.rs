//! OpenSearch's bulk format: a line that says what to do, a line with the document.
//!
//! In: a body, and the index of its path if that names one. Out: what is to be written where. What
//! does not fit a document of events (another index, an update, a deletion) is refused by itself; a
//! line that says nothing known ends the reading, since nobody can tell what follows it.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::error::ApiError;
use super::super::items::too_many;
use super::super::refusal::Refusal;
use super::{EVENTS, QUERIES, no_such_index};
use crate::yaml::printable;

/// What is to be done with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Index,
    Create,
    Update,
    Delete,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Index, Self::Create, Self::Update, Self::Delete];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A document on its way.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) verb: Verb,
    pub(super) index: String,
    pub(super) id: Option<String>,
    pub(super) doc: Result<&'a RawValue, Refusal>,
}

impl<'a> Write<'a> {
    /// A document for the index of events.
    pub(super) fn event(
        doc: Result<&'a RawValue, Refusal>,
        id: Option<String>,
        verb: Verb,
    ) -> Self {
        Self { verb, index: EVENTS.to_owned(), id, doc }
    }
}

#[derive(Deserialize)]
struct Target {
    _index: Option<String>,
    _id: Option<String>,
}

/// Reads a bulk body of at most `items_max` documents.
///
/// # Errors
/// 400 with the line that cannot be understood, 413 for too many documents.
pub(super) fn writes<'a>(
    body: &'a [u8],
    index: Option<&str>,
    items_max: usize,
) -> Result<Vec<Write<'a>>, ApiError> {
    let malformed = |why| ApiError::bad_request("malformed_event", why);
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut writes = Vec::new();
    while let Some((number, line)) = lines.next() {
        if writes.len() == items_max {
            return Err(too_many(items_max));
        }
        let Some((verb, target)) = action(line) else {
            let (number, found) = (number + 1, printable(line));
            return Err(malformed(format!(
                "line {number}: found {found}, expected an action such as {{\"index\":{{}}}}, and \
                 the document on the next line"
            )));
        };
        let doc = (verb != Verb::Delete).then(|| lines.next().map_or("", |(_, line)| line));
        let to = target._index.as_deref().or(index).unwrap_or("").to_owned();
        let doc = match (verb, doc) {
            (Verb::Update | Verb::Delete, _) | (_, None) => {
                Err(Refusal::new("not_an_event", verb.name(), line, "index or create"))
            }
            _ if to != EVENTS && to != QUERIES => Err(no_such_index(&to)),
            (_, Some(doc)) => serde_json::from_str(doc)
                .map_err(|error| Refusal::malformed(format!("the document: {error}"))),
        };
        writes.push(Write { verb, index: to, id: target._id, doc });
    }
    if writes.is_empty() {
        return Err(malformed("the body is empty; expected pairs of lines".to_owned()));
    }
    Ok(writes)
}

fn action(line: &str) -> Option<(Verb, Target)> {
    let mut said: HashMap<String, Target> = serde_json::from_str(line).ok()?;
    let (only, verb) = (said.len() == 1, Verb::ALL.into_iter());
    let mut found = verb.filter_map(|verb| Some((verb, said.remove(verb.name())?)));
    found.next().filter(|_| only)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Verb, String, Option<String>, Option<&'static str>);

    fn seen(body: &str, index: Option<&str>) -> Result<Vec<Seen>, &'static str> {
        let one = |write: Write<'_>| {
            (write.verb, write.index, write.id, write.doc.err().map(|refusal| refusal.code))
        };
        let writes = writes(body.as_bytes(), index, 3);
        writes.map(|all| all.into_iter().map(one).collect()).map_err(|error| error.code)
    }

    #[test]
    fn each_pair_of_lines_is_a_document_for_its_index() {
        let body =
            "{\"index\":{\"_id\":\"a\"}}\n{}\n{\"create\":{\"_index\":\"ubi_queries\"}}\n{}\n";
        assert_eq!(
            seen(body, Some(EVENTS)),
            Ok(vec![
                (Verb::Index, EVENTS.into(), Some("a".into()), None),
                (Verb::Create, QUERIES.into(), None, None),
            ])
        );
    }

    #[test]
    fn what_is_no_event_is_refused_alone_and_an_unknown_line_ends_it() {
        let body = "{\"delete\":{\"_id\":\"a\"}}\n{\"index\":{\"_index\":\"other\"}}\n{}\n\
                    {\"index\":{\"_index\":\"ubi_events\"}}\n{broken";
        let codes: Vec<_> = seen(body, None).unwrap().into_iter().map(|write| write.3).collect();
        assert_eq!(codes, [Some("not_an_event"), Some(NO_SUCH), Some("malformed_event")]);
        for body in ["", "\n", "{}\n{}", "what", "{\"index\":{},\"create\":{}}\n{}", "[]"] {
            assert_eq!(seen(body, None), Err("malformed_event"), "{body}");
        }
        let four = "{\"index\":{}}\n{}\n".repeat(4);
        assert_eq!(seen(&four, Some(EVENTS)), Err("too_many_events"));
        let half = seen("{\"index\":{}}", Some(EVENTS)).unwrap();
        assert_eq!(half[0].3, Some("malformed_event"), "no document");
    }

    const NO_SUCH: &str = super::super::NO_SUCH_INDEX;
}
