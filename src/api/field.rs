//! The values of one reported event, read with an error that helps.
//!
//! In: raw JSON at a key. Out: text, numbers, times, or a [`Refusal`] that names the key, what was
//! found there and what was expected. `null`, and blank text, is the same as nothing.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::config::Track;
use crate::types::clock::Timestamp;
use crate::types::ids::{ID_BYTES_MAX, ProductId, SessionId, UserId};
use crate::yaml::printable;

/// Raw JSON at a key.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// Most units that one event may speak of.
pub(super) const QUANTITY_MAX: f32 = 10_000.0;

/// No list is longer than this.
pub(super) const POSITION_MAX: f64 = 1_000_000.0;

/// A stay beyond a day is a broken clock.
pub(super) const SECONDS_MAX: f64 = 86_400.0;

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

/// Reads an object and nothing else: an array of its members' values, in which order it may be, is
/// none of our forms, though serde takes it for one.
pub(super) fn only_object<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Members<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    from.deserialize_map(Members(std::marker::PhantomData))
}

/// The same, or nothing.
pub(super) fn object_if_any<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Only<T>(T);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Only<T> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            only_object(from).map(Self)
        }
    }

    Ok(Option::<Only<T>>::deserialize(from)?.map(|only| only.0))
}

/// Text that is not blank, or a number as it was written: shops number their users and products too.
pub(super) fn text<'a>(
    raw: Raw<'a>,
    code: &'static str,
    key: &'static str,
) -> Result<Option<Cow<'a, str>>, Refusal> {
    Ok(written(raw, code, key)?.filter(|text| !text.trim().is_empty()))
}

fn written<'a>(
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
    text.map(Some).ok_or_else(|| Refusal::new(code, key, raw, ID))
}

/// The sender's name of an event.
pub(super) fn event_id(raw: Raw<'_>, key: &'static str) -> Result<Option<Box<str>>, Refusal> {
    id(raw, "bad_event_id", key, |text| Some(text.into()))
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
    let Some(text) = written(raw, code, key)? else { return Ok(None) };
    let refuse = || Refusal::new(code, key, found_at(raw), ID);
    if text.len() > ID_BYTES_MAX || text.contains(char::is_control) {
        return Err(refuse());
    }
    if text.trim().is_empty() {
        return Ok(None);
    }
    parse(&text).map(Some).ok_or_else(refuse)
}

/// Units: 1 where nothing is said.
pub(super) fn quantity(raw: Raw<'_>, key: &'static str) -> Result<f32, Refusal> {
    let expected = || format!("a number above 0 and up to {QUANTITY_MAX}");
    let refuse = || Refusal::new("bad_quantity", key, found_at(raw), expected());
    match raw {
        None => Ok(1.0),
        Some(raw) => {
            let number = number(raw).filter(|n| *n > 0.0 && *n <= f64::from(QUANTITY_MAX));
            // The smallest share of a unit is still something.
            number.map(|n| (n as f32).max(f32::MIN_POSITIVE)).ok_or_else(refuse)
        }
    }
}

/// A place that the sender counts from 0.
pub(super) fn from_zero(raw: Raw<'_>, key: &'static str) -> Result<Option<u32>, Refusal> {
    place(raw, key, '0')
}

/// A place that the sender counts from 1, counted from 0; their 0 is a place that is not known.
pub(super) fn from_one(raw: Raw<'_>, key: &'static str) -> Result<Option<u32>, Refusal> {
    Ok(place(raw, key, '1')?.and_then(|place| place.checked_sub(1)))
}

fn place(raw: Raw<'_>, key: &'static str, first: char) -> Result<Option<u32>, Refusal> {
    let Some(value) = raw else { return Ok(None) };
    let is_place = |n: &f64| n.fract() == 0.0 && (0.0..=POSITION_MAX).contains(n);
    number(value).filter(is_place).map(|n| Some(n as u32)).ok_or_else(|| {
        let expected = format!(
            "a whole number from {first}, which is the first hit; nothing if it is not known"
        );
        Refusal::new("bad_position", key, value.get(), expected)
    })
}

/// A number, or text that holds one in digits.
pub(super) fn number(raw: &RawValue) -> Option<f64> {
    let text = raw.get();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let is_number = match quoted {
        Some(bare) => {
            bare.starts_with(|c: char| c.is_ascii_digit())
                && bare.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        }
        None => text.starts_with(|c: char| c == '-' || c.is_ascii_digit()),
    };
    let number = quoted.unwrap_or(text).parse::<f64>().ok();
    number.filter(|number| is_number && number.is_finite())
}

/// For how long somebody stayed.
pub(super) fn seconds(raw: Raw<'_>, key: &'static str) -> Result<Option<f32>, Refusal> {
    let Some(value) = raw else { return Ok(None) };
    let seconds = number(value).filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(|seconds| Some(seconds as f32)).ok_or_else(|| {
        let expected = format!("seconds from 0 to {SECONDS_MAX}");
        Refusal::new("bad_time", key, value.get(), expected)
    })
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
