//! The same request for more hits, or for one more property of each.
//!
//! In: the body and lists as they were read from it. Out: the body with the digits of limits and
//! offsets replaced inside the JSON string, or with names added to selections; every other byte
//! stays. Nothing that is inserted needs an escape.

use std::ops::Range;

use super::GraphqlAsk;
use super::lexer::is_name;
use crate::wire::doubt::Doubt;
use crate::wire::edit::Edit;
use crate::wire::splice::rewrite;
use crate::wire::weaviate::digits::digits;

/// The body with a new limit for each of these lists, counted from the first hit: their offsets
/// become 0.
///
/// # Errors
/// [`Doubt::Misplaced`] when a list is not of this body, is there twice, or has a limit or offset
/// that is no literal; [`GraphqlAsk::decide`] never asks for that.
pub fn with_window(body: &[u8], lists: &[(&GraphqlAsk, u32)]) -> Result<Vec<u8>, Doubt> {
    let mut edits = Vec::with_capacity(lists.len() * 2);
    for (list, limit) in lists {
        edits.push(digits(body, list.limit_digits.as_ref(), *limit)?);
        if list.ask.offset > 0 {
            edits.push(digits(body, list.offset_digits.as_ref(), 0)?);
        }
    }
    rewrite(body, &[], &edits)
}

/// The body with more selected in each of these lists: the id, or properties by name.
///
/// What is selected already is not added again.
///
/// # Errors
/// [`Doubt::Misplaced`] when a list is not of this body, is there twice, or selects nothing, or a
/// name is none.
pub fn with_selection(
    body: &[u8],
    lists: &[(&GraphqlAsk, &[Added<'_>])],
) -> Result<Vec<u8>, Doubt> {
    let mut edits = Vec::new();
    for (list, added) in lists {
        let (mut properties, mut id) = (String::new(), false);
        for one in *added {
            match one {
                Added::Id => id |= !list.additional_id,
                Added::Property(name) if !is_name(name) => return Err(Doubt::Misplaced),
                Added::Property(name) if list.selects(name) => {}
                Added::Property(name) => properties.extend([*name, " "]),
            }
        }
        match list.additional_opens {
            Some(opens) if id => edits.push(insertion(body, Some(opens), "id ".to_owned())?),
            None if id => properties.push_str("_additional{id} "),
            _ => {}
        }
        if !properties.is_empty() {
            edits.push(insertion(body, list.opens, properties)?);
        }
    }
    rewrite(body, &[], &edits)
}

/// What is added to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added<'n> {
    /// `_additional{id}`
    Id,
    /// A property by its name.
    Property(&'n str),
}

fn insertion(body: &[u8], at: Option<usize>, text: String) -> Result<Edit, Doubt> {
    let at = at.ok_or(Doubt::Misplaced)?;
    let before = at.checked_sub(1).and_then(|before| body.get(before));
    if before != Some(&b'{') {
        return Err(Doubt::Misplaced);
    }
    edit(at..at, text)
}

fn edit(span: Range<usize>, with: String) -> Result<Edit, Doubt> {
    let place = |at| u32::try_from(at).map_err(|_| Doubt::TooLarge);
    Ok(Edit { span: place(span.start)?..place(span.end)?, with: with.into_bytes() })
}
