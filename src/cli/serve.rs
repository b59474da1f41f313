//! `leafrank serve`: the sidecar.
//!
//! In: a settings file, or only the address of the shop or of a Weaviate (shadow mode, the default
//! presets), and `--set KEY=VALUE` for any setting. Out: the process until SIGTERM. Settings that cannot be used: 78.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{CONFIG, USAGE, environment, print_problems};
use crate::app::{Sidecar, Until};
use crate::config::{Settings, SettingsText};
use crate::telemetry::{log, memory};
use crate::types::problem::Problem;

/// What is missing where nothing says whom to stand before.
pub(super) const NOBODY: &str = "nobody to stand before: name a settings file (--config), a shop (--upstream) or a Weaviate \
     (WEAVIATE_URL)";

/// Where settings come from; `serve` and `check` read them in the same way.
#[derive(Args, Clone)]
pub(super) struct Sources {
    /// The settings file.
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The shop, e.g. http://127.0.0.1:8000; without a file: shadow mode, default presets.
    #[arg(short, long, value_name = "URL")]
    pub(super) upstream: Option<String>,
    /// Any setting, e.g. --set limits.hold_ms=200; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) set: Vec<(String, String)>,
}

/// `leafrank serve`
#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    sources: Sources,
}

impl Sources {
    /// Reads the settings, and compares them with the memory that there is.
    ///
    /// # Errors
    /// Every problem at once.
    pub(super) fn settings(&self) -> Result<Settings, Vec<Problem>> {
        let settings = self.parsed()?;
        if let Some(bytes) = memory::limit(settings.limits.memory_bytes_max) {
            settings.limits.fit_into(bytes).map_err(|problem| vec![problem])?;
        }
        Ok(settings)
    }

    /// Does anything say whom to stand before? Without a file, only flags and `WEAVIATE_URL` can.
    pub(super) fn names_somebody(&self, settings: &Settings) -> bool {
        self.config.is_some() || self.upstream.is_some() || settings.weaviate.is_some()
    }

    fn parsed(&self) -> Result<Settings, Vec<Problem>> {
        let environment = environment();
        let Some(path) = &self.config else {
            return match &self.upstream {
                Some(url) => Settings::for_upstream(url, &environment, &self.set),
                None => Settings::parse(&SettingsText {
                    file: None,
                    text: "",
                    environment: &environment,
                    flags: &self.set,
                }),
            };
        };
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![Problem::with_file(&file, format!("cannot be read: {error}"))])?;
        let mut flags = self.set.clone();
        if let Some(url) = &self.upstream {
            flags.push(("upstream.addresses".into(), url.clone()));
        }
        Settings::parse(&SettingsText {
            file: Some(&file),
            text: &text,
            environment: &environment,
            flags: &flags,
        })
    }
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        log::start(std::env::var("LEAFRANK_LOG").ok().as_deref());
        let settings = match self.sources.settings() {
            Ok(settings) => settings,
            Err(problems) => {
                print_problems(&problems);
                return ExitCode::from(CONFIG);
            }
        };
        if !self.sources.names_somebody(&settings) {
            eprintln!("{NOBODY}");
            return ExitCode::from(USAGE);
        }
        match Sidecar::assemble(settings) {
            Ok(sidecar) => {
                sidecar.run(Until::Signal);
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(CONFIG)
            }
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE, e.g. limits.hold_ms=200".into()),
    }
}
