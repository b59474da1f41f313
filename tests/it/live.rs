//! `/api/live`: what is learned of a user, told over a WebSocket as it happens.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::harness::shopper::{eventually, milk_shop};
use crate::harness::{API_TOKEN, Shopper, Sidecar, TRUSTING, get};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn follow(sidecar: &Sidecar, user: &str, token: Option<&str>) -> Result<Socket, u16> {
    let url = format!("ws://{}/api/live?user_id={user}", sidecar.api);
    let mut request = url.into_client_request().unwrap();
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(reply)) => Err(reply.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn told(socket: &mut Socket) -> Value {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
        if let Message::Text(text) = message.unwrap().unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

#[tokio::test]
async fn a_follower_hears_what_a_click_taught_as_it_happens() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let mut socket = follow(&sidecar, "ada", None).await.unwrap();
    let first = told(&mut socket).await;
    assert_eq!(
        (&first["type"], &first["preferences"]["brands"]),
        (&json!("preferences"), &json!({}))
    );
    Shopper::of(&sidecar, "ada").likes_oat_milk().await;
    let change = told(&mut socket).await;
    assert_eq!((&change["type"], &change["product_id"]), (&json!("learned"), &json!("M5")));
    let signals = change["signals"].as_array().unwrap();
    let click = json!("browse.click_product");
    assert!(signals.iter().any(|one| one["signal"] == click && one["weight"] == json!(0.2)));
    assert!(change["preferences"]["attributes"]["plant-based"].as_f64().unwrap() > 0.0, "{change}");
    // what another does is none of her business
    Shopper::of(&sidecar, "bob").likes_oat_milk().await;
    Shopper::of(&sidecar, "ada").signals("add_to_cart", "M5").await;
    let next = told(&mut socket).await;
    assert_eq!(next["signals"][0]["signal"], json!("cart.add_to_cart"), "{next}");
}

#[tokio::test]
async fn only_who_may_ask_may_listen() {
    let shop = milk_shop().await;
    let strict = "identity: {trust_claimed_ids: false}";
    let sidecar = Sidecar::before(shop.address).settings(strict).settings(TRUSTING).start().await;
    assert_eq!(follow(&sidecar, "ada", None).await.err(), Some(401));
    assert_eq!(follow(&sidecar, "ada", Some("wrong")).await.err(), Some(401));
    assert!(follow(&sidecar, "ada", Some(API_TOKEN)).await.is_ok());
    assert_eq!(follow(&sidecar, "", Some(API_TOKEN)).await.err(), Some(400));
}

#[tokio::test]
async fn places_are_limited_and_given_back_and_a_plain_request_is_told_what_was_expected() {
    let shop = milk_shop().await;
    let settings = "mode: on\nstore: {live_listeners_max: 1}";
    let sidecar = Sidecar::before(shop.address).settings(settings).start().await;
    let mut socket = follow(&sidecar, "ada", None).await.unwrap();
    assert_eq!(follow(&sidecar, "bob", None).await.err(), Some(429));
    socket.close(None).await.unwrap();
    eventually("the place is free", async || follow(&sidecar, "bob", None).await.is_ok()).await;
    let plain = get(sidecar.api, "/api/live?user_id=ada").await;
    assert_eq!((plain.status, plain.json()["error"].clone()), (426, json!("not_a_websocket")));
}
