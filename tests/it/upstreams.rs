//! The shop's side: sockets, several addresses, failures that name us, connections that died.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

use crate::harness::shopper::eventually;
use crate::harness::sidecar::free_ports;
use crate::harness::{Answer, Shop, Sidecar, Wire, get, post};

#[tokio::test]
async fn unix_sockets_serve_on_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.sock");
    let shop = Shop::start_unix(&path, |_| Answer::reply("200 OK", &[], b"by file")).await;
    let sidecar = Sidecar::before(format!("unix:{}", path.display())).start().await;
    assert_eq!(get(sidecar.data, "/tcp").await.text(), "by file");
    let socket = sidecar.directory.path().join("data.sock");
    let mut wire = Wire::over(UnixStream::connect(socket).await.expect("the data socket"));
    for _ in 0..2 {
        wire.send("GET /unix HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
            .await;
        assert_eq!(wire.reply().await.text(), "by file");
    }
    let asked = shop.asked().pop().unwrap();
    assert_eq!(asked.header("x-forwarded-for"), Some("203.0.113.9"), "a socket has no address");
}

#[tokio::test]
async fn addresses_take_turns_and_a_dead_one_is_left_out() {
    let answer = |name: &'static str| move |_: &_| Answer::reply("200 OK", &[], name.as_bytes());
    let (one, two) = (Shop::start(answer("one")).await, Shop::start(answer("two")).await);
    let [dead] = free_ports();
    let sidecar = Sidecar::before(one.address)
        .and_before(dead)
        .and_before(two.address)
        .upstream("health_interval_ms: 200")
        .start()
        .await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut turns = HashMap::new();
        for _ in 0..20 {
            *turns.entry(get(sidecar.data, "/").await.text()).or_insert(0) += 1;
        }
        if turns.get("one") == Some(&10) && turns.get("two") == Some(&10) {
            return;
        }
        assert!(Instant::now() < deadline, "turns: {turns:?}");
    }
}

#[tokio::test]
async fn a_dead_address_costs_no_answer_even_without_health_checks() {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[], b"alive")).await;
    let [dead] = free_ports();
    let sidecar = Sidecar::before(shop.address).and_before(dead).listen_threads(1).start().await;
    for n in 0..10 {
        assert_eq!(get(sidecar.data, "/").await.text(), "alive", "page {n}");
        let order = serde_json::json!({"query": format!("order {n}")});
        assert_eq!(post(sidecar.data, "/api/v1/order", &order).await.text(), "alive");
    }
    assert_eq!(shop.asked().len(), 20, "each was sent once");
}

#[tokio::test]
async fn a_shop_that_cannot_be_reached_is_a_502_that_names_us() {
    let [dead, gone] = free_ports();
    let sidecar = Sidecar::before(dead)
        .and_before(gone)
        .upstream("health_interval_ms: 100")
        .settings("health: {ready_needs_upstream: false}")
        .start()
        .await;
    for _ in 0..4 {
        let reply = get(sidecar.data, "/").await;
        assert_eq!((reply.status, reply.outcome()), (502, "error; reason=shop_unreachable"));
        assert_eq!(reply.json()["from"], "leafrank");
    }
    let errors =
        sidecar.metric("leafrank_upstream_errors_total{reason=\"shop_unreachable\"}").await;
    assert!((errors - 4.0).abs() < 0.5, "{errors}");
}

#[tokio::test]
async fn readiness_follows_the_shops_door_and_life_does_not() {
    let [address] = free_ports();
    let script = |_: &_| Answer::reply("200 OK", &[], b"up");
    let sidecar = Sidecar::before(address).spawn();
    let probe = async |path: &str| get(sidecar.ops, path).await.status;
    eventually("it listens", async || std::net::TcpStream::connect(sidecar.ops).is_ok()).await;
    assert_eq!((probe("/livez").await, probe("/startupz").await), (200, 200));
    assert_eq!(probe("/readyz").await, 503);
    assert_eq!(get(sidecar.ops, "/readyz").await.text(), "the shop accepts no connection\n");
    let shop = Shop::start_at(address, script).await;
    eventually("the shop is seen", async || probe("/readyz").await == 200).await;
    assert_eq!(sidecar.metric("leafrank_upstream_up").await, 1.0);
    shop.stop().await;
    eventually("it is missed", async || probe("/readyz").await == 503).await;
    assert_eq!((probe("/livez").await, probe("/startupz").await), (200, 200));
    assert_eq!(sidecar.metric("leafrank_upstream_up").await, 0.0);
    let _shop = Shop::start_at(address, script).await;
    eventually("it is back", async || probe("/readyz").await == 200).await;
}

