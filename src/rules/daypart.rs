//! Parts of the day, as rules and callers name them.
//!
//! In: a time and the shop's zone, or a word. Out: one of four parts; a shop's day begins at five.

use crate::types::clock::Timestamp;

/// A part of the day, on the shop's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daypart {
    /// 5 to 12 o'clock.
    Morning,
    /// 12 to 17 o'clock.
    Afternoon,
    /// 17 to 22 o'clock.
    Evening,
    /// 22 to 5 o'clock.
    Night,
}

impl Daypart {
    /// Each with its word.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("morning", Self::Morning),
        ("afternoon", Self::Afternoon),
        ("evening", Self::Evening),
        ("night", Self::Night),
    ];

    /// The words alone, for errors.
    pub const WORDS: [&'static str; 4] = ["morning", "afternoon", "evening", "night"];

    /// The part that a word names; letter case does not matter.
    pub fn parse(word: &str) -> Option<Self> {
        let mut named = Self::NAMES.iter().filter(|(name, _)| name.eq_ignore_ascii_case(word));
        named.next().map(|(_, part)| *part)
    }

    /// The part of the day that it is, there.
    pub fn at(now: Timestamp, zone: &jiff::tz::TimeZone) -> Self {
        let now = jiff::Timestamp::from_millisecond(now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        match zone.to_datetime(now).hour() {
            5..12 => Self::Morning,
            12..17 => Self::Afternoon,
            17..22 => Self::Evening,
            _ => Self::Night,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_the_day_is_the_shops_own() {
        let at = |text: &str, hours| {
            let time: jiff::Timestamp = text.parse().unwrap();
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(hours));
            Daypart::at(Timestamp(time.as_millisecond()), &zone)
        };
        assert_eq!(at("2026-06-01T05:00:00Z", 0), Daypart::Morning);
        assert_eq!(at("2026-06-01T04:59:59Z", 0), Daypart::Night);
        assert_eq!(at("2026-06-01T05:00:00Z", 9), Daypart::Afternoon);
        assert_eq!(at("2026-06-01T05:00:00Z", -8), Daypart::Evening);
        assert_eq!(Daypart::at(Timestamp(i64::MAX), &jiff::tz::TimeZone::UTC), Daypart::Night);
    }

    #[test]
    fn each_word_names_its_part() {
        assert_eq!(Daypart::NAMES.map(|(name, _)| name), Daypart::WORDS);
        assert_eq!(Daypart::parse("Morning"), Some(Daypart::Morning));
        assert_eq!(Daypart::parse("noon"), None);
    }
}
