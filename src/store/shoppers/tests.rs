//! The table against a map, its cap, and whom it forgets.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::preferences::events::Shelf;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey};
use crate::types::profile::{FacetMemory, ProductMemory};
use crate::types::signal::{Signal, SignalKind};

fn table(profiles_bytes_max: u64) -> Shoppers {
    Shoppers::new(&config::Store { profiles_bytes_max, ..crate::store::testing::settings() })
}

fn strengthen(table: &Shoppers, key: SubjectKey, evidence: f32) {
    table.learn(key, Timestamp(0), |profile| profile.evidence = evidence);
}

/// Some profile with so many entries.
fn profile(products: usize, facets: usize) -> Profile {
    let products = (0..products).map(|n| {
        let mut memory = ProductMemory::blank(ProductKey(n as u64));
        (0..n % 3).for_each(|day| memory.bought(day as u16, 2));
        memory
    });
    let key = |n| FacetKey::from_parts(Axis::Category, n);
    let facets = (0..facets as u32).map(|n| FacetMemory { key: key(n), sum: 1.0 });
    Profile {
        products: products.collect(),
        facets: facets.collect(),
        evidence: 1.0,
        at: 1_000_000,
        version: 7,
        ..Profile::default()
    }
}

#[test]
fn the_table_stays_under_its_cap_and_the_weak_go_first() {
    let cap = 16 * 256 * 1024;
    let table = table(cap);
    let strong: Vec<_> = (0..64_u128).map(|n| SubjectKey((n << 64) | (1 << 40) | n)).collect();
    strong.iter().for_each(|key| strengthen(&table, *key, 100.0));
    let weak = profile(16, 24);
    let mut kept = 0;
    for number in 0..20_000_u128 {
        let key = SubjectKey((number << 64) | (number + 7));
        table.learn(key, Timestamp(0), |profile| *profile = weak.clone());
        assert!(table.profile(key).is_some(), "who learned just now is kept");
        if number % 100 == 0 {
            assert!(table.bytes() as u64 <= cap, "{} bytes", table.bytes());
            kept = kept.max(table.profiles());
        }
    }
    assert!(kept > 6_000, "{kept} profiles in {cap} bytes");
    assert!(strong.iter().all(|key| table.profile(*key).is_some()));
}

#[test]
fn of_two_with_the_same_evidence_the_older_goes() {
    let table = table(16 * 64 * 1024);
    let key = |n: u128| SubjectKey((n << 68) | n);
    let learn = |n: u128, at: u32| {
        let year = Timestamp::from_seconds(400 * 86_400);
        table.learn(key(n), year, |profile| *profile = Profile { at, ..self::profile(16, 24) });
    };
    (0..20).for_each(|n| learn(n, 399 * 86_400));
    (20..3_000).for_each(|n| learn(n, 0));
    assert!((0..20).all(|n| table.profile(key(n)).is_some()));
}

#[test]
fn a_reader_keeps_the_profile_it_took_while_learning_goes_on() {
    let table = table(1 << 24);
    let key = SubjectKey(1);
    strengthen(&table, key, 1.0);
    let before = table.profile(key).unwrap();
    strengthen(&table, key, 2.0);
    assert_eq!(before.evidence, 1.0);
    assert_eq!(table.profile(key).unwrap().evidence, 2.0);
}

#[test]
fn what_stands_first_in_a_profile_is_what_the_profile_says() {
    let table = table(1 << 24);
    let (known, spread) = (SubjectKey(1), SubjectKey(2 << 64));
    table.learn(known, Timestamp(0), |empty| *empty = profile(3, 3));
    // too long for one record
    table.learn(spread, Timestamp(0), |empty| *empty = profile(1_000, 500));
    for key in [known, spread] {
        let (head, whole) = (table.head(key).unwrap(), table.profile(key).unwrap());
        assert_eq!((head.at, head.evidence, head.version), (whole.at, 1.0, whole.version));
        assert!(!head.is_empty() && !whole.is_empty());
    }
    assert_eq!(table.head(SubjectKey(3)), None);
}

#[test]
fn who_was_only_looked_at_takes_no_room() {
    let table = table(1 << 24);
    table.learn(SubjectKey(1), Timestamp(0), |_| ());
    assert_eq!((table.profiles(), table.bytes()), (0, 0));
}

#[test]
fn two_subjects_known_by_the_same_bits_never_read_each_other() {
    let table = table(1 << 24);
    let (a, b) = (SubjectKey(1 << 72 | 9), SubjectKey(2 << 72 | 9));
    strengthen(&table, a, 1.0);
    assert!(table.profile(b).is_none());
    strengthen(&table, b, 2.0);
    assert_eq!(table.profile(b).unwrap().evidence, 2.0);
    assert!(table.profile(a).is_none());
    assert_eq!(table.profiles(), 1);
}

