//! Every recorded search of the real clients: read as prost reads it, and re-ordered to a
//! permutation that prost reads.

use std::fs;
use std::path::Path;

use prost::Message;

use super::super::*;
use super::judge::{SearchReply, facts};
use super::replies::seen;
use super::requests::{SearchRequest, agrees};
use crate::wire::{DecodeLimits, Doubt, splice};

/// Requests and replies of `Search` of one recording; `None` where it is not beside the checkout.
fn searches(file: &str) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/fixtures/weaviate/recorded")
        .join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        println!("skipped: {} is not beside this checkout", path.display());
        return None;
    };
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let searches = rows.filter(|row| row["rpc"] == "/weaviate.v1.Weaviate/Search");
    let bytes = |row: &serde_json::Value, key: &str| base64(row[key].as_str().unwrap_or(""));
    Some(searches.map(|row| (bytes(&row, "request_b64"), bytes(&row, "reply_b64"))).collect())
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let six = alphabet.iter().position(|letter| *letter == byte).unwrap();
        bits = bits << 6 | six as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    out
}

/// Files, their searches, and how many of their replies hold hits that may be moved.
const RECORDED: [(&str, usize, usize); 4] = [
    ("python_4.23.0.jsonl", 33, 28),
    ("shop_python_4.15.2.jsonl", 8, 7),
    ("shop_session.jsonl", 57, 57),
    ("typescript_3.14.0.jsonl", 16, 15),
];

#[test]
fn every_recorded_request_is_read_as_prost_reads_it() {
    for (file, count, _) in RECORDED {
        let Some(searches) = searches(file) else { continue };
        assert_eq!(searches.len(), count, "{file}");
        for (message, _) in searches {
            let expected = SearchRequest::decode(&*message).unwrap();
            let read = request(&message).unwrap();
            agrees(&read, &expected);
            assert!(!read.list.unclear);
            let again = with_window(&message, expected.limit, expected.offset).unwrap();
            assert_eq!(again, message);
        }
    }
}

#[test]
fn every_recorded_reply_decodes_and_reverses_to_what_prost_reads_reversed() {
    let plan = GrpcPlan::new(&super::map());
    for (file, _, count) in RECORDED {
        let Some(searches) = searches(file) else { continue };
        let mut moved = 0;
        for (_, message) in searches {
            let body = framed(&message).unwrap();
            let mut expected = SearchReply::decode(&*message).unwrap();
            let read = match plan.decode(&body, &DecodeLimits::default()) {
                Ok(read) => read,
                Err(Doubt::NoHits) => {
                    assert!(expected.results.is_empty(), "{file}");
                    continue;
                }
                Err(doubt) => {
                    let told = expected.generative_grouped_results.is_some()
                        || expected.results.iter().any(|hit| hit.generative.is_some());
                    assert_eq!((doubt, told), (Doubt::ConditionFailed, true), "{file}");
                    continue;
                }
            };
            let list = &read.lists[0];
            let hits: Vec<_> = list.hits.iter().map(seen).collect();
            let judged: Vec<_> = expected.results.iter().map(facts).collect();
            assert_eq!(hits, judged, "{file}");
            assert!(hits.iter().all(|hit| hit.id.len() == 36), "{file}");

            let order: Vec<u32> = (0..list.hits.len() as u32).rev().collect();
            let spliced = splice(&body, &[(list, &order)]).unwrap();
            assert_eq!(spliced.len(), body.len());
            expected.results.reverse();
            let after = SearchReply::decode(super::super::message(&spliced).unwrap()).unwrap();
            assert_eq!(after, expected, "{file}");
            let back = plan.decode(&spliced, &DecodeLimits::default()).unwrap();
            assert_eq!(splice(&spliced, &[(&back.lists[0], &order)]).unwrap(), body, "{file}");
            moved += 1;
        }
        assert_eq!(moved, count, "{file}");
    }
}
