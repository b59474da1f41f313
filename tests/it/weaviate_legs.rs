//! One process before a shop and before both ports of a Weaviate, in the cloud's way too: TLS, a name
//! of its own, a key in every request.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prost::Message as _;

use crate::harness::shopper::eventually;
use crate::harness::sidecar::free_ports;
use crate::harness::tls::Certificates;
use crate::harness::weaviate::legs::relay;
use crate::harness::weaviate::streams::ECHO;
use crate::harness::weaviate::{Legs, Small, grpc, proto};
use crate::harness::{Answer, Shop, Sidecar, Wire, exchange, get, http2};

const SEARCH: &str = "/weaviate.v1.Weaviate/Search";
const JSON: (&str, &str) = ("content-type", "application/json");
const GRAPHQL: &str =
    r#"{"query":"{Get{Product(limit:3,bm25:{query:\"kale\"}){sku _additional{id}}}}"}"#;

/// What a client of Weaviate Cloud sends with each request.
const KEY: &str = "Bearer the-key-of-the-cluster-0123456789";

fn search() -> Vec<u8> {
    let bm25 = Some(proto::Words { query: "kale".into() });
    let metadata = Some(proto::MetadataRequest { uuid: true, ..Default::default() });
    let collection = "Product".to_owned();
    proto::SearchRequest { collection, limit: 3, bm25, metadata, ..Default::default() }
        .encode_to_vec()
}

async fn a_shop() -> Shop {
    Shop::start(|_| Answer::reply("200 OK", &[], b"the shop's")).await
}

#[tokio::test]
async fn a_weaviate_behind_tls_is_asked_by_its_own_name_with_the_clients_key() {
    let Some(small) = Small::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path(), "localhost");
    let http = certificates.acceptor_of("http/1.1");
    let http = relay("127.0.0.1:0", Some(http), small.http).await.port();
    let h2 = relay("127.0.0.1:0", Some(certificates.acceptor_of("h2")), small.grpc).await.port();
    let shop = a_shop().await;
    let weaviate = format!(
        "url: 'https://localhost:{http}', grpc_url: 'https://localhost:{h2}', ca: {:?}",
        certificates.ca
    );
    let builder = Sidecar::before(shop.address).settings("mode: on").log("trace");
    let legs = Legs::start(builder, &weaviate).await;

    let headers = [JSON, ("Authorization", KEY), ("X-OpenAI-Api-Key", "sk-0123456789")];
    for (method, path, body) in [("GET", "/v1/meta", ""), ("POST", "/v1/graphql", GRAPHQL)] {
        let through = exchange(legs.http, method, path, &headers, body.as_bytes()).await;
        let mut direct = Wire::to(small.http).await;
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
        direct.send(format!("{head}{body}")).await;
        let direct = direct.reply().await;
        assert_eq!((through.status, &through.body), (200, &direct.body), "{path}");
        let asked = small.asked();
        let asked = &asked[asked.len() - 2];
        assert_eq!(asked.header("host"), Some(format!("localhost:{http}").as_str()), "{path}");
        assert_eq!(asked.header("authorization"), Some(KEY), "{path}");
        assert_eq!(asked.header("x-openai-api-key"), Some("sk-0123456789"), "{path}");
    }
    let metadata = [("authorization", KEY), ("x-openai-api-key", "sk-0123456789")];
    let channel = legs.channel().await;
    for (path, message) in [("/grpc.health.v1.Health/Check", vec![]), (SEARCH, search())] {
        let (through, _) = grpc::unary(&channel, path, &metadata, &message).await;
        let direct = http2::connect(small.grpc).await;
        let (direct, _) = grpc::unary(&direct, path, &metadata, &message).await;
        assert_eq!((through.status, &through), (0, &direct), "{path}");
        let calls = small.noticed.calls.lock().unwrap();
        let call = &calls[calls.len() - 2];
        assert_eq!(call.authority, format!("localhost:{h2}"), "{path}");
        assert_eq!(call.metadata["authorization"], KEY, "{path}");
        assert_eq!(call.metadata["x-openai-api-key"], "sk-0123456789", "{path}");
    }
    let frames = [grpc::frame(b"one"), grpc::frame(b"two")].concat();
    let echo = http2::ask(&channel, grpc::call(ECHO, &metadata), &frames, None).await.unwrap();
    assert_eq!(grpc::unframe(&echo.body), [b"one", b"two"]);
    let log = legs.sidecar.log();
    // As talkative as it gets: TLS and header blocks were told of.
    assert!(log.contains("rustls::client") && log.contains("h2::hpack::decoder"));
    assert!(!log.contains("the-key-of-the-cluster") && !log.contains("sk-0123456789"));
}

