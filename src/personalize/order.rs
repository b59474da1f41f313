//! Did the caller choose an order?
//!
//! A request that sorts by anything but relevance asked for that order and gets it. The settings
//! name the parameters of a route with the values that mean "by relevance"; a parameter that is
//! called like an order and is not named there is taken as a choice.

use crate::config::SortParameter;
use crate::config::Source;
use crate::config::source::{Ask, query_pairs};
use crate::wire::{self, Json};

/// Longest parameter name that is compared, in bytes.
const NAME_MAX: usize = 32;

/// True when the request asks for an order other than relevance. `O(parameters)`.
pub(super) fn is_chosen(sort: &[SortParameter], ask: &Ask<'_>) -> bool {
    let declared = sort.iter().any(|parameter| {
        parameter
            .source
            .read(ask)
            .is_some_and(|value| !parameter.neutral.iter().any(|n| n.eq_ignore_ascii_case(&value)))
    });
    declared || in_query(sort, ask) || in_body(sort, ask)
}

fn in_query(sort: &[SortParameter], ask: &Ask<'_>) -> bool {
    query_pairs(ask.query).any(|(name, value)| {
        let known = sort.iter().any(|p| matches!(&p.source, Source::Query(n) if *n == name));
        !known && !value.trim().is_empty() && is_sort_like(&name)
    })
}

fn in_body(sort: &[SortParameter], ask: &Ask<'_>) -> bool {
    let Ok(body) = Json::parse(ask.body) else { return false };
    body.members().iter().any(|(name, value)| {
        let known = sort.iter().any(|p| match &p.source {
            Source::Body(pointer) => pointer.0.first().is_some_and(|first| first == name),
            _ => false,
        });
        !known && is_sort_like(name) && !is_nothing(*value)
    })
}

fn is_nothing(value: Json<'_>) -> bool {
    match value.kind() {
        wire::Kind::Null => true,
        wire::Kind::Text => value.text().is_ok_and(|t| t.is_none_or(|t| t.trim().is_empty())),
        wire::Kind::Array => value.elements().is_empty(),
        _ => false,
    }
}

/// `sort`, `sortBy`, `sort_order`, `order`, `order-by`, `ordering` and their like.
fn is_sort_like(name: &str) -> bool {
    if name.len() > NAME_MAX {
        return false;
    }
    let mut plain = [0; NAME_MAX];
    let mut length = 0;
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() {
            plain[length] = byte.to_ascii_lowercase();
            length += 1;
        }
    }
    let plain = &plain[..length];
    plain.starts_with(b"sort")
        || plain.ends_with(b"sort")
        || matches!(plain, b"order" | b"orderby" | b"ordering" | b"orderdirection" | b"rankby")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pointer;
    use http::HeaderMap;

    fn chosen(query: &str, body: &str) -> bool {
        let headers = HeaderMap::new();
        let sort = [
            SortParameter {
                source: Source::Query("sort".into()),
                neutral: vec!["relevance".into(), "best".into()],
            },
            SortParameter {
                source: Source::Body(Pointer(vec!["sort".into(), "by".into()])),
                neutral: vec!["score".into()],
            },
        ];
        is_chosen(
            &sort,
            &Ask {
                headers: &headers,
                query,
                named: &[],
                body: body.as_bytes(),
                tenant: None,
                claims: Default::default(),
            },
        )
    }

    #[test]
    fn a_declared_parameter_is_neutral_only_with_its_neutral_values() {
        assert!(!chosen("q=milk", "{}"));
        assert!(!chosen("sort=Relevance", "{}"));
        assert!(!chosen("sort=", "{}"));
        assert!(chosen("sort=price", "{}"));
        assert!(!chosen("", r#"{"sort":{"by":"score"}}"#));
        assert!(chosen("", r#"{"sort":{"by":"price"}}"#));
    }

    #[test]
    fn an_unknown_sort_like_parameter_is_a_choice() {
        for query in ["orderBy=price", "sort_by=x", "order=asc", "products-sort=new"] {
            assert!(chosen(query, "{}"), "{query}");
        }
        assert!(chosen("", r#"{"query":"x","order_by":"price"}"#));
        assert!(!chosen("", r#"{"query":"x","order_by":null,"sorting":""}"#));
        assert!(!chosen("border=1&resort2=", r#"{"ordered":true}"#));
    }
}
