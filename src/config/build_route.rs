//! Raw routes → [`Route`]s: the file's own first, then those of the presets.
//!
//! A preset's route gives way to a route of the same name in the file. Checked here: names and
//! paths that come twice, `search` beside `event`, a missing hits array or product key, `path:`
//! sources that the route's path does not name.

use super::build::each;
use super::raw::RawSettings;
use super::raw_route::{RawCondition, RawEvent, RawHitMap, RawPreset, RawRoute, RawSearch};
use super::words::{interaction, method, pointer, preset};
use super::{
    Condition, EventRoute, Expected, HitMap, Mode, Paging, PathPattern, PlaceOfNumber, Pointer,
    Route, RouteKind, SearchRoute, SortParameter, Source, Wire,
};
use crate::yaml::{self, Check, Fault, Path, Problems, tree};

/// All routes in the order in which they are tried.
pub(super) fn all(raw: &RawSettings, check: &mut Check<'_>) -> Vec<Route> {
    let mut routes = table(&raw.routes, raw.mode, check);
    let key = Path::of("presets");
    for (number, name) in raw.presets.iter().enumerate() {
        let key = key.item(number);
        let Some(preset) = check.take(&key, preset(name)) else { continue };
        if raw.presets.iter().take(number).any(|other| other == name) {
            check.fault(&key, Fault::new(format!("\"{name}\" a second time"), "each preset once"));
            continue;
        }
        for route in preset_routes(preset, raw.mode, check.problems) {
            if !routes.iter().any(|own| own.name == route.name) {
                routes.push(route);
            }
        }
    }
    routes
}

/// The routes of one preset.
pub(super) fn preset_routes(
    preset: &super::preset::Preset,
    mode: Mode,
    problems: &mut Problems,
) -> Vec<Route> {
    let tree = tree::parse(preset.file, preset.text, problems);
    let raw: RawPreset = yaml::read(&tree, &yaml::schema_of::<RawPreset>(), problems);
    table(&raw.routes, mode, &mut Check { tree: &tree, problems })
}

fn table(raw: &[RawRoute], mode: Mode, check: &mut Check<'_>) -> Vec<Route> {
    let key = Path::of("routes");
    let mut routes: Vec<Route> = Vec::new();
    let mut names = Vec::new();
    for (number, raw) in raw.iter().enumerate() {
        let key = key.item(number);
        if names.contains(&&raw.name) {
            let fault = Fault::new(format!("\"{}\" a second time", raw.name), "another name");
            check.fault(&key.key("name"), fault);
        }
        names.push(&raw.name);
        let Some(route) = route(raw, mode, &key, check) else { continue };
        let covers = |other: &&Route| {
            other.path == route.path && (other.method.is_none() || other.method == route.method)
        };
        if let Some(other) = routes.iter().find(covers) {
            let fault = Fault::new(
                format!("never reached: \"{}\" matches first", other.name),
                "another method or path",
            );
            check.fault(&key.key("path"), fault);
        }
        routes.push(route);
    }
    routes
}

fn route(raw: &RawRoute, mode: Mode, key: &Path, check: &mut Check<'_>) -> Option<Route> {
    let path = check.take(&key.key("path"), PathPattern::parse(&raw.path));
    let method = raw.method.as_deref().map(|text| check.take(&key.key("method"), method(text)));
    let mut at = At { path: path.as_ref(), key: key.clone(), check };
    let kind = match (&raw.search, &raw.event, &raw.forget) {
        (Some(search), None, None) => Some(at.below("search").search(search, mode)),
        (None, Some(event), None) => Some(at.below("event").event(event)),
        (None, None, Some(forget)) => {
            Some(RouteKind::Forget(at.below("forget").sources("user", &forget.user)))
        }
        (None, None, None) => {
            let fault = Fault::new("neither search nor event nor forget", "one of them");
            at.check.fault(key, fault);
            None
        }
        _ => {
            at.check.fault(key, Fault::new("several of search, event and forget", "one of them"));
            None
        }
    };
    let method = method.map_or(Some(None), |method| method.map(Some))?;
    let read = raw.read.unwrap_or_else(|| method.as_ref().is_some_and(http::Method::is_safe));
    for (name, is_set) in raw.search.iter().flat_map(|search| {
        [("window_size", search.window_size > 0), ("ask_also", !search.ask_also.is_empty())]
    }) {
        if is_set && !read {
            // where the reply cannot be cut to what was asked for, that is asked for a second time
            let found = format!("{name} on a route that may not be asked twice");
            check.fault(&key.key("search").key(name), Fault::new(found, "read: true"));
        }
    }
    Some(Route { name: raw.name.clone(), method, path: path?, kind: kind?, learn: raw.learn, read })
}

