//! The legs: each has listeners, worker threads, an engine and an upstream of its own; all have one
//! personalizer, one observer, one border, one set of counts and one drain.
//!
//! In: the settings, and what the legs share. Out: pingora services.

use std::path::Path;
use std::sync::Arc;

use pingora::listeners::tls::TlsSettings;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::Server;
use pingora::services::background::GenBackgroundService;
use pingora::services::listening::Service;

use super::{StartError, can_listen};
use crate::border::Border;
use crate::client::shop::Shop;
use crate::config::{Leg, LegName, ListenAddress, Settings};
use crate::observe::Observer;
use crate::personalize::Personalizer;
use crate::proxy::RequestBody;
use crate::proxy::engine::Engine;
use crate::proxy::pipeline::Pipeline;
use crate::shutdown::Lifecycle;
use crate::telemetry::limits::LimitHits;
use crate::telemetry::memory::Memory;
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;

/// What all legs share; as in [`Pipeline`].
pub(super) struct Legs {
    pub(super) settings: Arc<Settings>,
    pub(super) border: Arc<Border>,
    pub(super) personalizer: Arc<Personalizer>,
    pub(super) observer: Arc<Observer>,
    pub(super) own: axum::Router,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limit_hits: Arc<LimitHits>,
    pub(super) memory: Arc<Memory>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Legs {
    /// Adds the services of every leg.
    pub(super) fn serve(&self, server: &mut Server) -> Result<(), StartError> {
        for leg in self.settings.legs() {
            let shop = Arc::new(Shop::new(leg.upstream)?);
            server.add_service(self.service(&leg, shop.clone())?);
            if leg.upstream.leg == LegName::Shop {
                // A port of Weaviate has one address: there is nothing to balance.
                server.add_service(GenBackgroundService::new("balancer".into(), shop.balancer()));
            }
        }
        Ok(())
    }

    fn pipeline(&self, leg: LegName, shop: Arc<Shop<RequestBody>>) -> Pipeline {
        let mut settings = self.settings.clone();
        if leg != LegName::Shop && !settings.listen.own_paths.paths.is_empty() {
            // Our API stands where the settings put it: on the data port.
            let settings = Arc::make_mut(&mut settings);
            settings.listen.own_paths.paths.clear();
        }
        Pipeline {
            settings,
            shop,
            border: self.border.clone(),
            personalizer: self.personalizer.clone(),
            observer: self.observer.clone(),
            own: self.own.clone(),
            lifecycle: self.lifecycle.clone(),
            metrics: self.metrics.clone(),
            limit_hits: self.limit_hits.clone(),
            memory: self.memory.clone(),
            clock: self.clock.clone(),
        }
    }

    fn service(
        &self,
        leg: &Leg<'_>,
        shop: Arc<Shop<RequestBody>>,
    ) -> Result<Service<Engine>, StartError> {
        let name = leg.upstream.leg;
        let listen = &self.settings.listen;
        let pipeline = Arc::new(self.pipeline(name, shop));
        let mut service = Service::new(thread_name(name).into(), Engine::new(pipeline));
        service.threads = Some(match listen.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        });
        // hyper reads into a buffer of its own and writes head and body in one go: a second buffer
        // below it would only copy, and take memory from every idle connection. rustls reads in
        // small pieces.
        let read = if listen.tls.is_some() { 16 * 1024 } else { 0 };
        let buffers = || L4BufferSettings { read: Some(read), write: Some(0) };
        for address in &leg.listen {
            let listener = match address {
                ListenAddress::Tcp(address) => {
                    can_listen(name.listen_key(), *address)?;
                    ListenerConfig::tcp(address.to_string())
                }
                ListenAddress::Unix(path) => ListenerConfig::uds(path.display().to_string()),
            };
            let listener = listener.l4_buffer(buffers());
            service.add_listener(match &listen.tls {
                None => listener,
                Some(tls) => listener.tls(tls_settings(&tls.certificate, &tls.key)?),
            });
        }
        Ok(service)
    }
}

/// Says where every leg begins and ends.
pub(super) fn announce(settings: &Settings) {
    for leg in settings.legs() {
        let listen: Vec<String> = leg.listen.iter().map(ToString::to_string).collect();
        let addresses = &leg.upstream.addresses;
        let upstream: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        tracing::info!(
            leg = leg.upstream.leg.label(),
            listen = listen.join(" "),
            upstream = upstream.join(" "),
            tls = leg.upstream.tls.is_some(),
            "serving"
        );
    }
    tracing::info!(routes = settings.routes.len(), "all legs serve");
}

fn thread_name(leg: LegName) -> &'static str {
    match leg {
        LegName::Shop => "data",
        LegName::WeaviateHttp => "weaviate-http",
        LegName::WeaviateGrpc => "weaviate-grpc",
    }
}

fn tls_settings(certificate: &Path, key: &Path) -> Result<TlsSettings, StartError> {
    for path in [certificate, key] {
        std::fs::metadata(path)
            .map_err(|error| StartError::Tls(format!("{}: {error}", path.display())))?;
    }
    let text = |path: &Path| path.display().to_string();
    let mut tls = TlsSettings::intermediate(&text(certificate), &text(key))
        .map_err(|error| StartError::Tls(error.to_string()))?;
    tls.enable_h2();
    Ok(tls)
}
