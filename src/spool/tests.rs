//! The spool against a model, over a store in memory that can be full, and over the disk.

mod damage;
mod model;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::types::clock::ManualClock;
use crate::types::event::column::{Micros, RawJson};
use crate::types::event::{Action, Body};

type Maps = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

/// A store in memory; what it holds outlives the spool over it.
#[derive(Clone, Default)]
pub(super) struct Shelf {
    maps: Arc<Mutex<Maps>>,
    /// It takes nothing.
    pub(super) full: Arc<AtomicBool>,
    pub(super) writes: Arc<AtomicUsize>,
}

impl Store for Shelf {
    fn write(&self, changes: Vec<Change>, sync: bool) -> io::Result<()> {
        if self.full.load(Ordering::Acquire) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.writes.fetch_add(usize::from(sync), Ordering::AcqRel);
        let mut maps = self.maps.lock();
        for change in changes {
            match change {
                Change::Put(space, key, value) => drop(maps.insert((space, key), value)),
                Change::Delete(space, key) => drop(maps.remove(&(space, key))),
            }
        }
        Ok(())
    }

    fn get(&self, space: Space, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.maps.lock().get(&(space, key.to_vec())).cloned())
    }

    fn end(&self, space: Space, last: bool) -> io::Result<Option<Pair>> {
        let maps = self.maps.lock();
        let mut own = maps.iter().filter(|((of, _), _)| *of == space);
        let pair = if last { own.next_back() } else { own.next() };
        Ok(pair.map(|((_, key), value)| (key.clone(), value.clone())))
    }

    fn from(
        &self,
        space: Space,
        key: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> io::Result<()> {
        let maps = self.maps.lock();
        for ((of, key), value) in maps.range((space, key.to_vec())..) {
            if *of != space || !take(key, value) {
                break;
            }
        }
        Ok(())
    }
}

pub(super) fn settings() -> config::Spool {
    config::Spool {
        group: Duration::from_millis(1),
        bytes_max: 1 << 30,
        queue_bytes_max: 1 << 24,
        row_bytes_max: 4_096,
        batch: Duration::from_secs(60),
        batch_rows_max: 1_000,
        keep_days: 0,
        events_bytes_max: 0,
    }
}

pub(super) fn row(number: u64, subject: u128) -> Row {
    sized(number, subject, 0)
}

/// A row with so many bytes of what its sender said.
pub(super) fn sized(number: u64, subject: u128, bytes: usize) -> Row {
    let action = Action {
        event_id: EventId::new(Timestamp(1_800_000_000_000), &[0; 10]),
        event_timestamp: Micros(1_800_000_000_000_000),
        event_type: "click".into(),
        user_id: format!("u{subject}"),
        session_id: String::new(),
        product_id: Some(number.to_string()),
        product_category: None,
        product_attributes: None,
        interaction_strength: None,
        interaction_context: None,
        search_query: None,
        search_results_shown: None,
        result_position: None,
        raw_event_data: (bytes > 0).then(|| RawJson::of(&"x".repeat(bytes))),
    };
    Row { subject: SubjectKey(subject), body: Body::Action(Box::new(action)) }
}

/// The numbers in a batch's rows.
pub(super) fn numbers(batch: &Batch) -> Vec<u64> {
    let number = |record: &Record| {
        let row: serde_json::Value = serde_json::from_slice(&record.row).ok()?;
        row["product_id"].as_str()?.parse().ok()
    };
    batch.records.iter().filter_map(number).collect()
}

pub(super) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

fn opened(shelf: &Shelf, settings: config::Spool) -> Spool {
    let clock = Arc::new(crate::types::clock::SystemClock::default());
    timed(shelf, settings, clock)
}

fn timed(shelf: &Shelf, settings: config::Spool, clock: Arc<dyn Clock>) -> Spool {
    let shelf = shelf.clone();
    let opener: Opener = Box::new(move || Ok(Box::new(shelf.clone())));
    Spool::over(opener, settings, (&["a"], 0), (metrics(), clock)).unwrap()
}

pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn dropped(spool: &Spool, reason: &str) -> u64 {
    spool.shared.metrics.spool_dropped.with_label_values(&[reason]).get()
}

#[test]
fn what_was_accepted_is_on_the_disk_and_what_was_offered_before_it_too() {
    let shelf = Shelf::default();
    let spool = opened(&shelf, settings());
    spool.offer(row(1, 1));
    now(spool.accept(vec![row(2, 1), row(3, 1)])).unwrap();
    let again = opened(&shelf, settings());
    assert_eq!(numbers(&again.batch("a", 10, 1 << 20).unwrap()), [1, 2, 3]);
}

#[test]
fn rows_that_come_together_are_one_write() {
    let shelf = Shelf::default();
    let every = Duration::from_millis(50);
    let spool = opened(&shelf, config::Spool { group: every, ..settings() });
    for number in 0..1_000 {
        spool.offer(row(number, 1));
    }
    now(spool.accept(Vec::new())).unwrap();
    assert_eq!(*spool.shared.last.lock(), 1_000);
    let writes = shelf.writes.load(Ordering::Acquire);
    assert!(writes <= 3, "{writes} writes");
}

#[test]
fn a_sink_gets_every_row_in_order_and_what_it_has_is_deleted() {
    let shelf = Shelf::default();
    let spool = opened(&shelf, settings());
    now(spool.accept((1..=10).map(|number| row(number, 1)).collect())).unwrap();
    let bytes = spool.shared.bytes();
    let batch = spool.batch("a", 4, 1 << 20).unwrap();
    assert_eq!((numbers(&batch), batch.first, batch.last), (vec![1, 2, 3, 4], 1, 4));
    assert!(batch.is_full);
    assert_eq!(numbers(&spool.batch("a", 4, 1 << 20).unwrap()), [1, 2, 3, 4], "until it says so");
    spool.ack("a", batch.last, &[]).unwrap();
    assert_eq!(numbers(&spool.batch("a", 100, 1 << 20).unwrap()), [5, 6, 7, 8, 9, 10]);
    let left = spool.shared.bytes();
    assert!(left < bytes * 7 / 10 && left > bytes / 2, "{left} of {bytes}");
    let records = shelf.maps.lock().keys().filter(|(space, _)| *space == Space::Log).count();
    assert_eq!(records, 6);
    let again = opened(&shelf, settings());
    assert_eq!(again.shared.bytes(), left, "known after a restart too");
    again.ack("a", 10, &[]).unwrap();
    assert_eq!(again.shared.bytes(), 0);
    now(again.accept(vec![row(11, 1)])).unwrap();
    let third = opened(&shelf, settings());
    assert_eq!(third.batch("a", 10, 1 << 20).unwrap().last, 11, "numbers go on");
}

#[test]
fn a_full_log_keeps_its_last_tenth_for_rows_that_somebody_waits_for() {
    let spool = opened(&Shelf::default(), config::Spool { bytes_max: 1 << 20, ..settings() });
    for number in 0..600 {
        spool.offer(sized(number, 1, 2_000));
    }
    now(spool.accept(Vec::new())).unwrap();
    assert!(dropped(&spool, "spool_full") > 50, "{}", dropped(&spool, "spool_full"));
    spool.ready().unwrap();
    while spool.ready().is_ok() {
        now(spool.accept(vec![sized(1, 1, 3_000)])).unwrap();
    }
    assert_eq!(spool.ready(), Err(Refused::Full));
    let last = spool.batch("a", 1 << 20, 1 << 30).unwrap().last;
    spool.ack("a", last, &[]).unwrap();
    assert_eq!(spool.ready(), Ok(()), "there is room when the sink has its rows");
}

#[test]
fn a_queue_that_is_full_drops_what_nobody_waits_for() {
    let shelf = Shelf::default();
    let spool = opened(&shelf, config::Spool { queue_bytes_max: 2_000, ..settings() });
    let maps = shelf.maps.lock();
    for number in 0..100 {
        spool.offer(row(number, 1));
    }
    drop(maps);
    now(spool.accept(vec![row(100, 1)])).unwrap();
    let kept = numbers(&spool.batch("a", 1_000, 1 << 20).unwrap()).len() as u64;
    assert_eq!(kept + dropped(&spool, "queue_full"), 101);
    assert!(dropped(&spool, "queue_full") >= 50, "{kept} were kept");
}

