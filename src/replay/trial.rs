//! One list at the end of a short log, asked for and taken apart.
//!
//! In: a [`Story`]: products, what people did, what they were shown; at its end a search. Out: the
//! order that the rules give that list, each hit with the named parts of its score, its reason and
//! the quantity that is suggested. What a log does not record can be said beside it: stock, paid
//! places, what the shopper said themselves.

use std::sync::Arc;

use super::against::parts;
use super::line;
use super::log::{Description, Log, Reader, Record, Search};
use super::walk::Walk;
use super::{Conditions, Products};
use crate::rank::explain::{Names, reason};
use crate::rank::{Candidate, RankRequest, Ranking, rank};
use crate::rules::Rules;
use crate::types::budget::Budget;
use crate::types::clock::{ManualClock, Timestamp};
use crate::types::interaction::InteractionKind;
use crate::types::problem::Problem;
use crate::types::profile::Chosen;

/// A log that is told, record by record, in time order.
#[derive(Debug, Default)]
pub struct Story(Reader);

impl Story {
    /// A product as the shop describes it.
    ///
    /// # Errors
    /// What is wrong with its id.
    pub fn product(&mut self, id: &str, description: Description) -> Result<(), Problem> {
        self.0.describe(id, description).map_err(|said| self.0.problem(said))
    }

    /// Somebody did something with so many units of a product.
    ///
    /// # Errors
    /// What is wrong with an id, or the time.
    pub fn did(
        &mut self,
        (at, who): (Timestamp, &str),
        kind: InteractionKind,
        product: &str,
        quantity: f32,
    ) -> Result<(), Problem> {
        let who = line::Who { user: Some(who.into()), session: None };
        let product = product.into();
        let event = line::Event { at, who, product, kind, quantity, ranking: None };
        self.0.event(&event).map_err(|said| self.0.problem(said))
    }

    /// Somebody was shown a list.
    ///
    /// # Errors
    /// What is wrong with an id, or the time, or a product that comes twice.
    pub fn searched<'a>(
        &mut self,
        (at, who): (Timestamp, &str),
        query: &str,
        list: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Problem> {
        let search = line::Search {
            at,
            who: line::Who { user: Some(who.into()), session: None },
            query: query.into(),
            list: list.into_iter().map(Into::into).collect(),
            truth: Vec::new(),
            scored: false,
            ranked: false,
            id: None,
        };
        self.0.search(&search).map_err(|said| self.0.problem(said))
    }

    /// The log.
    pub fn end(self) -> Log {
        self.0.finish()
    }
}

/// What a log does not record of its last list.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Old positions of hits that are out of stock.
    pub out_of_stock: Vec<usize>,
    /// Old positions of hits that are paid for.
    pub sponsored: Vec<usize>,
    /// What the shopper said themselves of single facets, sorted by facet.
    pub chosen: Vec<Chosen>,
}

/// One hit of the list.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The product.
    pub product: String,
    /// 0-based position in the upstream's order.
    pub from: usize,
    /// The score.
    pub score: f32,
    /// What it is the sum of.
    pub parts: Vec<(String, f32)>,
    /// What the shopper is told of its place.
    pub reason: Option<String>,
    /// What the shopper usually takes of it.
    pub quantity: Option<u8>,
}

/// The last list as it is shown; hits that a rule takes out are not in it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// In shown order.
    pub shown: Vec<Shown>,
}

/// Walks through a log and asks for its last list; `None` where it does not end with a search.
pub fn last_list(
    log: &Log,
    products: &Arc<Products>,
    rules: &Arc<Rules>,
    conditions: Conditions,
    circumstances: &Circumstances,
) -> Option<Trial> {
    let mut walk = Walk::new(log, products.clone(), rules.clone(), conditions);
    let (last, before) = log.records.split_last()?;
    let Record::Search(last) = last else { return None };
    for record in before {
        match record {
            Record::Event(event) => walk.hear(event),
            Record::Search(search) => {
                walk.ask(search);
                walk.shown(search);
            }
        }
    }
    // Packs the profile, and tells what was viewed and not bought.
    walk.ask(last);
    let mut profile = walk.profile(last.person).clone();
    profile.chosen.clone_from(&circumstances.chosen);
    let told = walk.with_request(last, |request| {
        let mut candidates = request.candidates.to_vec();
        circumstances.tell(&mut candidates);
        let request = RankRequest { candidates: &candidates, profile: Some(&profile), ..*request };
        taken_apart(&request, log, last, products)
    });
    Some(told)
}

impl Circumstances {
    fn tell(&self, candidates: &mut [Candidate<'_>]) {
        for (position, hit) in candidates.iter_mut().enumerate() {
            hit.in_stock = self.out_of_stock.contains(&position).then_some(false);
            hit.sponsored = self.sponsored.contains(&position);
        }
    }
}

fn taken_apart(
    request: &RankRequest<'_>,
    log: &Log,
    search: &Search,
    products: &Products,
) -> Trial {
    let clock = ManualClock::at(request.now);
    let unmoved = || Ranking::unmoved(search.list.len(), None);
    let ranked = request.rules.enabled.then(|| rank(request, &Budget::start(&clock, u64::MAX)));
    let ranking = ranked.and_then(Result::ok).unwrap_or_else(unmoved);
    let (facet, product) = (|key| products.name(key), |key| products.get(key));
    let names = Names { facet: &facet, product: &product };
    let shown = ranking.order.iter().filter(|old| !ranking.removed.contains(old));
    let told = |old: &u32| {
        let position = *old as usize;
        let hit = request.candidates.get(position)?;
        let said = reason(request, &ranking, position, &names)
            .filter(|_| !hit.unremembered)
            .and_then(|reason| request.rules.knowledge.messages().say(&reason, "en"));
        let memory = request.profile.and_then(|profile| profile.product(hit.facts.key));
        Some(Shown {
            product: log.products.text(*search.list.get(position)?).to_owned(),
            from: position,
            score: ranking.scores.get(position).map_or(0.0, |terms| terms.total()),
            parts: parts(request, &ranking, position, &facet),
            reason: said,
            quantity: memory.filter(|_| !hit.unremembered).and_then(|m| m.usual_quantity()),
        })
    };
    Trial { shown: shown.filter_map(told).collect() }
}
