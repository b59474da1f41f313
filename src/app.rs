//! Floor 7, the composition root: the only file that knows every part and starts what lives long.
//!
//! ```text
//! pingora Server
//!  ├─ data  :8080   Engine (hyper)  ── Pipeline ── Personalizer · Observer · Shop
//!  ├─ weaviate :8082 :50052          the same, each before a port of Weaviate (`legs`)
//!  ├─ api   :8081   our endpoints (axum)
//!  ├─ admin 127.0.0.1:9901 · ops 127.0.0.1:9902
//!  ├─ balancer, tell health of the shop's addresses; searches in front, to sidecars behind
//!  ├─ spool, sink   rows of events and decisions, onto the disk and into files: a thread each
//!  ├─ reweigh, keep edits of weights, into what was learned before; that, on disk: a thread each
//!  └─ watch         memory, and whether the upstreams accept connections
//! ```
//! Rules that cannot be used do not keep the shop from being served; a listener or an upstream that
//! cannot be used does.

mod ask;
mod keep;
mod legs;
mod log;
mod reweigh;
mod tell;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use pingora::services::background::GenBackgroundService;
use pingora::services::listening::Service;
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::{self, Admin};
use crate::api::{self, Api};
use crate::border::{Border, KeyRingError};
use crate::client::reach::Reaches;
use crate::client::shop::ShopSetupError;
use crate::config::Settings;
use crate::observe::Observer;
use crate::personalize::Personalizer;
use crate::reload::{Degraded, ReloadStatus, Reloader, RulesTable};
use crate::serve::HttpApp;
use crate::shutdown::Lifecycle;
use crate::spool::{OpenError, Spool};
use crate::store::Store;
use crate::store::choices::Choices;
use crate::store::consent::Consents;
use crate::telemetry::limits::{Gate, Limit, LimitHits};
use crate::telemetry::memory::{self, Memory};
use crate::telemetry::metrics::Metrics;
use crate::types::clock::{Clock, SystemClock};
use ask::Ask;
use keep::{Keep, Keeping};
use legs::Legs;
use log::{Log, Logging};
use reweigh::Reweigh;
use tell::Tell;
use watch::Watch;

