//! What counts as a signal and what does not: lists that nobody can have read, browsers that ask
//! ahead, programs; and how little of it reaches other shoppers.

use serde_json::{Value, json};

use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::{Answer, PEER_TOKEN, Reply, Shop, Shopper, Sidecar, TRUSTING, exchange, post};

const LOUD_PRIOR: &str =
    "ranking: {prior: {applies_to: everyone, smoothing: 5}, weights: {prior: 10}}\n";

/// A shop's own product pages.
const PAGES: &str = "routes:\n  - {name: page, method: GET, path: '/product/{sku}', \
                     event: {kind: view_details, product: ['path:sku']}}\n";

async fn running(settings: &str, rules: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}\n{PAGES}{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).rules(rules).start().await;
    (shop, sidecar)
}

async fn opens(sidecar: &Sidecar, user: &str, sku: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("x-user-id", user)];
    all.extend_from_slice(headers);
    exchange(sidecar.data, "GET", &format!("/product/{sku}"), &all, b"").await
}

async fn dropped(sidecar: &Sidecar, reason: &str) -> f64 {
    let name = format!("leafrank_interactions_dropped_total{{reason=\"{reason}\"}}");
    sidecar.metric(&name).await
}

async fn unheard(sidecar: &Sidecar, reason: &str) -> f64 {
    sidecar.metric(&format!("leafrank_unheard_total{{reason=\"{reason}\"}}")).await
}

async fn learned(sidecar: &Sidecar, kind: &str) -> f64 {
    sidecar.metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await
}

#[tokio::test]
async fn what_a_browser_asks_ahead_for_and_what_a_bot_reads_teaches_nothing() {
    let (_shop, sidecar) = running("", "{}\n").await;
    for (number, line) in [
        ("purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("x-moz", "prefetch"),
        ("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("shopper-{number}");
        let shopper = Shopper::of(&sidecar, &name);
        assert_eq!(shopper.search_with("milk", &[line]).await.skus(), shelf());
        assert_eq!(opens(&sidecar, &name, "M5", &[line]).await.status, 200);
        let nothing = json!({"categories": {}, "attributes": {}, "brands": {}});
        assert_eq!(shopper.preferences().await, nothing, "{line:?}");
        // The list was not shown: a page opened later is no click in it, and passes nothing over.
        opens(&sidecar, &name, "M5", &[]).await;
    }
    assert_eq!((dropped(&sidecar, "prefetch").await, dropped(&sidecar, "bot").await), (3.0, 1.0));
    assert_eq!(learned(&sidecar, "browse.view_details").await, 4.0);
    assert_eq!(learned(&sidecar, "browse.click_product").await, 0.0);
    assert_eq!(learned(&sidecar, "negative.displayed_but_scrolled").await, 0.0);
}

/// A shop whose list depends on the letters typed so far.
async fn typing_shop() -> Shop {
    Shop::start(|asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let query = body["query"].as_str().unwrap_or_default().to_owned();
        let hits: Vec<(String, String)> =
            (0..6).map(|n| (format!("{query}{n}"), format!("Milk number {n}"))).collect();
        let hits: Vec<(&str, &str)> = hits.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        Answer::json(&crate::harness::fixtures::leafloaf(&hits))
    })
    .await
}

#[tokio::test]
async fn a_list_whose_query_was_still_being_typed_teaches_nothing() {
    let shop = typing_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").rules("{}\n").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    for query in ["m", "mi", "mil", "milk"] {
        ann.search(query).await;
    }
    // Nobody has seen these; a click on one of them is a click without a list.
    ann.signals("click", "mi5").await;
    assert_eq!(learned(&sidecar, "negative.displayed_but_scrolled").await, 0.0);
    ann.signals("click", "milk5").await;
    assert_eq!(learned(&sidecar, "negative.displayed_but_scrolled").await, 5.0);
    assert_eq!(sidecar.metric("leafrank_clicks_joined_total").await, 1.0);
}

#[tokio::test]
async fn a_reload_shows_nothing_new_and_a_search_after_a_click_does() {
    let (_shop, sidecar) = running("", LOUD_PRIOR).await;
    // In shadow, so that every list is in the shop's order and would count.
    let trusted = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-mode", "shadow")];
    let ann = Shopper::of(&sidecar, "ann");
    for _ in 0..5 {
        ann.search_with("milk", &trusted).await;
    }
    ann.signals("click", "M5").await;
    assert_eq!(learned(&sidecar, "negative.displayed_but_scrolled").await, 4.0, "once");
    ann.search_with("milk", &trusted).await;
    ann.signals("click", "M6").await;
    assert_eq!(learned(&sidecar, "negative.displayed_but_scrolled").await, 9.0, "a new list");
}

#[tokio::test]
async fn a_crawler_is_known_by_its_pace_and_teaches_nothing_more() {
    let (_shop, sidecar) = running("", "crowd: {views_per_minute_max: 20}\n").await;
    for number in 0..50 {
        opens(&sidecar, "crawler", &format!("P{number}"), &[]).await;
    }
    assert_eq!(learned(&sidecar, "browse.view_details").await, 20.0);
    assert_eq!(dropped(&sidecar, "crawler").await, 30.0);
    Shopper::of(&sidecar, "crawler").tracks("purchase", "P1").await;
    assert_eq!(dropped(&sidecar, "crawler").await, 31.0);
    opens(&sidecar, "somebody", "P1", &[]).await;
    assert_eq!(learned(&sidecar, "browse.view_details").await, 21.0);
}

