//! One line of a log.
//!
//! In: a line of JSON. Out: what it says, borrowing from it, or what is wrong with it. Two formats,
//! told apart by their first key:
//!
//! ```text
//! common    {"k":"event",t,user,session,type,product,qty?}  {"k":"search",t,user,session,query,list,truth,score,ranked?}
//! Metarank  {"event":"item"|"user"|"ranking"|"interaction", id, timestamp, …}
//! ```
//!
//! Times are seconds in the first, milliseconds in the second. A catalogue's line is
//! `{id, name?, category?, subcategory?, brand?, attributes?, price?}`.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::log::Description;
use crate::types::clock::Timestamp;
use crate::types::interaction::InteractionKind;
use crate::yaml::{nearest, printable};

/// What one line says.
pub(super) enum Line<'a> {
    Event(Event<'a>),
    Search(Search<'a>),
    Product {
        id: Cow<'a, str>,
        description: Description,
    },
    /// Nothing that a replay needs.
    Nothing,
}

/// Who did it.
pub(super) struct Who<'a> {
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) session: Option<Cow<'a, str>>,
}

/// What somebody did.
pub(super) struct Event<'a> {
    pub(super) at: Timestamp,
    pub(super) who: Who<'a>,
    pub(super) product: Cow<'a, str>,
    pub(super) kind: InteractionKind,
    pub(super) quantity: f32,
    /// The ranking that it belongs to.
    pub(super) ranking: Option<Cow<'a, str>>,
}

/// A list that somebody was shown.
pub(super) struct Search<'a> {
    pub(super) at: Timestamp,
    pub(super) who: Who<'a>,
    pub(super) query: Cow<'a, str>,
    pub(super) list: Vec<Cow<'a, str>>,
    pub(super) truth: Vec<Cow<'a, str>>,
    pub(super) scored: bool,
    /// It went out in our order.
    pub(super) ranked: bool,
    pub(super) id: Option<Cow<'a, str>>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) column: u32,
    pub(super) key: &'static str,
    pub(super) found: String,
    pub(super) expected: String,
    pub(super) suggestion: Option<String>,
}

impl Said {
    pub(super) fn of(
        key: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self { column: 1, key, found, expected, suggestion: None }
    }

    pub(super) fn bad_id(key: &'static str, id: &str) -> Self {
        let expected = "an id of 1 to 256 bytes without control characters";
        Self::of(key, format!("found \"{}\"", printable(id)), expected)
    }

    fn word(key: &'static str, word: &str, words: &[&str]) -> Self {
        let expected = format!("one of {}", words.join(", "));
        let suggestion = nearest(word, words).map(str::to_owned);
        Self { suggestion, ..Self::of(key, format!("found \"{}\"", printable(word)), expected) }
    }

    fn missing(key: &'static str) -> Self {
        Self::of(key, "missing", format!("a {key}"))
    }

    fn json(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let found = text.split(" at line ").next().unwrap_or(&text).to_owned();
        let column = u32::try_from(error.column()).unwrap_or(u32::MAX);
        Self { column, ..Self::of("", found, "one JSON object a line") }
    }
}

/// A text, or a number that stands for one: ids come as either.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a whole number")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(number.to_string())))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

/// The keys of all kinds of lines.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    k: Option<Text<'a>>,
    event: Option<Text<'a>>,
    t: Option<f64>,
    timestamp: Option<Text<'a>>,
    user: Option<Text<'a>>,
    session: Option<Text<'a>>,
    #[serde(rename = "type")]
    kind: Option<Text<'a>>,
    product: Option<Text<'a>>,
    item: Option<Text<'a>>,
    qty: Option<f32>,
    query: Option<Text<'a>>,
    list: Option<Vec<Text<'a>>>,
    truth: Option<Vec<Text<'a>>>,
    score: Option<bool>,
    ranked: Option<bool>,
    id: Option<Text<'a>>,
    ranking: Option<Text<'a>>,
    items: Option<Vec<Item<'a>>>,
    fields: Option<Vec<Field>>,
}

/// A hit of one of Metarank's rankings.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

/// A field of one of Metarank's items.
#[derive(Deserialize)]
struct Field {
    name: String,
    value: serde_json::Value,
}

#[derive(Deserialize)]
struct RawProduct {
    id: serde_json::Value,
    #[serde(alias = "title")]
    name: Option<String>,
    category: Option<String>,
    subcategory: Option<String>,
    brand: Option<String>,
    #[serde(default)]
    attributes: Vec<String>,
    price: Option<f32>,
}

/// Reads a line of a log.
pub(super) fn parse(text: &str) -> Result<Line<'_>, Said> {
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|error| Said::json(&error))?;
    let kind = raw.k.as_ref().map(|kind| kind.0.clone());
    let theirs = raw.event.as_ref().map(|event| event.0.clone());
    match (kind.as_deref(), theirs.as_deref()) {
        (Some("event"), _) => event(raw, |raw| raw.product.take(), "product"),
        (Some("search"), _) => search(raw),
        (Some(other), _) => Err(Said::word("k", other, &["event", "search"])),
        (None, Some("interaction")) => event(raw, |raw| raw.item.take(), "item"),
        (None, Some("ranking")) => search(raw),
        (None, Some("item")) => item(raw),
        (None, Some("user")) => Ok(Line::Nothing),
        (None, Some(other)) => {
            Err(Said::word("event", other, &["item", "user", "ranking", "interaction"]))
        }
        (None, None) => Err(Said::of(
            "k",
            "missing",
            "\"k\" (event or search) of the common format, or \"event\" of Metarank's",
        )),
    }
}

