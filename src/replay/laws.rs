//! What must hold of any replay: on a small synthetic log always, on the shared logs where they are.

use std::io::Read as _;
use std::path::PathBuf;

use super::table::{Draws, Table};
use super::*;
use crate::config::UpstreamOrder;
use crate::preferences::testing::rules_for_tests;
use crate::rules::PriorAppliesTo;
use crate::types::signal::SignalKind;

const DRAWS: Draws = Draws { resamples: 0, seed: 1 };

/// 24 users, 40 products of 4 types, 400 searches; each user has favourites that they mostly choose.
pub(super) fn synthetic() -> Log {
    let mut reader = Reader::default();
    let mut chance = chance::Chance::new(5);
    reader.file("synthetic.catalog");
    for product in 0..40 {
        let kind = ["milk", "bread", "apple", "tea"][product % 4];
        let brand = product % 5;
        let label = ["organic", "vegan", "large"][product % 3];
        let line = format!(
            r#"{{"id":"p{product}","category":"food","subcategory":"{kind}","brand":"b{brand}",
            "attributes":["{label}"],"price":{}.5}}"#,
            1 + product % 7
        );
        reader.catalog_line(&line.replace('\n', " ")).unwrap();
    }
    reader.file("synthetic.log");
    for search in 0..400 {
        let (user, kind) = (chance.below(24), chance.below(4));
        let at = 1_700_000_000 + search * 3_600;
        let mut list: Vec<usize> = (0..10).map(|i| 4 * i + kind).collect();
        (1..list.len()).for_each(|i| list.swap(i, chance.below(i + 1)));
        let favourite = 4 * ((user + kind) % 10) + kind;
        let chosen = if chance.below(4) > 0 { favourite } else { list[chance.below(10)] };
        let query = ["milk", "bread", "apple", "tea"][kind];
        let list: Vec<String> = list.iter().map(|product| format!("\"p{product}\"")).collect();
        let list = list.join(",");
        reader
            .line(&format!(
                r#"{{"t":{at},"k":"search","user":"u{user}","query":"{query}","list":[{list}],"truth":["p{chosen}"],"score":true}}"#
            ))
            .unwrap();
        let event = |at: i64, kind: &str, product: usize| {
            format!(
                r#"{{"t":{at},"k":"event","user":"u{user}","type":"{kind}","product":"p{product}","qty":{}}}"#,
                1 + product % 8
            )
        };
        for (after, kind) in [(5, "click"), (9, "view"), (60, "purchase")] {
            reader.line(&event(at + after, kind, chosen)).unwrap();
        }
    }
    reader.finish()
}

/// A log under `../shared/data/replay`, or `None` with the reason printed.
fn shared(name: &str) -> Option<Log> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/replay");
    let read = |part: &str| {
        let path = folder.join(format!("{name}.{part}.jsonl.gz"));
        let Ok(file) = std::fs::read(&path) else {
            println!("skipped: {} is not there", path.display());
            return None;
        };
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(&*file).read_to_string(&mut text).unwrap();
        Some(text)
    };
    let (catalog, log) = (read("catalog")?, read("log")?);
    let mut reader = Reader::default();
    reader.file("catalog");
    catalog.lines().for_each(|line| reader.catalog_line(line).unwrap());
    reader.file("log");
    log.lines().for_each(|line| reader.line(line).unwrap());
    Some(reader.finish())
}

fn tables(log: &Log, rules: Rules, conditions: Conditions) -> Table {
    let products = Arc::new(Products::of(log, &rules.knowledge));
    let rows = Replay::new(log, products, Arc::new(rules), conditions).finish();
    Table::of(rows.iter(), DRAWS)
}

/// To four digits: NDCG@10, MRR, Hit@1, Hit@10.
fn digits(table: &Table, ranker: usize) -> [String; 4] {
    let means = table.rankers[ranker];
    [means[1], means[2], means[3], means[4]].map(|mean| format!("{:.4}", mean.mean)[1..].to_owned())
}

fn live() -> Conditions {
    Conditions::live(1024, 512)
}

