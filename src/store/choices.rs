//! What shoppers said themselves of single tastes: pinned, muted, forgotten.
//!
//! In: a choice about one facet, from `api`. Out: the choices of a subject, sorted by facet, for every
//! ranking that is theirs; and one line in a journal under the data directory, on the disk before the
//! choice is answered. The word is kept as the shopper gave it, since nobody else can name it; of what
//! was forgotten only a hash and the time, so that an older snapshot does not bring it back. Bounded a
//! subject and in all; one choice more is refused. Readers take one atomic load while nobody has any,
//! and no lock that is held across a write to the disk.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::Xxh3;

use super::consent::ERASED_KEPT_DAYS;
use super::journal::{Form, Journal};
use crate::config;
use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;
use crate::types::product::FacetKey;
use crate::types::profile::Mark;

/// The journal's name in the data directory.
pub const JOURNAL_FILE: &str = "tastes.journal";
/// Longest word of a facet, in bytes, folded.
pub const WORD_BYTES_MAX: usize = 64;

const FORM: Form = Form {
    file: JOURNAL_FILE,
    head: "# v1: subject, facet, what (P pinned, M muted, F forgotten, - taken back), at (ms since \
           1970), word, checksum",
    line_bytes_max: 192,
    setting: "store.choices_max",
};

const DAY_MS: i64 = 86_400_000;

/// What one subject said of one facet.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The facet.
    pub facet: FacetKey,
    /// What stands; `None`: it was forgotten, and nothing stands.
    pub mark: Option<Mark>,
    /// When it was said.
    pub at: Timestamp,
    /// The facet's value as the shopper wrote it, folded; empty for what was forgotten.
    pub word: Arc<str>,
}

/// A choice that was not taken in full.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    /// This subject has made as many as they may; nothing changed.
    #[error("{0} facets are pinned or muted already (store.choices_per_user_max)")]
    FullForSubject(usize),
    /// There is no room; nothing changed.
    #[error("all shoppers together have pinned or muted {0} facets already (store.choices_max)")]
    Full(usize),
    /// What was chosen before could not be read at the start; nothing changed.
    #[error("the choices of before cannot be read, so none can be added to them")]
    Unreadable,
    /// It holds until the next start, and no longer.
    #[error("it holds until the next start only, for it cannot be kept on disk: {0}")]
    NotKept(#[from] io::Error),
}

/// All choices.
pub struct Choices {
    subjects: RwLock<Subjects>,
    /// Choices that stand or are remembered, of all subjects.
    known: AtomicUsize,
    /// Those of them that stand.
    standing: AtomicUsize,
    journal: Mutex<Option<Journal>>,
    /// Something went without a line in the journal.
    unsettled: AtomicBool,
    per_subject_max: usize,
    choices_max: usize,
    unreadable: bool,
}

type Subjects = HashMap<SubjectKey, Arc<[Choice]>>;

impl Choices {
    /// Choices that a restart forgets.
    pub fn in_memory(settings: &config::Store) -> Self {
        Self {
            subjects: RwLock::default(),
            known: AtomicUsize::new(0),
            standing: AtomicUsize::new(0),
            journal: Mutex::new(None),
            unsettled: AtomicBool::new(false),
            per_subject_max: settings.choices_per_user_max,
            choices_max: settings.choices_max,
            unreadable: false,
        }
    }

    /// Choices kept under `directory`. Never fails: see [`Choices::is_unreadable`].
    pub fn open(directory: &Path, settings: &config::Store, now: Timestamp) -> Self {
        let mut choices = Self::in_memory(settings);
        let mut read = HashMap::<SubjectKey, Vec<Choice>>::new();
        // What is forgotten is remembered beside what stands.
        let entries_max = choices.choices_max.saturating_mul(2);
        let opened = Journal::open(&FORM, directory, entries_max, |said| {
            let Some((key, facet, choice)) = parsed(said) else { return false };
            let own = read.entry(key).or_default();
            own.retain(|other| other.facet != facet);
            own.extend(choice.filter(|choice| choice.is_needed(now)));
            true
        });
        match opened {
            Ok(journal) => {
                let sorted = |mut own: Vec<Choice>| -> Arc<[Choice]> {
                    own.sort_by_key(|choice| choice.facet);
                    own.into()
                };
                let read = read.into_iter().filter(|(_, own)| !own.is_empty());
                let subjects: Subjects = read.map(|(key, own)| (key, sorted(own))).collect();
                choices.known = subjects.values().map(|own| own.len()).sum::<usize>().into();
                choices.standing = subjects.values().map(|own| marks(own)).sum::<usize>().into();
                choices.subjects = RwLock::new(subjects);
                choices.journal = Mutex::new(Some(journal));
            }
            Err(error) => {
                tracing::error!(
                    %error, file = %directory.join(JOURNAL_FILE).display(),
                    "what shoppers pinned and muted cannot be read: none of it counts, and none can \
                     be added, until the file can be read or is taken away"
                );
                choices.unreadable = true;
            }
        }
        choices
    }

