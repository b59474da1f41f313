//! HTTP/2 in front: with prior knowledge, beside HTTP/1.1 on one port, gRPC untouched.

use std::time::{Duration, Instant};

use http::HeaderMap;

use crate::harness::http2::{GrpcShop, TOGETHER, ask, collect, connect, get, many, request};
use crate::harness::personal::metric_becomes;
use crate::harness::{self, Answer, Shop, Sidecar};

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc+proto"), ("te", "trailers")];

#[tokio::test]
async fn http1_and_http2_share_one_port() {
    let shop =
        Shop::start(|asked| Answer::reply("200 OK", &[("x-a", "1")], asked.path().as_bytes()))
            .await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let sender = connect(sidecar.data).await;
    let reply = ask(&sender, get("/two?x=%2F", &[]), b"", None).await.unwrap();
    assert_eq!((reply.head.status.as_u16(), reply.body.as_slice()), (200, &b"/two?x=%2F"[..]));
    assert_eq!(reply.head.headers["x-a"], "1");
    assert!(!reply.head.headers.contains_key("connection"));
    let body = ask(&sender, request("POST", "/in", &[]), b"whole body", None).await.unwrap();
    assert_eq!(body.head.status, 200);
    assert_eq!(harness::get(sidecar.data, "/one").await.text(), "/one");
    let asked = shop.asked();
    assert_eq!(asked[0].header("host"), Some("shop.test"));
    assert_eq!(asked[0].header("via"), Some("2.0 leafrank"));
    assert_eq!(asked[0].line, "GET /two?x=%2F HTTP/1.1");
    assert_eq!(asked[1].body, b"whole body");
}

#[tokio::test]
async fn grpc_calls_pass_with_metadata_trailers_and_errors() {
    let shop = GrpcShop::start().await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let sender = connect(sidecar.data).await;
    let message = b"\0\0\0\0\x05hello";
    let call = |path: &str| request("POST", path, &[&GRPC[..], &[("x-meta-bin", "AAEC")]].concat());

    let said = ask(&sender, call("/x/Say"), message, None).await.unwrap();
    assert_eq!(said.body, message);
    assert_eq!(said.head.headers["x-initial"], "metadata");
    assert_eq!(said.trailers.expect("trailers")["grpc-status"], "0");
    let asked = &shop.asked()[0];
    assert_eq!(asked.head.version, http::Version::HTTP_2);
    assert_eq!(asked.head.uri.authority().unwrap(), "shop.test");
    assert_eq!(asked.head.headers["te"], "trailers");
    assert_eq!(asked.head.headers["content-type"], "application/grpc+proto");
    assert_eq!(asked.head.headers["x-meta-bin"], "AAEC");

    let failed = ask(&sender, call("/x/Fail"), message, None).await.unwrap();
    assert_eq!(failed.head.headers["grpc-status"], "5");
    assert_eq!(failed.head.headers["grpc-message"], "not%20here");
    assert_eq!((failed.body.len(), failed.trailers), (0, None));

    let started = Instant::now();
    let streamed = ask(&sender, call("/x/Stream"), message, None).await.unwrap();
    assert_eq!(streamed.body, (0..3).flat_map(|n| [0, 0, 0, 0, 1, n]).collect::<Vec<u8>>());
    assert_eq!(streamed.trailers.expect("trailers")["grpc-status"], "0");
    assert!(started.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn request_trailers_reach_a_shop_that_speaks_http2() {
    let shop = GrpcShop::start().await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let sender = connect(sidecar.data).await;
    let trailers = HeaderMap::from_iter([("x-end".parse().unwrap(), "1".parse().unwrap())]);
    ask(&sender, request("POST", "/x/Say", &GRPC), b"\0\0\0\0\0", Some(trailers.clone()))
        .await
        .unwrap();
    assert_eq!(shop.asked()[0].trailers, Some(trailers));
}

#[tokio::test]
async fn a_cookie_in_crumbs_reaches_the_shop_as_one() {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"")).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let sender = connect(sidecar.data).await;
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")];
    ask(&sender, get("/", &crumbs), b"", None).await.unwrap();
    assert_eq!(shop.asked()[0].header("cookie"), Some("a=1; b=2; c=3"));
}

