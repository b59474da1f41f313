//! Weaviate's searches: any bytes are read without a panic, documents say what their maker meant,
//! and a wider request differs in the digits of its limits and offsets only.

use leafrank::wire::weaviate::graphql::{Added, documents, with_selection, with_window};
use leafrank::wire::weaviate::{Decision, Operator, rest};
use serde_json::Value;

use crate::fuzz_time;
use crate::shapes::Choices;

const BLANKS: [&str; 8] =
    ["", " ", ",", "\n", "\r\n\t ", " # limit: 9 \"\"\" {\n", "\u{feff}", ",, #\r"];
/// Words to search for, as written in a document and as meant.
const WORDS: [(&str, &str); 8] = [
    ("\"\"", ""),
    ("\"oat milk\"", "oat milk"),
    ("\"limit: 7, offset: 8 # {\"", "limit: 7, offset: 8 # {"),
    (r#""a \"limit: 3\" \\ b""#, r#"a "limit: 3" \ b"#),
    (r#""caf\u00e9 \ud83c\udf4e""#, "café 🍎"),
    ("\"crème 🍎\"", "crème 🍎"),
    ("\"\"\"limit: 5 \"quoted\" \\\"\"\" # no\"\"\"", "limit: 5 \"quoted\" \"\"\" # no"),
    ("\"\"\"\n    two\n      lines\n  \"\"\"", "two\n  lines"),
];
/// Arguments that hold limits and are none; each name once.
const DECOYS: [&str; 4] = [
    "where:{operator:And,operands:[{path:[\"limit\"],valueInt:5},{limit:[[1,2],[],{limit:3}]}]}",
    "consistencyLevel:ONE",
    "tenant:\"limit: 4\"",
    "",
];
const SELECTIONS: [&str; 6] = [
    "sku",
    "_additional{id}",
    "_additional{score distance}",
    "limit(limit:5){limit}",
    "ref{...on Other{limit(offset:1) x:offset ...F}}",
    "name",
];
/// Bytes that mean something to GraphQL or to JSON.
const BREAKERS: &[u8] = b"{}()[]:,\"\\#$@.!5-\x00\xff";

/// What the maker of a document meant by one list.
struct Meant {
    at: String,
    operator: Option<Operator>,
    words: &'static str,
    limit: Option<u32>,
    offset: u32,
    /// Where the digits are in the document.
    digits: Vec<(std::ops::Range<usize>, bool)>,
}

/// Writes documents.
struct Maker<'c, 'b> {
    choices: &'c mut Choices<'b>,
    text: String,
    meant: Vec<Meant>,
}

impl Maker<'_, '_> {
    fn blank(&mut self) {
        self.text.push_str(self.choices.pick(&BLANKS));
    }

    /// Writes a token with blanks around it.
    fn token(&mut self, token: &str) {
        self.blank();
        self.text.push_str(token);
        self.blank();
    }

    /// Writes a name or number, apart from what stands before it.
    fn word(&mut self, word: &str) {
        self.text.push(' ');
        self.token(word);
    }

    fn document(&mut self, prefix: &str) {
        let query = self.choices.pick(&["", "query", "query Q"]);
        self.token(query);
        self.token("{");
        if self.choices.next().is_multiple_of(4) {
            self.token("Aggregate{P(limit:3){topOccurrences(limit:3){value}}}");
        }
        self.word("Get");
        self.token("{");
        for number in 0..1 + self.choices.next() % 3 {
            self.list(prefix, number);
        }
        self.token("}");
        self.token("}");
    }

    fn list(&mut self, prefix: &str, number: usize) {
        let key = format!("list{number}");
        self.word(&key);
        self.token(":");
        self.word("Product");
        let at = format!("{prefix}/data/Get/{key}");
        let (operator, words, limit, offset) = (None, "", None, 0);
        self.meant.push(Meant { at, operator, words, limit, offset, digits: Vec::new() });
        self.token("(");
        let first = self.choices.next();
        for turn in 0..4 {
            match (first + turn) % 4 {
                0 => self.operator(),
                1 if !self.choices.next().is_multiple_of(4) => self.number("limit"),
                2 if !self.choices.next().is_multiple_of(2) => self.number("offset"),
                _ => {
                    let decoy = self.choices.pick(&DECOYS[turn..turn + 1]);
                    self.word(decoy);
                }
            }
        }
        self.token(")");
        self.token("{");
        for _ in 0..1 + self.choices.next() % 4 {
            let selection = self.choices.pick(&SELECTIONS);
            self.word(selection);
        }
        self.token("}");
    }

    fn number(&mut self, name: &str) {
        let number = (self.choices.next() % 120) as u32;
        self.word(name);
        self.token(":");
        self.blank();
        let start = self.text.len();
        self.text.push_str(&number.to_string());
        let digits = start..self.text.len();
        self.blank();
        let Some(meant) = self.meant.last_mut() else { return };
        if name == "limit" {
            meant.limit = (number > 0).then_some(number);
        } else {
            meant.offset = number;
        }
        meant.digits.push((digits, name == "limit"));
    }

    fn operator(&mut self) {
        let (written, words) = WORDS[self.choices.next() % WORDS.len()];
        let (operator, name, before, after) = match self.choices.next() % 5 {
            0 => (Operator::Bm25, "bm25", "properties:[\"limit\"] query:", "}"),
            1 => (Operator::Hybrid, "hybrid", "vector:[0.5,-1,2e3],query:", ",alpha:0.5}"),
            2 => (Operator::NearText, "nearText", "moveTo:{force:1}concepts:[", "]}"),
            3 => (Operator::NearText, "ask", "question:", "}"),
            // nothing ranks this one
            _ => return,
        };
        self.word(name);
        self.token(":");
        self.token("{");
        self.token(before);
        self.token(written);
        self.token(after);
        if let Some(meant) = self.meant.last_mut() {
            (meant.operator, meant.words) = (Some(operator), words);
        }
    }
}

/// The text as a JSON string, in which any character but digits may be escaped.
fn quoted(text: &str, choices: &mut Choices<'_>) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' || (!c.is_ascii_digit() && choices.next() % 16 == 1) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Where lists may be widened they can be, and ask for the same but for limit and offset.
fn widens(body: &[u8]) {
    let Ok(asks) = documents(body) else { return };
    let wide = |asked: &&leafrank::wire::weaviate::graphql::GraphqlAsk| {
        matches!(asked.decide(Some(100)), Decision::Widen { .. })
    };
    let lists: Vec<_> = asks.iter().filter(wide).map(|asked| (asked, 4_321)).collect();
    let wider = with_window(body, &lists).expect("what may be widened");
    let again = documents(&wider).expect("what was read before");
    assert_eq!(again.len(), asks.len());
    for (asked, again) in asks.iter().zip(&again) {
        let mut expected = asked.ask.clone();
        if wide(&asked) {
            (expected.limit, expected.offset) = (Some(4_321), 0);
        }
        assert_eq!((&again.ask, &again.at), (&expected, &asked.at));
    }
    for asked in asks.iter().filter(|asked| !asked.ask.unclear) {
        let more = [Added::Id, Added::Property("tags")];
        let Ok(more) = with_selection(body, &[(asked, &more)]) else { continue };
        let again = documents(&more).expect("what was read before");
        let again = again.iter().find(|again| again.at == asked.at).expect("the list");
        assert!(again.additional_id && again.selects("tags") && !again.ask.unclear);
    }
}

#[test]
fn documents_say_what_their_maker_meant_and_only_digits_are_rewritten() {
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        let mut choices = Choices::new(bytes);
        let batch = choices.next().is_multiple_of(3);
        let mut maker = Maker { choices: &mut choices, text: String::new(), meant: Vec::new() };
        maker.document(if batch { "/1" } else { "" });
        let Maker { text, meant, .. } = maker;
        let quoted = quoted(&text, &mut choices);
        let body = match batch {
            true => format!("[{{\"query\":\"\"}},{{\"query\" :{quoted}}}, 5]"),
            false => format!("{{\"operationName\":null,\"query\":{quoted}}}"),
        };
        let asks = documents(body.as_bytes()).unwrap_or_else(|doubt| panic!("{doubt}: {text}"));
        assert_eq!(asks.len(), meant.len(), "{text}");
        let mut lists = Vec::new();
        let mut digits = Vec::new();
        for (asked, meant) in asks.iter().zip(&meant) {
            assert_eq!(asked.at, meant.at);
            assert!(!asked.ask.unclear, "{text}");
            let ask = (asked.ask.operator, asked.ask.query.as_str(), asked.ask.limit);
            assert_eq!(ask, (meant.operator, meant.words, meant.limit), "{text}");
            assert_eq!(asked.ask.offset, meant.offset, "{text}");
            if meant.limit.is_some() {
                lists.push((asked, 4_321));
                let kept = |(_, limit): &&(_, bool)| *limit || meant.offset > 0;
                digits.extend(meant.digits.iter().filter(kept).cloned());
            }
        }
        let wide = with_window(body.as_bytes(), &lists).unwrap();
        let read: Value = serde_json::from_slice(&wide).unwrap();
        let read = if batch { &read[1]["query"] } else { &read["query"] };
        let mut expected = text.clone();
        digits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        for (span, limit) in digits {
            expected.replace_range(span, if limit { "4321" } else { "0" });
        }
        assert_eq!(read, &expected);
        assert_eq!(wide.len() + text.len(), body.len() + expected.len());
        widens(body.as_bytes());
    });
}

#[test]
fn damaged_requests_are_read_without_a_panic_and_widen_only_where_they_can() {
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        let mut choices = Choices::new(bytes);
        let mut maker = Maker { choices: &mut choices, text: String::new(), meant: Vec::new() };
        maker.document("");
        let mut text = maker.text.into_bytes();
        for _ in 0..1 + choices.next() % 3 {
            let at = (choices.next() << 8 | choices.next()) % text.len();
            match choices.next() % 3 {
                0 => text[at] = BREAKERS[choices.next() % BREAKERS.len()],
                1 => drop(text.remove(at)),
                _ => text.insert(at, BREAKERS[choices.next() % BREAKERS.len()]),
            }
        }
        let query = serde_json::to_string(&String::from_utf8_lossy(&text)).unwrap();
        let mut body = format!("{{\"query\":{query},\"variables\":{{\"q\":5}}}}").into_bytes();
        widens(&body);
        choices.damage(&mut body);
        widens(&body);
    });
}

