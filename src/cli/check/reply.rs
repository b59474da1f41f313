//! `leafrank check --reply`: what does a search route find in this reply of the shop?
//!
//! In: a recorded reply or a URL, and the settings. Out: a [`Report`] of the route that fits, printed
//! for people or as JSON. `fetch` gets the reply, `found` looks at it, `trace` explains what missed,
//! `print` makes lines of it. Exit 0 when hits with ids were found, 65 when not.

use std::process::ExitCode;

use clap::Args;
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use super::fetch::{self, Fault, Question};
use super::found::{Found, look};
use super::print;
use crate::cli::{DATA, USAGE};
use crate::config::{Route, RouteKind, SearchRoute, Settings};
use crate::route::classify;
use crate::wire::{Doubt, Json};
use crate::yaml::{nearest, printable};

/// What `--reply` and the flags beside it say.
#[derive(Args)]
pub(super) struct Recorded {
    /// Show what a search route finds in this reply: a file, - for standard input, or a URL to ask.
    #[arg(long, value_name = "FILE|URL")]
    reply: Option<String>,
    /// The search route to read it with; else the one that fits the URL, else the one that finds most.
    #[arg(long, value_name = "NAME", requires = "reply")]
    route: Option<String>,
    /// Ask the URL by POST with this body.
    #[arg(long, value_name = "BODY", requires = "reply")]
    data: Option<String>,
    /// A header for the URL, e.g. "X-User-ID: ada"; may be repeated.
    #[arg(long, value_name = "NAME: VALUE", requires = "reply", value_parser = a_header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// Print JSON.
    #[arg(long, requires = "reply")]
    json: bool,
}

fn a_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let expected = || "expected NAME: VALUE".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(expected)?;
    let name = name.trim().parse::<HeaderName>().map_err(|_| expected())?;
    let value = value.trim().parse::<HeaderValue>().map_err(|_| expected())?;
    Ok((name, value))
}

/// What was found in a reply.
#[derive(Serialize)]
pub(super) struct Report {
    /// What was looked at.
    pub(super) reply: String,
    /// Its length, decoded.
    pub(super) bytes: usize,
    /// The route that read it.
    pub(super) route: String,
    /// What is odd about that choice.
    pub(super) note: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub(super) found: Found,
}

impl Recorded {
    /// Whether there is a reply to look at.
    pub(super) fn is_asked(&self) -> bool {
        self.reply.is_some()
    }

    pub(super) fn run(&self, settings: &Settings) -> ExitCode {
        match self.report(settings) {
            Ok(report) => {
                if self.json {
                    println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
                } else {
                    print!("{}", print::text(&report));
                }
                if report.found.usable { ExitCode::SUCCESS } else { ExitCode::from(DATA) }
            }
            Err(fault) => {
                eprintln!("{}", fault.said);
                ExitCode::from(fault.exit)
            }
        }
    }

    fn report(&self, settings: &Settings) -> Result<Report, Fault> {
        let from = self.reply.as_deref().unwrap_or("-");
        let wanted = self.route.as_deref().map(|name| named(settings, name)).transpose()?;
        let question = Question::uri(from).transpose()?.map(|uri| Question {
            uri,
            data: self.data.clone(),
            headers: self.header.clone(),
        });
        if question.is_none() && (self.data.is_some() || !self.header.is_empty()) {
            let said = format!("--reply {from}: --data and --header are for a URL, http://…");
            return Err(Fault::new(USAGE, said));
        }
        let body = match &question {
            Some(question) => fetch::ask(question, settings)?,
            None => fetch::file(from, settings)?,
        };
        let json = Json::parse(&body).map_err(|doubt| no_json(from, &body, doubt))?;
        let asked = question.as_ref().map(|question| (question.method(), question.uri.path()));
        let (fits, note) = fitting(settings, asked);
        let (route, found, note) = match wanted.or(fits) {
            Some((route, search)) => (route, look(search, &body, json), note),
            None => {
                let (route, found, tried) = best(settings, &body, json)?;
                (route, found, Some(note.map_or(tried.clone(), |note| format!("{note}; {tried}"))))
            }
        };
        let bytes = body.len();
        Ok(Report { reply: from.to_owned(), bytes, route: route.name.clone(), note, found })
    }
}

