//! What is read from documents, where lists will stand, and what is rewritten.

use super::super::{Left, Operator};
use super::*;
use proptest::prelude::*;

/// The body of a document, as a client writes it.
fn body(query: &str) -> Vec<u8> {
    format!("{{\"query\": {}}}", serde_json::to_string(query).unwrap()).into_bytes()
}

fn all(query: &str) -> Vec<GraphqlAsk> {
    documents(&body(query)).unwrap()
}

/// The one list of a search with these arguments and this selection.
fn one(arguments: &str, selection: &str) -> GraphqlAsk {
    let asks = all(&format!("{{Get{{Product({arguments}){{{selection}}}}}}}"));
    <[GraphqlAsk; 1]>::try_from(asks).unwrap().into_iter().next().unwrap()
}

/// Why a search with these arguments is left alone, with a window of 50; nothing if it is not.
fn left(arguments: &str, selection: &str) -> Option<&'static str> {
    match one(arguments, selection).decide(Some(50)) {
        Decision::Leave(left) => Some(left.name()),
        Decision::Permute | Decision::Widen { .. } => None,
    }
}

#[test]
fn everything_that_was_asked_is_read() {
    let text = "{ Get { greens: Product(limit: 5, offset: 10, tenant: \"north\", \
                hybrid: {query: \"baby kale\", alpha: 0.5, vector: [0.1, -2, 3e4]}) \
                { sku name _additional { id score } hasCategory { ... on Category { name } } } } }";
    let asks = all(text);
    let [asked] = asks.as_slice() else { panic!("{asks:?}") };
    let expected = ListAsk {
        key: "greens".into(),
        collection: "Product".into(),
        tenant: Some("north".into()),
        operator: Some(Operator::Hybrid),
        query: "baby kale".into(),
        limit: Some(5),
        offset: 10,
        fingerprint: asked.ask.fingerprint,
        ..ListAsk::default()
    };
    assert_eq!(asked.ask, expected);
    assert_eq!(asked.at, "/data/Get/greens");
    assert!(asked.additional_id && asked.additional_score);
    assert_eq!(asked.properties, ["sku", "name"]);
    let body = body(text);
    assert_eq!(&body[asked.limit_digits.clone().unwrap()], b"5");
    assert_eq!(&body[asked.offset_digits.clone().unwrap()], b"10");
    assert_eq!(asked.decide(None), Decision::Permute);
    assert_eq!(asked.decide(Some(50)), Decision::Widen { limit: 50 });
}

#[test]
fn every_operator_is_told_and_its_words_are_read() {
    for (argument, operator, words) in [
        ("bm25: {query: \"kale\", properties: [\"name\"]}", Operator::Bm25, "kale"),
        ("hybrid: {query: \"kale\"}", Operator::Hybrid, "kale"),
        ("hybrid: {vector: [1]}", Operator::Hybrid, ""),
        ("nearText: {concepts: [\"leafy\", \"greens\"]}", Operator::NearText, "leafy greens"),
        ("nearText: {concepts: \"leafy\"}", Operator::NearText, "leafy"),
        ("ask: {question: \"\"\"\n  which?\n\"\"\"}", Operator::NearText, "which?"),
        ("nearObject: {id: \"a\"}", Operator::NearObject, ""),
        ("nearVector: {vector: [1, 2]}", Operator::NearVector, ""),
        ("nearImage: {image: \"a\"}", Operator::NearMedia, ""),
        ("nearAudio: {audio: \"a\"}", Operator::NearMedia, ""),
        ("nearVideo: {video: \"a\"}", Operator::NearMedia, ""),
        ("nearThermal: {thermal: \"a\"}", Operator::NearMedia, ""),
        ("nearDepth: {depth: \"a\"}", Operator::NearMedia, ""),
        ("nearIMU: {imu: \"a\"}", Operator::NearMedia, ""),
    ] {
        let asked = one(argument, "sku");
        assert_eq!((asked.ask.operator, asked.ask.query.as_str()), (Some(operator), words));
        assert_eq!(asked.decide(Some(50)), Decision::Permute, "{argument}");
    }
}

