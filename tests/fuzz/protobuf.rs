//! The protobuf walker against prost: what prost refuses is refused or left unread, and what is
//! read is what prost reads.

use leafrank::wire::weaviate::grpc::{GrpcPlan, Stripped, cut, framed, request, with_window};
use leafrank::wire::weaviate::protobuf::{Records, put_bytes, put_number, put_varint};
use leafrank::wire::{DecodeLimits, HitMap, HitView, KnownHits, Pointer, Reply, splice};
use prost::Message;

use crate::fuzz_time;

#[path = "../../src/wire/weaviate/grpc/tests/judge.rs"]
mod judge;

use judge::{Facts, SearchReply, ShallowReply, facts};

/// What a field holds in the messages that are made: its type, or the level of its message.
#[derive(Clone, Copy)]
enum Holds {
    Varint,
    Fixed32,
    Fixed64,
    Text,
    Packed,
    Message(usize),
}

use Holds::{Fixed32, Fixed64, Packed, Text, Varint};

const PROPERTIES: usize = 4;
const VALUE: usize = 6;

/// Fields by level: a reply, a hit, its properties and metadata, a map, its entries, values, lists.
const LEVELS: [&[(u32, Holds)]; 10] = [
    &[(2, Holds::Message(1)), (2, Holds::Message(1)), (1, Fixed32), (6, Text), (900, Varint)],
    &[(1, Holds::Message(2)), (2, Holds::Message(3)), (2, Holds::Message(3)), (901, Fixed64)],
    &[(11, Holds::Message(PROPERTIES)), (11, Holds::Message(PROPERTIES)), (3, Text), (12, Varint)],
    &[(1, Text), (1, Text), (11, Fixed32), (12, Varint), (20, Text), (902, Fixed32)],
    &[(1, Holds::Message(5))],
    &[(1, Text), (1, Text), (2, Holds::Message(VALUE)), (2, Holds::Message(VALUE)), (3, Varint)],
    &[
        (13, Text),
        (13, Text),
        (1, Fixed64),
        (2, Text),
        (3, Varint),
        (4, Holds::Message(PROPERTIES)),
        (5, Holds::Message(7)),
        (6, Text),
        (8, Varint),
        (9, Text),
        (12, Varint),
    ],
    &[
        (8, Holds::Message(8)),
        (1, Holds::Message(VALUE)),
        (5, Holds::Message(8)),
        (2, Holds::Message(9)),
    ],
    &[(1, Text)],
    &[(1, Packed)],
];
const TEXTS: [&str; 12] = [
    "name",
    "brand",
    "category",
    "searchTerms",
    "terms",
    "retailPrice",
    "isOrganic",
    "",
    " 7.5",
    "true",
    "caf\u{e9}",
    "0123456789abcdef",
];
const DEPTH_MAX: usize = 14;

/// Reads choices off fuzz bytes; zeros when they run out.
struct Choices<'b>(std::slice::Iter<'b, u8>);

impl Choices<'_> {
    fn next(&mut self) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0))
    }

    /// Appends the fields of a message of this level.
    fn message(&mut self, level: usize, depth: usize, out: &mut Vec<u8>) {
        let fields = LEVELS[level];
        for _ in 0..self.next() % 5 {
            let (number, holds) = fields[self.next() % fields.len()];
            match holds {
                Varint => put_number(out, number, (self.next() as u64) << (self.next() % 64)),
                Fixed32 => {
                    put_varint(out, u64::from(number) << 3 | 5);
                    out.extend_from_slice(&(self.next() as f32 / 8.0).to_le_bytes());
                }
                Fixed64 => {
                    put_varint(out, u64::from(number) << 3 | 1);
                    out.extend_from_slice(&(self.next() as f64 / 8.0).to_le_bytes());
                }
                Text => put_bytes(out, number, TEXTS[self.next() % TEXTS.len()].as_bytes()),
                Packed => put_bytes(out, number, &vec![7; 8 * (self.next() % 3)]),
                Holds::Message(level) => {
                    let mut inner = Vec::new();
                    if depth < DEPTH_MAX {
                        self.message(level, depth + 1, &mut inner);
                    }
                    put_bytes(out, number, &inner);
                }
            }
        }
    }

    /// Changes, removes or adds a few bytes.
    fn damage(&mut self, message: &mut Vec<u8>) {
        for _ in 0..self.next() % 4 {
            if message.is_empty() {
                return;
            }
            let at = (self.next() << 8 | self.next()) % message.len();
            match self.next() % 4 {
                0 => message[at] = self.next() as u8,
                1 => drop(message.remove(at)),
                2 => message.insert(at, self.next() as u8),
                _ => message[at] = message[at].wrapping_add(1),
            }
        }
    }
}

fn map() -> HitMap {
    let at = |text| Pointer::parse(text).unwrap();
    HitMap {
        id: at("/id"),
        name: Some(at("/name")),
        category: Some(at("/category")),
        brand: Some(at("/brand/name")),
        attributes: Some(at("/properties/searchTerms")),
        terms: Some(at("/terms/*")),
        price: Some(at("/retailPrice")),
        score: Some(at("/_additional/score")),
        stock: Some(at("/isOrganic")),
        ..HitMap::default()
    }
}

