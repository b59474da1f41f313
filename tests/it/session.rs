//! The shop's own recorded traffic, request by request: zero code in the shop. Its pages and API
//! clients are replayed at the sidecar, behind which a shop answers as recorded.
//!
//! tests/golden/session.txt has one line an exchange, session_profiles.json what each shopper's
//! profile is afterwards; LEAFRANK_BLESS=1 writes both anew.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{Answer, Reply, Shop, Sidecar, exchange, fixtures, golden};

const SESSION: &str = "fixtures/leafloaf/session.jsonl";

/// Header lines that are the connection's own business.
const HOP: [&str; 5] = ["content-length", "transfer-encoding", "connection", "expect", "host"];

fn pairs<'a>(row: &'a Value, key: &str) -> Vec<(&'a str, &'a str)> {
    let lines = row[key].as_array().into_iter().flatten();
    let text = |value: &'a Value| value.as_str().unwrap_or("");
    lines
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .filter(|(name, _)| !HOP.contains(&name.to_ascii_lowercase().as_str()))
        .collect()
}

/// A shop that answers as it did; `x-replay-index` says to which request.
async fn recorded_shop(rows: Vec<Value>) -> Shop {
    Shop::start(move |asked| {
        let index: usize = asked.header("x-replay-index").unwrap().parse().unwrap();
        let row = &rows[index];
        let status = row["status"].as_str().unwrap().split_once(' ').unwrap().1;
        let body = row["reply_body"].as_str().unwrap();
        Answer::reply(status, &pairs(row, "reply_headers"), body.as_bytes())
    })
    .await
}

async fn replay(sidecar: &Sidecar, index: usize, row: &Value) -> Reply {
    let line: Vec<&str> = row["http"].as_str().unwrap().split(' ').collect();
    let mut headers = pairs(row, "headers");
    let index = index.to_string();
    headers.push(("x-replay-index", &index));
    let body = row["body"].as_str().unwrap();
    exchange(sidecar.data, line[0], line[1], &headers, body.as_bytes()).await
}

fn user_of(row: &Value) -> String {
    let headers = pairs(row, "headers");
    let header = |name| {
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| (*v).to_owned())
    };
    let body: Value = serde_json::from_str(row["body"].as_str().unwrap()).unwrap_or(Value::Null);
    header("x-user-id")
        .filter(|user| user != "anonymous")
        .or_else(|| body["user_id"].as_str().map(str::to_owned))
        .or_else(|| body["session_id"].as_str().map(str::to_owned))
        .or_else(|| header("x-session-id"))
        .unwrap_or_else(|| "-".to_owned())
}

/// The raw text of each element of `products`, sorted: what a permutation keeps.
fn product_bytes(body: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        products: Vec<&'a serde_json::value::RawValue>,
    }
    let page: Page<'_> = serde_json::from_slice(body).expect("a page of products");
    let mut raw: Vec<String> = page.products.iter().map(|one| one.get().to_owned()).collect();
    raw.sort();
    raw
}

/// Who did something that the shop has not forgotten since.
fn remembered(rows: &[Value]) -> BTreeSet<String> {
    let mut users = BTreeSet::new();
    for row in rows {
        let body: Value =
            serde_json::from_str(row["body"].as_str().unwrap()).unwrap_or(Value::Null);
        if row["http"].as_str().unwrap().starts_with("POST /api/personalization/reset ") {
            users.remove(body["user_id"].as_str().unwrap());
        }
        users.extend(told(std::slice::from_ref(row)).into_iter().map(|(user, ..)| user));
    }
    users
}

/// What the shoppers did by the recording: (user, kind, sku), every press once.
fn told(rows: &[Value]) -> BTreeSet<(String, String, String)> {
    let acts = rows.iter().filter_map(|row| {
        let body: Value = serde_json::from_str(row["body"].as_str()?).ok()?;
        let path = row["http"].as_str()?.split(' ').nth(1)?;
        let kind = match path {
            "/api/personalization/track" => body["signal_type"].as_str()?,
            "/api/v1/track/click" => "click",
            _ => return None,
        };
        let kind = if kind == "view" { "view_details" } else { kind };
        Some((user_of(row), kind.to_owned(), body["product"]["sku"].as_str()?.to_owned()))
    });
    acts.collect()
}

