//! Both doors of a shop: shoppers search in front of it, it searches its Weaviate behind it. Nobody
//! is named there; the sidecar ranks at the back for the shopper whose search stands at the front.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::harness::weaviate::leafloaf::{Habits, StandIn, recorded_requests};
use crate::harness::weaviate::legs::Legs;
use crate::harness::weaviate::{Replay, Small};
use crate::harness::{Reply, Sidecar, client, exchange, fixtures, personal};

const SETTINGS: &str = "presets: [leafloaf, weaviate]\nmode: on";

/// LeafLoaf's search as its preset has it, with other words for what is done with its order.
fn front_route(with: &str) -> String {
    format!(
        "routes: [{{name: leafloaf-search, method: POST, path: /api/v1/search, read: true, {with}, \
         search: {{query: [\"body:/query\"], mode: \"off\", hits: {{at: /products, id: /sku, name: /product_name, \
         category: /category, brand: /supplier, price: /price}}}}}}]"
    )
}

/// A shop, its small Weaviate, and one sidecar before both.
struct Stage {
    shop: StandIn,
    sidecar: Sidecar,
    /// Kept: it ends with its last owner.
    _small: Small,
}

impl Stage {
    async fn with(habits: Habits, settings: &str) -> Option<Self> {
        let small = Small::start().await?;
        let shop = StandIn::start(habits, small.grpc).await;
        let sidecar = Sidecar::before(shop.address).upstream("protocol: auto").settings(settings);
        let sidecar = sidecar.start().await;
        shop.asks(sidecar.data);
        Some(Self { shop, sidecar, _small: small })
    }

    async fn search(&self, query: &str, headers: &[(&str, &str)]) -> Reply {
        let body = json!({"query": query}).to_string();
        let all = [&[("content-type", "application/json")], headers].concat();
        exchange(self.sidecar.data, "POST", "/api/v1/search", &all, body.as_bytes()).await
    }

    /// The order of the shop's Weaviate itself.
    async fn plain(&self, query: &str) -> Vec<String> {
        self.search(query, &[]).await;
        let got = self.shop.last();
        assert!(got.outcome.contains("reason=no_subject"), "{}", got.outcome);
        got.skus
    }

    async fn joins(&self, how: &str) -> f64 {
        self.sidecar.metric(&format!("leafrank_joins_total{{how=\"{how}\"}}")).await
    }
}

#[tokio::test]
async fn one_process_at_all_doors_joins_them() {
    let Some(small) = Small::start().await else { return };
    let shop = StandIn::start(Habits::default(), small.grpc).await;
    let legs = Legs::before(shop.address, small.http, small.grpc).await;
    shop.asks_at([legs.http, legs.grpc]);
    let search = async |user: &str| {
        let headers = [("content-type", "application/json"), ("x-user-id", user)];
        let body = br#"{"query": "kale"}"#;
        exchange(legs.sidecar.data, "POST", "/api/v1/search", &headers, body).await
    };
    let plain = search("ann").await.skus();
    assert_eq!(shop.last().outcome, "bypass; reason=no_evidence");
    personal::teach(&legs.sidecar, "ann", &plain[12]).await;
    let reply = search("ann").await;
    let got = shop.last();
    assert!(got.outcome.starts_with("reranked"), "{}", got.outcome);
    assert_eq!(reply.skus(), got.skus[..15]);
    assert_ne!(reply.skus(), plain);
    assert_eq!(legs.sidecar.metric("leafrank_joins_total{how=\"query\"}").await, 2.0);
}

fn together(count: usize, passes_trace: bool) -> Habits {
    Habits { passes_trace, together: Some(Barrier::new(count)), ..Habits::default() }
}

#[tokio::test]
async fn the_shops_answer_follows_the_order_of_the_one_who_asked_in_front() {
    for passes_trace in [true, false] {
        let habits = Habits { passes_trace, ..Habits::default() };
        // The words of the search that names nobody must not be about any more.
        let settings = format!("{SETTINGS}\nidentity: {{join: {{window_ms: 0}}}}");
        let Some(stage) = Stage::with(habits, &settings).await else { return };
        let plain = stage.plain("organic greens").await;
        assert_eq!(plain.len(), 45);
        personal::teach(&stage.sidecar, "ann", &plain[14]).await;
        let reply = stage.search(" Organic  GREENS", &[("x-user-id", "ann")]).await;
        let got = stage.shop.last();
        assert!(got.outcome.starts_with("reranked"), "{}", got.outcome);
        assert_ne!(got.skus, plain);
        assert_eq!(sorted(&got.skus), sorted(&plain));
        assert_eq!(reply.skus(), got.skus[..15]);
        assert_ne!(reply.skus(), plain[..15]);
        // Moved once, behind the shop.
        assert_eq!(reply.outcome(), "bypass; reason=other_leg");
        assert_eq!(reply.header("cache-control"), Some("private"));
        assert_eq!(stage.joins(if passes_trace { "trace" } else { "query" }).await, 1.0);
        // A stranger gets the shop's order.
        let reply = stage.search("organic greens", &[("x-user-id", "bob")]).await;
        assert_eq!(reply.skus(), plain[..15]);
    }
}

