//! Whatever is broken, alone or in pairs, while shoppers search: every answer is the shop's, byte
//! for byte, or the shop's hits in another order. Failed searches: none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::client::operate;
use crate::harness::fixtures::leafloaf;
use crate::harness::personal::teach;
use crate::harness::shopper::{MILKS, shelf};
use crate::harness::{API_TOKEN, Answer, Asked, Reply, Shop, Sidecar, Wire};

/// How a thing is broken.
#[derive(Clone, Copy)]
enum Break {
    /// The rules file holds this.
    Rules(&'static str),
    /// A key of the `rules` section.
    RulesKey(&'static str, &'static str),
    /// A key of the `limits` section.
    Limit(&'static str, u64),
    /// A setting, top level.
    Setting(&'static str),
    /// The shop answers searches so.
    Shop(&'static str),
    /// The operator does this.
    Post(&'static str),
    /// Both ports of the operator are full of half requests.
    OperatorsFlood,
}

/// One broken thing, and why searches then pass; `""` = they are ranked all the same, `?` = some.
struct Fault {
    name: &'static str,
    breaks: &'static [Break],
    reason: &'static str,
}

const fn fault(name: &'static str, breaks: &'static [Break], reason: &'static str) -> Fault {
    Fault { name, breaks, reason }
}

/// Stands for a directory of the story that holds one unreadable table.
const GARBAGE_DIR: &str = "GARBAGE_DIR";

const FAULTS: [Fault; 16] = [
    fault("rules garbage", &[Break::Rules("ranking: {impact: [[[\n\0")], "no_rules"),
    fault("rules missing", &[Break::RulesKey("path", "gone/rules.yaml")], "no_rules"),
    fault("knowledge garbage", &[Break::RulesKey("knowledge_dir", GARBAGE_DIR)], "no_rules"),
    fault("state unwritable", &[Break::Setting("data_dir: /proc/leafrank-cannot-be")], ""),
    fault("budget spent", &[Break::Limit("rank_us", 1)], "rank_spent"),
    fault("hold spent", &[Break::Limit("hold_ms", 1), Break::Shop("late")], "hold_spent"),
    fault("reply too large", &[Break::Limit("reply_bytes_max", 1_024)], "reply_too_large"),
    fault("request too large", &[Break::Limit("peek_bytes_max", 4)], "request_not_read"),
    fault("one at a time", &[Break::Limit("in_flight_max", 1)], "?"),
    fault("memory scarce", &[Break::Limit("memory_soft_percent", 1)], "memory"),
    fault("reply cut", &[Break::Shop("cut")], "not_json"),
    fault("reply of garbage", &[Break::Shop("garbage")], "invalid_utf8"),
    fault("unknown coding", &[Break::Shop("coding")], "encoding"),
    fault("no JSON", &[Break::Shop("text")], "content_type"),
    fault("switched off", &[Break::Post("/personalization/off")], "switched_off"),
    fault("operator's ports full", &[Break::OperatorsFlood], ""),
];

/// What the shop answers when it is broken in these ways.
fn body(broken: &str) -> Vec<u8> {
    let own = leafloaf(&MILKS);
    match () {
        () if broken.contains("garbage") => b"\xff\xfe{]garbage".repeat(20),
        () if broken.contains("cut") => own[..own.len() / 2].to_vec(),
        () => own,
    }
}

fn answer(asked: &Asked) -> Answer {
    let broken = asked.header("x-broken").unwrap_or("");
    let body = body(broken);
    let kind = if broken.contains("text") { "text/plain" } else { "application/json" };
    let coding = if broken.contains("coding") { "content-encoding: x-shop\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{coding}content-length: {}\r\n\r\n",
        body.len()
    );
    let pause = Duration::from_millis(if broken.contains("late") { 30 } else { 0 });
    Answer::Pieces(vec![(Duration::ZERO, head.into_bytes()), (pause, body)])
}

/// A sidecar in which these things are broken.
struct Broken {
    names: String,
    breaks: Vec<Break>,
    shop: String,
}

impl Broken {
    fn of(faults: &[&Fault]) -> Self {
        let names: Vec<_> = faults.iter().map(|fault| fault.name).collect();
        let breaks: Vec<_> = faults.iter().flat_map(|fault| fault.breaks).copied().collect();
        let shop = breaks.iter().filter_map(|one| match one {
            Break::Shop(how) => Some(*how),
            _ => None,
        });
        Self { names: names.join(" + "), shop: shop.collect::<Vec<_>>().join(","), breaks }
    }

    async fn start(&self, shop: &Shop, garbage: &Path) -> Sidecar {
        let mut limits = BTreeMap::from([("memory_bytes_max", 1 << 30), ("hold_ms", 10_000)]);
        let mut rules = BTreeMap::from([("path", "personalization_rules.yaml".to_owned())]);
        let mut builder = Sidecar::before(shop.address).settings("mode: on");
        // One of the faults leaves no place to keep a token of its own.
        builder = builder.argument("--set").argument("trust.admin_token_file=api.tokens");
        for one in &self.breaks {
            match one {
                Break::Rules(text) => builder = builder.rules(text),
                Break::RulesKey(key, GARBAGE_DIR) => {
                    rules.insert(key, garbage.display().to_string());
                }
                Break::RulesKey(key, value) => {
                    rules.insert(key, (*value).to_owned());
                }
                Break::Limit(key, value) => {
                    limits.insert(key, *value);
                }
                Break::Setting(line) => builder = builder.settings(line),
                Break::Shop(_) | Break::Post(_) | Break::OperatorsFlood => {}
            }
        }
        let budget = limits["hold_ms"] * 1_000;
        limits.entry("rank_us").or_insert(budget.min(1_000_000));
        let section = |name: &str, keys: Vec<String>| format!("{name}: {{{}}}", keys.join(", "));
        let limits = limits.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let rules = rules.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        builder
            .settings(&section("limits", limits))
            .settings(&section("rules", rules))
            .start()
            .await
    }

    /// What only happens once it runs; what is returned must stay.
    async fn break_more(&self, sidecar: &Sidecar) -> Vec<TcpStream> {
        let mut flood = Vec::new();
        for one in &self.breaks {
            match one {
                Break::Post(path) => {
                    let done = operate(sidecar.admin, API_TOKEN, ("POST", path)).await;
                    assert_eq!(done.status, 200, "{}", self.names);
                }
                Break::OperatorsFlood => {
                    for port in [sidecar.admin, sidecar.ops].repeat(100) {
                        let mut stream = TcpStream::connect(port).await.unwrap();
                        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: ").await.unwrap();
                        flood.push(stream);
                    }
                }
                _ => {}
            }
        }
        flood
    }

    /// Searches of one shopper on one connection; returns what each came to.
    async fn searches(&self, sidecar: &Sidecar) -> JoinSet<Vec<Option<Reply>>> {
        let body = json!({"query": "milk", "limit": 20}).to_string();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let mut wire = Wire::to(sidecar.data).await;
            let request = format!(
                "POST /api/v1/search HTTP/1.1\r\nhost: x\r\nx-user-id: ann\r\nx-broken: {}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                self.shop,
                body.len()
            );
            clients.spawn(async move {
                let mut replies = Vec::new();
                for _ in 0..SEARCHES {
                    let sent = wire.try_send(&request).await.is_ok();
                    replies.push(if sent { wire.try_reply().await } else { None });
                }
                replies
            });
        }
        clients
    }

    /// Is this the shop's answer, or its hits in another order?
    fn is_good(&self, reply: &Reply) -> bool {
        let own = body(&self.shop);
        if reply.status != 200 || reply.body.len() != own.len() {
            return false;
        }
        let moved = reply.outcome().starts_with("reranked");
        reply.body == own
            || (moved && {
                let mut skus = reply.skus();
                skus.sort();
                skus == shelf()
            })
    }
}

const CLIENTS: usize = 3;
const SEARCHES: usize = 4;

/// Runs one combination; returns (searches, what failed).
async fn run(broken: Broken, reason: Option<&'static str>, shop: &Shop, garbage: &Path) -> Tally {
    let sidecar = broken.start(shop, garbage).await;
    teach(&sidecar, "ann", "M5").await;
    let flood = broken.break_more(&sidecar).await;
    let mut tally = Tally::default();
    for reply in broken.searches(&sidecar).await.join_all().await.into_iter().flatten() {
        tally.searches += 1;
        match reply {
            Some(reply) if broken.is_good(&reply) => {
                let outcome = reply.outcome();
                let as_said = match reason {
                    None | Some("?") => true,
                    Some("") => outcome.starts_with("reranked"),
                    Some(reason) => outcome == format!("bypass; reason={reason}"),
                };
                assert!(as_said, "{}: {outcome}", broken.names);
            }
            reply => tally.failed.push(format!("{}: {reply:?}", broken.names)),
        }
    }
    drop(flood);
    tally
}

#[derive(Default)]
struct Tally {
    searches: usize,
    failed: Vec<String>,
}

#[tokio::test]
async fn each_broken_thing_and_each_pair_of_them_costs_no_search() {
    let shop = Shop::start(answer).await;
    let garbage = tempfile::tempdir().unwrap();
    std::fs::write(garbage.path().join("attributes.yaml"), "\0 [: garbage").unwrap();
    let mut combinations = Vec::new();
    for (number, one) in FAULTS.iter().enumerate() {
        combinations.push((Broken::of(&[one]), Some(one.reason)));
        let others = FAULTS[number + 1..].iter();
        combinations.extend(others.map(|other| (Broken::of(&[one, other]), None)));
    }
    let count = combinations.len();
    let (mut searches, mut failed) = (0, Vec::new());
    let mut combinations = combinations.into_iter();
    // Four at a time: a start is mostly waiting.
    loop {
        let batch: Vec<_> = combinations.by_ref().take(4).collect();
        if batch.is_empty() {
            break;
        }
        let runs =
            batch.into_iter().map(|(broken, reason)| run(broken, reason, &shop, garbage.path()));
        for tally in futures_util::future::join_all(runs).await {
            searches += tally.searches;
            failed.extend(tally.failed);
        }
    }
    println!("{count} combinations, {searches} searches, {} failed", failed.len());
    assert!(failed.is_empty(), "{} of {searches}: {failed:#?}", failed.len());
    assert_eq!(searches, count * CLIENTS * SEARCHES);
}
