//! Rules, facts and caps for the tests of the pure floors.
//!
//! The numbers are the plan's weights and the shipped ranking knobs, written out here so that a test
//! of the arithmetic does not change when someone edits the shipped rules.

use std::sync::Arc;

use super::learn::Caps;
use crate::rules::{
    Crowd, Guards, HalfLives, Preference, Prior, PriorAppliesTo, Ranking, Relevance, Rules,
    TermWeights, Thresholds, knowledge,
};
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, ProductFacts, normalise};

/// Roomy caps.
pub(crate) const CAPS: Caps = Caps { products: 1024, facets: 512, prices: 64 };

const DAY: f32 = 86_400.0;

/// The plan's weights with the shipped knobs, without merchandising rules.
pub(crate) fn rules_for_tests() -> Rules {
    Rules {
        version: Arc::from("test"),
        enabled: true,
        signal_weights: [
            0.8, 1.0, 1.2, 1.5, 0.5, 0.6, 0.4, -0.4, 0.2, 0.15, 0.1, 0.25, 0.3, -0.05, -0.2, -0.8,
        ],
        thresholds: Thresholds {
            bulk_quantity_min: 4.0,
            bulk_usual_times: 3.0,
            list_seconds: 1800,
            never_bought_ms: 7 * 86_400_000,
        },
        half_life: HalfLives {
            item_slow_seconds: 365.0 * DAY,
            item_fast_seconds: 30.0 * DAY,
            axis_seconds: [60.0 * DAY; 4],
        },
        facets: [0.4, 0.3, 0.3, 0.1],
        model: Arc::default(),
        model_version: None,
        ranking: Ranking {
            preference: Preference::Table,
            impact: 1.0,
            window_size: 50,
            repeat_slots: None,
            discovery: 0.0,
            saturation: 1.0,
            weights: TermWeights {
                relevance: 0.6,
                item: 1.0,
                brand_habit: 0.0,
                facets: 1.0,
                price: 0.0,
                prior: 0.2,
                context: 0.0,
            },
            prior: Prior { applies_to: PriorAppliesTo::Known, smoothing: 20.0 },
            relevance: Relevance { leading_hits: 5, category_share_min: 0.4, score_gap: 0.3 },
        },
        trees: None,
        guards: Guards {
            displacement_max: None,
            same_brand_in_a_row_max: None,
            query_intent: true,
            demote_out_of_stock: true,
        },
        crowd: Crowd {
            session_weight_max: 5.0,
            session_lists_max: 100,
            prior_per_hour_max: 0.1,
            base_rate_per_hour_max: 0.1,
            views_per_minute_max: 60,
            bot_agents: vec!["bot".into(), "spider".into()],
        },
        merchandising: Default::default(),
        time_zone: jiff::tz::TimeZone::UTC,
        knowledge: crate::rules::knowledge::Knowledge::shipped(),
    }
}

/// Facts of a product in a category path, priced 4.00, with attributes.
pub(crate) fn facts(id: &str, name: &str, path: &str, attributes: &[&str]) -> ProductFacts {
    branded(id, name, "", path, attributes)
}

/// The same with a brand (none when empty).
pub(crate) fn branded(
    id: &str,
    name: &str,
    brand: &str,
    path: &str,
    attributes: &[&str],
) -> ProductFacts {
    let mut facets = Vec::new();
    let path = normalise(path);
    let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]);
    facets.extend(ends.map(|end| FacetKey::of(Axis::Category, &path[..end])));
    facets.extend((!brand.is_empty()).then(|| FacetKey::of(Axis::Brand, &normalise(brand))));
    facets.extend(attributes.iter().map(|a| FacetKey::of(Axis::Attribute, a)));
    facets.sort_by_key(|f| (f.axis(), *f));
    ProductFacts {
        key: ProductKey::of(id),
        name: name.into(),
        facets: facets.into(),
        sizes: Box::default(),
        category: Some(FacetKey::of(Axis::Category, &path)),
        price: Some(4.0),
        terms: knowledge::words(&format!("{name} {path}")).into(),
        sensitive: false,
    }
}
