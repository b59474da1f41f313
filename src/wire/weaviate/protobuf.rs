//! Protobuf's wire format, record by record, without any schema.
//!
//! In: the bytes of a message. Out: [`Records`], each a field's number, its payload and its bytes,
//! all borrowed. Nothing is skipped unchecked: a tag or a length of more than five bytes, a varint
//! beyond 64 bits, field 0, groups, unknown wire types and lengths past the end are
//! [`Doubt::NotProtobuf`]. What a payload holds is the caller's to ask: sub-messages are walked
//! only where somebody wants something of them. Cost: `O(records)`, no allocation.

use crate::wire::Doubt;

/// Tags and lengths are 32-bit numbers; parsers differ on how much padding they take.
const SHORT_VARINT_BYTES_MAX: usize = 5;
const VARINT_BYTES_MAX: usize = 10;

/// The records of one message, in order; after a doubt there are no more.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    bytes: usize,
}

/// One field of a message: tag and payload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// The field's number, never 0.
    pub number: u32,
    /// What it holds.
    pub payload: Payload<'a>,
    /// The whole record, tag included.
    pub raw: &'a [u8],
}

/// What a record holds, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, as it lies in the bits.
    Fixed64(u64),
    /// Wire type 2: text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Wire type 5, as it lies in the bits.
    Fixed32(u32),
}

impl<'a> Records<'a> {
    /// The records of `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message, bytes: message.len() }
    }

    /// Where the next record starts, counted from the start of the message.
    pub fn at(&self) -> usize {
        self.bytes - self.rest.len()
    }

    #[inline(always)]
    fn read(&mut self) -> Option<Record<'a>> {
        let (tag, rest) = short_varint(self.rest)?;
        let number = tag >> 3;
        let (payload, rest) = match tag & 7 {
            0 => varint(rest).map(|(value, rest)| (Payload::Varint(value), rest)),
            1 => rest
                .split_first_chunk()
                .map(|(bits, rest)| (Payload::Fixed64(u64::from_le_bytes(*bits)), rest)),
            2 => {
                let (length, rest) = short_varint(rest)?;
                let (bytes, rest) = rest.split_at_checked(length as usize)?;
                Some((Payload::Bytes(bytes), rest))
            }
            5 => rest
                .split_first_chunk()
                .map(|(bits, rest)| (Payload::Fixed32(u32::from_le_bytes(*bits)), rest)),
            _ => None,
        }?;
        let raw = self.rest.get(..self.rest.len() - rest.len())?;
        self.rest = rest;
        (number != 0).then_some(Record { number, payload, raw })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Doubt>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.rest = &[];
        }
        Some(read.ok_or(Doubt::NotProtobuf))
    }
}

/// A record whose field has another type than its wire type says is read by some parsers as
/// unknown and refused by others: a doubt.
impl<'a> Record<'a> {
    /// Bytes or a message.
    ///
    /// # Errors
    /// [`Doubt::NotProtobuf`] where the wire type is another one.
    #[inline(always)]
    pub fn bytes(&self) -> Result<&'a [u8], Doubt> {
        match self.payload {
            Payload::Bytes(bytes) => Ok(bytes),
            _ => Err(Doubt::NotProtobuf),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// [`Doubt::InvalidUtf8`], or [`Doubt::NotProtobuf`] where the wire type is another one.
    #[inline(always)]
    pub fn text(&self) -> Result<&'a str, Doubt> {
        utf8(self.bytes()?)
    }

    /// An integer or an enum's value; as 32 bits where the field has no more, as all parsers cut it.
    ///
    /// # Errors
    /// [`Doubt::NotProtobuf`] where the wire type is another one.
    pub fn varint(&self) -> Result<u64, Doubt> {
        match self.payload {
            Payload::Varint(value) => Ok(value),
            _ => Err(Doubt::NotProtobuf),
        }
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`Doubt::NotProtobuf`] where the wire type is another one.
    pub fn truth(&self) -> Result<bool, Doubt> {
        self.varint().map(|value| value != 0)
    }

    /// A `float`.
    ///
    /// # Errors
    /// [`Doubt::NotProtobuf`] where the wire type is another one.
    pub fn float(&self) -> Result<f32, Doubt> {
        match self.payload {
            Payload::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(Doubt::NotProtobuf),
        }
    }

    /// A `double`.
    ///
    /// # Errors
    /// [`Doubt::NotProtobuf`] where the wire type is another one.
    pub fn double(&self) -> Result<f64, Doubt> {
        match self.payload {
            Payload::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(Doubt::NotProtobuf),
        }
    }
}

