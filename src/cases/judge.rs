//! What is expected of a list, and whether it came.
//!
//! In: expectations, the list as it is shown. Out: one line for each that does not hold: what was
//! expected, and what came instead.

use super::written::{RawExpect, Top};
use crate::replay::trial::{Shown, Trial};

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What does not hold, one line each; empty when all is well.
    pub faults: Vec<String>,
    /// The list as it is shown, with the parts of its scores.
    pub came: Trial,
}

impl Verdict {
    /// True when all that was expected came.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// The list that came, a line a hit: its rank, how far it moved, its score and its parts.
    pub fn list(&self) -> Vec<String> {
        self.came.shown.iter().enumerate().map(|(at, hit)| line(at, hit)).collect()
    }
}

fn line(at: usize, hit: &Shown) -> String {
    let moved = match (hit.from.checked_sub(at), at - hit.from.min(at)) {
        (Some(0), _) => "    ".to_owned(),
        (Some(up), _) => format!("▲{up:<3}"),
        (None, down) => format!("▼{down:<3}"),
    };
    let parts: Vec<String> =
        hit.parts.iter().map(|(name, value)| format!("{name} {value:+.3}")).collect();
    let parts = if parts.is_empty() { "not scored".to_owned() } else { parts.join(", ") };
    format!("{:>3}. {moved} {} {:.3} = {parts}", at + 1, hit.product, hit.score)
}

/// Holds a list against what is expected of it.
pub(super) fn judge(expect: &RawExpect, came: Trial) -> Verdict {
    let mut judge = Judge { came: &came, faults: Vec::new() };
    judge.order(expect);
    judge.top(expect);
    judge.hits(expect);
    let faults = judge.faults;
    Verdict { faults, came }
}

struct Judge<'a> {
    came: &'a Trial,
    faults: Vec<String>,
}

impl Judge<'_> {
    fn at(&self, product: &str) -> Option<usize> {
        self.came.shown.iter().position(|hit| hit.product == product)
    }

    fn ids(&self) -> Vec<&str> {
        self.came.shown.iter().map(|hit| hit.product.as_str()).collect()
    }

    /// Notes what was expected where it did not come.
    fn expect(&mut self, holds: bool, expected: String, came: String) {
        if !holds {
            self.faults.push(format!("expected {expected}; came {came}"));
        }
    }

    fn order(&mut self, expect: &RawExpect) {
        let ids: Vec<String> = self.ids().into_iter().map(str::to_owned).collect();
        let all = ids.join(", ");
        let order = &expect.order;
        self.expect(ids.starts_with(order), order.join(", "), all.clone());
        let last = &expect.last;
        self.expect(ids.ends_with(last), format!("{} at the end", last.join(", ")), all.clone());
        for chain in &expect.before {
            let places: Vec<_> = chain.iter().map(|product| self.at(product)).collect();
            let holds = places.iter().all(Option::is_some) && places.is_sorted();
            self.expect(holds, chain.join(" before "), all.clone());
        }
        if let Some(unmoved) = expect.unmoved {
            let stays = self.came.shown.iter().enumerate().all(|(at, hit)| hit.from == at);
            let wanted = if unmoved { "the shop's order" } else { "another order than the shop's" };
            self.expect(stays == unmoved, wanted.to_owned(), all);
        }
    }

    fn top(&mut self, expect: &RawExpect) {
        let Some((first, from)) =
            self.came.shown.first().map(|hit| (hit.product.clone(), hit.from))
        else {
            return;
        };
        if let Some(wanted) = &expect.first {
            self.expect(first == *wanted, format!("{wanted} first"), first.clone());
        }
        match expect.top {
            Some(Top::Keeps) => {
                self.expect(from == 0, "the shop's first hit to stay".to_owned(), first);
            }
            Some(Top::Bends) => {
                self.expect(from != 0, "another hit than the shop's to be first".to_owned(), first);
            }
            None => {}
        }
    }

    fn hits(&mut self, expect: &RawExpect) {
        for product in &expect.gone {
            let gone = self.at(product).is_none();
            self.expect(gone, format!("{product} not to be shown"), "it with the rest".to_owned());
        }
        for (product, wanted) in &expect.quantity {
            let hit = self.at(product).and_then(|at| self.came.shown.get(at));
            let came = hit.and_then(|hit| hit.quantity).unwrap_or(0);
            let expected = format!("{wanted} of {product} to be suggested");
            self.expect(came == *wanted, expected, came.to_string());
        }
        for (product, wanted) in &expect.reason {
            let hit = self.at(product).and_then(|at| self.came.shown.get(at));
            let came = hit.and_then(|hit| hit.reason.clone()).unwrap_or_default();
            let expected = format!("the reason \"{wanted}\" for {product}");
            self.expect(came == *wanted, expected, format!("\"{came}\""));
        }
    }
}
