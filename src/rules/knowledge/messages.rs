//! Reasons put into words: `messages.<language>.yaml`.
//!
//! In: message files, checked at once: unknown keys, words in braces that a reason does not have,
//! sentences too long. Out: [`Messages`], which say a [`Reason`] in the language that is wanted, else
//! in English. An empty sentence is silence.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::table::{Entries, Faults, nearest};
use crate::types::reason::{Reason, ReasonKind};
use serde_saphyr::Spanned;

/// The language of what other languages leave out.
pub const ENGLISH: &str = "en";
/// Longest sentence, in characters.
const SENTENCE_CHARS_MAX: usize = 200;

/// The sentences of all languages.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    languages: BTreeMap<Box<str>, Sentences>,
}

/// By [`ReasonKind::index`]; `None`: not in this language.
type Sentences = Vec<Option<Box<str>>>;

/// The language of a message file, if the name is one's: `messages.pt-br.yaml` is `pt-br`.
pub(super) fn language_of(file: &str) -> Option<&str> {
    let language = file.strip_prefix("messages.")?.strip_suffix(".yaml")?;
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!language.is_empty() && language.bytes().all(letters)).then_some(language)
}

impl Messages {
    /// Takes in the sentences of one file.
    pub(super) fn add(&mut self, language: &str, text: &str, faults: &mut Faults<'_>) {
        let entries: Entries<Spanned<String>> = faults.read(text);
        let sentences = self
            .languages
            .entry(language.into())
            .or_insert_with(|| vec![None; ReasonKind::ALL.len()]);
        for (key, sentence) in &entries.0 {
            let Some(kind) = ReasonKind::ALL.iter().find(|kind| kind.key() == key.value) else {
                let keys: Vec<_> = ReasonKind::ALL.iter().map(|kind| kind.key()).collect();
                let found = format!("unknown reason `{}`", key.value);
                faults
                    .add(key.referenced, key.value.clone(), found, "a key of messages.en.yaml")
                    .suggestion = nearest(&key.value, &keys);
                continue;
            };
            if sentence.value.chars().count() > SENTENCE_CHARS_MAX {
                let expected = format!("at most {SENTENCE_CHARS_MAX} characters");
                let found = format!("{} characters", sentence.value.chars().count());
                faults.add(sentence.referenced, key.value.clone(), found, &expected);
            }
            for piece in pieces(&sentence.value) {
                if let Piece::Place(place) = piece
                    && !kind.places().contains(&place)
                {
                    let expected = match kind.places() {
                        [] => "no words in braces".to_owned(),
                        places => format!("{{{}}}", places.join("}, {")),
                    };
                    let found = format!("{{{place}}}");
                    faults
                        .add(sentence.referenced, key.value.clone(), found, &expected)
                        .suggestion = nearest(place, kind.places());
                }
            }
            if let Some(place) = sentences.get_mut(kind.index()) {
                *place = Some(sentence.value.as_str().into());
            }
        }
    }

    /// The languages that there are.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(|language| &**language)
    }

    /// The best of our languages for `Accept-Language` (RFC 9110 §12.5.4): the first that we have of
    /// those that are wanted most, whole or its first part; else English.
    pub fn language(&self, accept: &str) -> &str {
        let mut wanted: Vec<(f32, String)> =
            accept.split(',').take(16).filter_map(weighed).collect();
        wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
        let found = wanted.iter().find_map(|(_, tag)| {
            let parts = std::iter::successors(Some(tag.as_str()), |tag| {
                tag.rsplit_once('-').map(|(shorter, _)| shorter)
            });
            parts.into_iter().find_map(|tag| self.languages.get_key_value(tag))
        });
        found.map_or(ENGLISH, |(language, _)| language)
    }

    /// The reason in words; `None` where there is nothing to be said about it.
    pub fn say(&self, reason: &Reason, language: &str) -> Option<String> {
        let kind = reason.kind.index();
        let sentence = [language, ENGLISH].iter().find_map(|language| {
            self.languages.get(*language).and_then(|sentences| sentences.get(kind)?.as_deref())
        })?;
        let mut out = String::with_capacity(sentence.len() + 32);
        for piece in pieces(sentence) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                // A word that is not known makes no sentence; nothing is guessed.
                Piece::Place(place) => out.write_str(reason.word(place)?).ok()?,
            }
        }
        (!out.trim().is_empty()).then_some(out)
    }
}

