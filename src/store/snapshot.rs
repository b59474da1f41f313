//! What was learned, on disk: one file, read before the first request, written each minute.
//!
//! In: the store. Out: a file in `data_dir`, and the store again ([`file`] says how it looks). It is
//! written beside its final name, flushed, renamed, and the directory flushed: a crash leaves the old
//! one or the new one. A file that cannot be read is renamed and the store stays empty: nothing here
//! stops the process. Off the data workers' threads; a shard's lock is held for the copy of a list of
//! pages, the population's for one copy of its counts. Keys are hashes: no name of a user is in it.
//!
//! A further kind of state joins by a [`Kept`] with a tag of its own; what an older version does not
//! know, it skips.

pub mod file;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::Store;
use super::shoppers::Shoppers;
use crate::preferences::population::Population;
use crate::types::ids::SubjectKey;
use file::{Broken, Sections, Tag, Writer};

/// The file's name in the data directory.
pub const SNAPSHOT_FILE: &str = "profiles.snapshot";
/// The name of one that could not be read; the last such is kept.
pub const SET_ASIDE_FILE: &str = "profiles.snapshot.unreadable";

/// Bytes gathered into one section.
pub const SECTION_BYTES: usize = 1 << 20;
/// Bytes of a profile's key and length.
const ROW_HEAD: usize = 20;

/// Something that the snapshot keeps.
pub trait Kept {
    /// The name of its sections.
    fn tag(&self) -> Tag;

    /// Counts up with every change that is worth a new file.
    fn changes(&self) -> u64 {
        0
    }

    /// Writes its sections.
    ///
    /// # Errors
    /// Those of the writer.
    fn save(&self, to: &mut dyn Sections) -> io::Result<()>;

    /// Takes in one of its sections; false for one that it cannot have written.
    fn load(&self, section: &[u8]) -> bool;

    /// Forgets what it took in.
    fn forget(&self);
}

/// Reads and writes the file.
pub struct Snapshots {
    directory: PathBuf,
    store: Arc<Store>,
    /// What is kept beside the store.
    further: Vec<Box<dyn Kept + Send + Sync>>,
    /// Changes that the file has, while it is written: there is one file.
    written: Mutex<Option<u64>>,
}

/// What was found at the start.
#[derive(Debug)]
pub enum Found {
    /// No file: the first start.
    Nothing,
    /// The store is as it was.
    Restored,
    /// A file that was not ours or not whole: it has another name now, and the store is empty.
    SetAside(Broken),
}

impl Snapshots {
    /// Snapshots of `store` in `directory`, which is made when the first is written.
    pub fn new(directory: &Path, store: Arc<Store>) -> Self {
        let directory = directory.to_owned();
        Self { directory, store, further: Vec::new(), written: Mutex::new(None) }
    }

    /// The same with what others keep of shoppers.
    pub fn with(self, further: Vec<Box<dyn Kept + Send + Sync>>) -> Self {
        Self { further, ..self }
    }