#[test]
fn arguments_that_forbid_to_touch_the_list_are_found() {
    for (arguments, expected) in [
        ("limit: 5", "no_operator"),
        ("limit: 5, bm25: {query: \"a\"}, after: null", "cursor"),
        ("limit: 5, bm25: {query: \"a\"}, sort: []", "sorted"),
        ("limit: 5, bm25: {query: \"a\"}, group: {type: merge, force: 0.5}", "grouped"),
        ("limit: 5, bm25: {query: \"a\"}, groupBy: {path: [\"a\"]}", "grouped"),
        ("limit: 5, ask: {question: \"a\", rerank: true}", "reranker"),
        ("limit: 5, bm25: {query: \"a\"}, boost: {}", "boosted"),
        ("limit: 5, nearText: {concepts: [\"a\"], selection: {}}", "selected"),
        ("limit: 41, offset: 10, bm25: {query: \"a\"}", "past_window"),
        ("limit: 5, bm25: {query: \"a\"}, someday: 1", "unclear"),
        ("limit: 5, bm25: {query: \"a\"}, limit: 5", "unclear"),
        ("limit: 5, bm25: {query: \"a\"}, nearText: {concepts: [\"a\"]}", "unclear"),
        ("limit: 5, bm25: {query: 5}", "unclear"),
        ("limit: 5, bm25: {query: \"\\ud800\"}", "unclear"),
        ("limit: 5, bm25: null", "unclear"),
        ("limit: 5, bm25: $b", "unclear"),
        ("limit: 5, bm25: {query: $q}", "unclear"),
        ("limit: 5, hybrid: {query: \"a\", searches: $s}", "unclear"),
        ("limit: $n, bm25: {query: \"a\"}", "unclear"),
        ("limit: 5.0, bm25: {query: \"a\"}", "unclear"),
        ("limit: \"5\", bm25: {query: \"a\"}", "unclear"),
        ("limit: 4294967296, bm25: {query: \"a\"}", "unclear"),
        ("limit: 99999999999999999999, bm25: {query: \"a\"}", "unclear"),
        ("limit: 5, offset: -1, bm25: {query: \"a\"}", "unclear"),
        ("limit: 5, offset: five, bm25: {query: \"a\"}", "unclear"),
        ("limit: 5, tenant: $t, bm25: {query: \"a\"}", "unclear"),
    ] {
        assert_eq!(left(arguments, "sku"), Some(expected), "{arguments}");
    }
    assert_eq!(left("limit: 5, ask: {question: \"a\", rerank: false}", "sku"), None);
    let many: String = (0..40).map(|n| format!("where{n}: 1 ")).collect();
    assert_eq!(left(&format!("{many} bm25: {{query: \"a\"}}"), "sku"), Some("unclear"));
}

#[test]
fn bounds_on_distance_are_found_wherever_an_operator_holds_them() {
    for operator in [
        "nearText: {concepts: [\"a\"], distance: 0.5}",
        "nearVector: {vector: [1], certainty: $c}",
        "hybrid: {query: \"a\", maxVectorDistance: 0.5}",
        "hybrid: {query: \"a\", searches: {nearText: {concepts: [\"a\"], distance: 0.5}}}",
        "hybrid: {query: \"a\", searches: [[{nearVector: {vector: [1], certainty: 0.5}}]]}",
    ] {
        let asked = one(&format!("limit: 5, {operator}"), "sku");
        assert!(asked.ask.threshold, "{operator}");
        assert_eq!(asked.decide(Some(50)), Decision::Permute, "{operator}");
    }
    let cut = one("limit: 5, autocut: 1, bm25: {query: \"a\"}", "sku");
    assert_eq!(cut.decide(Some(50)), Decision::Permute);
    let move_to = "nearText: {concepts: [\"a\"], moveTo: {concepts: [\"distance\"], force: 1}}";
    assert!(!one(&format!("limit: 5, {move_to}"), "sku").ask.threshold);
}

