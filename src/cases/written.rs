//! Cases as they are written: keys, limits, defaults.
//!
//! In: nothing. Out: the raw types and the JSON Schema (`rules/schema/cases.schema.json`, which a
//! test keeps equal to them). The documentation of each key is what editors show.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::yaml::{schema_of, section};

section! {
    /// Executable cases of Leafrank's ranking.
    RawCases {
        /// The shop's products by id.
        products: BTreeMap<String, RawProduct> = BTreeMap::new(),
        /// Lists of products by name, for `list` in cases and queries.
        lists: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// What happened before every case of this file.
        past: Vec<RawPast> = Vec::new(),
        /// Edits that every case of this file lays on top of the rules that are tried.
        rules: Json = Json::Null,
        /// One shopper, one search, one list each.
        cases: Vec<RawCase> = Vec::new(),
        /// Searches of which only matters whether their first hit stays.
        queries: Vec<RawQuery> = Vec::new(),
    }
}

section! {
    /// A product as the shop describes it.
    RawProduct {
        /// Its name; what it says (organic, oat milk, 12 ct) is inferred as in live traffic.
        name: Option<String> = None,
        /// Its brand.
        brand: Option<String> = None,
        /// Its category, from the widest level to the narrowest: dairy/milk.
        category: Option<String> = None,
        /// What the shop's own fields say that it is.
        attributes: Vec<String> = Vec::new(),
        /// Its price.
        #[schemars(range(min = 0.0, max = 1_000_000.0))]
        price: Option<f64> = None,
    }
}

section! {
    /// Something that was done or shown before: `did` with `product`, or `search` with `saw`.
    RawPast {
        /// Who, where it was not the shopper of the case: any name.
        by: Option<String> = None,
        /// How many days before the search. Left out: ten seconds after what stands before it, or ten
        /// minutes before the search.
        #[schemars(range(min = 0.0, max = 36_500.0))]
        days_ago: Option<f64> = None,
        /// click, view, 60_seconds, add_to_cart, remove_from_cart, purchase, subscription, return ...
        did: Option<String> = None,
        /// With which product.
        product: Option<String> = None,
        /// Units.
        #[schemars(range(min = 1, max = 10_000))]
        quantity: u32 = 1,
        /// What was searched for.
        search: Option<String> = None,
        /// The products that were shown, in their order.
        saw: Vec<String> = Vec::new(),
        /// How often.
        #[schemars(range(min = 1, max = 10_000))]
        times: u32 = 1,
        /// Days between two times; left out, a second.
        #[schemars(range(min = 0.0, max = 36_500.0))]
        every_days: f64 = 0.0,
    }
}

section! {
    /// A shopper's past, a search, the shop's hits, and what is expected.
    #[schemars(extend("required" = ["name", "expect"]))]
    RawCase {
        /// What it shows, as a sentence.
        #[schemars(length(min = 1))]
        name: String = String::new(),
        /// What happened before.
        past: Vec<RawPast> = Vec::new(),
        /// What the shopper said of their taste themselves.
        says: RawSays = RawSays::default(),
        /// What is searched for; may be empty.
        search: String = String::new(),
        /// When; RFC 3339, e.g. 2026-12-01T18:00:00Z. Left out: noon (UTC) of 1 June 2026.
        at: Option<String> = None,
        /// The shop's hits in the shop's order.
        hits: Vec<String> = Vec::new(),
        /// The same, as the name of one of `lists`.
        list: Option<String> = None,
        /// Hits that are out of stock.
        out_of_stock: Vec<String> = Vec::new(),
        /// Hits whose places are paid for.
        sponsored: Vec<String> = Vec::new(),
        /// Edits laid on top of the rules, as in personalization_rules.yaml.
        rules: Json = Json::Null,
        /// What must come; all that is written.
        expect: RawExpect = RawExpect::default(),
    }
}

section! {
    /// The shopper's own word on single tastes.
    RawSays {
        /// The strongest like.
        pinned: RawTastes = RawTastes::default(),
        /// The strongest dislike.
        muted: RawTastes = RawTastes::default(),
    }
}

section! {
    /// Tastes by axis.
    RawTastes {
        /// Categories.
        category: Vec<String> = Vec::new(),
        /// Brands.
        brand: Vec<String> = Vec::new(),
        /// Attributes.
        attribute: Vec<String> = Vec::new(),
    }
}

section! {
    /// What must come.
    RawExpect {
        /// The list begins with these, in this order.
        order: Vec<String> = Vec::new(),
        /// This comes first.
        first: Option<String> = None,
        /// The list ends with these, in this order.
        last: Vec<String> = Vec::new(),
        /// In each of these lists, each stands before the next one.
        before: Vec<Vec<String>> = Vec::new(),
        /// True: nothing moves.
        unmoved: Option<bool> = None,
        /// keeps: the shop's first hit stays first. bends: another one takes its place.
        top: Option<Top> = None,
        /// These are not in the list.
        gone: Vec<String> = Vec::new(),
        /// Suggested quantities; 0 = none.
        quantity: BTreeMap<String, u8> = BTreeMap::new(),
        /// What the shopper is told, in English; empty = nothing.
        reason: BTreeMap<String, String> = BTreeMap::new(),
    }
}

section! {
    /// A search of which only matters whether its first hit stays.
    #[schemars(extend("required" = ["search", "list", "top"]))]
    RawQuery {
        /// What is searched for.
        search: String = String::new(),
        /// The name of one of `lists`.
        list: String = String::new(),
        /// keeps or bends.
        top: Top = Top::Keeps,
    }
}

/// What becomes of the shop's first hit.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Top {
    /// It stays first.
    Keeps,
    /// Another one takes its place.
    Bends,
}

/// The JSON Schema of a file of cases (draft 2020-12).
pub fn schema() -> Json {
    let mut schema = schema_of::<RawCases>();
    let mut rules = crate::rules::schema();
    if let Some(rules) = rules.as_object_mut() {
        rules.remove("$schema");
    }
    for place in ["/properties/rules", "/properties/cases/items/properties/rules"] {
        if let Some(inner) = schema.pointer_mut(place) {
            inner.clone_from(&rules);
        }
    }
    // What a quantity can be is what a profile remembers.
    if let Some(quantity) = schema
        .pointer_mut("/properties/cases/items/properties/expect/properties/quantity")
        .and_then(|quantity| quantity.get_mut("additionalProperties")?.as_object_mut())
    {
        quantity.insert("minimum".to_owned(), 0.into());
        quantity.insert("maximum".to_owned(), 255.into());
    }
    schema
}
