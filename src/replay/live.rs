//! A replay and live traffic learn the same of the same: the write path beside the walk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::laws::synthetic;
use super::log::Record;
use super::walk::Walk;
use super::{Conditions, Log, Products};
use crate::config::{Settings, SettingsText};
use crate::identity::Identity;
use crate::observe::{Observer, Report};
use crate::preferences::packed;
use crate::reload::RulesTable;
use crate::rules::Rules;
use crate::signals::ShownList;
use crate::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::{Clock, ManualClock};
use crate::types::ids::{ProductKey, QueryId, UserId};
use crate::types::interaction::Interaction;
use crate::types::profile::Profile;
use crate::types::voice::Voice;
use crate::wire::{HitView, Words};

fn packed(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    packed::pack(profile, &mut bytes);
    bytes
}

/// What a shop's replies would have told of the products.
fn describe(log: &Log, store: &Store, rules: &Rules) {
    for (number, (id, _)) in log.products.all.iter().enumerate() {
        let said = log.described[number].as_ref().unwrap();
        let read = Words {
            category: Some(said.category.join("/").into()),
            brand: said.brand.as_deref().map(Into::into),
            attributes: said.attributes.iter().map(|label| label.as_str().into()).collect(),
            ..Words::default()
        };
        let hit = HitView { id: (&**id).into(), read, price: said.price, ..HitView::default() };
        store.catalog.describe(&hit, &rules.knowledge);
    }
}

#[test]
fn a_replay_leaves_the_profiles_and_the_population_that_live_traffic_leaves() {
    let log = synthetic();
    let none = BTreeMap::new();
    let text = SettingsText { file: None, text: "", environment: &none, flags: &[] };
    let settings = Settings::parse(&text).unwrap();
    let store = Arc::new(Store::new(&settings.store));
    let metrics = Arc::new(Metrics::new().unwrap());
    let clock = Arc::new(ManualClock::default());
    let rules = Rules::shipped();
    let table = RulesTable::fixed(rules.clone());
    let live = Observer::new(&settings, store.clone(), table, metrics, clock.clone());
    describe(&log, &store, &rules);
    let products = Arc::new(Products::of(&log, &rules.knowledge));
    let caps = &settings.store;
    let conditions = Conditions::live(caps.products_per_profile_max, caps.facets_per_profile_max);
    let mut walk = Walk::new(&log, products, Arc::new(rules), conditions);
    let identity = |person: u32| Identity {
        user: UserId::parse(log.people.text(person)),
        voice: Voice { proven: true, ..Voice::default() },
        ..Identity::default()
    };
    for (number, record) in log.records.iter().enumerate() {
        match record {
            Record::Event(event) => {
                clock.advance(Duration::from_millis((event.at.0 - clock.now().0) as u64));
                walk.hear(event);
                let interaction = Interaction {
                    kind: event.kind,
                    product: log.products.all[event.product as usize].1.clone(),
                    at: event.at,
                    quantity: event.quantity,
                    event_id: Some(number.to_string().into()),
                };
                let identity = identity(event.person);
                live.reports(vec![Report { identity, interactions: vec![interaction] }]);
            }
            Record::Search(search) => {
                clock.advance(Duration::from_millis((search.at.0 - clock.now().0) as u64));
                let identity = identity(search.person);
                live.arrived(&identity);
                walk.ask(search);
                walk.shown(search);
                let keys = search.list.iter().map(|p| ProductKey::of(log.products.text(*p)));
                let list = ShownList::new(search.at, QueryId(number as u64), true, keys)
                    .asked(log.words.text(search.query));
                live.shown(identity.subject().map(|subject| subject.key()), vec![list]);
            }
        }
    }
    for (person, (_, key)) in log.people.all.iter().enumerate() {
        let known = store.shoppers.profile(*key).unwrap();
        let replayed = walk.profile(person as u32);
        assert!(!known.products.is_empty() && !known.facets.is_empty() && !known.prices.is_empty());
        assert_eq!(known.products, replayed.products);
        assert_eq!(known.facets, replayed.facets);
        assert_eq!((known.evidence, known.at), (replayed.evidence, replayed.at));
        assert_eq!(packed(&known).len(), packed(replayed).len());
    }
    let population = store.population.read();
    assert!(population.products() > 0);
    assert_eq!(population.keep(), walk.population().keep());
}
