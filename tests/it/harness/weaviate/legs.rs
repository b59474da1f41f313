//! One sidecar before a shop and both ports of a Weaviate, and what stands between it and them: a
//! relay that speaks TLS, or gives a port another address.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::http2;
use super::super::shopper::eventually;
use super::super::sidecar::{Builder, Sidecar, free_ports};

/// A process with three listeners.
pub struct Legs {
    pub sidecar: Sidecar,
    /// Where clients of Weaviate's HTTP come in.
    pub http: SocketAddr,
    /// And those of its gRPC.
    pub grpc: SocketAddr,
}

impl Legs {
    /// Starts `builder` with `weaviate` as keys of that section, and waits for every listener.
    pub async fn start(builder: Builder, weaviate: &str) -> Self {
        let [http, grpc] = free_ports();
        let section = format!("weaviate: {{http: '{http}', grpc: '{grpc}', {weaviate}}}");
        let sidecar = builder.settings(&section).start().await;
        for port in [http, grpc] {
            eventually("it listens", async || TcpStream::connect(port).await.is_ok()).await;
        }
        Self { sidecar, http, grpc }
    }

    /// Before the shop and both ports of a Weaviate, without TLS.
    pub async fn before(shop: SocketAddr, http: SocketAddr, grpc: SocketAddr) -> Self {
        let weaviate = format!("url: 'http://{http}', grpc_url: 'http://{grpc}'");
        let asks_nobody = "mode: on\nhealth: {ready_needs_upstream: false}";
        Self::start(Sidecar::before(shop).settings(asks_nobody), &weaviate).await
    }

    /// A connection for gRPC calls.
    pub async fn channel(&self) -> SendRequest<Bytes> {
        http2::connect(self.grpc).await
    }
}

/// Passes every connection to `at` on to `to`, its TLS taken off where there is an acceptor.
/// Returns where it listens.
pub async fn relay(at: &str, acceptor: Option<TlsAcceptor>, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(at).await.expect("an address for the relay");
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => pass(stream, to).await,
                    // One that says nothing only asks whether somebody is there.
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            pass(stream, to).await;
                        }
                    }
                }
            });
        }
    });
    address
}

async fn pass(mut stream: impl AsyncRead + AsyncWrite + Unpin, to: SocketAddr) {
    if let Ok(mut other) = TcpStream::connect(to).await {
        // Either side may end it in any way.
        drop(tokio::io::copy_bidirectional(&mut stream, &mut other).await);
    }
}
