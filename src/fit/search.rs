//! Which values are better, and whether that is more than chance.
//!
//! In: numbers, settings that can be measured. Out: accepted changes and what was tried in vain.
//!
//! One number at a time. Each split has values of its own, found on its training lists: a ladder
//! around the present value, then the middles between the best one and its neighbours. Of values that
//! bring nine tenths of the best gain, the one nearest to the present is taken. The change is judged on
//! the lists that each split holds out, beside what stood before: it is accepted where the 95 %
//! interval of its gain is above 0 and the gain would still be no chance if all numbers were tried in
//! vain. Numbers that only weigh come first, those with the most to gain (in training) before others;
//! rounds go on until nothing is accepted.
//!
//! What is proposed is the value found on all lists, which no gain that is told was measured with.

use std::collections::BTreeMap;

use super::bench::{Bench, Step, Stop};
use super::lists::{Gain, Part, Sums, errors_min};
use super::numbers::{Kind, Value, sorted};
use super::setting::Setting;

/// Rounds over all numbers.
const ROUNDS_MAX: usize = 3;

/// Times that the middles between neighbours are looked at.
const FINER: [(Kind, usize); 2] = [(Kind::Weighs, 2), (Kind::Learns, 1)];

/// Steps up or down a ladder.
const STEPS_MAX: usize = 8;

/// Share of the best gain that a nearer value must bring.
const NEARLY: f64 = 0.9;

/// Gains below this, a list, are none.
const NOTHING: f64 = 1e-7;

/// A change that was accepted.
#[derive(Clone, Debug)]
pub struct Change {
    /// The number, by place among the fitted ones.
    pub number: usize,
    /// Before.
    pub from: Value,
    /// As proposed.
    pub to: Value,
    /// The values that the splits found, in their order.
    pub by_split: Vec<Value>,
    /// On held-out lists, over what stood before.
    pub gain: Gain,
    /// The same by segment and history.
    pub parts: Vec<Part>,
}

/// Why a number stays.
#[derive(Clone, Debug, PartialEq)]
pub enum Stays {
    /// The log has no such signal.
    NotHeard,
    /// No value that was tried changes the measure of any list.
    NoEffect,
    /// No value is better on the training lists.
    NothingBetter,
    /// A value was better in training, and not for certain on held-out lists.
    Chance {
        /// What was found on all lists.
        to: Value,
        /// On held-out lists.
        gain: Gain,
    },
}

pub(super) struct Search<'b, 'a> {
    pub(super) bench: &'b mut Bench<'a>,
    /// Signals in the log, by kind.
    pub(super) heard: &'b [u64],
    /// By split; the last one is found on all lists.
    pub(super) states: Vec<Setting>,
    pub(super) changes: Vec<Change>,
    pub(super) stays: BTreeMap<usize, Stays>,
    /// Standard errors that a gain must have.
    errors_min: f64,
}

/// Values of one number, by split, and what the last split gains in training.
struct Tuned {
    values: Vec<Value>,
    gain: f64,
    has_effect: bool,
}

impl<'b, 'a> Search<'b, 'a> {
    pub(super) fn new(bench: &'b mut Bench<'a>, heard: &'b [u64]) -> Self {
        let states = vec![Setting::default(); bench.lists.splits + 1];
        let (changes, stays) = (Vec::new(), BTreeMap::new());
        let mut search = Self { bench, heard, states, changes, stays, errors_min: 0.0 };
        let tried = (0..search.bench.numbers.len()).filter(|number| search.is_heard(*number));
        search.errors_min = errors_min(tried.count());
        search
    }

