//! Rows to Parquet columns and back.
//!
//! In: a table and its rows, each a value a column. Out: a file, flushed; and the rows of one. Columns
//! are found by name: a file of a later version may have more, one of an earlier version fewer.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use crate::types::event::column::{Cell, Column, Kind, Table};
use crate::types::event::render;

/// Rows of one row group.
const GROUP_ROWS: usize = 65_536;

/// Writes rows into a new file and flushes it.
///
/// # Errors
/// The disk's, or Parquet's.
pub(super) fn write(table: &Table, rows: &[Vec<Cell>], path: &Path) -> Result<(), ParquetError> {
    let schema = Arc::new(parse_message_type(&render::parquet(table))?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("leafrank ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    for rows in rows.chunks(GROUP_ROWS) {
        let mut group = writer.next_row_group()?;
        for (place, column) in table.columns.iter().enumerate() {
            let Some(mut to) = group.next_column()? else { break };
            let cells = rows.iter().map(|row| row.get(place).unwrap_or(&Cell::Null));
            put(column, cells, &mut to)?;
            to.close()?;
        }
        group.close()?;
    }
    let file = writer.into_inner()?;
    file.sync_all()?;
    Ok(())
}

fn put<'a>(
    column: &Column,
    cells: impl Iterator<Item = &'a Cell>,
    to: &mut SerializedColumnWriter<'_>,
) -> Result<(), ParquetError> {
    match column.kind {
        Kind::Text | Kind::Json => {
            typed::<ByteArrayType>(column, cells, to, ByteArray::from(""), |cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_bytes().to_vec())),
                Cell::Json(text) => Some(ByteArray::from(text.as_bytes().to_vec())),
                _ => None,
            })
        }
        Kind::Time | Kind::Int => typed::<Int64Type>(column, cells, to, 0, |cell| match cell {
            Cell::Time(number) | Cell::Int(number) => Some(*number),
            _ => None,
        }),
        Kind::Float => typed::<DoubleType>(column, cells, to, 0.0, |cell| match cell {
            Cell::Float(number) => Some(*number),
            _ => None,
        }),
    }
}

fn typed<'a, T: DataType>(
    column: &Column,
    cells: impl Iterator<Item = &'a Cell>,
    to: &mut SerializedColumnWriter<'_>,
    nothing: T::T,
    value: impl Fn(&Cell) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        let value = value(cell);
        levels.push(i16::from(value.is_some()));
        // No row is taken without what every row has; damage may leave one so, which is not to cost others.
        values.extend(value.or_else(|| column.required.then(|| nothing.clone())));
    }
    let levels = (!column.required).then_some(levels.as_slice());
    to.typed::<T>().write_batch(&values, levels, None)?;
    Ok(())
}

/// Gives the rows of a file, some at a time, until `take` says false.
///
/// # Errors
/// The disk's, or Parquet's: what is no Parquet file of this table, or is damaged.
pub(super) fn read(
    table: &Table,
    file: File,
    mut take: impl FnMut(Vec<Cell>) -> bool,
) -> Result<(), ParquetError> {
    let file = unpanicked(|| SerializedFileReader::new(file))?;
    for number in 0..file.num_row_groups() {
        for row in unpanicked(|| group(table, &file, number))? {
            if !take(row) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The rows of one row group.
fn group(
    table: &Table,
    file: &SerializedFileReader<File>,
    number: usize,
) -> Result<Vec<Vec<Cell>>, ParquetError> {
    let group = file.get_row_group(number)?;
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(usize::MAX);
    if rows > GROUP_ROWS {
        return Err(ParquetError::General(format!(
            "a row group of {rows} rows; expected at most {GROUP_ROWS}, as we write them"
        )));
    }
    let mut columns = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        columns.push(got(column, rows, group.as_ref())?.into_iter());
    }
    let row = |_| columns.iter_mut().map(|column| column.next().unwrap_or(Cell::Null)).collect();
    Ok((0..rows).map(row).collect())
}

/// The library asserts what a damaged file need not keep to: such a file is an error, no more.
fn unpanicked<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    outcome.unwrap_or_else(|_| Err(ParquetError::General("the file is damaged".to_owned())))
}

/// A column's cells; all null where the file has none of this name and kind.
fn got(
    column: &Column,
    rows: usize,
    group: &dyn RowGroupReader,
) -> Result<Vec<Cell>, ParquetError> {
    let columns = group.metadata().columns().iter();
    let Some(place) = columns.map(|c| c.column_path().string()).position(|n| n == column.name)
    else {
        return Ok(vec![Cell::Null; rows]);
    };
    let text = |value: ByteArray| String::from_utf8_lossy(value.data()).into_owned();
    Ok(match (group.get_column_reader(place)?, column.kind) {
        (ColumnReader::ByteArrayColumnReader(mut from), kind @ (Kind::Text | Kind::Json)) => {
            let cell = |value| match kind {
                Kind::Json => Cell::Json(text(value).into()),
                _ => Cell::Text(text(value)),
            };
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            from.read_records(rows, Some(&mut levels), None, &mut values)?;
            spread(rows, &levels, values.into_iter().map(cell))
        }
        (ColumnReader::Int64ColumnReader(mut from), kind @ (Kind::Time | Kind::Int)) => {
            let cell =
                |value| if kind == Kind::Time { Cell::Time(value) } else { Cell::Int(value) };
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            from.read_records(rows, Some(&mut levels), None, &mut values)?;
            spread(rows, &levels, values.into_iter().map(cell))
        }
        (ColumnReader::DoubleColumnReader(mut from), Kind::Float) => {
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            from.read_records(rows, Some(&mut levels), None, &mut values)?;
            spread(rows, &levels, values.into_iter().map(Cell::Float))
        }
        _ => vec![Cell::Null; rows],
    })
}

/// Puts values to the rows that have one; without levels every row has.
fn spread(rows: usize, levels: &[i16], mut values: impl Iterator<Item = Cell>) -> Vec<Cell> {
    let has = |row: usize| levels.get(row).is_none_or(|level| *level > 0);
    (0..rows).map(|row| if has(row) { values.next() } else { None }.unwrap_or(Cell::Null)).collect()
}
