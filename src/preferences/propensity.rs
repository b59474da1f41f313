//! How likely a shopper is to look at a position at all.
//!
//! In: which positions of natural lists were shown and clicked. Out: a propensity in `(0, 1]` a
//! position, 1 at the top and never rising further down. With little traffic it is the usual
//! discount `1 / log2(2 + position)`; traffic bends it. Lists that we ranked ourselves are never
//! counted here: the caller hands in natural ones only.
//!
//! Size: fixed, [`POSITIONS_MAX`] positions; deeper ones share the last value.

/// Positions told apart.
pub const POSITIONS_MAX: usize = 64;

/// Impressions' worth of trust in the usual discount, a position.
const SMOOTHING: f64 = 500.0;

/// No position counts less than this: one deep click must not be worth a hundred at the top.
const PROPENSITY_MIN: f64 = 0.02;

/// The table is computed again after so many recorded lists.
const REFRESH_LISTS: u32 = 64;

/// Counts above this are halved, so that old habits fade.
const COUNT_MAX: f64 = 1.0e7;

/// Clicks and impressions by position, and the propensities that follow from them.
#[derive(Clone, Debug)]
pub struct Propensities {
    shown: [f64; POSITIONS_MAX],
    clicked: [f64; POSITIONS_MAX],
    table: [f32; POSITIONS_MAX],
    lists_since_refresh: u32,
    /// Every position is looked at alike, whatever is counted.
    even: bool,
}

impl Default for Propensities {
    fn default() -> Self {
        let mut table = [0.0; POSITIONS_MAX];
        for (position, value) in table.iter_mut().enumerate() {
            *value = discount(position) as f32;
        }
        let (shown, clicked) = ([0.0; POSITIONS_MAX], [0.0; POSITIONS_MAX]);
        Self { shown, clicked, table, lists_since_refresh: 0, even: false }
    }
}

impl Propensities {
    /// Every position is looked at alike: for lists in no order.
    pub fn even() -> Self {
        Self { table: [1.0; POSITIONS_MAX], even: true, ..Self::default() }
    }

    /// The propensity of a 0-based position, in `(0, 1]`.
    pub fn at(&self, position: usize) -> f32 {
        self.table[position.min(POSITIONS_MAX - 1)]
    }

    /// Counts one natural list of `length` hits.
    pub fn record_list(&mut self, length: usize) {
        for shown in self.shown.iter_mut().take(length) {
            *shown += 1.0;
        }
        self.lists_since_refresh += 1;
        if self.lists_since_refresh >= REFRESH_LISTS {
            self.refresh();
        }
    }

    /// Takes back one list of `length` hits.
    pub fn forget_list(&mut self, length: usize) {
        for shown in self.shown.iter_mut().take(length) {
            *shown = (*shown - 1.0).max(0.0);
        }
    }

    /// Counts one click at a position of a natural list.
    pub fn record_click(&mut self, position: usize) {
        if let Some(clicked) = self.clicked.get_mut(position) {
            *clicked += 1.0;
        }
    }

    /// Impressions and clicks by position.
    pub fn counts(&self) -> (&[f64], &[f64]) {
        (&self.shown, &self.clicked)
    }

    /// What counts like these make; positions beyond the last one are left out.
    pub fn from_counts(shown: &[f64], clicked: &[f64]) -> Self {
        let mut counted = Self::default();
        counted.shown.iter_mut().zip(shown).for_each(|(to, from)| *to = *from);
        counted.clicked.iter_mut().zip(clicked).for_each(|(to, from)| *to = *from);
        counted.refresh();
        counted
    }

    /// Computes the table from the counts: click rate a position over the rate the discount
    /// explains, smoothed towards the discount, made non-increasing from the top.
    pub fn refresh(&mut self) {
        self.lists_since_refresh = 0;
        if self.shown[0] > COUNT_MAX {
            self.shown.iter_mut().chain(&mut self.clicked).for_each(|count| *count /= 2.0);
        }
        let expected: f64 = (0..POSITIONS_MAX).map(|p| self.shown[p] * discount(p)).sum();
        let rate = self.clicked.iter().sum::<f64>() / expected;
        if !rate.is_finite() || rate <= 0.0 || self.even {
            return;
        }
        let smoothed = |p: usize| {
            let clicks = self.clicked[p] + SMOOTHING * rate * discount(p);
            clicks / ((self.shown[p] + SMOOTHING) * rate)
        };
        let top = smoothed(0);
        let mut ceiling = 1.0_f64;
        for (position, value) in self.table.iter_mut().enumerate() {
            ceiling = ceiling.min(smoothed(position) / top).max(PROPENSITY_MIN);
            *value = ceiling as f32;
        }
    }
}

fn discount(position: usize) -> f64 {
    1.0 / (2.0 + position as f64).log2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_traffic_the_propensity_is_the_usual_discount() {
        let propensities = Propensities::default();
        assert_eq!(propensities.at(0), 1.0);
        assert!((propensities.at(6) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(propensities.at(10_000), propensities.at(POSITIONS_MAX - 1));
    }

    #[test]
    fn shoppers_who_only_ever_click_the_top_lower_the_second_position() {
        let mut propensities = Propensities::default();
        let before = propensities.at(1);
        for _ in 0..6_400 {
            propensities.record_list(10);
            propensities.record_click(0);
        }
        assert!(propensities.at(1) < before / 2.0, "{} {before}", propensities.at(1));
        assert_eq!(propensities.at(0), 1.0);
    }

    #[test]
    fn where_every_position_is_looked_at_alike_no_traffic_changes_that() {
        let mut propensities = Propensities::even();
        (0..1_000).for_each(|_| propensities.record_list(10));
        (0..1_000).for_each(|_| propensities.record_click(0));
        propensities.refresh();
        assert!((0..80).all(|position| propensities.at(position) == 1.0));
    }

    proptest! {
        #[test]
        fn propensities_never_rise_further_down_and_stay_in_range(
            clicks in prop::collection::vec(0..80_usize, 0..300), lists in 0..200_usize,
        ) {
            let mut propensities = Propensities::default();
            (0..lists).for_each(|i| propensities.record_list(i % 70));
            clicks.iter().for_each(|p| propensities.record_click(*p));
            propensities.refresh();
            for position in 0..80 {
                let (here, next) = (propensities.at(position), propensities.at(position + 1));
                prop_assert!(here > 0.0 && here <= 1.0 && next <= here);
            }
        }
    }
}
