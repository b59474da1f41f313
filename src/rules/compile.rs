//! Rules text → [`Rules`]: units turned into the engine's, facets into keys, everything checked.
//!
//! In: the text of `personalization_rules.yaml` and the knowledge tables. Out: a table, or every
//! problem at once. Two texts that differ in one byte have two versions, and so do two sets of
//! knowledge under one text.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use xxhash_rust::xxh3::xxh3_64;

use super::daypart::Daypart;
use super::knowledge::{self, Knowledge};
use super::merchandising::Merchandising;
use super::schema::{RawCrowd, RawRanking, RawRules};
use super::schema_merchandising::{RawMerchandising, RawSelect, RawShopper, RawThen, RawWhen};
use super::{
    Action, Crowd, Guards, HalfLives, MerchandisingRule, Prior, Ranking, Relevance, Rules, Select,
    TermWeights, Thresholds, When,
};
use crate::model::Hierarchical;
use crate::types::clock::Timestamp;
use crate::types::ids::ProductId;
use crate::types::problem::Problem;
use crate::types::product::{Axis, FacetKey, PriceTier, normalise};
use crate::types::signal::SignalKind;
use crate::yaml::{self, Check, Fault, Node, Path, Problems, printable, tree};

/// The shipped rules as problems and status name them.
pub const SHIPPED_FILE: &str = "config/personalization_rules.yaml";

/// The text of the shipped rules.
pub const SHIPPED_TEXT: &str = include_str!("../../config/personalization_rules.yaml");

const SECONDS_A_DAY: f64 = 86_400.0;

impl Rules {
    /// Compiles a rules text; `file` is its name in problems.
    ///
    /// # Errors
    /// Every problem in the text, in its order.
    pub fn compile(
        file: &str,
        text: &str,
        knowledge: Arc<Knowledge>,
    ) -> Result<Self, Vec<Problem>> {
        Self::compile_under(file, text, &[], knowledge)
    }

    /// The same with edits laid on top, as `rules` of an executable case are.
    ///
    /// # Errors
    /// Every problem in the text and in the edits, each with its own place.
    pub fn compile_under(
        file: &str,
        text: &str,
        edits: &[&Node],
        knowledge: Arc<Knowledge>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let mut tree = tree::parse(file, text, &mut problems);
        edits.iter().for_each(|edit| tree.lay(edit));
        let raw: RawRules = yaml::read(&tree, &schema(), &mut problems);
        let mut check = Check { tree: &tree, problems: &mut problems };
        let mut rules = table(&raw, knowledge);
        rules.version = Arc::from(version(text));
        rules.time_zone = time_zone(&raw.time_zone, &mut check);
        rules.merchandising = merchandising(&raw.merchandising, &mut check);
        if problems.is_empty() { Ok(rules) } else { Err(problems.into_sorted()) }
    }

    /// The rules that come with the program, with the knowledge that comes with it.
    pub fn shipped() -> Self {
        let knowledge = Knowledge::shipped();
        Self::compile(SHIPPED_FILE, SHIPPED_TEXT, Arc::clone(&knowledge))
            .unwrap_or_else(|_| table(&RawRules::default(), knowledge))
    }

    /// A table that ranks nothing (`enabled` is false): where no rules can be used.
    pub fn none() -> Self {
        let mut rules = table(&RawRules::default(), Knowledge::shipped());
        rules.enabled = false;
        rules
    }
}

/// The JSON Schema of the rules file (draft 2020-12).
pub fn schema() -> serde_json::Value {
    yaml::schema_of::<RawRules>()
}

/// What an empty rules file means, by key.
pub fn defaults() -> serde_json::Value {
    serde_json::to_value(RawRules::default()).unwrap_or_default()
}

/// First 8 hex digits of the text's XXH3-64.
fn version(text: &str) -> String {
    format!("{:08x}", xxh3_64(text.as_bytes()) >> 32)
}

fn found(text: &str) -> String {
    format!("found \"{}\"", printable(text))
}

