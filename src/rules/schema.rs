//! The rules file as it is written: sections, keys, limits, defaults.
//!
//! The documentation of each key is what editors show while the file is edited (through
//! `rules/schema/personalization_rules.schema.json`, which a test keeps equal to these types).
//! `config/personalization_rules.yaml` says the same with its reasons. Text that has a form of its
//! own (times, facet values) is text here and is parsed by [`super::compile`].

use super::schema_merchandising::RawMerchandising;
use super::{Preference, PriorAppliesTo};
use crate::types::signal::SignalKind;
use crate::yaml::section;

section! {
    /// Leafrank's personalization rules.
    RawRules {
        /// The kill switch: false sends every list out in the shop's order.
        enabled: bool = true,
        /// What one interaction says about the shopper's taste.
        signal_weights: RawSignalWeights = RawSignalWeights::default(),
        /// Numbers that decide which signal an interaction is.
        thresholds: RawThresholds = RawThresholds::default(),
        /// Days until half of the evidence has faded.
        half_life: RawHalfLife = RawHalfLife::default(),
        /// What each axis is worth inside the facet term.
        facets: RawFacets = RawFacets::default(),
        /// How lists are ordered.
        ranking: RawRanking = RawRanking::default(),
        /// What may not happen, whatever the score says.
        guards: RawGuards = RawGuards::default(),
        /// How far one shopper's acts may change other shoppers' lists.
        crowd: RawCrowd = RawCrowd::default(),
        /// Where the shop's clock stands, for rules by time of day: an IANA name, e.g. Europe/Berlin.
        time_zone: String = "UTC".to_owned(),
        /// Boosts, burials, pins, hides and demotions, in the order in which they are tried.
        merchandising: Vec<RawMerchandising> = Vec::new(),
    }
}

section! {
    /// Weights by kind of signal; 1.0 is a repeated purchase.
    RawSignalWeights {
        /// Bought.
        purchase: RawPurchase = RawPurchase::default(),
        /// In and out of the cart.
        cart: RawCart = RawCart::default(),
        /// Looked at.
        browse: RawBrowse = RawBrowse::default(),
        /// Passed over or regretted.
        negative: RawNegative = RawNegative::default(),
    }
}

section! {
    /// Bought.
    RawPurchase {
        /// The first purchase of the product.
        #[schemars(range(min = -10.0, max = 10.0))]
        first_time: f64 = 0.8,
        /// A later one.
        #[schemars(range(min = -10.0, max = 10.0))]
        repeat: f64 = 1.0,
        /// Many units at once: `thresholds.bulk_quantity_min`, or `thresholds.bulk_usual_times`.
        #[schemars(range(min = -10.0, max = 10.0))]
        bulk_purchase: f64 = 1.2,
        /// Bought by contract.
        #[schemars(range(min = -10.0, max = 10.0))]
        subscription: f64 = 1.5,
    }
}

section! {
    /// In and out of the cart.
    RawCart {
        /// Put into the cart.
        #[schemars(range(min = -10.0, max = 10.0))]
        add_to_cart: f64 = 0.5,
        /// More of what is in the cart.
        #[schemars(range(min = -10.0, max = 10.0))]
        quantity_increase: f64 = 0.6,
        /// Kept for another day.
        #[schemars(range(min = -10.0, max = 10.0))]
        save_for_later: f64 = 0.4,
        /// Taken out of the cart.
        #[schemars(range(min = -10.0, max = 10.0))]
        remove_from_cart: f64 = -0.4,
    }
}

section! {
    /// Looked at.
    RawBrowse {
        /// Chosen from a list.
        #[schemars(range(min = -10.0, max = 10.0))]
        click_product: f64 = 0.2,
        /// Its page was opened.
        #[schemars(range(min = -10.0, max = 10.0))]
        view_details: f64 = 0.15,
        /// Stayed on the product.
        time_on_product: RawTimeOnProduct = RawTimeOnProduct::default(),
    }
}

section! {
    /// Stayed on the product; the highest step reached counts, once.
    RawTimeOnProduct {
        /// At least 10 seconds.
        #[serde(rename = "10_seconds")]
        #[schemars(range(min = -10.0, max = 10.0))]
        seconds_10: f64 = 0.1,
        /// At least 30 seconds.
        #[serde(rename = "30_seconds")]
        #[schemars(range(min = -10.0, max = 10.0))]
        seconds_30: f64 = 0.25,
        /// At least 60 seconds.
        #[serde(rename = "60_seconds")]
        #[schemars(range(min = -10.0, max = 10.0))]
        seconds_60: f64 = 0.3,
    }
}

