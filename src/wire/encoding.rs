//! Content codings: gzip, deflate, br and zstd, out and in, within a cap.
//!
//! In: a `Content-Encoding` and a body as received. Out: the plain body, never larger than the
//! caller allows and never an allocation much beyond that; and the way back, at fast levels, for
//! bodies whose hits moved. A body that is cut short or goes on behind its end is refused. Stacked
//! codings are not undone. [`narrow_accept_encoding`] keeps the upstream from choosing anything
//! else.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use brotli::enc::StandardAlloc;
use brotli::enc::backward_references::BrotliEncoderParams;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::Compression;

/// Fast, and within a few percent of the default's size on JSON.
const GZIP_LEVEL: u32 = 3;
/// What servers use for replies made on the fly; higher levels cost milliseconds.
const BROTLI_QUALITY: i32 = 4;
/// 256 KiB: most replies fit whole.
const BROTLI_WINDOW_BITS: i32 = 18;
const ZSTD_LEVEL: i32 = 3;
/// 8 MiB, the most that HTTP allows (RFC 9659 §3).
const ZSTD_WINDOW_BITS_MAX: u32 = 23;
/// Codings that a narrowed `Accept-Encoding` may name.
const ACCEPTED: [&str; 4] = ["gzip", "br", "zstd", "identity"];
/// Room made ahead: product JSON shrinks to about a seventh.
const USUAL_RATIO: usize = 8;
const BROTLI_STEP_BYTES: usize = 64 * 1024;

/// A content coding that we can undo and apply again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The bytes as they are.
    Identity,
    /// gzip (RFC 1952), also of several members.
    Gzip,
    /// deflate in its zlib wrapping (RFC 1950), as HTTP defines it.
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878), windows up to 8 MiB.
    Zstd,
}

/// Why a body could not be decoded or encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// A coding that we do not know, or several at once.
    #[error("the content coding is unknown, or there are several")]
    Unknown,
    /// The plain body would be larger than allowed.
    #[error("the decoded body is larger than allowed")]
    TooLarge,
    /// The body is not what its coding says, is cut short, or goes on behind its end.
    #[error("the body does not decode")]
    Corrupt,
}

impl Coding {
    /// Every coding we know.
    pub const ALL: [Self; 5] =
        [Self::Identity, Self::Gzip, Self::Deflate, Self::Brotli, Self::Zstd];

    /// Reads the value of `Content-Encoding`; empty means identity.
    ///
    /// # Errors
    /// [`EncodingError::Unknown`], also when several codings are stacked.
    pub fn parse(header: &str) -> Result<Self, EncodingError> {
        let name = header.trim();
        let is = |coding: &str| name.eq_ignore_ascii_case(coding);
        match () {
            () if name.is_empty() || is("identity") => Ok(Self::Identity),
            () if is("gzip") || is("x-gzip") => Ok(Self::Gzip),
            () if is("deflate") => Ok(Self::Deflate),
            () if is("br") => Ok(Self::Brotli),
            () if is("zstd") => Ok(Self::Zstd),
            () => Err(EncodingError::Unknown),
        }
    }

    /// Its name in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// The plain form of `body`, of at most `bytes_max` bytes; borrowed for identity.
///
/// # Errors
/// [`EncodingError::TooLarge`] or [`EncodingError::Corrupt`].
pub fn decode(
    coding: Coding,
    body: &[u8],
    bytes_max: usize,
) -> Result<Cow<'_, [u8]>, EncodingError> {
    let plain = match coding {
        Coding::Identity if body.len() > bytes_max => return Err(EncodingError::TooLarge),
        Coding::Identity => return Ok(Cow::Borrowed(body)),
        _ if body.is_empty() => return Err(EncodingError::Corrupt),
        Coding::Gzip => read_all(flate2::read::MultiGzDecoder::new(body), body.len(), bytes_max)?,
        Coding::Deflate => {
            let mut decoder = flate2::read::ZlibDecoder::new(body);
            let plain = read_all(&mut decoder, body.len(), bytes_max)?;
            if decoder.total_in() != body.len() as u64 {
                return Err(EncodingError::Corrupt);
            }
            plain
        }
        Coding::Brotli => brotli_decode(body, bytes_max)?,
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body)
                .map_err(|_| EncodingError::Corrupt)?;
            decoder.window_log_max(ZSTD_WINDOW_BITS_MAX).map_err(|_| EncodingError::Corrupt)?;
            read_all(decoder, body.len(), bytes_max)?
        }
    };
    Ok(Cow::Owned(plain))
}

