//! The plan's scenarios by name, at the demo shop, with the rules as shipped: as they are, and with a
//! process that ends and comes back at each pause.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::house::{INTERRUPTED, mean_place};
use crate::harness::{Fate, House, Reply, Shopper, exchange, get, post};

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

/// Each with the shopper who goes it.
const EVERY_WAY: [(Told, &str); 3] =
    [(Told::OpeningThePage, "page"), (Told::LeafLoafsTrackCall, "call"), (Told::OurApi, "api")];

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

/// A plant-based yogurt comes first after one look at an oat milk.
async fn instant_learning(house: &mut House) {
    let plant_based = shelf("plant-based");
    let mut oats = Vec::new();
    for (_, name) in EVERY_WAY {
        let before = house.shopper("somebody-new").search("yogurt").await;
        assert_eq!(before.outcome(), "bypass; reason=no_evidence");
        assert!(!plant_based.contains(&before.skus()[0]), "the shop has a dairy yogurt first");
        let milk = named(&house.shopper(name).search("milk").await);
        let oat = position(&milk, "Oat Milk");
        assert!(oat > 0);
        oats.push(milk[oat].0.clone());
    }
    house.pause().await;
    for ((told, name), oat) in EVERY_WAY.into_iter().zip(&oats) {
        opens(&house.shopper(name), oat, told).await;
    }
    let joined = house.sidecar().metric("leafrank_clicks_joined_total").await;
    assert_eq!(joined, 3.0, "each click joined the list of before the pause");
    house.pause().await;
    for (told, name) in EVERY_WAY {
        let shopper = house.shopper(name);
        let liked = shopper.preferences().await["attributes"]["plant-based"].as_f64();
        assert!(liked.is_some_and(|affinity| affinity > 0.0), "{told:?}: {liked:?}");
        let first = &named(&shopper.search("yogurt").await)[0];
        assert!(plant_based.contains(&first.0), "{told:?}: {first:?} is first");
    }
}

#[tokio::test]
async fn scenario_1_instant_learning_one_look_at_an_oat_milk_puts_a_plant_based_yogurt_first() {
    instant_learning(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn scenario_1_instant_learning_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        instant_learning(&mut House::open("on", fate).await).await;
    }
}

/// Spicy chips that were passed over sink, here and in other searches.
async fn negative_learning(house: &mut House) {
    let spicy = shelf("spicy");
    let mut lists = Vec::new();
    for (_, name) in EVERY_WAY {
        let before = named(&house.shopper(name).search("chips").await);
        let original = position(&before, "Original Chips");
        let over: Vec<String> = before[..original].iter().map(|(sku, _)| sku.clone()).collect();
        assert!(over.len() >= 3 && over.iter().all(|sku| spicy.contains(sku)), "{before:?}");
        lists.push((before[original].0.clone(), over));
    }
    house.pause().await;
    for ((told, name), (original, _)) in EVERY_WAY.into_iter().zip(&lists) {
        opens(&house.shopper(name), original, told).await;
    }
    house.pause().await;
    for ((told, name), (_, over)) in EVERY_WAY.into_iter().zip(&lists) {
        let shopper = house.shopper(name);
        let after = named(&shopper.search("chips").await);
        assert!(after[0].1.starts_with("Original Chips"), "{told:?}: {after:?}");
        for (was, sku) in over.iter().enumerate() {
            let is = after.iter().position(|(now, _)| now == sku).unwrap();
            assert!(is > was, "{told:?}: {sku} was {was} and is {is}: {after:?}");
        }
        let in_front = after.iter().take(8).filter(|(sku, _)| spicy.contains(sku)).count();
        assert!(in_front <= 1, "{told:?}: {after:?}");
        for query in ["popcorn", "salsa", "crackers"] {
            let theirs = house.shopper("somebody-new").search(query).await;
            let mine = shopper.search(query).await;
            assert!(mean_place(&mine, &spicy) > mean_place(&theirs, &spicy), "{told:?}: {query}");
        }
        let affinity = shopper.preferences().await["attributes"]["spicy"].as_f64();
        assert!(affinity.is_some_and(|affinity| affinity < 0.0), "{told:?}: {affinity:?}");
    }
}

#[tokio::test]
async fn scenario_2_negative_learning_spicy_chips_that_were_passed_over_sink_here_and_in_other_searches()
 {
    negative_learning(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn scenario_2_negative_learning_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        negative_learning(&mut House::open("on", fate).await).await;
    }
}

#[tokio::test]
async fn a_liking_does_not_drag_other_shelves_along() {
    let house = House::open("on", Fate::Spared).await;
    let shopper = house.shopper("ann");
    let milk = named(&shopper.search("milk").await);
    opens(&shopper, &milk[position(&milk, "Oat Milk")].0, Told::LeafLoafsTrackCall).await;
    for query in ["apples", "bread", "carrots"] {
        let theirs = named(&house.shopper("somebody-new").search(query).await);
        let mine = named(&shopper.search(query).await);
        assert_eq!(mine[0], theirs[0], "{query}");
    }
}

