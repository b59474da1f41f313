//! Events read back from their files, for people.
//!
//! In: a directory of events, a table, days, and what is wanted of a row. Out: rows, day by day, each
//! once; small files that are merged at this moment are read again.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{columns, files};
use crate::types::event::column::{Cell, Table};

/// Gives the rows of the days from `since` to `until` (`2026-11-23`; `None`: no bound), in the order
/// of their files, until `take` says false.
///
/// # Errors
/// A file that cannot be read.
pub fn rows(
    directory: &Path,
    table: &Table,
    (since, until): (Option<&str>, Option<&str>),
    mut take: impl FnMut(&[Cell]) -> bool,
) -> anyhow::Result<()> {
    let wanted = |day: &str| since.is_none_or(|s| day >= s) && until.is_none_or(|u| day <= u);
    let days = files::days(directory, table)?;
    for (_, folder) in days.into_iter().filter(|(day, _)| wanted(day)) {
        for (path, file) in opened(&folder)? {
            let mut goes_on = true;
            columns::read(table, file, |row| {
                goes_on = take(&row);
                goes_on
            })
            .with_context(|| path.display().to_string())?;
            if !goes_on {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The files of a day, all open: one that a merge takes away is read all the same.
fn opened(folder: &Path) -> io::Result<Vec<(PathBuf, File)>> {
    const TRIES: usize = 10;
    let open = || -> io::Result<Vec<_>> {
        let files = files::readable(folder)?.into_iter();
        files.map(|path| Ok((path.clone(), File::open(path)?))).collect()
    };
    let mut last = open();
    for _ in 1..TRIES {
        match &last {
            // It was taken away between its name and now: its rows are in another by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = open(),
            _ => break,
        }
    }
    last
}
