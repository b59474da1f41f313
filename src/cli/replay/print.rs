//! What a replay found, for people and for machines.
//!
//! In: rows, and what they were made of. Out: tables, each under the hashes of rules and log, or
//! JSON whose `rankers` end with the served one. Means come with their 95 % intervals.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::replay::against::{Outcome, Query};
use crate::replay::table::{Draws, Mean, Table, difference};
use crate::replay::{DEPTHS, METRIC_NAMES, NDCG10, RANKERS, Row, SERVED, Segment};
use crate::rules::Rules;
use crate::yaml::edits::{Edit, Side};

/// What stands above every table.
pub(super) struct Told<'a> {
    pub(super) files: &'a [(String, String)],
    pub(super) rules: &'a Rules,
    pub(super) conditions: Vec<String>,
    pub(super) draws: Draws,
    pub(super) seconds: f64,
    pub(super) records: usize,
}

impl Told<'_> {
    /// Tables for people.
    pub(super) fn text(&self, cuts: &[(&str, Vec<&Row>)]) -> String {
        let mut out = self.head();
        let _ = writeln!(out, "rules  {}", self.rules.version);
        for (number, (name, rows)) in cuts.iter().enumerate() {
            let table = Table::of(rows.iter().copied(), self.draws);
            let _ = writeln!(out, "\n{name}: {} lists of {} users", table.lists, table.users);
            means(&mut out, &table);
            if number == 0 {
                self.parts(&mut out, rows);
            }
        }
        let speed = self.records as f64 / self.seconds.max(1e-9);
        let _ = writeln!(out, "\n{:.1} s, {speed:.0} records a second", self.seconds);
        out
    }

    /// The same for machines.
    pub(super) fn json(&self, cuts: &[(&str, Vec<&Row>)]) -> Value {
        let mut out = self.json_head();
        out["rules"] = json!(&*self.rules.version);
        let mut tables = cuts.iter().map(|(name, rows)| {
            let table = Table::of(rows.iter().copied(), self.draws);
            json_table(name, &table)
        });
        if let (Some(Value::Object(first)), Some(out)) = (tables.next(), out.as_object_mut()) {
            out.extend(first);
        }
        out["cuts"] = tables.collect();
        if let Some((_, rows)) = cuts.first() {
            let parts = self.all_parts(rows);
            let parts = |wanted: bool| -> Value {
                let parts = parts.iter().filter(|(is_segment, ..)| *is_segment == wanted);
                parts.map(|(_, name, table)| json_table(name, table)).collect()
            };
            out["segments"] = parts(true);
            out["history"] = parts(false);
        }
        out["seconds"] = json!(self.seconds);
        out
    }

    /// What the other rules change, for people.
    pub(super) fn text_against(
        &self,
        other: &Rules,
        outcome: &Outcome,
        rows: &[Vec<&Row>; 2],
    ) -> String {
        let mut out = self.head();
        let _ = writeln!(out, "rules  {} against {}\n", self.rules.version, other.version);
        let churn = &outcome.churn;
        let share = |part: usize| 100.0 * part as f64 / churn.lists.max(1) as f64;
        let _ = writeln!(
            out,
            "lists changed    {} of {} ({:.1} %), another first hit in {} ({:.1} %)",
            churn.changed,
            churn.lists,
            share(churn.changed),
            churn.first_changed,
            share(churn.first_changed)
        );
        let (rbo, jaccard) = (churn.rbo(), churn.jaccard());
        let _ = writeln!(out, "still the same   RBO@10 {rbo:.4}, Jaccard@10 {jaccard:.4}");
        let gains = difference(&rows[0], &rows[1], self.draws);
        for (name, gain) in METRIC_NAMES.iter().zip(gains) {
            let _ = writeln!(out, "{name:16} {} over {} lists", signed(gain), rows[0].len());
        }
        self.parts_against(&mut out, rows);
        queries(&mut out, &outcome.queries);
        let _ = writeln!(out, "\nmoved farthest");
        for mover in &outcome.movers {
            let (from, to) = mover.ranks;
            let _ = write!(out, "  {} in \"{}\": {from} → {to}", mover.product, mover.query);
            if let Some((part, was, is)) = &mover.reason {
                let _ = write!(out, ", {part} {was:+.3} → {is:+.3}");
            }
            out.push('\n');
        }
        let _ = writeln!(out, "\n{:.1} s", self.seconds);
        out
    }

    /// For whom something changes: by segment and by history.
    fn parts_against(&self, out: &mut String, rows: &[Vec<&Row>; 2]) {
        let _ = writeln!(out, "\n{:18} {:>7} {:>8}  NDCG@10", "", "lists", "changed");
        for part in Part::all(rows) {
            let gain = difference(&part.one, &part.other, self.draws)[NDCG10];
            let (lists, changed) = (part.other.len(), part.changed());
            let _ = writeln!(out, "  {:16} {lists:>7} {changed:>8}  {}", part.name, signed(gain));
        }
    }

    /// The same for machines.
    pub(super) fn json_against(
        &self,
        other: &Rules,
        outcome: &Outcome,
        rows: &[Vec<&Row>; 2],
    ) -> Value {
        let mut out = self.json_head();
        let churn = &outcome.churn;
        let gains = difference(&rows[0], &rows[1], self.draws);
        let gains: serde_json::Map<_, _> = METRIC_NAMES
            .iter()
            .zip(gains)
            .map(|(name, gain)| ((*name).into(), json!(gain)))
            .collect();
        let movers = outcome.movers.iter().map(|mover| {
            let reason = mover.reason.as_ref();
            json!({
                "product": mover.product,
                "query": mover.query,
                "from": mover.ranks.0,
                "to": mover.ranks.1,
                "reason": reason.map(|(part, was, is)| json!({"part": part, "was": was, "is": is})),
            })
        });
        out["rules"] = json!([&*self.rules.version, &*other.version]);
        out["lists"] = json!(churn.lists);
        out["changed"] = json!(churn.changed);
        out["first_changed"] = json!(churn.first_changed);
        out["rbo@10"] = json!(churn.rbo());
        out["jaccard@10"] = json!(churn.jaccard());
        out["difference"] = Value::Object(gains);
        let parts = Part::all(rows);
        let told = |wanted: bool| -> Value {
            let parts = parts.iter().filter(|part| part.is_segment == wanted);
            let told = parts.map(|part| {
                let gain = difference(&part.one, &part.other, self.draws)[NDCG10];
                let lists = part.other.len();
                json!({"name": part.name, "lists": lists, "changed": part.changed(), "ndcg@10": gain})
            });
            told.collect()
        };
        out["segments"] = told(true);
        out["history"] = told(false);
        let queries = outcome.queries.iter().map(
            |query| json!({"query": query.text, "lists": query.lists, "changed": query.changed}),
        );
        out["queries"] = queries.collect();
        out["movers"] = movers.collect();
        out["seconds"] = json!(self.seconds);
        out
    }

    fn head(&self) -> String {
        let mut out = String::new();
        for (file, digest) in self.files {
            let _ = writeln!(out, "file   {file}  sha256 {digest}…");
        }
        for condition in &self.conditions {
            let _ = writeln!(out, "note   {condition}");
        }
        let Draws { resamples, seed } = self.draws;
        let _ = writeln!(out, "95 % intervals by {resamples} draws of users, seed {seed}");
        out
    }

    fn json_head(&self) -> Value {
        let files = self.files.iter();
        let files: Vec<Value> =
            files.map(|(file, sha256)| json!({"file": file, "sha256": sha256})).collect();
        json!({
            "files": files,
            "conditions": self.conditions,
            "resamples": self.draws.resamples,
            "seed": self.draws.seed,
        })
    }

    /// Segments and depths of history, as far as there are any lists.
    fn all_parts(&self, rows: &[&Row]) -> Vec<(bool, &'static str, Table)> {
        let segments = Segment::ALL
            .into_iter()
            .map(|(name, segment)| (true, name, Table::of_segment(rows, segment, self.draws)));
        let depths = DEPTHS
            .into_iter()
            .enumerate()
            .map(|(depth, (name, _))| (false, name, Table::of_depth(rows, depth, self.draws)));
        segments.chain(depths).filter(|(.., table)| table.lists > 0).collect()
    }

    fn parts(&self, out: &mut String, rows: &[&Row]) {
        let names: Vec<&str> = RANKERS.to_vec();
        let _ = write!(out, "\n{:18} {:>7}", "NDCG@10", "lists");
        names.iter().for_each(|name| {
            let _ = write!(out, " {name:>12}");
        });
        let _ = writeln!(out, "  leafrank over upstream");
        for (_, name, table) in self.all_parts(rows) {
            let _ = write!(out, "  {name:16} {:>7}", table.lists);
            for ranker in &table.rankers {
                let _ = write!(out, " {:>12}", short(ranker[NDCG10].mean));
            }
            let _ = writeln!(out, "  {}", signed(table.over_upstream[NDCG10]));
        }
    }
}

