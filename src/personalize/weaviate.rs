//! What one request asks of Weaviate: a search for each list of its reply.
//!
//! In: the route's wire, the request's path and body. Out: [`Searches`], which know the query of
//! each list and whether it may be touched. A list of the reply that nobody asked for is left alone.

use std::sync::Arc;

use http::HeaderMap;

use super::fail_open::FailOpen;
use crate::config::Wire;
use crate::wire::weaviate::{Decision, ListAsk, graphql, grpc, rest};
use crate::wire::{Doubt, HitList};

/// The searches of one request.
#[derive(Debug, Default)]
pub struct Searches {
    lists: Vec<Listed>,
}

/// The search for one list.
#[derive(Debug)]
struct Listed {
    /// Where the list will be in the reply, as a JSON Pointer.
    at: String,
    query: Arc<str>,
    tenant: Option<String>,
    decision: Decision,
}

/// Largest compressed message that is unpacked to be read, in bytes: searches hold vectors.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

impl Searches {
    /// Reads what a request asks; `None` on routes that are not Weaviate's.
    ///
    /// # Errors
    /// The reason for which it cannot be read.
    pub(super) fn of(
        wire: Wire,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Option<Self>, Doubt> {
        let one = |decision, ask| Listed::of(decision, rest::AT.to_owned(), ask);
        let lists = match wire {
            Wire::Json => return Ok(None),
            Wire::Graphql => {
                let asks = graphql::documents(body)?.into_iter();
                asks.map(|ask| Listed::of(ask.decide(None), ask.at, ask.ask)).collect()
            }
            Wire::Grpc => {
                let coding = headers.get("grpc-encoding").and_then(|coding| coding.to_str().ok());
                let body = grpc::plain(body, coding, MESSAGE_BYTES_MAX)?;
                let ask = grpc::request(grpc::message(&body)?)?.list;
                vec![one(ask.decide(None), ask)]
            }
            Wire::Rest => {
                let ask = rest::search(path, body)?;
                ask.map(|ask| one(ask.decide(None), ask.ask)).into_iter().collect()
            }
        };
        Ok(Some(Self { lists }))
    }

    /// Why no list may be touched, if that is so.
    pub(super) fn barred(&self) -> Option<FailOpen> {
        let mut why = Some(FailOpen::Doubt(Doubt::NoHits));
        for (number, list) in self.lists.iter().enumerate() {
            match list.decision {
                Decision::Leave(left) if number == 0 => why = Some(FailOpen::Left(left)),
                Decision::Leave(_) => {}
                Decision::Permute | Decision::Widen { .. } => return None,
            }
        }
        why
    }

    /// May this list of the reply be touched?
    pub(super) fn allow(&self, list: &HitList<'_>) -> bool {
        self.at(list).is_some_and(|listed| !matches!(listed.decision, Decision::Leave(_)))
    }

    /// The query of this list of the reply.
    pub(super) fn query(&self, list: &HitList<'_>) -> Option<&str> {
        self.at(list).map(|listed| &*listed.query)
    }

    /// The query of all lists that have one, if it is the same.
    pub(super) fn only_query(&self) -> Option<Arc<str>> {
        same(self.lists.iter().map(|list| &list.query).filter(|query| !query.is_empty())).cloned()
    }

    /// The tenant of all lists, if it is the same.
    pub fn tenant(&self) -> Option<&str> {
        same(self.lists.iter().map(|list| &list.tenant))?.as_deref()
    }

    fn at(&self, list: &HitList<'_>) -> Option<&Listed> {
        self.lists.iter().find(|listed| listed.at == list.at)
    }
}

impl Listed {
    fn of(decision: Decision, at: String, ask: ListAsk) -> Self {
        Self { decision, at, query: ask.query.into(), tenant: ask.tenant }
    }
}

/// The one value of all.
fn same<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::weaviate::Left;

    fn graphql(query: &str) -> Searches {
        let body = serde_json::json!({ "query": query }).to_string();
        let searches =
            Searches::of(Wire::Graphql, "/v1/graphql", &HeaderMap::new(), body.as_bytes());
        searches.unwrap().unwrap()
    }

    fn list(at: &str) -> HitList<'static> {
        HitList { at: at.to_owned(), span: 0..0, hits: Vec::new() }
    }

    #[test]
    fn each_list_of_a_document_is_a_search_of_its_own() {
        let searches = graphql(
            "{ Get { a: Product(limit: 5, bm25: {query: \"kale\"}) { sku } \
             b: Product(limit: 5, bm25: {query: \"oat milk\"}, tenant: \"t\") { sku } \
             all: Product(limit: 5) { sku } } }",
        );
        assert_eq!(searches.barred(), None);
        let at = |key: &str| list(&format!("/data/Get/{key}"));
        assert_eq!(
            ["a", "b", "all", "c"].map(|key| searches.allow(&at(key))),
            [true, true, false, false]
        );
        assert_eq!(searches.query(&at("b")), Some("oat milk"));
        assert_eq!((searches.only_query(), searches.tenant()), (None, None));
    }

    #[test]
    fn a_request_of_lists_that_must_stay_says_why() {
        let searches = graphql("{ Get { Product(limit: 5) { sku } Brand { name } } }");
        assert_eq!(searches.barred(), Some(FailOpen::Left(Left::NoOperator)));
        let searches = graphql("{ Aggregate { Product { meta { count } } } }");
        assert_eq!(searches.barred(), Some(FailOpen::Doubt(Doubt::NoHits)));
    }

    #[test]
    fn a_tenant_is_that_of_every_list() {
        let tenants = |one: &str, other: &str| {
            let product = |key: &str, tenant: &str| {
                format!("{key}: Product(bm25: {{query: \"kale\"}}, tenant: \"{tenant}\") {{ sku }}")
            };
            let searches =
                graphql(&format!("{{ Get {{ {} {} }} }}", product("a", one), product("b", other)));
            (searches.tenant().map(str::to_owned), searches.only_query())
        };
        assert_eq!(tenants("t1", "t1"), (Some("t1".to_owned()), Some("kale".into())));
        assert_eq!(tenants("t1", "t2").0, None);
    }
}
