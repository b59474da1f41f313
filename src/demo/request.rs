//! Bodies of requests, checked as LeafLoaf checks them.
//!
//! In: body bytes. Out: the request, or the `detail` entries of a 422, worded as the real shop's
//! validation words them. Never answers itself.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// `limit` when the caller names none.
const LIMIT_DEFAULT: u64 = 20;
/// Largest `limit` accepted.
const LIMIT_MAX: u64 = 50;

/// The faults of a body; the reply is `{"detail": […]}` with status 422.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Invalid {
    detail: Vec<Fault>,
}

#[derive(Clone, Debug, Serialize)]
struct Fault {
    r#type: &'static str,
    loc: Vec<&'static str>,
    msg: String,
    input: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Value>,
}

/// A body for search and order.
#[derive(Clone, Debug, Default)]
pub(super) struct SearchRequest {
    pub(super) query: String,
    pub(super) user_id: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) limit: usize,
    pub(super) show_all: bool,
    pub(super) price_max: Option<f64>,
    pub(super) dietary: Vec<String>,
}

/// A JSON object whose fields are taken one by one, faults being collected.
pub(super) struct Body {
    object: Map<String, Value>,
    invalid: Invalid,
}

impl Body {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut invalid = Invalid::default();
        if bytes.is_empty() {
            invalid.add(Fault::of("missing", None, "Field required", Value::Null));
            return Err(invalid);
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(object)) => Ok(Self { object, invalid }),
            Ok(other) => {
                let msg = "Input should be a valid dictionary or object to extract fields from";
                invalid.add(Fault::of("model_attributes_type", None, msg, other));
                Err(invalid)
            }
            Err(error) => {
                let fault = Fault::of("json_invalid", None, "JSON decode error", json!({}));
                invalid.add(fault.because(json!({"error": error.to_string()})));
                Err(invalid)
            }
        }
    }

    pub(super) fn text(&mut self, key: &'static str) -> String {
        match self.object.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => {
                let msg = "Input should be a valid string";
                self.invalid.add(Fault::of("string_type", Some(key), msg, other.clone()));
                String::new()
            }
            None => self.missing(key),
        }
    }

    pub(super) fn optional_text(&mut self, key: &'static str) -> Option<String> {
        match self.object.get(key) {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.text(key)),
        }
    }

    pub(super) fn object(&mut self, key: &'static str) -> Map<String, Value> {
        match self.object.get(key) {
            Some(Value::Object(object)) => object.clone(),
            Some(other) => {
                let msg = "Input should be a valid dictionary";
                self.invalid.add(Fault::of("dict_type", Some(key), msg, other.clone()));
                Map::new()
            }
            None => {
                self.missing(key);
                Map::new()
            }
        }
    }

    /// A whole number in `1..=max`; `default` where the key is absent or null.
    pub(super) fn count(&mut self, key: &'static str, default: u64, max: u64) -> u64 {
        let value = self.object.get(key).cloned().unwrap_or(Value::Null);
        let number = match &value {
            Value::Null => return default,
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let (r#type, msg, ctx) = match number {
            Some(number) if number < 1 => (
                "greater_than_equal",
                "Input should be greater than or equal to 1".to_owned(),
                Some(json!({"ge": 1})),
            ),
            Some(number) if number.unsigned_abs() > max => (
                "less_than_equal",
                format!("Input should be less than or equal to {max}"),
                Some(json!({"le": max})),
            ),
            Some(number) => return number.unsigned_abs(),
            None => ("int_type", "Input should be a valid integer".to_owned(), None),
        };
        self.invalid.add(Fault { ctx, ..Fault::of(r#type, Some(key), &msg, value) });
        default
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.object.get(key)
    }

    /// The faults so far, if any.
    pub(super) fn finish(self) -> Result<(), Invalid> {
        if self.invalid.detail.is_empty() { Ok(()) } else { Err(self.invalid) }
    }

    fn missing(&mut self, key: &'static str) -> String {
        let input = Value::Object(self.object.clone());
        self.invalid.add(Fault::of("missing", Some(key), "Field required", input));
        String::new()
    }
}

impl Invalid {
    fn add(&mut self, fault: Fault) {
        self.detail.push(fault);
    }
}

impl Fault {
    fn of(r#type: &'static str, key: Option<&'static str>, msg: &str, input: Value) -> Self {
        let loc = std::iter::once("body").chain(key).collect();
        Self { r#type, loc, msg: msg.to_owned(), input, ctx: None }
    }

    fn because(self, ctx: Value) -> Self {
        Self { ctx: Some(ctx), ..self }
    }
}

impl SearchRequest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut body = Body::parse(bytes)?;
        let filters = body.value("filters").cloned().unwrap_or(Value::Null);
        let dietary = filters.get("dietary").and_then(Value::as_array);
        let names = dietary.into_iter().flatten().filter_map(Value::as_str);
        let request = Self {
            query: body.text("query"),
            user_id: body.optional_text("user_id"),
            session_id: body.optional_text("session_id"),
            limit: body.count("limit", LIMIT_DEFAULT, LIMIT_MAX) as usize,
            show_all: body.value("show_all").and_then(Value::as_bool).unwrap_or(false),
            price_max: filters.get("max_price").and_then(Value::as_f64),
            dietary: names.map(|name| name.to_lowercase()).collect(),
        };
        body.finish().map(|()| request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        serde_json::to_string(&SearchRequest::parse(body.as_bytes()).unwrap_err()).unwrap()
    }

    #[test]
    fn refusals_read_as_the_recorded_ones() {
        assert_eq!(
            refused("{}"),
            r#"{"detail":[{"type":"missing","loc":["body","query"],"msg":"Field required","input":{}}]}"#
        );
        assert_eq!(
            refused(r#"{"query": "apples", "limit": 500}"#),
            concat!(
                r#"{"detail":[{"type":"less_than_equal","loc":["body","limit"],"msg":"Input should "#,
                r#"be less than or equal to 50","input":500,"ctx":{"le":50}}]}"#
            )
        );
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        let all = refused(r#"{"query": 1, "limit": 0, "user_id": []}"#);
        for part in ["string_type", "greater_than_equal", "user_id"] {
            assert!(all.contains(part), "{all}");
        }
        assert!(refused("").contains(r#""loc":["body"]"#));
        assert!(refused("[1]").contains("model_attributes_type"));
        assert!(refused("{").contains("json_invalid"));
        assert!(refused(r#"{"query":"a","limit":1.5}"#).contains("int_type"));
    }

    #[test]
    fn what_is_left_out_takes_the_shops_defaults() {
        let request = SearchRequest::parse(br#"{"query":"milk","limit":null}"#).unwrap();
        assert_eq!((request.limit, request.show_all, request.price_max), (20, false, None));
        let filters = br#"{"query":"milk","filters":{"max_price":5,"dietary":["Organic"]}}"#;
        let request = SearchRequest::parse(filters).unwrap();
        assert_eq!((request.price_max, request.dietary), (Some(5.0), vec!["organic".to_owned()]));
    }
}
