//! Two doors of one shop: searches in front of it, by shoppers, and behind it, at its Weaviate.
//!
//! In: a search's request at either door. Out: at the back, the identity of the shopper in front
//! where the request itself names nobody ([`Personalizer::join`]); at the front, a search that the
//! back can find ([`Personalizer::seat`]). One search counts once: where the front's list teaches, the
//! back's does not, and a list that rests on one that was moved behind it is not the upstream's own,
//! and not moved again.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use tokio::sync::mpsc;

use super::fail_open::FailOpen;
use super::ranked::seen;
use super::{Asked, Personalizer, Reranked, Search};
use crate::config::source::Ask;
use crate::config::{RouteKind, Settings, Wire};
use crate::identity::Identity;
use crate::route::Matched;
use crate::rules::Rules;
use crate::signals::ShownList;
use crate::store::joins::{Announced, Front, How, Joined, Joins, Told, Who, Words};
use crate::types::clock::Clock;
use crate::types::ids::TraceId;
use crate::wire::Reply;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a search has to do with one at the other door.
#[derive(Clone, Default)]
pub enum Role {
    /// Nothing that we know of.
    #[default]
    Alone,
    /// It is the one in front, and can be found until this is dropped.
    Front(Arc<Announced>),
    /// It is behind this one.
    Back(Arc<Joined>),
}

impl Role {
    /// A hit moved in its list.
    pub(super) fn moved(&self) {
        if let Self::Back(joined) = self {
            joined.mark_moved();
        }
    }

    /// Hits of a list that it rests on were moved behind it.
    pub(super) fn rests_on_moved(&self) -> bool {
        matches!(self, Self::Front(announced) if announced.was_moved())
    }

    /// Its list is the upstream's own, as far as we can know: what another process behind the shop
    /// does, we do not hear.
    pub(super) fn is_natural(&self) -> bool {
        match self {
            Self::Front(announced) => !announced.was_moved() && announced.is_told().is_none(),
            Self::Alone | Self::Back(_) => true,
        }
    }

    /// Its list teaches the shopper's profile at the other door.
    pub(super) fn taught_in_front(&self) -> bool {
        matches!(self, Self::Back(joined) if joined.learned)
    }
}

/// The searches in front, where there are routes behind or others to tell.
pub(super) fn joins(settings: &Settings, clock: &Arc<dyn Clock>) -> Option<Arc<Joins>> {
    let join = &settings.identity.join;
    let wires = settings.routes.iter().filter_map(|route| match &route.kind {
        RouteKind::Search(search) => Some(search.wire == Wire::Json),
        RouteKind::Event(_) | RouteKind::Forget(_) => None,
    });
    let (front, back): (Vec<bool>, Vec<bool>) = wires.partition(|front| *front);
    let tells = !front.is_empty() && !join.tell.is_empty();
    ((tells || !back.is_empty()) && join.entries_max > 0)
        .then(|| Arc::new(Joins::new(join, clock.clone())))
}

impl Personalizer {
    /// Will searches of this route be looked for behind the shop? Then they need a trace.
    pub fn is_sought(&self, matched: &Matched<'_>) -> bool {
        self.joins.is_some() && wire(matched) == Some(Wire::Json)
    }

    /// What sidecars behind the shop are to be told; once.
    pub fn to_tell(&self) -> Option<mpsc::Receiver<Told>> {
        self.joins.as_ref()?.to_tell()
    }

    /// Searches at a sidecar in front of the shop.
    pub fn hear(&self, told: &[Told]) {
        if let Some(joins) = &self.joins {
            told.iter().for_each(|told| joins.hear(told));
        }
    }

    /// Who asks behind the shop, and for which search in front. A request that names somebody itself
    /// is believed; that the shopper in front must not be learned from counts in any case.
    pub fn join(
        &self,
        matched: &Matched<'_>,
        ask: &Ask<'_>,
        asked: &Asked,
        identity: Identity,
    ) -> (Identity, Role) {
        let back = wire(matched).is_some_and(|wire| wire != Wire::Json);
        let Some(joins) = self.joins.as_ref().filter(|_| back && asked.barred.is_none()) else {
            return (identity, Role::Alone);
        };
        let words = asked.searches.as_ref().and_then(|searches| searches.only_query());
        let who = joins.who(trace(ask.headers), words.as_deref());
        let named = identity.subject().is_some() || identity.opted_out;
        if !named {
            self.metrics.joins.with_label_values(&[how(&who)]).inc();
        }
        match who {
            Who::Nobody => (identity, Role::Alone),
            Who::Ambiguous { .. } if named => (identity, Role::Alone),
            // Somebody else's, who happens to search for the same.
            Who::One(joined)
                if named
                    && joined.how == How::Query
                    && joined.identity.subject() != identity.subject() =>
            {
                (identity, Role::Alone)
            }
            Who::Ambiguous { opted_out } => (Identity { opted_out, ..identity }, Role::Alone),
            Who::One(joined) => {
                let opted_out = identity.opted_out || joined.identity.opted_out;
                let identity = if named { identity } else { joined.identity.clone() };
                (Identity { opted_out, ..identity }, Role::Back(Arc::new(joined)))
            }
        }
    }

