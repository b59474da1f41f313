//! The sidecar before both ports of a Weaviate: what a real one said to real clients comes out byte
//! for byte, and who reads a whole collection page by page gets each object once.

use std::collections::BTreeSet;

use bytes::Bytes;
use h2::client::SendRequest;
use http::HeaderMap;
use prost::Message as _;
use serde_json::Value;

use crate::harness::weaviate::recorded::{self, pairs, text};
use crate::harness::weaviate::{Catalogue, Front, Replay, Small, grpc, proto};
use crate::harness::{Answer, Reply, Shop, Sidecar, exchange};

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";

/// Header lines that are a connection's own business.
const HOP: [&str; 5] = ["content-length", "transfer-encoding", "connection", "expect", "host"];

/// What a call's own library says, whoever calls.
const LIBRARY: [&str; 4] = ["user-agent", "te", "accept-encoding", "grpc-accept-encoding"];

/// Recorded header lines, with `more` in the place of those of the same name.
fn said_with<'a>(
    mut lines: Vec<(&'a str, &'a str)>,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    lines.retain(|(name, _)| !more.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    lines.extend(more);
    lines
}

/// Asks what a recorded page was asked, with `more` header lines.
pub async fn http_exchange<'a>(
    front: &Front,
    row: &'a Value,
    more: &[(&'a str, &'a str)],
) -> Reply {
    let line: Vec<&str> = text(row, "http").split(' ').collect();
    let mut headers = said_with(pairs(row, "headers"), more);
    headers.retain(|(name, _)| !HOP.contains(&name.to_ascii_lowercase().as_str()));
    let body = text(row, "body").as_bytes();
    exchange(front.http.data, line[0], line[1], &headers, body).await
}

/// Calls what was recorded, with `more` metadata.
pub async fn grpc_exchange<'a>(
    channel: &SendRequest<Bytes>,
    row: &'a Value,
    more: &[(&'a str, &'a str)],
) -> (grpc::Said, HeaderMap) {
    let mut metadata = said_with(pairs(row, "metadata"), more);
    metadata.retain(|(name, _)| !LIBRARY.contains(name));
    let timeout = row["deadline_s"].as_f64().map(|s| format!("{}m", s * 1000.0));
    metadata.extend(timeout.as_deref().map(|timeout| ("grpc-timeout", timeout)));
    grpc::unary(channel, text(row, "rpc"), &metadata, &recorded::base64(row, "request_b64")).await
}

fn http_is_as_recorded(row: &Value, reply: &Reply) {
    let line = text(row, "http");
    let status: u16 = text(row, "status").split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(reply.status, status, "{line}");
    let body = if line.starts_with("HEAD") { "" } else { text(row, "reply_body") };
    assert!(reply.body == body.as_bytes(), "{line}: {}", reply.text());
    let of_message = |name: &str| !HOP.contains(&name);
    let mut recorded: Vec<(String, &str)> =
        pairs(row, "reply_headers").iter().map(|(n, v)| (n.to_ascii_lowercase(), *v)).collect();
    recorded.retain(|(name, _)| of_message(name));
    let got = reply.headers.iter().filter(|(name, _)| of_message(name));
    let got: Vec<(String, &str)> = got.map(|(n, v)| (n.clone(), v.as_str())).collect();
    // What every proxy says of itself, and nothing more.
    recorded.push(("via".to_owned(), "1.1 leafrank"));
    assert_eq!(got, recorded, "{line}");
}

/// Drives the exchanges of all recordings that `is_one` takes, and returns how many there were.
async fn replayed(key: &str) -> Option<usize> {
    let replay = Replay::of_all().await?;
    let front = Front::before(replay.http, replay.grpc, "mode: off").await;
    let channel = front.channel().await;
    let mut driven = 0;
    for name in recorded::SESSIONS {
        for row in recorded::session(name)?.iter().filter(|row| row[key].is_string()) {
            if key == "http" {
                http_is_as_recorded(row, &http_exchange(&front, row, &[]).await);
                assert_eq!(replay.asked().last().unwrap().body, text(row, "body").as_bytes());
            } else {
                let (said, head) = grpc_exchange(&channel, row, &[]).await;
                let message = recorded::base64(row, "request_b64");
                assert_eq!(said, recorded::said(row), "{name}: call {driven}");
                assert!(!head.contains_key("x-leafrank"), "{head:?}");
                let calls = replay.calls();
                let call = calls.last().unwrap();
                assert_eq!((call.path.as_str(), &call.message), (text(row, "rpc"), &message));
                let metadata = pairs(row, "metadata");
                for (name, value) in metadata.iter().filter(|(name, _)| !LIBRARY.contains(name)) {
                    assert_eq!(call.metadata[*name], *value, "{name}");
                }
            }
            driven += 1;
        }
    }
    Some(driven)
}

#[tokio::test]
async fn every_recorded_call_comes_out_as_it_was_said() {
    let Some(driven) = replayed("rpc").await else { return };
    assert_eq!(driven, 118);
}

#[tokio::test]
async fn every_recorded_page_comes_out_as_it_was_said() {
    let Some(driven) = replayed("http").await else { return };
    assert_eq!(driven, 121);
}

