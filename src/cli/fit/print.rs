//! What a fit found, for people and for machines.
//!
//! In: an outcome, and what it was made of. Out: the accepted changes with their lines and held-out
//! gains, what they come to together, what was tried in vain, and the diff; or the same as JSON. The
//! same outcome gives the same bytes: no time is told.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::cli::replay::files::Read;
use crate::cli::replay::print::{short, signed};
use crate::fit::{Base, Change, Division, Gain, Outcome, Part, Stays, Value, path_of, written};
use crate::replay::table::Draws;
use crate::yaml::{Problems, rewrite, tree};

/// What stands above.
pub(super) struct Told<'a> {
    pub(super) read: &'a Read,
    pub(super) base: &'a Base,
    pub(super) version: &'a str,
    pub(super) draws: Draws,
}

impl Told<'_> {
    /// For people.
    pub(super) fn text(&self, found: &Outcome) -> String {
        let mut out = self.head(found);
        if found.changes.is_empty() {
            let _ =
                writeln!(out, "\nno change is proposed: nothing that was tried is certain to gain");
        }
        for change in &found.changes {
            self.change(&mut out, found, change);
        }
        if !found.changes.is_empty() {
            self.together(&mut out, found);
        }
        stays(&mut out, found);
        let positions: Vec<String> =
            found.propensities.iter().map(|p| short(f64::from(*p))).collect();
        let _ = writeln!(
            out,
            "\npositions are looked at by {} (learned while serving; no key of the rules)",
            positions.join(" ")
        );
        let _ = match (&found.edited, found.proposed.is_empty()) {
            (Some(edited), _) => {
                write!(out, "\n{}", rewrite::unified(&self.base.file, &self.base.text, edited))
            }
            (None, true) => Ok(()),
            (None, false) => writeln!(
                out,
                "\nthe file's layout is not one that can be edited by key: the values above are to \
                 be written by hand"
            ),
        };
        out
    }

    fn head(&self, found: &Outcome) -> String {
        let mut out = String::new();
        for (file, digest) in &self.read.files {
            let _ = writeln!(out, "file   {file}  sha256 {digest}…");
        }
        let _ = writeln!(out, "rules  {} {}", self.base.file, self.version);
        let held = divided(found.division);
        let _ = writeln!(out, "lists  {} of {} users; {held}", found.lists, found.users);
        if found.left_out > 0 {
            let _ = writeln!(
                out,
                "note   {} scored lists went out in our order and are not fitted on",
                found.left_out
            );
        }
        if !found.is_whole {
            let _ = writeln!(out, "note   ended early: what was accepted until then");
        }
        let tried = found.numbers.len()
            - found.stays.values().filter(|stays| **stays == Stays::NotHeard).count();
        let Draws { resamples, seed } = self.draws;
        let _ = writeln!(
            out,
            "95 % intervals by {resamples} draws of users, seed {seed}; of {tried} numbers one is \
             changed where its interval is above 0 and its gain above {:.2} standard errors\n\
             {} settings measured",
            found.errors_min, found.settings
        );
        out
    }

    fn change(&self, out: &mut String, found: &Outcome, change: &Change) {
        let Some(number) = found.numbers.get(change.number) else { return };
        let place = match self.line(&number.path) {
            Some(line) => format!("{}:{line}", self.base.file),
            None => format!("{} (not written; the default)", self.base.file),
        };
        let (from, to) = (written(change.from), written(change.to));
        let _ = writeln!(out, "\n{place}  {}: {from} → {to}", number.path);
        let by_split: Vec<String> = change.by_split.iter().map(|value| written(*value)).collect();
        let _ = writeln!(
            out,
            "  held-out NDCG@10 {} ({:.1} standard errors); by fold {}",
            signed(change.gain.mean),
            change.gain.errors,
            by_split.join(", ")
        );
        for part in losers(&change.parts) {
            let _ = writeln!(out, "  loses: {}", told_part(part));
        }
    }

    fn together(&self, out: &mut String, found: &Outcome) {
        let [before, after] = found.levels;
        let _ = writeln!(
            out,
            "\ntogether, held out: NDCG@10 {} → {}, {}",
            short(before.mean),
            short(after.mean),
            signed(found.gain.mean)
        );
        for part in &found.parts {
            let _ = writeln!(out, "  {}", told_part(part));
        }
    }

    fn line(&self, path: &str) -> Option<u32> {
        let tree = tree::parse(&self.base.file, &self.base.text, &mut Problems::default());
        tree.at(&path_of(path)).map(|node| node.place.line)
    }

    /// For machines.
    pub(super) fn json(&self, found: &Outcome) -> Json {
        let files = self.read.files.iter();
        let files: Vec<Json> =
            files.map(|(file, sha256)| json!({"file": file, "sha256": sha256})).collect();
        let path = |number: usize| found.numbers.get(number).map(|number| number.path.clone());
        let changes = found.changes.iter().map(|change| {
            let path = path(change.number).unwrap_or_default();
            let by_fold: Vec<Json> = change.by_split.iter().map(|v| value(*v)).collect();
            json!({
                "line": self.line(&path),
                "key": path,
                "from": value(change.from),
                "to": value(change.to),
                "by_fold": by_fold,
                "gain": gain(change.gain),
                "parts": parts(&change.parts),
                "loses": losers(&change.parts).map(|part| part.name).collect::<Vec<_>>(),
            })
        });
        let stays = found.stays.iter().map(|(number, stays)| {
            let (why, tried, of) = match stays {
                Stays::NotHeard => ("not in the log", None, None),
                Stays::NoEffect => ("no effect", None, None),
                Stays::NothingBetter => ("nothing better", None, None),
                Stays::Chance { to, gain: of } => ("chance", Some(value(*to)), Some(gain(*of))),
            };
            json!({"key": path(*number), "why": why, "to": tried, "gain": of})
        });
        let proposed = found.proposed.iter().filter_map(|(number, to)| {
            let known = found.numbers.get(*number)?;
            Some(json!({"key": known.path, "from": value(known.now), "to": value(*to)}))
        });
        let edited = found.edited.as_deref();
        json!({
            "files": files,
            "rules": self.version,
            "lists": found.lists,
            "users": found.users,
            "left_out": found.left_out,
            "held_out": divided(found.division),
            "resamples": self.draws.resamples,
            "seed": self.draws.seed,
            "errors_min": found.errors_min,
            "settings": found.settings,
            "whole": found.is_whole,
            "changes": changes.collect::<Vec<_>>(),
            "proposed": proposed.collect::<Vec<_>>(),
            "before": found.levels[0],
            "after": found.levels[1],
            "gain": gain(found.gain),
            "parts": parts(&found.parts),
            "not_accepted": stays.collect::<Vec<_>>(),
            "propensities": found.propensities,
            "diff": edited.map(|to| rewrite::unified(&self.base.file, &self.base.text, to)),
        })
    }
}

