//! gRPC as clients of a Weaviate use it, through the sidecar: streams in both directions, ends and
//! cancels that reach the other side, deadlines, silence, large messages, and nobody behind.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;

use crate::harness::http2::{self, collect};
use crate::harness::sidecar::free_ports;
use crate::harness::weaviate::streams::{ECHO, LARGE, LARGE_BYTES, NEVER, WATCH};
use crate::harness::weaviate::{Front, Small, grpc};
use crate::harness::{Shop, Sidecar, exchange};

/// No wait for the other side takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sidecar before the gRPC port of a small Weaviate, and a connection to it.
async fn stand(settings: &str) -> Option<(Small, Sidecar, SendRequest<Bytes>)> {
    let small = Small::start().await?;
    let sidecar = Sidecar::before(small.grpc).settings(settings).start().await;
    let channel = http2::connect(sidecar.data).await;
    Some((small, sidecar, channel))
}

/// A call that is open in both directions.
struct Open {
    out: h2::SendStream<Bytes>,
    body: h2::RecvStream,
}

impl Open {
    async fn call(channel: &SendRequest<Bytes>, path: &str, message: &[u8]) -> Self {
        let mut channel = channel.clone().ready().await.unwrap();
        let (reply, mut out) = channel.send_request(grpc::call(path, &[]), false).unwrap();
        out.send_data(Bytes::from(grpc::frame(message)), false).unwrap();
        let reply = tokio::time::timeout(Duration::from_secs(10), reply).await;
        Self { out, body: reply.expect("a head in time").unwrap().into_body() }
    }

    async fn says(&mut self, message: &[u8]) {
        let mut wanted = grpc::frame(message);
        while !wanted.is_empty() {
            let data = tokio::time::timeout(Duration::from_secs(10), self.body.data()).await;
            let data = data.expect("bytes in time").expect("more bytes").unwrap();
            self.body.flow_control().release_capacity(data.len()).unwrap();
            assert!(wanted.starts_with(&data));
            wanted.drain(..data.len());
        }
    }
}

#[tokio::test]
async fn a_stream_in_both_directions_ends_where_the_client_half_closes() {
    let Some((small, _sidecar, channel)) = stand("mode: on").await else { return };
    let mut open = Open::call(&channel, ECHO, b"start").await;
    open.says(b"start").await;
    for number in 0..20_u8 {
        let message = vec![number; 1 + usize::from(number) * 1000];
        open.out.send_data(Bytes::from(grpc::frame(&message)), false).unwrap();
        open.says(&message).await;
    }
    assert_eq!(small.noticed.half_closed(), 0);
    open.out.send_data(Bytes::new(), true).unwrap();
    let (rest, trailers) = collect(open.body).await.unwrap();
    assert_eq!(
        (rest.len(), &trailers.expect("trailers")["grpc-status"]),
        (0, &"0".parse().unwrap())
    );
    assert_eq!((small.noticed.half_closed(), small.noticed.reset()), (1, 0));
}

