//! The plan's scenarios by name, at the demo shop, with the rules as shipped.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Reply, Shopper, Sidecar, exchange, get, post};

/// The demo shop on a free port, and the sidecar before it.
async fn demo() -> Sidecar {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shop =
        leafrank::demo::serve(leafrank::demo::Catalog::ours(), listener, std::future::pending());
    tokio::spawn(shop);
    let settings = "mode: on\npresets: [leafloaf, demo]";
    Sidecar::before(address).settings(settings).start().await
}

fn named(reply: &Reply) -> Vec<(String, String)> {
    let json = reply.json();
    let text = |hit: &Value, key: &str| hit[key].as_str().unwrap().to_owned();
    let hits = json["products"].as_array().unwrap();
    hits.iter().map(|hit| (text(hit, "sku"), text(hit, "product_name"))).collect()
}

fn position(list: &[(String, String)], start: &str) -> usize {
    list.iter().position(|(_, name)| name.starts_with(start)).unwrap_or_else(|| panic!("{start}"))
}

/// Skus that the demo shop's own shelf calls so; its replies do not show attributes.
fn shelf(attribute: &str) -> HashSet<String> {
    let catalog = leafrank::demo::Catalog::ours();
    let having = catalog.products().iter().filter(|p| p.attributes.iter().any(|a| a == attribute));
    having.map(|product| product.sku.clone()).collect()
}

/// How a shop may hear of a click.
#[derive(Clone, Copy, Debug)]
enum Told {
    OpeningThePage,
    LeafLoafsTrackCall,
    OurApi,
}

const EVERY_WAY: [Told; 3] = [Told::OpeningThePage, Told::LeafLoafsTrackCall, Told::OurApi];

async fn opens(shopper: &Shopper<'_>, sku: &str, told: Told) {
    let sidecar = shopper.sidecar;
    let status = match told {
        Told::OpeningThePage => {
            let user = [("x-user-id", shopper.name)];
            exchange(sidecar.data, "GET", &format!("/product/{sku}"), &user, b"").await.status
        }
        Told::LeafLoafsTrackCall => shopper.signals("click", sku).await.status,
        Told::OurApi => shopper.tracks("click", sku).await.status,
    };
    assert!((200..300).contains(&status), "{told:?}: {status}");
}

#[tokio::test]
async fn scenario_1_instant_learning_one_look_at_an_oat_milk_puts_a_plant_based_yogurt_first() {
    let sidecar = demo().await;
    let plant_based = shelf("plant-based");
    for (told, name) in EVERY_WAY.into_iter().zip(["page", "call", "api"]) {
        let shopper = Shopper::of(&sidecar, name);
        let before = Shopper::of(&sidecar, "somebody-new").search("yogurt").await;
        assert_eq!(before.outcome(), "bypass; reason=no_evidence");
        assert!(!plant_based.contains(&before.skus()[0]), "the shop has a dairy yogurt first");
        let milk = named(&shopper.search("milk").await);
        let oat = position(&milk, "Oat Milk");
        assert!(oat > 0);
        opens(&shopper, &milk[oat].0, told).await;
        let yogurt = shopper.search("yogurt").await;
        let first = &named(&yogurt)[0];
        assert!(plant_based.contains(&first.0), "{told:?}: {first:?} is first");
        let liked = shopper.preferences().await["attributes"]["plant-based"].as_f64();
        assert!(liked.is_some_and(|affinity| affinity > 0.0), "{told:?}: {liked:?}");
    }
}