/// Everything that needs no further parsing.
fn table(raw: &RawRules, knowledge: Arc<Knowledge>) -> Rules {
    let mut signal_weights = [0.0; SignalKind::ALL.len()];
    for (weight, kind) in signal_weights.iter_mut().zip(SignalKind::ALL) {
        *weight = raw.signal_weights.of(*kind) as f32;
    }
    let days = |days: f64| (days * SECONDS_A_DAY) as f32;
    let half_life = &raw.half_life;
    let by_axis = |axis: Axis| match axis {
        Axis::Category => (half_life.category_days, raw.facets.category),
        Axis::Brand => (half_life.brand_days, raw.facets.brand),
        Axis::Attribute => (half_life.attribute_days, raw.facets.attribute),
        Axis::PriceTier => (half_life.price_tier_days, raw.facets.price_tier),
    };
    Rules {
        version: Arc::from("none"),
        enabled: raw.enabled,
        signal_weights,
        thresholds: Thresholds {
            bulk_quantity_min: raw.thresholds.bulk_quantity_min as f32,
            list_seconds: raw.thresholds.list_seconds,
            bulk_usual_times: raw.thresholds.bulk_usual_times as f32,
            never_bought_ms: (raw.thresholds.never_bought_days * SECONDS_A_DAY * 1000.0) as i64,
        },
        half_life: HalfLives {
            item_slow_seconds: days(half_life.item_slow_days),
            item_fast_seconds: days(half_life.item_fast_days),
            axis_seconds: Axis::ALL.map(|axis| days(by_axis(axis).0)),
        },
        facets: Axis::ALL.map(|axis| by_axis(axis).1 as f32),
        ranking: ranking(&raw.ranking),
        trees: None,
        model: Arc::new(Hierarchical::default()),
        model_version: None,
        guards: Guards {
            displacement_max: raw.guards.displacement_max.map(|places| places as usize),
            same_brand_in_a_row_max: raw.guards.same_brand_in_a_row_max.map(|hits| hits as usize),
            query_intent: raw.guards.query_intent,
            demote_out_of_stock: raw.guards.demote_out_of_stock,
        },
        crowd: crowd(&raw.crowd),
        merchandising: Merchandising::default(),
        time_zone: jiff::tz::TimeZone::UTC,
        knowledge,
    }
}

fn crowd(raw: &RawCrowd) -> Crowd {
    let agents = raw.bot_agents.iter().map(|word| word.trim().to_lowercase().into_boxed_str());
    Crowd {
        session_weight_max: raw.session_weight_max as f32,
        session_lists_max: raw.session_lists_max,
        prior_per_hour_max: raw.prior_per_hour_max as f32,
        base_rate_per_hour_max: raw.base_rate_per_hour_max as f32,
        views_per_minute_max: raw.views_per_minute_max,
        bot_agents: agents.filter(|word| !word.is_empty()).collect(),
    }
}

fn ranking(raw: &RawRanking) -> Ranking {
    Ranking {
        preference: raw.preference,
        impact: (raw.impact / 100.0) as f32,
        window_size: raw.window_size as usize,
        repeat_slots: raw.repeat_slots.map(|slots| slots as usize),
        discovery: raw.discovery as f32,
        saturation: raw.saturation as f32,
        weights: TermWeights {
            relevance: raw.weights.relevance as f32,
            item: raw.weights.item as f32,
            brand_habit: raw.weights.brand_habit as f32,
            facets: raw.weights.facets as f32,
            price: raw.weights.price as f32,
            prior: raw.weights.prior as f32,
            context: raw.weights.context as f32,
        },
        prior: Prior { applies_to: raw.prior.applies_to, smoothing: raw.prior.smoothing as f32 },
        relevance: Relevance {
            leading_hits: raw.relevance.leading_hits as usize,
            category_share_min: raw.relevance.category_share_min as f32,
            score_gap: raw.relevance.score_gap as f32,
        },
    }
}

fn merchandising(raw: &[RawMerchandising], check: &mut Check<'_>) -> Merchandising {
    let key = Path::of("merchandising");
    let mut rules = Vec::new();
    let mut ids = HashSet::new();
    for (number, raw) in raw.iter().enumerate() {
        let key = key.item(number);
        if !ids.insert(&raw.id) {
            let fault =
                Fault::new(format!("\"{}\" a second time", printable(&raw.id)), "another id");
            check.fault(&key.key("id"), fault);
        }
        let when = when(&raw.r#if, &key.key("if"), check);
        let select = select(&raw.select, &key.key("select"), check);
        let Some(action) = action(&raw.then, &key.key("then"), check) else { continue };
        rules.push(MerchandisingRule { id: Arc::from(raw.id.as_str()), when, select, action });
    }
    rules.into()
}

fn when(raw: &RawWhen, key: &Path, check: &mut Check<'_>) -> When {
    let mut queries = Vec::new();
    for (number, query) in raw.query.iter().enumerate() {
        let words = knowledge::words(query);
        if words.is_empty() {
            let fault = Fault::new(found(query), "at least one word");
            check.fault(&key.key("query").item(number), fault);
        }
        queries.push(words);
    }
    let mut time = |name: &str, text: &Option<String>| {
        text.as_deref().and_then(|text| check.take(&key.key(name), timestamp(text)))
    };
    let (from, until) = (time("from", &raw.from), time("until", &raw.until));
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        check.fault(&key.key("until"), Fault::new("not after from", "a later time"));
    }
    let shopper = raw.shopper.as_ref().and_then(|raw| shopper(raw, &key.key("shopper"), check));
    let mut dayparts = Vec::new();
    for (number, word) in raw.time_of_day.iter().enumerate() {
        let part = Daypart::parse(word)
            .ok_or_else(|| Fault::not_one_of(found(word), word, &Daypart::WORDS));
        dayparts.extend(check.take(&key.key("time_of_day").item(number), part));
    }
    When { queries, from, until, dayparts, shopper }
}

