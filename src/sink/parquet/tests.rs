//! Files that come back as rows, once each, whatever a crash left.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::spool::Kind;
use crate::types::clock::ManualClock;
use crate::types::event::column::{Micros, RawJson};
use crate::types::event::{ACTIONS, Action, EventId, Row};
use crate::types::ids::SubjectKey;

/// 2026-11-23T10:00:00Z
const NOON: i64 = 1_795_428_000_000;
const DAY_MS: i64 = 86_400_000;

fn settings() -> config::Spool {
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

fn action(number: u64, at_ms: i64) -> Action {
    Action {
        event_id: EventId::new(Timestamp(at_ms), &[(number % 256) as u8; 10]),
        event_timestamp: Micros(at_ms * 1_000),
        event_type: "click".into(),
        user_id: "ann".into(),
        session_id: String::new(),
        product_id: Some(number.to_string()),
        product_category: None,
        product_attributes: Some(RawJson::of(&["brand:Oatly"])),
        interaction_strength: Some(0.2),
        interaction_context: None,
        search_query: None,
        search_results_shown: None,
        result_position: number.is_multiple_of(2).then_some(3),
        raw_event_data: None,
    }
}

fn record(seq: u64, at_ms: i64) -> Record {
    let body = crate::types::event::Body::Action(Box::new(action(seq, at_ms)));
    let row = Row { subject: SubjectKey(1), body }.json().into_bytes();
    let taken = Timestamp(at_ms);
    Record { seq, kind: Kind::Action, subject: SubjectKey(1), taken, row }
}

fn batch(seqs: std::ops::RangeInclusive<u64>) -> Batch {
    batch_at(seqs, |_| NOON)
}

fn batch_at(seqs: std::ops::RangeInclusive<u64>, at: impl Fn(u64) -> i64) -> Batch {
    let (first, last) = (*seqs.start(), *seqs.end());
    let records = seqs.map(|seq| record(seq, at(seq))).collect();
    Batch { records, first, last, ..Batch::default() }
}

struct Stage {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, clock: Arc::new(ManualClock::at(Timestamp(NOON))) }
    }

    fn open(&self, settings: config::Spool) -> Parquet {
        let directory = self.directory.path().join("events");
        Parquet::open(directory, settings, self.clock.clone()).unwrap()
    }

    /// Numbers of all rows that a reader sees, in order.
    fn rows(&self) -> Vec<u64> {
        let place = ACTIONS.place("product_id").unwrap();
        let mut rows = Vec::new();
        read::rows(&self.directory.path().join("events"), &ACTIONS, (None, None), |cells| {
            let Cell::Text(number) = &cells[place] else { panic!("{cells:?}") };
            rows.push(number.parse().unwrap());
            true
        })
        .unwrap();
        rows
    }

    /// Can all that is left be read?
    fn rows_if_text(&self) -> anyhow::Result<()> {
        read::rows(&self.directory.path().join("events"), &ACTIONS, (None, None), |_| true)
    }

    fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        let events = self.directory.path().join("events");
        for (_, folder) in files::days(&events, &ACTIONS).unwrap() {
            for entry in fs::read_dir(folder).unwrap() {
                names.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        names.sort();
        names
    }

    fn spool(&self, above: u64) -> Spool {
        let owned = Spool::own(self.directory.path()).unwrap();
        let metrics = Arc::new(crate::telemetry::metrics::Metrics::new().unwrap());
        let clock = Arc::new(crate::types::clock::SystemClock::default());
        Spool::open(owned, settings(), (&[NAME], above), (metrics, clock)).unwrap()
    }
}

#[test]
fn rows_come_back_with_every_value_from_a_folder_of_their_day() {
    let stage = Stage::new();
    let mut sink = stage.open(settings());
    let at = |seq| if seq == 3 { NOON - DAY_MS } else { NOON };
    assert!(sink.take(&batch_at(1..=4, at)).unwrap().is_empty());
    let events = stage.directory.path().join("events/raw_user_actions");
    let of = |day: &str| fs::read_dir(events.join(format!("event_date={day}"))).unwrap().count();
    assert_eq!((of("2026-11-22"), of("2026-11-23")), (1, 1));
    let mut found = Vec::new();
    read::rows(&stage.directory.path().join("events"), &ACTIONS, (None, None), |cells| {
        found.push(cells.to_vec());
        true
    })
    .unwrap();
    let expected: Vec<_> = [3, 1, 2, 4].map(|seq| action(seq, at(seq)).cells()).into();
    assert_eq!(found, expected);
    let mut today = 0;
    let days = (Some("2026-11-23"), Some("2026-11-23"));
    read::rows(&stage.directory.path().join("events"), &ACTIONS, days, |_| {
        today += 1;
        true
    })
    .unwrap();
    assert_eq!(today, 3);
}

#[test]
fn a_batch_that_comes_again_is_there_once_also_when_it_has_grown() {
    let stage = Stage::new();
    let mut sink = stage.open(settings());
    sink.take(&batch(1..=5)).unwrap();
    sink.take(&batch(1..=5)).unwrap();
    assert_eq!(stage.rows(), [1, 2, 3, 4, 5]);
    sink.take(&batch(1..=7)).unwrap();
    assert_eq!(stage.rows(), [1, 2, 3, 4, 5, 6, 7]);
    sink.take(&batch(8..=9)).unwrap();
    assert_eq!(stage.rows().len(), 9);
}

