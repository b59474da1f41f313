//! Opens one connection to one address of the shop: TCP or unix socket, TLS by rustls on top.
//!
//! In: an address and the settings. Out: a byte stream that hyper can use. Never retries, never
//! chooses among addresses, never outlives `connect_timeout`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::config::{ClientTls, LegName, UpstreamAddress};

/// A byte stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection to the shop.
pub struct ShopStream(Box<dyn Stream>);

/// How connections are opened.
#[derive(Clone)]
pub struct Connect {
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

/// Why TLS towards the shop cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The roots file cannot be read or holds no certificate.
    #[error("{key}: {path}: {reason}")]
    Roots {
        /// The setting.
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server name is not a host name or address.
    #[error("{key}: {name:?} is not a host name or an address")]
    Name {
        /// The setting.
        key: &'static str,
        /// What it says.
        name: String,
    },
    /// rustls refuses the configuration.
    #[error("TLS: {0}")]
    Config(#[from] tokio_rustls::rustls::Error),
}

impl Connect {
    /// Prepares TLS, if any.
    ///
    /// # Errors
    /// A roots file that cannot be used, or a server name that is none.
    pub fn new(
        tls: Option<&ClientTls>,
        leg: LegName,
        http2: bool,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        Ok(Self { tls: tls.map(|tls| connector(tls, leg, http2)).transpose()?, timeout })
    }

    /// Opens a connection to `address`.
    ///
    /// # Errors
    /// The socket's own error, or `TimedOut`.
    pub async fn open(&self, address: &UpstreamAddress) -> io::Result<ShopStream> {
        match tokio::time::timeout(self.timeout, self.open_unbounded(address)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "connect_timeout_ms spent")),
        }
    }

    async fn open_unbounded(&self, address: &UpstreamAddress) -> io::Result<ShopStream> {
        match address {
            UpstreamAddress::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                self.secure(stream).await
            }
            UpstreamAddress::Unix(path) => self.secure(UnixStream::connect(path).await?).await,
        }
    }

    async fn secure(&self, stream: impl Stream + 'static) -> io::Result<ShopStream> {
        match &self.tls {
            None => Ok(ShopStream(Box::new(stream))),
            Some((connector, name)) => {
                Ok(ShopStream(Box::new(connector.connect(name.clone(), stream).await?)))
            }
        }
    }
}

fn connector(
    tls: &ClientTls,
    leg: LegName,
    http2: bool,
) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let (ca_key, name_key) = leg.tls_keys();
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let fault = |reason: String| TlsError::Roots {
                key: ca_key,
                path: path.display().to_string(),
                reason,
            };
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| fault(error.to_string()))?;
                roots.add(certificate).map_err(|error| fault(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(fault("holds no certificate".into()));
            }
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let name = ServerName::try_from(tls.server_name.clone())
        .map_err(|_| TlsError::Name { key: name_key, name: tls.server_name.clone() })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

impl AsyncRead for ShopStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for ShopStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

impl Connection for ShopStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
