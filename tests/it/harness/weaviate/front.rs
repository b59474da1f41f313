//! The sidecar in front of both ports of a Weaviate: one process before each.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;

use super::super::http2;
use super::super::sidecar::Sidecar;

/// Two sidecars, as two listeners would stand there.
pub struct Front {
    pub http: Sidecar,
    pub grpc: Sidecar,
}

impl Front {
    /// Before the HTTP and the gRPC port, with `settings` for both.
    pub async fn before(http: SocketAddr, grpc: SocketAddr, settings: &str) -> Self {
        let one = |upstream: SocketAddr| {
            Sidecar::before(upstream).upstream("protocol: auto").settings(settings).start()
        };
        let (http, grpc) = tokio::join!(one(http), one(grpc));
        Self { http, grpc }
    }

    /// A connection for gRPC calls.
    pub async fn channel(&self) -> SendRequest<Bytes> {
        http2::connect(self.grpc.data).await
    }
}
