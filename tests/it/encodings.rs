//! Compressed replies: ranked and sent back in the same coding, or passed byte for byte.

use leafrank::wire::encoding::{Coding, decode, encode};

use crate::harness::personal::{self, PATIENT, milks, search, shops_order, teach};
use crate::harness::{Answer, Asked, Shop, Sidecar};

async fn taught(
    limits: &str,
    script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> (Shop, Sidecar) {
    let shop = Shop::start(script).await;
    let sidecar = personal::ranking(shop.address, limits).start().await;
    teach(&sidecar, "u1", "m5").await;
    (shop, sidecar)
}

fn coded(name: &str, body: &[u8]) -> Answer {
    let headers = [("content-type", "application/json"), ("content-encoding", name)];
    Answer::reply("200 OK", &headers, body)
}

fn coding_of(asked: &Asked) -> Coding {
    Coding::parse(asked.header("x-coding").unwrap_or("")).expect("a coding")
}

#[tokio::test]
async fn a_moved_reply_comes_back_in_the_coding_it_came_in() {
    let (_shop, sidecar) = taught(PATIENT, |asked| {
        let coding = coding_of(asked);
        coded(coding.name(), &encode(coding, &milks()).unwrap())
    })
    .await;
    for name in ["gzip", "br", "zstd", "deflate"] {
        let asks = [("x-coding", name), ("accept-encoding", "gzip, br, zstd, deflate")];
        let reply = search(&sidecar, "u1", &asks).await;
        assert!(reply.outcome().starts_with("reranked"), "{name}: {}", reply.outcome());
        assert_eq!(reply.header("content-encoding"), Some(name));
        assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
        let coding = Coding::parse(name).unwrap();
        let plain = decode(coding, &reply.body, 1 << 20).expect("whole").into_owned();
        assert_eq!(plain.len(), milks().len(), "{name}");
        let reply = crate::harness::Reply { body: plain, ..reply };
        assert_eq!(reply.skus()[0], "m5", "{name}");
        let mut sorted = reply.skus();
        sorted.sort();
        assert_eq!(sorted, shops_order(), "{name}");
        let stranger = search(&sidecar, "u2", &asks).await;
        assert!(stranger.body == encode(coding, &milks()).unwrap(), "{name}: nothing moved");
    }
}

#[tokio::test]
async fn the_shop_is_asked_only_for_codings_that_can_be_undone() {
    let (shop, sidecar) = taught(PATIENT, |_| Answer::json(&milks())).await;
    search(&sidecar, "u1", &[("accept-encoding", "dcb, sdch, gzip;q=0.8, br")]).await;
    let asked = shop.asked().pop().unwrap();
    let narrowed = asked.header("accept-encoding").expect("one").to_owned();
    assert!(narrowed.contains("gzip;q=0.8") && narrowed.contains("br"), "{narrowed}");
    assert!(!narrowed.contains("dcb") && !narrowed.contains("sdch"), "{narrowed}");
    search(&sidecar, "u1", &[]).await;
    let asked = shop.asked().pop().unwrap();
    assert!(asked.header("accept-encoding").is_none_or(|a| a == "identity"), "nothing was offered");
    let other = [("accept-encoding", "dcb, sdch")];
    crate::harness::exchange(sidecar.data, "GET", "/elsewhere", &other, b"").await;
    let asked = shop.asked().pop().unwrap();
    assert_eq!(asked.header("accept-encoding"), Some("dcb, sdch"), "no search, not touched");
}

#[tokio::test]
async fn unknown_stacked_and_corrupt_codings_pass_byte_for_byte() {
    let gzip = || encode(Coding::Gzip, &milks()).unwrap();
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 5);
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("compress", milks()),
        ("gzip, br", gzip()),
        ("gzip", cut(gzip())),
        ("gzip", milks()),
        ("gzip", [gzip(), b"tail".to_vec()].concat()),
        ("br", cut(encode(Coding::Brotli, &milks()).unwrap())),
        ("zstd", cut(encode(Coding::Zstd, &milks()).unwrap())),
        ("deflate", milks()),
    ];
    let shops = cases.clone();
    let (_shop, sidecar) = taught(PATIENT, move |asked| {
        let (name, body) = &shops[asked.header("x-case").unwrap().parse::<usize>().unwrap()];
        coded(name, body)
    })
    .await;
    for (n, (name, body)) in cases.iter().enumerate() {
        let reply = search(&sidecar, "u1", &[("x-case", &n.to_string())]).await;
        assert_eq!(reply.outcome(), "bypass; reason=encoding", "case {n}");
        assert!(reply.body == *body, "case {n}: the bytes are the shop's");
        assert_eq!(reply.header("content-encoding"), Some(*name));
    }
}

#[tokio::test]
async fn a_reply_that_unpacks_above_the_cap_passes() {
    let bomb = [milks(), vec![b' '; 1 << 22]].concat();
    let (_shop, sidecar) = taught(&format!("{PATIENT}, reply_bytes_max: 65536"), move |asked| {
        let coding = coding_of(asked);
        coded(coding.name(), &encode(coding, &bomb).unwrap())
    })
    .await;
    for name in ["gzip", "br", "zstd", "deflate"] {
        let reply = search(&sidecar, "u1", &[("x-coding", name)]).await;
        assert!(reply.body.len() < 65536, "the packed form is small");
        assert_eq!(reply.outcome(), "bypass; reason=reply_too_large", "{name}");
        let plain = decode(Coding::parse(name).unwrap(), &reply.body, 1 << 23).unwrap();
        assert!(plain.starts_with(&milks()), "{name}");
    }
}
