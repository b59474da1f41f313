//! HTTP/2 at both ends: a client that sees frames, and a shop that speaks gRPC.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// Requests that `/x/Together` waits for.
pub const TOGETHER: usize = 250;

/// A whole reply, or a whole request.
#[derive(Clone, Debug)]
pub struct Message<H> {
    pub head: H,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

/// Connects with prior knowledge.
pub async fn connect(address: SocketAddr) -> SendRequest<Bytes> {
    over(TcpStream::connect(address).await.expect("connect")).await
}

/// Speaks HTTP/2 over a stream that is there.
pub async fn over<S>(stream: S) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Room for the small frames of many replies at once: this client is not what is tested.
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(1 << 20);
    let (sender, connection) = builder.handshake(stream).await.expect("handshake");
    tokio::spawn(async move { drop(connection.await) });
    sender.ready().await.expect("ready")
}

/// `GET path` with headers.
pub fn get(path: &str, headers: &[(&str, &str)]) -> Request<()> {
    request("GET", path, headers)
}

/// A request with headers.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::builder().method(method).uri(format!("http://shop.test{path}"));
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

/// Sends a request and reads the whole reply.
pub async fn ask(
    sender: &SendRequest<Bytes>,
    request: Request<()>,
    body: &[u8],
    trailers: Option<HeaderMap>,
) -> Result<Message<http::response::Parts>, h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let ends = body.is_empty() && trailers.is_none();
    let (reply, mut out) = sender.send_request(request, ends)?;
    if !body.is_empty() {
        out.send_data(Bytes::copy_from_slice(body), trailers.is_none())?;
    }
    if let Some(trailers) = trailers {
        out.send_trailers(trailers)?;
    }
    let reply = tokio::time::timeout(Duration::from_secs(20), reply).await.expect("in time")?;
    let (head, incoming) = reply.into_parts();
    let (body, trailers) = collect(incoming).await?;
    Ok(Message { head, body, trailers })
}

/// The message number `n` of `/x/Many`.
pub fn many(n: u32) -> Vec<u8> {
    [&[0, 0, 0, 0, 4], &n.to_be_bytes()[..]].concat()
}

/// Reads a body to its end.
pub async fn collect(mut body: h2::RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok((all, body.trailers().await?))
}

/// A shop of gRPC methods: `/x/Say` echoes, `/x/Fail` errs with trailers only, `/x/Stream` sends
/// three messages, `/x/Many` a thousand at once, `/x/Wait` never answers, `/x/Together` echoes once [`TOGETHER`] have asked.
pub struct GrpcShop {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Message<http::request::Parts>>>>,
    resets: Arc<Mutex<usize>>,
    connections: Arc<Mutex<usize>>,
}

impl GrpcShop {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shop = Self {
            address,
            asked: Arc::default(),
            resets: Arc::default(),
            connections: Arc::default(),
        };
        let connections = shop.connections.clone();
        let (asked, resets) = (shop.asked.clone(), shop.resets.clone());
        let together = Arc::new(Barrier::new(TOGETHER));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connections = connections.clone();
                let (asked, resets) = (asked.clone(), resets.clone());
                let together = together.clone();
                tokio::spawn(async move {
                    // One that says nothing only asks whether somebody is there.
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    *connections.lock().unwrap() += 1;
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        let (asked, resets) = (asked.clone(), resets.clone());
                        let together = together.clone();
                        tokio::spawn(async move {
                            if request.uri().path() == "/x/Together" {
                                together.wait().await;
                            }
                            if answer(request, respond, asked).await.is_err() {
                                *resets.lock().unwrap() += 1;
                            }
                        });
                    }
                });
            }
        });
        shop
    }

    /// Whole requests so far.
    pub fn asked(&self) -> Vec<Message<http::request::Parts>> {
        self.asked.lock().unwrap().clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Streams that were reset under way.
    pub fn resets(&self) -> usize {
        *self.resets.lock().unwrap()
    }
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    asked: Arc<Mutex<Vec<Message<http::request::Parts>>>>,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let (body, trailers) = collect(body).await?;
    asked.lock().unwrap().push(Message { head, body: body.clone(), trailers });
    let ok = || Response::builder().header("content-type", "application/grpc");
    let status = |code: &str| {
        HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())])
    };
    match path.as_str() {
        "/x/Wait" => {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await?;
            Err(reason.into())
        }
        "/x/Fail" => {
            let head = ok().header("grpc-status", "5").header("grpc-message", "not%20here");
            respond.send_response(head.body(()).unwrap(), true).map(drop)
        }
        "/x/Stream" => {
            let mut out = respond.send_response(ok().body(()).unwrap(), false)?;
            for n in 0..3_u8 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                out.send_data(Bytes::from(vec![0, 0, 0, 0, 1, n]), false)?;
            }
            out.send_trailers(status("0"))
        }
        "/x/Many" => {
            let mut out = respond.send_response(ok().body(()).unwrap(), false)?;
            for n in 0..1_000_u32 {
                out.send_data(Bytes::from(many(n)), false)?;
            }
            out.send_trailers(status("0"))
        }
        _ => {
            let head = ok().header("x-initial", "metadata");
            let mut out = respond.send_response(head.body(()).unwrap(), false)?;
            out.send_data(Bytes::from(body), false)?;
            out.send_trailers(status("0"))
        }
    }
}
