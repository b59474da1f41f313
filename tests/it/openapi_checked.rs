//! schemathesis, which knows nothing but the documents, asks the sidecar before the demo's shop
//! thousands of right and wrong questions and holds each answer to the documents.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::harness::weaviate::clients;
use crate::harness::{API_TOKEN, Sidecar};

const VERSION: &str = "4.32.5";
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/openapi");

/// No run takes longer.
const PATIENCE: Duration = Duration::from_secs(240);

/// One token is an API client's and an operator's; nobody is believed without.
const STRICT: &str = "mode: \"on\"\npresets: [leafloaf, demo]\n\
                      identity: {trust_claimed_ids: false}\n\
                      trust: {api_token_file: api.tokens, admin_token_file: api.tokens}\n\
                      limits: {rank_us: 1000000, hold_ms: 10000}\n\
                      store: {choices_per_user_max: 1024}";

async fn sidecar() -> Sidecar {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shop = listener.local_addr().unwrap();
    let catalog = leafrank::demo::Catalog::ours();
    tokio::spawn(leafrank::demo::serve(catalog, listener, std::future::pending()));
    Sidecar::before(shop).settings(STRICT).start().await
}

/// Endpoints that are others by another method or path.
const AGAIN: [&str; 5] =
    ["ubiDocumentSlash", "ubiPostDocument", "ubiPostCreate", "ubiPutBulk", "putBulk"];

/// Everything that schemathesis can check of a document's operations.
async fn checked(python: &Path, url: &str, arguments: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let mut run = Command::new(python);
    // The seed of those who look for more; the default is the one that everybody sees pass.
    let seed = std::env::var("SCHEMATHESIS_SEED").unwrap_or("20261123".into());
    run.args(["-m", "schemathesis.cli"])
        .args(["--config-file", &format!("{PLACE}/schemathesis.toml"), "run", url])
        .args(["--seed", &seed, "--no-color"])
        .args(AGAIN.iter().flat_map(|id| ["--exclude-operation-id", *id]))
        .args(arguments)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", PLACE)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(directory.path());
    if let Err(why) = clients::run(&mut run, PATIENCE).await {
        panic!("{why}");
    }
}

async fn python() -> Option<std::path::PathBuf> {
    clients::python_with(&format!("schemathesis=={VERSION}"), "schemathesis").await
}

#[tokio::test]
async fn each_answer_of_the_api_is_as_its_document_says_whoever_asks_whatever() {
    let Some(python) = python().await else { return };
    let sidecar = sidecar().await;
    let url = format!("http://{}/openapi.json", sidecar.api);
    let bearer = format!("Authorization: Bearer {API_TOKEN}");
    let (known, unknown) =
        (["-n", "6", "-H", &bearer], ["-n", "3", "--phases", "examples,fuzzing"]);
    tokio::join!(checked(&python, &url, &known), checked(&python, &url, &unknown));
    let log = sidecar.log();
    assert!(!log.contains("a panic was caught"), "{log}");
}

#[tokio::test]
async fn each_answer_for_operators_is_as_its_document_says_whoever_asks_whatever() {
    let Some(python) = python().await else { return };
    let sidecar = sidecar().await;
    let url = format!("http://{}/openapi.json", sidecar.admin);
    let bearer = format!("Authorization: Bearer {API_TOKEN}");
    // The live stream has no end; the ops port is another.
    let some = [
        "-n",
        "4",
        "--exclude-path",
        "/tap",
        "--exclude-path",
        "/events/tail",
        "--include-tag",
        "admin",
    ];
    checked(&python, &url, &[&some[..], &["-H", &bearer]].concat()).await;
    checked(&python, &url, &some).await;
}
