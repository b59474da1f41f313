//! A list, a shopper and the rules, for the tests of ranking.

use std::sync::Arc;

use super::*;
use crate::preferences::learn::apply;
use crate::preferences::testing::{CAPS, branded, rules_for_tests};
use crate::rules::{Action, MerchandisingRule, Select, When};
use crate::types::clock::ManualClock;
use crate::types::ids::ProductKey;
use crate::types::signal::{Signal, SignalKind};

/// One product on the shelf, with what the reply says of it.
#[derive(Clone, Debug)]
pub(super) struct Good {
    pub(super) facts: ProductFacts,
    pub(super) score: Option<f64>,
    pub(super) in_stock: Option<bool>,
    pub(super) sponsored: bool,
}

/// A product named by its own id: `name | brand | category path | attributes`.
pub(super) fn good(line: &str) -> Good {
    let mut parts = line.split('|').map(str::trim);
    let mut next = || parts.next().unwrap_or_default();
    let (name, brand, path) = (next(), next(), next());
    let attributes: Vec<&str> = next().split_whitespace().collect();
    let facts = branded(name, name, brand, path, &attributes);
    Good { facts, score: None, in_stock: None, sponsored: false }
}

/// A product of which the catalogue knows nothing yet.
pub(super) fn unknown(id: &str) -> Good {
    let facts = ProductFacts {
        key: ProductKey::of(id),
        name: id.into(),
        facets: Box::default(),
        sizes: Box::default(),
        category: None,
        price: None,
        terms: Box::default(),
        sensitive: false,
    };
    Good { facts, score: None, in_stock: None, sponsored: false }
}

/// Everything that one ranking depends on, ready to be changed.
pub(super) struct Stage {
    pub(super) goods: Vec<Good>,
    pub(super) query: String,
    pub(super) profile: Profile,
    pub(super) population: Population,
    pub(super) rules: Rules,
    pub(super) upstream: UpstreamOrder,
    pub(super) score_better: Option<ScoreBetter>,
}

impl Stage {
    pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

    pub(super) fn new(query: &str, goods: &[&str]) -> Self {
        Self {
            goods: goods.iter().map(|line| good(line)).collect(),
            query: query.to_owned(),
            profile: Profile::default(),
            population: Population::new(10_000),
            rules: rules_for_tests(),
            upstream: UpstreamOrder::Ranked,
            score_better: None,
        }
    }

    /// The shopper did this so many times.
    pub(super) fn did(&mut self, times: usize, kind: SignalKind, facts: &ProductFacts) {
        let signal = Signal { kind, product: facts.key, at: Self::NOW, times: 1.0, quantity: 1 };
        for _ in 0..times {
            apply(&mut self.profile, &signal, Some(facts), &self.rules, CAPS);
        }
    }

    pub(super) fn facts(&self, name: &str) -> ProductFacts {
        self.goods.iter().find(|g| &*g.facts.name == name).unwrap().facts.clone()
    }

    pub(super) fn rule(&mut self, id: &str, names: &[&str], action: Action) {
        let products = names.iter().map(|name| ProductKey::of(name)).collect();
        let select = Select { products, ..Select::default() };
        let when = When::default();
        let mut rules = self.rules.merchandising.to_vec();
        rules.push(MerchandisingRule { id: id.into(), when, select, action });
        self.rules.merchandising = rules.into();
    }

    pub(super) fn change_rules(&mut self, change: impl FnMut(&mut MerchandisingRule)) {
        let mut rules = self.rules.merchandising.to_vec();
        rules.iter_mut().for_each(change);
        self.rules.merchandising = rules.into();
    }

    pub(super) fn with_request<R>(&self, then: impl FnOnce(&RankRequest<'_>) -> R) -> R {
        let query = QueryView::of(&self.query, &self.rules.knowledge);
        let candidates: Vec<_> = self
            .goods
            .iter()
            .map(|good| Candidate {
                facts: &good.facts,
                score: good.score,
                price: None,
                in_stock: good.in_stock,
                sponsored: good.sponsored,
                unremembered: good.facts.sensitive,
            })
            .collect();
        then(&RankRequest {
            query: &query,
            candidates: &candidates,
            profile: Some(&self.profile),
            posterior: None,
            population: &self.population,
            rules: &self.rules,
            now: Self::NOW,
            daypart: self.rules.daypart(Self::NOW),
            upstream: self.upstream,
            score_better: self.score_better,
        })
    }

    pub(super) fn ranked(&self) -> Ranking {
        let clock = ManualClock::at(Self::NOW);
        self.with_request(|request| rank(request, &Budget::start(&clock, 1_000)).unwrap())
    }

    /// The names in the order that the shopper sees.
    pub(super) fn shown(&self) -> Vec<&str> {
        let name = |old: &u32| &*self.goods[*old as usize].facts.name;
        self.ranked().order.iter().map(name).collect()
    }

    /// The sentence for a hit.
    pub(super) fn reason(&self, name: &str) -> Option<String> {
        let ranking = self.ranked();
        let position = self.goods.iter().position(|g| &*g.facts.name == name).unwrap();
        let values = ["plant-based", "spicy", "organic", "dairy/milk", "oatly"];
        let facet_name = |key| {
            let axes = crate::types::product::Axis::ALL;
            let key_of = |v: &str| axes.map(|a| crate::types::product::FacetKey::of(a, v));
            values.iter().find(|v| key_of(v).contains(&key)).map(|v| Arc::from(*v))
        };
        let shelf: Vec<_> = self.goods.iter().map(|g| Arc::new(g.facts.clone())).collect();
        let oat = Arc::new(good("Oat Milk | | dairy/milk | plant-based").facts);
        let product = |key| shelf.iter().chain([&oat]).find(|f| f.key == key).cloned();
        let names = explain::Names { facet: &facet_name, product: &product };
        self.with_request(|request| {
            let reason = explain::reason(request, &ranking, position, &names)?;
            request.rules.knowledge.messages().say(&reason, "en")
        })
    }
}