#[tokio::test]
async fn a_cancelled_stream_is_cancelled_at_the_upstream() {
    let Some((small, sidecar, channel)) = stand("mode: on").await else { return };
    let mut open = Open::call(&channel, ECHO, b"start").await;
    open.says(b"start").await;
    open.out.send_reset(h2::Reason::CANCEL);
    small.noticed.becomes(|noticed| noticed.reset(), 1).await;
    assert_eq!(small.noticed.half_closed(), 0, "a cancel is no end");
    // A call that waits for its first byte, too: clients without deadlines end so.
    let mut sender = channel.clone().ready().await.unwrap();
    let (reply, mut out) = sender.send_request(grpc::call(NEVER, &[]), false).unwrap();
    out.send_data(Bytes::from(grpc::frame(b"")), true).unwrap();
    small.noticed.becomes(|noticed| noticed.begun(), 2).await;
    out.send_reset(h2::Reason::CANCEL);
    drop(reply);
    small.noticed.becomes(|noticed| noticed.reset(), 2).await;
    crate::harness::personal::metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_streams() {
    let Some((small, sidecar, _)) = stand("mode: on").await else { return };
    let channel = http2::connect(sidecar.data).await;
    let mut open = Open::call(&channel, ECHO, b"start").await;
    open.says(b"start").await;
    drop((open, channel));
    small.noticed.becomes(|noticed| noticed.reset(), 1).await;
}

#[tokio::test]
async fn a_deadline_arrives_as_the_client_set_it() {
    let Some((small, _sidecar, channel)) = stand("mode: on").await else { return };
    for timeout in ["30S", "4999m", "1H", "99999999n"] {
        let metadata = [("grpc-timeout", timeout)];
        let (said, _) = grpc::unary(&channel, "/grpc.health.v1.Health/Check", &metadata, b"").await;
        assert_eq!(said.message.unwrap(), [0x08, 0x01]);
        let calls = small.noticed.calls.lock().unwrap();
        assert_eq!(calls.last().unwrap().metadata["grpc-timeout"], timeout);
    }
}

#[tokio::test]
async fn a_stream_that_is_silent_for_long_is_not_broken_off() {
    // Both directions: nothing comes, and nothing goes, for longer than either limit.
    let settings = "mode: on\nlimits: {reply_silence_seconds: 1, body_timeout_seconds: 1}";
    let Some((small, sidecar, channel)) = stand(settings).await else { return };
    let mut watch = Open::call(&channel, WATCH, b"").await;
    watch.says(&[0x08, 0x01]).await;
    let mut echo = Open::call(&channel, ECHO, b"start").await;
    echo.says(b"start").await;
    // Ends the wait: a reply that is no gRPC is broken off after the same time.
    let plain = Shop::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec();
        let rest = (Duration::from_secs(60), b"rest.".to_vec());
        crate::harness::Answer::Pieces(vec![(Duration::ZERO, head), rest])
    })
    .await;
    let other = Sidecar::before(plain.address).settings(settings).start().await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_500) {
        let (half, ended) = crate::harness::client::raw(
            other.data,
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            Duration::from_secs(10),
        )
        .await;
        assert!(ended && half.ends_with(b"half"), "a silent reply was not broken off");
    }
    echo.out.send_data(Bytes::from(grpc::frame(b"still there")), false).unwrap();
    echo.says(b"still there").await;
    let waited = tokio::time::timeout(Duration::from_millis(10), watch.body.data()).await;
    assert!(waited.is_err(), "the watch ended: {waited:?}");
    assert_eq!(small.noticed.reset(), 0);
    assert_eq!(
        sidecar.metric("leafrank_limit_hits_total{limit=\"reply_silence_seconds\"").await,
        0.0
    );
}

#[tokio::test]
async fn a_silent_stream_ends_when_the_upstream_is_gone() {
    // An upstream that accepts, answers a first call, and then is deaf: not even pings come back.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut connection) = h2::server::handshake(stream).await else { continue };
            let Some(Ok((request, mut respond))) = connection.accept().await else { continue };
            let out = respond.send_response(grpc::head(), false).unwrap();
            // Written, then never driven again.
            let write = std::future::poll_fn(|cx| connection.poll_closed(cx));
            drop(tokio::time::timeout(Duration::from_millis(300), write).await);
            kept.push((connection, request, respond, out));
        }
    });
    let settings =
        "mode: on\nlimits: {reply_silence_seconds: 1}\nhealth: {ready_needs_upstream: false}";
    let sidecar = Sidecar::before(address).settings(settings).start().await;
    let channel = http2::connect(sidecar.data).await;
    let mut open = Open::call(&channel, WATCH, b"").await;
    // A second of silence, then gRPC's 20 s for the answer to a ping.
    let ended = tokio::time::timeout(Duration::from_secs(60), open.body.data()).await;
    let ended = ended.expect("an end, though the upstream says nothing");
    assert!(ended.is_none_or(|data| data.is_err()), "the stream is broken off");
}

