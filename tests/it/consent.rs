//! A shopper in charge: opting out, being forgotten, seeing what is known; who may ask for it.

use serde_json::{Value, json};

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{eventually, milk_shop, shelf};
use crate::harness::{
    API_TOKEN, Answer, PEER_TOKEN, Reply, Shop, Shopper, Sidecar, TRUSTING, exchange, get,
};

const ANN: &str = "/api/users/ann";

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

/// A request on the API port, by an operator.
async fn asked(sidecar: &Sidecar, method: &str, path: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {}", sidecar.admin_token());
    exchange(sidecar.api, method, path, &[("authorization", &bearer)], body.as_bytes()).await
}

async fn chooses(sidecar: &Sidecar, choice: Value) -> Value {
    let path = format!("{ANN}/consent");
    let reply = asked(sidecar, "PUT", &path, &choice.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

async fn tracks_at(sidecar: &Sidecar, sku: &str, at_ms: i64) -> Reply {
    let event =
        json!({"type": "purchase", "user_id": "ann", "product_id": sku, "timestamp": at_ms});
    crate::harness::post(sidecar.api, "/api/interactions/track", &event).await
}

#[tokio::test]
async fn one_who_opts_out_is_forgotten_proxied_and_not_learned_from_until_they_come_back() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    assert_eq!(ann.search("milk").await.skus()[0], "M5");
    let out = chooses(&sidecar, json!({"personalization": false})).await;
    assert_eq!(out, json!({"user_id": "ann", "personalization": false, "sensitive": false}));
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0, "nothing is stored");

    let search = ann.search("milk").await;
    assert_eq!(search.outcome(), "bypass; reason=opted_out");
    assert_eq!(search.skus(), shelf());
    assert_eq!(ann.signals("click", "M4").await.status, 200, "the shop still hears it");
    ann.tracks("purchase", "M4").await;
    let known = asked(&sidecar, "GET", ANN, "").await.json();
    assert_eq!((&known["products"], &known["recent_lists"]), (&json!([]), &json!([])), "{known}");
    assert_eq!(known["consent"]["personalization"], json!(false));

    let while_out = now_ms();
    chooses(&sidecar, json!({"personalization": true})).await;
    tracks_at(&sidecar, "M4", while_out - 1).await;
    assert_eq!(ann.search("milk").await.skus(), shelf(), "what happened meanwhile is not learned");
    ann.tracks("purchase", "M6").await;
    assert_eq!(ann.search("milk").await.skus()[0], "M6");
}

#[tokio::test]
async fn a_visit_of_one_who_opted_out_is_not_kept_either() {
    let (_shop, sidecar) = running("").await;
    let visit = json!({"type": "purchase", "session_id": "v1", "product_id": "M5"});
    crate::harness::post(sidecar.api, "/api/interactions/track", &visit).await;
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 1.0);
    chooses(&sidecar, json!({"personalization": false})).await;
    let login = Shopper::of(&sidecar, "ann").search_with("milk", &[("x-session-id", "v1")]).await;
    assert_eq!(login.outcome(), "bypass; reason=opted_out");
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
}

#[tokio::test]
async fn a_request_that_says_no_is_proxied_and_teaches_nothing() {
    let (_shop, sidecar) =
        running("identity: {consent: {from: [\"cookie:ok\", \"header:X-Personalization\"]}}").await;
    let ann = Shopper::of(&sidecar, "ann");
    for no in [
        ("sec-gpc", "1"),
        ("x-personalization", "Denied"),
        ("cookie", "theme=dark; ok=0"),
        ("x-personalization", "off"),
    ] {
        let search = ann.search_with("milk", &[no]).await;
        assert_eq!(search.outcome(), "bypass; reason=opted_out", "{no:?}");
        let event = json!({"type": "purchase", "user_id": "ann", "product_id": "M5"}).to_string();
        let path = "/api/interactions/track";
        let told = exchange(sidecar.api, "POST", path, &[no], event.as_bytes()).await;
        assert_eq!((told.status, &told.json()["learned"]), (202, &json!(0)), "{no:?}");
    }
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
    let yes = [("cookie", "ok=1"), ("x-personalization", "denied")];
    let search = ann.search_with("milk", &yes).await;
    assert_eq!(search.outcome(), "bypass; reason=no_evidence", "the first place counts");
}