#[test]
fn a_restored_profile_has_a_version_that_no_reply_named() {
    let table = table(1 << 24);
    let mut bytes = Vec::new();
    packed::pack(&profile(3, 3), &mut bytes);
    assert!(table.restore(SubjectKey(1), &bytes));
    let restored = table.profile(SubjectKey(1)).unwrap();
    assert_eq!(restored.version, 7 + 65_536);
    assert_eq!(restored.products, profile(3, 3).products);
    assert!(!table.restore(SubjectKey(2), &bytes[..20]));
}

fn note(events: &mut Events, at: i64) {
    let (kind, product) = (SignalKind::ClickProduct, ProductKey(7));
    let at = Timestamp::from_seconds(at);
    let signal = Signal { kind, product, at, times: 1.0, quantity: 1 };
    events.note(&signal, 0.2, Shelf::default(), 32);
}

#[test]
fn events_stand_beside_the_profile_and_go_with_it() {
    let table = table(1 << 24);
    let (known, stranger) = (SubjectKey(1), SubjectKey(2 << 64));
    table.learn(known, Timestamp(0), |empty| *empty = profile(3, 3));
    let alone = table.bytes();
    table.teach(known, Timestamp(0), |_, events| (0..40).for_each(|at| note(events, at)));
    assert!(table.bytes() > alone, "they count");
    assert_eq!(table.profiles(), 1);
    let remembered = table.remembered(known).unwrap();
    assert_eq!((remembered.events.len(), remembered.profile), (32, profile(3, 3)));
    table.learn(known, Timestamp(0), |profile| profile.version += 1);
    assert_eq!(table.remembered(known).unwrap().events.len(), 32, "a change leaves them alone");
    let mut frozen = Vec::new();
    for shard in table.freeze() {
        let keep = |_, bytes: &[u8]| {
            frozen.extend_from_slice(bytes);
            Ok::<_, ()>(())
        };
        shard.for_each(keep).unwrap();
    }
    assert!(table.restore(SubjectKey(3), &frozen));
    assert_eq!(table.remembered(SubjectKey(3)).unwrap().events, remembered.events);
    assert_eq!(table.amend(stranger, Timestamp(0), |_, _| ()), None);
    assert_eq!(table.take(known).map(|taken| taken.events), Some(remembered.events));
    assert!(table.remembered(known).is_none());
    table.learn(known, Timestamp(0), |empty| *empty = profile(3, 3));
    assert!(table.remembered(known).unwrap().events.is_empty(), "they went with it");
}

#[test]
fn a_light_profile_with_all_its_events_takes_what_the_documents_say() {
    let table = table(1 << 30);
    let fill = |events_of_each: i64| {
        for number in 0..20_000_u128 {
            let key = SubjectKey((number << 64) | (number * 0x9e37_79b9_7f4a_7c15));
            table.teach(key, Timestamp(0), |profile, events| {
                *profile = self::profile(16, 24);
                (0..events_of_each).for_each(|at| note(events, at));
            });
        }
        table.bytes() / 20_000
    };
    let (alone, with_events) = (fill(0), fill(32));
    println!("{alone} B alone, {with_events} B with 32 events");
    assert!(with_events - alone <= 850, "{alone} {with_events}");
}

#[test]
fn events_count_towards_the_cap() {
    let cap = 16 * 64 * 1024;
    let table = table(cap);
    for number in 0..3_000_u128 {
        let key = SubjectKey((number << 64) | (number + 7));
        table.teach(key, Timestamp(0), |profile, events| {
            *profile = self::profile(2, 2);
            (0..32).for_each(|at| note(events, at));
        });
        assert_eq!(table.remembered(key).map(|known| known.events.len()), Some(32));
        assert!(table.bytes() as u64 <= cap, "{} bytes", table.bytes());
    }
    assert!((100..2_000).contains(&table.profiles()), "{}", table.profiles());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_table_does_what_a_map_does(
        steps in prop::collection::vec((0..4_u8, 0..24_u128, 0..700_usize, 0..60_usize), 1..120),
    ) {
        let (table, mut model) = (table(1 << 28), HashMap::new());
        for (step, subject, products, facets) in steps {
            let key = SubjectKey((subject % 3) << 64 | subject);
            match step {
                0 => {
                    let (taken, expected) = (table.take(key), model.remove(&key));
                    prop_assert_eq!(taken.map(|taken| taken.profile), expected);
                }
                _ => {
                    let new = profile(products, facets);
                    table.learn(key, Timestamp(0), |profile| *profile = new.clone());
                    model.insert(key, new);
                }
            }
            prop_assert_eq!(table.profiles(), model.len());
        }
        for (key, expected) in &model {
            let found = table.profile(*key);
            prop_assert_eq!(found.as_deref(), Some(expected));
        }
        let mut frozen = HashMap::new();
        for shard in table.freeze() {
            let each = |key, bytes: &[u8]| {
                frozen.insert(key, packed::unpack(bytes).unwrap());
                Ok::<_, ()>(())
            };
            shard.for_each(each).unwrap();
        }
        prop_assert_eq!(frozen, model);
    }
}
