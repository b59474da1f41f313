//! Claims on keys, counted and timed: the pure part of [`super::Joins`].
//!
//! In: keys (a trace, the fingerprint of some words), who claims them, times. Out: whose a key is,
//! if it is one's alone. A claim holds while a search is in flight and `window_us` longer. What finds
//! no room leaves the table blind for as long as it would have held: an unseen claim could be the one
//! that makes a key ambiguous.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use xxhash_rust::xxh3::Xxh3;

use super::Front;
use crate::identity::Identity;
use crate::types::ids::{Subject, SubjectKey};

/// What is claimed.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Known(u128),
    /// It may be any.
    Unknown,
}

/// Whose a key is.
pub(super) enum Found {
    Nothing,
    Two { opted_out: bool },
    One { identity: Identity, learned: bool, moved: Arc<AtomicBool> },
}

/// What ends a claim.
pub(super) struct Ticket {
    /// `None`: there was no room.
    seat: Option<(u128, Person)>,
    moved: Arc<AtomicBool>,
}

impl Ticket {
    pub(super) fn was_moved(&self) -> bool {
        self.moved.load(Ordering::Acquire)
    }
}

/// Who claims, as far as two are told apart. Of those who must not be learned from nothing is kept,
/// so they are all alike.
type Person = (Option<SubjectKey>, bool);

struct Claim {
    person: Person,
    identity: Identity,
    learned: bool,
    in_flight: u32,
    /// Holds until then after the last one in flight has ended.
    until_us: u64,
    moved: Arc<AtomicBool>,
}

impl Claim {
    fn holds(&self, now_us: u64) -> bool {
        self.in_flight > 0 || now_us < self.until_us
    }
}

#[derive(Default)]
struct Group {
    claims: Vec<Claim>,
    /// It is in `due`: never twice, so that `due` is no longer than there are groups.
    queued: bool,
}

/// Claims by key.
pub(super) struct Table {
    window_us: u64,
    claims_max: usize,
    claims: usize,
    groups: HashMap<u128, Group>,
    /// When to look for claims that have ended.
    due: BinaryHeap<Reverse<(u64, u128)>>,
    /// Searches in flight that are not in the table.
    unseen: usize,
    blind_until_us: u64,
}

impl Table {
    pub(super) fn new(window_us: u64, claims_max: usize) -> Self {
        Self {
            window_us,
            claims_max,
            claims: 0,
            groups: HashMap::new(),
            due: BinaryHeap::new(),
            unseen: 0,
            blind_until_us: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn claims(&self) -> usize {
        self.claims
    }

    /// A search claims `key` until its ticket ends.
    pub(super) fn claim(&mut self, key: Key, front: &Front<'_>, now_us: u64) -> Ticket {
        self.sweep(now_us);
        let Key::Known(key) = key else { return self.unseen() };
        let identity = remembered(front.identity);
        let person = (identity.subject().as_ref().map(Subject::key), identity.opted_out);
        let group = self.groups.get_mut(&key);
        let known = group.and_then(|group| group.claims.iter_mut().find(|c| c.person == person));
        if let Some(claim) = known {
            claim.in_flight = claim.in_flight.saturating_add(1);
            claim.learned |= front.learned;
            return Ticket { seat: Some((key, person)), moved: claim.moved.clone() };
        }
        if self.claims >= self.claims_max {
            return self.unseen();
        }
        self.claims += 1;
        let moved = Arc::<AtomicBool>::default();
        self.groups.entry(key).or_default().claims.push(Claim {
            person,
            identity,
            learned: front.learned,
            in_flight: 1,
            until_us: 0,
            moved: moved.clone(),
        });
        Ticket { seat: Some((key, person)), moved }
    }

    fn unseen(&mut self) -> Ticket {
        self.unseen += 1;
        Ticket { seat: None, moved: Arc::default() }
    }

    /// The search of this ticket has ended.
    pub(super) fn end(&mut self, ticket: Ticket, now_us: u64) {
        self.end_in(ticket, now_us, self.window_us);
    }

    /// The same, and it holds for so long.
    pub(super) fn end_in(&mut self, ticket: Ticket, now_us: u64, hold_us: u64) {
        let until_us = now_us.saturating_add(hold_us);
        let Some((key, person)) = ticket.seat else {
            self.unseen = self.unseen.saturating_sub(1);
            self.blind(until_us);
            return;
        };
        let Some(group) = self.groups.get_mut(&key) else { return };
        if let Some(claim) = group.claims.iter_mut().find(|claim| claim.person == person) {
            claim.in_flight = claim.in_flight.saturating_sub(1);
            claim.until_us = claim.until_us.max(until_us);
        }
        if !group.queued {
            group.queued = true;
            self.due.push(Reverse((until_us, key)));
        }
        self.sweep(now_us);
    }

    /// Until then there may be claims that are not seen.
    pub(super) fn blind(&mut self, until_us: u64) {
        self.blind_until_us = self.blind_until_us.max(until_us);
    }

    /// Whose is `key`?
    pub(super) fn find(&self, key: u128, now_us: u64) -> Found {
        let claims = self.groups.get(&key).into_iter().flat_map(|group| &group.claims);
        let mut live = claims.filter(|claim| claim.holds(now_us));
        let Some(first) = live.next() else { return Found::Nothing };
        let blind = self.unseen > 0 || now_us < self.blind_until_us;
        match live.next() {
            Some(second) => {
                let mut all = [first, second].into_iter().chain(live);
                Found::Two { opted_out: all.any(|claim| claim.person.1) }
            }
            None if blind => Found::Two { opted_out: first.person.1 },
            None => Found::One {
                identity: first.identity.clone(),
                learned: first.learned,
                moved: first.moved.clone(),
            },
        }
    }

    /// Forgets claims that have ended.
    fn sweep(&mut self, now_us: u64) {
        while let Some(Reverse((due_us, key))) = self.due.peek().copied() {
            if now_us < due_us {
                return;
            }
            self.due.pop();
            let Some(group) = self.groups.get_mut(&key) else { continue };
            group.queued = false;
            let before = group.claims.len();
            group.claims.retain(|claim| claim.holds(now_us));
            self.claims -= before - group.claims.len();
            let ended = group.claims.iter().filter(|claim| claim.in_flight == 0);
            if let Some(soonest_us) = ended.map(|claim| claim.until_us).min() {
                // A crowd that searches for the same is not gone through for each of them.
                let due_us = soonest_us.max(now_us.saturating_add(self.window_us / 4));
                group.queued = true;
                self.due.push(Reverse((due_us.max(now_us + 1), key)));
            } else if group.claims.is_empty() {
                self.groups.remove(&key);
            }
        }
    }
}

/// What is kept of who asks: of those who must not be learned from, that alone.
pub(super) fn remembered(identity: &Identity) -> Identity {
    match identity.opted_out {
        true => Identity { opted_out: true, ..Identity::default() },
        false => identity.clone(),
    }
}

/// Words as they are compared: small letters, single blanks. `None`: there are none.
pub(super) fn words_key(text: &str) -> Option<u128> {
    let mut hash = Xxh3::new();
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    for word in words {
        hash.update(word.to_lowercase().as_bytes());
        hash.update(b" ");
    }
    Some(hash.digest128())
}
