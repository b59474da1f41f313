//! One property's value: from Weaviate's `Value` message to a member of a hit.
//!
//! In: the bytes of a `Value` and the way from there to what is wanted. Out: calls with a
//! [`Value`], and the members of a [`HitView`], read as the JSON wires read them: text from
//! numbers, numbers from text, texts from lists. A value of an unexpected kind counts as absent.
//! The last of a value's kinds counts, as protobuf says; a message that comes in pieces within one
//! value, which no encoder writes, is a doubt.

use std::borrow::Cow;

use super::reply::entry;
use crate::wire::weaviate::protobuf::{Payload, Records, short_varint, utf8};
use crate::wire::{Doubt, HitView, Pointer};

/// The tag of `Value.text_value`.
const TEXT: u8 = 13 << 3 | 2;

/// What a property holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Nothing, null, or what no member of a hit is read from.
    Absent,
    Text(Cow<'a, str>),
    Number(f64),
    Int(i64),
    Bool(bool),
    /// A `Properties` message.
    Object(&'a [u8]),
    /// A `ListValue` message.
    List(&'a [u8]),
}

/// How a member of a hit is read from a value.
pub(super) type Take = for<'h, 'a> fn(&'h mut HitView<'a>, Value<'a>) -> Result<(), Doubt>;

impl<'a> Value<'a> {
    /// Reads a `Value` message.
    #[inline(always)]
    pub(super) fn read(message: &'a [u8]) -> Result<Self, Doubt> {
        // one text and nothing else, as most values are
        if let [TEXT, rest @ ..] = message
            && let Some((length, text)) = short_varint(rest)
            && length as usize == text.len()
        {
            return utf8(text).map(|text| Self::Text(text.into()));
        }
        Self::read_any(message)
    }

    fn read_any(message: &'a [u8]) -> Result<Self, Doubt> {
        let mut value = Self::Absent;
        for record in Records::new(message) {
            let record = record?;
            value = match record.number {
                2 | 6 | 7 | 13 => Self::Text(record.text()?.into()),
                1 => Self::Number(record.double()?),
                3 => Self::Bool(record.truth()?),
                4 if matches!(value, Self::Object(_)) => return Err(Doubt::DuplicateKey),
                4 => Self::Object(record.bytes()?),
                5 if matches!(value, Self::List(_)) => return Err(Doubt::DuplicateKey),
                5 => Self::List(record.bytes()?),
                8 => Self::Int(record.varint()? as i64),
                // a place, a blob, a telephone: nothing that a hit's members are read from
                9..=11 => record.bytes().map(|_| Self::Absent)?,
                12 => record.varint().map(|_| Self::Absent)?,
                _ => value,
            };
        }
        Ok(value)
    }

    #[inline(always)]
    fn text(self) -> Option<Cow<'a, str>> {
        if let Self::Text(text) = self { Some(text) } else { self.written().map(Cow::Owned) }
    }

    /// A number or a truth as text.
    fn written(&self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Int(number) => Some(number.to_string()),
            Self::Bool(truth) => Some(truth.to_string()),
            Self::Absent | Self::Text(_) | Self::Object(_) | Self::List(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Number(number) => *number,
            Self::Int(number) => *number as f64,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            _ => self.number().map(|number| number != 0.0),
        }
    }

    /// Calls `take` with each text of a list, or with the one text that the value is.
    fn each_text(self, mut take: impl FnMut(Cow<'a, str>)) -> Result<(), Doubt> {
        let Self::List(list) = self else {
            self.text().into_iter().for_each(take);
            return Ok(());
        };
        elements(list, |_, element| {
            element.text().into_iter().for_each(&mut take);
            Ok(())
        })
    }
}

/// Calls `take` with what `path` leads to below `value`: names of properties of nested objects;
/// places, or `*`, in lists.
pub(super) fn follow<'a>(
    value: Value<'a>,
    path: &[String],
    take: &mut dyn FnMut(Value<'a>) -> Result<(), Doubt>,
) -> Result<(), Doubt> {
    let Some((segment, rest)) = path.split_first() else { return take(value) };
    match value {
        Value::Object(message) => match property(message, segment)? {
            Some(value) => follow(Value::read(value)?, rest, take),
            None => Ok(()),
        },
        Value::List(message) => {
            let wanted = (segment != Pointer::ANY).then(|| segment.parse::<usize>());
            elements(message, |place, element| match &wanted {
                Some(wanted) if *wanted != Ok(place) => Ok(()),
                _ => follow(element, rest, take),
            })
        }
        _ => Ok(()),
    }
}

/// The property of this name in a `Properties` message; the last one counts.
fn property<'a>(message: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, Doubt> {
    let mut found = None;
    for record in Records::new(message) {
        let record = record?;
        if record.number == 1 {
            let (key, value) = entry(record.bytes()?)?;
            if key == name.as_bytes() {
                found = Some(value);
            }
        }
    }
    Ok(found)
}

/// Calls `take` with each element of a `ListValue` and its place.
fn elements<'a>(
    list: &'a [u8],
    mut take: impl FnMut(usize, Value<'a>) -> Result<(), Doubt>,
) -> Result<(), Doubt> {
    let mut place = 0;
    let mut take = |value| {
        place += 1;
        take(place - 1, value)
    };
    let mut kind = None;
    for record in Records::new(list) {
        let record = record?;
        match record.number {
            // how servers before 1.25 write lists
            1 => take(Value::read(record.bytes()?)?)?,
            2..=8 if kind.is_some() => return Err(Doubt::DuplicateKey),
            2..=8 => kind = Some((record.number, record.bytes()?)),
            _ => {}
        }
    }
    let Some((number, values)) = kind else { return Ok(()) };
    let mut packed: &[u8] = &[];
    for record in Records::new(values) {
        let record = record?;
        if record.number != 1 {
            continue;
        }
        match (number, record.payload) {
            (2 | 7, Payload::Bytes(bytes)) => packed = bytes,
            (4, Payload::Bytes(bytes)) => take(Value::Object(bytes))?,
            (5 | 6 | 8, Payload::Bytes(_)) => take(Value::Text(record.text()?.into()))?,
            // truths are packed or not; no member of a hit is a list of them
            (3, _) => {}
            _ => return Err(Doubt::NotProtobuf),
        }
    }
    for bits in packed.chunks(8) {
        let bits: [u8; 8] = bits.try_into().map_err(|_| Doubt::NotProtobuf)?;
        take(match number {
            2 => Value::Number(f64::from_le_bytes(bits)),
            _ => Value::Int(i64::from_le_bytes(bits)),
        })?;
    }
    Ok(())
}

pub(super) fn take_id<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    // true and false name no product
    if hit.id.is_empty() && !matches!(value, Value::Bool(_)) {
        hit.id = value.text().unwrap_or_default();
    }
    Ok(())
}

pub(super) fn take_name<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    first(&mut hit.read.name, value.text());
    Ok(())
}