#[tokio::test]
async fn two_hundred_requests_on_one_connection_each_get_their_own_reply() {
    let plain = Shop::start(|asked| Answer::reply("200 OK", &[], asked.path().as_bytes())).await;
    let grpc = GrpcShop::start().await;
    for (address, headers) in [(plain.address, &[][..]), (grpc.address, &GRPC[..])] {
        let sidecar = Sidecar::before(address).start().await;
        let sender = connect(sidecar.data).await;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..200 {
            let sender = sender.clone();
            let request = request("POST", &format!("/{n}"), headers);
            tasks.spawn(async move {
                let body = format!("/{n}");
                let reply = ask(&sender, request, body.as_bytes(), None).await.unwrap();
                assert_eq!(String::from_utf8_lossy(&reply.body), body);
            });
        }
        tasks.join_all().await;
    }
}

#[tokio::test]
async fn a_burst_of_calls_shares_one_connection_to_the_shop() {
    let shop = GrpcShop::start().await;
    let sidecar = Sidecar::before(shop.address).listen_threads(1).start().await;
    let sender = connect(sidecar.data).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TOGETHER {
        let sender = sender.clone();
        tasks.spawn(async move {
            let call = request("POST", "/x/Together", &GRPC);
            let reply = ask(&sender, call, b"\0\0\0\0\x01x", None).await.unwrap();
            assert_eq!(reply.head.status, 200, "{:?}", reply.head.headers);
            assert_eq!(reply.trailers.expect("trailers")["grpc-status"], "0");
        });
    }
    tasks.join_all().await;
    assert_eq!(shop.connections(), 1);
}

#[tokio::test]
async fn a_stream_of_small_messages_to_a_slow_reader_harms_no_other_call() {
    let shop = GrpcShop::start().await;
    let sidecar = Sidecar::before(shop.address).listen_threads(1).start().await;
    let stream = tokio::net::TcpStream::connect(sidecar.data).await.unwrap();
    let mut builder = h2::client::Builder::new();
    let (slow, connection) =
        builder.initial_window_size(16).handshake::<_, bytes::Bytes>(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut slow = slow.ready().await.unwrap();
    let (reply, _) = slow.send_request(request("POST", "/x/Many", &GRPC), true).unwrap();
    let stalled = reply.await.expect("a head").into_body();
    let other = connect(sidecar.data).await;
    for n in 0..50 {
        let said = ask(&other, request("POST", "/x/Say", &GRPC), b"\0\0\0\0\0", None).await;
        let trailers = said.expect("an answer").trailers;
        assert_eq!(trailers.expect("trailers")["grpc-status"], "0", "call {n}");
    }
    let (body, trailers) = collect(stalled).await.expect("the rest of the slow stream");
    assert!(body == (0..1_000).flat_map(many).collect::<Vec<u8>>());
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
}

#[tokio::test]
async fn a_clients_reset_reaches_the_shop_and_frees_the_request() {
    let shop = GrpcShop::start().await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let mut sender = connect(sidecar.data).await;
    let (reply, mut out) = sender.send_request(request("POST", "/x/Wait", &GRPC), false).unwrap();
    out.send_data(bytes::Bytes::from_static(b"\0\0\0\0\0"), true).unwrap();
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 1.0).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.asked().is_empty() {
        assert!(Instant::now() < deadline, "the request reached nobody");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    out.send_reset(h2::Reason::CANCEL);
    drop(reply);
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
    while shop.resets() == 0 {
        assert!(Instant::now() < deadline, "the shop still works for nobody");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let again = ask(&sender, request("POST", "/x/Say", &GRPC), b"\0\0\0\0\0", None).await.unwrap();
    assert_eq!(again.head.status, 200, "the connection serves on");
}

#[tokio::test]
async fn trailers_of_a_chunked_reply_reach_an_http2_client() {
    let reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                  5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n";
    let shop = Shop::start(|_| Answer::Pieces(vec![(Duration::ZERO, reply.to_vec())])).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let sender = connect(sidecar.data).await;
    let got = ask(&sender, get("/", &[]), b"", None).await.unwrap();
    assert_eq!(got.body, b"hello");
    assert_eq!(got.trailers.expect("trailers")["x-sum"], "42");
}
