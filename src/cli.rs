//! Floor 8: the command line.
//!
//! Exit codes are those of sysexits: 0 well, 64 misused, 65 data that is not as it should be, 66 a
//! file that cannot be read, 69 something needed is not there, 70 a fault of ours, 78 settings or
//! rules that cannot be used. Precedence of settings: defaults < file <
//! `LEAFRANK_*` variables < flags.

mod check;
#[cfg(feature = "demo")]
mod demo;
mod diff;
mod events;
mod fit;
mod operator;
mod preview;
mod replay;
mod serve;
mod spool;
mod status;
mod tap;
mod test;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::WEAVIATE_URL;
use crate::types::problem::Problem;

/// Wrongly called.
const USAGE: u8 = 64;
/// Data that is not as it should be.
const DATA: u8 = 65;
/// A file that cannot be read.
const NO_INPUT: u8 = 66;
/// Something needed is not there.
const UNAVAILABLE: u8 = 69;
/// Settings or rules that cannot be used.
const CONFIG: u8 = 78;

/// A sidecar that learns each shopper's taste and re-orders search results, inline and fail-open.
#[derive(Parser)]
#[command(name = "leafrank", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the sidecar in front of a shop.
    Serve(serve::Serve),
    /// Check settings and rules; say everything that is wrong with them.
    Check(check::Check),
    /// What a running sidecar does, where most searches are lost, and what mends it.
    Status(status::Status),
    /// Live searches, before and after.
    Tap(tap::Tap),
    /// What an edit of the rules would change in the last searches of a running sidecar.
    Preview(preview::Preview),
    /// What an edit of the rules changes on a recorded log: which searches, how, for whom, how well.
    Diff(diff::Diff),
    /// How good our order would have been on a recorded log, and what other rules would change.
    Replay(replay::Replay),
    /// Learn numbers from recorded logs and propose them; nothing is applied.
    Fit(fit::Fit),
    /// What shoppers did, as rows: as they come, or from the files of events.
    #[command(subcommand)]
    Events(events::Events),
    /// The event log of a running sidecar: how it stands, and rows that a sink does not take.
    #[command(subcommand)]
    Spool(spool::Spool),
    /// Run executable cases: a shopper's past, a search, and what is expected of its list.
    Test(test::Test),
    /// See it work: a small shop, the sidecar in front of it, three stories, one command.
    #[cfg(feature = "demo")]
    Demo(demo::Demo),
    /// Print the JSON Schema of a file, for editors, or a document of the API, for clients.
    Schema {
        /// Of what.
        of: SchemaOf,
    },
}

#[derive(Clone, clap::ValueEnum)]
enum SchemaOf {
    /// `personalization_rules.yaml`
    Rules,
    /// `leafrank.yaml`
    Settings,
    /// The API port's endpoints, in the words of OpenAPI 3.1.
    Openapi,
    /// The admin and ops ports' endpoints.
    OpenapiAdmin,
    /// Files of `leafrank test`
    Cases,
}

/// Parses the command line and does what it says.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let misused = error.use_stderr();
            // Nobody is left to tell when even the terminal is gone.
            drop(error.print());
            return if misused { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Status(status) => status.run(),
        Command::Tap(tap) => tap.run(),
        Command::Preview(preview) => preview.run(),
        Command::Diff(diff) => diff.run(),
        Command::Replay(replay) => replay.run(),
        Command::Fit(fit) => fit.run(),
        Command::Events(events) => events.run(),
        Command::Spool(spool) => spool.run(),
        Command::Test(test) => test.run(),
        #[cfg(feature = "demo")]
        Command::Demo(demo) => demo.run(),
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Rules => crate::rules::schema(),
                SchemaOf::Settings => crate::config::schema(),
                SchemaOf::Openapi => crate::api::document(),
                SchemaOf::OpenapiAdmin => crate::admin::document(),
                SchemaOf::Cases => crate::cases::schema(),
            };
            println!("{schema:#}");
            ExitCode::SUCCESS
        }
    }
}

/// The variables of this process that settings are read from.
fn environment() -> BTreeMap<String, String> {
    let ours = |name: &str| name.starts_with("LEAFRANK_") || name == WEAVIATE_URL;
    std::env::vars().filter(|(name, _)| ours(name)).collect()
}

/// Prints every problem, one a line.
fn print_problems(problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
}
