//! `leafrank demo`: a small shop, the sidecar in front of it, three stories, in one process.
//!
//! Needs nothing else: no server, no account, no file. Plays the stories over real sockets, prints
//! each as a table, then keeps serving until it is stopped.

mod http;
mod play;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::watch;

use super::{CONFIG, UNAVAILABLE, environment, print_problems};
use crate::app::{Sidecar, Until};
use crate::config::{Settings, SettingsText};
use crate::demo::Catalog;
use crate::telemetry::log;
use play::Play;

/// Time for one ranking, in µs: the demo may be an unoptimised build on a busy machine.
const RANK_US: u64 = 250_000;
/// How long the parts may take to listen.
const START_MAX: Duration = Duration::from_secs(30);

/// `leafrank demo`
#[derive(Args)]
pub(super) struct Demo {
    /// Serve LeafLoaf's own catalogue from this directory instead of ours.
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
    /// The sidecar's data port; the API, admin and ops ports are any free ones if it is not 8080.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Play the stories and end.
    #[arg(long)]
    once: bool,
}

/// Where everything listens.
pub(super) struct Places {
    pub(super) shop: SocketAddr,
    pub(super) data: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) ops: SocketAddr,
}

impl Demo {
    pub(super) fn run(self) -> ExitCode {
        log::start(Some("error"));
        let catalog = match &self.catalog {
            None => Catalog::ours(),
            Some(directory) => match Catalog::from_dir(directory) {
                Ok(catalog) => catalog,
                Err(error) => {
                    eprintln!("{:#}", anyhow::Error::from(error));
                    return ExitCode::from(UNAVAILABLE);
                }
            },
        };
        let places = match places(self.port) {
            Ok(places) => places,
            Err(error) => {
                eprintln!("no port to listen on: {error}");
                return ExitCode::from(UNAVAILABLE);
            }
        };
        let settings = match settings(&places) {
            Ok(settings) => settings,
            Err(problems) => {
                print_problems(&problems);
                return ExitCode::from(CONFIG);
            }
        };
        match start(&catalog, settings, &places, self.once) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(UNAVAILABLE)
            }
        }
    }
}

fn start(catalog: &Catalog, settings: Settings, places: &Places, once: bool) -> anyhow::Result<()> {
    let sidecar = Sidecar::assemble(settings)?;
    let explain = sidecar.personalizer();
    let (stop, stopped) = watch::channel(false);
    let until = if once { Until::Told(stopped.clone()) } else { Until::Signal };
    let running = std::thread::spawn(move || sidecar.run(until));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(places.shop).await?;
        let mut until_stop = stopped.clone();
        let shop = crate::demo::serve(catalog.clone(), listener, async move {
            drop(until_stop.wait_for(|stop| *stop).await);
        });
        let shop = tokio::spawn(shop);
        wait_for(places).await?;
        Play { places, explain, catalog }.all(once).await?;
        if once {
            stop.send_replace(true);
        }
        let ended = async {
            while !running.is_finished() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = ended => {}
            outcome = shop, if !once => outcome??,
        }
        anyhow::Ok(())
    });
    stop.send_replace(true);
    // The sidecar listens to signals only: after an error nobody waits for it.
    outcome?;
    running.join().map_err(|_| anyhow::anyhow!("the sidecar ended with a panic"))
}

async fn wait_for(places: &Places) -> anyhow::Result<()> {
    for place in [places.shop, places.data, places.api] {
        let listens = async {
            while tokio::net::TcpStream::connect(place).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(START_MAX, listens).await;
        waited.with_context(|| format!("{place} does not listen"))?;
    }
    Ok(())
}

/// The well-known ports if they are free, any free ones otherwise.
fn places(port: u16) -> std::io::Result<Places> {
    let known = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let any = || TcpListener::bind(known(0))?.local_addr();
    let wanted = |port: u16| match TcpListener::bind(known(port)) {
        Ok(_) => Ok(known(port)),
        Err(_) => any(),
    };
    let data = TcpListener::bind(known(port))?.local_addr()?;
    Ok(Places { shop: any()?, data, api: wanted(8081)?, admin: wanted(9901)?, ops: wanted(9902)? })
}

/// Where the demo keeps its state.
fn state() -> PathBuf {
    std::env::temp_dir().join("leafrank-demo")
}

fn settings(places: &Places) -> Result<Settings, Vec<crate::types::problem::Problem>> {
    let Places { shop, data, api, admin, ops } = places;
    // In a checkout the rules can be edited while the demo runs; elsewhere those built in serve.
    let rules = std::path::Path::new("config/personalization_rules.yaml");
    let path = if rules.exists() { rules.display().to_string() } else { "null".into() };
    let text = format!(
        "listen: {{data: [\"{data}\"], api: \"{api}\", admin: \"{admin}\", ops: \"{ops}\"}}\n\
         upstream: {{addresses: [\"{shop}\"]}}\n\
         presets: [leafloaf, demo]\n\
         mode: on\n\
         holdout: 0\n\
         limits: {{rank_us: {RANK_US}}}\n\
         data_dir: \"{}\"\n\
         shutdown: {{lame_duck_ms: 0}}\n\
         store: {{snapshot_seconds: 0}}\n\
         rules: {{path: {path}}}\n",
        state().display()
    );
    let mut settings = Settings::parse(&SettingsText {
        file: None,
        text: &text,
        environment: &environment(),
        // The demo has a shop of its own and nothing else.
        flags: &[("weaviate.url".into(), "null".into())],
    })?;
    // Beside a checkout its rules are live; elsewhere those built in serve.
    settings.rules.may_be_missing = true;
    Ok(settings)
}
