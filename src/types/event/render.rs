//! What others are told of the tables: SQL, the Parquet schema, a page for people.
//!
//! In: a [`Table`]. Out: text. Nothing here knows a column by name but the two by which BigQuery
//! clusters and the one by which everybody partitions.

use std::fmt::Write as _;

use super::column::{Column, Kind, Table};

/// The column whose day is a row's partition.
pub const PARTITIONED_BY: &str = "event_timestamp";

/// Columns that BigQuery sorts a partition by, where a table has them.
const CLUSTERED_BY: [&str; 2] = ["user_id", "event_type"];

impl Kind {
    /// Its type in BigQuery's SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Text => "STRING",
            Self::Time => "TIMESTAMP",
            Self::Float => "FLOAT64",
            Self::Int => "INT64",
            Self::Json => "JSON",
        }
    }

    /// Its physical type in Parquet, and what is said of it.
    fn parquet(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("binary", " (STRING)"),
            Self::Time => ("int64", " (TIMESTAMP(MICROS,true))"),
            Self::Float => ("double", ""),
            Self::Int => ("int64", ""),
            Self::Json => ("binary", " (JSON)"),
        }
    }
}

/// The statement that creates the table in BigQuery.
pub fn sql(table: &Table, dataset: &str) -> String {
    let column = |column: &Column| {
        let required = if column.required { " NOT NULL" } else { "" };
        let about = serde_json::Value::from(column.about.trim());
        format!("  {} {}{required} OPTIONS (description = {about})", column.name, column.kind.sql())
    };
    let columns: Vec<_> = table.columns.iter().map(column).collect();
    let clustered: Vec<_> =
        CLUSTERED_BY.into_iter().filter(|name| table.place(name).is_some()).collect();
    format!(
        "CREATE TABLE {dataset}.{} (\n{}\n)\nPARTITION BY DATE({PARTITIONED_BY})\nCLUSTER BY {};\n",
        table.name,
        columns.join(",\n"),
        clustered.join(", ")
    )
}

/// The schema of the table's Parquet files, in Parquet's own words.
pub fn parquet(table: &Table) -> String {
    let mut out = format!("message {} {{\n", table.name);
    for column in table.columns {
        let repetition = if column.required { "required" } else { "optional" };
        let (physical, logical) = column.kind.parquet();
        // Writing to a text cannot fail.
        let _ = writeln!(out, "  {repetition} {physical} {}{logical};", column.name);
    }
    out + "}\n"
}

/// The table as a section of docs/EVENTS.md.
pub fn page(table: &Table) -> String {
    let mut out = format!("## {}\n\n{}\n\n", table.name, table.about.trim());
    out.push_str("| column | type | every row | what |\n|---|---|---|---|\n");
    for Column { name, kind, required, about } in table.columns {
        let required = if *required { "yes" } else { "" };
        let _ = writeln!(out, "| `{name}` | {} | {required} | {} |", kind.sql(), about.trim());
    }
    out
}
