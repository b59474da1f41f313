//! Streams of the small Weaviate: one that gives back what it gets, one that stays silent, one that
//! sends large messages. Each notes how it ended.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use http::Request;

use super::grpc::{self, Call, Said};

/// Gives each message back as it comes, and ends when the client has half-closed.
pub const ECHO: &str = "/weaviate.v1.Weaviate/BatchStream";
/// Says once that it serves, then nothing until the client leaves.
pub const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// Sends as many messages of [`LARGE_BYTES`] as the request's first byte says.
pub const LARGE: &str = "/leafrank.test.Stand/Large";
/// Never answers.
pub const NEVER: &str = "/leafrank.test.Stand/Never";

/// A large message.
pub const LARGE_BYTES: usize = 4 << 20;

/// What the small Weaviate saw.
#[derive(Default)]
pub struct Noticed {
    pub calls: Mutex<Vec<Call>>,
    begun: AtomicUsize,
    half_closed: AtomicUsize,
    reset: AtomicUsize,
}

impl Noticed {
    /// Streams that began.
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Acquire)
    }

    /// Clients that said they were done, and still listened.
    pub fn half_closed(&self) -> usize {
        self.half_closed.load(Ordering::Acquire)
    }

    /// Streams whose client left.
    pub fn reset(&self) -> usize {
        self.reset.load(Ordering::Acquire)
    }

    /// Waits until `count` says `wanted`.
    pub async fn becomes(&self, count: impl Fn(&Self) -> usize, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while count(self) != wanted {
            assert!(Instant::now() < deadline, "{} instead of {wanted}", count(self));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Is this one of the streams?
pub fn is_one(path: &str) -> bool {
    [ECHO, WATCH, LARGE, NEVER].contains(&path)
}

/// Runs a stream to its end.
pub async fn run(
    path: &str,
    request: Request<h2::RecvStream>,
    respond: SendResponse<Bytes>,
    noticed: &Noticed,
) -> Result<(), h2::Error> {
    let metadata = request.headers().clone();
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let call = Call { path: path.to_owned(), authority, metadata, message: Vec::new() };
    noticed.calls.lock().unwrap().push(call);
    noticed.begun.fetch_add(1, Ordering::AcqRel);
    let outcome = match path {
        ECHO => echo(request, respond, noticed).await,
        LARGE => large(request, respond).await,
        _ => wait(path == WATCH, request, respond).await,
    };
    if outcome.is_err() {
        noticed.reset.fetch_add(1, Ordering::AcqRel);
    }
    outcome
}

async fn echo(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    noticed: &Noticed,
) -> Result<(), h2::Error> {
    let mut out = respond.send_response(grpc::head(), false)?;
    let mut body = request.into_body();
    let mut read = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        read.extend_from_slice(&data);
        while let Some(length) = read.get(1..5).map(|l| u32::from_be_bytes(l.try_into().unwrap()))
            && read.len() >= 5 + length as usize
        {
            grpc::send(&mut out, read.split_to(5 + length as usize).freeze()).await?;
        }
    }
    noticed.half_closed.fetch_add(1, Ordering::AcqRel);
    out.send_trailers(grpc::trailers(&Said::default()))
}

async fn large(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let count = grpc::whole(request).await?.message[0];
    let mut out = respond.send_response(grpc::head(), false)?;
    for number in 0..count {
        grpc::send(&mut out, Bytes::from(grpc::frame(&vec![number; LARGE_BYTES]))).await?;
    }
    out.send_trailers(grpc::trailers(&Said::default()))
}

async fn wait(
    greets: bool,
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    // Kept: a body that is dropped tells the peer that nobody reads it.
    let _body = request.into_body();
    let reason = if greets {
        let mut out = respond.send_response(grpc::head(), false)?;
        grpc::send(&mut out, Bytes::from(grpc::frame(&[0x08, 0x01]))).await?;
        std::future::poll_fn(|cx| out.poll_reset(cx)).await?
    } else {
        std::future::poll_fn(|cx| respond.poll_reset(cx)).await?
    };
    Err(reason.into())
}
