//! The sinks' side: records in order, cursors, dead letters.
//!
//! In: a sink's name. Out: the records behind its cursor, without those of forgotten subjects. What
//! was sent is acknowledged up to a number; what every sink has is deleted. A record that a sink does
//! not take is put aside with the reason, until it is sent again or dropped by an operator.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::record::{self, Kind, Record};
use super::store::{Change, Space, Store};
use super::{Shared, Spool};
use crate::types::ids::SubjectKey;

/// Records that are deleted in one go.
const DELETED_AT_A_TIME: usize = 4_096;
/// Dead letters that are kept; one more is dropped, and counted.
const DEAD_MAX: usize = 100_000;

/// Records for one sink.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Records that cannot be read, each with the reason.
    pub unreadable: Vec<(u64, String)>,
    /// Number of the first record that was looked at.
    pub first: u64,
    /// Number of the last one; everything up to it is sent with this batch.
    pub last: u64,
    /// There is more behind it than the batch may hold.
    pub is_full: bool,
}

/// A record that a sink does not take.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct DeadLetter {
    /// Its number in the log.
    pub seq: u64,
    /// The sink.
    pub sink: String,
    /// Why.
    pub reason: String,
    /// It is to be sent again.
    pub is_retried: bool,
    /// Its row, as far as it is JSON.
    pub row: Option<serde_json::Value>,
}

impl Spool {
    /// Waits until there are records behind `seq`, for at most so long.
    pub fn wait(&self, seq: u64, at_most: Duration) {
        let mut last = self.shared.last.lock();
        if *last <= seq {
            self.shared.grown.wait_for(&mut last, at_most);
        }
    }

    /// Number of the last record that a sink has, and of the last one that there is.
    ///
    /// # Errors
    /// The system's reason.
    pub fn position(&self, sink: &str) -> io::Result<(u64, u64)> {
        Ok((self.shared.cursor(sink)?, *self.shared.last.lock()))
    }

    /// Wakes everybody who waits.
    pub fn wake(&self) {
        self.shared.grown.notify_all();
    }

    /// The next records for a sink, at most so many, and about so many bytes.
    ///
    /// # Errors
    /// The system's reason.
    pub fn batch(&self, sink: &str, rows_max: usize, bytes_max: usize) -> io::Result<Batch> {
        let shared = &self.shared;
        let (first, end) = (shared.cursor(sink)?.saturating_add(1), *shared.last.lock());
        let mut batch = Batch { first, last: first - 1, ..Batch::default() };
        let (mut bytes, mut erased) = (0, 0);
        let forgotten = shared.erased.read();
        shared.with(|store| {
            store.from(Space::Log, &record::key(first), &mut |key, value| {
                let Some(seq) = record::seq_of(key).filter(|seq| *seq <= end) else { return false };
                if batch.records.len() >= rows_max || (bytes > 0 && bytes + value.len() > bytes_max)
                {
                    batch.is_full = true;
                    return false;
                }
                batch.last = seq;
                match record::read(seq, value) {
                    Ok(record)
                        if record.kind != Kind::Erasure
                            && forgotten.get(&record.subject).is_some_and(|until| seq < *until) =>
                    {
                        erased += 1;
                    }
                    Ok(record) => {
                        bytes += value.len();
                        batch.records.push(record);
                    }
                    Err(reason) => batch.unreadable.push((seq, reason)),
                }
                true
            })
        })?;
        if erased > 0 {
            shared.dropped("erased", erased);
        }
        Ok(batch)
    }