#[test]
fn selections_that_forbid_to_touch_the_list_are_found() {
    for (selection, expected) in [
        (
            "sku _additional { generate(groupedResult: {task: \"a\"}) { groupedResult } }",
            "generative",
        ),
        ("sku _additional { answer { result } }", "generative"),
        ("sku _additional { summary(properties: [\"a\"]) { result } }", "generative"),
        ("sku _additional { id rerank(property: \"a\", query: \"b\") { score } }", "reranker"),
        ("sku _additional { group { id } }", "grouped"),
        ("sku _additional { featureProjection { vector } }", "unclear"),
        ("sku _additional { id: score }", "unclear"),
        ("sku _additional { ...F }", "unclear"),
        ("sku ...F", "unclear"),
        ("sku ... on Product { name }", "unclear"),
        ("sku: name", "unclear"),
        ("sku more: _additional { id }", "unclear"),
    ] {
        assert_eq!(
            left("limit: 5, bm25: {query: \"a\"}", selection),
            Some(expected),
            "{selection}"
        );
    }
    let harmless = "sku ref { ... on Other { a: b ...F } } geo { latitude } _additional { id \
                    vector vectors { a } certainty distance score explainScore isConsistent \
                    creationTimeUnix lastUpdateTimeUnix classification { id } }";
    assert_eq!(left("limit: 5, bm25: {query: \"a\"}", harmless), None);
}

#[test]
fn what_a_directive_may_take_away_is_not_counted_on() {
    let asked =
        one("bm25: {query: \"a\"}", "sku @include(if: $x) name _additional @skip(if: $x) {id}");
    assert!(!asked.additional_id && !asked.selects("sku") && asked.selects("name"));
    let asked = one("bm25: {query: \"a\"}", "_additional { id @include(if: false) score }");
    assert!(!asked.additional_id && asked.additional_score);
    for text in [
        "{Get{Product(bm25:{query:\"a\"}) @include(if:$x) {sku}}}",
        "{Get @skip(if:$x) {Product(bm25:{query:\"a\"}){sku}}}",
    ] {
        assert_eq!(all(text)[0].decide(None), Decision::Leave(Left::Unclear), "{text}");
    }
}

#[test]
fn a_fragment_that_may_add_to_a_list_makes_it_unclear() {
    let list = "Product(limit:5,bm25:{query:\"a\"}){sku}";
    for text in [
        format!("{{...F Get{{{list}}}}} fragment F on WeaviateObj {{Get{{{list}}}}}"),
        format!("{{... on WeaviateObj {{a}} Get{{{list}}}}}"),
        format!("{{Get{{...F {list}}}}} fragment F on GetObjectsObj {{Product{{name}}}}"),
        format!("{{Get{{... {{a}} {list}}}}}"),
    ] {
        let asks = all(&text);
        assert_eq!(asks.len(), 1, "{text}");
        assert_eq!(asks[0].decide(None), Decision::Leave(Left::Unclear), "{text}");
    }
}

#[test]
fn each_list_has_its_own_ask_and_lists_of_one_key_are_unclear() {
    let asks =
        all("{Get{A(bm25:{query:\"1\"}){x} b:A(limit:3){x} __typename} Aggregate{A{meta{count}}} \
         g:Get{A(bm25:{query:\"2\"}){x}} Get{b:C(bm25:{query:\"3\"}){x}}}");
    let seen: Vec<_> = asks.iter().map(|a| (a.at.as_str(), a.ask.unclear)).collect();
    let expected = [
        ("/data/Get/A", false),
        ("/data/Get/b", true),
        ("/data/g/A", false),
        ("/data/Get/b", true),
    ];
    assert_eq!(seen, expected);
    let renamed = all("{Get: Aggregate{A{meta{count}}} Get{A(bm25:{query:\"1\"}){x}}}");
    assert!(renamed[0].ask.unclear, "two fields of one key");
    assert!(all("{Aggregate{Get{A(bm25:{query:\"1\"}){x}}}}").is_empty());
}

