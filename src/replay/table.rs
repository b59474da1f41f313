//! Many measured lists as a few numbers, each with what chance could make of it.
//!
//! In: rows. Out: means over lists, and their 95 % intervals by resampling the *users*: lists of one
//! user are alike, and are drawn together. Differences of two rankers are paired: of the same lists.
//! The same seed gives the same intervals. `O(resamples · users · rankers · metrics)`.

use std::collections::HashMap;

use serde::Serialize;

use super::chance::Chance;
use super::measure::{METRICS, Scores};
use super::{COUNTER, RANKERS, Row, SERVED, Segment, UPSTREAM};

/// How often users are drawn again, unless somebody asks for another number.
pub const RESAMPLES: usize = 1_000;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Mean {
    /// Over all lists.
    pub mean: f64,
    /// 2.5 % of the draws are below.
    pub low: f64,
    /// 2.5 % of the draws are above.
    pub high: f64,
}

/// Some lists, summed up.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Lists.
    pub lists: usize,
    /// People whose lists they are.
    pub users: usize,
    /// By ranker of [`RANKERS`] and metric.
    pub rankers: [[Mean; METRICS]; RANKERS.len()],
    /// The served order less the upstream's, by metric.
    pub over_upstream: [Mean; METRICS],
    /// The served order less the item counter's, by metric.
    pub over_counter: [Mean; METRICS],
}

/// How intervals are made.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// How often users are drawn again.
    pub resamples: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Table {
    /// Sums up; no lists give zeros.
    pub fn of<'r>(rows: impl Iterator<Item = &'r Row>, draws: Draws) -> Self {
        let mut sums = Sums::new(RANKERS.len() * METRICS);
        for row in rows {
            sums.add(row.person, row.scores.iter().flatten().copied());
        }
        // the two differences follow the rankers
        let width = RANKERS.len() * METRICS;
        let less = |row: &mut Vec<f64>, other: usize| {
            let minus = |metric| row[SERVED * METRICS + metric] - row[other * METRICS + metric];
            let difference: Scores = std::array::from_fn(minus);
            row.extend(difference);
        };
        for row in &mut sums.by_user {
            less(row, UPSTREAM);
            less(row, COUNTER);
        }
        sums.width = width + 2 * METRICS;
        let means = sums.means(draws);
        let five = |at: usize| {
            std::array::from_fn(|metric| means.get(at + metric).copied().unwrap_or_default())
        };
        Self {
            lists: sums.lists(),
            users: sums.by_user.len(),
            rankers: std::array::from_fn(|ranker| five(ranker * METRICS)),
            over_upstream: five(width),
            over_counter: five(width + METRICS),
        }
    }

    /// The lists of one segment.
    pub fn of_segment(rows: &[&Row], segment: Segment, draws: Draws) -> Self {
        Self::of(rows.iter().copied().filter(|row| row.segment == segment), draws)
    }

    /// The lists of people with so much history (a place in [`super::DEPTHS`]).
    pub fn of_depth(rows: &[&Row], depth: usize, draws: Draws) -> Self {
        Self::of(rows.iter().copied().filter(|row| row.depth == depth), draws)
    }
}

/// The paired difference of the served orders of two runs over one log, by metric.
pub fn difference(one: &[&Row], other: &[&Row], draws: Draws) -> [Mean; METRICS] {
    let mut sums = Sums::new(METRICS);
    for (one, other) in one.iter().zip(other) {
        let less = |metric| other.scores[SERVED][metric] - one.scores[SERVED][metric];
        let difference: Scores = std::array::from_fn(less);
        sums.add(one.person, difference.into_iter());
    }
    let means = sums.means(draws);
    std::array::from_fn(|metric| means.get(metric).copied().unwrap_or_default())
}

