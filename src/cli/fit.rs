//! `leafrank fit …`: numbers learned from recorded logs, told and never applied.
//!
//! In: what is to be fitted. Out: what the subcommand tells, and its exit code.

mod checkpoint;
mod print;
mod rules;

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
}

impl Fit {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Rules(rules) => rules.run(),
        }
    }
}
