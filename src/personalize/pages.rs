//! Which page of a search a request of JSON asks for, and the request for the whole window.
//!
//! In: a route's places for a page's length and beginning, in the body or in the URL. Out: the page,
//! and what is to be written where so that the shop answers with the window that it is cut from.
//! Pages of one search share a fingerprint: everything in the request but these places. A page that
//! ends behind the window is nobody's part of it: it is asked for as it is.

use std::fmt::Write as _;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use super::searches::Page;
use crate::config::source::Ask;
use crate::config::{Paging, PlaceOfNumber, SearchRoute};
use crate::wire::{Doubt, Edit, Json, Kind, rewrite};

/// A request for a page, and how it becomes one for its window.
#[derive(Debug)]
pub(super) struct Paged {
    pub(super) page: Page,
    /// Numbers of the body and what they become; by place, the first first.
    body: Vec<(Range<usize>, u32)>,
    /// Parameters of the URL and what they become.
    query: Vec<(String, u32)>,
}

impl Paged {
    /// `None` where the page is not to be cut from a window.
    ///
    /// # Errors
    /// A body that cannot be read.
    pub(super) fn read(route: &SearchRoute, ask: &Ask<'_>) -> Result<Option<Self>, Doubt> {
        let Paging { limit, offset, page, page_first, page_size } = &route.paging;
        if route.window_size == 0 {
            return Ok(None);
        }
        let mut paged = Self { page: Page::default(), body: Vec::new(), query: Vec::new() };
        let named = paged.number(limit.as_ref(), ask, route.window_size)?;
        let count = match named {
            Some(count) => count,
            // the page's length could not be asked for
            None if *page_size == 0 || limit.is_none() => return Ok(None),
            None => *page_size,
        };
        let offset_at = paged.number(offset.as_ref(), ask, 0)?;
        let page_at = paged.number(page.as_ref(), ask, *page_first)?;
        let first = match (offset_at, page_at) {
            (Some(offset), _) => offset,
            (None, Some(page)) => page.saturating_sub(*page_first).saturating_mul(count),
            (None, None) => 0,
        };
        let turns = offset.is_some() || page.is_some();
        let window = if turns { whole_pages(count, route.window_size) } else { route.window_size };
        if count == 0 || count >= window || first.saturating_add(count) > window {
            return Ok(None);
        }
        if named.is_none() && !paged.ask_for(limit.as_ref(), window) {
            return Ok(None);
        }
        paged.widen_to(limit.as_ref(), window);
        paged.page = Page { first, count, window, fingerprint: paged.fingerprint(ask) };
        Ok(Some(paged))
    }

    /// The body that asks for the window.
    pub(super) fn body(&self, ask: &Ask<'_>) -> Result<Vec<u8>, Doubt> {
        let edit = |(span, number): &(Range<usize>, u32)| {
            let place = |at| u32::try_from(at).map_err(|_| Doubt::TooLarge);
            let span = place(span.start)?..place(span.end)?;
            Ok(Edit { span, with: number.to_string().into_bytes() })
        };
        let edits: Result<Vec<_>, Doubt> = self.body.iter().map(edit).collect();
        let edits = edits?;
        if edits.is_empty() {
            return Ok(ask.body.to_vec());
        }
        rewrite(ask.body, &[], &edits)
    }

    /// The URL's query that asks for the window; `None` where it stays.
    pub(super) fn query(&self, ask: &Ask<'_>) -> Option<String> {
        if self.query.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(ask.query.len() + 16);
        let mut waiting: Vec<_> = self.query.iter().collect();
        let mut push = |key: &str, value: Option<&str>| {
            out.push_str(if out.is_empty() { "" } else { "&" });
            out.push_str(key);
            let _ = value.map(|value| write!(out, "={value}"));
        };
        for pair in ask.query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').map_or((pair, None), |(k, v)| (k, Some(v)));
            match waiting.iter().position(|(name, _)| name == key) {
                Some(at) => push(key, Some(&waiting.remove(at).1.to_string())),
                None => push(key, value),
            }
        }
        for (key, number) in waiting {
            push(key, Some(&number.to_string()));
        }
        Some(out)
    }

    /// The number at a place, which is to become `wide`.
    fn number(
        &mut self,
        place: Option<&PlaceOfNumber>,
        ask: &Ask<'_>,
        wide: u32,
    ) -> Result<Option<u32>, Doubt> {
        match place {
            None => Ok(None),
            Some(PlaceOfNumber::Body(at)) => {
                if ask.body.is_empty() {
                    return Ok(None);
                }
                let found = Json::parse(ask.body)?.get(at)?;
                let Some(found) = found.filter(|found| found.kind() == Kind::Number) else {
                    return Ok(None);
                };
                let Ok(number) = found.raw().parse() else { return Ok(None) };
                self.body.push((found.span(), wide));
                self.body.sort_by_key(|(span, _)| span.start);
                Ok(Some(number))
            }
            Some(PlaceOfNumber::Query(name)) => {
                let mut pairs = ask.query.split('&').filter_map(|pair| pair.split_once('='));
                let found = pairs.find(|(key, _)| key == name).and_then(|(_, v)| v.parse().ok());
                if found.is_some() {
                    self.query.push((name.clone(), wide));
                }
                Ok(found)
            }
        }
    }

    /// Names a length that the request does not name; only a URL takes one more parameter.
    fn ask_for(&mut self, limit: Option<&PlaceOfNumber>, window: u32) -> bool {
        let Some(PlaceOfNumber::Query(name)) = limit else { return false };
        self.query.push((name.clone(), window));
        true
    }

    fn widen_to(&mut self, limit: Option<&PlaceOfNumber>, window: u32) {
        // the length was read first, with the window of the route
        match limit {
            Some(PlaceOfNumber::Query(name)) => {
                let of_limit = self.query.iter_mut().find(|(key, _)| key == name);
                of_limit.into_iter().for_each(|(_, wide)| *wide = window);
            }
            _ => {
                let most = self.body.iter_mut().max_by_key(|(_, wide)| *wide);
                most.into_iter().for_each(|(_, wide)| *wide = window);
            }
        }
    }

    fn fingerprint(&self, ask: &Ask<'_>) -> u64 {
        let mut fingerprint = Xxh3::new();
        for pair in ask.query.split('&') {
            let key = pair.split_once('=').map_or(pair, |(key, _)| key);
            if !self.query.iter().any(|(name, _)| name == key) {
                fingerprint.update(pair.as_bytes());
                fingerprint.update(b"&");
            }
        }
        let mut from = 0;
        for (span, _) in &self.body {
            fingerprint.update(ask.body.get(from..span.start).unwrap_or_default());
            from = span.end;
        }
        fingerprint.update(ask.body.get(from..).unwrap_or_default());
        fingerprint.digest()
    }
}

