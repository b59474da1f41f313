//! The write path with a clock whose hands are turned, and no code in the shop.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;

use super::*;
use crate::config::SettingsText;
use crate::config::source::Ask;
use crate::preferences::reweigh::Unknown;
use crate::route;
use crate::types::clock::ManualClock;
use crate::types::ids::{ProductId, ProductKey, QueryId, SessionId, UserId};
use crate::types::product::ProductFacts;
use crate::types::signal::SignalKind;
use crate::wire::{HitView, Words};

/// A shop's own calls.
const ROUTES: &str = "
mode: 'off'
presets: []
routes:
  - {name: page, method: GET, path: '/p/{sku}', event: {kind: view_details, product: ['path:sku']}}
  - name: cart
    method: PUT
    path: /cart/{sku}
    event: {kind: add_to_cart, product: ['path:sku'], cart_quantity: ['body:/units']}
  - {name: add, method: POST, path: '/add/{sku}', event: {kind: add_to_cart, product: ['path:sku']}}
  - {name: save, method: POST, path: '/later/{sku}', event: {kind: save_for_later, product: ['path:sku']}}
  - {name: return, method: POST, path: '/return/{sku}', event: {kind: return, product: ['path:sku']}}
  - name: order
    method: POST
    path: /order
    event:
      kind: purchase
      each: /lines/*
      product: ['body:/sku']
      quantity: ['body:/units']
      subscription: ['body:/weekly']
";

pub(super) struct Shop {
    settings: Settings,
    pub(super) observer: Arc<Observer>,
    metrics: Arc<Metrics>,
    pub(super) clock: Arc<ManualClock>,
    lists: std::cell::Cell<u64>,
}

impl Shop {
    pub(super) fn open() -> Self {
        Self::open_at(Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000))))
    }

    pub(super) fn open_at(clock: Arc<ManualClock>) -> Self {
        let environment = BTreeMap::new();
        let text = SettingsText { file: None, text: ROUTES, environment: &environment, flags: &[] };
        let settings = Settings::parse(&text).unwrap();
        let store = Arc::new(Store::new(&settings.store));
        let rules = RulesTable::fixed(Rules::shipped());
        let metrics = Arc::new(Metrics::new().unwrap());
        let observer = Observer::new(&settings, store, rules, metrics.clone(), clock.clone());
        let observer = Arc::new(observer);
        Self { settings, observer, metrics, clock, lists: std::cell::Cell::new(0) }
    }

    pub(super) fn shows(&self, user: &str, skus: &[&str]) {
        self.lists.set(self.lists.get() + 1);
        let keys = skus.iter().map(|sku| ProductKey::of(sku));
        let list = ShownList::new(self.clock.now(), QueryId(self.lists.get()), true, keys);
        self.observer.shown(identity(user).subject().map(|subject| subject.key()), vec![list]);
    }

    /// One request of `user`, which the shop takes.
    pub(super) fn hears(&self, user: &str, (method, path): (Method, &str), body: &str) {
        let identity = identity(user);
        self.observer.arrived(&identity);
        let matched = route::classify(&self.settings.routes, &method, path).unwrap();
        let headers = HeaderMap::new();
        let (named, body) = (&matched.named, body.as_bytes());
        let claims = Default::default();
        let ask = Ask { headers: &headers, query: "", named, body, tenant: None, claims };
        if let Some(event) = self.observer.prepare(&matched, &ask, &identity) {
            self.observer.learn(event, None);
        }
    }

    pub(super) fn opens(&self, user: &str, sku: &str) {
        self.hears(user, (Method::GET, &format!("/p/{sku}")), "");
    }

    pub(super) fn passes(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(super) fn signals(&self, kind: SignalKind) -> u64 {
        self.metrics.signals.with_label_values(&[kind.path()]).get()
    }

    fn unheard(&self, reason: &str) -> u64 {
        self.metrics.unheard.with_label_values(&[reason]).get()
    }
}

/// Oat milk as a search reply has it: the catalogue knows it from here on.
fn oat_milk(store: &Store) -> Arc<ProductFacts> {
    let words = Words {
        name: Some("Oat Milk".into()),
        category: Some("dairy/milk".into()),
        ..Words::default()
    };
    let hit = HitView { id: "oat".into(), read: words, ..HitView::default() };
    store.catalog.describe(&hit, &Rules::shipped().knowledge)
}

/// The same write path over another store, by rules in which a click weighs so much.
fn with_clicks(shop: &Shop, store: &Arc<Store>, weight: f32) -> Observer {
    let mut rules = Rules::shipped();
    rules.signal_weights[SignalKind::ClickProduct.index()] = weight;
    rules.signal_weights[SignalKind::ViewDetails.index()] = 0.0;
    let (metrics, clock) = (shop.metrics.clone(), shop.clock.clone());
    Observer::new(&shop.settings, store.clone(), RulesTable::fixed(rules), metrics, clock)
}

#[test]
fn an_edit_made_while_the_process_was_down_waits_for_products_to_be_described_again() {
    let shop = Shop::open();
    let facts = oat_milk(&shop.observer.store);
    shop.shows("ann", &["oat", "soy"]);
    shop.opens("ann", "oat");
    let key = identity("ann").subject().unwrap().key();
    let after = Arc::new(Store::new(&shop.settings.store));
    for frozen in shop.observer.store.shoppers.freeze() {
        frozen
            .for_each(
                |key, bytes| if after.shoppers.restore(key, bytes) { Ok(()) } else { Err(()) },
            )
            .unwrap();
    }
    let edited = with_clicks(&shop, &after, 0.7);
    let half_life = Rules::shipped().half_life;
    assert_eq!(edited.reweigh(&half_life, Unknown::Waits), (0, 1), "nobody knows what it is");
    assert_eq!(*oat_milk(&after), *facts);
    assert_eq!(edited.reweigh(&half_life, Unknown::Waits), (1, 0));
    let profile = after.shoppers.profile(key).unwrap();
    let near = |sum: f32| (sum / 0.7 - 1.0).abs() < 0.02;
    assert!(near(profile.product(facts.key).unwrap().slow), "{profile:?}");
    for facet in &facts.facets {
        assert!(near(profile.facet(*facet).unwrap().sum), "{profile:?}");
    }
    assert_eq!(edited.reweigh(&half_life, Unknown::Waits), (0, 0));
    assert_eq!(shop.metrics.profiles_reweighed.get(), 1);
}

#[test]
fn what_is_learned_by_rules_of_a_moment_ago_is_weighed_by_those_of_now() {
    let shop = Shop::open();
    let facts = oat_milk(&shop.observer.store);
    let key = identity("ann").subject().unwrap().key();
    let (kind, at) = (SignalKind::ClickProduct, shop.clock.now());
    let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity: 1 };
    let mut before = Rules::shipped();
    before.signal_weights[kind.index()] = 5.0;
    shop.observer.learn_and_note(key, &[(signal, Some(facts.clone()))], &before);
    let profile = shop.observer.store.shoppers.profile(key).unwrap();
    let now = Rules::shipped().signal_weights[kind.index()];
    let sum = profile.facet(facts.facets[0]).unwrap().sum;
    assert!((sum / now - 1.0).abs() < 0.02, "{sum} of {now}");
}

#[test]
fn a_visit_that_logs_in_brings_its_events_with_it() {
    let shop = Shop::open();
    let visit = Identity { session: SessionId::parse("v1"), ..Identity::default() };
    let product = ProductId::parse("oat").unwrap();
    let (kind, at) = (InteractionKind::AddToCart, shop.clock.now());
    let act = Interaction { kind, product, at, quantity: 1.0, event_id: None };
    assert_eq!(shop.observer.interactions(&visit, vec![act]), 1);
    shop.passes(5);
    shop.opens("ann", "soy");
    shop.passes(5);
    shop.observer.arrived(&Identity { session: visit.session.clone(), ..identity("ann") });
    let key = identity("ann").subject().unwrap().key();
    let known = shop.observer.store.shoppers.remembered(key).unwrap();
    let kinds: Vec<_> = known.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [SignalKind::AddToCart, SignalKind::ViewDetails]);
    assert!(shop.observer.store.shoppers.remembered(visit.subject().unwrap().key()).is_none());
}

pub(super) fn identity(user: &str) -> Identity {
    Identity { user: UserId::parse(user), ..Identity::default() }
}

#[test]
fn every_kind_of_the_plan_is_derived_from_a_shops_own_traffic() {
    let shop = Shop::open();
    let order = |lines: &str| {
        shop.hears("ann", (Method::POST, "/order"), &format!("{{\"lines\":[{lines}]}}"));
        shop.passes(5);
    };
    shop.shows("ann", &["hot", "fiery", "original", "salt"]);
    shop.opens("ann", "original");
    for (stay, sku) in [(12, "salt"), (35, "oat"), (90, "soy"), (2, "rice")] {
        shop.opens("ann", sku);
        shop.passes(stay);
    }
    for units in ["1", "1", "3", "0"] {
        shop.hears("ann", (Method::PUT, "/cart/oat"), &format!("{{\"units\":{units}}}"));
        shop.passes(2);
    }
    shop.hears("ann", (Method::POST, "/add/soy"), "");
    shop.passes(2);
    shop.hears("ann", (Method::POST, "/add/soy"), "");
    shop.hears("ann", (Method::POST, "/later/rice"), "");
    order(r#"{"sku":"oat","units":1}"#);
    order(r#"{"sku":"oat","units":1},{"sku":"soy","units":8}"#);
    order(r#"{"sku":"beans","units":1,"weekly":true},{"sku":"peas","weekly":false}"#);
    shop.hears("ann", (Method::POST, "/return/oat"), "");
    shop.passes(8 * 86_400);
    shop.observer.arrived(&identity("ann"));
    let told: Vec<_> = SignalKind::ALL.iter().map(|kind| (*kind, shop.signals(*kind))).collect();
    assert_eq!(
        told,
        [
            (SignalKind::PurchaseFirstTime, 2),
            (SignalKind::PurchaseRepeat, 1),
            (SignalKind::PurchaseBulk, 1),
            (SignalKind::PurchaseSubscription, 1),
            (SignalKind::AddToCart, 2),
            (SignalKind::QuantityIncrease, 2),
            (SignalKind::SaveForLater, 1),
            (SignalKind::RemoveFromCart, 1),
            (SignalKind::ClickProduct, 2),
            (SignalKind::ViewDetails, 5),
            (SignalKind::Dwell10, 1),
            (SignalKind::Dwell30, 1),
            (SignalKind::Dwell60, 1),
            (SignalKind::DisplayedButScrolled, 2),
            // "original" and "salt"; "oat" and "soy" were bought, "rice" was saved
            (SignalKind::ViewedNeverBought, 2),
            (SignalKind::Returned, 1),
        ]
    );
    shop.passes(8 * 86_400);
    shop.observer.arrived(&identity("ann"));
    assert_eq!(shop.signals(SignalKind::ViewedNeverBought), 2, "each is told once");
}

#[test]
fn others_learn_from_one_visit_no_more_than_the_rules_allow_a_day() {
    let shop = Shop::open();
    let skus: Vec<String> = (0..50).map(|number| format!("p{number}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    shop.shows("ann", &skus);
    for sku in &skus {
        shop.opens("ann", sku);
        shop.passes(2);
    }
    // 0.35 a page opened from a list, of the 5 that the shipped rules allow.
    assert_eq!(shop.unheard("visit_spent"), 50 - 14);
    assert_eq!(shop.signals(SignalKind::ClickProduct), 50, "she herself is learned from");
    shop.passes(86_400);
    shop.shows("ann", &skus);
    shop.opens("ann", "p0");
    assert_eq!(shop.unheard("visit_spent"), 50 - 14);
}
