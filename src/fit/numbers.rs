//! Which numbers of the rules are fitted, what each may be, and which values are tried.
//!
//! In: the rules' schema and text. Out: numbers with their limits, the value that each has now, and a
//! ladder of values around it. A value is a number or null (`repeat_slots`: no cap). Numbers are
//! rounded to two digits: the file is read by people, and no log knows the third.
//!
//! The half-lives of taste are also moved together, by one factor: a facet is weighed by its share of
//! all evidence, and one that fades alone is tilted.
//!
//! Two kinds. What a term is worth can be measured from one recording of the log
//! ([`crate::replay::Recorded`]); what changes learning, or the scale of a term, needs a walk of its
//! own for each value.

use serde_json::Value as Json;

use crate::rules;
use crate::types::signal::SignalKind;
use crate::yaml::{Node, Path, Value as Written, nearest};

/// A number's value; `None` is null.
pub type Value = Option<f64>;

/// What a change of a number costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only what terms are worth: one recording serves all values.
    Weighs,
    /// Learning or a term's scale: each value needs its own walk.
    Learns,
}

/// One number of the rules.
#[derive(Clone, Debug)]
pub struct Number {
    /// Its key: `ranking.weights.item`.
    pub path: String,
    /// What a change costs.
    pub kind: Kind,
    /// The signal whose weight it is.
    pub signal: Option<SignalKind>,
    /// What the file says, or the default; 1 for a factor.
    pub now: Value,
    /// Numbers, by place, that this one multiplies: it is no key of the file itself.
    pub members: Vec<usize>,
    least: f64,
    most: f64,
    whole: bool,
    nullable: bool,
}

const WEIGHING: [&str; 14] = [
    "ranking.impact",
    "ranking.repeat_slots",
    "ranking.discovery",
    "ranking.weights.relevance",
    "ranking.weights.item",
    "ranking.weights.brand_habit",
    "ranking.weights.facets",
    "ranking.weights.price",
    "ranking.weights.prior",
    "ranking.weights.context",
    "facets.category",
    "facets.brand",
    "facets.attribute",
    "facets.price_tier",
];

const LEARNING: [&str; 8] = [
    "ranking.saturation",
    "ranking.prior.smoothing",
    "half_life.item_slow_days",
    "half_life.item_fast_days",
    "half_life.category_days",
    "half_life.brand_days",
    "half_life.attribute_days",
    "half_life.price_tier_days",
];

/// What fades as taste does.
const TASTE: [&str; 4] = [
    "half_life.category_days",
    "half_life.brand_days",
    "half_life.attribute_days",
    "half_life.price_tier_days",
];

/// A key that was asked for and is none of the fitted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What was asked for.
    pub path: String,
    /// The nearest that there is.
    pub suggestion: Option<String>,
}

