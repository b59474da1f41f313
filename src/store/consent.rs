//! What subjects have said about themselves: opted out, sensitive tastes allowed, erased.
//!
//! In: a choice of one subject, from `api`. Out: its [`Standing`], which every request that names it
//! reads (one short lock), and one line in a journal under the data directory, on the disk before
//! the choice is answered. Keys are hashes, no name is kept. A mark of an erasure is kept for
//! [`ERASED_KEPT_DAYS`]: longer than an event may be late. At most `subjects_max` subjects; one more
//! is refused, for no choice may push out another. Where the journal cannot be read nobody's choice
//! is known, so everybody counts as opted out.

use std::collections::HashMap;
use std::path::Path;

use parking_lot::{Mutex, RwLock};

use super::journal::{Form, Journal};
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;

/// The journal's name in the data directory.
pub const JOURNAL_FILE: &str = "consent.journal";

const FORM: Form = Form {
    file: JOURNAL_FILE,
    head: "# v1: subject, personalization, sensitive, erased at (ms since 1970), checksum",
    line_bytes_max: 128,
    setting: "identity.consent.subjects_max",
};

/// Days for which an erasure is remembered; events older than 30 days are not accepted.
pub const ERASED_KEPT_DAYS: i64 = 40;

const DAY_MS: i64 = 86_400_000;

/// What one subject has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// False: proxied, not learned, nothing stored.
    pub personalization: bool,
    /// True: tastes that tell of religion, health or intimacy may be learned too.
    pub sensitive: bool,
    /// Nothing from this time or before it is kept or learned.
    pub erased_at: Option<Timestamp>,
}

impl Default for Standing {
    fn default() -> Self {
        Self { personalization: true, sensitive: false, erased_at: None }
    }
}

impl Standing {
    const OPTED_OUT: Self = Self { personalization: false, sensitive: false, erased_at: None };

    /// May something that happened then be learned?
    pub fn admits(&self, at: Timestamp) -> bool {
        self.personalization && self.erased_at.is_none_or(|erased| at > erased)
    }

    /// Forgets what was, as of `now`.
    pub fn erase(&mut self, now: Timestamp) {
        self.erased_at = self.erased_at.max(Some(now));
    }

    fn is_needed(&self, now: Timestamp) -> bool {
        let late = |erased: Timestamp| now.0.saturating_sub(erased.0) < ERASED_KEPT_DAYS * DAY_MS;
        !self.personalization || self.sensitive || self.erased_at.is_some_and(late)
    }
}

/// A choice that was not taken in full.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// There is no room; nothing changed.
    #[error("{0} subjects have made a choice already (identity.consent.subjects_max)")]
    Full(usize),
    /// What was chosen before could not be read at the start; nothing changed.
    #[error("the choices of before cannot be read, so none can be added to them")]
    Unreadable,
    /// It holds until the next start, and no longer.
    #[error("it holds until the next start only, for it cannot be kept on disk: {0}")]
    NotKept(#[from] std::io::Error),
}

/// All choices.
pub struct Consents {
    subjects: RwLock<HashMap<SubjectKey, Standing>>,
    journal: Mutex<Option<Journal>>,
    subjects_max: usize,
    unreadable: bool,
}

impl Consents {
    /// Choices that a restart forgets.
    pub fn in_memory(subjects_max: usize) -> Self {
        Self {
            subjects: RwLock::default(),
            journal: Mutex::new(None),
            subjects_max: subjects_max.max(1),
            unreadable: false,
        }
    }