    /// A sink has everything up to `seq`; what it does not take of it is put aside with the reason.
    ///
    /// # Errors
    /// The system's reason; then the same records come again.
    pub fn ack(&self, sink: &str, seq: u64, dead: &[(u64, String)]) -> io::Result<()> {
        let shared = &self.shared;
        let mut changes = Vec::with_capacity(dead.len() + 1);
        let room = if dead.is_empty() { 0 } else { DEAD_MAX - self.dead(None, DEAD_MAX)?.len() };
        for (seq, reason) in dead.iter().take(room) {
            let found = shared.with(|store| store.get(Space::Log, &record::key(*seq)))?;
            let Some(value) = found else { continue };
            changes.push(Change::Put(Space::Dead, dead_key(*seq, sink), buried(reason, 0, &value)));
        }
        shared.dropped("dead_full", dead.len().saturating_sub(room));
        changes.push(Change::Put(Space::Cursors, sink.as_bytes().to_vec(), record::key(seq)));
        shared.with(|store| store.write(changes, true))?;
        shared.trim()
    }

    /// Records that sinks do not take, the oldest first.
    ///
    /// # Errors
    /// The system's reason.
    pub fn dead(&self, sink: Option<&str>, max: usize) -> io::Result<Vec<DeadLetter>> {
        let mut found = Vec::new();
        self.shared.with(|store| {
            store.from(Space::Dead, &[], &mut |key, value| {
                let letter = dead_letter(key, value);
                found.extend(letter.filter(|letter| sink.is_none_or(|sink| letter.sink == sink)));
                found.len() < max
            })
        })?;
        Ok(found)
    }

    /// How many a sink has.
    ///
    /// # Errors
    /// The system's reason.
    pub fn dead_rows(&self, sink: &str) -> io::Result<u64> {
        let mut count = 0;
        self.shared.with(|store| {
            store.from(Space::Dead, &[], &mut |key, _| {
                count += u64::from(key.get(8..) == Some(sink.as_bytes()));
                true
            })
        })?;
        Ok(count)
    }

    /// Sends dead letters again, or drops them: those with these numbers, or all. Says how many.
    ///
    /// # Errors
    /// The system's reason.
    pub fn settle_dead(&self, seqs: Option<&[u64]>, again: bool) -> io::Result<usize> {
        let mut changes = Vec::new();
        self.shared.with(|store| {
            store.from(Space::Dead, &[], &mut |key, value| {
                let wanted = record::seq_of(key)
                    .is_some_and(|seq| seqs.is_none_or(|seqs| seqs.contains(&seq)));
                if wanted && again {
                    let mut value = value.to_vec();
                    if let Some(flag) = value.first_mut() {
                        *flag = 1;
                    }
                    changes.push(Change::Put(Space::Dead, key.to_vec(), value));
                } else if wanted {
                    changes.push(Change::Delete(Space::Dead, key.to_vec()));
                }
                true
            })
        })?;
        let count = changes.len();
        if count > 0 {
            self.shared.with(|store| store.write(changes, true))?;
            self.wake();
        }
        Ok(count)
    }

    /// Dead letters of a sink that are to be sent again.
    ///
    /// # Errors
    /// The system's reason.
    pub fn retried(&self, sink: &str, max: usize) -> io::Result<Vec<Record>> {
        let mut found = Vec::new();
        let forgotten = self.shared.erased.read();
        self.shared.with(|store| {
            store.from(Space::Dead, &[], &mut |key, value| {
                let (Some(seq), true) =
                    (record::seq_of(key), key.get(8..) == Some(sink.as_bytes()))
                else {
                    return true;
                };
                let record = unburied(value).filter(|(flag, _, _)| *flag == 1);
                let record = record.and_then(|(_, _, value)| record::read(seq, value).ok());
                found.extend(record.filter(|record| !forgotten.contains_key(&record.subject)));
                found.len() < max
            })
        })?;
        Ok(found)
    }

