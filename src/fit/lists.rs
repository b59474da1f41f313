//! Which lists a fit learns from and which it is judged on, and what a gain is worth.
//!
//! In: the measured lists of a replay. Out: cells (lists of one shopper, part, segment and depth of
//! history, which are only ever summed together), splits into training and held-out parts, and gains
//! with their intervals by users.
//!
//! - Users: each fold of the users is held out once, its values fitted on the others.
//! - Time (protocol p1): fitted on the lists from 60 to 80 %, held out are the last 20 %.
//!
//! Sums are whole numbers (of 1e-9): they are the same in whatever order lists are added.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::replay::table::{Draws, Mean, mean_by_user};
use crate::replay::{DEPTHS, Row, Segment};

/// Shoppers told apart in intervals; more are drawn in so many groups.
const GROUPS_MAX: u64 = 1_000;

/// One NDCG in the units of sums.
const UNITS: f64 = 1e9;

/// A mean gain with what it takes to tell it from chance.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gain {
    /// With its 95 % interval.
    pub mean: Mean,
    /// The mean in its standard errors.
    pub errors: f64,
}

/// A gain of some of the lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// `new item`, `1-3 events`.
    pub name: &'static str,
    /// Held-out lists.
    pub lists: usize,
    /// What they gain.
    pub gain: Mean,
}

/// How lists are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// So many folds of the users.
    Users(u64),
    /// By time: the share from which lists train, and from which they are held out.
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    group: u64,
    part: u64,
    segment: usize,
    depth: usize,
}

/// The lists that count.
pub(super) struct Lists {
    /// Which of the scored lists these are.
    pub(super) range: Range<usize>,
    /// By list.
    cell_of: Vec<u32>,
    cells: Vec<(Cell, usize)>,
    /// Splits that hold something out; one more trains on all of it.
    pub(super) splits: usize,
    division: Division,
    draws: Draws,
}

/// Sums of all cells under one setting.
pub(super) type Sums = Box<[i64]>;

impl Lists {
    pub(super) fn of(rows: &[Row], division: Division, draws: Draws) -> Self {
        let at = |share: f64| (rows.len() as f64 * share).round() as usize;
        let (range, splits) = match division {
            Division::Users(folds) => (0..rows.len(), folds as usize),
            Division::Time => (at(0.6)..rows.len(), 1),
        };
        let folds = match division {
            Division::Users(folds) => folds.max(1),
            Division::Time => 1,
        };
        let counted = rows.get(range.clone()).unwrap_or_default();
        let mut people: Vec<u32> = counted.iter().map(Row::person).collect();
        people.sort_unstable();
        people.dedup();
        let few = people.len() as u64 <= GROUPS_MAX;
        // Users of one group are of one fold.
        let groups = folds * (GROUPS_MAX / folds).max(1);
        let cell = |(number, row): (usize, &Row)| Cell {
            group: if few { u64::from(row.person()) } else { row.fold(groups) },
            part: match division {
                Division::Users(folds) => row.fold(folds),
                Division::Time => u64::from(range.start + number >= at(0.8)),
            },
            segment: Segment::ALL.iter().position(|(_, s)| *s == row.segment()).unwrap_or(0),
            depth: row.depth(),
        };
        let of_lists: Vec<Cell> = counted.iter().enumerate().map(cell).collect();
        let mut numbers: BTreeMap<Cell, usize> = BTreeMap::new();
        of_lists.iter().for_each(|cell| *numbers.entry(*cell).or_default() += 1);
        let cells: Vec<(Cell, usize)> = numbers.into_iter().collect();
        let place = |cell: &Cell| cells.partition_point(|(other, _)| other < cell) as u32;
        let cell_of = of_lists.iter().map(place).collect();
        Self { range, cell_of, cells, splits, division, draws }
    }

    /// Lists that count.
    pub(super) fn len(&self) -> usize {
        self.cell_of.len()
    }

    /// Users, or groups of them where there are very many.
    pub(super) fn groups(&self) -> usize {
        let mut groups: Vec<u64> = self.cells.iter().map(|(cell, _)| cell.group).collect();
        groups.dedup();
        groups.len()
    }

    pub(super) fn cells(&self) -> usize {
        self.cells.len()
    }

    /// Adds one list's NDCG to its cell.
    pub(super) fn add(&self, sums: &mut [i64], list: usize, ndcg: f64) {
        let cell = self.cell_of.get(list).map(|cell| *cell as usize);
        if let Some(sum) = cell.and_then(|cell| sums.get_mut(cell)) {
            *sum += (ndcg * UNITS).round() as i64;
        }
    }

