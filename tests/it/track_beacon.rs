//! A page of another origin reports from a real browser: with beacons, which send text and wait for
//! nothing, with beacons of JSON, for which browsers ask first, and with fetch.

use crate::harness::browser::seen_in_chromium;
use crate::harness::shopper::{eventually, milk_shop};
use crate::harness::{Answer, Shop, Shopper, Sidecar};

/// Reports in every way that pages have; what could be read of the answers is its title.
const PAGE: &str = r#"<!doctype html><title>unheard</title><script>
const track = 'http://API/api/interactions/track';
const event = (type, user, product) => JSON.stringify({type, user_id: user, product_id: product});
(async () => {
    const said = [];
    said.push(navigator.sendBeacon(track, event('click', 'text-beacon', 'M5')));
    const many = '[' + event('click', 'list-beacon', 'M4') + ',' + event('view', 'list-beacon', 'M4') + ']';
    said.push(navigator.sendBeacon(track, many));
    const json = new Blob([event('click', 'json-beacon', 'M3')], {type: 'application/json'});
    said.push(navigator.sendBeacon(track, json));
    said.push(navigator.sendBeacon('http://API/1/events', JSON.stringify({events: [
        {eventType: 'click', eventName: 'n', index: 'i', userToken: 'algolia', objectIDs: ['M2']}]})));
    const headers = {'content-type': 'application/json', 'x-user-id': 'anything'};
    const reply = await fetch(track, {method: 'POST', headers, body: event('click', 'fetch', 'M6')});
    said.push(reply.status, (await reply.json()).learned);
    const credentials = 'include';
    const body = event('add_to_cart', 'fetch', 'M6');
    const kept = await fetch(track, {method: 'POST', credentials, keepalive: true, body});
    said.push(kept.status, (await kept.json()).learned);
    document.title = said.join(' ');
})().catch(error => { document.title = 'failed: ' + error; });
</script>"#;

#[tokio::test]
async fn a_page_of_another_origin_reports_with_beacons_and_with_fetch() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let page = PAGE.replace("API", &sidecar.api.to_string());
    let pages = Shop::start(move |_| {
        Answer::reply("200 OK", &[("content-type", "text/html; charset=utf-8")], page.as_bytes())
    })
    .await;
    let Some(document) = seen_in_chromium(&format!("http://{}/", pages.address)).await else {
        return;
    };
    let expected = "<title>true true true true 202 1 202 1</title>";
    assert!(document.contains(expected), "{document}");
    for (user, sku) in [
        ("text-beacon", "M5"),
        ("list-beacon", "M4"),
        ("json-beacon", "M3"),
        ("algolia", "M2"),
        ("fetch", "M6"),
    ] {
        let what = format!("what {user} reported is learned");
        eventually(&what, || async {
            Shopper::of(&sidecar, user).search("milk").await.skus()[0] == sku
        })
        .await;
    }
}
