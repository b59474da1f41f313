//! Query documents: operations, their fields, arguments and values.
//!
//! In: GraphQL text. Out: a [`Document`]: its operations as a small tree that borrows from the text,
//! with the places that matter for rewriting. All of the grammar of executable documents is
//! checked; what decides nothing is not kept: fragments, types, arguments of directives, numbers in
//! lists. Nested [`DEPTH_MAX`] deep at most, [`NODES_MAX`] things in texts of [`QUERY_BYTES_MAX`] at
//! most. Cost: `O(text)`.

use std::ops::Range;

use super::lexer::{Kind, Lexer, Token};
use crate::wire::doubt::Doubt;

/// Selections and values may be nested this deeply. Searches nest some six levels.
const DEPTH_MAX: u32 = 64;
/// Longest query text, in bytes: room for two vectors of three thousand numbers.
const QUERY_BYTES_MAX: usize = 256 * 1024;
/// Fields, arguments, and elements that are kept: room for a filter with ten thousand ids.
const NODES_MAX: u32 = 20_000;

/// A document.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// The operations that read (`query`); others are passed over.
    pub(super) operations: Vec<Operation<'a>>,
    /// All tokens one after the other, each with a zero behind it: what the document says, however
    /// it is laid out. Spans of fields and arguments are spans of this.
    pub(super) tokens: Vec<u8>,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Operation<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) definitions: Vec<Definition<'a>>,
    pub(super) selection: Vec<Selection<'a>>,
}

/// A variable that an operation declares.
#[derive(Debug)]
pub(super) struct Definition<'a> {
    pub(super) name: &'a str,
    pub(super) default: Option<Value<'a>>,
    pub(super) text: &'a str,
}

/// One selection of a set.
#[derive(Debug)]
pub(super) enum Selection<'a> {
    Field(Field<'a>),
    /// A fragment, named or inline; what it selects is not kept.
    Fragment,
}

/// A field of a selection set.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) alias: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) arguments: Vec<Argument<'a>>,
    /// It has a directive: whether it is answered depends.
    pub(super) directed: bool,
    pub(super) selection: Vec<Selection<'a>>,
    /// The place behind the brace that opens its selection set.
    pub(super) opens: Option<usize>,
    /// Its tokens in the document's.
    pub(super) span: Range<usize>,
}

impl<'a> Field<'a> {
    /// What the field is called in the reply.
    pub(super) fn key(&self) -> &'a str {
        self.alias.unwrap_or(self.name)
    }
}

/// A named value: an argument, or a member of an object.
#[derive(Debug)]
pub(super) struct Argument<'a> {
    pub(super) name: &'a str,
    pub(super) value: Value<'a>,
    /// Its tokens in the document's.
    pub(super) span: Range<usize>,
}

