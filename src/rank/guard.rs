//! What may not happen, whatever the score says: the window's order.
//!
//! In: scores, tiers, intents matched, the acts of the rules. Out: the window's hits in their order,
//! without the removed ones, and what holds each. In order of growing authority:
//! 1. the score, ties by the upstream's order;
//! 2. diversity: at most so many of one brand in a row, where another brand is left;
//! 3. tiers and query intent: a hit never passes one of a better tier, or one of its tier that
//!    matches more of what the query names, that stood before it;
//! 4. the displacement cap, which keeps what 3 made: of two hits in the upstream's order it never
//!    swaps one that is already in order;
//! 5. slots locked beforehand: sponsored hits keep their place, pins take theirs, and a hit of which
//!    nothing is known, or that is out of stock, is not lifted by others sinking below it;
//! 6. hard demotions (out of stock, by rule), then hides: last, and no pin lifts them.
//!
//! `O(window · log window)`; diversity, more than one tier or intent, and a cap `O(window²)`.

use super::merchandise::Acts;
use super::relevance::Topic;
use super::{Candidate, Hold, RankRequest, Ranking, window};
use crate::types::product::{Axis, FacetKey};

/// Arranges the window and fills in `ranking.holds`.
pub fn arranged(
    request: &RankRequest<'_>,
    topic: &Topic,
    acts: &Acts,
    ranking: &mut Ranking,
) -> Vec<u32> {
    let hits = window::of(request);
    let Parted { active, demoted, hidden } = parted(request, acts, ranking);
    let slots = locked_slots(request, &active, acts, ranking);
    let free = Free::beside(&slots, &active, ranking);

    let mut wish = by_score(&free, ranking);
    if let Some(in_a_row_max) = request.rules.guards.same_brand_in_a_row_max {
        wish = diversified(wish, &free, &slots, hits, in_a_row_max.max(1));
    }
    wish = held(wish, &free.classes(request, topic, ranking));
    if let Some(places_max) = request.rules.guards.displacement_max {
        wish = capped(wish, &free.slots, places_max);
    }
    let mut order = free.filled(slots, &wish);
    order.extend(demoted);
    order.extend(hidden);
    order
}

/// The free hits by their scores, highest first; ties keep the upstream's order.
fn by_score(free: &Free, ranking: &Ranking) -> Vec<usize> {
    let mut keys: Vec<i64> = Vec::with_capacity(free.hits.len());
    for (index, old) in free.hits.iter().enumerate() {
        // as `f32::total_cmp` compares, highest first, but made comparable once a hit
        let bits = ranking.scores[*old as usize].total().to_bits() as i32;
        let descending = !(bits ^ (((bits >> 31) as u32) >> 1) as i32);
        keys.push((i64::from(descending) << 32) | index as i64);
    }
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32 as usize).collect()
}

/// The window's hits that are to be arranged, and those that leave the arrangement but not the
/// list; each in the upstream's order.
struct Parted {
    active: Vec<u32>,
    demoted: Vec<u32>,
    hidden: Vec<u32>,
}

fn parted(request: &RankRequest<'_>, acts: &Acts, ranking: &mut Ranking) -> Parted {
    let hits = window::of(request);
    let active = Vec::with_capacity(hits.len());
    let mut parted = Parted { active, demoted: Vec::new(), hidden: Vec::new() };
    let rule_of = |list: &[(u32, u32)], old: u32| {
        list.binary_search_by_key(&old, |(hit, _)| *hit).ok().map(|at| list[at].1)
    };
    for (old, hit) in hits.iter().enumerate() {
        let position = old as u32;
        let hold = &mut ranking.holds[old];
        if let Some(rule) = rule_of(&acts.removed, position) {
            *hold = Hold::Removed(rule);
        } else if let Some(rule) = rule_of(&acts.hidden, position) {
            *hold = Hold::Hidden(rule);
            parted.hidden.push(position);
        } else if let Some(rule) = rule_of(&acts.demoted, position) {
            *hold = Hold::Demoted(rule);
            parted.demoted.push(position);
        } else if hit.in_stock == Some(false) {
            *hold = Hold::OutOfStock;
            match request.rules.guards.demote_out_of_stock {
                true => parted.demoted.push(position),
                false => parted.active.push(position),
            }
        } else {
            parted.active.push(position);
        }
    }
    parted
}

