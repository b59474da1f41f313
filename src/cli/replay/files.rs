//! The files of a replay: read line by line, unpacked, hashed.
//!
//! In: paths of logs and catalogues. Out: a log, each file's SHA-256 as it is on disk, or what cannot
//! be used. Progress goes to stderr where that is a terminal. A line holds at most
//! [`LINE_BYTES_MAX`]; after [`PROBLEMS_MAX`] bad lines nobody reads on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ring::digest::{Context, SHA256};

use crate::replay::{Log, Reader};
use crate::types::clock::{Clock, SystemClock};
use crate::types::problem::Problem;

/// A list of ten thousand hits with ids of a hundred letters.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Bad lines that are told.
const PROBLEMS_MAX: usize = 20;

/// A log with the files that it came from.
pub(in crate::cli) struct Read {
    pub(in crate::cli) log: Log,
    /// Each with the leading 16 hex digits of its SHA-256.
    pub(in crate::cli) files: Vec<(String, String)>,
}

pub(in crate::cli) enum ReadError {
    /// A file that cannot be read.
    File(Problem),
    /// Lines that cannot be used.
    Lines(Vec<Problem>),
}

/// Reads catalogues, then logs. Without a catalogue by name, those beside the logs are taken where
/// they are.
pub(in crate::cli) fn read(logs: &[PathBuf], catalogs: &[PathBuf]) -> Result<Read, ReadError> {
    let beside: Vec<PathBuf> = match catalogs.is_empty() {
        true => logs.iter().filter_map(|log| catalog_beside(log)).collect(),
        false => catalogs.to_vec(),
    };
    let mut reader = Reader::default();
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for (path, is_catalog) in
        beside.iter().map(|path| (path, true)).chain(logs.iter().map(|path| (path, false)))
    {
        reader.file(&path.display().to_string());
        let line = |text: &str| match is_catalog {
            true => reader.catalog_line(text),
            false => reader.line(text),
        };
        let digest = each_line(path, line, &mut problems).map_err(ReadError::File)?;
        files.push((path.display().to_string(), digest));
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    match problems.is_empty() {
        true => Ok(Read { log: reader.finish(), files }),
        false => Err(ReadError::Lines(problems)),
    }
}

/// `NAME.catalog.jsonl[.gz]` beside `NAME.log.jsonl[.gz]`.
fn catalog_beside(log: &Path) -> Option<PathBuf> {
    let name = log.file_name()?.to_str()?;
    let stem = name.split(".log.").next().filter(|stem| *stem != name)?;
    let ends = [".catalog.jsonl.gz", ".catalog.jsonl"];
    let mut found = ends.iter().map(|end| log.with_file_name(format!("{stem}{end}")));
    found.find(|path| path.is_file())
}

/// Hands on each line and returns the hash of the file's bytes.
fn each_line(
    path: &Path,
    mut line: impl FnMut(&str) -> Result<(), Problem>,
    problems: &mut Vec<Problem>,
) -> Result<String, Problem> {
    let name = path.display().to_string();
    let unreadable =
        |error: io::Error| Problem::with_file(&name, format!("cannot be read: {error}"));
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let is_gzip = file.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    let mut hashed = Hashed { file, context: Context::new(&SHA256) };
    let mut text: Box<dyn BufRead + '_> = match is_gzip {
        true => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(&mut hashed))),
        false => Box::new(BufReader::with_capacity(1 << 16, &mut hashed)),
    };
    let mut buffer = Vec::new();
    let mut number = 0;
    loop {
        buffer.clear();
        number += 1;
        let read = (&mut text).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut buffer);
        let read = read.map_err(unreadable)?;
        if read == 0 {
            break;
        }
        if buffer.len() as u64 > LINE_BYTES_MAX {
            let found = format!("line {number} is longer than {LINE_BYTES_MAX} bytes");
            return Err(Problem::with_file(&name, found));
        }
        let said = match std::str::from_utf8(&buffer) {
            Ok(text) => line(text),
            // counted as a line all the same
            Err(_) => line("").and(Err(Problem {
                line: number,
                column: 1,
                ..Problem::with_file(&name, "no UTF-8")
            })),
        };
        problems.extend(said.err());
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
    }
    drop(text);
    io::copy(&mut hashed, &mut io::sink()).map_err(unreadable)?;
    let digest = hashed.context.finish();
    Ok(digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// A file whose bytes are hashed as they are read.
struct Hashed {
    file: BufReader<File>,
    context: Context,
}

impl io::Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.context.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// How far a replay is, for people: a line on stderr, where that is a terminal.
pub(in crate::cli) struct Progress {
    clock: SystemClock,
    records: usize,
    is_seen: bool,
    shown_us: u64,
}

impl Progress {
    pub(in crate::cli) fn new(records: usize) -> Self {
        let is_seen = io::stderr().is_terminal();
        Self { clock: SystemClock::default(), records, is_seen, shown_us: 0 }
    }

    /// So many records are done.
    pub(in crate::cli) fn at(&mut self, done: usize) {
        const EVERY_US: u64 = 100_000;
        if !self.is_seen || !done.is_multiple_of(256) {
            return;
        }
        let now_us = self.clock.monotonic_us();
        if now_us.saturating_sub(self.shown_us) >= EVERY_US {
            self.shown_us = now_us;
            let percent = done * 100 / self.records.max(1);
            let bar = "█".repeat(percent / 4);
            eprint!("\r{percent:3} % {bar:25} {done} of {} records", self.records);
        }
    }

    /// Takes the line away again.
    pub(in crate::cli) fn end(&self) {
        if self.is_seen {
            eprint!("\r{:80}\r", "");
            // A terminal that is gone needs no line taken away.
            io::stderr().flush().unwrap_or_default();
        }
    }

    /// Since the beginning.
    pub(in crate::cli) fn seconds(&self) -> f64 {
        self.clock.monotonic_us() as f64 / 1e6
    }
}