#[test]
fn the_operation_that_the_server_runs_is_read() {
    let text = "query A{Get{P(limit:1){x}}} query B{Get{P(limit:2){x}}} mutation C{Get{P{x}}}";
    let query = serde_json::to_string(text).unwrap();
    let limits = |name: &str| {
        let body = format!("{{\"operationName\":{name},\"query\":{query}}}");
        let asks = documents(body.as_bytes()).unwrap();
        asks.iter().map(|asked| asked.ask.limit).collect::<Vec<_>>()
    };
    assert_eq!(limits("\"A\""), [Some(1)]);
    assert_eq!(limits("\"B\""), [Some(2)]);
    for none in ["\"C\"", "\"D\"", "\"\"", "null", "{}"] {
        assert_eq!(limits(none), [], "{none}");
    }
    assert_eq!(all("query A{Get{P(limit:1){x}}}").len(), 1);
}

#[test]
fn variables_are_looked_up_and_what_stays_unknown_is_unclear() {
    let read = |query: &str, variables: &str| {
        let query = serde_json::to_string(query).unwrap();
        let body = format!("{{\"query\":{query},\"variables\":{variables}}}");
        documents(body.as_bytes()).unwrap().remove(0)
    };
    let text = "query($q:String $n:Int=7 $t:String=\"north\" $c:[String]){Get{P(limit:$n offset:20 \
                tenant:$t bm25:{query:$q}){sku} Q(nearText:{concepts:$c}){sku}}}";
    let asked = read(text, "{\"q\":\"k\\u00e4le\"}");
    assert_eq!((asked.ask.query.as_str(), asked.ask.limit), ("käle", Some(7)));
    assert_eq!(asked.ask.tenant.as_deref(), Some("north"));
    assert!(!asked.ask.unclear && asked.limit_digits.is_none());
    // what cannot be rewritten is not widened, wherever its page is
    assert_eq!(asked.decide(Some(100)), Decision::Permute);
    assert_eq!(asked.decide(Some(10)), Decision::Permute);
    let asked = read(text, "{\"q\":\"kale\",\"n\":3,\"t\":\"south\"}");
    assert_eq!((asked.ask.limit, asked.ask.tenant.as_deref()), (Some(3), Some("south")));
    for unknown in [
        "{}",
        "null",
        "\"q\"",
        "{\"q\":null}",
        "{\"q\":[\"a\",1]}",
        "{\"q\":7}",
        "{\"q\":\"a\",\"q\":\"b\"}",
        "{\"q\":\"a\",\"n\":null}",
        "{\"q\":\"a\",\"n\":6.5}",
        "{\"q\":\"a\",\"t\":1}",
    ] {
        assert!(read(text, unknown).ask.unclear, "{unknown}");
    }
    let concepts = "query($c:[String]){Get{P(nearText:{concepts:$c}){sku}}}";
    assert_eq!(read(concepts, "{\"c\":[\"leafy\",\"greens\"]}").ask.query, "leafy greens");
    let mixed = "query($c:String){Get{P(nearText:{concepts:[\"leafy\" $c]}){sku}}}";
    assert_eq!(read(mixed, "{\"c\":\"greens\"}").ask.query, "leafy greens");
}