#[tokio::test]
async fn scenario_2_negative_learning_spicy_chips_that_were_passed_over_sink_here_and_in_other_searches()
 {
    let sidecar = demo().await;
    let spicy = shelf("spicy");
    for (told, name) in EVERY_WAY.into_iter().zip(["page", "call", "api"]) {
        let shopper = Shopper::of(&sidecar, name);
        let before = named(&shopper.search("chips").await);
        let original = position(&before, "Original Chips");
        let over: Vec<&String> = before[..original].iter().map(|(sku, _)| sku).collect();
        assert!(over.len() >= 3 && over.iter().all(|sku| spicy.contains(*sku)), "{before:?}");
        opens(&shopper, &before[original].0, told).await;

        let after = named(&shopper.search("chips").await);
        assert!(after[0].1.starts_with("Original Chips"), "{told:?}: {after:?}");
        for (was, sku) in over.iter().enumerate() {
            let is = after.iter().position(|(now, _)| now == *sku).unwrap();
            assert!(is > was, "{told:?}: {sku} was {was} and is {is}: {after:?}");
        }
        let in_front = after.iter().take(8).filter(|(sku, _)| spicy.contains(sku)).count();
        assert!(in_front <= 1, "{told:?}: {after:?}");

        for query in ["popcorn", "salsa", "crackers"] {
            let theirs = Shopper::of(&sidecar, "somebody-new").search(query).await;
            let mine = shopper.search(query).await;
            let mean = |reply: &Reply| {
                let places: Vec<f64> = named(reply)
                    .iter()
                    .enumerate()
                    .filter(|(_, (sku, _))| spicy.contains(sku))
                    .map(|(at, _)| at as f64)
                    .collect();
                assert!(!places.is_empty(), "{query} has spicy ones");
                places.iter().sum::<f64>() / places.len() as f64
            };
            assert!(mean(&mine) > mean(&theirs), "{told:?}: {query}");
        }
        let affinity = shopper.preferences().await["attributes"]["spicy"].as_f64();
        assert!(affinity.is_some_and(|affinity| affinity < 0.0), "{told:?}: {affinity:?}");
    }
}

#[tokio::test]
async fn a_liking_does_not_drag_other_shelves_along() {
    let sidecar = demo().await;
    let shopper = Shopper::of(&sidecar, "ann");
    let milk = named(&shopper.search("milk").await);
    opens(&shopper, &milk[position(&milk, "Oat Milk")].0, Told::LeafLoafsTrackCall).await;
    for query in ["apples", "bread", "carrots"] {
        let theirs = named(&Shopper::of(&sidecar, "somebody-new").search(query).await);
        let mine = named(&shopper.search(query).await);
        assert_eq!(mine[0], theirs[0], "{query}");
    }
}

#[tokio::test]
async fn a_new_shopper_gets_the_shops_bytes_while_others_are_known() {
    let sidecar = demo().await;
    let ann = Shopper::of(&sidecar, "ann");
    let milk = named(&ann.search("milk").await);
    opens(&ann, &milk[position(&milk, "Oat Milk")].0, Told::OpeningThePage).await;
    assert!(ann.search("milk").await.outcome().starts_with("reranked"));
    let new = Shopper::of(&sidecar, "new").search("milk").await;
    assert_eq!(new.outcome(), "bypass; reason=no_evidence");
    assert_eq!(named(&new), milk);
}

#[tokio::test]
async fn a_basket_teaches_by_the_shops_own_cart_routes() {
    let sidecar = demo().await;
    let ann = Shopper::of(&sidecar, "ann");
    let headers = [("content-type", "application/json"), ("x-user-id", "ann")];
    let send = async |path: &str, body: Value| {
        let body = body.to_string();
        let reply = exchange(sidecar.data, "POST", path, &headers, body.as_bytes()).await;
        assert!(reply.status < 300, "{path}: {}", reply.text());
    };
    let milk = named(&ann.search("milk").await);
    let oat = milk[position(&milk, "Oat Milk")].0.clone();
    send("/cart/add", json!({"sku": oat, "quantity": 2})).await;
    send("/cart/remove", json!({"sku": oat, "quantity": 1})).await;
    send("/cart/checkout", json!({"lines": [{"sku": oat, "quantity": 1}]})).await;
    for kind in ["cart.add_to_cart", "cart.remove_from_cart", "purchase.first_time"] {
        let learned = sidecar.metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await;
        assert_eq!(learned, 1.0, "{kind}");
    }
    assert_eq!(ann.search("milk").await.skus()[0], oat);
    // Nobody else was taught.
    assert_eq!(
        get(sidecar.api, "/api/users/bob/preferences/live").await.json()["brands"],
        json!({})
    );
    let anonymous = post(sidecar.data, "/api/v1/search", &json!({"query": "milk"})).await;
    assert_eq!(anonymous.outcome(), "bypass; reason=no_subject");
}

