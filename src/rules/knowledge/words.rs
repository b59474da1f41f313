//! From text to comparable words: folded, split, spelled one way, stemmed, hashed.
//!
//! In: a product name, category, search term or query. Out: 32-bit hashes of its words. The same
//! code reads names, categories, queries and the knowledge tables, so that "Yoghurts" in one place
//! is "yogurt" in another. Folding is NFKD without combining marks and in lower case; a word is a
//! run of letters or a run of digits (`12ct` is `12` and `ct`); apostrophes join (`shepherd's` is
//! one word). Never reads tables or files. Limits: words longer than [`WORD_BYTES_MAX`] are cut;
//! hashes are 32 bits, so that two of 10,000 distinct words share one with a chance of about 1 %.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use xxhash_rust::xxh3::xxh3_64;

/// Longest word kept, in bytes; the rest of a longer one is ignored.
pub const WORD_BYTES_MAX: usize = 64;

/// Words that say nothing about a product; sorted.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "at", "by", "for", "from", "in", "into", "is", "it", "of", "on", "or", "our",
    "s", "the", "to", "with", "your",
];

/// Words of a query that speak to the shop, not of the product; stems, sorted.
const REQUEST_WORDS: &[&str] = &[
    "add", "best", "bestsel", "buy", "can", "cart", "cheap", "cheaper", "cheapest", "deal", "do",
    "find", "get", "give", "have", "i", "like", "look", "me", "my", "need", "offer", "pleas",
    "price", "sale", "search", "shop", "show", "some", "want", "where", "you",
];

/// Phrases (stems) before a number that make the number a price.
const PRICE_LEADS: &[&[&str]] =
    &[&["under"], &["below"], &["less", "than"], &["up"], &["over"], &["abov"], &["more", "than"]];

/// Units (stems) that make a number before them a size; sorted.
const UNITS: &[&str] = &[
    "cl", "count", "ct", "dozen", "fl", "floz", "g", "gal", "gallon", "gm", "gr", "gram", "kg",
    "kilo", "l", "lb", "liter", "litr", "ml", "ounc", "oz", "pack", "pc", "piec", "pint", "pk",
    "pound", "pt", "qt", "quart",
];

/// One spelling for each word, by stem: `(as written, as kept)`; sorted by the first.
///
/// British and American spellings, common shop abbreviations (LeafLoaf's supplier writes `org`,
/// `lcl`, `cello`), and compounds that some labels close up.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("almondmilk", &["almond", "milk"]),
    ("aubergin", &["eggplant"]),
    ("barbequ", &["barbecu"]),
    ("bbq", &["barbecu"]),
    ("cashewmilk", &["cashew", "milk"]),
    ("catsup", &["ketchup"]),
    ("chile", &["chili"]),
    ("chilli", &["chili"]),
    ("coconutmilk", &["coconut", "milk"]),
    ("coriand", &["cilantro"]),
    ("courgett", &["zucchini"]),
    ("decaffein", &["decaf"]),
    ("doughnut", &["donut"]),
    ("flavour", &["flavor"]),
    ("glutenfre", &["gluten", "free"]),
    ("goatmilk", &["goat", "milk"]),
    ("hommus", &["hummus"]),
    ("houmous", &["hummus"]),
    ("houmus", &["hummus"]),
    ("humus", &["hummus"]),
    ("icecream", &["ice", "cream"]),
    ("lcl", &["local"]),
    ("litr", &["liter"]),
    ("oatmilk", &["oat", "milk"]),
    ("omelet", &["omelett"]),
    ("org", &["organ"]),
    ("peanutbutt", &["peanut", "butter"]),
    ("plantbas", &["plant", "base"]),
    ("ricemilk", &["rice", "milk"]),
    ("sirracha", &["sriracha"]),
    ("soya", &["soy"]),
    ("soymilk", &["soy", "milk"]),
    ("sugarfre", &["sugar", "free"]),
    ("tumer", &["turmer"]),
    ("veg", &["veget"]),
    ("veggi", &["veget"]),
    ("whisky", &["whiskey"]),
    ("wholegrain", &["whole", "grain"]),
    ("wholemeal", &["whole", "wheat"]),
    ("wholewheat", &["whole", "wheat"]),
    ("yoghourt", &["yogurt"]),
    ("yoghurt", &["yogurt"]),
];

