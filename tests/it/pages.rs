//! Pages of one search at a shop of JSON, by offset and by number: each hit once, whatever is learned
//! between them; and a first page that always knows the latest.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Answer, Reply, Shop, Shopper, Sidecar, exchange, fixtures};

const WINDOW: usize = 30;
const SHELF: usize = 40;

/// A shop with [`SHELF`] milks: pages in the body by `limit` and `offset`, in the URL by `size` and
/// `page`, ten a page where it is not said.
async fn shop() -> Shop {
    Shop::start(|asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let line = asked.line.split(' ').nth(1).unwrap().to_owned();
        let query = line.split_once('?').map_or("", |(_, query)| query).to_owned();
        let named = |name: &str| {
            let pair = query.split('&').filter_map(|pair| pair.split_once('='));
            pair.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<usize>().ok())
        };
        let number = |name: &str| body[name].as_u64().map(|number| number as usize);
        let size = named("size").or(number("limit")).unwrap_or(10);
        let from = number("offset").or(named("page").map(|page| (page - 1) * size)).unwrap_or(0);
        let names: Vec<_> =
            (0..SHELF).map(|n| (format!("sku-{n}"), format!("Milk of kind {n}"))).collect();
        let page = names.iter().skip(from).take(size);
        let hits: Vec<_> = page.map(|(sku, name)| (sku.as_str(), name.as_str())).collect();
        Answer::json(&fixtures::leafloaf(&hits))
    })
    .await
}

const SETTINGS: &str = "mode: \"on\"\nroutes:\n\
     - {name: by-offset, method: POST, path: /find, read: true,\n   \
     search: {query: [\"body:/query\"], window_size: 30, limit: /limit, offset: /offset,\n   \
     hits: {at: /products, id: /sku, name: /product_name}}}\n\
     - {name: by-page, method: GET, path: /list,\n   \
     search: {query: [\"query:q\"], window_size: 30, limit: \"query:size\", page: \"query:page\",\n   \
     page_size: 10, hits: {at: /products, id: /sku, name: /product_name}}}";

async fn by_offset(sidecar: &Sidecar, user: &str, offset: usize) -> Reply {
    let body = json!({"query": "milk", "limit": 10, "offset": offset}).to_string();
    let headers = [("content-type", "application/json"), ("x-user-id", user)];
    exchange(sidecar.data, "POST", "/find", &headers, body.as_bytes()).await
}

async fn by_page(sidecar: &Sidecar, user: &str, page: usize) -> Reply {
    let path = format!("/list?q=milk&page={page}&lang=en");
    exchange(sidecar.data, "GET", &path, &[("x-user-id", user)], b"").await
}

async fn buys(sidecar: &Sidecar, user: &str, sku: &str) {
    let reply = Shopper::of(sidecar, user).tracks("purchase", sku).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
}

#[tokio::test]
async fn pages_of_a_shop_of_json_hold_each_hit_once_while_their_shopper_goes_on_buying() {
    let shop = shop().await;
    let sidecar = Sidecar::before(shop.address).settings(SETTINGS).start().await;
    for kind in ["offset", "page"] {
        buys(&sidecar, kind, "sku-25").await;
        let mut seen = Vec::new();
        for page in 0..SHELF / 10 {
            let reply = match kind {
                "offset" => by_offset(&sidecar, kind, page * 10).await,
                _ => by_page(&sidecar, kind, page + 1).await,
            };
            assert_eq!(reply.status, 200, "{kind} {page}: {}", reply.text());
            let skus = reply.skus();
            assert_eq!(skus.len(), 10, "{kind} {page}");
            if page == 0 {
                assert_eq!(skus[0], "sku-25", "{kind}: from the third page to the first");
            }
            seen.extend(skus);
            for sku in ["sku-8", "sku-18", "sku-28", "sku-29"] {
                buys(&sidecar, kind, sku).await;
            }
        }
        let once: BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), once.len()), (SHELF, SHELF), "{kind}: each hit once: {seen:?}");
        // A first page begins anew, and so do those after it.
        let again = match kind {
            "offset" => by_offset(&sidecar, kind, 0).await,
            _ => by_page(&sidecar, kind, 1).await,
        };
        let top: BTreeSet<_> = again.skus()[..5].iter().cloned().collect();
        assert!(top.contains("sku-28") && top.contains("sku-29"), "{kind}: {top:?}");
    }
}

#[tokio::test]
async fn a_reload_of_any_page_is_the_same_page() {
    let shop = shop().await;
    let sidecar = Sidecar::before(shop.address).settings(SETTINGS).start().await;
    buys(&sidecar, "ann", "sku-25").await;
    let pages: Vec<_> =
        [by_page(&sidecar, "ann", 1).await, by_page(&sidecar, "ann", 2).await].into();
    for (number, page) in pages.iter().enumerate() {
        let again = by_page(&sidecar, "ann", number + 1).await;
        assert_eq!(again.body, page.body, "page {}", number + 1);
    }
    // The shop was asked for the window, by its own words.
    let asked = shop.asked();
    let lines: Vec<_> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let wide = format!("GET /list?q=milk&page=1&lang=en&size={WINDOW} HTTP/1.1");
    assert_eq!(lines.iter().filter(|line| **line == wide).count(), 4, "{lines:?}");
}

#[tokio::test]
async fn a_stranger_turns_the_shops_own_pages() {
    let shop = shop().await;
    let sidecar = Sidecar::before(shop.address).settings(SETTINGS).start().await;
    for page in 0..3 {
        let skus = by_offset(&sidecar, "stranger", page * 10).await.skus();
        let own: Vec<_> = (page * 10..page * 10 + 10).map(|n| format!("sku-{n}")).collect();
        assert_eq!(skus, own);
        // What is learned meanwhile turns no page that follows.
        buys(&sidecar, "stranger", "sku-29").await;
    }
}
