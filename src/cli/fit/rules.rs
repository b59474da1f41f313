//! `leafrank fit rules LOG…`: what a log says the numbers of the rules should be.
//!
//! In: logs (plain or gzip), their catalogues, rules. Out: a reviewable diff with the held-out gain of
//! each change, or JSON; with `--out` the edited file, written elsewhere. The rules that were given
//! are never written. Exit 0 (also where `--minutes` ended it early), 64 for a path that names no
//! number, 65 for logs or a checkpoint that cannot be used, 66 for a file that cannot be read, 73 for
//! one that cannot be written, 78 for rules that do not compile, 130 after Ctrl-C, which tells what
//! was found so far.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, ValueEnum};

use super::checkpoint::{Checkpoint, Header};
use super::print::Told;
use crate::cli::replay::files::{self, Read, ReadError};
use crate::cli::{CONFIG, DATA, NO_INPUT, USAGE, print_problems};
use crate::config::{RulesFile, Settings, SettingsText};
use crate::fit::{self, Base, LISTS_MIN, Outcome, Plan, Refusal, Step, USERS_MIN, Watch};
use crate::reload;
use crate::replay::table::{Draws, RESAMPLES};
use crate::replay::{Conditions, Protocol};
use crate::rules::{Rules as Compiled, SHIPPED_FILE, SHIPPED_TEXT};
use crate::types::clock::{Clock as _, SystemClock};
use crate::types::problem::Problem;

/// A file that cannot be written.
const CANNOT_CREATE: u8 = 73;

/// Ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// `leafrank fit rules`
#[derive(Args)]
pub(super) struct Rules {
    /// Logs in the common format or Metarank's, plain or gzip; several are merged by time.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The rules to begin with; the shipped ones otherwise. Never written.
    #[arg(short, long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// The products; NAME.catalog.jsonl[.gz] beside each NAME.log.jsonl[.gz] otherwise.
    #[arg(short, long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    /// How the log is read, and what is held out.
    #[arg(long, value_enum, default_value_t = Scored::Common)]
    protocol: Scored,
    /// Only the numbers at or below these keys, such as `ranking.weights` or `half_life`.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    only: Vec<String>,
    /// Where chance begins, for intervals.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Folds of the users: each is judged by what the others taught.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(2..=20))]
    folds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the edited rules here.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep what was measured here, and go on from what is there.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// End after so many minutes and tell what was found so far.
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scored {
    /// Every list that the log scores; folds of the users are held out in turn.
    Common,
    /// An unranked upstream, everybody's lists, no position correction, no limits by the hour; fitted
    /// on the lists from 60 to 80 %, the last fifth is held out.
    P1,
}

/// What ends a fit early, and how.
struct Ended {
    code: u8,
    problems: Vec<Problem>,
}

impl Ended {
    fn of(code: u8, problems: Vec<Problem>) -> Self {
        Self { code, problems }
    }

    fn file(code: u8, path: &std::path::Path, found: String) -> Self {
        Self::of(code, vec![Problem::with_file(&path.display().to_string(), found)])
    }
}

impl Rules {
    pub(super) fn run(self) -> ExitCode {
        match self.fitted() {
            Ok(code) => ExitCode::from(code),
            Err(Ended { code, problems }) => {
                print_problems(&problems);
                ExitCode::from(code)
            }
        }
    }

    fn fitted(&self) -> Result<u8, Ended> {
        self.refuse_to_overwrite()?;
        let mut read = files::read(&self.logs, &self.catalog).map_err(|error| match error {
            ReadError::File(problem) => Ended::of(NO_INPUT, vec![problem]),
            ReadError::Lines(problems) => Ended::of(DATA, problems),
        })?;
        let (base, version) = self.base()?;
        let header = self.header(&read, &version);
        let mut checkpoint = match &self.resume {
            Some(path) => Some(
                Checkpoint::open(path, &header)
                    .map_err(|problem| Ended::of(DATA, vec![problem]))?,
            ),
            None => None,
        };
        let before = checkpoint.as_mut().map(Checkpoint::take).unwrap_or_default();
        let interrupted = interrupts();
        let found = self.watched(&mut read, &base, (before, checkpoint), &interrupted)?;
        let told = Told { read: &read, base: &base, version: &version, draws: self.draws() };
        let text = match self.json {
            true => format!("{:#}\n", told.json(&found)),
            false => told.text(&found),
        };
        // A reader that went away needs no more of it.
        io::stdout().write_all(text.as_bytes()).unwrap_or_default();
        if let Some(path) = &self.out {
            let edited = found.edited.as_deref().unwrap_or(&base.text);
            std::fs::write(path, edited).map_err(|error| {
                Ended::file(CANNOT_CREATE, path, format!("cannot be written: {error}"))
            })?;
        }
        Ok(if interrupted.load(Ordering::Relaxed) { INTERRUPTED } else { 0 })
    }

    /// The given rules stay as they are, under whatever name.
    fn refuse_to_overwrite(&self) -> Result<(), Ended> {
        let (Some(out), Some(rules)) = (&self.out, &self.rules) else { return Ok(()) };
        let same = match (out.canonicalize(), rules.canonicalize()) {
            (Ok(out), Ok(rules)) => out == rules,
            _ => false,
        };
        match same {
            false => Ok(()),
            true => {
                let found = "is the file of --rules, which is never written".to_owned();
                Err(Ended::file(USAGE, out, found))
            }
        }
    }

