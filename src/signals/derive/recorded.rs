//! One click in lists that real shops and a film site showed: what it says of the list's own type.
//!
//! Read from the logs beside the checkout (`../shared/data/replay`); where they are missing the test
//! says so and passes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use super::*;
use crate::preferences::learn::{apply, is_purchase};
use crate::preferences::testing::{CAPS, branded, rules_for_tests};
use crate::signals::contrast;
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductId, ProductKey};
use crate::types::product::{Axis, FacetKey, ProductFacts, normalise};

/// Lists of a log that are looked at: enough for shares of whole percents.
const LISTS: usize = 1_000;

fn rows(file: &str) -> Option<impl Iterator<Item = serde_json::Value> + use<>> {
    let path = format!("{}/../shared/data/replay/{file}", env!("CARGO_MANIFEST_DIR"));
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("skipped: {path} is not there");
        return None;
    };
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

fn words(row: &serde_json::Value, key: &str) -> Vec<String> {
    let words = row[key].as_array().into_iter().flatten();
    words.filter_map(|word| Some(word.as_str()?.to_owned())).collect()
}

fn catalog(log: &str) -> Option<HashMap<ProductKey, Arc<ProductFacts>>> {
    let facts = rows(&format!("{log}.catalog.jsonl.gz"))?.map(|row| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().replace('/', " ");
        let path = match &*text("subcategory") {
            "" => text("category"),
            sub => format!("{}/{sub}", text("category")),
        };
        let attributes: Vec<String> =
            words(&row, "attributes").iter().map(|word| normalise(word)).collect();
        let attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
        let facts = branded(&text("id"), "", &text("brand"), &path, &attributes);
        (facts.key, Arc::new(facts))
    });
    Some(facts.collect())
}

/// The category that most hits of a list have.
fn own_type(list: &[Arc<ProductFacts>]) -> Option<FacetKey> {
    let mut counts: HashMap<FacetKey, usize> = HashMap::new();
    let categories = list.iter().flat_map(|facts| &facts.facets);
    for facet in categories.filter(|facet| facet.axis() == Axis::Category) {
        *counts.entry(*facet).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(facet, count)| (*count, facet.0)).map(|(facet, _)| facet)
}

/// (lists, those whose own type is disliked after one click, the same by the plan's bare numbers).
fn disliked(log: &str) -> Option<(usize, usize, usize)> {
    let (catalog, rules) = (catalog(log)?, rules_for_tests());
    let (mut lists, mut now, mut bare) = (0, 0, 0);
    let searches = rows(&format!("{log}.log.jsonl.gz"))?.filter(|row| row["k"] == "search");
    for row in searches.filter(|row| !words(row, "truth").is_empty()).take(LISTS) {
        let shown: Vec<_> = words(&row, "list").iter().map(|id| ProductKey::of(id)).collect();
        let truth = words(&row, "truth").swap_remove(0);
        let picked = ProductId::parse(&truth).unwrap();
        let known: Vec<_> = shown.iter().filter_map(|key| catalog.get(key).cloned()).collect();
        let Some(position) = shown.iter().position(|key| *key == picked.key()) else { continue };
        let Some(own) = own_type(&known) else { continue };
        let mut recent = RecentLists::default();
        recent.push(ShownList::new(Timestamp(0), QueryId(1), true, shown.iter().copied()));
        let click = Interaction {
            kind: InteractionKind::Click,
            product: picked.clone(),
            at: Timestamp(1_000),
            quantity: 1.0,
            event_id: None,
        };
        let recent = &mut recent;
        let mut shopper =
            Shopper { profile: None, recent, tells_clicks: false, tells_scrolls: false };
        let derived = derive(&click, &mut shopper, &rules);
        let mut profile = Profile::default();
        for (signal, facts) in contrast::counted(&derived, &rules, |key| catalog.get(&key).cloned())
        {
            assert!(!is_purchase(signal.kind));
            apply(&mut profile, &signal, facts.as_deref(), &rules, CAPS);
        }
        let has = |key: &ProductKey| catalog.get(key).is_some_and(|f| f.facets.contains(&own));
        let passed = shown.iter().take(position.min(SHOWN_MAX)).filter(|key| has(key)).count();
        let own_click = if has(&picked.key()) { 0.2 } else { 0.0 };
        lists += 1;
        now += usize::from(profile.facet(own).is_some_and(|memory| memory.sum < 0.0));
        bare += usize::from(own_click - 0.05 * passed as f32 <= -1e-6);
    }
    Some((lists, now, bare))
}

#[test]
fn one_click_never_leaves_the_lists_own_type_disliked() {
    for (log, bare_min) in [("completejourney", 0.3), ("ranklens", 0.1)] {
        let Some((lists, now, bare)) = disliked(log) else { return };
        eprintln!("{log}: of {lists} lists {now} dislike their own type, {bare} by bare numbers");
        assert!(lists > 900, "{log}: {lists}");
        assert_eq!(now, 0, "{log}");
        assert!(bare as f64 > bare_min * lists as f64, "{log}: {bare} of {lists} would");
    }
}