fn sorted(skus: &[String]) -> Vec<String> {
    let mut skus = skus.to_vec();
    skus.sort_unstable();
    skus
}

#[tokio::test]
async fn two_who_ask_the_same_at_once_are_told_apart_by_their_traces() {
    let Some(alone) =
        Stage::with(Habits { passes_trace: true, ..Habits::default() }, SETTINGS).await
    else {
        return;
    };
    let Some(stage) = Stage::with(together(2, true), SETTINGS).await else { return };
    // What is bought is known by then, here as there.
    let plain = alone.plain("kale").await;
    let nobodys = tokio::join!(stage.search("kale", &[]), stage.search("kale", &[]));
    assert_eq!(nobodys.0.skus(), plain[..15]);
    let mut own = Vec::new();
    for (user, sku) in [("ann", &plain[9]), ("bob", &plain[13])] {
        personal::teach(&alone.sidecar, user, sku).await;
        personal::teach(&stage.sidecar, user, sku).await;
        own.push(alone.search("kale", &[("x-user-id", user)]).await.skus());
    }
    assert!(own[0] != own[1] && own.iter().all(|own| *own != plain[..15]));
    let (ann, bob) = tokio::join!(
        stage.search("kale", &[("x-user-id", "ann")]),
        stage.search("kale", &[("x-user-id", "bob")])
    );
    assert_eq!([ann.skus(), bob.skus()], [own[0].clone(), own[1].clone()]);
    assert_eq!(stage.joins("trace").await, 2.0);
}

#[tokio::test]
async fn two_who_ask_the_same_at_once_without_a_trace_are_nobody() {
    let Some(stage) = Stage::with(together(2, false), SETTINGS).await else { return };
    let (nobody, _) = tokio::join!(stage.search("kale", &[]), stage.search("kale", &[]));
    let plain = stage.shop.last();
    for (user, sku) in [("ann", &plain.skus[9]), ("bob", &plain.skus[13])] {
        personal::teach(&stage.sidecar, user, sku).await;
    }
    // Ann and Bob, then Ann and somebody who is not named.
    for second in [&[("x-user-id", "bob")][..], &[]] {
        let (ann, _) = tokio::join!(
            stage.search("kale", &[("x-user-id", "ann")]),
            stage.search("kale", second)
        );
        for got in stage.shop.got().iter().rev().take(2) {
            assert!(got.message == plain.message, "{}", got.outcome);
            assert_eq!(got.outcome, "bypass; reason=no_subject");
        }
        // In front each is known: there the sidecar ranks what is shown.
        assert_eq!(sorted(&ann.skus()), sorted(&nobody.skus()));
        assert!(ann.outcome().starts_with("reranked"), "{}", ann.outcome());
    }
    assert_eq!(stage.joins("ambiguous").await, 4.0);
}

#[tokio::test]
async fn who_must_not_be_learned_from_in_front_is_not_learned_from_behind() {
    let Some(stage) = Stage::with(Habits::default(), SETTINGS).await else { return };
    let reply = stage.search("kale", &[("x-user-id", "ann"), ("sec-gpc", "1")]).await;
    assert_eq!(reply.outcome(), "bypass; reason=opted_out");
    assert_eq!(stage.shop.last().outcome, "bypass; reason=opted_out");
    assert_eq!(stage.joins("opted_out").await, 1.0);
}

