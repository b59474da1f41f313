//! Floods over HTTP/1.1: clients and shops that say nothing, half of it, or far too much. Each is
//! stopped by a limit, and nobody else notices.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::fixtures::leafloaf;
use crate::harness::personal::metric_becomes;
use crate::harness::shopper::{MILKS, Shopper, eventually};
use crate::harness::siege::{Siege, besieged, besieged_within};
use crate::harness::{Answer, Asked, Shop, Sidecar, Wire, get};

/// `/calm` is answered, searches are milk, and what else a story wants.
async fn shop_with(other: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Shop {
    Shop::start(move |asked| match asked.path() {
        "/calm" => Answer::reply("200 OK", &[], b"calm"),
        "/api/v1/search" if asked.header("x-flood").is_none() => Answer::json(&leafloaf(&MILKS)),
        _ => other(asked),
    })
    .await
}

async fn shop() -> Shop {
    shop_with(|_| Answer::reply("200 OK", &[], b"yes")).await
}

/// A personal search still comes out ranked.
async fn still_ranks(sidecar: &Sidecar) {
    let ann = Shopper::of(sidecar, "ann");
    ann.tracks("purchase", "M5").await;
    let reply = ann.search("milk").await;
    assert!(reply.outcome().starts_with("reranked"), "{}", reply.outcome());
}

#[tokio::test]
async fn five_hundred_slow_heads_end_with_the_header_timeout() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "header_timeout_seconds: 1").start().await;
    let siege = Siege::of(&sidecar);
    let mut slow = JoinSet::new();
    for _ in 0..500 {
        let mut stream = TcpStream::connect(sidecar.data).await.unwrap();
        slow.spawn(async move {
            let started = Instant::now();
            // A byte at a time keeps a connection busy and never makes a head.
            for byte in b"GET /x HTTP/1.1\r\nhost: x\r\nx-slow: ".iter().chain([b'y'; 400].iter()) {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            started.elapsed()
        });
    }
    for lasted in slow.join_all().await {
        assert!(lasted < Duration::from_secs(20), "a half head held on for {lasted:?}");
    }
    siege.withstood(&sidecar, Some("header_timeout_seconds")).await;
    assert!(shop.asked().iter().all(|asked| asked.path() == "/calm"));
}

#[tokio::test]
async fn three_hundred_half_sent_bodies_get_408_in_one_body_timeout() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "body_timeout_seconds: 4").start().await;
    let siege = Siege::of(&sidecar);
    let mut slow = JoinSet::new();
    for n in 0..300 {
        let path = if n % 2 == 0 { "/api/v1/search" } else { "/upload" };
        let mut wire = Wire::to(sidecar.data).await;
        slow.spawn(async move {
            let started = Instant::now();
            wire.send(format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\nhalf"
            ))
            .await;
            let reply = wire.reply().await;
            assert_eq!((reply.status, reply.outcome()), (408, "error; reason=request_silent"));
            started.elapsed()
        });
    }
    for lasted in slow.join_all().await {
        let once = Duration::from_millis(3_900)..Duration::from_millis(7_900);
        assert!(once.contains(&lasted), "{lasted:?}, and not one body_timeout_seconds");
    }
    siege.withstood(&sidecar, Some("body_timeout_seconds")).await;
}

/// Connections of this story: as many as the system lets both ends open.
fn idle_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or("");
    let soft = line.split_whitespace().nth(3).and_then(|n| n.parse::<usize>().ok());
    let room = soft.unwrap_or(1_024).saturating_sub(1_000);
    if room < 10_000 {
        eprintln!("only {room} idle connections: RLIMIT_NOFILE");
    }
    room.min(10_000)
}