#[test]
fn noise_is_read_without_a_panic() {
    bolero::check!().with_test_time(fuzz_time() / 2).for_each(|bytes: &[u8]| {
        widens(bytes);
        widens(format!("{{\"query\":{:?}}}", String::from_utf8_lossy(bytes)).as_bytes());
        let query = serde_json::to_string(&String::from_utf8_lossy(bytes)).unwrap();
        widens(format!("{{\"query\":{query}}}").as_bytes());
        let _ = rest::search(&String::from_utf8_lossy(bytes), bytes);
    });
}

#[test]
fn rest_searches_widen_in_their_numbers_only() {
    bolero::check!().with_test_time(fuzz_time() / 2).for_each(|bytes: &[u8]| {
        const MEMBERS: [&str; 8] = [
            "\"query\":\"limit\\\":5\"",
            "\"limit\": 10",
            "\"offset\":20 ",
            "\"Limit\":0",
            "\"where\":{\"limit\":5}",
            "\"offset\":null",
            "\"limit\":1e1",
            "\"tenant\":\"a\"",
        ];
        let mut choices = Choices::new(bytes);
        let members: Vec<&str> = (0..choices.next() % 5).map(|_| choices.pick(&MEMBERS)).collect();
        let mut body = format!("{{{}}}", members.join(",")).into_bytes();
        choices.damage(&mut body);
        let path = "/v1/search/Product/near-text";
        let Ok(Some(asked)) = rest::search(path, &body) else { return };
        if !matches!(asked.decide(Some(100)), Decision::Widen { .. }) {
            return;
        }
        let wide = rest::with_window(&body, &asked, 99).unwrap();
        let (mut before, mut after): (Value, Value) =
            (serde_json::from_slice(&body).unwrap(), serde_json::from_slice(&wide).unwrap());
        let again = rest::search(path, &wide).unwrap().unwrap();
        assert_eq!((again.ask.limit, again.ask.offset), (Some(99), 0));
        // the server does not look at the case of keys
        let paging = |key: &String| matches!(key.to_lowercase().as_str(), "limit" | "offset");
        for members in [&mut before, &mut after] {
            members.as_object_mut().unwrap().retain(|key, _| !paging(key));
        }
        assert_eq!(before, after);
    });
}
