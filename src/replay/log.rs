//! A recorded log, read and held.
//!
//! In: lines of the common replay format or of Metarank's event format ([`line`]), file by file.
//! Out: a [`Log`]: searches and events in time order, products and people as numbers. A line that
//! cannot be used is a [`Problem`] with its file and line.
//!
//! Memory: 4 bytes a hit of each list, some 40 bytes an event, each name once. At most
//! [`RECORDS_MAX`] records and [`HITS_MAX`] hits a list.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::line::{self, Line, Said};
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductId, SessionId, Subject, SubjectKey, UserId};
use crate::types::interaction::InteractionKind;
use crate::types::problem::Problem;

/// Records of one log: a year of a large shop's searches is replayed month by month.
pub(super) const RECORDS_MAX: usize = 50_000_000;

/// Hits of one list.
pub(super) const HITS_MAX: usize = 10_000;

/// Searches and events in time order, with what they name.
#[derive(Debug, Default)]
pub struct Log {
    pub(super) records: Vec<Record>,
    pub(super) products: Names<ProductId>,
    pub(super) people: Names<SubjectKey>,
    /// Queries and product types, in lower case.
    pub(super) words: Names<()>,
    /// By product.
    pub(super) described: Vec<Option<Description>>,
}

/// One line of the log.
#[derive(Debug)]
pub(super) enum Record {
    Event(Event),
    Search(Search),
}

/// What somebody did.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) person: u32,
    pub(super) product: u32,
    pub(super) kind: InteractionKind,
    pub(super) quantity: f32,
}

/// A list that somebody was shown, and what they chose from it.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) at: Timestamp,
    pub(super) person: u32,
    pub(super) query: u32,
    /// The upstream's order.
    pub(super) list: Box<[u32]>,
    pub(super) truth: Vec<u32>,
    pub(super) scored: bool,
    /// It went out in our order: it teaches the population nothing.
    pub(super) ranked: bool,
}

impl Record {
    fn at(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.at,
            Self::Search(search) => search.at,
        }
    }
}

/// What a catalogue says of a product.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// Name.
    pub name: Option<String>,
    /// Levels from the widest to the narrowest.
    pub category: Vec<String>,
    /// Brand.
    pub brand: Option<String>,
    /// Attributes.
    pub attributes: Vec<String>,
    /// Price.
    pub price: Option<f32>,
    /// The narrowest category, in lower case, as a number of [`Log::words`]: for segments.
    pub(super) kind: Option<u32>,
}

impl Description {
    /// A product as a shop describes it; the category from the widest level to the narrowest.
    pub fn of(
        name: Option<String>,
        category: Vec<String>,
        brand: Option<String>,
        attributes: Vec<String>,
        price: Option<f32>,
    ) -> Self {
        Self { name, category, brand, attributes, price, kind: None }
    }
}

/// Texts as numbers.
#[derive(Debug)]
pub(super) struct Names<T> {
    numbers: HashMap<Box<str>, u32>,
    pub(super) all: Vec<(Box<str>, T)>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), all: Vec::new() }
    }
}

