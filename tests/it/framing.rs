//! Framing: what is refused, what is forwarded and how, and that no byte behind a body ever becomes
//! a request.

use std::time::Duration;

use crate::harness::client::{PATIENCE, parse, raw};
use crate::harness::{Answer, Reply, Shop, Sidecar, Wire, exchange, get};

/// Long enough for an answer on a busy machine, short enough for a table.
const QUIET: Duration = Duration::from_millis(400);

/// A request as raw bytes, what comes back, and which request lines the shop sees.
struct Case {
    name: &'static str,
    bytes: String,
    status: u16,
    closed: bool,
    shop: &'static [&'static str],
}

fn refused(name: &'static str, status: u16, bytes: impl Into<String>) -> Case {
    Case { name, bytes: bytes.into(), status, closed: true, shop: &[] }
}

fn post(headers: &str, rest: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: shop.test\r\n{headers}\r\n\r\n{rest}")
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: shop.test\r\n\r\n";

fn smuggling() -> Vec<Case> {
    let both = "Content-Length: 6\r\nTransfer-Encoding: chunked";
    let after = |end: &str| format!("{end}{HIDDEN}");
    let one = &["POST /a HTTP/1.1"];
    vec![
        Case {
            name: "length and chunks: chunks win, the connection ends",
            bytes: post(both, &after("0\r\n\r\n")),
            status: 200,
            closed: true,
            shop: one,
        },
        Case {
            name: "chunks and length, the other way round",
            bytes: post("transfer-encoding: chunked\r\ncontent-length: 6", &after("0\r\n\r\n")),
            status: 200,
            closed: true,
            shop: one,
        },
        Case {
            name: "a length twice and equal is one length",
            bytes: post("Content-Length: 2\r\nContent-Length: 2", "{}"),
            status: 200,
            closed: false,
            shop: one,
        },
        Case {
            name: "a request behind a good one smuggles nothing",
            bytes: format!(
                "GET /first HTTP/1.1\r\nHost: x\r\n\r\n{}",
                post(both, &after("0\r\n\r\n"))
            ),
            status: 200,
            closed: true,
            shop: &["GET /first HTTP/1.1", "POST /a HTTP/1.1"],
        },
    ]
}

fn malformed() -> Vec<Case> {
    let chunked = "Transfer-Encoding: chunked";
    let after = |end: &str| format!("{end}{HIDDEN}");
    vec![
        refused("unknown coding", 400, post("Transfer-Encoding: xchunked", &after("0\r\n\r\n"))),
        refused("stacked coding", 501, post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n")),
        refused("coding not last", 400, post("Transfer-Encoding: chunked, gzip", "0\r\n\r\n")),
        refused("two lengths", 400, post("Content-Length: 2\r\nContent-Length: 3", "{} ")),
        refused("a list of lengths", 400, post("Content-Length: 2, 3", "{} ")),
        refused("negative length", 400, post("Content-Length: -1", "")),
        refused("length with a sign", 400, post("Content-Length: +2", "{}")),
        refused("chunk size with garbage", 400, post(chunked, &after("5x\r\nhello\r\n0\r\n\r\n"))),
        refused("chunk size with a sign", 400, post(chunked, &after("+5\r\nhello\r\n0\r\n\r\n"))),
        refused("chunk size too large", 400, post(chunked, "fffffffffffffffff\r\nhello\r\n")),
        refused("no end of chunk", 400, post(chunked, &after("5\r\nhelloXX0\r\n\r\n"))),
        refused(
            "chunks in HTTP/1.0",
            400,
            "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ]
}

fn heads() -> Vec<Case> {
    let get = |headers: &str| format!("GET /a HTTP/1.1\r\n{headers}\r\n\r\n");
    let nominated = |name: &str| get(&format!("Host: shop.test\r\nConnection: {name}"));
    vec![
        refused("no host", 400, get("X: 1")),
        refused("two hosts", 400, get("Host: shop.test\r\nHost: shop.test")),
        refused("host with a user", 400, get("Host: user@shop.test")),
        refused("space before the colon", 400, get("Host: shop.test\r\nX-A : 1")),
        refused("a folded line", 400, get("Host: shop.test\r\nX-A: 1\r\n  2")),
        refused("a NUL in a value", 400, get("Host: shop.test\r\nX-A: a\0b")),
        refused("a carriage return in a value", 400, get("Host: shop.test\r\nX-A: a\rb")),
        refused("CONNECT", 405, "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\n\r\n"),
        refused("Connection names Host", 400, nominated("Host")),
        refused("Connection names Content-Length", 400, nominated("close, content-length")),
        refused("Connection names Cookie", 400, nominated("Cookie")),
        Case {
            name: "bare line feeds are line ends",
            bytes: "GET /a HTTP/1.1\nHost: shop.test\n\n".into(),
            status: 200,
            closed: false,
            shop: &["GET /a HTTP/1.1"],
        },
        Case {
            name: "a short HTTP/1.0 request",
            bytes: "GET / HTTP/1.0\r\n\r\n".into(),
            status: 200,
            closed: true,
            shop: &["GET / HTTP/1.1"],
        },
        Case {
            name: "a balancer's HTTP/1.0 check",
            bytes: "OPTIONS / HTTP/1.0\r\n\r\n".into(),
            status: 200,
            closed: true,
            shop: &["OPTIONS / HTTP/1.1"],
        },
        Case {
            name: "OPTIONS of the server itself",
            bytes: "OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n".into(),
            status: 200,
            closed: false,
            shop: &["OPTIONS * HTTP/1.1"],
        },
    ]
}

#[tokio::test]
async fn ambiguous_framing_is_refused_or_forwarded_in_one_meaning_only() {
    table(smuggling()).await;
    table(malformed()).await;
}

#[tokio::test]
async fn malformed_heads_are_refused_and_old_ones_served() {
    table(heads()).await;
}

async fn table(cases: Vec<Case>) {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"yes")).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let mut wrong = Vec::new();
    for case in cases {
        let before = shop.asked().len();
        let (bytes, closed) = raw(sidecar.data, case.bytes.as_bytes(), QUIET).await;
        let status = if bytes.is_empty() { 0 } else { parse(&bytes, true).status };
        let seen = shop.asked().split_off(before);
        let lines: Vec<&str> = seen.iter().map(|asked| asked.line.as_str()).collect();
        if (status, closed, &lines[..]) != (case.status, case.closed, case.shop) {
            wrong.push(format!("{}: {status}, closed {closed}, shop {lines:?}", case.name));
        }
        for asked in seen {
            let both = asked.header("content-length").and(asked.header("transfer-encoding"));
            assert_eq!(both, None, "{}: the shop saw both", case.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(get(sidecar.data, "/still").await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let shop = Shop::start(|asked| Answer::reply("200 OK", &[], asked.path().as_bytes())).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let mut wire = Wire::to(sidecar.data).await;
    let ask = |n: u8| format!("GET /{n} HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    wire.send([ask(1), ask(2), ask(3)].concat()).await;
    for wanted in ["/1", "/2", "/3"] {
        assert_eq!(wire.reply().await.text(), wanted);
    }
}

#[tokio::test]
async fn a_targets_authority_wins_over_host() {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"")).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let bytes =
        b"GET http://other.test/x?y HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
    let (reply, _) = raw(sidecar.data, bytes, PATIENCE).await;
    assert_eq!(parse(&reply, false).status, 200);
    let asked = &shop.asked()[0];
    assert_eq!((asked.path(), asked.header("host")), ("/x?y", Some("other.test")));
}

#[tokio::test]
async fn headers_of_one_hop_end_here_both_ways_and_the_rest_is_kept() {
    let shop = Shop::start(|_| {
        let headers = [
            ("Connection", "keep-alive, X-Inner"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("X-Inner", "1"),
            ("X-Kept", "a, b"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Via", "1.1 inner"),
            ("Server", "uvicorn"),
        ];
        Answer::reply("200 OK", &headers, b"x")
    })
    .await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let headers = [
        ("connection", "x-outer"),
        ("x-outer", "1"),
        ("keep-alive", "300"),
        ("proxy-connection", "x"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("x-kept", "a, b"),
        ("via", "1.0 front"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
    ];
    let reply = exchange(sidecar.data, "GET", "/", &headers, b"").await;
    let asked = &shop.asked()[0];
    for gone in ["connection", "x-outer", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert_eq!(asked.header(gone), None, "{gone} reached the shop");
    }
    assert_eq!(asked.header("x-kept"), Some("a, b"));
    assert_eq!(asked.header("x-forwarded-for"), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("https"));
    assert_eq!(asked.header("x-forwarded-host"), Some("shop.test"));
    assert_eq!(values(&asked.headers, "via"), ["1.0 front", "1.1 leafrank"]);
    for gone in ["keep-alive", "proxy-connection", "x-inner"] {
        assert_eq!(reply.header(gone), None, "{gone} reached the client");
    }
    assert_eq!(reply.header("x-kept"), Some("a, b"));
    assert_eq!(reply.header("server"), Some("uvicorn"));
    assert_eq!(reply.header("date"), None, "a date that the shop did not send");
    assert_eq!(values(&reply.headers, "set-cookie"), ["a=1", "b=2"]);
    assert_eq!(values(&reply.headers, "via"), ["1.1 inner", "1.1 leafrank"]);
}

fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
}

#[tokio::test]
async fn a_shops_malformed_replies_never_become_two_meanings() {
    let cases: [(&str, &str, u16, &str); 8] = [
        (
            "both",
            "200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            200,
            "hello",
        ),
        (
            "equal lengths",
            "200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
            200,
            "hello",
        ),
        ("two lengths", "200 OK\r\ncontent-length: 5\r\ncontent-length: 3\r\n\r\nhello", 502, ""),
        ("no number", "200 OK\r\ncontent-length: x\r\n\r\nhello", 502, ""),
        ("no status", "what\r\n\r\n", 502, ""),
        ("a NUL", "200 OK\r\nx-a: a\0b\r\n\r\n", 502, ""),
        (
            "hints before",
            "103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            200,
            "hi",
        ),
        (
            "more than announced",
            "200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
            200,
            "hi",
        ),
    ];
    let shop = Shop::start(move |asked| {
        let case = cases[asked.path()[1..].parse::<usize>().unwrap()];
        Answer::Pieces(vec![(Duration::ZERO, format!("HTTP/1.1 {}", case.1).into_bytes())])
    })
    .await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let mut wire = Wire::to(sidecar.data).await;
    for (n, (name, _, status, body)) in cases.iter().enumerate() {
        wire.send(format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, *status, "{name}");
        if *status == 200 {
            assert_eq!(reply.text(), *body, "{name}");
        } else {
            assert!(reply.outcome().starts_with("error; "), "{name}");
        }
        let both = reply.header("content-length").and(reply.header("transfer-encoding"));
        assert_eq!(both, None, "{name}");
    }
}

#[tokio::test]
async fn a_traceparent_is_kept_and_a_missing_one_made() {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"")).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let mine = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    exchange(sidecar.data, "GET", "/", &[("traceparent", mine)], b"").await;
    get(sidecar.data, "/").await;
    get(sidecar.data, "/").await;
    let seen: Vec<String> =
        shop.asked().iter().map(|a| a.header("traceparent").expect("one").to_owned()).collect();
    assert_eq!(seen[0], mine);
    for made in &seen[1..] {
        let parts: Vec<usize> = made.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{made}");
        assert!(made.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{made}");
    }
    assert_ne!(seen[1], seen[2]);
}

async fn limited(limits: &str) -> (Shop, Sidecar) {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"yes")).await;
    let settings = format!("limits: {{{limits}}}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

#[tokio::test]
async fn a_head_above_the_limit_gets_431_and_one_below_passes() {
    let (shop, sidecar) = limited("header_bytes_max: 8192, header_count_max: 16").await;
    let long = |bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n",
            "a".repeat(bytes)
        )
    };
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: 1\r\n".repeat(20));
    for (bytes, status) in [(long(6_000), 200), (long(20_000), 431), (many, 431)] {
        let (reply, closed) = raw(sidecar.data, bytes.as_bytes(), PATIENCE).await;
        assert_eq!((parse(&reply, true).status, closed), (status, true), "{} bytes", bytes.len());
    }
    assert_eq!(shop.asked().len(), 1);
}

#[tokio::test]
async fn a_body_above_the_limit_gets_413_announced_or_not() {
    let (shop, sidecar) = limited("request_bytes_max: 1000, peek_bytes_max: 500").await;
    let chunked = |n: usize| {
        format!(
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n{}\r\n0\r\n\r\n",
            "a".repeat(n)
        )
    };
    let announced = |n: usize| {
        format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {n}\r\n\r\n{}", "a".repeat(n))
    };
    for (bytes, status) in [
        (announced(1_000), 200),
        (announced(1_001), 413),
        (chunked(1_000), 200),
        (chunked(1_001), 413),
    ] {
        let reply: Reply = parse(&raw(sidecar.data, bytes.as_bytes(), QUIET).await.0, true);
        assert_eq!(reply.status, status, "{} bytes", bytes.len());
        if status == 413 {
            assert_eq!(reply.header("x-leafrank"), Some("error; reason=request_too_large"));
        }
    }
    assert_eq!(shop.asked().len(), 2, "only whole bodies are whole requests");
}
