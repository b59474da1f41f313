//! Copies of the last rules and the last model that could be used, for a start on which the files cannot.
//!
//! Written whole beside its final name, flushed, then renamed: a crash leaves the old copy or the
//! new one. A copy that cannot be written is a warning and stops nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::files::{ModelFile, Text, read_model, read_text};

/// The copy's name in the data directory.
pub const LAST_GOOD_FILE: &str = "rules-last-good.yaml";

/// The name of the model's copy.
pub(super) const LAST_GOOD_MODEL: &str = "model-last-good.model";

/// Where the copies are.
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

    /// The model's copy, where there is one.
    pub(super) fn model(&self) -> Option<ModelFile> {
        read_model(&self.directory.join(LAST_GOOD_MODEL)).ok()
    }

    /// Keeps what serves now; does nothing where it is already kept.
    pub(super) fn keep(&self, text: &str, model: Option<&ModelFile>) {
        let mut kept = Ok(());
        if !self.read().is_ok_and(|kept| kept.text == text) {
            kept = self.write(LAST_GOOD_FILE, text.as_bytes());
        }
        if let Some(model) = model
            && self.model().is_none_or(|kept| kept.bytes != model.bytes)
        {
            kept = kept.and(self.write(LAST_GOOD_MODEL, &model.bytes));
        }
        if let Err(error) = kept {
            let directory = self.directory.display();
            tracing::warn!(%error, %directory, "the last good rules cannot be kept on disk");
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(format!("{name}.new"));
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(name))
    }
}