    /// True: nobody's choices are known, and none can be made.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// What this subject has said, sorted by facet. One atomic load while nobody has said anything.
    pub fn of(&self, key: SubjectKey) -> Option<Arc<[Choice]>> {
        if self.known.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.subjects.read().get(&key).cloned()
    }

    /// A number that is another for other marks of this subject; 0 where there are none.
    pub fn digest(&self, key: SubjectKey) -> u64 {
        let Some(choices) = self.of(key) else { return 0 };
        let mut marks =
            choices.iter().filter_map(|c| c.mark.map(|mark| (c.facet, mark))).peekable();
        if marks.peek().is_none() {
            return 0;
        }
        let mut hasher = Xxh3::new();
        for (facet, mark) in marks {
            hasher.update(&facet.0.to_le_bytes());
            hasher.update(&[mark as u8]);
        }
        hasher.digest().max(1)
    }

    /// Takes a choice in the place of one about the same facet, and keeps it: waits for the disk.
    /// Everybody sees it from then on, also where it cannot be kept.
    ///
    /// # Errors
    /// See [`ChoiceError`].
    pub fn say(&self, key: SubjectKey, choice: Choice) -> Result<(), ChoiceError> {
        if self.unreadable {
            return Err(ChoiceError::Unreadable);
        }
        // One at a time, so that the journal has them in the order in which they count.
        let mut journal = self.journal.lock();
        let said = written(key, &choice);
        self.change(key, |own| {
            let before = marks(own);
            own.retain(|other| other.facet != choice.facet);
            if choice.mark.is_none() {
                self.remember_forgotten(own, choice);
                return Ok(());
            }
            let others = self.standing.load(Ordering::Acquire) - before;
            match marks(own) {
                own if own >= self.per_subject_max => {
                    return Err(ChoiceError::FullForSubject(self.per_subject_max));
                }
                own if others + own >= self.choices_max => {
                    return Err(ChoiceError::Full(self.choices_max));
                }
                _ => own.push(choice),
            }
            Ok(())
        })?;
        self.keep(&mut journal, &said)
    }

    /// What is remembered of forgetting is for the next minutes: it gives way where there is no room.
    fn remember_forgotten(&self, own: &mut Vec<Choice>, choice: Choice) {
        let forgotten = own.iter().enumerate().filter(|(_, choice)| choice.mark.is_none());
        let oldest = forgotten.clone().min_by_key(|(_, choice)| choice.at).map(|(place, _)| place);
        if let Some(oldest) = oldest.filter(|_| forgotten.count() >= self.per_subject_max) {
            own.remove(oldest);
        }
        let all = self.known.load(Ordering::Acquire);
        own.extend((all < self.choices_max.saturating_mul(2)).then_some(choice));
    }

    /// Takes back what was said of a facet; false where nothing was. Waits for the disk.
    ///
    /// # Errors
    /// See [`ChoiceError`].
    pub fn take_back(
        &self,
        key: SubjectKey,
        facet: FacetKey,
        now: Timestamp,
    ) -> Result<bool, ChoiceError> {
        if self.unreadable {
            return Err(ChoiceError::Unreadable);
        }
        let mut journal = self.journal.lock();
        let stood = self.change(key, |own| {
            let before = own.len();
            own.retain(|other| other.facet != facet);
            Ok(own.len() < before)
        })?;
        if stood {
            self.keep(&mut journal, &line(key, facet, '-', (now, "-")))?;
        }
        Ok(stood)
    }

    /// Forgets what this subject has said; the disk follows when it is [settled](Self::settle).
    pub fn forget(&self, key: SubjectKey) {
        self.retain(key, |_| false);
    }

    /// Keeps of what this subject has said that of which `keep` says so; the disk follows.
    pub fn retain(&self, key: SubjectKey, keep: impl Fn(&Choice) -> bool) {
        if self.of(key).is_some_and(|own| !own.iter().all(&keep)) {
            let kept = self.change(key, |own| {
                own.retain(&keep);
                Ok(())
            });
            self.unsettled.fetch_or(kept.is_ok(), Ordering::AcqRel);
        }
    }

    /// What a visit has said becomes the user's, where these have said nothing; the disk follows.
    pub fn join(&self, visit: SubjectKey, user: SubjectKey) {
        let Some(said) = self.of(visit) else { return };
        self.forget(visit);
        let joined = self.change(user, |own| {
            for choice in said.iter() {
                let room = own.len() < self.per_subject_max;
                if room && own.iter().all(|other| other.facet != choice.facet) {
                    own.push(choice.clone());
                }
            }
            Ok(())
        });
        self.unsettled.fetch_or(joined.is_ok(), Ordering::AcqRel);
    }

