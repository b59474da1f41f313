//! The files of events: their names, what a crash left of them, merging small ones, dropping old days.
//!
//! A file's name holds the numbers of its batch, or of all batches that were merged into it. Where a
//! merged file stands beside files whose numbers it holds, the merge was cut short: those go. What
//! is written lies beside its name, with a dot in front, until it is whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::columns;
use crate::types::event::TABLES;
use crate::types::event::column::{Cell, Table};

/// So many small files of a day are merged, while the day lasts.
const MERGED_AT: usize = 16;
/// A file above so many bytes is not merged any more.
const SMALL_BYTES: u64 = 2 << 20;
/// Files merged into one hold at most so many bytes together, ten times that when they are read, and …
const MERGED_BYTES_MAX: u64 = 4 << 20;
/// … are at most so many.
const MERGED_FILES_MAX: usize = 64;

/// Which of a batch's files one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1 on.
    pub(super) number: usize,
    pub(super) of: usize,
}

/// A file whose name says which rows it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    pub(super) first: u64,
    pub(super) last: u64,
    /// `None`: it was merged.
    pub(super) part: Option<Part>,
    bytes: u64,
}

/// A file's name.
pub(super) fn name(first: u64, last: u64, part: Option<Part>) -> String {
    let part = part.map(|Part { number, of }| format!(".{number}of{of}")).unwrap_or_default();
    format!("{first:016}-{last:016}{part}.parquet")
}

fn named(path: &Path, bytes: u64) -> Option<Named> {
    let name = path.file_name()?.to_str()?.strip_suffix(".parquet")?;
    let (range, part) = match name.split_once('.') {
        Some((range, part)) => {
            let (number, of) = part.split_once("of")?;
            (range, Some(Part { number: number.parse().ok()?, of: of.parse().ok()? }))
        }
        None => (name, None),
    };
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some(Named { path: path.to_owned(), first, last, part, bytes })
}

/// Where a file lies until it is whole.
pub(super) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Makes a folder that its owner alone can read.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Names in the folder of a file outlive a loss of power.
pub(super) fn flush_folder(file: &Path) -> io::Result<()> {
    // A new day's folder is a name too, in the folder above.
    for folder in file.ancestors().skip(1).take(3) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The day folders of a table, oldest first: the day, and where it is.
pub(super) fn days(directory: &Path, table: &Table) -> io::Result<Vec<(String, PathBuf)>> {
    let mut days = Vec::new();
    for path in entries(&directory.join(table.name))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(day) = name.strip_prefix("event_date=") {
            days.push((day.to_owned(), path));
        }
    }
    days.sort();
    Ok(days)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The batches and merged files of a day's folder, in order.
fn in_folder(folder: &Path) -> io::Result<Vec<Named>> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        found.extend(named(&path, bytes));
    }
    // Of two that begin alike the longer one holds the other.
    found.sort_by_key(|file| (file.first, std::cmp::Reverse(file.last), file.part.is_some()));
    Ok(found)
}

/// Which files of a day are to be read: those whose rows no merged one holds. And the others.
fn told_apart(folder: &Path) -> io::Result<(Vec<Named>, Vec<Named>)> {
    let mut until: Option<u64> = None;
    let all = in_folder(folder)?;
    Ok(all.into_iter().partition(|file| {
        let held = until.is_some_and(|until| file.last <= until);
        if !held && file.part.is_none() {
            until = Some(file.last);
        }
        !held
    }))
}

/// The files of a day that hold each of its rows once, in order.
pub(super) fn readable(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (files, _) = told_apart(folder)?;
    let again = entries(folder)?.into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("again-") && name.ends_with(".parquet")
    });
    Ok(files.into_iter().map(|file| file.path).chain(again).collect())
}