#[tokio::test]
async fn a_shop_that_does_not_answer_is_a_504() {
    let shop = Shop::start(|_| Answer::Silence).await;
    let sidecar = Sidecar::before(shop.address).upstream("response_timeout_ms: 300").start().await;
    let reply = get(sidecar.data, "/").await;
    assert_eq!((reply.status, reply.outcome()), (504, "error; reason=shop_timed_out"));
}

/// Answers once a connection; the second request finds it dead.
async fn once_a_connection() -> Shop {
    let answered = Mutex::new(HashMap::<usize, usize>::new());
    Shop::start(move |asked| {
        let mut answered = answered.lock().unwrap();
        let count = answered.entry(asked.connection).or_default();
        *count += 1;
        if *count > 1 { Answer::HangUp } else { Answer::reply("200 OK", &[], b"yes") }
    })
    .await
}

#[tokio::test]
async fn a_read_on_a_connection_that_died_is_sent_once_more() {
    let shop = once_a_connection().await;
    let sidecar = Sidecar::before(shop.address).listen_threads(1).start().await;
    for n in 0..40 {
        let body = serde_json::json!({"query": format!("q{n}")});
        let reply = post(sidecar.data, "/api/v1/search", &body).await;
        assert_eq!(reply.status, 200, "search {n}: {}", reply.text());
    }
    let asked = shop.asked();
    for n in 0..40 {
        let wanted = format!("{{\"query\":\"q{n}\"}}").into_bytes();
        let times = asked.iter().filter(|a| a.body == wanted).count();
        assert!((1..=2).contains(&times), "search {n} was sent {times} times");
    }
    assert!(asked.len() > 50, "the shop's connections did die: {} requests", asked.len());
}

#[tokio::test]
async fn reads_survive_when_many_kept_connections_died_at_once() {
    let shop = once_a_connection().await;
    let sidecar = Sidecar::before(shop.address).listen_threads(1).start().await;
    for round in 0..6 {
        let mut searches = tokio::task::JoinSet::new();
        for n in 0..16 {
            let body = serde_json::json!({"query": format!("{round} {n}")});
            let address = sidecar.data;
            searches.spawn(async move { post(address, "/api/v1/search", &body).await.status });
        }
        for status in searches.join_all().await {
            assert_eq!(status, 200, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_post_that_changes_something_is_never_sent_twice() {
    let shop = once_a_connection().await;
    let sidecar = Sidecar::before(shop.address).listen_threads(1).start().await;
    for path in ["/api/v1/order", "/cart", "/api/personalization/track"] {
        assert_eq!(get(sidecar.data, "/warm").await.status, 200);
        let mut failed = 0;
        for n in 0..6 {
            let body = serde_json::json!({"query": format!("{path} {n}")});
            let reply = post(sidecar.data, path, &body).await;
            if reply.status != 200 {
                assert_eq!((reply.status, reply.outcome()), (502, "error; reason=shop_hung_up"));
                failed += 1;
            }
            let wanted = body.to_string().into_bytes();
            let times = shop.asked().iter().filter(|a| a.body == wanted).count();
            assert_eq!(times, 1, "{path} {n}");
        }
        assert!(failed > 0, "no connection died under {path}");
    }
}

#[tokio::test]
async fn a_page_that_is_only_read_is_a_read_without_a_route() {
    let shop = once_a_connection().await;
    let sidecar = Sidecar::before(shop.address).listen_threads(1).start().await;
    for n in 0..10 {
        assert_eq!(get(sidecar.data, &format!("/page/{n}")).await.status, 200, "page {n}");
    }
}

#[tokio::test]
async fn searches_survive_a_shop_that_closes_idle_connections_in_our_face() {
    let idle = Duration::from_millis(60);
    let shop = Shop::start(move |_| {
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec();
        Answer::PiecesThenClose(vec![(Duration::ZERO, reply), (idle, Vec::new())])
    })
    .await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let mut wire = Wire::to(sidecar.data).await;
    let search = "POST /api/v1/search HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    for n in 0..40_u32 {
        wire.send(search).await;
        assert_eq!(wire.reply().await.status, 200, "search {n}");
        // Around the moment at which the shop gives up: this is the race.
        tokio::time::sleep(
            idle - Duration::from_micros(1_500) + Duration::from_micros(250) * (n % 12),
        )
        .await;
    }
}

#[tokio::test]
async fn a_shop_that_restarts_is_found_again() {
    let script = |_: &_| Answer::reply("200 OK", &[], b"up");
    let [address] = free_ports();
    let shop = Shop::start_at(address, script).await;
    let sidecar = Sidecar::before(address).start().await;
    let mut wires = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::to(sidecar.data).await;
        wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(wire.reply().await.status, 200);
        wires.push(wire);
    }
    shop.stop().await;
    assert_eq!(get(sidecar.data, "/").await.status, 502);
    let _shop = Shop::start_at(address, script).await;
    for wire in &mut wires {
        wire.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(wire.reply().await.text(), "up", "the client's connection outlived the shop's");
    }
}
