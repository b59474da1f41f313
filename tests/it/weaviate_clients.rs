//! Weaviate's own clients, and the check from outside, through the sidecar: they connect, search,
//! page and iterate, and parse every answer.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::harness::sidecar::free_ports;
use crate::harness::weaviate::{Front, Legs, Small, clients};
use crate::harness::{Answer, Shop, Sidecar, fixtures};

/// No client's run takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// What the client said, run before a small Weaviate behind two sidecars; and that Weaviate.
async fn driven(client: Command) -> Option<(Value, Small)> {
    let small = Small::start().await?;
    let front = Front::before(small.http, small.grpc, "mode: on").await;
    Some((said_at([front.http.data, front.grpc.data], client).await, small))
}

/// What the client said of what answers at these two addresses.
async fn said_at(addresses: [SocketAddr; 2], mut client: Command) -> Value {
    client.args(addresses.map(|address| address.port().to_string())).arg("u42");
    let output = clients::run(&mut client, PATIENCE).await.expect("the client's run");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn column(hits: &Value, at: usize) -> Vec<Value> {
    hits.as_array().expect("hits").iter().map(|hit| hit[at].clone()).collect()
}

/// Everything that a client's answers must be.
fn is_right(said: &Value, small: &Small, version: &str) {
    assert_eq!((&said["version"], &said["ready"]), (&Value::from(version), &Value::from(true)));
    assert_eq!(said["bm25"].as_array().unwrap().len(), 20);
    assert_eq!(said["page"].as_array().unwrap()[..], said["bm25"].as_array().unwrap()[5..10]);
    for search in ["bm25", "hybrid"] {
        let scores: Vec<f64> =
            column(&said[search], 3).iter().map(|score| score.as_f64().expect("a score")).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] > 0.0, "{search}: {scores:?}");
    }
    assert_eq!(said["near_text"].as_array().unwrap().len(), 10);
    let ids: Vec<&str> =
        said["iterated"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let objects = small.catalogue.objects();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (934, 934));
    assert!(objects.iter().all(|object| ids.contains(&object.id.as_str())), "one is missing");
    let first = &said["bm25"][0];
    let object = objects.iter().find(|object| first[2] == *object.id).expect("an object");
    assert_eq!(object.properties["sku"], first[0]);
    let (got, wanted) = (said["by_id"].as_object().unwrap(), &object.properties);
    assert!(wanted.iter().all(|(name, value)| same(&got[name], value)), "{got:?} {wanted:?}");
    let error = said["error"].as_str().expect("an error");
    assert!(error.contains("could not find class Nope in schema"), "{error}");
    let calls = small.noticed.calls.lock().unwrap();
    assert!(calls.iter().skip(1).all(|call| call.metadata["x-user-id"] == "u42"));
    assert!(!small.asked().is_empty(), "nobody asked over HTTP");
}

/// The same value; numbers by their worth.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

async fn python(version: &str) {
    let Some(python) = clients::python(version).await else { return };
    let mut client = Command::new(python);
    client.arg(format!("{SCRIPTS}/python_client.py"));
    let Some((said, small)) = driven(client).await else { return };
    is_right(&said, &small, version);
}

#[tokio::test]
async fn the_python_client_works_through_the_sidecar() {
    python("4.23.0").await;
}

#[tokio::test]
async fn the_python_client_works_through_two_listeners_of_one_process() {
    let version = "4.23.0";
    let Some(python) = clients::python(version).await else { return };
    let Some(small) = Small::start().await else { return };
    let shop = Shop::start(|_| Answer::HangUp).await;
    let legs = Legs::before(shop.address, small.http, small.grpc).await;
    let mut client = Command::new(python);
    client.arg(format!("{SCRIPTS}/python_client.py"));
    is_right(&said_at([legs.http, legs.grpc], client).await, &small, version);
    assert!(shop.asked().is_empty());
}

#[tokio::test]
async fn the_python_client_of_leafloaf_works_through_the_sidecar() {
    python("4.15.2").await;
}

#[tokio::test]
async fn the_typescript_client_works_through_the_sidecar() {
    let version = "3.14.0";
    let Some(directory) = clients::node(version).await else { return };
    let mut client = Command::new("node");
    client.current_dir(directory).arg(format!("{SCRIPTS}/typescript_client.mjs"));
    let Some((said, small)) = driven(client).await else { return };
    is_right(&said, &small, version);
}

/// Runs the check on a recording with the sidecar in `mode`, and returns its last line.
async fn checked(python: &Path, session: &str, mode: &str) -> Option<String> {
    let script = fixtures::shared("check/transparency_grpc.py")?;
    let session = fixtures::shared(&format!("fixtures/weaviate/recorded/{session}.jsonl"))?;
    let [upstream] = free_ports();
    let settings = format!("mode: {mode}\nhealth: {{ready_needs_upstream: false}}");
    let sidecar = Sidecar::before(upstream).settings(&settings).start().await;
    let mut check = Command::new(python);
    check.arg(script).arg(session);
    check.args(["--upstream", &upstream.port().to_string()]);
    check.args(["--proxy", &sidecar.data.to_string()]);
    let output = clients::run(&mut check, PATIENCE).await.expect("no violations");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().last().unwrap_or("").to_owned())
}

#[tokio::test]
async fn the_check_from_outside_finds_no_violation_in_any_recorded_call() {
    let Some(python) = clients::python("4.23.0").await else { return };
    for mode in ["off", "shadow", "on"] {
        for (session, calls) in [
            ("python_4.23.0", 35),
            ("shop_python_4.15.2", 8),
            ("typescript_3.14.0", 18),
            ("shop_session", 57),
        ] {
            let Some(said) = checked(&python, session, mode).await else { return };
            let wanted = format!("equal {calls}, permuted 0, violations 0");
            assert_eq!(said, wanted, "{session}, {mode}");
        }
    }
}
