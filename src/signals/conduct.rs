//! How one subject behaves: does a program open these pages, and how much have others learned from
//! it today?
//!
//! In: product pages, lists and evidence in event time. Out: yes or no, and what is left. Fixed size
//! a subject; event time only.

use crate::types::bytes::{Reader, put_time};
use crate::types::clock::Timestamp;

/// For how long somebody who opened pages faster than anybody reads them counts as a crawler.
const CRAWLER_MS: i64 = 60 * 60 * 1000;
/// Over which views are counted.
const MINUTE_MS: i64 = 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How one subject behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conduct {
    /// When the running minute of views began.
    since: Timestamp,
    views: u32,
    crawler_until: Option<Timestamp>,
    /// The day that the next two belong to, counted from the epoch.
    day: i64,
    lists: u32,
    weight: f32,
}

impl Conduct {
    /// Counts a product page; false when it is one more than `per_minute_max` in a minute.
    pub fn views(&mut self, at: Timestamp, per_minute_max: u32) -> bool {
        let age_ms = at.0.saturating_sub(self.since.0);
        if !(0..MINUTE_MS).contains(&age_ms) {
            (self.since, self.views) = (at, 0);
        }
        self.views = self.views.saturating_add(1);
        if self.views > per_minute_max {
            self.crawler_until = Some(Timestamp(at.0.saturating_add(CRAWLER_MS)));
        }
        !self.is_crawler(at)
    }

    /// Does this subject open pages as programs do?
    pub fn is_crawler(&self, now: Timestamp) -> bool {
        self.crawler_until.is_some_and(|until| now < until)
    }

    /// May one more list count for others today?
    pub fn lends_list(&mut self, at: Timestamp, lists_max: u32) -> bool {
        self.turn(at);
        let left = self.lists < lists_max;
        self.lists += u32::from(left);
        left
    }

    /// May so much more evidence teach others today?
    pub fn lends(&mut self, at: Timestamp, weight: f32, weight_max: f32) -> bool {
        self.turn(at);
        let left = self.weight + weight <= weight_max;
        if left {
            self.weight += weight;
        }
        left
    }

    /// Nothing counted before `now` matters any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let counts = now.0.saturating_sub(self.since.0) < MINUTE_MS;
        !counts && !self.is_crawler(now) && self.day < now.0.div_euclid(DAY_MS)
    }

    /// When what was counted last began.
    pub fn began(&self) -> Timestamp {
        self.since
    }

    /// Appends it for the snapshot.
    pub fn keep(&self, out: &mut Vec<u8>) {
        put_time(out, self.since);
        put_time(out, self.crawler_until.unwrap_or_default());
        out.extend(self.day.to_le_bytes());
        out.extend(self.views.to_le_bytes());
        out.extend(self.lists.to_le_bytes());
        out.extend(self.weight.to_le_bytes());
    }

    /// What [`Self::keep`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (since, until, day) = (from.time()?, from.time()?, from.i64()?);
        let crawler_until = Some(until).filter(|until| *until != Timestamp::default());
        let (views, lists, weight) = (from.u32()?, from.u32()?, from.finite()?);
        Some(Self { since, views, crawler_until, day, lists, weight })
    }

    fn turn(&mut self, at: Timestamp) {
        let day = at.0.div_euclid(DAY_MS);
        // events of a day before count as today's: they cannot open a day again
        if day > self.day {
            (self.day, self.lists, self.weight) = (day, 0, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_opened_faster_than_anybody_reads_make_a_crawler_for_an_hour() {
        let mut conduct = Conduct::default();
        let second = |at: i64| Timestamp::from_seconds(1_000_000 + at);
        assert!((0..60).all(|at| conduct.views(second(at), 60)));
        assert!((60..70).all(|at| conduct.views(second(at), 60)), "another minute");
        let mut crawler = Conduct::default();
        let taken = (0..100).filter(|at| crawler.views(second(at / 10), 60)).count();
        assert_eq!(taken, 60);
        assert!(crawler.is_crawler(second(3_000)));
        assert!(!crawler.is_crawler(second(3_700)));
        let mut bytes = Vec::new();
        crawler.keep(&mut bytes);
        assert_eq!(Conduct::read(&mut Reader::new(&bytes)), Some(crawler));
    }

    #[test]
    fn what_others_learn_from_one_visit_ends_and_comes_back_the_next_day() {
        let mut conduct = Conduct::default();
        let day = |day: i64| Timestamp(day * DAY_MS + 5);
        let clicks = (0..100).filter(|_| conduct.lends(day(3), 0.25, 5.0)).count();
        assert_eq!(clicks, 20);
        assert!(!conduct.lends(day(2), 0.25, 5.0), "not by telling another day");
        assert!(!conduct.is_over(day(3)) && conduct.is_over(day(4)));
        assert!(conduct.lends(day(4), 0.25, 5.0));
        let lists = (0..100).filter(|_| conduct.lends_list(day(4), 7)).count();
        assert_eq!(lists, 7);
    }
}
