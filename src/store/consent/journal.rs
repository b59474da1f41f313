//! Choices on disk: a text of one line a choice, each with a checksum, the last one of a subject
//! counts.
//!
//! In: choices as they are made. Out: lines that are on the disk when [`Journal::keep`] returns. A
//! line that was cut short by a crash was never answered, and is left out. Written anew (beside,
//! flushed, renamed) at the first choice after a start, after a failed write, and when most of its
//! lines are of the past.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::Standing;
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;

/// The journal's name in the data directory.
pub const JOURNAL_FILE: &str = "consent.journal";

/// Lines of the past that a journal may hold, besides as many as there are subjects.
#[cfg(not(test))]
pub(super) const SPARE_LINES: usize = 1024;
#[cfg(test)]
pub(super) const SPARE_LINES: usize = 16;

/// No line of ours is longer, in bytes.
const LINE_BYTES_MAX: u64 = 128;

const HEAD: &str = "# v1: subject, personalization, sensitive, erased at (ms since 1970), checksum";

type Subjects = HashMap<SubjectKey, Standing>;

/// The file, ready for one more line.
pub(super) struct Journal {
    directory: PathBuf,
    /// `None`: the file must be written anew before anything is added to it.
    file: Option<File>,
    lines: usize,
}

impl Journal {
    /// Reads what is there; no file is no choice.
    pub(super) fn open(directory: &Path, subjects_max: usize) -> io::Result<(Self, Subjects)> {
        let path = directory.join(JOURNAL_FILE);
        let journal = Self { directory: directory.to_owned(), file: None, lines: 0 };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((journal, Subjects::new()));
            }
            Err(error) => return Err(error),
        };
        let bytes_max = (2 * subjects_max + SPARE_LINES + 4) as u64 * LINE_BYTES_MAX;
        let length = file.metadata()?.len();
        if length > bytes_max {
            let reason = format!(
                "{length} bytes; expected at most {bytes_max} (identity.consent.subjects_max)"
            );
            return Err(io::Error::other(reason));
        }
        let mut subjects = Subjects::new();
        for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line?;
            match std::str::from_utf8(&line).ok().map(str::trim) {
                Some(line) if line.is_empty() || line.starts_with('#') => {}
                line => match line.and_then(read) {
                    Some((key, standing)) => drop(subjects.insert(key, standing)),
                    None => tracing::error!(
                        file = %path.display(), line = number + 1,
                        "a line of the journal of choices cannot be read; it does not count"
                    ),
                },
            }
        }
        Ok((journal, subjects))
    }

    /// Puts a choice on the disk; `all` is what the file holds when it is written anew.
    pub(super) fn keep(
        &mut self,
        key: SubjectKey,
        standing: Standing,
        all: impl FnOnce() -> Subjects,
    ) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let kept = file.write_all(written(key, standing).as_bytes());
            let kept = kept.and_then(|()| file.sync_data());
            self.lines += 1;
            if kept.is_ok() && self.lines <= SPARE_LINES {
                return Ok(());
            }
            // Half a line may stand there, or too many of them.
            self.file = None;
        }
        let subjects = all();
        let file = self.anew(&subjects)?;
        self.file = Some(file);
        // Lines for subjects that are there are no waste.
        self.lines = 0;
        Ok(())
    }

    fn anew(&self, subjects: &Subjects) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(format!("{JOURNAL_FILE}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let lines = subjects.iter().map(|(key, standing)| written(*key, *standing));
        let text: String = std::iter::once(format!("{HEAD}\n")).chain(lines).collect();
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(JOURNAL_FILE))?;
        // The new name, too, must outlive a loss of power.
        File::open(&self.directory)?.sync_all()?;
        Ok(file)
    }

    #[cfg(test)]
    pub(super) fn move_to(&mut self, directory: &Path) {
        self.directory = directory.to_owned();
    }
}

fn written(key: SubjectKey, standing: Standing) -> String {
    let Standing { personalization, sensitive, erased_at } = standing;
    let erased_at = erased_at.map_or_else(|| "-".to_owned(), |at| at.0.to_string());
    let (personalization, sensitive) = (u8::from(personalization), u8::from(sensitive));
    let said = format!("{:032x} {personalization} {sensitive} {erased_at}", key.0);
    format!("{said} {:016x}\n", xxh3_64(said.as_bytes()))
}

fn read(line: &str) -> Option<(SubjectKey, Standing)> {
    let (said, sum) = line.rsplit_once(' ')?;
    if u64::from_str_radix(sum, 16).ok()? != xxh3_64(said.as_bytes()) {
        return None;
    }
    let mut words = said.split(' ');
    let key = u128::from_str_radix(words.next()?, 16).ok()?;
    let mut flag = || words.next().map(|word| word == "1");
    let (personalization, sensitive) = (flag()?, flag()?);
    let erased_at = match words.next()? {
        "-" => None,
        ms => Some(Timestamp(ms.parse().ok()?)),
    };
    Some((SubjectKey(key), Standing { personalization, sensitive, erased_at }))
}
