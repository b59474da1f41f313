//! The independent judge: the part of Weaviate's schema that matters, as prost reads it.

use std::collections::BTreeMap;

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SearchReply {
    #[prost(float, tag = "1")]
    pub(crate) took: f32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) results: Vec<SearchResult>,
    #[prost(string, optional, tag = "3")]
    pub(crate) generative_grouped_result: Option<String>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) group_by_results: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) generative_grouped_results: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) query_profile: Option<Vec<u8>>,
}

/// The same message without a look into its hits.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ShallowReply {
    #[prost(float, tag = "1")]
    pub(crate) took: f32,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) results: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) generative_grouped_result: Option<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) group_by_results: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(crate) generative_grouped_results: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) query_profile: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SearchResult {
    #[prost(message, optional, tag = "1")]
    pub(crate) properties: Option<PropertiesResult>,
    #[prost(message, optional, tag = "2")]
    pub(crate) metadata: Option<MetadataResult>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) generative: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PropertiesResult {
    #[prost(string, tag = "3")]
    pub(crate) target_collection: String,
    #[prost(message, optional, tag = "11")]
    pub(crate) non_ref_props: Option<Properties>,
    #[prost(bool, tag = "12")]
    pub(crate) ref_props_requested: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetadataResult {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(float, tag = "7")]
    pub(crate) distance: f32,
    #[prost(bool, tag = "8")]
    pub(crate) distance_present: bool,
    #[prost(float, tag = "11")]
    pub(crate) score: f32,
    #[prost(bool, tag = "12")]
    pub(crate) score_present: bool,
    #[prost(string, tag = "13")]
    pub(crate) explain_score: String,
    #[prost(bytes = "vec", tag = "16")]
    pub(crate) generative: Vec<u8>,
    #[prost(bool, tag = "17")]
    pub(crate) generative_present: bool,
    #[prost(bytes = "vec", tag = "20")]
    pub(crate) id_as_bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Properties {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    pub(crate) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Kind {
    #[prost(double, tag = "1")]
    Number(f64),
    #[prost(string, tag = "2")]
    OldText(String),
    #[prost(bool, tag = "3")]
    Bool(bool),
    #[prost(message, tag = "4")]
    Object(Properties),
    #[prost(message, tag = "5")]
    List(ListValue),
    #[prost(string, tag = "6")]
    Date(String),
    #[prost(string, tag = "7")]
    Uuid(String),
    #[prost(int64, tag = "8")]
    Int(i64),
    #[prost(bytes, tag = "9")]
    Geo(Vec<u8>),
    #[prost(string, tag = "10")]
    Blob(String),
    #[prost(bytes, tag = "11")]
    Phone(Vec<u8>),
    #[prost(int32, tag = "12")]
    Null(i32),
    #[prost(string, tag = "13")]
    Text(String),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListValue {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Value>,
    #[prost(oneof = "ListKind", tags = "2, 5, 6, 7, 8")]
    pub(crate) kind: Option<ListKind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ListKind {
    #[prost(message, tag = "2")]
    Numbers(Packed),
    #[prost(message, tag = "5")]
    Dates(Texts),
    #[prost(message, tag = "6")]
    Uuids(Texts),
    #[prost(message, tag = "7")]
    Ints(Packed),
    #[prost(message, tag = "8")]
    Texts(Texts),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Texts {
    #[prost(string, repeated, tag = "1")]
    pub(crate) values: Vec<String>,
}

/// Numbers of eight little-endian bytes each.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Packed {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) values: Vec<u8>,
}

/// What a hit says, under the pointers that the tests use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) brand: Option<String>,
    pub(crate) attributes: Vec<String>,
    pub(crate) terms: Vec<String>,
    pub(crate) price: Option<f32>,
    pub(crate) score: Option<f64>,
    pub(crate) in_stock: Option<bool>,
}

/// What the shape of a hit in [`Facts`] is, read from prost's tree.
pub(crate) fn facts(hit: &SearchResult) -> Facts {
    let nothing = MetadataResult::default();
    let metadata = hit.metadata.as_ref().unwrap_or(&nothing);
    let properties = hit.properties.as_ref().and_then(|it| it.non_ref_props.as_ref());
    let kind = |name: &str| properties.and_then(|it| it.fields.get(name)?.kind.as_ref());
    let brand = match kind("brand") {
        Some(Kind::Object(brand)) => brand.fields.get("name").and_then(|name| name.kind.as_ref()),
        _ => None,
    };
    let joined = kind("category").map(texts).unwrap_or_default().join("/");
    let has_category = kind("category").is_some_and(|kind| !texts(kind).is_empty());
    Facts {
        id: match metadata.id.as_str() {
            "" => uuid(&metadata.id_as_bytes).unwrap_or_default(),
            id => id.to_owned(),
        },
        name: kind("name").and_then(text),
        category: has_category.then_some(joined),
        brand: brand.and_then(text),
        attributes: kind("searchTerms").map(texts).unwrap_or_default(),
        terms: match kind("terms") {
            Some(Kind::List(list)) => {
                let old = list.values.iter().filter_map(|value| value.kind.as_ref());
                old.flat_map(texts).chain(new_texts(list)).collect()
            }
            _ => Vec::new(),
        },
        price: kind("retailPrice").and_then(number).map(|n| n as f32).filter(|n| n.is_finite()),
        score: (metadata.score_present && metadata.score.is_finite())
            .then_some(f64::from(metadata.score)),
        in_stock: kind("isOrganic").and_then(|kind| match kind {
            Kind::Bool(truth) => Some(*truth),
            kind => match (number(kind), text(kind)?.trim().to_lowercase().as_str()) {
                (Some(number), _) => Some(number > 0.0),
                (None, "true") => Some(true),
                (None, "false") => Some(false),
                _ => None,
            },
        }),
    }
}

fn text(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Text(text) | Kind::OldText(text) | Kind::Date(text) | Kind::Uuid(text) => {
            Some(text.clone())
        }
        Kind::Number(number) => Some(format!("{number}")),
        Kind::Int(number) => Some(format!("{number}")),
        Kind::Bool(truth) => Some(format!("{truth}")),
        _ => None,
    }
}

fn number(kind: &Kind) -> Option<f64> {
    let number = match kind {
        Kind::Bool(_) => None,
        Kind::Int(number) => Some(*number as f64),
        Kind::Number(number) => Some(*number),
        kind => text(kind)?.trim().parse().ok(),
    };
    number.filter(|number| number.is_finite())
}

fn texts(kind: &Kind) -> Vec<String> {
    let Kind::List(list) = kind else { return text(kind).into_iter().collect() };
    let old = list.values.iter().filter_map(|value| text(value.kind.as_ref()?));
    old.chain(new_texts(list)).collect()
}

fn new_texts(list: &ListValue) -> Vec<String> {
    match &list.kind {
        Some(ListKind::Texts(list) | ListKind::Dates(list) | ListKind::Uuids(list)) => {
            list.values.clone()
        }
        Some(ListKind::Numbers(list)) => {
            let number = |eight: &[u8]| f64::from_le_bytes(eight.try_into().unwrap()).to_string();
            list.values.chunks_exact(8).map(number).collect()
        }
        Some(ListKind::Ints(list)) => {
            let number = |eight: &[u8]| i64::from_le_bytes(eight.try_into().unwrap()).to_string();
            list.values.chunks_exact(8).map(number).collect()
        }
        None => Vec::new(),
    }
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(bytes.try_into().ok()?);
    let text = format!("{number:032x}");
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    Some(parts.join("-"))
}
