//! The project's files as text: comments and literals blanked, what is for tests set apart, imports
//! found. A reader of our own formatting, not of all of Rust.

use std::fs;
use std::path::PathBuf;

/// One source file.
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; lines stay.
    pub(crate) code: String,
    /// `code` without what is compiled for tests only.
    pub(crate) shipped: String,
    /// The whole file is for tests only.
    pub(crate) is_test: bool,
}

impl Source {
    /// The top module under `src`, or none for `lib.rs` and `main.rs`.
    pub(crate) fn module(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?.split('/').next()?;
        let name = name.strip_suffix(".rs").unwrap_or(name);
        (name != "lib" && name != "main").then_some(name)
    }

    /// Modules between the crate's root and this file's content.
    fn depth(&self) -> usize {
        self.path.matches('/').count()
    }

    pub(crate) fn ships(&self) -> bool {
        self.path.starts_with("src/") && !self.is_test
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn files_below(directory: &str, ending: &str, into: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root().join(directory)) else { return };
    let mut names: Vec<_> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        if root().join(&path).is_dir() {
            files_below(&path, ending, into);
        } else if path.ends_with(ending) {
            into.push(path);
        }
    }
}

/// Every Rust file of the project.
pub(crate) fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    ["src", "tests", "benches"].iter().for_each(|place| files_below(place, ".rs", &mut paths));
    let mut sources: Vec<Source> = paths
        .into_iter()
        .map(|path| {
            let text = read(&path);
            let code = blanked(&text);
            let shipped = without_tests(&code);
            Source { is_test: !path.starts_with("src/"), path, text, code, shipped }
        })
        .collect();
    let test_files: Vec<String> = sources.iter().flat_map(declared_for_tests).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        let below = |file: &String| stem == *file || stem.starts_with(&format!("{file}/"));
        source.is_test |= test_files.iter().any(below);
    }
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

/// Files named by `#[cfg(test)] mod name;`, without `.rs`.
fn declared_for_tests(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let folder = stem.strip_suffix("/lib").unwrap_or(stem);
    let code = &source.code;
    code.match_indices("#[cfg(test)]")
        .filter_map(|(at, mark)| {
            let name = code[at + mark.len()..].trim_start().strip_prefix("mod ")?;
            let end = name.find(|c: char| !is_word(c))?;
            name[end..].starts_with(';').then(|| format!("{folder}/{}", &name[..end]))
        })
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Rust text with comments, and the insides of strings and characters, turned into spaces.
pub(crate) fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut last_word = false;
    while let Some(next) = rest.chars().next() {
        let literal = if last_word { None } else { literal_end(rest) };
        let (taken, code) = match comment_end(rest).or(literal) {
            Some(end) => (end, false),
            None => (next.len_utf8(), true),
        };
        let (head, tail) = rest.split_at(taken);
        for c in head.chars() {
            out.push(if code || c == '\n' { c } else { ' ' });
        }
        last_word = code && is_word(next);
        rest = tail;
    }
    out
}

/// Where the comment at the start of `text` ends.
fn comment_end(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    text.strip_prefix("/*")?;
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    Some(at)
}

/// Where the string or character at the start of `text` ends.
fn literal_end(text: &str) -> Option<usize> {
    let prefix = text.len() - text.trim_start_matches(['b', 'c']).len();
    let body = &text[prefix.min(1)..];
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let inside = raw[hashes..].strip_prefix('"')?;
        return Some(text.len() - inside.len() + inside.find(&close)? + close.len());
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inside = &body[1..];
    let mut chars = inside.char_indices();
    if quote == '\'' {
        let (_, first) = chars.next()?;
        if first != '\\' {
            let (at, second) = chars.next()?;
            return (second == '\'').then(|| text.len() - inside.len() + at + 1);
        }
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(text.len() - inside.len() + at + 1);
        }
        if c == '\\' {
            chars.next();
        }
    }
    None
}

/// Blanks the items that `#[cfg(test)]` stands before.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let end = at + MARK.len() + item_end(&rest[at + MARK.len()..]);
        out.extend(rest[at..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    out + rest
}

/// Where an item ends: at its `;` or its closing brace.
pub(crate) fn item_end(code: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// 1-based line of a place in a text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Places of `word` that are not part of a longer word.
pub(crate) fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back().is_none_or(|c| !is_word(c));
        let after = code[at + word.len()..].chars().next().is_none_or(|c| !is_word(c));
        before && (after || !word.ends_with(is_word))
    })
}

/// Top modules that a file names by `crate::…`, `leafrank::…` or enough `super::`.
pub(crate) fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = &source.shipped;
    let supers = "super::".repeat(source.depth());
    let mut found = Vec::new();
    for root in ["crate::", "leafrank::", supers.as_str()] {
        for at in places(code, root) {
            let path = &code[at + root.len()..];
            let names = match path.strip_prefix('{') {
                Some(group) => group_heads(group),
                None => vec![path],
            };
            for name in names {
                let name: String = name.trim_start().chars().take_while(|c| is_word(*c)).collect();
                found.push((line_of(code, at), name));
            }
        }
    }
    found
}

/// The beginnings of a use group's members: `a::{b, c}, d}` gives `a…` and `d…`.
fn group_heads(group: &str) -> Vec<&str> {
    let (mut heads, mut depth) = (vec![group], 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(&group[at + 1..]),
            _ => {}
        }
    }
    heads
}

#[test]
fn imports_are_seen_through_groups_and_supers_but_not_in_comments_strings_or_tests() {
    let text = concat!(
        "// crate::comment\nuse crate::{wire::{self, Hit}, rules};\n",
        "fn f<'a>() { let c = '\"'; g(\"crate::text\", super::super::rank::X, b'{') }\n",
        "#[cfg(test)]\nmod tests { use crate::proxy; }\nuse crate::types::A;\n",
    );
    let code = blanked(text);
    let shipped = without_tests(&code);
    let path = "src/preferences/learn.rs".to_owned();
    let source = Source { path, text: text.into(), code, shipped, is_test: false };
    let found: Vec<_> = imports(&source).into_iter().map(|(_, name)| name).collect();
    assert_eq!(found, ["wire", "rules", "types", "rank"]);
}

#[test]
fn blanking_keeps_every_line_and_every_character_of_code() {
    let text = "a /* b /* c */ d */ e r#\"f \"g\" h\"# 'i' '\\'' j\nb\"k\\\"\" l 'm: loop {}\n";
    let kept: Vec<_> = blanked(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(kept, ["a", "e", "j", "l", "'m:", "loop", "{}"]);
    assert_eq!(blanked(text).lines().count(), text.lines().count());
}
