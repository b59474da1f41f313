//! Floor 2: the merchandiser's rules, compiled.
//!
//! In: the text of `personalization_rules.yaml` and the tables under `rules/knowledge`. Out: one
//! immutable [`Rules`], swapped in whole. A text that does not compile gives every problem at once
//! and changes nothing. No I/O here: `reload` reads files and swaps tables.

mod compile;
pub mod daypart;
pub mod facts;
pub mod knowledge;
pub mod merchandising;
mod schema;
mod schema_merchandising;

use std::sync::Arc;

pub use compile::{SHIPPED_FILE, SHIPPED_TEXT, defaults, schema};

use crate::model::{Hierarchical, Model, Trees};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductKey;
use crate::types::product::FacetKey;
use crate::types::signal::SignalKind;
use daypart::Daypart;
use merchandising::Merchandising;

/// A rules table as the engine uses it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// First 8 hex digits of the content hash: `X-Leafrank: rules=…`.
    pub version: Arc<str>,
    /// The kill switch in the file.
    pub enabled: bool,
    /// Weight of each signal kind, by [`SignalKind::index`].
    pub signal_weights: [f32; SignalKind::ALL.len()],
    /// Numbers that decide which kind an interaction is.
    pub thresholds: Thresholds,
    /// How fast evidence fades.
    pub half_life: HalfLives,
    /// Weight of each axis inside the facet term, by `Axis::index`.
    pub facets: [f32; 4],
    /// The scoring formula's knobs.
    pub ranking: Ranking,
    /// What `preference: trees` adds to the formula's scores; `None`: nothing.
    pub trees: Option<Arc<Trees>>,
    /// What the hierarchical preference knows of shoppers in general.
    pub model: Arc<Hierarchical>,
    /// First 8 hex digits of the model file's checksum; `None`: the model built in serves.
    pub model_version: Option<Arc<str>>,
    /// What may not happen, whatever the score says.
    pub guards: Guards,
    /// How far one shopper's acts may change other shoppers' lists.
    pub crowd: Crowd,
    /// Boosts, burials, pins, hides and demotions, in file order.
    pub merchandising: Merchandising,
    /// Where the shop's clock stands.
    pub time_zone: jiff::tz::TimeZone,
    /// What we know about groceries.
    pub knowledge: Arc<knowledge::Knowledge>,
}

impl Rules {
    /// From now on this model serves, called by its version.
    pub fn serve(&mut self, model: Model, version: Arc<str>) {
        match model {
            Model::Hierarchical(model) => self.model = model,
            Model::Trees(trees) => self.trees = Some(trees),
        }
        self.model_version = Some(version);
    }

    /// The part of the day, on the shop's clock; `None` where no rule asks for it.
    pub fn daypart(&self, now: Timestamp) -> Option<Daypart> {
        self.merchandising.asks_daypart().then(|| Daypart::at(now, &self.time_zone))
    }
}

/// Numbers that decide which kind an interaction is.
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// Units in one purchase that make it a bulk purchase, where no usual quantity is known.
    pub bulk_quantity_min: f32,
    /// Where one is known, so many times that.
    pub bulk_usual_times: f32,
    /// Seconds after which a list shown no longer explains a click.
    pub list_seconds: u32,
    /// Milliseconds after which a product that was viewed and not bought counts as such.
    pub never_bought_ms: i64,
}

/// How far one shopper's acts may change other shoppers' lists.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Evidence of one visit that others are taught by in a day.
    pub session_weight_max: f32,
    /// Lists of one visit that count for the item prior in a day.
    pub session_lists_max: u32,
    /// How far the prior of a product may move in an hour, of its scale from -1 to 1.
    pub prior_per_hour_max: f32,
    /// How far the base rate of a facet may move in an hour, of its scale from 0 to 1.
    pub base_rate_per_hour_max: f32,
    /// Product pages of one visit in a minute that no human opens.
    pub views_per_minute_max: u32,
    /// Words of `User-Agent` that programs declare themselves by, in lower case.
    pub bot_agents: Vec<Box<str>>,
}

/// Half-lives in seconds.
#[derive(Clone, Debug)]
pub struct HalfLives {
    /// Slow memory of single products.
    pub item_slow_seconds: f32,
    /// Fast memory of single products.
    pub item_fast_seconds: f32,
    /// Memory of facets, by `Axis::index`.
    pub axis_seconds: [f32; 4],
}

/// How taste is modelled.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// One decayed sum a facet.
    Table,
    /// One posterior over all facets, from all remembered products.
    Hierarchical,
    /// As `table`, and boosted trees add to each score; a model file has them.
    Trees,
}