#[test]
fn an_oversized_row_is_refused_with_both_numbers_and_costs_no_other() {
    let spool = opened(&Shelf::default(), settings());
    spool.offer(sized(1, 1, 10_000));
    let refused = now(spool.accept(vec![row(2, 1), sized(3, 1, 10_000)])).unwrap_err();
    assert!(
        refused.to_string().contains("expected at most 4096 (spool.row_bytes_max)"),
        "{refused}"
    );
    now(spool.accept(vec![row(4, 1)])).unwrap();
    assert_eq!(numbers(&spool.batch("a", 10, 1 << 20).unwrap()), [4]);
    assert_eq!(dropped(&spool, "oversized"), 3);
}

#[test]
fn a_disk_that_is_full_refuses_and_what_it_refused_is_written_when_it_takes_rows_again() {
    let shelf = Shelf::default();
    let spool = opened(&shelf, settings());
    now(spool.accept(vec![row(1, 1)])).unwrap();
    shelf.full.store(true, Ordering::Release);
    let refused = now(spool.accept(vec![row(2, 1)])).unwrap_err();
    assert!(matches!(refused, Refused::Broken(_)), "{refused}");
    assert!(spool.ready().is_err());
    spool.offer(row(3, 1));
    assert_eq!(dropped(&spool, "spool_broken"), 1);
    assert!(now(spool.accept(vec![row(4, 1)])).is_err());
    shelf.full.store(false, Ordering::Release);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while spool.ready().is_err() {
        assert!(std::time::Instant::now() < deadline, "it is written again");
        std::thread::yield_now();
    }
    now(spool.accept(vec![row(5, 1)])).unwrap();
    assert_eq!(numbers(&spool.batch("a", 10, 1 << 20).unwrap()), [1, 2, 4, 5]);
}

#[test]
fn of_a_forgotten_subject_nothing_is_handed_out_that_came_before() {
    let shelf = Shelf::default();
    let spool = opened(&shelf, settings());
    now(spool.accept(vec![row(1, 7), row(2, 8), row(3, 7)])).unwrap();
    spool.ack("a", 1, &[(1, "poison".into())]).unwrap();
    spool.erase(SubjectKey(7));
    now(spool.accept(vec![row(4, 7)])).unwrap();
    let again = opened(&shelf, settings());
    let batch = again.batch("a", 10, 1 << 20).unwrap();
    assert_eq!(numbers(&batch), [2, 4]);
    assert!(batch.records.iter().any(|record| record.kind == Kind::Erasure), "sinks hear of it");
    assert_eq!(again.dead(None, 10).unwrap(), [], "dead letters go too");
    again.ack("a", batch.last, &[]).unwrap();
    assert!(again.shared.erased.read().is_empty(), "nothing is left to be held back");
}

#[test]
fn a_dead_letter_is_listed_sent_again_and_dropped() {
    let spool = opened(&Shelf::default(), settings());
    now(spool.accept(vec![row(1, 1), row(2, 1)])).unwrap();
    spool.ack("a", 2, &[(1, "no such column".into()), (2, "too old".into())]).unwrap();
    let dead = spool.dead(Some("a"), 10).unwrap();
    let told: Vec<_> = dead.iter().map(|letter| (letter.seq, letter.reason.as_str())).collect();
    assert_eq!(told, [(1, "no such column"), (2, "too old")]);
    assert_eq!(dead[0].row.as_ref().unwrap()["product_id"], "1");
    assert!(spool.retried("a", 10).unwrap().is_empty());
    assert_eq!(spool.settle_dead(Some(&[1]), true).unwrap(), 1);
    assert_eq!(spool.retried("a", 10).unwrap()[0].seq, 1);
    spool.retried_once("a", 1, Some("still")).unwrap();
    assert!(spool.retried("a", 10).unwrap().is_empty());
    assert_eq!(spool.dead(None, 10).unwrap()[0].reason, "still");
    spool.settle_dead(Some(&[1]), true).unwrap();
    spool.retried_once("a", 1, None).unwrap();
    assert_eq!(spool.settle_dead(None, false).unwrap(), 1);
    assert_eq!(spool.dead(None, 10).unwrap(), []);
}