#[tokio::test]
async fn ten_thousand_idle_connections_are_kept_and_others_are_served() {
    let shop = shop().await;
    let limits = "header_timeout_seconds: 600, idle_timeout_seconds: 600, connections_max: 12000";
    // An unoptimised build keeps futures of many kilobytes for each connection.
    let sidecar = besieged_within(512 << 20, shop.address, limits).start().await;
    let before = sidecar.resident_memory();
    let siege = Siege::of(&sidecar);
    let count = idle_connections();
    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        let mut wire = Wire::to(sidecar.data).await;
        // Half of them have asked something before they fell silent.
        if n % 2 == 0 {
            wire.send("GET /calm HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert_eq!(wire.reply().await.text(), "calm");
        }
        idle.push(wire);
    }
    eventually("all are open", || async {
        sidecar.metric("leafrank_connections").await >= count as f64
    })
    .await;
    let each = sidecar.resident_memory().saturating_sub(before) / count as u64;
    println!("{count} idle connections, {each} bytes each");
    siege.goes_on(50).await;
    still_ranks(&sidecar).await;
    drop(idle);
    siege.withstood(&sidecar, None).await;
    eventually("they are gone", || async { sidecar.metric("leafrank_connections").await < 10.0 })
        .await;
}

#[tokio::test]
async fn a_connection_too_many_is_closed_at_once_and_the_others_stay() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "connections_max: 50").start().await;
    metric_becomes(&sidecar, "leafrank_connections", 0.0).await;
    let mut kept = Vec::new();
    for _ in 0..50 {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send("GET /calm HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(wire.reply().await.text(), "calm");
        kept.push(wire);
    }
    for _ in 0..20 {
        let mut wire = Wire::to(sidecar.data).await;
        assert!(wire.closes_within(Duration::from_secs(5)).await, "one too many");
    }
    let said = sidecar.log().matches("limits.connections_max").count();
    assert_eq!(said, 1, "{}", sidecar.log());
    assert_eq!(sidecar.metric("leafrank_limit_hits_total{limit=\"connections_max\"}").await, 20.0);
    let mut others = Vec::new();
    for _ in 0..50 {
        let mut wire = Wire::to(sidecar.admin).await;
        wire.send("GET /rules HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        wire.head().await;
        others.push(wire);
    }
    let mut wire = Wire::to(sidecar.admin).await;
    assert!(wire.closes_within(Duration::from_secs(5)).await, "each port has its own number");
    for wire in &mut kept {
        wire.send("GET /calm HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(wire.reply().await.text(), "calm");
    }
    drop(kept);
    metric_becomes(&sidecar, "leafrank_connections", 0.0).await;
    assert_eq!(get(sidecar.data, "/calm").await.text(), "calm");
}

#[tokio::test]
async fn a_shop_that_stops_in_the_middle_of_a_head_or_a_body_holds_nobody_else() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n";
    let shop = shop_with(move |asked| match asked.header("x-flood") {
        Some("head") => Answer::Pieces(vec![
            (Duration::ZERO, b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
            (Duration::from_secs(3_600), Vec::new()),
        ]),
        _ => Answer::Pieces(vec![
            (Duration::ZERO, format!("{head}{{\"products\":[").into_bytes()),
            (Duration::from_secs(3_600), Vec::new()),
        ]),
    })
    .await;
    let sidecar = besieged(shop.address, "in_flight_max: 500, reply_bytes_max: 100000")
        .upstream("response_timeout_ms: 1500")
        .start()
        .await;
    still_ranks(&sidecar).await;
    let siege = Siege::of(&sidecar);
    let mut stuck = Vec::new();
    for n in 0..200 {
        let flood = if n % 2 == 0 { "head" } else { "body" };
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(crate::harness::personal::request("ann", &format!("x-flood: {flood}\r\n"))).await;
        stuck.push((flood, wire));
    }
    siege.goes_on(20).await;
    still_ranks(&sidecar).await;
    for (flood, wire) in &mut stuck {
        if *flood == "head" {
            let reply = wire.reply().await;
            assert_eq!((reply.status, reply.outcome()), (504, "error; reason=shop_timed_out"));
        }
    }
    drop(stuck);
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
    siege.withstood(&sidecar, None).await;
}

#[tokio::test]
async fn a_shop_that_stops_in_the_middle_of_a_page_is_given_up_and_one_that_drips_is_not() {
    let shop = shop_with(|asked| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nab".to_vec();
        let pause = Duration::from_millis(if asked.path() == "/stop" { 60_000 } else { 600 });
        let pieces = ["cd", "ef", "gh"].map(|piece| (pause, piece.as_bytes().to_vec()));
        Answer::Pieces([vec![(Duration::ZERO, head)], pieces.to_vec()].concat())
    })
    .await;
    let sidecar = besieged(shop.address, "reply_silence_seconds: 1").start().await;
    let siege = Siege::of(&sidecar);
    let mut stopped = Vec::new();
    for _ in 0..100 {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send("GET /stop HTTP/1.1\r\nhost: x\r\n\r\n").await;
        stopped.push(wire);
    }
    assert_eq!(get(sidecar.data, "/drip").await.text(), "abcdefgh");
    for wire in &mut stopped {
        assert_eq!(wire.head().await.status, 200);
        assert_eq!(wire.exactly(2).await.as_deref(), Some(&b"ab"[..]));
        assert!(wire.exactly(1).await.is_none(), "it breaks off, as the shop did");
    }
    siege.withstood(&sidecar, Some("reply_silence_seconds")).await;
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
}

/// A reply of 100 MB, with a length or in chunks.
fn huge(chunked: bool) -> Vec<u8> {
    const BYTES: usize = 100_000_000;
    let mut reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".to_vec();
    if chunked {
        reply.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        let chunk = [format!("{:x}\r\n", 1_000_000).into_bytes(), vec![b' '; 1_000_000]].concat();
        for _ in 0..BYTES / 1_000_000 {
            reply.extend_from_slice(&chunk);
            reply.extend_from_slice(b"\r\n");
        }
        reply.extend_from_slice(b"0\r\n\r\n");
    } else {
        reply.extend_from_slice(format!("content-length: {BYTES}\r\n\r\n").as_bytes());
        reply.resize(reply.len() + BYTES, b' ');
    }
    reply
}

#[tokio::test]
async fn a_search_answered_with_a_hundred_megabytes_streams_through() {
    let shop = shop_with(|asked| {
        Answer::Pieces(vec![(Duration::ZERO, huge(asked.header("x-flood") == Some("chunked")))])
    })
    .await;
    let sidecar = besieged(shop.address, "write_timeout_seconds: 600").start().await;
    still_ranks(&sidecar).await;
    let siege = Siege::of(&sidecar);
    let mut readers = JoinSet::new();
    for flood in ["chunked", "length", "chunked"] {
        let mut stream = TcpStream::connect(sidecar.data).await.unwrap();
        readers.spawn(async move {
            let headers = format!("x-flood: {flood}\r\nconnection: close\r\n");
            stream
                .write_all(crate::harness::personal::request("ann", &headers).as_bytes())
                .await
                .unwrap();
            let (mut total, mut chunk) = (0, vec![0; 1 << 20]);
            while let Ok(n @ 1..) = stream.read(&mut chunk).await {
                total += n;
            }
            total
        });
    }
    for total in readers.join_all().await {
        assert!(total > 100_000_000, "{total} bytes came");
    }
    siege.withstood(&sidecar, Some("reply_bytes_max")).await;
    assert!(sidecar.bypassed("reply_too_large").await >= 3.0);
}

#[tokio::test]
async fn clients_that_never_read_lose_their_connection_and_their_hold_on_the_shop() {
    let shop = shop_with(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n".to_vec();
        Answer::Pieces(vec![(Duration::ZERO, [head, vec![b'x'; 10_000_000]].concat())])
    })
    .await;
    let limits = "write_timeout_seconds: 2, header_timeout_seconds: 4";
    let sidecar = besieged(shop.address, limits).start().await;
    let siege = Siege::of(&sidecar);
    let mut deaf = Vec::new();
    for _ in 0..30 {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send("GET /huge HTTP/1.1\r\nhost: x\r\n\r\n").await;
        deaf.push(wire);
    }
    eventually("all are given up", || async {
        sidecar.metric("leafrank_limit_hits_total{limit=\"write_timeout_seconds\"}").await >= 30.0
    })
    .await;
    drop(deaf);
    siege.withstood(&sidecar, Some("write_timeout_seconds")).await;
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
}