    /// Does a split (the last one trains on all) train on this part?
    fn trains(&self, split: usize, part: u64) -> bool {
        match self.division {
            Division::Users(_) => split as u64 != part,
            Division::Time => part == 0,
        }
    }

    fn holds_out(&self, split: usize, part: u64) -> bool {
        let tested = match self.division {
            Division::Users(_) => part,
            Division::Time => part.wrapping_sub(1),
        };
        split < self.splits && split as u64 == tested
    }

    /// Mean gain of a split's training lists.
    pub(super) fn training_gain(&self, split: usize, before: &Sums, after: &Sums) -> f64 {
        let mut lists = 0;
        let mut sum = 0;
        for (number, (cell, count)) in self.cells.iter().enumerate() {
            if self.trains(split, cell.part) {
                lists += count;
                sum += after[number] - before[number];
            }
        }
        sum as f64 / UNITS / lists.max(1) as f64
    }

    /// Gain of the held-out lists, each split's under its own settings.
    pub(super) fn held_out(&self, before: &[&Sums], after: &[&Sums]) -> Gain {
        self.gain(before, after, |_| true).1
    }

    /// The mean of the held-out lists, each split's under its own setting.
    pub(super) fn level(&self, of: &[&Sums]) -> Mean {
        let nothing: Sums = vec![0; self.cells.len()].into();
        let nothings: Vec<&Sums> = of.iter().map(|_| &nothing).collect();
        self.gain(&nothings, of, |_| true).1.mean
    }

    /// The same for each segment and depth of history.
    pub(super) fn parts(&self, before: &[&Sums], after: &[&Sums]) -> Vec<Part> {
        let segments = Segment::ALL.iter().enumerate().map(|(number, (name, _))| {
            (*name, self.gain(before, after, |cell| cell.segment == number))
        });
        let depths = DEPTHS
            .iter()
            .enumerate()
            .map(|(number, (name, _))| (*name, self.gain(before, after, |c| c.depth == number)));
        let part =
            |(name, (lists, gain)): (_, (usize, Gain))| Part { name, lists, gain: gain.mean };
        segments.chain(depths).map(part).filter(|part| part.lists > 0).collect()
    }

    fn gain(
        &self,
        before: &[&Sums],
        after: &[&Sums],
        which: impl Fn(&Cell) -> bool,
    ) -> (usize, Gain) {
        let mut users: BTreeMap<u64, (i64, usize)> = BTreeMap::new();
        for (number, (cell, count)) in self.cells.iter().enumerate() {
            for (split, (before, after)) in before.iter().zip(after).enumerate() {
                if which(cell) && self.holds_out(split, cell.part) {
                    let user = users.entry(cell.group).or_default();
                    user.0 += after[number] - before[number];
                    user.1 += count;
                }
            }
        }
        let users: Vec<(f64, usize)> =
            users.into_values().map(|(sum, lists)| (sum as f64 / UNITS, lists)).collect();
        let lists: usize = users.iter().map(|(_, lists)| lists).sum();
        let mean = mean_by_user(users.iter().copied(), self.draws);
        let spread = users.iter().map(|(sum, count)| (sum - mean.mean * *count as f64).powi(2));
        let error = spread.sum::<f64>().sqrt() / lists.max(1) as f64;
        let errors = if error > 0.0 { mean.mean / error } else { 0.0 };
        (lists, Gain { mean, errors })
    }
}

/// How many standard errors a gain must have so that none of `tried` gains that are chance passes,
/// in 97.5 of 100 fits (Bonferroni; one of them alone: 1.96).
pub(super) fn errors_min(tried: usize) -> f64 {
    // Abramowitz and Stegun 26.2.23: the quantile of the normal distribution, to 4.5e-4.
    let share = 0.025 / tried.max(1) as f64;
    let t = (-2.0 * share.ln()).sqrt();
    let above = 2.515_517 + 0.802_853 * t + 0.010_328 * t * t;
    let below = 1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t;
    t - above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_numbers_are_tried_the_clearer_each_gain_must_be() {
        assert!((errors_min(1) - 1.96).abs() < 1e-3);
        assert!((errors_min(25) - 3.0902).abs() < 1e-3);
        assert!(errors_min(38) > errors_min(25));
    }
}