/// The places of the arrangement with what is locked there: sponsored hits, then pins, then hits
/// that may not be lifted.
fn locked_slots(
    request: &RankRequest<'_>,
    active: &[u32],
    acts: &Acts,
    ranking: &mut Ranking,
) -> Vec<Option<u32>> {
    let hits = window::of(request);
    let mut slots: Vec<Option<u32>> = vec![None; active.len()];
    for old in active.iter().copied().filter(|old| hits[*old as usize].sponsored) {
        ranking.holds[old as usize] = Hold::Sponsored;
        lock(&mut slots, old as usize, old);
    }
    for pin in &acts.pins {
        let hold = ranking.holds[pin.hit as usize];
        let lifts = pin.slot < pin.hit as usize;
        let may = hold == Hold::Free || (hold == Hold::OutOfStock && !lifts);
        if may && active.binary_search(&pin.hit).is_ok() {
            ranking.holds[pin.hit as usize] = Hold::Pinned(pin.rule);
            lock(&mut slots, pin.slot, pin.hit);
        }
    }
    let mut open = 0;
    for old in active.iter().copied() {
        if !matches!(ranking.holds[old as usize], Hold::Free | Hold::OutOfStock) {
            continue;
        }
        let Some(slot) = (open..slots.len()).find(|slot| slots[*slot].is_none()) else { break };
        open = slot + 1;
        let hold = &mut ranking.holds[old as usize];
        if *hold == Hold::Free && is_unknown(&hits[old as usize], &ranking.scores[old as usize]) {
            *hold = Hold::Unknown;
        }
        if *hold != Hold::Free {
            slots[slot] = Some(old);
        }
    }
    slots
}

/// True for a hit without anything that could speak for or against it. One with a name is known to
/// be of no facet, and others may pass it.
fn is_unknown(hit: &Candidate<'_>, terms: &super::Contributions) -> bool {
    let spoken = terms.item != 0.0 || terms.prior != 0.0 || terms.merchandising != 0.0;
    hit.facts.facets.is_empty() && hit.facts.terms.is_empty() && !spoken
}

/// Locks a hit at `slot`, or at the next open place after it, or else the nearest before it.
fn lock(slots: &mut [Option<u32>], slot: usize, old: u32) {
    let slot = slot.min(slots.len().saturating_sub(1));
    let after = (slot..slots.len()).find(|at| slots[*at].is_none());
    let open = after.or_else(|| (0..slot).rev().find(|at| slots[*at].is_none()));
    if let Some(at) = open {
        slots[at] = Some(old);
    }
}

/// The hits that may move and the places left for them, both in list order. The hit at index `i`
/// stands at `slots[i]` when nothing moves.
struct Free {
    hits: Vec<u32>,
    slots: Vec<usize>,
}

impl Free {
    fn beside(slots: &[Option<u32>], active: &[u32], ranking: &Ranking) -> Self {
        let mut all = Self {
            hits: Vec::with_capacity(active.len()),
            slots: Vec::with_capacity(active.len()),
        };
        for old in active {
            if ranking.holds[*old as usize] == Hold::Free {
                all.hits.push(*old);
            }
        }
        for (slot, locked) in slots.iter().enumerate() {
            if locked.is_none() {
                all.slots.push(slot);
            }
        }
        all
    }