#[tokio::test]
async fn purchases_reach_others_only_where_somebody_vouches_for_who_bought() {
    let (_shop, sidecar) = running("", LOUD_PRIOR).await;
    for number in 0..30 {
        let name = format!("claims-{number}");
        let shopper = Shopper::of(&sidecar, &name);
        // In shadow, so that the list is in the shop's order and would count.
        let natural = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-mode", "shadow")];
        shopper.search_with("milk", &natural).await;
        shopper.signals("purchase", "M4").await;
    }
    assert_eq!(unheard(&sidecar, "claimed").await, 30.0);
    assert_eq!(Shopper::of(&sidecar, "new").search("milk").await.skus(), shelf());
    for number in 0..30 {
        let name = format!("vouched-{number}");
        let trusted = [
            ("x-leafrank-token", PEER_TOKEN),
            ("x-leafrank-user", name.as_str()),
            ("x-leafrank-mode", "shadow"),
            ("content-type", "application/json"),
        ];
        Shopper::of(&sidecar, &name).search_with("milk", &trusted[..3]).await;
        let bought = json!({"signal_type": "purchase", "product": {"sku": "M4"}}).to_string();
        let path = "/api/personalization/track";
        let reply = exchange(sidecar.data, "POST", path, &trusted, bought.as_bytes()).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(unheard(&sidecar, "claimed").await, 30.0);
    eventually("what was really bought is seen", || async {
        Shopper::of(&sidecar, "new").search("milk").await.skus()[0] == "M4"
    })
    .await;
}

#[tokio::test]
async fn one_click_a_network_product_and_day_reaches_others() {
    let (_shop, sidecar) = running("", LOUD_PRIOR).await;
    let click = async |number: usize, from: &str| {
        let name = format!("{from}-{number}");
        let shopper = Shopper::of(&sidecar, &name);
        let trusted = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-mode", "shadow")];
        shopper.search_with("milk", &trusted).await;
        let event = json!({"user_id": name, "signal_type": "click", "product": {"sku": "M4"}});
        let headers = [("content-type", "application/json"), ("x-forwarded-for", from)];
        let (path, event) = ("/api/personalization/track", event.to_string());
        exchange(sidecar.data, "POST", path, &headers, event.as_bytes()).await;
    };
    for number in 0..40 {
        click(number, &format!("203.0.113.{number}, 10.0.0.7")).await;
    }
    assert_eq!(unheard(&sidecar, "network_spent").await, 39.0);
    click(0, "198.51.100.1").await;
    click(1, "2001:db8:1::1").await;
    assert_eq!(unheard(&sidecar, "network_spent").await, 39.0);
    assert_eq!(learned(&sidecar, "browse.click_product").await, 42.0, "each taught itself");
}

/// The parts of the score of each hit of a list by `bob`, by product.
async fn scores(sidecar: &Sidecar) -> Vec<(String, f64)> {
    let why = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-explain", "1")];
    let reply = Shopper::of(sidecar, "bob").search_with("milk", &why).await;
    let query = reply.outcome().split("query=").nth(1).expect("an explanation").to_owned();
    let told = sidecar.admin(&format!("/explain/{query}")).await.json();
    let hits = told["lists"][0].as_array().expect("a list").iter();
    let mut scores: Vec<_> = hits
        .map(|hit| (hit["id"].as_str().unwrap().to_owned(), hit["score"].as_f64().unwrap()))
        .collect();
    scores.sort_by(|a, b| a.0.cmp(&b.0));
    scores
}

/// How many bots press at a time.
const AT_A_TIME: usize = 8;

#[tokio::test]
async fn a_thousand_bots_with_fresh_sessions_move_nobody_elses_list_beyond_the_bound() {
    let (_shop, sidecar) =
        running("", include_str!("../../config/personalization_rules.yaml")).await;
    let bob = Shopper::of(&sidecar, "bob");
    bob.likes_oat_milk().await;
    let before = (scores(&sidecar).await, bob.search("milk").await.skus());
    // From networks that nobody can place, so that only the pace of an hour is left to hold them.
    for wave in 0..1_000 / AT_A_TIME {
        let bots = (0..AT_A_TIME).map(|number| async move {
            let name = format!("bot-{wave}-{number}");
            let body = json!({"query": "milk", "session_id": name}).to_string();
            (name, body)
        });
        let mut storm = tokio::task::JoinSet::new();
        for bot in bots {
            let (name, body) = bot.await;
            let data = sidecar.data;
            storm.spawn(async move {
                let json = [("content-type", "application/json")];
                exchange(data, "POST", "/api/v1/search", &json, body.as_bytes()).await;
                let event =
                    json!({"session_id": name, "signal_type": "click", "product": {"sku": "M4"}});
                post(data, "/api/personalization/track", &event).await;
            });
        }
        storm.join_all().await;
    }
    assert_eq!(learned(&sidecar, "browse.click_product").await, 1_001.0);
    let after = (scores(&sidecar).await, bob.search("milk").await.skus());
    assert_eq!(after.1, before.1, "the order of another shopper");
    // The shipped rules: a tenth of the prior's scale times its weight of 0.2, and a tenth of every
    // facet's base rate times the weights of the axes, which sum to 0.65, each over one facet or more.
    let bound = 0.1 * 0.2 + 0.1 * 0.65 * 2.0;
    let moved = before.0.iter().zip(&after.0).map(|(was, is)| {
        assert_eq!(was.0, is.0);
        (was.1 - is.1).abs()
    });
    let most = moved.fold(0.0, f64::max);
    eprintln!("1,000 bots moved a score of another shopper's list by {most:.4} at most");
    assert!(most <= bound, "{most} is more than {bound}");
    assert!(most > 0.0, "they were heard at all");
}
