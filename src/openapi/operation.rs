//! What is said of one endpoint: who may call it, what it takes, everything that it may answer.
//!
//! In: words, and types whose schemas say the rest. Out: an [`Operation`], which `document` writes.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// Draws a type's schema.
pub(super) type Draws = fn(&mut SchemaGenerator) -> Schema;

/// One operation of OpenAPI's.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: String,
    pub(super) parameters: Vec<Parameter>,
    /// Members of the query, drawn from what reads them.
    pub(super) query: Option<Draws>,
    pub(super) takes: Option<Body>,
    pub(super) answers: Vec<Answer>,
    /// Schemes of which one is needed; none at all: anybody may call.
    pub(super) security: &'static [&'static str],
    /// Types that are sent otherwise than as a body.
    pub(super) also: Vec<Draws>,
}

/// A part of the path, or a header.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) about: &'static str,
    pub(super) draws: Draws,
}

impl Parameter {
    /// A part of the path.
    pub fn path<T: JsonSchema>(name: &'static str, about: &'static str) -> Self {
        Self { name, place: "path", about, draws: SchemaGenerator::subschema_for::<T> }
    }

    /// A header, which need not be there.
    pub fn header<T: JsonSchema>(name: &'static str, about: &'static str) -> Self {
        Self { name, place: "header", about, draws: SchemaGenerator::subschema_for::<T> }
    }
}

/// Examples by name.
pub(super) type Examples = Vec<(&'static str, Value)>;

/// Examples by name, from text; what is no JSON is text.
pub fn examples(all: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.into());
    all.iter().map(|(name, text)| (*name, value(text))).collect()
}

/// What an operation takes.
#[derive(Clone, Debug)]
pub struct Body {
    pub(super) about: &'static str,
    pub(super) kinds: Vec<(&'static str, Draws, Examples)>,
    pub(super) required: bool,
}

impl Body {
    /// A body that must be there.
    pub fn new(about: &'static str) -> Self {
        Self { about, kinds: Vec::new(), required: true }
    }

    /// One that need not.
    pub fn optional(about: &'static str) -> Self {
        Self { required: false, ..Self::new(about) }
    }

    /// One content type in which it may come.
    #[must_use]
    pub fn kind<T: JsonSchema>(mut self, kind: &'static str, shown: Examples) -> Self {
        self.kinds.push((kind, SchemaGenerator::subschema_for::<T>, shown));
        self
    }
}

/// One status.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: String,
    /// The content type and its schema; none: an empty body.
    pub(super) body: Option<(&'static str, Draws)>,
    pub(super) examples: Examples,
    /// For an error: the codes that it may name.
    pub(super) codes: Vec<&'static str>,
    /// The member of the body that holds the code, if one does.
    pub(super) names_code_in: Option<&'static str>,
}

/// A way in which an operation fails: status, code, and when.
pub type Trouble = (u16, &'static str, &'static str);

impl Operation {
    /// An operation by its name for programs, its group, and its name for people.
    pub fn new(id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            tag,
            summary,
            about: String::new(),
            parameters: Vec::new(),
            query: None,
            takes: None,
            answers: Vec::new(),
            security: &[],
            also: Vec::new(),
        }
    }

    /// Its name for programs.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// More about it.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// A part of the path or a header.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// The query's members are those of `T`.
    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// What it takes.
    #[must_use]
    pub fn takes(mut self, body: Body) -> Self {
        self.takes = Some(body);
        self
    }

    /// It needs one of these schemes; an empty name stands for nobody in particular.
    #[must_use]
    pub fn needs(mut self, schemes: &'static [&'static str]) -> Self {
        self.security = schemes;
        self
    }

    /// It answers JSON.
    #[must_use]
    pub fn answers<T: JsonSchema>(self, status: u16, about: &str) -> Self {
        self.answers_as::<T>(status, "application/json", about)
    }

    /// It answers something of this content type.
    #[must_use]
    pub fn answers_as<T: JsonSchema>(self, status: u16, kind: &'static str, about: &str) -> Self {
        self.answer(status, Some((kind, SchemaGenerator::subschema_for::<T>)), about)
    }

    /// It answers without a body.
    #[must_use]
    pub fn answers_nothing(self, status: u16, about: &str) -> Self {
        self.answer(status, None, about)
    }

    fn answer(mut self, status: u16, body: Option<(&'static str, Draws)>, about: &str) -> Self {
        self.answers.push(Answer {
            status,
            about: about.to_owned(),
            body,
            examples: Vec::new(),
            codes: Vec::new(),
            names_code_in: None,
        });
        self
    }

    /// Examples of the answer that was told last.
    #[must_use]
    pub fn shown(mut self, examples: Examples) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.examples = examples;
        }
        self
    }

    /// It fails in these ways, with a body of JSON; `names_code_in`: the member that holds the code.
    #[must_use]
    pub fn fails<T: JsonSchema>(
        mut self,
        troubles: &[Trouble],
        names_code_in: Option<&'static str>,
    ) -> Self {
        for (status, code, when) in troubles {
            let line = format!("- `{code}`: {when}");
            match self.answers.iter_mut().find(|answer| answer.status == *status) {
                Some(answer) => {
                    answer.about = format!("{}\n{line}", answer.about);
                    answer.codes.push(code);
                }
                None => self.answers.push(Answer {
                    status: *status,
                    about: line,
                    body: Some(("application/json", SchemaGenerator::subschema_for::<T>)),
                    examples: Vec::new(),
                    codes: vec![code],
                    names_code_in,
                }),
            }
        }
        self
    }

    /// `T` is sent too, though not as a body.
    #[must_use]
    pub fn also<T: JsonSchema>(mut self) -> Self {
        self.also.push(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Does the description know this answer? A code that is not told is known by its status.
    pub(super) fn knows(&self, status: u16, code: Option<&str>) -> bool {
        self.answers.iter().any(|answer| {
            answer.status == status && code.is_none_or(|code| answer.codes.contains(&code))
        })
    }
}
