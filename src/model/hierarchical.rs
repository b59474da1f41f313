//! How tastes differ between shoppers: the numbers behind the hierarchical preference.
//!
//! In: a payload of JSON. Out: [`Hierarchical`], every number of it finite and within its bounds, or why
//! not. Facets stand there by name, so that people can read what was fitted; here by key.
//!
//! A facet belongs to a *group* (an axis, or one kind of label on it, as `actor:` of attributes). The
//! facets of a product in one group share a norm of 1, and a shopper's weights of them one variance.
//! What the file does not name belongs to its axis, with scale 1.

use serde::{Deserialize, Serialize};

use super::Refused;
use crate::types::keyed::ByKey;
use crate::types::product::{Axis, FacetKey, normalise};

/// Of the payload.
pub(super) const VERSION: u32 = 1;

/// Groups told apart: four axes, and kinds of labels.
pub const GROUPS_MAX: usize = 32;
/// Facets named.
pub const FACETS_MAX: usize = 262_144;
/// No variance, noise or scale is larger.
pub const NUMBER_MAX: f32 = 1.0e6;
/// Noise and scales are no smaller.
pub const NUMBER_MIN: f32 = 1.0e-6;

/// A group of facets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The axis, or the axis, a slash and the kind of its labels.
    pub name: String,
    /// How much shoppers differ in their weights of its facets.
    pub variance: f32,
}

/// What is known of one facet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Its group's place among [`Hierarchical::groups`].
    pub group: u8,
    /// How telling it is beside others of its group.
    pub scale: f32,
}

/// What is known of shoppers in general.
#[derive(Clone, Debug, PartialEq)]
pub struct Hierarchical {
    /// The four axes in their order, then kinds of labels.
    pub groups: Vec<Group>,
    /// How much shoppers differ in picking at all.
    pub own_variance: f32,
    /// How much they differ in picking what everybody picks.
    pub popular_variance: f32,
    /// Variance of what taste does not explain.
    pub noise: f32,
    /// Facets of which more is known than their axis.
    pub facets: ByKey<FacetKey, Known>,
    /// As in the file: axis, value.
    names: Vec<(Axis, String)>,
}

/// Variances fitted to nothing: those with which film lists were ranked well. See docs/QUALITY.md.
impl Default for Hierarchical {
    fn default() -> Self {
        let variance = |axis| if axis == Axis::Attribute { 2.0 } else { 0.5 };
        let group = |axis: Axis| Group { name: axis.name().into(), variance: variance(axis) };
        Self {
            groups: Axis::ALL.map(group).to_vec(),
            own_variance: 1.0,
            popular_variance: 3.0,
            noise: 3.0,
            facets: ByKey::default(),
            names: Vec::new(),
        }
    }
}

/// The payload.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    groups: Vec<Group>,
    own_variance: f32,
    popular_variance: f32,
    noise: f32,
    /// Group, value, scale.
    facets: Vec<(u8, String, f32)>,
}

impl Hierarchical {
    /// Names a facet; its value as the catalogue has it. False where there is no such group.
    pub fn know(&mut self, group: u8, value: &str, scale: f32) -> bool {
        let Some(axis) = self.axis_of(group) else { return false };
        let value = normalise(value);
        if self.facets.insert(FacetKey::of(axis, &value), Known { group, scale }).is_none() {
            self.names.push((axis, value));
        }
        true
    }

    /// What is known of a facet.
    #[inline]
    pub fn known(&self, facet: FacetKey) -> Known {
        let unknown = Known { group: facet.axis().index() as u8, scale: 1.0 };
        self.facets.get(&facet).copied().unwrap_or(unknown)
    }

    /// The axis on which a group's facets lie.
    pub fn axis_of(&self, group: u8) -> Option<Axis> {
        let name = &self.groups.get(usize::from(group))?.name;
        let axis = name.split('/').next().unwrap_or_default();
        Axis::ALL.into_iter().find(|known| known.name() == axis)
    }

    /// The kind of a label, `actor` of `actor:nina hagen`, if it has one.
    pub fn kind_of(label: &str) -> Option<&str> {
        let (kind, rest) = label.split_once(':')?;
        let is_word = |kind: &str| !kind.is_empty() && kind.chars().all(char::is_alphabetic);
        (is_word(kind) && !rest.is_empty()).then_some(kind)
    }

