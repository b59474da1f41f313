//! The snapshot's bytes: a head, sections with tag, length and checksum, and an end.
//!
//! ```text
//! "LEAFRANK" · format u32
//! tag 4 B · length u32 · checksum u64 (XXH3 of the bytes, seeded by tag and length) · bytes
//! …
//! "END." · 8 · checksum · number of sections u64
//! ```
//!
//! In: sections of whoever keeps something. Out: the same to whoever knows the tag. A version that
//! only adds sections, or bytes behind what stands in one, keeps the format's number, and the version
//! before reads what it knows; only a format that it would misread gets a new one. A file without its
//! end, or with one wrong bit, is broken as a whole. Little-endian.

use std::io::{self, Read, Write};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Kept;

/// The name of a section.
pub type Tag = [u8; 4];

const MAGIC: &[u8; 8] = b"LEAFRANK";
const FORMAT: u32 = 1;
const END: Tag = *b"END.";
/// Longer ones nobody writes; read in one piece.
const SECTION_BYTES_MAX: u32 = 1 << 28;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The system does not give it.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// It begins otherwise.
    #[error("it is not a snapshot of leafrank's: it does not begin with \"LEAFRANK\"")]
    Foreign,
    /// Of a version after this one.
    #[error("its format is {0}, this program knows {FORMAT}: start the version that wrote it")]
    Format(u32),
    /// Ends before its end.
    #[error("it ends in the middle, after {0} whole sections")]
    Torn(u64),
    /// A checksum is wrong.
    #[error("section {0} is damaged: its checksum is wrong")]
    Damaged(u64),
    /// A section is whole and makes no sense.
    #[error("section {0} does not hold what it should")]
    Senseless(u64),
}

/// Where sections go.
pub trait Sections {
    /// Writes one section under the tag of who is asked just now.
    ///
    /// # Errors
    /// Those of the disk; a section longer than any should be.
    fn section(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A file on its way.
pub(super) struct Writer<W> {
    to: W,
    tag: Tag,
    sections: u64,
    length: u64,
}

fn checksum(tag: Tag, bytes: &[u8]) -> u64 {
    let seed = u64::from(u32::from_le_bytes(tag)) << 32 | bytes.len() as u64;
    xxh3_64_with_seed(bytes, seed)
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(mut to: W) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        to.write_all(&FORMAT.to_le_bytes())?;
        Ok(Self { to, tag: END, sections: 0, length: 12 })
    }

    /// The following sections are of this kind.
    pub(super) fn tag(&mut self, tag: Tag) {
        self.tag = tag;
    }

    /// Writes the end; the file and its length.
    pub(super) fn end(mut self) -> io::Result<(W, u64)> {
        self.tag = END;
        let sections = self.sections;
        self.section(&sections.to_le_bytes())?;
        self.to.flush()?;
        Ok((self.to, self.length))
    }
}

impl<W: Write> Sections for Writer<W> {
    fn section(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= SECTION_BYTES_MAX);
        let too_long = || io::Error::other(format!("a section of {} bytes", bytes.len()));
        self.to.write_all(&self.tag)?;
        self.to.write_all(&length.ok_or_else(too_long)?.to_le_bytes())?;
        self.to.write_all(&checksum(self.tag, bytes).to_le_bytes())?;
        self.to.write_all(bytes)?;
        self.sections += 1;
        self.length += 16 + bytes.len() as u64;
        Ok(())
    }
}

/// Gives each section to the one that knows its tag, and skips what nobody knows.
pub(super) fn read(mut from: impl Read, kept: &[&dyn Kept]) -> Result<(), Broken> {
    if &array(&mut from, Broken::Foreign)? != MAGIC {
        return Err(Broken::Foreign);
    }
    let format = u32::from_le_bytes(array(&mut from, Broken::Torn(0))?);
    if format != FORMAT {
        return Err(Broken::Format(format));
    }
    let (mut number, mut bytes) = (0, Vec::new());
    loop {
        let torn = || Broken::Torn(number);
        let tag: Tag = array(&mut from, torn())?;
        let length = u32::from_le_bytes(array(&mut from, torn())?);
        let expected = u64::from_le_bytes(array(&mut from, torn())?);
        if length > SECTION_BYTES_MAX {
            return Err(Broken::Damaged(number));
        }
        bytes.clear();
        let read = from.by_ref().take(length.into()).read_to_end(&mut bytes);
        if read.map_err(Broken::Unreadable)? != length as usize {
            return Err(torn());
        }
        if checksum(tag, &bytes) != expected {
            return Err(Broken::Damaged(number));
        }
        if tag == END {
            let whole = bytes == number.to_le_bytes();
            return if whole { Ok(()) } else { Err(Broken::Senseless(number)) };
        }
        let known = kept.iter().find(|kept| kept.tag() == tag);
        if known.is_some_and(|kept| !kept.load(&bytes)) {
            return Err(Broken::Senseless(number));
        }
        number += 1;
    }
}

fn array<const N: usize>(from: &mut impl Read, end: Broken) -> Result<[u8; N], Broken> {
    let mut bytes = [0; N];
    match from.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(end),
        Err(error) => Err(Broken::Unreadable(error)),
    }
}
