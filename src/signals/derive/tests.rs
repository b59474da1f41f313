//! What each act means, in sentences.

use super::*;
use crate::preferences::learn::apply;
use crate::preferences::testing::{CAPS, facts, rules_for_tests};
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductId, ProductKey};
use SignalKind as Kind;

/// One shopper at a shop's shelf, with a list of chips.
struct Visit {
    recent: RecentLists,
    profile: Profile,
    rules: Rules,
    tells_clicks: bool,
    tells_scrolls: bool,
}

impl Visit {
    fn new(lists: &[(i64, &[&str])]) -> Self {
        let mut recent = RecentLists::default();
        for (at, ids) in lists {
            let keys = ids.iter().map(|id| ProductKey::of(id));
            let at = Timestamp::from_seconds(*at);
            recent.push(ShownList::new(at, QueryId(at.0 as u64), true, keys));
        }
        let (profile, rules) = (Profile::default(), rules_for_tests());
        Self { recent, profile, rules, tells_clicks: false, tells_scrolls: false }
    }

    fn act(&mut self, kind: InteractionKind, id: &str, at: i64) -> Derived {
        self.act_on(kind, id, at, 1.0)
    }

    fn act_on(&mut self, kind: InteractionKind, id: &str, at: i64, quantity: f32) -> Derived {
        let interaction = Interaction {
            kind,
            product: ProductId::parse(id).unwrap(),
            at: Timestamp::from_seconds(at),
            quantity,
            event_id: None,
        };
        let mut shopper = Shopper {
            profile: Some(&self.profile),
            recent: &mut self.recent,
            tells_clicks: self.tells_clicks,
            tells_scrolls: self.tells_scrolls,
        };
        let derived = derive(&interaction, &mut shopper, &self.rules);
        for signal in &derived.signals {
            let it = facts("any", "any", "snacks/chips", &["any"]);
            apply(&mut self.profile, signal, Some(&it), &self.rules, CAPS);
        }
        derived
    }
}

fn said(derived: &Derived, names: &[&str]) -> Vec<(Kind, String, f32)> {
    let name = |key| names.iter().find(|n| ProductKey::of(n) == key).map(|n| (*n).to_owned());
    let line = |s: &Signal| (s.kind, name(s.product).unwrap_or_default(), s.times);
    derived.signals.iter().map(line).collect()
}

fn line(kind: Kind, id: &str, times: f32) -> (Kind, String, f32) {
    (kind, id.to_owned(), times)
}

const CHIPS: &[&str] = &["hot", "fiery", "original", "salt"];

#[test]
fn a_click_passes_over_what_stood_above_it_and_nothing_below() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    let derived = visit.act(InteractionKind::Click, "original", 110);
    assert_eq!(
        said(&derived, CHIPS),
        [
            line(Kind::DisplayedButScrolled, "hot", 1.0),
            line(Kind::DisplayedButScrolled, "fiery", 1.0),
            line(Kind::ClickProduct, "original", 1.0),
        ]
    );
    let joined = derived.joined.unwrap();
    assert_eq!((joined.position, joined.natural, joined.first_pick), (2, true, true));
}

#[test]
fn a_hit_is_passed_over_once_however_many_clicks_follow() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    visit.act(InteractionKind::Click, "original", 110);
    let again = visit.act(InteractionKind::Click, "salt", 120);
    assert_eq!(said(&again, CHIPS), [line(Kind::ClickProduct, "salt", 1.0)]);
}

#[test]
fn a_hit_that_is_clicked_after_all_has_its_mark_taken_back_without_a_trace() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    visit.act(InteractionKind::Click, "original", 110);
    let derived = visit.act(InteractionKind::Click, "hot", 50_000);
    assert_eq!(said(&derived, CHIPS), [line(Kind::ClickProduct, "hot", 1.0)], "list too old");
    let derived = visit.act(InteractionKind::Click, "fiery", 1_200);
    assert_eq!(
        said(&derived, CHIPS),
        [line(Kind::DisplayedButScrolled, "fiery", -1.0), line(Kind::ClickProduct, "fiery", 1.0)]
    );
    let fiery = visit.profile.product(ProductKey::of("fiery")).unwrap();
    assert!((fiery.slow - 0.2).abs() < 1e-4, "{fiery:?}");
}

#[test]
fn a_hit_put_into_the_cart_was_not_passed_over() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    visit.act(InteractionKind::Click, "original", 110);
    let derived = visit.act(InteractionKind::AddToCart, "hot", 130);
    assert_eq!(
        said(&derived, CHIPS),
        [line(Kind::DisplayedButScrolled, "hot", -1.0), line(Kind::AddToCart, "hot", 1.0)]
    );
    let below = visit.act(InteractionKind::Click, "salt", 140);
    assert_eq!(said(&below, CHIPS), [line(Kind::ClickProduct, "salt", 1.0)]);
}

