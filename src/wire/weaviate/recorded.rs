//! Every search that was recorded between real clients and a real Weaviate, over GraphQL and REST.
//!
//! Read from the recordings beside the checkout (`../shared/fixtures/weaviate/recorded`); where they
//! are missing the tests say so and pass. The table is to be read against the recordings.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Decision, graphql, rest};

const FILES: [&str; 6] =
    ["graphql", "rest", "python_4.23.0", "shop_python_4.15.2", "shop_session", "typescript_3.14.0"];

/// File, row (from 0), place of the list in the reply, what may be done without a window, and with
/// one of 100, which ends with a whole page.
const TABLE: &str = "
graphql 0 /data/Get/Product | permute | widen to 100
graphql 1 /data/Get/Product | permute | widen to 100
graphql 2 /data/Get/Product | permute | widen to 100
graphql 3 /data/Get/Product | permute | permute
graphql 4 /data/Get/greens | permute | widen to 100
graphql 4 /data/Get/reds | permute | widen to 100
graphql 5 /data/Get/Product | unclear | unclear
graphql 6 /data/Get/Product | permute | widen to 100
graphql 7 /data/Get/Product | permute | widen to 100
graphql 8 /data/Get/Product | no_operator | no_operator
graphql 9 /data/Get/Product | no_operator | no_operator
graphql 10 /data/Get/Product | no_operator | no_operator
graphql 11 /data/Get/Product | permute | widen to 100
graphql 12 /data/Get/Product | reranker | reranker
graphql 13 /data/Get/Product | generative | generative
graphql 14 /data/Get/Product | grouped | grouped
graphql 15 /data/Get/Product | permute | permute
graphql 16  | no list | no list
graphql 17 /data/Get/Product | permute | widen to 99
graphql 18 /data/Get/Product | permute | widen to 99
graphql 19 /data/Get/Product | permute | widen to 99
graphql 20  | not_graphql | not_graphql
graphql 21 /data/Get/Nope | no_operator | no_operator
graphql 22 /data/Get/Product | permute | widen to 100
graphql 23 /data/Get/Product | permute | widen to 100
graphql 24 /0/data/Get/Product | permute | widen to 100
graphql 24 /1/data/Get/Product | permute | widen to 100
graphql 24 /2/data/Get/Nope | no_operator | no_operator
graphql 25  | not_graphql | not_graphql
graphql 26 /data/Get/Product | permute | permute
graphql 27 /data/Get/Product | permute | permute
graphql 28 /data/Get/Product | unclear | unclear
graphql 29  | not_graphql | not_graphql
rest 4 /results | permute | widen to 96
rest 5 /results | permute | widen to 96
rest 6 /results | permute | widen to 96
rest 7 /results | permute | widen to 100
rest 8 /results | permute | widen to 100
rest 9 /results | permute | widen to 100
rest 10 /results | permute | permute
rest 20 /results | permute | widen to 96
python_4.23.0 37 /data/Get/Product | permute | widen to 100
";

/// A recorded exchange over HTTP.
struct Exchange {
    file: &'static str,
    row: usize,
    path: String,
    body: String,
    /// Null where it is no JSON.
    reply: Value,
}

fn exchanges() -> Option<Vec<Exchange>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/fixtures/weaviate/recorded");
    let mut out = Vec::new();
    for file in FILES {
        let path = format!("{folder}/{file}.jsonl");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("skipped: {path} is not there");
            return None;
        };
        for (row, line) in text.lines().enumerate() {
            let line: Value = serde_json::from_str(line).unwrap();
            let Some(request) = line["http"].as_str() else { continue };
            let reply = line["reply_body"].as_str().unwrap_or_default();
            out.push(Exchange {
                file,
                row,
                path: request.split(' ').nth(1).unwrap().to_owned(),
                body: line["body"].as_str().unwrap_or_default().to_owned(),
                reply: serde_json::from_str(reply).unwrap_or_default(),
            });
        }
    }
    Some(out)
}