#[test]
fn pages_of_one_search_have_one_fingerprint() {
    let of = |arguments: &str| one(arguments, "sku name").ask.fingerprint;
    let first = of("limit:10,bm25:{query:\"kale\"}");
    for same in [
        "limit: 10 offset: 20 # next\n bm25 : { query: \"kale\" }",
        "bm25:{query:\"kale\"},offset:0,limit:500",
        "bm25:{query:\"kale\"}",
    ] {
        assert_eq!(of(same), first, "{same}");
    }
    for other in [
        "limit:10,bm25:{query:\"Kale\"}",
        "limit:10,bm25:{query:\"kale\"},tenant:\"a\"",
        "limit:10,hybrid:{query:\"kale\"}",
        "limit:10,bm25:{query:\"kale\"},where:{limit:5}",
    ] {
        assert_ne!(of(other), first, "{other}");
    }
    let with = |variables: &str, query: &str| {
        let body = format!("{{\"variables\":{variables},\"query\":\"{query}\"}}");
        documents(body.as_bytes()).unwrap()[0].ask.fingerprint
    };
    let used = "query($q:String){Get{P(bm25:{query:$q}){sku}}}";
    assert_ne!(with("{\"q\":\"a\"}", used), with("{\"q\":\"b\"}", used));
    let unused = "query($q:String){Get{P(bm25:{query:1}){sku}}}";
    assert_eq!(with("{\"q\":\"a\"}", unused), with("{\"q\":\"b\"}", unused));
}

#[test]
fn bodies_that_hold_no_document_are_a_doubt() {
    for (body, doubt) in [
        (&b"{"[..], Doubt::NotJson),
        (b"7", Doubt::NotGraphql),
        (b"{\"nope\":1}", Doubt::NotGraphql),
        (b"{\"query\":null}", Doubt::NotGraphql),
        (b"{\"query\":\"{Get{\"}", Doubt::NotGraphql),
        (b"{\"query\":\"{a}\",\"Query\":\"{b}\"}", Doubt::DuplicateKey),
        (b"{\"query\":\"\\ud800\"}", Doubt::LoneSurrogate),
        (b"\xef\xbb\xbf{}", Doubt::ByteOrderMark),
    ] {
        assert_eq!(documents(body), Err(doubt), "{}", String::from_utf8_lossy(body));
    }
    let many = format!("{{Get{{{}}}}}", "P{x} ".repeat(300));
    assert_eq!(documents(&body(&many)), Err(Doubt::TooLarge));
    let beside = format!("{{{}}}", "Get ".repeat(300));
    assert_eq!(documents(&body(&beside)), Err(Doubt::TooLarge));
}

#[test]
fn a_batch_has_the_asks_of_its_elements() {
    let batch = br#"[{"query":"{Get{P(limit:5){x}}}"}, 7, {"query":"{"},
        {"query":"{Get{p:P(limit:6){x} q:P(limit:7){x}}}"}]"#;
    let asks = documents(batch).unwrap();
    let seen: Vec<_> = asks
        .iter()
        .map(|asked| (asked.at.as_str(), &batch[asked.limit_digits.clone().unwrap()]))
        .collect();
    let expected = [("/0/data/Get/P", &b"5"[..]), ("/3/data/Get/p", b"6"), ("/3/data/Get/q", b"7")];
    assert_eq!(seen, expected);
    assert_eq!(documents(b"[]"), Ok(Vec::new()));
}

#[test]
fn only_the_digits_that_count_are_rewritten() {
    let text = "# limit: 5\n{Get{P(bm25:{query:\"limit: 5 \\\"offset: 5\\\"\"} limit :\t5, # limit: 5\n\
                offset:10 where:{operands:[{limit:5}]}){limit: offset r(limit:5){limit}} \
                Q(limit:9,nearText:{concepts:[\"\"\"limit: 5\"\"\"]}){x}}}";
    let body = body(text);
    let asks = documents(&body).unwrap();
    let wide = with_window(&body, &[(&asks[1], 100), (&asks[0], 50)]).unwrap();
    let expected = text.replace("limit :\t5", "limit :\t50").replace("offset:10", "offset:0");
    let expected = expected.replace("Q(limit:9", "Q(limit:100");
    let read: serde_json::Value = serde_json::from_slice(&wide).unwrap();
    assert_eq!(read["query"], expected);
    let again = documents(&wide).unwrap();
    assert_eq!((again[0].ask.limit, again[0].ask.offset), (Some(50), 0));
    assert_eq!(again[0].ask.fingerprint, asks[0].ask.fingerprint);
    assert_eq!(again[1].ask.limit, Some(100));
}