    /// Facets that were forgotten, by whom and when.
    pub fn forgotten(&self) -> Vec<(SubjectKey, FacetKey, Timestamp)> {
        let subjects = self.subjects.read();
        let each = subjects.iter().flat_map(|(key, own)| own.iter().map(|choice| (*key, choice)));
        let each = each.filter(|(_, choice)| choice.mark.is_none());
        each.map(|(key, choice)| (key, choice.facet, choice.at)).collect()
    }

    /// Brings the disk to what is in memory, where that went ahead. Waits for the disk.
    ///
    /// # Errors
    /// Those of the disk; it is tried again at the next call.
    pub fn settle(&self) -> io::Result<()> {
        if !self.unsettled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut journal = self.journal.lock();
        self.unsettled.store(false, Ordering::Release);
        let Some(journal) = journal.as_mut() else { return Ok(()) };
        let written = journal.write_anew(&self.lines());
        self.unsettled.fetch_or(written.is_err(), Ordering::AcqRel);
        written
    }

    fn keep(&self, journal: &mut Option<Journal>, said: &str) -> Result<(), ChoiceError> {
        let Some(journal) = journal else { return Ok(()) };
        Ok(journal.keep(said, || self.lines())?)
    }

    fn lines(&self) -> Vec<String> {
        // Written from a copy: a writer that waits for a reader keeps other readers waiting.
        let subjects = self.subjects.read().clone();
        let each = subjects.iter().flat_map(|(key, own)| own.iter().map(|c| written(*key, c)));
        each.collect()
    }

    /// Changes the choices of one subject, which are none at first.
    fn change<T>(
        &self,
        key: SubjectKey,
        change: impl FnOnce(&mut Vec<Choice>) -> Result<T, ChoiceError>,
    ) -> Result<T, ChoiceError> {
        let mut subjects = self.subjects.write();
        let before = subjects.get(&key).map_or((0, 0), |own| (own.len(), marks(own)));
        let mut own = subjects.get(&key).map(|own| own.to_vec()).unwrap_or_default();
        let changed = change(&mut own)?;
        own.sort_by_key(|choice| choice.facet);
        let after = (own.len(), marks(&own));
        if own.is_empty() {
            subjects.remove(&key);
        } else {
            subjects.insert(key, own.into());
        }
        // Under the lock: nobody else counts meanwhile.
        for (all, after, before) in
            [(&self.known, after.0, before.0), (&self.standing, after.1, before.1)]
        {
            all.store(all.load(Ordering::Acquire) + after - before, Ordering::Release);
        }
        Ok(changed)
    }
}

impl Choice {
    /// What was forgotten so long ago is in no snapshot any more.
    fn is_needed(&self, now: Timestamp) -> bool {
        self.mark.is_some() || now.0.saturating_sub(self.at.0) < ERASED_KEPT_DAYS * DAY_MS
    }
}

fn marks(own: &[Choice]) -> usize {
    own.iter().filter(|choice| choice.mark.is_some()).count()
}

fn written(key: SubjectKey, choice: &Choice) -> String {
    let what = match choice.mark {
        Some(Mark::Pinned) => 'P',
        Some(Mark::Muted) => 'M',
        None => 'F',
    };
    let word = if choice.word.is_empty() { "-" } else { &choice.word };
    line(key, choice.facet, what, (choice.at, word))
}

fn line(key: SubjectKey, facet: FacetKey, what: char, (at, word): (Timestamp, &str)) -> String {
    format!("{:032x} {:x} {what} {} {word}", key.0, facet.0, at.0)
}

/// Whose line it is, about which facet, and what stands by it.
fn parsed(said: &str) -> Option<(SubjectKey, FacetKey, Option<Choice>)> {
    let mut words = said.splitn(5, ' ');
    let key = SubjectKey(u128::from_str_radix(words.next()?, 16).ok()?);
    let facet = FacetKey(u64::from_str_radix(words.next()?, 16).ok()?);
    let what = words.next()?;
    let at = Timestamp(words.next()?.parse().ok()?);
    let word = words.next()?;
    let (mark, word) = match what {
        "P" => (Some(Mark::Pinned), word),
        "M" => (Some(Mark::Muted), word),
        "F" => (None, ""),
        "-" => return Some((key, facet, None)),
        _ => return None,
    };
    (word.len() <= WORD_BYTES_MAX)
        .then(|| (key, facet, Some(Choice { facet, mark, at, word: word.into() })))
}

#[cfg(test)]
mod tests;
