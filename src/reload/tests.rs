//! Real files, real watches, the machine's clock.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::config::RulesFile;
use crate::types::clock::SystemClock;

struct Shop {
    directory: TempDir,
}

impl Shop {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn rules(&self) -> PathBuf {
        self.at("etc/rules.yaml")
    }

    fn with(text: &str) -> Self {
        let shop = Self::new();
        fs::create_dir(shop.at("etc")).unwrap();
        fs::write(shop.rules(), text).unwrap();
        shop
    }

    fn files(&self) -> RulesFile {
        RulesFile::alone(self.rules())
    }

    fn start(&self) -> (Arc<RulesTable>, Reloader) {
        Reloader::start(&self.files(), &self.at("state"), Arc::new(SystemClock::default()))
    }
}

fn impact(percent: u32) -> String {
    format!("ranking: {{impact: {percent}}}\n")
}

/// Waits until `done`, and gives how long that took; five seconds are the poll, so less is asked.
fn within_a_second(table: &RulesTable, done: impl Fn(&ReloadStatus) -> bool) -> Duration {
    let start = Instant::now();
    while !done(&table.status()) {
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", table.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

fn has_impact(table: &RulesTable, percent: u32) -> bool {
    (table.load().ranking.impact - percent as f32 / 100.0).abs() < 1e-6
}

#[test]
fn an_edit_in_place_is_live_within_a_second() {
    let shop = Shop::with(&impact(10));
    let (table, _reloader) = shop.start();
    assert!(has_impact(&table, 10));
    fs::write(shop.rules(), impact(20)).unwrap();
    let took = within_a_second(&table, |_| has_impact(&table, 20));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let status = table.status();
    assert_eq!((status.generation, status.source), (2, RulesSource::File));
    assert_eq!(status.version, table.load().version);
}

#[test]
fn three_config_map_swaps_arrive_each_within_a_second() {
    let shop = Shop::new();
    let mount = shop.at("etc");
    fs::create_dir(&mount).unwrap();
    // As the kubelet does it: a new directory, a new link beside `..data`, a rename over it.
    let publish = |number: u32| {
        let new = format!("..2026_{number}");
        fs::create_dir(mount.join(&new)).unwrap();
        fs::write(mount.join(&new).join("rules.yaml"), impact(number)).unwrap();
        symlink(&new, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        if number > 1 {
            fs::remove_dir_all(mount.join(format!("..2026_{}", number - 1))).unwrap();
        }
    };
    publish(1);
    symlink("..data/rules.yaml", shop.rules()).unwrap();
    let (table, _reloader) = shop.start();
    for number in 2..=4 {
        publish(number);
        within_a_second(&table, |_| has_impact(&table, number));
    }
    assert!(table.status().generation >= 4);
}

#[test]
fn an_editor_that_saves_by_renaming_is_seen() {
    let shop = Shop::with(&impact(10));
    let (table, _reloader) = shop.start();
    for percent in [20, 30] {
        fs::rename(shop.rules(), shop.at("etc/rules.yaml~")).unwrap();
        fs::write(shop.at("etc/.rules.yaml.swp"), impact(percent)).unwrap();
        fs::rename(shop.at("etc/.rules.yaml.swp"), shop.rules()).unwrap();
        within_a_second(&table, |_| has_impact(&table, percent));
    }
    assert_eq!(table.status().rejected_total, 0);
}

/// A save in place empties the file first, and an empty file is a valid one: every key left out.
#[test]
fn a_slow_save_is_not_taken_for_an_empty_or_a_deleted_file() {
    let shop = Shop::with(&impact(10));
    let (table, _reloader) = shop.start();
    let pause = || std::thread::sleep(Duration::from_millis(150));
    fs::write(shop.rules(), "").unwrap();
    pause();
    fs::write(shop.rules(), impact(20)).unwrap();
    within_a_second(&table, |_| has_impact(&table, 20));
    fs::remove_file(shop.rules()).unwrap();
    pause();
    fs::write(shop.rules(), impact(30)).unwrap();
    within_a_second(&table, |_| has_impact(&table, 30));
    let status = table.status();
    assert_eq!((status.generation, status.rejected_total), (3, 0));
}

#[test]
fn a_bad_edit_keeps_the_last_good_rules_says_why_and_is_forgotten_when_it_is_mended() {
    let shop = Shop::with(&impact(10));
    let (table, _reloader) = shop.start();
    let (report, reports) = mpsc::channel();
    table.on_change(move |status| report.send(status.clone()).unwrap());
    fs::write(shop.rules(), "ranking:\n  impakt: 20\n  window_size: many\n").unwrap();
    within_a_second(&table, |status| status.last_error.is_some());
    assert!(has_impact(&table, 10));
    let status = table.status();
    let problems = status.last_error.clone().unwrap();
    let lines: Vec<(u32, &str)> = problems.iter().map(|p| (p.line, p.key.as_str())).collect();
    assert_eq!(lines, [(2, "ranking.impakt"), (3, "ranking.window_size")]);
    assert_eq!(problems[0].suggestion.as_deref(), Some("impact"));
    assert_eq!((status.generation, status.rejected_total, status.degraded), (1, 1, None));
    assert_eq!(reports.recv_timeout(Duration::from_secs(1)).unwrap(), *status);

    fs::write(shop.rules(), impact(30)).unwrap();
    within_a_second(&table, |status| status.last_error.is_none());
    assert!(has_impact(&table, 30));
}

#[test]
fn a_deleted_file_keeps_the_rules_in_force() {
    let shop = Shop::with(&impact(10));
    let (table, _reloader) = shop.start();
    fs::remove_file(shop.rules()).unwrap();
    within_a_second(&table, |status| status.last_error.is_some());
    assert!(has_impact(&table, 10) && table.load().enabled);
}

#[test]
fn a_start_with_a_bad_file_uses_the_last_good_copy_until_the_file_is_mended() {
    let shop = Shop::with(&impact(10));
    drop(shop.start());
    fs::write(shop.rules(), "ranking: [").unwrap();
    let (table, _reloader) = shop.start();
    let status = table.status();
    assert!(has_impact(&table, 10));
    assert_eq!(status.degraded, Some(Degraded::LastGoodCopy));
    assert_eq!(status.source, RulesSource::LastGoodCopy);
    assert!(status.last_error.as_ref().is_some_and(|problems| problems[0].line == 1));
    fs::write(shop.rules(), impact(40)).unwrap();
    within_a_second(&table, |status| status.degraded.is_none() && status.last_error.is_none());
    assert!(has_impact(&table, 40));
}

#[test]
fn a_start_with_nothing_runs_degraded_ranks_nothing_and_recovers_when_the_directory_comes() {
    let shop = Shop::new();
    let (table, reloader) = shop.start();
    assert_eq!(table.status().degraded, Some(Degraded::NoRules));
    assert!(!table.load().enabled);
    fs::create_dir(shop.at("etc")).unwrap();
    fs::write(shop.rules(), impact(10)).unwrap();
    reloader.look();
    within_a_second(&table, |status| status.degraded.is_none());
    assert!(table.load().enabled);
}

#[test]
fn a_path_that_nobody_named_may_be_missing_and_serves_once_it_is_there() {
    let shop = Shop::new();
    fs::create_dir(shop.at("etc")).unwrap();
    let files = RulesFile { may_be_missing: true, ..shop.files() };
    let clock = Arc::new(SystemClock::default());
    let (table, _reloader) = Reloader::start(&files, &shop.at("state"), clock);
    assert_eq!((table.status().source, table.status().degraded), (RulesSource::Shipped, None));
    fs::write(shop.rules(), impact(10)).unwrap();
    within_a_second(&table, |status| status.source == RulesSource::File);
    fs::remove_file(shop.rules()).unwrap();
    within_a_second(&table, |status| status.last_error.is_some());
    assert!(has_impact(&table, 10));
}

#[test]
fn a_data_directory_that_cannot_be_written_stops_nothing() {
    let shop = Shop::with(&impact(10));
    fs::write(shop.at("state"), "a file where a directory should be").unwrap();
    let (table, _reloader) = shop.start();
    assert!(has_impact(&table, 10));
    fs::write(shop.rules(), impact(20)).unwrap();
    within_a_second(&table, |_| has_impact(&table, 20));
}

#[test]
fn knowledge_tables_are_read_with_the_rules_and_refused_with_them() {
    let shop = Shop::with(&impact(10));
    let tables = shop.at("knowledge");
    fs::create_dir(&tables).unwrap();
    let files = RulesFile { knowledge_dir: Some(tables.clone()), ..shop.files() };
    let read = files::Content::read(&files).unwrap();
    fs::write(tables.join("not-a-table.txt"), "x").unwrap();
    assert_eq!(files::Content::read(&files).unwrap().hash(), read.hash());
    fs::write(tables.join("query_terms.yaml"), "").unwrap();
    let version = check(&files).unwrap().version;
    fs::write(tables.join("query_terms.yaml"), "# other\n").unwrap();
    assert_ne!(check(&files).unwrap().version, version);
    fs::write(tables.join("query_terms.yaml"), [0xff, 0xfe]).unwrap();
    let problems = check(&files).unwrap_err();
    assert!(problems[0].file.ends_with("query_terms.yaml"), "{problems:?}");
}

#[test]
fn a_hundred_quick_swaps_end_with_the_last_and_readers_always_see_a_whole_table() {
    let shop = Shop::with(&impact(0));
    let (table, _reloader) = shop.start();
    let loads = Arc::new(AtomicU64::new(0));
    let reader = {
        let (table, loads) = (Arc::clone(&table), Arc::clone(&loads));
        std::thread::spawn(move || {
            while !has_impact(&table, 100) {
                let rules = table.load();
                assert!(rules.enabled && rules.version.len() == 8);
                loads.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for percent in 1..=100 {
        let new = shop.at("etc/new");
        fs::write(&new, impact(percent)).unwrap();
        fs::rename(&new, shop.rules()).unwrap();
    }
    within_a_second(&table, |_| has_impact(&table, 100));
    reader.join().unwrap();
    assert_eq!(table.status().rejected_total, 0);
    assert!(loads.load(Ordering::Relaxed) > 0);
}

#[test]
fn the_copy_is_whole_and_the_same_as_the_file() {
    let shop = Shop::with(&impact(10));
    let (_table, _reloader) = shop.start();
    let copy = shop.at("state").join(LAST_GOOD_FILE);
    assert_eq!(fs::read_to_string(&copy).unwrap(), impact(10));
    assert!(!Path::new(&format!("{}.new", copy.display())).exists());
}
