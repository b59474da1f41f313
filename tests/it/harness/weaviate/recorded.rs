//! A Weaviate that says again what a real one said to the same request, byte for byte.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::super::fixtures;
use super::super::shop::{Answer, Shop};
use super::grpc::{self, Call, Said, UNIMPLEMENTED};

/// The recordings, by the clients that were listened to.
pub const SESSIONS: [&str; 6] =
    ["python_4.23.0", "shop_python_4.15.2", "typescript_3.14.0", "graphql", "rest", "shop_session"];

/// The lines of one recording.
pub fn session(name: &str) -> Option<Vec<Value>> {
    fixtures::session(&format!("fixtures/weaviate/recorded/{name}.jsonl"))
}

/// The text at `key`.
pub fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("")
}

/// Name and value of each header line at `key`.
pub fn pairs<'a>(row: &'a Value, key: &str) -> Vec<(&'a str, &'a str)> {
    let lines = row[key].as_array().into_iter().flatten();
    lines.map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect()
}

/// The bytes at `key`.
pub fn base64(row: &Value, key: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text(row, key).bytes().filter(|byte| *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other} is no base64"),
        };
        (bits, count) = ((bits << 6) | u32::from(six), count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// How a recorded call ended.
pub fn said(row: &Value) -> Said {
    let status = row["grpc_status"].as_u64().unwrap();
    let trailing = pairs(row, "trailing_metadata");
    Said {
        message: (status == 0).then(|| base64(row, "reply_b64")),
        status,
        why: text(row, "grpc_message").to_owned(),
        trailing: trailing.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    }
}

/// Recorded replies to one request, given out in turn and then from the first again.
struct InTurn<T> {
    all: Vec<T>,
    next: usize,
}

type Book<K, T> = Mutex<HashMap<K, InTurn<T>>>;

fn book<K: std::hash::Hash + Eq, T>(entries: impl Iterator<Item = (K, T)>) -> Book<K, T> {
    let mut book = HashMap::new();
    for (key, entry) in entries {
        let turn = book.entry(key).or_insert(InTurn { all: Vec::new(), next: 0 });
        turn.all.push(entry);
    }
    Mutex::new(book)
}

fn next<K: std::hash::Hash + Eq, T: Clone>(book: &Book<K, T>, key: &K) -> Option<T> {
    let mut book = book.lock().unwrap();
    let turn = book.get_mut(key)?;
    let entry = turn.all[turn.next % turn.all.len()].clone();
    turn.next += 1;
    Some(entry)
}

/// A running replay of some recordings.
pub struct Replay {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    shop: Shop,
}

impl Replay {
    /// Starts it with these exchanges.
    pub async fn of(rows: &[Value]) -> Self {
        let https = rows.iter().filter(|row| row["http"].is_string());
        let pages = book(https.map(|row| {
            let line = text(row, "http").to_owned();
            ((line, text(row, "body").as_bytes().to_vec()), raw_reply(row))
        }));
        let shop = Shop::start(move |asked| {
            match next(&pages, &(asked.line.clone(), asked.body.clone())) {
                Some(reply) => Answer::Pieces(vec![(Duration::ZERO, reply)]),
                None => {
                    let text = format!("{} was not recorded with this body\n", asked.line);
                    Answer::reply("404 Not Found", &[], text.as_bytes())
                }
            }
        });
        let rpcs = rows.iter().filter(|row| row["rpc"].is_string());
        let replies = book(
            rpcs.map(|row| ((text(row, "rpc").to_owned(), base64(row, "request_b64")), said(row))),
        );
        let (replies, calls) = (Arc::new(replies), Arc::<Mutex<Vec<Call>>>::default());
        let heard = calls.clone();
        let grpc = grpc::serve(Arc::new(move |request, respond| {
            let (replies, heard) = (replies.clone(), heard.clone());
            Box::pin(async move {
                let call = grpc::whole(request).await?;
                let known = next(&replies, &(call.path.clone(), call.message.clone()));
                let unknown = || {
                    let why = format!("{} was not recorded with this message", call.path);
                    Said::error(UNIMPLEMENTED, why)
                };
                let said = known.unwrap_or_else(unknown);
                heard.lock().unwrap().push(call);
                grpc::answer(respond, said).await
            })
        }));
        let (shop, grpc) = tokio::join!(shop, grpc);
        Self { http: shop.address, grpc, calls, shop }
    }

    /// Starts it with every recording; `None` when they are not there.
    pub async fn of_all() -> Option<Self> {
        let mut rows = Vec::new();
        for name in SESSIONS {
            rows.extend(session(name)?);
        }
        Some(Self::of(&rows).await)
    }

    /// The calls that arrived so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The HTTP requests that arrived so far.
    pub fn asked(&self) -> Vec<super::super::shop::Asked> {
        self.shop.asked()
    }
}

/// Status line, headers and body as recorded; chunks where there were chunks.
fn raw_reply(row: &Value) -> Vec<u8> {
    let body = text(row, "reply_body").as_bytes();
    let mut out = format!("{}\r\n", text(row, "status"));
    let whole = !text(row, "http").starts_with("HEAD");
    for (name, value) in pairs(row, "reply_headers") {
        // A host's name was replaced in some bodies after they had been recorded.
        match name.eq_ignore_ascii_case("content-length") && whole {
            true => out.push_str(&format!("{name}: {}\r\n", body.len())),
            false => out.push_str(&format!("{name}: {value}\r\n")),
        }
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    if row["reply_chunked"].as_bool() == Some(true) {
        for chunk in body.chunks(4096) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
    } else if whole {
        out.extend_from_slice(body);
    }
    out
}
