//! The write path with a clock whose hands are turned, and no code in the shop.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;

use super::*;
use crate::config::SettingsText;
use crate::config::source::Ask;
use crate::route;
use crate::types::clock::ManualClock;
use crate::types::ids::{ProductKey, QueryId, UserId};
use crate::types::signal::SignalKind;

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