/// All batches and merged files.
pub(super) fn all(directory: &Path) -> io::Result<Vec<Named>> {
    let mut found = Vec::new();
    for table in TABLES {
        for (_, folder) in days(directory, table)? {
            found.extend(told_apart(&folder)?.0);
        }
    }
    Ok(found)
}

/// Takes away what a crash left half done.
pub(super) fn mend(directory: &Path) -> io::Result<()> {
    for table in TABLES {
        for (_, folder) in days(directory, table)? {
            for path in entries(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if name.starts_with('.') && name.ends_with(".new") {
                    fs::remove_file(path)?;
                }
            }
            for held in told_apart(&folder)?.1 {
                fs::remove_file(held.path)?;
            }
        }
    }
    Ok(())
}

/// Merges small files: of a day that is over, all; of today, when there are many.
pub(super) fn merge(directory: &Path, today: &str) -> anyhow::Result<()> {
    for table in TABLES {
        for (day, folder) in days(directory, table)? {
            let at_least = if day.as_str() < today { 2 } else { MERGED_AT };
            let files = in_folder(&folder)?;
            let runs = files.split(|file| file.bytes > SMALL_BYTES);
            for run in runs.flat_map(bounded).filter(|run| run.len() >= at_least) {
                merge_run(table, &folder, run)?;
            }
        }
    }
    Ok(())
}

/// A run of small files, cut where it would be too much for one.
fn bounded(mut run: &[Named]) -> Vec<&[Named]> {
    let mut cuts = Vec::new();
    while !run.is_empty() {
        let mut bytes = 0;
        let fits = run.iter().take(MERGED_FILES_MAX).take_while(|file| {
            bytes += file.bytes;
            bytes <= MERGED_BYTES_MAX
        });
        let (head, tail) = run.split_at(fits.count().max(1));
        cuts.push(head);
        run = tail;
    }
    cuts
}

fn merge_run(table: &Table, folder: &Path, run: &[Named]) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut is_whole = true;
    for file in run {
        let read = columns::read(table, File::open(&file.path)?, |row| {
            rows.push(row);
            true
        });
        if let Err(error) = read {
            is_whole = false;
            let aside = file.path.with_extension("parquet.damaged");
            fs::rename(&file.path, &aside)?;
            tracing::error!(
                %error, set_aside_as = %aside.display(),
                "a file of events cannot be read; nobody else's reader should stumble over it"
            );
        }
    }
    if !is_whole {
        // The others are merged the next time.
        return Ok(());
    }
    let path = folder.join(name(first.first, last.last, None));
    let beside = beside(&path);
    columns::write(table, &rows, &beside)?;
    fs::rename(&beside, &path)?;
    flush_folder(&path)?;
    for file in run.iter().filter(|file| file.path != path) {
        fs::remove_file(&file.path)?;
    }
    Ok(())
}

/// Deletes days before `oldest`, and the oldest ones while all take more than `bytes_max`; never today's.
pub(super) fn sweep(
    directory: &Path,
    oldest: Option<&str>,
    bytes_max: u64,
    today: &str,
) -> io::Result<()> {
    let mut all = Vec::new();
    for table in TABLES {
        for (day, folder) in days(directory, table)? {
            let files = entries(&folder)?;
            let files = files.iter().filter_map(|path| fs::metadata(path).ok());
            let bytes: u64 = files.map(|metadata| metadata.len()).sum();
            all.push((day, folder, bytes));
        }
    }
    all.sort();
    let mut bytes: u64 = all.iter().map(|(_, _, bytes)| bytes).sum();
    for (day, folder, own) in all {
        let is_old = oldest.is_some_and(|oldest| day.as_str() < oldest);
        let is_too_much = bytes_max > 0 && bytes > bytes_max;
        if day.as_str() < today && (is_old || is_too_much) {
            fs::remove_dir_all(&folder)?;
            bytes -= own;
            tracing::info!(%day, bytes = own, "a day of events was deleted (spool.keep_days, events_bytes_max)");
        }
    }
    Ok(())
}