    /// Choices kept under `directory`. Never fails: see [`Consents::is_unreadable`].
    pub fn open(directory: &Path, subjects_max: usize, now: Timestamp) -> Self {
        let mut consents = Self::in_memory(subjects_max);
        let mut subjects = HashMap::new();
        let opened = Journal::open(&FORM, directory, consents.subjects_max, |said| {
            let Some((key, standing)) = read(said) else { return false };
            subjects.insert(key, standing);
            true
        });
        match opened {
            Ok(journal) => {
                subjects.retain(|_, standing| standing.is_needed(now));
                consents.subjects = RwLock::new(subjects);
                consents.journal = Mutex::new(Some(journal));
            }
            Err(error) => {
                let file = directory.join(JOURNAL_FILE);
                tracing::error!(
                    %error, file = %file.display(),
                    "who has opted out cannot be read: nothing is learned from anybody, and nothing \
                     is ranked, until the file can be read or is taken away"
                );
                consents.unreadable = true;
            }
        }
        consents
    }

    /// True: nobody's choice is known, and everybody counts as opted out.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// What this subject has said. `O(1)`.
    pub fn of(&self, key: SubjectKey) -> Standing {
        if self.unreadable {
            return Standing::OPTED_OUT;
        }
        self.subjects.read().get(&key).copied().unwrap_or_default()
    }

    /// All choices as they are now.
    pub fn all(&self) -> Vec<(SubjectKey, Standing)> {
        self.subjects.read().iter().map(|(key, standing)| (*key, *standing)).collect()
    }

    /// May what was last touched then be held? For whoever reads profiles back from a disk.
    pub fn admits(&self, key: SubjectKey, at: Timestamp) -> bool {
        self.of(key).admits(at)
    }

    /// Takes a choice and keeps it: waits for the disk. Everybody sees it from then on, also where
    /// it cannot be kept.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub fn set(
        &self,
        key: SubjectKey,
        now: Timestamp,
        change: impl FnOnce(&mut Standing),
    ) -> Result<Standing, ConsentError> {
        if self.unreadable {
            return Err(ConsentError::Unreadable);
        }
        // One at a time, so that the journal has them in the order in which they count.
        let mut journal = self.journal.lock();
        let mut subjects = self.subjects.write();
        if !subjects.contains_key(&key) && subjects.len() >= self.subjects_max {
            subjects.retain(|_, standing| standing.is_needed(now));
            if subjects.len() >= self.subjects_max {
                return Err(ConsentError::Full(self.subjects_max));
            }
        }
        let mut standing = subjects.get(&key).copied().unwrap_or_default();
        change(&mut standing);
        if standing.is_needed(now) {
            subjects.insert(key, standing);
        } else {
            subjects.remove(&key);
        }
        drop(subjects);
        if let Some(journal) = journal.as_mut() {
            let all = |(key, standing): (&SubjectKey, &Standing)| written(*key, *standing);
            journal.keep(&written(key, standing), || {
                let subjects = self.subjects.read().clone();
                subjects.iter().map(all).collect()
            })?;
        }
        Ok(standing)
    }
}

fn written(key: SubjectKey, standing: Standing) -> String {
    let Standing { personalization, sensitive, erased_at } = standing;
    let erased_at = erased_at.map_or_else(|| "-".to_owned(), |at| at.0.to_string());
    let (personalization, sensitive) = (u8::from(personalization), u8::from(sensitive));
    format!("{:032x} {personalization} {sensitive} {erased_at}", key.0)
}

