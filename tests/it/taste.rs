//! A shopper's own word on one taste: pinned, muted, forgotten, taken back.

use serde_json::{Value, json};

use crate::harness::fixtures::leafloaf;
use crate::harness::shopper::{milk_shop, shelf};
use crate::harness::{
    API_TOKEN, Answer, PEER_TOKEN, Reply, Shop, Shopper, Sidecar, TRUSTING, exchange,
};

const PLANT: &str = "/api/users/ann/preferences/facets/attribute/plant-based";

async fn running(settings: &str) -> (Shop, Sidecar) {
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}\n{settings}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    (shop, sidecar)
}

/// Two plant-based milks among the first.
const PLANTS_FIRST: [(&str, &str); 4] =
    [("M5", "Oat Milk"), ("M1", "Whole Milk"), ("M6", "Almond Milk"), ("M2", "Skim Milk")];

/// A shop that answers every search with `list`, and takes every other request.
async fn list_shop(list: &'static [(&'static str, &'static str)]) -> Shop {
    Shop::start(|asked| match asked.path() {
        path if path.starts_with("/api/v1/search") => Answer::json(&leafloaf(list)),
        _ => Answer::json(b"{\"success\":true}"),
    })
    .await
}

/// A request on the API port, by an operator.
async fn asked(sidecar: &Sidecar, method: &str, path: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {}", sidecar.admin_token());
    exchange(sidecar.api, method, path, &[("authorization", &bearer)], body.as_bytes()).await
}

async fn says(sidecar: &Sidecar, path: &str, action: &str) -> Value {
    let reply = asked(sidecar, "PUT", path, &json!({"action": action}).to_string()).await;
    assert_eq!(reply.status, 200, "{action} {path}: {}", reply.text());
    reply.json()
}

/// The places of the two plant-based milks.
fn plants(reply: &Reply) -> Vec<usize> {
    let skus = reply.skus();
    ["M5", "M6"].iter().filter_map(|sku| skus.iter().position(|s| s == sku)).collect()
}

/// The explained hits of one search.
async fn explained(sidecar: &Sidecar, shopper: &Shopper<'_>, query: &str) -> Vec<Value> {
    let vouched = [("x-leafrank-token", PEER_TOKEN), ("x-leafrank-explain", "1")];
    let reply = shopper.search_with(query, &vouched).await;
    let query = reply.outcome().split("query=").nth(1).unwrap().to_owned();
    let told = sidecar.admin(&format!("/explain/{query}")).await.json();
    told["lists"][0].as_array().unwrap().clone()
}

#[tokio::test]
async fn one_who_only_pinned_is_ranked_by_it_and_told_why() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.outcome(), "bypass; reason=no_evidence");
    let said = says(&sidecar, PLANT, "pin").await;
    assert_eq!((&said["user_id"], &said["action"]), (&json!("ann"), &json!("pin")));
    let facet = &said["facet"];
    assert_eq!((&facet["axis"], &facet["name"]), (&json!("attribute"), &json!("plant-based")));
    assert_eq!((&facet["chosen"], &facet["affinity"]), (&json!("pinned"), &json!(0.0)));
    assert_eq!(facet["known"], json!(true));

    let first = ann.search("milk").await;
    assert!(first.outcome().starts_with("reranked"), "{}", first.outcome());
    assert_eq!(plants(&first), [0, 1]);
    let hits = explained(&sidecar, &ann, "milk").await;
    assert_eq!(hits[0]["reason"], json!("you asked for more plant-based"));
    let parts = hits[0]["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["of"] == "plant-based").unwrap();
    assert_eq!(part["note"], json!("pinned by the shopper"));
    assert!(part["value"].as_f64().unwrap() > 0.0);
    assert_eq!(Shopper::of(&sidecar, "ben").search("milk").await.skus(), shelf());
}

