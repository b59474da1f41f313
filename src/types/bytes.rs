//! Small numbers, keys and texts as bytes, for what is kept on disk.
//!
//! In: values, or bytes from anywhere. Out: the other. Little-endian; lengths are LEB128. Bytes that
//! nobody wrote give `None`, never a panic, and no more memory than they have length.

use super::clock::Timestamp;
use super::ids::ProductKey;
use super::product::FacetKey;

/// Appends a length: 7 bits a byte.
pub fn put_number(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes and, before them, their number.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend(bytes);
}

/// Appends a time: 8 bytes.
pub fn put_time(out: &mut Vec<u8>, at: Timestamp) {
    out.extend(at.0.to_le_bytes());
}

/// Appends a product's key: 6 bytes.
pub fn put_product(out: &mut Vec<u8>, key: ProductKey) {
    out.extend(key.0.to_le_bytes().iter().take(6));
}

/// Appends a facet's key: 5 bytes.
pub fn put_facet(out: &mut Vec<u8>, key: FacetKey) {
    out.extend(key.0.to_le_bytes().iter().take(5));
}

/// Appends a row: its length and what `row` writes.
pub fn put_row(out: &mut Vec<u8>, row: impl FnOnce(&mut Vec<u8>)) {
    let head = out.len();
    out.extend([0; 4]);
    row(out);
    let length = (out.len() - head - 4) as u32;
    out[head..head + 4].copy_from_slice(&length.to_le_bytes());
}

/// Bytes that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the first.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// True when all is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is still to be read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// So many bytes as they are.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A number of two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A signed number of eight bytes.
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Any number of four bytes, also one that is none.
    pub fn f32(&mut self) -> Option<f32> {
        self.array().map(f32::from_le_bytes)
    }

    /// A finite number of four bytes.
    pub fn finite(&mut self) -> Option<f32> {
        self.f32().filter(|number| number.is_finite())
    }

    /// What [`put_number`] wrote, up to 2²⁸.
    pub fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// What [`put_bytes`] wrote.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length)
    }

    /// What [`put_bytes`] wrote of a text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// What [`put_time`] wrote.
    pub fn time(&mut self) -> Option<Timestamp> {
        self.i64().map(Timestamp)
    }

    /// What [`put_product`] wrote.
    pub fn product(&mut self) -> Option<ProductKey> {
        let [a, b, c, d, e, f] = self.array()?;
        Some(ProductKey(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])))
    }

    /// What [`put_facet`] wrote.
    pub fn facet(&mut self) -> Option<FacetKey> {
        let [a, b, c, d, axis] = self.array()?;
        let key = u64::from_le_bytes([a, b, c, d, axis, 0, 0, 0]);
        (axis < 4).then_some(FacetKey(key))
    }

    /// What [`put_row`] wrote.
    pub fn row(&mut self) -> Option<Reader<'a>> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length).map(Reader)
    }

    /// So many values as a number of them stands first; no room is made for more than there can be.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number().filter(|count| *count <= self.0.len())?;
        (0..count).map(|_| one(self)).collect()
    }

    /// So many bytes, if there are as many.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::product::Axis;

    #[test]
    fn what_was_written_is_read_and_what_is_cut_off_is_nothing() {
        let (product, facet) = (ProductKey::of("oat"), FacetKey::of(Axis::PriceTier, "premium"));
        let mut bytes = Vec::new();
        put_row(&mut bytes, |row| {
            put_bytes(row, "läuft".as_bytes());
            put_number(row, 300);
            put_time(row, Timestamp(-5));
            put_product(row, product);
            put_facet(row, facet);
        });
        let read = |bytes: &[u8]| {
            let mut row = Reader::new(bytes).row()?;
            let text = row.text()?.to_owned();
            Some((text, row.number()?, row.time()?, row.product()?, row.facet()?))
        };
        let whole = ("läuft".to_owned(), 300, Timestamp(-5), product, facet);
        assert_eq!(read(&bytes), Some(whole));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_number_of_values_that_cannot_be_there_makes_no_room() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, (1 << 28) - 1);
        bytes.extend([0; 8]);
        assert_eq!(Reader::new(&bytes).list(Reader::u64), None);
    }
}