#[tokio::test]
async fn a_weaviate_of_another_authority_is_sent_nothing() {
    let Some(small) = Small::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path(), "localhost");
    let other = directory.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let ca = Certificates::make(&other, "localhost").ca;
    let http = relay("127.0.0.1:0", Some(certificates.acceptor_of("http/1.1")), small.http).await;
    let h2 = relay("127.0.0.1:0", Some(certificates.acceptor_of("h2")), small.grpc).await;
    let shop = a_shop().await;
    let ports = [http, h2].map(|address| address.port());
    let weaviate = format!(
        "url: 'https://localhost:{}', grpc_url: 'https://localhost:{}', ca: {ca:?}",
        ports[0], ports[1]
    );
    let legs = Legs::start(Sidecar::before(shop.address), &weaviate).await;
    let reply = exchange(legs.http, "GET", "/v1/meta", &[("Authorization", KEY)], b"").await;
    assert_eq!((reply.status, reply.outcome()), (502, "error; reason=shop_unreachable"));
    let (said, _) = grpc::unary(&legs.channel().await, SEARCH, &[], &search()).await;
    assert_eq!((said.status, said.why.as_str()), (14, "leafrank: shop_unreachable"));
    assert!(small.asked().is_empty() && small.noticed.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn three_listeners_of_one_process_answer_each_from_its_own_upstream() {
    let Some(small) = Small::start().await else { return };
    let shop = a_shop().await;
    let legs = Legs::before(shop.address, small.http, small.grpc).await;
    assert_eq!(get(legs.sidecar.data, "/v1/meta").await.text(), "the shop's");
    let meta = get(legs.http, "/v1/meta").await.json();
    assert_eq!(meta["grpcMaxMessageSize"], 104_858_000);
    let (said, _) = grpc::unary(&legs.channel().await, SEARCH, &[], &search()).await;
    let reply = proto::SearchReply::decode(&said.message.expect("a message")[..]).unwrap();
    assert_eq!((said.status, reply.results.len()), (0, 3));
    assert_eq!((shop.asked().len(), small.asked().len()), (1, 1));
    // Without TLS the client's own name stays, as before a shop.
    assert_eq!(small.asked()[0].header("host"), Some("shop.test"));
    assert_eq!(small.noticed.calls.lock().unwrap()[0].authority, "shop.test");
    assert_eq!(legs.sidecar.metric("leafrank_requests_total{status=\"2xx\"}").await, 3.0);
}

#[tokio::test]
async fn paths_of_ours_stay_on_the_data_port() {
    let Some(small) = Small::start().await else { return };
    let shop = a_shop().await;
    let own = "own_paths: {prefix: '', paths: [/api/preferences/live]}";
    let weaviate = format!("url: 'http://{}', grpc_url: 'http://{}'", small.http, small.grpc);
    let legs = Legs::start(Sidecar::before(shop.address).listen(own), &weaviate).await;
    let (ours, theirs) = tokio::join!(
        get(legs.sidecar.data, "/api/preferences/live"),
        get(legs.http, "/api/preferences/live")
    );
    assert!(shop.asked().is_empty(), "{ours:?}");
    assert_eq!((theirs.status, small.asked().len()), (404, 1));
}

#[tokio::test]
async fn an_upstream_that_is_gone_costs_only_its_own_leg() {
    let Some(small) = Small::start().await else { return };
    let shop = a_shop().await;
    let [gone] = free_ports();
    let up = async |legs: &Legs| {
        let each = ["shop", "weaviate_http", "weaviate_grpc"];
        let mut all = Vec::new();
        for leg in each {
            let name = format!("leafrank_upstream_up{{leg=\"{leg}\"}}");
            all.push(legs.sidecar.metric(&name).await);
        }
        all
    };

    let weaviate = format!("url: 'http://{gone}', grpc_url: 'http://{gone}'");
    let legs = Legs::start(Sidecar::before(shop.address), &weaviate).await;
    assert_eq!(get(legs.sidecar.data, "/").await.text(), "the shop's");
    assert_eq!(get(legs.http, "/v1/meta").await.status, 502);
    let (said, _) = grpc::unary(&legs.channel().await, SEARCH, &[], &search()).await;
    assert_eq!(said.status, 14);
    assert_eq!(get(legs.sidecar.ops, "/readyz").await.status, 200, "shoppers come to the shop");
    eventually("all were asked", async || up(&legs).await == [1.0, 0.0, 0.0]).await;
    let status = legs.sidecar.admin("/status").await.json();
    let upstreams =
        serde_json::json!({"shop": true, "weaviate_http": false, "weaviate_grpc": false});
    assert_eq!((&status["shop_up"], &status["upstreams"]), (&true.into(), &upstreams));

    let page = tokio::process::Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(["status", "--admin", &legs.sidecar.admin.to_string()])
        .output();
    let page = String::from_utf8(page.await.unwrap().stdout).unwrap();
    assert!(page.contains("· ready ·"), "{page}");
    assert!(page.contains("nobody accepts connections behind weaviate_grpc\n"), "{page}");
    assert!(!page.contains("behind shop"), "{page}");

    let legs = Legs::before(gone, small.http, small.grpc).await;
    assert_eq!(get(legs.sidecar.data, "/").await.status, 502);
    assert_eq!(get(legs.http, "/v1/meta").await.status, 200);
    let (said, _) = grpc::unary(&legs.channel().await, SEARCH, &[], &search()).await;
    assert_eq!(said.status, 0);
}

#[tokio::test]
async fn a_weaviate_whose_name_nobody_knows_does_not_keep_the_shop_from_its_clients() {
    let shop = a_shop().await;
    let weaviate = "url: 'https://weaviate.invalid', connect_timeout_ms: 500";
    let legs = Legs::start(Sidecar::before(shop.address), weaviate).await;
    assert_eq!(get(legs.sidecar.data, "/").await.text(), "the shop's");
    assert_eq!(get(legs.http, "/v1/meta").await.status, 502);
    let said = "Weaviate's gRPC port accepts no connection";
    eventually("it is told", async || legs.sidecar.log().contains(said)).await;
    assert!(legs.sidecar.log().contains("grpc-weaviate.invalid:443: "));
}

#[tokio::test]
async fn tls_of_the_data_port_holds_for_a_weaviates_listeners_too() {
    let Some(small) = Small::start().await else { return };
    let shop = a_shop().await;
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path(), "localhost");
    let Certificates { certificate, key, .. } = &certificates;
    let tls = format!("tls: {{certificate: {certificate:?}, key: {key:?}}}");
    let weaviate = format!("url: 'http://{}', grpc_url: 'http://{}'", small.http, small.grpc);
    let legs = Legs::start(Sidecar::before(shop.address).listen(&tls), &weaviate).await;
    let mut http = Wire::over(certificates.connect(legs.http, "localhost", &["http/1.1"]).await);
    http.send("GET /v1/meta HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(http.reply().await.json()["version"], "1.40.0");
    let channel = http2::over(certificates.connect(legs.grpc, "localhost", &["h2"]).await).await;
    let (said, _) = grpc::unary(&channel, SEARCH, &[], &search()).await;
    assert_eq!((said.status, said.why.as_str()), (0, ""));
}

#[tokio::test]
async fn the_drain_waits_for_what_is_in_flight_on_any_leg() {
    let Some(small) = Small::start().await else { return };
    let shop = a_shop().await;
    let slow = Shop::start(|_| {
        let Answer::Pieces(mut pieces) = Answer::reply("200 OK", &[], b"late") else {
            unreachable!()
        };
        pieces[0].0 = Duration::from_millis(700);
        Answer::Pieces(pieces)
    })
    .await;
    let mut legs = Legs::before(shop.address, slow.address, small.grpc).await;
    let late = tokio::spawn(get(legs.http, "/v1/objects"));
    eventually("it is asked", async || slow.asked().len() == 1).await;
    legs.sidecar.terminate();
    let late = late.await.unwrap();
    assert_eq!((late.status, late.text().as_str()), (200, "late"));
    assert_eq!(legs.sidecar.ended(Duration::from_secs(10)).await, Some(0));
}

/// Ended with the story.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn the_url_of_a_weaviate_alone_is_enough() {
    let Some(small) = Small::start().await else { return };
    // The gRPC port that follows from the URL is one for all; the address is this story's own.
    let id = std::process::id();
    let host = format!("127.{}.{}.{}", 64 + id % 64, (id >> 6) % 256, (id >> 14) % 256);
    let weaviate = relay(&format!("{host}:0"), None, small.http).await;
    let directory = tempfile::tempdir().unwrap();
    let [http, grpc_port, data, api, admin, ops] = free_ports();
    let set = |key: &str, address| format!("--set={key}={address}");
    let child = Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .arg("serve")
        .args([set("weaviate.http", http), set("weaviate.grpc", grpc_port)])
        .args([set("listen.data", data), set("listen.api", api)])
        .args([set("listen.admin", admin), set("listen.ops", ops)])
        .env("WEAVIATE_URL", format!("http://{weaviate}"))
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _running = Running(child);
    let listens = async |port| tokio::net::TcpStream::connect(port).await.is_ok();
    for port in [http, grpc_port, ops] {
        eventually("it listens", async || listens(port).await).await;
    }
    let ready = async || get(ops, "/readyz").await;
    let missing = "Weaviate's gRPC port accepts no connection\n";
    eventually("gRPC is missed", async || ready().await.text() == missing).await;
    let _grpc = relay(&format!("{host}:50051"), None, small.grpc).await;
    eventually("both are there", async || ready().await.status == 200).await;
    assert_eq!(get(http, "/v1/meta").await.json()["version"], "1.40.0");
    let channel = http2::connect(grpc_port).await;
    let (said, _) = grpc::unary(&channel, SEARCH, &[], &search()).await;
    assert_eq!((said.status, said.why.as_str()), (0, ""));
    assert!(!listens(data).await, "there is no shop to stand before");
}

#[test]
fn check_says_what_a_url_was_understood_to_mean_and_nobody_is_not_served() {
    let run = |command: &str, url: Option<&str>| {
        let mut leafrank = Command::new(env!("CARGO_BIN_EXE_leafrank"));
        leafrank.arg(command).env_remove("WEAVIATE_URL");
        let done = leafrank.envs(url.map(|url| ("WEAVIATE_URL", url))).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = run("check", Some("https://abc.c0.gcp.weaviate.cloud"));
    assert_eq!(code, Some(0), "{said}");
    let legs = "weaviate_http: 127.0.0.1:8082 before abc.c0.gcp.weaviate.cloud:443 over TLS\n\
                weaviate_grpc: 127.0.0.1:50052 before grpc-abc.c0.gcp.weaviate.cloud:443 over TLS\n";
    assert!(said.contains(legs) && !said.contains("shop:"), "{said}");
    for command in ["check", "serve"] {
        let (code, said) = run(command, None);
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("WEAVIATE_URL"), "{said}");
        let (code, said) = run(command, Some("https://user:secret@a.weaviate.cloud"));
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.contains("WEAVIATE_URL: weaviate.url: a URL with a user")
                && !said.contains("secret")
        );
    }
}
