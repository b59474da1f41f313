//! What the spool needs of a disk: four ordered maps, changed together or not at all.
//!
//! In: changes of one group. Out: on return of [`Store::write`] they are on the disk, if that was
//! asked for, and a crash leaves all of them or none. [`super::disk`] is the real one; the tests have
//! one in memory that can be full.

use std::io;

/// One of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Number → record.
    Log,
    /// Sink → number of the last record that it has.
    Cursors,
    /// Number and sink → a record that this sink does not take.
    Dead,
    /// Subject → number up to which nothing of it is sent.
    Erased,
}

impl Space {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Log, Self::Cursors, Self::Dead, Self::Erased];

    /// Its name on the disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Cursors => "cursors",
            Self::Dead => "dead",
            Self::Erased => "erased",
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    /// Sets a value.
    Put(Space, Vec<u8>, Vec<u8>),
    /// Takes one away.
    Delete(Space, Vec<u8>),
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Four ordered maps on a disk.
pub trait Store: Send + Sync {
    /// Makes all changes or none; `sync`: they are on the disk on return.
    ///
    /// # Errors
    /// The system's reason. What came before is kept; whether these changes were made is known after
    /// the store was opened anew.
    fn write(&self, changes: Vec<Change>, sync: bool) -> io::Result<()>;

    /// One value.
    ///
    /// # Errors
    /// The system's reason.
    fn get(&self, space: Space, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// The pair with the least key, or the greatest.
    ///
    /// # Errors
    /// The system's reason.
    fn end(&self, space: Space, last: bool) -> io::Result<Option<Pair>>;

    /// Gives the pairs from `key` on, in order, until `take` says false.
    ///
    /// # Errors
    /// The system's reason.
    fn from(
        &self,
        space: Space,
        key: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> io::Result<()>;
}
