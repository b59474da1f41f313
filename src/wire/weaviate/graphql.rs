//! Searches over GraphQL: `POST /v1/graphql` and `/v1/graphql/batch`.
//!
//! In: a body, `{"query", "operationName", "variables"}` or an array of such objects. Out: one
//! [`GraphqlAsk`] for each field directly under `Get`, with the place of its list in the reply and
//! the places that may be rewritten; the body with other limits ([`with_window`]) or more selected
//! ([`with_selection`]). A list of the reply for which there is no ask must be left alone. The hits
//! of a reply are found by a [`GraphqlPlan`].
//!
//! ```text
//! {"query": "{ Get { greens: Product(limit: 5, bm25: {query: \"kale\"}) { sku } } }"}
//!                    ^key    ^collection    ^limit_digits               ^opens
//! ```

use std::fmt::Write as _;
use std::ops::Range;

use super::{Decision, ListAsk};
use crate::wire::doubt::Doubt;
use crate::wire::json::{Json, Kind};
use crate::wire::pointer::Segment;
use crate::wire::text::unescape;

use asks::Asking;
use parser::{Field, Operation, Selection};
use places::Places;
use variables::Variables;

pub use reply::GraphqlPlan;
pub use rewrite::{Added, with_selection, with_window};

mod asks;
mod lexer;
mod parser;
mod places;
mod reply;
mod rewrite;
mod variables;

/// Lists that one body may ask for, and fields beside `Get`.
const LISTS_MAX: usize = 256;

/// What was asked for one list, and where that stands in the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphqlAsk {
    /// What was asked.
    pub ask: ListAsk,
    /// Where the list will be in the reply, as a JSON Pointer: `/data/Get/<key>`, in a batch
    /// `/<position>/data/Get/<key>`.
    pub at: String,
    /// The digits of the limit in the body, where it is a literal above 0.
    pub limit_digits: Option<Range<usize>>,
    /// The digits of the offset in the body, where it is a literal.
    pub offset_digits: Option<Range<usize>>,
    /// Each hit will hold `_additional.id`.
    pub additional_id: bool,
    /// Each hit will hold `_additional.score`.
    pub additional_score: bool,
    /// Properties that each hit will hold, under their own names; those with selections of their
    /// own are not among them.
    pub properties: Vec<String>,
    /// Behind the brace that opens the field's selection.
    opens: Option<usize>,
    /// Behind the brace that opens the selection of `_additional`.
    additional_opens: Option<usize>,
}

impl GraphqlAsk {
    /// What may be done with the list: never widened where its limit or offset is no literal.
    pub fn decide(&self, window: Option<u32>) -> Decision {
        let offset_stays = self.ask.offset == 0;
        let literal = self.limit_digits.is_some() && (offset_stays || self.offset_digits.is_some());
        self.ask.decide(window.filter(|_| literal))
    }

    /// Whether each hit will hold this property.
    pub fn selects(&self, property: &str) -> bool {
        self.properties.iter().any(|selected| selected == property)
    }
}

/// Reads what a body asks for, in the order of its text.
///
/// In a batch, elements that cannot be read have no asks; nor have mutations, and documents with
/// several operations of which none is named.
///
/// # Errors
/// The reason why the body cannot be read.
pub fn documents(body: &[u8]) -> Result<Vec<GraphqlAsk>, Doubt> {
    let json = Json::parse(body)?;
    if json.kind() != Kind::Array {
        return request(json, "");
    }
    let mut asks = Vec::new();
    for (position, element) in json.elements().into_iter().enumerate() {
        asks.extend(request(element, &format!("/{position}")).unwrap_or_default());
        if asks.len() > LISTS_MAX {
            return Err(Doubt::TooLarge);
        }
    }
    Ok(asks)
}

/// Reads one `{query, operationName, variables}`, whose reply will stand at `prefix`.
fn request(json: Json<'_>, prefix: &str) -> Result<Vec<GraphqlAsk>, Doubt> {
    let (mut query, mut name, mut variables) = (None, None, None);
    for (key, value) in json.members() {
        // the server tells keys apart as Go does: by letters, not by their case
        let place = match key.len() {
            5 if key.eq_ignore_ascii_case("query") => &mut query,
            13 if key.eq_ignore_ascii_case("operationName") => &mut name,
            9 if key.eq_ignore_ascii_case("variables") => &mut variables,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(Doubt::DuplicateKey);
        }
    }
    let query = query.filter(|query| query.kind() == Kind::Text).ok_or(Doubt::NotGraphql)?;
    let quoted = query.raw().get(1..query.raw().len() - 1).ok_or(Doubt::NotGraphql)?;
    let text = unescape(quoted)?;
    let document = parser::document(&text)?;
    let name = name.map(Json::text).transpose()?.flatten().unwrap_or_default();
    let Some(operation) = chosen(&document.operations, &name) else { return Ok(Vec::new()) };
    let asking = Asking {
        tokens: &document.tokens,
        variables: Variables::new(variables, &operation.definitions),
        places: Places::new(quoted, query.span().start + 1),
    };
    lists(operation, &asking, prefix)
}

/// The operation that the server will run.
fn chosen<'o, 'a>(operations: &'o [Operation<'a>], name: &str) -> Option<&'o Operation<'a>> {
    match (operations, name) {
        ([only], "") => Some(only),
        (_, "") => None,
        (all, name) => all.iter().find(|operation| operation.name == Some(name)),
    }
}

/// Reads every field under every `Get` of an operation.
fn lists<'a>(
    operation: &Operation<'a>,
    asking: &Asking<'_, 'a>,
    prefix: &str,
) -> Result<Vec<GraphqlAsk>, Doubt> {
    let mut asks: Vec<GraphqlAsk> = Vec::new();
    if operation.selection.len() > LISTS_MAX {
        return Err(Doubt::TooLarge);
    }
    // a fragment here may add to any list
    let mut torn = operation.selection.iter().any(is_fragment);
    for get in fields(&operation.selection).filter(|field| field.name == "Get") {
        let alike = |field: &Field<'_>| field.key() == get.key() && field.name != "Get";
        torn |= get.directed || !get.arguments.is_empty();
        torn |= get.selection.iter().any(is_fragment);
        torn |= fields(&operation.selection).any(alike);
        for field in fields(&get.selection).filter(|field| !field.name.starts_with("__")) {
            if asks.len() == LISTS_MAX {
                return Err(Doubt::TooLarge);
            }
            let mut at = String::with_capacity(prefix.len() + 32);
            let written =
                write!(at, "{prefix}/data/{}/{}", Segment(get.key()), Segment(field.key()));
            debug_assert!(written.is_ok(), "writing to a String does not fail");
            let mut ask = asking.read(field, at);
            // the server merges two fields of one key, or refuses them
            for twin in asks.iter_mut().filter(|other| other.at == ask.at) {
                twin.ask.unclear = true;
                ask.ask.unclear = true;
            }
            asks.push(ask);
        }
    }
    if torn {
        asks.iter_mut().for_each(|ask| ask.ask.unclear = true);
    }
    Ok(asks)
}

fn fields<'s, 'a>(selection: &'s [Selection<'a>]) -> impl Iterator<Item = &'s Field<'a>> {
    selection.iter().filter_map(|one| match one {
        Selection::Field(field) => Some(field),
        Selection::Fragment => None,
    })
}

fn is_fragment(selection: &Selection<'_>) -> bool {
    matches!(selection, Selection::Fragment)
}

#[cfg(test)]
mod tests;
