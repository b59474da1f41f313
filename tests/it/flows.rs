//! The plan's integration flows, at the demo shop with the rules as shipped: learned over the API, and
//! from the shop's own requests alone.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Reply, Shopper, Sidecar, exchange, post};

async fn demo() -> Sidecar {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let catalog = leafrank::demo::Catalog::ours();
    tokio::spawn(leafrank::demo::serve(catalog, listener, std::future::pending()));
    let settings = "mode: on\npresets: [leafloaf, demo]";
    Sidecar::before(address).settings(settings).start().await
}

/// Skus whose product is so, on the demo shop's own shelf.
fn shelf(is: impl Fn(&leafrank::demo::Product) -> bool) -> HashSet<String> {
    let catalog = leafrank::demo::Catalog::ours();
    catalog.products().iter().filter(|one| is(one)).map(|one| one.sku.clone()).collect()
}

/// How a purchase comes to our ears.
#[derive(Clone, Copy, Debug)]
enum Told {
    Checkout,
    OurApi,
}

async fn buys(shopper: &Shopper<'_>, told: Told, sku: &str) {
    let reply = match told {
        Told::Checkout => {
            let headers = [("content-type", "application/json"), ("x-user-id", shopper.name)];
            let order = json!({"lines": [{"sku": sku, "quantity": 1}]}).to_string();
            let data = shopper.sidecar.data;
            exchange(data, "POST", "/cart/checkout", &headers, order.as_bytes()).await
        }
        Told::OurApi => shopper.tracks("purchase", sku).await,
    };
    assert!((200..300).contains(&reply.status), "{told:?}: {}", reply.text());
}

/// Mean place of these products among the hits.
fn mean_place(reply: &Reply, of: &HashSet<String>) -> f64 {
    let places: Vec<f64> = reply
        .skus()
        .iter()
        .enumerate()
        .filter(|(_, sku)| of.contains(*sku))
        .map(|(place, _)| place as f64)
        .collect();
    assert!(!places.is_empty(), "the list has some");
    places.iter().sum::<f64>() / places.len() as f64
}

const BOTH: [(Told, &str); 2] = [(Told::Checkout, "by-checkout"), (Told::OurApi, "by-api")];

#[tokio::test]
async fn flow_first_time_shopper_gets_the_shops_own_bytes_until_the_first_act() {
    let sidecar = demo().await;
    let new = Shopper::of(&sidecar, "new");
    let first = new.search("yogurt").await;
    assert_eq!(first.outcome(), "bypass; reason=no_evidence");
    let picked = first.skus()[5].clone();
    assert_eq!(new.signals("click", &picked).await.status, 200);
    let second = new.search("yogurt").await;
    assert!(second.outcome().starts_with("reranked"), "{}", second.outcome());
    assert_eq!(second.skus()[0], picked);
    let (mut before, mut after) = (first.skus(), second.skus());
    before.sort();
    after.sort();
    assert_eq!(before, after, "the same hits");
    let other = Shopper::of(&sidecar, "another").search("yogurt").await;
    assert_eq!(other.skus(), first.skus(), "what one does is nobody else's list");
}

#[tokio::test]
async fn flow_returning_shopper_finds_the_usual_products_first_with_the_reason() {
    let sidecar = demo().await;
    for (told, name) in BOTH {
        let shopper = Shopper::of(&sidecar, name);
        let usual = shopper.search("milk").await.skus()[7].clone();
        buys(&shopper, told, &usual).await;
        // back another day, by another device: the user is the same
        let again = shopper.search("milk").await;
        assert_eq!(again.skus()[0], usual, "{told:?}");
        let question = json!({"query": "milk", "user_id": name});
        let answer = post(sidecar.api, "/api/search/personalized", &question).await.json();
        assert_eq!(answer["results"][0]["product_id"], json!(usual));
        assert_eq!(answer["results"][0]["reason"], json!("you bought this before"));
    }
}

#[tokio::test]
async fn flow_dietary_preference_is_detected_and_carries_to_other_shelves() {
    let sidecar = demo().await;
    let free = shelf(|one| one.attributes.iter().any(|attribute| attribute == "gluten-free"));
    for (told, name) in BOTH {
        let shopper = Shopper::of(&sidecar, name);
        let crackers = shopper.search("crackers").await.skus();
        let bought: Vec<_> = crackers.iter().filter(|sku| free.contains(*sku)).take(3).collect();
        assert_eq!(bought.len(), 3);
        for sku in bought {
            buys(&shopper, told, sku).await;
        }
        let liked = shopper.preferences().await["attributes"]["gluten-free"].as_f64();
        assert!(liked.is_some_and(|affinity| affinity > 0.3), "{told:?}: {liked:?}");
        for query in ["bread", "cookies"] {
            let others = Shopper::of(&sidecar, "somebody-new").search(query).await;
            let own = shopper.search(query).await;
            let (own, others) = (mean_place(&own, &free), mean_place(&others, &free));
            assert!(own < others, "{told:?}, {query}: {own} against {others}");
        }
    }
}

#[tokio::test]
async fn flow_cultural_household_finds_its_kitchen_in_lists_it_never_searched() {
    let sidecar = demo().await;
    let kitchen = shelf(|one| one.brand == "Masala Mornings");
    for (told, name) in BOTH {
        let shopper = Shopper::of(&sidecar, name);
        for query in ["paneer", "ghee", "naan"] {
            let found = shopper.search(query).await.skus();
            let sku = found.iter().find(|sku| kitchen.contains(*sku)).unwrap();
            buys(&shopper, told, sku).await;
        }
        let others = Shopper::of(&sidecar, "somebody-new").search("bowl").await;
        let own = shopper.search("bowl").await;
        let (own, others) = (mean_place(&own, &kitchen), mean_place(&others, &kitchen));
        assert!(own < others, "{told:?}: {own} against {others}");
        let brands: Value = shopper.preferences().await["brands"].clone();
        assert!(brands["masala mornings"].as_f64().unwrap() > 0.3, "{brands}");
    }
}
