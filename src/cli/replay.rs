//! `leafrank replay`: how good would our order have been on a recorded log?
//!
//! In: logs (plain or gzip), their catalogues, rules. Out: a table for people or JSON; with
//! `--against` what another rules file would change. Exit 0, 64 where flags contradict, 65 with
//! every line that cannot be used, 66 for a file that cannot be read, 78 for rules that do not
//! compile. Reads files and changes nothing.

pub(super) mod files;
pub(super) mod print;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::{CONFIG, DATA, NO_INPUT, USAGE, print_problems};
use crate::config::{RulesFile, Settings, SettingsText};
use crate::reload;
use crate::replay::against::Against;
use crate::replay::table::{Draws, RESAMPLES};
use crate::replay::{Conditions, Fold, Forget, Products, Protocol, Replay as Run, Row};
use crate::rules::Rules;
use crate::types::problem::Problem;
use crate::yaml::edits::Edit;
use files::ReadError;
pub(super) use files::{Progress, Read};
use print::Told;

/// `leafrank replay`
#[derive(Args)]
pub(super) struct Replay {
    /// Logs in the common format or Metarank's, plain or gzip; several are merged by time.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// The rules to measure; the shipped ones otherwise.
    #[arg(short, long, value_name = "FILE")]
    rules: Option<PathBuf>,
    #[command(flatten)]
    how: Measured,
    /// Other rules: what would they change?
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Remember everything of everybody: for comparison only, live profiles are bounded.
    #[arg(long, conflicts_with = "products_max")]
    unbounded: bool,
    /// Products remembered a profile; the settings' default otherwise.
    #[arg(long, value_name = "N")]
    products_max: Option<usize>,
    /// What a full profile forgets: for comparison only.
    #[arg(long, value_name = "RULE", value_parser = forget, default_value = "live")]
    forget: Forget,
    /// As if everybody had allowed that what is sensitive is learned.
    #[arg(long)]
    sensitive: bool,
    /// Append so many popular products of other types to each list.
    #[arg(long, value_name = "N", default_value_t = 0)]
    contaminate: usize,
    /// The edit itself, key by key, told before its effect.
    #[arg(skip)]
    edit: Option<Vec<Edit>>,
}

/// How rules are measured.
#[derive(Args)]
pub(super) struct Measured {
    /// The products; NAME.catalog.jsonl[.gz] beside each NAME.log.jsonl[.gz] otherwise.
    #[arg(short, long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    /// A model file that serves beside the rules, as the settings may name one.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// How the log is scored.
    #[arg(long, value_enum, default_value_t = Scored::Common)]
    protocol: Scored,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Score only the lists of a part of the users (2/5), or of all others (-2/5).
    #[arg(long, value_name = "K/N", value_parser = fold, allow_hyphen_values = true)]
    users_fold: Option<Fold>,
    /// Where chance begins, for intervals and for --contaminate.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How often users are drawn again for the intervals.
    #[arg(long, value_name = "N", default_value_t = RESAMPLES, hide = true)]
    resamples: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scored {
    /// Every list that the log scores.
    Common,
    /// An unranked upstream, everybody's lists, no position correction, no limits by the hour; the
    /// last fifth is scored.
    P1,
}

pub(super) fn fold(text: &str) -> Result<Fold, String> {
    Fold::parse(text).ok_or_else(|| "expected K/N with K from 1 to N, such as 2/5 or -2/5".into())
}

fn forget(text: &str) -> Result<Forget, String> {
    let found = Forget::ALL.iter().find(|(word, _)| *word == text).map(|(_, rule)| *rule);
    found.ok_or_else(|| {
        let words: Vec<&str> = Forget::ALL.iter().map(|(word, _)| *word).collect();
        format!("expected one of {}", words.join(", "))
    })
}

impl Replay {
    /// Two rules files on the same logs, with the edit from one to the other.
    pub(super) fn of_edit(
        [rules, against]: [PathBuf; 2],
        logs: Vec<PathBuf>,
        edit: Vec<Edit>,
        how: Measured,
    ) -> Self {
        Self {
            logs,
            rules: Some(rules),
            how,
            against: Some(against),
            unbounded: false,
            products_max: None,
            forget: Forget::Live,
            sensitive: false,
            contaminate: 0,
            edit: Some(edit),
        }
    }

    pub(super) fn run(self) -> ExitCode {
        let mut read = match opened(&self.logs, &self.how.catalog) {
            Ok(read) => read,
            Err(code) => return code,
        };
        if self.contaminate > 0 {
            read.log.contaminate(self.contaminate, self.how.seed);
        }
        let rules = [Some(&self.rules), self.against.as_ref().map(|_| &self.against)];
        let compiled: Result<Vec<Rules>, _> =
            rules.into_iter().flatten().map(|path| compile(path, &self.how.model)).collect();
        let mut rules = match compiled {
            Ok(rules) => rules,
            Err(problems) => {
                print_problems(&problems);
                return ExitCode::from(CONFIG);
            }
        };
        let Some(mut conditions) = self.conditions() else { return ExitCode::from(USAGE) };
        for rules in &mut rules {
            self.protocol().adapt(rules, &mut conditions);
        }
        let products = Arc::new(Products::of(&read.log, &rules[0].knowledge));
        let rules: Vec<Arc<Rules>> = rules.into_iter().map(Arc::new).collect();
        match &rules[..] {
            [one, other] => {
                self.compare(&read, products, [one.clone(), other.clone()], conditions);
            }
            _ => self.measure(&read, products, rules[0].clone(), conditions),
        }
        ExitCode::SUCCESS
    }

    fn protocol(&self) -> Protocol {
        match self.how.protocol {
            Scored::Common => Protocol::Common,
            Scored::P1 => Protocol::P1,
        }
    }