/// A mean over lists of what is summed up by user already: each user's sum and lists.
pub fn mean_by_user(users: impl Iterator<Item = (f64, usize)>, draws: Draws) -> Mean {
    let mut sums = Sums::new(1);
    for (sum, lists) in users {
        sums.counts.push(lists);
        sums.by_user.push(vec![sum]);
    }
    sums.means(draws).first().copied().unwrap_or_default()
}

/// Sums by user, in the order in which users come.
struct Sums {
    width: usize,
    places: HashMap<u32, usize>,
    counts: Vec<usize>,
    by_user: Vec<Vec<f64>>,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self { width, places: HashMap::new(), counts: Vec::new(), by_user: Vec::new() }
    }

    fn add(&mut self, person: u32, values: impl Iterator<Item = f64>) {
        let next = self.by_user.len();
        let place = *self.places.entry(person).or_insert(next);
        if place == next {
            self.by_user.push(vec![0.0; self.width]);
            self.counts.push(0);
        }
        self.counts[place] += 1;
        self.by_user[place].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }

    fn lists(&self) -> usize {
        self.counts.iter().sum()
    }

    fn means(&self, draws: Draws) -> Vec<Mean> {
        let mut totals = vec![0.0; self.width];
        for row in &self.by_user {
            totals.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        let lists = self.lists().max(1) as f64;
        let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(draws.resamples); self.width];
        let mut chance = Chance::new(draws.seed);
        let mut sums = vec![0.0; self.width];
        for _ in 0..draws.resamples {
            sums.fill(0.0);
            let mut count = 0;
            for _ in &self.by_user {
                let user = chance.below(self.by_user.len());
                count += self.counts[user];
                sums.iter_mut().zip(&self.by_user[user]).for_each(|(sum, value)| *sum += value);
            }
            let count = count.max(1) as f64;
            drawn.iter_mut().zip(&sums).for_each(|(all, sum)| all.push(sum / count));
        }
        let mean = |(total, mut drawn): (f64, Vec<f64>)| {
            drawn.sort_by(f64::total_cmp);
            let at = |share: f64| {
                let place = (drawn.len().saturating_sub(1) as f64 * share).round() as usize;
                drawn.get(place).copied()
            };
            let mean = total / lists;
            Mean { mean, low: at(0.025).unwrap_or(mean), high: at(0.975).unwrap_or(mean) }
        };
        totals.into_iter().zip(drawn).map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(lists: &[(u32, f64)]) -> Sums {
        let mut sums = Sums::new(1);
        lists.iter().for_each(|(person, value)| sums.add(*person, [*value].into_iter()));
        sums
    }

    #[test]
    fn an_interval_holds_the_mean_and_comes_again_with_its_seed() {
        let lists: Vec<(u32, f64)> =
            (0..400).map(|i| (i / 4, f64::from(i % 7) / 7.0 + f64::from(i / 4 % 3))).collect();
        let draws = Draws { resamples: 400, seed: 7 };
        let [one] = sums(&lists).means(draws)[..] else { panic!("one column") };
        assert_eq!(sums(&lists).means(draws), [one]);
        assert!(one.low < one.mean && one.mean < one.high, "{one:?}");
        assert_ne!(sums(&lists).means(Draws { seed: 8, ..draws }), [one]);
    }

    #[test]
    fn lists_of_one_user_are_drawn_together() {
        // a hundred lists alike of each user say as much as one of each
        let once: Vec<(u32, f64)> = (0..40).map(|user| (user, f64::from(user % 2))).collect();
        let often: Vec<(u32, f64)> = (0..100).flat_map(|_| once.clone()).collect();
        let draws = Draws { resamples: 500, seed: 1 };
        assert_eq!(sums(&once).means(draws)[0], sums(&often).means(draws)[0]);
    }

    #[test]
    fn no_lists_give_zeros() {
        let table = Table::of(std::iter::empty(), Draws { resamples: 10, seed: 0 });
        assert_eq!((table.lists, table.users), (0, 0));
        assert_eq!(table.rankers[SERVED][0], Mean::default());
    }
}
