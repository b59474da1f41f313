//! Every metric's name, unit and help in one place, with handles that cost one atomic addition.
//!
//! In: counts from all floors. Out: Prometheus text. Knows no domain type: labels come as
//! `&'static str` from closed sets, or as route names from the settings, so that their number is
//! bounded. docs/METRICS.md lists the same names.

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// The handles. One per process; tests make one per sidecar.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests on the data port by class of the reply's status.
    pub requests: IntCounterVec,
    /// Requests we refused, by reason.
    pub refused: IntCounterVec,
    /// Headers of ours from peers that are not trusted, by header.
    pub untrusted_headers: IntCounterVec,
    /// Tokens that name a shopper, by what became of them.
    pub tokens: IntCounterVec,
    /// Cookies of ours, by what became of them.
    pub visit_cookies: IntCounterVec,
    /// Requests without a reply from the shop, by reason.
    pub upstream_errors: IntCounterVec,
    /// Searches whose hits were moved, by route.
    pub reranked: IntCounterVec,
    /// Searches that would have moved in shadow mode, by route.
    pub shadowed: IntCounterVec,
    /// Searches answered with the shop's own bytes, by route and reason.
    pub bypass: IntCounterVec,
    /// Searches by the stages that they came through, by route.
    pub funnel: IntCounterVec,
    /// Clicks and product pages, by route.
    pub clicks: IntCounterVec,
    /// Those of a product that stood in a list of this shopper's, by route.
    pub clicks_joined: IntCounterVec,
    /// Searches behind the shop that name nobody, by how their shopper was found.
    pub joins: IntCounterVec,
    /// Searches in front of the shop of which others are told, by outcome.
    pub joins_told: IntCounterVec,
    /// Followers of a profile who were let go, for they did not keep up.
    pub live_dropped: IntCounter,
    /// Time until the shop's head.
    pub upstream_seconds: Histogram,
    /// Time of our own computation for one search.
    pub rank_seconds: Histogram,
    /// How long replies were held back.
    pub hold_seconds: Histogram,
    /// Hits moved.
    pub hits_moved: IntCounter,
    /// Interactions accepted, by kind.
    pub interactions: IntCounterVec,
    /// Interactions not used, by reason.
    pub interactions_dropped: IntCounterVec,
    /// Acts that taught their shopper and nobody else, by reason.
    pub unheard: IntCounterVec,
    /// Signals learned, by kind.
    pub signals: IntCounterVec,
    /// Search replies that a shared cache may keep: a CDN would serve one shopper's order to all.
    pub shared_cacheable: IntCounterVec,
    /// 1 for the version of this program.
    pub build_info: IntGaugeVec,
    /// 1 for the version of the rules in force.
    pub rules_info: IntGaugeVec,
    /// When they came into force.
    pub rules_loaded_timestamp_seconds: IntGauge,
    /// Counts up with every rules table that went live.
    pub rules_generation: IntGauge,
    /// Rejected edits of the rules.
    pub rules_rejected: IntCounter,
    /// 1 while something that should be there is not, by reason.
    pub degraded: IntGaugeVec,
    /// Faults of ours that were caught, by route.
    pub faults: IntCounterVec,
    /// 1 while a route is off because of its faults.
    pub route_tripped: IntGaugeVec,
    /// Limits that were reached, by settings key.
    pub limit_hits: IntCounterVec,
    /// Resident memory.
    pub memory: IntGauge,
    /// The memory there is; 0 = no limit is known.
    pub memory_limit: IntGauge,
    /// Connections of the data port.
    pub connections: IntGauge,
    /// Does the leg's upstream accept connections?
    pub upstream_up: IntGaugeVec,
    /// Requests being served.
    pub in_flight: IntGauge,
    /// Profiles in memory.
    pub profiles: IntGauge,
    /// Products in the catalogue.
    pub products: IntGauge,
    /// Bytes of the profiles, their last events and their index.
    pub profile_bytes: IntGauge,
    /// Profiles that followed an edit of signal weights.
    pub profiles_reweighed: IntCounter,
    /// Files of profiles written or not.
    pub snapshots: IntCounterVec,
    /// When the last one was written.
    pub snapshot_timestamp_seconds: IntGauge,
    /// Rows of traffic that were offered to the event log.
    pub spool_offered: IntCounter,
    /// Rows of the event log that are on the disk.
    pub spool_accepted: IntCounter,
    /// Rows that are not, or no longer, by reason.
    pub spool_dropped: IntCounterVec,
    /// Bytes of rows that some sink does not have yet.
    pub spool_bytes: IntGauge,
    /// How long the oldest of them has waited.
    pub spool_oldest_unsent_seconds: IntGauge,
    /// Time of one write to the disk.
    pub spool_commit_seconds: Histogram,
    /// Rows that a sink has taken.
    pub sink_rows: IntCounterVec,
    /// Rows that a sink does not take.
    pub sink_dead: IntCounterVec,
    /// Batches that a sink could not take now.
    pub sink_failures: IntCounterVec,
}

