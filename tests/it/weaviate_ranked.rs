//! Weaviate's searches re-ranked: each recorded exchange of real clients, by a shopper who bought the
//! last hit of each of its lists. Exactly what may be touched is a permutation; the table of which
//! is which is a golden file.

use std::fmt::Write as _;

use http::HeaderMap;
use leafrank::wire::weaviate::grpc::{GrpcPlan, framed};
use leafrank::wire::{DecodeLimits, HitMap, HitPlan, Pointer, Reply as Hits};
use prost::Message as _;
use serde_json::Value;

use crate::harness::shopper::eventually;
use crate::harness::weaviate::recorded::{self, text};
use crate::harness::weaviate::{Front, Replay, Small, grpc, proto};
use crate::harness::{Answer, Reply, Shop, Sidecar, exchange, golden, personal};
use crate::weaviate::{grpc_exchange, http_exchange};

/// Generous in time, since the time is not what this is about.
const SETTINGS: &str = "presets: [weaviate]\nholdout: 0\nidentity: {trust_claimed_ids: true}\n\
                        limits: {hold_ms: 20000, rank_us: 1000000}";

/// The records of a `SearchReply`'s results, undecoded.
#[derive(Clone, PartialEq, prost::Message)]
struct Records {
    #[prost(bytes = "vec", repeated, tag = "2")]
    results: Vec<Vec<u8>>,
}

/// What became of one exchange.
#[derive(PartialEq)]
enum Came {
    Same,
    Permuted,
}

fn same_or_permuted(was: &[u8], is: &[u8], parts: impl Fn(&[u8]) -> Vec<String>) -> Came {
    if was == is {
        return Came::Same;
    }
    assert_eq!(was.len(), is.len(), "a permutation is as long as what it permutes");
    let (mut before, mut after) = (parts(was), parts(is));
    assert_ne!(before, after, "other bytes than hits have changed");
    before.sort_unstable();
    after.sort_unstable();
    assert!(before == after, "a hit was lost, doubled or changed");
    Came::Permuted
}

/// Each hit of a JSON reply by where its list is, and what stands beside the lists.
fn json_parts(body: &[u8]) -> Vec<String> {
    let mut reply: Value = serde_json::from_slice(body).unwrap();
    let mut parts = Vec::new();
    let mut take = |at: &str, list: &mut Value| {
        if let Value::Array(hits) = list {
            parts.extend(hits.drain(..).map(|hit| format!("{at} {hit}")));
        }
    };
    if let Some(results) = reply.get_mut("results") {
        take("results", results);
    }
    let answers = match &mut reply {
        Value::Array(answers) => answers.iter_mut().collect(),
        one => vec![one],
    };
    for (number, answer) in answers.into_iter().enumerate() {
        let lists = answer.pointer_mut("/data/Get").and_then(Value::as_object_mut);
        for (key, list) in lists.into_iter().flatten() {
            take(&format!("{number} {key}"), list);
        }
    }
    parts.push(reply.to_string());
    parts
}

fn grpc_parts(message: &[u8]) -> Vec<String> {
    let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Records::decode(message).unwrap().results.iter().map(hex).collect()
}

/// The key of the last hit of each list.
fn last_hits(hits: &Hits<'_>) -> Vec<String> {
    let lists = hits.lists.iter();
    lists.map(|list| list.hits.last().unwrap().id.clone().into_owned()).collect()
}

fn map(at: &str, id: &str, id_or: &str) -> HitMap {
    let pointer = |text| Pointer::parse(text).unwrap();
    HitMap { at: pointer(at), id: pointer(id), id_or: Some(pointer(id_or)), ..HitMap::default() }
}

/// What a shopper may have bought who sees this reply.
pub fn keys(row: &Value) -> Vec<String> {
    let limits = DecodeLimits::default();
    if row["rpc"].is_string() {
        let Ok(body) = framed(&recorded::base64(row, "reply_b64")) else { return Vec::new() };
        let found =
            GrpcPlan::new(&map("", "/sku", "/id")).decode(&body, &limits).map(|r| last_hits(&r));
        return found.unwrap_or_default();
    }
    let body = text(row, "reply_body").as_bytes();
    let maps = [
        map("/data/Get/*", "/sku", "/_additional/id"),
        map("/*/data/Get/*", "/sku", "/_additional/id"),
        map("/results", "/properties/sku", "/id"),
    ];
    let found = maps.iter().filter_map(|map| HitPlan::new(map, &[]).decode(body, &limits).ok());
    found.flat_map(|reply| last_hits(&reply)).collect()
}

/// `X-Leafrank` without what differs between runs.
fn outcome(said: Option<&str>) -> String {
    let parts = said.unwrap_or("passed").split("; ");
    let kept =
        parts.filter(|part| !["us=", "rules=", "query="].iter().any(|p| part.starts_with(p)));
    kept.collect::<Vec<_>>().join("; ")
}

