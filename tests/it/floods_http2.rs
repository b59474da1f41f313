//! Floods over HTTP/2, frame by frame: resets, continuations, headers that unpack to far more than
//! was sent, windows that never open, streams above the cap.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::fixtures::leafloaf;
use crate::harness::personal::{metric_becomes, search, teach};
use crate::harness::shopper::eventually;
use crate::harness::siege::{Siege, besieged};
use crate::harness::{Answer, Shop};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;

async fn shop() -> Shop {
    Shop::start(|asked| match asked.path() {
        "/calm" => Answer::reply("200 OK", &[], b"calm"),
        "/wait" => Answer::Silence,
        "/huge" => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
            Answer::Pieces(vec![(Duration::ZERO, [head, vec![b'x'; 1_000_000]].concat())])
        }
        _ => Answer::reply("200 OK", &[], b"yes"),
    })
    .await
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A literal of up to 126 bytes that is not remembered.
fn literal(name_index: u8, value: &str) -> Vec<u8> {
    [&[name_index, value.len() as u8], value.as_bytes()].concat()
}

/// `GET path` in HPACK.
fn get(path: &str) -> Vec<u8> {
    [vec![0x82, 0x86], literal(0x04, path), literal(0x01, "shop.test")].concat()
}

/// A connection whose preface is sent.
async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

/// Reads frames until the end or for `patience`; returns (kind, stream, payload).
async fn frames(stream: &mut TcpStream, patience: Duration) -> Vec<(u8, u32, Vec<u8>)> {
    let (mut all, mut buffer, mut chunk) = (Vec::new(), Vec::new(), vec![0; 65_536]);
    while let Ok(Ok(n @ 1..)) = tokio::time::timeout(patience, stream.read(&mut chunk)).await {
        buffer.extend_from_slice(&chunk[..n]);
        while buffer.len() >= 9 {
            let length = u32::from_be_bytes([0, buffer[0], buffer[1], buffer[2]]) as usize;
            if buffer.len() < 9 + length {
                break;
            }
            let frame: Vec<u8> = buffer.drain(..9 + length).collect();
            let number = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
            all.push((frame[3], number, frame[9..].to_vec()));
        }
    }
    all
}

#[tokio::test]
async fn rapid_resets_end_their_connection() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "header_timeout_seconds: 5").start().await;
    let siege = Siege::of(&sidecar);
    let mut floods = JoinSet::new();
    for _ in 0..20 {
        let mut stream = connect(sidecar.data).await;
        floods.spawn(async move {
            for batch in 0..50_u32 {
                let mut bytes = Vec::new();
                for n in 0..100 {
                    let id = (batch * 100 + n) * 2 + 1;
                    bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, id, &get("/wait")));
                    bytes.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
                }
                if stream.write_all(&bytes).await.is_err() {
                    return true;
                }
            }
            let started = Instant::now();
            frames(&mut stream, Duration::from_secs(10)).await;
            started.elapsed() < Duration::from_secs(9)
        });
    }
    assert!(floods.join_all().await.into_iter().all(|ended| ended), "a flood was let go on");
    siege.withstood(&sidecar, Some("h2_resets_max")).await;
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
}

#[tokio::test]
async fn endless_continuations_end_their_connection() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "header_bytes_max: 65536").start().await;
    let siege = Siege::of(&sidecar);
    let mut floods = JoinSet::new();
    for _ in 0..20 {
        let mut stream = connect(sidecar.data).await;
        floods.spawn(async move {
            stream.write_all(&frame(HEADERS, END_STREAM, 1, &get("/"))).await.unwrap();
            // 127 bytes a header, in frames that never say that the head has ended.
            let header = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
            let part = frame(CONTINUATION, 0, 1, &header.repeat(100));
            for _ in 0..10_000 {
                if stream.write_all(&part).await.is_err() {
                    return true;
                }
            }
            false
        });
    }
    assert!(floods.join_all().await.into_iter().all(|ended| ended), "a flood was let go on");
    siege.withstood(&sidecar, Some("h2_resets_max")).await;
    assert!(shop.asked().iter().all(|asked| asked.path() == "/calm"));
}

#[tokio::test]
async fn headers_that_unpack_to_much_more_than_was_sent_cost_no_memory() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "header_bytes_max: 65536").start().await;
    let siege = Siege::of(&sidecar);
    let mut floods = JoinSet::new();
    for _ in 0..20 {
        let mut stream = connect(sidecar.data).await;
        floods.spawn(async move {
            // One header of 4 kB goes into the table and is then named 12,000 times: 48 MB.
            let mut bomb = get("/bomb");
            bomb.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
            bomb.extend_from_slice(&[b'y'; 4_000]);
            bomb.extend_from_slice(&[0xbe; 12_000]);
            for n in 0..20_u32 {
                let bytes = frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &bomb);
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            frames(&mut stream, Duration::from_secs(1)).await;
        });
    }
    floods.join_all().await;
    siege.withstood(&sidecar, None).await;
    assert!(shop.asked().iter().all(|asked| asked.path() == "/calm"));
}

