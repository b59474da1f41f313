//! Floor 1: what was fitted offline, as a file: one envelope, and inside it one kind of model.
//!
//! ```text
//! leafrank-model 1 hierarchical 1 31874 <sha256 of the payload, 64 hex digits>⏎
//! <payload: as many bytes as said, in the form of its kind>
//! ```
//!
//! The first line says: envelope's version, kind, the kind's own version, bytes of the payload, and
//! their checksum. In: bytes from anywhere, at most [`FILE_BYTES_MAX`]. Out: a [`Model`], or why not, as
//! a [`Problem`] with what was found and what was expected. A file that is torn, foreign, changed or
//! newer than this program is refused whole. Never a panic.
//!
//! Another kind of model is a word of [`Kind`], a file beside [`hierarchical`] that reads its payload,
//! and a variant of [`Model`].

pub mod hierarchical;
pub mod trees;

use std::sync::Arc;

use ring::digest::{SHA256, digest};

use crate::types::problem::Problem;
pub use hierarchical::Hierarchical;
pub use trees::Trees;

/// Larger files are no models of ours: a hundred thousand facets are a twentieth of it.
pub const FILE_BYTES_MAX: usize = 64 << 20;

/// Of the envelope.
const VERSION: u32 = 1;
const MAGIC: &str = "leafrank-model";
/// A first line is shorter.
const HEAD_BYTES_MAX: usize = 256;
/// So many letters of a word that is wrong are shown.
const WORD_MAX: usize = 40;

/// What a model is for: the word of `ranking.preference` that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Gaussian weights of facets.
    Hierarchical,
    /// Boosted trees over named features.
    Trees,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hierarchical, Self::Trees];

    /// The word in files and rules.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hierarchical => "hierarchical",
            Self::Trees => "trees",
        }
    }

    /// The newest form of its payload that is read, and the one that is written.
    const fn version(self) -> u32 {
        match self {
            Self::Hierarchical => hierarchical::VERSION,
            Self::Trees => trees::VERSION,
        }
    }
}

/// A model that may serve.
#[derive(Clone, Debug)]
pub enum Model {
    /// Gaussian weights of facets.
    Hierarchical(Arc<Hierarchical>),
    /// Boosted trees over named features.
    Trees(Arc<Trees>),
}

/// A file whose envelope is whole.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// What is in it.
    pub kind: Kind,
    /// The leading 8 hex digits of the payload's checksum: how the model is called.
    pub version: Arc<str>,
    /// In the form of its kind.
    pub payload: &'a [u8],
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As a phrase.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Refused {
    /// Found one thing, expected another.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }

    /// The same, said of a file.
    pub fn of(self, file: &str) -> Problem {
        Problem { expected: self.expected, ..Problem::with_file(file, self.found) }
    }
}

impl Model {
    /// Reads a file and names its version.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<(Self, Arc<str>), Refused> {
        let Opened { kind, version, payload } = open(bytes)?;
        let model = match kind {
            Kind::Hierarchical => Self::Hierarchical(Arc::new(Hierarchical::read(payload)?)),
            Kind::Trees => Self::Trees(Arc::new(Trees::read(payload)?)),
        };
        Ok((model, version))
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Hierarchical(_) => Kind::Hierarchical,
            Self::Trees(_) => Kind::Trees,
        }
    }
}

/// A file's bytes around a payload.
pub fn seal(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let (name, version, length, sum) =
        (kind.name(), kind.version(), payload.len(), checksum(payload));
    let mut out = format!("{MAGIC} {VERSION} {name} {version} {length} {sum}\n").into_bytes();
    out.extend_from_slice(payload);
    out
}

