//! The document: OpenAPI 3.1 as JSON.
//!
//! In: operations where they are found. Out: one value. What requests hold is drawn as it is read, what
//! answers hold as it is written; a type that is both and differs is a fault that tests find.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::Described;
use super::operation::{Answer, Body, Draws, Examples, Operation, Parameter};

/// What the document as a whole says.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its name.
    pub title: &'static str,
    /// What it is about.
    pub description: &'static str,
    /// Where it is served as shipped.
    pub server: &'static str,
    /// Groups of operations, with what they are.
    pub tags: &'static [(&'static str, &'static str)],
    /// Ways to prove who one is.
    pub schemes: &'static [Scheme],
    /// Operations that another port answers, by their group.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// A way to prove who one is.
#[derive(Clone, Copy, Debug)]
pub struct Scheme {
    /// Its name in this document.
    pub name: &'static str,
    /// The header that holds a secret; none: `Authorization: Bearer`.
    pub header: Option<&'static str>,
    /// `JWT`, where the token is one.
    pub format: Option<&'static str>,
    /// What it proves.
    pub about: &'static str,
}

/// Draws schemas, as they are read and as they are written.
struct Pens {
    reads: SchemaGenerator,
    writes: SchemaGenerator,
}

impl Pens {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let writes = settings.clone().for_serialize().into_generator();
        Self { reads: settings.into_generator(), writes }
    }

    fn schemas(mut self) -> Map<String, Value> {
        let mut all = self.reads.take_definitions(false);
        for (name, written) in self.writes.take_definitions(false) {
            let read = all.insert(name.clone(), written);
            let same = read.is_none_or(|read| Some(&read) == all.get(&name));
            debug_assert!(same, "{name} is read otherwise than it is written");
        }
        all
    }
}

/// Writes the document.
pub(super) fn written(about: &About, described: &[Described]) -> Value {
    let mut pens = Pens::new();
    let mut paths = Map::new();
    for Described { method, path, operation } in described {
        let elsewhere = about.elsewhere.iter().find(|(tag, _)| *tag == operation.tag);
        let mut told = told(operation, &mut pens);
        if let Some((_, server)) = elsewhere {
            told["servers"] = json!([{"url": server}]);
        }
        let entry = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        entry[method.as_str().to_ascii_lowercase()] = told;
    }
    let tags: Vec<Value> = about
        .tags
        .iter()
        .map(|(name, description)| json!({"name": name, "description": description}))
        .collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "description": about.description,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache 2.0", "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": about.server}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": pens.schemas(),
            "securitySchemes": schemes(about.schemes),
        },
    });
    tidy(&mut document);
    document
}

fn schemes(schemes: &[Scheme]) -> Map<String, Value> {
    let one = |scheme: &Scheme| {
        let mut told = match scheme.header {
            Some(name) => json!({"type": "apiKey", "in": "header", "name": name}),
            None => json!({"type": "http", "scheme": "bearer"}),
        };
        told["description"] = scheme.about.into();
        if let Some(format) = scheme.format {
            told["bearerFormat"] = format.into();
        }
        (scheme.name.to_owned(), told)
    };
    schemes.iter().map(one).collect()
}

fn told(operation: &Operation, pens: &mut Pens) -> Value {
    let mut told = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.about,
    });
    let mut parameters: Vec<Value> =
        operation.parameters.iter().map(|one| parameter(one, pens)).collect();
    parameters.extend(operation.query.into_iter().flat_map(query));
    if !parameters.is_empty() {
        told["parameters"] = parameters.into();
    }
    if let Some(body) = &operation.takes {
        told["requestBody"] = taken(body, pens);
    }
    let answers = operation.answers.iter();
    let answers: Map<String, Value> =
        answers.map(|one| (one.status.to_string(), answer(one, pens))).collect();
    told["responses"] = answers.into();
    let security: Vec<Value> = operation.security.iter().map(|name| requirement(name)).collect();
    told["security"] = security.into();
    for draws in &operation.also {
        draws(&mut pens.writes);
    }
    told
}

fn requirement(name: &str) -> Value {
    if name.is_empty() { json!({}) } else { json!({name: []}) }
}

fn parameter(one: &Parameter, pens: &mut Pens) -> Value {
    let Parameter { name, place, about, draws } = one;
    let schema = draws(&mut pens.reads);
    let required = *place == "path";
    json!({"name": name, "in": place, "description": about, "required": required, "schema": schema})
}

/// The members of a type that is read from the query.
fn query(draws: Draws) -> Vec<Value> {
    let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = draws(&mut inline.into_generator());
    let required = |name: &str| {
        let all = schema.get("required").and_then(Value::as_array);
        all.is_some_and(|all| all.iter().any(|one| one == name))
    };
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let told = members.map(|(name, schema)| {
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        // What is left out is not `null`: a query has no such word.
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = &types[..] {
                schema["type"] = only.clone();
            }
        }
        json!({
            "name": name, "in": "query", "description": about, "required": required(name),
            "schema": schema,
        })
    });
    told.collect()
}

fn taken(body: &Body, pens: &mut Pens) -> Value {
    let kinds = body.kinds.iter().map(|(kind, draws, shown)| {
        ((*kind).to_owned(), media(draws(&mut pens.reads).into(), shown))
    });
    let content: Map<String, Value> = kinds.collect();
    json!({"description": body.about, "required": body.required, "content": content})
}

fn answer(answer: &Answer, pens: &mut Pens) -> Value {
    let mut told = json!({"description": answer.about});
    if let Some((kind, draws)) = answer.body {
        let mut schema: Value = draws(&mut pens.writes).into();
        if let Some(member) = answer.names_code_in {
            let codes = json!({"type": "string", "enum": answer.codes});
            schema = json!({"allOf": [schema, {"type": "object", "properties": {member: codes}}]});
        }
        told["content"] = json!({kind: media(schema, &answer.examples)});
    }
    let header = |about: &str, schema: Value| json!({"description": about, "schema": schema});
    let mut headers = Map::new();
    if answer.status >= 400 {
        let about = "Says that the answer is ours: `error; reason=` and the code.";
        headers.insert("X-Leafrank".into(), header(about, json!({"type": "string"})));
    }
    match answer.status {
        401 => {
            let about = "`Bearer`.";
            headers.insert("WWW-Authenticate".into(), header(about, json!({"type": "string"})));
        }
        503 => {
            let about = "After how many seconds it is worth another try.";
            headers.insert("Retry-After".into(), header(about, json!({"type": "integer"})));
        }
        _ => {}
    }
    if !headers.is_empty() {
        told["headers"] = headers.into();
    }
    told
}

fn media(schema: Value, shown: &Examples) -> Value {
    let mut media = json!({"schema": schema});
    if !shown.is_empty() {
        let shown = shown.iter().map(|(name, value)| ((*name).to_owned(), json!({"value": value})));
        media["examples"] = shown.collect::<Map<_, _>>().into();
    }
    media
}

/// A comment's lines made one, but for those of a list.
fn unwrapped(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        let starts_anew = lines.is_empty() || line.is_empty() || line.starts_with("- ");
        lines.push_str(if starts_anew { if lines.is_empty() { "" } else { "\n" } } else { " " });
        lines.push_str(line);
    }
    lines
}

/// Takes out formats that only Rust knows, and defaults that say nothing.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let format = members.get("format").and_then(Value::as_str).unwrap_or_default();
            if members.contains_key("type") && format.starts_with("uint") {
                members.remove("format");
            }
            // Left out is told by what is required.
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = unwrapped(text);
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(all) => all.iter_mut().for_each(tidy),
        _ => {}
    }
}
