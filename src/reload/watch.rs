//! The thread that watches the rules files and swaps the table.
//!
//! What kind of event arrives differs between file systems, so kinds are ignored but for those
//! that reading itself makes: any other event in a watched directory makes it read the files again, after the directory has been quiet for
//! [`QUIET`]. Every [`POLL`] it reads them anyway and watches anew, which covers directories that
//! were missing or replaced and links into directories that are not watched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::files::Content;
use super::last_good::LastGood;
use super::table::{Degraded, ReloadStatus, RulesSource, RulesTable};
use crate::config::RulesFile;
use crate::rules::Rules;
use crate::types::clock::Clock;
use crate::types::problem::Problem;

/// A directory must be quiet for this long before it is read: a swap is several events.
const QUIET: Duration = Duration::from_millis(60);

/// A directory that is never quiet is read after so many waits all the same.
const WAITS_MAX: usize = 5;

/// A file that is gone or empty is probably being saved just now; it gets this long.
const GRACE: Duration = Duration::from_millis(250);

/// Time between looks without an event.
const POLL: Duration = Duration::from_secs(5);

enum Wake {
    Changed,
    Stop,
}

/// Keeps the table up to date until it is dropped.
#[derive(Debug)]
pub struct Reloader {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

impl Reloader {
    /// Loads the rules, whatever state the files are in, and starts to watch them.
    ///
    /// Never fails: unusable files give the last good copy, else a table that ranks nothing, and
    /// the status says so.
    pub fn start(
        files: &RulesFile,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> (Arc<RulesTable>, Self) {
        let last_good = LastGood::beneath(data_dir);
        let (wake, woken) = channel();
        // Watching begins before the first read, so that no edit falls between the two.
        let watch = Watch::new(files, wake.clone());
        let read = Content::read(files);
        let seen = Some(fingerprint(&read));
        let (rules, mut status) = first(read, &last_good, files.model.is_some());
        status.loaded_at = clock.now();
        let table = Arc::new(RulesTable::new(Arc::new(rules), status));
        let files = files.clone();
        let mut job = Job { files, last_good, clock, table: Arc::clone(&table), seen };
        let name = "rules-reload".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || job.run(watch, &woken));
        if let Err(error) = &thread {
            tracing::error!(%error, "rules are not watched: edits need a restart");
        }
        (table, Self { wake, thread: thread.ok() })
    }

    /// Makes it look at the files now rather than at the next event or poll.
    pub fn look(&self) {
        // The thread can only be gone when it was never started, which was logged.
        let _ = self.wake.send(Wake::Changed);
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the reload thread ended by a panic");
        }
    }
}

/// The table at start: the files, else the last good copy, else nothing.
fn first(
    read: Result<Content, Vec<Problem>>,
    last_good: &LastGood,
    wants_model: bool,
) -> (Rules, ReloadStatus) {
    let compiled = read.as_ref().map_err(Vec::clone).and_then(Content::compile);
    let (rules, source, problems) = match (compiled, &read) {
        (Ok(rules), Ok(Content { rules: Some(text), model, .. })) => {
            last_good.keep(&text.text, model.as_ref());
            (rules, RulesSource::File, None)
        }
        (Ok(rules), _) => (rules, RulesSource::Shipped, None),
        (Err(problems), read) => match from_copy(read.as_ref().ok(), last_good, wants_model) {
            Some(rules) => (rules, RulesSource::LastGoodCopy, Some(problems)),
            None => (Rules::none(), RulesSource::None, Some(problems)),
        },
    };
    let degraded = match source {
        RulesSource::File | RulesSource::Shipped => None,
        RulesSource::LastGoodCopy => Some(Degraded::LastGoodCopy),
        RulesSource::None => Some(Degraded::NoRules),
    };
    if let Some(problems) = &problems {
        let serving = degraded.map_or("", Degraded::reason);
        tracing::error!(serving, problems = %listing(problems), "rules cannot be used at start");
    }
    let status = ReloadStatus {
        generation: 1,
        loaded_at: Default::default(),
        version: Arc::clone(&rules.version),
        model: rules.model_version.clone(),
        source,
        rejected_total: u64::from(problems.is_some()),
        last_error: problems.map(Arc::from),
        degraded,
    };
    (rules, status)
}

/// The last good copy, with the knowledge tables and the model's copy if those can be used.
fn from_copy(content: Option<&Content>, last_good: &LastGood, wants_model: bool) -> Option<Rules> {
    let copy = last_good.read().ok()?;
    let tables = content.and_then(|content| content.knowledge.clone());
    let with =
        |knowledge, model| Content { rules: Some(copy.clone()), knowledge, model }.compile().ok();
    let model = wants_model.then(|| last_good.model()).flatten();
    with(tables.clone(), model.clone())
        .or_else(|| with(tables, None))
        .or_else(|| with(None, model))
        .or_else(|| with(None, None))
}

/// What was read, in one number; errors count by what they say.
fn fingerprint(read: &Result<Content, Vec<Problem>>) -> Result<u64, Vec<Problem>> {
    read.as_ref().map(Content::hash).map_err(Vec::clone)
}

