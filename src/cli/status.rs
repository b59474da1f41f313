//! `leafrank status`: what a running sidecar does, where most searches are lost, and what mends it.
//!
//! In: `GET /status` of its admin port. Out: a page for people, or the JSON as it came. Exit 0, or
//! 69 when nobody answers.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::UNAVAILABLE;
use super::operator::Operator;
use crate::admin::status::{Clicks, Leak, Route, Status as Found};

/// Width of the bar of a whole funnel, in characters.
const BAR: usize = 30;

/// `leafrank status`
#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    operator: Operator,
    /// Print the JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(&self) -> ExitCode {
        match self.ask() {
            Ok(found) if self.json => {
                println!("{}", serde_json::to_string_pretty(&found).unwrap_or_default());
                ExitCode::SUCCESS
            }
            Ok(found) => {
                print!("{}", page(&found));
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(UNAVAILABLE)
            }
        }
    }

    fn ask(&self) -> anyhow::Result<Found> {
        let asking = self.operator.asking()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(asking.json("/status"))
    }
}

/// The page. Writing to a text cannot fail, so the outcomes are dropped.
fn page(found: &Found) -> String {
    let mut out = String::new();
    let rules = |key: &str| found.rules[key].as_str().unwrap_or("none").to_owned();
    let state = match (found.ready, found.shop_up) {
        (false, _) => "draining",
        (true, false) => "not ready",
        (true, true) => "ready",
    };
    let _ = writeln!(
        out,
        "leafrank {} · {state} · {} in flight · rules {} ({}) · personalisation {}",
        found.version,
        found.in_flight,
        rules("version"),
        rules("source"),
        rules("personalization"),
    );
    for (leg, _) in found.upstreams.iter().filter(|(_, up)| !**up) {
        let _ = writeln!(out, "nobody accepts connections behind {leg}");
    }
    for problem in found.rules["last_error"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "rules rejected: {}", problem.as_str().unwrap_or_default());
    }
    for route in &found.routes {
        funnel(&mut out, route);
    }
    clicks(&mut out, &found.clicks);
    let leaking = found.biggest_leak.as_ref();
    match leaking.and_then(|name| found.routes.iter().find(|route| route.name == *name)) {
        Some(Route { name, leak: Some(leak), .. }) => mend(&mut out, name, leak),
        _ => out.push_str("\nno leak: every search so far went out in our order, or none came\n"),
    }
    out
}

fn funnel(out: &mut String, route: &Route) {
    let mode = serde_json::to_value(route.mode).unwrap_or_default();
    let mode = mode.as_str().unwrap_or_default();
    let tripped = if route.tripped { " · off: its own faults tripped it" } else { "" };
    let _ = writeln!(out, "\n{} · {mode}{tripped}", route.name);
    let whole = route.funnel.first().map_or(0, |(_, count)| *count);
    if whole == 0 && route.bypass.is_empty() {
        out.push_str("  no searches yet\n");
        return;
    }
    let mut before = whole;
    for (stage, count) in &route.funnel {
        let bar = (*count as usize * BAR).checked_div(whole as usize).unwrap_or(0);
        let lost = match before.saturating_sub(*count) {
            0 => String::new(),
            lost => format!("  −{lost}"),
        };
        let line = format!("  {stage:<11}{count:>9}  {:<BAR$}{lost}", "█".repeat(bar));
        let _ = writeln!(out, "{}", line.trim_end());
        before = *count;
    }
    let mut reasons: Vec<_> = route.bypass.iter().filter(|(_, count)| **count > 0).collect();
    reasons.sort_by(|one, other| other.1.cmp(one.1));
    let reasons: Vec<_> =
        reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    if !reasons.is_empty() {
        let _ = writeln!(out, "  in the shop's order: {}", reasons.join(", "));
    }
}

fn clicks(out: &mut String, all: &[Clicks]) {
    let seen: Vec<_> = all.iter().filter(|clicks| clicks.clicks > 0).collect();
    if !seen.is_empty() {
        out.push_str("\nclicks, and those that a list of the shopper explains\n");
    }
    for Clicks { route, clicks, joined } in seen {
        let _ = writeln!(out, "  {route:<24}{clicks:>9} → {joined}");
    }
}

fn mend(out: &mut String, route: &str, leak: &Leak) {
    let Leak { before, lost, of, reason, setting, advice } = leak;
    let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let _ = writeln!(
        out,
        "\nbiggest leak: {route} loses {lost} of {of} searches before \"{before}\"{reason}\n  \
         {advice}\n  setting: {setting}"
    );
}
