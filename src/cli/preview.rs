//! `leafrank preview FILE`: what would this rules file change in the last searches of a running sidecar?
//!
//! In: a rules file; `POST /rules/preview` of the admin port. Out: a page for people, or the JSON as it
//! came. Changes nothing. Exit 0; 66 for a file that cannot be read, 78 with every problem of rules
//! that cannot be used, 69 when nobody answers.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::StatusCode;
use serde_json::Value;

use super::operator::Operator;
use super::{CONFIG, NO_INPUT, UNAVAILABLE, print_problems};
use crate::admin::preview::{Mover, Query, Reason, Summary, Unusable};
use crate::yaml::{TEXT_BYTES_MAX, printable};

/// Twice what a trial may take, and the time to send the file.
const PATIENCE: Duration = Duration::from_secs(30);

/// `leafrank preview`
#[derive(Args)]
pub(super) struct Preview {
    /// The edited rules.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    operator: Operator,
    /// Print the JSON.
    #[arg(long)]
    json: bool,
}

impl Preview {
    pub(super) fn run(&self) -> ExitCode {
        let mut text = Vec::new();
        let read = std::fs::File::open(&self.file)
            .and_then(|file| file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut text));
        if let Err(error) = read {
            eprintln!("{}: cannot be read: {error}", self.file.display());
            return ExitCode::from(NO_INPUT);
        }
        match self.ask(text) {
            Ok((StatusCode::OK, found)) if self.json => {
                println!("{found:#}");
                ExitCode::SUCCESS
            }
            Ok((StatusCode::OK, found)) => match serde_json::from_value(found) {
                Ok(found) => {
                    print!("{}", page(&found));
                    ExitCode::SUCCESS
                }
                Err(error) => failed(&format!("not what was expected: {error}")),
            },
            Ok((StatusCode::UNPROCESSABLE_ENTITY, told)) => self.unusable(told),
            Ok((status, told)) => {
                failed(&format!("{status}: {}", told["error"].as_str().unwrap_or_default()))
            }
            Err(error) => failed(&format!("{error:#}")),
        }
    }

    fn ask(&self, text: Vec<u8>) -> anyhow::Result<(StatusCode, Value)> {
        let asking = self.operator.asking()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(asking.post("/rules/preview", Bytes::from(text), PATIENCE))
    }

    /// Says what is wrong, with the name of the file that was given here.
    fn unusable(&self, told: Value) -> ExitCode {
        let Ok(Unusable { file, mut problems, .. }) = serde_json::from_value(told) else {
            return failed("not what was expected");
        };
        let given = self.file.display().to_string();
        for problem in problems.iter_mut().filter(|problem| *problem.file == *file) {
            problem.file = given.as_str().into();
        }
        print_problems(&problems);
        ExitCode::from(CONFIG)
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(UNAVAILABLE)
}

/// The page. Writing to a text cannot fail, so the outcomes are dropped.
fn page(found: &Summary) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "rules  {} is live, {} is previewed", found.live, found.rules);
    if let Some(why) = &found.off {
        let _ = writeln!(out, "note   {why}");
    }
    if found.forgotten > 0 {
        let forgotten = found.forgotten;
        let _ = writeln!(
            out,
            "note   {forgotten} kept searches are of shoppers or products forgotten since"
        );
    }
    let share = |part: usize| 100.0 * part as f64 / found.searches.max(1) as f64;
    let _ = writeln!(
        out,
        "\nlists changed    {} of the last {} ({:.1} %), another first hit in {} ({:.1} %)\n\
         still the same   RBO@10 {:.4}, Jaccard@10 {:.4}",
        found.changed,
        found.searches,
        share(found.changed),
        found.first_changed,
        share(found.first_changed),
        found.rbo,
        found.jaccard,
    );
    if !found.queries.is_empty() {
        let _ = writeln!(out, "\nsearches that change most");
    }
    for Query { query, searches, changed } in &found.queries {
        let _ = writeln!(out, "  \"{}\": {changed} of {searches}", printable(query));
    }
    if !found.movers.is_empty() {
        let _ = writeln!(out, "\nmoved farthest");
    }
    for Mover { product, name, from, to, query, reason } in &found.movers {
        let named = if name.is_empty() { String::new() } else { format!(" ({})", printable(name)) };
        let _ = write!(
            out,
            "  {}{named} in \"{}\": {from} → {to}",
            printable(product),
            printable(query)
        );
        if let Some(Reason { part, was, is }) = reason {
            let _ = write!(out, ", {part} {was:+.3} → {is:+.3}");
        }
        out.push('\n');
    }
    out
}