fn seen(hit: &HitView<'_>) -> Facts {
    let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let words = hit.words();
    Facts {
        id: hit.id.clone().into_owned(),
        name: owned(&words.name),
        category: owned(&words.category),
        brand: owned(&words.brand),
        attributes: words.attributes.iter().map(|text| text.clone().into_owned()).collect(),
        terms: words.terms.iter().map(|text| text.clone().into_owned()).collect(),
        price: hit.price,
        score: hit.score,
        in_stock: hit.in_stock,
    }
}

/// Holds the laws for one message; answers whether its hits were read and prost read them too.
fn judged(message: &[u8], plan: &GrpcPlan) -> bool {
    let walked: Result<Vec<_>, _> = Records::new(message).collect();
    if walked.is_ok() {
        assert!(<() as Message>::decode(message).is_ok(), "walked, but prost refuses");
    }
    let body = framed(message).unwrap();
    let Ok(reply) = plan.decode(&body, &DecodeLimits::default()) else { return false };
    assert!(walked.is_ok());
    recognised(&body, plan, &reply);
    let list = &reply.lists[0];
    let shallow = ShallowReply::decode(message).expect("what was read is no reply to prost");
    assert_eq!(shallow.results.len(), list.hits.len());
    for (hit, result) in list.hits.iter().zip(&shallow.results) {
        let record = &body[hit.span.start as usize..hit.span.end as usize];
        assert!(record.ends_with(result) && record[0] == 0x12);
    }
    let mut order: Vec<u32> = (0..list.hits.len() as u32).collect();
    order.reverse();
    let spliced = splice(&body, &[(list, &order)]).unwrap();
    assert_eq!(spliced.len(), body.len());
    let mut expected = shallow;
    expected.results.reverse();
    // NaN is not itself, but is written alike
    let moved = ShallowReply::decode(&spliced[5..]).unwrap();
    assert_eq!(moved.encode_to_vec(), expected.encode_to_vec(), "{moved:?} is not {expected:?}");
    let stripped = Stripped { score: true, properties: vec!["name".into()] };
    if let Ok(narrow) = cut(&body, list, &order, 0..1, &stripped) {
        assert!(Records::new(&narrow[5..]).all(|record| record.is_ok()));
    }
    let Ok(deep) = SearchReply::decode(message) else { return false };
    let expected: Vec<_> = deep.results.iter().map(facts).collect();
    let hits: Vec<_> = list.hits.iter().map(seen).collect();
    assert_eq!(format!("{hits:?}"), format!("{expected:?}"));
    true
}

/// Hits that come again say what they said.
fn recognised(body: &[u8], plan: &GrpcPlan, reply: &Reply<'_>) {
    let known = KnownHits::new(1 << 20);
    for _ in 0..2 {
        let again = plan.decode(body, &DecodeLimits::knowing(&known)).unwrap();
        let said = |reply: &Reply<'_>| -> Vec<_> {
            let hits = reply.lists[0].hits.iter();
            hits.map(|hit| (hit.span.clone(), hit.digest(), format!("{:?}", seen(hit)))).collect()
        };
        assert_eq!(said(&again), said(reply));
    }
}

#[test]
fn replies_are_read_as_prost_reads_them_or_left() {
    let plan = GrpcPlan::new(&map());
    bolero::check!().with_test_time(fuzz_time()).for_each(|bytes: &[u8]| {
        judged(bytes, &plan);
        let (harm, rest) = bytes.split_at(bytes.len().min(12));
        let mut message = Vec::new();
        Choices(rest.iter()).message(0, 0, &mut message);
        assert!(Records::new(&message).all(|record| record.is_ok()));
        judged(&message, &plan);
        Choices(harm.iter()).damage(&mut message);
        judged(&message, &plan);
    });
}

#[test]
fn a_reply_with_a_field_of_each_kind_is_read_and_judged() {
    let texts = |words: &[&str]| {
        let mut list = Vec::new();
        words.iter().for_each(|word| put_bytes(&mut list, 1, word.as_bytes()));
        list
    };
    let (mut list, mut value, mut entry, mut map) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut list, 8, &texts(&["a", "b"]));
    put_bytes(&mut value, 5, &list);
    put_bytes(&mut entry, 1, b"terms");
    put_bytes(&mut entry, 2, &value);
    put_bytes(&mut map, 1, &entry);
    let (mut properties, mut metadata, mut hit, mut message) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut properties, 11, &map);
    put_bytes(&mut metadata, 1, b"id-1");
    put_bytes(&mut hit, 1, &properties);
    put_bytes(&mut hit, 2, &metadata);
    put_bytes(&mut message, 2, &hit);
    assert!(judged(&message, &GrpcPlan::new(&self::map())));
}

#[test]
fn a_request_of_any_bytes_keeps_everything_but_its_page() {
    bolero::check!().with_test_time(fuzz_time() / 5).for_each(|bytes: &[u8]| {
        let (Ok(before), Ok(widened)) = (request(bytes), with_window(bytes, 100, 0)) else {
            return;
        };
        let mut after = request(&widened).unwrap();
        assert_eq!((after.list.limit, after.list.offset), (Some(100), 0));
        (after.list.limit, after.list.offset) = (before.list.limit, before.list.offset);
        assert_eq!(after, before);
    });
}
