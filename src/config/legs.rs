//! Whom we stand before: the shop, the two ports of a Weaviate, or all three.
//!
//! In: [`Settings`]. Out: its legs, each with the addresses where its clients come in and the one
//! upstream that answers them. What is said of a leg in logs, metrics and faults is said here.

use std::net::SocketAddr;

use super::{ListenAddress, Settings, Upstream};

/// One of the ways through the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegName {
    /// Before the shop.
    Shop,
    /// Before a Weaviate's REST and GraphQL.
    WeaviateHttp,
    /// Before its gRPC.
    WeaviateGrpc,
}

impl LegName {
    /// Its label in metrics, and its name in `/status`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::WeaviateHttp => "weaviate_http",
            Self::WeaviateGrpc => "weaviate_grpc",
        }
    }

    /// What people call its upstream.
    pub fn upstream(self) -> &'static str {
        match self {
            Self::Shop => "the shop",
            Self::WeaviateHttp => "Weaviate's HTTP port",
            Self::WeaviateGrpc => "Weaviate's gRPC port",
        }
    }

    /// The setting that says where its clients come in.
    pub fn listen_key(self) -> &'static str {
        match self {
            Self::Shop => "listen.data",
            Self::WeaviateHttp => "weaviate.http",
            Self::WeaviateGrpc => "weaviate.grpc",
        }
    }

    /// The setting that says where its upstream is.
    pub fn address_key(self) -> &'static str {
        match self {
            Self::Shop => "upstream.addresses",
            Self::WeaviateHttp => "weaviate.url",
            Self::WeaviateGrpc => "weaviate.grpc_url",
        }
    }

    /// The settings of its TLS: its roots, and the name expected in the certificate.
    pub fn tls_keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Shop => ("upstream.tls.ca", "upstream.tls.server_name"),
            leg => ("weaviate.ca", leg.address_key()),
        }
    }
}

/// A Weaviate and where its clients find us instead.
#[derive(Clone, Debug)]
pub struct Weaviate {
    /// REST and GraphQL.
    pub http: Entrance,
    /// gRPC. Clients refuse one port for both.
    pub grpc: Entrance,
}

/// One port of a Weaviate.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// Where its clients come in.
    pub listen: SocketAddr,
    /// The port itself.
    pub upstream: Upstream,
}

/// One way through the process.
#[derive(Clone, Debug)]
pub struct Leg<'s> {
    /// Where its clients come in.
    pub listen: Vec<ListenAddress>,
    /// Who answers them.
    pub upstream: &'s Upstream,
}

impl Settings {
    /// All legs; there is at least one.
    pub fn legs(&self) -> Vec<Leg<'_>> {
        let shop = self.upstream.iter();
        let shop = shop.map(|upstream| Leg { listen: self.listen.data.clone(), upstream });
        let weaviate = self.weaviate.iter().flat_map(|weaviate| [&weaviate.http, &weaviate.grpc]);
        let weaviate = weaviate.map(|entrance| Leg {
            listen: vec![ListenAddress::Tcp(entrance.listen)],
            upstream: &entrance.upstream,
        });
        shop.chain(weaviate).collect()
    }
}