    fn watched(
        &self,
        read: &mut Read,
        base: &Base,
        (before, checkpoint): (BTreeMap<String, Vec<i64>>, Option<Checkpoint>),
        interrupted: &AtomicBool,
    ) -> Result<Outcome, Ended> {
        let clock = SystemClock::default();
        let end_us = self.minutes.map(|minutes| (minutes.max(0.0) * 60e6) as u64);
        let is_late = || end_us.is_some_and(|end| clock.monotonic_us() >= end);
        let line = Line { is_seen: io::stderr().is_terminal() };
        let failed = std::cell::RefCell::new(None);
        let kept = std::cell::RefCell::new(checkpoint);
        let watch = Watch {
            is_over: &|| interrupted.load(Ordering::Relaxed) || is_late(),
            at: &|step| line.at(step),
            measured: &|key, sums| {
                let mut kept = kept.borrow_mut();
                if let Some(checkpoint) = kept.as_mut()
                    && let Err(error) = checkpoint.keep(key, sums)
                {
                    // What cannot be kept is measured again next time; the fit goes on.
                    *failed.borrow_mut() = Some(error);
                    *kept = None;
                }
            },
        };
        let plan = Plan { folds: self.folds, only: self.only.clone(), draws: self.draws() };
        let found = fit::rules(&mut read.log, base, &plan, before, &watch);
        line.end();
        if let (Some(error), Some(path)) = (failed.into_inner(), &self.resume) {
            eprintln!("{}: cannot be written: {error}; nothing more was kept", path.display());
        }
        found.map_err(refused)
    }

    fn draws(&self) -> Draws {
        Draws { resamples: RESAMPLES, seed: self.seed }
    }

    fn protocol(&self) -> Protocol {
        match self.protocol {
            Scored::Common => Protocol::Common,
            Scored::P1 => Protocol::P1,
        }
    }

    fn header(&self, read: &Read, version: &str) -> Header {
        Header {
            leafrank: env!("CARGO_PKG_VERSION").to_owned(),
            files: read.files.iter().map(|(_, digest)| digest.clone()).collect(),
            rules: version.to_owned(),
            protocol: match self.protocol {
                Scored::Common => format!("common, {} folds", self.folds),
                Scored::P1 => "p1".to_owned(),
            },
        }
    }

    /// The rules with their text, and their version.
    fn base(&self) -> Result<(Base, String), Ended> {
        let none = BTreeMap::new();
        let text = SettingsText { file: None, text: "", environment: &none, flags: &[] };
        let settings = Settings::parse(&text).map_err(|problems| Ended::of(CONFIG, problems))?;
        let store = &settings.store;
        let conditions =
            Conditions::live(store.products_per_profile_max, store.facets_per_profile_max);
        let (file, text, rules) = match &self.rules {
            None => (SHIPPED_FILE.to_owned(), SHIPPED_TEXT.to_owned(), Compiled::shipped()),
            Some(path) => {
                let rules = reload::check(&RulesFile::alone(path.clone()))
                    .map_err(|problems| Ended::of(CONFIG, problems))?;
                // Read and found well a moment ago: not above the limit of a text.
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Ended::file(NO_INPUT, path, format!("cannot be read: {error}"))
                })?;
                (path.display().to_string(), text, rules)
            }
        };
        if !rules.enabled {
            let found = "enabled is false: no list would move, and nothing can be fitted";
            return Err(Ended::of(CONFIG, vec![Problem::with_file(&file, found.to_owned())]));
        }
        let version = rules.version.to_string();
        let (knowledge, protocol) = (rules.knowledge, self.protocol());
        Ok((Base { file, text, knowledge, protocol, conditions }, version))
    }
}

fn refused(refusal: Refusal) -> Ended {
    let said = |of: &str, found: String, expected: String, suggestion: Option<String>| Problem {
        expected,
        suggestion,
        ..Problem::with_file(of, found)
    };
    match refusal {
        Refusal::Unknown(unknown) => {
            let found = format!("\"{}\" names no number", crate::yaml::printable(&unknown.path));
            let expected = "a key of numbers in personalization_rules.yaml".to_owned();
            Ended::of(USAGE, vec![said("--only", found, expected, unknown.suggestion)])
        }
        Refusal::TooFew { lists, users, left_out } => {
            let ours = match left_out {
                0 => String::new(),
                ours => format!(" ({ours} more went out in our order and cannot be judged)"),
            };
            let found = format!("{lists} scored lists of {users} users in the shop's order{ours}");
            let expected = format!(
                "at least {LISTS_MIN} lists of {USERS_MIN} users: a longer log, or a larger holdout"
            );
            Ended::of(DATA, vec![said("LOG", found, expected, None)])
        }
        Refusal::Rules(problems) => Ended::of(CONFIG, problems),
        Refusal::Stopped => {
            let found = "stopped before the rules as they are were measured".to_owned();
            Ended::of(INTERRUPTED, vec![said("fit", found, "more time".to_owned(), None)])
        }
    }
}

/// True from the first Ctrl-C on; a second one ends the process at once.
fn interrupts() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let told = flag.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Without a runtime Ctrl-C ends the process, as it does by default.
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if told.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(INTERRUPTED));
                }
            }
        });
    });
    flag
}

/// How far a fit is, for people: a line on stderr, where that is a terminal.
struct Line {
    is_seen: bool,
}

impl Line {
    fn at(&self, step: &Step) {
        if self.is_seen {
            let (done, of) = step.done;
            let bar = "█".repeat(done * 25 / of.max(1));
            let Step { number, settings, .. } = step;
            eprint!("\r{:100}\r{bar:25} {number} ({done} of {of}), {settings} settings", "");
            // A terminal that is gone needs no line.
            io::stderr().flush().unwrap_or_default();
        }
    }

    fn end(&self) {
        if self.is_seen {
            eprint!("\r{:100}\r", "");
            io::stderr().flush().unwrap_or_default();
        }
    }
}
