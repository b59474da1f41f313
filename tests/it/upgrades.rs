//! Upgrades: WebSocket sessions flow through the tunnel, refusals pass, h2c is never tunnelled.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::harness::personal::metric_becomes;
use crate::harness::{Answer, Shop, Sidecar, exchange};

/// A shop that echoes over WebSocket.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_close() || socket.send(message).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("connect");
    client_async("ws://shop.test/ws?room=1", stream).await.expect("101").0
}

async fn say(socket: &mut WebSocketStream<TcpStream>, message: Message) {
    socket.send(message.clone()).await.expect("send");
    let heard = tokio::time::timeout(Duration::from_secs(20), socket.next()).await;
    assert_eq!(heard.expect("in time").expect("an echo").expect("a message"), message);
}

#[tokio::test]
async fn a_websocket_session_flows_both_ways_and_its_end_frees_the_tunnel() {
    let sidecar = Sidecar::before(echo().await).start().await;
    let mut socket = connect(sidecar.data).await;
    for n in 0..20 {
        say(&mut socket, Message::text(format!("message {n}"))).await;
    }
    say(&mut socket, Message::binary(vec![7; 1 << 20])).await;
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 1.0).await;
    socket.close(None).await.expect("close");
    drop(socket);
    metric_becomes(&sidecar, "leafrank_in_flight_requests", 0.0).await;
}

#[tokio::test]
async fn of_five_thousand_quick_sessions_none_is_lost() {
    let sidecar = Sidecar::before(echo().await).start().await;
    let address = sidecar.data;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        workers.spawn(async move {
            for n in 0..625 {
                let mut socket = connect(address).await;
                say(&mut socket, Message::text(format!("{worker}-{n}"))).await;
                let _ = socket.close(None).await;
            }
            625
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(60), workers.join_all()).await;
    assert_eq!(all.expect("in time").iter().sum::<i32>(), 5_000);
}

#[tokio::test]
async fn a_refused_upgrade_is_a_reply_like_any_other() {
    let shop =
        Shop::start(|_| Answer::reply("426 Upgrade Required", &[("x-why", "no")], b"sorry")).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let (_, sent) = upgrade(&sidecar, "websocket", &shop).await;
    assert_eq!(sent.as_deref(), Some("websocket"));
    let (reply, sent) = upgrade(&sidecar, "h2c", &shop).await;
    assert_eq!(sent, None, "a second way into HTTP/2 is not offered to the shop");
    assert_eq!(
        (reply.status, reply.text().as_str(), reply.header("x-why")),
        (426, "sorry", Some("no"))
    );
}

async fn upgrade(
    sidecar: &Sidecar,
    protocol: &str,
    shop: &Shop,
) -> (crate::harness::Reply, Option<String>) {
    let bytes = format!(
        "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: {protocol}\r\n\r\n"
    );
    let mut wire = crate::harness::Wire::to(sidecar.data).await;
    wire.send(bytes).await;
    let reply = wire.reply().await;
    let sent = shop.asked().pop().unwrap().header("upgrade").map(ToOwned::to_owned);
    (reply, sent)
}

#[tokio::test]
async fn a_shop_that_switches_unasked_is_a_fault_that_names_us() {
    let shop = Shop::start(|_| {
        let reply = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        Answer::Pieces(vec![(Duration::ZERO, reply.as_bytes().to_vec())])
    })
    .await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let reply = exchange(sidecar.data, "GET", "/", &[], b"").await;
    assert_eq!(reply.status, 502);
    assert!(reply.outcome().starts_with("error; reason="), "{}", reply.outcome());
}

#[tokio::test]
async fn an_open_tunnel_does_not_hold_the_end_beyond_the_drain() {
    let mut sidecar = Sidecar::before(echo().await)
        .settings("shutdown: {lame_duck_ms: 100, drain_ms: 1000}")
        .start()
        .await;
    let mut socket = connect(sidecar.data).await;
    say(&mut socket, Message::text("before")).await;
    let started = Instant::now();
    sidecar.terminate();
    say(&mut socket, Message::text("while draining")).await;
    assert_eq!(sidecar.ended(Duration::from_secs(8)).await, Some(0));
    assert!(started.elapsed() >= Duration::from_millis(1_000), "the tunnel was cut at once");
}
