//! Who searches at the shop's door right now, for searches behind the shop that name nobody.
//!
//! In: each search of a front leg, from its request until its reply has gone by
//! ([`Joins::announce`]). Out: for a search of a back leg, whose it is ([`Joins::who`]): by the trace
//! that the shop passed on, else by its words among the searches in flight or ended a moment ago.
//! Whatever fits two shoppers fits nobody. Bounded: beyond `entries_max` nothing is told apart any
//! more until there is room again.

mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::config::Join;
use crate::identity::Identity;
use crate::types::clock::Clock;
use crate::types::ids::TraceId;
use table::{Found, Key, Table};

/// What a search at the front searches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words<'a> {
    /// This.
    Known(&'a str),
    /// Nothing.
    None,
    /// Its request could not be read: it may be anything.
    Unknown,
}

/// A search at the front.
#[derive(Clone, Copy, Debug)]
pub struct Front<'a> {
    /// The trace that the shop gets with it.
    pub trace: Option<TraceId>,
    /// What is searched for.
    pub words: Words<'a>,
    /// Who asks.
    pub identity: &'a Identity,
    /// The list that the front shows teaches the shopper's profile.
    pub learned: bool,
}

/// A search at the front, as another process is told of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its trace.
    pub trace: TraceId,
    /// Who asks.
    pub identity: Identity,
}

/// Searches that wait to be told; more are dropped.
const TOLD_MAX: usize = 1024;

/// For so long another process' search can be found: what it has ended, it does not tell.
const TOLD_US: u64 = 10_000_000;

/// Searches of front legs, by trace and by words.
pub struct Joins {
    table: Mutex<Tables>,
    outbox: Option<mpsc::Sender<Told>>,
    to_tell: Mutex<Option<mpsc::Receiver<Told>>>,
    clock: Arc<dyn Clock>,
    by_query: bool,
}

struct Tables {
    traces: Table,
    words: Table,
}

/// One search of a front leg, in flight until this is dropped.
pub struct Announced {
    joins: Arc<Joins>,
    claims: [Option<table::Ticket>; 2],
    told: Option<bool>,
}

/// How a search of a back leg found its shopper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By `traceparent`.
    Trace,
    /// By its words.
    Query,
}

/// Whose search one of a back leg is.
pub enum Who {
    /// Nobody's that we know of.
    Nobody,
    /// It fits two, so it is nobody's.
    Ambiguous {
        /// One of them must not be learned from.
        opted_out: bool,
    },
    /// This one's.
    One(Joined),
}

/// The search of a front leg to which one of a back leg belongs.
pub struct Joined {
    /// By what it was found.
    pub how: How,
    /// Who asks there: perhaps nobody who is named.
    pub identity: Identity,
    /// The front's list teaches the profile: one of the back leg must not, or one search counts
    /// twice.
    pub learned: bool,
    moved: Arc<AtomicBool>,
}

impl Joined {
    /// Hits moved at the back: what the front shows is not the upstream's own order.
    pub fn mark_moved(&self) {
        self.moved.store(true, Ordering::Release);
    }
}

impl Announced {
    /// Is another process to hear of it? `Some(false)`: its queue is full.
    pub fn is_told(&self) -> Option<bool> {
        self.told
    }

    /// A back leg moved hits of a list that this search may rest on.
    pub fn was_moved(&self) -> bool {
        self.claims.iter().flatten().any(table::Ticket::was_moved)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let [trace, words] = &mut self.claims;
        let mut tables = self.joins.table.lock();
        // Read under the lock, so that times come in the order of the changes.
        let now_us = self.joins.clock.monotonic_us();
        trace.take().into_iter().for_each(|ticket| tables.traces.end(ticket, now_us));
        words.take().into_iter().for_each(|ticket| tables.words.end(ticket, now_us));
    }
}

impl Joins {
    /// An empty table with the settings' caps.
    pub fn new(settings: &Join, clock: Arc<dyn Clock>) -> Self {
        let window_us = u64::try_from(settings.window.as_micros()).unwrap_or(u64::MAX);
        let table = || Table::new(window_us, settings.entries_max);
        let (outbox, to_tell) = match settings.tell.is_empty() {
            true => (None, None),
            false => {
                let (outbox, to_tell) = mpsc::channel(TOLD_MAX);
                (Some(outbox), Some(to_tell))
            }
        };
        Self {
            outbox,
            to_tell: Mutex::new(to_tell),
            table: Mutex::new(Tables { traces: table(), words: table() }),
            clock,
            by_query: settings.by_query,
        }
    }

    /// A search of a front leg begins.
    pub fn announce(self: &Arc<Self>, front: &Front<'_>) -> Announced {
        let trace = front.trace.map(|trace| Key::Known(trace.0));
        let words = match front.words {
            Words::Known(text) => table::words_key(text).map(Key::Known),
            Words::None => None,
            Words::Unknown => Some(Key::Unknown),
        };
        let mut tables = self.table.lock();
        let now_us = self.clock.monotonic_us();
        let claims = [
            trace.map(|key| tables.traces.claim(key, front, now_us)),
            words.filter(|_| self.by_query).map(|key| tables.words.claim(key, front, now_us)),
        ];
        drop(tables);
        let told = self.outbox.as_ref().zip(front.trace).map(|(outbox, trace)| {
            outbox.try_send(Told { trace, identity: table::remembered(front.identity) }).is_ok()
        });
        Announced { joins: self.clone(), claims, told }
    }

    /// What other processes are to be told; once.
    pub fn to_tell(&self) -> Option<mpsc::Receiver<Told>> {
        self.to_tell.lock().take()
    }

    /// Another process has a search in front. Its words may meet those of searches here before we
    /// hear of it, so words tell nobody apart for a while.
    pub fn hear(&self, told: &Told) {
        let Told { trace, identity } = told;
        let front = Front { trace: Some(*trace), words: Words::None, identity, learned: false };
        let mut tables = self.table.lock();
        let now_us = self.clock.monotonic_us();
        let ticket = tables.traces.claim(Key::Known(trace.0), &front, now_us);
        tables.traces.end_in(ticket, now_us, TOLD_US);
        tables.words.blind(now_us.saturating_add(TOLD_US));
    }

    /// Whose is a search of a back leg with this trace and these words? A trace that is known
    /// decides alone.
    pub fn who(&self, trace: Option<TraceId>, words: Option<&str>) -> Who {
        let tables = self.table.lock();
        let now_us = self.clock.monotonic_us();
        let by_trace = trace.map_or(Found::Nothing, |trace| tables.traces.find(trace.0, now_us));
        if !matches!(by_trace, Found::Nothing) {
            return said(by_trace, How::Trace);
        }
        let key = words.filter(|_| self.by_query).and_then(table::words_key);
        said(key.map_or(Found::Nothing, |key| tables.words.find(key, now_us)), How::Query)
    }

    /// Claims in memory.
    #[cfg(test)]
    fn entries(&self) -> usize {
        let tables = self.table.lock();
        tables.traces.claims().max(tables.words.claims())
    }
}

fn said(found: Found, how: How) -> Who {
    match found {
        Found::Nothing => Who::Nobody,
        Found::Two { opted_out } => Who::Ambiguous { opted_out },
        Found::One { identity, learned, moved } => {
            Who::One(Joined { how, identity, learned, moved })
        }
    }
}