#[tokio::test]
async fn a_slow_reader_that_takes_something_now_and_then_is_no_silent_one() {
    let shop = shop_with(|_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 12000000\r\n\r\n".to_vec();
        Answer::Pieces(vec![(Duration::ZERO, [head, vec![b'x'; 12_000_000]].concat())])
    })
    .await;
    let limits = "write_timeout_seconds: 2, header_timeout_seconds: 1, idle_timeout_seconds: 2";
    let sidecar = besieged(shop.address, limits).start().await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("GET /huge HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 200);
    for part in 0..8 {
        assert!(wire.exactly(1_500_000).await.is_some(), "part {part}");
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
}

#[tokio::test]
async fn header_bombs_get_431_and_cost_no_memory() {
    let shop = shop().await;
    let sidecar = besieged(shop.address, "header_bytes_max: 16384").start().await;
    let siege = Siege::of(&sidecar);
    let many = "x: y\r\n".repeat(1_000);
    let long = format!("x: {}\r\n", "y".repeat(1_000_000));
    let mut bombs = JoinSet::new();
    for n in 0..200 {
        let lines = if n % 2 == 0 { many.clone() } else { long.clone() };
        let mut wire = Wire::to(sidecar.data).await;
        bombs.spawn(async move {
            // Closed while it still sends is as good an answer.
            let sent = wire.try_send(format!("GET / HTTP/1.1\r\nhost: x\r\n{lines}\r\n")).await;
            let reply = if sent.is_ok() { wire.try_head().await } else { None };
            assert!(reply.is_none_or(|reply| reply.status == 431));
        });
    }
    bombs.join_all().await;
    siege.withstood(&sidecar, Some("header_bytes_max")).await;
    assert!(shop.asked().iter().all(|asked| asked.path() == "/calm"));
}

#[tokio::test]
async fn above_the_soft_mark_nothing_is_personalised_and_above_the_hard_one_requests_are_shed() {
    // The process is larger than one percent of 512 MiB, and smaller than all of it.
    let limits = "memory_bytes_max: 536870912, memory_soft_percent: 1, hold_ms: 10000";
    let shop = shop().await;
    for (hard, status, outcome) in
        [(100, 200, "bypass; reason=memory"), (1, 503, "error; reason=memory")]
    {
        let settings = format!("mode: on\nlimits: {{{limits}, memory_hard_percent: {hard}}}");
        let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
        metric_becomes(&sidecar, "leafrank_memory_limit_bytes", 536_870_912.0).await;
        let ann = Shopper::of(&sidecar, "ann");
        for _ in 0..3 {
            let reply = ann.search("milk").await;
            assert_eq!((reply.status, reply.outcome()), (status, outcome));
            match status {
                200 => assert_eq!(reply.body, leafloaf(&MILKS)),
                _ => assert_eq!(reply.header("retry-after"), Some("1")),
            }
        }
        let key = if status == 200 { "memory_soft_percent" } else { "memory_hard_percent" };
        let hits = format!("leafrank_limit_hits_total{{limit=\"{key}\"}}");
        assert_eq!(sidecar.metric(&hits).await, 3.0);
        assert_eq!(sidecar.log().matches(&format!("limits.{key}")).count(), 1);
        assert_eq!(get(sidecar.ops, "/livez").await.status, 200, "health is another port");
        assert_eq!(get(sidecar.ops, "/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn memory_that_a_flood_took_comes_back_and_so_does_personalisation() {
    let shop = shop().await;
    let sidecar = Sidecar::before(shop.address)
        .settings(
            "mode: on\nlimits: {memory_bytes_max: 268435456, memory_soft_percent: 50, \
             memory_hard_percent: 100, hold_ms: 10000, rank_us: 1000000, body_timeout_seconds: 60}",
        )
        .start()
        .await;
    still_ranks(&sidecar).await;
    let ann = Shopper::of(&sidecar, "ann");
    let mut flood = Vec::new();
    let body = [b'x'; 60_000];
    let deadline = Instant::now() + Duration::from_secs(30);
    // Bodies that are read ahead and never end.
    while ann.search("milk").await.outcome() != "bypass; reason=memory" {
        assert!(Instant::now() < deadline, "{} bytes", sidecar.resident_memory());
        for _ in 0..50 {
            let mut stream = TcpStream::connect(sidecar.data).await.unwrap();
            let head = "POST /api/v1/search HTTP/1.1\r\nhost: x\r\ncontent-length: 60001\r\n\r\n";
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            flood.push(stream);
        }
    }
    flood.clear();
    eventually("it is ranked again", || async {
        ann.search("milk").await.outcome().starts_with("reranked")
    })
    .await;
}
