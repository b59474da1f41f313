//! What a fit measured, kept in a file as it comes, so that an interrupted fit can go on.
//!
//! In: a path, what is fitted. Out: the measures that are there already; each new one is appended. The
//! first line says of which logs and rules they are; with others the file is refused. A last line that
//! was cut short is cut off.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::types::problem::Problem;

/// Larger ones are not read: a thousand settings of ten thousand cells.
const BYTES_MAX: u64 = 1 << 28;

/// Of what the measures are.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) leafrank: String,
    pub(super) files: Vec<String>,
    pub(super) rules: String,
    pub(super) protocol: String,
}

#[derive(Serialize, Deserialize)]
struct Measured {
    setting: String,
    sums: Vec<i64>,
}

/// An open checkpoint.
pub(super) struct Checkpoint {
    file: File,
    known: BTreeMap<String, Vec<i64>>,
}

impl Checkpoint {
    /// Opens a file that is there, or makes one.
    pub(super) fn open(path: &Path, header: &Header) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let unusable =
            |error: io::Error| Problem::with_file(&name, format!("cannot be used: {error}"));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(unusable)?;
        let mut text = String::new();
        (&file).take(BYTES_MAX + 1).read_to_string(&mut text).map_err(unusable)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(Problem::with_file(&name, format!("is larger than {BYTES_MAX} bytes")));
        }
        // A line counts when its end was written.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text.get(..whole).unwrap_or_default().lines();
        let mut known = BTreeMap::new();
        match lines.next() {
            Some(first) => {
                let wrong = |found: String| Problem {
                    line: 1,
                    expected: "a checkpoint of these logs, rules, protocol and folds, or no file \
                               yet"
                    .to_owned(),
                    ..Problem::with_file(&name, found)
                };
                let found: Header =
                    serde_json::from_str(first).map_err(|error| wrong(error.to_string()))?;
                if found != *header {
                    return Err(wrong("found that of another fit".to_owned()));
                }
                let read = lines.filter_map(|line| serde_json::from_str::<Measured>(line).ok());
                known.extend(read.map(|measured| (measured.setting, measured.sums)));
                file.set_len(whole as u64).map_err(unusable)?;
            }
            None => {
                let line = serde_json::to_string(header).unwrap_or_default();
                file.set_len(0).map_err(unusable)?;
                file.rewind().map_err(unusable)?;
                file.write_all(format!("{line}\n").as_bytes()).map_err(unusable)?;
            }
        }
        file.seek(SeekFrom::End(0)).map_err(unusable)?;
        Ok(Self { file, known })
    }

    /// What was measured before.
    pub(super) fn take(&mut self) -> BTreeMap<String, Vec<i64>> {
        std::mem::take(&mut self.known)
    }

    /// Appends a measure.
    pub(super) fn keep(&mut self, setting: &str, sums: &[i64]) -> io::Result<()> {
        let measured = Measured { setting: setting.to_owned(), sums: sums.to_vec() };
        let mut line = serde_json::to_string(&measured).map_err(io::Error::other)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())
    }
}
