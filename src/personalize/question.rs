//! A search that is asked of us and not of the shop: `POST /api/search/personalized`.
//!
//! In: words, a shopper, what the caller knows of the moment. Out: the request for the shop, written
//! as the first route of JSON reads it; and from the shop's reply the hits in the shopper's order,
//! each with its reason and the quantity that is usual. What was viewed just now counts for this one
//! search and is not learned: the shop's own requests teach.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fail_open::FailOpen;
use super::ranked::Pass;
use super::{Personalizer, Search};
use crate::config::{Mode, PlaceOfNumber, Route, RouteKind, Segment, Source, Wire};
use crate::identity::Identity;
use crate::preferences::learn::{Caps, PRICES_MAX, apply};
use crate::rank::Muted;
use crate::rules::Rules;
use crate::rules::daypart::Daypart;
use crate::signals::ShownList;
use crate::types::budget::Budget;
use crate::types::ids::{ProductId, QueryId, Subject};
use crate::types::profile::Profile;
use crate::types::signal::{Signal, SignalKind};
use crate::wire::{HitView, Reply};

/// Products viewed just now that count, the last ones.
pub const VIEWS_MAX: usize = 20;

/// What somebody asks us.
#[derive(Clone, Debug)]
pub struct Question<'q> {
    /// Who asks.
    pub identity: &'q Identity,
    /// The words.
    pub query: &'q str,
    /// Hits wanted; `None` = as many as the shop gives.
    pub limit: Option<u32>,
    /// The part of the day, where the caller says one.
    pub daypart: Option<Daypart>,
    /// What was viewed just now, last first.
    pub views: &'q [ProductId],
    /// The language of reasons.
    pub language: &'q str,
}

/// What the caller says of the shopper's moment.
pub(super) struct Moment {
    /// The profile, with what was viewed just now.
    pub(super) profile: Option<Arc<Profile>>,
    pub(super) daypart: Option<Daypart>,
}

/// A question, written for the shop.
pub struct Written {
    /// The search, as the read path knows it.
    pub search: Search,
    /// The request.
    pub request: Request<Bytes>,
}

/// The shop's hits in the shopper's order.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Answer {
    /// This search's name.
    pub search: String,
    /// Did taste have a say?
    pub personalized: bool,
    /// Why not, then.
    pub bypass: Option<&'static str>,
    /// Version of the rules.
    pub rules: Arc<str>,
    /// The hits.
    pub results: Vec<Answered>,
    /// What the shopper will see, for the write path.
    #[serde(skip)]
    pub shown: Vec<ShownList>,
}

/// One hit of an answer.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Answered {
    /// 0-based.
    pub position: usize,
    /// 0-based, in the shop's order.
    pub was: usize,
    /// The product's key.
    pub product_id: String,
    /// The hit as the shop wrote it.
    #[schemars(with = "Value")]
    pub product: Box<RawValue>,
    /// What the order was made by.
    pub score: f32,
    /// Why it moved, if something of its own moved it.
    pub reason: Option<String>,
    /// Units that this shopper usually buys of it; `None` for what was never bought.
    pub suggested_quantity: Option<u8>,
}

impl Personalizer {
    /// Writes a question for the shop; `None` where no route of JSON can be asked.
    pub fn written(&self, question: &Question<'_>) -> Option<Written> {
        let routes = self.settings.routes.iter().zip(&self.plans);
        let (plan, request) = routes
            .into_iter()
            .find_map(|(route, plan)| Some((plan.clone()?, self.asked_on(route, question)?)))?;
        let shopper = question.identity.subject().as_ref().map(Subject::key);
        let number = self.searches.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let search = Search::asked(
            plan,
            shopper.filter(|_| !question.identity.opted_out),
            question.query,
            QueryId(xxh3_64_with_seed(&number.to_le_bytes(), self.life)),
        );
        Some(Written { search, request })
    }

    /// The best language of reasons for who sends this `Accept-Language`.
    pub fn language(&self, accept: &str) -> String {
        self.rules.load().knowledge.messages().language(accept).to_owned()
    }

