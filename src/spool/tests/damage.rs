//! A spool's directory after a crash, a bad disk, and another process: what was accepted before the
//! damage is there, and nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn open(directory: &Path) -> Spool {
    let owned = Spool::own(directory).unwrap();
    let clock = Arc::new(crate::types::clock::SystemClock::default());
    Spool::open(owned, settings(), (&["a"], 0), (metrics(), clock)).unwrap()
}

/// A spool of so many rows, each a group of its own, and its journal without the room behind it.
fn written(rows: u64) -> (tempfile::TempDir, PathBuf, usize) {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    for number in 1..=rows {
        now(spool.accept(vec![row(number, 1)])).unwrap();
    }
    drop(spool);
    let store = directory.path().join("spool/store");
    let journals = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let mut journals: Vec<_> =
        journals.filter(|path| path.extension().is_some_and(|end| end == "jnl")).collect();
    journals.sort();
    let journal = journals.pop().unwrap();
    let bytes = fs::read(&journal).unwrap();
    let length = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::write(&journal, &bytes[..length]).unwrap();
    (directory, journal, length)
}

/// Rows 1, 2, 3 … as far as they are there.
fn beginning(spool: &Spool) -> u64 {
    let found = numbers(&spool.batch("a", 1_000, 1 << 30).unwrap());
    let expected: Vec<u64> = (1..=found.len() as u64).collect();
    assert_eq!(found, expected, "no row is missing before the last one");
    found.len() as u64
}

/// A chance that is the same each time.
fn turns(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |x| {
        Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|x| x >> 33)
}

#[test]
fn a_torn_end_costs_at_most_the_rows_that_it_tears() {
    const ROWS: u64 = 12;
    let (directory, journal, length) = written(ROWS);
    let whole = fs::read(&journal).unwrap();
    let row_bytes = length as u64 / ROWS;
    for torn in (1..40).chain([100, 333, 700, 1_500, length - 200]) {
        fs::write(&journal, &whole[..length - torn]).unwrap();
        let spool = open(directory.path());
        let kept = beginning(&spool);
        let lost_most = torn as u64 / (row_bytes / 2) + 1;
        assert!(kept + lost_most >= ROWS.min(kept + lost_most) && kept < ROWS, "{torn}: {kept}");
        assert!(ROWS - kept <= lost_most, "{torn} bytes cost {} rows", ROWS - kept);
        now(spool.accept(vec![row(kept + 1, 1)])).unwrap();
        drop(spool);
        assert_eq!(beginning(&open(directory.path())), kept + 1, "what came after is kept too");
    }
}

#[test]
fn a_flipped_bit_keeps_what_was_accepted_before_it_and_panics_nowhere() {
    const ROWS: u64 = 12;
    let (directory, journal, length) = written(ROWS);
    let whole = fs::read(&journal).unwrap();
    for (turn, chance) in turns(7).take(40).enumerate() {
        let at = chance as usize % length;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (turn % 8);
        fs::write(&journal, &bytes).unwrap();
        let spool = open(directory.path());
        let kept = beginning(&spool);
        // The maps are made in the first group; each row after that takes about the same.
        let before = (at as u64 * ROWS / length as u64).saturating_sub(2);
        assert!(
            kept >= before,
            "bit at {at} of {length}: {kept} rows are left, {before} stood before"
        );
        now(spool.accept(vec![row(kept + 1, 1)])).unwrap();
    }
}

#[test]
fn a_store_of_which_nothing_can_be_read_is_set_aside_and_a_new_one_begun() {
    let (directory, _, _) = written(3);
    let store = directory.path().join("spool/store");
    for entry in fs::read_dir(&store).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::write(&path, b"not what was here").unwrap();
        }
    }
    let spool = open(directory.path());
    assert_eq!(beginning(&spool), 0);
    now(spool.accept(vec![row(1, 1)])).unwrap();
    assert!(directory.path().join("spool/damaged").is_dir(), "for whoever wants to look");
}

#[test]
fn a_second_process_is_told_who_owns_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let error = Spool::own(directory.path()).unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&format!("process {} owns it", std::process::id())), "{said}");
    assert!(matches!(error, OpenError::Taken { .. }));
    drop(spool);
    open(directory.path());
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_with_its_name() {
    let said = Spool::own(Path::new("/proc/leafrank-cannot-be")).unwrap_err().to_string();
    assert!(said.contains("/proc/leafrank-cannot-be/spool"), "{said}");
}
