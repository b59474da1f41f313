//! gRPC's framing of a body: `flag(1) length(4, big-endian) message`.
//!
//! In: a whole body. Out: the same with its message plain ([`plain`]), the message in it
//! ([`message`]), and the way back ([`framed`]). A body of several messages, or of a part of one,
//! is a doubt.

use std::borrow::Cow;

use crate::wire::Doubt;
use crate::wire::encoding::{self, Coding, EncodingError};

/// Flag and length.
pub(super) const HEAD_BYTES: usize = 5;

/// The body with its message uncompressed, of at most `bytes_max` bytes where it had to be
/// uncompressed; borrowed where it was plain. `coding` is what `grpc-encoding` says.
///
/// # Errors
/// [`Doubt::NotProtobuf`] where the body is not one message, or is in a coding other than gzip;
/// [`Doubt::TooLarge`] where it unpacks to more than `bytes_max`.
pub fn plain<'b>(
    body: &'b [u8],
    coding: Option<&str>,
    bytes_max: usize,
) -> Result<Cow<'b, [u8]>, Doubt> {
    match parts(body)? {
        (0, _) => Ok(Cow::Borrowed(body)),
        (1, packed) if coding.map(Coding::parse) == Some(Ok(Coding::Gzip)) => {
            let message = encoding::decode(Coding::Gzip, packed, bytes_max).map_err(doubt)?;
            framed(&message).map(Cow::Owned)
        }
        _ => Err(Doubt::NotProtobuf),
    }
}

/// The message of a plain body.
///
/// # Errors
/// [`Doubt::NotProtobuf`] where the body is not one uncompressed message.
pub fn message(body: &[u8]) -> Result<&[u8], Doubt> {
    match parts(body)? {
        (0, message) => Ok(message),
        _ => Err(Doubt::NotProtobuf),
    }
}

/// A plain body of this message.
///
/// # Errors
/// [`Doubt::TooLarge`] at 4 GiB.
pub fn framed(message: &[u8]) -> Result<Vec<u8>, Doubt> {
    let mut body = Vec::with_capacity(HEAD_BYTES + message.len());
    body.extend_from_slice(&head(message.len())?);
    body.extend_from_slice(message);
    Ok(body)
}

/// The head of a plain body.
pub(super) fn head(message_bytes: usize) -> Result<[u8; HEAD_BYTES], Doubt> {
    let [a, b, c, d] = u32::try_from(message_bytes).map_err(|_| Doubt::TooLarge)?.to_be_bytes();
    Ok([0, a, b, c, d])
}

fn parts(body: &[u8]) -> Result<(u8, &[u8]), Doubt> {
    let ([flag, length @ ..], message) =
        body.split_first_chunk::<HEAD_BYTES>().ok_or(Doubt::NotProtobuf)?;
    let whole = u32::from_be_bytes(*length) as usize == message.len();
    whole.then_some((*flag, message)).ok_or(Doubt::NotProtobuf)
}

fn doubt(error: EncodingError) -> Doubt {
    match error {
        EncodingError::TooLarge => Doubt::TooLarge,
        EncodingError::Unknown | EncodingError::Corrupt => Doubt::NotProtobuf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_message_is_borrowed_and_framed_the_same_again() {
        let body = framed(b"abc").unwrap();
        assert_eq!(body, b"\0\0\0\0\x03abc");
        assert_eq!(message(&body), Ok(&b"abc"[..]));
        assert!(matches!(plain(&body, Some("gzip"), 0), Ok(Cow::Borrowed(same)) if same == body));
        assert_eq!(message(b"\0\0\0\0\0"), Ok(&b""[..]));
    }

    #[test]
    fn several_messages_parts_of_one_and_unknown_flags_are_doubts() {
        let twice = framed(b"abc").unwrap().repeat(2);
        for body in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x03ab", b"\x02\0\0\0\x01a", &twice] {
            assert_eq!(plain(body, Some("gzip"), 100), Err(Doubt::NotProtobuf), "{body:?}");
            assert_eq!(message(body), Err(Doubt::NotProtobuf), "{body:?}");
        }
    }

    #[test]
    fn gzip_is_undone_within_the_bound_and_nothing_else_is() {
        let text = b"oat drink".repeat(100);
        let packed = encoding::encode(Coding::Gzip, &text).unwrap();
        let mut body = framed(&packed).unwrap();
        body[0] = 1;
        assert_eq!(plain(&body, Some("gzip"), text.len()).unwrap(), framed(&text).unwrap());
        assert_eq!(plain(&body, Some("gzip"), text.len() - 1), Err(Doubt::TooLarge));
        for other in [None, Some("identity"), Some("deflate"), Some("zstd"), Some("snappy")] {
            assert_eq!(plain(&body, other, 10_000), Err(Doubt::NotProtobuf), "{other:?}");
        }
        assert_eq!(message(&body), Err(Doubt::NotProtobuf));
        body.pop();
        let shorter = u32::try_from(body.len() - HEAD_BYTES).unwrap().to_be_bytes();
        body[1..HEAD_BYTES].copy_from_slice(&shorter);
        assert_eq!(plain(&body, Some("gzip"), 10_000), Err(Doubt::NotProtobuf));
    }
}