/// UTC where the name is no place's.
fn time_zone(name: &str, check: &mut Check<'_>) -> TimeZone {
    let zone = TimeZone::get(name)
        .map_err(|_| Fault::new(found(name), "an IANA time zone such as Europe/Berlin"));
    check.take(&Path::of("time_zone"), zone).unwrap_or(TimeZone::UTC)
}

/// RFC 3339 with an offset; a time without one would mean something else on every machine.
fn timestamp(text: &str) -> Result<Timestamp, Fault> {
    text.parse::<jiff::Timestamp>()
        .map(|time| Timestamp(time.as_millisecond()))
        .map_err(|_| Fault::new(found(text), "an RFC 3339 time such as 2026-12-01T00:00:00Z"))
}

fn shopper(raw: &RawShopper, key: &Path, check: &mut Check<'_>) -> Option<(FacetKey, f32)> {
    let named = [
        (Axis::Category, &raw.category),
        (Axis::Brand, &raw.brand),
        (Axis::Attribute, &raw.attribute),
        (Axis::PriceTier, &raw.price_tier),
    ];
    let mut named = named.into_iter().filter_map(|(axis, value)| Some((axis, value.as_deref()?)));
    let (Some((axis, value)), None) = (named.next(), named.next()) else {
        let fault = Fault::new("not one taste", "one of category, brand, attribute, price_tier");
        check.fault(key, fault);
        return None;
    };
    let facet = check.take(&key.key(axis.name()), facet(axis, value))?;
    Some((facet, raw.affinity_min as f32))
}

fn select(raw: &RawSelect, key: &Path, check: &mut Check<'_>) -> Select {
    let mut products = Vec::new();
    for (number, id) in raw.product.iter().enumerate() {
        let product = ProductId::parse(id)
            .ok_or_else(|| Fault::new(found(id), "a product key of 1 to 256 bytes"));
        products.extend(check.take(&key.key("product").item(number), product).map(|id| id.key()));
    }
    let mut of = |key: &Path, lists: [&Vec<String>; 4]| {
        let mut facets = Vec::new();
        for (axis, values) in Axis::ALL.into_iter().zip(lists) {
            for (number, value) in values.iter().enumerate() {
                let key = key.key(axis.name()).item(number);
                facets.extend(check.take(&key, facet(axis, value)));
            }
        }
        facets
    };
    let without = &raw.without;
    Select {
        products,
        facets: of(key, [&raw.category, &raw.brand, &raw.attribute, &raw.price_tier]),
        without: of(
            &key.key("without"),
            [&without.category, &without.brand, &without.attribute, &without.price_tier],
        ),
    }
}

fn facet(axis: Axis, value: &str) -> Result<FacetKey, Fault> {
    const TIERS: [&str; 3] =
        [PriceTier::Budget.name(), PriceTier::Standard.name(), PriceTier::Premium.name()];
    let normal = normalise(value);
    if normal.is_empty() {
        return Err(Fault::new(found(value), "text, not empty"));
    }
    if axis == Axis::PriceTier && !TIERS.contains(&normal.as_str()) {
        return Err(Fault::not_one_of(found(value), &normal, &TIERS));
    }
    Ok(FacetKey::of(axis, &normal))
}

fn action(raw: &RawThen, key: &Path, check: &mut Check<'_>) -> Option<Action> {
    let actions = [
        raw.boost.map(|by| Action::Boost(by as f32)),
        raw.bury.map(|by| Action::Boost(-by as f32)),
        raw.pin.map(|rank| Action::Pin(rank.saturating_sub(1) as usize)),
        raw.hide.as_ref().map(|hide| Action::Hide { allow_removal: hide.allow_removal }),
        raw.demote.filter(|demote| *demote).map(|_| Action::Demote),
    ];
    if raw.demote == Some(false) {
        check.fault(&key.key("demote"), Fault::new("found false", "true, or no such rule"));
        return None;
    }
    let mut actions = actions.into_iter().flatten();
    match (actions.next(), actions.next()) {
        (Some(action), None) => Some(action),
        // What was wrong with the one that is written has been said.
        _ if check.problems.concern(key) => None,
        _ => {
            let expected = "exactly one of boost, bury, pin, hide, demote";
            check.fault(key, Fault::new("not one action", expected));
            None
        }
    }
}

#[cfg(test)]
mod tests;
