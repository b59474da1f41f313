//! Acts as rows of the event log.
//!
//! In: an act that was learned, with what it said. Out: its row; none where nobody keeps a log, and
//! none of what tells of religion, health or intimacy unless its shopper allowed that. Whoever may not
//! be learned from has no act that was learned, and so no row.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Observer, weight_of};
use crate::identity::Identity;
use crate::rules::Rules;
use crate::signals::{Derived, Source};
use crate::spool::Spool;
use crate::types::event::column::{Micros, RawJson};
use crate::types::event::{Action, Body, Names, Row};
use crate::types::ids::SubjectKey;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::signal::Signal;

/// How rows name their shopper, and the route that the act came by.
pub(super) type Named = (Names, Option<Box<str>>);

impl Observer {
    /// Writes acts down, too, from now on.
    pub fn with_log(self, log: Option<Arc<Spool>>) -> Self {
        if let Some(log) = log.clone() {
            self.store.on_forget(move |key| log.erase(key));
        }
        Self { log, ..self }
    }

    /// How rows of this request name their shopper; `None` where none are written.
    pub(super) fn named(&self, identity: &Identity, route: Option<&str>) -> Option<Named> {
        self.log.as_ref()?;
        let names = Names::of(identity.user.as_ref(), identity.session.as_ref())?;
        Some((names, route.map(Box::from)))
    }

    /// The row of an act, without names.
    pub(super) fn row(
        &self,
        shopper: SubjectKey,
        (interaction, derived): (&Interaction, &Derived),
        source: Source,
        rules: &Rules,
    ) -> Option<Action> {
        let log = self.log.as_ref()?;
        let key = interaction.product.key();
        let facts = self.store.catalog.get(key);
        let is_sensitive = facts.as_ref().is_some_and(|facts| facts.sensitive);
        if is_sensitive && !self.store.consents.of(shopper).sensitive {
            return None;
        }
        let own = || derived.signals.iter().filter(|signal| signal.product == key);
        let name = |facet| self.store.catalog.name(facet);
        let category = facts.as_ref().and_then(|facts| name(facts.category?));
        let others = facts.as_ref().map(|facts| {
            let others = facts.facets.iter().filter(|facet| Some(**facet) != facts.category);
            let named = others.filter_map(|facet| Some((facet.axis().name(), name(*facet)?)));
            named.map(|(axis, value)| format!("{axis}:{value}")).collect::<Vec<_>>()
        });
        Some(Action {
            event_id: log.id(),
            event_timestamp: Micros(interaction.at.0.saturating_mul(1_000)),
            event_type: interaction.kind.name().to_owned(),
            user_id: String::new(),
            session_id: String::new(),
            product_id: Some(interaction.product.as_str().to_owned()),
            product_category: category.map(|name| name.to_string()),
            product_attributes: others.filter(|all| !all.is_empty()).map(|all| RawJson::of(&all)),
            interaction_strength: Some(
                own().map(|signal| f64::from(weight_of(signal, rules))).sum(),
            ),
            interaction_context: Some(context(interaction, (own(), rules), derived, source)),
            search_query: None,
            search_results_shown: None,
            result_position: derived.joined.and_then(|joined| i64::try_from(joined.position).ok()),
            raw_event_data: None,
        })
    }

    /// Offers rows of one shopper to the log.
    pub(super) fn offer(
        &self,
        shopper: SubjectKey,
        names: Option<Named>,
        rows: Vec<Option<Action>>,
    ) {
        let (Some(log), Some((names, route))) = (&self.log, names) else { return };
        for row in rows.into_iter().flatten() {
            let row = by_route(named(row, &names), route.as_deref());
            log.offer(about(shopper, row));
        }
    }
}

/// What is known of how it happened.
fn context<'a>(
    interaction: &Interaction,
    (own, rules): (impl Iterator<Item = &'a Signal>, &Rules),
    derived: &Derived,
    source: Source,
) -> RawJson {
    let source = match source {
        Source::Traffic => "traffic",
        Source::Track => "track",
    };
    let mut context = Map::new();
    context.insert("source".into(), source.into());
    context.insert("quantity".into(), json!(interaction.quantity));
    if let InteractionKind::Dwell { seconds } = interaction.kind {
        context.insert("seconds".into(), json!(seconds));
    }
    let signals =
        own.map(|signal| (signal.kind.path().to_owned(), json!(weight_of(signal, rules))));
    context.insert("signals".into(), Value::Object(signals.collect()));
    if let Some(joined) = derived.joined {
        context.insert("query_id".into(), joined.list.to_string().into());
    }
    if let Some(id) = &interaction.event_id {
        context.insert("client_event_id".into(), (**id).into());
    }
    RawJson::of(&context)
}

fn by_route(mut row: Action, route: Option<&str>) -> Action {
    let context = row.interaction_context.as_ref().zip(route);
    let context = context.and_then(|(context, route)| {
        let mut context: Map<String, Value> = serde_json::from_str(&context.0).ok()?;
        context.insert("route".into(), route.into());
        Some(RawJson::of(&context))
    });
    row.interaction_context = context.or(row.interaction_context);
    row
}

/// A row with names.
pub(super) fn named(row: Action, names: &Names) -> Action {
    let Names { user_id, session_id } = names.clone();
    Action { user_id, session_id, ..row }
}

/// A row for the log.
pub(super) fn about(shopper: SubjectKey, row: Action) -> Row {
    Row { subject: shopper, body: Body::Action(Box::new(row)) }
}
