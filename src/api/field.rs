//! The values of one reported event, read with an error that helps.
//!
//! In: raw JSON at a key. Out: text, numbers, times, or a [`Refusal`] that names the key, what was
//! found there and what was expected. `null`, and blank text, is the same as nothing.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::config::Track;
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductId, SessionId, UserId};
use crate::yaml::printable;

/// Raw JSON at a key.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// Most units that one event may speak of.
pub(super) const QUANTITY_MAX: f32 = 10_000.0;

/// No list is longer than this.
pub(super) const POSITION_MAX: f64 = 1_000_000.0;

const ID: &str = "1 to 256 bytes of text without control characters";

/// The members of an object that says who did what.
pub(super) fn object<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    members: &str,
) -> Result<T, Refusal> {
    let expected = format!("expected an object with {members}");
    if !raw.get().starts_with('{') {
        let found = printable(raw.get());
        return Err(Refusal::malformed(format!("the event: found {found}, {expected}")));
    }
    serde_json::from_str(raw.get())
        .map_err(|error| Refusal::malformed(format!("the event: {error}; {expected}")))
}

/// Text, or a number as it was written: shops number their users and products too.
pub(super) fn text<'a>(
    raw: Raw<'a>,
    code: &'static str,
    key: &'static str,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(raw) = raw.map(RawValue::get) else { return Ok(None) };
    let text = match raw.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<&str>(raw) {
            Ok(plain) => Some(Cow::Borrowed(plain)),
            Err(_) => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
        },
        Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(raw)),
        _ => None,
    };
    let text = text.ok_or_else(|| Refusal::new(code, key, raw, ID))?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// A user's name.
pub(super) fn user(raw: Raw<'_>, key: &'static str) -> Result<Option<UserId>, Refusal> {
    id(raw, "bad_user_id", key, UserId::parse)
}

/// A visit's name.
pub(super) fn session(raw: Raw<'_>, key: &'static str) -> Result<Option<SessionId>, Refusal> {
    id(raw, "bad_session_id", key, SessionId::parse)
}

/// A product's key, which must be there.
pub(super) fn product(raw: Raw<'_>, key: &'static str) -> Result<ProductId, Refusal> {
    let found = id(raw, "bad_product_id", key, ProductId::parse)?;
    found.ok_or_else(|| Refusal::new("bad_product_id", key, found_at(raw), ID))
}

fn id<T>(
    raw: Raw<'_>,
    code: &'static str,
    key: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let Some(text) = text(raw, code, key)? else { return Ok(None) };
    let refuse = || Refusal::new(code, key, found_at(raw), ID);
    parse(&text).map(Some).ok_or_else(refuse)
}

/// Units: 1 where nothing is said.
pub(super) fn quantity(raw: Raw<'_>, key: &'static str) -> Result<f32, Refusal> {
    let expected = || format!("a number above 0 and up to {QUANTITY_MAX}");
    let refuse = || Refusal::new("bad_quantity", key, found_at(raw), expected());
    match raw {
        None => Ok(1.0),
        Some(raw) => {
            let number = number(raw).map(|number| number as f32);
            number.filter(|n| *n > 0.0 && *n <= QUANTITY_MAX).ok_or_else(refuse)
        }
    }
}

/// A place that the sender counts from 1, counted from 0; their 0 is a place that is not known.
pub(super) fn from_one(raw: Raw<'_>, key: &'static str) -> Result<Option<u32>, Refusal> {
    let Some(value) = raw else { return Ok(None) };
    let is_place = |n: &f64| n.fract() == 0.0 && (0.0..=POSITION_MAX).contains(n);
    number(value).filter(is_place).map(|n| (n as u32).checked_sub(1)).ok_or_else(|| {
        let expected = "a whole number from 1, which is the first hit; nothing if it is not known";
        Refusal::new("bad_position", key, value.get(), expected)
    })
}

/// A number, or text that holds one.
pub(super) fn number(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_number = bare.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    bare.parse::<f64>().ok().filter(|number| is_number && number.is_finite())
}

/// What was found, in words.
pub(super) fn found_at<'a>(raw: Raw<'a>) -> &'a str {
    raw.map_or("nothing", RawValue::get)
}

/// An event's time: seconds or milliseconds since 1970, or RFC 3339; now where nothing is said.
pub(super) fn time(
    raw: Raw<'_>,
    key: &'static str,
    now: Timestamp,
    limits: &Track,
) -> Result<Timestamp, Refusal> {
    const FORMS: &str = "seconds or milliseconds since 1970, or RFC 3339 such as \
                         2026-11-23T12:00:00Z";
    let Some(value) = raw else { return Ok(now) };
    let refuse = || Refusal::new("bad_timestamp", key, found_at(raw), FORMS);
    let at = match number(value) {
        // Milliseconds have been above this since 1973, seconds will be in 5138.
        Some(number) if number > 1e11 => Timestamp(number as i64),
        Some(number) => Timestamp((number * 1000.0) as i64),
        None => {
            let text = text(raw, "bad_timestamp", key).map_err(|_| refuse())?;
            let Some(text) = text else { return Ok(now) };
            let time: jiff::Timestamp = text.trim().parse().map_err(|_| refuse())?;
            Timestamp(time.as_millisecond())
        }
    };
    let (back, ahead) = (ms(limits.age), ms(limits.ahead));
    if (now.0.saturating_sub(back)..=now.0.saturating_add(ahead)).contains(&at.0) {
        return Ok(at);
    }
    let days = limits.age.as_secs() / 86_400;
    let expected = format!(
        "at most {days} days back and {} s ahead of our clock, which says {}",
        limits.ahead.as_secs(),
        spoken(now),
    );
    let refusal = Refusal::new("timestamp_out_of_range", key, found_at(raw), expected);
    // Microseconds and nanoseconds are often sent by mistake.
    let finer = [1_000, 1_000_000].map(|fold| at.0 / fold);
    match finer.into_iter().find(|at| now.0.abs_diff(*at) <= limits.age.as_millis() as u64) {
        Some(milliseconds) => Err(refusal.suggest(milliseconds.to_string())),
        None => Err(refusal),
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn spoken(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map(|time| time.to_string()).unwrap_or_default()
}
