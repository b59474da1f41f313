//! The section `weaviate` → [`Weaviate`]: two listeners, and two upstreams of which the second
//! follows from the first.
//!
//! Where gRPC is follows the rule of Weaviate's own clients (`connect_to_weaviate_cloud` and
//! `connect_to_local` in `weaviate/connect/helpers.py` of weaviate-python-client):
//!
//! | `url` | gRPC |
//! |---|---|
//! | `https://ID.weaviate.network` | `https://ID.grpc.weaviate.network` |
//! | `https://HOST`, any other | `https://grpc-HOST` |
//! | `http://HOST:PORT` | `http://HOST:50051` |
//!
//! A URL may hold a secret where a user stands: faults do not repeat such a URL.

use std::net::IpAddr;
use std::time::Duration;

use super::build::{Files, size};
use super::legs::{Entrance, LegName, Weaviate};
use super::raw::RawSettings;
use super::words::socket_address;
use super::{ClientTls, Upstream, UpstreamAddress, UpstreamProtocol, preset};
use crate::yaml::{Check, Fault, Node, Path, printable};

/// The preset of Weaviate's routes.
const PRESET: &str = "weaviate";
/// The shop's setting that, when nobody wrote it, means that there is no shop.
const SHOP: &str = "upstream.addresses";
const HTTPS_PORT: u16 = 443;
const GRPC_PORT: u16 = 50_051;

/// Is there a shop? Not where only a Weaviate was named.
pub(super) fn has_shop(raw: &RawSettings, tree: &Node) -> bool {
    raw.weaviate.url.is_none() || tree.at(&Path::of(SHOP)).is_some()
}

/// The presets where nobody listed any: Weaviate's with a Weaviate, the shop's with a shop.
pub(super) fn add_preset(raw: &mut RawSettings, tree: &Node) {
    if raw.weaviate.url.is_none() || tree.at(&Path::of("presets")).is_some() {
        return;
    }
    if !has_shop(raw, tree) {
        raw.presets.clear();
    }
    if preset::PRESETS.iter().any(|preset| preset.name == PRESET) {
        raw.presets.push(PRESET.to_owned());
    }
}

/// The Weaviate, if one is named; what is wrong with it is noted.
pub(super) fn weaviate(
    raw: &RawSettings,
    files: &Files<'_>,
    check: &mut Check<'_>,
) -> Option<Weaviate> {
    let key = Path::of("weaviate");
    let own = &raw.weaviate;
    let mut listen = |name: &str, text| check.take(&key.key(name), socket_address(text));
    let listen = (listen("http", &own.http), listen("grpc", &own.grpc));
    let url = own.url.as_deref()?;
    let http = check.take(&key.key("url"), Url::parse(url, 80))?;
    let grpc = match own.grpc_url.as_deref() {
        Some(url) => Url::parse(url, GRPC_PORT),
        None => http.grpc(),
    };
    let grpc = check.take(&key.key("grpc_url"), grpc)?;
    if own.ca.is_some() && !http.tls && !grpc.tls {
        check.fault(&key.key("ca"), Fault::new("a ca beside http", "https, or ca: null"));
    }
    let upstream = |leg, url| upstream(raw, files, leg, url);
    Some(Weaviate {
        http: Entrance { listen: listen.0?, upstream: upstream(LegName::WeaviateHttp, http) },
        grpc: Entrance { listen: listen.1?, upstream: upstream(LegName::WeaviateGrpc, grpc) },
    })
}

