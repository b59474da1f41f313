//! The thread that writes: rows are collected, written and flushed together.
//!
//! In: jobs. Out: groups on the disk, at most one each `spool.group_ms`; a row that somebody waits
//! for begins one at once when the last was long enough ago. A group that the disk refuses is kept;
//! the store is opened anew, at growing distances, and takes it first. What nobody waits for is
//! dropped meanwhile, and counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::record::{self, Draft, Kind};
use super::store::{Change, Space, Store};
use super::{Refused, Shared, sending};
use crate::types::clock::Timestamp;
use crate::types::event::{Body, Row};
use crate::types::ids::SubjectKey;

/// Rows of one group.
const GROUP_ROWS_MAX: usize = 2_048;
/// Of the bytes that the log may hold, the last tenth is for rows that somebody waits for.
const RESERVED_SHARE: u64 = 10;
/// Between two tries to open a broken store.
const RETRY: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// Who hears of a group's fate.
type Answer = oneshot::Sender<Result<(), Refused>>;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Nobody waits.
    Offered(Row),
    /// Somebody waits.
    Accepted(Vec<Row>, Answer),
    /// Nothing of this subject that came before is to be handed out.
    Erase(SubjectKey),
    /// Write what came before, then stop.
    End,
}

/// Rows that are to be written together.
#[derive(Default)]
struct Group {
    drafts: Vec<Draft>,
    answers: Vec<Answer>,
    /// Bytes that the queue had counted.
    queued: usize,
    begun_us: Option<u64>,
}

