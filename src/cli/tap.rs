//! `leafrank tap`: live searches, before and after, each with its outcome.
//!
//! In: `GET /tap` of the admin port. Out: a few lines a search for people, or the JSON as it comes.
//! Ends after `--limit` searches, or when it is stopped.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;

use super::UNAVAILABLE;
use super::operator::Operator;

/// `leafrank tap`
#[derive(Args)]
pub(super) struct Tap {
    #[command(flatten)]
    operator: Operator,
    /// Only searches of this route.
    #[arg(long)]
    route: Option<String>,
    /// Only searches whose order changed, or would have in shadow mode.
    #[arg(long)]
    moved: bool,
    /// End after so many searches.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Hits shown of each list.
    #[arg(long, value_name = "N", default_value_t = 5)]
    hits: usize,
    /// Print the JSON, one search a line.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Heard {
    missed: Option<u64>,
    #[serde(default)]
    route: String,
    #[serde(default)]
    text: String,
    shopper: Option<String>,
    #[serde(default)]
    outcome: String,
    reason: Option<String>,
    #[serde(default)]
    moved: usize,
    #[serde(default)]
    us: u64,
    #[serde(default)]
    lists: Vec<Vec<Hit>>,
}

#[derive(Deserialize)]
struct Hit {
    id: String,
    name: String,
    was: usize,
    is: usize,
    reason: Option<String>,
}

impl Tap {
    pub(super) fn run(&self) -> ExitCode {
        match self.listen() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(UNAVAILABLE)
            }
        }
    }

    fn listen(&self) -> anyhow::Result<()> {
        let asking = self.operator.asking()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut out = std::io::stdout();
        if left == 0 {
            return Ok(());
        }
        runtime.block_on(asking.lines("/tap", |line| {
            let heard: Heard = serde_json::from_slice(line)?;
            if !self.wants(&heard) {
                return Ok(true);
            }
            let text = if self.json {
                String::from_utf8_lossy(line) + "\n"
            } else {
                self.told(&heard).into()
            };
            // Whoever reads us may have read enough.
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                return Ok(false);
            }
            left -= u64::from(heard.missed.is_none());
            Ok(left > 0)
        }))
    }

    fn wants(&self, heard: &Heard) -> bool {
        heard.missed.is_some()
            || self.route.as_ref().is_none_or(|route| *route == heard.route)
                && (!self.moved || heard.moved > 0)
    }

    fn told(&self, heard: &Heard) -> String {
        if let Some(missed) = heard.missed {
            return format!("… {missed} searches went by unseen\n");
        }
        let Heard { route, text, outcome, moved, us, .. } = heard;
        let shopper = heard.shopper.as_deref().unwrap_or("nobody");
        let mut out = match (&heard.reason, moved) {
            (None, _) => {
                format!("{route} {text:?} for {shopper}: {outcome}, {moved} moved, {us} µs\n")
            }
            (Some(reason), 0) => format!("{route} {text:?} for {shopper}: {outcome}, {reason}\n"),
            (Some(reason), _) => {
                format!("{route} {text:?} for {shopper}: {outcome}, {reason}; {moved} would move\n")
            }
        };
        for list in heard.lists.iter().filter(|_| *moved > 0) {
            for hit in list.iter().take(self.hits) {
                let arrow = match hit.was.cmp(&hit.is) {
                    std::cmp::Ordering::Greater => format!("▲{}", hit.was - hit.is),
                    std::cmp::Ordering::Less => format!("▼{}", hit.is - hit.was),
                    std::cmp::Ordering::Equal => String::new(),
                };
                let name = if hit.name.is_empty() { &hit.id } else { &hit.name };
                let reason = hit.reason.as_deref().unwrap_or_default();
                let _ = writeln!(out, "  {:>3} {arrow:<4} {name:<40} {reason}", hit.is + 1);
            }
        }
        out
    }
}
