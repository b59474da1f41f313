//! Visits across a restart: the write path is put together a second time from a snapshot.

use std::path::Path;

use super::super::tests::{Shop, identity};
use super::*;
use crate::observe::Choice;
use crate::store::snapshot::{Found, Snapshots};
use crate::types::clock::Clock;
use crate::types::ids::{ProductId, Subject, UserId};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::signal::SignalKind;

const WEEK: u64 = 7 * 86_400;

impl Shop {
    fn snapshots(&self, directory: &Path) -> Snapshots {
        Snapshots::new(directory, self.observer.store.clone()).with(kept(&self.observer))
    }

    /// The same shop after a restart, by the same clock.
    fn restarted(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        self.snapshots(directory.path()).write().unwrap();
        let after = Self::open_at(self.clock.clone());
        let found = after.snapshots(directory.path()).restore();
        assert!(matches!(found, Found::Restored), "{found:?}");
        after
    }

    fn reports(&self, user: &str, sku: &str, event_id: &str) -> usize {
        let interaction = Interaction {
            kind: InteractionKind::Click,
            product: ProductId::parse(sku).unwrap(),
            at: self.clock.now(),
            quantity: 1.0,
            event_id: Some(event_id.into()),
        };
        self.observer.interactions(&identity(user), vec![interaction])
    }
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn has_visit(shop: &Shop, name: &str) -> bool {
    shop.observer.visits.get(&Subject::User(user(name)).key()).is_some()
}

#[test]
fn a_click_after_a_restart_joins_the_list_from_before_it() {
    let shop = Shop::open();
    shop.shows("ann", &["hot", "fiery", "original"]);
    shop.passes(60);
    let shop = shop.restarted();
    shop.opens("ann", "original");
    assert_eq!(shop.signals(SignalKind::ClickProduct), 1);
    assert_eq!(shop.signals(SignalKind::DisplayedButScrolled), 2);
    let shop = shop.restarted();
    shop.passes(5);
    shop.opens("ann", "hot");
    assert_eq!(shop.signals(SignalKind::DisplayedButScrolled), 1, "the mark is taken back");
}

#[test]
fn carts_stays_and_doubles_are_known_after_a_restart() {
    let shop = Shop::open();
    shop.hears("ann", (http::Method::POST, "/add/oat"), "");
    shop.opens("ann", "soy");
    assert_eq!(shop.reports("ben", "oat", "e1"), 1);
    shop.passes(40);
    let shop = shop.restarted();
    assert_eq!(shop.reports("ben", "oat", "e1"), 0, "the same event");
    assert_eq!(shop.reports("ben", "oat", "e2"), 1);
    shop.hears("ann", (http::Method::POST, "/add/oat"), "");
    assert_eq!(shop.signals(SignalKind::QuantityIncrease), 1);
    assert_eq!(shop.signals(SignalKind::AddToCart), 0);
    assert_eq!(shop.signals(SignalKind::Dwell30), 1, "on soy");
}

#[test]
fn what_was_viewed_before_a_restart_and_not_bought_counts_a_week_later() {
    let shop = Shop::open();
    shop.opens("ann", "oat");
    let shop = shop.restarted();
    shop.passes(WEEK / 2);
    let shop = shop.restarted();
    shop.passes(WEEK);
    shop.observer.arrived(&identity("ann"));
    assert_eq!(shop.signals(SignalKind::ViewedNeverBought), 1);
}

#[test]
fn whoever_opted_out_or_was_erased_since_the_snapshot_does_not_come_back_with_it() {
    let (shop, directory) = (Shop::open(), tempfile::tempdir().unwrap());
    for name in ["ann", "ben", "eve"] {
        shop.shows(name, &["oat"]);
        shop.opens(name, "oat");
    }
    shop.passes(60);
    shop.snapshots(directory.path()).write().unwrap();
    let after = Shop::open_at(shop.clock.clone());
    let out = Choice { personalization: Some(false), sensitive: None };
    after.observer.choose(&user("ann"), out).unwrap();
    after.observer.erase(&user("ben")).unwrap();
    after.snapshots(directory.path()).restore();
    assert!(!has_visit(&after, "ann"));
    assert!(has_visit(&after, "eve"));
    assert_eq!(after.observer.recent_lists(&user("ben")), []);
    after.passes(2 * WEEK);
    after.observer.arrived(&identity("ben"));
    assert_eq!(after.signals(SignalKind::ViewedNeverBought), 0);
    after.observer.arrived(&identity("eve"));
    assert_eq!(after.signals(SignalKind::ViewedNeverBought), 1);
}

#[test]
fn a_visit_that_was_forgotten_without_a_profile_is_worth_a_new_file() {
    let (shop, directory) = (Shop::open(), tempfile::tempdir().unwrap());
    let snapshots = shop.snapshots(directory.path());
    shop.shows("ann", &["oat"]);
    assert!(snapshots.write_if_changed().unwrap().is_some(), "a list was shown");
    assert!(snapshots.write_if_changed().unwrap().is_none());
    shop.observer.forget(Subject::User(user("ann")).key());
    assert!(snapshots.write_if_changed().unwrap().is_some());
    let after = Shop::open_at(shop.clock.clone());
    after.snapshots(directory.path()).restore();
    assert!(!has_visit(&after, "ann"));
}

#[test]
fn a_visit_whose_lists_explain_nothing_any_more_is_not_written() {
    let shop = Shop::open();
    shop.shows("ann", &["oat"]);
    shop.passes(1_801);
    assert!(has_visit(&shop.restarted(), "ann"), "what it may lend others today is known");
    shop.passes(86_400);
    assert!(!has_visit(&shop.restarted(), "ann"));
}

#[test]
fn no_more_visits_are_taken_in_than_there_is_room_for() {
    let shop = Shop::open();
    for n in 0..200 {
        shop.shows(&format!("user {n}"), &["oat"]);
    }
    let directory = tempfile::tempdir().unwrap();
    shop.snapshots(directory.path()).write().unwrap();
    let mut small = Shop::open_at(shop.clock.clone());
    Arc::get_mut(&mut small.observer).unwrap().visits = Arc::new(Visits::new(20));
    small.snapshots(directory.path()).restore();
    let kept = small.observer.visits.by_subject.len();
    assert!((1..=20).contains(&kept), "{kept}");
}

/// Also: the version before knows none of these sections, and skips them.
#[test]
fn a_later_layout_is_skipped_and_what_nobody_wrote_is_noticed() {
    let shop = Shop::open();
    shop.shows("ann", &["oat"]);
    let visits = KeptVisits(shop.observer.clone());
    let mut row = vec![LAYOUT];
    row.extend(7_u128.to_le_bytes());
    put_row(&mut row, |out| {
        Visit::default().keep(Timestamp(0), &|_| true, out);
        out.extend(b"what a later version adds");
    });
    assert!(visits.load(&row));
    assert!(shop.observer.visits.get(&SubjectKey(7)).is_some());
    assert!(!visits.load(&row[..40]));
    row[0] = LAYOUT + 1;
    assert!(visits.load(&row[..40]));
    let doubles = KeptDoubles(shop.observer.clone());
    assert!(doubles.load(&[LAYOUT, DOUBLES_PARTS as u8 + 1, 0, 1]), "of other parts");
    assert!(!doubles.load(&[LAYOUT, DOUBLES_PARTS as u8, 0, 1]));
    assert!(!doubles.load(&[LAYOUT, DOUBLES_PARTS as u8, DOUBLES_PARTS as u8, 0, 0]));
}

#[test]
fn nothing_done_with_a_sensitive_product_is_written_unless_its_shopper_allows_it() {
    use crate::rules::knowledge::Knowledge;
    use crate::wire::{HitView, Words};

    for allowed in [false, true] {
        let shop = Shop::open();
        let read = Words { name: Some("Halal Chicken".into()), ..Words::default() };
        let hit = HitView { id: "halal".into(), read, ..HitView::default() };
        let facts = shop.observer.store.catalog.describe(&hit, &Knowledge::shipped());
        assert!(facts.sensitive);
        let choice = Choice { personalization: None, sensitive: Some(allowed) };
        shop.observer.choose(&user("ann"), choice).unwrap();
        shop.shows("ann", &["oat", "halal"]);
        shop.hears("ann", (http::Method::POST, "/add/halal"), "");
        shop.opens("ann", "halal");
        let after = shop.restarted();
        let visit = after.observer.visits.get(&Subject::User(user("ann")).key()).unwrap();
        let visit = visit.lock();
        let list = visit.recent.newest().unwrap();
        assert_eq!(list.products().count(), 2);
        let done = [list.is_clicked(1), visit.view.is_some(), !visit.cart.is_empty()];
        assert_eq!(done, [allowed; 3]);
    }
}