/// A value as written.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Variable(&'a str),
    /// A whole number.
    Int {
        text: &'a str,
        start: usize,
    },
    Float,
    /// In quotes, as written.
    Text(&'a str),
    /// In three quotes, as written.
    Block(&'a str),
    /// `true`, `false`, `null`, or a word of an enumeration.
    Word(&'a str),
    /// Its elements but for numbers, which decide nothing: a vector takes no room.
    List(Vec<Value<'a>>),
    Object(Vec<Argument<'a>>),
}

/// Reads a document.
///
/// # Errors
/// [`Doubt::NotGraphql`], [`Doubt::TooDeep`], [`Doubt::TooLarge`].
pub(super) fn document(text: &str) -> Result<Document<'_>, Doubt> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(Doubt::TooLarge);
    }
    let mut lexer = Lexer::new(text);
    let token = lexer.next()?;
    let tokens = Vec::with_capacity(text.len() + text.len() / 2);
    let mut parser = Parser { text, lexer, token, tokens, end: 0, depth: 0, nodes: 0 };
    let mut operations = Vec::new();
    loop {
        operations.extend(parser.definition()?);
        if parser.token.kind == Kind::End {
            return Ok(Document { operations, tokens: parser.tokens });
        }
    }
}

/// A cursor over tokens, one ahead.
struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// Those taken.
    tokens: Vec<u8>,
    /// Where the last taken token ends.
    end: usize,
    depth: u32,
    nodes: u32,
}

impl<'a> Parser<'a> {
    /// Takes the token that stands ahead.
    fn take(&mut self) -> Result<Token<'a>, Doubt> {
        let next = self.lexer.next()?;
        self.end = self.token.end();
        self.tokens.extend_from_slice(self.token.text.as_bytes());
        self.tokens.push(0);
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// Takes this token if it stands ahead.
    fn eat(&mut self, kind: Kind) -> Result<bool, Doubt> {
        let here = self.token.kind == kind;
        if here {
            self.take()?;
        }
        Ok(here)
    }

    fn expect(&mut self, kind: Kind) -> Result<Token<'a>, Doubt> {
        if self.token.kind == kind { self.take() } else { Err(Doubt::NotGraphql) }
    }

    fn mark(&mut self, mark: u8) -> Result<(), Doubt> {
        self.expect(Kind::Mark(mark)).map(drop)
    }

    fn name(&mut self) -> Result<&'a str, Doubt> {
        self.expect(Kind::Name).map(|token| token.text)
    }

    /// Counts something that is kept.
    fn count(&mut self) -> Result<(), Doubt> {
        self.nodes += 1;
        if self.nodes > NODES_MAX { Err(Doubt::TooLarge) } else { Ok(()) }
    }

    /// Goes one level down for `inner`.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Doubt>) -> Result<T, Doubt> {
        if self.depth >= DEPTH_MAX {
            return Err(Doubt::TooDeep);
        }
        self.depth += 1;
        let read = inner(self);
        self.depth -= 1;
        read
    }

    /// Reads an operation or a fragment; answers an operation that reads.
    fn definition(&mut self) -> Result<Option<Operation<'a>>, Doubt> {
        if self.token.kind == Kind::Mark(b'{') {
            let selection = self.selections()?;
            return Ok(Some(Operation { name: None, definitions: Vec::new(), selection }));
        }
        let word = self.name()?;
        match word {
            "query" | "mutation" | "subscription" => {
                let named = self.token.kind == Kind::Name;
                let name = if named { Some(self.name()?) } else { None };
                let definitions = self.definitions()?;
                self.directives()?;
                let selection = self.selections()?;
                Ok((word == "query").then_some(Operation { name, definitions, selection }))
            }
            "fragment" => {
                if self.name()? == "on" || self.name()? != "on" {
                    return Err(Doubt::NotGraphql);
                }
                self.name()?;
                self.directives()?;
                self.selections()?;
                Ok(None)
            }
            _ => Err(Doubt::NotGraphql),
        }
    }

    /// Reads the variables of an operation, if it has any.
    fn definitions(&mut self) -> Result<Vec<Definition<'a>>, Doubt> {
        let mut definitions = Vec::new();
        if !self.eat(Kind::Mark(b'('))? {
            return Ok(definitions);
        }
        loop {
            self.count()?;
            let start = self.token.start;
            self.mark(b'$')?;
            let name = self.name()?;
            self.mark(b':')?;
            self.kind()?;
            let given = self.eat(Kind::Mark(b'='))?;
            let default = if given { Some(self.value()?) } else { None };
            self.directives()?;
            let text = self.text.get(start..self.end).ok_or(Doubt::NotGraphql)?;
            definitions.push(Definition { name, default, text });
            if self.eat(Kind::Mark(b')'))? {
                return Ok(definitions);
            }
        }
    }

    /// Reads a type: a name in any number of brackets, each level with or without `!`.
    fn kind(&mut self) -> Result<(), Doubt> {
        let mut lists = 0_u32;
        while self.eat(Kind::Mark(b'['))? {
            lists += 1;
        }
        self.name()?;
        self.eat(Kind::Mark(b'!'))?;
        for _ in 0..lists {
            self.mark(b']')?;
            self.eat(Kind::Mark(b'!'))?;
        }
        Ok(())
    }

    /// Reads directives; answers whether there are any.
    fn directives(&mut self) -> Result<bool, Doubt> {
        let mut any = false;
        while self.eat(Kind::Mark(b'@'))? {
            self.name()?;
            self.arguments()?;
            any = true;
        }
        Ok(any)
    }

    /// Reads a selection set, which holds one selection at least.
    fn selections(&mut self) -> Result<Vec<Selection<'a>>, Doubt> {
        self.mark(b'{')?;
        self.nested(|parser| {
            let mut selections = Vec::new();
            loop {
                selections.push(parser.selection()?);
                if parser.eat(Kind::Mark(b'}'))? {
                    return Ok(selections);
                }
            }
        })
    }

    fn selection(&mut self) -> Result<Selection<'a>, Doubt> {
        self.count()?;
        if !self.eat(Kind::Spread)? {
            return self.field().map(Selection::Field);
        }
        if self.token.kind == Kind::Name && self.token.text != "on" {
            self.take()?;
            self.directives()?;
            return Ok(Selection::Fragment);
        }
        if self.eat(Kind::Name)? {
            self.name()?;
        }
        self.directives()?;
        self.selections()?;
        Ok(Selection::Fragment)
    }

    fn field(&mut self) -> Result<Field<'a>, Doubt> {
        let start = self.tokens.len();
        let first = self.name()?;
        let aliased = self.eat(Kind::Mark(b':'))?;
        let (alias, name) = if aliased { (Some(first), self.name()?) } else { (None, first) };
        let arguments = self.arguments()?;
        let directed = self.directives()?;
        let opens = (self.token.kind == Kind::Mark(b'{')).then(|| self.token.end());
        let selection = if opens.is_some() { self.selections()? } else { Vec::new() };
        let span = start..self.tokens.len();
        Ok(Field { alias, name, arguments, directed, selection, opens, span })
    }

    /// Reads arguments in parentheses, if they stand here; one at least.
    fn arguments(&mut self) -> Result<Vec<Argument<'a>>, Doubt> {
        let mut arguments = Vec::new();
        if self.eat(Kind::Mark(b'('))? {
            loop {
                arguments.push(self.argument()?);
                if self.eat(Kind::Mark(b')'))? {
                    break;
                }
            }
        }
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument<'a>, Doubt> {
        self.count()?;
        let start = self.tokens.len();
        let name = self.name()?;
        self.mark(b':')?;
        let value = self.value()?;
        Ok(Argument { name, value, span: start..self.tokens.len() })
    }

    fn value(&mut self) -> Result<Value<'a>, Doubt> {
        let token = self.take()?;
        match token.kind {
            Kind::Mark(b'$') => self.name().map(Value::Variable),
            Kind::Mark(b'[') => self.nested(Self::list),
            Kind::Mark(b'{') => self.nested(Self::object),
            Kind::Int => Ok(Value::Int { text: token.text, start: token.start }),
            Kind::Float => Ok(Value::Float),
            Kind::Text => Ok(Value::Text(token.text)),
            Kind::Block => Ok(Value::Block(token.text)),
            Kind::Name => Ok(Value::Word(token.text)),
            Kind::Mark(_) | Kind::Spread | Kind::End => Err(Doubt::NotGraphql),
        }
    }

    /// Reads the rest of a list whose bracket is taken.
    fn list(&mut self) -> Result<Value<'a>, Doubt> {
        let mut elements = Vec::new();
        while !self.eat(Kind::Mark(b']'))? {
            match self.value()? {
                Value::Int { .. } | Value::Float => {}
                element => {
                    self.count()?;
                    elements.push(element);
                }
            }
        }
        Ok(Value::List(elements))
    }

    /// Reads the rest of an object whose brace is taken.
    fn object(&mut self) -> Result<Value<'a>, Doubt> {
        let mut members = Vec::new();
        while !self.eat(Kind::Mark(b'}'))? {
            members.push(self.argument()?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_the_grammar_are_read() {
        for good in [
            "{a}",
            "query{a}",
            "query Q @d(x:1) {a}",
            "query Q($a:Int=5,$b:[[T!]!]! @d $c:S={x:[1 \"a\"]}) {a}",
            "{a:b(c:$d e:[{f:null}] g:{} h:[]) @i @j(k:1) {...l ...on M{n} ...{o} ...@p{q}}}",
            "fragment F on T @d {a} mutation M{b} subscription{c} {d}",
            "{query mutation fragment on true}",
        ] {
            assert!(document(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn documents_outside_the_grammar_are_refused() {
        for bad in [
            "",
            "a",
            "{}",
            "{a",
            "{a}}",
            "{a()}",
            "{a(b)}",
            "{a(b:)}",
            "{a(:1)}",
            "{a{}}",
            "{a:}",
            "{a:b:c}",
            "{(a:1)}",
            "query(){a}",
            "query($a){a}",
            "query($a:[T){a}",
            "query Q",
            "{a(b:$)}",
            "fragment F{a}",
            "fragment on on T{a}",
            "fragment F on{a}",
            "type T{a:Int}",
            "{...}",
            "{a(b:[1)}",
            "{a(b:{c:1]})}",
            "{a @}",
            "{\"x\":1}",
            "extend schema{a:b}",
            "{a}{",
            "{a} 5",
        ] {
            assert_eq!(document(bad).err(), Some(Doubt::NotGraphql), "{bad}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested = |n: usize| format!("{}a{}", "{a".repeat(n), "}".repeat(n));
        assert!(document(&nested(64)).is_ok());
        assert_eq!(document(&nested(65)).err(), Some(Doubt::TooDeep));
        assert_eq!(document(&"{a".repeat(100_000)).err(), Some(Doubt::TooDeep));
        let lists = |n: usize| format!("{{a(b:{}1{})}}", "[".repeat(n), "]".repeat(n));
        assert!(document(&lists(63)).is_ok());
        assert_eq!(document(&lists(64)).err(), Some(Doubt::TooDeep));
        let types = format!("query($a:{}T{}){{a}}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(document(&types).is_ok());
        let long = format!("{{a}}{}", " ".repeat(QUERY_BYTES_MAX));
        assert_eq!(document(&long).err(), Some(Doubt::TooLarge));
        let vector = format!("{{a(b:[{}])}}", "0.25,".repeat(50_000));
        assert!(document(&vector).is_ok(), "numbers are not kept");
        let many = |of: &str| ["{a", "}"].join(&of.replace('*', &"a ".repeat(20_000)));
        for of in [" *", "(b:[*])", "{*}"] {
            assert_eq!(document(&many(of)).err(), Some(Doubt::TooLarge), "{of}");
        }
        let members = format!("{{a(b:{{{}}})}}", "c:1 ".repeat(20_000));
        assert_eq!(document(&members).err(), Some(Doubt::TooLarge));
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "{ Get { x: Product(limit: 15, bm25: {query: \"limit: 3\"}) { sku } } }";
        let Document { operations, tokens } = document(text).unwrap();
        let [Selection::Field(get)] = operations[0].selection.as_slice() else { panic!("Get") };
        let [Selection::Field(list)] = get.selection.as_slice() else { panic!("a list") };
        assert_eq!((list.key(), list.name), ("x", "Product"));
        assert!(text[list.opens.unwrap()..].starts_with(" sku"));
        let said = |span: &Range<usize>| tokens[span.clone()].escape_ascii().to_string();
        assert!(said(&list.span).starts_with(r"x\x00:\x00Product\x00(\x00limit"));
        assert!(said(&list.span).ends_with(r"{\x00sku\x00}\x00"));
        assert_eq!(said(&list.arguments[0].span), r"limit\x00:\x0015\x00");
        let Value::Int { text: digits, start } = list.arguments[0].value else {
            panic!("a number")
        };
        assert_eq!(&text[start..start + digits.len()], "15");
    }
}
