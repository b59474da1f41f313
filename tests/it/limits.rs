//! Time limits on clients that say nothing or half of it, and the cap on rankings at a time.

use std::time::{Duration, Instant};

use crate::harness::personal::{self, PATIENT, milks, teach};
use crate::harness::{Answer, Shop, Sidecar, Wire};

const SHORT: &str =
    "limits: {header_timeout_seconds: 1, idle_timeout_seconds: 2, body_timeout_seconds: 1}";
/// The limit, the interval at which it is looked at, and a busy machine.
const SOON: Duration = Duration::from_secs(8);

async fn impatient() -> (Shop, Sidecar) {
    let shop = Shop::start(|asked| match asked.path() {
        "/slow" => {
            let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow";
            Answer::Pieces(vec![(Duration::from_secs(4), reply.to_vec())])
        }
        _ => Answer::reply("200 OK", &[], b"yes"),
    })
    .await;
    let sidecar = Sidecar::before(shop.address).settings(SHORT).start().await;
    (shop, sidecar)
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_a_head_are_closed() {
    let (shop, sidecar) = impatient().await;
    for half in ["", "G", "GET /x HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n\r\n"] {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(half).await;
        let started = Instant::now();
        assert!(wire.closes_within(SOON).await, "{half:?} held its connection");
        assert!(
            started.elapsed() > Duration::from_millis(900),
            "{half:?}: {:?}",
            started.elapsed()
        );
    }
    assert!(shop.asked().is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_slow_reply_is_not() {
    let (_shop, sidecar) = impatient().await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(wire.reply().await.text(), "slow");
    let started = Instant::now();
    assert!(wire.closes_within(SOON).await);
    assert!(started.elapsed() > Duration::from_millis(1_800), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_half_sent_body_gets_408_and_the_connection_ends() {
    let (_shop, sidecar) = impatient().await;
    for path in ["/upload", "/api/v1/search"] {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"))
            .await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, 408, "{path}");
        assert_eq!(reply.outcome(), "error; reason=request_silent", "{path}");
        assert!(wire.closes_within(SOON).await, "{path}");
    }
}

#[tokio::test]
async fn searches_above_the_cap_pass_unranked() {
    let shop = Shop::start(|_| {
        let mut head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n".to_vec();
        let body = milks();
        head.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        Answer::Pieces(vec![(Duration::ZERO, head), (Duration::from_millis(800), body)])
    })
    .await;
    let limits = format!("{PATIENT}, in_flight_max: 1");
    let sidecar = personal::ranking(shop.address, &limits).start().await;
    teach(&sidecar, "u1", "m5").await;
    let mut wires = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(personal::request("u1", "")).await;
        wires.push(wire);
    }
    let mut ranked = 0;
    for wire in &mut wires {
        let reply = wire.reply().await;
        if reply.outcome().starts_with("reranked") {
            ranked += 1;
        } else {
            assert_eq!(reply.outcome(), "bypass; reason=overload");
            assert!(reply.body == milks());
        }
    }
    assert_eq!(ranked, 1);
    wires[0].send(personal::request("u1", "")).await;
    let reply = wires[0].reply().await;
    assert!(
        reply.outcome().starts_with("reranked"),
        "the place is free again: {}",
        reply.outcome()
    );
}