/// Why the process cannot start. Each is the operator's to mend: exit code 78.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address we cannot listen on.
    #[error("{key}: {address}: {reason}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Certificate or key of the data port.
    #[error("listen.tls: {0}")]
    Tls(String),
    /// An upstream.
    #[error(transparent)]
    Shop(#[from] ShopSetupError),
    /// A sidecar to be told of searches.
    #[error("identity.join.tell: {0}")]
    Tell(#[source] ShopSetupError),
    /// A file of secrets.
    #[error(transparent)]
    Secrets(#[from] KeyRingError),
    /// Another process has the data directory.
    #[error("data_dir: {0}")]
    Taken(#[from] OpenError),
    /// A fault of ours.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A sidecar, put together and not yet running.
pub struct Sidecar {
    server: Server,
    lifecycle: Arc<Lifecycle>,
    settings: Arc<Settings>,
    personalizer: Arc<Personalizer>,
    keep: Option<Keep>,
    log: Option<Log>,
    /// Watches the rules for as long as it lives.
    _reloader: Reloader,
}

/// When a sidecar ends.
pub enum Until {
    /// On SIGTERM or SIGINT, after the drain; within two seconds on a second one.
    Signal,
    /// When this channel says so or closes, after the drain.
    Told(tokio::sync::watch::Receiver<bool>),
}

impl Sidecar {
    /// Puts all parts together and checks that every address can be listened on.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn assemble(settings: Settings) -> Result<Self, StartError> {
        Self::assemble_with(settings, Arc::new(SystemClock::default()))
    }

    /// The same, by a clock of the caller's.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn assemble_with(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        let metrics = Arc::new(Metrics::new()?);
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let lifecycle = Arc::<Lifecycle>::default();
        let store = Arc::new(store(&settings, &metrics, clock.as_ref()));
        let (rules, reloader) = Reloader::start(&settings.rules, &settings.data_dir, clock.clone());
        report(&rules, metrics.clone());
        let log = Log::open(&settings, &metrics, &clock)?;
        let spool = log.as_ref().map(Log::spool);
        let (personalizer, observer) =
            paths(&settings, (&store, &rules), (&metrics, &clock), spool.as_ref());
        let keep = Keep::restored(&settings, (&store, &observer), (&metrics, &clock));
        // After what was read back: an erased user does not return with it.
        store.keep_to_choices();
        let reweigh = Reweigh::new(rules.clone(), observer.clone());
        let border = Arc::new(Border::new(settings.clone(), metrics.clone(), clock.clone())?);
        let watch = watch(&settings, metrics.clone());
        let limit_hits = Arc::new(LimitHits::new(&metrics, clock.clone()));
        let api = api::router(Api {
            border: border.clone(),
            observer: observer.clone(),
            personalizer: personalizer.clone(),
            limits: settings.limits.track,
            limit_hits: limit_hits.clone(),
            metrics: metrics.clone(),
            log: spool.clone(),
            shop: Ask::of(&settings)?,
            clock: clock.clone(),
        });
        let admin = Admin {
            border: border.clone(),
            personalizer: personalizer.clone(),
            rules,
            rules_file: settings.rules.clone(),
            lifecycle: lifecycle.clone(),
            reaches: watch.reaches.clone(),
            metrics: metrics.clone(),
            log: spool,
            loopback: settings.listen.admin.is_none_or(|address| address.ip().is_loopback()),
        };
        let tell = tell(&settings, &personalizer, &metrics)?;
        let legs = Legs {
            settings: settings.clone(),
            border,
            personalizer: personalizer.clone(),
            observer,
            own: api.clone(),
            lifecycle: lifecycle.clone(),
            limit_hits: limit_hits.clone(),
            memory: watch.memory.clone(),
            metrics,
            clock,
        };
        let mut server = Server::new_with_opt_and_conf(None, conf());
        server.bootstrap();
        legs.serve(&mut server)?;
        add_background(&mut server, watch, reweigh, tell);
        add_ports(
            &mut server,
            &settings,
            [api, admin::router(admin.clone()), admin::ops(admin)],
            &limit_hits,
        )?;
        Ok(Self { server, lifecycle, settings, personalizer, keep, log, _reloader: reloader })
    }

    /// The read path, for whoever wants to know why.
    pub fn personalizer(&self) -> Arc<Personalizer> {
        self.personalizer.clone()
    }

    /// Serves until told to end, then drains. Blocks the thread.
    pub fn run(self, until: Until) {
        let Self { server, lifecycle, settings, personalizer: _, keep, log, _reloader } = self;
        legs::announce(&settings);
        let keeping = keep.map(Keep::start).transpose().unwrap_or_else(|error| {
            tracing::error!(%error, "profiles are not kept on disk: there is no thread for it");
            None
        });
        let logging = log.and_then(Log::start);
        let drain = Drain {
            until,
            lifecycle,
            lame_duck: settings.shutdown.lame_duck,
            drain: settings.shutdown.drain,
        };
        server.run(RunArgs { shutdown_signal: Box::new(drain) });
        // After the last request: what it taught is in the last file.
        keeping.into_iter().for_each(Keeping::end);
        logging.into_iter().for_each(Logging::end);
        tracing::info!("ended");
    }
}

/// The read path and the write path; both write down what they see where there is a log.
fn paths(
    settings: &Arc<Settings>,
    (store, rules): (&Arc<Store>, &Arc<RulesTable>),
    (metrics, clock): (&Arc<Metrics>, &Arc<dyn Clock>),
    log: Option<&Arc<Spool>>,
) -> (Arc<Personalizer>, Arc<Observer>) {
    let parts = || (store.clone(), rules.clone(), metrics.clone(), clock.clone());
    let (store, rules, metrics, clock) = parts();
    let personalizer = Personalizer::new(settings.clone(), store, rules, metrics, clock);
    let (store, rules, metrics, clock) = parts();
    let observer = Observer::new(settings, store, rules, metrics, clock);
    (Arc::new(personalizer.with_log(log.cloned())), Arc::new(observer.with_log(log.cloned())))
}

/// What goes on beside requests, a thread each.
fn add_background(
    server: &mut Server,
    watch: Watch,
    reweigh: Reweigh,
    tell: Option<GenBackgroundService<Tell>>,
) {
    server.add_service(GenBackgroundService::new("watch".into(), Arc::new(watch)));
    server.add_service(GenBackgroundService::new("reweigh".into(), Arc::new(reweigh)));
    if let Some(tell) = tell {
        server.add_service(tell);
    }
}

/// The ports beside the data port, one thread each.
fn add_ports(
    server: &mut Server,
    settings: &Settings,
    [api, admin, ops]: [axum::Router; 3],
    limit_hits: &Arc<LimitHits>,
) -> Result<(), StartError> {
    for (key, address, router) in [
        ("listen.api", settings.listen.api, api),
        ("listen.admin", settings.listen.admin, admin),
        ("listen.ops", settings.listen.ops, ops),
    ] {
        if let Some(address) = address {
            can_listen(key, address)?;
            let max = settings.limits.connections_max;
            let gate = Gate::new(max, Limit::ConnectionsMax, limit_hits.clone());
            let mut service = Service::new(key.into(), HttpApp::new(router, gate));
            service.add_tcp(&address.to_string());
            service.threads = Some(1);
            server.add_service(service);
        }
    }
    Ok(())
}

fn watch(settings: &Settings, metrics: Arc<Metrics>) -> Watch {
    let limits = &settings.limits;
    let bytes = memory::limit(limits.memory_bytes_max);
    let memory = Memory::new(bytes, limits.memory_soft_percent, limits.memory_hard_percent);
    let asks = settings.health.ready_needs_upstream;
    let reaches = Reaches::new(settings, !asks);
    for reach in reaches.iter() {
        metrics.upstream_up.with_label_values(&[reach.leg().label()]).set(i64::from(!asks));
    }
    Watch { memory: Arc::new(memory), reaches: Arc::new(reaches), asks, metrics }
}

/// Who tells other sidecars, where there are any.
fn tell(
    settings: &Settings,
    personalizer: &Personalizer,
    metrics: &Arc<Metrics>,
) -> Result<Option<GenBackgroundService<Tell>>, StartError> {
    let Some(queue) = personalizer.to_tell() else { return Ok(None) };
    let tell = Tell::new(settings, queue, metrics.clone()).map_err(StartError::Tell)?;
    Ok(Some(GenBackgroundService::new("tell".into(), Arc::new(tell))))
}

/// What is remembered, with the choices that shoppers made before this start.
fn store(settings: &Settings, metrics: &Metrics, clock: &dyn Clock) -> Store {
    let subjects_max = settings.identity.consent.subjects_max;
    let consents = Consents::open(&settings.data_dir, subjects_max, clock.now());
    let unreadable = i64::from(consents.is_unreadable());
    metrics.degraded.with_label_values(&["consent_unreadable"]).set(unreadable);
    let choices = Choices::open(&settings.data_dir, &settings.store, clock.now());
    let unreadable = i64::from(choices.is_unreadable());
    metrics.degraded.with_label_values(&["choices_unreadable"]).set(unreadable);
    Store::new(&settings.store).with_choices(consents, choices)
}

/// Keeps the rules' state in the metrics.
fn report(rules: &RulesTable, metrics: Arc<Metrics>) {
    let show = move |status: &ReloadStatus| {
        metrics.rules_info.reset();
        metrics.rules_info.with_label_values(&[&status.version]).set(1);
        metrics.rules_loaded_timestamp_seconds.set(status.loaded_at.0 / 1000);
        metrics.rules_generation.set(i64::try_from(status.generation).unwrap_or(i64::MAX));
        let counted = metrics.rules_rejected.get();
        metrics.rules_rejected.inc_by(status.rejected_total.saturating_sub(counted));
        for degraded in Degraded::ALL {
            let now = i64::from(status.degraded == Some(degraded));
            metrics.degraded.with_label_values(&[degraded.reason()]).set(now);
        }
    };
    show(&rules.status());
    rules.on_change(show);
}

fn conf() -> ServerConf {
    ServerConf {
        threads: 1,
        // A request stays on the core that accepted it, with that core's connections to the shop.
        work_stealing: false,
        // The drain has ended by then; these are for what came in the very last moment.
        grace_period_seconds: Some(1),
        graceful_shutdown_timeout_seconds: Some(1),
        // Every timeout from a second on is tokio's: pingora's own would wake a thread each 10 ms.
        fast_timeout_to_tokio_threshold_seconds: Some(0),
        ..ServerConf::default()
    }
}

/// pingora would only notice once its threads run; a bad address should be said at the start.
fn can_listen(key: &'static str, address: SocketAddr) -> Result<(), StartError> {
    std::net::TcpListener::bind(address).map(drop).map_err(|error| StartError::Listen {
        key,
        address: address.to_string(),
        reason: error.to_string(),
    })
}

/// SIGTERM: not ready, still accepting; then connections close after what they serve; then the end.
struct Drain {
    until: Until,
    lifecycle: Arc<Lifecycle>,
    lame_duck: Duration,
    drain: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        self.told().await;
        tracing::info!(
            lame_duck_ms = self.lame_duck.as_millis() as u64,
            in_flight = self.lifecycle.in_flight(),
            "draining"
        );
        tokio::select! {
            left = self.lifecycle.drain(self.lame_duck, self.drain) => {
                if left > 0 {
                    tracing::warn!(left, "requests were still in flight when drain_ms ended");
                }
            }
            () = self.told_again() => tracing::warn!("told twice: requests in flight are given up"),
        }
        // Never pingora's fast shutdown: it leaves the accept loops running on a runtime that ends,
        // and they may spin there for ever.
        ShutdownSignal::GracefulTerminate
    }
}

impl Drain {
    async fn told(&self) {
        match &self.until {
            Until::Signal => stop_signal().await,
            Until::Told(told) => {
                let mut told = told.clone();
                // A closed channel means that whoever could tell is gone.
                drop(told.wait_for(|told| *told).await);
            }
        }
    }

    async fn told_again(&self) {
        match &self.until {
            Until::Signal => stop_signal().await,
            Until::Told(_) => std::future::pending().await,
        }
    }
}

/// Ends with SIGTERM or SIGINT; never, where signals cannot be had.
async fn stop_signal() {
    let (term, int) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    match (term, int) {
        (Ok(mut term), Ok(mut int)) => {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}