    fn draws(&self) -> Draws {
        Draws { resamples: self.how.resamples, seed: self.how.seed }
    }

    /// As the shipped settings serve, but for what the flags say.
    fn conditions(&self) -> Option<Conditions> {
        let live = as_shipped(self.products_max)?;
        let live = if self.unbounded { live.unbounded() } else { live };
        Some(Conditions { forget: self.forget, sensitive: self.sensitive, ..live })
    }

    fn measure(
        &self,
        read: &Read,
        products: Arc<Products>,
        rules: Arc<Rules>,
        conditions: Conditions,
    ) {
        let mut progress = Progress::new(read.log.records());
        let mut run = Run::new(&read.log, products, rules.clone(), conditions);
        while run.step() {
            progress.at(run.done());
        }
        progress.end();
        let rows = run.finish();
        let cuts = self.protocol().cuts(&read.log).into_iter();
        let cuts: Vec<(&str, Vec<&Row>)> =
            cuts.map(|(name, range)| (name, self.chosen(&rows, range))).collect();
        let told = Told {
            files: &read.files,
            rules: &rules,
            conditions: self.said(),
            draws: self.draws(),
            seconds: progress.seconds(),
            records: read.log.records(),
        };
        match self.how.json {
            true => println!("{:#}", told.json(&cuts)),
            false => print!("{}", told.text(&cuts)),
        }
    }

    fn compare(
        &self,
        read: &Read,
        products: Arc<Products>,
        rules: [Arc<Rules>; 2],
        conditions: Conditions,
    ) {
        let mut progress = Progress::new(read.log.records());
        let mut run = Against::new(&read.log, products, rules.clone(), conditions);
        while run.step() {
            progress.at(run.done());
        }
        progress.end();
        let outcome = run.finish();
        let cut = self.protocol().cuts(&read.log).swap_remove(0);
        let rows = [&outcome.one, &outcome.other].map(|rows| self.chosen(rows, cut.1.clone()));
        let [one, other] = &rules;
        let told = Told {
            files: &read.files,
            rules: one,
            conditions: self.said(),
            draws: self.draws(),
            seconds: progress.seconds(),
            records: read.log.records(),
        };
        let edit = self.edit.as_deref();
        match self.how.json {
            true => {
                let mut json = told.json_against(other, &outcome, &rows);
                if let Some(edit) = edit {
                    json["edit"] = print::json_edits(edit);
                }
                println!("{json:#}");
            }
            false => {
                print!("{}", edit.map(print::text_edits).unwrap_or_default());
                print!("{}", told.text_against(other, &outcome, &rows));
            }
        }
    }

    fn chosen<'r>(&self, rows: &'r [Row], range: std::ops::Range<usize>) -> Vec<&'r Row> {
        let rows = rows.get(range).unwrap_or_default().iter();
        rows.filter(|row| self.how.users_fold.is_none_or(|fold| fold.holds(row))).collect()
    }

    /// What differs from live traffic, for people.
    fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        if matches!(self.how.protocol, Scored::P1) {
            said.push(
                "protocol p1: upstream unranked, prior applies to everyone, no position \
                 correction, no limits by the hour"
                    .to_owned(),
            );
        }
        if self.how.users_fold.is_some() {
            said.push("lists of a part of the users only".to_owned());
        }
        if self.unbounded {
            said.push("profiles without bounds: no live profile has room for it".to_owned());
        }
        if let Some(products) = self.products_max {
            said.push(format!("{products} products remembered a profile"));
        }
        if let Some((word, _)) = Forget::ALL.iter().find(|(_, rule)| *rule == self.forget)
            && self.forget != Forget::Live
        {
            said.push(format!("a full profile forgets by another rule: {word}"));
        }
        if self.sensitive {
            said.push("everybody allowed that what is sensitive is learned".to_owned());
        }
        if let Some(path) = &self.how.model {
            said.push(format!("with the model of {}", path.display()));
        }
        if self.contaminate > 0 {
            said.push(format!(
                "{} products of other types appended to each list",
                self.contaminate
            ));
        }
        said
    }
}

/// Reads logs and their catalogues, or says what is wrong with them.
pub(super) fn opened(logs: &[PathBuf], catalogs: &[PathBuf]) -> Result<Read, ExitCode> {
    match files::read(logs, catalogs) {
        Ok(read) if read.log.scored() == 0 => {
            eprintln!("no list of the log is scored: no search has a \"truth\" and a list");
            Err(ExitCode::from(DATA))
        }
        Ok(read) => Ok(read),
        Err(ReadError::File(problem)) => {
            eprintln!("{problem}");
            Err(ExitCode::from(NO_INPUT))
        }
        Err(ReadError::Lines(problems)) => {
            print_problems(&problems);
            Err(ExitCode::from(DATA))
        }
    }
}

/// As the shipped settings serve.
pub(super) fn as_shipped(products_max: Option<usize>) -> Option<Conditions> {
    let none = BTreeMap::new();
    let text = SettingsText { file: None, text: "", environment: &none, flags: &[] };
    let settings = Settings::parse(&text);
    let settings = match settings {
        Ok(settings) => settings,
        Err(problems) => {
            print_problems(&problems);
            return None;
        }
    };
    let products = products_max.unwrap_or(settings.store.products_per_profile_max);
    Some(Conditions::live(products, settings.store.facets_per_profile_max))
}

/// Rules as a file has them, or as shipped, with a model file beside them.
pub(super) fn compile(
    path: &Option<PathBuf>,
    model: &Option<PathBuf>,
) -> Result<Rules, Vec<Problem>> {
    let (path, model) = (path.clone(), model.clone());
    reload::check(&RulesFile { path, may_be_missing: false, knowledge_dir: None, model })
}
