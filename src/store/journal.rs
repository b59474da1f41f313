//! Choices on disk: a text of one line a choice, each with a checksum, the last one of its kind counts.
//!
//! In: lines as choices are made. Out: lines that are on the disk when [`Journal::keep`] returns. A
//! line that was cut short by a crash was never answered, and is left out. Written anew (beside,
//! flushed, renamed) at the first choice after a start, after a failed write, and when most of its
//! lines are of the past. What a line says is its owner's to know: see [`Form`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// Lines of the past that a journal may hold, besides as many as there are subjects.
#[cfg(not(test))]
pub(super) const SPARE_LINES: usize = 1024;
#[cfg(test)]
pub(super) const SPARE_LINES: usize = 16;

/// What a journal is called and how its lines look.
pub(super) struct Form {
    /// Its name in the data directory.
    pub(super) file: &'static str,
    /// Its first line.
    pub(super) head: &'static str,
    /// No line of it is longer, in bytes.
    pub(super) line_bytes_max: u64,
    /// The setting that bounds its lines.
    pub(super) setting: &'static str,
}

/// The file, ready for one more line.
pub(super) struct Journal {
    form: &'static Form,
    directory: PathBuf,
    /// `None`: the file must be written anew before anything is added to it.
    file: Option<File>,
    lines: usize,
}

impl Journal {
    /// Gives each line that is there to `read`, which says whether it is one; no file is no line.
    pub(super) fn open(
        form: &'static Form,
        directory: &Path,
        entries_max: usize,
        mut read: impl FnMut(&str) -> bool,
    ) -> io::Result<Self> {
        let path = directory.join(form.file);
        let journal = Self { form, directory: directory.to_owned(), file: None, lines: 0 };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(journal),
            Err(error) => return Err(error),
        };
        let bytes_max = (2 * entries_max + SPARE_LINES + 4) as u64 * form.line_bytes_max;
        let length = file.metadata()?.len();
        if length > bytes_max {
            let setting = form.setting;
            let reason = format!("{length} bytes; expected at most {bytes_max} ({setting})");
            return Err(io::Error::other(reason));
        }
        for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
            let line = line?;
            let line = std::str::from_utf8(&line).ok().map(str::trim);
            if line.is_some_and(|line| line.is_empty() || line.starts_with('#')) {
                continue;
            }
            if !line.and_then(checked).is_some_and(&mut read) {
                tracing::error!(
                    file = %path.display(), line = number + 1,
                    "a line of the journal of choices cannot be read; it does not count"
                );
            }
        }
        Ok(journal)
    }

    /// Puts a line on the disk; `all` is what the file holds when it is written anew.
    pub(super) fn keep(&mut self, said: &str, all: impl FnOnce() -> Vec<String>) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            let kept = file.write_all(line(said).as_bytes());
            let kept = kept.and_then(|()| file.sync_data());
            self.lines += 1;
            if kept.is_ok() && self.lines <= SPARE_LINES {
                return Ok(());
            }
        }
        self.write_anew(&all())
    }

    /// Puts these lines on the disk in the place of what was there.
    pub(super) fn write_anew(&mut self, all: &[String]) -> io::Result<()> {
        // Half a line may stand there, or too many of them.
        self.file = None;
        self.file = Some(self.anew(all)?);
        // Lines for choices that stand are no waste.
        self.lines = 0;
        Ok(())
    }

    fn anew(&self, all: &[String]) -> io::Result<File> {
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(format!("{}.new", self.form.file));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        let lines = all.iter().map(|said| line(said));
        let text: String = std::iter::once(format!("{}\n", self.form.head)).chain(lines).collect();
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(self.form.file))?;
        // The new name, too, must outlive a loss of power.
        File::open(&self.directory)?.sync_all()?;
        Ok(file)
    }

    #[cfg(test)]
    pub(super) fn move_to(&mut self, directory: &Path) {
        self.directory = directory.to_owned();
    }
}

fn line(said: &str) -> String {
    format!("{said} {:016x}\n", xxh3_64(said.as_bytes()))
}

/// What a whole line says.
fn checked(line: &str) -> Option<&str> {
    let (said, sum) = line.rsplit_once(' ')?;
    (u64::from_str_radix(sum, 16).ok()? == xxh3_64(said.as_bytes())).then_some(said)
}