/// Where in a route we are.
struct At<'a, 'c, 't> {
    path: Option<&'a PathPattern>,
    key: Path,
    check: &'c mut Check<'t>,
}

impl<'a, 't> At<'a, '_, 't> {
    fn below(&mut self, key: &str) -> At<'a, '_, 't> {
        At { path: self.path, key: self.key.key(key), check: self.check }
    }

    fn fault(&mut self, key: &str, fault: Fault) {
        self.check.fault(&self.key.key(key), fault);
    }

    fn source(path: Option<&PathPattern>, text: &str) -> Result<Source, Fault> {
        let source = Source::parse(text)?;
        if let (Source::Path(name), Some(path)) = (&source, path) {
            let names: Vec<&str> = path.names().collect();
            if !names.contains(&name.as_str()) {
                let found = format!("path:{name}, which the route's path does not name");
                return Err(Fault::not_one_of(found, name, &names));
            }
        }
        Ok(source)
    }

    fn sources(&mut self, key: &str, texts: &[String]) -> Vec<Source> {
        let path = self.path;
        each(texts, &self.key.key(key), self.check, |text| Self::source(path, text))
    }

    fn pointer(&mut self, key: &str, text: Option<&String>) -> Option<Pointer> {
        text.and_then(|text| self.check.take(&self.key.key(key), pointer(text)))
    }

    /// Where a page's length and place are named.
    fn paging(&mut self, raw: &RawSearch) -> Paging {
        let places = [("limit", &raw.limit), ("offset", &raw.offset), ("page", &raw.page)];
        if raw.wire != Wire::Json {
            for (key, _) in places.into_iter().filter(|(_, place)| place.is_some()) {
                self.fault(key, Fault::new("found a place", "none: the wire has one of its own"));
            }
        } else if raw.window_size > 0 && raw.limit.is_none() {
            let fault =
                Fault::new("missing key beside window_size", "a JSON Pointer or query:NAME");
            self.fault("limit", fault.suggest("/limit".to_owned()));
        }
        if raw.offset.is_some() && raw.page.is_some() {
            self.fault("page", Fault::new("page beside offset", "one of them"));
        }
        let [limit, offset, page] = places.map(|(key, text)| {
            let text = text.as_deref()?;
            match text.strip_prefix("query:") {
                Some(name) if !name.is_empty() => Some(PlaceOfNumber::Query(name.to_owned())),
                _ => {
                    let at = pointer(text.strip_prefix("body:").unwrap_or(text));
                    self.check.take(&self.key.key(key), at).map(PlaceOfNumber::Body)
                }
            }
        });
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let (page_first, page_size) = (number(raw.page_first), number(raw.page_size));
        Paging { limit, offset, page, page_first, page_size }
    }

    fn search(&mut self, raw: &RawSearch, mode: Mode) -> RouteKind {
        let query = self.sources("query", &raw.query);
        let mut sort = Vec::new();
        for (number, parameter) in raw.sort.iter().enumerate() {
            let key = self.key.key("sort").item(number).key("from");
            let source = self.check.take(&key, Self::source(self.path, &parameter.from));
            sort.extend(
                source.map(|source| SortParameter { source, neutral: parameter.neutral.clone() }),
            );
        }
        let only_if = self.conditions(&raw.only_if);
        let is_name = |name: &&String| {
            let plain = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
            plain && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        };
        for (number, name) in raw.ask_also.iter().enumerate() {
            let key = self.key.key("ask_also").item(number);
            if raw.wire == Wire::Json {
                let fault = Fault::new("properties on a route of json", "none: its shop has none");
                self.check.fault(&key, fault);
            } else if !is_name(&name) {
                let fault = Fault::new(format!("found \"{name}\""), "a property's name");
                self.check.fault(&key, fault);
            }
        }
        let paging = self.paging(raw);
        let mut place = self.below("hits");
        let mut hits = place.hit_map(&raw.hits);
        if raw.wire == Wire::Json && raw.window_size > 0 && hits.at.is_plural() {
            place.fault("at", Fault::new("several lists beside window_size", "one list"));
        }
        if let (None, Some(at)) = (&raw.hits.at, raw.wire.lists()) {
            hits.at = pointer(at).unwrap_or_default();
        }
        let at = raw.hits.at.is_some() || raw.wire.lists().is_some();
        for (key, present) in [("at", at), ("id", raw.hits.id.is_some())] {
            if !present {
                place.fault(key, Fault::new("missing key", "a JSON Pointer"));
            }
        }
        RouteKind::Search(Box::new(SearchRoute {
            mode: raw.mode.unwrap_or(mode),
            wire: raw.wire,
            window_size: u32::try_from(raw.window_size).unwrap_or(u32::MAX),
            paging,
            ask_also: raw.ask_also.clone(),
            query,
            sort,
            upstream: raw.upstream,
            score_better: raw.score_better,
            hits,
            only_if,
        }))
    }

    fn conditions(&mut self, raw: &[RawCondition]) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (number, raw) in raw.iter().enumerate() {
            let key = self.key.key("only_if").item(number);
            let at = self.check.take(&key.key("at"), pointer(&raw.at));
            let is = match &raw.is {
                serde_json::Value::Null => Expected::Null,
                serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                    let fault = Fault::new("found a list or a map", "one value, or null");
                    self.check.fault(&key.key("is"), fault);
                    continue;
                }
                value => Expected::Value(value.clone()),
            };
            conditions.extend(at.map(|at| Condition { at, is }));
        }
        conditions
    }

    fn hit_map(&mut self, raw: &RawHitMap) -> HitMap {
        HitMap {
            at: self.pointer("at", raw.at.as_ref()).unwrap_or_default(),
            id: self.pointer("id", raw.id.as_ref()).unwrap_or_default(),
            id_or: self.pointer("id_or", raw.id_or.as_ref()),
            name: self.pointer("name", raw.name.as_ref()),
            category: self.pointer("category", raw.category.as_ref()),
            brand: self.pointer("brand", raw.brand.as_ref()),
            attributes: self.pointer("attributes", raw.attributes.as_ref()),
            terms: self.pointer("terms", raw.terms.as_ref()),
            price: self.pointer("price", raw.price.as_ref()),
            score: self.pointer("score", raw.score.as_ref()),
            stock: self.pointer("stock", raw.stock.as_ref()),
            sponsored: self.pointer("sponsored", raw.sponsored.as_ref()),
        }
    }

    /// A hit map of one product: `at` is put before each pointer, so that readers need not know it.
    fn facts(&mut self, key: &str, raw: Option<&RawHitMap>) -> Option<HitMap> {
        let raw = raw?;
        let mut place = self.below(key);
        if raw.id.is_some() && key != "reply_facts" {
            place.fault("id", Fault::new("found an id", "none: event.product names the product"));
        }
        let mut map = place.hit_map(raw);
        let base = std::mem::take(&mut map.at).0;
        if raw.id.is_some() {
            map.id.0.splice(0..0, base.iter().cloned());
        }
        let members = [
            &mut map.id_or,
            &mut map.name,
            &mut map.category,
            &mut map.brand,
            &mut map.attributes,
            &mut map.terms,
            &mut map.price,
            &mut map.score,
            &mut map.stock,
            &mut map.sponsored,
        ];
        for member in members.into_iter().flatten() {
            member.0.splice(0..0, base.iter().cloned());
        }
        Some(map)
    }

    fn event(&mut self, raw: &RawEvent) -> RouteKind {
        let key = self.key.key("kind");
        let kind = raw.kind.as_deref().and_then(|word| self.check.take(&key, interaction(word)));
        match (raw.kind.is_some(), raw.kind_from.is_empty()) {
            (true, false) => self.fault("kind_from", Fault::new("kind beside kind_from", "one")),
            (false, true) => self.fault("kind", Fault::new("missing key", "kind or kind_from")),
            _ => {}
        }
        if raw.product.is_empty() {
            self.fault("product", Fault::new("no source", "where the product key is"));
        }
        if raw.each.is_some() && raw.reply_facts.is_some() {
            let fault = Fault::new("reply_facts beside each", "facts of one product only");
            self.fault("reply_facts", fault);
        }
        let mut kinds = Vec::new();
        for (word, kind) in &raw.kinds {
            let key = self.key.key("kinds").key(word);
            let kind = self.check.take(&key, interaction(kind));
            kinds.extend(kind.map(|kind| (word.clone(), kind)));
        }
        RouteKind::Event(Box::new(EventRoute {
            kind,
            kind_from: self.sources("kind_from", &raw.kind_from),
            kinds,
            each: self.pointer("each", raw.each.as_ref()),
            product: self.sources("product", &raw.product),
            quantity: self.sources("quantity", &raw.quantity),
            cart_quantity: self.sources("cart_quantity", &raw.cart_quantity),
            subscription: self.sources("subscription", &raw.subscription),
            event_id: self.sources("event_id", &raw.event_id),
            seconds: self.sources("seconds", &raw.seconds),
            facts: self.facts("facts", raw.facts.as_ref()),
            facts_or: self.facts("facts_or", raw.facts_or.as_ref()),
            reply_facts: self.facts("reply_facts", raw.reply_facts.as_ref()),
        }))
    }
}