    /// The request by which this route is asked.
    fn asked_on(&self, route: &Route, question: &Question<'_>) -> Option<Request<Bytes>> {
        let RouteKind::Search(search) = &route.kind else { return None };
        if search.wire != Wire::Json {
            return None;
        }
        let words = search.query.iter().find(|source| is_writable(source))?;
        let mut asks = Asks { path: path_of(&route.path.0)?, ..Asks::default() };
        asks.write(words, question.query.into());
        let people = &self.settings.identity;
        let user = question.identity.user.as_ref().map(|user| user.as_str());
        let session = question.identity.session.as_ref().map(|session| session.as_str());
        for (name, places) in [(user, &people.user), (session, &people.session)] {
            let place = places.iter().find(|source| is_writable(source));
            if let (Some(name), Some(place)) = (name, place) {
                asks.write(place, name.into());
            }
        }
        if let (Some(count), Some(at)) = (question.limit, &search.paging.limit) {
            let place = match at {
                PlaceOfNumber::Body(at) => Source::Body(at.clone()),
                PlaceOfNumber::Query(name) => Source::Query(name.clone()),
            };
            asks.write(&place, count.into());
        }
        let posts = !asks.body.is_empty();
        let method = route.method.clone();
        asks.request(method.unwrap_or(if posts { Method::POST } else { Method::GET }))
    }

    /// The hits of the shop's reply in the shopper's order, with their reasons.
    ///
    /// # Errors
    /// The reason for which the reply cannot be read or ranked.
    pub fn answer(
        &self,
        search: &Search,
        body: &[u8],
        question: &Question<'_>,
    ) -> Result<Answer, FailOpen> {
        let budget = Budget::start(self.clock.as_ref(), self.settings.limits.rank_us);
        let rules = self.rules.load();
        let reply = search.read(body, &self.store.hits)?;
        let mut answer = Answer {
            search: search.id.to_string(),
            personalized: false,
            bypass: None,
            rules: rules.version.clone(),
            results: Vec::new(),
            shown: Vec::new(),
        };
        let natural = match () {
            () if !self.is_on() || !rules.enabled => Some(FailOpen::SwitchedOff),
            () if search.mode == Mode::Off => Some(FailOpen::Off),
            () if question.identity.opted_out => Some(FailOpen::OptedOut),
            () if search.shopper.is_none() => Some(FailOpen::NoSubject),
            () => None,
        };
        if let Some(why) = natural {
            return answer.natural(&reply, why);
        }
        let profile = self.profile_with(search, question, &rules);
        let moment = Moment { profile, daypart: question.daypart };
        let pass = Pass {
            rules: &rules,
            budget: &budget,
            moment: Some(&moment),
            explain: Some(question.language),
        };
        let lists = match self.rank_lists(search, &reply, &pass) {
            Ok(lists) => lists,
            Err(why) => return answer.natural(&reply, why),
        };
        let one = lists.first().ok_or(FailOpen::Unmoved)?;
        self.keep_search(search, one.list, &one.facts);
        let allowed = self.allows(search);
        let usual = |was: usize| {
            let facts = one.facts.get(was).filter(|facts| allowed || !facts.sensitive)?;
            moment.profile.as_ref()?.product(facts.key)?.usual_quantity()
        };
        let kept = one.explained.len() - one.ranking.removed.len();
        let hits = one.explained.iter().take(kept).filter_map(|told| {
            let hit = one.list.hits.get(told.was)?;
            Some(Answered {
                position: told.is,
                score: told.score,
                reason: told.reason.clone(),
                suggested_quantity: usual(told.was),
                ..Answered::natural(told.was, hit)
            })
        });
        answer.results = hits.collect();
        answer.personalized = one.ranking.muted.is_none();
        answer.bypass = one.ranking.muted.map(Muted::name);
        let moved = one.movement();
        answer.shown = vec![one.shown(self, search, moved.keep == 0)];
        Ok(answer)
    }

    /// What is known of the shopper, with what was viewed just now.
    fn profile_with(
        &self,
        search: &Search,
        question: &Question<'_>,
        rules: &Rules,
    ) -> Option<Arc<Profile>> {
        let mut profile = search.shopper.and_then(|key| self.profile_of(key, rules));
        let store = &self.settings.store;
        let caps = Caps {
            products: store.products_per_profile_max,
            facets: store.facets_per_profile_max,
            prices: PRICES_MAX,
        };
        for viewed in question.views.iter().take(VIEWS_MAX).rev() {
            let facts = self.store.catalog.get(viewed.key());
            let kind = SignalKind::ViewDetails;
            let signal = Signal {
                kind,
                product: viewed.key(),
                at: self.clock.now(),
                times: 1.0,
                quantity: 1,
            };
            let profile = Arc::make_mut(profile.get_or_insert_default());
            apply(profile, &signal, facts.as_deref(), rules, caps);
        }
        profile
    }
}

