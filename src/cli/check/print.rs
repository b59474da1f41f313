//! What `check --reply` found, as lines for people.
//!
//! In: a [`Report`]. Out: its text, columns aligned. What the reply would meet on the data port is
//! said in the last line, in the data port's own words.

use std::fmt::Write as _;

use super::found::{Field, Found};
use super::reply::Report;

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    let written = write_report(&mut out, report);
    debug_assert!(written.is_ok(), "writing to a String does not fail");
    out
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let found = &report.found;
    writeln!(out, "reply: {}, {} bytes", report.reply, report.bytes)?;
    writeln!(out, "route: {}", report.route)?;
    if let Some(note) = &report.note {
        writeln!(out, "       {note}")?;
    }
    let lists = if found.lists.len() == 1 { "list" } else { "lists" };
    let places: Vec<_> =
        found.lists.iter().map(|list| format!("{} ({})", list.at, list.hits)).collect();
    let places = if places.is_empty() { String::new() } else { format!(": {}", places.join(", ")) };
    writeln!(out, "hits:  {} in {} {lists}{places}", found.hits, found.lists.len())?;
    if found.hits > 0 {
        write_fields(out, &found.fields)?;
    }
    for held in &found.conditions {
        let at = &held.at;
        let there = held.found.as_deref().unwrap_or("nothing");
        let outcome = if held.holds { "holds" } else { "does not hold" };
        writeln!(out, "only_if: {at} is {} {outcome}: {there} is there", held.is)?;
    }
    for missed in &found.missed {
        writeln!(out, "missed: {}  {}", missed.what, missed.stop)?;
    }
    writeln!(out, "{}", verdict(found))
}

fn write_fields(out: &mut String, fields: &[Field]) -> std::fmt::Result {
    let width = |text: fn(&Field) -> &str| {
        fields.iter().map(|field| text(field).chars().count()).max().unwrap_or(0)
    };
    let (names, pointers) = (width(|field| field.field), width(|field| &field.pointer));
    let digits = fields.iter().map(|field| field.of.to_string().len()).max().unwrap_or(1);
    for Field { field, pointer, filled, of, example } in fields {
        let percent = format!("({} %)", filled * 100 / (*of).max(1));
        let rate = format!("{filled:>digits$} of {of} {percent:<7}");
        let line = format!(
            "  {field:<names$}  {pointer:<pointers$}  {rate}  {}",
            example.as_deref().unwrap_or_default()
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn verdict(found: &Found) -> String {
    match (found.reason, &found.because) {
        (Some(reason), Some(because)) => {
            format!("such a reply passes unranked: {because} (reason={reason})")
        }
        _ => "such a reply can be ranked".to_owned(),
    }
}
