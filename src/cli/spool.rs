//! `leafrank spool`: the event log of a running sidecar.
//!
//! In: its admin port. Out: how the log stands (`status`), rows that a sink does not take (`dlq list`),
//! and what an operator does with those (`dlq retry`, `dlq drop`). For people, or JSON. Exit 0, or 69
//! when nobody answers.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use clap::{Args, Subcommand};

use super::UNAVAILABLE;
use super::operator::Operator;
use crate::spool::{DeadLetter, Status};

/// For so long an answer may take that changes something.
const PATIENCE: Duration = Duration::from_secs(30);

/// `leafrank spool`
#[derive(Subcommand)]
pub(super) enum Spool {
    /// Bytes, age, and how far each sink is.
    Status(Told),
    /// Rows that a sink does not take.
    #[command(subcommand)]
    Dlq(Dead),
}

/// Who is asked, and how it is told.
#[derive(Args)]
pub(super) struct Told {
    #[command(flatten)]
    operator: Operator,
    /// Print the JSON.
    #[arg(long)]
    json: bool,
}

/// `leafrank spool dlq`
#[derive(Subcommand)]
pub(super) enum Dead {
    /// List them with the reason, the oldest thousand.
    List(Told),
    /// Send them again.
    Retry(Which),
    /// Drop them: they are gone.
    Drop(Which),
}

/// Which rows.
#[derive(Args)]
pub(super) struct Which {
    #[command(flatten)]
    operator: Operator,
    /// Their numbers, as `list` tells them.
    #[arg(value_name = "SEQ", required_unless_present = "all", conflicts_with = "all")]
    seq: Vec<u64>,
    /// All of them.
    #[arg(long)]
    all: bool,
}

impl Spool {
    pub(super) fn run(&self) -> ExitCode {
        let told = match self {
            Self::Status(told) => told.ask("/spool", page),
            Self::Dlq(Dead::List(told)) => told.ask("/spool/dlq", letters),
            Self::Dlq(Dead::Retry(which)) => which.tell("retry", "are sent again"),
            Self::Dlq(Dead::Drop(which)) => which.tell("drop", "are dropped"),
        };
        match told {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(UNAVAILABLE)
            }
        }
    }
}

impl Told {
    fn ask<T: serde::de::DeserializeOwned + serde::Serialize>(
        &self,
        path: &str,
        page: impl Fn(&T) -> String,
    ) -> anyhow::Result<String> {
        let asking = self.operator.asking()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let found: T = runtime.block_on(asking.json(path))?;
        Ok(if self.json { serde_json::to_string_pretty(&found)? + "\n" } else { page(&found) })
    }
}

impl Which {
    fn tell(&self, what: &str, done: &str) -> anyhow::Result<String> {
        let asking = self.operator.asking()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let numbers: Vec<_> = self.seq.iter().map(u64::to_string).collect();
        let query = if self.all { String::new() } else { format!("?seq={}", numbers.join(",")) };
        let path = format!("/spool/dlq/{what}{query}");
        let (status, answer) = runtime.block_on(asking.post(&path, Bytes::new(), PATIENCE))?;
        if !status.is_success() {
            bail!("{path}: {status} {answer}");
        }
        Ok(format!("{} rows {done}\n", answer["rows"]))
    }
}

/// The page. Writing to a text cannot fail, so the outcomes are dropped.
fn page(status: &Status) -> String {
    let Status { last, bytes, bytes_max, is_taking, oldest_unsent_seconds, sinks } = status;
    let taking = if *is_taking { "takes rows" } else { "TAKES NO ROWS" };
    let mut out = format!(
        "event log · {taking} · last row {last} · {bytes} of {bytes_max} bytes · oldest unsent \
         {oldest_unsent_seconds:.1} s\n"
    );
    for sink in sinks {
        let dead =
            if sink.dead > 0 { format!(" · {} not taken", sink.dead) } else { String::new() };
        let _ =
            writeln!(out, "  {:<12} row {} · {} behind{dead}", sink.name, sink.cursor, sink.behind);
    }
    out
}

fn letters(letters: &Vec<DeadLetter>) -> String {
    let mut out = String::new();
    for letter in letters {
        let again = if letter.is_retried { " (is sent again)" } else { "" };
        let _ = writeln!(out, "{:>12}  {:<10} {}{again}", letter.seq, letter.sink, letter.reason);
    }
    if out.is_empty() { "no row was refused\n".to_owned() } else { out }
}
