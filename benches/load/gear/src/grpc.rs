//! gRPC over h2c, both ends.
//!
//! `gear grpc-upstream` is a Weaviate that answers every call at once from memory: 20 hits, or 100
//! where the request asks for so many. It prints its port.
//! `gear grpc PORT SECONDS STREAMS HITS KIND [CALLS]` keeps so many calls in flight on one connection,
//! until the seconds are over or so many calls were made, and prints how many there were, how many a second, the latency's p50 and p99 in µs, how many replies
//! came as they were where they should have been moved, and how many calls failed. What a call must
//! bring is said by KIND: `reranked` the same hits in another order, `passed` (a path that no route
//! has) and `anonymous` (nobody asks) the bytes of the upstream.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io::{Error, Result};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::messages;

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";
const NO_ROUTE: &str = "/weaviate.v1.Weaviate/Passed";
const SHOPPERS: usize = 64;
/// Flow control must not be what is measured.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 26;

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()
}

pub fn upstream() -> Result<()> {
    tokio::task::LocalSet::new().block_on(&runtime()?, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let replies = [20, 100].map(|hits| {
            let all = messages::replies(hits).into_iter().map(Bytes::from);
            all.collect::<Vec<_>>()
        });
        let replies = Rc::new(replies);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(serve(stream, replies.clone()));
        }
    })
}

/// Answers calls until the peer leaves.
async fn serve(
    stream: TcpStream,
    replies: Rc<[Vec<Bytes>; 2]>,
) -> std::result::Result<(), h2::Error> {
    stream.set_nodelay(true).map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let mut connection = builder.handshake(stream).await?;
    let mut number = 0;
    while let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        let replies = replies.clone();
        number += 1;
        // A call that broke off is its caller's to count.
        tokio::task::spawn_local(answer(request.into_body(), respond, (replies, number)));
    }
    Ok(())
}

async fn answer(
    body: h2::RecvStream,
    mut respond: SendResponse<Bytes>,
    (replies, number): (Rc<[Vec<Bytes>; 2]>, usize),
) -> std::result::Result<(), h2::Error> {
    let (asked, _) = whole(body).await?;
    let head = Response::builder().header("content-type", "application/grpc").body(());
    let head = head.map_err(|_| h2::Reason::INTERNAL_ERROR)?;
    let mut out = respond.send_response(head, false)?;
    let replies = &replies[usize::from(messages::asks_for_many(&asked))];
    out.send_data(replies[number % replies.len()].clone(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    out.send_trailers(trailers)
}

/// A whole body and its trailers.
async fn whole(
    mut body: h2::RecvStream,
) -> std::result::Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        all.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len())?;
    }
    Ok((all, body.trailers().await?))
}

/// What a run asks for, and what it saw.
struct Run {
    kind: Kind,
    hits: usize,
    port: &'static str,
    natural: Vec<Vec<u8>>,
    until: Instant,
    /// Calls that may still be made.
    left: Cell<usize>,
    latencies_us: RefCell<Vec<u64>>,
    failed: RefCell<usize>,
    /// Replies that should have been moved and came as they were.
    unmoved: RefCell<usize>,
    /// Shoppers of whom one reply was checked whole.
    checked: RefCell<HashSet<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Passed,
    Anonymous,
    Reranked,
}

/// Keeps `streams` calls in flight, for so many seconds and calls, and prints what became of them.
pub fn load(
    port: &str,
    (seconds, calls): (f64, usize),
    streams: usize,
    hits: usize,
    kind: &str,
) -> Result<()> {
    let kind = match kind {
        "passed" => Kind::Passed,
        "anonymous" => Kind::Anonymous,
        "reranked" => Kind::Reranked,
        other => return Err(Error::other(format!("no kind: {other}"))),
    };
    let port: &'static str = port.to_owned().leak();
    tokio::task::LocalSet::new().block_on(&runtime()?, async {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).await?;
        stream.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(STREAM_WINDOW);
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) =
            builder.handshake::<_, Bytes>(stream).await.map_err(Error::other)?;
        tokio::task::spawn_local(connection);
        let started = Instant::now();
        let run = Rc::new(Run {
            kind,
            hits,
            port,
            natural: messages::replies(hits),
            until: started + Duration::from_secs_f64(seconds),
            left: Cell::new(calls),
            latencies_us: RefCell::default(),
            failed: RefCell::default(),
            unmoved: RefCell::default(),
            checked: RefCell::default(),
        });
        let lane = |number| tokio::task::spawn_local(lane(run.clone(), sender.clone(), number));
        let lanes: Vec<_> = (0..streams).map(lane).collect();
        for lane in lanes {
            lane.await?;
        }
        run.told(started.elapsed().as_secs_f64());
        Ok(())
    })
}

/// One call after the other.
async fn lane(run: Rc<Run>, sender: SendRequest<Bytes>, mut shopper: usize) {
    while Instant::now() < run.until && run.left.get() > 0 {
        run.left.set(run.left.get() - 1);
        let sent = Instant::now();
        match run.call(&sender, shopper).await {
            Ok(true) => run.latencies_us.borrow_mut().push(sent.elapsed().as_micros() as u64),
            Ok(false) => *run.failed.borrow_mut() += 1,
            Err(error) => {
                eprintln!("gear: {error}");
                *run.failed.borrow_mut() += 1;
                return;
            }
        }
        shopper = (shopper + 17) % SHOPPERS;
    }
}

impl Run {
    /// Did the call bring what it must?
    async fn call(
        &self,
        sender: &SendRequest<Bytes>,
        shopper: usize,
    ) -> std::result::Result<bool, h2::Error> {
        let path = if self.kind == Kind::Passed { NO_ROUTE } else { SEARCH };
        let mut request = Request::post(format!("http://127.0.0.1:{}{path}", self.port))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if self.kind != Kind::Anonymous {
            request = request.header("x-user-id", format!("shopper-{shopper}"));
        }
        let request = request.body(()).map_err(|_| h2::Reason::INTERNAL_ERROR)?;
        let mut sender = sender.clone().ready().await?;
        let (reply, mut out) = sender.send_request(request, false)?;
        out.send_data(Bytes::from(messages::request(shopper, self.hits)), true)?;
        let reply = reply.await?;
        let answered = reply.status() == 200;
        let (body, trailers) = whole(reply.into_body()).await?;
        let ended = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
        Ok(answered && ended.is_some_and(|status| status == "0") && self.is_right(&body, shopper))
    }

    fn is_right(&self, body: &[u8], shopper: usize) -> bool {
        let is_natural = self.natural.iter().any(|natural| body == natural);
        match self.kind {
            Kind::Passed | Kind::Anonymous => is_natural,
            Kind::Reranked if is_natural => {
                *self.unmoved.borrow_mut() += 1;
                true
            }
            // Whole only once a shopper: checking must not be what is measured.
            Kind::Reranked if self.checked.borrow_mut().insert(shopper) => {
                messages::is_moved_of(&self.natural, body)
            }
            Kind::Reranked => self.natural.iter().any(|natural| body.len() == natural.len()),
        }
    }

    fn told(&self, seconds: f64) {
        let mut all = self.latencies_us.borrow_mut();
        all.sort_unstable();
        let last = all.len().saturating_sub(1) as f64;
        let at = |share: f64| all.get((last * share) as usize).copied().unwrap_or(0);
        let (count, failed) = (all.len(), self.failed.borrow());
        let (rate, unmoved) = (count as f64 / seconds, self.unmoved.borrow());
        println!("{count} {rate:.1} {} {} {unmoved} {failed}", at(0.5), at(0.99));
    }
}
