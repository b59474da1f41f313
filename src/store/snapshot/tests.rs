//! A snapshot against its store: there and back, torn, foreign, of another version.

use super::*;
use crate::preferences::learn::{Caps, apply};
use crate::preferences::testing::{facts, rules_for_tests};
use crate::store::testing::settings;
use crate::types::clock::Timestamp;
use crate::types::ids::{Subject, UserId};
use crate::types::profile::Profile;
use crate::types::signal::{Signal, SignalKind};

const CAPS: Caps = Caps { products: 1_024, facets: 512, prices: 64 };

fn store() -> Arc<Store> {
    Arc::new(Store::new(&settings()))
}

fn key(name: &str) -> SubjectKey {
    Subject::User(UserId::parse(name).unwrap()).key()
}

/// Buys oat milk.
fn teach(store: &Store, name: &str) {
    let rules = rules_for_tests();
    let oat = facts("oat", "Oat Milk", "dairy/milk", &["plant-based"]);
    let at = Timestamp::from_seconds(1_700_000_000);
    let kind = SignalKind::PurchaseFirstTime;
    let signal = Signal { kind, product: oat.key, at, times: 1.0, quantity: 3 };
    store.shoppers.learn(key(name), at, |profile| {
        apply(profile, &signal, Some(&oat), &rules, CAPS);
    });
    store.population.write().record_evidence(&oat, 0.8, true);
}

/// A store that learned of a few people, in a directory.
fn written() -> (tempfile::TempDir, Arc<Store>) {
    let (directory, store) = (tempfile::tempdir().unwrap(), store());
    ["ann@example.com", "ben", "cem"].iter().for_each(|name| teach(&store, name));
    Snapshots::new(directory.path(), store.clone()).write().unwrap();
    (directory, store)
}

fn restored(directory: &Path) -> (Found, Arc<Store>) {
    let store = store();
    (Snapshots::new(directory, store.clone()).restore(), store)
}

fn content(profile: &Profile) -> Profile {
    Profile { version: 0, ..profile.clone() }
}

fn rewrite(directory: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = directory.join(SNAPSHOT_FILE);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Nobody is known, and the file has its other name.
fn is_set_aside(directory: &Path) -> Broken {
    let (found, store) = restored(directory);
    assert_eq!(store.shoppers.profiles(), 0);
    assert_eq!(store.population.read().base_rate(facts("o", "x", "dairy", &[]).facets[0]), 0.0);
    assert!(!directory.join(SNAPSHOT_FILE).exists() && directory.join(SET_ASIDE_FILE).exists());
    match found {
        Found::SetAside(broken) => broken,
        found => panic!("{found:?}"),
    }
}

#[test]
fn what_was_learned_is_known_again_after_a_restart() {
    let (directory, before) = written();
    let (found, after) = restored(directory.path());
    assert!(matches!(found, Found::Restored), "{found:?}");
    assert_eq!(after.shoppers.profiles(), 3);
    let profile = |store: &Store| content(&store.shoppers.profile(key("ben")).unwrap());
    assert_eq!(profile(&after), profile(&before));
    assert_eq!(profile(&after).products[0].usual_quantity(), Some(3));
    let dairy = facts("o", "x", "dairy", &[]).facets[0];
    let rate = |store: &Store| store.population.read().base_rate(dairy);
    assert!(rate(&after) > 0.0 && rate(&after) == rate(&before));
}

#[test]
fn the_file_holds_no_name_and_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, _) = written();
    let path = directory.path().join(SNAPSHOT_FILE);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 200);
    assert!(!bytes.windows(3).any(|window| window == b"ann"));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_first_start_finds_nothing_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(restored(directory.path()).0, Found::Nothing));
    assert!(matches!(restored(&directory.path().join("not/there")).0, Found::Nothing));
}

#[test]
fn a_file_cut_anywhere_is_set_aside_and_nobody_is_known() {
    let (directory, _) = written();
    let whole = fs::read(directory.path().join(SNAPSHOT_FILE)).unwrap();
    for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        fs::write(directory.path().join(SNAPSHOT_FILE), &whole[..length]).unwrap();
        let broken = is_set_aside(directory.path());
        assert!(matches!(broken, Broken::Torn(_) | Broken::Foreign), "{length}: {broken}");
    }
}