#[tokio::test]
async fn a_new_shopper_gets_the_shops_bytes_while_others_are_known() {
    let house = House::open("on", Fate::Spared).await;
    let ann = house.shopper("ann");
    let milk = named(&ann.search("milk").await);
    opens(&ann, &milk[position(&milk, "Oat Milk")].0, Told::OpeningThePage).await;
    assert!(ann.search("milk").await.outcome().starts_with("reranked"));
    let new = house.shopper("new").search("milk").await;
    assert_eq!(new.outcome(), "bypass; reason=no_evidence");
    assert_eq!(named(&new), milk);
}

#[tokio::test]
async fn a_basket_teaches_by_the_shops_own_cart_routes() {
    let house = House::open("on", Fate::Spared).await;
    let (sidecar, ann) = (house.sidecar(), house.shopper("ann"));
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
fn the_demo_plays_all_three_scenarios_by_name_and_ends() {
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
    let names = ["1: Instant learning", "2: Negative learning", "3: Bulk pattern"];
    for name in names.map(|name| format!("Scenario {name}")) {
        assert!(said.contains(&name), "{name}: {said}");
    }
    assert!(row("opens                Oat Milk"), "{said}");
    assert!(row("1  Oat Yogurt"), "{said}");
    assert!(row("opens                Original Chips"), "{said}");
    assert!(row("1  Original Chips"), "{said}");
    assert!(said.contains("you passed over spicy"), "{said}");
    assert!(row("buys 2               2% Milk 1 gal"), "{said}");
    let bought = said.lines().find(|line| line.trim_start().starts_with("1  2% Milk 1 gal"));
    assert!(bought.is_some_and(|line| line.contains("×2")), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
    assert!(demo.stderr.is_empty(), "{}", String::from_utf8_lossy(&demo.stderr));
}

/// Buys so many of a product at once: by the shop's checkout, or told to our API.
async fn buys(shopper: &Shopper<'_>, by_traffic: bool, sku: &str, (quantity, time): (u32, u32)) {
    let reply = if by_traffic {
        let user = [("content-type", "application/json"), ("x-user-id", shopper.name)];
        let order = json!({"lines": [{"sku": sku, "quantity": quantity}]}).to_string();
        let data = shopper.sidecar.data;
        exchange(data, "POST", "/cart/checkout", &user, order.as_bytes()).await
    } else {
        let event = json!({"type": "purchase", "user_id": shopper.name, "product_id": sku,
            "quantity": quantity, "event_id": format!("{sku}-{time}")});
        post(shopper.sidecar.api, "/api/interactions/track", &event).await
    };
    assert!((200..300).contains(&reply.status), "{}", reply.text());
}

/// Two gallons bought are two suggested.
async fn bulk_pattern(house: &mut House) {
    const WAYS: [(bool, &str); 2] = [(true, "by-traffic"), (false, "by-api")];
    let milk = named(&house.shopper("somebody-new").search("milk").await);
    let [whole, skim, other] = [0, 1, 2].map(|place| milk[place].0.clone());
    for (by_traffic, name) in WAYS {
        let shopper = house.shopper(name);
        shopper.search("milk").await;
        buys(&shopper, by_traffic, &whole, (2, 0)).await;
        buys(&shopper, by_traffic, &skim, (1, 0)).await;
    }
    house.pause().await;
    // What is bought at once is one purchase; the next comes later.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    for (by_traffic, name) in WAYS {
        buys(&house.shopper(name), by_traffic, &whole, (2, 1)).await;
    }
    house.pause().await;
    for (_, name) in WAYS {
        let question = json!({"query": "milk", "user_id": name});
        let asked = post(house.sidecar().api, "/api/search/personalized", &question).await.json();
        let suggested = |sku: &String| {
            let mut hits = asked["results"].as_array().unwrap().iter();
            hits.find(|hit| hit["product_id"] == json!(sku)).unwrap()["suggested_quantity"].clone()
        };
        assert_eq!((suggested(&whole), suggested(&skim)), (json!(2), json!(1)), "{name}");
        assert_eq!(suggested(&other), json!(null), "never bought");

        let page = house.shopper(name).search("milk").await.json();
        let annotated = |sku: &String| {
            let mut hits = page["products"].as_array().unwrap().iter();
            hits.find(|hit| hit["sku"] == json!(sku)).unwrap()["_suggested_quantity"].clone()
        };
        assert_eq!((annotated(&whole), annotated(&skim)), (json!(2), json!(1)), "{name}");
        assert_eq!(annotated(&other), json!(null));
    }
}

#[tokio::test]
async fn scenario_3_bulk_pattern_two_gallons_bought_are_two_suggested_by_api_and_annotated() {
    bulk_pattern(&mut House::open("annotate", Fate::Spared).await).await;
}

#[tokio::test]
async fn scenario_3_bulk_pattern_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        bulk_pattern(&mut House::open("annotate", fate).await).await;
    }
}