#[test]
fn what_is_no_literal_is_never_rewritten() {
    let escaped = br#"{"query":"{Get{P(limit:\u0031\u0030,bm25:{query:\"a\"}){sku}}}"}"#;
    let asked = &documents(escaped).unwrap()[0];
    assert_eq!(asked.ask.limit, Some(10));
    assert_eq!(asked.decide(Some(50)), Decision::Leave(Left::Unclear));
    assert_eq!(with_window(escaped, &[(asked, 50)]), Err(Doubt::Misplaced));
    let plain = body("{Get{P(limit:10,bm25:{query:\"a\"}){sku}}}");
    let asked = &documents(&plain).unwrap()[0];
    assert_eq!(with_window(&plain, &[(asked, 50), (asked, 60)]), Err(Doubt::Misplaced));
    assert_eq!(with_window(b"{}", &[(asked, 50)]), Err(Doubt::Misplaced));
    assert_eq!(with_window(&body("{Get{}}"), &[(asked, 50)]), Err(Doubt::Misplaced));
    assert_eq!(with_window(&plain, &[]).unwrap(), plain);
}

#[test]
fn what_is_missing_is_added_to_a_selection() {
    let added = |selection: &str, added: &[Added<'_>]| {
        let body = body(&format!("{{Get{{P(bm25:{{query:\"a\"}}){{{selection}}}}}}}"));
        let asks = documents(&body).unwrap();
        let more = with_selection(&body, &[(&asks[0], added)])?;
        let read: serde_json::Value = serde_json::from_slice(&more).unwrap();
        let asks = documents(&more).unwrap();
        let text = read["query"].as_str().unwrap().to_owned();
        let selection = text.trim_start_matches("{Get{P(bm25:{query:\"a\"}){").to_owned();
        Ok((selection.strip_suffix("}}}").unwrap().to_owned(), asks[0].clone()))
    };
    let (text, asked) = added("name", &[Added::Id, Added::Property("sku")]).unwrap();
    assert_eq!(text, "sku _additional{id} name");
    assert!(asked.additional_id && asked.selects("sku") && asked.selects("name"));
    let (text, asked) = added("name _additional { score }", &[Added::Id]).unwrap();
    assert_eq!(text, "name _additional {id  score }");
    assert!(asked.additional_id && asked.additional_score);
    let both = [Added::Id, Added::Property("name")];
    assert_eq!(added("name _additional{id}", &both).unwrap().0, "name _additional{id}");
    assert_eq!(added("name", &[Added::Property("a b")]), Err(Doubt::Misplaced));
    assert_eq!(added("name", &[Added::Property("")]), Err(Doubt::Misplaced));
}

proptest! {
    #[test]
    fn noise_is_read_without_a_panic(text in any::<String>()) {
        let _ = documents(text.as_bytes());
        let _ = documents(&body(&text));
    }

    #[test]
    fn a_rewritten_limit_is_the_only_change(
        (limit, offset, new) in (1_u32..1_000, 0_u32..1_000, 1_u32..10_000),
        words in "[ a-zé\"\\\\:{}#\n]{0,20}",
        before in "( |,|\n|# limit: 1 \"\n|\u{feff}){0,3}",
    ) {
        let words = serde_json::to_string(&words).unwrap();
        let text = |limit: u32, offset: u32| {
            format!("{before}{{Get{{x:P({before}bm25:{{query:{words}}} limit:{before}{limit}{before},\
                     offset:{offset}){{sku}}}}}}")
        };
        let body = body(&text(limit, offset));
        let asks = documents(&body).unwrap();
        let wide = with_window(&body, &[(&asks[0], new)]).unwrap();
        prop_assert_eq!(&wide, &self::body(&text(new, 0)));
        let mut expected = asks[0].ask.clone();
        (expected.limit, expected.offset) = (Some(new), 0);
        prop_assert_eq!(&documents(&wide).unwrap()[0].ask, &expected);
    }
}