#[test]
fn one_wrong_bit_anywhere_is_noticed() {
    let (directory, _) = written();
    let whole = fs::read(directory.path().join(SNAPSHOT_FILE)).unwrap();
    for at in 0..whole.len() {
        let mut wrong = whole.clone();
        wrong[at] ^= 1 << (at % 8);
        fs::write(directory.path().join(SNAPSHOT_FILE), wrong).unwrap();
        is_set_aside(directory.path());
    }
}

#[test]
fn a_foreign_file_and_one_of_a_later_format_are_set_aside_with_their_reason() {
    let (directory, _) = written();
    rewrite(directory.path(), |bytes| bytes[8] = 2);
    let broken = is_set_aside(directory.path()).to_string();
    assert!(broken.contains("format is 2") && broken.contains("start the version"), "{broken}");
    fs::write(directory.path().join(SNAPSHOT_FILE), "something else entirely").unwrap();
    assert!(matches!(is_set_aside(directory.path()), Broken::Foreign));
}

/// As the version after this one may write: its own section first, and more behind a profile.
#[test]
fn the_snapshot_of_a_later_version_that_only_added_things_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (_old, before) = written();
    let mut to = Writer::begin(Vec::new()).unwrap();
    to.tag(*b"NEW!");
    to.section(b"what this version does not know").unwrap();
    to.tag(*b"PROF");
    let mut rows = Vec::new();
    for frozen in before.shoppers.freeze() {
        let each = |key: SubjectKey, profile: &[u8]| {
            let longer = [profile, b"a field more"].concat();
            rows.extend(key.0.to_le_bytes());
            rows.extend((longer.len() as u32).to_le_bytes());
            rows.extend(longer);
            io::Result::Ok(())
        };
        frozen.for_each(each).unwrap();
    }
    to.section(&rows).unwrap();
    fs::write(directory.path().join(SNAPSHOT_FILE), to.end().unwrap().0).unwrap();
    let (found, after) = restored(directory.path());
    assert!(matches!(found, Found::Restored), "{found:?}");
    let profile = |store: &Store| content(&store.shoppers.profile(key("cem")).unwrap());
    assert_eq!(profile(&after), profile(&before));
}

#[test]
fn nothing_is_written_while_nothing_is_learned() {
    let (directory, store) = (tempfile::tempdir().unwrap(), store());
    let snapshots = Snapshots::new(directory.path(), store.clone());
    teach(&store, "ann");
    assert!(snapshots.write_if_changed().unwrap().is_some());
    assert!(snapshots.write_if_changed().unwrap().is_none());
    store.shoppers.take(key("ann"));
    assert!(snapshots.write_if_changed().unwrap().is_some(), "who is erased leaves the file");
    assert_eq!(restored(directory.path()).1.shoppers.profiles(), 0);
}

#[test]
fn a_file_half_written_by_a_crash_is_not_taken_for_the_snapshot() {
    let (directory, _) = written();
    fs::write(directory.path().join(format!("{SNAPSHOT_FILE}.new")), "half").unwrap();
    let (found, store) = restored(directory.path());
    assert!(matches!(found, Found::Restored));
    Snapshots::new(directory.path(), store).write().unwrap();
    assert_eq!(restored(directory.path()).1.shoppers.profiles(), 3);
}

#[test]
fn shoppers_learn_while_a_snapshot_is_written_and_each_profile_in_it_is_whole() {
    let (directory, store) = (tempfile::tempdir().unwrap(), store());
    (0..400).for_each(|n| teach(&store, &n.to_string()));
    let snapshots = Snapshots::new(directory.path(), store.clone());
    std::thread::scope(|scope| {
        let learning =
            scope.spawn(|| (0..4_000).for_each(|n| teach(&store, &(n % 600).to_string())));
        while !learning.is_finished() {
            snapshots.write().unwrap();
            let (found, after) = restored(directory.path());
            assert!(matches!(found, Found::Restored), "{found:?}");
            assert!(after.shoppers.profiles() >= 400);
            let profile = after.shoppers.profile(key("0")).unwrap();
            let count = f32::from(profile.products[0].purchases);
            assert!((profile.evidence / 0.8 / count - 1.0).abs() < 0.02, "{profile:?}");
        }
    });
}
