//! What the upstream thinks of each hit, and which hits belong to the query.
//!
//! In: scores or positions, the query's words, the hits' words and categories. Out: a relevance in
//! `0..=1` a hit, and a tier (0 is the most relevant): personal terms never lift a hit past one of a
//! better tier that stood before it. Nothing moves merely because of its tier: the upstream's own
//! mixture stands.
//! - Scores that mean something: a drop between neighbours of more than `relevance.score_gap` of the
//!   range starts a new tier. The range counts as no less than half the largest score, or two near
//!   neighbours would be torn apart in every short list.
//! - Else two tiers. A hit is on topic when its words hold all of the query's topic words, or its
//!   category is one that holds at least `relevance.category_share_min` of the leading hits. A
//!   category that nearly every hit has (a shop that calls everything "Produce") says nothing.
//! - No hit holds the topic words: a nonsense query, or a shop that does not have it. Categories of
//!   such a list are chance, so they are not asked; the list is off topic as a whole.
//! - An unranked upstream, or a query without words in a list without a leading category: one tier.

use super::query::QueryView;
use super::{Candidate, Muted, RankRequest, Ranking, window};
use crate::config::{ScoreBetter, UpstreamOrder};
use crate::types::product::{Axis, FacetKey, ProductFacts};

/// A category held by at least this share of the list's hits tells none of them apart.
const CATEGORY_SAYS_NOTHING_SHARE: f32 = 0.9;

/// A range counts as at least this share of the largest score.
const SCORE_RANGE_MIN_SHARE: f64 = 0.5;

/// What was found out about the query on the way, for the intent guard.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// Attributes, brands and sizes of the query that each hit of the window matches; empty when the
    /// query names none.
    pub matched: Vec<u8>,
}

/// Fills in relevance and tiers of the window's hits, and notes an off-topic list.
pub fn sorted_into_tiers(request: &RankRequest<'_>, ranking: &mut Ranking) -> Topic {
    let hits = window::of(request);
    let scores = usable_scores(request, hits);
    for (position, contributions) in ranking.scores.iter_mut().take(hits.len()).enumerate() {
        contributions.relevance = match (request.upstream, &scores) {
            (UpstreamOrder::Unranked, _) => 0.0,
            (UpstreamOrder::Ranked, Some(scaled)) => scaled[position].1,
            (UpstreamOrder::Ranked, None) => discount(position),
        };
    }
    let intents = Intents::of(request.query, hits);
    if request.upstream == UpstreamOrder::Ranked {
        match &scores {
            Some(scores) => tiers_by_score(scores, request, ranking),
            None => tiers_by_topic(request, &intents, ranking),
        }
    }
    Topic { matched: intents.matched(hits) }
}

/// Position as relevance: `1 / log2(2 + position)`.
fn discount(position: usize) -> f32 {
    1.0 / (2.0 + position as f32).log2()
}

/// Scores, higher is better, with their robust scale `0..=1`; `None` unless every hit has a finite
/// one, they differ, and the list (but for paid places) is in their order: a list in another order
/// was not made by them, or the settings have their direction wrong.
///
/// `0.5 + (score − median) / (4 · IQR)`, clipped: one outlier does not flatten the rest, as it
/// would with the smallest and the largest score for ends.
fn usable_scores(request: &RankRequest<'_>, hits: &[Candidate<'_>]) -> Option<Vec<(f64, f32)>> {
    let sign = match request.score_better? {
        ScoreBetter::Higher => 1.0,
        ScoreBetter::Lower => -1.0,
    };
    let finite = |hit: &Candidate<'_>| hit.score.filter(|s| s.is_finite()).map(|s| s * sign);
    let scores: Vec<f64> = hits.iter().map(finite).collect::<Option<_>>()?;
    let by_score = hits.iter().zip(&scores).filter(|(hit, _)| !hit.sponsored).map(|(_, s)| *s);
    if !by_score.is_sorted_by(|a, b| a >= b) {
        return None;
    }
    let mut sorted = scores.clone();
    sorted.sort_by(f64::total_cmp);
    let quantile = |share: f64| -> Option<f64> {
        sorted.get(((sorted.len().checked_sub(1)?) as f64 * share).round() as usize).copied()
    };
    let median = quantile(0.5)?;
    let spread = quantile(0.75)? - quantile(0.25)?;
    if !spread.is_finite() || spread <= 0.0 {
        return None;
    }
    let scaled = |score: f64| (0.5 + (score - median) / (4.0 * spread)).clamp(0.0, 1.0) as f32;
    Some(scores.into_iter().map(|score| (score, scaled(score))).collect())
}

