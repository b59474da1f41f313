//! The shop as one service: pingora's load balancing chooses the address, hyper carries the request.
//!
//! In: a request whose headers are already in order. Out: the shop's reply, streaming. Every worker
//! thread has pools of its own, so that a request never leaves its core. HTTP/1.1 goes through
//! hyper-util's pooled client; HTTP/2 through one multiplexed connection an address and worker,
//! because the pooled client would put its pool key into `:authority`.
//!
//! A request marked [`Repeat::Once`] is sent a second time, by a new connection, when its own died
//! before a reply began: one that the shop closed in our face. Where an address cannot even be
//! connected to, the next one is asked. Nothing else is retried.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::net::ToSocketAddrs;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pingora::lb::health_check::TcpHealthCheck;
use pingora::lb::selection::RoundRobin;
use pingora::lb::{Backend, Backends, LoadBalancer, discovery};
use pingora::protocols::l4::socket::SocketAddr as LbAddress;

use super::connect::{Connect, ShopStream, TlsError};
use crate::config::{LegName, Upstream, UpstreamAddress, UpstreamProtocol};

/// May a request be sent twice?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Never: it may change something.
    Never,
    /// Once more, if its connection died before a reply began.
    Once,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// No connection could be opened.
    #[error("the shop cannot be reached: {0}")]
    Unreachable(#[source] BoxError),
    /// The connection ended before a reply began.
    #[error("the shop hung up before it answered: {0}")]
    HungUp(#[source] BoxError),
    /// `response_timeout_ms` ended before a reply began.
    #[error("the shop did not answer in time")]
    TimedOut,
}

/// Any error, boxed, as hyper's bodies want it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body that may be sent to the shop.
pub trait ShopBody:
    http_body::Body<Data = bytes::Bytes, Error = BoxError> + Send + Unpin + 'static
{
    /// The same body again, if it is wholly in memory.
    fn again(&self) -> Option<Self>
    where
        Self: Sized;
}

/// The shop.
pub struct Shop<B> {
    id: u64,
    addresses: Arc<[Address]>,
    balancer: Arc<LoadBalancer<RoundRobin>>,
    next: AtomicUsize,
    connect: [Connect; 2],
    authority: Option<HeaderValue>,
    settings: Upstream,
    body: std::marker::PhantomData<fn(B)>,
}

struct Address {
    address: UpstreamAddress,
    authority: Authority,
    /// What hyper's pool knows it by. Short, for it is hashed letter by letter several times a request.
    key: Authority,
    balanced: LbAddress,
}

/// What the shop may send ahead on one HTTP/2 stream: bounds memory, and fills a fast network.
const H2_STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// On all streams together: no bound, for the streams' own windows are. h2 measures by it how many
/// small frames a peer may send ahead of a slow reader before it calls that an attack and ends the
/// connection with every call on it; the shop is no attacker.
const H2_CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// Bytes asked of the kernel at once. The engine asks for 8 KB, which for a long reply is a call, and
/// often an acknowledgement, for each half of a frame.
const H2_READ_BYTES: usize = 64 * 1024;

/// How long the shop may take to answer a ping: gRPC's own default.
const PING_PATIENCE: Duration = Duration::from_secs(20);

/// Is a body with these headers gRPC's? What browsers send (`application/grpc-web`) is not: it needs
/// no HTTP/2, and servers take it where they take HTTP/1.1.
pub fn speaks_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    let rest = kind.and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Which HTTP/1.1 connections may carry a request.
#[derive(Clone, Copy)]
enum Pool {
    Kept,
    Fresh,
}

/// What one worker thread holds for one shop.
struct Pools<B> {
    http1: Client<Connector, B>,
    /// Opens a connection for each request: what is sent again must not meet a second dead one.
    fresh: Client<Connector, B>,
    http2: HashMap<usize, Multiplexed<B>>,
}

/// The HTTP/2 connection to one address. Locked while it is opened, so that requests that come
/// meanwhile share it.
type Multiplexed<B> = Arc<tokio::sync::Mutex<Option<http2::SendRequest<B>>>>;

thread_local! {
    /// By the shop's id; a worker has the one of its leg, and a test a few.
    static POOLS: RefCell<Vec<(u64, Box<dyn std::any::Any>)>> = const { RefCell::new(Vec::new()) };
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl<B: ShopBody> Shop<B> {
    /// Resolves the addresses and prepares health checks and TLS.
    ///
    /// # Errors
    /// An address that does not resolve, or TLS that cannot be set up.
    pub fn new(settings: &Upstream) -> Result<Self, ShopSetupError> {
        let addresses = settings
            .addresses
            .iter()
            .enumerate()
            .map(|(index, address)| prepare(settings.leg, index, address))
            .collect::<Result<Arc<[Address]>, _>>()?;
        let backends = addresses
            .iter()
            .map(|a| Backend { addr: a.balanced.clone(), weight: 1, ext: http::Extensions::new() })
            .collect();
        let mut backends = Backends::new(discovery::Static::new(backends));
        // A single address has no alternative: marking it ill could only refuse requests.
        let checked = addresses.len() > 1 && !settings.health_interval.is_zero();
        if checked {
            backends.set_health_check(TcpHealthCheck::new());
        }
        let mut balancer = LoadBalancer::from_backends(backends);
        balancer.health_check_frequency = checked.then_some(settings.health_interval);
        let tls = settings.tls.as_ref();
        let connect = [
            Connect::new(tls, settings.leg, false, settings.connect_timeout)?,
            Connect::new(tls, settings.leg, true, settings.connect_timeout)?,
        ];
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            addresses,
            balancer: Arc::new(balancer),
            next: AtomicUsize::new(0),
            connect,
            authority: settings.authority.as_deref().and_then(|name| name.parse().ok()),
            settings: settings.clone(),
            body: std::marker::PhantomData,
        })
    }

    /// The balancer, to be run as a background service: it checks the addresses' health.
    pub fn balancer(&self) -> Arc<LoadBalancer<RoundRobin>> {
        self.balancer.clone()
    }

    /// What goes out as `Host`, if the client's own must not stay: what the settings say, else the name
    /// and port of the first address where the client said none.
    pub fn host(&self, client_names_one: bool) -> Option<HeaderValue> {
        match &self.authority {
            Some(authority) => Some(authority.clone()),
            None if client_names_one => None,
            None => HeaderValue::from_str(&self.first_authority()).ok(),
        }
    }

    fn first_authority(&self) -> String {
        match self.addresses.first().map(|a| &a.address) {
            Some(UpstreamAddress::Tcp { host, port }) => format!("{host}:{port}"),
            Some(UpstreamAddress::Unix(_)) | None => "localhost".into(),
        }
    }

    /// Sends a request, whose URI needs only a path, and waits for the reply's head.
    ///
    /// # Errors
    /// See [`ShopError`]; an error of the request's own body arrives as [`ShopError::HungUp`].
    pub async fn send(
        &self,
        head: Box<Parts>,
        body: B,
        repeat: Repeat,
    ) -> Result<Response<Incoming>, ShopError> {
        let http2 = self.wants_http2(&head.headers);
        let elsewhere = self.addresses.len() > 1;
        let spare = (repeat == Repeat::Once || elsewhere).then(|| copy(&head, &body)).flatten();
        let request = (head, body);
        // Pinned here, so that the timer takes a reference and not all of it.
        let attempt = std::pin::pin!(async {
            match (self.send_once(request, http2, Pool::Kept).await, spare) {
                (Err(ShopError::HungUp(_)), Some(spare)) if repeat == Repeat::Once => {
                    Box::pin(self.send_once(spare, http2, Pool::Fresh)).await
                }
                // Nothing was sent: the next address may be asked whatever the request does.
                (Err(ShopError::Unreachable(_)), Some(spare)) if elsewhere => {
                    Box::pin(self.send_once(spare, http2, Pool::Fresh)).await
                }
                (outcome, _) => outcome,
            }
        });
        match tokio::time::timeout(self.settings.response_timeout, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ShopError::TimedOut),
        }
    }

    fn wants_http2(&self, headers: &HeaderMap) -> bool {
        match self.settings.protocol {
            UpstreamProtocol::Http1 => false,
            UpstreamProtocol::Http2 => true,
            UpstreamProtocol::Auto => speaks_grpc(headers),
        }
    }

    async fn send_once(
        &self,
        request: (Box<Parts>, B),
        http2: bool,
        pool: Pool,
    ) -> Result<Response<Incoming>, ShopError> {
        let index = self.choose();
        if http2 {
            // The rarer way on the heap: the future of every request would be as large as it.
            Box::pin(self.send_http2(request, index)).await
        } else {
            self.send_http1(request, index, pool).await
        }
    }

    /// The next healthy address; any address when none is healthy, for refusing is worse.
    fn choose(&self) -> usize {
        if self.addresses.len() == 1 {
            return 0;
        }
        let healthy = self.balancer.select(b"", 256);
        healthy
            .and_then(|backend| self.addresses.iter().position(|a| a.balanced == backend.addr))
            .unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len())
    }

    async fn send_http1(
        &self,
        (mut head, body): (Box<Parts>, B),
        index: usize,
        pool: Pool,
    ) -> Result<Response<Incoming>, ShopError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.addresses[index].key.clone());
        parts.path_and_query = Some(path_of(&head.uri));
        head.uri = Uri::from_parts(parts).map_err(|error| ShopError::HungUp(error.into()))?;
        head.version = http::Version::HTTP_11;
        let request = Request::from_parts(*head, body);
        let asked = self.with_pools(|pools| match pool {
            Pool::Kept => pools.http1.request(request),
            Pool::Fresh => pools.fresh.request(request),
        });
        asked.await.map_err(|error| {
            if error.is_connect() {
                ShopError::Unreachable(error.into())
            } else {
                ShopError::HungUp(error.into())
            }
        })
    }

    async fn send_http2(
        &self,
        (head, body): (Box<Parts>, B),
        index: usize,
    ) -> Result<Response<Incoming>, ShopError> {
        let mut request = Request::from_parts(*head, body);
        let authority = request
            .headers_mut()
            .remove(http::header::HOST)
            .and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(if self.settings.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority =
            Some(authority.unwrap_or_else(|| self.addresses[index].authority.clone()));
        parts.path_and_query = Some(path_of(request.uri()));
        *request.uri_mut() =
            Uri::from_parts(parts).map_err(|error| ShopError::HungUp(error.into()))?;
        *request.version_mut() = http::Version::HTTP_2;
        let mut sender = self.http2_sender(index).await?;
        sender.send_request(request).await.map_err(|error| ShopError::HungUp(error.into()))
    }

    async fn http2_sender(&self, index: usize) -> Result<http2::SendRequest<B>, ShopError> {
        let pooled = self.with_pools(|pools| pools.http2.entry(index).or_default().clone());
        let mut pooled = pooled.lock().await;
        if let Some(sender) = pooled.as_mut()
            && sender.ready().await.is_ok()
        {
            return Ok(sender.clone());
        }
        let io = self.connect[1]
            .open(&self.addresses[index].address)
            .await
            .map_err(|error| ShopError::Unreachable(error.into()))?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(Some(self.settings.silence).filter(|silence| !silence.is_zero()))
            .keep_alive_timeout(PING_PATIENCE)
            .handshake(TokioIo::new(tokio::io::BufReader::with_capacity(H2_READ_BYTES, io)))
            .await
            .map_err(|error| ShopError::Unreachable(error.into()))?;
        // The connection's own errors reach each of its requests; there is nothing to add here.
        tokio::spawn(async move { drop(connection.await) });
        *pooled = Some(sender.clone());
        Ok(sender)
    }

    fn with_pools<T>(&self, work: impl FnOnce(&mut Pools<B>) -> T) -> T {
        POOLS.with_borrow_mut(|all| {
            let place = all.iter().position(|(id, _)| *id == self.id).unwrap_or_else(|| {
                all.push((self.id, Box::new(self.new_pools())));
                all.len() - 1
            });
            match all[place].1.downcast_mut::<Pools<B>>() {
                Some(pools) => work(pools),
                // An id is given to one shop only, so its entry has that shop's type.
                None => work(&mut self.new_pools()),
            }
        })
    }

    fn new_pools(&self) -> Pools<B> {
        let connector =
            Connector { connect: self.connect[0].clone(), addresses: self.addresses.clone() };
        let client = |idle_max: usize| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(self.settings.idle_timeout)
                .pool_max_idle_per_host(idle_max)
                .set_host(false)
                .build(connector.clone())
        };
        let http1 = client(self.settings.idle_connections_max);
        Pools { http1, fresh: client(0), http2: HashMap::new() }
    }
}

