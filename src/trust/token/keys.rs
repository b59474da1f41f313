//! Keys that verify tokens, from the files in which shops have them.
//!
//! In: a text: PEM with public keys, a JWK set (RFC 7517), or secrets, one a line. Out: keys, each for
//! one algorithm, or what is wrong with which of them; an error never holds a part of a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::{hmac, signature};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;

use super::{Algorithm, Refused};

/// A shorter secret can be guessed from one token (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;
/// 2048 bits (RFC 7518 §3.3).
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Keys of one file.
const KEYS_MAX: usize = 64;

/// `rsaEncryption`, with its empty parameters.
const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
/// `ecPublicKey` on P-256.
const P256: &[u8] =
    &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 3;
const INTEGER: u8 = 2;

/// Keys in force; any of them is good.
#[derive(Clone, Default)]
pub struct TokenKeys(Vec<TokenKey>);

#[derive(Clone)]
struct TokenKey {
    id: Option<String>,
    verifier: Verifier,
}

#[derive(Clone)]
enum Verifier {
    Secret(hmac::Key),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point on P-256.
    Ec(Vec<u8>),
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl TokenKeys {
    /// Reads PEM with public keys, or secrets, one a line.
    ///
    /// # Errors
    /// What is wrong with which key.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("-----BEGIN") { Self::from_pem(text) } else { Self::from_lines(text) }
    }

    /// Reads a JWK set. Keys for other purposes and of other kinds are passed over.
    ///
    /// # Errors
    /// What is wrong with which key, or that none is left.
    pub fn parse_set(text: &str) -> Result<Self, String> {
        let set: KeySet = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("line {line}, column {column}: expected {{\"keys\": [...]}} (RFC 7517)")
        })?;
        let mut keys = Vec::new();
        for (number, jwk) in set.keys.iter().enumerate() {
            let key = jwk.read().map_err(|reason| format!("key {}: {reason}", number + 1))?;
            keys.extend(key);
        }
        Self::checked(keys, "no key for HS256, RS256 or ES256 in it")
    }

    /// The same keys and those of `other`.
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Is `message` signed by one of the keys for this algorithm?
    pub(super) fn check(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        let mut of_kind =
            self.0.iter().filter(|key| key.verifier.algorithm() == algorithm).peekable();
        if of_kind.peek().is_none() {
            return Err(Refused::Algorithm);
        }
        // A key without a name may be any; a token that names a key means that one.
        let named = |key: &&TokenKey| match (&key.id, id) {
            (Some(own), Some(id)) => own == id,
            _ => true,
        };
        let mut fit = of_kind.filter(named).peekable();
        if fit.peek().is_none() {
            return Err(Refused::UnknownKey);
        }
        match fit.any(|key| key.verifier.verifies(message, signature)) {
            true => Ok(()),
            false => Err(Refused::Signature),
        }
    }

    fn from_pem(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, key) in SubjectPublicKeyInfoDer::pem_slice_iter(text.as_bytes()).enumerate() {
            let key = key.ok().and_then(|der| public_key(&der)).ok_or_else(|| {
                format!("key {}: expected RSA of 2048 bits or more, or EC on P-256", number + 1)
            })?;
            keys.push(TokenKey { id: None, verifier: key });
        }
        Self::checked(keys, "no PUBLIC KEY in it (a private key or a certificate is none)")
    }

    fn from_lines(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let secret = Verifier::secret(line.as_bytes());
            let verifier = secret.map_err(|reason| format!("line {}: {reason}", number + 1))?;
            keys.push(TokenKey { id: None, verifier });
        }
        Self::checked(keys, "no secret in it; expected one a line, or PEM")
    }

    fn checked(keys: Vec<TokenKey>, empty: &str) -> Result<Self, String> {
        match keys.len() {
            0 => Err(empty.to_owned()),
            count if count > KEYS_MAX => Err(format!("{count} keys; expected at most {KEYS_MAX}")),
            _ => Ok(Self(keys)),
        }
    }
}

impl Verifier {
    fn secret(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < SECRET_BYTES_MIN {
            let length = bytes.len();
            return Err(format!("{length} bytes; expected at least {SECRET_BYTES_MIN} for HS256"));
        }
        Ok(Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let plain = |number: &[u8]| -> Vec<u8> {
            number.iter().copied().skip_while(|byte| *byte == 0).collect()
        };
        let (modulus, exponent) = (plain(modulus), plain(exponent));
        let fits = MODULUS_BYTES.contains(&modulus.len()) && !exponent.is_empty();
        fits.then_some(Self::Rsa { modulus, exponent })
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Secret(_) => Algorithm::Hs256,
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::Ec(_) => Algorithm::Es256,
        }
    }

    fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        let verified = match self {
            Self::Secret(key) => hmac::verify(key, message, tag),
            Self::Rsa { modulus, exponent } => {
                let key = signature::RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, tag)
            }
            Self::Ec(point) => {
                let algorithm = &signature::ECDSA_P256_SHA256_FIXED;
                signature::UnparsedPublicKey::new(algorithm, point).verify(message, tag)
            }
        };
        verified.is_ok()
    }
}

impl Jwk {
    /// `None`: a key for something else.
    fn read(&self) -> Result<Option<TokenKey>, String> {
        if self.used_for.as_deref().is_some_and(|used_for| used_for != "sig") {
            return Ok(None);
        }
        let verifier = match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => Verifier::secret(&part("k", &self.k)?)?,
            ("RSA", _) => Verifier::rsa(&part("n", &self.n)?, &part("e", &self.e)?)
                .ok_or("expected RSA of 2048 to 8192 bits")?,
            ("EC", Some("P-256")) => {
                let (x, y) = (part("x", &self.x)?, part("y", &self.y)?);
                if (x.len(), y.len()) != (32, 32) {
                    return Err("expected x and y of 32 bytes".to_owned());
                }
                Verifier::Ec([&[4], x.as_slice(), y.as_slice()].concat())
            }
            _ => return Ok(None),
        };
        let of_another = self.alg.as_deref().is_some_and(|name| {
            Algorithm::parse(name).is_none_or(|algorithm| algorithm != verifier.algorithm())
        });
        Ok((!of_another).then(|| TokenKey { id: self.kid.clone(), verifier }))
    }
}

fn part(name: &str, text: &Option<String>) -> Result<Vec<u8>, String> {
    let text = text.as_deref().ok_or_else(|| format!("expected \"{name}\""))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("\"{name}\": expected base64url"))
}

/// A public key as X.509 writes it (RFC 5280 §4.1.2.7, RFC 8017 §A.1.1, RFC 5480 §2.2).
fn public_key(der: &[u8]) -> Option<Verifier> {
    let (info, _) = element(der, SEQUENCE)?;
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    let key = bits.strip_prefix(&[0])?;
    if algorithm == P256 {
        let whole = key.len() == 65 && key.first() == Some(&4);
        return whole.then(|| Verifier::Ec(key.to_vec()));
    }
    if algorithm != RSA {
        return None;
    }
    let (numbers, _) = element(key, SEQUENCE)?;
    let (modulus, rest) = element(numbers, INTEGER)?;
    let (exponent, _) = element(rest, INTEGER)?;
    Verifier::rsa(modulus, exponent)
}

/// The content of the DER element at the start, and what comes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (_, rest) = der.split_first().filter(|(first, _)| **first == tag)?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let whole = (1..=3).contains(&digits.len());
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (whole.then_some(length)?, rest)
        }
    };
    rest.split_at_checked(length)
}
