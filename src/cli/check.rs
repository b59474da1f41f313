//! `leafrank check`: is everything that the files say usable? Exit 0, or 78 with every problem.
//!
//! Reads both files as `serve` does and changes nothing. With `--upstream` it also asks the shop
//! whether it answers one of the paths that we would take from it on the data port. With `--reply`
//! it shows what a search route finds in a reply of the shop; 65 when that is no hits with ids.

mod fetch;
mod found;
mod print;
mod reply;
mod trace;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::serve::{NOBODY, Sources};
use super::{CONFIG, USAGE, print_problems};
use crate::config::{Settings, UpstreamAddress};
use crate::reload;

/// The shop gets this long to answer one question.
const PATIENCE: Duration = Duration::from_secs(3);

/// `leafrank check`
#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    sources: Sources,
    /// Another rules file than the settings name.
    #[arg(short, long, value_name = "FILE")]
    rules: Option<std::path::PathBuf>,
    #[command(flatten)]
    recorded: reply::Recorded,
}

impl Check {
    pub(super) fn run(self) -> ExitCode {
        let settings = self.sources.settings();
        if self.recorded.is_asked() {
            return match settings {
                Ok(settings) => self.recorded.run(&settings),
                Err(problems) => {
                    print_problems(&problems);
                    ExitCode::from(CONFIG)
                }
            };
        }
        if settings.as_ref().is_ok_and(|settings| !self.sources.names_somebody(settings)) {
            eprintln!("{NOBODY}");
            return ExitCode::from(USAGE);
        }
        let rules = match &settings {
            Ok(settings) => {
                let mut files = settings.rules.clone();
                if let Some(path) = &self.rules {
                    files.path = Some(path.clone());
                    files.may_be_missing = false;
                }
                reload::check(&files).map(Some)
            }
            // Without settings the rules can still be looked at where they are named.
            Err(_) => match &self.rules {
                Some(path) => {
                    reload::check(&crate::config::RulesFile::alone(path.clone())).map(Some)
                }
                None => Ok(None),
            },
        };
        let mut failed = false;
        for problems in [settings.as_ref().err(), rules.as_ref().err()].into_iter().flatten() {
            print_problems(problems);
            failed = true;
        }
        if let Ok(settings) = &settings {
            println!("settings: {} routes", settings.routes.len());
            print_legs(settings);
            if self.sources.upstream.is_some() {
                warn_of_shadowed_paths(settings);
            }
        }
        if let Ok(Some(rules)) = &rules {
            println!(
                "rules: version {}, {} merchandising rules, personalisation {}",
                rules.version,
                rules.merchandising.len(),
                if rules.enabled { "on" } else { "off" }
            );
            if let Some(version) = &rules.model_version {
                match &rules.trees {
                    Some(trees) => println!("model: version {version}, {} trees", trees.len()),
                    None => {
                        println!("model: version {version}, {} facets", rules.model.facets.len())
                    }
                }
            }
        }
        if failed { ExitCode::from(CONFIG) } else { ExitCode::SUCCESS }
    }
}

/// Where each leg begins and ends: what the addresses were understood to mean.
fn print_legs(settings: &Settings) {
    for leg in settings.legs() {
        let listen: Vec<String> = leg.listen.iter().map(ToString::to_string).collect();
        let tls = if leg.upstream.tls.is_some() { " over TLS" } else { "" };
        let addresses = &leg.upstream.addresses;
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let (listen, addresses) = (listen.join(" "), addresses.join(" "));
        println!("{}: {listen} before {addresses}{tls}", leg.upstream.leg.label());
    }
}

/// A path that we answer on the data port is taken from the shop: says so where the shop has it.
fn warn_of_shadowed_paths(settings: &Settings) {
    let own = &settings.listen.own_paths;
    let shop = settings.upstream.as_ref().and_then(|upstream| upstream.addresses.first());
    let Some(UpstreamAddress::Tcp { host, port }) = shop else { return };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    for path in &own.paths {
        let path = format!("{}{}", own.prefix, path.replace("{id}", "leafrank-check"));
        let Ok(uri) = format!("http://{host}:{port}{path}").parse::<http::Uri>() else { continue };
        let asked =
            runtime.block_on(async { tokio::time::timeout(PATIENCE, client.get(uri)).await });
        match asked {
            Ok(Ok(reply)) if reply.status() != http::StatusCode::NOT_FOUND => eprintln!(
                "warning: listen.own_paths: the shop answers GET {path} too ({}); \
                 it would no longer be reached",
                reply.status().as_u16()
            ),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                eprintln!("warning: the shop at {host}:{port} could not be asked: {error}");
                return;
            }
            Err(_) => {
                eprintln!("warning: the shop at {host}:{port} did not answer in time");
                return;
            }
        }
    }
}
