//! Why a list came out as it did: each hit with the parts of its score and a true sentence.
//!
//! In: the very request and ranking that made the order. Out: the hits in their new order. Runs only
//! where somebody wants to know: an operator who taps, a trusted peer who asked, the demo.

use super::fail_open::FailOpen;
use super::ranked::Pass;
use super::{Personalizer, Search};
use crate::rank::explain::{Contribution, Names, Part, explain, reason};
use crate::rank::{RankRequest, Ranking};
use crate::rules::knowledge::messages::ENGLISH;
use crate::types::budget::Budget;
use crate::types::profile::Mark;
use crate::wire::HitList;

/// One hit, explained.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Explained {
    /// The product's key as the reply writes it.
    pub id: String,
    /// Its name, as far as the reply gives one.
    pub name: String,
    /// 0-based position in the upstream's order.
    pub was: usize,
    /// 0-based position now.
    pub is: usize,
    /// Sum of the parts.
    pub score: f32,
    /// What the score is made of, parts of 0 left out.
    pub parts: Vec<NamedPart>,
    /// Why it moved, if something of its own moved it.
    pub reason: Option<String>,
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct NamedPart {
    /// `relevance`, `item`, `brand_habit`, `category`, `brand`, `attribute`, `price_tier`, `price`,
    /// `prior`, `popular`, `context` or `rule`.
    pub part: &'static str,
    /// Which facet or rule; `None` where there is but one, or where its name was forgotten.
    pub of: Option<String>,
    /// Its share of the score.
    pub value: f32,
    /// That the shopper chose it themselves, where they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

impl Personalizer {
    /// Ranks the first list of `body` as [`Personalizer::rerank`] would now, and says why.
    ///
    /// # Errors
    /// The reason for which the list would be left alone.
    pub fn explain(&self, search: &Search, body: &[u8]) -> Result<Vec<Explained>, FailOpen> {
        let budget = Budget::start(self.clock.as_ref(), self.settings.limits.rank_us);
        let rules = self.rules.load();
        let reply = search.read(body, &self.store.hits)?;
        let pass = Pass { rules: &rules, budget: &budget, moment: None, explain: Some(ENGLISH) };
        let mut lists = self.rank_lists(search, &reply, &pass)?;
        if lists.is_empty() {
            return Err(FailOpen::Unmoved);
        }
        Ok(lists.swap_remove(0).explained)
    }

    /// One list's hits in their new order, each with its parts and its reason. What is sensitive has
    /// no name unless the shopper allowed it.
    pub(super) fn explained(
        &self,
        list: &HitList<'_>,
        request: &RankRequest<'_>,
        ranking: &Ranking,
        (language, allowed): (&str, bool),
    ) -> Vec<Explained> {
        let names = Names {
            facet: &|facet| self.facet_name(facet, request.rules, allowed),
            product: &|key| self.product_told(key, allowed),
        };
        let explained = ranking.order.iter().enumerate().filter_map(|(is, old)| {
            let was = *old as usize;
            let hit = list.hits.get(was)?;
            let parts = explain(request, ranking, was);
            Some(Explained {
                id: hit.id.clone().into_owned(),
                name: hit.words().name.as_deref().unwrap_or_default().to_owned(),
                was,
                is,
                score: ranking.scores.get(was).map_or(0.0, |terms| terms.total()),
                parts: parts.into_iter().map(|part| named(part, request, &names)).collect(),
                reason: reason(request, ranking, was, &names)
                    .and_then(|reason| request.rules.knowledge.messages().say(&reason, language)),
            })
        });
        explained.collect()
    }
}

fn named(contribution: Contribution, request: &RankRequest<'_>, names: &Names<'_>) -> NamedPart {
    let (part, of) = match contribution.part {
        Part::Relevance => ("relevance", None),
        Part::Item => ("item", None),
        Part::BrandHabit(brand) => {
            ("brand_habit", (names.facet)(brand).map(|name| name.to_string()))
        }
        Part::Facet(facet) => {
            (facet.axis().name(), (names.facet)(facet).map(|name| name.to_string()))
        }
        Part::Price => ("price", None),
        Part::Tree(feature) => ("trees", Some(feature.name().into())),
        Part::Prior => ("prior", None),
        Part::Popular => ("popular", None),
        Part::Context => ("context", None),
        Part::Rule(index) => {
            let rule = request.rules.merchandising.get(index as usize);
            ("rule", rule.map(|rule| rule.id.to_string()))
        }
    };
    let mark = match contribution.part {
        Part::Facet(facet) => request.profile.and_then(|profile| profile.mark(facet)),
        _ => None,
    };
    let note = mark.map(|mark| match mark {
        Mark::Pinned => "pinned by the shopper",
        Mark::Muted => "muted by the shopper",
    });
    NamedPart { part, of, value: contribution.value, note }
}
