//! The plan's integration flows, at the demo shop with the rules as shipped: learned over the API, and
//! from the shop's own requests alone; as they are, and with a process that ends and comes back at each
//! pause.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::house::{INTERRUPTED, mean_place};
use crate::harness::{Fate, House, Shopper, exchange, post};

/// Skus whose product is so, on the demo shop's own shelf.
fn shelf(is: impl Fn(&leafrank::demo::Product) -> bool) -> HashSet<String> {
    let catalog = leafrank::demo::Catalog::ours();
    catalog.products().iter().filter(|one| is(one)).map(|one| one.sku.clone()).collect()
}

/// How a purchase comes to our ears.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Checkout,
    OurApi,
}

async fn buys(shopper: &Shopper<'_>, told: Told, (sku, quantity): (&str, u32)) {
    let reply = match told {
        Told::Checkout => {
            let headers = [("content-type", "application/json"), ("x-user-id", shopper.name)];
            let order = json!({"lines": [{"sku": sku, "quantity": quantity}]}).to_string();
            let data = shopper.sidecar.data;
            exchange(data, "POST", "/cart/checkout", &headers, order.as_bytes()).await
        }
        Told::OurApi => {
            let event = json!({"type": "purchase", "user_id": shopper.name, "product_id": sku,
                "quantity": quantity});
            post(shopper.sidecar.api, "/api/interactions/track", &event).await
        }
    };
    assert!((200..300).contains(&reply.status), "{told:?}: {}", reply.text());
}

const BOTH: [(Told, &str); 2] = [(Told::Checkout, "by-checkout"), (Told::OurApi, "by-api")];

/// The shop's own bytes until the first act.
async fn first_time(house: &mut House) {
    let first = house.shopper("new").search("yogurt").await;
    assert_eq!(first.outcome(), "bypass; reason=no_evidence");
    let picked = first.skus()[5].clone();
    house.pause().await;
    assert_eq!(house.shopper("new").signals("click", &picked).await.status, 200);
    house.pause().await;
    let second = house.shopper("new").search("yogurt").await;
    assert!(second.outcome().starts_with("reranked"), "{}", second.outcome());
    assert_eq!(second.skus()[0], picked);
    let (mut before, mut after) = (first.skus(), second.skus());
    before.sort();
    after.sort();
    assert_eq!(before, after, "the same hits");
    let other = house.shopper("another").search("yogurt").await;
    assert_eq!(other.skus(), first.skus(), "what one does is nobody else's list");
}

#[tokio::test]
async fn flow_first_time_shopper_gets_the_shops_own_bytes_until_the_first_act() {
    first_time(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn flow_first_time_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        first_time(&mut House::open("on", fate).await).await;
    }
}

/// The usual products first, with the reason.
async fn returning(house: &mut House) {
    let mut usual = Vec::new();
    for (_, name) in BOTH {
        usual.push(house.shopper(name).search("milk").await.skus()[7].clone());
    }
    house.pause().await;
    for ((told, name), usual) in BOTH.into_iter().zip(&usual) {
        buys(&house.shopper(name), told, (usual, 1)).await;
    }
    house.pause().await;
    for ((told, name), usual) in BOTH.into_iter().zip(&usual) {
        // back another day, by another device: the user is the same
        let question = json!({"query": "milk", "user_id": name});
        let answer = post(house.sidecar().api, "/api/search/personalized", &question).await.json();
        assert_eq!(answer["results"][0]["product_id"], json!(usual));
        assert_eq!(answer["results"][0]["reason"], json!("you bought this before"));
        let again = house.shopper(name).search("milk").await;
        assert_eq!(&again.skus()[0], usual, "{told:?}");
    }
}

#[tokio::test]
async fn flow_returning_shopper_finds_the_usual_products_first_with_the_reason() {
    returning(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn flow_returning_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        returning(&mut House::open("on", fate).await).await;
    }
}

/// A diet is detected, and carries to other shelves.
async fn dietary(house: &mut House) {
    let free = shelf(|one| one.attributes.iter().any(|attribute| attribute == "gluten-free"));
    let mut bought = Vec::new();
    for (_, name) in BOTH {
        let crackers = house.shopper(name).search("crackers").await.skus();
        bought = crackers.into_iter().filter(|sku| free.contains(sku)).take(3).collect();
        assert_eq!(bought.len(), 3);
    }
    for sku in &bought {
        house.pause().await;
        for (told, name) in BOTH {
            buys(&house.shopper(name), told, (sku, 1)).await;
        }
    }
    house.pause().await;
    for (told, name) in BOTH {
        let shopper = house.shopper(name);
        let liked = shopper.preferences().await["attributes"]["gluten-free"].as_f64();
        assert!(liked.is_some_and(|affinity| affinity > 0.3), "{told:?}: {liked:?}");
        for query in ["bread", "cookies"] {
            let others = house.shopper("somebody-new").search(query).await;
            let own = shopper.search(query).await;
            let (own, others) = (mean_place(&own, &free), mean_place(&others, &free));
            assert!(own < others, "{told:?}, {query}: {own} against {others}");
        }
    }
}

