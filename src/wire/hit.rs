//! One hit: where its bytes are, and what its mapped members say.
//!
//! In: the values that the pointers of a `HitMap` lead to. Out: a [`HitView`] that borrows from
//! the body. A member of an unexpected kind counts as absent; what would make us unsure *which*
//! product this is, or what a text says, is a doubt of the whole list.

use std::borrow::Cow;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::doubt::Doubt;
use super::json::{Json, Kind};
use super::known::{Known, Memory, Pivot};
use super::map::HitMap;
use super::pointer::Pointer;
use super::scan::Scan;
use super::trie::{Node, Visit};

/// One hit of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HitView<'a> {
    /// Where the hit's bytes are in the body.
    pub span: Range<u32>,
    /// The hit's bytes; empty where they are no text (gRPC).
    pub raw: &'a str,
    /// Stable product key; never empty in a list.
    pub id: Cow<'a, str>,
    /// What was read here of its product; of a hit known from before nothing. Ask
    /// [`HitView::words`].
    pub read: Words<'a>,
    /// What is known of it from before.
    pub known: Option<Known>,
    /// Price in the shop's own unit; finite.
    pub price: Option<f32>,
    /// The upstream's score; finite.
    pub score: Option<f64>,
    /// Whether it can be bought, where the hit says so.
    pub in_stock: Option<bool>,
    /// Paid placement.
    pub sponsored: bool,
}

/// What a hit says of its product in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words<'a> {
    /// Name.
    pub name: Option<Cow<'a, str>>,
    /// Category; several levels are joined by `/`.
    pub category: Option<Cow<'a, str>>,
    /// Brand or supplier.
    pub brand: Option<Cow<'a, str>>,
    /// Attributes.
    pub attributes: Vec<Cow<'a, str>>,
    /// Further search terms.
    pub terms: Vec<Cow<'a, str>>,
}

/// What a word takes beside its text: its place, and what the allocator adds.
const WORD_BYTES: usize = 40;

impl Words<'_> {
    pub(super) fn is_empty(&self) -> bool {
        let named = self.name.is_some() || self.category.is_some() || self.brand.is_some();
        !named && self.attributes.is_empty() && self.terms.is_empty()
    }

    /// The same, borrowing nothing.
    pub(super) fn into_owned(self) -> Words<'static> {
        let one = |word: Cow<'_, str>| Cow::Owned(word.into_owned());
        Words {
            name: self.name.map(one),
            category: self.category.map(one),
            brand: self.brand.map(one),
            attributes: self.attributes.into_iter().map(one).collect(),
            terms: self.terms.into_iter().map(one).collect(),
        }
    }

    /// Memory that they take, in bytes, once they are owned.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.attributes.iter().chain(&self.terms);
        let ones = [&self.name, &self.category, &self.brand].into_iter().flatten();
        lists.chain(ones).map(|word| WORD_BYTES + word.len()).sum()
    }

    pub(super) fn digest(&self) -> u64 {
        let text =
            |part: &Option<Cow<'_, str>>| part.as_deref().map_or(0, |t| xxh3_64(t.as_bytes()));
        let list = |parts: &[Cow<'_, str>]| {
            parts.iter().fold(7_u64, |sum, t| sum.rotate_left(9) ^ xxh3_64(t.as_bytes()))
        };
        let parts = [
            text(&self.name),
            text(&self.category),
            text(&self.brand),
            list(&self.attributes),
            list(&self.terms),
        ];
        parts.into_iter().fold(1, mixed)
    }
}

fn mixed(sum: u64, part: u64) -> u64 {
    sum.rotate_left(13).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part
}

impl<'a> HitView<'a> {
    /// What it says of its product in words.
    pub fn words(&self) -> &Words<'_> {
        match &self.known {
            Some(known) => known.words(),
            None => &self.read,
        }
    }

    /// A digest of what it says of its product: its words and its price.
    pub fn digest(&self) -> u64 {
        let words = self.known.as_ref().map_or_else(|| self.read.digest(), Known::digest);
        mixed(words, self.price.map_or(0, |price| u64::from(price.to_bits())))
    }

    /// The hit as JSON value.
    pub fn json(&self) -> Json<'a> {
        Json::within(self.raw, self.span.start as usize)
    }
}

/// A member of a hit that the map may name.
#[derive(Clone, Copy)]
enum Field {
    Id,
    IdOr,
    Name,
    Category,
    Brand,
    Attributes,
    Terms,
    Price,
    Score,
    Stock,
    Sponsored,
}

