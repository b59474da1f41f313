//! A made-up shop with an API of its own, described in the settings alone.

use serde_json::{Value, json};

use crate::harness::{Answer, Asked, Reply, Shop, Sidecar, exchange};

const ROUTES: &str = r#"
mode: on
presets: []
identity: {user: ["query:who"]}
trust: {api_token_file: api.tokens}
routes:
  - name: finder
    method: GET
    path: /{tenant}/search
    search:
      query: ["query:q"]
      sort: [{from: "query:sort", neutral: ["", best]}]
      score_better: lower
      hits:
        at: /result/groups/*/items
        id: /node/no
        name: /node/title
        category: /node/shelf
        brand: /node/maker
        attributes: /node/tags
        price: /cents
        score: /distance
        stock: /left
        sponsored: /ad
  - name: listing
    method: GET
    path: /{tenant}/all
    search:
      query: ["query:q"]
      upstream: unranked
      hits: {at: /items, id: /no, name: /title}
  - name: page
    method: GET
    path: /{tenant}/thing/{no}
    event: {kind: view_details, product: ["path:no"]}
"#;

/// A hit of the finder: number, title, distance, what is left.
fn item(no: u64, title: &str, distance: f64, left: i64, ad: bool) -> Value {
    json!({"cents": "250", "distance": distance, "left": left, "ad": ad,
           "node": {"no": no, "title": title, "shelf": "Milk", "maker": "Farm", "tags": ["x"]}})
}

fn page(items: Vec<Value>) -> Vec<u8> {
    let nuts = [item(90, "Nut Milk", 0.1, 1, false)];
    json!({"result": {"groups": [{"items": items}, {"items": nuts}], "total": 9}})
        .to_string()
        .into_bytes()
}

fn plain() -> Vec<u8> {
    page(vec![
        item(1, "Whole Milk", 0.10, 3, false),
        item(2, "Skim Milk", 0.11, 3, false),
        item(3, "Goat Milk", 0.12, 3, false),
        item(4, "Oat Milk", 0.13, 3, false),
        item(5, "Soy Milk", 0.14, 3, false),
    ])
}

fn with_an_ad_and_empty_shelves() -> Vec<u8> {
    page(vec![
        item(1, "Whole Milk", 0.10, 0, false),
        item(2, "Skim Milk", 0.90, 3, true),
        item(3, "Goat Milk", 0.12, 3, false),
        item(4, "Oat Milk", 0.13, 3, false),
        item(5, "Soy Milk", 0.14, 0, false),
    ])
}

fn unranked() -> Vec<u8> {
    let item = |no: u64, title: &str| json!({"no": no, "title": title});
    json!({"items": [item(7, "Bread"), item(8, "Beans"), item(9, "Cola"), item(4, "Oat Milk")]})
        .to_string()
        .into_bytes()
}

async fn running() -> (Shop, Sidecar) {
    let shop = Shop::start(|asked: &Asked| match asked.path() {
        path if path.starts_with("/us/search") && path.contains("q=ads") => {
            Answer::json(&with_an_ad_and_empty_shelves())
        }
        path if path.starts_with("/us/search") => Answer::json(&plain()),
        path if path.starts_with("/us/all") => Answer::json(&unranked()),
        _ => Answer::json(b"{}"),
    })
    .await;
    let sidecar = Sidecar::before(shop.address).settings(ROUTES).start().await;
    (shop, sidecar)
}

async fn ask(sidecar: &Sidecar, path: &str) -> Reply {
    exchange(sidecar.data, "GET", path, &[], b"").await
}

fn numbers(reply: &Reply) -> Vec<u64> {
    let json = reply.json();
    let items = json["result"]["groups"][0]["items"].as_array().unwrap();
    items.iter().map(|item| item["node"]["no"].as_u64().unwrap()).collect()
}

/// Ann looks at Oat Milk, after she saw it in a list.
async fn ann_likes_oat_milk(sidecar: &Sidecar) {
    let first = ask(sidecar, "/us/search?q=milk&who=ann").await;
    assert_eq!((first.outcome(), &first.body), ("bypass; reason=no_evidence", &plain()));
    assert_eq!(ask(sidecar, "/us/thing/4?who=ann").await.status, 200);
}

#[tokio::test]
async fn its_hits_are_ranked_wherever_they_are() {
    let (_shop, sidecar) = running().await;
    ann_likes_oat_milk(&sidecar).await;
    let reply = ask(&sidecar, "/us/search?q=milk&who=ann").await;
    assert_eq!(numbers(&reply)[0], 4, "{}", reply.outcome());
    assert_eq!(reply.json()["result"]["groups"][1]["items"][0]["node"]["no"], 90);
    let mut sorted = (reply.body.clone(), plain());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    assert_eq!(sorted.0, sorted.1, "a permutation");
    assert_eq!(sidecar.metric("leafrank_reranked_total{route=\"finder\"}").await, 1.0);
    let other = ask(&sidecar, "/us/search?q=milk&who=bob").await;
    assert_eq!(other.body, plain());
}

#[tokio::test]
async fn an_order_that_the_caller_chose_is_kept() {
    let (_shop, sidecar) = running().await;
    ann_likes_oat_milk(&sidecar).await;
    for (more, moved) in
        [("&sort=best", true), ("&sort=", true), ("&sort=price", false), ("&order_by=price", false)]
    {
        let reply = ask(&sidecar, &format!("/us/search?q=milk&who=ann{more}")).await;
        assert_eq!(reply.outcome().starts_with("reranked"), moved, "{more}");
        assert_eq!(reply.body != plain(), moved, "{more}");
    }
    assert_eq!(sidecar.bypassed("sort_chosen").await, 2.0);
}

#[tokio::test]
async fn what_is_paid_for_stays_and_what_is_sold_out_goes_last() {
    let (_shop, sidecar) = running().await;
    ann_likes_oat_milk(&sidecar).await;
    let reply = ask(&sidecar, "/us/search?q=ads+milk&who=ann").await;
    let order = numbers(&reply);
    assert_eq!(order[1], 2, "the paid place: {order:?}");
    assert_eq!(order[0], 4, "{order:?}");
    assert_eq!(order[3..], [1, 5], "sold out, in the shop's order: {order:?}");
}

#[tokio::test]
async fn an_unranked_listing_of_nothing_but_names_starts_with_what_the_shopper_knows() {
    let (_shop, sidecar) = running().await;
    ann_likes_oat_milk(&sidecar).await;
    let reply = ask(&sidecar, "/us/all?who=ann").await;
    assert_eq!(reply.json()["items"][0]["no"], 4, "{}", reply.outcome());
}

#[tokio::test]
async fn a_page_that_shows_names_alone_does_not_make_the_catalogue_forget_the_rest() {
    let (_shop, sidecar) = running().await;
    ask(&sidecar, "/us/search?q=milk&who=ann").await;
    // The listing names product 4 too, without shelf or maker.
    ask(&sidecar, "/us/all?who=ann").await;
    ask(&sidecar, "/us/thing/4?who=ann").await;
    let liked = sidecar.preferences("ann").await;
    assert!(liked["categories"]["milk"].as_f64().is_some_and(|a| a > 0.0), "{liked}");
    assert!(liked["brands"]["farm"].as_f64().is_some_and(|a| a > 0.0), "{liked}");
}