section! {
    /// Passed over or regretted.
    RawNegative {
        /// Shown above the lowest click of its list, and not clicked.
        #[schemars(range(min = -10.0, max = 10.0))]
        displayed_but_scrolled: f64 = -0.05,
        /// Viewed, and not bought within the time set.
        #[schemars(range(min = -10.0, max = 10.0))]
        viewed_never_bought: f64 = -0.2,
        /// Sent back.
        #[schemars(range(min = -10.0, max = 10.0))]
        returned: f64 = -0.8,
    }
}

impl RawSignalWeights {
    /// The weight of one kind; its key is [`SignalKind::path`].
    pub(super) fn of(&self, kind: SignalKind) -> f64 {
        match kind {
            SignalKind::PurchaseFirstTime => self.purchase.first_time,
            SignalKind::PurchaseRepeat => self.purchase.repeat,
            SignalKind::PurchaseBulk => self.purchase.bulk_purchase,
            SignalKind::PurchaseSubscription => self.purchase.subscription,
            SignalKind::AddToCart => self.cart.add_to_cart,
            SignalKind::QuantityIncrease => self.cart.quantity_increase,
            SignalKind::SaveForLater => self.cart.save_for_later,
            SignalKind::RemoveFromCart => self.cart.remove_from_cart,
            SignalKind::ClickProduct => self.browse.click_product,
            SignalKind::ViewDetails => self.browse.view_details,
            SignalKind::Dwell10 => self.browse.time_on_product.seconds_10,
            SignalKind::Dwell30 => self.browse.time_on_product.seconds_30,
            SignalKind::Dwell60 => self.browse.time_on_product.seconds_60,
            SignalKind::DisplayedButScrolled => self.negative.displayed_but_scrolled,
            SignalKind::ViewedNeverBought => self.negative.viewed_never_bought,
            SignalKind::Returned => self.negative.returned,
        }
    }
}

section! {
    /// Numbers that decide which signal an interaction is.
    RawThresholds {
        /// Units in one purchase that make it bulk.
        #[schemars(range(min = 1.0, max = 10_000.0))]
        bulk_quantity_min: f64 = 6.0,
        /// The same where the shopper's usual quantity of the product is known: so many times that.
        #[schemars(range(min = 1.0, max = 1_000.0))]
        bulk_usual_times: f64 = 3.0,
        /// Seconds for which a list explains a click.
        #[schemars(range(min = 1, max = 86_400))]
        list_seconds: u32 = 1_800,
        /// Days after which a product that was viewed and not bought counts as such.
        #[schemars(range(min = 0.00001, max = 365.0))]
        never_bought_days: f64 = 7.0,
    }
}

section! {
    /// How far one shopper's acts may change other shoppers' lists.
    RawCrowd {
        /// Evidence of one visit that others are taught by in a day.
        #[schemars(range(min = 0.0, max = 10_000.0))]
        session_weight_max: f64 = 5.0,
        /// Lists shown to one visit that count for the item prior in a day.
        #[schemars(range(min = 0, max = 100_000))]
        session_lists_max: u32 = 100,
        /// How far the item prior of one product may move in an hour, of its scale from -1 to 1.
        #[schemars(range(min = 0.0, max = 2.0))]
        prior_per_hour_max: f64 = 0.1,
        /// How far the base rate of one facet may move in an hour, of its scale from 0 to 1.
        #[schemars(range(min = 0.0, max = 1.0))]
        base_rate_per_hour_max: f64 = 0.1,
        /// Product pages of one visit in a minute; one more and it is a crawler for an hour.
        #[schemars(range(min = 1, max = 100_000))]
        views_per_minute_max: u32 = 60,
        /// Words of `User-Agent` that programs declare themselves by.
        bot_agents: Vec<String> = BOT_AGENTS.iter().map(|word| (*word).to_owned()).collect(),
    }
}

/// How programs that read the web for others call themselves.
const BOT_AGENTS: [&str; 10] = [
    "bot",
    "crawler",
    "crawling",
    "spider",
    "slurp",
    "mediapartners-google",
    "facebookexternalhit",
    "feedfetcher",
    "ia_archiver",
    "lighthouse",
];

section! {
    /// Days until half of the evidence has faded.
    RawHalfLife {
        /// Single products, slow memory.
        #[schemars(range(min = 0.01, max = 36_500.0))]
        item_slow_days: f64 = 365.0,
        /// Single products, fast memory.
        #[schemars(range(min = 0.01, max = 36_500.0))]
        item_fast_days: f64 = 30.0,
        /// Categories.
        #[schemars(range(min = 0.01, max = 36_500.0))]
        category_days: f64 = 180.0,
        /// Brands.
        #[schemars(range(min = 0.01, max = 36_500.0))]
        brand_days: f64 = 180.0,
        /// Attributes.
        #[schemars(range(min = 0.01, max = 36_500.0))]
        attribute_days: f64 = 180.0,
        /// Price tiers.
        #[schemars(range(min = 0.01, max = 36_500.0))]
        price_tier_days: f64 = 180.0,
    }
}