/// All fields; a field's place is its bit in the trie's marks.
const FIELDS: [Field; 11] = [
    Field::Id,
    Field::IdOr,
    Field::Name,
    Field::Category,
    Field::Brand,
    Field::Attributes,
    Field::Terms,
    Field::Price,
    Field::Score,
    Field::Stock,
    Field::Sponsored,
];

impl Field {
    fn pointer(self, map: &HitMap) -> Option<&Pointer> {
        match self {
            Self::Id => Some(&map.id),
            Self::IdOr => map.id_or.as_ref(),
            Self::Name => map.name.as_ref(),
            Self::Category => map.category.as_ref(),
            Self::Brand => map.brand.as_ref(),
            Self::Attributes => map.attributes.as_ref(),
            Self::Terms => map.terms.as_ref(),
            Self::Price => map.price.as_ref(),
            Self::Score => map.score.as_ref(),
            Self::Stock => map.stock.as_ref(),
            Self::Sponsored => map.sponsored.as_ref(),
        }
    }
}

/// The members of a hit that `map` names, as one trie.
pub(super) fn fields_of(map: &HitMap) -> Node {
    let mut node = Node::default();
    for field in FIELDS {
        if let Some(pointer) = field.pointer(map) {
            node.add(&pointer.0, 1 << field as u64);
        }
    }
    node
}

/// A hit while its members are read.
pub(super) struct Reading<'h, 'a, 'k> {
    hit: &'h mut HitView<'a>,
    /// Hits read before, …
    memory: Option<&'h mut Memory<'k>>,
    /// … and where this one, which is none of them, goes on behind its id.
    pivot: Option<Pivot>,
    /// The key that counts where the first one is missing.
    id_or: Cow<'a, str>,
    doubt: Option<Doubt>,
    /// The value passed last was read on the way.
    entered: bool,
}

impl<'h, 'a, 'k> Reading<'h, 'a, 'k> {
    /// Nothing is read yet.
    pub(super) fn of(hit: &'h mut HitView<'a>) -> Self {
        Self::knowing(hit, None)
    }

    /// The same, where hits read before may be known.
    pub(super) fn knowing(hit: &'h mut HitView<'a>, memory: Option<&'h mut Memory<'k>>) -> Self {
        let id_or = Cow::Borrowed("");
        Self { hit, memory, pivot: None, id_or, doubt: None, entered: false }
    }

    /// All members were passed, at the end of `passed`; what forbids to touch the hit's list.
    pub(super) fn done(self, passed: &str) -> Option<Doubt> {
        if self.hit.id.is_empty() {
            self.hit.id = self.id_or;
        }
        if let (Some(memory), Some(pivot), None) = (self.memory, self.pivot, self.doubt) {
            memory.keep(self.hit, &pivot, passed);
        }
        self.doubt
    }
}

/// Marks of values that are these fields and no other.
const ID: u64 = 1 << Field::Id as u64;
const NAME: u64 = 1 << Field::Name as u64;
const CATEGORY: u64 = 1 << Field::Category as u64;
const BRAND: u64 = 1 << Field::Brand as u64;
const ATTRIBUTES: u64 = 1 << Field::Attributes as u64;
const TERMS: u64 = 1 << Field::Terms as u64;
const SCORE: u64 = 1 << Field::Score as u64;
/// Room made for the words of a list.
const WORDS_AHEAD: usize = 4;

