//! Which hits may move, and the list put together again.
//!
//! Only the first `window_size` hits are scored and moved; the tail keeps its place behind them. The
//! one exception is removal, which a rule must allow by name: removed hits leave from anywhere and
//! end the order, so that the order stays a permutation of the upstream's list.

use super::merchandise::Acts;
use super::{Candidate, Hold, RankRequest, Ranking};

/// The leading hits that may move.
pub fn of<'a>(request: &RankRequest<'a>) -> &'a [Candidate<'a>] {
    let size = request.rules.ranking.window_size.min(request.candidates.len());
    &request.candidates[..size]
}

/// Puts the arranged window, the tail and what was removed into `ranking.order`.
pub fn assembled(
    request: &RankRequest<'_>,
    arranged: Vec<u32>,
    acts: &Acts,
    ranking: &mut Ranking,
) {
    let window = of(request).len();
    for hold in &mut ranking.holds[window..] {
        *hold = Hold::Tail;
    }
    for (hit, rule) in &acts.removed {
        ranking.holds[*hit as usize] = Hold::Removed(*rule);
    }
    let mut order = arranged;
    let tail = window..request.candidates.len();
    order.extend(tail.filter(|old| ranking.holds[*old] == Hold::Tail).map(|old| old as u32));
    ranking.removed = acts.removed.iter().map(|(hit, _)| *hit).collect();
    order.extend(&ranking.removed);
    ranking.order = order;
}
