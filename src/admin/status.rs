//! `GET /status`: what the sidecar does, route by route, and where most is lost.
//!
//! In: the counters of this process since its start. Out: JSON, made for `leafrank status` and for
//! people with `curl`. Names no shopper and no query.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::RulesInForce;
use super::{Admin, rules_of};
use crate::client::reach::Reach;
use crate::config::Mode;
use crate::personalize::RouteStatus;
use crate::personalize::fail_open::FailOpen;
use crate::personalize::funnel::{Stage, biggest_leak};
use crate::telemetry::metrics::Metrics;

/// The whole of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Of this program.
    pub version: String,
    /// False while draining.
    pub ready: bool,
    /// Does whoever readiness needs accept connections: the shop, or without one Weaviate?
    pub shop_up: bool,
    /// Who accepts connections, by leg: `shop`, `weaviate_http`, `weaviate_grpc`.
    pub upstreams: BTreeMap<String, bool>,
    /// Requests being served.
    pub in_flight: usize,
    /// The rules in force, as `GET /rules` tells them.
    #[schemars(with = "RulesInForce")]
    pub rules: serde_json::Value,
    /// Search routes, in the order of the settings.
    pub routes: Vec<Route>,
    /// Where clicks were seen, and how many a list explains.
    pub clicks: Vec<Clicks>,
    /// The name of the route whose leak is the biggest.
    pub biggest_leak: Option<String>,
}

/// One search route.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SearchRoute")]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Its own faults switched it off.
    pub tripped: bool,
    /// Searches by stage, in order.
    pub funnel: Vec<(String, u64)>,
    /// Searches that went out in the shop's order, by reason.
    pub bypass: BTreeMap<String, u64>,
    /// Where most of its searches are lost.
    pub leak: Option<Leak>,
}

/// A loss between two stages.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Leak {
    /// The stage that was not reached.
    pub before: String,
    /// Searches lost there.
    pub lost: u64,
    /// Searches that came so far.
    pub of: u64,
    /// The commonest reason of those that are told, if one was.
    pub reason: Option<String>,
    /// The setting that mends it.
    pub setting: String,
    /// What to do.
    pub advice: String,
}

/// Clicks of one route.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Clicks {
    /// Its name; `track_api` for our own.
    pub route: String,
    /// Clicks and product pages.
    pub clicks: u64,
    /// Those of a product that stood in a list of this shopper's.
    pub joined: u64,
}

pub(super) async fn status(State(admin): State<Admin>) -> Json<Status> {
    let mut bypass = by_route(&admin);
    let routes = admin.personalizer.routes().into_iter().map(|route| {
        let reasons = bypass.remove(&route.name).unwrap_or_default();
        route_of(route, reasons)
    });
    let routes: Vec<Route> = routes.collect();
    let leaking = routes.iter().filter_map(|route| Some((route.leak.as_ref()?.lost, &route.name)));
    let biggest_leak = leaking.max_by_key(|(lost, _)| *lost).map(|(_, name)| name.clone());
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: admin.lifecycle.is_ready(),
        shop_up: admin.reaches.missing().is_none(),
        upstreams: admin.reaches.iter().map(up).collect(),
        in_flight: admin.lifecycle.in_flight(),
        rules: serde_json::to_value(rules_of(&admin)).unwrap_or_default(),
        clicks: clicks(&admin),
        biggest_leak,
        routes,
    })
}

fn up(reach: &Reach) -> (String, bool) {
    (reach.leg().label().to_owned(), reach.is_up())
}

fn by_route(admin: &Admin) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut routes: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for (mut labels, count) in Metrics::counts(&admin.metrics.bypass) {
        let (Some(route), Some(reason)) = (labels.remove("route"), labels.remove("reason")) else {
            continue;
        };
        routes.entry(route).or_default().insert(reason, count);
    }
    routes
}

fn route_of(route: RouteStatus, bypass: BTreeMap<String, u64>) -> Route {
    let leak = biggest_leak(&route.funnel).map(|(stage, lost)| leak(stage, lost, &route, &bypass));
    let named = Stage::ALL.iter().map(|stage| stage.name().to_owned());
    let RouteStatus { name, mode, tripped, .. } = route;
    Route { funnel: named.zip(route.funnel).collect(), name, mode, tripped, bypass, leak }
}

fn leak(stage: Stage, lost: u64, route: &RouteStatus, bypass: &BTreeMap<String, u64>) -> Leak {
    let reasons = bypass.iter().filter_map(|(label, count)| Some((FailOpen::parse(label)?, count)));
    let reason = reasons
        .filter(|(reason, _)| reason.lost_at() == Some(stage))
        .max_by_key(|(_, count)| **count)
        .map(|(reason, _)| reason);
    let (setting, advice) = stage.mended_by();
    Leak {
        before: stage.name().to_owned(),
        lost,
        of: route.funnel[(stage as usize).saturating_sub(1)],
        reason: reason.map(|reason| reason.label().to_owned()),
        setting: reason.and_then(FailOpen::decided_by).unwrap_or(setting).to_owned(),
        advice: advice.to_owned(),
    }
}

fn clicks(admin: &Admin) -> Vec<Clicks> {
    let joined = Metrics::counts(&admin.metrics.clicks_joined);
    let all = Metrics::counts(&admin.metrics.clicks);
    let one = |(labels, clicks): (BTreeMap<String, String>, u64)| {
        let joined = joined.iter().find(|(other, _)| *other == labels).map_or(0, |(_, n)| *n);
        Some(Clicks { route: labels.get("route")?.clone(), clicks, joined })
    };
    all.into_iter().filter_map(one).collect()
}
