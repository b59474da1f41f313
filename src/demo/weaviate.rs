//! The demo shop as a Weaviate: `Get` over GraphQL for the class `Product`.
//!
//! In: the body of `POST /v1/graphql`. Out: objects with LeafLoaf's property names, keys sorted,
//! errors as HTTP 200 with `errors`, as Weaviate has them. Knows limit, offset, after and searches by
//! words; a score tells the place in the list and nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::catalog::Product;
use super::graphql::{self, Fault, Field};
use super::shop::Shop;

/// The class of the catalogue.
const CLASS: &str = "Product";
/// A page's length unless the query says another.
const LIMIT_DEFAULT: usize = 100;
/// Weaviate's bound on offset and limit together.
const REACH_MAX: usize = 10_000;

/// A name space of RFC 9562, that of URLs: where ids of objects are made from keys.
const NAME_SPACE: [u8; 16] = [
    0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
];

/// The id of the object with this sku: a UUID of version 5, the same at every start.
pub fn uuid_of(sku: &str) -> String {
    let text = [&NAME_SPACE, sku.as_bytes()].concat();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    let mut id = String::with_capacity(36);
    for (at, byte) in digest.as_ref().iter().take(16).enumerate() {
        let byte = match at {
            6 => (byte & 0x0f) | 0x50,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        id.push_str(&format!("{byte:02x}"));
    }
    id
}

/// `POST /v1/graphql`.
pub(super) async fn answer(State(shop): State<Arc<Shop>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = body.get("query").and_then(Value::as_str).unwrap_or("");
    if query.is_empty() {
        let fault = json!({"error": [{"message": "query cannot be empty"}]});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(fault)).into_response();
    }
    let page = match found(&shop, query) {
        Ok(lists) => json!({"data": {"Get": lists}}),
        Err(fault) => {
            let Fault { message, line, column } = fault;
            let place = json!([{"column": column, "line": line}]);
            json!({"errors": [{"locations": place, "message": message, "path": null}]})
        }
    };
    Json(page).into_response()
}

/// Each list by its key.
fn found(shop: &Shop, query: &str) -> Result<BTreeMap<String, Vec<Value>>, Fault> {
    let mut lists = BTreeMap::new();
    for field in graphql::asked(query)?.fields {
        let fault = |message: String| Fault { message, line: 1, column: 1 };
        if field.class != CLASS {
            let class = &field.class;
            return Err(fault(format!(
                "Cannot query field \"{class}\" on type \"GetObjectsObj\"."
            )));
        }
        if field.offset.saturating_add(field.limit.unwrap_or(LIMIT_DEFAULT)) > REACH_MAX {
            return Err(fault(format!("offset and limit reach beyond {REACH_MAX}")));
        }
        let products = page(shop, &field).map_err(|error| fault(error.to_string()))?;
        let hits = products.iter().enumerate().map(|(place, product)| hit(&field, place, product));
        let hits = hits.collect::<Result<Vec<Value>, String>>().map_err(fault)?;
        lists.insert(field.key, hits);
    }
    Ok(lists)
}

/// The products of one page: by words, else by id.
fn page<'s>(shop: &'s Shop, field: &Field) -> tantivy::Result<Vec<&'s Product>> {
    let products = shop.catalog.products();
    let limit = field.limit.unwrap_or(LIMIT_DEFAULT);
    let Some(search) = &field.search else {
        let after = field.after.as_deref().unwrap_or("");
        let mut by_id: Vec<(String, &Product)> =
            products.iter().map(|product| (uuid_of(&product.sku), product)).collect();
        by_id.retain(|(id, _)| id.as_str() > after);
        by_id.sort_by(|a, b| a.0.cmp(&b.0));
        let page = by_id.into_iter().skip(field.offset).take(limit);
        return Ok(page.map(|(_, product)| product).collect());
    };
    let found = if search.finds_alike {
        shop.index.search(&search.query, field.offset + limit, |_| true)?
    } else {
        shop.index.full_text(&search.query)?
    };
    let page = found.into_iter().skip(field.offset).take(limit);
    Ok(page.filter_map(|at| products.get(at)).collect())
}

fn hit(field: &Field, place: usize, product: &Product) -> Result<Value, String> {
    let mut hit = BTreeMap::new();
    for name in &field.properties {
        let value = property(product, name)
            .ok_or_else(|| format!("Cannot query field \"{name}\" on type \"{CLASS}\"."))?;
        hit.insert(name.as_str(), value);
    }
    if !field.additional.is_empty() {
        let mut additional = BTreeMap::new();
        for name in &field.additional {
            let score = || format!("{:.6}", 1.0 / (1 + field.offset + place) as f64);
            let value = match name.as_str() {
                "id" => json!(uuid_of(&product.sku)),
                "score" if field.search.is_some() => json!(score()),
                "score" => json!("0"),
                _ => return Err(format!("Cannot query field \"{name}\" on type \"Additional\".")),
            };
            additional.insert(name.as_str(), value);
        }
        hit.insert("_additional", json!(additional));
    }
    Ok(json!(hit))
}

