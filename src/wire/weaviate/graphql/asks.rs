//! One field under `Get`: what it asks for, and what decides whether its list may be touched.
//!
//! In: a field of the tree, the variables, and the places of the text in the body. Out: a
//! [`GraphqlAsk`]. What is not known here makes the list unclear: an argument or a subfield of
//! `_additional` of a later server may mean anything.

use xxhash_rust::xxh3::xxh3_64;

use super::GraphqlAsk;
use super::parser::{Argument, Field, Selection, Value};
use super::places::Places;
use super::variables::Variables;
use crate::wire::weaviate::Operator;

/// Arguments of one field; Weaviate knows some twenty.
const ARGUMENTS_MAX: usize = 32;

/// What is the same for all fields of an operation.
pub(super) struct Asking<'d, 'a> {
    pub(super) tokens: &'d [u8],
    pub(super) variables: Variables<'d, 'a>,
    pub(super) places: Places,
}

impl<'a> Asking<'_, 'a> {
    /// Reads one field under `Get`, whose list will stand at `at`.
    pub(super) fn read(&self, field: &Field<'a>, at: String) -> GraphqlAsk {
        let mut out = GraphqlAsk { at, ..GraphqlAsk::default() };
        out.ask.key = field.key().to_owned();
        out.ask.collection = field.name.to_owned();
        out.ask.unclear = field.directed || field.arguments.len() > ARGUMENTS_MAX;
        if field.arguments.len() <= ARGUMENTS_MAX {
            for (position, argument) in field.arguments.iter().enumerate() {
                let before = field.arguments.iter().take(position);
                out.ask.unclear |= before.into_iter().any(|other| other.name == argument.name);
                self.argument(&mut out, argument);
            }
        }
        out.opens = field.opens.map(|opens| self.places.at(opens));
        for selection in &field.selection {
            self.selected(&mut out, selection);
        }
        out.ask.fingerprint = self.fingerprint(field);
        out
    }

    fn argument(&self, out: &mut GraphqlAsk, argument: &Argument<'a>) {
        let value = &argument.value;
        match argument.name {
            "limit" => self.limit(out, value),
            "offset" => self.offset(out, value),
            "after" => out.ask.after = true,
            "sort" => out.ask.sort = true,
            "autocut" => out.ask.autocut = true,
            "group" | "groupBy" => out.ask.group_by = true,
            "boost" => out.ask.boost = true,
            "where" | "consistencyLevel" => {}
            "tenant" => {
                out.ask.tenant = self.variables.words(value);
                out.ask.unclear |= out.ask.tenant.is_none();
            }
            name => match operator(name) {
                Some(operator) => self.operator(out, operator, value),
                None => out.ask.unclear = true,
            },
        }
    }

    fn limit(&self, out: &mut GraphqlAsk, value: &Value<'a>) {
        match self.variables.number(value) {
            // none, or all within a distance
            Some(..=0) => {}
            Some(limit) => {
                out.ask.limit = u32::try_from(limit).ok();
                out.limit_digits = self.digits(out, value);
                out.ask.unclear |= out.ask.limit.is_none();
            }
            None => out.ask.unclear = true,
        }
    }

    fn offset(&self, out: &mut GraphqlAsk, value: &Value<'a>) {
        let offset = self.variables.number(value).and_then(|offset| u32::try_from(offset).ok());
        match offset {
            Some(offset) => {
                out.ask.offset = offset;
                out.offset_digits = self.digits(out, value);
            }
            None => out.ask.unclear = true,
        }
    }

    /// Where the digits of a literal are in the body; escaped ones are nobody's honest writing.
    fn digits(&self, out: &mut GraphqlAsk, value: &Value<'a>) -> Option<std::ops::Range<usize>> {
        let Value::Int { text, start } = value else { return None };
        let place = self.places.plain(*start..start + text.len());
        out.ask.unclear |= place.is_none();
        place
    }

    fn operator(&self, out: &mut GraphqlAsk, operator: Operator, value: &Value<'a>) {
        let Value::Object(members) = value else {
            out.ask.unclear = true;
            return;
        };
        // two of them: which one ranks is the server's secret
        out.ask.unclear |= out.ask.operator.replace(operator).is_some();
        for member in members {
            match (member.name, &member.value) {
                ("query" | "concepts" | "question", value) => match self.variables.words(value) {
                    Some(words) => out.ask.query = words,
                    None => out.ask.unclear = true,
                },
                ("rerank", Value::Word("false")) => {}
                ("rerank", _) => out.ask.rerank = true,
                ("selection" | "diversity", _) => out.ask.selection = true,
                (name, value) => bounds(out, name, value),
            }
        }
    }

    fn selected(&self, out: &mut GraphqlAsk, selection: &Selection<'a>) {
        let Selection::Field(field) = selection else {
            out.ask.unclear = true;
            return;
        };
        // what stands under a name is then not what settings call by this name
        out.ask.unclear |= is_renamed(field);
        if field.name == "_additional" {
            if out.additional_opens.is_none() && !field.directed {
                out.additional_opens = field.opens.map(|opens| self.places.at(opens));
            }
            field.selection.iter().for_each(|inner| additional(out, inner, field.directed));
        } else if !field.directed && field.selection.is_empty() {
            out.properties.push(field.name.to_owned());
        }
    }

    /// The field's tokens without its limit and offset, and, where it uses any, the variables.
    fn fingerprint(&self, field: &Field<'a>) -> u64 {
        let mut said = Vec::with_capacity(field.span.len());
        let mut from = field.span.start;
        let paging = |argument: &&Argument<'_>| matches!(argument.name, "limit" | "offset");
        for argument in field.arguments.iter().filter(paging) {
            said.extend_from_slice(self.tokens.get(from..argument.span.start).unwrap_or_default());
            from = argument.span.end;
        }
        said.extend_from_slice(self.tokens.get(from..field.span.end).unwrap_or_default());
        // no token but that of a variable ends so
        if memchr::memmem::find(&said, b"$\0").is_some() {
            for text in self.variables.text() {
                said.extend_from_slice(text.as_bytes());
                said.push(0);
            }
        }
        xxh3_64(&said)
    }
}