#[tokio::test]
async fn a_search_that_names_its_shopper_itself_is_believed() {
    let Some(stage) = Stage::with(Habits::default(), SETTINGS).await else { return };
    let _ann = stage.search("kale", &[("x-user-id", "ann")]).await;
    let joined = stage.joins("query").await;
    // As a client of the Weaviate, with the words of Ann's search that has just ended.
    let body = json!({"query": "{Get{Product(limit:9,hybrid:{query:\"kale\"}){sku}}}"}).to_string();
    let headers = [("content-type", "application/json"), ("x-user-id", "bob")];
    exchange(stage.sidecar.data, "POST", "/v1/graphql", &headers, body.as_bytes()).await;
    assert_eq!((joined, stage.joins("query").await), (1.0, 1.0));
    exchange(stage.sidecar.data, "POST", "/v1/graphql", &headers[..1], body.as_bytes()).await;
    assert_eq!(stage.joins("query").await, 2.0);
}

/// Clicks on `sku` that a list explains.
async fn clicks(stage: &Stage, user: &str, sku: &str) -> f64 {
    let event = json!({"type": "click", "user_id": user, "product_id": sku});
    let reply = client::post(stage.sidecar.api, "/api/interactions/track", &event).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    stage.sidecar.metric("leafrank_clicks_joined_total").await
}

#[tokio::test]
async fn one_search_counts_once_at_the_door_that_the_shopper_sees() {
    // The back's list holds 45 hits; the front shows 15 of them.
    for (front_learns, explained) in [(true, [0.0, 1.0]), (false, [1.0, 2.0])] {
        let settings = format!("{SETTINGS}\n{}", front_route(&format!("learn: {front_learns}")));
        let Some(stage) = Stage::with(Habits::default(), &settings).await else { return };
        let reply = stage.search("kale", &[("x-user-id", "ann")]).await;
        assert_eq!(reply.outcome(), "bypass; reason=off");
        let skus = stage.shop.last().skus;
        let counted =
            [clicks(&stage, "ann", &skus[30]).await, clicks(&stage, "ann", &skus[3]).await];
        assert_eq!(counted, explained, "learn: {front_learns}");
    }
}

#[tokio::test]
async fn nothing_is_joined_where_the_settings_say_so() {
    for (join, how) in [("entries_max: 0", None), ("by_query: false", Some("none"))] {
        let settings = format!("{SETTINGS}\nidentity: {{join: {{{join}}}}}");
        let Some(stage) = Stage::with(Habits::default(), &settings).await else { return };
        stage.search("kale", &[("x-user-id", "ann")]).await;
        assert_eq!(stage.shop.last().outcome, "bypass; reason=no_subject");
        assert_eq!(stage.sidecar.metric("leafrank_joins_total").await, f64::from(how.is_some()));
        assert_eq!(stage.joins(how.unwrap_or("none")).await, f64::from(how.is_some()));
    }
}

/// One sidecar before the shop, another behind it before its Weaviate.
struct Apart {
    shop: StandIn,
    front: Sidecar,
    back: Sidecar,
    _small: Small,
}

impl Apart {
    /// The front tells the back with the token in this file.
    async fn with(token_file: &str) -> Option<Self> {
        let small = Small::start().await?;
        let shop = StandIn::start(together(2, true), small.grpc).await;
        let back = "presets: [weaviate]\nmode: on\ntrust: {api_token_file: api.tokens}\n\
                    identity: {trust_claimed_ids: true}";
        let back = Sidecar::before(shop.address).upstream("protocol: auto").settings(back);
        let back = back.start().await;
        shop.asks(back.data);
        let front = format!(
            "mode: \"off\"\nidentity: {{join: {{tell: [\"http://{}\"], tell_token_file: {token_file}}}}}",
            back.api
        );
        let front = Sidecar::before(shop.address).settings(&front).start().await;
        Some(Self { shop, front, back, _small: small })
    }

    /// A search of Ann's; the shop asks its Weaviate when the front has tried to tell.
    async fn search(&self, outcome: &str, times: f64) -> Reply {
        let headers = [("content-type", "application/json"), ("x-user-id", "ann")];
        let body = br#"{"query": "kale"}"#;
        let search = exchange(self.front.data, "POST", "/api/v1/search", &headers, body);
        let metric = format!("leafrank_joins_told_total{{outcome=\"{outcome}\"}}");
        let told = async {
            personal::metric_becomes(&self.front, &metric, times).await;
            self.shop.together().await;
        };
        tokio::join!(search, told).0
    }
}

#[tokio::test]
async fn a_front_in_another_process_tells_who_asks() {
    let Some(stage) = Apart::with("api.tokens").await else { return };
    let plain = stage.search("told", 1.0).await.skus();
    assert_eq!(stage.shop.last().outcome, "bypass; reason=no_evidence");
    personal::teach(&stage.back, "ann", &plain[12]).await;
    let reply = stage.search("told", 2.0).await;
    let got = stage.shop.last();
    assert!(got.outcome.starts_with("reranked"), "{}", got.outcome);
    assert_eq!(reply.skus(), got.skus[..15]);
    assert_ne!(reply.skus(), plain);
    assert_eq!(stage.back.metric("leafrank_joins_total{how=\"trace\"}").await, 2.0);
}