#[tokio::test]
async fn flow_dietary_preference_is_detected_and_carries_to_other_shelves() {
    dietary(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn flow_dietary_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        dietary(&mut House::open("on", fate).await).await;
    }
}

/// A household that takes many at once: what is in the cart, and what is usual for it, stays known.
async fn bulk(house: &mut House) {
    let beans = house.shopper("somebody-new").search("beans").await.skus()[4].clone();
    for (told, name) in BOTH {
        let shopper = house.shopper(name);
        shopper.search("beans").await;
        if told == Told::Checkout {
            puts_into_the_cart(&shopper, &beans).await;
        }
    }
    let learned = async |house: &House, kind: &str| {
        house.sidecar().metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await
    };
    house.pause().await;
    // A press is one again within a second: this one comes later.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    puts_into_the_cart(&house.shopper(BOTH[0].1), &beans).await;
    assert_eq!(learned(house, "cart.quantity_increase").await, 1.0, "it is in the cart already");
    for (told, name) in BOTH {
        buys(&house.shopper(name), told, (&beans, 12)).await;
    }
    assert_eq!(learned(house, "purchase.bulk_purchase").await, 2.0, "for anybody");
    house.pause().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let before = learned(house, "purchase.bulk_purchase").await;
    for (told, name) in BOTH {
        buys(&house.shopper(name), told, (&beans, 12)).await;
    }
    assert_eq!(learned(house, "purchase.bulk_purchase").await, before, "no bulk, for these two");
    assert_eq!(learned(house, "purchase.repeat").await, 2.0);
    house.pause().await;
    for (told, name) in BOTH {
        let question = json!({"query": "beans", "user_id": name});
        let answer = post(house.sidecar().api, "/api/search/personalized", &question).await.json();
        let first = &answer["results"][0];
        assert_eq!(first["product_id"], json!(beans), "{told:?}");
        assert_eq!(first["suggested_quantity"], json!(12), "{told:?}");
    }
}

async fn puts_into_the_cart(shopper: &Shopper<'_>, sku: &str) {
    let headers = [("content-type", "application/json"), ("x-user-id", shopper.name)];
    let line = json!({"sku": sku, "quantity": 6}).to_string();
    let data = shopper.sidecar.data;
    let reply = exchange(data, "POST", "/cart/add", &headers, line.as_bytes()).await;
    assert!((200..300).contains(&reply.status), "{}", reply.text());
}

#[tokio::test]
async fn flow_bulk_household_is_known_by_its_own_habit_and_offered_its_quantity() {
    bulk(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn flow_bulk_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        bulk(&mut House::open("on", fate).await).await;
    }
}

/// A kitchen, found in lists that were never searched.
async fn cultural(house: &mut House) {
    let kitchen = shelf(|one| one.brand == "Masala Mornings");
    for query in ["paneer", "ghee", "naan"] {
        let mut bought = String::new();
        for (_, name) in BOTH {
            let found = house.shopper(name).search(query).await.skus();
            bought = found.into_iter().find(|sku| kitchen.contains(sku)).unwrap();
        }
        house.pause().await;
        for (told, name) in BOTH {
            buys(&house.shopper(name), told, (&bought, 1)).await;
        }
    }
    house.pause().await;
    for (told, name) in BOTH {
        let shopper = house.shopper(name);
        let brands: Value = shopper.preferences().await["brands"].clone();
        assert!(brands["masala mornings"].as_f64().unwrap() > 0.3, "{brands}");
        let others = house.shopper("somebody-new").search("bowl").await;
        let own = shopper.search("bowl").await;
        let (own, others) = (mean_place(&own, &kitchen), mean_place(&others, &kitchen));
        assert!(own < others, "{told:?}: {own} against {others}");
    }
}

#[tokio::test]
async fn flow_cultural_household_finds_its_kitchen_in_lists_it_never_searched() {
    cultural(&mut House::open("on", Fate::Spared).await).await;
}

#[tokio::test]
async fn flow_cultural_ends_the_same_when_the_process_ends_in_the_middle() {
    for fate in INTERRUPTED {
        cultural(&mut House::open("on", fate).await).await;
    }
}
