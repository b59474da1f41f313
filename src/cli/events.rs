//! `leafrank events`: rows of events, for people.
//!
//! In: `tail`: the admin port of a running sidecar, which tells rows as they come onto the disk;
//! `query`: the Parquet files below `data_dir`, running or not. Out: a line a row, or its JSON. No SQL:
//! the files are for whoever speaks it. `schema` prints the tables for others. Exit 0, 66 for files
//! that cannot be read, 69 when nobody answers.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::operator::Operator;
use super::{NO_INPUT, UNAVAILABLE, USAGE};
use crate::sink::parquet::{self, read};
use crate::types::event::column::{Cell, Table, day, micros};
use crate::types::event::{ACTIONS, DECISIONS, TABLES, render};

/// `leafrank events`
#[derive(Subcommand)]
pub(super) enum Events {
    /// Rows as they come.
    Tail(Tail),
    /// Rows of the files of events, the oldest day first. The last minute is not in them yet.
    Query(Query),
    /// Print the tables: SQL for BigQuery, or the schema of the Parquet files.
    Schema {
        /// In which words.
        #[arg(value_enum, default_value_t = Form::Sql)]
        form: Form,
        /// BigQuery's dataset.
        #[arg(long, default_value = "leafloaf_events")]
        dataset: String,
    },
}

/// How the tables are told.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Form {
    /// Statements that create them in BigQuery.
    Sql,
    /// Parquet's own words.
    Parquet,
}

/// Which rows are wanted.
#[derive(Args)]
struct Wanted {
    /// Only of this user.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only of this kind: click, add_to_cart, purchase, search …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only about this product.
    #[arg(long, value_name = "ID")]
    product: Option<String>,
    /// Rows of `ranking_decisions` rather than of `raw_user_actions`.
    #[arg(long)]
    decisions: bool,
    /// End after so many rows.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print the JSON, one row a line.
    #[arg(long)]
    json: bool,
}

/// `leafrank events tail`
#[derive(Args)]
pub(super) struct Tail {
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    wanted: Wanted,
}

/// `leafrank events query`
#[derive(Args)]
pub(super) struct Query {
    /// The sidecar's data directory.
    #[arg(long, value_name = "DIRECTORY", default_value = "./leafrank-state")]
    data_dir: PathBuf,
    /// Only from this time on: 2026-11-23, or 2026-11-23T10:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    #[command(flatten)]
    wanted: Wanted,
}

/// A day, or a time, in microseconds since 1970.
fn time(text: &str) -> Result<i64, String> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    micros(&whole).ok_or_else(|| {
        format!(
            "found {text:?}, expected a day like 2026-11-23 or a time like 2026-11-23T10:00:00Z"
        )
    })
}

impl Events {
    pub(super) fn run(&self) -> ExitCode {
        match self {
            Self::Tail(tail) => told(tail.listen(), UNAVAILABLE),
            Self::Query(query) => query.run(),
            Self::Schema { form, dataset } => {
                let one = |table: &&Table| match form {
                    Form::Sql => render::sql(table, dataset),
                    Form::Parquet => render::parquet(table),
                };
                let all: Vec<_> = TABLES.iter().map(one).collect();
                print!("{}", all.join("\n"));
                ExitCode::SUCCESS
            }
        }
    }
}

fn told(outcome: anyhow::Result<()>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(code)
        }
    }
}

impl Wanted {
    fn table(&self) -> &'static Table {
        if self.decisions { &DECISIONS } else { &ACTIONS }
    }

    fn has(&self, row: &Value) -> bool {
        let is = |column: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| row[column] == wanted.as_str())
        };
        is("user_id", &self.user) && is("event_type", &self.kind) && is("product_id", &self.product)
    }

    /// Prints a row; false: whoever reads us has read enough.
    fn print(&self, row: &Value, out: &mut impl std::io::Write) -> bool {
        let line = if self.json { row.to_string() } else { self.line(row) };
        writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
    }

    fn line(&self, row: &Value) -> String {
        let text = |column: &str| row[column].as_str().unwrap_or_default();
        let (at, user) = (text("event_timestamp"), text("user_id"));
        if self.decisions {
            let hits = row["candidates"].as_array().map_or(0, Vec::len);
            return format!(
                "{at}  {user}  {:?}  {}  {} of {hits} moved  {} µs",
                text("search_query"),
                text("outcome"),
                row["hits_moved"],
                row["rank_us"]
            );
        }
        let about = match row["search_results_shown"].as_array() {
            Some(shown) => format!("{:?} {} hits", text("search_query"), shown.len()),
            None => text("product_id").to_owned(),
        };
        let position = row["result_position"].as_u64();
        let position = position.map(|position| format!("  at {}", position + 1));
        let position = position.unwrap_or_default();
        format!("{at}  {user}  {:<18}  {about}{position}", text("event_type"))
    }
}

impl Tail {
    fn listen(&self) -> anyhow::Result<()> {
        let asking = self.operator.asking()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut left = self.wanted.limit.unwrap_or(u64::MAX);
        let mut out = std::io::stdout();
        runtime.block_on(asking.lines("/events/tail", |line| {
            let heard: Value = serde_json::from_slice(line)?;
            if let Some(missed) = heard["missed"].as_u64() {
                eprintln!("… {missed} rows went by unseen");
                return Ok(true);
            }
            let row = &heard["row"];
            if heard["table"] != self.wanted.table().name || !self.wanted.has(row) {
                return Ok(left > 0);
            }
            left = left.saturating_sub(1);
            Ok(self.wanted.print(row, &mut out) && left > 0)
        }))
    }
}

impl Query {
    fn run(&self) -> ExitCode {
        let directory = parquet::directory(&self.data_dir);
        if !directory.is_dir() {
            eprintln!(
                "{}: no files of events; --data-dir says where they are",
                directory.display()
            );
            return ExitCode::from(NO_INPUT);
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            eprintln!("--since lies behind --until: there is nothing between them");
            return ExitCode::from(USAGE);
        }
        told(self.read(&directory), NO_INPUT)
    }

    fn read(&self, directory: &std::path::Path) -> anyhow::Result<()> {
        let table = self.wanted.table();
        let days = (self.since.map(day), self.until.map(day));
        let mut left = self.wanted.limit.unwrap_or(u64::MAX);
        let mut out = std::io::BufWriter::new(std::io::stdout());
        let place = table.place(render::PARTITIONED_BY).unwrap_or(0);
        let within = |cells: &[Cell]| match cells.get(place) {
            Some(Cell::Time(at)) => {
                self.since.is_none_or(|since| *at >= since) && self.until.is_none_or(|u| *at < u)
            }
            _ => false,
        };
        read::rows(directory, table, (days.0.as_deref(), days.1.as_deref()), |cells| {
            if left == 0 {
                return false;
            }
            let row =
                within(cells).then(|| serde_json::from_str(&table.json(cells)).ok()).flatten();
            match row.filter(|row| self.wanted.has(row)) {
                None => true,
                Some(row) => {
                    left -= 1;
                    self.wanted.print(&row, &mut out)
                }
            }
        })
    }
}