    /// Gives a search its role; one in front can be found from here on.
    pub fn seat(
        &self,
        mut search: Search,
        role: Role,
        ask: &Ask<'_>,
        asked: (&Asked, &Identity),
    ) -> Search {
        search.role = match &self.joins {
            Some(joins) if search.wire() == Wire::Json => {
                let (asked, identity) = asked;
                let unread = asked.unread || asked.barred.is_some();
                // What could not be read may name another.
                let nobody = Identity { opted_out: identity.opted_out, ..Identity::default() };
                let announced = joins.announce(&Front {
                    trace: trace(ask.headers),
                    words: match &*search.query {
                        "" if unread => Words::Unknown,
                        "" => Words::None,
                        query => Words::Known(query),
                    },
                    identity: if unread { &nobody } else { identity },
                    learned: search.plan.learn,
                });
                if announced.is_told() == Some(false) {
                    self.metrics.joins_told.with_label_values(&["dropped"]).inc();
                }
                Role::Front(Arc::new(announced))
            }
            _ => role,
        };
        search
    }
}

impl Personalizer {
    /// A list that was moved behind the shop is not moved a second time: the same taste would count
    /// twice. The back saw more hits than the front shows, so its order stands.
    pub(super) fn left_as_moved(
        &self,
        search: &Search,
        reply: &Reply<'_>,
        rules: &Rules,
    ) -> Reranked {
        let facts: Vec<_> = reply.lists.iter().map(|list| self.facts_of(list, rules)).collect();
        let shown = facts.iter().map(|facts| {
            let keys = facts.iter().map(|facts| facts.key);
            ShownList::new(self.clock.now(), search.id, false, keys)
        });
        Reranked {
            recorded: None,
            body: None,
            unmoved: FailOpen::OtherLeg,
            moved: 0,
            spent_us: 0,
            rules: rules.version.clone(),
            query: search.id,
            shown: shown.collect(),
            seen: seen(facts.iter().flatten()),
            explained: Vec::new(),
        }
    }
}

fn wire(matched: &Matched<'_>) -> Option<Wire> {
    match &matched.route.kind {
        RouteKind::Search(search) => Some(search.wire),
        RouteKind::Event(_) | RouteKind::Forget(_) => None,
    }
}

/// The request's trace, if it names one and no other.
fn trace(headers: &HeaderMap) -> Option<TraceId> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let one = all.next().filter(|_| all.next().is_none())?;
    one.to_str().ok().and_then(TraceId::parse)
}

