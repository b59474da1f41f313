//! LeafLoaf's own demo page, unmodified but for a finger that clicks, in a real browser: through a
//! sidecar that annotates, its "For You" badge lights up.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::browser::seen_in_chromium;
use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::MILKS;
use crate::harness::{Answer, Asked, Shop, Sidecar, fixtures};

const PAGE: &str = "fixtures/leafloaf/pages/demo_instant_personalization.html";

/// The page calls this port and no other.
const ITS_PORT: u16 = 8000;

/// Searches, opens the fifth hit (Oat Milk), and lets the page do the rest: it searches again.
const FINGER: &str = "<script>
window.addEventListener('DOMContentLoaded', async () => {
    document.getElementById('searchInput').value = 'milk';
    await performSearch();
    document.querySelectorAll('.product-card button')[4].click();
});
</script></body>";

/// A shop as the page expects it: CORS, search, track, preferences.
async fn shop() -> Shop {
    Shop::start(|asked: &Asked| {
        let cors = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-headers", "content-type,x-user-id"),
            ("access-control-allow-methods", "GET, POST"),
            ("content-type", "application/json"),
        ];
        let body = match (asked.method(), asked.path()) {
            ("OPTIONS", _) => Vec::new(),
            (_, "/api/v1/search") => leafloaf(&MILKS),
            (_, "/api/personalization/track") => {
                json!({"success": true, "data": {"update_time_ms": 1}}).to_string().into_bytes()
            }
            _ => json!({"success": true, "data": {"has_preferences": false}})
                .to_string()
                .into_bytes(),
        };
        Answer::reply("200 OK", &cors, &body)
    })
    .await
}

async fn badges(mode: &str) -> Option<usize> {
    let page = std::fs::read_to_string(fixtures::shared(PAGE)?).unwrap();
    let page = page.replace("</body>", FINGER);
    assert!(page.contains(FINGER));
    let pages = Shop::start(move |_| {
        Answer::reply("200 OK", &[("content-type", "text/html; charset=utf-8")], page.as_bytes())
    })
    .await;
    if let Err(error) = TcpListener::bind(("127.0.0.1", ITS_PORT)) {
        eprintln!("skipped: the page's port {ITS_PORT} is taken: {error}");
        return None;
    }
    let shop = shop().await;
    let sidecar = Sidecar::before(shop.address)
        .settings(&format!("mode: {mode}"))
        .data_port(ITS_PORT)
        .start()
        .await;
    let document = seen_in_chromium(&format!("http://{}/", pages.address)).await?;
    let searches =
        shop.asked().iter().filter(|a| a.line.starts_with("POST /api/v1/search")).count();
    assert!(searches >= 2, "the page searched again: {searches}: {document}");
    assert!(shop.asked().iter().any(|a| a.method() == "OPTIONS"), "preflights pass");
    drop(sidecar);
    Some(document.matches("⭐ For You</span>").count() - script_mentions(&document))
}

/// The page's own source holds the badge once, in its script.
fn script_mentions(document: &str) -> usize {
    document.matches("${isPersonalized ?").count()
}

#[tokio::test]
async fn leafloafs_own_page_lights_its_for_you_badge() {
    let Some(lit) = badges("annotate").await else { return };
    assert!(lit >= 1, "{lit} badges");
    let Some(lit) = badges("on").await else { return };
    assert_eq!(lit, 0, "without annotations the page has nothing to show");
}
