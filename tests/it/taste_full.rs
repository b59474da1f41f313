//! The full view: evidence, decay and confidence of each taste; and who follows hears of a choice.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::shopper::milk_shop;
use crate::harness::{Reply, Shopper, Sidecar, exchange, get};

const FULL: &str = "/api/users/ann/preferences/live?view=full";

/// The row of `list` that is called so.
fn row<'a>(view: &'a Value, list: &str, name: &str) -> &'a Value {
    let rows = view[list].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null)
}

async fn operates(sidecar: &Sidecar, method: &str, path: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {}", sidecar.admin_token());
    exchange(sidecar.api, method, path, &[("authorization", &bearer)], body.as_bytes()).await
}

#[tokio::test]
async fn the_full_view_says_on_what_evidence_a_taste_rests_how_it_fades_and_how_firm_it_is() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let ann = Shopper::of(&sidecar, "ann");
    let nobody = get(sidecar.api, FULL).await.json();
    assert_eq!((&nobody["facets"], &nobody["last_event"]), (&json!([]), &Value::Null));
    ann.search("milk").await;
    ann.tracks("purchase", "M5").await;
    ann.tracks("add_to_cart", "M6").await;
    ann.tracks("return", "M6").await;
    let view = get(sidecar.api, FULL).await.json();
    assert_eq!(view["events"], 3);
    let plant = row(&view, "facets", "plant-based");
    assert_eq!((&plant["evidence"], &plant["chosen"]), (&json!(3), &Value::Null), "{plant}");
    assert_eq!(plant["decay"], json!({"half_life_days": 180.0, "left": 1.0}));
    assert_eq!((&plant["sum"], &plant["affinity"]), (&json!(0.5), &json!(0.833)));
    // .8 + .5 + |-.8| speak of it, whichever way
    assert_eq!(plant["confidence"], json!(0.955));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seen = plant["last_seen"].as_u64().unwrap();
    assert!(now.as_secs() - seen < 60, "{plant}");
    let almond = row(&view, "products", "Almond Milk");
    assert_eq!((&almond["evidence"], &almond["slow"]), (&json!(2), &json!(-0.3)));
    assert_eq!(almond["decay_fast"]["half_life_days"], json!(30.0));
    let by_query = get(sidecar.api, "/api/preferences/live?user_id=ann&view=full").await.json();
    assert_eq!(row(&by_query, "facets", "plant-based")["evidence"], 3);
    let live = get(sidecar.api, "/api/preferences/live?user_id=ann&view=live").await.json();
    assert_eq!(live, ann.preferences().await);
    let odd = get(sidecar.api, "/api/users/ann/preferences/live?view=ful").await;
    assert_eq!((odd.status, &odd.json()["error"]), (400, &json!("bad_view")));
    assert!(odd.text().contains("did you mean \\\"full\\\"?"), "{}", odd.text());
}

#[tokio::test]
async fn no_more_than_the_last_events_are_kept_and_they_outlive_a_restart_and_end_with_an_erasure()
{
    let (shop, state) = (milk_shop().await, tempfile::tempdir().unwrap());
    let settings =
        format!("mode: on\ndata_dir: {:?}\nstore: {{events_per_profile_max: 4}}", state.path());
    let start = async || Sidecar::before(shop.address).settings(&settings).start().await;
    let mut sidecar = start().await;
    let ann = Shopper::of(&sidecar, "ann");
    ann.search("milk").await;
    for sku in ["M1", "M2", "M3", "M4", "M5", "M6"] {
        ann.tracks("purchase", sku).await;
    }
    sidecar.terminate();
    sidecar.ended(Duration::from_secs(20)).await;
    let sidecar = start().await;
    Shopper::of(&sidecar, "eve").search("milk").await;
    let view = get(sidecar.api, FULL).await.json();
    assert_eq!(view["events"], 4);
    let counted = |name: &str| row(&view, "products", name)["evidence"].clone();
    assert_eq!((counted("Skim Milk"), counted("Oat Milk")), (json!(0), json!(1)));
    assert_eq!(row(&view, "facets", "plant-based")["evidence"], 2);
    let token = std::fs::read_to_string(state.path().join("admin.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let proof = [("authorization", bearer.as_str())];
    let export = exchange(sidecar.api, "GET", "/api/users/ann", &proof, b"").await.json();
    let events = export["recent_events"].as_array().unwrap();
    assert_eq!(events.len(), 4);
    assert_eq!(
        (&events[3]["signal"], &events[3]["product"], &events[3]["weight"], &events[3]["quantity"]),
        (&json!("purchase.first_time"), &json!("Almond Milk"), &json!(0.8), &json!(1))
    );
    assert_eq!(exchange(sidecar.api, "DELETE", "/api/users/ann", &proof, b"").await.status, 200);
    assert_eq!(get(sidecar.api, FULL).await.json()["events"], 0);
    let export = exchange(sidecar.api, "GET", "/api/users/ann", &proof, b"").await.json();
    assert_eq!(export["recent_events"], json!([]));
}

#[tokio::test]
async fn who_follows_hears_of_a_choice_and_the_full_view_shows_it_without_any_evidence() {
    let shop = milk_shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let url = format!("ws://{}/api/live?user_id=ann", sidecar.api);
    let (mut socket, _) = connect_async(url).await.unwrap();
    let path = "/api/users/ann/preferences/facets/brand/Oatly";
    let said = operates(&sidecar, "PUT", path, r#"{"action":"mute"}"#).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let told = loop {
        let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
        if let Message::Text(text) = next.unwrap().unwrap().unwrap() {
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["type"] != "preferences" {
                break told;
            }
        }
    };
    assert_eq!(
        (&told["type"], &told["axis"], &told["value"], &told["action"]),
        (&json!("chosen"), &json!("brand"), &json!("oatly"), &json!("mute"))
    );
    assert_eq!(told["preferences"]["chosen"][0]["chosen"], "muted", "{told}");
    let view = get(sidecar.api, FULL).await.json();
    let oatly = row(&view, "facets", "oatly");
    assert_eq!(
        (&oatly["chosen"], &oatly["evidence"], &oatly["known"]),
        (&json!("muted"), &json!(0), &json!(false)),
        "{view}"
    );
}
