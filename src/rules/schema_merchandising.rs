//! Merchandising rules as they are written.
//!
//! In: the `merchandising` section of the rules file. Out: raw rules for `compile`, which checks
//! what belongs together. Field docs are the JSON Schema's descriptions.

use crate::yaml::section;

section! {
    /// One rule of the shop: when it applies, to which hits, what it does.
    #[schemars(extend("required" = ["id", "then"]))]
    RawMerchandising {
        /// Its name in explanations; unique.
        #[schemars(length(min = 1))]
        id: String = String::new(),
        /// When it applies; all parts present must hold, none = always.
        r#if: RawWhen = RawWhen::default(),
        /// Which hits; none = every hit.
        select: RawSelect = RawSelect::default(),
        /// What it does: one of boost, bury, pin, hide, demote.
        then: RawThen = RawThen::default(),
    }
}

section! {
    /// When a rule applies.
    RawWhen {
        /// All words of one of these are in the search.
        query: Vec<String> = Vec::new(),
        /// Not before; RFC 3339, e.g. 2026-12-01T00:00:00Z.
        from: Option<String> = None,
        /// Not at or after; RFC 3339.
        until: Option<String> = None,
        /// Only at these parts of the shop's day: morning (from 5), afternoon (12), evening (17),
        /// night (22).
        time_of_day: Vec<String> = Vec::new(),
        /// Only for shoppers with this taste.
        shopper: Option<RawShopper> = None,
    }
}

section! {
    /// A taste: one of category, brand, attribute, price_tier, and how strong it is.
    #[schemars(extend("required" = ["affinity_min"]))]
    RawShopper {
        /// A category, e.g. dairy/milk.
        category: Option<String> = None,
        /// A brand.
        brand: Option<String> = None,
        /// An attribute, e.g. vegan.
        attribute: Option<String> = None,
        /// budget, standard or premium.
        price_tier: Option<String> = None,
        /// Least affinity, -1 to 1.
        #[schemars(range(min = -1.0, max = 1.0))]
        affinity_min: f64 = 0.0,
    }
}

section! {
    /// Which hits: any of these, and none of `without`.
    RawSelect {
        /// Product keys, as the shop writes them.
        product: Vec<String> = Vec::new(),
        /// Categories.
        category: Vec<String> = Vec::new(),
        /// Brands.
        brand: Vec<String> = Vec::new(),
        /// Attributes.
        attribute: Vec<String> = Vec::new(),
        /// budget, standard, premium.
        price_tier: Vec<String> = Vec::new(),
        /// Products that have one of these are left out.
        without: RawWithout = RawWithout::default(),
    }
}

section! {
    /// Facets that leave a product out.
    RawWithout {
        /// Categories.
        category: Vec<String> = Vec::new(),
        /// Brands.
        brand: Vec<String> = Vec::new(),
        /// Attributes.
        attribute: Vec<String> = Vec::new(),
        /// budget, standard, premium.
        price_tier: Vec<String> = Vec::new(),
    }
}

section! {
    /// What a rule does: exactly one of these.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    RawThen {
        /// Adds so much to the score.
        #[schemars(range(min = 0.0, max = 10.0))]
        boost: Option<f64> = None,
        /// Takes so much from the score.
        #[schemars(range(min = 0.0, max = 10.0))]
        bury: Option<f64> = None,
        /// Locks the first such hit at this rank; 1 = first.
        #[schemars(range(min = 1, max = 1_000))]
        pin: Option<u32> = None,
        /// Puts the hit behind the rest.
        hide: Option<RawHide> = None,
        /// Puts the hit behind all others, last of all; no pin lifts it. Only `true`.
        demote: Option<bool> = None,
    }
}

section! {
    /// How a hit is hidden.
    RawHide {
        /// True takes it out of the reply: the one exception to "same hits out as in".
        allow_removal: bool = false,
    }
}