#[tokio::test]
async fn a_call_that_was_not_recorded_is_said_to_be_unknown() {
    let replay = Replay::of(&[]).await;
    let front = Front::before(replay.http, replay.grpc, "mode: off").await;
    let (said, _) = grpc::unary(&front.channel().await, SEARCH, &[], b"x").await;
    assert_eq!(said.status, grpc::UNIMPLEMENTED);
    assert_eq!(said.why, "/weaviate.v1.Weaviate/Search was not recorded with this message");
    let reply = exchange(front.http.data, "GET", "/v1/meta", &[], b"").await;
    assert_eq!((reply.status, reply.header("x-leafrank")), (404, None));
}

#[tokio::test]
async fn grpc_of_browsers_reaches_the_http_port() {
    // It has no trailers and needs no HTTP/2: a Weaviate takes it where it takes REST.
    let kind = "application/grpc-web+proto";
    let shop =
        Shop::start(move |asked| Answer::reply("200 OK", &[("content-type", kind)], &asked.body))
            .await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    let (path, body) = ("/v1/grpc-web/weaviate.v1.Weaviate/Search", grpc::frame(b"message"));
    let reply = exchange(sidecar.data, "POST", path, &[("content-type", kind)], &body).await;
    assert_eq!((reply.status, reply.body), (200, body));
}

/// Each object once, and no other.
fn is_whole(ids: &[String], catalogue: &Catalogue) {
    assert_eq!(ids.len(), 934);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 934, "an object came twice");
    assert!(catalogue.objects().iter().all(|object| ids.contains(&object.id)));
}

/// The ids of a page of a search or of an iterator.
async fn page(front: &Front, request: proto::SearchRequest) -> Vec<String> {
    let channel = front.channel().await;
    let (said, _) = grpc::unary(&channel, SEARCH, &[], &request.encode_to_vec()).await;
    assert_eq!((said.status, said.why.as_str()), (0, ""));
    let reply = proto::SearchReply::decode(&said.message.expect("a message")[..]).unwrap();
    reply.results.into_iter().map(|result| result.metadata.unwrap().id).collect()
}

fn request(limit: u32) -> proto::SearchRequest {
    let metadata = Some(proto::MetadataRequest { uuid: true, ..Default::default() });
    proto::SearchRequest { collection: "Product".into(), limit, metadata, ..Default::default() }
}

#[tokio::test]
async fn an_iterator_over_grpc_gets_each_object_once() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, "mode: on").await;
    for limit in [100, 7] {
        let mut ids: Vec<String> = Vec::new();
        loop {
            let after = ids.last().cloned().unwrap_or_default();
            let page = page(&front, proto::SearchRequest { after, ..request(limit) }).await;
            assert!(page.len() <= limit as usize);
            ids.extend_from_slice(&page);
            if page.is_empty() {
                break;
            }
        }
        is_whole(&ids, &small.catalogue);
        assert!(ids.is_sorted());
    }
}

#[tokio::test]
async fn pages_of_a_search_over_grpc_hold_each_object_once() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, "mode: on").await;
    let near_text = Some(proto::Concepts { query: vec!["organic greens".into()] });
    let mut ids = Vec::new();
    for offset in (0..1000).step_by(90) {
        let near_text = near_text.clone();
        ids.extend(page(&front, proto::SearchRequest { offset, near_text, ..request(90) }).await);
    }
    is_whole(&ids, &small.catalogue);
}

#[tokio::test]
async fn an_iterator_over_graphql_gets_each_object_once() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, "mode: on").await;
    let mut walks = [Vec::<String>::new(), Vec::new()];
    for (walk, ids) in walks.iter_mut().enumerate() {
        loop {
            let place = match walk {
                0 => format!("after:\"{}\"", ids.last().map_or("", String::as_str)),
                _ => format!("offset:{}", ids.len()),
            };
            let query = format!("{{Get{{Product(limit:100,{place}){{sku _additional{{id}}}}}}}}");
            let body = serde_json::json!({"query": query}).to_string();
            let headers = [("content-type", "application/json")];
            let reply =
                exchange(front.http.data, "POST", "/v1/graphql", &headers, body.as_bytes()).await;
            let json = reply.json();
            let hits = json["data"]["Get"]["Product"].as_array().expect("a list");
            if hits.is_empty() {
                break;
            }
            ids.extend(hits.iter().map(|h| h["_additional"]["id"].as_str().unwrap().to_owned()));
        }
        is_whole(ids, &small.catalogue);
    }
    assert_eq!(walks[0], walks[1]);
}

#[tokio::test]
async fn the_small_weaviate_lists_as_the_recorded_one_did() {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, "mode: off").await;
    let mut compared = 0;
    for row in recorded::session("python_4.23.0").unwrap() {
        let Ok(asked) = proto::SearchRequest::decode(&recorded::base64(&row, "request_b64")[..])
        else {
            continue;
        };
        let plain = asked.encode_to_vec() == recorded::base64(&row, "request_b64");
        let ranked = asked.bm25.is_some() || asked.hybrid.is_some() || asked.near_text.is_some();
        if !plain || ranked || asked.collection != "Product" || row["grpc_status"] != 0 {
            continue;
        }
        let recorded =
            proto::SearchReply::decode(&recorded::base64(&row, "reply_b64")[..]).unwrap();
        let (said, _) =
            grpc::unary(&front.channel().await, SEARCH, &[], &asked.encode_to_vec()).await;
        let reply = proto::SearchReply::decode(&said.message.unwrap()[..]).unwrap();
        assert_eq!(reply.results, recorded.results, "{asked:?}");
        compared += 1;
    }
    assert!(compared >= 3, "{compared} lists compared");
}
