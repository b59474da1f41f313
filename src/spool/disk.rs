//! The spool's directory: one owner, one fjall database, and what is done with a damaged one.
//!
//! In: a directory. Out: a [`Store`] whose groups are on the disk when they are said to be. Another
//! process in the directory is named. A torn end (a crash in the middle of a write) is cut off by
//! fjall; damage before the end is set aside as `spool.damaged`, and what was written before it is
//! kept: the longest beginning of the newest journal that can be read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::store::{Change, Pair, Space, Store};

/// Holds the owner's number while it lives.
const LOCK_FILE: &str = "owner.lock";
/// Where the database is.
const STORE: &str = "store";
/// Where a damaged one is put.
const DAMAGED: &str = "damaged";

/// Bytes of blocks that are kept in memory: records are read once, in order.
const CACHE_BYTES: u64 = 2 << 20;
/// Bytes of each map that are written to a table of its own at a time.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// Bytes of the journal; fjall takes no less.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process owns the directory.
    #[error(
        "{}: process {holder} owns it; expected a data_dir of its own for each process",
        directory.display()
    )]
    Taken {
        /// The directory.
        directory: PathBuf,
        /// What its owner wrote.
        holder: String,
    },
    /// The system's reason.
    #[error("{}: {reason}", directory.display())]
    Failed {
        /// The directory.
        directory: PathBuf,
        /// What the system or the store says.
        reason: String,
    },
}

/// The right to a directory, for as long as it is held.
#[derive(Debug)]
pub struct Owned {
    directory: PathBuf,
    _lock: File,
}

impl Owned {
    /// Takes the directory, which is made where there is none.
    ///
    /// # Errors
    /// [`OpenError::Taken`] where somebody else has it.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        let failed = |error: io::Error| failed(directory, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(directory.join(LOCK_FILE)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Whoever it is: the directory is not ours.
                drop(lock.take(64).read_to_string(&mut holder));
                let holder = match holder.trim() {
                    "" => "of an unknown number".to_owned(),
                    number => number.to_owned(),
                };
                return Err(OpenError::Taken { directory: directory.to_owned(), holder });
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Its number is for people; without it the directory is ours all the same.
        let named = lock.set_len(0).and_then(|()| lock.rewind());
        drop(named.and_then(|()| writeln!(lock, "{}", std::process::id())));
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// Opens the store, after a repair if it must be.
    ///
    /// # Errors
    /// The disk's, or that nothing can be read.
    pub fn open(&self) -> io::Result<Box<dyn Store>> {
        let path = self.directory.join(STORE);
        let reason = match Disk::open(&path) {
            Ok(disk) => return Ok(Box::new(disk)),
            Err(fjall::Error::Io(error)) => return Err(error),
            Err(error) => error.to_string(),
        };
        let damaged = self.directory.join(DAMAGED);
        tracing::error!(
            %reason, set_aside_as = %damaged.display(),
            "the spool is damaged; what can be read of it is kept"
        );
        if damaged.exists() {
            fs::remove_dir_all(&damaged)?;
        }
        copy(&path, &damaged)?;
        if let Some(disk) = salvaged(&path)? {
            return Ok(Box::new(disk));
        }
        tracing::error!("nothing of the spool can be read; it begins anew");
        fs::remove_dir_all(&path)?;
        Ok(Box::new(Disk::open(&path).map_err(as_io)?))
    }
}

fn failed(directory: &Path, error: &io::Error) -> OpenError {
    OpenError::Failed { directory: directory.to_owned(), reason: error.to_string() }
}

fn as_io(error: fjall::Error) -> io::Error {
    match error {
        fjall::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// Copies a directory of plain files and directories.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The store with its newest journal cut to the longest beginning that can be read: all that stands
/// before the damage. Halving finds it, for what can be read stays readable when it is cut shorter.
fn salvaged(path: &Path) -> io::Result<Option<Disk>> {
    let Some(journal) = newest_journal(path)? else { return Ok(None) };
    let mut whole = fs::read(&journal)?;
    // Room that fjall took ahead.
    whole.truncate(whole.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    let tries = |length: usize| -> io::Result<Option<Disk>> {
        // A try may cut more than it is told to: each begins with the whole.
        fs::write(&journal, whole.get(..length).unwrap_or(&whole))?;
        Ok(Disk::open(path).ok())
    };
    let (mut good, mut bad) = (0, whole.len());
    if tries(good)?.is_none() {
        fs::write(&journal, &whole)?;
        return Ok(None);
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        match tries(middle)? {
            Some(_) => good = middle,
            None => bad = middle,
        }
    }
    let disk = tries(good)?;
    tracing::error!(
        kept_bytes = good,
        of_bytes = bad,
        "the spool's journal was cut before its damage"
    );
    Ok(disk)
}

fn newest_journal(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_suffix(".jnl").and_then(|number| number.parse().ok());
        if let Some(number) = number.filter(|n| newest.as_ref().is_none_or(|(most, _)| n > most)) {
            newest = Some((number, file));
        }
    }
    Ok(newest.map(|(_, file)| file))
}

/// A database of fjall's.
struct Disk {
    maps: [Keyspace; Space::ALL.len()],
    database: Database,
}

impl Disk {
    fn open(path: &Path) -> Result<Self, fjall::Error> {
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(1)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let open = |space: Space| database.keyspace(space.name(), options);
        let [log, cursors, dead, erased] = Space::ALL;
        let maps = [open(log)?, open(cursors)?, open(dead)?, open(erased)?];
        Ok(Self { maps, database })
    }

    fn map(&self, space: Space) -> &Keyspace {
        let [log, cursors, dead, erased] = &self.maps;
        match space {
            Space::Log => log,
            Space::Cursors => cursors,
            Space::Dead => dead,
            Space::Erased => erased,
        }
    }
}

impl Store for Disk {
    fn write(&self, changes: Vec<Change>, sync: bool) -> io::Result<()> {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = self.database.batch().durability(Some(mode));
        for change in changes {
            match change {
                Change::Put(space, key, value) => batch.insert(self.map(space), key, value),
                Change::Delete(space, key) => batch.remove(self.map(space), key),
            }
        }
        batch.commit().map_err(as_io)
    }

    fn get(&self, space: Space, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.map(space).get(key).map_err(as_io)?.map(|value| value.to_vec()))
    }

    fn end(&self, space: Space, last: bool) -> io::Result<Option<Pair>> {
        let map = self.map(space);
        let guard = if last { map.last_key_value() } else { map.first_key_value() };
        let pair = guard.map(|guard| guard.into_inner()).transpose().map_err(as_io)?;
        Ok(pair.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn from(
        &self,
        space: Space,
        key: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> io::Result<()> {
        for guard in self.map(space).range(key.to_vec()..) {
            let (key, value) = guard.into_inner().map_err(as_io)?;
            if !take(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}
