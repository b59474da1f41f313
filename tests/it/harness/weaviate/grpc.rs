//! gRPC without a library: frames, one unary call, and a server whose handler sees HTTP/2 streams.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::TcpListener;

use super::super::http2::{self, collect};

/// What every call says of itself.
pub const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// `UNKNOWN` and `UNIMPLEMENTED`.
pub const UNKNOWN: u64 = 2;
pub const UNIMPLEMENTED: u64 = 12;

/// Headers of HTTP/2's own that are no metadata.
const NO_METADATA: [&str; 4] = ["grpc-status", "grpc-message", "content-type", "date"];

/// A unary call as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    pub authority: String,
    pub metadata: HeaderMap,
    pub message: Vec<u8>,
}

/// How a unary call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `None`: trailers only.
    pub message: Option<Vec<u8>>,
    pub status: u64,
    /// Without percent-encoding.
    pub why: String,
    pub trailing: Vec<(String, String)>,
}

impl Said {
    /// OK with this message.
    pub fn ok(message: Vec<u8>) -> Self {
        Self { message: Some(message), ..Self::default() }
    }

    /// An error, which comes as trailers only.
    pub fn error(status: u64, why: impl Into<String>) -> Self {
        Self { status, why: why.into(), ..Self::default() }
    }
}

/// A message with the five bytes before it.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message below 4 GiB");
    [&[0][..], &length.to_be_bytes(), message].concat()
}

/// The messages of a whole body.
pub fn unframe(mut body: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = body.split_at_checked(5) {
        assert_eq!(head[0], 0, "nothing here compresses");
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (message, rest) = rest.split_at(length);
        messages.push(message);
        body = rest;
    }
    assert!(body.is_empty(), "half a message");
    messages
}

/// A call's head.
pub fn call(path: &str, metadata: &[(&str, &str)]) -> Request<()> {
    http2::request("POST", path, &[&GRPC[..], metadata].concat())
}

/// One unary call: what was said, and the metadata that came before it.
pub async fn unary(
    channel: &SendRequest<Bytes>,
    path: &str,
    metadata: &[(&str, &str)],
    message: &[u8],
) -> (Said, HeaderMap) {
    let reply = http2::ask(channel, call(path, metadata), &frame(message), None).await;
    let reply = reply.expect("a reply");
    assert_eq!(reply.head.status, 200);
    let head = reply.head.headers;
    assert_eq!(head["content-type"].as_bytes(), b"application/grpc");
    let trailers = reply.trailers.as_ref().unwrap_or(&head);
    let text = |name: &str| trailers.get(name).map(|v| v.to_str().unwrap());
    let mut trailing = Vec::new();
    if reply.trailers.is_some() {
        let metadata = trailers.iter().filter(|(name, _)| !NO_METADATA.contains(&name.as_str()));
        trailing.extend(metadata.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())));
    }
    let messages = unframe(&reply.body);
    assert!(messages.len() <= 1, "a unary call has one message");
    let said = Said {
        message: messages.first().map(|message| message.to_vec()),
        status: text("grpc-status").expect("a status").parse().unwrap(),
        why: percent_decoded(text("grpc-message").unwrap_or("")),
        trailing,
    };
    (said, head)
}

/// Answers one stream; an error is what HTTP/2 said when it broke.
pub type Handler = dyn Fn(Request<h2::RecvStream>, SendResponse<Bytes>) -> BoxFuture<'static, Result<(), h2::Error>>
    + Send
    + Sync;

/// Serves h2c on a free port until the story's runtime ends.
pub async fn serve(handler: Arc<Handler>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let handler = handler.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                let mut builder = h2::server::Builder::new();
                builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24);
                // One that says nothing only asks whether somebody is there.
                let Ok(mut connection) = builder.handshake(stream).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    // A broken stream is the handler's to notice.
                    tokio::spawn(handler(request, respond));
                }
            });
        }
    });
    address
}

/// Reads a unary call to its end.
pub async fn whole(request: Request<h2::RecvStream>) -> Result<Call, h2::Error> {
    let (head, body) = request.into_parts();
    let (body, _) = collect(body).await?;
    let message = unframe(&body).first().map(|message| message.to_vec()).unwrap_or_default();
    let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    Ok(Call { path: head.uri.path().to_owned(), authority, metadata: head.headers, message })
}

/// The head of a reply that has a body.
pub fn head() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").body(()).unwrap()
}

/// Answers a unary call.
pub async fn answer(mut respond: SendResponse<Bytes>, said: Said) -> Result<(), h2::Error> {
    let Some(message) = &said.message else {
        let mut only = head();
        only.headers_mut().extend(trailers(&said));
        return respond.send_response(only, true).map(drop);
    };
    let mut out = respond.send_response(head(), false)?;
    send(&mut out, Bytes::from(frame(message))).await?;
    out.send_trailers(trailers(&said))
}

/// Sends no more than the peer takes: what it does not read is not piled up here.
pub async fn send(out: &mut h2::SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        out.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| out.poll_capacity(cx)).await;
        let room = room.ok_or(h2::Error::from(h2::Reason::CANCEL))??;
        out.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

/// The trailers of `said`.
pub fn trailers(said: &Said) -> HeaderMap {
    let mut all = HeaderMap::new();
    all.insert("grpc-status", HeaderValue::from(said.status));
    if !said.why.is_empty() {
        all.insert("grpc-message", percent_encoded(&said.why).parse().unwrap());
    }
    for (name, value) in &said.trailing {
        all.append(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    }
    all
}

/// As `grpc-message` is sent.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
    let encoded = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encoded).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or("").as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}