/// Hashes of the words of a name, category or term: stop words dropped, sorted, without doubles.
///
/// Each hash is the low half of XXH3-64 of the stem. `O(length)`, one small allocation a word.
pub fn words(text: &str) -> Vec<u32> {
    let mut out = Vec::with_capacity(8);
    each_stem(text, |stem| {
        if STOP_WORDS.binary_search(&stem).is_err() {
            out.push(hash(stem));
        }
    });
    sorted(out)
}

/// Like [`words`], for a query: prices ("under $20"), sizes ("12 ct") and words that speak to the
/// shop ("show me", "cheap") are dropped too. A query made of nothing else keeps all its words.
pub fn content_words(query: &str) -> Vec<u32> {
    let kept = content_stems(query);
    if kept.is_empty() {
        words(query)
    } else {
        sorted(kept.iter().map(|stem| hash(stem)).collect())
    }
}

/// The stems behind [`content_words`], in the query's order; empty when nothing is left.
pub fn content_stems(query: &str) -> Vec<String> {
    let all = stems(query);
    let mut kept = Vec::with_capacity(all.len());
    let mut at = 0;
    while at < all.len() {
        let skipped = price_length(&all[at..]).or_else(|| size_length(&all[at..]));
        if let Some(length) = skipped {
            at += length;
            continue;
        }
        let stem = all[at].as_str();
        if STOP_WORDS.binary_search(&stem).is_err() && REQUEST_WORDS.binary_search(&stem).is_err() {
            kept.push(stem.to_owned());
        }
        at += 1;
    }
    kept
}

/// All stems of `text` in order, stop words included.
pub fn stems(text: &str) -> Vec<String> {
    let mut out = Vec::with_capacity(8);
    each_stem(text, |stem| out.push(stem.to_owned()));
    out
}

/// The stems of `text` in order without stop words: what a full-text index holds.
pub fn index_stems(text: &str) -> Vec<String> {
    let mut out = stems(text);
    out.retain(|stem| STOP_WORDS.binary_search(&stem.as_str()).is_err());
    out
}

/// The 32-bit hash of one stem.
pub fn hash(stem: &str) -> u32 {
    xxh3_64(stem.as_bytes()) as u32
}

