//! Weaviate's own clients through the sidecar: they connect, search, page and iterate, parse every
//! answer, and see the order of a shopper who bought something.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::weaviate::{Front, Legs, Small, clients};
use crate::harness::{Answer, Shop, Sidecar, personal};
use crate::weaviate_window::widened;

/// No client's run takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Generous in time, since the time is not what this is about.
const RANKED: &str = "mode: \"on\"\nholdout: 0\npresets: [weaviate]\n\
                      identity: {trust_claimed_ids: true}\n\
                      limits: {hold_ms: 20000, rank_us: 1000000}";

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// What the client said of what answers at these two addresses.
async fn said_at(addresses: [SocketAddr; 2], client: &Client) -> Value {
    let mut client = client.command();
    client.args(addresses.map(|address| address.port().to_string())).arg("u42");
    let output = clients::run(&mut client, PATIENCE).await.expect("the client's run");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// One of Weaviate's clients.
struct Client {
    version: &'static str,
    program: PathBuf,
    script: String,
    directory: Option<PathBuf>,
}

impl Client {
    async fn python(version: &'static str) -> Option<Self> {
        let program = clients::python(version).await?;
        let script = format!("{SCRIPTS}/python_client.py");
        Some(Self { version, program, script, directory: None })
    }

    async fn typescript(version: &'static str) -> Option<Self> {
        let directory = Some(clients::node(version).await?);
        let script = format!("{SCRIPTS}/typescript_client.mjs");
        Some(Self { version, program: "node".into(), script, directory })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command.arg(&self.script);
        command
    }
}

fn rows(said: &Value) -> &[Value] {
    said.as_array().expect("hits")
}

fn column(hits: &Value, at: usize) -> Vec<Value> {
    rows(hits).iter().map(|hit| hit[at].clone()).collect()
}

/// Everything that a client's answers must be, whatever their order.
fn is_whole(said: &Value, small: &Small, version: &str) {
    assert_eq!((&said["version"], &said["ready"]), (&Value::from(version), &Value::from(true)));
    let lists = ["bm25", "page", "five", "hybrid", "near_text"].map(|key| rows(&said[key]));
    assert_eq!(lists.map(<[Value]>::len), [20, 5, 5, 20, 10]);
    let ids: Vec<&str> = rows(&said["iterated"]).iter().map(|id| id.as_str().unwrap()).collect();
    let objects = small.catalogue.objects();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (934, 934));
    assert!(objects.iter().all(|object| ids.contains(&object.id.as_str())), "one is missing");
    for hit in lists.concat() {
        let object = objects.iter().find(|object| hit[2] == *object.id).expect("an object");
        let (sku, name) = (&object.properties["sku"], &object.properties["name"]);
        assert_eq!((&hit[0], &hit[1]), (sku, name), "an id left its object");
    }
    let first = &said["bm25"][0];
    let object = objects.iter().find(|object| first[2] == *object.id).expect("an object");
    let (got, wanted) = (said["by_id"].as_object().unwrap(), &object.properties);
    assert!(wanted.iter().all(|(name, value)| same(&got[name], value)), "{got:?} {wanted:?}");
    let error = said["error"].as_str().expect("an error");
    assert!(error.contains("could not find class Nope in schema"), "{error}");
    let calls = small.noticed.calls.lock().unwrap();
    let searches = calls.iter().filter(|call| call.path.ends_with("/Search"));
    assert!(searches.map(|call| &call.metadata["x-user-id"]).all(|user| user == "u42"));
    assert!(!small.asked().is_empty(), "nobody asked over HTTP");
}

/// The lists stand as the small Weaviate has them.
fn is_natural(said: &Value) {
    assert_eq!(rows(&said["page"]), &rows(&said["bm25"])[5..10]);
    assert_eq!(rows(&said["five"]), &rows(&said["bm25"])[..5]);
    for search in ["bm25", "hybrid"] {
        let scores: Vec<f64> =
            column(&said[search], 3).iter().map(|score| score.as_f64().expect("a score")).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] > 0.0, "{search}: {scores:?}");
    }
}