pub(super) fn take_brand<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    first(&mut hit.read.brand, value.text());
    Ok(())
}

pub(super) fn take_category<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    value.each_text(|level| match &mut hit.read.category {
        Some(path) => path.to_mut().extend(["/", level.as_ref()]),
        none => *none = Some(level),
    })
}

pub(super) fn take_attributes<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    value.each_text(|text| hit.read.attributes.push(text))
}

pub(super) fn take_terms<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    value.each_text(|text| hit.read.terms.push(text))
}

pub(super) fn take_price<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    let price = value.number().map(|price| price as f32);
    first(&mut hit.price, price.filter(|price| price.is_finite()));
    Ok(())
}

pub(super) fn take_score<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    first(&mut hit.score, value.number());
    Ok(())
}

pub(super) fn take_stock<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    let amount = value.number().map(|amount| amount > 0.0);
    first(&mut hit.in_stock, amount.or_else(|| value.truth()));
    Ok(())
}

/// Anything that is there and does not say no: a locked position is the safe side.
pub(super) fn take_sponsored<'a>(hit: &mut HitView<'a>, value: Value<'a>) -> Result<(), Doubt> {
    hit.sponsored |= match &value {
        Value::Absent => false,
        Value::Object(message) | Value::List(message) => !message.is_empty(),
        Value::Text(text) => {
            let no = ["", "no", "n", "none"];
            value.truth().unwrap_or(!no.contains(&text.trim().to_lowercase().as_str()))
        }
        _ => value.truth().unwrap_or(true),
    };
    Ok(())
}

/// Where a pointer with `*` leads to several values, the first one counts.
fn first<T>(member: &mut Option<T>, value: Option<T>) {
    if member.is_none() {
        *member = value;
    }
}