#[test]
fn a_list_without_a_pick_teaches_nothing() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    assert_eq!(visit.profile, Profile::default());
    let elsewhere = visit.act(InteractionKind::Click, "bread", 110);
    assert_eq!(said(&elsewhere, &["bread"]), [line(Kind::ClickProduct, "bread", 1.0)]);
    assert_eq!(elsewhere.joined, None);
}

#[test]
fn a_page_opened_from_a_list_is_a_click_and_its_late_report_is_the_same_click() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    let opened = visit.act(InteractionKind::View, "fiery", 110);
    assert_eq!(
        said(&opened, CHIPS),
        [
            line(Kind::DisplayedButScrolled, "hot", 1.0),
            line(Kind::ClickProduct, "fiery", 1.0),
            line(Kind::ViewDetails, "fiery", 1.0),
        ]
    );
    assert_eq!(visit.act(InteractionKind::Click, "fiery", 111).signals, []);
    let later = visit.act(InteractionKind::Click, "fiery", 200);
    assert_eq!(said(&later, CHIPS), [line(Kind::ClickProduct, "fiery", 1.0)]);
    assert!(!later.joined.unwrap().first_pick);
}

#[test]
fn a_page_opened_after_the_click_was_reported_is_a_view_alone() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    visit.act(InteractionKind::Click, "hot", 110);
    let opened = visit.act(InteractionKind::View, "hot", 111);
    assert_eq!(said(&opened, CHIPS), [line(Kind::ViewDetails, "hot", 1.0)]);
}

#[test]
fn who_reports_clicks_is_told_none_by_an_opened_page() {
    let mut visit = Visit { tells_clicks: true, ..Visit::new(&[(100, CHIPS)]) };
    let opened = visit.act(InteractionKind::View, "fiery", 110);
    assert_eq!(said(&opened, CHIPS), [line(Kind::ViewDetails, "fiery", 1.0)]);
    let reported = visit.act(InteractionKind::Click, "fiery", 111);
    assert_eq!(
        said(&reported, CHIPS),
        [line(Kind::DisplayedButScrolled, "hot", 1.0), line(Kind::ClickProduct, "fiery", 1.0)]
    );
}

#[test]
fn who_reports_what_was_passed_over_is_told_nothing_of_it_by_a_click() {
    let mut visit = Visit { tells_scrolls: true, ..Visit::new(&[(100, CHIPS)]) };
    let click = visit.act(InteractionKind::Click, "original", 110);
    assert_eq!(said(&click, CHIPS), [line(Kind::ClickProduct, "original", 1.0)]);
    let scroll = visit.act(InteractionKind::Scroll, "hot", 111);
    assert_eq!(said(&scroll, CHIPS), [line(Kind::DisplayedButScrolled, "hot", 1.0)]);
}

#[test]
fn a_kind_that_only_its_sender_can_know_is_taken_at_their_word() {
    let mut visit = Visit::new(&[]);
    let mut kind = |kind, at| visit.act(kind, "milk", at).signals[0].kind;
    assert_eq!(kind(InteractionKind::PurchaseOf(Kind::PurchaseBulk), 10), Kind::PurchaseBulk);
    assert_eq!(kind(InteractionKind::PurchaseOf(Kind::PurchaseRepeat), 20), Kind::PurchaseRepeat);
    assert_eq!(kind(InteractionKind::NeverBought, 30), Kind::ViewedNeverBought);
}

#[test]
fn a_purchase_is_a_subscription_a_bulk_a_repeated_or_a_first_one() {
    let mut visit = Visit::new(&[]);
    let purchase = InteractionKind::Purchase { subscription: false };
    let mut kind = |kind, at, quantity| visit.act_on(kind, "milk", at, quantity).signals[0].kind;
    assert_eq!(kind(purchase, 10, 1.0), Kind::PurchaseFirstTime);
    assert_eq!(kind(purchase, 20, 2.0), Kind::PurchaseRepeat);
    assert_eq!(kind(purchase, 30, 9.0), Kind::PurchaseBulk);
    let contract = InteractionKind::Purchase { subscription: true };
    assert_eq!(kind(contract, 40, 9.0), Kind::PurchaseSubscription);
    assert_eq!(kind(purchase, 50, f32::NAN), Kind::PurchaseRepeat);
}

#[test]
fn a_stay_counts_as_the_longest_kind_it_reached() {
    let mut visit = Visit::new(&[]);
    let mut stay = |seconds, at| {
        let derived = visit.act(InteractionKind::Dwell { seconds }, "milk", at);
        derived.signals.first().map(|s| s.kind)
    };
    assert_eq!(stay(9.9, 10), None);
    assert_eq!(stay(10.0, 20), Some(Kind::Dwell10));
    assert_eq!(stay(59.0, 30), Some(Kind::Dwell30));
    assert_eq!(stay(3_600.0, 40), Some(Kind::Dwell60));
    assert_eq!(stay(f32::NAN, 50), None);
}

