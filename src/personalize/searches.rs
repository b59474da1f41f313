//! What one request asks for: a search for each list of its reply.
//!
//! In: the route, the request's path and body. Out: [`Searches`], which know the query of each list,
//! whether it may be touched, which page of how wide a window it is, and the request for the whole
//! window. A list of the reply that nobody asked for is left alone.

use std::ops::Range;
use std::sync::Arc;

use super::fail_open::FailOpen;
use super::pages::Paged;
use crate::config::source::{Ask, first};
use crate::config::{SearchRoute, Wire};
use crate::wire::weaviate::graphql::{Added, GraphqlAsk};
use crate::wire::weaviate::rest::RestAsk;
use crate::wire::weaviate::{Decision, ListAsk, graphql, grpc, rest};
use crate::wire::{Doubt, Edit, HitList, Json, Pointer, rewrite};

/// The searches of one request.
#[derive(Debug)]
pub struct Searches {
    lists: Vec<Listed>,
    asks: Asks,
}

/// The search for one list.
#[derive(Debug)]
struct Listed {
    /// Where the list will be in the reply, as a JSON Pointer.
    at: String,
    query: Arc<str>,
    tenant: Option<String>,
    decision: Decision,
    page: Page,
    /// Properties that are asked for beside those that the caller asks for.
    added: Vec<String>,
}

/// A page of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Hits before it.
    pub(super) first: u32,
    /// Hits on it.
    pub(super) count: u32,
    /// Hits of the window that it is cut from.
    pub(super) window: u32,
    /// The same for all pages of the search.
    pub(super) fingerprint: u64,
}

impl Page {
    /// Its hits among those of the window.
    pub(super) fn range(self) -> Range<usize> {
        self.first as usize..(self.first as usize).saturating_add(self.count as usize)
    }
}

/// The requests, as far as they are needed to be written anew.
#[derive(Debug)]
enum Asks {
    Json(Paged),
    Graphql(Vec<GraphqlAsk>),
    Grpc,
    Rest(Box<RestAsk>),
}

/// Where a REST search names the properties that it wants.
const RETURN_PROPERTIES: &str = "returnProperties";

/// Largest compressed message that is unpacked to be read, in bytes: searches hold vectors.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

impl Searches {
    /// Reads what a request asks; `None` on routes of JSON that are never widened.
    ///
    /// # Errors
    /// The reason for which it cannot be read.
    pub(super) fn of(
        route: &SearchRoute,
        path: &str,
        ask: &Ask<'_>,
    ) -> Result<Option<Self>, Doubt> {
        let window = Some(route.window_size);
        let one = |decision, ask, has: &dyn Fn(&str) -> bool| {
            vec![Listed::of(decision, rest::AT.to_owned(), ask).asking_for(&route.ask_also, has)]
        };
        let (lists, asks) = match route.wire {
            Wire::Json => return json(route, ask),
            Wire::Graphql => {
                let asks = graphql::documents(ask.body)?;
                let listed = asks.iter().map(|ask| {
                    let listed = Listed::of(ask.decide(window), ask.at.clone(), ask.ask.clone());
                    listed.asking_for(&route.ask_also, &|name| ask.selects(name))
                });
                (listed.collect(), Asks::Graphql(asks))
            }
            Wire::Grpc => {
                let ask = grpc::request(grpc::message(&plain(ask)?)?)?;
                let named = ask.properties.as_deref();
                let has = |name: &str| named.is_none_or(|all| all.iter().any(|one| one == name));
                (one(ask.list.decide(window), ask.list.clone(), &has), Asks::Grpc)
            }
            Wire::Rest => {
                let asked = rest::search(path, ask.body)?.ok_or(Doubt::NoHits)?;
                let named = properties_of(ask.body)?;
                let named = named.map(|named| named.elements()).unwrap_or_default();
                let has = |name: &str| {
                    let same =
                        |one: &Json<'_>| one.text().is_ok_and(|one| one.as_deref() == Some(name));
                    named.is_empty() || named.iter().any(same)
                };
                (one(asked.decide(window), asked.ask.clone(), &has), Asks::Rest(Box::new(asked)))
            }
        };
        Ok(Some(Self { lists, asks }))
    }