/// The label in `leafrank_joins_total{how}`.
fn how(who: &Who) -> &'static str {
    match who {
        Who::Nobody => "none",
        Who::Ambiguous { .. } => "ambiguous",
        Who::One(joined) if joined.identity.opted_out => "opted_out",
        Who::One(joined) if joined.identity.subject().is_none() => "anonymous",
        Who::One(joined) => match joined.how {
            How::Trace => "trace",
            How::Query => "query",
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::SettingsText;
    use crate::personalize::Treatment;
    use crate::reload::RulesTable;
    use crate::route;
    use crate::store::Store;
    use crate::telemetry::metrics::Metrics;
    use crate::types::clock::SystemClock;
    use crate::types::ids::UserId;

    fn personalizer(text: &str) -> (Personalizer, Arc<Settings>) {
        let environment = BTreeMap::new();
        let text = SettingsText { file: None, text, environment: &environment, flags: &[] };
        let settings = Arc::new(Settings::parse(&text).unwrap());
        let store = Arc::new(Store::new(&settings.store));
        let rules = RulesTable::fixed(Rules::shipped());
        let metrics = Arc::new(Metrics::new().unwrap());
        let clock = Arc::new(SystemClock::default());
        (Personalizer::new(settings.clone(), store, rules, metrics, clock), settings)
    }

    fn ann() -> Identity {
        Identity { user: UserId::parse("ann"), ..Identity::default() }
    }

    /// A search by `identity` as the pipeline prepares it.
    fn search(
        (personalizer, settings): &(Personalizer, Arc<Settings>),
        (path, body): (&str, &str),
        identity: Identity,
        mut asked: Asked,
    ) -> Search {
        let matched = route::classify(&settings.routes, &http::Method::POST, path).unwrap();
        let headers = HeaderMap::new();
        let ask = Ask {
            headers: &headers,
            query: "",
            named: &[],
            body: body.as_bytes(),
            tenant: None,
            claims: Default::default(),
        };
        personalizer.searches(&matched, path, &ask, &mut asked);
        let (identity, role) = personalizer.join(&matched, &ask, &asked, identity);
        let search = personalizer.prepare(&matched, &ask, &identity, &asked).unwrap();
        personalizer.seat(search, role, &ask, (&asked, &identity))
    }

    const BOTH: &str = "presets: [leafloaf, weaviate]\nmode: \"off\"";
    const FRONT: (&str, &str) = ("/api/v1/search", r#"{"query":"kale"}"#);
    const BACK: (&str, &str) =
        ("/v1/graphql", r#"{"query":"{Get{Product(limit:9,bm25:{query:\"kale\"}){sku}}}"}"#);
    const REPLY: &[u8] = br#"{"products":[{"sku":"a"},{"sku":"b"}],"order":null}"#;

    fn is_natural(personalizer: &Personalizer, search: &Search) -> bool {
        personalizer.look(search, REPLY).unwrap().shown[0].natural
    }

    #[test]
    fn a_list_that_was_moved_behind_the_shop_is_no_natural_one_and_teaches_once() {
        let both = personalizer(BOTH);
        let front = search(&both, FRONT, ann(), Asked::default());
        let back = search(&both, BACK, Identity::default(), Asked::default());
        assert_eq!(back.shopper, front.shopper);
        assert!(front.pupil().is_some() && back.pupil().is_none());
        assert!(is_natural(&both.0, &front));
        back.role.moved();
        assert!(front.rests_on_moved() && !is_natural(&both.0, &front));
        assert_eq!(both.0.rerank(&front, REPLY).unwrap().unmoved, FailOpen::OtherLeg);
    }

    #[test]
    fn a_search_that_names_another_has_nothing_to_do_with_one_of_the_same_words() {
        let both = personalizer(BOTH);
        let front = search(&both, FRONT, ann(), Asked::default());
        let bob = Identity { user: UserId::parse("bob"), ..Identity::default() };
        let other = search(&both, BACK, bob, Asked::default());
        other.role.moved();
        assert!(other.pupil().is_some() && !front.rests_on_moved());
        let own = search(&both, BACK, ann(), Asked::default());
        own.role.moved();
        assert!(own.pupil().is_none() && front.rests_on_moved());
    }

    #[test]
    fn a_list_of_which_another_process_was_told_may_be_moved_there() {
        let told = personalizer(
            "presets: [leafloaf]\nmode: \"off\"\n\
             identity: {join: {tell: [\"127.0.0.1:1\"], tell_token_file: token}}",
        );
        // Without a trace there is nothing to tell.
        assert!(is_natural(&told.0, &search(&told, FRONT, ann(), Asked::default())));
        let matched = route::classify(&told.1.routes, &http::Method::POST, FRONT.0).unwrap();
        let mut headers = HeaderMap::new();
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        headers.insert(TRACEPARENT, trace.parse().unwrap());
        let ask = Ask {
            headers: &headers,
            query: "",
            named: &[],
            body: FRONT.1.as_bytes(),
            tenant: None,
            claims: Default::default(),
        };
        let asked = Asked::default();
        let one = told.0.prepare(&matched, &ask, &ann(), &asked).unwrap();
        let one = told.0.seat(one, Role::Alone, &ask, (&asked, &ann()));
        assert!(!is_natural(&told.0, &one));
        let queued = told.0.to_tell().unwrap().try_recv().unwrap();
        assert_eq!((queued.trace.to_string().as_str(), queued.identity), (&trace[3..35], ann()));
    }

    #[test]
    fn a_search_in_front_that_could_not_be_read_may_be_any() {
        let both = personalizer(BOTH);
        let _front = search(&both, FRONT, ann(), Asked::default());
        let unread = Asked { unread: true, ..Asked::default() };
        let other = search(&both, ("/api/v1/search", ""), ann(), unread);
        let back = || search(&both, BACK, Identity::default(), Asked::default());
        assert_eq!(back().treatment(), Treatment::Look(FailOpen::NoSubject));
        drop(other);
        assert_eq!(back().shopper, None, "it may ask late");
    }

    #[test]
    fn nothing_is_joined_where_one_door_alone_is_ours() {
        for presets in ["presets: [leafloaf]", "presets: [demo]"] {
            assert!(personalizer(presets).0.joins.is_none());
        }
        assert!(personalizer("presets: [weaviate]").0.joins.is_some(), "it may be told");
    }
}
