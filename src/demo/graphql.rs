//! What a GraphQL document asks of Weaviate's `Get`, read by hand and no further than a demo needs.
//!
//! In: the text of a query. Out: one [`Field`] for each list under `Get`. Knows aliases, comments,
//! strings with escapes, block strings and nested arguments; names fragments, variables and
//! `Aggregate` in its [`Fault`]. [`asked`] is the one way in. Limit: a nesting of [`DEPTH_MAX`].

use token::{Token, Tokens};

mod token;

/// Deepest nesting of braces and brackets.
pub const DEPTH_MAX: usize = 32;

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The lists under `Get`, in their order.
    pub fields: Vec<Field>,
}

/// One list under `Get`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Its key in the reply: the alias, else the class.
    pub key: String,
    /// The class.
    pub class: String,
    /// The page's length.
    pub limit: Option<usize>,
    /// Objects before the page.
    pub offset: usize,
    /// Objects with greater ids only.
    pub after: Option<String>,
    /// What ranks the list.
    pub search: Option<Search>,
    /// Properties of an object.
    pub properties: Vec<String>,
    /// Names under `_additional`.
    pub additional: Vec<String>,
}

/// A search by words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The words; those of several concepts are joined by blanks.
    pub query: String,
    /// Objects without the words are found too (`hybrid`, `nearText`).
    pub finds_alike: bool,
}

/// Why a document cannot be answered, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
}

/// Reads a document.
///
/// # Errors
/// [`Fault`] at the first thing that is wrong or not known here.
pub fn asked(query: &str) -> Result<Asked, Fault> {
    let mut reader = Reader { tokens: Tokens::of(query), depth: 0 };
    reader.document()
}

/// An argument's value.
enum Value {
    /// A number, `true`, or a name.
    Word(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

struct Reader<'q> {
    tokens: Tokens<'q>,
    depth: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Asked, Fault> {
        if let Token::Name(word) = self.tokens.peek()? {
            if word != "query" {
                return Err(self.tokens.unexpected("a query"));
            }
            self.tokens.advance()?;
            if let Token::Name(_) = self.tokens.peek()? {
                self.tokens.advance()?;
            }
        }
        let mut asked = Asked::default();
        self.tokens.mark('{')?;
        while !self.tokens.takes('}')? {
            match self.tokens.name()? {
                "Get" => {}
                other => return Err(self.tokens.fault(format!("there is only Get, no {other}"))),
            }
            self.tokens.mark('{')?;
            while !self.tokens.takes('}')? {
                asked.fields.push(self.field()?);
            }
        }
        match self.tokens.peek()? {
            Token::End => Ok(asked),
            _ => Err(self.tokens.unexpected("the end")),
        }
    }

    fn field(&mut self) -> Result<Field, Fault> {
        let key = self.tokens.name()?.to_owned();
        let class =
            if self.tokens.takes(':')? { self.tokens.name()?.to_owned() } else { key.clone() };
        let mut field = Field { key, class, ..Field::default() };
        for (name, value) in self.arguments()? {
            self.apply(&mut field, &name, value)?;
        }
        self.tokens.mark('{')?;
        while !self.tokens.takes('}')? {
            let name = self.tokens.name()?.to_owned();
            self.arguments()?;
            match name.as_str() {
                "_additional" => field.additional = self.names()?,
                _ => field.properties.push(name),
            }
        }
        Ok(field)
    }

    /// The names between braces; what stands within theirs is read and forgotten.
    fn names(&mut self) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        self.deeper()?;
        self.tokens.mark('{')?;
        while !self.tokens.takes('}')? {
            names.push(self.tokens.name()?.to_owned());
            self.arguments()?;
            if self.tokens.peek()? == Token::Mark('{') {
                self.names()?;
            }
        }
        self.depth -= 1;
        Ok(names)
    }