/// Reads a line of a catalogue.
pub(super) fn parse_product(text: &str) -> Result<(String, Description), Said> {
    let raw: RawProduct = serde_json::from_str(text).map_err(|error| Said::json(&error))?;
    let id = match raw.id {
        serde_json::Value::String(id) => id,
        serde_json::Value::Number(id) => id.to_string(),
        other => return Err(Said::of("id", format!("found {other}"), "a text or a number")),
    };
    let category = [raw.category, raw.subcategory].into_iter().flatten();
    let description = Description {
        name: raw.name,
        category: category.filter(|level| !level.trim().is_empty()).collect(),
        brand: raw.brand,
        attributes: raw.attributes,
        price: raw.price,
        kind: None,
    };
    Ok((id, description))
}

fn event<'a>(
    mut raw: Raw<'a>,
    product: impl FnOnce(&mut Raw<'a>) -> Option<Text<'a>>,
    key: &'static str,
) -> Result<Line<'a>, Said> {
    let at = time(&raw)?;
    let product = product(&mut raw).ok_or_else(|| Said::missing(key))?.0;
    let word = raw.kind.ok_or_else(|| Said::missing("type"))?.0;
    let kind = InteractionKind::parse(&word).ok_or_else(|| {
        let words: Vec<&str> = InteractionKind::NAMES.iter().map(|(word, _)| *word).collect();
        Said::word("type", &word, &words)
    })?;
    let quantity = raw.qty.filter(|units| *units > 0.0 && units.is_finite()).unwrap_or(1.0);
    let who = Who { user: raw.user.map(|text| text.0), session: raw.session.map(|text| text.0) };
    let ranking = raw.ranking.map(|text| text.0);
    Ok(Line::Event(Event { at, who, product, kind, quantity, ranking }))
}

fn search(raw: Raw<'_>) -> Result<Line<'_>, Said> {
    let at = time(&raw)?;
    let list = match (raw.list, raw.items) {
        (Some(list), _) => list.into_iter().map(|text| text.0).collect(),
        (None, Some(items)) => items.into_iter().map(|item| item.id.0).collect(),
        (None, None) => return Err(Said::missing("list")),
    };
    let query = match raw.query {
        Some(query) => query.0,
        None => field(raw.fields.as_deref(), "query").map_or(Cow::Borrowed(""), Cow::Owned),
    };
    Ok(Line::Search(Search {
        at,
        who: Who { user: raw.user.map(|text| text.0), session: raw.session.map(|text| text.0) },
        query,
        list,
        truth: raw.truth.unwrap_or_default().into_iter().map(|text| text.0).collect(),
        scored: raw.score.unwrap_or(true),
        ranked: raw.ranked.unwrap_or(false),
        id: raw.id.map(|text| text.0),
    }))
}

/// Seconds in `t`, or milliseconds in `timestamp`.
fn time(raw: &Raw<'_>) -> Result<Timestamp, Said> {
    /// The year 2106, until which profiles count.
    const SECONDS_MAX: f64 = 4_294_967_295.0;
    let (key, seconds) = match (raw.t, &raw.timestamp) {
        (Some(seconds), _) => ("t", Some(seconds)),
        (None, Some(text)) => {
            ("timestamp", text.0.parse::<f64>().ok().map(|milliseconds| milliseconds / 1000.0))
        }
        (None, None) => return Err(Said::missing("t")),
    };
    let fits = |seconds: &f64| (0.0..=SECONDS_MAX).contains(seconds);
    match seconds.filter(fits) {
        Some(seconds) => Ok(Timestamp((seconds * 1000.0).round() as i64)),
        None => {
            let found = match (raw.t, &raw.timestamp) {
                (None, Some(text)) => format!("found \"{}\"", printable(&text.0)),
                (seconds, _) => format!("found {}", seconds.unwrap_or_default()),
            };
            let expected = match key {
                "t" => "seconds since the epoch (milliseconds? divide by 1000)",
                _ => "milliseconds since the epoch",
            };
            Err(Said::of(key, found, expected))
        }
    }
}

fn field(fields: Option<&[Field]>, name: &str) -> Option<String> {
    let field = fields?.iter().find(|field| field.name == name)?;
    field.value.as_str().map(str::to_owned)
}

/// One of Metarank's items: the first of `category`, `categories` or `genres` is its category,
/// `brand` or `director` its brand, each value of a list of texts an attribute `name:value`.
fn item(raw: Raw<'_>) -> Result<Line<'_>, Said> {
    let id = raw.item.or(raw.id).ok_or_else(|| Said::missing("item"))?.0;
    let mut description = Description::default();
    for Field { name, value } in raw.fields.unwrap_or_default() {
        let texts: Vec<&str> = match &value {
            serde_json::Value::String(text) => vec![text],
            serde_json::Value::Array(all) => all.iter().filter_map(|text| text.as_str()).collect(),
            serde_json::Value::Number(number) => {
                if name == "price" {
                    description.price = number.as_f64().map(|price| price as f32);
                }
                continue;
            }
            _ => continue,
        };
        let first = texts.first().map(|text| (*text).to_owned());
        match name.as_str() {
            "title" | "name" => description.name = first,
            "brand" | "director" => description.brand = first,
            "category" | "categories" | "genres" => description.category.extend(first),
            _ => {}
        }
        if value.is_array() {
            let named = texts.iter().map(|text| format!("{name}:{text}"));
            description.attributes.extend(named);
        }
    }
    description.category.truncate(1);
    Ok(Line::Product { id, description })
}