    /// A sink has taken a dead letter, or has refused it again.
    ///
    /// # Errors
    /// The system's reason.
    pub fn retried_once(&self, sink: &str, seq: u64, refused: Option<&str>) -> io::Result<()> {
        let key = dead_key(seq, sink);
        let change = match refused {
            None => Change::Delete(Space::Dead, key),
            Some(reason) => {
                let found = self.shared.with(|store| store.get(Space::Dead, &key))?;
                let Some((_, _, value)) = found.as_deref().and_then(unburied) else {
                    return Ok(());
                };
                Change::Put(Space::Dead, key, buried(reason, 0, value))
            }
        };
        self.shared.with(|store| store.write(vec![change], true))
    }
}

impl Shared {
    /// Deletes what every sink has, and what is not to be remembered of erasures any more.
    fn trim(&self) -> io::Result<()> {
        let until = self.least_cursor()?;
        loop {
            let (mut changes, mut end) = (Vec::new(), None);
            self.with(|store| {
                let from = self.trimmed.load(Ordering::Acquire);
                store.from(Space::Log, &record::key(from), &mut |key, value| {
                    let seq = record::seq_of(key).filter(|seq| *seq <= until);
                    let passed = seq.is_some();
                    if passed {
                        end = seq.zip(record::end_of(value).map(|(end, _)| end)).or(end);
                        changes.push(Change::Delete(Space::Log, key.to_vec()));
                    }
                    passed && changes.len() < DELETED_AT_A_TIME
                })
            })?;
            if changes.is_empty() {
                break;
            }
            let is_last = changes.len() < DELETED_AT_A_TIME;
            // After a crash they are there again, below every cursor, and are deleted then.
            self.with(|store| store.write(changes, false))?;
            if let Some((seq, end)) = end {
                self.start.fetch_max(end, Ordering::AcqRel);
                self.trimmed.fetch_max(seq, Ordering::AcqRel);
            }
            if is_last {
                break;
            }
        }
        let passed = |seq: u64| seq <= until;
        let gone: Vec<_> = self
            .erased
            .read()
            .iter()
            .filter(|(_, seq)| passed(**seq))
            .map(|(key, _)| *key)
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let delete = |key: &SubjectKey| Change::Delete(Space::Erased, key.0.to_be_bytes().to_vec());
        self.with(|store| store.write(gone.iter().map(delete).collect(), false))?;
        self.erased.write().retain(|_, seq| !passed(*seq));
        Ok(())
    }
}

/// Deletes the dead letters of a subject.
pub(super) fn without_dead(store: &dyn Store, subject: SubjectKey) -> io::Result<Vec<Change>> {
    let mut changes = Vec::new();
    store.from(Space::Dead, &[], &mut |key, value| {
        let about = unburied(value).and_then(|(_, _, value)| record::subject(value));
        if about == Some(subject) {
            changes.push(Change::Delete(Space::Dead, key.to_vec()));
        }
        true
    })?;
    Ok(changes)
}

fn dead_key(seq: u64, sink: &str) -> Vec<u8> {
    [&record::key(seq), sink.as_bytes()].concat()
}

/// `again` (1 byte), the reason's length (2 bytes), the reason, the record.
fn buried(reason: &str, again: u8, value: &[u8]) -> Vec<u8> {
    let reason: String = reason.chars().take(256).collect();
    let length = u16::try_from(reason.len()).unwrap_or(u16::MAX);
    [&[again][..], &length.to_be_bytes(), reason.as_bytes(), value].concat()
}

fn unburied(value: &[u8]) -> Option<(u8, &str, &[u8])> {
    let (again, rest) = value.split_first()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (reason, record) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((*again, std::str::from_utf8(reason).ok()?, record))
}

fn dead_letter(key: &[u8], value: &[u8]) -> Option<DeadLetter> {
    let (again, reason, value) = unburied(value)?;
    let row = value.get(record::HEAD_BYTES..).and_then(|row| serde_json::from_slice(row).ok());
    Some(DeadLetter {
        seq: record::seq_of(key)?,
        sink: String::from_utf8_lossy(key.get(8..)?).into_owned(),
        reason: reason.to_owned(),
        is_retried: again == 1,
        row,
    })
}
