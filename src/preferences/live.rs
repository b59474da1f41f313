//! A profile in the shape that the preferences API shows.
//!
//! In: a taste, and names for facet keys (profiles keep none). Out: categories, attributes and
//! brands, each a map from name to affinity: the strongest first, rounded to three decimals, without
//! what is too weak to mean anything. These are what was learned; a shopper's own word stands beside
//! them. A facet whose name is not known is left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::taste::Taste;
use crate::types::product::{Axis, FacetKey};

/// Affinities weaker than this are not shown.
const AFFINITY_MIN: f32 = 0.01;

/// What the preferences API answers: the plan's shape.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct LivePreferences {
    /// Affinity by category.
    pub categories: Affinities,
    /// Affinity by attribute.
    pub attributes: Affinities,
    /// Affinity by brand.
    pub brands: Affinities,
    /// What the shopper pinned or muted themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<ChosenTaste>,
}

/// A shopper's own word on one facet, beside what was learned of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct ChosenTaste {
    /// The facet's axis.
    pub axis: &'static str,
    /// Its value.
    pub name: Arc<str>,
    /// `pinned` or `muted`.
    pub chosen: &'static str,
    /// The learned affinity, which shows again when the choice is taken back.
    pub affinity: f64,
    /// When it was said; milliseconds since 1970.
    pub at_ms: i64,
}

/// Names with their affinity in `(-1, 1)`, by falling strength; written as a map.
#[derive(Clone, Debug, Default, PartialEq, schemars::JsonSchema)]
#[schemars(with = "BTreeMap<String, f64>")]
pub struct Affinities(pub Vec<(Arc<str>, f64)>);

impl Serialize for Affinities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, affinity) in &self.0 {
            map.serialize_entry(&**name, affinity)?;
        }
        map.end()
    }
}

/// Writes the `top` strongest affinities an axis. `O(facets · log facets)`.
pub fn live(
    taste: &Taste<'_>,
    top: usize,
    name: &dyn Fn(FacetKey) -> Option<Arc<str>>,
) -> LivePreferences {
    let axis = |axis| strongest(taste, axis, top, name);
    LivePreferences {
        categories: axis(Axis::Category),
        attributes: axis(Axis::Attribute),
        brands: axis(Axis::Brand),
        chosen: Vec::new(),
    }
}

fn strongest(
    taste: &Taste<'_>,
    axis: Axis,
    top: usize,
    name: &dyn Fn(FacetKey) -> Option<Arc<str>>,
) -> Affinities {
    let on_axis = taste.profile.facets.iter().filter(|facet| facet.key.axis() == axis);
    let mut rows: Vec<_> = on_axis
        .map(|facet| (facet.key, taste.learned(facet.key)))
        .filter(|(_, affinity)| affinity.abs() >= AFFINITY_MIN)
        .filter_map(|(key, affinity)| Some((name(key)?, rounded(affinity))))
        .collect();
    rows.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
    rows.dedup_by(|a, b| a.0 == b.0);
    rows.truncate(top);
    Affinities(rows)
}

/// To three decimals.
pub fn rounded(affinity: f32) -> f64 {
    (f64::from(affinity) * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preferences::testing::rules_for_tests;
    use crate::types::clock::Timestamp;
    use crate::types::profile::{FacetMemory, Profile};

    #[test]
    fn preferences_are_shown_by_name_strongest_first_without_noise() {
        let rows = [
            (Axis::Category, "dairy/milk", 0.35),
            (Axis::Attribute, "plant-based", 4.0),
            (Axis::Attribute, "spicy", -1.0),
            (Axis::Attribute, "faint", 0.005),
            (Axis::Attribute, "nameless", 9.0),
            (Axis::Brand, "oatly", 2.0),
        ];
        let mut facets: Vec<_> = rows
            .iter()
            .map(|(axis, name, sum)| FacetMemory { key: FacetKey::of(*axis, name), sum: *sum })
            .collect();
        facets.sort_by_key(|f| f.key);
        let profile = Profile { facets, ..Profile::default() };
        let rules = rules_for_tests();
        let taste = Taste::at(&profile, &rules, Timestamp(0));
        let shown = live(&taste, 2, &|key| {
            let named = rows.iter().find(|(axis, name, _)| FacetKey::of(*axis, name) == key)?;
            (named.1 != "nameless").then(|| Arc::from(named.1))
        });
        assert_eq!(
            serde_json::to_string(&shown).unwrap(),
            r#"{"categories":{"dairy/milk":0.259},"attributes":{"plant-based":0.8,"spicy":-0.5},"brands":{"oatly":0.667}}"#
        );
    }
}
