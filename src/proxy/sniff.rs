//! Sees what hyper hides: a `Content-Length` beside a `Transfer-Encoding`.
//!
//! hyper resolves that conflict by dropping the length before a service sees the request, so that
//! nobody downstream could tell (RFC 9112 §6.3 wants such a connection closed). [`Sniffer`] counts
//! the lines of that name in the bytes that are read; the service subtracts those that its request
//! accounts for, and a surplus length at a chunked request is the conflict. Text in a body that
//! looks like such a line can only make a connection close early, never stay open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, header};

const LENGTH: &[u8] = b"content-length";
/// Longest part of a line that must be kept across reads to recognise [`LENGTH`].
const CARRY: usize = LENGTH.len();

/// Counts of one connection, shared by its reader and its service.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    lengths: AtomicUsize,
}

impl Seen {
    /// Accounts for a request's head; true when a length stood beside its chunked coding.
    pub(crate) fn conflict(&self, headers: &HeaderMap) -> bool {
        let mut seen = self.lengths.load(Ordering::Relaxed);
        if seen > 0 && headers.contains_key(header::CONTENT_LENGTH) {
            seen -= 1;
            self.lengths.store(seen, Ordering::Relaxed);
        }
        seen > 0 && headers.contains_key(header::TRANSFER_ENCODING)
    }
}

/// Looks at the bytes of one connection as they are read.
pub(crate) struct Sniffer {
    seen: Arc<Seen>,
    /// The unfinished last line's beginning, while it may still become [`LENGTH`].
    line: [u8; CARRY],
    kept: usize,
    in_line: bool,
}

impl Sniffer {
    pub(crate) fn new(seen: Arc<Seen>) -> Self {
        Self { seen, line: [0; CARRY], kept: 0, in_line: true }
    }

    /// Takes the next bytes.
    pub(crate) fn look(&mut self, mut data: &[u8]) {
        while let Some(first) = data.first() {
            // Nearly every line is told from a length by its first letter.
            if self.in_line && self.kept == 0 && !first.eq_ignore_ascii_case(&LENGTH[0]) {
                self.in_line = false;
            }
            if self.in_line {
                let wanted = CARRY - self.kept;
                let take = wanted.min(data.len());
                let end = memchr::memchr(b'\n', &data[..take]);
                let part = &data[..end.unwrap_or(take)];
                self.line[self.kept..self.kept + part.len()].copy_from_slice(part);
                self.kept += part.len();
                if self.kept == CARRY {
                    if self.line.eq_ignore_ascii_case(LENGTH) {
                        self.seen.lengths.fetch_add(1, Ordering::Relaxed);
                    }
                    self.in_line = false;
                }
                data = &data[part.len()..];
                if end.is_some() {
                    data = &data[1..];
                    self.kept = 0;
                    self.in_line = true;
                }
            } else {
                match memchr::memchr(b'\n', data) {
                    None => return,
                    Some(end) => {
                        data = &data[end + 1..];
                        self.kept = 0;
                        self.in_line = true;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(reads: &[&[u8]]) -> usize {
        let seen = Arc::new(Seen::default());
        let mut sniff = Sniffer::new(seen.clone());
        reads.iter().for_each(|read| sniff.look(read));
        seen.lengths.load(Ordering::Relaxed)
    }

    #[test]
    fn a_length_line_is_seen_however_the_reads_are_cut() {
        let head = b"POST / HTTP/1.1\r\nHost: x\r\nConTent-Length: 3\r\n\r\nabc";
        assert_eq!(count(&[head]), 1);
        for cut in 1..head.len() {
            assert_eq!(count(&[&head[..cut], &head[cut..]]), 1, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = head.chunks(1).collect();
        assert_eq!(count(&bytes), 1);
    }

    #[test]
    fn a_length_in_the_middle_of_a_line_is_not_one() {
        assert_eq!(count(&[b"GET / HTTP/1.1\r\nX: content-length: 3\r\n\r\n"]), 0);
    }

    #[test]
    fn a_chunked_request_beside_an_unaccounted_length_is_a_conflict() {
        let seen = Seen::default();
        seen.lengths.store(2, Ordering::Relaxed);
        let mut plain = HeaderMap::new();
        plain.insert(header::CONTENT_LENGTH, 3.into());
        assert!(!seen.conflict(&plain));
        let mut chunked = HeaderMap::new();
        chunked.insert(header::TRANSFER_ENCODING, http::HeaderValue::from_static("chunked"));
        assert!(seen.conflict(&chunked));
    }
}
