//! `leafrank check --reply`: what a route finds in a reply, and where it stopped when it missed.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::fixtures::{leafloaf, session, shared};
use crate::harness::personal::MILKS;
use crate::harness::sidecar::free_ports;
use crate::harness::{Answer, Shop};

/// Runs `check --reply` with `body` as standard input.
fn check(arguments: &[&str], body: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_leafrank"))
        .args(["check", "--reply"])
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has seen enough closes its end.
    drop(child.stdin.take().unwrap().write_all(body));
    child.wait_with_output().unwrap()
}

/// The same beside a shop of this runtime.
async fn check_url(arguments: Vec<String>) -> Output {
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        check(&arguments, b"")
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

/// A settings file with one search route of another shop.
fn settings(hits: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "presets: []\nroutes:\n  - name: finder\n    method: GET\n    path: /find\n    search:\n      \
         query: [\"query:q\"]\n      only_if: [{{at: /kind, is: list}}]\n      hits: {hits}\n  - name: page\n    \
         method: GET\n    path: /thing/{{no}}\n    event: {{kind: view_details, product: [\"path:no\"]}}\n"
    );
    std::fs::write(file.path(), text).unwrap();
    file
}

const ITEMS: &str = "{at: /result/items, id: /no, name: /title, brand: /maker, price: /cents}";

fn items() -> Vec<u8> {
    let item = |no: u32, maker: Option<&str>| json!({"no": no, "titel": "Oat Milk", "maker": maker, "cents": "cheap"});
    let items: Vec<_> = (1..=20).map(|no| item(no, (no > 2).then_some("Farm"))).collect();
    json!({"kind": "list", "result": {"items": items}}).to_string().into_bytes()
}

#[test]
fn each_field_has_its_fill_rate_and_what_missed_says_where_it_stopped() {
    let file = settings(ITEMS);
    let config = file.path().to_str().unwrap();
    let output = check(&["-", "--config", config], &items());
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "hits:  20 in 1 list: /result/items (20)",
        "  id     /no     20 of 20 (100 %)  1",
        "  name   /title   0 of 20 (0 %)",
        "  brand  /maker  18 of 20 (90 %)   Farm",
        "only_if: /kind is \"list\" holds: \"list\" is there",
        "missed: name  /result/items/0/title: no such member; members there: cents, maker, no, titel \
         — did you mean \"titel\"?",
        "missed: brand  /result/items/0/maker: it is null",
        "missed: price  /result/items/0/cents: no number: \"cheap\"",
        "such a reply can be ranked",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in:\n{text}");
    }
}

#[test]
fn a_list_that_is_elsewhere_is_found_and_a_hit_without_id_ends_with_65() {
    let file = settings("{at: /results, id: /no}");
    let config = file.path().to_str().unwrap();
    let output = check(&["-", "--json", "--config", config], &items());
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    let found = json_of(&output);
    assert_eq!((&found["hits"], &found["reason"]), (&json!(0), &json!("no_hits")));
    let missed = &found["missed"][0];
    assert_eq!((&missed["what"], &missed["at"]), (&json!("hits"), &json!("/results")));
    assert_eq!(missed["suggestion"], "result");
    let because = missed["because"].as_str().unwrap();
    assert!(because.contains("an array of 20 objects is at \"/result/items\""), "{because}");

    let file = settings("{at: /result/items, id: /maker}");
    let output = check(&["-", "--config", file.path().to_str().unwrap()], &items());
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    assert!(said(&output).contains("a hit has no id (reason=missing_id)"), "{}", said(&output));
}

#[test]
fn a_condition_that_does_not_hold_is_told_beside_the_hits() {
    let body = String::from_utf8(items()).unwrap().replace("\"list\"", "\"cart\"");
    let file = settings(ITEMS);
    let output = check(&["-", "--config", file.path().to_str().unwrap()], body.as_bytes());
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "hits with ids are there: {text}");
    assert!(text.contains("only_if: /kind is \"list\" does not hold: \"cart\" is there"), "{text}");
    assert!(text.contains("(reason=condition_failed)"), "{text}");
}

#[test]
fn the_recorded_replies_of_the_shop_are_read_without_settings() {
    let Some(folder) = shared("fixtures/leafloaf/responses") else { return };
    let mut with_hits = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let body: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let hits = body["products"].as_array().map_or(0, Vec::len);
        let output = check(&[path.to_str().unwrap(), "--json"], b"");
        let found = json_of(&output);
        assert_eq!(found["hits"], hits, "{}", path.display());
        assert_eq!(output.status.code(), Some(if hits > 0 { 0 } else { 65 }), "{found:#}");
        assert_eq!(found["usable"], hits > 0);
        with_hits += usize::from(hits > 0);
    }
    assert_eq!(with_hits, 7, "the fixtures with products");
}

