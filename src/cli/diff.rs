//! `leafrank diff RULES_A RULES_B LOG…`: what an edit of the rules changes, told to whoever makes it.
//!
//! In: two rules files, logs. Out: the keys that differ with their lines, then what a replay of the
//! logs says: which searches change, how, for whom, and what it does to quality, with its interval.
//! Exit codes are those of `replay`. Reads files and changes nothing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::replay::{Measured, Replay};
use super::{CONFIG, print_problems};
use crate::rules;
use crate::types::problem::Problem;
use crate::yaml::edits::{Edit, edits};
use crate::yaml::{Node, Problems, TEXT_BYTES_MAX, tree};

/// `leafrank diff`
#[derive(Args)]
pub(super) struct Diff {
    /// The rules as they are.
    #[arg(value_name = "RULES_A")]
    was: PathBuf,
    /// The rules as they shall be.
    #[arg(value_name = "RULES_B")]
    is: PathBuf,
    /// Logs in the common format or Metarank's, plain or gzip; several are merged by time.
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    how: Measured,
}

impl Diff {
    pub(super) fn run(self) -> ExitCode {
        let Self { was, is, logs, how } = self;
        match edit(&was, &is) {
            Ok(edit) => Replay::of_edit([was, is], logs, edit, how).run(),
            Err(problems) => {
                print_problems(&problems);
                ExitCode::from(CONFIG)
            }
        }
    }
}

/// The keys that differ. What is wrong in the files is for the replay to say, which compiles them.
fn edit(was: &Path, is: &Path) -> Result<Vec<Edit>, Vec<Problem>> {
    match (tree_of(was), tree_of(is)) {
        (Ok(was), Ok(is)) => Ok(edits(&was, &is, &rules::defaults())),
        (was, is) => Err([was.err(), is.err()].into_iter().flatten().collect()),
    }
}

fn tree_of(path: &Path) -> Result<Node, Problem> {
    use std::io::Read as _;
    let name = path.display().to_string();
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(TEXT_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| Problem::with_file(&name, format!("cannot be read: {error}")))?;
    Ok(tree::parse(&name, &text, &mut Problems::default()))
}