fn upstream(raw: &RawSettings, files: &Files<'_>, leg: LegName, url: Url) -> Upstream {
    let own = &raw.weaviate;
    Upstream {
        leg,
        // Weaviate Cloud finds the cluster by its name.
        authority: url.tls.then(|| url.authority()),
        tls: url.tls.then(|| ClientTls {
            server_name: url.host.clone(),
            ca: own.ca.as_deref().map(|path| files.path(path)),
        }),
        protocol: match leg {
            LegName::WeaviateGrpc => UpstreamProtocol::Http2,
            LegName::WeaviateHttp | LegName::Shop => UpstreamProtocol::Http1,
        },
        connect_timeout: Duration::from_millis(own.connect_timeout_ms),
        response_timeout: Duration::from_millis(own.response_timeout_ms),
        idle_timeout: Duration::from_millis(own.idle_timeout_ms),
        idle_connections_max: size(raw.upstream.idle_connections_max),
        // There is no second address to turn to.
        health_interval: Duration::ZERO,
        silence: Duration::from_secs(raw.limits.reply_silence_seconds),
        addresses: vec![UpstreamAddress::Tcp { host: url.host, port: url.port }],
    }
}

/// Where one port of a Weaviate is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    tls: bool,
    host: String,
    port: u16,
}

impl Url {
    /// Reads `https://host[:port]`, `http://host[:port]`, or a name alone, which is https.
    fn parse(text: &str, plain_port: u16) -> Result<Self, Fault> {
        const EXPECTED: &str = "https://my-cluster.weaviate.cloud or http://host:port";
        let text = text.trim();
        if text.contains('@') {
            return Err(Fault::new("a URL with a user in it", EXPECTED));
        }
        if text.contains(['?', '#']) {
            return Err(Fault::new("a URL with a query", EXPECTED));
        }
        let fault = || Fault::new(format!("found \"{}\"", printable(text)), EXPECTED);
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return Err(fault()),
            None => (true, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return Err(Fault::new(
                format!("found \"{}\"", printable(text)),
                format!("{EXPECTED}, without a path"),
            ));
        }
        // The default port must be known before the text is read; `host:port` needs no other.
        let port = if tls { HTTPS_PORT } else { plain_port };
        let whole = if has_port(rest) { rest.to_owned() } else { format!("{rest}:{port}") };
        let Ok((UpstreamAddress::Tcp { host, port }, None)) = UpstreamAddress::parse(&whole) else {
            return Err(fault());
        };
        let url = Self { tls, host: host.to_ascii_lowercase(), port };
        if !text.contains("://") && url.port != HTTPS_PORT {
            // A console shows names alone; a name and a port may as well be a port without TLS.
            return Err(fault().suggest(format!("http://{}", printable(rest))));
        }
        if !url.tls && url.is_cloud() {
            return Err(fault().suggest(format!("https://{}", url.host)));
        }
        Ok(url)
    }

    /// Weaviate Cloud takes nothing without TLS, and its keys must not go out without it.
    fn is_cloud(&self) -> bool {
        [".weaviate.cloud", ".weaviate.network"].iter().any(|end| self.host.ends_with(end))
    }

    /// Where gRPC is, by the table above.
    fn grpc(&self) -> Result<Self, Fault> {
        if !self.tls {
            return Ok(Self { tls: false, host: self.host.clone(), port: GRPC_PORT });
        }
        let labels = self.host.split_once('.').filter(|_| self.host.parse::<IpAddr>().is_err());
        let Some((id, domain)) = labels.filter(|_| self.port == HTTPS_PORT) else {
            let expected = format!(
                "the URL of its gRPC port: it does not follow from https://{}",
                self.authority()
            );
            return Err(Fault::new("missing key", expected));
        };
        let host = match self.host.ends_with(".weaviate.network") {
            true => format!("{id}.grpc.{domain}"),
            false => format!("grpc-{}", self.host),
        };
        Ok(Self { tls: true, host, port: HTTPS_PORT })
    }

    /// As a client that asks this URL writes `Host`.
    fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        let usual = if self.tls { HTTPS_PORT } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

/// Does `host:port` or `[v6]:port` say a port?
fn has_port(text: &str) -> bool {
    text.rsplit_once(']').map_or(text, |(_, after)| after).contains(':')
}

#[cfg(test)]
mod tests;