/// The scoring formula's knobs.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// How taste is modelled.
    pub preference: Preference,
    /// How far personal taste may bend the upstream order, 0..=1 (the file says 0..100).
    pub impact: f32,
    /// How many leading hits may move.
    pub window_size: usize,
    /// At most so many remembered products may pass the upstream's top; `None` = no cap.
    pub repeat_slots: Option<usize>,
    /// What is taken off the memory of every product that is remembered for good.
    pub discovery: f32,
    /// The `k` of `s / (|s| + k)`: evidence at which an affinity reaches one half.
    pub saturation: f32,
    /// Weight of each term.
    pub weights: TermWeights,
    /// The item prior.
    pub prior: Prior,
    /// Relevance tiers.
    pub relevance: Relevance,
}

/// Weight of each term of the score; every term lies in a bounded scale before its weight.
#[derive(Clone, Debug)]
pub struct TermWeights {
    /// The upstream's opinion, 0..=1.
    pub relevance: f32,
    /// The shopper's own history with the product, -8..=8.
    pub item: f32,
    /// The share of its brand in what the shopper remembers of this list, 0..=1.
    pub brand_habit: f32,
    /// The shopper's taste for the product's facets, -1..=1 an axis.
    pub facets: f32,
    /// Distance from the shopper's usual price, -1..=0.
    pub price: f32,
    /// How the product does with everybody, -1..=1 around the mean of all.
    pub prior: f32,
    /// Adjustments by time and place.
    pub context: f32,
}

/// The item prior: `(c + k·μ) / (n + k)`.
#[derive(Clone, Debug)]
pub struct Prior {
    /// Whose lists it may move.
    pub applies_to: PriorAppliesTo,
    /// `k`: impressions' worth of trust in the mean.
    pub smoothing: f32,
}

/// Whose lists the prior and boosts move.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PriorAppliesTo {
    /// Only lists of shoppers of whom something is known.
    Known,
    /// Everybody's.
    Everyone,
}

/// How hits are sorted into relevance tiers; personal terms never cross one.
#[derive(Clone, Debug)]
pub struct Relevance {
    /// Leading hits whose categories count as on topic when they are frequent enough.
    pub leading_hits: usize,
    /// Share of the leading hits that makes a category on topic, 0..=1.
    pub category_share_min: f32,
    /// A drop between neighbouring scores of more than this share of the score range starts a new
    /// tier (only where scores mean something), 0..=1.
    pub score_gap: f32,
}

/// What may not happen, whatever the score says.
#[derive(Clone, Debug)]
pub struct Guards {
    /// A hit moves at most so many places; `None` = no cap.
    pub displacement_max: Option<usize>,
    /// At most so many hits of one brand in a row; `None` = no limit.
    pub same_brand_in_a_row_max: Option<usize>,
    /// Hits that match a brand, size or diet named in the query stay before those that do not.
    pub query_intent: bool,
    /// Hits out of stock go last.
    pub demote_out_of_stock: bool,
}

/// One merchandising rule.
#[derive(Clone, Debug)]
pub struct MerchandisingRule {
    /// Its name in explanations.
    pub id: Arc<str>,
    /// When it applies.
    pub when: When,
    /// To which hits.
    pub select: Select,
    /// What it does.
    pub action: Action,
}

/// When a rule applies: all parts that are present must hold.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Queries, folded and stemmed; the rule applies when all words of one of them are in the query.
    pub queries: Vec<Vec<u32>>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not at or after.
    pub until: Option<Timestamp>,
    /// Only at these parts of the day; empty = at any.
    pub dayparts: Vec<Daypart>,
    /// Only for a shopper with at least this affinity for this facet.
    pub shopper: Option<(FacetKey, f32)>,
}

/// Which hits a rule means: any of `products` or `facets`, and none of `without`.
/// With neither products nor facets, every hit (that has none of `without`).
#[derive(Clone, Debug, Default)]
pub struct Select {
    /// Products by id.
    pub products: Vec<ProductKey>,
    /// Products having one of these facets.
    pub facets: Vec<FacetKey>,
    /// Products having one of these facets are left out.
    pub without: Vec<FacetKey>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Adds to the score (negative: buries), before ranking.
    Boost(f32),
    /// Locks the hit at this 0-based position.
    Pin(usize),
    /// Puts the hit behind the rest; takes it out of the reply only if removal is allowed.
    Hide {
        /// The one named exception to "a re-rank is a permutation".
        allow_removal: bool,
    },
    /// Puts the hit behind all that are not demoted, last of all guards; no pin lifts it.
    Demote,
}
