//! Floor 3, pure: which request is what.
//!
//! In: method and path. Out: the first route of the settings that matches, with its named segments.
//! Compares percent-decoded segments; a path that does not decode to UTF-8 matches nothing.
//! Allocates only for named segments and encoded paths.

use http::Method;

use crate::config::source::percent_decode;
use crate::config::{PathPattern, Route, Segment};

/// A route and what its named segments held.
#[derive(Clone, Debug)]
pub struct Matched<'r> {
    /// The route.
    pub route: &'r Route,
    /// Position of the route in the settings.
    pub index: usize,
    /// (name, value) of each named segment.
    pub named: Vec<(&'r str, String)>,
}

impl Matched<'_> {
    /// What the segment called `name` held.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

/// The first route that fits. `O(routes)`.
pub fn classify<'r>(routes: &'r [Route], method: &Method, path: &str) -> Option<Matched<'r>> {
    routes.iter().enumerate().find_map(|(index, route)| {
        if route.method.as_ref().is_some_and(|wanted| wanted != method) {
            return None;
        }
        let named = match_path(&route.path, path)?;
        Some(Matched { route, index, named })
    })
}

/// The named segments, if `path` fits `pattern`.
pub fn match_path<'p>(pattern: &'p PathPattern, path: &str) -> Option<Vec<(&'p str, String)>> {
    let mut segments = path.strip_prefix('/')?.as_bytes().split(|byte| *byte == b'/');
    let mut named = Vec::new();
    for wanted in &pattern.0 {
        let found = segments.next()?;
        let is_plain = !found.contains(&b'%');
        if let (true, Segment::Literal(text)) = (is_plain, wanted) {
            // Nearly every segment: nothing to decode, nothing to keep.
            if text.as_bytes() != found {
                return None;
            }
            continue;
        }
        let found = percent_decode(std::str::from_utf8(found).ok()?)?;
        match wanted {
            Segment::Literal(text) if *text == found => {}
            Segment::Literal(_) => return None,
            Segment::Named(_) if found.is_empty() => return None,
            Segment::Named(name) => named.push((name.as_str(), found.into_owned())),
        }
    }
    segments.next().is_none().then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern(
            text.split('/')
                .skip(1)
                .map(|s| match s.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                    Some(name) => Segment::Named(name.into()),
                    None => Segment::Literal(s.into()),
                })
                .collect(),
        )
    }

    #[test]
    fn a_named_segment_holds_one_decoded_segment() {
        let p = pattern("/product/{sku}");
        assert_eq!(match_path(&p, "/product/a%20b"), Some(vec![("sku", "a b".to_owned())]));
        assert_eq!(match_path(&p, "/product/a/b"), None);
        assert_eq!(match_path(&p, "/product/"), None);
        assert_eq!(match_path(&p, "/product"), None);
        assert_eq!(match_path(&p, "/product/%ff"), None);
        assert_eq!(match_path(&p, "/product/%4"), None);
    }
}