fn sorted(mut hashes: Vec<u32>) -> Vec<u32> {
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

fn is_number(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// How many stems at the start are "under 20", "less than 5 dollars", "up to 3"; none if not so.
fn price_length(stems: &[String]) -> Option<usize> {
    let lead = PRICE_LEADS.iter().find(|lead| {
        stems.len() > lead.len() && lead.iter().zip(stems).all(|(want, have)| want == have)
    })?;
    let mut at = lead.len();
    if stems.get(at).is_some_and(|stem| stem == "to") {
        at += 1;
    }
    stems.get(at).filter(|stem| is_number(stem))?;
    while stems.get(at).is_some_and(|stem| is_number(stem)) {
        at += 1;
    }
    if stems.get(at).is_some_and(|stem| matches!(stem.as_str(), "dollar" | "buck" | "usd")) {
        at += 1;
    }
    Some(at)
}

/// How many stems at the start are "12 ct", "1 5 l" (1.5 l), "2 x 16 oz"; none if not so.
fn size_length(stems: &[String]) -> Option<usize> {
    let mut at = 0;
    while stems.get(at).is_some_and(|stem| is_number(stem) || (at > 0 && stem == "x")) {
        at += 1;
    }
    let unit =
        |at: usize| stems.get(at).is_some_and(|stem| UNITS.binary_search(&stem.as_str()).is_ok());
    if at == 0 || !unit(at) {
        return None;
    }
    while unit(at) {
        at += 1;
    }
    Some(at)
}

/// Calls `take` with every stem of `text`, in order, spelled one way.
pub fn each_stem(text: &str, mut take: impl FnMut(&str)) {
    let stemmer = Stemmer::create(Algorithm::English);
    each_word(text, |word| {
        if word.len() <= 2 || is_number(word) {
            return take(word);
        }
        let stem = stemmer.stem(word);
        match SPELLINGS.binary_search_by(|(written, _)| (*written).cmp(stem.as_ref())) {
            Ok(at) => SPELLINGS[at].1.iter().for_each(|kept| take(kept)),
            Err(_) => take(&stem),
        }
    });
}

/// Calls `take` with every folded word of `text`, in order.
fn each_word(text: &str, mut take: impl FnMut(&str)) {
    let mut word = String::with_capacity(WORD_BYTES_MAX);
    let mut put = |c: char| {
        if c == '\'' || c == '’' || is_combining_mark(c) {
            return;
        }
        let joins =
            word.chars().next_back().is_none_or(|last| last.is_ascii_digit() == c.is_ascii_digit());
        if !(word.is_empty() || joins && c.is_alphanumeric()) {
            take(&word);
            word.clear();
        }
        if c.is_alphanumeric() && word.len() + c.len_utf8() <= WORD_BYTES_MAX {
            word.push(c);
        }
    };
    if text.is_ascii() {
        text.bytes().for_each(|byte| put(char::from(byte.to_ascii_lowercase())));
    } else {
        text.nfkd().flat_map(char::to_lowercase).nfkd().for_each(&mut put);
    }
    put(' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_searched_by_bisection_are_sorted() {
        assert!(STOP_WORDS.is_sorted() && REQUEST_WORDS.is_sorted() && UNITS.is_sorted());
        assert!(SPELLINGS.is_sorted_by_key(|(written, _)| *written));
    }

    #[test]
    fn a_kept_spelling_is_never_replaced_again() {
        let written = |stem: &&str| SPELLINGS.iter().any(|(written, _)| written == stem);
        let mut kept = SPELLINGS.iter().flat_map(|(_, kept)| kept.iter());
        assert_eq!(kept.find(|stem| written(stem)), None);
    }

    #[test]
    fn plurals_accents_and_spellings_are_one_word() {
        for (one, other) in [
            ("Yoghurts", "yogurt"),
            ("yoghourt", "YOGURTS"),
            ("chillies", "chili"),
            ("Chiles", "chilis"),
            ("doughnuts", "donut"),
            ("jalapeños", "jalapeno"),
            ("Crème brûlée", "creme brulee"),
            ("shepherd's pie", "shepherds pies"),
            ("Soya milk", "soymilk"),
            ("Oatmilk", "oat milks"),
            ("veggies", "veggie"),
            ("barbeque", "BBQ"),
            ("İçecek", "icecek"),
            ("tomatoes", "tomato"),
        ] {
            assert_eq!(words(one), words(other), "{one} / {other}");
        }
    }

    #[test]
    fn numbers_stand_apart_from_their_units_and_stop_words_are_dropped() {
        assert_eq!(stems("12ct 8x1.5L"), ["12", "ct", "8", "x", "1", "5", "l"]);
        assert_eq!(words("The Milk of the Cows"), words("cow milk"));
        assert!(words("the of and").is_empty());
    }

    #[test]
    fn prices_sizes_and_requests_are_not_content() {
        for (query, content) in [
            ("tomatoes under $20", "tomato"),
            ("cheap milk", "milk"),
            ("show me oat milk less than 5 dollars", "oat milk"),
            ("eggs 12 ct", "egg"),
            ("cola 2 x 1.5 l please", "cola"),
            ("up to $3.50 yogurt", "yogurt"),
            ("2% milk", "2 milk"),
            ("seven up", "seven up"),
        ] {
            assert_eq!(content_words(query), words(content), "{query}");
        }
        assert_eq!(content_words("12 ct"), words("12 ct"), "a query of a size only keeps it");
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_sorted_distinct_words_and_never_panics(text in "\\PC{0,200}") {
            for hashes in [words(&text), content_words(&text)] {
                proptest::prop_assert!(hashes.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }

        #[test]
        fn case_and_spacing_do_not_matter(text in "[a-z0-9 ]{0,60}") {
            proptest::prop_assert_eq!(words(&text), words(&format!("  {} ", text.to_uppercase().replace(' ', "  "))));
        }
    }
}
