//! SIGTERM: not ready first, nothing in flight is lost, and the end comes in time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::harness::{Answer, Shop, Sidecar, Wire, get, http2};

const ASK: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// What the clients saw.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    told_to_close: AtomicUsize,
    /// Requests that were sent and not wholly answered.
    lost: AtomicUsize,
    over: AtomicBool,
}

impl Tally {
    fn count(counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Asks until the port is closed; keeps its connection while it is let.
async fn ask_on(address: SocketAddr, keep: bool, tally: Arc<Tally>) {
    let mut kept: Option<Wire> = None;
    while !tally.over.load(Ordering::Relaxed) {
        let mut wire = match kept.take() {
            Some(wire) => wire,
            None => match TcpStream::connect(address).await {
                Ok(stream) => Wire::over(stream),
                Err(_) => return,
            },
        };
        if wire.try_send(ASK).await.is_err() {
            Tally::count(&tally.lost);
            continue;
        }
        match wire.try_reply().await {
            Some(reply) if reply.status == 200 => {
                Tally::count(&tally.answered);
                let close = reply.header("connection") == Some("close");
                if close {
                    Tally::count(&tally.told_to_close);
                }
                if keep && !close {
                    kept = Some(wire);
                }
            }
            _ => Tally::count(&tally.lost),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn takes(wait: Duration) -> impl Fn(&crate::harness::Asked) -> Answer {
    let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
    move |_| Answer::Pieces(vec![(wait, reply.to_vec())])
}

async fn before(shop: &Shop, shutdown: &str) -> Sidecar {
    let settings = format!("shutdown: {{{shutdown}}}");
    Sidecar::before(shop.address).settings(&settings).start().await
}

#[tokio::test]
async fn under_load_nothing_in_flight_is_lost_and_readiness_flips_first() {
    let shop = Shop::start(takes(Duration::from_millis(20))).await;
    let mut sidecar = before(&shop, "lame_duck_ms: 1000, drain_ms: 5000").await;
    let tally = Arc::<Tally>::default();
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..12 {
        clients.spawn(ask_on(sidecar.data, n < 8, tally.clone()));
    }
    while tally.answered.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tally.told_to_close.load(Ordering::Relaxed), 0);
    let told = Instant::now();
    sidecar.terminate();
    while get(sidecar.ops, "/readyz").await.status != 503 {
        assert!(told.elapsed() < Duration::from_millis(900), "still ready");
    }
    let reply = get(sidecar.data, "/").await;
    assert_eq!(reply.status, 200, "not ready, and still serving");
    assert_eq!(get(sidecar.ops, "/livez").await.status, 200);
    // Balancers have turned away by the end of the lame-duck time; so do these clients.
    tokio::time::sleep(Duration::from_millis(900).saturating_sub(told.elapsed())).await;
    tally.over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert_eq!(sidecar.ended(Duration::from_secs(15)).await, Some(0));
    let took = told.elapsed();
    assert!(took >= Duration::from_millis(1_000) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(tally.lost.load(Ordering::Relaxed), 0);
    assert!(tally.told_to_close.load(Ordering::Relaxed) > 8);
}

#[tokio::test]
async fn a_connection_that_comes_after_the_lame_duck_time_is_still_answered() {
    let shop = Shop::start(|asked| match asked.path() {
        "/slow" => takes(Duration::from_secs(3))(asked),
        _ => takes(Duration::ZERO)(asked),
    })
    .await;
    let mut sidecar = before(&shop, "lame_duck_ms: 0, drain_ms: 20000").await;
    let mut slow = Wire::to(sidecar.data).await;
    slow.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut idle = Wire::to(sidecar.data).await;
    idle.send(ASK).await;
    assert_eq!(idle.reply().await.status, 200);
    while shop.asked().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sidecar.terminate();
    assert!(idle.closes_within(Duration::from_secs(2)).await, "idle connections are closed");
    for _ in 0..10 {
        let mut late = Wire::to(sidecar.data).await;
        late.send(ASK).await;
        let reply = late.reply().await;
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    }
    assert_eq!(slow.reply().await.text(), "done");
    assert_eq!(sidecar.ended(Duration::from_secs(10)).await, Some(0));
}

#[tokio::test]
async fn a_slow_request_is_finished_before_the_end() {
    let shop = Shop::start(takes(Duration::from_secs(2))).await;
    let mut sidecar = before(&shop, "lame_duck_ms: 100, drain_ms: 20000").await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send(ASK).await;
    while shop.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = Instant::now();
    sidecar.terminate();
    assert_eq!(wire.reply().await.text(), "done");
    assert_eq!(sidecar.ended(Duration::from_secs(10)).await, Some(0));
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up_with_the_drain() {
    let shop = Shop::start(|_| Answer::Silence).await;
    let mut sidecar = before(&shop, "lame_duck_ms: 100, drain_ms: 1000").await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send(ASK).await;
    while shop.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.ended(Duration::from_secs(10)).await, Some(0));
    let took = told.elapsed();
    // lame duck + drain + 2 s, and a moment to look.
    assert!(
        took >= Duration::from_millis(1_100) && took < Duration::from_millis(3_600),
        "{took:?}"
    );
    assert!(sidecar.log().contains("still in flight"), "{}", sidecar.log());
}

#[tokio::test]
async fn a_reply_that_its_client_takes_slowly_is_finished_before_the_end() {
    let whole = crate::harness::fixtures::leafloaf(&[("m1", &"Milk ".repeat(100_000))]);
    let own = whole.clone();
    let shop = Shop::start(move |_| Answer::json(&own)).await;
    let mut sidecar = Sidecar::before(shop.address)
        .settings("mode: on\nshutdown: {lame_duck_ms: 0, drain_ms: 20000}")
        .start()
        .await;
    crate::harness::personal::teach(&sidecar, "ann", "m1").await;
    // Over HTTP/2 a client takes exactly as much as it says, whatever sockets would buffer.
    let (client, connection) =
        h2::client::handshake(TcpStream::connect(sidecar.data).await.unwrap()).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let mut client = client.ready().await.unwrap();
    let ask = http2::request("POST", "/api/v1/search", &[("x-user-id", "ann")]);
    let (reply, mut query) = client.send_request(ask, false).unwrap();
    query.send_data(bytes::Bytes::from_static(br#"{"query":"milk"}"#), true).unwrap();
    let mut body = reply.await.unwrap().into_body();
    sidecar.terminate();
    let (mut paused, mut all) = (false, Vec::new());
    while let Some(data) = body.data().await {
        let data = data.expect("the reply goes on");
        all.extend_from_slice(&data);
        // The engine has the last part by now and may not send it.
        if !paused && whole.len() - all.len() < 100_000 {
            paused = true;
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert!(all == whole, "{} of {} bytes", all.len(), whole.len());
    assert_eq!(sidecar.ended(Duration::from_secs(10)).await, Some(0));
}

#[tokio::test]
async fn a_second_sigterm_ends_it_at_once() {
    let shop = Shop::start(|_| Answer::Silence).await;
    let mut sidecar = before(&shop, "lame_duck_ms: 60000, drain_ms: 60000").await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send(ASK).await;
    sidecar.terminate();
    while get(sidecar.ops, "/readyz").await.status != 503 {}
    let told = Instant::now();
    sidecar.terminate();
    assert_eq!(sidecar.ended(Duration::from_secs(10)).await, Some(0));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}