impl<T> Names<T> {
    fn number(&mut self, text: &str, make: impl FnOnce() -> Option<T>) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u32::try_from(self.all.len()).ok()?;
        self.all.push((text.into(), make()?));
        self.numbers.insert(text.into(), number);
        Some(number)
    }

    /// The text of a number that was given out.
    pub(super) fn text(&self, number: u32) -> &str {
        self.all.get(number as usize).map_or("", |(text, _)| text)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

impl Log {
    /// Searches and events.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// Searches that are scored.
    pub fn scored(&self) -> usize {
        let scored = |record: &&Record| matches!(record, Record::Search(s) if s.scored);
        self.records.iter().filter(scored).count()
    }

    /// Scores no list any more that went out in our order; how many of them were.
    pub fn leave_out_ranked(&mut self) -> usize {
        let mut left_out = 0;
        for record in &mut self.records {
            if let Record::Search(search) = record
                && search.ranked
            {
                left_out += usize::from(search.scored);
                search.scored = false;
            }
        }
        left_out
    }

    /// Products that the catalogue describes.
    pub fn described(&self) -> usize {
        self.described.iter().flatten().count()
    }

    /// Appends products of other types to every list: `count` of the 200 most chosen ones, drawn
    /// by `seed`. What no shop should show, and what no taste may lift.
    pub fn contaminate(&mut self, count: usize, seed: u64) {
        const MOST_CHOSEN: usize = 200;
        let mut chosen = vec![0_u32; self.products.len()];
        for record in &self.records {
            if let Record::Event(event) = record {
                chosen[event.product as usize] += 1;
            }
        }
        let mut most: Vec<u32> = (0..chosen.len() as u32).collect();
        most.sort_by_key(|product| std::cmp::Reverse(chosen[*product as usize]));
        most.truncate(MOST_CHOSEN);
        let mut chance = super::chance::Chance::new(seed);
        for record in &mut self.records {
            let Record::Search(search) = record else { continue };
            let mut list = search.list.to_vec();
            let kind = |product: u32| self.described[product as usize].as_ref()?.kind;
            let mut tries = 0;
            while list.len() < search.list.len() + count && tries < 50 * count {
                tries += 1;
                let product = most[chance.below(most.len())];
                let off_type = kind(product).is_some_and(|kind| kind != search.query);
                if off_type && !list.contains(&product) && !search.truth.contains(&product) {
                    list.push(product);
                }
            }
            search.list = list.into();
        }
    }
}

/// Reads a log, line by line.
#[derive(Debug, Default)]
pub struct Reader {
    log: Log,
    file: Arc<str>,
    line: u32,
    last: Option<Timestamp>,
    files: usize,
    /// Metarank's rankings by their ids: interactions name them.
    rankings: HashMap<Box<str>, usize>,
}

impl Reader {
    /// The lines that follow are those of this file.
    pub fn file(&mut self, name: &str) {
        (self.file, self.line, self.last) = (Arc::from(name), 0, None);
        self.files += 1;
    }

    /// Reads a line of a log; an empty one says nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn line(&mut self, text: &str) -> Result<(), Problem> {
        self.line += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let line = line::parse(text).map_err(|said| self.problem(said))?;
        let added = match line {
            Line::Event(event) => self.event(&event),
            Line::Search(search) => self.search(&search),
            Line::Product { id, description } => self.describe(&id, description),
            Line::Nothing => Ok(()),
        };
        added.map_err(|said| self.problem(said))
    }

    /// Reads a line of a catalogue.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn catalog_line(&mut self, text: &str) -> Result<(), Problem> {
        self.line += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let read = line::parse_product(text);
        let described = read.and_then(|(id, description)| self.describe(&id, description));
        described.map_err(|said| self.problem(said))
    }

    /// The log, in time order; lines of one time in the order in which they were read.
    pub fn finish(self) -> Log {
        let mut log = self.log;
        if self.files > 1 {
            log.records.sort_by_key(Record::at);
        }
        for record in &mut log.records {
            if let Record::Search(search) = record {
                search.scored &= !search.truth.is_empty();
            }
        }
        log.described.resize(log.products.len(), None);
        log
    }

    pub(super) fn problem(&self, said: Said) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line,
            column: said.column.max(1),
            key: said.key.to_owned(),
            found: said.found,
            expected: said.expected,
            suggestion: said.suggestion,
        }
    }

    /// Records stand in time order within a file.
    fn record(&mut self, record: Record) -> Result<(), Said> {
        let at = record.at();
        if let Some(last) = self.last.filter(|last| at < *last) {
            let found = format!("found {}, before the line above ({})", at.0, last.0);
            return Err(Said::of("t", found, "lines in time order (milliseconds since the epoch)"));
        }
        if self.log.records.len() >= RECORDS_MAX {
            return Err(Said::of("", "one record more", format!("at most {RECORDS_MAX}")));
        }
        self.last = Some(at);
        self.log.records.push(record);
        Ok(())
    }

    pub(super) fn event(&mut self, said: &line::Event<'_>) -> Result<(), Said> {
        let (person, product) = (self.person(&said.who)?, self.product("product", &said.product)?);
        if let Some(ranking) = &said.ranking
            && let Some(index) = self.rankings.get(ranking.as_ref())
            && let Some(Record::Search(search)) = self.log.records.get_mut(*index)
            && !search.truth.contains(&product)
        {
            search.truth.push(product);
        }
        let line::Event { at, kind, quantity, .. } = *said;
        self.record(Record::Event(Event { at, person, product, kind, quantity }))
    }

    pub(super) fn search(&mut self, said: &line::Search<'_>) -> Result<(), Said> {
        if said.list.len() > HITS_MAX {
            let found = format!("found {} hits", said.list.len());
            return Err(Said::of("list", found, format!("at most {HITS_MAX}")));
        }
        let person = self.person(&said.who)?;
        let numbers = |reader: &mut Self, key, ids: &[std::borrow::Cow<'_, str>]| {
            ids.iter().map(|id| reader.product(key, id)).collect::<Result<Vec<u32>, Said>>()
        };
        let list = numbers(self, "list", &said.list)?;
        let mut seen = HashSet::with_capacity(list.len());
        if let Some(twice) = list.iter().find(|product| !seen.insert(**product)) {
            let found = format!("found \"{}\" twice", self.log.products.text(*twice));
            return Err(Said::of("list", found, "each product once"));
        }
        let truth = numbers(self, "truth", &said.truth)?;
        let query = self.word(&said.query)?;
        if let Some(id) = &said.id {
            self.rankings.insert(id.as_ref().into(), self.log.records.len());
        }
        let line::Search { at, scored, ranked, .. } = *said;
        let list = list.into();
        self.record(Record::Search(Search { at, person, query, list, truth, scored, ranked }))
    }

    pub(super) fn describe(&mut self, id: &str, mut description: Description) -> Result<(), Said> {
        let product = self.product("id", id)? as usize;
        let kind = match description.category.last() {
            Some(kind) => Some(self.word(kind)?),
            None => None,
        };
        description.kind = kind;
        if self.log.described.len() <= product {
            self.log.described.resize(product + 1, None);
        }
        self.log.described[product] = Some(description);
        Ok(())
    }

    fn person(&mut self, who: &line::Who<'_>) -> Result<u32, Said> {
        let user = who.user.as_deref().filter(|user| !user.trim().is_empty());
        let (key, word) = match (user, &who.session) {
            (Some(user), _) => ("user", user),
            (None, Some(session)) => ("session", session.as_ref()),
            (None, None) => return Err(Said::of("user", "nobody named", "a user or a session")),
        };
        let subject = || match key {
            "user" => UserId::parse(word).map(Subject::User),
            _ => SessionId::parse(word).map(Subject::Session),
        };
        // A session of a user's name is another one.
        let name = if key == "user" { word.to_owned() } else { format!("session {word}") };
        let number = self.log.people.number(&name, || Some(subject()?.key()));
        number.ok_or_else(|| Said::bad_id(key, word))
    }

    fn product(&mut self, key: &'static str, id: &str) -> Result<u32, Said> {
        let number = self.log.products.number(id, || ProductId::parse(id));
        number.ok_or_else(|| Said::bad_id(key, id))
    }

    fn word(&mut self, text: &str) -> Result<u32, Said> {
        let number = self.log.words.number(&text.to_lowercase(), || Some(()));
        number.ok_or_else(|| Said::of("query", "one more query", "fewer of them"))
    }
}