/// The numbers that are fitted: all, or those at or below the paths in `only`.
///
/// # Errors
/// A path with nothing at or below it.
pub(super) fn numbers(tree: &Node, only: &[String]) -> Result<Vec<Number>, Unknown> {
    let (schema, defaults) = (rules::schema(), rules::defaults());
    let weighing = WEIGHING.iter().map(|path| ((*path).to_owned(), Kind::Weighs, None));
    let learning = LEARNING.iter().map(|path| ((*path).to_owned(), Kind::Learns, None));
    let signals = SignalKind::ALL
        .iter()
        .map(|kind| (format!("signal_weights.{}", kind.path()), Kind::Learns, Some(*kind)));
    let all: Vec<_> = weighing.chain(learning).chain(signals).collect();
    let is_at = |path: &str, asked: &str| {
        path.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    for asked in only {
        if !all.iter().any(|(path, ..)| is_at(path, asked)) {
            let paths: Vec<&str> = all.iter().map(|(path, ..)| path.as_str()).collect();
            let suggestion = nearest(asked, &paths).map(str::to_owned);
            return Err(Unknown { path: asked.clone(), suggestion });
        }
    }
    let wanted = |path: &str| only.is_empty() || only.iter().any(|asked| is_at(path, asked));
    let chosen = all.into_iter().filter(|(path, ..)| wanted(path));
    let chosen = chosen.filter_map(|(path, kind, signal)| {
        let now = value_at(tree, &defaults, &path);
        number(&schema, path, (kind, signal), now)
    });
    let mut chosen: Vec<Number> = chosen.collect();
    let place = |path: &&str| chosen.iter().position(|number| number.path == **path);
    let members: Option<Vec<usize>> = TASTE.iter().map(place).collect();
    if let Some(members) = members {
        chosen.push(Number {
            path: "half_life of all axes, times".to_owned(),
            kind: Kind::Learns,
            signal: None,
            now: Some(1.0),
            members,
            least: 0.001,
            most: 1_000.0,
            whole: false,
            nullable: false,
        });
    }
    Ok(chosen)
}

fn number(
    schema: &Json,
    path: String,
    (kind, signal): (Kind, Option<SignalKind>),
    now: Value,
) -> Option<Number> {
    let mut at = schema;
    for key in path.split('.') {
        at = at.get("properties")?.get(key)?;
    }
    let types: Vec<&str> = match at.get("type")? {
        Json::String(one) => vec![one],
        Json::Array(some) => some.iter().filter_map(Json::as_str).collect(),
        _ => return None,
    };
    let limit = |key: &str| at.get(key).and_then(Json::as_f64);
    Some(Number {
        least: limit("minimum")?,
        most: limit("maximum")?,
        whole: types.contains(&"integer"),
        nullable: types.contains(&"null"),
        path,
        kind,
        signal,
        now,
        members: Vec::new(),
    })
}

fn value_at(tree: &Node, defaults: &Json, path: &str) -> Value {
    let mut default = Some(defaults);
    for key in path.split('.') {
        default = default.and_then(|section| section.get(key));
    }
    match tree.at(&path_of(path)).map(|node| &node.value) {
        Some(Written::Integer(number)) => Some(*number as f64),
        Some(Written::Float(number)) => Some(*number),
        // A number left empty has its default.
        _ => default.and_then(Json::as_f64),
    }
}

/// The path of a dotted key.
pub fn path_of(dotted: &str) -> Path {
    dotted.split('.').fold(Path::default(), |path, key| path.key(key))
}

/// As the file writes it.
pub fn written(value: Value) -> String {
    value.map_or_else(|| "null".to_owned(), |number| number.to_string())
}

impl Number {
    /// Values around `now`, sorted, null last.
    pub fn ladder(&self) -> Vec<Value> {
        const WEIGHTS: [f64; 11] = [0.0, 0.1, 0.25, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0];
        const SCALES: [f64; 9] = [0.015_625, 0.0625, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 40.0];
        const SIGNALS: [f64; 6] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0];
        const FROM_ZERO: [f64; 7] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
        const SIGNAL_FROM_ZERO: [f64; 5] = [-0.4, -0.1, 0.0, 0.1, 0.4];
        const SLOTS: [f64; 6] = [0.0, 1.0, 2.0, 3.0, 5.0, 8.0];
        let times = |factors: &[f64], now: f64| -> Vec<f64> {
            factors.iter().map(|factor| factor * now).collect()
        };
        let raw = match (self.now, self.kind, self.signal) {
            _ if self.nullable => SLOTS.to_vec(),
            (None | Some(0.0), _, Some(_)) => SIGNAL_FROM_ZERO.to_vec(),
            (None | Some(0.0), ..) => FROM_ZERO.to_vec(),
            (Some(now), Kind::Weighs, _) => times(&WEIGHTS, now),
            (Some(now), _, Some(_)) => times(&SIGNALS, now),
            (Some(now), ..) => times(&SCALES, now),
        };
        let mut values: Vec<Value> = raw.into_iter().map(|value| self.fitting(value)).collect();
        values.push(self.now);
        if self.nullable {
            values.push(None);
        }
        sorted(values)
    }

    /// A value between two neighbours; `None` where there is none.
    pub fn between(&self, one: Value, other: Value) -> Option<Value> {
        let (one, other) = (one?, other?);
        let middle = match one * other > 0.0 {
            true => (one * other).sqrt() * one.signum(),
            false => (one + other) / 2.0,
        };
        let middle = self.fitting(middle)?;
        (middle != one && middle != other).then_some(Some(middle))
    }

    /// The value nearest to this one that the number may have.
    pub(super) fn fitting(&self, value: f64) -> Value {
        let value = if self.whole { value.round() } else { rounded(value) };
        Some(value.clamp(self.least, self.most))
    }
}

