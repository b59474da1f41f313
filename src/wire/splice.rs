//! Writing a body anew with its hits in another order.
//!
//! In: the body, which lists move how, and edits. Out: the new body. Without edits and removals it
//! is the input with spans exchanged: what stands between hits stays where it is, each hit's bytes
//! move whole, and the length is the same. Anything that does not fit is a [`Doubt`] and the
//! original goes out. Cost: one copy of the body, `O(body + hits)`.

use std::ops::Range;

use super::doubt::Doubt;
use super::edit::Edit;
use super::plan::HitList;

/// How one list moves.
#[derive(Clone, Copy, Debug)]
pub struct Move<'m, 'a> {
    /// The list, as decoded from this very body.
    pub list: &'m HitList<'a>,
    /// The hit (its old position) for each new position: a permutation of all of them.
    pub order: &'m [u32],
    /// How many of the new order's leading hits are kept; the rest is removed with the separators
    /// before them. All, but for the one exception that the rules may name.
    pub keep: usize,
}

/// Exchanges the hits of lists: `order[k]` is the old position of the hit now at `k`.
///
/// The output is as long as the body, and equal to it outside the lists.
///
/// # Errors
/// [`Doubt::NotAPermutation`]; [`Doubt::Misplaced`] when a list is not of this body or two overlap.
pub fn splice(body: &[u8], moves: &[(&HitList<'_>, &[u32])]) -> Result<Vec<u8>, Doubt> {
    let moves: Vec<Move<'_, '_>> =
        moves.iter().map(|&(list, order)| Move { list, order, keep: order.len() }).collect();
    rewrite(body, &moves, &[])
}

/// The same for one list, of whose new order only the first `keep` hits stay.
///
/// This is the one named exception to the permutation law: hits that a rule may remove.
///
/// # Errors
/// As [`splice`].
pub fn splice_without(
    body: &[u8],
    list: &HitList<'_>,
    order: &[u32],
    keep: usize,
) -> Result<Vec<u8>, Doubt> {
    rewrite(body, &[Move { list, order, keep }], &[])
}

/// Moves lists and applies edits; an edit inside a hit moves with it.
///
/// # Errors
/// [`Doubt::NotAPermutation`]; [`Doubt::Misplaced`] when a list or an edit is not of this body, two
/// overlap, two edits insert at one place, or an edit reaches over the border of a hit.
pub fn rewrite(body: &[u8], moves: &[Move<'_, '_>], edits: &[Edit]) -> Result<Vec<u8>, Doubt> {
    let mut moves: Vec<&Move<'_, '_>> = moves.iter().collect();
    moves.sort_by_key(|one| one.list.span.start);
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.span.start);
    let apart = edits.windows(2).all(|pair| match pair {
        [a, b] => a.span.end <= b.span.start && a.span.start < b.span.start,
        _ => true,
    });
    let inside = edits.last().is_none_or(|edit| edit.span.end as usize <= body.len());
    if !apart || !inside {
        return Err(Doubt::Misplaced);
    }
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut writer = Writer { body, edits, out: Vec::with_capacity(body.len() + added) };
    let mut at = 0;
    for one in moves {
        let list = place(&one.list.span);
        if list.start < at || list.end > body.len() {
            return Err(Doubt::Misplaced);
        }
        at = writer.list(at, one)?;
        if at > list.end {
            return Err(Doubt::Misplaced);
        }
    }
    writer.piece(at..body.len())?;
    Ok(writer.out)
}

/// The body as it is written anew.
struct Writer<'b> {
    body: &'b [u8],
    edits: Vec<&'b Edit>,
    out: Vec<u8>,
}

impl Writer<'_> {
    /// Writes from `at` to the end of the list's last hit; answers that end.
    fn list(&mut self, mut at: usize, one: &Move<'_, '_>) -> Result<usize, Doubt> {
        let hits = &one.list.hits;
        if one.keep > hits.len() || !is_permutation(one.order, hits.len()) {
            return Err(Doubt::NotAPermutation);
        }
        for (position, (slot, from)) in hits.iter().zip(one.order).enumerate() {
            let slot = place(&slot.span);
            let from = hits.get(*from as usize).ok_or(Doubt::NotAPermutation)?;
            if slot.start < at || slot.start < one.list.span.start as usize {
                return Err(Doubt::Misplaced);
            }
            if position < one.keep {
                self.piece(at..slot.start)?;
                self.piece(place(&from.span))?;
            } else if position == 0 {
                // nothing is kept: what stands before the first hit stays
                self.piece(at..slot.start)?;
            }
            at = slot.end;
        }
        Ok(at)
    }

    /// Writes one piece of the body with the edits in it.
    fn piece(&mut self, piece: Range<usize>) -> Result<(), Doubt> {
        let first = self.edits.partition_point(|edit| (edit.span.start as usize) < piece.start);
        let mut at = piece.start;
        for edit in self.edits.get(first..).unwrap_or_default() {
            let span = place(&edit.span);
            // an edit belongs to the piece in which it starts, at the very end to the last one
            if span.start >= piece.end && piece.end < self.body.len() || span.start > piece.end {
                break;
            }
            if span.end > piece.end {
                return Err(Doubt::Misplaced);
            }
            self.out.extend_from_slice(self.body.get(at..span.start).ok_or(Doubt::Misplaced)?);
            self.out.extend_from_slice(&edit.with);
            at = span.end;
        }
        self.out.extend_from_slice(self.body.get(at..piece.end).ok_or(Doubt::Misplaced)?);
        Ok(())
    }
}

fn place(span: &Range<u32>) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// Whether `order` names each of `0..count` once.
pub(super) fn is_permutation(order: &[u32], count: usize) -> bool {
    let mut seen = vec![false; count];
    order.len() == count
        && order.iter().all(|position| {
            seen.get_mut(*position as usize).is_some_and(|seen| !std::mem::replace(seen, true))
        })
}

#[cfg(test)]
mod tests;