/// Nothing but the shopper's own events speaks, each once and for ever.
fn item_alone() -> (Rules, Conditions) {
    let mut rules = rules_for_tests();
    rules.signal_weights = [1.0; 16];
    for kind in [
        SignalKind::DisplayedButScrolled,
        SignalKind::ViewedNeverBought,
        SignalKind::RemoveFromCart,
        SignalKind::Returned,
    ] {
        rules.signal_weights[kind.index()] = 0.0;
    }
    rules.half_life = crate::rules::HalfLives {
        item_slow_seconds: f32::INFINITY,
        item_fast_seconds: f32::INFINITY,
        axis_seconds: [f32::INFINITY; 4],
    };
    rules.facets = [0.0; 4];
    rules.ranking.weights.relevance = 0.0;
    rules.ranking.weights.prior = 0.0;
    rules.ranking.weights.price = 0.0;
    rules.ranking.weights.facets = 0.0;
    rules.guards.query_intent = false;
    let unranked = Conditions { upstream: UpstreamOrder::Unranked, ..live() };
    (rules, Conditions { sensitive: true, ..unranked }.unbounded())
}

fn hold(log: &Log, upstream: Option<[&str; 4]>, counter: Option<[&str; 4]>) {
    let served = |rules: Rules, conditions| tables(log, rules, conditions);
    let off = served(Rules { enabled: false, ..Rules::shipped() }, live());
    assert_eq!(digits(&off, SERVED), digits(&off, UPSTREAM), "off is the upstream's order");
    if let Some(upstream) = upstream {
        assert_eq!(digits(&off, UPSTREAM), upstream);
    }
    // Once more through a year of groceries would take a debug build too long.
    if log.scored() < 10_000 {
        let mut everyone = Rules::shipped();
        everyone.ranking.prior.applies_to = PriorAppliesTo::Everyone;
        let failing = served(everyone, Conditions { budget_us: 0, ..live() });
        assert_eq!(digits(&failing, SERVED), digits(&failing, UPSTREAM), "failing is upstream's");
    }
    let (rules, conditions) = item_alone();
    let item = served(rules, conditions);
    assert_eq!(digits(&item, SERVED), digits(&item, COUNTER), "the item signal is the counter");
    if let Some(counter) = counter {
        assert_eq!(digits(&item, COUNTER), counter);
    }
}

#[test]
fn off_is_the_upstream_and_the_item_signal_alone_is_the_counter_on_a_synthetic_log() {
    let log = synthetic();
    assert_eq!((log.scored(), log.described()), (400, 40));
    hold(&log, None, None);
    let shipped = tables(&log, Rules::shipped(), live());
    let gain = shipped.over_upstream[NDCG10].mean;
    assert!(gain > 0.1, "a taste that is there is learned: {gain}");
}

#[test]
fn off_is_the_upstream_and_the_item_signal_alone_is_the_counter_on_recorded_films() {
    let Some(log) = shared("ranklens") else { return };
    let upstream = [".3690", ".4546", ".2776", ".8328"];
    hold(&log, Some(upstream), Some([".3836", ".4803", ".3125", ".8380"]));
}

#[test]
fn off_is_the_upstream_and_the_item_signal_alone_is_the_counter_on_recorded_groceries() {
    let Some(log) = shared("completejourney") else { return };
    let upstream = [".4778", ".4236", ".2748", ".7464"];
    hold(&log, Some(upstream), Some([".6145", ".5711", ".4335", ".8381"]));
}

#[test]
fn the_same_log_and_rules_give_the_same_rows() {
    let log = synthetic();
    let rows = || {
        let rules = Arc::new(Rules::shipped());
        let products = Arc::new(Products::of(&log, &rules.knowledge));
        let rows = Replay::new(&log, products, rules, live()).finish();
        rows.into_iter().map(|row| row.scores).collect::<Vec<_>>()
    };
    assert_eq!(rows(), rows());
}