#[test]
fn a_record_of_a_later_version_is_set_apart_and_does_not_stop_the_others() {
    let shelf = Shelf::default();
    let spool = opened(&shelf, settings());
    now(spool.accept(vec![row(1, 1), row(2, 1)])).unwrap();
    shelf.maps.lock().get_mut(&(Space::Log, record::key(1))).unwrap()[0] = 9;
    let batch = spool.batch("a", 10, 1 << 20).unwrap();
    assert_eq!(numbers(&batch), [2]);
    assert!(batch.unreadable[0].1.contains("later version"));
}

#[test]
fn a_sink_that_is_gone_holds_nothing_back() {
    let shelf = Shelf::default();
    shelf.write(vec![Change::Put(Space::Cursors, b"gone".to_vec(), record::key(0))], true).unwrap();
    let spool = opened(&shelf, settings());
    assert!(shelf.get(Space::Cursors, b"gone").unwrap().is_none());
    now(spool.accept(vec![row(1, 1)])).unwrap();
    spool.ack("a", 1, &[]).unwrap();
    assert_eq!(spool.shared.bytes(), 0);
}

#[test]
fn the_age_of_the_oldest_row_is_told_and_a_clock_that_jumps_back_makes_it_no_less_than_nothing() {
    let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
    let spool = timed(&Shelf::default(), settings(), clock.clone());
    let age = || spool.status().unwrap().oldest_unsent_seconds;
    assert_eq!(age(), 0.0);
    now(spool.accept(vec![row(1, 1)])).unwrap();
    clock.advance(Duration::from_secs(90));
    assert_eq!(age(), 90.0);
    spool.ack("a", 1, &[]).unwrap();
    assert_eq!(age(), 0.0);
    now(spool.accept(vec![row(2, 1)])).unwrap();
    let before = Arc::new(ManualClock::at(Timestamp(5)));
    let shelf = Shelf::default();
    let late = timed(&shelf, settings(), clock);
    now(late.accept(vec![row(3, 1)])).unwrap();
    let early = timed(&shelf, settings(), before);
    assert_eq!(early.status().unwrap().oldest_unsent_seconds, 0.0);
    now(early.accept(vec![row(4, 1)])).unwrap();
    assert_eq!(numbers(&early.batch("a", 10, 1 << 20).unwrap()), [3, 4], "order is by number");
}

#[test]
fn whoever_follows_hears_new_rows_and_too_many_are_turned_away() {
    let spool = opened(&Shelf::default(), settings());
    let mut follows = spool.follow().unwrap();
    now(spool.accept(vec![row(1, 1)])).unwrap();
    let line: serde_json::Value = serde_json::from_str(&now(follows.recv()).unwrap()).unwrap();
    assert_eq!(line["table"], "raw_user_actions");
    assert_eq!((&line["seq"], &line["row"]["product_id"]), (&1.into(), &"1".into()));
    let others: Vec<_> = std::iter::from_fn(|| spool.follow()).collect();
    assert_eq!(others.len(), FOLLOWERS_MAX - 1);
}

#[test]
fn numbers_go_on_above_what_a_sink_has_though_the_log_lost_its_end() {
    let shelf = Shelf::default();
    let opener: Opener = Box::new(move || Ok(Box::new(shelf.clone())));
    let clock = Arc::new(crate::types::clock::SystemClock::default());
    let spool = Spool::over(opener, settings(), (&["a"], 500), (metrics(), clock)).unwrap();
    now(spool.accept(vec![row(1, 1)])).unwrap();
    assert_eq!(spool.batch("a", 10, 1 << 20).unwrap().last, 501);
}
