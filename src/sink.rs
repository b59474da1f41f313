//! Floor 4: where rows go from the event log.
//!
//! In: the log, one cursor a sink. Out: batches handed to each [`Sink`] on a thread of its own, at
//! least once and in order; a batch that a sink cannot take comes again, at growing distances. A row
//! that it never will take is a dead letter. Nothing here is on a request's way: a sink that hangs
//! lets the log grow. [`parquet`] is the one that needs nothing but a disk.

pub mod parquet;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::spool::{Batch, Record, Spool};
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;

/// Bytes of one batch, about.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Dead letters sent again in one go.
const RETRIED_AT_A_TIME: usize = 1_000;
/// Nothing waits for longer than this without looking around.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// For so long a process that ends goes on sending.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// After a failure a batch is sent again after this, twice as long each time, up to …
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// … this.
const RETRY_LAST: Duration = Duration::from_secs(30);

/// Rows that a sink does not take, by their number, each with the reason.
pub type Refused = Vec<(u64, String)>;

/// Takes rows.
pub trait Sink: Send + 'static {
    /// Its name in the log, in metrics and for operators.
    fn name(&self) -> &'static str;

    /// Takes a batch; on return it is as durable as it will be. The same batch may come again.
    ///
    /// # Errors
    /// Why nothing of it was taken; it comes again.
    fn take(&mut self, batch: &Batch) -> anyhow::Result<Refused>;

    /// Takes rows that it refused before, in no order.
    ///
    /// # Errors
    /// As [`Sink::take`].
    fn take_again(&mut self, records: &[Record]) -> anyhow::Result<Refused>;

    /// Has time for itself.
    fn tend(&mut self) {}
}

/// Hands one sink its batches.
struct Runner<S> {
    sink: S,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    ended: Arc<AtomicBool>,
    /// Since when there is something to send, µs.
    since_us: Option<u64>,
    failures: u32,
}

/// A sink at work; it sends what is left, then ends, when this is told to.
pub struct Running {
    ended: Arc<AtomicBool>,
    spool: Arc<Spool>,
    thread: JoinHandle<()>,
}

/// Begins to hand the sink its batches.
///
/// # Errors
/// There is no thread for it.
pub fn run(
    sink: impl Sink,
    spool: Arc<Spool>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
) -> std::io::Result<Running> {
    let ended = Arc::new(AtomicBool::new(false));
    let name = format!("sink-{}", sink.name());
    let (told, log) = (ended.clone(), spool.clone());
    let runner = Runner { sink, spool, metrics, clock, ended: told, since_us: None, failures: 0 };
    let thread = std::thread::Builder::new().name(name).spawn(|| runner.run())?;
    Ok(Running { ended, spool: log, thread })
}

impl Running {
    /// Sends what is left, and waits for that.
    pub fn end(self) {
        self.ended.store(true, Ordering::Release);
        self.spool.wake();
        if self.thread.join().is_err() {
            tracing::error!("the thread of a sink panicked: its rows are in the event log");
        }
    }
}

impl<S: Sink> Runner<S> {
    fn run(mut self) {
        loop {
            let ended = self.ended.load(Ordering::Acquire);
            // A fault of ours must not end the sending.
            let turn = catch_unwind(AssertUnwindSafe(|| self.turn(ended)));
            match turn.unwrap_or_else(|_| Err(anyhow::anyhow!("a fault of ours"))) {
                Ok(()) => self.failures = 0,
                Err(error) => self.failed(&error),
            }
            if ended {
                return;
            }
        }
    }

    /// Sends what is due, or waits for it.
    fn turn(&mut self, ended: bool) -> anyhow::Result<()> {
        let name = self.sink.name();
        self.send_again()?;
        let (cursor, last) = self.spool.position(name)?;
        let settings = self.spool.settings();
        if cursor >= last {
            self.since_us = None;
            self.sink.tend();
            if !ended {
                self.spool.wait(last, LOOK_EVERY);
            }
            return Ok(());
        }
        // By this process' own time: the time of day may jump.
        let now_us = self.clock.monotonic_us();
        let since = *self.since_us.get_or_insert(now_us);
        let waited = Duration::from_micros(now_us.saturating_sub(since));
        let left = settings.batch.saturating_sub(waited);
        if !ended && !left.is_zero() && last - cursor < settings.batch_rows_max as u64 {
            self.spool.wait(last, left.min(LOOK_EVERY));
            return Ok(());
        }
        while self.send()? {
            let spent_us = self.clock.monotonic_us().saturating_sub(now_us);
            if self.ended.load(Ordering::Acquire) && spent_us > LAST_WORDS.as_micros() as u64 {
                // The rest is in the log for the next start.
                break;
            }
        }
        self.since_us = None;
        self.sink.tend();
        Ok(())
    }

    /// Sends one batch; true where there is more.
    fn send(&mut self) -> anyhow::Result<bool> {
        let name = self.sink.name();
        let rows_max = self.spool.settings().batch_rows_max;
        let batch = self.spool.batch(name, rows_max, BATCH_BYTES_MAX)?;
        if batch.last < batch.first {
            return Ok(false);
        }
        let mut dead = self.sink.take(&batch)?;
        let taken = batch.records.len().saturating_sub(dead.len());
        dead.extend(batch.unreadable.iter().cloned());
        self.spool.ack(name, batch.last, &dead)?;
        self.metrics.sink_rows.with_label_values(&[name]).inc_by(taken as u64);
        if let Some((_, reason)) = dead.first() {
            self.metrics.sink_dead.with_label_values(&[name]).inc_by(dead.len() as u64);
            tracing::error!(
                sink = name, rows = dead.len(), %reason,
                "rows are not taken; leafrank spool dlq lists them"
            );
        }
        Ok(batch.is_full)
    }

    /// Sends dead letters that an operator wants sent again.
    fn send_again(&mut self) -> anyhow::Result<()> {
        let name = self.sink.name();
        let records = self.spool.retried(name, RETRIED_AT_A_TIME)?;
        if records.is_empty() {
            return Ok(());
        }
        let refused = self.sink.take_again(&records)?;
        for record in &records {
            let reason = refused.iter().find(|(seq, _)| *seq == record.seq);
            let reason = reason.map(|(_, reason)| reason.as_str());
            self.spool.retried_once(name, record.seq, reason)?;
            if reason.is_none() {
                self.metrics.sink_rows.with_label_values(&[name]).inc();
            }
        }
        Ok(())
    }

    /// Waits; a failure that goes on is told of once.
    fn failed(&mut self, error: &anyhow::Error) {
        let name = self.sink.name();
        self.metrics.sink_failures.with_label_values(&[name]).inc();
        if self.failures == 0 {
            tracing::error!(
                sink = name,
                error = format!("{error:#}"),
                "a batch is not taken; it comes again, and the event log grows meanwhile"
            );
        }
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(10)).min(RETRY_LAST);
        self.failures += 1;
        let until_us = self.clock.monotonic_us() + wait.as_micros() as u64;
        while !self.ended.load(Ordering::Acquire) && self.clock.monotonic_us() < until_us {
            // New rows wake it, and change nothing.
            self.spool.wait(u64::MAX, wait.min(LOOK_EVERY));
        }
    }
}