/// A hit whose name holds the query's word: the `at`th, or the next one after it.
fn on_topic(said: &Value, at: usize) -> Value {
    let mut behind = rows(&said["bm25"])[at..].iter();
    let found = behind.find(|hit| hit[1].as_str().unwrap().contains("ORGANIC"));
    found.unwrap_or_else(|| panic!("none is on topic: {}", said["bm25"])).clone()
}

/// Is the list the one of before, in another order, with `first` first? Each hit with its score.
fn is_moved(before: &Value, after: &Value, first: &Value) {
    let sorted = |list: &Value| {
        let mut texts: Vec<String> = rows(list).iter().map(Value::to_string).collect();
        texts.sort_unstable();
        texts
    };
    assert_eq!(sorted(before), sorted(after), "not the same hits");
    assert_eq!(&after[0], first, "what was bought is not first: {after}");
}

/// A client asks, its shopper buys something, it asks again; then once more where pages are cut from
/// a window.
async fn sees_the_new_order(client: &Client) {
    let Some(small) = Small::start().await else { return };
    let front = Front::before(small.http, small.grpc, RANKED).await;
    let addresses = [front.http.data, front.grpc.data];
    let before = said_at(addresses, client).await;
    is_whole(&before, &small, client.version);
    is_natural(&before);
    let bought = on_topic(&before, 12);
    let sku = bought[0].as_str().unwrap();
    personal::teach(&front.grpc, "u42", sku).await;
    let after = said_at(addresses, client).await;
    is_whole(&after, &small, client.version);
    is_moved(&before["bm25"], &after["bm25"], &bought);
    assert!(!column(&after["five"], 2).contains(&bought[2]), "it is not among the first five");
    assert_eq!(before["iterated"], after["iterated"], "an iterator's order stays");

    let front = Front::before(small.http, small.grpc, &widened(45)).await;
    personal::teach(&front.grpc, "u42", sku).await;
    let cut = said_at([front.http.data, front.grpc.data], client).await;
    is_whole(&cut, &small, client.version);
    assert_eq!(cut["five"][0], bought, "the first five of a window of 45");
    assert_eq!(before["iterated"], cut["iterated"]);
}

/// The same value; numbers by their worth.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

#[tokio::test]
async fn the_python_client_sees_what_was_bought_first() {
    let Some(client) = Client::python("4.23.0").await else { return };
    sees_the_new_order(&client).await;
}

#[tokio::test]
async fn the_python_client_of_leafloaf_sees_what_was_bought_first() {
    let Some(client) = Client::python("4.15.2").await else { return };
    sees_the_new_order(&client).await;
}

#[tokio::test]
async fn the_typescript_client_sees_what_was_bought_first() {
    let Some(client) = Client::typescript("3.14.0").await else { return };
    sees_the_new_order(&client).await;
}

#[tokio::test]
async fn the_python_client_sees_it_through_two_listeners_of_one_process() {
    let Some(client) = Client::python("4.23.0").await else { return };
    let Some(small) = Small::start().await else { return };
    let shop = Shop::start(|_| Answer::HangUp).await;
    let weaviate = format!("url: 'http://{}', grpc_url: 'http://{}'", small.http, small.grpc);
    let builder = Sidecar::before(shop.address).settings(&format!(
        "mode: \"on\"\nholdout: 0\nlimits: {{{}}}\nhealth: {{ready_needs_upstream: false}}",
        personal::PATIENT
    ));
    let legs = Legs::start(builder, &weaviate).await;
    let before = said_at([legs.http, legs.grpc], &client).await;
    is_whole(&before, &small, client.version);
    is_natural(&before);
    let bought = on_topic(&before, 12);
    personal::teach(&legs.sidecar, "u42", bought[0].as_str().unwrap()).await;
    let after = said_at([legs.http, legs.grpc], &client).await;
    is_whole(&after, &small, client.version);
    is_moved(&before["bm25"], &after["bm25"], &bought);
    assert!(shop.asked().is_empty());
}