    /// Goes on until nothing is gained any more.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        self.bench.measure(&self.states[..1])?;
        for number in 0..self.bench.numbers.len() {
            if !self.is_heard(number) {
                self.stays.insert(number, Stays::NotHeard);
            }
        }
        for _ in 0..ROUNDS_MAX {
            let before = self.changes.len();
            self.round(Kind::Weighs)?;
            self.round(Kind::Learns)?;
            if self.changes.len() == before {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn errors_min(&self) -> f64 {
        self.errors_min
    }

    fn is_heard(&self, number: usize) -> bool {
        let signal = self.bench.numbers.get(number).and_then(|number| number.signal);
        signal.is_none_or(|kind| self.heard.get(kind.index()).is_some_and(|count| *count > 0))
    }

    fn round(&mut self, kind: Kind) -> Result<(), Stop> {
        let numbers: Vec<usize> = (0..self.bench.numbers.len())
            .filter(|number| self.bench.numbers[*number].kind == kind && self.is_heard(*number))
            .collect();
        let mut promising = Vec::new();
        for (done, number) in numbers.iter().enumerate() {
            self.tell(*number, (done, numbers.len()));
            let tuned = self.tuned(*number)?;
            if tuned.gain > NOTHING {
                promising.push((*number, tuned));
                continue;
            }
            let stays = match tuned.has_effect {
                true => Stays::NothingBetter,
                false => Stays::NoEffect,
            };
            self.stays.insert(*number, stays);
        }
        promising.sort_by(|(_, a), (_, b)| b.gain.total_cmp(&a.gain));
        let mut is_stale = false;
        let count = promising.len();
        for (done, (number, mut tuned)) in promising.into_iter().enumerate() {
            self.tell(number, (done, count));
            if is_stale {
                tuned = self.tuned(number)?;
            }
            is_stale |= self.judge(number, &tuned);
        }
        Ok(())
    }

    fn tell(&self, number: usize, done: (usize, usize)) {
        let number = self.bench.numbers.get(number).map(|number| number.path.clone());
        let (number, settings) = (number.unwrap_or_default(), self.bench.measured());
        (self.bench.watch.at)(&Step { number, done, settings });
    }

    /// Accepts a change that is more than chance.
    fn judge(&mut self, number: usize, tuned: &Tuned) -> bool {
        let with =
            |(state, value): (&Setting, &Value)| state.with(number, *value, self.bench.numbers);
        let changed: Vec<Setting> = self.states.iter().zip(&tuned.values).map(with).collect();
        let (Some(before), Some(after)) = (self.held_out(&self.states), self.held_out(&changed))
        else {
            return false;
        };
        let gain = self.bench.lists.held_out(&before, &after);
        let all = self.states.len() - 1;
        let from = self.states[all].value(number, self.bench.numbers);
        let to = tuned.values[all];
        let is_clear = gain.mean.low > 0.0 && gain.errors > self.errors_min;
        if !is_clear || from == to {
            self.stays.insert(number, Stays::Chance { to, gain });
            return false;
        }
        let parts = self.bench.lists.parts(&before, &after);
        let by_split = tuned.values[..all].to_vec();
        self.changes.push(Change { number, from, to, by_split, gain, parts });
        self.stays.remove(&number);
        self.states = changed;
        true
    }

    /// The sums of the splits that hold something out, each under its own setting.
    pub(super) fn held_out(&self, states: &[Setting]) -> Option<Vec<&Sums>> {
        let splits = states.iter().take(self.bench.lists.splits);
        splits.map(|state| self.bench.sums(state)).collect()
    }

    /// The best value of one number for each split, beside all others as they stand.
    fn tuned(&mut self, number: usize) -> Result<Tuned, Stop> {
        let known = &self.bench.numbers[number];
        let (kind, ladder) = (known.kind, known.ladder());
        let mut tried: Vec<Vec<Value>> = match kind {
            Kind::Weighs => {
                let all = vec![ladder; self.states.len()];
                self.measure(number, &all)?;
                all
            }
            Kind::Learns => self.climbed(number, &ladder)?,
        };
        let times = FINER.iter().find(|(of, _)| *of == kind).map_or(0, |(_, times)| *times);
        for _ in 0..times {
            for (split, values) in tried.iter_mut().enumerate() {
                let (best, _) = self.best(number, split, values);
                let at = values.iter().position(|value| *value == best).unwrap_or(0);
                let known = &self.bench.numbers[number];
                let near = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
                let near = near.filter_map(|near| values.get(near));
                let middles: Vec<Value> =
                    near.filter_map(|near| known.between(best, *near)).collect();
                values.extend(middles);
                *values = sorted(std::mem::take(values));
            }
            self.measure(number, &tried)?;
        }
        let best = tried.iter().enumerate().map(|(split, values)| self.best(number, split, values));
        let (values, gains): (Vec<Value>, Vec<f64>) = best.unzip();
        let has_effect = tried.iter().enumerate().any(|(split, values)| {
            let now = self.bench.sums(&self.states[split]);
            values.iter().any(|value| self.bench.sums(&self.with(number, split, *value)) != now)
        });
        Ok(Tuned { values, gain: gains.last().copied().unwrap_or_default(), has_effect })
    }

    /// Up and down a ladder from where each split stands, as long as it gets better.
    fn climbed(&mut self, number: usize, ladder: &[Value]) -> Result<Vec<Vec<Value>>, Stop> {
        let mut ladders: Vec<Vec<Value>> = Vec::new();
        for state in &self.states {
            let mut own = ladder.to_vec();
            own.push(state.value(number, self.bench.numbers));
            ladders.push(sorted(own));
        }
        let stands = |search: &Self, split: usize| {
            let value = search.states[split].value(number, search.bench.numbers);
            ladders[split].iter().position(|other| *other == value).unwrap_or(0)
        };
        let mut places: Vec<usize> =
            (0..self.states.len()).map(|split| stands(self, split)).collect();
        let mut tried: Vec<Vec<Value>> = Vec::new();
        for (split, place) in places.iter().enumerate() {
            // nothing at all is always looked at: a number may have no meaning
            let none = ladders[split].iter().filter(|value| **value == Some(0.0));
            tried.push(none.chain(ladders[split].get(*place)).copied().collect());
        }
        for _ in 0..STEPS_MAX {
            for (split, place) in places.iter().enumerate() {
                let from = place.saturating_sub(1);
                tried[split].extend(ladders[split].iter().skip(from).take(place - from + 2));
                tried[split] = sorted(std::mem::take(&mut tried[split]));
            }
            self.measure(number, &tried)?;
            let mut is_over = true;
            for (split, place) in places.iter_mut().enumerate() {
                let highest = self.highest(number, split, &tried[split]);
                let next = ladders[split].iter().position(|value| *value == highest);
                is_over &= next.is_none_or(|next| next == *place);
                *place = next.unwrap_or(*place);
            }
            if is_over {
                break;
            }
        }
        Ok(tried)
    }

    fn with(&self, number: usize, split: usize, value: Value) -> Setting {
        self.states[split].with(number, value, self.bench.numbers)
    }

    fn measure(&mut self, number: usize, tried: &[Vec<Value>]) -> Result<(), Stop> {
        let settings = tried.iter().enumerate().flat_map(|(split, values)| {
            let with = move |value: &Value| (split, *value);
            values.iter().map(with)
        });
        let settings: Vec<Setting> =
            settings.map(|(split, value)| self.with(number, split, value)).collect();
        self.bench.measure(&settings)
    }

    /// What a value gains on a split's training lists over what stands.
    fn gain(&self, number: usize, split: usize, value: Value) -> f64 {
        let now = self.bench.sums(&self.states[split]);
        let then = self.bench.sums(&self.with(number, split, value));
        match (now, then) {
            (Some(now), Some(then)) => self.bench.lists.training_gain(split, now, then),
            _ => f64::NEG_INFINITY,
        }
    }

    /// The value with the highest gain; what stands where none has any.
    fn highest(&self, number: usize, split: usize, values: &[Value]) -> Value {
        let mut highest = (self.states[split].value(number, self.bench.numbers), NOTHING);
        for value in values {
            let gain = self.gain(number, split, *value);
            if gain > highest.1 {
                highest = (*value, gain);
            }
        }
        highest.0
    }

    /// The value nearest to what stands among those nearly as good as the best, and its gain.
    fn best(&self, number: usize, split: usize, values: &[Value]) -> (Value, f64) {
        let now = self.states[split].value(number, self.bench.numbers);
        let highest = self.gain(number, split, self.highest(number, split, values));
        if highest <= NOTHING {
            return (now, 0.0);
        }
        let stands = values.iter().position(|value| *value == now).unwrap_or(0);
        let good = values.iter().enumerate().filter_map(|(at, value)| {
            let gain = self.gain(number, split, *value);
            (gain >= NEARLY * highest).then_some((at.abs_diff(stands), *value, gain))
        });
        let nearest = good.min_by_key(|(distance, ..)| *distance);
        nearest.map_or((now, 0.0), |(_, value, gain)| (value, gain))
    }
}