#[tokio::test]
async fn an_erased_user_stays_erased_whatever_is_told_late_and_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}\ndata_dir: {:?}", state.path());
    let start = async || Sidecar::before(shop.address).settings(&settings).start().await;
    let token = || std::fs::read_to_string(state.path().join("admin.token")).unwrap();
    let before = now_ms();
    {
        let sidecar = start().await;
        let ann = Shopper::of(&sidecar, "ann");
        ann.likes_oat_milk().await;
        let bearer = format!("Bearer {}", token().trim());
        let proof = [("authorization", bearer.as_str())];
        let erased = exchange(sidecar.api, "DELETE", ANN, &proof, b"").await;
        assert_eq!(erased.status, 200, "{}", erased.text());
        assert!(erased.json()["erased_at_ms"].as_i64().unwrap() >= before);
        assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
        assert_eq!(ann.search("milk").await.skus(), shelf());
        assert_eq!(tracks_at(&sidecar, "M5", before).await.json()["learned"], json!(0));
        assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0, "late, so not learned");
        let dropped = "leafrank_interactions_dropped_total{reason=\"erased\"}";
        assert_eq!(sidecar.metric(dropped).await, 1.0);
    }
    let sidecar = start().await;
    assert_eq!(tracks_at(&sidecar, "M5", before).await.json()["learned"], json!(0));
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.skus(), shelf());
    ann.tracks("purchase", "M6").await;
    assert_eq!(ann.search("milk").await.skus()[0], "M6", "a new start is a new start");
    let journal = std::fs::read_to_string(state.path().join("consent.journal")).unwrap();
    assert!(!journal.contains("ann"), "{journal}");
}

#[tokio::test]
async fn all_that_is_known_is_told_by_name() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let known = asked(&sidecar, "GET", ANN, "").await.json();
    assert_eq!(known["user_id"], "ann");
    assert_eq!(known["consent"], json!({"personalization": true, "sensitive": false}));
    let names = |key: &str| -> Vec<&str> {
        known[key].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect()
    };
    assert!(names("products").contains(&"Oat Milk"), "{known}");
    assert!(names("facets").contains(&"plant-based"), "{known}");
    assert_eq!(known["preferences"], ann.preferences().await);
    let list = &known["recent_lists"][0];
    assert_eq!(list["products"][4], "Oat Milk");
    assert_eq!(list["picked"], json!([4]));
    let nobody = asked(&sidecar, "GET", "/api/users/nobody", "").await;
    assert_eq!((nobody.status, &nobody.json()["products"]), (200, &json!([])));
}