/// Drives every exchange, each by a shopper of its own who is `known` or not; answers a line for each
/// and how many were permuted.
async fn driven(mode: &str, known: bool) -> Option<(String, usize)> {
    let replay = Replay::of_all().await?;
    let front = Front::before(replay.http, replay.grpc, &format!("{SETTINGS}\nmode: {mode}")).await;
    let channel = front.channel().await;
    let (mut table, mut permuted) = (String::new(), 0);
    for name in recorded::SESSIONS {
        for (number, row) in recorded::session(name)?.iter().enumerate() {
            let user = format!("{name}-{number}");
            let is_grpc = row["rpc"].is_string();
            if known {
                let sidecar = if is_grpc { &front.grpc } else { &front.http };
                for key in keys(row) {
                    personal::teach(sidecar, &user, &key).await;
                }
            }
            let (asked, said, came) = if is_grpc {
                let (said, head) = grpc_exchange(&channel, row, &[("x-user-id", &user)]).await;
                let was = recorded::said(row);
                assert_eq!((said.status, &said.why), (was.status, &was.why), "{user}");
                assert_eq!(said.trailing, was.trailing, "{user}");
                let no_metadata = |head: &HeaderMap| !head.contains_key("content-length");
                let asked = replay.calls().pop().expect("a call");
                assert!(no_metadata(&head) && no_metadata(&asked.metadata), "{user}");
                let (was, is) = (was.message.unwrap_or_default(), said.message.unwrap_or_default());
                let label = head.get("x-leafrank").map(|value| value.to_str().unwrap().to_owned());
                (text(row, "rpc").to_owned(), label, same_or_permuted(&was, &is, grpc_parts))
            } else {
                let reply: Reply = http_exchange(&front, row, &[("X-User-ID", &user)]).await;
                let head = text(row, "http").starts_with("HEAD");
                let was = if head { "" } else { text(row, "reply_body") };
                let label = reply.header("x-leafrank").map(str::to_owned);
                let came = same_or_permuted(was.as_bytes(), &reply.body, json_parts);
                (text(row, "http").to_owned(), label, came)
            };
            let asked = asked.split(" HTTP/").next().unwrap_or_default();
            let outcome = outcome(said.as_deref());
            assert_eq!(
                came == Came::Permuted,
                outcome.starts_with("reranked"),
                "{user}: {outcome}"
            );
            permuted += usize::from(came == Came::Permuted);
            writeln!(table, "{name} {number}: {asked} | {outcome}").unwrap();
        }
    }
    Some((table, permuted))
}

#[tokio::test]
async fn exactly_what_may_be_touched_is_permuted() {
    let Some((table, permuted)) = driven("\"on\"", true).await else { return };
    golden::check("weaviate.txt", &table);
    assert!(permuted >= 80, "{permuted} of the recordings are searches that may be re-ranked");
}