#[tokio::test]
async fn windows_that_never_open_lose_their_connection_and_their_hold_on_the_shop() {
    let shop = shop().await;
    let limits = "write_timeout_seconds: 2, header_timeout_seconds: 4";
    let sidecar = besieged(shop.address, limits).start().await;
    let siege = Siege::of(&sidecar);
    let mut deaf = Vec::new();
    for _ in 0..5 {
        let mut stream = connect(sidecar.data).await;
        for n in 0..20_u32 {
            let ask = frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &get("/huge"));
            stream.write_all(&ask).await.unwrap();
        }
        deaf.push(stream);
    }
    eventually("all are given up", || async {
        sidecar.metric("leafrank_limit_hits_total{limit=\"write_timeout_seconds\"}").await >= 5.0
    })
    .await;
    for stream in &mut deaf {
        let seen = frames(stream, Duration::from_secs(5)).await;
        let given: usize =
            seen.iter().filter(|(kind, ..)| *kind == DATA).map(|(.., data)| data.len()).sum();
        assert_eq!(given, 65_535, "what the first window takes");
    }
    siege.withstood(&sidecar, Some("write_timeout_seconds")).await;
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
}

#[tokio::test]
async fn a_ranked_reply_that_nobody_takes_frees_its_place_with_the_write_timeout() {
    let hits: Vec<(String, String)> =
        (0..1_000).map(|n| (format!("m{n}"), format!("Milk number {n}"))).collect();
    let hits: Vec<_> = hits.iter().map(|(sku, name)| (sku.as_str(), name.as_str())).collect();
    let many = leafloaf(&hits);
    let shop = Shop::start(move |asked| match asked.path() {
        "/calm" => Answer::reply("200 OK", &[], b"calm"),
        _ => Answer::json(&many),
    })
    .await;
    let limits = "in_flight_max: 1, write_timeout_seconds: 3, header_timeout_seconds: 4";
    let sidecar = besieged(shop.address, limits).start().await;
    teach(&sidecar, "ann", "m5").await;
    let outcome = async || search(&sidecar, "ann", &[]).await.outcome().to_owned();
    assert!(outcome().await.starts_with("reranked"));
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
    let mut deaf = connect(sidecar.data).await;
    let user = [&[0x00, 9][..], b"x-user-id", &[3], b"ann"].concat();
    let post = [&[0x83][..], &get("/api/v1/search")[1..], &user].concat();
    let ask = frame(HEADERS, END_HEADERS, 1, &post);
    let query = frame(DATA, END_STREAM, 1, br#"{"query":"milk"}"#);
    deaf.write_all(&[ask, query].concat()).await.unwrap();
    metric_becomes(&sidecar, "leafrank_reranked_total", 2.0).await;
    assert_eq!(outcome().await, "bypass; reason=overload", "the only place is taken");
    eventually("its place is free", async || outcome().await.starts_with("reranked")).await;
    let seen = frames(&mut deaf, Duration::from_secs(1)).await;
    assert!(seen.iter().any(|(kind, ..)| *kind == DATA), "it was answered");
    Siege::of(&sidecar).withstood(&sidecar, Some("write_timeout_seconds")).await;
}

#[tokio::test]
async fn requests_above_the_cap_are_shed_until_others_have_ended() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "requests_max: 300").start().await;
    let mut floods = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(sidecar.data).await;
        for n in 0..100_u32 {
            let ask = frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &get("/wait"));
            stream.write_all(&ask).await.unwrap();
        }
        floods.push(stream);
    }
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 300.0).await;
    for _ in 0..5 {
        let reply = crate::harness::get(sidecar.data, "/calm").await;
        assert_eq!((reply.status, reply.outcome()), (503, "error; reason=requests"));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(sidecar.log().matches("limits.requests_max").count(), 1);
    drop(floods);
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
    Siege::of(&sidecar).withstood(&sidecar, Some("requests_max")).await;
}

#[tokio::test]
async fn streams_above_the_cap_are_refused_and_the_others_served() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "h2_streams_max: 4").start().await;
    let mut stream = connect(sidecar.data).await;
    let mut bytes = Vec::new();
    for n in 0..10_u32 {
        bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &get("/wait")));
    }
    stream.write_all(&bytes).await.unwrap();
    let seen = frames(&mut stream, Duration::from_secs(1)).await;
    let settings = seen.iter().find(|(kind, ..)| *kind == SETTINGS).expect("its settings");
    let streams_max = [&[0, 3][..], &4_u32.to_be_bytes()].concat();
    assert!(settings.2.chunks(6).any(|setting| setting == streams_max), "it says so at once");
    let refused: Vec<u32> = seen
        .iter()
        .filter(|(kind, _, payload)| {
            *kind == RST_STREAM && *payload == REFUSED_STREAM.to_be_bytes()
        })
        .map(|(_, stream, _)| *stream)
        .collect();
    assert_eq!(refused, [9, 11, 13, 15, 17, 19]);
    assert_eq!(shop.asked().iter().filter(|asked| asked.path() == "/wait").count(), 4);
    // One is taken back: there is room for another.
    let mut bytes = frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, 21, &get("/calm")));
    stream.write_all(&bytes).await.unwrap();
    let seen = frames(&mut stream, Duration::from_secs(1)).await;
    let said = seen.iter().find(|(kind, number, _)| (*kind, *number) == (DATA, 21));
    assert_eq!(said.expect("a reply").2, b"calm");
}