#[tokio::test]
async fn only_the_user_and_operators_may_see_erase_and_choose() {
    let (_shop, sidecar) = running("").await;
    Shopper::of(&sidecar, "ann").tracks("purchase", "M5").await;
    let operator = format!("Bearer {}", sidecar.admin_token());
    let client = format!("Bearer {API_TOKEN}");
    let consent = format!("{ANN}/consent");
    for (method, path, body) in
        [("GET", ANN, ""), ("PUT", &consent, r#"{"sensitive":true}"#), ("DELETE", ANN, "")]
    {
        for (proof, status) in [
            (vec![], 401),
            (vec![("x-user-id", "ann")], 401),
            (vec![("x-leafrank-user", "ann")], 401),
            (vec![("authorization", client.as_str())], 401),
            (vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "eve")], 401),
            (vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann")], 200),
            (vec![("authorization", operator.as_str())], 200),
        ] {
            let reply = exchange(sidecar.api, method, path, &proof, body.as_bytes()).await;
            assert_eq!(reply.status, status, "{method} {path} {proof:?}");
            if status == 401 {
                assert_eq!(reply.json()["error"], "not_this_user");
            }
        }
    }
    // Claims count on this sidecar's other paths, not here.
    assert_eq!(get(sidecar.api, "/api/users/ann/preferences/live").await.status, 200);
    let nobody = asked(&sidecar, "DELETE", "/api/users/anonymous", "").await;
    assert_eq!((nobody.status, nobody.json()["error"].as_str()), (400, Some("bad_user_id")));
    let unclear = asked(&sidecar, "PUT", &consent, "{}").await;
    assert_eq!(
        (unclear.status, unclear.json()["error"].as_str()),
        (400, Some("malformed_consent"))
    );
}

#[tokio::test]
async fn where_it_cannot_be_read_who_opted_out_the_shop_is_served_and_nobody_is_learned_from() {
    let state = tempfile::tempdir().unwrap();
    std::fs::create_dir(state.path().join("consent.journal")).unwrap();
    let shop = milk_shop().await;
    let settings = format!("mode: on\ndata_dir: {:?}", state.path());
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.tracks("purchase", "M5").await;
    let search = ann.search("milk").await;
    assert_eq!(search.outcome(), "bypass; reason=opted_out");
    let degraded = "leafrank_degraded{reason=\"consent_unreadable\"}";
    assert_eq!(sidecar.metric(degraded).await, 1.0);
    assert!(sidecar.log().contains("who has opted out cannot be read"));
    assert_eq!(sidecar.metric("leafrank_profiles ").await, 0.0);
}

/// What the shop of [`meat_shop`] answers, in its own order.
const MEATS: [(&str, &str); 4] =
    [("P1", "Beef Meat"), ("P2", "Pork Meat"), ("P3", "Halal Chicken Meat"), ("P4", "Turkey Meat")];

async fn meat_shop() -> Shop {
    Shop::start(|asked| match asked.path() {
        path if path.starts_with("/api/v1/search") => Answer::json(&leafloaf(&MEATS)),
        _ => Answer::json(b"{\"success\":true}"),
    })
    .await
}

#[tokio::test]
async fn what_tells_of_a_religion_is_learned_and_told_only_with_consent_and_forgotten_without() {
    let shop = meat_shop().await;
    let settings = format!("mode: on\n{TRUSTING}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    let order: Vec<&str> = MEATS.iter().map(|(sku, _)| *sku).collect();
    let known = async || asked(&sidecar, "GET", ANN, "").await.text();
    ann.search("meat").await;
    ann.signals("purchase", "P3").await;
    ann.tracks("add_to_cart", "P3").await;
    assert_eq!(ann.search("meat").await.skus(), order);
    assert!(!known().await.to_lowercase().contains("halal"), "{}", known().await);
    assert!(!ann.preferences().await.to_string().contains("halal"));
    assert_eq!(sidecar.metric("leafrank_signals_total{kind=\"purchase").await, 0.0);

    let yes = chooses(&sidecar, json!({"sensitive": true})).await;
    assert_eq!(yes, json!({"user_id": "ann", "personalization": true, "sensitive": true}));
    // another purchase would be the one from before, told by another source
    ann.tracks("quantity_increase", "P3").await;
    ann.tracks("save_for_later", "P3").await;
    ann.tracks("purchase", "P4").await;
    assert_eq!(ann.search("meat").await.skus()[..2], ["P3", "P4"]);
    assert!(ann.preferences().await["attributes"]["halal"].as_f64().unwrap() > 0.0);
    assert!(known().await.contains("Halal Chicken Meat"));

    chooses(&sidecar, json!({"sensitive": false})).await;
    assert!(!known().await.to_lowercase().contains("halal"), "{}", known().await);
    assert!(known().await.contains("Turkey Meat"), "the rest stays");
    assert_eq!(ann.search("meat").await.skus()[0], "P4");
    // Nothing of it is left that a new consent would bring to light.
    chooses(&sidecar, json!({"sensitive": true})).await;
    assert!(ann.preferences().await["attributes"]["halal"].is_null());
}

#[tokio::test]
async fn what_was_learned_before_the_table_named_it_moves_nothing_and_is_told_nowhere() {
    let shop = meat_shop().await;
    let tables = tempfile::tempdir().unwrap();
    let table = tables.path().join("sensitive.yaml");
    std::fs::write(&table, "none: {any: [nothing at all]}\n").unwrap();
    let rules =
        format!("rules: {{path: personalization_rules.yaml, knowledge_dir: {:?}}}", tables.path());
    let settings = format!("mode: on\n{TRUSTING}\n{rules}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("meat").await;
    ann.tracks("purchase", "P3").await;
    ann.tracks("click", "P4").await;
    assert_eq!(ann.search("meat").await.skus()[0], "P3");
    let vouched = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-explain", "1")];
    let explained = async || {
        let reply = ann.search_with("meat", &vouched).await;
        let query = reply.outcome().split("query=").nth(1).unwrap().to_owned();
        sidecar.admin(&format!("/explain/{query}")).await.json()
    };
    let reasons = |told: &Value| {
        let hits = told["lists"][0].as_array().unwrap();
        hits.iter().map(|hit| hit["reason"].clone()).collect::<Vec<_>>()
    };
    assert!(reasons(&explained().await).contains(&json!("you bought this before")));

    std::fs::write(&table, "religion: {attributes: [halal]}\n").unwrap();
    eventually("the edit is live", || async {
        sidecar.metric("leafrank_rules_generation").await > 1.5
    })
    .await;
    assert_eq!(ann.search("meat").await.skus()[0], "P4");
    let told = explained().await;
    assert!(!reasons(&told).contains(&json!("you bought this before")), "{told}");
    let hits = told["lists"][0].as_array().unwrap();
    for part in hits.iter().flat_map(|hit| hit["parts"].as_array().unwrap()) {
        assert_ne!(part["of"], "halal", "{told}");
    }
    for text in reasons(&told) {
        assert!(!text.to_string().to_lowercase().contains("halal"), "{text}");
    }
    assert!(ann.preferences().await["attributes"]["halal"].is_null());
    let known = asked(&sidecar, "GET", ANN, "").await.text();
    assert!(!known.to_lowercase().contains("halal"), "{known}");
}
