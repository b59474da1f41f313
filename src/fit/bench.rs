//! Settings measured: how good the order of every list is under each.
//!
//! In: settings. Out: sums by cell, each setting measured once. Settings that only weigh are measured
//! from one recording; another learning needs a walk, two of which run at once. The same sums whatever
//! the number of threads. What was measured before (a checkpoint) is not measured again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::lists::{Lists, Sums};
use super::numbers::Number;
use super::setting::{Base, Setting};
use crate::replay::{Log, NDCG10, Products, Recorded, Recorder};
use crate::rules::Rules;
use crate::types::problem::Problem;

/// Threads that measure.
const THREADS: usize = 2;

/// Bytes of recordings that are kept beside the one in use.
const KEPT_BYTES_MAX: usize = 1 << 30;

/// Recordings kept, whatever their size.
const KEPT_MAX: usize = 4;

/// Records or lists between two looks at whether to stop.
const LOOK_EVERY: usize = 512;

/// Why a fit ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It was asked to.
    Asked,
    /// Rules that do not compile.
    Rules(Vec<Problem>),
}

/// What a fit is watched by: whether to stop, how far it is, what was measured.
pub struct Watch<'w> {
    /// Is it to stop now?
    pub is_over: &'w (dyn Fn() -> bool + Sync),
    /// How far it is.
    pub at: &'w dyn Fn(&Step),
    /// A setting that was measured, by its key: to be kept in a checkpoint.
    pub measured: &'w dyn Fn(&str, &[i64]),
}

/// How far a fit is.
#[derive(Clone, Debug)]
pub struct Step {
    /// The number that is looked at.
    pub number: String,
    /// How many of this round are done, of how many.
    pub done: (usize, usize),
    /// Settings measured, those of a checkpoint too.
    pub settings: usize,
}

pub(super) struct Bench<'a> {
    pub(super) log: &'a Log,
    pub(super) products: Arc<Products>,
    pub(super) base: &'a Base,
    pub(super) numbers: &'a [Number],
    pub(super) lists: &'a Lists,
    pub(super) watch: &'a Watch<'a>,
    known: HashMap<String, Sums>,
    kept: Vec<(String, Arc<Recorded<'a>>)>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        (log, products): (&'a Log, Arc<Products>),
        base: &'a Base,
        (numbers, lists): (&'a [Number], &'a Lists),
        watch: &'a Watch<'a>,
        before: BTreeMap<String, Vec<i64>>,
    ) -> Self {
        let fits = |(_, sums): &(String, Vec<i64>)| sums.len() == lists.cells();
        let known = before.into_iter().filter(fits).map(|(key, sums)| (key, sums.into()));
        let known = known.collect();
        Self { log, products, base, numbers, lists, watch, known, kept: Vec::new() }
    }

    /// Settings measured so far.
    pub(super) fn measured(&self) -> usize {
        self.known.len()
    }

    /// What was measured.
    pub(super) fn sums(&self, setting: &Setting) -> Option<&Sums> {
        self.known.get(&setting.key(self.numbers))
    }

    /// Measures what is not known yet.
    pub(super) fn measure(&mut self, settings: &[Setting]) -> Result<(), Stop> {
        let mut wanted: BTreeMap<String, BTreeMap<String, &Setting>> = BTreeMap::new();
        for setting in settings {
            let key = setting.key(self.numbers);
            if !self.known.contains_key(&key) {
                let learning = setting.learning_key(self.numbers);
                wanted.entry(learning).or_default().insert(key, setting);
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        for some in wanted.chunks(THREADS) {
            let recordings = self.recordings(some)?;
            for ((_, settings), recorded) in some.iter().zip(recordings) {
                for (key, setting) in settings {
                    let (rules, _) = self.rules(setting)?;
                    let sums = self.summed(&recorded, &rules).ok_or(Stop::Asked)?;
                    (self.watch.measured)(key, &sums);
                    self.known.insert(key.clone(), sums);
                }
            }
        }
        Ok(())
    }

    fn rules(&self, setting: &Setting) -> Result<(Rules, crate::replay::Conditions), Stop> {
        self.base.rules(setting, self.numbers).map_err(Stop::Rules)
    }

    /// One recording for each of a few ways to learn, in order.
    fn recordings(
        &mut self,
        some: &[(String, BTreeMap<String, &Setting>)],
    ) -> Result<Vec<Arc<Recorded<'a>>>, Stop> {
        let mut missing = Vec::new();
        for (learning, settings) in some {
            let is_kept = self.kept.iter().any(|(key, _)| key == learning);
            if let Some(setting) = settings.values().next().filter(|_| !is_kept) {
                missing.push((learning, self.rules(setting)?));
            }
        }
        let (log, products, watch) = (self.log, &self.products, self.watch);
        let (range, is_over) = (&self.lists.range, watch.is_over);
        let walk = |(rules, conditions)| {
            let (products, range) = (products.clone(), range.clone());
            let rules = Arc::new(rules);
            let recorder = Recorder::new(log, products.clone(), rules, conditions, range);
            walked(recorder, products, is_over)
        };
        let walk = &walk;
        let (keys, with): (Vec<_>, Vec<_>) = missing.into_iter().unzip();
        let walked: Vec<Option<Recorded<'a>>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                with.into_iter().map(|with| scope.spawn(move || walk(with))).collect();
            threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        for (key, recorded) in keys.into_iter().zip(walked) {
            self.kept.push((key.clone(), Arc::new(recorded.ok_or(Stop::Asked)?)));
        }
        let found: Option<Vec<_>> = some.iter().map(|(learning, _)| self.kept(learning)).collect();
        self.forget();
        found.ok_or(Stop::Asked)
    }

    /// A recording that is kept; it is now the one used last.
    fn kept(&mut self, learning: &str) -> Option<Arc<Recorded<'a>>> {
        let place = self.kept.iter().position(|(key, _)| key == learning)?;
        let used = self.kept.remove(place);
        let recorded = used.1.clone();
        self.kept.push(used);
        Some(recorded)
    }

    fn forget(&mut self) {
        let bytes = |kept: &[(String, Arc<Recorded<'_>>)]| -> usize {
            kept.iter().map(|(_, recorded)| recorded.bytes()).sum()
        };
        while self.kept.len() > THREADS
            && (self.kept.len() > KEPT_MAX || bytes(&self.kept) > KEPT_BYTES_MAX)
        {
            self.kept.remove(0);
        }
    }

    fn summed(&self, recorded: &Recorded<'_>, rules: &Rules) -> Option<Sums> {
        let (lists, is_over) = (self.lists, self.watch.is_over);
        let half = lists.len().div_ceil(THREADS);
        let part = |from: usize| {
            let mut sums = vec![0_i64; lists.cells()];
            for list in from..lists.len().min(from + half) {
                if list % LOOK_EVERY == 0 && is_over() {
                    return None;
                }
                lists.add(&mut sums, list, recorded.scores(list, rules)[NDCG10]);
            }
            Some(sums)
        };
        let part = &part;
        let parts: Option<Vec<Vec<i64>>> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..THREADS).map(|thread| scope.spawn(move || part(thread * half))).collect();
            threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        let mut sums = vec![0; lists.cells()];
        for part in parts? {
            sums.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
        }
        Some(sums.into())
    }
}

/// A recording, or `None` where it is to stop.
fn walked<'l>(
    mut recorder: Recorder<'l>,
    products: Arc<Products>,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Option<Recorded<'l>> {
    while recorder.step() {
        if recorder.done().is_multiple_of(LOOK_EVERY) && is_over() {
            return None;
        }
    }
    Some(recorder.finish(products))
}