fn divided(division: Division) -> String {
    match division {
        Division::Users(folds) => {
            format!("{folds} folds of the users, each judged by what the others taught")
        }
        Division::Time => "fitted on the lists from 60 to 80 %, the last fifth held out".to_owned(),
    }
}

/// Parts that are certain to lose.
fn losers(parts: &[Part]) -> impl Iterator<Item = &Part> {
    parts.iter().filter(|part| part.gain.high < 0.0)
}

fn told_part(part: &Part) -> String {
    format!("{:12} {:>7} lists  {}", part.name, part.lists, signed(part.gain))
}

fn stays(out: &mut String, found: &Outcome) {
    let path = |number: &usize| found.numbers.get(*number).map_or("", |number| &number.path);
    let _ = writeln!(out, "\ntried and not accepted");
    for (number, stays) in &found.stays {
        if let Stays::Chance { to, gain } = stays {
            let _ = writeln!(
                out,
                "  {}: {}, held-out NDCG@10 {} ({:.1} standard errors)",
                path(number),
                written(*to),
                signed(gain.mean),
                gain.errors
            );
        }
    }
    let others = [
        ("no value was better in training", Stays::NothingBetter),
        ("no value changed any list's measure", Stays::NoEffect),
        ("no such signal in the log", Stays::NotHeard),
    ];
    for (why, which) in others {
        let all = found.stays.iter().filter(|(_, stays)| **stays == which);
        let names: Vec<&str> = all.map(|(number, _)| path(number)).collect();
        if !names.is_empty() {
            let _ = writeln!(out, "  {why}: {}", names.join(", "));
        }
    }
}

fn value(value: Value) -> Json {
    json!(value)
}

fn gain(gain: Gain) -> Json {
    json!({"mean": gain.mean.mean, "low": gain.mean.low, "high": gain.mean.high, "errors": gain.errors})
}

fn parts(parts: &[Part]) -> Json {
    let part = |part: &Part| json!({"name": part.name, "lists": part.lists, "ndcg@10": part.gain});
    parts.iter().map(part).collect()
}
