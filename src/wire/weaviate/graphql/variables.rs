//! Values that are given beside the document, or as a variable's default.
//!
//! In: the body's `variables` and what the operation declares. Out: the number or the words that a
//! value stands for, or nothing where that cannot be told: a variable that is not given, is `null`,
//! is there twice, or is no plain value.

use std::borrow::Cow;

use super::lexer::{block_value, text_value};
use super::parser::{Definition, Value};
use crate::wire::json::{Json, Kind};

/// Variables of one operation; where there are more, none is known.
const VARIABLES_MAX: usize = 64;

/// What variables stand for.
#[derive(Debug, Default)]
pub(super) struct Variables<'d, 'a> {
    given: Vec<(Cow<'a, str>, Json<'a>)>,
    /// The body's `variables` as written.
    raw: &'a str,
    declared: &'d [Definition<'a>],
}

impl<'d, 'a> Variables<'d, 'a> {
    pub(super) fn new(given: Option<Json<'a>>, declared: &'d [Definition<'a>]) -> Self {
        let raw = given.map_or("", Json::raw);
        let mut given = given.map(Json::members).unwrap_or_default();
        let mut declared = declared;
        if given.len() > VARIABLES_MAX || declared.len() > VARIABLES_MAX {
            (given, declared) = (Vec::new(), &[]);
        }
        Self { given, raw, declared }
    }

    /// Everything that a variable's value depends on, as text.
    pub(super) fn text(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.raw).chain(self.declared.iter().map(|one| one.text))
    }

    /// The whole number that `value` is.
    pub(super) fn number(&self, value: &Value<'_>) -> Option<i64> {
        match value {
            Value::Int { text, .. } => text.parse().ok(),
            Value::Variable(name) => match self.given(name) {
                Some(given) => (given.kind() == Kind::Number).then_some(given)?.raw().parse().ok(),
                None => match self.default(name)? {
                    Value::Int { text, .. } => text.parse().ok(),
                    _ => None,
                },
            },
            _ => None,
        }
    }

    /// The words that `value` is; those of a list joined by blanks.
    pub(super) fn words(&self, value: &Value<'_>) -> Option<String> {
        match value {
            Value::Variable(name) => match self.given(name) {
                Some(given) => given_words(given),
                None => literal_words(self.default(name)?),
            },
            Value::List(elements) => {
                let words: Option<Vec<String>> = elements
                    .iter()
                    .map(|element| match element {
                        Value::Variable(_) => self.words(element),
                        literal => literal_words(literal),
                    })
                    .collect();
                words.map(|words| words.join(" "))
            }
            literal => literal_words(literal),
        }
    }

    /// The one value given for this variable.
    fn given(&self, name: &str) -> Option<Json<'a>> {
        let mut all = self.given.iter().filter(|(key, _)| key == name);
        let (_, first) = all.next()?;
        all.next().is_none().then_some(*first)
    }

    /// What is declared for a variable that is not given at all.
    fn default(&self, name: &str) -> Option<&'d Value<'a>> {
        if self.given.iter().any(|(key, _)| key == name) {
            return None;
        }
        let mut all = self.declared.iter().filter(|one| one.name == name);
        let first = all.next()?;
        all.next().is_none().then_some(first.default.as_ref()?)
    }
}

fn given_words(given: Json<'_>) -> Option<String> {
    let text = |json: Json<'_>| match json.kind() {
        Kind::Text => json.text().ok()?.map(Cow::into_owned),
        _ => None,
    };
    match given.kind() {
        Kind::Array => {
            let words: Option<Vec<String>> = given.elements().into_iter().map(text).collect();
            words.map(|words| words.join(" "))
        }
        _ => text(given),
    }
}

fn literal_words(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(quoted) => text_value(quoted).ok().map(Cow::into_owned),
        Value::Block(quoted) => Some(block_value(quoted)),
        _ => None,
    }
}