    /// The request as it is asked: for the whole window of each list that may be widened, and for
    /// the properties that are wanted besides. `None` where it stays as it is.
    ///
    /// # Errors
    /// A doubt about how to write it.
    pub(super) fn rewritten(&self, ask: &Ask<'_>) -> Result<Option<Vec<u8>>, Doubt> {
        let Some(first) = self.lists.iter().find(|listed| listed.is_rewritten()) else {
            return Ok(None);
        };
        let body = match &self.asks {
            Asks::Json(paged) => paged.body(ask)?,
            Asks::Graphql(asks) => graphql_rewritten(ask.body, asks, &self.lists)?,
            Asks::Grpc => {
                let body = plain(ask)?;
                let message = grpc::message(&body)?;
                let mut message = match first.added.is_empty() {
                    true => message.to_vec(),
                    false => grpc::with_properties(message, &first.added),
                };
                if let Some(window) = first.window() {
                    message = grpc::with_window(&message, window, 0)?;
                }
                grpc::framed(&message)?
            }
            Asks::Rest(asked) => {
                let body = match first.window() {
                    Some(window) => rest::with_window(ask.body, asked, window)?,
                    None => ask.body.to_vec(),
                };
                match properties_of(&body)?.filter(|_| !first.added.is_empty()) {
                    Some(named) => {
                        let names = first.added.iter().map(|name| format!("\"{name}\","));
                        let at = named.span().start + 1;
                        rewrite(&body, &[], &[edit(at..at, names.collect::<String>())?])?
                    }
                    None => body,
                }
            }
        };
        Ok(Some(body))
    }

    /// The URL's query of the request as it is asked; `None` where it stays as it is.
    pub(super) fn query_rewritten(&self, ask: &Ask<'_>) -> Option<String> {
        match &self.asks {
            Asks::Json(paged) => paged.query(ask),
            Asks::Graphql(_) | Asks::Grpc | Asks::Rest(_) => None,
        }
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

    /// The pages that may be cut from wider windows.
    pub(super) fn pages(&self) -> impl Iterator<Item = Page> + '_ {
        self.lists.iter().filter_map(Listed::page)
    }

    /// The page that this list of the reply is, where it is cut from a wider window.
    pub(super) fn page(&self, list: &HitList<'_>) -> Option<Page> {
        self.at(list).and_then(Listed::page)
    }

    /// The properties that are to be taken out of this list's hits again.
    pub(super) fn added(&self, list: &HitList<'_>) -> &[String] {
        self.at(list).map_or(&[], |listed| &listed.added)
    }

    /// Whether more is asked for the list at this place than its caller asks for.
    pub(super) fn is_rewritten(&self, at: &str) -> bool {
        self.lists.iter().any(|listed| listed.at == at && listed.is_rewritten())
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

/// The search of a request of JSON; `None` where it is not to be widened.
fn json(route: &SearchRoute, ask: &Ask<'_>) -> Result<Option<Searches>, Doubt> {
    let Some(paged) = Paged::read(route, ask)? else { return Ok(None) };
    let page = paged.page;
    let listed = Listed {
        at: route.hits.at.to_string(),
        query: first(&route.query, ask, |word| Some(Arc::from(word))).unwrap_or_default(),
        tenant: None,
        decision: Decision::Widen { limit: page.window },
        page,
        added: Vec::new(),
    };
    Ok(Some(Searches { lists: vec![listed], asks: Asks::Json(paged) }))
}

/// A document that selects more, then asks for more.
fn graphql_rewritten(body: &[u8], asks: &[GraphqlAsk], lists: &[Listed]) -> Result<Vec<u8>, Doubt> {
    let added: Vec<Vec<Added<'_>>> = lists
        .iter()
        .map(|listed| listed.added.iter().map(|name| Added::Property(name)).collect())
        .collect();
    let more = asks.iter().zip(&added).filter(|(_, added)| !added.is_empty());
    let more: Vec<_> = more.map(|(ask, added)| (ask, added.as_slice())).collect();
    let body = graphql::with_selection(body, &more)?;
    // what was added has moved what stands behind it
    let asks = graphql::documents(&body)?;
    let wide = asks.iter().zip(lists);
    let wide: Vec<_> = wide.filter_map(|(ask, listed)| Some((ask, listed.window()?))).collect();
    graphql::with_window(&body, &wide)
}

/// The properties that a REST search wants; all where it names none.
fn properties_of(body: &[u8]) -> Result<Option<Json<'_>>, Doubt> {
    let at = Pointer(vec![RETURN_PROPERTIES.to_owned()]);
    Ok(Json::parse(body)?.get(&at)?.filter(|named| !named.elements().is_empty()))
}

fn edit(span: Range<usize>, with: impl ToString) -> Result<Edit, Doubt> {
    let place = |at| u32::try_from(at).map_err(|_| Doubt::TooLarge);
    Ok(Edit { span: place(span.start)?..place(span.end)?, with: with.to_string().into_bytes() })
}

/// A gRPC request's body, uncompressed.
fn plain<'b>(ask: &Ask<'b>) -> Result<std::borrow::Cow<'b, [u8]>, Doubt> {
    let coding = ask.headers.get("grpc-encoding").and_then(|coding| coding.to_str().ok());
    grpc::plain(ask.body, coding, MESSAGE_BYTES_MAX)
}

