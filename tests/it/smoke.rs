//! The shortest story: a request goes through and comes back.

use crate::harness::{Answer, Shop, Sidecar, get};

#[tokio::test]
async fn a_request_of_no_route_passes_and_comes_back() {
    let shop = Shop::start(|_| Answer::reply("200 OK", &[("x-mine", "1")], b"hello")).await;
    let sidecar = Sidecar::before(shop.address).start().await;
    let reply = get(sidecar.data, "/anything?x=1").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "hello"));
    assert_eq!(reply.header("x-mine"), Some("1"));
    assert_eq!(shop.asked()[0].path(), "/anything?x=1");
}
