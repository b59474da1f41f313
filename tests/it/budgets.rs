//! Budgets and caps: whatever ends first, the shop's own bytes go out, at once.

use std::time::{Duration, Instant};

use crate::harness::personal::{self, PATIENT, milks, search, shops_order, teach};
use crate::harness::{Answer, Shop, Sidecar, Wire};

async fn taught(limits: &str, body: Vec<u8>) -> (Shop, Sidecar) {
    let shop = Shop::start(move |_| Answer::json(&body)).await;
    let sidecar = personal::ranking(shop.address, limits).start().await;
    teach(&sidecar, "u1", "m5").await;
    (shop, sidecar)
}

#[tokio::test]
async fn a_bought_product_comes_first_and_nothing_else_changes() {
    let (_shop, sidecar) = taught(PATIENT, milks()).await;
    let reply = search(&sidecar, "u1", &[]).await;
    assert_eq!(reply.skus()[0], "m5", "{}", reply.outcome());
    let mut sorted = reply.skus();
    sorted.sort();
    assert_eq!(sorted, shops_order());
    assert_eq!(reply.body.len(), milks().len());
    assert!(reply.outcome().starts_with("reranked; moved="), "{}", reply.outcome());
    let stranger = search(&sidecar, "u2", &[]).await;
    assert_eq!(
        (stranger.body.clone(), stranger.outcome()),
        (milks(), "bypass; reason=no_evidence")
    );
}

#[tokio::test]
async fn a_reply_that_drips_is_let_go_when_hold_ms_is_spent() {
    let body = milks();
    let whole = body.clone();
    let drip = Duration::from_millis(150);
    let shop = Shop::start(move |_| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut all = vec![(Duration::ZERO, head.into_bytes())];
        all.extend(body.chunks(body.len() / 20).map(|part| (drip, part.to_vec())));
        Answer::Pieces(all)
    })
    .await;
    let sidecar = personal::ranking(shop.address, "hold_ms: 300, rank_us: 300000").start().await;
    teach(&sidecar, "u1", "m5").await;
    let mut wire = Wire::to(sidecar.data).await;
    let started = Instant::now();
    wire.send(personal::request("u1", "")).await;
    let head = wire.head().await;
    let first = started.elapsed();
    assert_eq!(head.outcome(), "bypass; reason=hold_spent");
    assert_eq!(head.header("content-length"), Some(whole.len().to_string().as_str()));
    let body = wire.exactly(whole.len()).await.expect("the whole body");
    assert!(body == whole, "the bytes are the shop's");
    let last = started.elapsed();
    assert!(first >= Duration::from_millis(300), "held for {first:?}");
    assert!(last - first >= drip * 10, "the head came at {first:?}, the end at {last:?}");
    assert!(
        (sidecar.metric("leafrank_bypass_total{reason=\"hold_spent\"").await - 1.0).abs() < 0.1
    );
}

#[tokio::test]
async fn a_reply_at_the_cap_is_ranked_and_one_byte_more_passes() {
    let length = milks().len();
    for (cap, outcome) in [
        (length + 1, "reranked"),
        (length, "reranked"),
        (length - 1, "bypass; reason=reply_too_large"),
    ] {
        let limits = format!("{PATIENT}, reply_bytes_max: {cap}");
        let (_shop, sidecar) = taught(&limits, milks()).await;
        let reply = search(&sidecar, "u1", &[]).await;
        assert!(reply.outcome().starts_with(outcome), "cap {cap}: {}", reply.outcome());
        assert_eq!(reply.body == milks(), !outcome.starts_with("reranked"), "cap {cap}");
    }
}

#[tokio::test]
async fn a_reply_of_unknown_length_streams_on_from_the_cap() {
    let body = milks();
    let shop = Shop::start(move |_| {
        let mut bytes =
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for part in body.chunks(100) {
            bytes.extend(format!("{:x}\r\n", part.len()).bytes().chain(part.iter().copied()).chain(*b"\r\n"));
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        Answer::Pieces(vec![(Duration::ZERO, bytes)])
    })
    .await;
    for (cap, outcome) in [(milks().len(), "reranked"), (1024, "bypass; reason=reply_too_large")] {
        let limits = format!("{PATIENT}, reply_bytes_max: {cap}");
        let sidecar = personal::ranking(shop.address, &limits).start().await;
        teach(&sidecar, "u1", "m5").await;
        let reply = search(&sidecar, "u1", &[]).await;
        assert!(reply.outcome().starts_with(outcome), "cap {cap}: {}", reply.outcome());
        assert_eq!(reply.body.len(), milks().len());
        assert_eq!(reply.body == milks(), cap == 1024);
    }
}

#[tokio::test]
async fn a_request_above_the_peek_cap_passes_whole_and_unread() {
    let (shop, sidecar) = taught(&format!("{PATIENT}, peek_bytes_max: 100"), milks()).await;
    for (length, outcome) in [
        (99, "reranked"),
        (100, "reranked"),
        (101, "bypass; reason=request_not_read"),
        (20_000, "bypass; reason=request_not_read"),
    ] {
        let pad = " ".repeat(length - r#"{"query":"milk"}"#.len());
        let body = format!("{pad}{{\"query\":\"milk\"}}");
        let mut wire = Wire::to(sidecar.data).await;
        wire.send(format!(
            "POST /api/v1/search HTTP/1.1\r\nhost: x\r\nx-user-id: u1\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
        let reply = wire.reply().await;
        assert!(reply.outcome().starts_with(outcome), "{length} bytes: {}", reply.outcome());
        assert_eq!(shop.asked().last().unwrap().body, body.into_bytes(), "{length} bytes");
    }
}

#[tokio::test]
async fn a_spent_computing_budget_answers_the_original() {
    let many: Vec<(String, String)> =
        (0..400).map(|n| (format!("m{n}"), format!("Milk number {n}"))).collect();
    let hits: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let body = crate::harness::fixtures::leafloaf(&hits);
    let (_shop, sidecar) = taught("hold_ms: 20000, rank_us: 1", body.clone()).await;
    let reply = search(&sidecar, "u1", &[]).await;
    assert_eq!(reply.outcome(), "bypass; reason=rank_spent");
    assert!(reply.body == body, "the bytes are the shop's");
}

#[tokio::test]
async fn a_held_reply_that_breaks_off_breaks_off_for_the_client_too() {
    let body = milks();
    let half = body[..body.len() / 2].to_vec();
    let length = body.len();
    let shop = Shop::start(move |_| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let all = [head.as_bytes(), &half].concat();
        Answer::PiecesThenClose(vec![(Duration::ZERO, all)])
    })
    .await;
    let sidecar = personal::ranking(shop.address, PATIENT).start().await;
    teach(&sidecar, "u1", "m5").await;
    let mut wire = Wire::to(sidecar.data).await;
    wire.send(personal::request("u1", "")).await;
    let head = wire.head().await;
    assert_eq!(head.outcome(), "bypass; reason=reply_broken");
    assert!(wire.exactly(length).await.is_none(), "the end is missing, and nobody invents it");
}