fn tiers_by_score(scores: &[(f64, f32)], request: &RankRequest<'_>, ranking: &mut Ranking) {
    let fold =
        |start: f64, pick: fn(f64, f64) -> f64| scores.iter().fold(start, |m, s| pick(m, s.0));
    let (highest, lowest) = (fold(f64::NEG_INFINITY, f64::max), fold(f64::INFINITY, f64::min));
    let range = (highest - lowest).max(SCORE_RANGE_MIN_SHARE * highest.abs().max(lowest.abs()));
    let gap = f64::from(request.rules.ranking.relevance.score_gap) * range;
    let mut tier = 0_u8;
    for (position, pair) in scores.windows(2).enumerate() {
        if pair[0].0 - pair[1].0 > gap {
            tier = tier.saturating_add(1);
        }
        ranking.tiers[position + 1] = tier;
    }
}

fn tiers_by_topic(request: &RankRequest<'_>, intents: &Intents<'_>, ranking: &mut Ranking) {
    let hits = window::of(request);
    let asked = intents.asks_for_something();
    let tiers = &mut ranking.tiers[..hits.len()];
    for (hit, tier) in hits.iter().zip(&mut *tiers) {
        *tier = u8::from(!asked || !intents.is_on_topic(hit.facts));
    }
    let none_by_words = tiers.iter().all(|tier| *tier == 1);
    if asked && none_by_words {
        tiers.fill(0);
        ranking.muted = Some(Muted::OffTopic);
        return;
    }
    let leading = leading_categories(request, hits);
    if !asked && leading.is_empty() {
        tiers.fill(0);
        return;
    }
    for (hit, tier) in hits.iter().zip(tiers) {
        if hit.facts.category.is_some_and(|c| leading.contains(&c)) {
            *tier = 0;
        }
    }
}

/// Categories that hold a good share of the leading hits without holding nearly all hits.
fn leading_categories(request: &RankRequest<'_>, hits: &[Candidate<'_>]) -> Vec<FacetKey> {
    let relevance = &request.rules.ranking.relevance;
    let leading = &hits[..relevance.leading_hits.min(hits.len())];
    let share = |among: &[Candidate<'_>], category: FacetKey| {
        let held = among.iter().filter(|hit| hit.facts.category == Some(category)).count();
        held as f32 / among.len().max(1) as f32
    };
    let mut found = Vec::new();
    for category in leading.iter().filter_map(|hit| hit.facts.category) {
        if !found.contains(&category)
            && share(leading, category) >= relevance.category_share_min
            && share(hits, category) < CATEGORY_SAYS_NOTHING_SHARE
        {
            found.push(category);
        }
    }
    found
}

/// The query against this very list: which brands it names, and what is left as its topic.
struct Intents<'a> {
    query: &'a QueryView,
    /// Bit a `query.brands`: some hit is of this brand.
    brands: u64,
    /// Some hit has a brand at all.
    branded: bool,
    /// Topic words that name no brand of the list.
    topic: Vec<u32>,
}

