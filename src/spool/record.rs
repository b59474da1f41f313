//! A record of the log, byte by byte.
//!
//! ```text
//! 0        version, 1
//! 1        what it is: 0 action, 1 decision, 2 erasure
//! 2..18    the subject's key, big-endian
//! 18..26   when it was taken, ms since 1970, big-endian
//! 26..34   bytes of all records up to and with this one, big-endian
//! 34..     the row as JSON; nothing of an erasure
//! ```
//! Checksums are the store's. A record of a later version is kept and not read.

use crate::types::clock::Timestamp;
use crate::types::event::column::Table;
use crate::types::event::{ACTIONS, DECISIONS};
use crate::types::ids::SubjectKey;

const VERSION: u8 = 1;
/// Bytes before the row.
pub(super) const HEAD_BYTES: usize = 34;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row of `raw_user_actions`.
    Action,
    /// A row of `ranking_decisions`.
    Decision,
    /// Everything of its subject up to here is to be forgotten.
    Erasure,
}

impl Kind {
    /// The table of its row.
    pub fn table(self) -> Option<&'static Table> {
        match self {
            Self::Action => Some(&ACTIONS),
            Self::Decision => Some(&DECISIONS),
            Self::Erasure => None,
        }
    }
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the log.
    pub seq: u64,
    /// What it is.
    pub kind: Kind,
    /// Whom it is about.
    pub subject: SubjectKey,
    /// When it was taken.
    pub taken: Timestamp,
    /// Its row, as JSON.
    pub row: Vec<u8>,
}

/// A record that is to be written.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) subject: SubjectKey,
    pub(super) taken: Timestamp,
    pub(super) row: Vec<u8>,
}

impl Draft {
    pub(super) fn bytes(&self) -> u64 {
        (HEAD_BYTES + self.row.len()) as u64
    }

    /// The record; `end` counts the bytes up to and with it.
    pub(super) fn written(&self, end: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.row.len());
        let kind = match self.kind {
            Kind::Action => 0,
            Kind::Decision => 1,
            Kind::Erasure => 2,
        };
        out.extend_from_slice(&[VERSION, kind]);
        out.extend_from_slice(&self.subject.0.to_be_bytes());
        out.extend_from_slice(&self.taken.0.to_be_bytes());
        out.extend_from_slice(&end.to_be_bytes());
        out.extend_from_slice(&self.row);
        out
    }
}

/// Bytes of all records up to and with this one, and of it alone.
pub(super) fn end_of(value: &[u8]) -> Option<(u64, u64)> {
    let end = value.get(26..HEAD_BYTES)?.try_into().ok()?;
    Some((u64::from_be_bytes(end), value.len() as u64))
}

/// When a record was taken.
pub(super) fn taken(value: &[u8]) -> Option<Timestamp> {
    let taken = value.get(18..26)?.try_into().ok()?;
    Some(Timestamp(i64::from_be_bytes(taken)))
}

/// Whom a record is about.
pub(super) fn subject(value: &[u8]) -> Option<SubjectKey> {
    let subject = value.get(2..18)?.try_into().ok()?;
    Some(SubjectKey(u128::from_be_bytes(subject)))
}

/// Reads a record; what is wrong with it otherwise.
pub(super) fn read(seq: u64, value: &[u8]) -> Result<Record, String> {
    let (Some([version, kind]), Some(subject), Some(taken), Some(row)) =
        (value.first_chunk::<2>(), subject(value), taken(value), value.get(HEAD_BYTES..))
    else {
        return Err(format!("{} bytes; expected at least {HEAD_BYTES}", value.len()));
    };
    let kind = match (version, kind) {
        (&VERSION, 0) => Kind::Action,
        (&VERSION, 1) => Kind::Decision,
        (&VERSION, 2) => Kind::Erasure,
        _ => return Err(format!("version {version}, kind {kind}: written by a later version")),
    };
    Ok(Record { seq, kind, subject, taken, row: row.to_vec() })
}

/// A number as a key.
pub(super) fn key(seq: u64) -> Vec<u8> {
    seq.to_be_bytes().to_vec()
}

/// The number that a key begins with.
pub(super) fn seq_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.first_chunk::<8>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_this_version_is_these_very_bytes() {
        let draft = Draft {
            kind: Kind::Decision,
            subject: SubjectKey(0x0102),
            taken: Timestamp(-2),
            row: b"{}".to_vec(),
        };
        let bytes = draft.written(0x0a0b);
        let mut expected = vec![1, 1];
        expected.extend([0; 14]);
        expected.extend([1, 2]);
        expected.extend([255; 7]);
        expected.extend([254, 0, 0, 0, 0, 0, 0, 10, 11]);
        expected.extend(b"{}");
        assert_eq!(bytes, expected);
        let record = read(9, &bytes).unwrap();
        assert_eq!((record.seq, record.kind), (9, Kind::Decision));
        assert_eq!((record.subject, record.taken), (SubjectKey(0x0102), Timestamp(-2)));
        assert_eq!(record.row, b"{}");
        assert_eq!(end_of(&bytes), Some((0x0a0b, 36)));
    }

    #[test]
    fn what_a_later_version_wrote_is_not_read_and_said_to_be_that() {
        let later = [&[2, 0][..], &[0; 40]].concat();
        assert!(read(1, &later).unwrap_err().contains("later version"));
        let odd = [&[1, 9][..], &[0; 40]].concat();
        assert!(read(1, &odd).unwrap_err().contains("kind 9"));
        for length in 0..HEAD_BYTES {
            assert!(read(1, &later[..length]).is_err(), "{length}");
        }
    }
}
