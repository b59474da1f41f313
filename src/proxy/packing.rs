//! How a reply's body is packed: content coding for HTTP, frames and their coding for gRPC.
//!
//! In: the head of a reply, and how its route is written. Out: a [`Packing`] that unpacks the body
//! and packs it again, or the reason for which the reply must be left alone.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::response::Parts;
use http::{HeaderName, StatusCode};

use super::caching;
use crate::config::Wire;
use crate::personalize::fail_open::FailOpen;
use crate::wire::encoding::{self, Coding, EncodingError};
use crate::wire::weaviate::grpc;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// How a body is packed.
pub(crate) enum Packing {
    /// As HTTP says.
    Http(Coding),
    /// One message of gRPC; what `grpc-encoding` says.
    Grpc(Option<String>),
}

impl Packing {
    /// May the reply be read and changed? How it is packed, if so.
    pub(crate) fn of(parts: &Parts, wire: Wire) -> Result<Self, FailOpen> {
        // a call that failed at once has no body
        if parts.status != StatusCode::OK || parts.headers.contains_key(GRPC_STATUS) {
            return Err(FailOpen::Status);
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| {
            kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
        });
        let kind = kind.to_ascii_lowercase();
        if wire == Wire::Grpc {
            let coding = parts.headers.get(GRPC_ENCODING).and_then(|coding| coding.to_str().ok());
            return match kind.as_slice() {
                b"application/grpc" | b"application/grpc+proto" => {
                    Ok(Self::Grpc(coding.map(str::to_owned)))
                }
                _ => Err(FailOpen::ContentType),
            };
        }
        if kind != b"application/json" && !kind.ends_with(b"+json") {
            return Err(FailOpen::ContentType);
        }
        if caching::is_sealed(&parts.headers) {
            return Err(FailOpen::Sealed);
        }
        let mut codings = parts.headers.get_all(header::CONTENT_ENCODING).iter();
        let coding = codings.next().map_or("", |value| value.to_str().unwrap_or("?"));
        if codings.next().is_some() {
            return Err(FailOpen::Encoding);
        }
        Coding::parse(coding).map(Self::Http).map_err(|_| FailOpen::Encoding)
    }

    /// Did the call succeed, as far as its trailers say?
    pub(crate) fn ended_well(&self, trailers: Option<&HeaderMap>) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Grpc(_) => {
                trailers.and_then(|said| said.get(GRPC_STATUS)).is_some_and(|status| status == "0")
            }
        }
    }

    /// The body as it is read, of at most `bytes_max` bytes.
    pub(crate) fn unpacked<'b>(
        &self,
        body: &'b [u8],
        bytes_max: usize,
    ) -> Result<Cow<'b, [u8]>, FailOpen> {
        match self {
            Self::Http(coding) => {
                encoding::decode(*coding, body, bytes_max).map_err(|error| match error {
                    EncodingError::TooLarge => FailOpen::TooLarge,
                    EncodingError::Unknown | EncodingError::Corrupt => FailOpen::Encoding,
                })
            }
            Self::Grpc(coding) => Ok(grpc::plain(body, coding.as_deref(), bytes_max)?),
        }
    }

    /// Takes from the head what holds no more once the body is packed again.
    pub(crate) fn unsay(&self, headers: &mut HeaderMap) {
        match self {
            Self::Http(_) => {}
            Self::Grpc(_) => drop(headers.remove(GRPC_ENCODING)),
        }
    }

    /// The body as it is sent. A message that came compressed goes out plain, as its own flag says.
    pub(crate) fn packed(&self, body: Vec<u8>) -> Result<Bytes, FailOpen> {
        match self {
            Self::Http(Coding::Identity) | Self::Grpc(_) => Ok(Bytes::from(body)),
            Self::Http(coded) => {
                encoding::encode(*coded, &body).map(Bytes::from).map_err(|_| FailOpen::Encoding)
            }
        }
    }
}
