//! `leafrank fit …`: numbers learned from recorded logs, offline.

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
    /// Trees that add to the formula's scores: what they are trained on, and the model file of them.
    Trees(trees::Trees),
}

pub(super) use trees::trees_of;

impl Fit {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Trees(trees) => trees.run(),
        }
    }
}