/// `plain` in a coding.
///
/// # Errors
/// When an encoder fails, which is for lack of memory only.
pub fn encode(coding: Coding, plain: &[u8]) -> io::Result<Vec<u8>> {
    let room = plain.len() / 4 + 64;
    match coding {
        Coding::Identity => Ok(plain.to_vec()),
        Coding::Gzip => {
            let level = Compression::new(GZIP_LEVEL);
            let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(room), level);
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Coding::Deflate => {
            let level = Compression::new(GZIP_LEVEL);
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::with_capacity(room), level);
            encoder.write_all(plain)?;
            encoder.finish()
        }
        Coding::Brotli => {
            let params = BrotliEncoderParams {
                quality: BROTLI_QUALITY,
                lgwin: BROTLI_WINDOW_BITS,
                size_hint: plain.len(),
                ..BrotliEncoderParams::default()
            };
            let mut out = Vec::with_capacity(room);
            brotli::BrotliCompress(&mut &*plain, &mut out, &params)?;
            Ok(out)
        }
        Coding::Zstd => zstd::bulk::compress(plain, ZSTD_LEVEL),
    }
}

/// What of a client's `Accept-Encoding` is sent upstream: the codings that we decode, each with its
/// weight as written; `*` becomes those of them that are not named otherwise. `identity` where
/// nothing is left, or nothing was sent.
pub fn narrow_accept_encoding(header: Option<&str>) -> String {
    let Some(header) = header else { return "identity".to_owned() };
    let offers: Vec<(&str, &str)> = header
        .split(',')
        .map(|offer| {
            let offer = offer.trim();
            let (name, weight) = offer.split_at(offer.find(';').unwrap_or(offer.len()));
            (name.trim(), weight.trim())
        })
        .collect();
    let named = |coding: &str| offers.iter().any(|(name, _)| is_coding(name, coding));
    let mut kept: Vec<(&str, &str)> = Vec::new();
    for (name, weight) in &offers {
        if *name == "*" {
            kept.extend(ACCEPTED.iter().filter(|coding| !named(coding)).map(|c| (*c, *weight)));
        } else if ACCEPTED.iter().any(|coding| is_coding(name, coding)) {
            kept.push((name, weight));
        }
    }
    if kept.iter().all(|(_, weight)| is_refusal(weight)) {
        return "identity".to_owned();
    }
    let kept: Vec<String> =
        kept.into_iter().map(|(name, weight)| format!("{name}{weight}")).collect();
    kept.join(", ")
}

fn is_coding(name: &str, coding: &str) -> bool {
    name.eq_ignore_ascii_case(coding) || coding == "gzip" && name.eq_ignore_ascii_case("x-gzip")
}

/// Whether a weight is zero: "not this one".
fn is_refusal(weight: &str) -> bool {
    let value = weight.trim_start_matches(';').trim();
    let value = value.strip_prefix(['q', 'Q']).map(|value| value.trim().trim_start_matches('='));
    value.and_then(|value| value.trim().parse::<f32>().ok()) == Some(0.0)
}

/// Reads to the end, one byte beyond what is allowed at most.
fn read_all(reader: impl Read, coded: usize, bytes_max: usize) -> Result<Vec<u8>, EncodingError> {
    let mut plain = Vec::with_capacity(room(coded, bytes_max));
    let limit = (bytes_max as u64).saturating_add(1);
    reader.take(limit).read_to_end(&mut plain).map_err(|_| EncodingError::Corrupt)?;
    if plain.len() > bytes_max { Err(EncodingError::TooLarge) } else { Ok(plain) }
}

fn room(coded: usize, bytes_max: usize) -> usize {
    coded.saturating_mul(USUAL_RATIO).min(bytes_max)
}

/// Brotli step by step: its reader does not tell whether bytes are left behind the end.
fn brotli_decode(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, EncodingError> {
    let alloc = StandardAlloc::default;
    // strict: windows up to 16 MiB, as in RFC 7932
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let mut plain = Vec::with_capacity(room(body.len(), bytes_max));
    let mut step = vec![0; BROTLI_STEP_BYTES];
    let (mut left, mut read, mut total) = (body.len(), 0, 0);
    loop {
        let (mut space, mut written) = (step.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            body,
            &mut space,
            &mut written,
            &mut step,
            &mut total,
            &mut state,
        );
        plain.extend_from_slice(step.get(..written).ok_or(EncodingError::Corrupt)?);
        if plain.len() > bytes_max {
            return Err(EncodingError::TooLarge);
        }
        match result {
            BrotliResult::ResultSuccess if left == 0 => return Ok(plain),
            BrotliResult::NeedsMoreOutput => {}
            _ => return Err(EncodingError::Corrupt),
        }
    }
}

#[cfg(test)]
mod tests;