/// The thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    group: Group,
    last_us: Option<u64>,
    failures: usize,
    ended: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, jobs: Receiver<Job>) -> Self {
        let group = Group::default();
        Self { shared, jobs, group, last_us: None, failures: 0, ended: false }
    }

    pub(super) fn run(mut self) {
        while !self.ended {
            let turn = AssertUnwindSafe(|| {
                self.collect();
                self.commit();
            });
            // A fault of ours must not end the writing; what it was about is not to fault again.
            if catch_unwind(turn).is_err() {
                let lost = std::mem::take(&mut self.group);
                self.shared.queued.fetch_sub(lost.queued, Ordering::AcqRel);
                self.shared.dropped("fault", lost.drafts.len());
            }
        }
        // Whoever still waits hears that the channel is gone.
        let left = self.group.drafts.len();
        if left > 0 {
            tracing::error!(rows = left, "the disk did not take the last rows; they are lost");
            self.shared.dropped("spool_broken", left);
        }
        // The directory is another process' from here on.
        *self.shared.store.write() = None;
    }

    /// Takes jobs until a group is due.
    fn collect(&mut self) {
        // While the disk refuses there is time for all of them.
        while !self.ended && (self.group.drafts.len() < GROUP_ROWS_MAX || self.failures > 0) {
            let now = self.shared.clock.monotonic_us();
            let job = match self.due_us() {
                None => self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // What is there already goes with it.
                Some(due) if due <= now => {
                    self.jobs.try_recv().map_err(|_| RecvTimeoutError::Timeout)
                }
                Some(due) => self.jobs.recv_timeout(Duration::from_micros(due - now)),
            };
            match job {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.ended = true,
            }
        }
    }

    /// When the group is to be written; `None`: there is none.
    fn due_us(&self) -> Option<u64> {
        let wait = |from: u64, by: Duration| from.saturating_add(by.as_micros() as u64);
        let begun = self.group.begun_us?;
        if self.failures > 0 {
            let by = RETRY.get(self.failures - 1).or(RETRY.last()).copied().unwrap_or_default();
            return Some(wait(self.last_us.unwrap_or(begun), by));
        }
        let every = self.shared.settings.group;
        let after_last = self.last_us.map_or(0, |last| wait(last, every));
        match self.group.answers.is_empty() {
            true => Some(wait(begun, every).max(after_last)),
            false => Some(after_last),
        }
    }

    fn take(&mut self, job: Job) {
        self.group.begun_us.get_or_insert(self.shared.clock.monotonic_us());
        match job {
            Job::Offered(row) => {
                let bytes = row.bytes();
                let room = self.shared.settings.bytes_max;
                let room = room - room / RESERVED_SHARE;
                match self.drafted(&row).and_then(|draft| self.room_for(draft, room)) {
                    Ok(draft) => {
                        self.group.drafts.push(draft);
                        self.group.queued += bytes;
                    }
                    Err(refused) => {
                        self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
                        self.shared.dropped(refused.reason(), 1);
                    }
                }
            }
            Job::Accepted(rows, answer) => {
                let bytes = rows.iter().map(Row::bytes).sum::<usize>();
                let drafts: Result<Vec<_>, _> = rows.iter().map(|row| self.drafted(row)).collect();
                match drafts {
                    Ok(drafts) => {
                        self.group.drafts.extend(drafts);
                        self.group.queued += bytes;
                        self.answer_later(answer);
                    }
                    Err(refused) => {
                        self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
                        self.shared.dropped(refused.reason(), rows.len());
                        // Who does not wait any more need not know.
                        drop(answer.send(Err(refused)));
                    }
                }
            }
            Job::Erase(subject) => {
                let taken = self.shared.now();
                let row = Vec::new();
                self.group.drafts.push(Draft { kind: Kind::Erasure, subject, taken, row });
            }
            Job::End => self.ended = true,
        }
    }

    /// While the disk refuses, whoever waits hears so at once; the rows are kept.
    fn answer_later(&mut self, answer: Answer) {
        if self.failures == 0 {
            return self.group.answers.push(answer);
        }
        drop(answer.send(Err(Refused::Broken("the disk did not take the last group".into()))));
    }

    fn drafted(&self, row: &Row) -> Result<Draft, Refused> {
        let (kind, subject) = match row.body {
            Body::Action(_) => (Kind::Action, row.subject),
            Body::Decision(_) => (Kind::Decision, row.subject),
        };
        let (json, max) = (row.json(), self.shared.settings.row_bytes_max);
        if json.len() > max {
            return Err(Refused::Oversized { bytes: json.len(), max });
        }
        let taken: Timestamp = self.shared.now();
        Ok(Draft { kind, subject, taken, row: json.into_bytes() })
    }

    fn room_for(&self, draft: Draft, room: u64) -> Result<Draft, Refused> {
        let waiting: u64 = self.group.drafts.iter().map(Draft::bytes).sum();
        if self.shared.bytes() + waiting + draft.bytes() > room {
            return Err(Refused::Full);
        }
        Ok(draft)
    }

    /// Writes the group, and tells whoever waits.
    fn commit(&mut self) {
        if self.group.begun_us.is_none() {
            return;
        }
        let started_us = self.shared.clock.monotonic_us();
        self.last_us = Some(started_us);
        if self.group.drafts.is_empty() {
            return self.settle(Ok(()));
        }
        let written = self.reopened().and_then(|()| self.written());
        let took = self.shared.clock.monotonic_us().saturating_sub(started_us);
        self.shared.metrics.spool_commit_seconds.observe(took as f64 / 1e6);
        match written {
            Ok(()) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!(
                        "the event log is written again; nothing that was taken is lost"
                    );
                }
                self.shared.broken.store(false, Ordering::Release);
                self.settle(Ok(()));
            }
            Err(error) => {
                if self.failures == 0 {
                    tracing::error!(
                        %error, rows = self.group.drafts.len(),
                        "the event log cannot be written; its rows wait in memory"
                    );
                }
                self.failures += 1;
                self.shared.broken.store(true, Ordering::Release);
                // Not to be used again: what it holds is not known.
                *self.shared.store.write() = None;
                let refused = Refused::Broken(error.to_string());
                for answer in self.group.answers.drain(..) {
                    drop(answer.send(Err(refused.clone())));
                }
            }
        }
    }

    /// Opens the store anew where it broke. All of the group may be in it, or none: it is written
    /// again under the same numbers.
    fn reopened(&self) -> std::io::Result<()> {
        if self.failures == 0 {
            return Ok(());
        }
        let mut place = self.shared.store.write();
        *place = None;
        *place = Some((self.shared.opener)()?);
        Ok(())
    }

    /// Writes the group behind the last record.
    fn written(&self) -> std::io::Result<()> {
        let mut seq = *self.shared.last.lock();
        let mut end = self.shared.end.load(Ordering::Acquire);
        let mut changes = Vec::with_capacity(self.group.drafts.len());
        let mut erased = Vec::new();
        for draft in &self.group.drafts {
            (seq, end) = (seq + 1, end + draft.bytes());
            changes.push(Change::Put(Space::Log, record::key(seq), draft.written(end)));
            if draft.kind == Kind::Erasure {
                let subject = draft.subject.0.to_be_bytes().to_vec();
                changes.push(Change::Put(Space::Erased, subject, record::key(seq)));
                let dead = |store: &dyn Store| sending::without_dead(store, draft.subject);
                changes.extend(self.shared.with(dead)?);
                erased.push((draft.subject, seq));
            }
        }
        self.shared.with(|store| store.write(changes, true))?;
        self.shared.erased.write().extend(erased);
        self.shared.end.store(end, Ordering::Release);
        let first = std::mem::replace(&mut *self.shared.last.lock(), seq) + 1;
        self.shared.grown.notify_all();
        self.tell(first);
        Ok(())
    }

    fn tell(&self, first: u64) {
        if self.shared.followers.receiver_count() == 0 {
            return;
        }
        for (seq, draft) in (first..).zip(&self.group.drafts) {
            let Some(table) = draft.kind.table() else { continue };
            let row = String::from_utf8_lossy(&draft.row);
            let line = format!("{{\"table\":\"{}\",\"seq\":{seq},\"row\":{row}}}", table.name);
            // The last one may have gone meanwhile.
            drop(self.shared.followers.send(line.into()));
        }
    }

    fn settle(&mut self, outcome: Result<(), Refused>) {
        let group = std::mem::take(&mut self.group);
        self.shared.metrics.spool_accepted.inc_by(group.drafts.len() as u64);
        self.shared.queued.fetch_sub(group.queued, Ordering::AcqRel);
        for answer in group.answers {
            drop(answer.send(outcome.clone()));
        }
    }
}
