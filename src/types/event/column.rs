//! Columns: what a row's fields are called, what they hold, and what is said of them.
//!
//! In: a declaration of a table ([`table!`]). Out: a struct with the columns as its fields, and a
//! [`Table`] that says the same as values: for writing rows as JSON, and for reading them back by a
//! program that knows more columns, or fewer, than the one that wrote them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Microseconds since 1970, UTC.
    Time,
    /// A number.
    Float,
    /// A whole number.
    Int,
    /// Any JSON, as text.
    Json,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing is known.
    Null,
    /// Text.
    Text(String),
    /// Microseconds since 1970.
    Time(i64),
    /// A finite number.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// JSON, as text.
    Json(Box<str>),
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Every row has it.
    pub required: bool,
    /// What it says, for people.
    pub about: &'static str,
}

/// One table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What its rows are, for people.
    pub about: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
}

/// What can stand in a column.
pub trait Written {
    /// What the column holds.
    const KIND: Kind;
    /// Does every row have it?
    const REQUIRED: bool;

    /// The value.
    fn cell(&self) -> Cell;
}

/// A time in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Micros(pub i64);

/// JSON as text, known to be well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson(pub Box<str>);

impl RawJson {
    /// What a value looks like; `null` where it cannot be written.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).map_or_else(|_| Box::from("null"), Box::from))
    }
}

macro_rules! written {
    ($($type:ty, $kind:ident, $self:ident => $cell:expr;)*) => {
        $(impl Written for $type {
            const KIND: Kind = Kind::$kind;
            const REQUIRED: bool = true;
            fn cell(&$self) -> Cell { $cell }
        })*
    };
}

written! {
    String, Text, self => Cell::Text(self.clone());
    Micros, Time, self => Cell::Time(self.0);
    RawJson, Json, self => Cell::Json(self.0.clone());
    i64, Int, self => Cell::Int(*self);
    // What is no number says nothing.
    f64, Float, self => if self.is_finite() { Cell::Float(*self) } else { Cell::Null };
}

impl<T: Written> Written for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;

    fn cell(&self) -> Cell {
        self.as_ref().map_or(Cell::Null, T::cell)
    }
}

/// Declares a table: a struct of its columns, and its [`Table`].
macro_rules! table {
    (#[doc = $table_about:literal] $row:ident, $table:ident = $table_name:literal {
        $(#[doc = $about:literal] $name:ident: $type:ty,)*
    }) => {
        #[doc = $table_about]
        #[derive(Clone, Debug, PartialEq)]
        pub struct $row { $(#[doc = $about] pub $name: $type,)* }

        #[doc = concat!("The table of [`", stringify!($row), "`].")]
        pub const $table: $crate::types::event::column::Table =
            $crate::types::event::column::Table {
                name: $table_name,
                about: $table_about,
                columns: &[$($crate::types::event::column::Column {
                    name: stringify!($name),
                    kind: <$type as $crate::types::event::column::Written>::KIND,
                    required: <$type as $crate::types::event::column::Written>::REQUIRED,
                    about: $about,
                },)*],
            };

        impl $row {
            /// Its values, in the order of the columns.
            pub fn cells(&self) -> Vec<$crate::types::event::column::Cell> {
                vec![$($crate::types::event::column::Written::cell(&self.$name),)*]
            }
        }
    };
}
pub(super) use table;

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It is no JSON object.
    #[error("not one JSON object: {0}")]
    NotJson(String),
    /// A column that every row has is not there.
    #[error("{0}: expected a value, found none")]
    Missing(&'static str),
    /// A value of another kind.
    #[error("{0}: found {1}, expected {2}")]
    Kind(&'static str, String, &'static str),
}

impl Table {
    /// Where a column stands.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A row as one JSON object; columns that are null are left out.
    pub fn json(&self, cells: &[Cell]) -> String {
        let mut out = String::with_capacity(512);
        let mut between = '{';
        for (column, cell) in self.columns.iter().zip(cells) {
            let value = match cell {
                Cell::Null => continue,
                Cell::Text(text) => RawJson::of(text).0,
                Cell::Time(micros) => RawJson::of(&rfc3339(*micros)).0,
                Cell::Float(number) => RawJson::of(number).0,
                Cell::Int(number) => RawJson::of(number).0,
                Cell::Json(raw) => raw.clone(),
            };
            out.push(between);
            between = ',';
            out.push('"');
            out.push_str(column.name);
            out.push_str("\":");
            out.push_str(&value);
        }
        out.push_str(if between == '{' { "{}" } else { "}" });
        out
    }

    /// Reads what [`Table::json`] writes. Members that are no column of ours are left alone: a later
    /// version may have written them.
    ///
    /// # Errors
    /// See [`RowError`].
    pub fn read(&self, json: &[u8]) -> Result<Vec<Cell>, RowError> {
        let not_json = |error: serde_json::Error| RowError::NotJson(error.to_string());
        let members: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(json).map_err(not_json)?;
        let read = |column: &Column| match members.get(column.name).map(|raw| raw.get()) {
            None | Some("null") if column.required => Err(RowError::Missing(column.name)),
            None | Some("null") => Ok(Cell::Null),
            Some(raw) => cell(column, raw),
        };
        self.columns.iter().map(read).collect()
    }
}

fn cell(column: &Column, raw: &str) -> Result<Cell, RowError> {
    let text = || serde_json::from_str::<String>(raw).ok();
    let read = match column.kind {
        Kind::Text => text().map(Cell::Text),
        Kind::Time => text().and_then(|text| micros(&text)).map(Cell::Time),
        Kind::Float => serde_json::from_str(raw).ok().map(Cell::Float),
        Kind::Int => serde_json::from_str(raw).ok().map(Cell::Int),
        Kind::Json => Some(Cell::Json(raw.into())),
    };
    let found = || raw.chars().take(64).collect();
    read.ok_or_else(|| RowError::Kind(column.name, found(), column.kind.name()))
}

impl Kind {
    /// What is expected of its text.
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Time => "an RFC 3339 time",
            Self::Float => "a number",
            Self::Int => "a whole number",
            Self::Json => "JSON",
        }
    }
}

/// A time as RFC 3339, with microseconds.
pub fn rfc3339(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}

/// The UTC day of a time: `2026-11-23`.
pub fn day(micros: i64) -> String {
    rfc3339(micros).split('T').next().unwrap_or_default().to_owned()
}

/// Reads an RFC 3339 time.
pub fn micros(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_microsecond())
}