/// The place of each list and what may be done with it; nothing where no list is asked for.
fn decisions(exchange: &Exchange, window: Option<u32>) -> Vec<(String, String)> {
    let body = exchange.body.as_bytes();
    let name = |decision| match decision {
        Decision::Leave(left) => left.name().to_owned(),
        Decision::Permute => "permute".to_owned(),
        Decision::Widen { limit } => format!("widen to {limit}"),
    };
    match exchange.path.as_str() {
        "/v1/graphql" | "/v1/graphql/batch" => match graphql::documents(body) {
            Ok(asks) if asks.is_empty() => vec![(String::new(), "no list".to_owned())],
            Ok(asks) => {
                asks.iter().map(|asked| (asked.at.clone(), name(asked.decide(window)))).collect()
            }
            Err(doubt) => vec![(String::new(), doubt.name().to_owned())],
        },
        path => match rest::search(path, body) {
            Ok(Some(asked)) => vec![(rest::AT.to_owned(), name(asked.decide(window)))],
            Ok(None) => Vec::new(),
            Err(doubt) => vec![(String::new(), doubt.name().to_owned())],
        },
    }
}

#[test]
fn what_may_be_done_with_each_recorded_list_is_the_table() {
    let Some(exchanges) = exchanges() else { return };
    let mut table = String::new();
    for exchange in &exchanges {
        let wide = decisions(exchange, Some(100));
        for ((at, narrow), (_, wide)) in decisions(exchange, None).into_iter().zip(wide) {
            let Exchange { file, row, .. } = exchange;
            writeln!(table, "{file} {row} {at} | {narrow} | {wide}").unwrap();
        }
    }
    assert_eq!(table.trim(), TABLE.trim(), "\n{table}");
}

#[test]
fn every_list_stands_where_its_ask_says() {
    let Some(exchanges) = exchanges() else { return };
    let (mut lists, mut hits) = (0, 0);
    for exchange in &exchanges {
        for (at, decision) in decisions(exchange, None) {
            if at.is_empty() {
                continue;
            }
            match exchange.reply.pointer(&at) {
                Some(Value::Array(list)) => (lists, hits) = (lists + 1, hits + list.len()),
                // the server refused it
                _ => assert!(
                    exchange.reply["errors"].is_array()
                        || exchange.reply["error"].is_array()
                        || exchange.reply[2]["errors"].is_array(),
                    "{} {} {at} {decision}",
                    exchange.file,
                    exchange.row
                ),
            }
        }
    }
    assert!(lists > 20 && hits > 300, "{lists} lists, {hits} hits");
}

#[test]
fn recorded_searches_ask_the_same_when_they_are_widened() {
    let Some(exchanges) = exchanges() else { return };
    let mut widened = 0;
    for exchange in &exchanges {
        let body = exchange.body.as_bytes();
        let wide =
            |asked: &graphql::GraphqlAsk| matches!(asked.decide(Some(100)), Decision::Widen { .. });
        let asks = graphql::documents(body).unwrap_or_default();
        let lists: Vec<_> = asks.iter().filter(|asked| wide(asked)).map(|ask| (ask, 73)).collect();
        let again = graphql::documents(&graphql::with_window(body, &lists).unwrap());
        for (asked, again) in asks.iter().zip(again.unwrap_or_default()) {
            let mut expected = asked.ask.clone();
            if wide(asked) {
                (expected.limit, expected.offset, widened) = (Some(73), 0, widened + 1);
            }
            assert_eq!(again.ask, expected, "{} {}", exchange.file, exchange.row);
        }
        if let Ok(Some(asked)) = rest::search(&exchange.path, body)
            && matches!(asked.decide(Some(100)), Decision::Widen { .. })
        {
            let more = rest::with_window(body, &asked, 73).unwrap();
            let again = rest::search(&exchange.path, &more).unwrap().unwrap();
            assert_eq!((again.ask.limit, again.ask.offset), (Some(73), 0));
            assert_eq!(again.ask.fingerprint, asked.ask.fingerprint);
            widened += 1;
        }
    }
    assert!(widened > 10, "{widened}");
}
