//! The copy of the last rules that could be used, for a start on which the file cannot.
//!
//! Written whole beside its final name, flushed, then renamed: a crash leaves the old copy or the
//! new one. A copy that cannot be written is a warning and stops nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::files::{Text, read_text};

/// The copy's name in the data directory.
pub const LAST_GOOD_FILE: &str = "rules-last-good.yaml";

/// Where the copy is.
#[derive(Clone, Debug)]
pub(super) struct LastGood {
    directory: PathBuf,
}

impl LastGood {
    pub(super) fn beneath(data_dir: &Path) -> Self {
        Self { directory: data_dir.to_owned() }
    }

    pub(super) fn read(&self) -> io::Result<Text> {
        read_text(&self.directory.join(LAST_GOOD_FILE))
    }

    /// Keeps `text`; does nothing where it is already kept.
    pub(super) fn keep(&self, text: &str) {
        if self.read().is_ok_and(|kept| kept.text == text) {
            return;
        }
        if let Err(error) = self.write(text) {
            let directory = self.directory.display();
            tracing::warn!(%error, %directory, "the last good rules cannot be kept on disk");
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(format!("{LAST_GOOD_FILE}.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(LAST_GOOD_FILE))
    }
}