#[tokio::test]
async fn with_personalisation_off_every_reply_is_byte_equal() {
    let Some(rows) = fixtures::session(SESSION) else { return };
    let shop = recorded_shop(rows.clone()).await;
    let sidecar = Sidecar::before(shop.address).settings("mode: off").start().await;
    for (index, row) in rows.iter().enumerate() {
        let reply = replay(&sidecar, index, row).await;
        assert_eq!(reply.body, row["reply_body"].as_str().unwrap().as_bytes(), "{index}");
        for (name, value) in pairs(row, "reply_headers") {
            assert_eq!(reply.header(name), Some(value), "{index} {name}");
        }
    }
    assert_eq!(rows.len(), 148);
    assert_eq!(sidecar.metric("leafrank_reranked_total").await, 0.0);
}

#[tokio::test]
async fn with_it_on_profiles_are_what_shoppers_did_and_later_searches_are_permutations() {
    let Some(rows) = fixtures::session(SESSION) else { return };
    let shop = recorded_shop(rows.clone()).await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let mut table = String::new();
    let (mut moved, mut users) = (0, BTreeSet::new());
    for (index, row) in rows.iter().enumerate() {
        let reply = replay(&sidecar, index, row).await;
        let own = row["reply_body"].as_str().unwrap().as_bytes();
        if reply.outcome().starts_with("reranked") {
            moved += 1;
            assert_ne!(reply.body, own, "{index}");
            assert_eq!(product_bytes(&reply.body), product_bytes(own), "{index}");
            let (mut one, mut two) = (reply.body.clone(), own.to_vec());
            one.sort_unstable();
            two.sort_unstable();
            assert_eq!(one, two, "{index}: nothing but places changed");
        } else {
            assert_eq!(reply.body, own, "{index}");
        }
        let user = user_of(row);
        table.push_str(&line(index, row, &user, &reply));
        users.insert(user);
    }
    assert!(moved >= 10, "{moved} searches with evidence");
    golden::check("session.txt", &table);
    profiles_are_what_was_done(&sidecar, &rows, &users).await;
}

/// One exchange: its number, what was asked by whom, and what became of it.
fn line(index: usize, row: &Value, user: &str, reply: &Reply) -> String {
    let asked = row["http"].as_str().unwrap().trim_end_matches(" HTTP/1.1");
    let stable = |part: &&str| {
        !["us=", "rules=", "query="].iter().any(|varying| part.trim().starts_with(varying))
    };
    let outcome: Vec<&str> = reply.outcome().split(';').filter(stable).map(str::trim).collect();
    let outcome = if reply.outcome().is_empty() { "-".to_owned() } else { outcome.join("; ") };
    format!("{index:3} {asked} {user} {} {outcome}\n", reply.status)
}

async fn profiles_are_what_was_done(sidecar: &Sidecar, rows: &[Value], users: &BTreeSet<String>) {
    let told = told(rows);
    let mut by_kind: BTreeMap<&str, f64> = BTreeMap::new();
    for (_, kind, _) in &told {
        *by_kind.entry(kind).or_default() += 1.0;
    }
    for (kind, times) in &by_kind {
        let name = format!("leafrank_interactions_total{{kind=\"{kind}\"}}");
        assert_eq!(sidecar.metric(&name).await, *times, "{kind}");
    }
    // Four pages sent each press of "View Details" twice.
    let doubles = sidecar.metric("leafrank_interactions_dropped_total{reason=\"double\"}").await;
    assert_eq!(doubles, 4.0);
    for (kind, times) in [
        ("cart.add_to_cart", 15.0),
        ("cart.remove_from_cart", 3.0),
        ("purchase.first_time", 3.0),
        ("purchase.repeat", 0.0),
        ("purchase.bulk_purchase", 0.0),
        ("browse.view_details", 15.0),
        // Reported, or a page opened from a list: the realtime page's click comes after another
        // search, so it is one more act.
        ("browse.click_product", 25.0),
    ] {
        let learned = sidecar.metric(&format!("leafrank_signals_total{{kind=\"{kind}\"}}")).await;
        assert_eq!(learned, times, "{kind}");
    }
    let did = remembered(rows);
    assert!(did.len() < told.iter().map(|(user, ..)| user).collect::<BTreeSet<_>>().len());
    let nothing = json!({"categories": {}, "attributes": {}, "brands": {}});
    let mut profiles = BTreeMap::new();
    for user in users.iter().filter(|user| *user != "-") {
        let profile = sidecar.preferences(user).await;
        assert_eq!(profile != nothing, did.contains(user), "{user}: {profile}");
        profiles.insert(user, profile);
    }
    golden::check(
        "session_profiles.json",
        &(serde_json::to_string_pretty(&profiles).unwrap() + "\n"),
    );
}
