//! Rows as Parquet files in folders of days, for DuckDB, Spark and whoever reads such.
//!
//! ```text
//! events/raw_user_actions/event_date=2026-11-23/0000000000000401-0000000000000480.1of2.parquet
//!                                               first and last number of the batch, which of its files
//!                                               0000000000000001-0000000000000400.parquet  (merged)
//! ```
//! In: batches. Out: a file a table and day, written beside its name, flushed, renamed. A batch whose
//! files are all there is not written again, one that is cut short is removed: no row stands in two
//! files, except for a moment while small files are merged. Old days go ([`files`]).

mod columns;
mod files;
pub mod read;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::{Refused, Sink};
use crate::config;
use crate::spool::{Batch, Record, Spool};
use crate::types::clock::{Clock, Timestamp};
use crate::types::event::column::{Cell, Table, day};
use crate::types::event::render::PARTITIONED_BY;
use files::{Named, Part};

/// The sink's name.
pub const NAME: &str = "parquet";
/// The directory below `data_dir`.
pub const DIRECTORY: &str = "events";

/// Rows of one table and day.
type Rows = Vec<Vec<Cell>>;
/// The same by table and day.
type Sorted = BTreeMap<(&'static str, String), (&'static Table, Rows)>;

/// Writes Parquet files.
pub struct Parquet {
    directory: PathBuf,
    settings: config::Spool,
    clock: Arc<dyn Clock>,
    /// When old days were looked for last, µs.
    swept_us: Option<u64>,
    /// The files of the last batch, and the number that it began with.
    written: (u64, Vec<PathBuf>),
}

impl Parquet {
    /// Over this directory, which is made when the first row comes. Removes what a crash left half
    /// done.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(
        directory: PathBuf,
        settings: config::Spool,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        files::mend(&directory)?;
        Ok(Self { directory, settings, clock, swept_us: None, written: (0, Vec::new()) })
    }

    /// The greatest number of any row that is in a file.
    ///
    /// # Errors
    /// The system's reason.
    pub fn last(&self) -> io::Result<u64> {
        let all = files::all(&self.directory)?;
        Ok(all.iter().map(|file| file.last).max().unwrap_or(0))
    }

    /// Tells the log of batches whose files are all there, though a crash kept it from hearing so; takes
    /// away those of one that was cut short.
    ///
    /// # Errors
    /// The system's reason.
    pub fn settle(&self, spool: &Spool) -> io::Result<()> {
        let (cursor, _) = spool.position(NAME)?;
        let all = files::all(&self.directory)?;
        let merged = all.iter().filter(|file| file.part.is_none());
        let mut done = merged.map(|file| file.last).max().unwrap_or(0).max(cursor);
        let mut batches: BTreeMap<(u64, u64), Vec<&Named>> = BTreeMap::new();
        for file in all.iter().filter(|file| file.part.is_some() && file.last > done) {
            batches.entry((file.first, file.last)).or_default().push(file);
        }
        for ((_, last), files) in batches {
            let of = files.first().and_then(|file| file.part).map_or(0, |part| part.of);
            if files.len() == of {
                done = last;
            } else {
                for file in files {
                    fs::remove_file(&file.path)?;
                }
            }
        }
        if done > cursor { spool.ack(NAME, done, &[]) } else { Ok(()) }
    }

    /// Rows of a batch by table and day; what cannot be read is refused.
    fn sorted(records: &[Record]) -> (Sorted, Refused) {
        let (mut sorted, mut refused) = (Sorted::new(), Vec::new());
        for record in records {
            let Some(table) = record.kind.table() else { continue };
            let cells = match table.read(&record.row) {
                Ok(cells) => cells,
                Err(error) => {
                    refused.push((record.seq, error.to_string()));
                    continue;
                }
            };
            let at = table.place(PARTITIONED_BY).and_then(|place| cells.get(place));
            let Some(Cell::Time(micros)) = at else { continue };
            let of_day = sorted.entry((table.name, day(*micros)));
            let (_, rows) = of_day.or_insert_with(|| (table, Vec::new()));
            rows.push(cells);
        }
        (sorted, refused)
    }

    /// Writes the files of a batch: all beside their names first, so that few moments lie between the
    /// first name and the last.
    fn written(
        &self,
        records: &[Record],
        name: impl Fn(Part) -> String,
    ) -> anyhow::Result<(Refused, Vec<PathBuf>)> {
        let (sorted, refused) = Self::sorted(records);
        let of = sorted.len();
        let mut ready = Vec::with_capacity(of);
        for (number, ((table_name, day), (table, rows))) in sorted.into_iter().enumerate() {
            let folder = self.directory.join(table_name).join(format!("event_date={day}"));
            let path = folder.join(name(Part { number: number + 1, of }));
            let write = || -> anyhow::Result<PathBuf> {
                files::make(&folder)?;
                let beside = files::beside(&path);
                columns::write(table, &rows, &beside)?;
                Ok(beside)
            };
            let beside = write().with_context(|| path.display().to_string())?;
            ready.push((beside, path));
        }
        for (beside, path) in &ready {
            fs::rename(beside, path).with_context(|| path.display().to_string())?;
        }
        for (_, path) in &ready {
            files::flush_folder(path)?;
        }
        Ok((refused, ready.into_iter().map(|(_, path)| path).collect()))
    }
}

impl Sink for Parquet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn take(&mut self, batch: &Batch) -> anyhow::Result<Refused> {
        let (first, last) = (batch.first, batch.last);
        if self.written.0 == first {
            // The log was not told of them; the batch may be longer by now.
            for path in self.written.1.drain(..) {
                fs::remove_file(path)?;
            }
        }
        let name = |part| files::name(first, last, Some(part));
        let (refused, paths) = self.written(&batch.records, name)?;
        self.written = (first, paths);
        Ok(refused)
    }

    fn take_again(&mut self, records: &[Record]) -> anyhow::Result<Refused> {
        let mut refused = Vec::new();
        for record in records {
            // Each by itself, under its own number: sent twice it is the same file.
            let name = |_| format!("again-{:016}.parquet", record.seq);
            refused.extend(self.written(std::slice::from_ref(record), name)?.0);
        }
        Ok(refused)
    }

    fn tend(&mut self) {
        const SWEEP_US: u64 = 600_000_000;
        let now_us = self.clock.monotonic_us();
        let today = day(micros(self.clock.now()));
        if let Err(error) = files::merge(&self.directory, &today) {
            tracing::warn!(%error, "small files of events are not merged");
        }
        if self.swept_us.is_none_or(|swept| now_us.saturating_sub(swept) >= SWEEP_US) {
            self.swept_us = Some(now_us);
            if let Err(error) = self.sweep(&today) {
                tracing::warn!(%error, "old days of events are not deleted");
            }
        }
    }
}

impl Parquet {
    fn sweep(&self, today: &str) -> io::Result<()> {
        let days_ms =
            i64::try_from(self.settings.keep_days).unwrap_or(i64::MAX).saturating_mul(86_400_000);
        let now = self.clock.now();
        let oldest = (days_ms > 0).then(|| day(micros(Timestamp(now.0.saturating_sub(days_ms)))));
        files::sweep(&self.directory, oldest.as_deref(), self.settings.events_bytes_max, today)
    }
}

fn micros(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000)
}

/// The directory of a data directory.
pub fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join(DIRECTORY)
}

#[cfg(test)]
mod tests;
