//! Phrases compiled for one pass over a text: word → patterns that start with it.
//!
//! In: patterns `(phrase, attribute, role)`; later, texts. Out: for each attribute, a bit in
//! [`Found`]. Never allocates beyond the words of the text. Limits: the first [`TEXT_WORDS_MAX`]
//! words of a text are read, since each word is one bit of a position mask; 64 attributes.

use super::words;

/// Words of one text that are read.
pub(super) const TEXT_WORDS_MAX: usize = 64;

/// Words that may stand from one of `first` to one of `then`: neighbours are 1 apart.
const PAIR_REACH: usize = 3;

/// What a pattern says about its attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Says it outright.
    Certain,
    /// Gives it.
    Give,
    /// Gives it before a `Then`.
    First,
    /// Gives it after a `First`.
    Then,
    /// Hides the words it covers from `Give`, `First` and `Then`.
    Hide,
    /// Denies `Give`, `First` and `Then` in the whole text.
    Deny,
    /// Gives it when it stands in the category.
    Category,
}

#[derive(Clone, Debug)]
struct Pattern {
    head: u32,
    rest: Box<[u32]>,
    attribute: u8,
    role: Role,
}

/// Patterns, sorted by their first word.
#[derive(Clone, Debug, Default)]
pub(super) struct Matcher {
    patterns: Vec<Pattern>,
    attributes: usize,
}

/// Attributes found in a text, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Said outright.
    pub(super) certain: u64,
    /// Given and not denied.
    pub(super) given: u64,
    /// Denied.
    pub(super) denied: u64,
    /// Given by a pattern for categories.
    pub(super) category: u64,
}

/// Positions (bits) at which patterns of one attribute matched.
#[derive(Clone, Copy, Default)]
struct Marks {
    given: u64,
    first: u64,
    then: u64,
    hidden: u64,
}

impl Matcher {
    /// Adds the pattern of `phrase`; a phrase without words adds nothing.
    pub(super) fn add(&mut self, phrase: &str, attribute: usize, role: Role) {
        let hashes: Vec<u32> = words::stems(phrase).iter().map(|stem| words::hash(stem)).collect();
        let (Some((head, rest)), Ok(index)) = (hashes.split_first(), u8::try_from(attribute))
        else {
            return;
        };
        self.attributes = self.attributes.max(attribute + 1).min(u64::BITS as usize);
        self.patterns.push(Pattern { head: *head, rest: rest.into(), attribute: index, role });
    }

    /// Makes the patterns searchable; call once after the last [`Matcher::add`].
    pub(super) fn finish(&mut self) {
        self.patterns.sort_by_key(|pattern| pattern.head);
    }

    /// Reads one text. `O(words · log patterns)`.
    pub(super) fn scan(&self, text: &str) -> Found {
        let mut tokens = [0u32; TEXT_WORDS_MAX];
        let mut length = 0;
        words::each_stem(text, |stem| {
            if let Some(slot) = tokens.get_mut(length) {
                *slot = words::hash(stem);
                length += 1;
            }
        });
        self.scan_tokens(&tokens[..length])
    }

    fn scan_tokens(&self, tokens: &[u32]) -> Found {
        let mut found = Found::default();
        let mut marks = [Marks::default(); u64::BITS as usize];
        let mut touched = 0u64;
        for (at, token) in tokens.iter().enumerate() {
            let start = self.patterns.partition_point(|pattern| pattern.head < *token);
            let same = self.patterns[start..].iter().take_while(|pattern| pattern.head == *token);
            for pattern in same.filter(|pattern| tokens[at + 1..].starts_with(&pattern.rest)) {
                let attribute = usize::from(pattern.attribute);
                let bit = 1u64 << attribute;
                let mark = &mut marks[attribute];
                let last = at + pattern.rest.len();
                match pattern.role {
                    Role::Certain => found.certain |= bit,
                    Role::Category => found.category |= bit,
                    Role::Deny => found.denied |= bit,
                    Role::Give => mark.given |= 1 << at,
                    Role::First => mark.first |= 1 << last,
                    Role::Then => mark.then |= 1 << at,
                    Role::Hide => mark.hidden |= (u64::MAX >> (63 - (last - at))) << at,
                }
                touched |= bit;
            }
        }
        for (attribute, mark) in marks.iter().enumerate().take(self.attributes) {
            if touched & (1 << attribute) != 0 && mark.gives() {
                found.given |= 1 << attribute;
            }
        }
        found.given &= !found.denied;
        found
    }
}

impl Marks {
    fn gives(&self) -> bool {
        let (first, then) = (self.first & !self.hidden, self.then & !self.hidden);
        self.given & !self.hidden != 0 || (1..=PAIR_REACH).any(|apart| (first << apart) & then != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(patterns: &[(&str, Role)]) -> Matcher {
        let mut matcher = Matcher::default();
        for (phrase, role) in patterns {
            matcher.add(phrase, 3, *role);
        }
        matcher.finish();
        matcher
    }

    #[test]
    fn a_hidden_word_does_not_give_but_another_one_does() {
        let dairy = matcher(&[("butter", Role::Give), ("peanut butter", Role::Hide)]);
        assert_eq!(dairy.scan("Peanut Butter").given, 0);
        assert_eq!(dairy.scan("Butter Cookies with Peanut Butter").given, 1 << 3);
    }

    #[test]
    fn a_pair_counts_in_order_and_within_reach() {
        let plant = matcher(&[("almond", Role::First), ("milk", Role::Then)]);
        assert_eq!(plant.scan("almond vanilla milk").given, 1 << 3);
        assert_eq!(plant.scan("milk chocolate almond").given, 0);
        assert_eq!(plant.scan("almond one two three milk").given, 0);
    }

    #[test]
    fn what_is_certain_stands_beside_what_is_denied() {
        let plant =
            matcher(&[("oat", Role::Give), ("greek", Role::Deny), ("vegan", Role::Certain)]);
        assert_eq!(plant.scan("oat greek").given, 0);
        assert_eq!(plant.scan("vegan oat greek").certain, 1 << 3);
    }

    #[test]
    fn words_beyond_the_limit_are_not_read() {
        let rule = matcher(&[("oat", Role::Give), ("oat x oat", Role::Hide)]);
        let long = "word ".repeat(TEXT_WORDS_MAX - 1);
        assert_eq!(rule.scan(&format!("{long} oat")).given, 1 << 3);
        assert_eq!(rule.scan(&format!("{long} word oat")).given, 0);
    }
}
