//! What tells of a shopper's religion, health or intimate life: `sensitive.yaml`, compiled.
//!
//! In: the table's topics; later, the words by which a product or a facet is called. Out: whether they
//! tell. Which topic they tell of is nobody's business here. Limits: 64 topics, as the matcher has bits.

use super::matcher::{Matcher, Role};
use super::table::{Entries, Topic};
use crate::types::product::{Axis, normalise};

/// The table, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Sensitive {
    attributes: Vec<Box<str>>,
    words: Matcher,
}

impl Sensitive {
    pub(super) fn compile(topics: &Entries<Topic>) -> Self {
        let mut compiled = Self::default();
        for (at, (_, topic)) in topics.0.iter().take(super::table::ATTRIBUTES_MAX).enumerate() {
            for (phrases, role) in [
                (&topic.any, Role::Give),
                (&topic.not_phrases, Role::Hide),
                (&topic.not_words, Role::Deny),
                (&topic.categories, Role::Category),
            ] {
                phrases.iter().for_each(|phrase| compiled.words.add(&phrase.value, at, role));
            }
            let attributes = topic.attributes.iter();
            compiled.attributes.extend(attributes.map(|name| normalise(&name.value).into()));
        }
        compiled.words.finish();
        compiled
    }

    /// Does this text tell, as a product's name, brand, term or label?
    pub(super) fn is_text(&self, text: &str) -> bool {
        self.is_attribute(text) || self.words.scan(text).given != 0
    }

    /// Does a facet's name tell?
    pub(super) fn is_facet(&self, axis: Axis, name: &str) -> bool {
        match axis {
            Axis::Category => self.words.scan(name).category != 0,
            Axis::Brand | Axis::Attribute => self.is_text(name),
            Axis::PriceTier => false,
        }
    }

    fn is_attribute(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| **attribute == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::knowledge::Knowledge;

    fn tells(name: &str, category: &str) -> bool {
        let knowledge = Knowledge::shipped();
        let inferred = knowledge.infer(name, Some(category), &[]);
        knowledge.is_sensitive(std::iter::once(name).chain(inferred), Some(category))
    }

    #[test]
    fn products_that_tell_of_religion_health_or_intimacy_are_known_by_their_words() {
        for (name, category) in [
            ("Halal Chicken Thighs", "Meat/Poultry"),
            ("Certified Kosher Beef Franks", "Meat"),
            ("Passover Cake Mix", "Baking"),
            ("Sugar-Free Cookies for Diabetics", "Snacks"),
            ("Prenatal Multivitamins", "Vitamins"),
            ("Pregnancy Test, 2 ct", "Health"),
            ("Latex Condoms", "Health"),
            ("Tampons, Regular", "Personal Care"),
            ("Unscented Wipes", "Health & Beauty/Feminine Care"),
            ("Hazy IPA", "Beverages"),
            ("House Red", "Beer & Wine/Wine"),
            ("Adult Diapers", "Health"),
        ] {
            assert!(tells(name, category), "{name} in {category}");
        }
    }

    #[test]
    fn ordinary_groceries_tell_nothing() {
        for (name, category) in [
            ("Coarse Kosher Salt", "Pantry/Spices & Seasoning"),
            ("Vegan Oat Milk", "Dairy/Milk"),
            ("Root Beer", "Beverages/Soda"),
            ("Red Wine Vinegar", "Pantry/Vinegar"),
            ("Non-Alcoholic Sparkling Drink", "Beverages"),
            ("Chain Lubricant", "Automotive"),
            ("Baby Diapers", "Baby"),
            ("Pistachios", "Snacks"),
            ("Lentils", "Pantry"),
        ] {
            assert!(!tells(name, category), "{name} in {category}");
        }
    }

    #[test]
    fn a_facet_is_judged_by_its_own_name_on_its_own_axis() {
        let knowledge = Knowledge::shipped();
        for (axis, name, told) in [
            (Axis::Attribute, "halal", true),
            (Axis::Attribute, "vegan", false),
            (Axis::Category, "beer & wine", true),
            (Axis::Category, "dairy/milk", false),
            (Axis::Brand, "cool condom company", true),
            (Axis::Brand, "winery hill", false),
            (Axis::PriceTier, "premium", false),
        ] {
            assert_eq!(knowledge.is_sensitive_facet(axis, name), told, "{axis:?} {name}");
        }
    }

    #[test]
    fn a_table_of_ones_own_takes_the_place_of_the_shipped_one_and_names_its_faults() {
        let own = Knowledge::parse(&[("sensitive.yaml", "diet: {attributes: [vegan]}")]).unwrap();
        assert!(own.is_sensitive_facet(Axis::Attribute, "vegan"));
        assert!(!own.is_sensitive_facet(Axis::Attribute, "halal"));
        let faults = Knowledge::parse(&[("k/sensitive.yaml", "a:\n  attributes: [hallal]\n")]);
        let fault = faults.unwrap_err()[0].to_string();
        assert!(fault.starts_with("k/sensitive.yaml:2:") && fault.contains("\"halal\""), "{fault}");
    }
}
