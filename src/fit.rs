//! Floor 6: the numbers of the rules, learned from logs, as a proposal.
//!
//! In: a log, the rules' text. Out: an [`Outcome`]: which numbers should be others, what each change
//! gains on lists that it was not found on, with its interval, what was tried in vain, and the edited
//! text. Nothing is applied. [`numbers`] says what is fitted and [`lists`] what it is judged on;
//! [`bench`] measures with the code of the replay, [`search`] looks and decides.
//!
//! Deterministic: the same log, rules and plan give the same outcome on any machine. It can be
//! stopped at any time and then tells what was accepted so far; what was measured is handed out as it
//! comes and may be handed in again. No files, no clock.

mod bench;
mod lists;
mod numbers;
mod search;
mod setting;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use bench::{Step, Watch};
pub use lists::{Division, Gain, Part};
pub use numbers::{Number, Unknown, Value, path_of, written};
pub use search::{Change, Stays};
pub use setting::Base;

use crate::replay::table::{Draws, Mean};
use crate::replay::{Log, Products, Protocol, Replay, Row};
use crate::types::problem::Problem;
use crate::yaml::{Problems, rewrite, tree};
use bench::{Bench, Stop};
use lists::Lists;
use search::Search;

/// Fewer lists tell nothing from chance.
pub const LISTS_MIN: usize = 200;

/// Fewer users are no sample of users.
pub const USERS_MIN: usize = 10;

/// What a fit is asked for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folds of the users; by time under protocol p1.
    pub folds: u64,
    /// Only numbers at or below these paths; empty = all.
    pub only: Vec<String>,
    /// For intervals.
    pub draws: Draws,
}

/// Why nothing is fitted.
#[derive(Debug)]
pub enum Refusal {
    /// A path that names no number.
    Unknown(Unknown),
    /// Too little to learn from.
    TooFew {
        /// Scored lists in the upstream's order.
        lists: usize,
        /// Their users.
        users: usize,
        /// Scored lists that went out in our order.
        left_out: usize,
    },
    /// Rules that do not compile.
    Rules(Vec<Problem>),
    /// Stopped before anything was measured.
    Stopped,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The numbers that were looked at.
    pub numbers: Vec<Number>,
    /// Accepted changes, in order.
    pub changes: Vec<Change>,
    /// By place among the numbers: those that stay, and why.
    pub stays: BTreeMap<usize, Stays>,
    /// What differs in the end, by number.
    pub proposed: BTreeMap<usize, Value>,
    /// The rules' text with that; `None` where nothing differs or it cannot be written.
    pub edited: Option<String>,
    /// NDCG@10 of the held-out lists, as they are and as proposed (each split by its own values).
    pub levels: [Mean; 2],
    /// What all changes gain together on held-out lists.
    pub gain: Gain,
    /// The same by segment and history.
    pub parts: Vec<Part>,
    /// Lists that counted.
    pub lists: usize,
    /// Their users.
    pub users: usize,
    /// Scored lists that went out in our order and did not count.
    pub left_out: usize,
    /// How lists were divided.
    pub division: Division,
    /// Standard errors that a gain had to have.
    pub errors_min: f64,
    /// Settings measured.
    pub settings: usize,
    /// How likely the leading positions are looked at, by the lists in the upstream's order.
    pub propensities: [f32; 10],
    /// Nothing was left to try.
    pub is_whole: bool,
}

/// Fits the numbers of the rules. `before` is what an earlier run measured.
///
/// # Errors
/// Why nothing can be fitted.
pub fn rules(
    log: &mut Log,
    base: &Base,
    plan: &Plan,
    before: BTreeMap<String, Vec<i64>>,
    watch: &Watch<'_>,
) -> Result<Outcome, Refusal> {
    let tree = tree::parse(&base.file, &base.text, &mut Problems::default());
    let numbers = numbers::numbers(&tree, &plan.only).map_err(Refusal::Unknown)?;
    let left_out = log.leave_out_ranked();
    let log = &*log;
    let (written, conditions) =
        base.rules(&setting::Setting::default(), &numbers).map_err(Refusal::Rules)?;
    let products = Arc::new(Products::of(log, &written.knowledge));
    let mut replay = Replay::new(log, products.clone(), Arc::new(written), conditions);
    while replay.step() {
        if replay.done().is_multiple_of(512) && (watch.is_over)() {
            return Err(Refusal::Stopped);
        }
    }
    let (heard, propensities) = (replay.heard(), replay.propensities());
    let rows: Vec<Row> = replay.finish();
    let division = match base.protocol {
        Protocol::Common => Division::Users(plan.folds),
        Protocol::P1 => Division::Time,
    };
    let lists = Lists::of(&rows, division, plan.draws);
    let (count, users) = (lists.len(), lists.groups());
    if count < LISTS_MIN || users < USERS_MIN {
        return Err(Refusal::TooFew { lists: count, users, left_out });
    }
    let mut bench = Bench::new((log, products), base, (&numbers, &lists), watch, before);
    let mut search = Search::new(&mut bench, &heard);
    let is_whole = match search.run() {
        Ok(()) => true,
        Err(Stop::Asked) => false,
        Err(Stop::Rules(problems)) => return Err(Refusal::Rules(problems)),
    };
    let found = found(&search, base).ok_or(Refusal::Stopped)?;
    let outcome = Outcome { propensities, division, left_out, is_whole, ..found };
    Ok(outcome)
}

/// What a search has accepted so far; `None` before anything was measured.
fn found(search: &Search<'_, '_>, base: &Base) -> Option<Outcome> {
    let (bench, lists) = (&*search.bench, search.bench.lists);
    let as_written = vec![setting::Setting::default(); search.states.len()];
    let (before, after) = (search.held_out(&as_written)?, search.held_out(&search.states)?);
    let proposed: BTreeMap<usize, Value> =
        search.states.last().map(|state| state.changes().collect()).unwrap_or_default();
    let edit = |text: Option<String>, (number, value): (&usize, &Value)| {
        let keys: Vec<&str> = bench.numbers.get(*number)?.path.split('.').collect();
        rewrite::set(&text?, &keys, &written(*value))
    };
    let edited = proposed.iter().fold(Some(base.text.clone()), edit);
    Some(Outcome {
        numbers: bench.numbers.to_vec(),
        changes: search.changes.clone(),
        stays: search.stays.clone(),
        edited: edited.filter(|_| !proposed.is_empty()),
        proposed,
        levels: [lists.level(&before), lists.level(&after)],
        gain: lists.held_out(&before, &after),
        parts: lists.parts(&before, &after),
        lists: lists.len(),
        users: lists.groups(),
        left_out: 0,
        division: Division::Time,
        errors_min: search.errors_min(),
        settings: bench.measured(),
        propensities: [0.0; 10],
        is_whole: false,
    })
}

#[cfg(test)]
mod tests;