/// Bytes as text.
#[inline(always)]
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Doubt> {
    std::str::from_utf8(bytes).map_err(|_| Doubt::InvalidUtf8)
}

/// A number of 32 bits (a tag, a length) and what follows it.
#[inline(always)]
pub(super) fn short_varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match bytes {
        [byte @ ..0x80, rest @ ..] => return Some((u32::from(*byte), rest)),
        [low, high @ ..0x80, rest @ ..] => {
            return Some((u32::from(low & 0x7f) | u32::from(*high) << 7, rest));
        }
        _ => {}
    }
    let (value, rest) = long_varint(bytes)?;
    let value = u32::try_from(value).ok()?;
    (bytes.len() - rest.len() <= SHORT_VARINT_BYTES_MAX).then_some((value, rest))
}

#[inline(always)]
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [byte @ ..0x80, rest @ ..] => Some((u64::from(*byte), rest)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    let mut rest = bytes;
    for place in 0..VARINT_BYTES_MAX {
        let (byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            // the tenth byte has room for the 64th bit only
            let fits = place + 1 < VARINT_BYTES_MAX || *byte <= 1;
            return fits.then_some((value, rest));
        }
    }
    None
}

/// Writes a varint, as short as it can be.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a record of wire type 0.
pub fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Writes a record of wire type 2.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walked(message: &[u8]) -> Result<Vec<(u32, Payload<'_>)>, Doubt> {
        Records::new(message)
            .map(|record| record.map(|record| (record.number, record.payload)))
            .collect()
    }

    #[test]
    fn each_wire_type_is_read_and_groups_are_not() {
        let message = b"\x08\x96\x01\x11\0\0\0\0\0\0\xf0\x3f\x1a\x03abc\x25\0\0\x80\x3f";
        let read = walked(message).unwrap();
        assert_eq!(read[0], (1, Payload::Varint(150)));
        assert_eq!(read[1], (2, Payload::Fixed64(1.0_f64.to_bits())));
        assert_eq!(read[2], (3, Payload::Bytes(b"abc")));
        assert_eq!(read[3], (4, Payload::Fixed32(1.0_f32.to_bits())));
        for group in [&b"\x0b\x0c"[..], b"\x0c", b"\x0e", b"\x0f\x01"] {
            assert_eq!(walked(group), Err(Doubt::NotProtobuf), "{group:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_a_doubt() {
        let eleven = [&[0x08][..], &[0xff; 10], &[0x01]].concat();
        let beyond = [&[0x08][..], &[0xff; 9], &[0x02]].concat();
        let tag = [&[0x88][..], &[0x80; 4], &[0x00, 0x01]].concat();
        let length = [&[0x0a, 0x80][..], &[0x80; 4], &[0x00]].concat();
        let number = [0xf8, 0xff, 0xff, 0xff, 0x1f, 0x01];
        let broken: [&[u8]; 11] = [
            b"\x00\x01",
            b"\x08",
            b"\x08\x80",
            b"\x0a\x02a",
            b"\x09\0\0\0",
            b"\x0d\0",
            &eleven,
            &beyond,
            &tag,
            &length,
            &number,
        ];
        for message in broken {
            assert_eq!(walked(message), Err(Doubt::NotProtobuf), "{message:?}");
        }
        let widest = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(walked(&widest), Ok(vec![(1, Payload::Varint(u64::MAX))]));
        assert_eq!(walked(b"\x88\x00\x07"), Ok(vec![(1, Payload::Varint(7))]));
    }

    #[test]
    fn after_a_doubt_there_is_nothing_more() {
        let mut records = Records::new(b"\x08\x01\x0b\x08\x01");
        assert!(records.next().unwrap().is_ok());
        assert_eq!(records.next(), Some(Err(Doubt::NotProtobuf)));
        assert_eq!(records.next(), None);
    }

    proptest! {
        #[test]
        fn records_lie_side_by_side_and_make_up_the_message(
            message in prop::collection::vec(prop_oneof![Just(0x08_u8), Just(0x0a), 0..16_u8, any::<u8>()], 0..64)
        ) {
            let (mut records, mut at) = (Records::new(&message), 0);
            while let Some(Ok(record)) = records.next() {
                prop_assert_eq!(&message[at..records.at()], record.raw);
                at = records.at();
            }
        }

        #[test]
        fn what_is_written_reads_back(number in 1..1_u32 << 29, value: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_number(&mut out, number, value);
            put_bytes(&mut out, number, &bytes);
            let expected = vec![(number, Payload::Varint(value)), (number, Payload::Bytes(&bytes))];
            prop_assert_eq!(walked(&out), Ok(expected));
        }
    }
}
