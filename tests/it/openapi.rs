//! The documents are what the code says: both are committed, served and printed alike, whole, and
//! their examples are valid. LEAFRANK_BLESS=1 writes them anew.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Answer, Shop, Sidecar, get};

/// Each with the word by which `leafrank schema` prints it.
pub(crate) fn documents() -> [(&'static str, Value); 2] {
    [("openapi", leafrank::api::document()), ("openapi-admin", leafrank::admin::document())]
}

/// Every operation: path, method, what is said of it.
pub(crate) fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations");
        operations.iter().map(move |(method, operation)| (path, method, operation))
    });
    all.collect()
}

/// What holds values to a schema of the document.
pub(crate) fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    jsonschema::draft202012::new(&whole).expect("a schema")
}

#[test]
fn the_committed_documents_are_what_the_code_says_and_what_the_command_prints() {
    for (name, document) in documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.json"));
        let text = format!("{document:#}\n");
        if std::env::var_os("LEAFRANK_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{}: run again with LEAFRANK_BLESS=1", path.display());
        let run = Command::new(env!("CARGO_BIN_EXE_leafrank")).args(["schema", name]).output();
        assert_eq!(String::from_utf8(run.unwrap().stdout).unwrap(), text);
    }
}

#[tokio::test]
async fn each_port_serves_its_document() {
    let shop = Shop::start(|_| Answer::HangUp).await;
    let sidecar = Sidecar::before(shop.address)
        .settings("health: {ready_needs_upstream: false}")
        .start()
        .await;
    let [api, admin] = documents();
    let served = get(sidecar.api, "/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.json(), api.1);
    assert_eq!(sidecar.admin("/openapi.json").await.json(), admin.1);
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|value| walk(value, visit)),
        Value::Array(all) => all.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

#[test]
fn everything_in_the_documents_is_described_and_nothing_is_told_twice() {
    for (name, document) in documents() {
        let mut ids = BTreeSet::new();
        let tags: Vec<&Value> =
            document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
        for (path, method, operation) in operations(&document) {
            let at = format!("{name}: {method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{at}: its id is another's");
            assert!(tags.contains(&&operation["tags"][0]), "{at}: its tag is not listed");
            assert_ne!(operation["summary"], "", "{at}");
            let declared = operation["parameters"].as_array().into_iter().flatten();
            let declared: BTreeSet<&str> = declared
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let named = path.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(declared, named, "{at}");
        }
        for (schema, drawn) in document["components"]["schemas"].as_object().unwrap() {
            let at = format!("{name}: {schema}");
            assert!(!schema.ends_with(|c: char| c.is_ascii_digit()), "{at}: two of this name");
            assert!(drawn["description"].is_string(), "{at} is not described");
            // Conditions speak of members that are described where they are declared.
            let variants = drawn["oneOf"].as_array().into_iter().flatten();
            for part in variants.chain([drawn]) {
                for (member, drawn) in part["properties"].as_object().into_iter().flatten() {
                    let told = drawn["description"].is_string() || drawn["const"].is_string();
                    assert!(told, "{at}.{member} is not described");
                }
            }
        }
        walk(&document, &mut |part| {
            let Some(target) = part["$ref"].as_str() else { return };
            let found = document.pointer(target.strip_prefix('#').unwrap());
            assert!(found.is_some(), "{name}: {target} is nowhere");
        });
    }
}

#[test]
fn each_example_in_the_documents_is_valid() {
    let mut seen = 0;
    for (name, document) in documents() {
        walk(&document, &mut |media| {
            for (example, value) in media["examples"].as_object().into_iter().flatten() {
                let validator = validator(&document, &media["schema"]);
                let problem = validator.iter_errors(&value["value"]).next();
                assert!(problem.is_none(), "{name}: {example}: {}", problem.unwrap());
                seen += 1;
            }
        });
    }
    assert!(seen >= 15, "{seen}");
}
