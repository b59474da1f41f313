//! A list in one shopper's order must not be served to another by a cache.

use crate::harness::personal::{self, PATIENT, milks, search, teach};
use crate::harness::{Answer, Asked, Shop, Sidecar};

async fn taught(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> (Shop, Sidecar) {
    let shop = Shop::start(script).await;
    let sidecar = personal::ranking(shop.address, PATIENT).start().await;
    teach(&sidecar, "u1", "m5").await;
    (shop, sidecar)
}

fn json(headers: &[(&str, &str)]) -> Answer {
    let all = [&[("content-type", "application/json")], headers].concat();
    Answer::reply("200 OK", &all, &milks())
}

#[tokio::test]
async fn a_moved_reply_is_private_and_a_stricter_word_is_kept() {
    let (_shop, sidecar) = taught(|asked| match asked.header("x-policy") {
        None | Some("none") => json(&[]),
        Some(policy) => json(&[("cache-control", policy)]),
    })
    .await;
    for (policy, wanted) in [
        ("none", "private"),
        ("public, max-age=60, s-maxage=600", "private, max-age=60"),
        ("no-store", "no-store"),
        ("private, no-cache", "private, no-cache"),
        ("max-age=0, must-revalidate", "private, max-age=0, must-revalidate"),
    ] {
        let reply = search(&sidecar, "u1", &[("x-policy", policy)]).await;
        assert!(reply.outcome().starts_with("reranked"), "{policy}: {}", reply.outcome());
        assert_eq!(reply.header("cache-control"), Some(wanted), "{policy}");
        let unmoved = search(&sidecar, "stranger", &[("x-policy", policy)]).await;
        let own = (policy != "none").then_some(policy);
        assert_eq!(unmoved.header("cache-control"), own, "a reply that did not move");
    }
}

#[tokio::test]
async fn a_tag_is_composed_and_translated_back_while_the_order_holds() {
    const TAG: &str = "\"v1\"";
    let (shop, sidecar) = taught(|asked| {
        if asked.header("if-none-match") == Some(TAG) {
            return Answer::Pieces(vec![(
                std::time::Duration::ZERO,
                format!("HTTP/1.1 304 Not Modified\r\netag: {TAG}\r\n\r\n").into_bytes(),
            )]);
        }
        json(&[("etag", TAG)])
    })
    .await;
    let first = search(&sidecar, "u1", &[]).await;
    let composed = first.header("etag").expect("a tag").to_owned();
    assert!(composed.starts_with("\"v1.lr-") && composed != TAG, "{composed}");
    let again = search(&sidecar, "u1", &[("if-none-match", &composed)]).await;
    assert_eq!((again.status, again.header("etag")), (304, Some(composed.as_str())));
    assert_eq!(shop.asked().last().unwrap().header("if-none-match"), Some(TAG));

    let plain = search(&sidecar, "u1", &[("if-none-match", TAG)]).await;
    assert_eq!(plain.status, 200, "the shop's own order is not this shopper's");
    teach(&sidecar, "u1", "m2").await;
    let changed = search(&sidecar, "u1", &[("if-none-match", &composed)]).await;
    assert_eq!(changed.status, 200, "the taste has changed, and so has the order");
    assert_ne!(changed.header("etag"), Some(composed.as_str()));
    let stranger = search(&sidecar, "u2", &[("if-none-match", TAG)]).await;
    assert_eq!((stranger.status, stranger.header("etag")), (304, Some(TAG)));
}

#[tokio::test]
async fn a_sealed_reply_passes_byte_for_byte() {
    const SEALS: [(&str, &str); 6] = [
        ("content-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
        ("repr-digest", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"),
        ("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
        ("signature", "sig1=:YQ==:"),
        ("cache-control", "no-transform"),
        ("surrogate-control", "max-age=60"),
    ];
    let (_shop, sidecar) = taught(|asked| {
        let n: usize = asked.header("x-seal").unwrap().parse().unwrap();
        json(&[SEALS[n], ("etag", "\"v1\"")])
    })
    .await;
    for (n, (name, value)) in SEALS.iter().enumerate() {
        let reply = search(&sidecar, "u1", &[("x-seal", &n.to_string())]).await;
        assert_eq!(reply.outcome(), "bypass; reason=sealed", "{name}");
        assert!(reply.body == milks(), "{name}");
        assert_eq!((reply.header(name), reply.header("etag")), (Some(*value), Some("\"v1\"")));
    }
}

#[tokio::test]
async fn a_search_reply_that_shared_caches_may_keep_raises_a_count() {
    let (_shop, sidecar) = taught(|asked| match asked.header("x-public") {
        Some(_) => json(&[("cache-control", "public, max-age=60")]),
        None => json(&[("cache-control", "private")]),
    })
    .await;
    search(&sidecar, "u1", &[]).await;
    assert!(sidecar.metric("leafrank_shared_cacheable_total").await < 0.5);
    search(&sidecar, "u1", &[("x-public", "1")]).await;
    search(&sidecar, "stranger", &[("x-public", "1")]).await;
    let counted =
        sidecar.metric("leafrank_shared_cacheable_total{route=\"leafloaf-search\"}").await;
    assert!((counted - 2.0).abs() < 0.5, "{counted}");
}