    fn apply(&self, field: &mut Field, name: &str, value: Value) -> Result<(), Fault> {
        let wrong = || self.tokens.fault(format!("{name} has another type"));
        match (name, value) {
            ("limit", Value::Word(word)) => field.limit = Some(word.parse().map_err(|_| wrong())?),
            ("offset", Value::Word(word)) => field.offset = word.parse().map_err(|_| wrong())?,
            ("after", Value::Text(text)) => field.after = Some(text),
            ("bm25" | "hybrid" | "nearText", Value::Object(members)) => {
                let query = members.into_iter().find_map(|(name, value)| match name.as_str() {
                    "query" | "concepts" => words(value),
                    _ => None,
                });
                let query = query.ok_or_else(wrong)?;
                field.search = Some(Search { query, finds_alike: name != "bm25" });
            }
            _ => return Err(self.tokens.fault(format!("there is no argument {name} like this"))),
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<Vec<(String, Value)>, Fault> {
        if self.tokens.takes('(')? { self.members(')') } else { Ok(Vec::new()) }
    }

    fn members(&mut self, close: char) -> Result<Vec<(String, Value)>, Fault> {
        let mut members = Vec::new();
        while !self.tokens.takes(close)? {
            let name = self.tokens.name()?.to_owned();
            self.tokens.mark(':')?;
            members.push((name, self.value()?));
        }
        Ok(members)
    }

    fn value(&mut self) -> Result<Value, Fault> {
        self.deeper()?;
        let value = match self.tokens.advance()? {
            Token::Name(word) | Token::Number(word) => Value::Word(word.to_owned()),
            Token::Text(text) => Value::Text(text),
            Token::Mark('{') => Value::Object(self.members('}')?),
            Token::Mark('[') => {
                let mut all = Vec::new();
                while !self.tokens.takes(']')? {
                    all.push(self.value()?);
                }
                Value::List(all)
            }
            Token::Mark('$') => return Err(self.tokens.fault("variables are not known here")),
            _ => return Err(self.tokens.unexpected("a value")),
        };
        self.depth -= 1;
        Ok(value)
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        match self.depth <= DEPTH_MAX {
            true => Ok(()),
            false => Err(self.tokens.fault(format!("nested deeper than {DEPTH_MAX}"))),
        }
    }
}

/// A text, or texts joined by blanks.
fn words(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        Value::List(all) => {
            let texts: Option<Vec<String>> = all.into_iter().map(words).collect();
            Some(texts?.join(" "))
        }
        Value::Word(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(query: &str) -> Field {
        let asked = asked(query).unwrap();
        assert_eq!(asked.fields.len(), 1);
        asked.fields[0].clone()
    }

    #[test]
    fn a_search_is_read_with_page_words_and_selection() {
        let field = one(
            "{Get{Product(limit:20, offset: 5 bm25:{query:\"oat milk\"}){sku name _additional{id score}}}}",
        );
        let search = Search { query: "oat milk".into(), finds_alike: false };
        let expected = Field {
            key: "Product".into(),
            class: "Product".into(),
            limit: Some(20),
            offset: 5,
            after: None,
            search: Some(search),
            properties: vec!["sku".into(), "name".into()],
            additional: vec!["id".into(), "score".into()],
        };
        assert_eq!(field, expected);
    }

    #[test]
    fn comments_and_strings_that_look_like_arguments_are_none() {
        let text = "# limit: 3\n{Get{Product(bm25:{query:\"limit: 7 \\\"tea\\\" \\u00e9\"} limit:5){name}}}";
        let field = one(text);
        assert_eq!(field.limit, Some(5));
        assert_eq!(field.search.unwrap().query, "limit: 7 \"tea\" é");
        let block = one("{Get{Product(hybrid:{query:\"\"\"a } \"b\" \\\"\"\" {\"\"\"}){name}}}");
        assert_eq!(block.search.unwrap().query, "a } \"b\" \"\"\" {");
    }

    #[test]
    fn aliases_concepts_and_nested_arguments_are_read() {
        let text = "query Q { Get { a: Product(limit: 1, nearText: {concepts: [\"leafy\", \"greens\"], \
                    moveTo: {force: 0.5, objects: [{id: \"x\"}]}}) \
                    { sku _additional { id rerank(property: \"name\") { score } } } \
                    b: Product { sku } } }";
        let asked = asked(text).unwrap();
        let [a, b] = &asked.fields[..] else { panic!("{asked:?}") };
        assert_eq!((a.key.as_str(), a.class.as_str()), ("a", "Product"));
        let search = Search { query: "leafy greens".into(), finds_alike: true };
        assert_eq!(a.search, Some(search));
        assert_eq!(a.additional, ["id", "rerank"]);
        assert_eq!((b.key.as_str(), &b.search), ("b", &None));
    }

    #[test]
    fn what_is_not_known_is_named_with_its_place() {
        let message = |text: &str| asked(text).unwrap_err().message;
        assert_eq!(message("{Aggregate{Product{meta{count}}}}"), "there is only Get, no Aggregate");
        assert!(message("{Get{Product{...F}}}").contains("expected a name"));
        assert!(message("query Q($n: Int){Get{Product(limit:$n){sku}}}").contains("expected '{'"));
        assert_eq!(message("{Get{Product(limit:$n){sku}}}"), "variables are not known here");
        let fault = asked("{Get{\n  Product(limit:many){sku}}}").unwrap_err();
        assert_eq!((fault.line, fault.column), (2, 21), "{fault}");
    }

    #[test]
    fn no_document_is_read_without_end() {
        for start in ["{Get{Product(a:", "{Get{Product{_additional"] {
            for nested in ["[", "{x:", "{x"] {
                asked(&format!("{start}{}", nested.repeat(100_000))).unwrap_err();
            }
        }
        let whole = "{Get{Product(limit:2,bm25:{query:\"é\\n\\u0041\"}){sku _additional{id}}}}";
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            asked(&whole[..end]).unwrap_err();
        }
    }
}