impl<'a> Visit<'a> for Reading<'_, 'a, '_> {
    /// Lists of words are read as they are passed.
    fn enter(&mut self, marks: u64, leaf: bool, scan: &mut Scan<'a>) -> Result<bool, Doubt> {
        let words = match marks {
            _ if !leaf || scan.peek() != b'[' => return Ok(false),
            ATTRIBUTES => &mut self.hit.read.attributes,
            TERMS => &mut self.hit.read.terms,
            _ => return Ok(false),
        };
        let mut more = scan.open(b']')?;
        if more && words.capacity() == 0 {
            *words = Vec::with_capacity(WORDS_AHEAD);
        }
        while more {
            match scan.plain_string() {
                Some(word) => words.push(Cow::Borrowed(word)),
                None => {
                    let start = scan.at();
                    scan.skip()?;
                    match Json::passed(scan, start)?.text() {
                        Ok(word) => words.extend(word),
                        Err(doubt) => drop(self.doubt.get_or_insert(doubt)),
                    }
                }
            }
            more = scan.more(b']')?;
        }
        self.entered = true;
        Ok(true)
    }

    fn take(&mut self, marks: u64, value: Json<'a>) {
        if std::mem::take(&mut self.entered) {
            return;
        }
        if marks == SCORE
            && let Some(pivot) = &mut self.pivot
        {
            pivot.score(value.span());
        }
        let mut left = marks;
        while let Some(field) = FIELDS.get(left.trailing_zeros() as usize) {
            left &= left - 1;
            if let Err(doubt) = self.read(*field, value) {
                self.doubt.get_or_insert(doubt);
            }
        }
    }

    #[inline(always)]
    fn word(&mut self, marks: u64, value: Json<'a>) -> bool {
        let Some(word) = value.word() else { return false };
        let hit = &mut *self.hit;
        let place = match marks {
            NAME => &mut hit.read.name,
            CATEGORY => &mut hit.read.category,
            BRAND => &mut hit.read.brand,
            ID if hit.id.is_empty() => {
                hit.id = Cow::Borrowed(word);
                return true;
            }
            _ => return false,
        };
        let is_first = place.is_none();
        if is_first {
            *place = Some(Cow::Borrowed(word));
        }
        is_first
    }

    fn pivot(&self) -> u64 {
        if self.memory.is_some() { ID } else { 0 }
    }

    fn known(&mut self, marks: u64, seen: u64, scan: &Scan<'a>) -> Option<&'a [u8]> {
        let memory = self.memory.as_mut()?;
        if marks & ID == 0 || self.hit.id.is_empty() || self.doubt.is_some() {
            return None;
        }
        match memory.recall(self.hit, seen, (scan.at(), scan.ahead())) {
            Ok(behind) => Some(behind.as_bytes()),
            Err(pivot) => {
                self.pivot = pivot;
                None
            }
        }
    }

    fn twice(&mut self) -> Result<(), Doubt> {
        self.doubt.get_or_insert(Doubt::DuplicateKey);
        Ok(())
    }
}

impl<'a> Reading<'_, 'a, '_> {
    fn read(&mut self, field: Field, value: Json<'a>) -> Result<(), Doubt> {
        let hit = &mut *self.hit;
        match field {
            Field::Id => name(&mut hit.id, value)?,
            Field::IdOr => name(&mut self.id_or, value)?,
            Field::Name => first(&mut hit.read.name, value.text()?),
            Field::Brand => first(&mut hit.read.brand, value.text()?),
            Field::Category => each_text(value, |level| match &mut hit.read.category {
                Some(path) => path.to_mut().extend(["/", level.as_ref()]),
                none => *none = Some(level),
            })?,
            Field::Attributes => each_text(value, |text| hit.read.attributes.push(text))?,
            Field::Terms => each_text(value, |text| hit.read.terms.push(text))?,
            Field::Price => {
                let price = value.number().map(|price| price as f32);
                first(&mut hit.price, price.filter(|price| price.is_finite()));
            }
            Field::Score => first(&mut hit.score, value.number()),
            Field::Stock => {
                let amount = value.number().map(|amount| amount > 0.0);
                first(&mut hit.in_stock, amount.or_else(|| value.truth()));
            }
            Field::Sponsored => hit.sponsored |= marks_sponsored(value),
        }
        Ok(())
    }
}

/// The first text or number names the product; true and false name none.
fn name<'a>(id: &mut Cow<'a, str>, value: Json<'a>) -> Result<(), Doubt> {
    if id.is_empty() && value.kind() != Kind::Bool {
        *id = value.text()?.unwrap_or_default();
    }
    Ok(())
}

/// Where a pointer with `*` leads to several values, the first one counts.
fn first<T>(member: &mut Option<T>, value: Option<T>) {
    if member.is_none() {
        *member = value;
    }
}

/// Calls `take` with each text of an array, or with the one text that the value is.
fn each_text<'a>(value: Json<'a>, mut take: impl FnMut(Cow<'a, str>)) -> Result<(), Doubt> {
    if value.kind() != Kind::Array {
        value.text()?.into_iter().for_each(take);
        return Ok(());
    }
    value.each_element(|element| {
        element.text()?.into_iter().for_each(&mut take);
        Ok(())
    })
}

/// Anything that is there and does not say no: a locked position is the safe side.
fn marks_sponsored(value: Json<'_>) -> bool {
    match value.kind() {
        Kind::Null => false,
        Kind::Array => !value.elements().is_empty(),
        Kind::Object => !value.members().is_empty(),
        Kind::Bool | Kind::Number => value.truth().unwrap_or(true),
        Kind::Text => match value.text() {
            Ok(Some(text)) => {
                let no = ["", "no", "n", "none"];
                value.truth().unwrap_or(!no.contains(&text.trim().to_lowercase().as_str()))
            }
            _ => true,
        },
    }
}
