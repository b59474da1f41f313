//! `leafrank fit model LOG… --out FILE`: how much tastes differ, learned from logs into a model file.
//!
//! In: logs (plain or gzip), their catalogues, rules. Out: a model file, and on stdout what it says.
//! After each step what was found stands in FILE.part, and an interrupted fit goes on from there to the
//! same bytes. Exit 0, 64 for flags that contradict, 65 for logs that cannot be used or tell too
//! little, 66 for a file that cannot be read, 73 for one that cannot be written, 78 for rules that do
//! not compile, 130 after Ctrl-C.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::rules::{CANNOT_CREATE, Ended, INTERRUPTED, interrupts};
use crate::cli::replay::files::{self, Progress, Read, ReadError};
use crate::cli::{CONFIG, DATA, NO_INPUT, USAGE, print_problems};
use crate::config::{RulesFile, Settings, SettingsText};
use crate::fit::model::em::Variances;
use crate::fit::model::{Observed, PEOPLE_MIN, begun, drawn};
use crate::model::hierarchical::Group;
use crate::model::{Hierarchical, Kind, checksum, seal};
use crate::reload;
use crate::replay::{Conditions, Products, Protocol, Replay};
use crate::rules::Rules;
use crate::types::problem::Problem;

/// `leafrank fit model`
#[derive(Args)]
pub(super) struct Model {
    /// Logs in the common format or Metarank's, plain or gzip; several are merged by time.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Write the model here; FILE.part beside it while it is fitted.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// The products; NAME.catalog.jsonl[.gz] beside each NAME.log.jsonl[.gz] otherwise.
    #[arg(short, long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    /// The rules that say what is learned; the shipped ones otherwise.
    #[arg(short, long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// How the log is read.
    #[arg(long, value_enum, default_value_t = Scored::Common)]
    protocol: Scored,
    /// Read the log up to this share of its scored lists, 0 to 1: later ones can judge the model.
    #[arg(long, value_name = "FRACTION", default_value_t = 1.0, value_parser = fraction)]
    until: f64,
    /// Which people are drawn, where a log has too many.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Steps of expectation and maximisation at most.
    #[arg(long, value_name = "N", default_value_t = 30)]
    steps: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scored {
    /// As live traffic.
    Common,
    /// An unranked upstream, no position correction, no limits by the hour.
    P1,
}

/// A step that makes it likelier by less than this share is the last.
const GAIN_MIN: f64 = 1.0e-5;

/// What stands in FILE.part.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Of what it is the part: logs, rules, flags.
    of: String,
    step: usize,
    done: bool,
    variances: Variances,
}

fn fraction(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.parse().ok();
    number
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "expected a number above 0 and up to 1, such as 0.8".to_owned())
}

impl Model {
    pub(super) fn run(self) -> ExitCode {
        match self.fitted() {
            Ok(()) => ExitCode::SUCCESS,
            Err(Ended { code, problems }) => {
                print_problems(&problems);
                ExitCode::from(code)
            }
        }
    }

    fn fitted(&self) -> Result<(), Ended> {
        if self.logs.iter().chain(&self.rules).any(|input| *input == self.out) {
            return Err(Ended::file(USAGE, &self.out, "is read and not written".to_owned()));
        }
        let read = files::read(&self.logs, &self.catalog).map_err(|error| match error {
            ReadError::File(problem) => Ended::of(NO_INPUT, vec![problem]),
            ReadError::Lines(problems) => Ended::of(DATA, problems),
        })?;
        let (mut rules, mut conditions) = self.base()?;
        self.protocol().adapt(&mut rules, &mut conditions);
        let of = self.named(&read, &rules);
        let products = Arc::new(Products::of(&read.log, &rules.knowledge));
        let name = |facet| products.name(facet).map(|name| name.to_string());
        let mut model = begun(products.described(), name);
        let people = drawn(self.people(&read, &products, rules, conditions), self.seed);
        if people.len() < PEOPLE_MIN {
            let found = format!("{} people who did enough to tell a taste", people.len());
            let problem = Problem {
                expected: format!("at least {PEOPLE_MIN}: a longer log"),
                ..Problem::with_file("LOG", found)
            };
            return Err(Ended::of(DATA, vec![problem]));
        }
        let variances = self.stepped(&model, &people, &of)?;
        variances.tell(&mut model);
        let payload = model.payload();
        let bytes = seal(Kind::Hierarchical, &payload);
        write(&self.out, &bytes)?;
        // It has done what it was for; one that stays is of this fit and hurts nobody.
        drop(fs::remove_file(self.part()));
        let told = told(&model, &checksum(&payload), people.len());
        // A reader that went away needs no more of it.
        io::stdout().write_all(told.as_bytes()).unwrap_or_default();
        Ok(())
    }

