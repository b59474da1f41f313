//! Boosted regression trees over the named [`features`](Feature) of a hit: what they add to its score.
//!
//! In: a payload of JSON that names its features, or nodes from training. Out: [`Trees`], every number
//! finite, every child behind its parent, every feature one that this build computes, or why not.
//!
//! ```text
//! {"features":["relevance",…],"trees":[[[feature,threshold,left,value],…],…]}
//! ```
//!
//! A node sends what is above its threshold to the right child, which stands behind the left one, and
//! all else to the left; a leaf has 0, as the root is nobody's child. Values are what is expected below a node, so that a
//! step down a tree is worth `value(child) - value(node)` and belongs to the feature that was asked
//! (Saabas): these parts add up to the score, and the root, alike for all hits, is worth nothing.

mod feature;

use serde::{Deserialize, Serialize};

use super::Refused;
pub use feature::{About, Feature};

/// Of the payload.
pub(super) const VERSION: u32 = 1;

/// More cost more time than two rankings by the table.
pub const TREES_MAX: usize = 512;
/// Nodes of one tree.
pub const NODES_MAX: usize = 511;
/// No step is worth more than the shop's own order.
pub const VALUE_MAX: f32 = 1.0e3;

/// The features of one hit, by [`Feature::index`].
pub type Features = [f32; Feature::ALL.len()];

/// One node; a leaf has no children.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u16, f32, u16, f32)", into = "(u16, f32, u16, f32)")]
pub struct Node {
    /// What is asked: a place among the model's features.
    pub feature: u16,
    /// Up to here to the left.
    pub threshold: f32,
    /// Place of the left child in its tree, the right one behind it; 0 for a leaf.
    pub left: u16,
    /// What is expected below.
    pub value: f32,
}

impl From<(u16, f32, u16, f32)> for Node {
    fn from((feature, threshold, left, value): (u16, f32, u16, f32)) -> Self {
        Self { feature, threshold, left, value }
    }
}

impl From<Node> for (u16, f32, u16, f32) {
    fn from(node: Node) -> Self {
        (node.feature, node.threshold, node.left, node.value)
    }
}

/// Hits that go down a tree side by side: none waits for another one's memory.
const LANES: usize = 8;

/// Trees that add to a score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trees {
    /// Of all trees, one behind the other; a child's place counts from its tree's root. A leaf leads to
    /// itself: all hits take as many steps.
    nodes: Vec<Node>,
    trees: Vec<Tree>,
}

/// Where a tree's nodes are, and how many steps lead to its last leaf.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tree {
    from: u32,
    to: u32,
    depth: u16,
}

/// The payload.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    features: Vec<String>,
    trees: Vec<Vec<Node>>,
}

impl Trees {
    /// Takes trees whose nodes ask for `features`, by name.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(features: &[String], trees: Vec<Vec<Node>>) -> Result<Self, Refused> {
        let known = features.iter().map(|name| {
            Feature::named(name).ok_or_else(|| {
                let found = format!("a feature \"{}\"", super::shown(name));
                Refused::new(found, "features of this program: train the trees with it")
            })
        });
        let known: Vec<Feature> = known.collect::<Result<_, _>>()?;
        if trees.len() > TREES_MAX {
            let found = format!("{} trees", trees.len());
            return Err(Refused::new(found, format!("{TREES_MAX} at most")));
        }
        let mut model = Self::default();
        for (number, tree) in trees.into_iter().enumerate() {
            let from = model.nodes.len() as u32;
            if tree.is_empty() || tree.len() > NODES_MAX {
                let found = format!("tree {number} with {} nodes", tree.len());
                return Err(Refused::new(found, format!("1 to {NODES_MAX}")));
            }
            for (place, node) in tree.iter().enumerate() {
                let node = checked(*node, (place, tree.len()), &known).map_err(|refused| {
                    let found = format!("tree {number}, node {place}: {}", refused.found);
                    Refused { found, ..refused }
                })?;
                model.nodes.push(node);
            }
            let to = model.nodes.len() as u32;
            model.trees.push(Tree { from, to, depth: depth(&tree) });
        }
        Ok(model)
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(payload: &[u8]) -> Result<Self, Refused> {
        let written: Written = serde_json::from_slice(payload)
            .map_err(|error| Refused::new(format!("{error}"), "a payload of this form"))?;
        Self::new(&written.features, written.trees)
    }

