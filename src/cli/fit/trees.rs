//! `leafrank fit trees`: what trees are trained on, and the model file that comes of the training.
//!
//! In: logs, and `--features-out` names a file: an array in NumPy's format, a row a hit, with named
//! columns. Or `--import` names trees that LightGBM has trained on such a file (its text format), and
//! `--out` the model file. benches/quality/trees.py is the training in between: a few lines around a
//! library that the sidecar need not carry.

mod lightgbm;
mod npy;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::super::replay::files::Progress;
use super::super::replay::{as_shipped, compile, fold, opened};
use super::super::{CONFIG, DATA, NO_INPUT, USAGE, print_problems};
use crate::model::{Kind, seal};
use crate::replay::training::Training;
use crate::replay::{Conditions, Fold, Products};
use crate::types::problem::Problem;

/// A file that cannot be written.
const CANNOT_WRITE: u8 = 73;

/// `leafrank fit trees`
#[derive(Args)]
pub(super) struct Trees {
    /// Logs in the common format or Metarank's, plain or gzip; several are merged by time.
    #[arg(value_name = "LOG", required_unless_present = "import", conflicts_with = "import")]
    logs: Vec<PathBuf>,
    /// The products; NAME.catalog.jsonl[.gz] beside each NAME.log.jsonl[.gz] otherwise.
    #[arg(short, long, value_name = "FILE")]
    catalog: Vec<PathBuf>,
    /// The rules whose scores the trees are to add to; the shipped ones otherwise.
    #[arg(short, long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Write the features of each hit of each scored list here, as a NumPy array.
    #[arg(long, value_name = "FILE", required_unless_present = "import")]
    features_out: Option<PathBuf>,
    /// Only the lists of a part of the users (2/5), or of all others (-2/5).
    #[arg(long, value_name = "K/N", value_parser = fold, allow_hyphen_values = true)]
    users_fold: Option<Fold>,
    /// As if everybody had allowed that what is sensitive is learned.
    #[arg(long)]
    sensitive: bool,
    /// Trees in LightGBM's text format, trained on such features.
    #[arg(long, value_name = "FILE", requires = "out")]
    import: Option<PathBuf>,
    /// What one unit of those trees is worth in scores of the formula.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, requires = "import")]
    scale: f32,
    /// The model file.
    #[arg(long, value_name = "FILE", requires = "import")]
    out: Option<PathBuf>,
}

impl Trees {
    pub(super) fn run(self) -> ExitCode {
        let done = match (&self.import, &self.out, &self.features_out) {
            (Some(from), Some(out), _) => import(from, out, self.scale),
            (_, _, Some(out)) => self.export(out),
            _ => Err(ExitCode::from(USAGE)),
        };
        done.err().unwrap_or(ExitCode::SUCCESS)
    }

    fn export(&self, out: &Path) -> Result<(), ExitCode> {
        let read = opened(&self.logs, &self.catalog)?;
        let rules = compile(&self.rules, &None).map_err(|problems| {
            print_problems(&problems);
            ExitCode::from(CONFIG)
        })?;
        let live = as_shipped(None).ok_or(ExitCode::from(CONFIG))?;
        let conditions = Conditions { sensitive: self.sensitive, ..live };
        let products = Arc::new(Products::of(&read.log, &rules.knowledge));
        let mut progress = Progress::new(read.log.records());
        let mut training = Training::new(&read.log, products, rules, conditions, self.users_fold);
        let unwritable = |error: io::Error| {
            eprintln!("{}", Problem::with_file(&out.display().to_string(), error.to_string()));
            ExitCode::from(CANNOT_WRITE)
        };
        let mut file = npy::Writer::create(out).map_err(unwritable)?;
        let mut wrong = None;
        while training.step(|example| wrong = wrong.take().or(file.row(example).err())) {
            progress.at(training.done());
            if let Some(error) = wrong.take() {
                return Err(unwritable(error));
            }
        }
        progress.end();
        let rows = file.finish().map_err(unwritable)?;
        eprintln!("{rows} rows in {}", out.display());
        Ok(())
    }
}

fn import(from: &Path, out: &Path, scale: f32) -> Result<(), ExitCode> {
    let told = |problem: Problem, code: u8| {
        eprintln!("{problem}");
        ExitCode::from(code)
    };
    let name = from.display().to_string();
    let text = std::fs::read_to_string(from).map_err(|error| {
        told(Problem::with_file(&name, format!("cannot be read: {error}")), NO_INPUT)
    })?;
    let model = lightgbm::read(&text, scale).map_err(|refused| told(refused.of(&name), DATA))?;
    std::fs::write(out, seal(Kind::Trees, &model.payload())).map_err(|error| {
        told(Problem::with_file(&out.display().to_string(), error.to_string()), CANNOT_WRITE)
    })?;
    eprintln!("{} trees in {}", model.len(), out.display());
    Ok(())
}