    /// What a hit must stay behind: smaller is better. Tier first, then names matched.
    fn classes(&self, request: &RankRequest<'_>, topic: &Topic, ranking: &Ranking) -> Vec<u16> {
        let intent = request.rules.guards.query_intent;
        let class = |old: &u32| {
            let matched = topic.matched.get(*old as usize).copied().filter(|_| intent);
            u16::from(ranking.tiers[*old as usize]) * 8 + u16::from(7 - matched.unwrap_or(0).min(7))
        };
        self.hits.iter().map(class).collect()
    }

    fn filled(&self, slots: Vec<Option<u32>>, wish: &[usize]) -> Vec<u32> {
        let mut wish = wish.iter().filter_map(|index| self.hits.get(*index).copied());
        let mut order = Vec::with_capacity(slots.len());
        for locked in slots {
            if let Some(old) = locked.or_else(|| wish.next()) {
                order.push(old);
            }
        }
        order
    }
}

/// Puts the best hit of another brand where a brand would stand too often in a row.
fn diversified(
    mut wish: Vec<usize>,
    free: &Free,
    slots: &[Option<u32>],
    hits: &[Candidate<'_>],
    in_a_row_max: usize,
) -> Vec<usize> {
    let brand = |old: u32| hits[old as usize].facts.on_axis(Axis::Brand).next();
    let mut out = Vec::with_capacity(wish.len());
    let mut run: (Option<FacetKey>, usize) = (None, 0);
    for locked in slots {
        let old = match locked {
            Some(old) => *old,
            None => {
                let full = |b: Option<FacetKey>| b.is_some() && b == run.0 && run.1 >= in_a_row_max;
                let next = wish.iter().position(|i| !full(brand(free.hits[*i]))).unwrap_or(0);
                if wish.is_empty() {
                    break;
                }
                let index = wish.remove(next);
                out.push(index);
                free.hits[index]
            }
        };
        let here = brand(old);
        run = if here.is_some() && here == run.0 { (here, run.1 + 1) } else { (here, 1) };
    }
    out
}

/// Lets a hit wait until every hit of a better class that stood before it is out.
fn held(wish: Vec<usize>, classes: &[u16]) -> Vec<usize> {
    if classes.windows(2).all(|pair| pair[0] == pair[1]) {
        return wish;
    }
    let mut out: Vec<usize> = Vec::with_capacity(wish.len());
    let mut waiting = wish;
    let mut is_out = vec![false; classes.len()];
    // each class with its first hit that is not out, best class first
    let mut firsts: Vec<(u16, usize)> = Vec::new();
    for (index, class) in classes.iter().enumerate() {
        if !firsts.iter().any(|(known, _)| known == class) {
            firsts.push((*class, index));
        }
    }
    firsts.sort_unstable();
    while !waiting.is_empty() {
        let is_held = |index: usize| {
            let better = firsts.iter().take_while(|(class, _)| *class < classes[index]);
            better.into_iter().any(|(_, first)| *first < index)
        };
        let next = waiting.iter().position(|index| !is_held(*index)).unwrap_or(0);
        let index = waiting.remove(next);
        is_out[index] = true;
        out.push(index);
        if let Some((class, first)) = firsts.iter_mut().find(|(class, _)| *class == classes[index])
        {
            let left = (*first..classes.len()).find(|i| !is_out[*i] && classes[*i] == *class);
            *first = left.unwrap_or(usize::MAX);
        }
    }
    out
}

/// Moves each hit at most `places_max` from `slots[index]`, otherwise as wished.
///
/// Each place takes the most wished hit that may come so far forward, unless the first hit in the
/// upstream's order could not be placed later. Deadlines are made strictly increasing, which is what
/// keeps every later hit placeable too.
fn capped(wish: Vec<usize>, slots: &[usize], places_max: usize) -> Vec<usize> {
    let deadlines = deadlines(slots, places_max);
    let mut out = Vec::with_capacity(wish.len());
    let mut waiting = wish;
    let mut is_out = vec![false; slots.len()];
    let mut first = 0;
    for (place, slot) in slots.iter().enumerate() {
        while is_out.get(first) == Some(&true) {
            first += 1;
        }
        let due = deadlines.get(first).is_some_and(|deadline| *deadline <= place);
        let may = |index: usize| {
            if due { index == first } else { slots[index] <= slot.saturating_add(places_max) }
        };
        let Some(next) = waiting.iter().position(|index| may(*index)) else { break };
        let index = waiting.remove(next);
        is_out[index] = true;
        out.push(index);
    }
    out.extend(waiting);
    out
}

/// The last place (index in `slots`) at which each hit may stand; past the end where it is free to.
fn deadlines(slots: &[usize], places_max: usize) -> Vec<usize> {
    let end = slots.last().copied().unwrap_or_default();
    let mut deadlines: Vec<usize> = slots
        .iter()
        .map(|slot| {
            let furthest = slot.saturating_add(places_max);
            let reached = slots.partition_point(|s| *s <= furthest);
            (reached - 1).saturating_add(furthest.saturating_sub(end))
        })
        .collect();
    for index in (1..deadlines.len()).rev() {
        deadlines[index - 1] = deadlines[index - 1].min(deadlines[index].saturating_sub(1));
    }
    deadlines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rank::Contributions;

    proptest! {
        #[test]
        fn the_highest_score_comes_first_and_ties_keep_the_upstreams_order(
            scores in prop::collection::vec(
                prop_oneof![
                    -9.0..9.0_f32,
                    prop::sample::select(vec![0.0, -0.0, 1.0, f32::MAX, f32::INFINITY, f32::NAN]),
                ],
                0..60,
            ),
        ) {
            let mut ranking = Ranking::unmoved(scores.len(), None);
            for (terms, score) in ranking.scores.iter_mut().zip(&scores) {
                *terms = Contributions { relevance: *score, ..Contributions::default() };
            }
            let hits = ranking.order.clone();
            let free = Free { slots: (0..hits.len()).collect(), hits };
            let mut wanted: Vec<usize> = (0..scores.len()).collect();
            let total = |i: usize| ranking.scores[i].total();
            wanted.sort_by(|a, b| total(*b).total_cmp(&total(*a)));
            prop_assert_eq!(by_score(&free, &ranking), wanted);
        }

        #[test]
        fn a_capped_hit_moves_no_further_than_it_may_around_locked_slots(
            gaps in prop::collection::vec(1..4_usize, 1..40),
            places_max in 0..12_usize,
            seed in 0..u64::MAX,
        ) {
            let slots: Vec<usize> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut wish: Vec<usize> = (0..slots.len()).collect();
            wish.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            let out = capped(wish, &slots, places_max);
            for (place, index) in out.iter().enumerate() {
                prop_assert!(slots[place].abs_diff(slots[*index]) <= places_max);
            }
            let mut sorted = out;
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..slots.len()));
        }

        #[test]
        fn a_held_hit_never_passes_a_better_one_that_stood_before_it_and_a_cap_keeps_it_so(
            classes in prop::collection::vec(0..4_u16, 1..30),
            places_max in 0..9_usize,
            seed in 0..u64::MAX,
        ) {
            let mut wish: Vec<usize> = (0..classes.len()).collect();
            wish.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            let slots: Vec<usize> = (0..classes.len()).collect();
            let out = capped(held(wish, &classes), &slots, places_max);
            let place = |i: usize| out.iter().position(|x| *x == i).unwrap();
            for (a, b) in (0..classes.len()).flat_map(|a| (a + 1..classes.len()).map(move |b| (a, b))) {
                prop_assert!(classes[a] >= classes[b] || place(a) < place(b));
            }
        }
    }

    #[test]
    fn without_a_reason_to_wait_the_wish_stands() {
        assert_eq!(held(vec![2, 0, 1], &[7, 7, 7]), [2, 0, 1]);
        assert_eq!(held(vec![2, 1, 0], &[7, 15, 7]), [2, 0, 1]);
        assert_eq!(capped(vec![2, 1, 0], &[0, 1, 2], 9), [2, 1, 0]);
    }
}
