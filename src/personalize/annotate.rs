//! `annotate` mode: the fields that LeafLoaf's own demo page reads, so that its "For You" badge
//! lights up although the shop's reply model drops them.
//!
//! Added: `_personalization_score` to each hit that taste lifts, `personalization_metrics` to
//! `metadata`. A hit or a `metadata` that has the key already keeps it. Nothing else changes.

use super::fail_open::FailOpen;
use super::ranked::Ranked;
use crate::rank::Contributions;
use crate::wire::{Member, Pointer, annotate};

/// The body with its hits moved and annotated.
pub(super) fn annotated(
    body: &[u8],
    lists: &[Ranked<'_, '_>],
    spent_us: u64,
) -> Result<Vec<u8>, FailOpen> {
    let scores: Vec<Vec<Option<String>>> =
        lists.iter().map(|one| one.ranking.scores.iter().map(personal_score).collect()).collect();
    let hits: Vec<_> = lists
        .iter()
        .zip(&scores)
        .flat_map(|(one, scores)| one.list.hits.iter().zip(scores))
        .filter_map(|(hit, score)| {
            let value = score.as_deref()?;
            Some((hit, Member { key: "_personalization_score", value }))
        })
        .collect();
    let moved = lists.iter().any(|one| !one.ranking.is_identity());
    let metrics = format!(
        "{{\"personalized\":{},\"reranked\":{moved},\"time_ms\":{:.3}}}",
        !hits.is_empty(),
        spent_us as f64 / 1000.0
    );
    let at = Pointer(vec!["metadata".into()]);
    let metadata = [(&at, Member { key: "personalization_metrics", value: &metrics })];
    let moves: Vec<_> = lists.iter().map(Ranked::movement).collect();
    Ok(annotate(body, &moves, &hits, &metadata)?)
}

/// What taste adds to a hit, if it lifts it: the badge is for those.
fn personal_score(terms: &Contributions) -> Option<String> {
    let taste = terms.item + terms.facets.iter().sum::<f32>() + terms.price;
    (taste > 0.0 && taste.is_finite()).then(|| format!("{taste:.3}")).filter(|text| text != "0.000")
}