/// Sorted, each once, null last.
pub(super) fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    let key = |value: &Value| value.unwrap_or(f64::INFINITY);
    values.sort_by(|a, b| key(a).total_cmp(&key(b)));
    values.dedup();
    values
}

/// To two digits.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    format!("{value:.1e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Problems, tree};

    fn all(text: &str, only: &[&str]) -> Result<Vec<Number>, Unknown> {
        let only: Vec<String> = only.iter().map(|path| (*path).to_owned()).collect();
        numbers(&tree::parse("f", text, &mut Problems::default()), &only)
    }

    #[test]
    fn every_number_has_limits_and_the_value_of_the_file_or_the_default() {
        let found = all("ranking: {weights: {item: 3}}\n", &[]).unwrap();
        assert_eq!(found.len(), WEIGHING.len() + LEARNING.len() + SignalKind::ALL.len() + 1);
        let now = |path: &str| found.iter().find(|number| number.path == path).unwrap().now;
        assert_eq!(now("ranking.weights.item"), Some(3.0));
        assert_eq!(now("ranking.discovery"), Some(0.2));
        assert_eq!(now("ranking.repeat_slots"), None);
        assert_eq!(now("signal_weights.browse.time_on_product.10_seconds"), Some(0.1));
    }

    #[test]
    fn a_ladder_stays_within_the_limits_and_holds_what_is_written() {
        for number in all("", &[]).unwrap() {
            let ladder = number.ladder();
            assert!(ladder.contains(&number.now), "{}", number.path);
            assert!(ladder.len() > 2, "{} {ladder:?}", number.path);
            let within = |value: &Value| {
                value.is_none_or(|value| (number.least..=number.most).contains(&value))
            };
            assert!(ladder.iter().all(within), "{} {ladder:?}", number.path);
            assert!(ladder.is_sorted_by_key(|value| value.unwrap_or(f64::INFINITY)));
        }
    }

    #[test]
    fn only_what_is_asked_for_is_fitted_and_what_is_not_there_is_told_with_the_nearest() {
        let found = all("", &["facets", "ranking.discovery"]).unwrap();
        let paths: Vec<&str> = found.iter().map(|number| number.path.as_str()).collect();
        let wanted = ["ranking.discovery", "facets.category", "facets.brand"];
        assert_eq!(paths[..3], wanted);
        let unknown = all("", &["facets.brnd"]).unwrap_err();
        assert_eq!(unknown.suggestion.as_deref(), Some("facets.brand"));
        assert!(all("", &["facet"]).is_err(), "half a word is no section");
    }

    #[test]
    fn between_two_values_lies_one_with_two_digits() {
        let [weight, slots] = ["ranking.weights.item", "ranking.repeat_slots"]
            .map(|path| all("", &[path]).unwrap().remove(0));
        assert_eq!(weight.between(Some(0.5), Some(1.0)), Some(Some(0.71)));
        assert_eq!(weight.between(Some(0.0), Some(0.1)), Some(Some(0.05)));
        assert_eq!(slots.between(Some(2.0), Some(3.0)), None);
        assert_eq!(slots.between(Some(8.0), None), None);
    }
}