#[test]
fn a_list_is_asked_for_before_its_outcome_is_told() {
    // one user, one search, one choice: nothing is known yet, and nothing may move
    let mut reader = Reader::default();
    reader.file("catalog");
    for id in ["a", "b", "c"] {
        reader.catalog_line(&format!(r#"{{"id":"{id}","name":"film {id}"}}"#)).unwrap();
    }
    reader.file("log");
    for line in [
        r#"{"t":10,"k":"search","user":"u","query":"","list":["a","b","c"],"truth":["c"]}"#,
        r#"{"t":10,"k":"event","user":"u","type":"click","product":"c"}"#,
        r#"{"t":20,"k":"search","user":"u","query":"","list":["a","b","c"],"truth":["c"]}"#,
    ] {
        reader.line(line).unwrap();
    }
    let log = reader.finish();
    let (rules, conditions) = item_alone();
    let products = Arc::new(Products::of(&log, &rules.knowledge));
    let rows = Replay::new(&log, products, Arc::new(rules), conditions).finish();
    let served: Vec<f64> = rows.iter().map(|row| row.scores[SERVED][2]).collect();
    assert_eq!(served, [1.0 / 3.0, 1.0]);
    let segments: Vec<Segment> = rows.iter().map(|row| row.segment).collect();
    assert_eq!(segments, [Segment::NewType, Segment::Repeat]);
    assert_eq!(rows.iter().map(|row| row.depth).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_a_bounded_profile_forgets_does_not_count() {
    let log = synthetic();
    let gain = |products: usize, forget| {
        let conditions = Conditions { forget, ..Conditions::live(products, 0) };
        tables(&log, Rules::shipped(), conditions).over_upstream[NDCG10].mean
    };
    for (word, forget) in Forget::ALL {
        assert!(gain(1, forget) < gain(40, forget), "{word}");
    }
}

#[test]
fn rules_that_are_the_same_change_nothing_and_an_edit_is_told_with_its_reason() {
    let log = synthetic();
    let outcome = |edit: fn(&mut Rules)| {
        let mut other = Rules::shipped();
        edit(&mut other);
        let products = Arc::new(Products::of(&log, &other.knowledge));
        let rules = [Arc::new(Rules::shipped()), Arc::new(other)];
        against::Against::new(&log, products, rules, live()).finish()
    };
    let same = outcome(|_| {});
    assert_eq!((same.churn.lists, same.churn.changed, same.movers.len()), (400, 0, 0));
    assert_eq!((same.churn.rbo(), same.churn.jaccard()), (1.0, 1.0));
    let edited = outcome(|rules| rules.ranking.weights.item = 0.0);
    assert!(edited.churn.changed > 100 && edited.churn.rbo() < 1.0);
    assert!(edited.movers.len() > 1 && edited.movers.len() <= against::MOVERS_MAX);
    let told = edited.movers.iter().filter_map(|mover| mover.reason.as_ref());
    assert!(told.clone().any(|(part, was, is)| part == "own history with it" && is < was));
    let rows = [&edited.one, &edited.other].map(|rows| rows.iter().collect::<Vec<_>>());
    let gain = table::difference(&rows[0], &rows[1], Draws { resamples: 50, seed: 1 })[NDCG10];
    assert!(gain.mean < 0.0 && gain.low <= gain.mean && gain.mean <= gain.high, "{gain:?}");
}

#[test]
fn products_of_other_types_at_the_end_of_each_list_pass_nobody() {
    let clean = tables(&synthetic(), Rules::shipped(), live());
    let mut log = synthetic();
    log.contaminate(5, 3);
    let dirty = tables(&log, Rules::shipped(), live());
    let (clean, dirty) = (clean.rankers[SERVED][NDCG10].mean, dirty.rankers[SERVED][NDCG10].mean);
    assert!((clean - dirty).abs() < 0.02, "{clean} {dirty}");
}

#[test]
fn a_recording_measures_every_list_as_a_replay_under_the_same_rules_does() {
    let log = synthetic();
    let settings: [fn(&mut Rules); 6] = [
        |_| {},
        |rules| rules.ranking.impact = 0.4,
        |rules| rules.ranking.weights.item = 0.1,
        |rules| rules.ranking.discovery = 1.5,
        |rules| rules.ranking.repeat_slots = Some(1),
        |rules| {
            rules.facets = [0.0, 2.0, 0.1, 1.0];
            rules.ranking.weights.price = 0.5;
            rules.ranking.weights.brand_habit = 0.0;
            rules.ranking.weights.prior = 2.0;
            rules.ranking.weights.relevance = 0.05;
        },
    ];
    for upstream in [UpstreamOrder::Ranked, UpstreamOrder::Unranked] {
        let conditions = Conditions { upstream, ..live() };
        let written = Rules::shipped();
        let products = Arc::new(Products::of(&log, &written.knowledge));
        let all = 0..log.scored();
        let rules = Arc::new(written.clone());
        let mut recorder = Recorder::new(&log, products.clone(), rules, conditions.clone(), all);
        while recorder.step() {}
        let recorded = recorder.finish(products.clone());
        assert!(recorded.lists() == log.scored() && recorded.bytes() > 0);
        for set in settings {
            let mut rules = written.clone();
            set(&mut rules);
            let rules = Arc::new(rules);
            let rows =
                Replay::new(&log, products.clone(), rules.clone(), conditions.clone()).finish();
            for (list, row) in rows.iter().enumerate() {
                assert_eq!(recorded.scores(list, &rules), row.scores[SERVED], "list {list}");
            }
        }
    }
}