impl<'a> Intents<'a> {
    fn of(query: &'a QueryView, hits: &[Candidate<'_>]) -> Self {
        let (mut brands, mut branded) = (0_u64, false);
        if !query.brands.is_empty() {
            // every facet of every hit comes by here
            for hit in hits {
                for facet in &hit.facts.facets {
                    if facet.axis() == Axis::Brand {
                        branded = true;
                        brands |= named(query, *facet);
                    }
                }
            }
        }
        if brands != 0 {
            brands = without_product_words(query, hits, brands);
        }
        let mut intents = Self { query, brands, branded, topic: query.topic.clone() };
        if brands != 0 {
            let named: Vec<u32> = intents.brands().flat_map(|b| b.words.clone()).collect();
            intents.topic.retain(|word| !named.contains(word));
        }
        intents
    }

    fn brands(&self) -> impl Iterator<Item = &'a super::query::NamedBrand> + '_ {
        let named = self.query.brands.iter().take(64).enumerate();
        named.filter(|(i, _)| self.brands >> i & 1 == 1).map(|(_, brand)| brand)
    }

    /// False for a query without words: no hit can be off its topic.
    fn asks_for_something(&self) -> bool {
        !self.topic.is_empty() || !self.query.attributes.is_empty() || self.brands != 0
    }

    /// A hit is on topic when it holds the topic's words; where the query is nothing but names, when
    /// it has one of them.
    fn is_on_topic(&self, facts: &ProductFacts) -> bool {
        if !self.topic.is_empty() {
            return holds(facts, &self.topic);
        }
        self.query.attributes.iter().any(|a| facts.has(*a))
            || self.brands().any(|brand| is_of(facts, brand))
            || (!self.query.words.is_empty() && holds(facts, &self.query.words))
    }

    /// How many of the query's names each hit matches; empty when it names nothing.
    fn matched(&self, hits: &[Candidate<'_>]) -> Vec<u8> {
        let query = self.query;
        // What such words name cannot be told without brands: the shop's own best answer stays first.
        let keeps_top = query.specific && !self.branded;
        let names = !query.attributes.is_empty() || !query.sizes.is_empty() || self.brands != 0;
        if !names && !keeps_top {
            return Vec::new();
        }
        let count = |hit: &Candidate<'_>| {
            let attributes = query.attributes.iter().filter(|a| hit.facts.has(**a));
            let sizes = query.sizes.iter().filter(|size| holds(hit.facts, size));
            let branded = self.brands().any(|brand| is_of(hit.facts, brand));
            let named = attributes.count() + sizes.count() + usize::from(branded);
            // Beside a brand or a size the other words tell one of its products from another.
            let rest = (self.brands != 0 || !query.sizes.is_empty())
                && !self.topic.is_empty()
                && holds(hit.facts, &self.topic);
            (named + usize::from(rest)).min(6) as u8
        };
        let mut matched: Vec<u8> = hits.iter().map(count).collect();
        if let Some(top) = matched.first_mut().filter(|_| keeps_top) {
            *top = 7;
        }
        matched
    }
}

/// Bit a `query.brands`: named so.
fn named(query: &QueryView, brand: FacetKey) -> u64 {
    let brands = query.brands.iter().take(64).enumerate();
    brands.fold(0, |bits, (i, named)| bits | u64::from(named.facet == brand) << i)
}

/// Takes out brands whose words are words of products too: names that at least as many hits of other
/// brands hold as there are hits of the brand. Apples are apples, whoever is called Apple.
fn without_product_words(query: &QueryView, hits: &[Candidate<'_>], brands: u64) -> u64 {
    let mut left = brands;
    for (bit, brand) in query.brands.iter().take(64).enumerate() {
        if brands >> bit & 1 == 0 || brand.by_facet {
            continue;
        }
        let (mut own, mut others) = (0_usize, 0_usize);
        for hit in hits {
            let named = hit.facts.on_axis(Axis::Brand).fold(0, |n, b| n | named(query, b));
            if hit.facts.facets.contains(&brand.facet) {
                own += 1;
            } else if named & brands == 0
                && hit.facts.on_axis(Axis::Brand).next().is_some()
                && holds(hit.facts, &brand.words)
            {
                others += 1;
            }
        }
        if others >= own {
            left &= !(1 << bit);
        }
    }
    left
}

fn is_of(facts: &ProductFacts, brand: &super::query::NamedBrand) -> bool {
    facts.facets.contains(&brand.facet) || (!brand.by_facet && holds(facts, &brand.words))
}

/// True when the product's words hold all of `words`.
fn holds(facts: &ProductFacts, words: &[u32]) -> bool {
    words.iter().all(|word| facts.terms.binary_search(word).is_ok())
}