/// Name, help and labels of each metric, in the order of [`Metrics`].
pub const NAMES: &[(&str, &str, &[&str])] = &[
    ("leafrank_requests_total", "Requests on the data port.", &["status"]),
    ("leafrank_refused_total", "Requests refused by the sidecar.", &["reason"]),
    ("leafrank_untrusted_headers_total", "X-Leafrank headers of strangers.", &["header"]),
    ("leafrank_tokens_total", "Tokens that name a shopper, checked.", &["outcome"]),
    ("leafrank_visit_cookies_total", "Cookies of ours that name a visit.", &["outcome"]),
    ("leafrank_upstream_errors_total", "Requests that the shop did not answer.", &["reason"]),
    ("leafrank_reranked_total", "Searches whose hits were moved.", &["route"]),
    ("leafrank_shadowed_total", "Searches whose hits would have moved.", &["route"]),
    ("leafrank_bypass_total", "Searches answered with the shop's own bytes.", &["route", "reason"]),
    ("leafrank_funnel_total", "Searches that came through a stage.", &["route", "stage"]),
    ("leafrank_clicks_total", "Clicks and product pages.", &["route"]),
    ("leafrank_clicks_joined_total", "Clicks joined to the list they came from.", &["route"]),
    (
        "leafrank_joins_total",
        "Searches behind the shop that name nobody, by how the shopper was found.",
        &["how"],
    ),
    (
        "leafrank_joins_told_total",
        "Searches in front of the shop of which other sidecars are told.",
        &["outcome"],
    ),
    (
        "leafrank_live_dropped_total",
        "Followers of a profile let go because they did not keep up.",
        &[],
    ),
    ("leafrank_upstream_seconds", "Until the head of the shop's reply.", &[]),
    ("leafrank_rank_seconds", "Own computation for one search.", &[]),
    ("leafrank_hold_seconds", "How long a reply was held back.", &[]),
    ("leafrank_hits_moved_total", "Hits that left their position.", &[]),
    ("leafrank_interactions_total", "Interactions accepted.", &["kind"]),
    ("leafrank_interactions_dropped_total", "Interactions not used.", &["reason"]),
    ("leafrank_unheard_total", "Acts that taught their shopper and nobody else.", &["reason"]),
    ("leafrank_signals_total", "Signals learned.", &["kind"]),
    (
        "leafrank_shared_cacheable_total",
        "Search replies that a shared cache may keep and serve to others.",
        &["route"],
    ),
    ("leafrank_build_info", "1, with the version of this program.", &["version"]),
    ("leafrank_rules_info", "1, with the version of the rules in force.", &["version"]),
    ("leafrank_rules_loaded_timestamp_seconds", "When those rules came into force.", &[]),
    ("leafrank_rules_generation", "Rules tables that went live since the start.", &[]),
    ("leafrank_rules_rejected_total", "Edits of the rules that were rejected.", &[]),
    ("leafrank_degraded", "1 while the named part is not as it should be.", &["reason"]),
    ("leafrank_faults_total", "Faults of ours that were caught.", &["route"]),
    ("leafrank_route_tripped", "1 while the route is off because of its faults.", &["route"]),
    ("leafrank_limit_hits_total", "Limits that were reached, by settings key.", &["limit"]),
    ("leafrank_memory_bytes", "Resident memory.", &[]),
    ("leafrank_memory_limit_bytes", "The memory there is; 0 = no limit is known.", &[]),
    ("leafrank_connections", "Connections of the data port.", &[]),
    (
        "leafrank_upstream_up",
        "1 while the leg's upstream accepts connections; always 1 where readiness needs none.",
        &["leg"],
    ),
    ("leafrank_in_flight_requests", "Requests being served.", &[]),
    ("leafrank_profiles", "Profiles in memory.", &[]),
    ("leafrank_products", "Products in the catalogue.", &[]),
    (
        "leafrank_profile_bytes",
        "Bytes of the profiles in memory, with their last events and their index.",
        &[],
    ),
    (
        "leafrank_profiles_reweighed_total",
        "Profiles whose last events were weighed anew after an edit of signal weights.",
        &[],
    ),
    ("leafrank_snapshots_total", "Snapshots of the profiles on disk, by outcome.", &["outcome"]),
    ("leafrank_snapshot_timestamp_seconds", "When the last one was written; 0 = not yet.", &[]),
    ("leafrank_spool_offered_total", "Rows of traffic offered to the event log.", &[]),
    ("leafrank_spool_accepted_total", "Rows of the event log that came onto the disk.", &[]),
    ("leafrank_spool_dropped_total", "Rows that the event log did not keep.", &["reason"]),
    ("leafrank_spool_bytes", "Bytes of rows that some sink does not have yet.", &[]),
    ("leafrank_spool_oldest_unsent_seconds", "How long the oldest of them has waited.", &[]),
    ("leafrank_spool_commit_seconds", "One write of rows to the disk.", &[]),
    ("leafrank_sink_rows_total", "Rows that a sink has taken.", &["sink"]),
    ("leafrank_sink_dead_total", "Rows that a sink does not take.", &["sink"]),
    ("leafrank_sink_failures_total", "Batches that a sink could not take at that time.", &["sink"]),
];