/// An edit, key by key, for people.
pub(super) fn text_edits(edits: &[Edit]) -> String {
    let mut out = String::new();
    let _ = match edits.len() {
        0 => writeln!(out, "edit   no key differs"),
        1 => writeln!(out, "edit   1 key differs"),
        keys => writeln!(out, "edit   {keys} keys differ"),
    };
    let side = |side: &Side| {
        let text = side.text.as_deref().unwrap_or("nothing");
        match (side.line, &side.text) {
            (Some(line), _) => format!("{text} (line {line})"),
            (None, Some(_)) => format!("{text} (the default)"),
            (None, None) => text.to_owned(),
        }
    };
    for Edit { key, was, is } in edits {
        let _ = writeln!(out, "  {key}: {} → {}", side(was), side(is));
    }
    out.push('\n');
    out
}

/// The same for machines.
pub(super) fn json_edits(edits: &[Edit]) -> Value {
    let side = |side: &Side| json!({"value": side.text, "line": side.line});
    let told = edits
        .iter()
        .map(|Edit { key, was, is }| json!({"key": key, "was": side(was), "is": side(is)}));
    told.collect()
}

/// Some lists under two rules tables.
struct Part<'r> {
    is_segment: bool,
    name: &'static str,
    one: Vec<&'r Row>,
    other: Vec<&'r Row>,
}

