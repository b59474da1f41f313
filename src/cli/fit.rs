//! `leafrank fit …`: numbers learned from recorded logs, told and never applied.
//!
//! In: what is to be fitted. Out: what the subcommand tells, and its exit code.

mod checkpoint;
mod print;
mod rules;
mod trees;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// `leafrank fit`
#[derive(Args)]
pub(super) struct Fit {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The numbers of personalization_rules.yaml: a diff to review, with what each change gains.
    Rules(Box<rules::Rules>),
    /// Trees that add to the scores: what they are trained on, and the model file of them.
    Trees(Box<trees::Trees>),
}

impl Fit {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Rules(rules) => rules.run(),
            What::Trees(trees) => trees.run(),
        }
    }
}