#[test]
fn a_row_that_cannot_be_read_is_refused_and_costs_no_other() {
    let stage = Stage::new();
    let mut sink = stage.open(settings());
    let mut batch = batch(1..=3);
    batch.records[1].row = b"{\"event_id\":\"x\"}".to_vec();
    let refused = sink.take(&batch).unwrap();
    assert_eq!(refused, [(2, "event_timestamp: expected a value, found none".to_owned())]);
    assert_eq!(stage.rows(), [1, 3]);
    sink.take_again(&[record(2, NOON)]).unwrap();
    sink.take_again(&[record(2, NOON)]).unwrap();
    assert_eq!(stage.rows(), [1, 3, 2]);
}

#[test]
fn a_crash_between_the_files_and_the_cursor_writes_no_row_twice_and_loses_none() {
    let stage = Stage::new();
    let at = |seq| if seq % 2 == 0 { NOON - DAY_MS } else { NOON };
    let mut sink = stage.open(settings());
    sink.take(&batch_at(1..=6, at)).unwrap();
    drop(sink);
    let sink = stage.open(settings());
    let spool = stage.spool(sink.last().unwrap());
    sink.settle(&spool).unwrap();
    assert_eq!(spool.position(NAME).unwrap(), (6, 6), "all files were there: it is sent");
    drop(spool);

    let mut sink = stage.open(settings());
    sink.take(&batch_at(7..=12, at)).unwrap();
    let torn = stage.files().into_iter().find(|name| name.contains("2of2") && name.contains("07-"));
    let day = stage.directory.path().join("events/raw_user_actions/event_date=2026-11-23");
    fs::remove_file(day.join(torn.unwrap())).unwrap();
    fs::write(day.join(".0000000000000007-0000000000000012.2of2.parquet.new"), "half").unwrap();
    let sink = stage.open(settings());
    let spool = stage.spool(sink.last().unwrap());
    sink.settle(&spool).unwrap();
    assert_eq!(spool.position(NAME).unwrap().0, 6, "one file was missing: it comes again");
    assert_eq!(stage.rows().len(), 6);
    assert!(stage.files().iter().all(|name| !name.starts_with('.')));
}

#[test]
fn small_files_are_merged_and_a_merge_that_was_cut_short_doubles_nothing() {
    let stage = Stage::new();
    let mut sink = stage.open(settings());
    for number in 0..15 {
        sink.take(&batch(number * 10 + 1..=number * 10 + 10)).unwrap();
        sink.tend();
    }
    assert_eq!(stage.files().len(), 15, "not before there are many");
    let before = stage.files();
    let events = stage.directory.path().join("events/raw_user_actions/event_date=2026-11-23");
    let first = (before[0].clone(), fs::read(events.join(&before[0])).unwrap());
    sink.take(&batch(151..=160)).unwrap();
    sink.tend();
    assert_eq!(stage.files(), ["0000000000000001-0000000000000160.parquet"]);
    let all: Vec<u64> = (1..=160).collect();
    assert_eq!(stage.rows(), all);
    fs::write(events.join(&first.0), first.1).unwrap();
    assert_eq!(stage.rows(), all, "a reader of ours sees each row once");
    let sink = stage.open(settings());
    assert_eq!(stage.files().len(), 1, "and the next start for everybody");
    assert_eq!(sink.last().unwrap(), 160);
    let mut sink = stage.open(settings());
    sink.take(&batch(161..=170)).unwrap();
    stage.clock.advance(Duration::from_secs(86_400));
    sink.tend();
    assert_eq!(stage.files(), ["0000000000000001-0000000000000170.parquet"], "a day that is over");
    assert_eq!(stage.rows().len(), 170);
}

#[test]
fn old_days_go_by_age_and_by_bytes_and_today_never() {
    let stage = Stage::new();
    let mut sink = stage.open(config::Spool { keep_days: 2, ..settings() });
    sink.take(&batch_at(1..=4, |seq| NOON - (4 - seq as i64) * DAY_MS)).unwrap();
    sink.tend();
    assert_eq!(stage.rows(), [2, 3, 4]);
    let mut sink = stage.open(config::Spool { events_bytes_max: 1, ..settings() });
    sink.tend();
    assert_eq!(stage.rows(), [4]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_an_error_or_rows_and_never_a_panic(
        at in 0_usize..4_000, bit in 0_u8..8, cut in proptest::option::of(0_usize..4_000)
    ) {
        let stage = Stage::new();
        stage.open(settings()).take(&batch(1..=20)).unwrap();
        let events = stage.directory.path().join("events");
        let (_, folder) = files::days(&events, &ACTIONS).unwrap().remove(0);
        let path = files::readable(&folder).unwrap().remove(0);
        let mut bytes = fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut % bytes.len()));
        fs::write(&path, bytes).unwrap();
        let mut rows = 0;
        let readable = read::rows(&events, &ACTIONS, (None, None), |_| { rows += 1; true });
        prop_assert!(rows <= 20);
        // Merging passes a file by that cannot be read, and puts it aside.
        let mut sink = stage.open(settings());
        sink.take(&batch(21..=30)).unwrap();
        stage.clock.advance(Duration::from_secs(86_400));
        sink.tend();
        let names = stage.files();
        let is_aside = names.iter().any(|name| name.ends_with(".damaged"));
        prop_assert_eq!(is_aside, readable.is_err(), "{:?}", names);
        prop_assert!(stage.rows_if_text().is_ok());
    }
}