impl<'r> Part<'r> {
    /// Segments and depths of history, as far as there are any lists.
    fn all([one, other]: &[Vec<&'r Row>; 2]) -> Vec<Self> {
        let part = |is_segment, name, holds: &dyn Fn(&Row) -> bool| {
            let of = |rows: &[&'r Row]| rows.iter().copied().filter(|row| holds(row)).collect();
            Self { is_segment, name, one: of(one), other: of(other) }
        };
        let segments = Segment::ALL
            .into_iter()
            .map(|(name, segment)| part(true, name, &|row| row.segment() == segment));
        let depths = DEPTHS
            .into_iter()
            .enumerate()
            .map(|(depth, (name, _))| part(false, name, &|row| row.depth() == depth));
        segments.chain(depths).filter(|part| !part.other.is_empty()).collect()
    }

    fn changed(&self) -> usize {
        self.other.iter().filter(|row| row.is_changed()).count()
    }
}

/// The queries of which most lists change.
fn queries(out: &mut String, queries: &[Query]) {
    if queries.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nsearches that change most");
    for Query { text, lists, changed } in queries {
        let _ = writeln!(out, "  \"{text}\": {changed} of {lists}");
    }
}

/// One row a ranker, one column a metric.
fn means(out: &mut String, table: &Table) {
    let _ = write!(out, "{:14}", "");
    METRIC_NAMES.iter().for_each(|name| {
        let _ = write!(out, " {:19}", name.to_uppercase());
    });
    out.push('\n');
    for (name, ranker) in RANKERS.iter().zip(&table.rankers) {
        let _ = write!(out, "{name:14}");
        for mean in ranker {
            let Mean { mean, low, high } = *mean;
            let _ = write!(out, " {} [{}, {}]", short(mean), short(low), short(high));
        }
        out.push('\n');
    }
    for (name, gains) in
        [("over upstream", &table.over_upstream), ("over counter", &table.over_counter)]
    {
        let _ = write!(out, "{name:14}");
        gains.iter().for_each(|gain| {
            let _ = write!(out, " {:19}", signed(*gain));
        });
        out.push('\n');
    }
}

/// `.4778`, as tables of this field are written.
pub(in crate::cli) fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.strip_prefix('0').map_or_else(|| text.clone(), str::to_owned)
}

/// `+.006 [.005, .007]`
pub(in crate::cli) fn signed(Mean { mean, low, high }: Mean) -> String {
    let one = |value: f64| format!("{value:+.4}").replacen("0.", ".", 1);
    format!("{} [{}, {}]", one(mean), one(low), one(high))
}

fn json_table(name: &str, table: &Table) -> Value {
    let rankers = RANKERS.iter().zip(&table.rankers).map(|(name, means)| {
        let mut one = serde_json::Map::new();
        one.insert("name".into(), json!(name));
        for (metric, mean) in METRIC_NAMES.iter().zip(means) {
            one.insert((*metric).into(), json!(mean.mean));
            one.insert(format!("{metric}_interval"), json!([mean.low, mean.high]));
        }
        Value::Object(one)
    });
    let gains = |gains: &[Mean]| -> serde_json::Map<String, Value> {
        let named = METRIC_NAMES.iter().zip(gains);
        named.map(|(name, gain)| ((*name).to_owned(), json!(gain))).collect()
    };
    debug_assert_eq!(SERVED + 1, RANKERS.len(), "the served one stands last");
    json!({
        "name": name,
        "lists": table.lists,
        "users": table.users,
        "rankers": rankers.collect::<Vec<_>>(),
        "over_upstream": gains(&table.over_upstream),
        "over_item_counter": gains(&table.over_counter),
    })
}