type Search<'s> = (&'s Route, &'s SearchRoute);

fn searches(settings: &Settings) -> impl Iterator<Item = Search<'_>> {
    settings.routes.iter().filter_map(|route| match &route.kind {
        RouteKind::Search(search) => Some((route, &**search)),
        RouteKind::Event(_) | RouteKind::Forget(_) => None,
    })
}

fn named<'s>(settings: &'s Settings, name: &str) -> Result<Search<'s>, Fault> {
    searches(settings).find(|(route, _)| route.name == name).ok_or_else(|| {
        let names: Vec<&str> = searches(settings).map(|(route, _)| route.name.as_str()).collect();
        let near = nearest(name, &names);
        let meant = near.map_or(String::new(), |near| format!(" — did you mean \"{near}\"?"));
        let all = names.join(", ");
        Fault::new(USAGE, format!("--route {name}: no search route; expected one of {all}{meant}"))
    })
}

/// The search route that the data port would choose for this request, and what is odd about it.
fn fitting<'s>(
    settings: &'s Settings,
    asked: Option<(Method, &str)>,
) -> (Option<Search<'s>>, Option<String>) {
    let Some((method, path)) = asked else { return (None, None) };
    let matched = classify(&settings.routes, &method, path).map(|matched| matched.route);
    if let Some(route) = matched {
        return match &route.kind {
            RouteKind::Search(search) => (Some((route, search)), None),
            RouteKind::Event(_) | RouteKind::Forget(_) => {
                let said = format!("{method} {path} is the route {}, no search", route.name);
                (None, Some(said))
            }
        };
    }
    let mut said = format!("no route fits {method} {path}: it would only pass");
    let other = if method == Method::GET { Method::POST } else { Method::GET };
    if let Some(matched) = classify(&settings.routes, &other, path) {
        said = format!("{said} ({} is for {other})", matched.route.name);
    }
    (None, Some(said))
}

/// The search route that finds most; the first one of equals.
fn best<'s>(
    settings: &'s Settings,
    body: &[u8],
    json: Json<'_>,
) -> Result<(&'s Route, Found, String), Fault> {
    let score = |found: &Found| {
        let filled: usize = found.fields.iter().map(|field| field.filled).sum();
        (found.usable, found.hits, filled)
    };
    let mut best: Option<(&Route, Found)> = None;
    let mut equals = Vec::new();
    let mut tried = 0;
    for (route, search) in searches(settings) {
        tried += 1;
        let found = look(search, body, json);
        match &best {
            Some((_, most)) if score(&found) < score(most) => {}
            Some((_, most)) if score(&found) == score(most) => equals.push(route.name.as_str()),
            _ => {
                equals.clear();
                best = Some((route, found));
            }
        }
    }
    let none = || Fault::new(USAGE, "the settings have no search route".to_owned());
    let (route, found) = best.ok_or_else(none)?;
    let note = if tried == 1 {
        "the only search route".to_owned()
    } else if found.hits == 0 {
        format!("of {tried} search routes none finds hits; this is the first")
    } else if equals.is_empty() {
        format!("of {tried} search routes this one finds most")
    } else {
        format!("of {tried} search routes this one finds most; as much: {}", equals.join(", "))
    };
    Ok((route, found, note))
}

fn no_json(from: &str, body: &[u8], doubt: Doubt) -> Fault {
    let hint = match body {
        [] => "it is empty".to_owned(),
        [0x1f, 0x8b, ..] => "it looks like gzip; save it decoded (curl --compressed)".to_owned(),
        [..] => {
            let start: String = String::from_utf8_lossy(body).chars().take(40).collect();
            format!("it starts with {}", printable(&start))
        }
    };
    Fault::new(DATA, format!("{from}: {doubt} (reason={}); {hint}", doubt.name()))
}