#[tokio::test]
async fn nobody_is_believed_who_tells_without_a_token() {
    let Some(stage) = Apart::with("peer.tokens").await else { return };
    stage.search("failed", 1.0).await;
    assert_eq!(stage.shop.last().outcome, "bypass; reason=no_subject");
    assert_eq!(stage.back.metric("leafrank_joins_total{how=\"none\"}").await, 1.0);
    let told =
        json!({"searches": [{"trace": "0af7651916cd43dd8448eb211c80319c", "user_id": "ann"}]});
    let reply = client::post(stage.back.api, "/api/joins", &told).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("no_api_token")));
    let bearer = format!("Bearer {}", crate::harness::API_TOKEN);
    let headers = [("authorization", bearer.as_str())];
    for (body, status) in [
        (told.to_string(), 202),
        (r#"{"searches": [{"trace": "0"}]}"#.to_owned(), 400),
        ("{".to_owned(), 400),
    ] {
        let reply = exchange(stage.back.api, "POST", "/api/joins", &headers, body.as_bytes()).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

const SESSION: &str = "fixtures/leafloaf/session.jsonl";

/// The searches of the shop's own hour: who asked for what, and what the shop showed.
fn searches(rows: &[Value]) -> Vec<(String, Value, Vec<String>)> {
    let mut searches = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let asked: Value = serde_json::from_str(row["body"].as_str().unwrap()).unwrap_or_default();
        let reply: Value =
            serde_json::from_str(row["reply_body"].as_str().unwrap()).unwrap_or_default();
        let skus: Vec<String> = reply["products"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| Some(p["sku"].as_str()?.to_owned()))
            .collect();
        if row["http"].as_str().unwrap().starts_with("POST /api/v1/search") && !skus.is_empty() {
            searches.push((format!("shopper-{number}"), asked, skus));
        }
    }
    searches
}

#[tokio::test]
async fn the_shops_own_hour_from_both_doors() {
    let Some(rows) = fixtures::session(SESSION) else { return };
    let Some(replay) = Replay::of_all().await else { return };
    let Some(requests) = recorded_requests() else { return };
    let last = requests.clone();
    let recorded = requests.into_iter().map(|(words, all)| {
        // Each is asked twice: by somebody unknown, and by somebody who bought one of its hits.
        (words, all.into_iter().flat_map(|one| [one.clone(), one]).collect::<VecDeque<_>>())
    });
    let habits =
        Habits { recorded: std::sync::Mutex::new(recorded.collect()), ..Habits::default() };
    let shop = StandIn::start(habits, replay.grpc).await;
    let settings = format!("{SETTINGS}\nidentity: {{join: {{window_ms: 0}}}}");
    let sidecar = Sidecar::before(shop.address).upstream("protocol: auto").settings(&settings);
    let sidecar = sidecar.start().await;
    shop.asks(sidecar.data);
    let mut followed = 0;
    let searches = searches(&rows);
    for (user, asked, shown) in &searches {
        let body = asked.to_string();
        let headers = [("content-type", "application/json"), ("x-user-id", user.as_str())];
        let search = || exchange(sidecar.data, "POST", "/api/v1/search", &headers, body.as_bytes());
        // Of a shopper of whom nothing is known, it is the recorded hour.
        assert_eq!(search().await.skus(), *shown, "{asked}");
        let plain = shop.last();
        personal::teach(&sidecar, user, shown.last().unwrap()).await;
        let reply = search().await;
        let got = shop.last();
        assert_eq!(got.query, plain.query);
        assert_eq!(sorted(&got.skus), sorted(&plain.skus));
        assert_eq!(reply.skus(), got.skus[..shown.len()]);
        followed += usize::from(reply.skus() != *shown);
        assert_eq!(reply.skus() != *shown, got.outcome.starts_with("reranked"), "{asked}");
    }
    assert_eq!((searches.len(), last.values().map(VecDeque::len).sum()), (54, 57));
    assert!(followed >= 40, "{followed} answers follow their shopper");
    let joined = sidecar.metric("leafrank_joins_total{how=\"query\"}").await;
    assert_eq!(joined, 108.0);
}