    /// Takes in the last snapshot. For the start: who learned meanwhile would be forgotten.
    pub fn restore(&self) -> Found {
        let path = self.directory.join(SNAPSHOT_FILE);
        let read = match File::open(&path) {
            Ok(opened) => file::read(BufReader::new(opened), &self.kept()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => Err(Broken::Unreadable(error)),
        };
        match read {
            Ok(()) => {
                *self.written.lock() = Some(self.changes());
                Found::Restored
            }
            Err(broken) => {
                self.kept().iter().for_each(|kept| kept.forget());
                if let Err(error) = fs::rename(&path, self.directory.join(SET_ASIDE_FILE)) {
                    tracing::error!(%error, path = %path.display(), "the file cannot be set aside");
                }
                Found::SetAside(broken)
            }
        }
    }

    /// Writes the store if anything changed since the last time; the file's length if it did.
    ///
    /// # Errors
    /// Those of the disk; the file before is still there.
    pub fn write_if_changed(&self) -> io::Result<Option<u64>> {
        let unchanged = *self.written.lock() == Some(self.changes());
        if unchanged { Ok(None) } else { self.write().map(Some) }
    }

    /// Writes the store and returns the file's length.
    ///
    /// # Errors
    /// Those of the disk; the file before is still there.
    pub fn write(&self) -> io::Result<u64> {
        let mut written = self.written.lock();
        let changes = self.changes();
        fs::create_dir_all(&self.directory)?;
        let new = self.directory.join(format!("{SNAPSHOT_FILE}.new"));
        // The tastes of people: for the owner's eyes alone.
        let options =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
        let mut to = Writer::begin(BufWriter::with_capacity(SECTION_BYTES, options?))?;
        for kept in self.kept() {
            to.tag(kept.tag());
            kept.save(&mut to)?;
        }
        let (file, length) = to.end()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&new, self.directory.join(SNAPSHOT_FILE))?;
        // The new name is safe when the directory is.
        File::open(&self.directory)?.sync_all()?;
        *written = Some(changes);
        Ok(length)
    }

    fn kept(&self) -> Vec<&dyn Kept> {
        let Store { shoppers, population, catalog, .. } = &*self.store;
        let mut kept: Vec<&dyn Kept> = vec![shoppers, population, catalog];
        kept.extend(self.further.iter().map(|kept| &**kept as &dyn Kept));
        kept
    }

    fn changes(&self) -> u64 {
        self.kept().iter().fold(0, |sum, kept| sum.wrapping_add(kept.changes()))
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Rows of `key 16 B · length u32 · packed profile`, many a section.
impl Kept for Shoppers {
    fn tag(&self) -> Tag {
        *b"PROF"
    }

    fn changes(&self) -> u64 {
        self.changes()
    }

    fn save(&self, to: &mut dyn Sections) -> io::Result<()> {
        let mut rows = Vec::with_capacity(SECTION_BYTES);
        for frozen in self.freeze() {
            frozen.for_each(|key, profile| {
                rows.extend(key.0.to_le_bytes());
                rows.extend((profile.len() as u32).to_le_bytes());
                rows.extend(profile);
                let full = rows.len() >= SECTION_BYTES;
                if full { flush(&mut rows, to) } else { Ok(()) }
            })?;
        }
        flush(&mut rows, to)
    }

    fn load(&self, mut section: &[u8]) -> bool {
        while let Some((head, rest)) = section.split_first_chunk::<ROW_HEAD>() {
            let (key, length) = head.split_at(16);
            let (Ok(key), Ok(length)) = (key.try_into(), length.try_into()) else { return false };
            let Ok(length) = usize::try_from(u32::from_le_bytes(length)) else { return false };
            let Some((profile, rest)) = rest.split_at_checked(length) else { return false };
            if !self.restore(SubjectKey(u128::from_le_bytes(key)), profile) {
                return false;
            }
            section = rest;
        }
        section.is_empty()
    }

    fn forget(&self) {
        self.clear();
    }
}

/// Writes the rows gathered so far, if there are any, as one section.
///
/// # Errors
/// Those of the writer.
pub fn flush(rows: &mut Vec<u8>, to: &mut dyn Sections) -> io::Result<()> {
    if !rows.is_empty() {
        to.section(rows)?;
        rows.clear();
    }
    Ok(())
}

impl Kept for RwLock<Population> {
    fn tag(&self) -> Tag {
        *b"POPU"
    }

    fn save(&self, to: &mut dyn Sections) -> io::Result<()> {
        let kept = self.read().keep();
        to.section(&serde_json::to_vec(&kept)?)
    }

    fn load(&self, section: &[u8]) -> bool {
        serde_json::from_slice(section).is_ok_and(|kept| {
            self.write().restore(&kept);
            true
        })
    }

    fn forget(&self) {
        self.write().restore(&Default::default());
    }
}

#[cfg(test)]
mod tests;