/// A range of `Accept-Language` with its weight; `None` where it is not wanted.
fn weighed(range: &str) -> Option<(f32, String)> {
    let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
    let weight = match weight.trim().strip_prefix("q=") {
        Some(weight) => weight.trim().parse().ok().filter(|weight: &f32| weight.is_finite())?,
        None => 1.0,
    };
    (weight > 0.0).then(|| (weight, tag.trim().to_ascii_lowercase()))
}

/// A part of a sentence.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Text and places of a sentence, in order; a brace that is not closed is text.
fn pieces(sentence: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = sentence;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let place = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((place, after)) = place {
            rest = after;
            return Some(Piece::Place(place));
        }
        // a brace in front belongs to the text
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest.get(first..)?.find('{').map_or(rest.len(), |at| at + first);
        let (text, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(Piece::Text(text))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Knowledge;
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Messages, Vec<crate::types::problem::Problem>> {
        Knowledge::parse(files).map(|knowledge| knowledge.messages().clone())
    }

    fn liked(facet: &str) -> Reason {
        Reason::of_facet(ReasonKind::FacetLiked, facet)
    }

    #[test]
    fn every_reason_has_an_english_sentence() {
        let messages = read(&[]).unwrap();
        for kind in ReasonKind::ALL {
            let reason = Reason {
                kind: *kind,
                facet: Some("spicy".into()),
                product: Some("Oat Milk".into()),
                rule: Some("spring".into()),
            };
            let sentence = messages.say(&reason, "en").unwrap();
            for place in kind.places() {
                assert!(sentence.contains(reason.word(place).unwrap()), "{sentence}");
            }
        }
    }

    #[test]
    fn another_language_is_one_more_file_and_english_says_the_rest() {
        let spanish = ("messages.es.yaml", "facet_liked: \"te gusta {facet}\"\nsponsored: \"\"\n");
        let messages = read(&[spanish]).unwrap();
        assert_eq!(messages.languages().collect::<Vec<_>>(), ["en", "es"]);
        assert_eq!(messages.say(&liked("spicy"), "es").as_deref(), Some("te gusta spicy"));
        assert_eq!(messages.say(&liked("spicy"), "fr").as_deref(), Some("you like spicy"));
        let bought = Reason::of(ReasonKind::BoughtBefore);
        assert_eq!(messages.say(&bought, "es").as_deref(), Some("you bought this before"));
        assert_eq!(messages.say(&Reason::of(ReasonKind::Sponsored), "es"), None, "silenced");
    }

    #[test]
    fn the_language_wanted_most_is_taken_and_english_where_none_is_there() {
        let messages = read(&[("messages.pt-br.yaml", "{}"), ("messages.es.yaml", "{}")]).unwrap();
        for (accept, language) in [
            ("pt-BR,pt;q=0.9,en;q=0.8", "pt-br"),
            ("es-MX", "es"),
            ("fr;q=1, en;q=0.5, es;q=0.7", "es"),
            ("fr", "en"),
            ("es;q=0", "en"),
            ("", "en"),
            (";;;q=,,=", "en"),
        ] {
            assert_eq!(messages.language(accept), language, "{accept}");
        }
    }

    #[test]
    fn a_mistake_in_a_message_file_is_named_with_its_line_and_what_was_meant() {
        let text = "bought_befor: x\nfacet_liked: \"you like {facets}\"\nsponsored: \"{rule}\"\n";
        let problems = read(&[("messages.en.yaml", text)]).unwrap_err();
        let said: Vec<_> =
            problems.iter().map(|p| (p.line, p.key.as_str(), p.suggestion.as_deref())).collect();
        assert_eq!(
            said,
            [
                (1, "bought_befor", Some("bought_before")),
                (2, "facet_liked", Some("facet")),
                (3, "sponsored", None)
            ]
        );
        assert_eq!(problems[2].expected, "no words in braces");
        let long = format!("sponsored: {}", "x".repeat(201));
        assert!(read(&[("messages.en.yaml", &long)]).is_err());
    }

    #[test]
    fn braces_that_are_not_closed_are_text() {
        let all = |text| pieces(text).collect::<Vec<_>>();
        assert_eq!(all("a {b} c"), [Piece::Text("a "), Piece::Place("b"), Piece::Text(" c")]);
        assert_eq!(all("{a{"), [Piece::Text("{a"), Piece::Text("{")]);
        assert_eq!(all("é}{x}"), [Piece::Text("é}"), Piece::Place("x")]);
        assert_eq!(all(""), []);
    }
}
