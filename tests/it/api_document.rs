//! docs/API.md says what is: each of its examples about events is run, in order, and answered as it
//! says there. LEAFRANK_BLESS=1 writes the answers anew.

use serde_json::{Value, json};

use crate::harness::{Answer, Reply, Shop, Shopper, Sidecar, exchange};

const SECTIONS: [&str; 3] =
    ["### POST /api/interactions/track", "### POST /1/events", "### POST /ubi_events"];

/// One command and the line that it is answered with.
struct Example {
    words: Vec<String>,
    answer: String,
}

fn document() -> (std::path::PathBuf, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/API.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The examples below the headings, in order.
fn examples(document: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    for heading in SECTIONS {
        let from = document.find(heading).unwrap_or_else(|| panic!("{heading}"));
        let section = &document[from + heading.len()..];
        let section = &section[..section.find("\n### ").unwrap_or(section.len())];
        for block in section.split("```").skip(1).step_by(2) {
            let mut rest = block.trim_start();
            while let Some(command) = rest.strip_prefix("$ ") {
                let (words, after) = words(command);
                let (answer, after) = after.split_once('\n').unwrap_or((after, ""));
                examples.push(Example { words, answer: answer.to_owned() });
                rest = after;
            }
            assert!(rest.trim().is_empty(), "left over: {rest}");
        }
    }
    examples
}

/// A command's words as a shell splits them, and what follows its line.
fn words(command: &str) -> (Vec<String>, &str) {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = command.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\'' => quoted = !quoted,
            letter if quoted => word.push(letter),
            '\\' => drop(letters.next()),
            ' ' | '\n' => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                if letter == '\n' {
                    return (words, &command[at + 1..]);
                }
            }
            letter => word.push(letter),
        }
    }
    panic!("no end: {command}")
}

async fn run(sidecar: &Sidecar, words: &[String]) -> Reply {
    assert_eq!(words[0], "curl");
    let (mut target, mut body, mut headers) = ("", "", Vec::new());
    let mut words = words[1..].iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-d" | "--data-binary" => body = words.next().unwrap(),
            "-H" => headers.push(words.next().unwrap().split_once(": ").unwrap()),
            url => target = url.strip_prefix("127.0.0.1:8081").expect("the shipped address"),
        }
    }
    exchange(sidecar.api, "POST", target, &headers, body.as_bytes()).await
}

/// A shop with the one product of which the examples speak as known.
async fn shop() -> Shop {
    Shop::start(|_| {
        let reply = json!({"success": true, "order": null, "products": [{
            "sku": "OAT-006", "product_name": "Instant Oatmeal Maple Brown Sugar",
            "supplier": "Morningtide", "category": "Breakfast/Oatmeal & Granola", "price": 4.29,
            "dietary_info": ["whole-grain"], "in_stock": true}]});
        Answer::json(reply.to_string().as_bytes())
    })
    .await
}

/// Without what differs from run to run.
fn stable(mut answer: Value) -> Value {
    if let Some(took) = answer.get_mut("took") {
        *took = json!(0);
    }
    answer
}

/// How long an answer says that it took, as it is written.
fn took(answer: &Value) -> String {
    answer.get("took").map_or_else(|| "no such text".to_owned(), |took| format!("\"took\":{took}"))
}

#[tokio::test]
async fn each_example_about_events_is_answered_as_the_document_says() {
    let shop = shop().await;
    let sidecar = Sidecar::before(shop.address).settings("mode: on").start().await;
    Shopper::of(&sidecar, "somebody").search("oatmeal").await;
    let (path, mut text) = document();
    let examples = examples(&text);
    assert!(examples.len() >= 8, "{}", examples.len());
    for Example { words, answer } in examples {
        let reply = run(&sidecar, &words).await;
        let (said, comment) = answer.split_once("  # ").unwrap_or((&answer, ""));
        let said = said.trim_end();
        let is = stable(reply.json());
        if std::env::var_os("LEAFRANK_BLESS").is_some() {
            text = text.replacen(
                said,
                &reply.text().replacen(&took(&reply.json()), r#""took":0"#, 1),
                1,
            );
            continue;
        }
        let was: Value = serde_json::from_str(said).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!(is, stable(was), "{words:?}");
        let status: String = comment.trim_start().chars().take(3).collect();
        assert!(status.is_empty() || status == reply.status.to_string(), "{status} {words:?}");
    }
    if std::env::var_os("LEAFRANK_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    }
}
