//! `leafrank test`: does the ranking do what a shop owner expects of it?
//!
//! In: files of cases (a folder stands for its `*.yaml`), or the cases that come with the program;
//! rules. Out: a line a case, and for each that fails what was expected, what came, and the parts of
//! the scores. Exit 0, 1 where a case fails, 65 with every problem of the files, 66 for a file that
//! cannot be read, 78 for rules that do not compile. Reads files and changes nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{CONFIG, DATA, NO_INPUT, print_problems};
use crate::cases::{Base, Case, SHIPPED, read};
use crate::rules::knowledge::Knowledge;
use crate::rules::{Rules, SHIPPED_FILE, SHIPPED_TEXT};
use crate::types::problem::Problem;
use crate::yaml::TEXT_BYTES_MAX;

/// Some case does not hold.
const FAILED: u8 = 1;
/// Files of one run.
const FILES_MAX: usize = 1_000;

/// `leafrank test`
#[derive(Args)]
pub(super) struct Test {
    /// Files of cases, or folders of them; the shipped cases otherwise.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The rules to try; the shipped ones otherwise.
    #[arg(short, long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Only what fails, and the sum.
    #[arg(short, long)]
    quiet: bool,
}

type Text = (String, String);

impl Test {
    pub(super) fn run(self) -> ExitCode {
        let (rules, texts) = match (self.rules_text(), self.texts()) {
            (Ok(rules), Ok(texts)) => (rules, texts),
            (Err(problem), _) | (_, Err(problem)) => {
                eprintln!("{problem}");
                return ExitCode::from(NO_INPUT);
            }
        };
        let base = Base { file: rules.0, text: rules.1, knowledge: Knowledge::shipped() };
        if let Err(problems) = Rules::compile(&base.file, &base.text, base.knowledge.clone()) {
            print_problems(&problems);
            return ExitCode::from(CONFIG);
        }
        let mut cases = Vec::new();
        let mut unusable = false;
        for (file, text) in &texts {
            match read(file, text, &base) {
                Ok(read) => cases.extend(read.into_iter().map(|case| (file.as_str(), case))),
                Err(problems) => {
                    print_problems(&problems);
                    unusable = true;
                }
            }
        }
        if unusable {
            return ExitCode::from(DATA);
        }
        let count = cases.len();
        let held = cases.iter().filter(|(file, case)| self.holds(file, case)).count();
        println!("{held} of {count} cases hold");
        if held == count { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
    }

    fn holds(&self, file: &str, case: &Case) -> bool {
        let verdict = case.run();
        if verdict.holds() {
            if !self.quiet {
                println!("✓ {}", case.name);
            }
            return true;
        }
        println!("✗ {} ({file}:{})", case.name, case.line);
        verdict.faults.iter().for_each(|fault| println!("    {fault}"));
        verdict.list().iter().for_each(|line| println!("    {line}"));
        false
    }

    fn rules_text(&self) -> Result<Text, Problem> {
        match &self.rules {
            Some(path) => text_of(path),
            None => Ok((SHIPPED_FILE.to_owned(), SHIPPED_TEXT.to_owned())),
        }
    }

    fn texts(&self) -> Result<Vec<Text>, Problem> {
        if self.files.is_empty() {
            let shipped = SHIPPED.iter().map(|(file, text)| ((*file).into(), (*text).into()));
            return Ok(shipped.collect());
        }
        let mut paths = Vec::new();
        for path in &self.files {
            match path.is_dir() {
                true => paths.extend(within(path).map_err(|error| unreadable(path, &error))?),
                false => paths.push(path.clone()),
            }
        }
        paths.iter().map(|path| text_of(path)).collect()
    }
}

/// The `*.yaml` files of a folder, by name.
fn within(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml");
    let mut paths: Vec<PathBuf> = paths.filter(yaml).take(FILES_MAX).collect();
    paths.sort();
    match paths.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "no *.yaml in it")),
        false => Ok(paths),
    }
}

/// A text, a byte beyond its limit at most: its reader refuses it then.
fn text_of(path: &Path) -> Result<Text, Problem> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| unreadable(path, &error))?;
    Ok((path.display().to_string(), text))
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::with_file(&path.display().to_string(), format!("cannot be read: {error}"))
}
