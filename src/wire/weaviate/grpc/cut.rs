//! A reply brought back to what the caller asked for: one page of a wider window, without what was
//! added to the request for our own use.
//!
//! In: a plain body, its list, the new order, the page and what to take away. Out: a plain body with
//! the page's records in the first hits' places and the others' records gone, lengths and head
//! right, every other byte as it was.

use std::ops::Range;

use super::frame::{HEAD_BYTES, head, message};
use super::reply::entry;
use crate::wire::splice::is_permutation;
use crate::wire::weaviate::protobuf::{Record, Records, put_bytes};
use crate::wire::{Doubt, HitList};

/// What is taken out of each hit, because the caller did not ask for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stripped {
    /// The score and the word that it is there.
    pub score: bool,
    /// Properties, by name.
    pub properties: Vec<String>,
}

impl Stripped {
    /// Nothing is taken out.
    pub fn is_empty(&self) -> bool {
        !self.score && self.properties.is_empty()
    }
}

/// The body with the hits of `order[page]` alone, without what is `stripped` of each. A page that
/// goes on behind the last hit ends there.
///
/// # Errors
/// [`Doubt::NotAPermutation`]; [`Doubt::Misplaced`] where the list is not of this body;
/// [`Doubt::NotProtobuf`].
pub fn cut(
    body: &[u8],
    list: &HitList<'_>,
    order: &[u32],
    page: Range<usize>,
    stripped: &Stripped,
) -> Result<Vec<u8>, Doubt> {
    message(body)?;
    let hits = &list.hits;
    if !is_permutation(order, hits.len()) {
        return Err(Doubt::NotAPermutation);
    }
    let end = page.end.min(order.len());
    let kept = order.get(page.start.min(end)..end).unwrap_or_default();
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    let mut kept = kept.iter();
    for slot in hits {
        let between = body.get(at..slot.span.start as usize).ok_or(Doubt::Misplaced)?;
        out.extend_from_slice(between);
        at = slot.span.end as usize;
        let Some(from) = kept.next() else { continue };
        let from = hits.get(*from as usize).ok_or(Doubt::NotAPermutation)?;
        let record = from.span.start as usize..from.span.end as usize;
        let record = body.get(record).ok_or(Doubt::Misplaced)?;
        if stripped.is_empty() {
            out.extend_from_slice(record);
        } else {
            out.extend_from_slice(&strip(record, stripped)?);
        }
    }
    out.extend_from_slice(body.get(at..).ok_or(Doubt::Misplaced)?);
    let head = head(out.len().checked_sub(HEAD_BYTES).ok_or(Doubt::Misplaced)?)?;
    out.get_mut(..HEAD_BYTES).ok_or(Doubt::Misplaced)?.copy_from_slice(&head);
    Ok(out)
}

/// A whole record of a hit (tag, length, `SearchResult`) without what is `stripped`; the lengths
/// around it are those of what is left.
///
/// # Errors
/// [`Doubt::NotProtobuf`]; [`Doubt::DuplicateKey`] where an entry of properties holds two values.
pub fn strip(record: &[u8], stripped: &Stripped) -> Result<Vec<u8>, Doubt> {
    let mut out = Vec::with_capacity(record.len());
    rewritten(record, &mut out, &mut |record, out| {
        within(record, out, &mut |record, out| match record.number {
            1 if !stripped.properties.is_empty() => properties(record, stripped, out),
            2 if stripped.score => within(record, out, &mut |record, out| {
                if !matches!(record.number, 11 | 12) {
                    out.extend_from_slice(record.raw);
                }
                Ok(())
            }),
            _ => kept(record, out),
        })
    })?;
    Ok(out)
}

/// A `PropertiesResult` without entries of some names.
fn properties(record: &Record<'_>, stripped: &Stripped, out: &mut Vec<u8>) -> Result<(), Doubt> {
    within(record, out, &mut |record, out| match record.number {
        11 => within(record, out, &mut |record, out| {
            if record.number == 1 {
                let (key, _) = entry(record.bytes()?)?;
                if stripped.properties.iter().any(|name| name.as_bytes() == key) {
                    return Ok(());
                }
            }
            kept(record, out)
        }),
        _ => kept(record, out),
    })
}

/// What writes a record anew, or does not.
type Write<'w> = &'w mut dyn FnMut(&Record<'_>, &mut Vec<u8>) -> Result<(), Doubt>;

/// Writes a record of a message with the records in it as `write` gives them; where that changes
/// nothing, byte for byte.
fn within(record: &Record<'_>, out: &mut Vec<u8>, write: Write<'_>) -> Result<(), Doubt> {
    let message = record.bytes()?;
    let mut inner = Vec::with_capacity(message.len());
    rewritten(message, &mut inner, write)?;
    if inner == message {
        out.extend_from_slice(record.raw);
    } else {
        put_bytes(out, record.number, &inner);
    }
    Ok(())
}

fn rewritten(message: &[u8], out: &mut Vec<u8>, write: Write<'_>) -> Result<(), Doubt> {
    Records::new(message).try_for_each(|record| write(&record?, out))
}

fn kept(record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), Doubt> {
    out.extend_from_slice(record.raw);
    Ok(())
}
