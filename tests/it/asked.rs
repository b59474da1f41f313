//! `POST /api/search/personalized`: the shop's hits in the shopper's order, with reasons.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::shopper::eventually;
use crate::harness::{Answer, Shop, Shopper, Sidecar, exchange, post};

async fn demo_shop() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let catalog = leafrank::demo::Catalog::ours();
    tokio::spawn(leafrank::demo::serve(catalog, listener, std::future::pending()));
    address
}

async fn demo() -> Sidecar {
    let settings = "mode: on\npresets: [leafloaf, demo]";
    Sidecar::before(demo_shop().await).settings(settings).start().await
}

async fn asks(sidecar: &Sidecar, question: Value) -> Value {
    let reply = post(sidecar.api, "/api/search/personalized", &question).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn names(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap();
    let name = |hit: &Value| hit["product"]["product_name"].as_str().unwrap().to_owned();
    results.iter().map(name).collect()
}

fn sku_of(answer: &Value, start: &str) -> String {
    let results = answer["results"].as_array().unwrap();
    let named = |hit: &&Value| {
        hit["product"]["product_name"].as_str().is_some_and(|name| name.starts_with(start))
    };
    results.iter().find(named).unwrap()["product_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn scenario_1_over_the_api_alone_says_why_the_plant_based_yogurt_is_first() {
    let sidecar = demo().await;
    let new = asks(&sidecar, json!({"query": "yogurt", "user_id": "ada"})).await;
    assert_eq!((&new["personalized"], &new["bypass"]), (&json!(false), &json!("no_evidence")));
    assert!(new["results"].as_array().unwrap().iter().all(|hit| hit["reason"].is_null()));
    let milk = asks(&sidecar, json!({"query": "milk", "user_id": "ada"})).await;
    let click = json!({"type": "click", "user_id": "ada", "product_id": sku_of(&milk, "Oat Milk")});
    assert_eq!(post(sidecar.api, "/api/interactions/track", &click).await.status, 202);

    let found = asks(&sidecar, json!({"query": "yogurt", "user_id": "ada"})).await;
    assert_eq!(found["personalized"], json!(true), "{found}");
    let first = &found["results"][0];
    assert_ne!(names(&found)[0], names(&new)[0]);
    assert_eq!(first["position"], json!(0));
    assert!(first["was"].as_u64().unwrap() > 0);
    let reason = first["reason"].as_str().unwrap();
    assert!(reason.contains(", like Oat Milk"), "{reason}");
    let (mut before, mut after) = (names(&new), names(&found));
    before.sort();
    after.sort();
    assert_eq!(before, after, "the same hits");
    // what the shopper saw here explains a click as any list does
    assert!(Shopper::of(&sidecar, "ada").search("yogurt").await.outcome().starts_with("reranked"));
}

#[tokio::test]
async fn what_was_viewed_just_now_counts_for_this_search_and_is_not_learned() {
    let sidecar = demo().await;
    let milk = asks(&sidecar, json!({"query": "milk", "session_id": "v1"})).await;
    let oat = sku_of(&milk, "Oat Milk");
    let question = json!({"query": "yogurt", "session_id": "v1",
        "context": {"time_of_day": "morning", "recent_views": [oat]}});
    let found = asks(&sidecar, question).await;
    assert_eq!(found["personalized"], json!(true));
    let results = found["results"].as_array().unwrap();
    let oat = results.iter().find(|hit| hit["product"]["product_name"] == "Oat Yogurt 24 oz");
    let oat = oat.unwrap();
    assert!(oat["position"].as_u64() < oat["was"].as_u64(), "{oat}");
    assert!(oat["reason"].as_str().unwrap().contains("Oat Milk"));
    let after = asks(&sidecar, json!({"query": "yogurt", "session_id": "v1"})).await;
    assert_eq!(after["bypass"], json!("no_evidence"));
}

#[tokio::test]
async fn a_rule_for_the_morning_holds_when_the_caller_says_morning() {
    let rules = "ranking: {prior: {applies_to: everyone}}\nmerchandising:\n- id: breakfast\n  \
                 if: {time_of_day: [morning]}\n  select: {attribute: [plant-based]}\n  then: {boost: 5}\n- id: supper\n  \
                 if: {time_of_day: [evening]}\n  select: {attribute: [spicy]}\n  then: {boost: 5}";
    let settings = "mode: on\npresets: [leafloaf, demo]";
    let sidecar = Sidecar::before(demo_shop().await).settings(settings).rules(rules).start().await;
    let at = async |part: &str| {
        let context = json!({"time_of_day": part});
        asks(&sidecar, json!({"query": "yogurt", "user_id": "u", "context": context})).await
    };
    let (morning, evening) = (at("morning").await, at("evening").await);
    let reason = |answer: &Value| answer["results"][0]["reason"].clone();
    assert_eq!(reason(&morning), json!("moved by the shop: breakfast"), "{morning}");
    assert_eq!(reason(&evening), json!(null));
}

#[tokio::test]
async fn reasons_come_in_the_callers_language_and_an_edit_of_their_words_is_live() {
    let tables = tempfile::tempdir().unwrap();
    let spanish = tables.path().join("messages.es.yaml");
    std::fs::write(&spanish, "bought_before: ya lo compraste\n").unwrap();
    let settings = format!(
        "mode: on\npresets: [leafloaf, demo]\nrules: {{knowledge_dir: {}}}",
        tables.path().display()
    );
    let sidecar = Sidecar::before(demo_shop().await).settings(&settings).start().await;
    let milk = asks(&sidecar, json!({"query": "milk", "user_id": "ada"})).await;
    let sku = sku_of(&milk, "Oat Milk");
    let bought = json!({"type": "purchase", "user_id": "ada", "product_id": sku});
    assert_eq!(post(sidecar.api, "/api/interactions/track", &bought).await.status, 202);
    let reason = async |language: &str| {
        let headers = [("content-type", "application/json"), ("accept-language", language)];
        let body = json!({"query": "milk", "user_id": "ada"}).to_string();
        let path = "/api/search/personalized";
        let reply = exchange(sidecar.api, "POST", path, &headers, body.as_bytes()).await;
        reply.json()["results"][0]["reason"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(reason("es-MX,es;q=0.9").await, "ya lo compraste");
    assert_eq!(reason("fr").await, "you bought this before");
    std::fs::write(&spanish, "bought_before: lo de siempre\n").unwrap();
    eventually("the new words are said", async || reason("es").await == "lo de siempre").await;
}

#[tokio::test]
async fn a_shop_that_answers_otherwise_is_named_and_a_bad_question_told_what_is_wrong() {
    let shop = Shop::start(|asked| match asked.body.windows(4).any(|word| word == b"gone") {
        true => Answer::reply("404 Not Found", &[], b"{}"),
        false => Answer::json(b"{\"products\":\"none\"}"),
    })
    .await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let path = "/api/search/personalized";
    for (question, status, code) in [
        (json!({"query": "gone", "user_id": "u"}), 502, "shop_refused"),
        (json!({"query": "milk", "user_id": "u"}), 502, "shop_reply_unread"),
        (json!({"user_id": "u"}), 400, "bad_query"),
        (json!({"query": "milk", "limit": 0}), 400, "bad_limit"),
        (json!({"query": "milk", "context": {"time_of_day": "noon"}}), 400, "bad_time_of_day"),
        (
            json!({"query": "milk", "context": {"recent_views": ["a\u{1}"]}}),
            400,
            "bad_recent_views",
        ),
        (json!({"query": 5}), 400, "malformed_search"),
    ] {
        let reply = post(sidecar.api, path, &question).await;
        let found = (reply.status, reply.json()["error"].clone());
        assert_eq!(found, (status, json!(code)), "{question}");
    }
    shop.stop().await;
    let reply = post(sidecar.api, path, &json!({"query": "milk", "user_id": "u"})).await;
    assert_eq!((reply.status, reply.json()["error"].clone()), (502, json!("shop_unreachable")));
}
