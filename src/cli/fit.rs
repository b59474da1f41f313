//! `leafrank fit …`: numbers learned from recorded logs, told and never applied.
//!
//! In: what is to be fitted. Out: what the subcommand tells, and its exit code.

mod checkpoint;
mod model;
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
    /// The model of the hierarchical preference: how much tastes differ, as a file.
    Model(Box<model::Model>),
    /// Trees that add to the scores: what they are trained on, and the model file of them.
    Trees(Box<trees::Trees>),
}

impl Fit {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Rules(rules) => rules.run(),
            What::Model(model) => model.run(),
            What::Trees(trees) => trees.run(),
        }
    }
}