#[tokio::test]
async fn nobody_behind_is_unavailable_to_a_grpc_client() {
    let [nobody] = free_ports();
    let sidecar = Sidecar::before(nobody)
        .settings("mode: on\nhealth: {ready_needs_upstream: false}")
        .start()
        .await;
    let channel = http2::connect(sidecar.data).await;
    let path = "/weaviate.v1.Weaviate/Search";
    let (said, head) = grpc::unary(&channel, path, &[], b"").await;
    assert_eq!(
        (said.status, said.why.as_str(), said.message),
        (14, "leafrank: shop_unreachable", None)
    );
    assert_eq!(head["x-leafrank"], "error; reason=shop_unreachable");
    let reply = exchange(sidecar.data, "GET", "/v1/meta", &[], b"").await;
    assert_eq!((reply.status, reply.outcome()), (502, "error; reason=shop_unreachable"));
    let said = sidecar.metric("leafrank_upstream_errors_total{reason=\"shop_unreachable\"").await;
    assert_eq!(said, 2.0);
}

#[tokio::test]
async fn large_messages_pass_with_little_memory() {
    let Some((_small, sidecar, channel)) = stand("mode: on").await else { return };
    let before = sidecar.peak_memory();
    let count = 32_u8;
    let mut sender = channel.clone().ready().await.unwrap();
    let (reply, mut out) = sender.send_request(grpc::call(LARGE, &[]), false).unwrap();
    out.send_data(Bytes::from(grpc::frame(&[count])), true).unwrap();
    let mut body = reply.await.unwrap().into_body();
    let (mut read, mut messages) = (BytesMut::new(), 0_u8);
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        read.extend_from_slice(&data);
        if read.len() >= 5 + LARGE_BYTES {
            let message = read.split_to(5 + LARGE_BYTES);
            assert!(message[5..].iter().all(|byte| *byte == messages), "message {messages}");
            messages += 1;
        }
    }
    assert_eq!((messages, read.len()), (count, 0));
    assert_eq!(body.trailers().await.unwrap().expect("trailers")["grpc-status"], "0");
    let grown = sidecar.peak_memory() - before;
    println!("{count} messages of 4 MiB: {} KiB more memory", grown >> 10);
    assert!(grown < 16 << 20, "{grown} bytes more for 128 MiB that passed");
}

#[tokio::test]
async fn large_messages_pass_both_ways_at_once_with_little_memory() {
    let Some((small, sidecar, channel)) = stand("presets: [weaviate]\nmode: on").await else {
        return;
    };
    let before = sidecar.peak_memory();
    let count = 16_u8;
    let mut sender = channel.clone().ready().await.unwrap();
    let (reply, mut out) = sender.send_request(grpc::call(ECHO, &[]), false).unwrap();
    let sent = tokio::spawn(async move {
        for number in 0..count {
            let message = grpc::frame(&vec![number; LARGE_BYTES]);
            grpc::send(&mut out, Bytes::from(message)).await.expect("a reader");
        }
        out.send_data(Bytes::new(), true).unwrap();
    });
    let mut body = reply.await.unwrap().into_body();
    let (mut at, mut seen) = (0_usize, BytesMut::new());
    while let Some(data) = tokio::time::timeout(PATIENCE, body.data()).await.expect("in time") {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        seen.extend_from_slice(&data);
        while seen.len() >= 5 + LARGE_BYTES {
            let message = seen.split_to(5 + LARGE_BYTES);
            assert!(message[5..].iter().all(|byte| usize::from(*byte) == at), "message {at}");
            at += 1;
        }
    }
    sent.await.unwrap();
    assert_eq!((at, seen.len(), small.noticed.half_closed()), (usize::from(count), 0, 1));
    assert_eq!(body.trailers().await.unwrap().expect("trailers")["grpc-status"], "0");
    let grown = sidecar.peak_memory() - before;
    println!("{count} messages of 4 MiB each way: {} KiB more memory", grown >> 10);
    assert!(grown < 16 << 20, "{grown} bytes more for 64 MiB that passed each way");
}

#[tokio::test]
async fn both_ports_serve_one_front() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, "mode: on").await;
    let ready = exchange(front.http.data, "GET", "/v1/.well-known/ready", &[], b"").await;
    assert_eq!(ready.status, 200);
    let (said, _) =
        grpc::unary(&front.channel().await, "/grpc.health.v1.Health/Check", &[], b"").await;
    assert_eq!(said.message.unwrap(), [0x08, 0x01]);
    assert_eq!(small.asked().len(), 1);
}