/// Looks at a file's envelope: whole, ours, unchanged, of a version that is known here.
///
/// # Errors
/// The first of these that it is not.
pub fn open(bytes: &[u8]) -> Result<Opened<'_>, Refused> {
    if bytes.len() > FILE_BYTES_MAX {
        let found = format!("more than {FILE_BYTES_MAX} bytes");
        return Err(Refused::new(found, "a model file of `leafrank fit model`"));
    }
    let (head, payload) = head_of(bytes)?;
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (_magic, version, kind_name) = (word(), word(), word());
    if number(version)? != VERSION {
        let found = format!("an envelope of version {}", shown(version));
        return Err(Refused::new(found, format!("version {VERSION}, which this program reads")));
    }
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == kind_name) else {
        let expected = format!("one of {}", Kind::ALL.map(Kind::name).join(", "));
        let found = format!("a model of kind \"{}\"", shown(kind_name));
        return Err(Refused::new(found, expected));
    };
    let of_kind = word();
    if !(1..=kind.version()).contains(&number(of_kind)?) {
        let found = format!("{kind_name} model of version {}", shown(of_kind));
        let expected = format!("version {} at most: a newer program wrote it", kind.version());
        return Err(Refused::new(found, expected));
    }
    let (length, sum) = (word(), word());
    let length = number(length)? as usize;
    if payload.len() != length {
        let found = format!("{} bytes behind the first line", payload.len());
        let expected = format!("{length}: the file is torn or was added to");
        return Err(Refused::new(found, expected));
    }
    let found = checksum(payload);
    if found != sum {
        let expected = format!("{}: the file was changed or is damaged", shown(sum));
        return Err(Refused::new(format!("a payload with sha256 {found}"), expected));
    }
    let version = Arc::from(found.get(..8).unwrap_or_default());
    Ok(Opened { kind, version, payload })
}

/// The first line, and what stands behind it.
fn head_of(bytes: &[u8]) -> Result<(&str, &[u8]), Refused> {
    let foreign = || Refused::new("no model file", format!("a first line of \"{MAGIC} …\""));
    let front = bytes.get(..bytes.len().min(HEAD_BYTES_MAX)).unwrap_or_default();
    if front.is_empty() {
        return Err(Refused::new("an empty file", format!("a first line of \"{MAGIC} …\"")));
    }
    let end = front.iter().position(|byte| *byte == b'\n');
    let Some(end) = end else {
        let torn = front.starts_with(MAGIC.as_bytes()) && front.len() < HEAD_BYTES_MAX;
        let torn_here = || Refused::new("a torn first line", "a whole model file");
        return Err(if torn { torn_here() } else { foreign() });
    };
    let head = front.get(..end).and_then(|head| std::str::from_utf8(head).ok());
    let head = head.filter(|head| head.split(' ').next() == Some(MAGIC)).ok_or_else(foreign)?;
    Ok((head, bytes.get(end + 1..).unwrap_or_default()))
}

fn number(word: &str) -> Result<u32, Refused> {
    let refused = || Refused::new(format!("found \"{}\"", shown(word)), "a whole number");
    word.parse().map_err(|_| refused())
}

/// A word of a file, fit to be printed.
fn shown(word: &str) -> String {
    word.chars().take(WORD_MAX).flat_map(char::escape_debug).collect()
}

/// As hex digits.
pub fn checksum(payload: &[u8]) -> String {
    digest(&SHA256, payload).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        seal(Kind::Hierarchical, &Hierarchical::default().payload())
    }

    fn refused(bytes: &[u8]) -> String {
        Model::read(bytes).unwrap_err().of("taste.model").to_string()
    }

    #[test]
    fn what_was_sealed_is_read_again_and_called_by_its_checksum() {
        let (model, version) = Model::read(&file()).unwrap();
        let Model::Hierarchical(read) = model else { panic!("of another kind") };
        assert_eq!(*read, Hierarchical::default());
        assert!(checksum(&read.payload()).starts_with(&*version));
    }

    #[test]
    fn a_file_that_is_torn_at_any_byte_is_refused() {
        let file = file();
        for end in 0..file.len() {
            let said = refused(&file[..end]);
            assert!(said.starts_with("taste.model: "), "{end}: {said}");
        }
        assert!(refused(b"").contains("empty"));
        assert!(refused(&file[..20]).contains("torn"));
        assert!(refused(&file[..file.len() - 1]).contains("torn"));
    }

    #[test]
    fn a_changed_byte_is_found_wherever_it_is() {
        let file = file();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(Model::read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_is_foreign_or_newer_is_refused_with_what_was_expected() {
        assert!(refused(b"enabled: true\nranking: {}\n").contains("no model file"));
        let text = String::from_utf8(file()).unwrap();
        let newer = text.replacen("leafrank-model 1", "leafrank-model 2", 1);
        assert!(refused(newer.as_bytes()).contains("an envelope of version 2; expected version 1"));
        let newer = text.replacen("hierarchical 1", "hierarchical 9", 1);
        assert!(refused(newer.as_bytes()).contains("hierarchical model of version 9"));
        let other = text.replacen("hierarchical", "hierarchicall", 1);
        let said = refused(other.as_bytes());
        assert!(
            said.contains("kind \"hierarchicall\"; expected one of hierarchical, trees"),
            "{said}"
        );
        let added = format!("{text} ");
        assert!(refused(added.as_bytes()).contains("added to"));
    }
}