fn property(product: &Product, name: &str) -> Option<Value> {
    Some(match name {
        "sku" => json!(product.sku),
        "name" => json!(product.name),
        "supplierCategory" => json!(product.category),
        "supplier" => json!(product.brand),
        "retailPrice" => json!(product.price),
        "searchTerms" => json!(product.terms),
        "isOrganic" => json!(product.attributes.iter().any(|attribute| attribute == "organic")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower_service::Service;

    use super::super::catalog::Catalog;
    use super::*;

    async fn ask(query: &str) -> (StatusCode, String) {
        let mut shop = super::super::router(Catalog::ours()).unwrap();
        let body = Body::from(json!({"query": query}).to_string());
        let reply = shop.call(Request::post("/v1/graphql").body(body).unwrap()).await.unwrap();
        let status = reply.status();
        let body = axum::body::to_bytes(reply.into_body(), 10 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_search_answers_with_leafloafs_property_names_and_sorted_keys() {
        for search in ["bm25:{query:\"oat milk\"}", "hybrid:{query:\"oat milk\" alpha:0.5}"] {
            let query = format!(
                "{{Get{{Product(limit:3,{search}){{sku name supplierCategory supplier retailPrice \
                 searchTerms isOrganic _additional{{score id}}}}}}}}"
            );
            let (status, text) = ask(&query).await;
            assert_eq!(status, StatusCode::OK);
            let start = "{\"data\":{\"Get\":{\"Product\":[{\"_additional\":{\"id\":\"";
            assert!(text.starts_with(start), "{text}");
            let page: Value = serde_json::from_str(&text).unwrap();
            let hits = page["data"]["Get"]["Product"].as_array().unwrap();
            assert_eq!(hits.len(), 3);
            let keys = ["name", "retailPrice", "searchTerms", "sku", "supplier"];
            let places: Vec<usize> =
                keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
            assert!(places.is_sorted(), "{text}");
            assert!(hits[0]["name"].as_str().unwrap().to_lowercase().contains("oat"), "{text}");
            let scores: Vec<f64> = hits
                .iter()
                .map(|hit| hit["_additional"]["score"].as_str().unwrap().parse().unwrap())
                .collect();
            assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        }
    }

    #[tokio::test]
    async fn pages_by_cursor_and_by_offset_hold_each_product_once() {
        let count = Catalog::ours().products().len();
        let ids = |text: &str| -> Vec<String> {
            let page: Value = serde_json::from_str(text).unwrap();
            let hits = page["data"]["Get"]["Product"].as_array().unwrap();
            hits.iter().map(|hit| hit["_additional"]["id"].as_str().unwrap().to_owned()).collect()
        };
        let (mut by_cursor, mut by_offset) = (Vec::<String>::new(), Vec::<String>::new());
        loop {
            let after = by_cursor.last().cloned().unwrap_or_default();
            let query =
                format!("{{Get{{Product(limit:100,after:\"{after}\"){{_additional{{id}}}}}}}}");
            let page = ids(&ask(&query).await.1);
            let query = format!(
                "{{Get{{Product(limit:100,offset:{}){{_additional{{id}}}}}}}}",
                by_offset.len()
            );
            by_offset.extend(ids(&ask(&query).await.1));
            if page.is_empty() {
                break;
            }
            by_cursor.extend(page);
        }
        assert_eq!(by_cursor.len(), count);
        assert!(by_cursor.is_sorted_by(|a, b| a < b));
        assert_eq!(by_cursor, by_offset);
    }

    #[tokio::test]
    async fn faults_come_as_errors_within_a_good_reply() {
        for (query, message) in [
            ("{Get{Nope{sku}}}", "Cannot query field \\\"Nope\\\" on type \\\"GetObjectsObj\\\"."),
            ("{Get{Product{nope}}}", "Cannot query field \\\"nope\\\" on type \\\"Product\\\"."),
            ("{Get{Product(limit:3){sku", "Syntax Error: expected a name, found the end"),
            ("{Get{Product(limit:10001){sku}}}", "offset and limit reach beyond 10000"),
        ] {
            let (status, text) = ask(query).await;
            assert_eq!(status, StatusCode::OK);
            assert!(text.starts_with("{\"errors\":[{\"locations\":[{\"column\":"), "{text}");
            assert!(text.contains(message), "{text}");
        }
        assert_eq!(ask("").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn ids_are_those_of_the_recorded_server() {
        assert_eq!(uuid_of("BALDOR_ZPEEA04"), "0177f84a-e5fc-5551-94fc-f85ec28b1161");
    }
}