section! {
    /// What each axis is worth inside the facet term.
    RawFacets {
        /// Where the product stands in the shop.
        #[schemars(range(min = 0.0, max = 10.0))]
        category: f64 = 0.1,
        /// Who makes or sells it.
        #[schemars(range(min = 0.0, max = 10.0))]
        brand: f64 = 0.2,
        /// What it is: organic, plant-based, spicy.
        #[schemars(range(min = 0.0, max = 10.0))]
        attribute: f64 = 0.4,
        /// How dear it is among its category.
        #[schemars(range(min = 0.0, max = 10.0))]
        price_tier: f64 = 0.05,
    }
}

section! {
    /// How lists are ordered.
    RawRanking {
        /// How taste is modelled: table (one decayed sum a facet), hierarchical (one posterior over all
        /// facets, from all remembered products), trees (as table, and boosted trees of a model file add
        /// to each score).
        preference: Preference = Preference::Table,
        /// How far personal taste may bend the shop's order, 0 to 100.
        #[schemars(range(min = 0.0, max = 100.0))]
        impact: f64 = 100.0,
        /// How many leading hits may move.
        #[schemars(range(min = 1, max = 1_000))]
        window_size: u32 = 50,
        /// How many known products may pass the shop's first hit; null = any number.
        #[schemars(range(min = 0, max = 1_000))]
        repeat_slots: Option<u32> = None,
        /// How much of a known product's memory new ones need not overcome: higher shows more that is new.
        #[schemars(range(min = 0.0, max = 10.0))]
        discovery: f64 = 0.2,
        /// Evidence at which a liking is half of what it can become.
        #[schemars(range(min = 0.01, max = 100.0))]
        saturation: f64 = 0.1,
        /// Weight of each term of the score.
        weights: RawTermWeights = RawTermWeights::default(),
        /// How a product does with everybody.
        prior: RawPrior = RawPrior::default(),
        /// Which hits are on topic.
        relevance: RawRelevance = RawRelevance::default(),
    }
}

section! {
    /// Weight of each term of the score; terms are bounded before they are weighted.
    RawTermWeights {
        /// The shop's own opinion.
        #[schemars(range(min = 0.0, max = 10.0))]
        relevance: f64 = 0.6,
        /// The shopper's own history with this very product.
        #[schemars(range(min = 0.0, max = 10.0))]
        item: f64 = 0.7,
        /// The shopper's habit with its brand among the hits of this very list.
        #[schemars(range(min = 0.0, max = 10.0))]
        brand_habit: f64 = 0.05,
        /// The shopper's taste for what the product is.
        #[schemars(range(min = 0.0, max = 10.0))]
        facets: f64 = 1.0,
        /// Distance from the shopper's usual price.
        #[schemars(range(min = 0.0, max = 10.0))]
        price: f64 = 0.0,
        /// How the product does with everybody; where the upstream is unranked, `relevance` is added to it.
        #[schemars(range(min = 0.0, max = 10.0))]
        prior: f64 = 0.05,
        /// Time and place.
        #[schemars(range(min = 0.0, max = 10.0))]
        context: f64 = 0.0,
    }
}

section! {
    /// How a product does with everybody: (conversions + smoothing × mean) / (impressions + smoothing).
    RawPrior {
        /// Whose lists it moves: known (shoppers of whom something is known), everyone.
        applies_to: PriorAppliesTo = PriorAppliesTo::Known,
        /// Impressions' worth of trust in the mean.
        #[schemars(range(min = 0.0, max = 100_000.0))]
        smoothing: f64 = 20.0,
    }
}

section! {
    /// Which hits are on topic; taste never lifts a hit over one that is more on topic.
    RawRelevance {
        /// Leading hits whose categories tell what the query is about.
        #[schemars(range(min = 1, max = 100))]
        leading_hits: u32 = 5,
        /// Share of them that puts a category on topic.
        #[schemars(range(min = 0.0, max = 1.0))]
        category_share_min: f64 = 0.4,
        /// A drop of more than this share of the scores' range starts a new tier.
        #[schemars(range(min = 0.0, max = 1.0))]
        score_gap: f64 = 0.3,
    }
}

section! {
    /// What may not happen, whatever the score says.
    RawGuards {
        /// A hit moves at most so many places; null = no cap.
        #[schemars(range(min = 1, max = 1_000))]
        displacement_max: Option<u32> = None,
        /// At most so many hits of one brand in a row; null = no limit.
        #[schemars(range(min = 1, max = 100))]
        same_brand_in_a_row_max: Option<u32> = None,
        /// Hits that match a brand, size or diet named in the query stay before those that do not.
        query_intent: bool = true,
        /// Hits out of stock go last.
        demote_out_of_stock: bool = true,
    }
}
