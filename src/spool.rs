//! Floor 3: the durable log of rows, between those who make them and the sinks.
//!
//! ```text
//! offer ─► a bounded queue ─► writer thread ─► one group, one fsync ─► log ─► a cursor each sink
//! accept ─────────────────────────┘ answers after the fsync            └──► dead letters
//! ```
//! In: rows. Out: the same rows to every sink, in order, at least once, whatever ends the process.
//! [`Spool::offer`] never waits: what there is no room for is counted and gone. [`Spool::accept`]
//! resolves when its rows are on the disk. What every sink has is deleted. What of a subject was
//! taken before they were forgotten is not handed out any more.

mod disk;
mod record;
mod sending;
mod store;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{broadcast, oneshot};

pub use disk::{OpenError, Owned};
pub use record::{Kind, Record};
pub use sending::{Batch, DeadLetter};
pub use store::{Change, Pair, Space, Store};

use crate::config;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::{Clock, Timestamp};
use crate::types::event::{EventId, Row};
use crate::types::ids::SubjectKey;
use writer::{Job, Writer};

/// The directory below `data_dir`.
pub const DIRECTORY: &str = "spool";
/// Followers of new rows at a time.
const FOLLOWERS_MAX: usize = 8;
/// New rows that a follower may be behind.
const FOLLOWED_ROWS: usize = 1024;
/// For so long an answer waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why rows were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The log holds as much as it may.
    #[error("the event log is full (spool.bytes_max)")]
    Full,
    /// The disk does not take it.
    #[error("the event log cannot be written: {0}")]
    Broken(String),
    /// A row is larger than rows may be.
    #[error("a row of {bytes} bytes; expected at most {max} (spool.row_bytes_max)")]
    Oversized {
        /// Its bytes.
        bytes: usize,
        /// As many as there may be.
        max: usize,
    },
    /// The process ends.
    #[error("the event log is closed")]
    Closed,
}

impl Refused {
    /// The word in the metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Full => "spool_full",
            Self::Broken(_) => "spool_broken",
            Self::Oversized { .. } => "oversized",
            Self::Closed => "closed",
        }
    }
}

/// Opens the store, at the start and again after it broke.
pub type Opener = Box<dyn Fn() -> io::Result<Box<dyn Store>> + Send + Sync>;

/// What all parts of the spool share.
pub(super) struct Shared {
    pub(super) settings: config::Spool,
    pub(super) opener: Opener,
    /// `None` while it is opened anew.
    pub(super) store: RwLock<Option<Box<dyn Store>>>,
    pub(super) sinks: Vec<String>,
    /// Number of the last record that is on the disk.
    pub(super) last: Mutex<u64>,
    pub(super) grown: Condvar,
    /// Bytes of all records ever, up to the last one, and up to the last one that was deleted.
    pub(super) end: AtomicU64,
    pub(super) start: AtomicU64,
    /// Number of the last one that was deleted.
    pub(super) trimmed: AtomicU64,
    /// Number up to which nothing of a subject is handed out.
    pub(super) erased: RwLock<HashMap<SubjectKey, u64>>,
    /// Bytes of rows on their way to the writer.
    pub(super) queued: AtomicUsize,
    pub(super) broken: AtomicBool,
    pub(super) followers: broadcast::Sender<Arc<str>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    /// The time of day when it was opened, and what the other hand showed then, µs.
    opened: (Timestamp, u64),
}

/// The spool. Cheap to share.
pub struct Spool {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
    chance: SystemRandom,
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "EventLog")]
pub struct Status {
    /// Number of the last row.
    pub last: u64,
    /// Bytes of the rows that some sink does not have yet.
    pub bytes: u64,
    /// As many as there may be.
    pub bytes_max: u64,
    /// The disk takes rows.
    pub is_taking: bool,
    /// Seconds for which the oldest of them has waited.
    pub oldest_unsent_seconds: f64,
    /// Each sink.
    pub sinks: Vec<SinkStatus>,
}

/// How a sink stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// Number of the last row that it has.
    pub cursor: u64,
    /// Rows that it does not have yet.
    pub behind: u64,
    /// Rows that it does not take.
    pub dead: u64,
}