    /// Steps until hardly anything changes.
    fn stepped(
        &self,
        model: &Hierarchical,
        people: &[Observed],
        of: &str,
    ) -> Result<Variances, Ended> {
        let interrupted = interrupts();
        let fresh = || Variances::of(model).scaled_to(people);
        let (mut step, mut variances, mut done) = match self.resumed(of)? {
            Some(part) => (part.step, part.variances, part.done),
            None => (0, fresh(), false),
        };
        while step < self.steps && !done {
            if interrupted.load(Ordering::Relaxed) {
                let found =
                    format!("stopped after {step} steps; the same command goes on from there");
                return Err(Ended::file(INTERRUPTED, &self.part(), found));
            }
            let next = variances.stepped(model, people).ok_or_else(|| {
                Ended::file(DATA, &self.out, "the variances left what can be computed".to_owned())
            })?;
            step += 1;
            let gain = next.likelihood - variances.likelihood;
            done = gain.is_finite() && gain < GAIN_MIN * next.likelihood.abs();
            variances = next;
            eprintln!("step {step}: likelihood {:.1}", variances.likelihood);
            let part = Part { of: of.to_owned(), step, done, variances: variances.clone() };
            let text = serde_json::to_vec(&part).unwrap_or_default();
            write(&self.part(), &text)?;
        }
        Ok(variances)
    }

    fn part(&self) -> PathBuf {
        let mut name = self.out.clone().into_os_string();
        name.push(".part");
        name.into()
    }

    /// What an interrupted fit of the same left behind.
    fn resumed(&self, of: &str) -> Result<Option<Part>, Ended> {
        let path = self.part();
        let Ok(bytes) = fs::read(&path) else { return Ok(None) };
        let part: Part = serde_json::from_slice(&bytes).map_err(|error| {
            Ended::file(DATA, &path, format!("{error}; remove it to begin anew"))
        })?;
        if part.of != of {
            let found = format!("is of another fit ({}); remove it to begin anew", part.of);
            return Err(Ended::file(DATA, &path, found));
        }
        eprintln!("going on after step {}", part.step);
        Ok(Some(part))
    }

    fn people(
        &self,
        read: &Read,
        products: &Arc<Products>,
        rules: Rules,
        conditions: Conditions,
    ) -> Vec<Observed> {
        let wanted = (read.log.scored() as f64 * self.until).round() as usize;
        let mut progress = Progress::new(read.log.records());
        let mut run = Replay::new(&read.log, products.clone(), Arc::new(rules), conditions);
        while (self.until >= 1.0 || run.scored() < wanted) && run.step() {
            progress.at(run.done());
        }
        progress.end();
        run.remembered()
    }

    fn protocol(&self) -> Protocol {
        match self.protocol {
            Scored::Common => Protocol::Common,
            Scored::P1 => Protocol::P1,
        }
    }

    fn named(&self, read: &Read, rules: &Rules) -> String {
        let files: Vec<&str> = read.files.iter().map(|(_, digest)| digest.as_str()).collect();
        let (version, files) = (env!("CARGO_PKG_VERSION"), files.join(" "));
        let Self { protocol, until, seed, .. } = self;
        let rules = &rules.version;
        format!("{version}, logs {files}, rules {rules}, {protocol:?}, until {until}, seed {seed}")
    }

    fn base(&self) -> Result<(Rules, Conditions), Ended> {
        let none = BTreeMap::new();
        let text = SettingsText { file: None, text: "", environment: &none, flags: &[] };
        let settings = Settings::parse(&text).map_err(|problems| Ended::of(CONFIG, problems))?;
        let store = &settings.store;
        let conditions =
            Conditions::live(store.products_per_profile_max, store.facets_per_profile_max);
        let rules = match &self.rules {
            None => Rules::shipped(),
            Some(path) => reload::check(&RulesFile::alone(path.clone()))
                .map_err(|problems| Ended::of(CONFIG, problems))?,
        };
        Ok((rules, conditions))
    }
}

/// Whole beside its name, then renamed: a reader sees the old one or the new one.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Ended> {
    let mut new = path.to_owned().into_os_string();
    new.push(".new");
    let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| Ended::file(CANNOT_CREATE, path, format!("cannot be written: {error}")))
}

/// What the model says, for people.
fn told(model: &Hierarchical, sum: &str, people: usize) -> String {
    use std::fmt::Write as _;
    let version = sum.get(..8).unwrap_or_default();
    let mut out = format!("model {version}: {people} people, {} facets\n", model.facets.len());
    let noise = model.noise;
    for group in &model.groups {
        let Group { name, variance } = group;
        let _ = writeln!(out, "  {name:24} {variance:.5}, {:.2} of the noise", variance / noise);
    }
    for (name, variance) in [("own level", model.own_variance), ("popular", model.popular_variance)]
    {
        let _ = writeln!(out, "  {name:24} {variance:.5}, {:.2} of the noise", variance / noise);
    }
    let _ = writeln!(out, "  {:24} {noise:.5}", "noise");
    out
}
