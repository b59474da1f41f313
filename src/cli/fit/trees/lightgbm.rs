//! Trees in the text that LightGBM saves.
//!
//! In: the text of a model without categories and missing values, and what a unit of it is worth. Out: our
//! own [`Trees`], checked like a file. A threshold there is a double; ours is the largest single up to it,
//! by which every single is sent the same way.

use std::collections::{BTreeMap, VecDeque};

use crate::model::Refused;
use crate::model::trees::{Node, Trees};

/// `decision_type`: bit 0 is a category, bits 2 and 3 say what counts as missing.
const CATEGORY: u32 = 1;
const MISSING: u32 = 0b1100;

/// Reads a saved model.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read(text: &str, scale: f32) -> Result<Trees, Refused> {
    let mut sections = text.split("\n\n").map(|section| fields(section));
    let head = sections.next().unwrap_or_default();
    let names = head.get("feature_names").ok_or_else(|| {
        Refused::new("no feature_names", "a model as LightGBM's save_model writes it")
    })?;
    let names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    let trees = sections.filter(|section| section.contains_key("num_leaves"));
    let trees = trees.map(|section| tree(&section, scale)).collect::<Result<Vec<_>, _>>()?;
    if trees.is_empty() {
        return Err(Refused::new("no trees", "one at least"));
    }
    Trees::new(&names, trees)
}

/// `key=value`, a line each.
fn fields(section: &str) -> BTreeMap<&str, &str> {
    section.lines().filter_map(|line| line.split_once('=')).collect()
}

/// One tree as LightGBM has it: children from 0 are inner nodes, below that leaves.
struct Saved {
    features: Vec<u16>,
    thresholds: Vec<f64>,
    left: Vec<i32>,
    right: Vec<i32>,
    inner: Vec<f32>,
    leaves: Vec<f32>,
}

fn tree(section: &BTreeMap<&str, &str>, scale: f32) -> Result<Vec<Node>, Refused> {
    let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * scale).collect();
    let leaves: Vec<f32> = scaled(numbers(section, "leaf_value")?);
    if leaves.len() == 1 {
        return Ok(vec![Node { feature: 0, threshold: 0.0, left: 0, value: leaves[0] }]);
    }
    let asked: Vec<u32> = numbers(section, "decision_type")?;
    if asked.iter().any(|kind| kind & (CATEGORY | MISSING) != 0) {
        let expected = "numbers only: train with use_missing=false";
        return Err(Refused::new("a split by category or by missing values", expected));
    }
    let saved = Saved {
        features: numbers(section, "split_feature")?,
        thresholds: numbers(section, "threshold")?,
        left: numbers(section, "left_child")?,
        right: numbers(section, "right_child")?,
        inner: scaled(numbers(section, "internal_value")?),
        leaves,
    };
    saved.nodes()
}

impl Saved {
    /// Breadth first, so that two children stand side by side, behind their parent.
    fn nodes(&self) -> Result<Vec<Node>, Refused> {
        let torn = || Refused::new("a tree whose lists do not fit together", "a whole model");
        let mut nodes = vec![self.node(0).ok_or_else(torn)?];
        let mut open = VecDeque::from([(0_usize, 0_i32)]);
        while let Some((place, number)) = open.pop_front() {
            let Ok(number) = usize::try_from(number) else { continue };
            let (left, right) = (self.left.get(number), self.right.get(number));
            let (Some(left), Some(right)) = (left, right) else { return Err(torn()) };
            let first = nodes.len();
            nodes[place].left = u16::try_from(first).map_err(|_| torn())?;
            for (child, at) in [(*left, first), (*right, first + 1)] {
                // a child that is its own ancestor would never end
                if at > 2 * self.inner.len() {
                    return Err(torn());
                }
                nodes.push(self.node(child).ok_or_else(torn)?);
                open.push_back((at, child));
            }
        }
        Ok(nodes)
    }

    fn node(&self, number: i32) -> Option<Node> {
        let Ok(inner) = usize::try_from(number) else {
            let leaf = usize::try_from(-(i64::from(number) + 1)).ok()?;
            let value = *self.leaves.get(leaf)?;
            return Some(Node { feature: 0, threshold: 0.0, left: 0, value });
        };
        let threshold = single_up_to(*self.thresholds.get(inner)?);
        let (feature, value) = (*self.features.get(inner)?, *self.inner.get(inner)?);
        Some(Node { feature, threshold, left: 0, value })
    }
}

/// The largest single that is no larger.
fn single_up_to(threshold: f64) -> f32 {
    let single = threshold.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
    if f64::from(single) > threshold { single.next_down() } else { single }
}

fn numbers<N: std::str::FromStr>(
    section: &BTreeMap<&str, &str>,
    key: &str,
) -> Result<Vec<N>, Refused> {
    let values = section.get(key).ok_or_else(|| {
        Refused::new(format!("a tree without {key}"), "a model as LightGBM's save_model writes it")
    })?;
    let number = |word: &str| {
        let found = || format!("{key}: \"{}\"", word.escape_debug());
        word.parse().map_err(|_| Refused::new(found(), "a number"))
    };
    values.split_whitespace().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trees::Feature;

    const TEXT: &str = "tree\nversion=v4\nfeature_names=slow days\n\nTree=0\nnum_leaves=3\n\
        split_feature=0 1\nthreshold=0.30000000000000004 7\ndecision_type=2 2\nleft_child=1 -2\n\
        right_child=-1 -3\nleaf_value=4 1 2\ninternal_value=2.5 1.5\n\nTree=1\nnum_leaves=1\n\
        leaf_value=0.5\n\nend of trees\n\nfeature_importances:\n";

    #[test]
    fn trees_of_lightgbm_say_the_same_here() {
        let trees = read(TEXT, 2.0).unwrap();
        let score = |slow, days| {
            let mut features = [0.0; Feature::ALL.len()];
            features[Feature::Slow.index()] = slow;
            features[Feature::Days.index()] = days;
            let mut scores = [0.0];
            trees.scores(&[features], &mut scores);
            scores[0]
        };
        assert_eq!(trees.len(), 2);
        // beyond the root's value, times the scale
        assert_eq!(score(0.5, 0.0), 3.0);
        assert_eq!(score(0.0, 7.0), -3.0);
        assert_eq!(score(0.0, 8.0), -1.0);
        // the next single above the threshold goes to the right
        assert_eq!(score(0.3_f32.next_up(), 0.0), 3.0);
    }

    #[test]
    fn what_is_torn_or_of_another_kind_is_refused() {
        let said = |from: &str, to: &str| {
            assert!(TEXT.contains(from), "{from}");
            let refused = read(&TEXT.replacen(from, to, 1), 1.0).unwrap_err();
            format!("{}; {}", refused.found, refused.expected)
        };
        assert!(said("decision_type=2 2", "decision_type=2 3").contains("by category"));
        assert!(said("decision_type=2 2", "decision_type=2 10").contains("missing"));
        assert!(said("slow days", "slow moon_phase").contains("moon_phase"));
        assert!(said("left_child=1 -2", "left_child=1").contains("do not fit"));
        assert!(said("left_child=1 -2", "left_child=0 -2").contains("do not fit"));
        assert!(said("right_child=-1", "right_child=-9").contains("do not fit"));
        assert!(said("threshold=0.30000000000000004 7", "threshold=x 7").contains("\"x\""));
        assert!(said("leaf_value=4", "leaves=4").contains("without leaf_value"));
        assert!(read("", 1.0).is_err() && read("feature_names=slow\n", 1.0).is_err());
    }
}