#[test]
fn every_recorded_search_of_a_session_is_read_as_the_data_port_reads_it() {
    let Some(session) = session("fixtures/leafloaf/session.jsonl") else { return };
    let is_search = |one: &&Value| {
        let http = one["http"].as_str().unwrap_or("");
        http.contains("/api/v1/search") && one["status"] == "HTTP/1.1 200 OK"
    };
    let searches: Vec<_> = session.iter().filter(is_search).collect();
    assert!(!searches.is_empty());
    for one in searches.iter().take(12) {
        let body = match &one["reply_body"] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let products = serde_json::from_str::<Value>(&body).unwrap()["products"].clone();
        let hits = products.as_array().map_or(0, Vec::len);
        let found =
            json_of(&check(&["-", "--json", "--route", "leafloaf-search"], body.as_bytes()));
        assert_eq!((&found["hits"], &found["usable"]), (&json!(hits), &json!(hits > 0)));
    }
}

#[tokio::test]
async fn a_url_is_asked_and_read_by_the_route_that_fits_it() {
    let shop = Shop::start(|asked| match asked.path() {
        "/api/v1/search" => Answer::json(&leafloaf(&MILKS)),
        "/text" => Answer::reply("200 OK", &[("content-type", "text/html")], b"<p>"),
        "/moved" => Answer::reply("302 Found", &[("location", "/else")], b""),
        "/huge" => Answer::json(&vec![b' '; 70_000]),
        _ => Answer::reply("404 Not Found", &[], b"nothing"),
    })
    .await;
    let url = |path: &str| format!("http://{}{path}", shop.address);
    let ask = |path: &str, more: &[&str]| {
        let more = more.iter().map(|text| (*text).to_owned());
        check_url([url(path)].into_iter().chain(more).collect())
    };
    let query = r#"{"query":"milk"}"#;
    let output =
        ask("/api/v1/search", &["--data", query, "--header", "X-User-ID: ada", "--json"]).await;
    let found = json_of(&output);
    assert_eq!((&found["route"], &found["hits"]), (&json!("leafloaf-search"), &json!(6)));
    assert_eq!(found["note"], Value::Null, "the data port would choose it too");
    let asked = shop.asked().remove(0);
    assert_eq!((asked.method(), asked.header("x-user-id")), ("POST", Some("ada")));
    assert_eq!(
        (&asked.body[..], asked.header("content-type")),
        (query.as_bytes(), Some("application/json"))
    );

    let output = ask("/api/v1/search", &[]).await;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("no route fits GET /api/v1/search: it would only pass"), "{text}");
    assert!(text.contains("(leafloaf-search is for POST)"), "{text}");

    for (path, reason) in [("/text", "content_type"), ("/moved", "status"), ("/none", "status")] {
        let output = ask(path, &[]).await;
        assert_eq!(output.status.code(), Some(65), "{}", said(&output));
        assert!(said(&output).contains(&format!("(reason={reason})")), "{}", said(&output));
    }
    let output = ask("/huge", &["--set", "limits.reply_bytes_max=65536"]).await;
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));
    assert!(said(&output).contains("limits.reply_bytes_max (65536 bytes)"), "{}", said(&output));
}

#[test]
fn what_cannot_be_looked_at_is_said_with_its_own_exit_code() {
    let [closed] = free_ports();
    let nobody = format!("http://{closed}/find");
    let larger = vec![b'['; 5 * 1024 * 1024];
    let cases: [(&[&str], &[u8], i32, &str); 9] = [
        (&["-"], b"", 65, "it is empty"),
        (
            &["-"],
            b"<html>",
            65,
            "the body is not one JSON value (reason=not_json); it starts with <html>",
        ),
        (&["-"], b"\x1f\x8b\x08", 65, "it looks like gzip"),
        (&["-"], &larger, 65, "larger than limits.reply_bytes_max"),
        (&["/nowhere/reply.json"], b"", 66, "/nowhere/reply.json: No such file"),
        (&[&nobody], b"", 69, "Connection refused"),
        (&["ftp://shop/find"], b"", 64, "expected http://…, https://… or a file's name"),
        (&["-", "--route", "leafloaf-serach"], b"{}", 64, "did you mean \"leafloaf-search\"?"),
        (&["-", "--data", "{}"], b"{}", 64, "--data and --header are for a URL"),
    ];
    for (arguments, body, code, words) in cases {
        let output = check(arguments, body);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}

#[test]
fn an_answer_of_graphql_that_came_with_errors_would_pass() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "presets: [weaviate]\n").unwrap();
    let config = file.path().to_str().unwrap();
    let answer = |errors: Value| {
        let list = json!([{"sku": "m1", "name": "Oat Milk"}]);
        json!({"data": {"Get": {"Product": list}}, "errors": errors})
    };
    let look = |route: &str, answer: Value| {
        let arguments = ["-", "--config", config, "--route", route];
        said(&check(&arguments, answer.to_string().as_bytes()))
    };
    let torn = answer(json!([{"message": "a shard is gone"}]));
    let text = look("weaviate-graphql", torn.clone());
    assert!(text.contains("only_if: /errors is null does not hold: ["), "{text}");
    assert!(!text.contains("such a reply can be ranked"), "{text}");
    let text = look("weaviate-graphql", answer(Value::Null));
    assert!(text.contains("such a reply can be ranked"), "{text}");
    let batch = |answers: Vec<Value>| look("weaviate-graphql-batch", Value::Array(answers));
    let text = batch(vec![torn.clone(), answer(Value::Null)]);
    assert!(text.contains("such a reply can be ranked"), "{text}");
    let text = batch(vec![torn]);
    assert!(text.contains("a condition of the route, or of its wire, does not hold"), "{text}");
}
