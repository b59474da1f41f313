//! W3C Trace Context towards the shop: a `traceparent` that is there stays, one that is missing is
//! made, so that the two legs of a request can be joined.
//!
//! Never changes one that is there, and never decides on sampling.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// From the operating system's randomness once a process.
static SEEDS: LazyLock<[u64; 3]> =
    LazyLock::new(|| std::array::from_fn(|_| RandomState::new().hash_one(0)));
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The same, for whoever must know it before the request goes out.
pub(super) fn ensure(headers: &mut HeaderMap) {
    if !headers.contains_key(TRACEPARENT) {
        create(headers);
    }
}

/// Adds a `traceparent` where there is none.
pub(super) fn create(headers: &mut HeaderMap) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low, span] = SEEDS.map(|seed| mixed(seed, number));
    // Flag 00: whether to sample is not for us to say.
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_hex(&mut text[3..19], high);
    write_hex(&mut text[19..35], low);
    write_hex(&mut text[36..52], span);
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(TRACEPARENT, value);
    }
}

/// SplitMix64: the ids must differ and look random, which takes no keyed hash.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn write_hex(places: &mut [u8], mut number: u64) {
    for place in places.iter_mut().rev() {
        *place = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_the_form_of_the_standard_and_no_two_are_alike() {
        let made = || {
            let mut headers = HeaderMap::new();
            create(&mut headers);
            headers[TRACEPARENT].to_str().unwrap().to_owned()
        };
        let (one, other) = (made(), made());
        assert_ne!(one, other);
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert!(parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit())));
        let mut places = [0; 16];
        write_hex(&mut places, 0x0123_4567_89ab_cdef);
        assert_eq!(&places, b"0123456789abcdef");
    }
}