    /// The payload that [`Self::read`] reads; facets by group, then name.
    pub fn payload(&self) -> Vec<u8> {
        let facet = |(axis, value): &(Axis, String)| {
            let known = self.known(FacetKey::of(*axis, value));
            (known.group, value.clone(), known.scale)
        };
        let mut facets: Vec<_> = self.names.iter().map(facet).collect();
        facets.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let written = Written {
            groups: self.groups.clone(),
            own_variance: self.own_variance,
            popular_variance: self.popular_variance,
            noise: self.noise,
            facets,
        };
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn read(payload: &[u8]) -> Result<Self, Refused> {
        let written: Written = serde_json::from_slice(payload)
            .map_err(|error| Refused::new(format!("{error}"), "a payload of this form"))?;
        let mut model = Self {
            own_variance: within("own_variance", written.own_variance, 0.0)?,
            popular_variance: within("popular_variance", written.popular_variance, 0.0)?,
            noise: within("noise", written.noise, NUMBER_MIN)?,
            groups: written.groups,
            facets: ByKey::default(),
            names: Vec::new(),
        };
        model.check_groups()?;
        if written.facets.len() > FACETS_MAX {
            let found = format!("{} facets", written.facets.len());
            return Err(Refused::new(found, format!("{FACETS_MAX} at most")));
        }
        for (group, value, scale) in &written.facets {
            let scale = within("scale", *scale, NUMBER_MIN)?;
            if !model.know(*group, value, scale) {
                let found = format!("a facet of group {group}");
                let groups = model.groups.len();
                return Err(Refused::new(found, format!("one of {groups} groups, from 0")));
            }
        }
        Ok(model)
    }

    fn check_groups(&self) -> Result<(), Refused> {
        for (place, axis) in Axis::ALL.into_iter().enumerate() {
            let found = self.groups.get(place).map_or("nothing", |group| &group.name);
            if found != axis.name() {
                let found = format!("group {place}: \"{}\"", super::shown(found));
                return Err(Refused::new(found, format!("\"{}\"", axis.name())));
            }
        }
        if self.groups.len() > GROUPS_MAX {
            let found = format!("{} groups", self.groups.len());
            return Err(Refused::new(found, format!("{GROUPS_MAX} at most")));
        }
        for (place, group) in self.groups.iter().enumerate() {
            within("variance", group.variance, 0.0)?;
            if self.axis_of(place as u8).is_none() {
                let found = format!("group \"{}\"", super::shown(&group.name));
                let axes = Axis::ALL.map(Axis::name).join(", ");
                return Err(Refused::new(found, format!("a name that begins with one of {axes}")));
            }
        }
        Ok(())
    }
}

fn within(name: &str, number: f32, least: f32) -> Result<f32, Refused> {
    if (least..=NUMBER_MAX).contains(&number) {
        return Ok(number);
    }
    let expected = format!("a number from {least} to {NUMBER_MAX}");
    Err(Refused::new(format!("{name} {number}"), expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted() -> Hierarchical {
        let mut model = Hierarchical::default();
        model.groups.push(Group { name: "attribute/actor".into(), variance: 0.25 });
        assert!(model.know(4, "actor:Nina Hagen", 1.5));
        assert!(model.know(2, "spicy", 0.5));
        model
    }

    #[test]
    fn a_payload_says_what_the_model_says() {
        let model = fitted();
        let read = Hierarchical::read(&model.payload()).unwrap();
        assert_eq!(read.payload(), model.payload());
        let facet = FacetKey::of(Axis::Attribute, "actor:nina hagen");
        assert_eq!(read.known(facet), Known { group: 4, scale: 1.5 });
        let other = FacetKey::of(Axis::Brand, "oatly");
        assert_eq!(read.known(other), Known { group: 1, scale: 1.0 });
    }

    #[test]
    fn numbers_that_are_none_or_too_large_are_refused_by_name() {
        let text = String::from_utf8(fitted().payload()).unwrap();
        let said = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} in {text}");
            let refused = Hierarchical::read(text.replacen(from, to, 1).as_bytes()).unwrap_err();
            format!("{}; {}", refused.found, refused.expected)
        };
        assert!(said("\"noise\":3.0", "\"noise\":NaN").contains("expected value"));
        assert!(said("\"noise\":3.0", "\"noise\":0").contains("noise 0"));
        assert!(!said("\"noise\":3.0", "\"noise\":1e60").is_empty());
        assert!(said("\"noise\":3.0", "\"noise\":1e999").contains("out of range"));
        assert!(said("\"variance\":0.25", "\"variance\":-1").contains("variance -1"));
        assert!(said("hagen\",1.5", "hagen\",-1.5").contains("scale -1.5"));
        assert!(said("[4,", "[9,").contains("group 9; one of 5 groups"));
        assert!(said("\"brand\"", "\"maker\"").contains("\"maker\"; \"brand\""));
        assert!(said("attribute/actor", "actor").contains("begins with one of"));
        assert!(said("\"noise\"", "\"noisy\"").contains("noisy"));
    }

    #[test]
    fn the_kind_of_a_label_is_the_word_before_its_colon() {
        assert_eq!(Hierarchical::kind_of("actor:nina hagen"), Some("actor"));
        for label in ["spicy", ":x", "x:", "22:30", "a b:c"] {
            assert_eq!(Hierarchical::kind_of(label), None, "{label}");
        }
    }
}