impl Spool {
    /// Opens the spool in a directory that is ours. `sinks` are those that read it; numbers go on
    /// above `above`, which a sink may know from before the log was damaged.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(
        owned: Owned,
        settings: config::Spool,
        (sinks, above): (&[&str], u64),
        (metrics, clock): (Arc<Metrics>, Arc<dyn Clock>),
    ) -> io::Result<Self> {
        let opener: Opener = Box::new(move || owned.open());
        Self::over(opener, settings, (sinks, above), (metrics, clock))
    }

    /// The same over any store.
    ///
    /// # Errors
    /// The system's reason.
    pub fn over(
        opener: Opener,
        settings: config::Spool,
        (sinks, above): (&[&str], u64),
        (metrics, clock): (Arc<Metrics>, Arc<dyn Clock>),
    ) -> io::Result<Self> {
        let store = opener()?;
        let shared = Shared {
            settings,
            opener,
            store: RwLock::new(Some(store)),
            sinks: sinks.iter().map(|name| (*name).to_owned()).collect(),
            last: Mutex::new(0),
            grown: Condvar::new(),
            end: AtomicU64::new(0),
            start: AtomicU64::new(0),
            trimmed: AtomicU64::new(0),
            erased: RwLock::default(),
            queued: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            followers: broadcast::Sender::new(FOLLOWED_ROWS),
            metrics,
            opened: (clock.now(), clock.monotonic_us()),
            clock,
        };
        shared.recover(above)?;
        let shared = Arc::new(shared);
        let (jobs, queue) = mpsc::channel();
        let writer = Writer::new(shared.clone(), queue);
        let writer = std::thread::Builder::new().name("spool".into()).spawn(|| writer.run())?;
        Ok(Self { shared, jobs, writer: Mutex::new(Some(writer)), chance: SystemRandom::new() })
    }

    /// The spool of this data directory; another process there is an error.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn own(data_dir: &Path) -> Result<Owned, OpenError> {
        Owned::take(&data_dir.join(DIRECTORY))
    }

    /// An id for a row of now.
    pub fn id(&self) -> EventId {
        let mut chance = [0; 10];
        // Without chance, ids of one millisecond would be alike: time alone must tell them apart.
        if self.chance.fill(&mut chance).is_err() {
            let us = self.shared.clock.monotonic_us().to_be_bytes();
            chance.iter_mut().zip(us).for_each(|(to, from)| *to = from);
        }
        EventId::new(self.shared.now(), &chance)
    }

    /// Takes rows that nobody waits for. What there is no room for is counted, and gone.
    pub fn offer(&self, row: Row) {
        self.shared.metrics.spool_offered.inc();
        if let Err(refused) = self.offered(row) {
            self.shared.dropped(refused, 1);
        }
    }

    fn offered(&self, row: Row) -> Result<(), &'static str> {
        if self.shared.broken.load(Ordering::Acquire) {
            return Err("spool_broken");
        }
        let bytes = row.bytes();
        let queued = self.shared.queued.fetch_add(bytes, Ordering::AcqRel) + bytes;
        if queued > self.shared.settings.queue_bytes_max {
            self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
            return Err("queue_full");
        }
        self.jobs.send(Job::Offered(row)).map_err(|_| "closed")
    }

    /// Would rows be taken now? To be asked before anything is done that rows are to tell of.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Refused> {
        if self.shared.broken.load(Ordering::Acquire) {
            return Err(Refused::Broken("the disk did not take the last group".into()));
        }
        if self.shared.bytes() >= self.shared.settings.bytes_max {
            return Err(Refused::Full);
        }
        Ok(())
    }

    /// Takes rows and resolves when they, and all that was taken before them, are on the disk. Rows
    /// that the disk refused are kept in memory and written when it takes them again, before others.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn accept(&self, rows: Vec<Row>) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        let bytes = rows.iter().map(Row::bytes).sum();
        self.shared.queued.fetch_add(bytes, Ordering::AcqRel);
        self.jobs.send(Job::Accepted(rows, answer)).map_err(|_| Refused::Closed)?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Refused::Closed),
            Err(_) => Err(Refused::Broken(format!("no answer of the disk in {PATIENCE:?}"))),
        }
    }

    /// Nothing of this subject that was taken until now is handed out any more.
    pub fn erase(&self, subject: SubjectKey) {
        // A spool that has ended hands out nothing.
        drop(self.jobs.send(Job::Erase(subject)));
    }

    /// New rows as they come, each a line of JSON; `None` when too many follow already.
    pub fn follow(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        let followers = &self.shared.followers;
        (followers.receiver_count() < FOLLOWERS_MAX).then(|| followers.subscribe())
    }

    /// Waits until what is queued is on the disk, or the disk refused it.
    pub fn flush(&self) {
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Accepted(Vec::new(), answer)).is_ok() {
            // Refused: it is told where rows are lost.
            drop(answered.blocking_recv());
        }
    }

    /// Writes what is queued, then stops taking. Waits for the disk.
    pub fn end(&self) {
        drop(self.jobs.send(Job::End));
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the spool panicked");
        }
    }

    /// How it stands.
    ///
    /// # Errors
    /// The system's reason.
    pub fn status(&self) -> io::Result<Status> {
        let shared = &self.shared;
        let last = *shared.last.lock();
        let sinks = shared.sinks.iter().map(|name| {
            let cursor = shared.cursor(name)?;
            let dead = self.dead_rows(name)?;
            Ok(SinkStatus { name: name.clone(), cursor, behind: last.saturating_sub(cursor), dead })
        });
        Ok(Status {
            last,
            bytes: shared.bytes(),
            bytes_max: shared.settings.bytes_max,
            is_taking: self.ready().is_ok(),
            oldest_unsent_seconds: shared.oldest_unsent()?.as_secs_f64(),
            sinks: sinks.collect::<io::Result<_>>()?,
        })
    }

    /// Sets the gauges.
    pub fn measure(&self) {
        let shared = &self.shared;
        let bytes = i64::try_from(shared.bytes()).unwrap_or(i64::MAX);
        shared.metrics.spool_bytes.set(bytes);
        let seconds = shared.oldest_unsent().map_or(0, |age| age.as_secs());
        shared.metrics.spool_oldest_unsent_seconds.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Its settings.
    pub fn settings(&self) -> &config::Spool {
        &self.shared.settings
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    pub(super) fn dropped(&self, reason: &str, count: usize) {
        self.metrics.spool_dropped.with_label_values(&[reason]).inc_by(count as u64);
    }

    /// The time of day, on a clock that does not jump while the process lives.
    pub(super) fn now(&self) -> Timestamp {
        let (at, us) = self.opened;
        let since_ms = self.clock.monotonic_us().saturating_sub(us) / 1_000;
        Timestamp(at.0.saturating_add(i64::try_from(since_ms).unwrap_or(i64::MAX)))
    }

    /// Bytes of the records that are there.
    pub(super) fn bytes(&self) -> u64 {
        self.end.load(Ordering::Acquire).saturating_sub(self.start.load(Ordering::Acquire))
    }

    /// Works on the store, where there is one at this moment.
    pub(super) fn with<T>(&self, work: impl FnOnce(&dyn Store) -> io::Result<T>) -> io::Result<T> {
        match &*self.store.read() {
            Some(store) => work(&**store),
            None => Err(io::Error::other("the event log is being opened anew")),
        }
    }

    pub(super) fn cursor(&self, sink: &str) -> io::Result<u64> {
        let found = self.with(|store| store.get(Space::Cursors, sink.as_bytes()))?;
        Ok(found.as_deref().and_then(record::seq_of).unwrap_or(0))
    }

    /// The number of the last record that every sink has.
    pub(super) fn least_cursor(&self) -> io::Result<u64> {
        let cursors = self.sinks.iter().map(|sink| self.cursor(sink));
        let cursors = cursors.collect::<io::Result<Vec<_>>>()?;
        Ok(cursors.into_iter().min().unwrap_or(0))
    }

    /// How long the oldest record has waited that some sink does not have.
    fn oldest_unsent(&self) -> io::Result<Duration> {
        let from = self.least_cursor()?.saturating_add(1);
        let mut taken: Option<Timestamp> = None;
        self.with(|store| {
            store.from(Space::Log, &record::key(from), &mut |_, value| {
                taken = record::taken(value);
                false
            })
        })?;
        Ok(taken.map_or(Duration::ZERO, |taken| self.now().since(taken)))
    }

    /// Reads where a log stands; sinks that are gone no longer hold anything back.
    pub(super) fn recover(&self, above: u64) -> io::Result<()> {
        let (first, last, cursors, erased) = self.with(|store| {
            let (mut cursors, mut erased) = (Vec::new(), HashMap::new());
            store.from(Space::Cursors, &[], &mut |name, seq| {
                let name = String::from_utf8_lossy(name).into_owned();
                cursors.push((name, record::seq_of(seq).unwrap_or(0)));
                true
            })?;
            store.from(Space::Erased, &[], &mut |subject, seq| {
                if let (Ok(subject), Some(seq)) = (subject.try_into(), record::seq_of(seq)) {
                    erased.insert(SubjectKey(u128::from_be_bytes(subject)), seq);
                }
                true
            })?;
            Ok((store.end(Space::Log, false)?, store.end(Space::Log, true)?, cursors, erased))
        })?;
        let number = |pair: &Option<Pair>| pair.as_ref().and_then(|(key, _)| record::seq_of(key));
        let in_log = number(&last).unwrap_or(0);
        let known = cursors.iter().map(|(_, seq)| *seq).max().unwrap_or(0);
        if in_log.max(known) < above {
            tracing::error!(
                last = in_log.max(known),
                expected = above,
                "the end of the event log is gone: rows that no sink had are lost"
            );
        }
        *self.last.lock() = in_log.max(known).max(above);
        *self.erased.write() = erased;
        let ends = |pair: Option<Pair>| pair.and_then(|(_, value)| record::end_of(&value));
        let start = ends(first).map_or(0, |(end, own)| end.saturating_sub(own));
        self.start.store(start, Ordering::Release);
        self.end.store(ends(last).map_or(start, |(end, _)| end), Ordering::Release);
        let gone = cursors.into_iter().filter(|(name, _)| !self.sinks.contains(name));
        let gone: Vec<_> =
            gone.map(|(name, _)| Change::Delete(Space::Cursors, name.into_bytes())).collect();
        if gone.is_empty() { Ok(()) } else { self.with(|store| store.write(gone, true)) }
    }
}

#[cfg(test)]
mod tests;