impl Listed {
    fn of(decision: Decision, at: String, ask: ListAsk) -> Self {
        let window = match decision {
            Decision::Widen { limit } => limit,
            Decision::Permute | Decision::Leave(_) => 0,
        };
        let (first, count) = (ask.offset, ask.limit.unwrap_or_default());
        let page = Page { first, count, window, fingerprint: ask.fingerprint };
        let query = ask.query.into();
        Self { decision, at, query, tenant: ask.tenant, page, added: Vec::new() }
    }

    /// The same, asking for `names` too where the caller `has` them not.
    fn asking_for(self, names: &[String], has: &dyn Fn(&str) -> bool) -> Self {
        if matches!(self.decision, Decision::Leave(_)) {
            return self;
        }
        Self { added: names.iter().filter(|name| !has(name)).cloned().collect(), ..self }
    }

    fn page(&self) -> Option<Page> {
        matches!(self.decision, Decision::Widen { .. }).then_some(self.page)
    }

    fn window(&self) -> Option<u32> {
        self.page().map(|page| page.window)
    }

    fn is_rewritten(&self) -> bool {
        self.page().is_some() || !self.added.is_empty()
    }
}

/// The one value of all.
fn same<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::config::{Paging, PlaceOfNumber, Source};
    use crate::wire::HitMap;
    use crate::wire::weaviate::Left;

    fn route(wire: Wire, window_size: u32) -> SearchRoute {
        let limit = PlaceOfNumber::Body(Pointer::parse("/limit").unwrap());
        let limit = (wire == Wire::Json).then_some(limit);
        SearchRoute {
            wire,
            paging: Paging { limit, ..Paging::default() },
            query: vec![Source::Body(Pointer::parse("/query").unwrap())],
            hits: HitMap { at: Pointer::parse("/products").unwrap(), ..HitMap::default() },
            ..SearchRoute::for_tests(window_size)
        }
    }

    fn read(route: &SearchRoute, path: &str, body: &[u8]) -> (Option<Searches>, Option<String>) {
        let headers = HeaderMap::new();
        let ask = Ask {
            headers: &headers,
            query: "",
            named: &[],
            body,
            tenant: None,
            claims: Default::default(),
        };
        let searches = Searches::of(route, path, &ask).unwrap();
        let wide = searches.as_ref().and_then(|searches| searches.rewritten(&ask).unwrap());
        (searches, wide.map(|body| String::from_utf8(body).unwrap()))
    }

    fn graphql(query: &str) -> Searches {
        let body = serde_json::json!({ "query": query }).to_string();
        read(&route(Wire::Graphql, 0), "/v1/graphql", body.as_bytes()).0.unwrap()
    }

    #[test]
    fn a_request_for_a_page_becomes_one_for_the_window() {
        let body = br#"{"query": "kale", "limit": 5, "user_id": "u"}"#;
        let (searches, wide) = read(&route(Wire::Json, 15), "/search", body);
        assert_eq!(wide.unwrap(), r#"{"query": "kale", "limit": 15, "user_id": "u"}"#);
        let (page, at) = (searches.unwrap(), list("/products"));
        let page = page.page(&at).unwrap();
        assert_eq!((page.range(), page.window), (0..5, 15));
        for enough in ["15", "20", "0", "-1", "5.0", "\"5\"", "null", "{}"] {
            let body = format!(r#"{{"query":"kale","limit":{enough}}}"#);
            assert!(
                read(&route(Wire::Json, 15), "/search", body.as_bytes()).0.is_none(),
                "{enough}"
            );
        }
        let body = br#"{"query": "kale", "limit": 5, "offset": 10}"#;
        let (searches, wide) = read(&route(Wire::Rest, 50), "/v1/search/Product/bm25", body);
        assert_eq!(wide.unwrap(), r#"{"query": "kale", "limit": 50, "offset": 0}"#);
        assert_eq!(searches.unwrap().page(&list("/results")).unwrap().range(), 10..15);
    }

    #[test]
    fn pages_of_one_search_have_one_fingerprint_and_other_searches_others() {
        let print = |body: &str| {
            let (searches, _) = read(&route(Wire::Json, 15), "/search", body.as_bytes());
            searches.unwrap().pages().next().unwrap().fingerprint
        };
        let one = print(r#"{"query":"kale","limit":5}"#);
        assert_eq!(one, print(r#"{"query":"kale","limit":10}"#));
        assert_ne!(one, print(r#"{"query":"milk","limit":5}"#));
        assert_ne!(one, print(r#"{"query":"kale","limit":5,"filters":{"dietary":["vegan"]}}"#));
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
