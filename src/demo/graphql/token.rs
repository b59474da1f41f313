//! The words of a GraphQL document: names, numbers, strings, marks.
//!
//! In: text. Out: one [`Token`] after the other, and faults with line and column. Blanks, commas and
//! comments are skipped.

use super::Fault;

/// A word of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'q> {
    Name(&'q str),
    Number(&'q str),
    /// Without quotes and escapes.
    Text(String),
    Mark(char),
    End,
}

/// A document's words, and how far they are read.
pub(super) struct Tokens<'q> {
    text: &'q str,
    at: usize,
    /// Where the last word began.
    began: usize,
}

impl<'q> Tokens<'q> {
    pub(super) fn of(text: &'q str) -> Self {
        Self { text, at: 0, began: 0 }
    }

    /// The next word, which stays.
    pub(super) fn peek(&mut self) -> Result<Token<'q>, Fault> {
        let at = self.at;
        let token = self.advance();
        self.at = at;
        token
    }

    /// The next word.
    pub(super) fn advance(&mut self) -> Result<Token<'q>, Fault> {
        self.skip();
        self.began = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if first == '"' {
            return self.string();
        }
        let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let length = match first {
            '_' | 'a'..='z' | 'A'..='Z' => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            '-' | '0'..='9' => {
                let is_number = |c: char| is_name(c) || matches!(c, '-' | '+' | '.');
                rest.find(|c| !is_number(c)).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        self.at += length;
        let word = rest.get(..length).unwrap_or("");
        Ok(match first {
            '_' | 'a'..='z' | 'A'..='Z' => Token::Name(word),
            '-' | '0'..='9' => Token::Number(word),
            mark => Token::Mark(mark),
        })
    }

    pub(super) fn name(&mut self) -> Result<&'q str, Fault> {
        match self.advance()? {
            Token::Name(name) => Ok(name),
            _ => Err(self.unexpected("a name")),
        }
    }

    pub(super) fn mark(&mut self, mark: char) -> Result<(), Fault> {
        if self.advance()? == Token::Mark(mark) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{mark}'")))
        }
    }

    /// Takes `mark` if it comes next.
    pub(super) fn takes(&mut self, mark: char) -> Result<bool, Fault> {
        let comes = self.peek()? == Token::Mark(mark);
        if comes {
            self.advance()?;
        }
        Ok(comes)
    }

    /// A fault at the last word.
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        let before = self.text.get(..self.began).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1;
        Fault { message: message.into(), line, column }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Fault {
        let at = self.text.get(self.began..).and_then(|rest| rest.chars().next());
        let found = at.map_or("the end".to_owned(), |c| format!("'{c}'"));
        self.fault(format!("Syntax Error: expected {wanted}, found {found}"))
    }

    fn rest(&self) -> &'q str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | '\u{feff}');
            let kept = rest.trim_start_matches(blank);
            let comment = match kept.starts_with('#') {
                true => kept.find('\n').unwrap_or(kept.len()),
                false => 0,
            };
            self.at += rest.len() - kept.len() + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn string(&mut self) -> Result<Token<'q>, Fault> {
        if let Some(block) = self.rest().strip_prefix("\"\"\"") {
            return self.block(block);
        }
        let rest = self.rest();
        let mut escaped = false;
        // The first quote is the string's own.
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.at += at + 1;
                    // Its escapes are JSON's.
                    let text = serde_json::from_str(rest.get(..=at).unwrap_or(""));
                    return text.map(Token::Text).map_err(|error| self.fault(error.to_string()));
                }
                _ => {}
            }
        }
        Err(self.fault("Syntax Error: a string without end"))
    }

    fn block(&mut self, block: &'q str) -> Result<Token<'q>, Fault> {
        let mut from = 0;
        while let Some(found) = block.get(from..).and_then(|rest| rest.find("\"\"\"")) {
            let end = from + found;
            let before = block.get(..end).unwrap_or("");
            if before.ends_with('\\') {
                from = end + 3;
                continue;
            }
            self.at += end + 6;
            return Ok(Token::Text(before.replace("\\\"\"\"", "\"\"\"")));
        }
        Err(self.fault("Syntax Error: a string without end"))
    }
}