/// The operator that an argument is.
fn operator(name: &str) -> Option<Operator> {
    match name {
        "bm25" => Some(Operator::Bm25),
        "hybrid" => Some(Operator::Hybrid),
        "nearText" | "ask" => Some(Operator::NearText),
        "nearObject" => Some(Operator::NearObject),
        "nearVector" => Some(Operator::NearVector),
        "nearImage" | "nearAudio" | "nearVideo" | "nearThermal" | "nearDepth" | "nearIMU" => {
            Some(Operator::NearMedia)
        }
        _ => None,
    }
}

/// Looks for bounds on distance in a member of an operator and in all below it.
///
/// Goes as deep as the parser has let the value be.
fn bounds(out: &mut GraphqlAsk, name: &str, value: &Value<'_>) {
    match (name, value) {
        ("distance" | "certainty" | "maxVectorDistance", _) => out.ask.threshold = true,
        (_, Value::Object(members)) => {
            members.iter().for_each(|member| bounds(out, member.name, &member.value));
        }
        (_, Value::List(elements)) => {
            elements.iter().for_each(|element| bounds(out, name, element));
        }
        (_, Value::Variable(_)) => out.ask.unclear |= !is_plain(name),
        _ => {}
    }
}

/// Members of operators that hold no further members: a variable in their place hides no bound.
fn is_plain(name: &str) -> bool {
    matches!(
        name,
        "alpha"
            | "audio"
            | "autocorrect"
            | "beacon"
            | "concepts"
            | "depth"
            | "force"
            | "fusionType"
            | "id"
            | "image"
            | "imu"
            | "properties"
            | "query"
            | "targetVectors"
            | "thermal"
            | "vector"
            | "video"
            | "weight"
    )
}

/// Reads one subfield of `_additional`.
fn additional(out: &mut GraphqlAsk, selection: &Selection<'_>, directed: bool) {
    let Selection::Field(field) = selection else {
        out.ask.unclear = true;
        return;
    };
    out.ask.unclear |= is_renamed(field);
    let certain = !directed && !field.directed;
    match field.name {
        "id" => out.additional_id |= certain,
        "score" => out.additional_score |= certain,
        "certainty" | "classification" | "creationTimeUnix" | "distance" | "explainScore"
        | "isConsistent" | "lastUpdateTimeUnix" | "vector" | "vectors" => {}
        "answer" | "generate" | "summary" => out.ask.generative = true,
        "rerank" => out.ask.rerank = true,
        "group" => out.ask.group_by = true,
        _ => out.ask.unclear = true,
    }
}

fn is_renamed(field: &Field<'_>) -> bool {
    field.key() != field.name
}