    /// The payload that [`Self::read`] reads; it names all features of this build.
    pub fn payload(&self) -> Vec<u8> {
        let plain = |(place, node): (usize, &Node)| match usize::from(node.left) == place {
            true => Node { feature: 0, threshold: 0.0, left: 0, value: node.value },
            false => *node,
        };
        let tree = |tree: &Tree| self.of(tree).iter().enumerate().map(plain).collect();
        let written = Written {
            features: Feature::ALL.iter().map(|feature| feature.name().to_owned()).collect(),
            trees: self.trees.iter().map(tree).collect(),
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// How many trees there are.
    pub fn len(&self) -> usize {
        self.trees.len()
    }

    /// True when there are none: nothing is added to any score.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// What the trees add to the score of each hit, added to `scores`. `O(hits · trees · depth)`, nothing
    /// is allocated.
    pub fn scores(&self, hits: &[Features], scores: &mut [f32]) {
        for (hits, scores) in hits.chunks(LANES).zip(scores.chunks_mut(LANES)) {
            for tree in &self.trees {
                let nodes = self.of(tree);
                let mut at = [0_usize; LANES];
                for _ in 0..tree.depth {
                    for (at, features) in at.iter_mut().zip(hits) {
                        *at = next(&nodes[*at], features);
                    }
                }
                for (score, at) in scores.iter_mut().zip(at) {
                    *score += nodes[at].value - nodes[0].value;
                }
            }
        }
    }

    /// The same of one hit, by feature: the parts add up to its score within rounding.
    pub fn parts(&self, features: &Features) -> Features {
        let mut parts = [0.0; Feature::ALL.len()];
        for tree in &self.trees {
            let nodes = self.of(tree);
            let mut node = &nodes[0];
            for _ in 0..tree.depth {
                let child = &nodes[next(node, features)];
                parts[usize::from(node.feature)] += child.value - node.value;
                node = child;
            }
        }
        parts
    }

    fn of(&self, tree: &Tree) -> &[Node] {
        &self.nodes[tree.from as usize..tree.to as usize]
    }
}

/// The place of the child that the features lead to.
#[inline]
fn next(node: &Node, features: &Features) -> usize {
    let right = features[usize::from(node.feature)] > node.threshold;
    usize::from(node.left) + usize::from(right)
}

/// Steps from the root to the last leaf; children stand behind their parents.
fn depth(tree: &[Node]) -> u16 {
    let mut depths = vec![0_u16; tree.len()];
    for (place, node) in tree.iter().enumerate().filter(|(_, node)| node.left != 0) {
        let below = depths[place] + 1;
        let left = usize::from(node.left);
        for child in &mut depths[left..=left + 1] {
            *child = below.max(*child);
        }
    }
    depths.into_iter().max().unwrap_or_default()
}

/// A node that asks for a feature of this build and leads on, never back.
fn checked(
    node: Node,
    (place, nodes): (usize, usize),
    features: &[Feature],
) -> Result<Node, Refused> {
    if !(-VALUE_MAX..=VALUE_MAX).contains(&node.value) || !node.threshold.is_finite() {
        let found = format!("threshold {}, value {}", node.threshold, node.value);
        return Err(Refused::new(found, format!("finite numbers, values up to ±{VALUE_MAX}")));
    }
    let left = usize::from(node.left);
    if left != 0 && !(place + 1..nodes.saturating_sub(1)).contains(&left) {
        let expected = format!("two behind this one, of {nodes} nodes");
        return Err(Refused::new(format!("children at {left}"), expected));
    }
    let feature = features.get(usize::from(node.feature));
    let feature = match (feature, node.left) {
        (Some(feature), _) => feature.index(),
        (None, 0) => 0,
        (None, _) => {
            let found = format!("feature {}", node.feature);
            let expected = format!("one of the {} that the model names", features.len());
            return Err(Refused::new(found, expected));
        }
    };
    Ok(match node.left {
        0 => Node { feature: 0, threshold: f32::INFINITY, left: place as u16, value: node.value },
        _ => Node { feature: feature as u16, ..node },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(features: &[Feature]) -> Vec<String> {
        features.iter().map(|feature| feature.name().to_owned()).collect()
    }

    fn split(feature: u16, threshold: f32, left: u16, value: f32) -> Node {
        Node { feature, threshold, left, value }
    }

    fn leaf(value: f32) -> Node {
        split(0, 0.0, 0, value)
    }

    fn two() -> Trees {
        let first =
            vec![split(0, 0.5, 1, 0.25), leaf(-1.0), split(1, 2.0, 3, 1.0), leaf(0.5), leaf(2.0)];
        let second = vec![split(1, 1.0, 1, 0.5), leaf(0.0), leaf(1.0)];
        Trees::new(&names(&[Feature::Slow, Feature::Purchases]), vec![first, second]).unwrap()
    }

    fn score(trees: &Trees, features: &Features) -> f32 {
        let mut scores = [0.0];
        trees.scores(std::slice::from_ref(features), &mut scores);
        scores[0]
    }

    fn hit(slow: f32, purchases: f32) -> Features {
        let mut features = [0.0; Feature::ALL.len()];
        features[Feature::Slow.index()] = slow;
        features[Feature::Purchases.index()] = purchases;
        features
    }

    #[test]
    fn a_score_is_what_the_leaves_say_beyond_the_roots() {
        let trees = two();
        assert_eq!(score(&trees, &hit(0.5, 0.0)), -1.25 - 0.5);
        assert_eq!(score(&trees, &hit(0.6, 2.0)), 0.25 + 0.5);
        assert_eq!(score(&trees, &hit(0.6, 3.0)), 1.75 + 0.5);
        assert_eq!(score(&Trees::default(), &hit(1.0, 1.0)), 0.0);
    }

    #[test]
    fn many_hits_have_the_scores_of_each() {
        let trees = two();
        let hits: Vec<_> = (0..21).map(|i| hit(i as f32 / 20.0, (i % 4) as f32)).collect();
        let mut scores = [1.0; 21];
        trees.scores(&hits, &mut scores);
        for (one, many) in hits.iter().zip(scores) {
            assert_eq!(1.0 + score(&trees, one), many);
        }
        assert!(scores.iter().any(|one| *one != scores[0]));
    }

    #[test]
    fn parts_belong_to_the_features_that_were_asked_and_add_up() {
        let trees = two();
        for (slow, purchases) in [(0.0, 0.0), (0.6, 0.0), (0.6, 2.0), (9.0, 9.0)] {
            let parts = trees.parts(&hit(slow, purchases));
            let sum: f32 = parts.iter().sum();
            assert!((sum - score(&trees, &hit(slow, purchases))).abs() < 1e-6);
        }
        let parts = trees.parts(&hit(0.6, 3.0));
        assert_eq!(parts[Feature::Slow.index()], 0.75);
        assert_eq!(parts[Feature::Purchases.index()], 1.5);
        assert_eq!(parts.iter().filter(|part| **part != 0.0).count(), 2);
    }

    #[test]
    fn a_feature_that_is_no_number_leads_to_the_left_and_ends() {
        assert_eq!(score(&two(), &hit(f32::NAN, f32::NAN)), -1.75);
    }

    #[test]
    fn a_payload_says_what_the_trees_say() {
        let trees = two();
        let read = Trees::read(&trees.payload()).unwrap();
        assert_eq!(read, trees);
        assert_eq!(read.len(), 2);
        assert!(!read.is_empty() && Trees::default().is_empty());
    }

    #[test]
    fn trees_of_other_features_and_nodes_that_lead_astray_are_refused() {
        let said = |name: &str, tree: Vec<Node>| {
            let refused = Trees::new(&[name.to_owned()], vec![tree]).unwrap_err();
            format!("{}; {}", refused.found, refused.expected)
        };
        let known = Feature::Slow.name();
        let ends = [leaf(0.0), leaf(1.0)];
        let with = |root: Node| [&[root][..], &ends].concat();
        assert!(said("moon_phase", vec![leaf(0.0)]).contains("a feature \"moon_phase\""));
        assert!(said(known, vec![]).contains("tree 0 with 0 nodes"));
        assert!(said(known, vec![leaf(0.0); 600]).contains("600 nodes; 1 to 511"));
        assert!(said(known, with(split(1, 0.0, 1, 0.0))).contains("feature 1"));
        assert!(said(known, with(split(0, 0.0, 2, 0.0))).contains("children at 2"));
        assert!(said(known, vec![leaf(0.0), split(0, 0.0, 1, 0.0), leaf(0.0)]).contains("node 1"));
        assert!(said(known, with(split(0, f32::NAN, 1, 0.0))).contains("finite"));
        assert!(said(known, vec![leaf(f32::INFINITY)]).contains("finite"));
        assert!(said(known, vec![leaf(1.0e9)]).contains("±1000"));
        let many = Trees::new(&[], vec![vec![leaf(0.0)]; 513]).unwrap_err();
        assert_eq!(many.expected, "512 at most");
        assert!(Trees::read(b"{\"features\":[],\"trees\":[],\"more\":1}").is_err());
        assert!(Trees::read(b"{\"features\":[],\"trees\":[[[0,1e999,0,0]]]}").is_err());
    }
}
