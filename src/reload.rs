//! Floor 4: the rules files on disk, watched, and the table in force.
//!
//! ```text
//! directory watch ─┐
//! poll every 5 s ──┴► settle ─► read ─► same bytes? ─► compile ─► swap, keep a copy
//!                                                        └ problems ─► last good stays, said why
//! ```
//!
//! [`RulesTable::load`] is what a request pays: one reference count. [`Reloader`] owns the thread
//! that watches; dropping it ends the thread. Directories are watched and not files, so that
//! ConfigMap `..data` swaps and editors that save by renaming are seen. Rules that cannot be used
//! stop nothing, at start neither: the last good copy under the data directory serves, else
//! nothing is ranked. Limits: texts of [`crate::yaml::TEXT_BYTES_MAX`],
//! [`files::KNOWLEDGE_FILES_MAX`] tables.

mod files;
mod last_good;
mod table;
mod watch;

pub use files::{check, check_text, name_of};
pub use last_good::LAST_GOOD_FILE;
pub use table::{Degraded, ReloadStatus, RulesSource, RulesTable};
pub use watch::Reloader;

#[cfg(test)]
mod tests;
