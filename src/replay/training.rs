//! What trees are trained on: the features of each hit of each list that is scored, and what was chosen.
//!
//! In: a log, rules, conditions, a part of the users. Out: a row a hit, computed by the code that serves,
//! at the moment when the list was asked for. Lists of people of whom nothing is known, and lists of
//! which nothing was chosen, teach nothing and are left out. Everybody's events go on to teach what all
//! shoppers have in common, whichever part of the users is asked for, as in `leafrank replay`.

use std::sync::Arc;

use super::walk::Walk;
use super::{Conditions, Fold, Log, Products, Record};
use crate::model::trees::Features;
use crate::preferences::taste::Taste;
use crate::rank::features;
use crate::rules::Rules;

/// One hit of one list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    /// Of the list: its place in the log.
    pub list: u32,
    /// Of the person: a place among all.
    pub person: u32,
    /// Was it chosen?
    pub chosen: bool,
    /// Its score without trees.
    pub base: f32,
    /// Its features.
    pub features: Features,
}

/// A log on its way to rows.
pub struct Training<'l> {
    log: &'l Log,
    walk: Walk<'l>,
    fold: Option<Fold>,
    next: usize,
}

impl<'l> Training<'l> {
    /// Begins with nothing learned. The rules' own trees do not count.
    pub fn new(
        log: &'l Log,
        products: Arc<Products>,
        rules: Rules,
        conditions: Conditions,
        fold: Option<Fold>,
    ) -> Self {
        let rules = Arc::new(Rules { trees: None, ..rules });
        Self { log, walk: Walk::new(log, products, rules, conditions), fold, next: 0 }
    }

    /// Goes on by one record and tells the rows that come of it; false at the end.
    pub fn step(&mut self, mut row: impl FnMut(&Example)) -> bool {
        let log = self.log;
        match log.records.get(self.next) {
            Some(Record::Event(event)) => self.walk.hear(event),
            Some(Record::Search(search)) => {
                let ranking = self.walk.ask(search);
                let key = log.people.all.get(search.person as usize).map_or(0, |p| p.1.0 as u64);
                let counts = self.fold.is_none_or(|fold| fold.holds_person(key));
                let (list, person) = (self.next as u32, search.person);
                if search.scored && counts && ranking.muted.is_none() {
                    self.walk.with_request(search, |request| {
                        let profile = request.profile.filter(|profile| !profile.is_empty());
                        let Some(profile) = profile else { return };
                        let taste = Taste::at(profile, request.rules, request.now);
                        features::each(request, &taste, &ranking.scores, |place, features| {
                            let product = search.list.get(place);
                            let chosen = product.is_some_and(|p| search.truth.contains(p));
                            let base = ranking.scores.get(place).map_or(0.0, |t| t.total());
                            row(&Example { list, person, chosen, base, features: *features });
                        });
                    });
                }
                self.walk.shown(search);
            }
            None => return false,
        }
        self.next += 1;
        true
    }

    /// Records that are done.
    pub fn done(&self) -> usize {
        self.next
    }
}