/// Bounds of the time histograms, from 5 µs to 1 s.
const SECONDS: &[f64] = &[
    5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5,
    1.0,
];

struct Builder {
    registry: Registry,
    names: std::slice::Iter<'static, (&'static str, &'static str, &'static [&'static str])>,
}

impl Builder {
    fn next(&mut self) -> (Opts, &'static [&'static str]) {
        let (name, help, labels) =
            self.names.next().copied().unwrap_or(("missing", "missing", &[]));
        (Opts::new(name, help), labels)
    }

    fn counter(&mut self) -> prometheus::Result<IntCounter> {
        let metric = IntCounter::with_opts(self.next().0)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&mut self) -> prometheus::Result<IntCounterVec> {
        let (opts, labels) = self.next();
        let metric = IntCounterVec::new(opts, labels)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&mut self) -> prometheus::Result<IntGauge> {
        let metric = IntGauge::with_opts(self.next().0)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauges(&mut self) -> prometheus::Result<IntGaugeVec> {
        let (opts, labels) = self.next();
        let metric = IntGaugeVec::new(opts, labels)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histogram(&mut self) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts { common_opts: self.next().0, buckets: SECONDS.to_vec() };
        let metric = Histogram::with_opts(opts)?;
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

impl Metrics {
    /// Makes and registers all metrics.
    ///
    /// # Errors
    /// A name or label that Prometheus refuses: a fault of this file, seen at the first start.
    pub fn new() -> prometheus::Result<Self> {
        let mut b = Builder { registry: Registry::new(), names: NAMES.iter() };
        Ok(Self {
            requests: b.counters()?,
            refused: b.counters()?,
            untrusted_headers: b.counters()?,
            tokens: b.counters()?,
            visit_cookies: b.counters()?,
            upstream_errors: b.counters()?,
            reranked: b.counters()?,
            shadowed: b.counters()?,
            bypass: b.counters()?,
            funnel: b.counters()?,
            clicks: b.counters()?,
            clicks_joined: b.counters()?,
            joins: b.counters()?,
            joins_told: b.counters()?,
            live_dropped: b.counter()?,
            upstream_seconds: b.histogram()?,
            rank_seconds: b.histogram()?,
            hold_seconds: b.histogram()?,
            hits_moved: b.counter()?,
            interactions: b.counters()?,
            interactions_dropped: b.counters()?,
            unheard: b.counters()?,
            signals: b.counters()?,
            shared_cacheable: b.counters()?,
            build_info: b.gauges()?,
            rules_info: b.gauges()?,
            rules_loaded_timestamp_seconds: b.gauge()?,
            rules_generation: b.gauge()?,
            rules_rejected: b.counter()?,
            degraded: b.gauges()?,
            faults: b.counters()?,
            route_tripped: b.gauges()?,
            limit_hits: b.counters()?,
            memory: b.gauge()?,
            memory_limit: b.gauge()?,
            connections: b.gauge()?,
            upstream_up: b.gauges()?,
            in_flight: b.gauge()?,
            profiles: b.gauge()?,
            products: b.gauge()?,
            profile_bytes: b.gauge()?,
            profiles_reweighed: b.counter()?,
            snapshots: b.counters()?,
            snapshot_timestamp_seconds: b.gauge()?,
            spool_offered: b.counter()?,
            spool_accepted: b.counter()?,
            spool_dropped: b.counters()?,
            spool_bytes: b.gauge()?,
            spool_oldest_unsent_seconds: b.gauge()?,
            spool_commit_seconds: b.histogram()?,
            sink_rows: b.counters()?,
            sink_dead: b.counters()?,
            sink_failures: b.counters()?,
            registry: b.registry,
        })
    }

    /// A counter's values by the labels of each.
    pub fn counts(counters: &IntCounterVec) -> Vec<(BTreeMap<String, String>, u64)> {
        let families = counters.collect();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        let one = |metric: &prometheus::proto::Metric| {
            let labels = metric.get_label().iter();
            let labels = labels.map(|label| (label.name().to_owned(), label.value().to_owned()));
            (labels.collect(), metric.get_counter().get_value() as u64)
        };
        metrics.map(one).collect()
    }

    /// All metrics in Prometheus' text format.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 * 1024);
        // Writing to memory cannot fail; a family that cannot be encoded is left out.
        drop(TextEncoder::new().encode(&self.registry.gather(), &mut out));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_registered_once_under_its_own_help() {
        let metrics = Metrics::new().unwrap();
        metrics.rules_generation.set(3);
        metrics.bypass.with_label_values(&["search", "no_evidence"]).inc();
        let text = String::from_utf8(metrics.text()).unwrap();
        assert!(text.contains("leafrank_rules_generation 3"));
        assert!(text.contains("leafrank_bypass_total{reason=\"no_evidence\",route=\"search\"} 1"));
        for (name, help, _) in NAMES.iter().filter(|(_, _, labels)| labels.is_empty()) {
            assert!(text.contains(&format!("# HELP {name} {help}")), "{name}");
        }
    }
}