/// Why the shop cannot be set up from its settings.
#[derive(Debug, thiserror::Error)]
pub enum ShopSetupError {
    /// A host name without an address.
    #[error("{key}: {address}: {reason}")]
    Resolve {
        /// The setting.
        key: &'static str,
        /// As in the settings.
        address: String,
        /// What the resolver said.
        reason: String,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

fn prepare(
    leg: LegName,
    index: usize,
    address: &UpstreamAddress,
) -> Result<Address, ShopSetupError> {
    let key = leg.address_key();
    let fault = |address: String, reason: String| ShopSetupError::Resolve { key, address, reason };
    let balanced = match address {
        // Nothing is chosen where there is one address; and a Weaviate whose name cannot be resolved at
        // the start must not keep the shop from being served.
        UpstreamAddress::Tcp { port, .. } if leg != LegName::Shop => {
            LbAddress::Inet((std::net::Ipv4Addr::UNSPECIFIED, *port).into())
        }
        UpstreamAddress::Tcp { host, port } => {
            let name = format!("{host}:{port}");
            let resolved = (host.as_str(), *port)
                .to_socket_addrs()
                .map_err(|error| fault(name.clone(), error.to_string()))?
                .next()
                .ok_or_else(|| fault(name, "the name has no address".into()))?;
            LbAddress::Inet(resolved)
        }
        UpstreamAddress::Unix(path) => {
            let name = path.display().to_string();
            let socket = std::os::unix::net::SocketAddr::from_pathname(path)
                .map_err(|error| fault(name, error.to_string()))?;
            LbAddress::Unix(socket)
        }
    };
    let named = |name: String| {
        Authority::try_from(name).map_err(|error| fault(index.to_string(), error.to_string()))
    };
    let (authority, key) = (named(format!("shop-{index}"))?, named(index.to_string())?);
    Ok(Address { address: address.clone(), authority, key, balanced })
}

fn path_of(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

fn copy<B: ShopBody>(head: &Parts, body: &B) -> Option<(Box<Parts>, B)> {
    let (mut again, body) = Request::new(body.again()?).into_parts();
    again.method = head.method.clone();
    again.uri = head.uri.clone();
    again.headers = head.headers.clone();
    Some((Box::new(again), body))
}

/// Turns the pool key back into an address and opens it.
#[derive(Clone)]
struct Connector {
    connect: Connect,
    addresses: Arc<[Address]>,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<ShopStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<TokioIo<ShopStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, key: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let found = this.addresses.iter().find(|a| Some(&a.key) == key.authority());
            let address =
                found.ok_or_else(|| std::io::Error::other("a pool key without an address"))?;
            Ok(TokioIo::new(this.connect.open(&address.address).await?))
        })
    }
}
