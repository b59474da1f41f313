//! Bodies pass as they come, both ways, and break off where they broke off.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::client::{find, parse, raw};
use crate::harness::personal::metric_becomes;
use crate::harness::{Answer, Shop, Sidecar, Wire, exchange};

const PAUSE: Duration = Duration::from_millis(300);

fn pieces(parts: &[&[u8]]) -> Vec<(Duration, Vec<u8>)> {
    parts.iter().map(|part| (Duration::ZERO, part.to_vec())).collect()
}

async fn before(
    script: impl Fn(&crate::harness::Asked) -> Answer + Send + Sync + 'static,
) -> (Shop, Sidecar) {
    let shop = Shop::start(script).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    (shop, sidecar)
}

#[tokio::test]
async fn chunked_bodies_pass_both_ways() {
    let (shop, sidecar) = before(|asked| {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body = format!("{:x}\r\n", asked.body.len());
        Answer::Pieces(pieces(&[head, body.as_bytes(), &asked.body, b"\r\n0\r\n\r\n"]))
    })
    .await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("PUT /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    wire.send("3;ext=1\r\nabc\r\n").await;
    wire.send("4\r\ndefg\r\n0\r\n\r\n").await;
    let reply = wire.reply().await;
    assert_eq!((reply.text().as_str(), reply.header("content-length")), ("abcdefg", None));
    let asked = &shop.asked()[0];
    assert_eq!(asked.body, b"abcdefg");
    assert_eq!(asked.header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn server_sent_events_arrive_one_by_one_as_they_are_sent() {
    let (_shop, sidecar) = before(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let mut all = vec![(Duration::ZERO, head.as_bytes().to_vec())];
        all.extend((0..4).map(|n| (PAUSE, format!("9\r\ndata: {n}\n\n\r\n").into_bytes())));
        Answer::Pieces(all)
    })
    .await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let started = Instant::now();
    assert_eq!(wire.head().await.header("content-type"), Some("text/event-stream"));
    for n in 0..4_u32 {
        let event = wire.chunk().await.flatten().expect("an event");
        assert_eq!(event, format!("data: {n}\n\n").into_bytes());
        let passed = started.elapsed();
        assert!(passed >= PAUSE.mul_f32(n as f32 + 0.5), "event {n} at {passed:?}");
        assert!(passed < PAUSE * (n + 4), "event {n} was held back until {passed:?}");
    }
}

#[tokio::test]
async fn an_endless_body_flows_until_the_client_leaves_and_then_frees_everything() {
    let shop = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = shop.local_addr().unwrap();
    let ended = tokio::spawn(async move {
        let (mut stream, _) = shop.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
    });
    // This shop takes one connection, and a question whether it is there would be that one.
    let unasked = "health: {ready_needs_upstream: false}";
    let sidecar = Sidecar::before(address).settings(unasked).start().await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    let mut got = 0;
    while got < 4 * 1024 * 1024 {
        got += wire.chunk().await.flatten().expect("more").len();
    }
    assert!((sidecar.metric("leafrank_in_flight_requests").await - 1.0).abs() < 0.5);
    wire.reset();
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the shop is told").unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_a_silent_stream_or_an_unanswered_request_frees_it() {
    let (shop, sidecar) = before(|asked| match asked.path() {
        "/events" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            Answer::Pieces(vec![
                (Duration::ZERO, head.to_vec()),
                (Duration::from_secs(60), b"data: late\n\n".to_vec()),
            ])
        }
        _ => Answer::Silence,
    })
    .await;
    for path in ["/events", "/silence"] {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        metric_becomes(&sidecar, "leafrank_in_flight_requests", 1.0).await;
        while shop.asked().last().is_none_or(|asked| asked.path() != path) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(wire);
        metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
    }
}

#[tokio::test]
async fn an_upload_streams_through_before_it_has_ended() {
    let shop = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = shop.local_addr().unwrap();
    let (told, mut first) = tokio::sync::mpsc::channel(1);
    let counted = tokio::spawn(async move {
        let (mut stream, _) = shop.accept().await.unwrap();
        let (mut all, mut chunk) = (Vec::new(), vec![0; 65536]);
        let total = loop {
            let n = stream.read(&mut chunk).await.unwrap();
            all.extend_from_slice(&chunk[..n]);
            let body = find(&all, b"\r\n\r\n").map_or(0, |end| all.len() - end - 4);
            if body > 0 {
                let _ = told.try_send(());
            }
            if n == 0 || body >= 8 * 1024 * 1024 {
                break body;
            }
        };
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        total
    });
    // This shop takes one connection, and a question whether it is there would be that one.
    let unasked = "health: {ready_needs_upstream: false}";
    let sidecar = Sidecar::before(address).settings(unasked).start().await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n").await;
    wire.send(vec![b'a'; 1024 * 1024]).await;
    let early = tokio::time::timeout(Duration::from_secs(10), first.recv()).await;
    assert!(early.is_ok(), "nothing reached the shop while the upload went on");
    wire.send(vec![b'b'; 7 * 1024 * 1024]).await;
    assert_eq!(wire.reply().await.status, 201);
    assert_eq!(counted.await.unwrap(), 8 * 1024 * 1024);
}

#[tokio::test]
async fn replies_without_a_body_keep_their_headers_and_the_connection() {
    let (_shop, sidecar) = before(|asked| match asked.path() {
        "/head" => Answer::reply("200 OK", &[("Content-Length", "12345")], b""),
        "/204" => Answer::Pieces(pieces(&[b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"])),
        "/304" => Answer::Pieces(pieces(&[
            b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 77\r\n\r\n",
        ])),
        _ => Answer::reply("200 OK", &[], b"end"),
    })
    .await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("HEAD /head HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.head().await.header("content-length"), Some("12345"));
    wire.send("GET /204 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let reply = wire.head().await;
    assert_eq!(
        (reply.status, reply.header("x-a"), reply.header("content-length")),
        (204, Some("1"), None)
    );
    wire.send("GET /304 HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\n\r\n").await;
    let reply = wire.head().await;
    assert_eq!((reply.status, reply.header("etag")), (304, Some("\"a\"")));
    wire.send("GET /end HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.reply().await.text(), "end");
}

#[tokio::test]
async fn a_range_is_asked_for_and_answered_as_it_is() {
    let (shop, sidecar) = before(|_| {
        let headers = [("Content-Range", "bytes 0-1/9"), ("Accept-Ranges", "bytes")];
        Answer::reply("206 Partial Content", &headers, b"ab")
    })
    .await;
    let headers = [("range", "bytes=0-1"), ("if-range", "\"v1\"")];
    let reply = exchange(sidecar.data, "GET", "/file", &headers, b"").await;
    assert_eq!((reply.status, reply.text().as_str()), (206, "ab"));
    assert_eq!(reply.header("content-range"), Some("bytes 0-1/9"));
    let asked = &shop.asked()[0];
    assert_eq!(
        (asked.header("range"), asked.header("if-range")),
        (Some("bytes=0-1"), Some("\"v1\""))
    );
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let (shop, sidecar) = before(|_| Answer::reply("200 OK", &[], b"done")).await;
    for path in ["/upload", "/api/v1/search"] {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        ))
        .await;
        assert_eq!(wire.head().await.status, 100, "{path}");
        wire.send("{}").await;
        assert_eq!(wire.reply().await.text(), "done", "{path}");
        assert_eq!(shop.asked().last().unwrap().body, b"{}", "{path}");
    }
}

#[tokio::test]
async fn a_reply_that_ends_with_its_connection_is_whole() {
    let (_shop, sidecar) = before(|asked| {
        let head: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
        match asked.path() {
            "/old" => Answer::PiecesThenClose(pieces(&[b"HTTP/1.0 200 OK\r\n\r\n", b"old"])),
            _ => Answer::PiecesThenClose(pieces(&[head, b"one ", b"two"])),
        }
    })
    .await;
    let mut wire = Wire::to(sidecar.data).await;
    for (path, body) in [("/x", "one two"), ("/old", "old")] {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        assert_eq!(wire.reply().await.text(), body);
    }
}

#[tokio::test]
async fn a_reply_that_breaks_off_breaks_off_for_the_client_too() {
    let (_shop, sidecar) = before(|asked| {
        let json = "content-type: application/json\r\n";
        let head = match asked.path() {
            "/chunked" => {
                format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            }
            _ => format!("HTTP/1.1 200 OK\r\n{json}content-length: 100\r\n\r\nhello"),
        };
        Answer::PiecesThenClose(pieces(&[head.as_bytes()]))
    })
    .await;
    for path in ["/sized", "/chunked", "/api/v1/search"] {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nX-User-ID: u\r\nContent-Length: 2\r\n\r\n{{}}"
        ))
        .await;
        let head = wire.head().await;
        assert_eq!(head.status, 200, "{path}");
        let body = match head.header("content-length") {
            Some(length) => wire.exactly(length.parse().unwrap()).await,
            None => loop {
                match wire.chunk().await {
                    None => break None,
                    Some(None) => break Some(Vec::new()),
                    Some(Some(_)) => {}
                }
            },
        };
        assert_eq!(body, None, "{path}: a cut reply looked whole");
    }
}

#[tokio::test]
async fn paths_and_header_bytes_are_not_touched() {
    let (shop, sidecar) = before(|_| {
        let mut head = b"HTTP/1.1 200 OK\r\nX-Latin: ".to_vec();
        head.extend_from_slice(b"caf\xe9 \xf0\x9f\r\ncontent-length: 0\r\n\r\n");
        Answer::Pieces(vec![(Duration::ZERO, head)])
    })
    .await;
    let paths = [
        "/a%2Fb/c",
        "//double//slash",
        "/semi;colon=1/..;/x",
        "/caf%C3%A9?q=%u00e9&r=a+b%20c",
        "/dots/../kept/./too",
        "/quote'(x)!*,:@$&=~",
        "/x?",
    ];
    for path in &paths {
        let mut bytes = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Latin: ")
            .into_bytes();
        bytes.extend_from_slice(b"na\xefve\r\n\r\n");
        let (reply, _) = raw(sidecar.data, &bytes, Duration::from_secs(5)).await;
        assert_eq!(parse(&reply, true).status, 200, "{path}");
        assert!(find(&reply, b"caf\xe9 \xf0\x9f\r\n").is_some(), "{path}: reply header bytes");
        let asked = shop.asked().pop().unwrap();
        assert_eq!(asked.path(), *path);
        assert_eq!(asked.header("x-latin"), Some("na\u{fffd}ve"), "one byte that is no UTF-8");
    }
}