fn listing(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

struct Job {
    files: RulesFile,
    last_good: LastGood,
    clock: Arc<dyn Clock>,
    table: Arc<RulesTable>,
    /// What was last looked at, good or bad.
    seen: Option<Result<u64, Vec<Problem>>>,
}

impl Job {
    fn run(&mut self, mut watch: Watch, woken: &Receiver<Wake>) {
        loop {
            match woken.recv_timeout(POLL) {
                Ok(Wake::Changed) => {
                    if settle(woken).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => watch.renew(),
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let mut read = Content::read(&self.files);
        if read.as_ref().map_or(true, Content::is_empty) {
            std::thread::sleep(GRACE);
            read = Content::read(&self.files);
        }
        let seen = fingerprint(&read);
        if self.seen.as_ref() == Some(&seen) {
            return;
        }
        self.seen = Some(seen);
        let before = self.table.status();
        let compiled = read.as_ref().map_err(Vec::clone).and_then(Content::compile);
        match (compiled, read) {
            // A file that may be missing serves once it is there; its going away is a mistake.
            (Ok(_), Ok(Content { rules: None, .. }))
                if self.files.may_be_missing && before.source == RulesSource::File =>
            {
                let name = self.files.path.as_deref().unwrap_or(Path::new("")).display();
                self.refuse(&before, vec![Problem::with_file(&name.to_string(), "is gone")]);
            }
            (Ok(rules), Ok(content)) => self.accept(&before, rules, &content),
            (Err(problems), _) | (Ok(_), Err(problems)) => self.refuse(&before, problems),
        }
    }

    fn accept(&self, before: &ReloadStatus, rules: Rules, content: &Content) {
        let source = match &content.rules {
            Some(text) => {
                self.last_good.keep(&text.text, content.model.as_ref());
                RulesSource::File
            }
            None => RulesSource::Shipped,
        };
        let (old, new) = (Arc::clone(&before.version), Arc::clone(&rules.version));
        let model = rules.model_version.clone();
        self.table.swap(Arc::new(rules));
        let generation = before.generation + 1;
        tracing::info!(%old, %new, generation, "rules swapped");
        self.table.publish(ReloadStatus {
            generation,
            loaded_at: self.clock.now(),
            version: new,
            model,
            source,
            last_error: None,
            degraded: None,
            rejected_total: before.rejected_total,
        });
    }

    fn refuse(&self, before: &ReloadStatus, problems: Vec<Problem>) {
        let serving = &before.version;
        tracing::error!(%serving, problems = %listing(&problems), "rules edit refused");
        self.table.publish(ReloadStatus {
            last_error: Some(Arc::from(problems)),
            rejected_total: before.rejected_total + 1,
            ..before.clone()
        });
    }
}

/// Waits until nothing happens for [`QUIET`]; an error means that it is time to stop.
fn settle(woken: &Receiver<Wake>) -> Result<(), ()> {
    for _ in 0..WAITS_MAX {
        for wake in woken.try_iter() {
            if matches!(wake, Wake::Stop) {
                return Err(());
            }
        }
        match woken.recv_timeout(QUIET) {
            Ok(Wake::Changed) => {}
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(()),
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    Ok(())
}

/// False for the events that reading makes: they would make us read for ever.
fn may_be_a_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Directories and what watches them.
struct Watch {
    directories: Vec<PathBuf>,
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn new(files: &RulesFile, wake: Sender<Wake>) -> Self {
        let parent = |path: &PathBuf| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let files_of_ours = files.path.iter().chain(&files.model).map(parent);
        let directories: Vec<PathBuf> = files_of_ours.chain(files.knowledge_dir.clone()).collect();
        let handler = move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, may_be_a_change) {
                // Nobody listens any more once the reloader was dropped.
                let _ = wake.send(Wake::Changed);
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| {
                tracing::warn!(%error, "no file events here: rules are looked at every 5 s");
            })
            .ok();
        let mut watch = Self { directories, watcher };
        for error in watch.begin() {
            tracing::warn!(%error, "a directory of rules cannot be watched yet");
        }
        watch
    }

    fn begin(&mut self) -> Vec<notify::Error> {
        let Some(watcher) = &mut self.watcher else { return Vec::new() };
        let begin = |directory| watcher.watch(directory, RecursiveMode::NonRecursive).err();
        self.directories.iter().map(PathBuf::as_path).filter_map(begin).collect()
    }

    /// Watches again: a directory may have come, or gone and come back.
    fn renew(&mut self) {
        for error in self.begin() {
            tracing::debug!(%error, "a directory of rules cannot be watched yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_watched_file_wakes_nobody_and_writing_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rules.yaml");
        std::fs::write(&path, "a").unwrap();
        let knowledge_dir = Some(directory.path().to_owned());
        let files = RulesFile { knowledge_dir, ..RulesFile::alone(path.clone()) };
        let (wake, woken) = channel();
        let _watch = Watch::new(&files, wake);
        assert!(Content::read(&files).is_ok());
        assert!(woken.recv_timeout(Duration::from_millis(300)).is_err());
        std::fs::write(&path, "b").unwrap();
        assert!(woken.recv_timeout(Duration::from_secs(5)).is_ok());
    }
}
