//! Text of JSON strings: escapes taken out, borrowed where there are none.
//!
//! In: the inside of a string that the scanner has passed. Out: its text, or
//! [`Doubt::LoneSurrogate`] when an escape names half a character (legal JSON, but no text).

use std::borrow::Cow;

use super::doubt::Doubt;

/// The text of the inside of a string.
///
/// # Errors
/// [`Doubt::LoneSurrogate`], or [`Doubt::NotJson`] for escapes that the scanner would not pass.
pub(super) fn unescape(quoted: &str) -> Result<Cow<'_, str>, Doubt> {
    let Some(first) = memchr::memchr(b'\\', quoted.as_bytes()) else {
        return Ok(Cow::Borrowed(quoted));
    };
    let (plain, mut rest) = quoted.split_at(first);
    let mut out = String::with_capacity(quoted.len());
    out.push_str(plain);
    while let Some(after) = rest.strip_prefix('\\') {
        let (character, behind) = escape(after)?;
        out.push(character);
        let plain = memchr::memchr(b'\\', behind.as_bytes()).unwrap_or(behind.len());
        let (plain, next) = behind.split_at(plain);
        out.push_str(plain);
        rest = next;
    }
    Ok(Cow::Owned(out))
}

/// Reads what follows a backslash; answers the character and the text behind it.
fn escape(after: &str) -> Result<(char, &str), Doubt> {
    let letter = *after.as_bytes().first().ok_or(Doubt::NotJson)?;
    let character = match letter {
        b'"' | b'\\' | b'/' => char::from(letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(after.get(1..).ok_or(Doubt::NotJson)?),
        _ => return Err(Doubt::NotJson),
    };
    Ok((character, after.get(1..).ok_or(Doubt::NotJson)?))
}

/// Reads the digits of `\u`, and a second escape where they are the first half of a pair.
fn unicode(digits: &str) -> Result<(char, &str), Doubt> {
    let (first, rest) = hex(digits)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, rest));
    }
    let (second, rest) = match rest.strip_prefix("\\u") {
        Some(digits) if first < 0xdc00 => hex(digits)?,
        _ => return Err(Doubt::LoneSurrogate),
    };
    if !(0xdc00..0xe000).contains(&second) {
        return Err(Doubt::LoneSurrogate);
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(code).map(|character| (character, rest)).ok_or(Doubt::LoneSurrogate)
}

fn hex(text: &str) -> Result<(u32, &str), Doubt> {
    let (digits, rest) = text.split_at_checked(4).ok_or(Doubt::NotJson)?;
    u32::from_str_radix(digits, 16).map(|code| (code, rest)).map_err(|_| Doubt::NotJson)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(unescape("crème"), Ok(Cow::Borrowed("crème"))));
    }

    #[test]
    fn escapes_become_the_characters_they_name() {
        assert_eq!(unescape(r#"a\n\"\/\\\u00e9\ud83e\udd55b"#).unwrap(), "a\n\"/\\é🥕b");
    }

    #[test]
    fn half_a_surrogate_pair_is_a_doubt() {
        for half in
            [r"\ud83e", r"\ud83ex", r"\udd55", r"\ud83e\u0041", r"\ud83e\ud83e", r"\ud83e\n"]
        {
            assert_eq!(unescape(half), Err(Doubt::LoneSurrogate), "{half}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescape(&json[1..json.len() - 1]).unwrap(), text.as_str());
            let ascii: String = text
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            prop_assert_eq!(unescape(&ascii).unwrap(), text);
        }
    }
}
