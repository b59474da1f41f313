//! Actions against the spool and against a model that is a list: whatever is done in whatever order,
//! both hold the same. A crash drops the spool where it stands and opens what is on the disk.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Action {
    Offer { subject: u8, bytes: u16 },
    Accept { rows: u8, subject: u8 },
    Read { sink: u8, max: u8 },
    Ack { sink: u8, dead: bool },
    Erase { subject: u8 },
    Retry,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..4_u8, 0..6_000_u16).prop_map(|(subject, bytes)| Action::Offer { subject, bytes }),
        4 => (0..5_u8, 0..4_u8).prop_map(|(rows, subject)| Action::Accept { rows, subject }),
        4 => (0..2_u8, 1..8_u8).prop_map(|(sink, max)| Action::Read { sink, max }),
        4 => (0..2_u8, proptest::bool::weighted(0.2)).prop_map(|(sink, dead)| Action::Ack { sink, dead }),
        1 => (0..4_u8).prop_map(|subject| Action::Erase { subject }),
        1 => Just(Action::Retry),
        2 => Just(Action::Reopen),
    ]
}

const SINKS: [&str; 2] = ["a", "b"];

/// What should be: every record, by its number.
#[derive(Default)]
struct Model {
    /// Row's number and subject; `None`: an erasure of the subject.
    log: Vec<(Option<u64>, u128)>,
    cursors: [u64; 2],
    dead: BTreeMap<(u64, usize), bool>,
}

impl Model {
    fn last(&self) -> u64 {
        self.log.len() as u64
    }

    fn at(&self, seq: u64) -> (Option<u64>, u128) {
        self.log[seq as usize - 1]
    }

    fn is_erased(&self, seq: u64) -> bool {
        let (_, subject) = self.at(seq);
        let later = &self.log[seq as usize..];
        later.iter().any(|(row, of)| row.is_none() && *of == subject)
    }

    /// Rows that a sink should read, and the last number of the batch.
    fn read(&self, sink: usize, max: usize) -> (Vec<u64>, u64) {
        let (mut rows, mut records, mut last) = (Vec::new(), 0, self.cursors[sink]);
        for seq in self.cursors[sink] + 1..=self.last() {
            if records >= max {
                break;
            }
            last = seq;
            match self.at(seq).0 {
                Some(_) if self.is_erased(seq) => {}
                row => {
                    records += 1;
                    rows.extend(row);
                }
            }
        }
        (rows, last)
    }
}

struct Run {
    directory: tempfile::TempDir,
    spool: Option<Spool>,
    model: Model,
    next: u64,
    max: usize,
}

fn on_disk(directory: &std::path::Path) -> Spool {
    let owned = Spool::own(directory).unwrap();
    let clock = Arc::new(crate::types::clock::SystemClock::default());
    Spool::open(owned, settings(), (&SINKS, 0), (metrics(), clock)).unwrap()
}

impl Run {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = Some(on_disk(directory.path()));
        Self { directory, spool, model: Model::default(), next: 0, max: 5 }
    }

    fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    fn row(&mut self, subject: u8, bytes: usize) -> Row {
        self.next += 1;
        let row = sized(self.next, u128::from(subject), bytes);
        if row.json().len() <= settings().row_bytes_max {
            self.model.log.push((Some(self.next), u128::from(subject)));
        }
        row
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Offer { subject, bytes } => {
                let row = self.row(subject, usize::from(bytes));
                self.spool().offer(row);
            }
            Action::Accept { rows, subject } => {
                let rows = (0..rows).map(|_| self.row(subject, 0)).collect();
                now(self.spool().accept(rows)).unwrap();
            }
            Action::Erase { subject } => {
                self.model.log.push((None, u128::from(subject)));
                let (log, subject) = (&self.model.log, u128::from(subject));
                self.model.dead.retain(|(seq, _), _| log[*seq as usize - 1].1 != subject);
                self.spool().erase(SubjectKey(subject));
            }
            Action::Read { sink, max } => {
                self.max = usize::from(max);
                self.read(usize::from(sink));
            }
            Action::Ack { sink, dead } => self.ack(usize::from(sink), dead),
            Action::Retry => {
                now(self.spool().accept(Vec::new())).unwrap();
                let count = self.spool().settle_dead(None, true).unwrap();
                assert_eq!(count, self.model.dead.len());
                self.model.dead.values_mut().for_each(|again| *again = true);
            }
            Action::Reopen => {
                // What was only offered is written when the process ends in order, as here.
                drop(self.spool.take());
                self.spool = Some(on_disk(self.directory.path()));
            }
        }
    }

    fn read(&self, sink: usize) -> Batch {
        now(self.spool().accept(Vec::new())).unwrap();
        let batch = self.spool().batch(SINKS[sink], self.max, 1 << 20).unwrap();
        assert_eq!((numbers(&batch), batch.last), self.model.read(sink, self.max));
        batch
    }

    fn ack(&mut self, sink: usize, dead: bool) {
        let batch = self.read(sink);
        let first = batch.records.iter().find(|record| record.kind != Kind::Erasure);
        let dead = first.filter(|_| dead).map(|record| (record.seq, "poison".to_owned()));
        let dead: Vec<_> = dead.into_iter().collect();
        self.spool().ack(SINKS[sink], batch.last, &dead).unwrap();
        self.model.cursors[sink] = batch.last;
        self.model.dead.extend(dead.iter().map(|(seq, _)| ((*seq, sink), false)));
    }

    fn check(&self) {
        now(self.spool().accept(Vec::new())).unwrap();
        let status = self.spool().status().unwrap();
        assert_eq!(status.last, self.model.last());
        let cursors: Vec<u64> = status.sinks.iter().map(|sink| sink.cursor).collect();
        assert_eq!(cursors, self.model.cursors);
        let dead = self.spool().dead(None, 1_000).unwrap();
        let dead: BTreeMap<_, _> = dead
            .iter()
            .map(|letter| {
                let sink = SINKS.iter().position(|sink| *sink == letter.sink).unwrap();
                ((letter.seq, sink), letter.is_retried)
            })
            .collect();
        assert_eq!(dead, self.model.dead);
        let unsent = self.model.last() - self.model.cursors.iter().min().unwrap();
        assert_eq!(status.bytes == 0, unsent == 0, "{} bytes of {unsent} records", status.bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_the_spool_holds_what_the_model_holds(
        actions in proptest::collection::vec(action(), 1..40)
    ) {
        let mut run = Run::new();
        for action in &actions {
            run.act(action);
        }
        run.check();
        run.act(&Action::Reopen);
        run.check();
    }
}