fn read(said: &str) -> Option<(SubjectKey, Standing)> {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::journal;

    const ANN: SubjectKey = SubjectKey(7);
    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn open(directory: &Path) -> Consents {
        Consents::open(directory, 3, NOW)
    }

    #[test]
    fn a_choice_is_there_after_a_restart_and_the_last_one_counts() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let consents = open(&state);
        consents.set(ANN, NOW, |standing| standing.personalization = false).unwrap();
        assert!(!open(&state).of(ANN).personalization);
        consents.set(ANN, NOW, |standing| standing.sensitive = true).unwrap();
        let both = Standing { personalization: false, sensitive: true, erased_at: None };
        assert_eq!(open(&state).of(ANN), both);
        consents.set(ANN, NOW, |standing| *standing = Standing::default()).unwrap();
        assert_eq!(open(&state).of(ANN), Standing::default());
        assert_eq!(open(&state).of(SubjectKey(8)), Standing::default());
    }

    #[test]
    fn what_happened_up_to_the_erasure_is_not_admitted_and_what_comes_after_is() {
        let mut standing = Standing::default();
        assert!(standing.admits(Timestamp(0)));
        standing.erase(NOW);
        standing.erase(Timestamp(5));
        assert!(!standing.admits(NOW) && !standing.admits(Timestamp(6)));
        assert!(standing.admits(Timestamp(NOW.0 + 1)));
        standing.personalization = false;
        assert!(!standing.admits(Timestamp(NOW.0 + 1)));
    }

    #[test]
    fn a_line_that_was_cut_short_is_left_out_and_the_ones_before_it_count() {
        let directory = tempfile::tempdir().unwrap();
        let consents = open(directory.path());
        for key in [ANN, SubjectKey(8)] {
            consents.set(key, NOW, |standing| standing.personalization = false).unwrap();
        }
        let file = directory.path().join(JOURNAL_FILE);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() - 9]).unwrap();
        let again = open(directory.path());
        assert!(!again.of(ANN).personalization && again.of(SubjectKey(8)).personalization);
        again.set(SubjectKey(9), NOW, |standing| standing.sensitive = true).unwrap();
        let third = open(directory.path());
        assert!(third.of(SubjectKey(9)).sensitive && !third.of(ANN).personalization);
    }

    #[test]
    fn where_the_choices_cannot_be_read_everybody_counts_as_opted_out() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(JOURNAL_FILE)).unwrap();
        let consents = open(directory.path());
        assert!(consents.is_unreadable() && !consents.of(ANN).personalization);
        let refused = consents.set(ANN, NOW, |standing| standing.sensitive = true);
        assert!(matches!(refused, Err(ConsentError::Unreadable)));
    }

    #[test]
    fn a_choice_that_cannot_be_kept_holds_until_the_next_start_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let in_the_way = directory.path().join("state");
        fs::write(&in_the_way, "a file").unwrap();
        let consents = Consents::in_memory(3);
        *consents.journal.lock() =
            Some(Journal::open(&FORM, directory.path(), 3, |_| true).unwrap());
        consents.journal.lock().as_mut().unwrap().move_to(&in_the_way);
        let said = consents.set(ANN, NOW, |standing| standing.personalization = false);
        assert!(matches!(said, Err(ConsentError::NotKept(_))), "{said:?}");
        assert!(!consents.of(ANN).personalization);
    }

    #[test]
    fn beyond_the_cap_a_choice_is_refused_unless_an_old_erasure_makes_room() {
        let consents = Consents::in_memory(2);
        let opt_out = |standing: &mut Standing| standing.personalization = false;
        consents.set(ANN, NOW, opt_out).unwrap();
        consents.set(SubjectKey(8), NOW, |standing| standing.erase(NOW)).unwrap();
        assert!(matches!(consents.set(SubjectKey(9), NOW, opt_out), Err(ConsentError::Full(2))));
        let later = Timestamp(NOW.0 + ERASED_KEPT_DAYS * DAY_MS);
        consents.set(SubjectKey(9), later, opt_out).unwrap();
        assert!(!consents.of(ANN).personalization && !consents.of(SubjectKey(9)).personalization);
    }

    #[test]
    fn a_journal_of_many_changes_is_written_anew_before_it_grows_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let consents = open(directory.path());
        for turn in 0..3 * journal::SPARE_LINES {
            consents.set(ANN, NOW, |standing| standing.sensitive = turn % 2 == 0).unwrap();
        }
        let text = fs::read_to_string(directory.path().join(JOURNAL_FILE)).unwrap();
        assert!(text.lines().count() <= journal::SPARE_LINES + 4, "{}", text.lines().count());
        assert_eq!(open(directory.path()).of(ANN), consents.of(ANN));
    }
}