/// The window without the page that would end behind it.
fn whole_pages(count: u32, window: u32) -> u32 {
    window - window.checked_rem(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::config::Pointer;

    fn body(at: &str) -> Option<PlaceOfNumber> {
        Some(PlaceOfNumber::Body(Pointer::parse(at).unwrap()))
    }

    fn query(name: &str) -> Option<PlaceOfNumber> {
        Some(PlaceOfNumber::Query(name.to_owned()))
    }

    /// The page, and the body and query for its window.
    fn read(paging: Paging, text: &str, url: &str) -> Option<(Page, String, Option<String>)> {
        let route = SearchRoute { paging, ..SearchRoute::for_tests(30) };
        let headers = HeaderMap::new();
        let text = text.as_bytes();
        let (named, claims) = (&[], Default::default());
        let ask = Ask { headers: &headers, query: url, named, body: text, tenant: None, claims };
        let paged = Paged::read(&route, &ask).unwrap()?;
        let wide = String::from_utf8(paged.body(&ask).unwrap()).unwrap();
        Some((paged.page, wide, paged.query(&ask)))
    }

    #[test]
    fn a_page_by_offset_or_by_number_becomes_its_window() {
        let by_offset =
            || Paging { limit: body("/limit"), offset: body("/from"), ..Paging::default() };
        let (page, wide, _) =
            read(by_offset(), r#"{"from": 10, "q": "milk", "limit": 10}"#, "").unwrap();
        assert_eq!((page.range(), page.window), (10..20, 30));
        assert_eq!(wide, r#"{"from": 0, "q": "milk", "limit": 30}"#);
        let first = read(by_offset(), r#"{"q": "milk", "limit": 10}"#, "").unwrap().0;
        assert_eq!(first.range(), 0..10);

        let by_page =
            || Paging { limit: query("n"), page: query("p"), page_first: 1, ..Paging::default() };
        let (page, wide, url) = read(by_page(), "", "q=oat+milk&n=7&p=3&lang=en").unwrap();
        assert_eq!((page.range(), page.window), (14..21, 28));
        assert_eq!((&*wide, url.as_deref()), ("", Some("q=oat+milk&n=28&p=1&lang=en")));
    }

    #[test]
    fn a_length_that_the_url_does_not_name_is_the_shops_own() {
        let paging = || Paging {
            limit: query("n"),
            page: query("p"),
            page_first: 1,
            page_size: 10,
            ..Paging::default()
        };
        let (page, _, url) = read(paging(), "", "q=milk&p=2").unwrap();
        assert_eq!((page.range(), url.as_deref()), (10..20, Some("q=milk&p=1&n=30")));
        assert_eq!(read(Paging { page_size: 0, ..paging() }, "", "q=milk&p=2"), None);
    }

    #[test]
    fn pages_of_one_search_share_a_fingerprint_and_other_searches_have_another() {
        let print = |url: &str| {
            let paging = Paging { limit: query("n"), offset: query("o"), ..Paging::default() };
            read(paging, "", url).unwrap().0.fingerprint
        };
        assert_eq!(print("q=milk&n=5&o=5"), print("q=milk&o=10&n=5"));
        assert_ne!(print("q=milk&n=5&o=5"), print("q=milk&n=5&o=5&vegan=1"));
        assert_ne!(print("q=milk&n=5&o=5"), print("q=bread&n=5&o=5"));
    }

    #[test]
    fn what_ends_behind_the_window_is_asked_for_as_it_is() {
        for url in ["q=milk&n=10&o=25", "q=milk&n=10&o=30", "n=30", "n=0", "n=-1", "n=x", "o=5"] {
            let paging = Paging { limit: query("n"), offset: query("o"), ..Paging::default() };
            assert_eq!(read(paging, "", url), None, "{url}");
        }
    }
}