#[test]
fn the_demo_plays_both_scenarios_and_ends() {
    // It once opened a "Goat Milk" for an "oat" milk, and ranked nothing without files beside it.
    let elsewhere = tempfile::tempdir().unwrap();
    let demo = std::process::Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(["demo", "--once", "--port", "0"])
        .current_dir(elsewhere.path())
        .env("TMPDIR", elsewhere.path())
        .output()
        .expect("run the demo");
    let said = String::from_utf8_lossy(&demo.stdout);
    assert!(demo.status.success(), "{said}{}", String::from_utf8_lossy(&demo.stderr));
    let row = |start: &str| said.lines().any(|line| line.trim_start().starts_with(start));
    assert!(said.contains("opens  \"Oat Milk"), "{said}");
    assert!(row("1  Oat Yogurt"), "{said}");
    assert!(said.contains("opens  \"Original Chips"), "{said}");
    assert!(row("1  Original Chips"), "{said}");
}

#[tokio::test]
async fn scenario_3_bulk_pattern_two_gallons_bought_are_two_suggested_by_api_and_annotated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let catalog = leafrank::demo::Catalog::ours();
    tokio::spawn(leafrank::demo::serve(catalog, listener, std::future::pending()));
    let settings = "mode: annotate\npresets: [leafloaf, demo]";
    let sidecar = Sidecar::before(address).settings(settings).start().await;
    for (by_traffic, name) in [(true, "by-traffic"), (false, "by-api")] {
        let shopper = Shopper::of(&sidecar, name);
        let milk = named(&shopper.search("milk").await);
        let (whole, skim) = (&milk[0].0, &milk[1].0);
        for (times, sku, quantity) in [(2, whole, 2), (1, skim, 1)] {
            for time in 0..times {
                let lines = json!([{"sku": sku, "quantity": quantity}]);
                let reply = if by_traffic {
                    // what is bought at once is one purchase; the next comes later
                    tokio::time::sleep(std::time::Duration::from_millis(1_100 * time)).await;
                    let user = [("content-type", "application/json"), ("x-user-id", name)];
                    let order = json!({"lines": lines}).to_string();
                    exchange(sidecar.data, "POST", "/cart/checkout", &user, order.as_bytes()).await
                } else {
                    let event = json!({"type": "purchase", "user_id": name, "product_id": sku,
                        "quantity": quantity, "event_id": format!("{sku}-{time}")});
                    post(sidecar.api, "/api/interactions/track", &event).await
                };
                assert!((200..300).contains(&reply.status), "{}", reply.text());
            }
        }
        let question = json!({"query": "milk", "user_id": name});
        let asked = post(sidecar.api, "/api/search/personalized", &question).await.json();
        let suggested = |sku: &String| {
            let mut hits = asked["results"].as_array().unwrap().iter();
            hits.find(|hit| hit["product_id"] == json!(sku)).unwrap()["suggested_quantity"].clone()
        };
        assert_eq!((suggested(whole), suggested(skim)), (json!(2), json!(1)), "{name}");
        assert_eq!(suggested(&milk[2].0), json!(null), "never bought");

        let page = shopper.search("milk").await.json();
        let annotated = |sku: &String| {
            let mut hits = page["products"].as_array().unwrap().iter();
            hits.find(|hit| hit["sku"] == json!(sku)).unwrap()["_suggested_quantity"].clone()
        };
        assert_eq!((annotated(whole), annotated(skim)), (json!(2), json!(1)), "{name}");
        assert_eq!(annotated(&milk[2].0), json!(null));
    }
}
