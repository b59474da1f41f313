//! One declaration, told alike everywhere; rows come back as they were written.

use super::*;
use crate::types::event::column::RowError;
use crate::types::event::render::{page, parquet, sql};

fn action() -> Action {
    Action {
        event_id: EventId::new(Timestamp(1_800_000_000_123), &[7; 10]),
        event_timestamp: Micros(1_800_000_000_123_000),
        event_type: "click".into(),
        user_id: "ann \"the\" one".into(),
        session_id: String::new(),
        product_id: Some("OAT-006".into()),
        product_category: None,
        product_attributes: Some(RawJson::of(&["brand:Oatly"])),
        interaction_strength: Some(0.2),
        interaction_context: None,
        search_query: Some("milk".into()),
        search_results_shown: None,
        result_position: Some(3),
        raw_event_data: Some(RawJson::of(&serde_json::json!({"type": "click"}))),
    }
}

fn row(action: Action) -> Row {
    Row { subject: SubjectKey(7), body: Body::Action(Box::new(action)) }
}

/// Compares a text with a file of the project; `LEAFRANK_BLESS=1` writes it anew.
fn golden(path: &str, text: &str) {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("LEAFRANK_BLESS").is_ok() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, text, "{path} (left) is not as declared; LEAFRANK_BLESS=1 writes it anew");
}

#[test]
fn the_plans_table_is_there_column_for_column() {
    const PLAN: &str = "event_id STRING NOT NULL, event_timestamp TIMESTAMP NOT NULL, \
        event_type STRING NOT NULL, user_id STRING NOT NULL, session_id STRING NOT NULL, \
        product_id STRING, product_category STRING, product_attributes JSON, \
        interaction_strength FLOAT64, interaction_context JSON, search_query STRING, \
        search_results_shown JSON, result_position INT64, raw_event_data JSON";
    let declared = ACTIONS.columns.iter().map(|column| {
        let required = if column.required { " NOT NULL" } else { "" };
        format!("{} {}{required}", column.name, column.kind.sql())
    });
    assert_eq!(declared.collect::<Vec<_>>().join(", "), PLAN);
}

#[test]
fn sql_and_parquet_schema_are_the_golden_ones() {
    let sql: Vec<_> = TABLES.iter().map(|table| sql(table, "leafloaf_events")).collect();
    golden("tests/golden/events.sql", &sql.join("\n"));
    let parquet: Vec<_> = TABLES.iter().map(|table| parquet(table)).collect();
    golden("tests/golden/events.parquet.txt", &parquet.join("\n"));
}

#[test]
fn the_page_for_people_has_every_column_as_it_is_declared() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/EVENTS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) = text.split_once("<!-- tables -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end of tables -->\n").unwrap();
    let tables: Vec<_> = TABLES.iter().map(|table| page(table)).collect();
    let tables = tables.join("\n");
    let whole = format!("{head}<!-- tables -->\n{tables}<!-- end of tables -->\n{tail}");
    golden("docs/EVENTS.md", &whole);
}

#[test]
fn a_row_is_one_line_of_json_in_the_order_of_its_columns() {
    let json = row(action()).json();
    let expected = r#"{"event_id":"019a-","event_timestamp":"2027-01-15T08:00:00.123000Z","event_type":"click","user_id":"ann \"the\" one","session_id":"","product_id":"OAT-006","product_attributes":["brand:Oatly"],"interaction_strength":0.2,"search_query":"milk","result_position":3,"raw_event_data":{"type":"click"}}"#;
    let id = action().event_id.to_string();
    assert_eq!(json, expected.replace("019a-", &id));
}

#[test]
fn a_row_comes_back_as_it_was_written() {
    let whole = row(action());
    assert_eq!(ACTIONS.read(whole.json().as_bytes()).unwrap(), action().cells());
    let hit = RankedHit {
        product_id: "M5".into(),
        base: 4,
        placed: Some(0),
        score: 1.5,
        parts: Parts(vec![("relevance", 1.0), ("item", 0.5)]),
        tier: 0,
    };
    let decision = Decision {
        event_id: EventId::new(Timestamp(5), &[0; 10]),
        event_timestamp: Micros(-1),
        user_id: "u".into(),
        session_id: "s".into(),
        query_id: "q".into(),
        route: "search".into(),
        mode: "on".into(),
        outcome: "reranked".into(),
        arm: None,
        rules_version: "r".into(),
        model_version: None,
        search_query: Some("milk".into()),
        candidates: Candidates(vec![hit]),
        hits_moved: 1,
        rank_us: 60,
        hold_us: None,
    };
    let cells = decision.cells();
    let row = Row { subject: SubjectKey(7), body: Body::Decision(Box::new(decision)) };
    let json = row.json();
    assert!(json.contains(r#"[{"product_id":"M5","base":4,"final":0,"score":1.5,"parts":{"relevance":1.0,"item":0.5},"tier":0}]"#), "{json}");
    assert_eq!(DECISIONS.read(json.as_bytes()).unwrap(), cells);
}

#[test]
fn a_later_versions_column_is_left_alone_and_a_missing_one_is_named() {
    let json = row(action()).json().replacen('{', "{\"weather\":{\"rain\":true},", 1);
    assert_eq!(ACTIONS.read(json.as_bytes()).unwrap(), action().cells());
    assert_eq!(ACTIONS.read(b"{}"), Err(RowError::Missing("event_id")));
    let wrong = json.replace("\"result_position\":3", "\"result_position\":\"three\"");
    let said = ACTIONS.read(wrong.as_bytes()).unwrap_err().to_string();
    assert_eq!(said, "result_position: found \"three\", expected a whole number");
    assert!(matches!(ACTIONS.read(b"[1]"), Err(RowError::NotJson(_))));
}

#[test]
fn ids_sort_by_their_time_and_say_their_version() {
    let id = |ms, chance: u8| EventId::new(Timestamp(ms), &[chance; 10]).to_string();
    assert!(id(1_800_000_000_000, 255) < id(1_800_000_000_001, 0));
    assert_eq!(id(1_800_000_000_000, 9).as_bytes()[14], b'7');
    assert_eq!(id(-5, 9), id(0, 9), "a clock before 1970 is no fault");
}
