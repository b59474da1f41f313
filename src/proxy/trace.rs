//! W3C Trace Context towards the shop: a `traceparent` that is there stays, one that is missing is
//! made, so that the two legs of a request can be joined.
//!
//! Never changes one that is there, and never decides on sampling.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Keyed by the operating system's randomness once a process.
static KEYS: LazyLock<[RandomState; 3]> =
    LazyLock::new(|| std::array::from_fn(|_| RandomState::new()));
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Adds a `traceparent` unless there is one.
pub(super) fn keep_or_create(headers: &mut HeaderMap) {
    if headers.contains_key(&TRACEPARENT) {
        return;
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low, span] = KEYS.each_ref().map(|key| key.hash_one(number));
    // Flag 00: whether to sample is not for us to say.
    let text = format!("00-{high:016x}{low:016x}-{span:016x}-00");
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(TRACEPARENT, value);
    }
}