impl Answer {
    /// The shop's hits in the shop's order, and why. A reply has one list that is its answer.
    fn natural(mut self, reply: &Reply<'_>, why: FailOpen) -> Result<Self, FailOpen> {
        let list = reply.lists.first().ok_or(FailOpen::Unmoved)?;
        self.bypass = Some(why.label());
        let hits = list.hits.iter().enumerate();
        self.results = hits.map(|(place, hit)| Answered::natural(place, hit)).collect();
        Ok(self)
    }
}

impl Answered {
    /// A hit where the shop put it.
    fn natural(place: usize, hit: &HitView<'_>) -> Self {
        // A hit of JSON is JSON: the decoder has read it to its end.
        let product = RawValue::from_string(hit.raw.to_owned()).unwrap_or_default();
        Self {
            position: place,
            was: place,
            product_id: hit.id.clone().into_owned(),
            product,
            score: 0.0,
            reason: None,
            suggested_quantity: None,
        }
    }
}

/// Can a word be written there? What a token or a tenant says is not ours to say.
fn is_writable(source: &Source) -> bool {
    matches!(source, Source::Body(_) | Source::Query(_) | Source::Header(_))
}

/// A path without variable parts.
fn path_of(segments: &[Segment]) -> Option<String> {
    let mut path = String::new();
    for segment in segments {
        let Segment::Literal(text) = segment else { return None };
        path.push('/');
        path.push_str(text);
    }
    Some(path)
}

/// A request while it is written.
#[derive(Default)]
struct Asks {
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(http::HeaderName, HeaderValue)>,
    body: Map<String, Value>,
}

impl Asks {
    fn write(&mut self, place: &Source, word: Value) {
        let text = |word: Value| match word {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match place {
            Source::Body(pointer) => set(&mut self.body, &pointer.0, word),
            Source::Query(name) => self.query.push((name.clone(), text(word))),
            Source::Header(name) => {
                let value = HeaderValue::from_str(&text(word));
                self.headers.extend(value.ok().map(|value| (name.clone(), value)));
            }
            Source::Cookie(_) | Source::Path(_) | Source::Jwt(_) => {}
            Source::Baggage(_) | Source::Tenant => {}
        }
    }

    fn request(self, method: Method) -> Option<Request<Bytes>> {
        let mut target = self.path;
        if !self.query.is_empty() {
            let pairs =
                form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
            target = format!("{target}?{pairs}");
        }
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request = request.header(header::ACCEPT, "application/json");
        let mut body = Bytes::new();
        if !self.body.is_empty() {
            body = Value::Object(self.body).to_string().into();
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_LENGTH, body.len());
        }
        request.body(body).ok()
    }
}

/// Sets a member, making the objects on the way to it.
fn set(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => _ = object.insert(last.clone(), value),
        [first, rest @ ..] => {
            let inner = object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pointer;

    #[test]
    fn a_question_is_written_where_the_route_reads_it() {
        let mut asks = Asks { path: "/search".into(), ..Asks::default() };
        let pointer = |text| Source::Body(Pointer::parse(text).unwrap());
        asks.write(&pointer("/query"), "oat milk".into());
        asks.write(&pointer("/who/id"), "ada".into());
        asks.write(&pointer("/who/visit"), "v1".into());
        asks.write(&Source::Query("q".into()), "a&b c".into());
        asks.write(&Source::Query("n".into()), 5.into());
        asks.write(&Source::Header(http::HeaderName::from_static("x-user-id")), "ada".into());
        asks.write(&Source::Header(http::HeaderName::from_static("x-bad")), "a\nb".into());
        let request = asks.request(Method::POST).unwrap();
        assert_eq!(request.uri(), "/search?q=a%26b+c&n=5");
        assert_eq!(request.headers()["x-user-id"], "ada");
        assert!(!request.headers().contains_key("x-bad"), "no header can hold it");
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"query": "oat milk", "who": {"id": "ada", "visit": "v1"}})
        );
        assert_eq!(request.headers()["content-length"], request.body().len().to_string());
    }

    #[test]
    fn a_path_with_variable_parts_cannot_be_asked() {
        let literal = |text: &str| Segment::Literal(text.to_owned());
        assert_eq!(path_of(&[literal("api"), literal("search")]).as_deref(), Some("/api/search"));
        assert_eq!(path_of(&[literal("api"), Segment::Named("shop".into())]), None);
    }
}
