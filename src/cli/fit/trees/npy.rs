//! A table of numbers as NumPy reads it (format 1.0), with named columns.
//!
//! In: rows, one after the other. Out: a file; how many rows there are is written last, into a head of
//! fixed length.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use crate::model::trees::Feature;
use crate::replay::training::Example;

/// Columns before the features.
const LEADING: [&str; 4] = ["list", "person", "chosen", "base"];

/// Bytes of the head, a multiple of 64.
const HEAD_BYTES: usize = 4096;

/// A file that is being written.
pub(super) struct Writer {
    file: BufWriter<File>,
    rows: u64,
}

impl Writer {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&head(0))?;
        Ok(Self { file, rows: 0 })
    }

    pub(super) fn row(&mut self, example: &Example) -> io::Result<()> {
        let chosen = f32::from(u8::from(example.chosen));
        let leading = [example.list as f32, example.person as f32, chosen, example.base];
        for value in leading.iter().chain(&example.features) {
            self.file.write_all(&value.to_le_bytes())?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes the number of rows, and returns it.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head(self.rows))?;
        self.file.flush()?;
        Ok(self.rows)
    }
}

fn head(rows: u64) -> Vec<u8> {
    let names = LEADING.into_iter().chain(Feature::ALL.iter().map(|feature| feature.name()));
    let columns: Vec<String> = names.map(|name| format!("('{name}', '<f4')")).collect();
    let text = format!(
        "{{'descr': [{}], 'fortran_order': False, 'shape': ({rows},), }}",
        columns.join(", ")
    );
    let length = HEAD_BYTES - 10;
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((length as u16).to_le_bytes());
    head.extend(format!("{text:<width$}\n", width = length - 1).into_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_length_whatever_it_says() {
        for rows in [0, 1, u64::MAX] {
            let head = head(rows);
            assert_eq!(head.len(), HEAD_BYTES);
            assert!(head.ends_with(b"\n"));
            let text = String::from_utf8_lossy(&head);
            assert!(text.contains(&format!("'shape': ({rows},)")), "{text}");
            assert!(text.contains("('chosen', '<f4')"));
        }
    }

    #[test]
    fn rows_follow_the_head_and_are_counted() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut file = Writer::create(path.path()).unwrap();
        let features = [0.5; Feature::ALL.len()];
        let row = Example { list: 3, person: 1, chosen: true, base: 0.25, features };
        file.row(&row).unwrap();
        file.row(&row).unwrap();
        assert_eq!(file.finish().unwrap(), 2);
        let bytes = std::fs::read(path.path()).unwrap();
        assert_eq!(bytes.len(), HEAD_BYTES + 2 * 4 * (LEADING.len() + features.len()));
        assert_eq!(&bytes[HEAD_BYTES..HEAD_BYTES + 4], 3.0_f32.to_le_bytes());
        assert_eq!(&bytes[bytes.len() - 4..], 0.5_f32.to_le_bytes());
    }
}
