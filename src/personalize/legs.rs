//! Two doors of one shop: searches in front of it, by shoppers, and behind it, at its Weaviate.
//!
//! In: a search's request at either door. Out: at the back, the identity of the shopper in front
//! where the request itself names nobody ([`Personalizer::join`]); at the front, a search that the
//! back can find ([`Personalizer::seat`]). One search counts once: where the front's list teaches, the
//! back's does not, and a list that rests on one that was moved behind it is not the upstream's own,
//! and not moved again.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::fail_open::FailOpen;
use super::ranked::seen;
use super::{Asked, Personalizer, Reranked, Search};
use crate::config::source::Ask;
use crate::config::{RouteKind, Settings, Wire};
use crate::identity::Identity;
use crate::route::Matched;
use crate::rules::Rules;
use crate::signals::ShownList;
use crate::store::joins::{Announced, Front, How, Joined, Joins, Who, Words};
use crate::types::clock::Clock;
use crate::types::ids::TraceId;
use crate::wire::Reply;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a search has to do with one at the other door.
#[derive(Clone, Default)]
pub enum Leg {
    /// Nothing that we know of.
    #[default]
    Alone,
    /// It is the one in front, and can be found until this is dropped.
    Front(Arc<Announced>),
    /// It is behind this one.
    Back(Arc<Joined>),
}

impl Leg {
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

    /// Its list teaches the shopper's profile at the other door.
    pub(super) fn taught_in_front(&self) -> bool {
        matches!(self, Self::Back(joined) if joined.learned)
    }
}

/// The searches in front, where both doors have routes.
pub(super) fn joins(settings: &Settings, clock: &Arc<dyn Clock>) -> Option<Arc<Joins>> {
    let join = &settings.identity.join;
    let wires = settings.routes.iter().filter_map(|route| match &route.kind {
        RouteKind::Search(search) => Some(search.wire == Wire::Json),
        RouteKind::Event(_) => None,
    });
    let (front, back): (Vec<bool>, Vec<bool>) = wires.partition(|front| *front);
    let both = !front.is_empty() && !back.is_empty();
    (both && join.entries_max > 0).then(|| Arc::new(Joins::new(join, clock.clone())))
}

impl Personalizer {
    /// Will searches of this route be looked for behind the shop? Then they need a trace.
    pub fn is_sought(&self, matched: &Matched<'_>) -> bool {
        self.joins.is_some() && wire(matched) == Some(Wire::Json)
    }

    /// Who asks behind the shop, and for which search in front. A request that names somebody itself
    /// is believed; that the shopper in front must not be learned from counts in any case.
    pub fn join(
        &self,
        matched: &Matched<'_>,
        ask: &Ask<'_>,
        asked: &Asked,
        identity: Identity,
    ) -> (Identity, Leg) {
        let back = wire(matched).is_some_and(|wire| wire != Wire::Json);
        let Some(joins) = self.joins.as_ref().filter(|_| back && asked.barred.is_none()) else {
            return (identity, Leg::Alone);
        };
        let words = asked.searches.as_ref().and_then(|searches| searches.only_query());
        let who = joins.who(trace(ask.headers), words.as_deref());
        let named = identity.subject().is_some() || identity.opted_out;
        if !named {
            self.metrics.joins.with_label_values(&[how(&who)]).inc();
        }
        match who {
            Who::Nobody => (identity, Leg::Alone),
            Who::Ambiguous { .. } if named => (identity, Leg::Alone),
            Who::Ambiguous { opted_out } => (Identity { opted_out, ..identity }, Leg::Alone),
            Who::One(joined) => {
                let opted_out = identity.opted_out || joined.identity.opted_out;
                let identity = if named { identity } else { joined.identity.clone() };
                (Identity { opted_out, ..identity }, Leg::Back(Arc::new(joined)))
            }
        }
    }

    /// Gives a search its leg; one in front can be found from here on.
    pub fn seat(
        &self,
        mut search: Search,
        leg: Leg,
        ask: &Ask<'_>,
        asked: (&Asked, &Identity),
    ) -> Search {
        search.leg = match &self.joins {
            Some(joins) if search.wire() == Wire::Json => {
                let (asked, identity) = asked;
                let unread = asked.unread || asked.barred.is_some();
                // What could not be read may name another.
                let nobody = Identity { opted_out: identity.opted_out, ..Identity::default() };
                Leg::Front(Arc::new(joins.announce(&Front {
                    trace: trace(ask.headers),
                    words: match &*search.query {
                        "" if unread => Words::Unknown,
                        "" => Words::None,
                        query => Words::Known(query),
                    },
                    identity: if unread { &nobody } else { identity },
                    learned: search.plan.learn,
                })))
            }
            _ => leg,
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
        RouteKind::Event(_) => None,
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