#[tokio::test]
async fn what_is_muted_sinks_and_is_never_praised_and_comes_back_when_that_is_taken_back() {
    let shop = list_shop(&PLANTS_FIRST).await;
    let settings = format!("mode: on\n{TRUSTING}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("milk").await;
    ann.signals("click", "M5").await;
    assert_eq!(ann.search("milk").await.skus()[..2], ["M5", "M6"]);
    let learned = ann.preferences().await;
    let liked = learned["attributes"]["plant-based"].as_f64().unwrap();
    assert!(liked > 0.0 && learned.get("chosen").is_none());

    let said = says(&sidecar, PLANT, "mute").await;
    assert_eq!(said["facet"]["chosen"], "muted");
    assert_eq!(said["facet"]["affinity"], json!(liked), "what was learned stands beside it");
    let hits = explained(&sidecar, &ann, "milk").await;
    assert_eq!(hits[3]["id"], "M6", "last: it has nothing else for it");
    assert_eq!(hits[3]["reason"], json!("you asked for less plant-based"));
    for hit in &hits {
        for part in hit["parts"].as_array().unwrap() {
            if part["of"] == "plant-based" {
                assert!(part["value"].as_f64().unwrap() < 0.0, "{hit}");
                assert_eq!(part["note"], json!("muted by the shopper"));
            }
        }
        let reason = hit["reason"].to_string();
        assert!(!reason.contains("plant-based") || reason.contains("less"), "{reason}");
    }
    let live = ann.preferences().await;
    assert_eq!(live["attributes"]["plant-based"], json!(liked));
    let chosen = &live["chosen"][0];
    assert_eq!(
        (&chosen["axis"], &chosen["name"], &chosen["chosen"], &chosen["affinity"]),
        (&json!("attribute"), &json!("plant-based"), &json!("muted"), &json!(liked))
    );
    let export = asked(&sidecar, "GET", "/api/users/ann", "").await.json();
    assert_eq!(export["preferences"]["chosen"][0]["chosen"], "muted");

    // learned on below it
    ann.tracks("purchase", "M6").await;
    let cleared = asked(&sidecar, "DELETE", PLANT, "").await.json();
    assert_eq!((&cleared["action"], &cleared["facet"]["chosen"]), (&json!("clear"), &Value::Null));
    assert!(cleared["facet"]["affinity"].as_f64().unwrap() > liked);
    let mut plants = plants(&ann.search("milk").await);
    plants.sort_unstable();
    assert_eq!(plants, [0, 1]);
}

#[tokio::test]
async fn the_hierarchical_preference_is_served_explained_muted_and_forgotten_live() {
    let rules = "ranking: {preference: hierarchical, weights: {item: 0}}\n";
    let shop = milk_shop().await;
    let settings = format!("mode: on\n{TRUSTING}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).rules(rules).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    let hits = explained(&sidecar, &ann, "milk").await;
    for hit in &hits {
        let parts = hit["parts"].as_array().unwrap();
        let sum: f64 = parts.iter().map(|part| part["value"].as_f64().unwrap()).sum();
        assert!((sum - hit["score"].as_f64().unwrap()).abs() < 1e-5, "{hit}");
    }
    let plant = |hit: &Value| -> f64 {
        let parts = hit["parts"].as_array().unwrap();
        let own = parts.iter().find(|part| part["of"] == "plant-based");
        own.map_or(0.0, |part| part["value"].as_f64().unwrap())
    };
    let almond = |hits: &[Value]| plant(hits.iter().find(|hit| hit["id"] == "M6").unwrap());
    assert!(almond(&hits) > 0.0, "what was not clicked, by what it is");
    says(&sidecar, PLANT, "mute").await;
    assert!(almond(&explained(&sidecar, &ann, "milk").await) < 0.0);
    asked(&sidecar, "DELETE", PLANT, "").await;
    says(&sidecar, PLANT, "forget").await;
    assert_eq!(almond(&explained(&sidecar, &ann, "milk").await), 0.0);
    let erased = asked(&sidecar, "DELETE", "/api/users/ann", "").await;
    assert!(erased.status < 300, "{}", erased.text());
    assert_eq!(ann.search("milk").await.skus(), shelf());
}

#[tokio::test]
async fn what_is_forgotten_is_gone_at_once_and_learned_anew() {
    let (_shop, sidecar) = running("").await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.likes_oat_milk().await;
    says(&sidecar, PLANT, "mute").await;
    let said = says(&sidecar, PLANT, "forget").await;
    let facet = &said["facet"];
    assert_eq!(
        (&facet["chosen"], &facet["affinity"], &facet["evidence"]),
        (&Value::Null, &json!(0.0), &json!(0))
    );
    let live = ann.preferences().await;
    assert!(live["attributes"]["plant-based"].is_null() && live.get("chosen").is_none(), "{live}");
    ann.tracks("purchase", "M6").await;
    assert!(ann.preferences().await["attributes"]["plant-based"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_choice_outlives_kill_9_and_a_forgotten_taste_stays_forgotten() {
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let settings = format!(
        "mode: on\n{TRUSTING}\ndata_dir: {:?}\nstore: {{snapshot_seconds: 3600}}",
        state.path()
    );
    let start = async || Sidecar::before(shop.address).settings(&settings).start().await;
    let token = || std::fs::read_to_string(state.path().join("admin.token")).unwrap();
    let put = async |sidecar: &Sidecar, path: &str, action: &str| {
        let bearer = format!("Bearer {}", token().trim());
        let (proof, body) = ([("authorization", bearer.as_str())], json!({ "action": action }));
        let reply = exchange(sidecar.api, "PUT", path, &proof, body.to_string().as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    {
        let mut sidecar = start().await;
        Shopper::of(&sidecar, "ann").likes_oat_milk().await;
        // this one is in the snapshot
        sidecar.terminate();
        sidecar.ended(std::time::Duration::from_secs(20)).await;
    }
    {
        let sidecar = start().await;
        Shopper::of(&sidecar, "eve").search("milk").await;
        let before = Shopper::of(&sidecar, "ann").preferences().await;
        assert!(before["attributes"]["plant-based"].as_f64().unwrap() > 0.0, "{before}");
        put(&sidecar, PLANT, "forget").await;
        put(&sidecar, "/api/users/ben/preferences/facets/attribute/Plant-Based", "pin").await;
        // dropped = killed
    }
    let sidecar = start().await;
    let ben = Shopper::of(&sidecar, "ben").search("milk").await;
    assert_eq!(plants(&ben), [0, 1]);
    let ann = Shopper::of(&sidecar, "ann").preferences().await;
    assert!(ann["attributes"]["plant-based"].is_null(), "{ann}");
    assert!(ann["categories"].as_object().is_some_and(|rest| !rest.is_empty()), "{ann}");
    let journal = std::fs::read_to_string(state.path().join("tastes.journal")).unwrap();
    assert!(!journal.contains("ben") && journal.contains("plant-based"), "{journal}");
}

#[tokio::test]
async fn who_is_erased_opts_out_or_is_forgotten_by_the_shop_has_said_nothing() {
    let (_shop, sidecar) = running("").await;
    let journal = sidecar.directory.path().join("state/tastes.journal");
    let kept = || std::fs::read_to_string(&journal).unwrap_or_default();
    for user in ["ann", "ben"] {
        let path = format!("/api/users/{user}/preferences/facets/attribute/plant-based");
        says(&sidecar, &path, "pin").await;
    }
    assert_eq!(kept().matches("plant-based").count(), 2);
    assert_eq!(asked(&sidecar, "DELETE", "/api/users/ann", "").await.status, 200);
    let ann = Shopper::of(&sidecar, "ann");
    assert_eq!(ann.search("milk").await.outcome(), "bypass; reason=no_evidence");
    assert_eq!(kept().matches("plant-based").count(), 1, "{}", kept());

    let out = json!({"personalization": false}).to_string();
    assert_eq!(asked(&sidecar, "PUT", "/api/users/ben/consent", &out).await.status, 200);
    assert!(!kept().contains("plant-based"), "{}", kept());
    let ben = "/api/users/ben/preferences/facets/attribute/plant-based";
    let refused = asked(&sidecar, "PUT", ben, r#"{"action":"pin"}"#).await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("opted_out")));
    assert!(refused.text().contains("/api/users/ben/consent"), "{}", refused.text());
}

const MEATS: [(&str, &str); 4] =
    [("P1", "Beef Meat"), ("P2", "Pork Meat"), ("P3", "Halal Chicken Meat"), ("P4", "Turkey Meat")];

#[tokio::test]
async fn what_tells_of_a_religion_can_be_neither_pinned_nor_muted_without_consent() {
    let shop = list_shop(&MEATS).await;
    let settings = format!("mode: on\n{TRUSTING}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let halal = "/api/users/ann/preferences/facets/attribute/HALAL";
    for action in ["pin", "mute"] {
        let body = json!({ "action": action }).to_string();
        let refused = asked(&sidecar, "PUT", halal, &body).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert_eq!(refused.json()["error"], "sensitive_not_allowed");
        assert!(refused.text().contains("\\\"sensitive\\\": true"), "{}", refused.text());
    }
    let forgotten = says(&sidecar, halal, "forget").await;
    assert_eq!(forgotten["facet"]["known"], json!(false), "{forgotten}");
    let consent = async |sensitive: bool| {
        let body = json!({ "sensitive": sensitive }).to_string();
        let reply = asked(&sidecar, "PUT", "/api/users/ann/consent", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    consent(true).await;
    let ann = Shopper::of(&sidecar, "ann");
    says(&sidecar, halal, "pin").await;
    assert_eq!(ann.search("meat").await.skus()[0], "P3");
    consent(false).await;
    assert_eq!(ann.search("meat").await.outcome(), "bypass; reason=no_evidence");
    let journal = sidecar.directory.path().join("state/tastes.journal");
    assert!(!std::fs::read_to_string(journal).unwrap().contains("halal"));
    consent(true).await;
    assert_eq!(ann.preferences().await.get("chosen"), None, "nothing of it comes to light again");
}

#[tokio::test]
async fn only_the_user_and_operators_may_say_it_and_mistakes_are_explained() {
    let (_shop, sidecar) = running("store: {choices_per_user_max: 2}").await;
    let client = format!("Bearer {API_TOKEN}");
    let body = r#"{"action":"pin"}"#;
    for (proof, status) in [
        (vec![], 401),
        (vec![("x-user-id", "ann")], 401),
        (vec![("authorization", client.as_str())], 401),
        (vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "eve")], 401),
        (vec![("x-leafrank-token", PEER_TOKEN), ("x-leafrank-user", "ann")], 200),
    ] {
        let reply = exchange(sidecar.api, "PUT", PLANT, &proof, body.as_bytes()).await;
        assert_eq!(reply.status, status, "{proof:?} {}", reply.text());
    }
    for (path, body, code, part) in [
        ("attributes/spicy", body, "bad_axis", "did you mean \\\"attribute\\\"?"),
        ("attribute/%20", body, "bad_value", "expected 1 to 64 bytes"),
        ("attribute/%ff", body, "bad_path", "percent-encoded"),
        ("attribute/spicy", r#"{"action":"pinn"}"#, "bad_action", "did you mean \\\"pin\\\"?"),
        ("attribute/spicy", "{}", "malformed_choice", "missing field `action`"),
    ] {
        let path = format!("/api/users/ann/preferences/facets/{path}");
        let reply = asked(&sidecar, "PUT", &path, body).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(code)), "{path}");
        assert!(reply.text().contains(part), "{}", reply.text());
    }
    let nobody = PLANT.replace("/ann/", "/anonymous/");
    assert_eq!(asked(&sidecar, "PUT", &nobody, body).await.status, 400);
    let category = "/api/users/ann/preferences/facets/category/Dairy%2FOat%20%20Milk";
    assert_eq!(says(&sidecar, category, "pin").await["facet"]["name"], "dairy/oat milk");
    let third = "/api/users/ann/preferences/facets/brand/oatly";
    let full = asked(&sidecar, "PUT", third, body).await;
    assert_eq!((full.status, &full.json()["error"]), (507, &json!("too_many_choices")));
    assert!(full.text().contains("store.choices_per_user_max"), "{}", full.text());
    // what stands can be changed all the same
    says(&sidecar, PLANT, "mute").await;
}

#[tokio::test]
async fn a_choice_makes_another_reply_of_it_than_the_one_kept_by_a_cache() {
    let shop = Shop::start(|_| {
        let all = [("content-type", "application/json"), ("etag", "\"v1\"")];
        Answer::reply("200 OK", &all, &leafloaf(&crate::harness::shopper::MILKS))
    })
    .await;
    let settings = format!("mode: on\n{TRUSTING}");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("milk").await;
    let mut tags = Vec::new();
    for action in ["pin", "mute", "pin"] {
        says(&sidecar, PLANT, action).await;
        tags.push(ann.search("milk").await.header("etag").unwrap().to_owned());
    }
    assert!(tags[0] != tags[1] && tags[0] == tags[2], "{tags:?}");
}