#[tokio::test]
async fn of_a_batch_only_the_answer_with_errors_stays() {
    let hit = |(sku, name): &(&str, &str)| format!(r#"{{"name":"{name}","sku":"{sku}"}}"#);
    let list = personal::MILKS.iter().map(hit).collect::<Vec<_>>().join(",");
    let well = format!(r#"{{"data":{{"Get":{{"Product":[{list}]}}}}}}"#);
    let errors = r#","errors":[{"locations":[],"message":"a shard is gone","path":["Get"]}]}"#;
    let partial = format!("{}{errors}", &well[..well.len() - 1]);
    let batch = format!("[{well},{partial},{well}]\n");
    let (answers, alone) = (batch.clone(), partial.clone());
    let shop = Shop::start(move |asked| match asked.path() {
        "/v1/graphql/batch" => Answer::json(answers.as_bytes()),
        _ => Answer::json(alone.as_bytes()),
    })
    .await;
    let settings = format!("{SETTINGS}\nmode: \"on\"");
    let sidecar = Sidecar::before(shop.address).settings(&settings).start().await;
    personal::teach(&sidecar, "u", "m6").await;
    let one =
        serde_json::json!({"query": "{Get{Product(limit:6,bm25:{query:\"milk\"}){sku name}}}"});
    let headers = [("content-type", "application/json"), ("x-user-id", "u")];
    let ask = async |path: &str, body: Value| {
        exchange(sidecar.data, "POST", path, &headers, body.to_string().as_bytes()).await
    };
    let reply = ask("/v1/graphql/batch", Value::from(vec![one.clone(); 3])).await;
    assert!(reply.outcome().starts_with("reranked"), "{}", reply.outcome());
    let json = reply.json();
    for (number, first) in ["m6", "m1", "m6"].into_iter().enumerate() {
        assert_eq!(json[number]["data"]["Get"]["Product"][0]["sku"], first, "{number}");
    }
    let middle = format!(",{partial},");
    assert!(reply.text().contains(&middle), "the answer with errors stays byte for byte");
    assert!(same_or_permuted(batch.as_bytes(), &reply.body, json_parts) == Came::Permuted);
    let reply = ask("/v1/graphql", one).await;
    assert_eq!(reply.outcome(), "bypass; reason=condition_failed");
    assert_eq!(reply.body, partial.as_bytes());
}

#[tokio::test]
async fn nothing_is_touched_for_a_shopper_of_whom_nothing_is_known() {
    let Some((table, permuted)) = driven("\"on\"", false).await else { return };
    assert_eq!(permuted, 0, "{table}");
}

#[tokio::test]
async fn nothing_is_touched_in_shadow() {
    let Some((table, permuted)) = driven("shadow", true).await else { return };
    assert_eq!(permuted, 0, "{table}");
    assert!(table.contains("reason=shadow") && !table.contains("reranked"), "{table}");
}

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";

#[tokio::test]
async fn the_shopper_is_found_where_the_settings_say_in_their_order() {
    let Some(small) = Small::start().await else { return };
    let identity = "trust_claimed_ids: true, \
                    user: ['jwt:sub', 'header:X-User-ID', 'baggage:user.id', tenant], session: []";
    let settings = format!("presets: [weaviate]\nholdout: 0\nmode: on\nidentity: {{{identity}}}");
    let front = Front::before(small.http, small.grpc, &settings).await;
    let channel = front.channel().await;
    let request = |tenant: &str| {
        let words = Some(proto::Words { query: "spinach".into() });
        let properties = Some(proto::PropertiesRequest {
            non_ref_properties: ["sku", "name"].map(str::to_owned).into(),
            ..Default::default()
        });
        let known = proto::SearchRequest {
            collection: "Product".into(),
            limit: 12,
            bm25: words,
            properties,
            ..Default::default()
        };
        let mut message = known.encode_to_vec();
        if !tenant.is_empty() {
            message.extend([0x52, u8::try_from(tenant.len()).unwrap()]);
            message.extend_from_slice(tenant.as_bytes());
        }
        message
    };
    // {"sub":"claimed"}
    let token = "Bearer e30.eyJzdWIiOiJjbGFpbWVkIn0.c2ln";
    type Metadata<'a> = &'a [(&'a str, &'a str)];
    let rows: [(&str, Metadata<'_>, &str); 6] = [
        ("claimed", &[("authorization", token), ("x-user-id", "other")], ""),
        ("named", &[("x-user-id", "named"), ("baggage", "user.id=other")], "other"),
        (
            "carried",
            &[("baggage", "a=b,user.id=carried"), ("authorization", "Bearer a-key")],
            "other",
        ),
        ("tenant", &[("x-user-id", "anonymous")], "tenant"),
        ("", &[], ""),
        ("", &[("authorization", "Bearer a-key")], ""),
    ];
    for (number, (user, metadata, tenant)) in rows.into_iter().enumerate() {
        let (said, head) = grpc::unary(&channel, SEARCH, metadata, &request(tenant)).await;
        let unknown = if user.is_empty() { "no_subject" } else { "no_evidence" };
        assert_eq!(head["x-leafrank"], format!("bypass; reason={unknown}"), "{number}");
        let reply = proto::SearchReply::decode(&said.message.unwrap()[..]).unwrap();
        if user.is_empty() {
            continue;
        }
        let last = reply.results.last().unwrap();
        let properties = last.properties.clone().unwrap().non_ref_props.unwrap();
        let sku = properties.fields["sku"].text.clone().unwrap();
        personal::teach(&front.grpc, user, &sku).await;
        let (said, head) = grpc::unary(&channel, SEARCH, metadata, &request(tenant)).await;
        let moved = proto::SearchReply::decode(&said.message.unwrap()[..]).unwrap();
        assert_eq!(moved.results[0], *last, "{user}: {:?}", head["x-leafrank"]);
    }
}

#[tokio::test]
async fn an_object_that_is_looked_at_is_a_view_of_the_product_it_names() {
    let Some(replay) = Replay::of_all().await else { return };
    let front = Front::before(replay.http, replay.grpc, &format!("{SETTINGS}\nmode: on")).await;
    let rows = recorded::session("rest").unwrap();
    let row = &rows[1];
    assert!(text(row, "http").starts_with("GET /v1/objects/Product/"));
    let reply = http_exchange(&front, row, &[("X-User-ID", "looks")]).await;
    assert_eq!(reply.body, text(row, "reply_body").as_bytes());
    let named: Value = serde_json::from_str(text(row, "reply_body")).unwrap();
    let category = named["properties"]["supplierCategory"].as_str().unwrap().to_lowercase();
    eventually("the view is learned", async || {
        let known = front.http.preferences("looks").await;
        known.to_string().to_lowercase().contains(&category)
    })
    .await;
}
