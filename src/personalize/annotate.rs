//! `annotate` mode: the fields that LeafLoaf's own demo page reads, so that its "For You" badge
//! lights up although the shop's reply model drops them.
//!
//! Added: `_personalization_score` to each hit that taste lifts, `_suggested_quantity` to what this
//! shopper has bought, `personalization_metrics` to `metadata`. A hit that has the key already keeps
//! it. Nothing else changes.

use super::fail_open::FailOpen;
use super::ranked::Ranked;
use crate::rank::Contributions;
use crate::types::ids::ProductKey;
use crate::types::product::ProductFacts;
use crate::types::profile::Profile;
use crate::wire::{Member, Pointer, annotate};

/// The body with its hits moved and annotated.
pub(super) fn annotated(
    body: &[u8],
    lists: &[Ranked<'_, '_>],
    (profile, sensitive): (Option<&Profile>, bool),
    spent_us: u64,
) -> Result<Vec<u8>, FailOpen> {
    let said: Vec<_> = lists
        .iter()
        .flat_map(|one| {
            let scores = one.ranking.scores.iter().map(personal_score);
            let told = |facts: &ProductFacts| sensitive || !facts.sensitive;
            let usual = one.facts.iter().map(move |facts| {
                profile.filter(|_| told(facts)).and_then(|known| usual_quantity(known, facts.key))
            });
            one.list.hits.iter().zip(scores.zip(usual))
        })
        .collect();
    let hits: Vec<_> = said
        .iter()
        .map(|(hit, (score, usual))| {
            let score = member("_personalization_score", score.as_deref());
            let usual = member("_suggested_quantity", usual.as_deref());
            (*hit, score.into_iter().chain(usual).collect::<Vec<_>>())
        })
        .filter(|(_, members)| !members.is_empty())
        .collect();
    let moved = lists.iter().any(|one| !one.ranking.is_identity());
    let metrics = format!(
        "{{\"personalized\":{},\"reranked\":{moved},\"time_ms\":{:.3}}}",
        said.iter().any(|(_, (score, _))| score.is_some()),
        spent_us as f64 / 1000.0
    );
    let at = Pointer(vec!["metadata".into()]);
    let metadata = [(&at, Member { key: "personalization_metrics", value: &metrics })];
    let moves: Vec<_> = lists.iter().map(Ranked::movement).collect();
    Ok(annotate(body, &moves, &hits, &metadata)?)
}

fn member<'m>(key: &'m str, value: Option<&'m str>) -> Option<Member<'m>> {
    value.map(|value| Member { key, value })
}

/// Units that this shopper usually buys of a product, if they have bought it.
fn usual_quantity(profile: &Profile, product: ProductKey) -> Option<String> {
    profile.product(product)?.usual_quantity().map(|units| units.to_string())
}

/// What taste adds to a hit, if it lifts it: the badge is for those.
fn personal_score(terms: &Contributions) -> Option<String> {
    let taste = terms.taste();
    (taste > 0.0 && taste.is_finite()).then(|| format!("{taste:.3}")).filter(|text| text != "0.000")
}