#[test]
fn a_reported_scroll_counts_once_and_never_against_what_was_picked() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    assert_eq!(visit.act(InteractionKind::Scroll, "hot", 105).signals.len(), 1);
    assert_eq!(visit.act(InteractionKind::Scroll, "hot", 108).signals.len(), 0);
    let click = visit.act(InteractionKind::Click, "fiery", 110);
    assert_eq!(said(&click, CHIPS), [line(Kind::ClickProduct, "fiery", 1.0)]);
    assert_eq!(visit.act(InteractionKind::Scroll, "fiery", 120).signals.len(), 0);
}

const MANY: &[&str] = &["a", "b", "c", "d", "e", "f", "g", "h"];

/// What the signals of a kind weigh together.
fn weight(derived: &Derived, kind: Kind, rules: &Rules) -> f32 {
    let of_kind = derived.signals.iter().filter(|s| s.kind == kind);
    of_kind.map(|s| s.times * rules.signal_weights[kind.index()]).sum()
}

#[test]
fn what_was_passed_over_weighs_at_most_half_a_click_a_list() {
    let mut visit = Visit::new(&[(100, MANY)]);
    let first = visit.act(InteractionKind::Click, "f", 110);
    assert_eq!(first.signals.len(), 6);
    let passed = weight(&first, Kind::DisplayedButScrolled, &visit.rules);
    assert!((passed + 0.1).abs() < 1e-6, "{passed}");
    let second = visit.act(InteractionKind::Click, "h", 120);
    assert_eq!(said(&second, MANY), [line(Kind::ClickProduct, "h", 1.0)]);
    let back = visit.act(InteractionKind::Click, "b", 130);
    let taken = weight(&back, Kind::DisplayedButScrolled, &visit.rules);
    assert!((taken - 0.02).abs() < 1e-6, "{taken}");
    let reported = visit.act(InteractionKind::Scroll, "g", 140);
    let left = weight(&reported, Kind::DisplayedButScrolled, &visit.rules);
    assert!((left + 0.02).abs() < 1e-6, "what was taken back may be said again: {left}");
}

#[test]
fn in_a_list_without_an_order_all_that_was_not_clicked_was_passed_over() {
    let passed = |unordered: bool, natural: bool| {
        let keys = MANY.iter().map(|id| ProductKey::of(id));
        let list = ShownList::new(Timestamp::from_seconds(100), QueryId(1), natural, keys);
        let mut visit = Visit::new(&[]);
        visit.recent.push(list.unordered(unordered));
        let click = visit.act(InteractionKind::Click, "c", 110);
        click.signals.iter().filter(|s| s.kind == Kind::DisplayedButScrolled).count()
    };
    assert_eq!((passed(false, true), passed(true, true)), (2, 7));
    assert_eq!(passed(true, false), 2, "what we ranked has our order");
}

#[test]
fn without_a_weight_for_clicks_nothing_is_passed_over() {
    let mut visit = Visit::new(&[(100, MANY)]);
    visit.rules.signal_weights[Kind::ClickProduct.index()] = 0.0;
    assert_eq!(visit.act(InteractionKind::Click, "f", 110).signals.len(), 1);
    visit.rules.signal_weights[Kind::DisplayedButScrolled.index()] = 0.0;
    assert_eq!(visit.act(InteractionKind::Click, "g", 120).signals.len(), 1);
}

#[test]
fn what_was_bought_is_never_passed_over() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    visit.act(InteractionKind::Purchase { subscription: false }, "hot", 50);
    let click = visit.act(InteractionKind::Click, "original", 110);
    assert_eq!(
        said(&click, CHIPS),
        [line(Kind::DisplayedButScrolled, "fiery", 1.0), line(Kind::ClickProduct, "original", 1.0)]
    );
    assert_eq!(visit.act(InteractionKind::Scroll, "hot", 120).signals, []);
}

#[test]
fn what_was_passed_over_counts_beside_what_was_picked_then_and_now() {
    let mut visit = Visit::new(&[(100, CHIPS)]);
    let reported = visit.act(InteractionKind::Scroll, "salt", 105);
    assert_eq!(reported.counts(&reported.signals[0]), Counts::ProductAlone);
    let click = visit.act(InteractionKind::Click, "fiery", 110);
    let beside = Counts::Beside(ProductKey::of("fiery"));
    assert_eq!(
        click.signals.iter().map(|s| click.counts(s)).collect::<Vec<_>>(),
        [beside, Counts::Fully]
    );
    assert_eq!(click.list.len(), 4);
    let back = visit.act(InteractionKind::Click, "hot", 120);
    assert_eq!((back.signals[0].times, back.counts(&back.signals[0])), (-1.0, beside));
}

#[test]
fn a_bulk_is_many_times_what_this_shopper_usually_takes() {
    let rules = rules_for_tests();
    assert!(is_bulk(4.0, None, &rules) && !is_bulk(3.0, None, &rules));
    assert!(is_bulk(3.0, Some(1.0), &rules) && !is_bulk(2.0, Some(1.0), &rules));
    assert!(!is_bulk(12.0, Some(12.0), &rules) && is_bulk(36.0, Some(12.0), &rules));
    assert!(!is_bulk(f32::NAN, Some(1.0), &rules));
}
