//! What a request of an event route says: who did what with which product.
//!
//! In: a request as the routes read it, and for product pages the reply. Out: interactions, and
//! facts about products that the catalogue does not know yet. A request that names no product, or
//! whose kind is unknown, teaches nothing and is counted. Or: whom the shop was made to forget.

use std::borrow::Cow;
use std::sync::Arc;

use super::crowd::Actor;
use super::recorded::Named;
use super::{Clicks, Observer};
use crate::config::source::{Ask, first};
use crate::config::{EventRoute, Source as Place};
use crate::identity::Identity;
use crate::route::Matched;
use crate::signals::Source;
use crate::types::ids::{ProductId, Subject, UserId};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::wire::{HitMap, HitPlan, HitView, Json, Pointer, Words};

/// Lines of one order that are learned from.
const LINES_MAX: usize = 500;
/// Most units one line may speak of.
const QUANTITY_MAX: f32 = 10_000.0;

/// What a route is good for here.
#[derive(Clone)]
pub(super) enum Plan {
    /// Its requests say what the shopper did.
    Learn(Arc<EventPlan>),
    /// By it the shop forgets a shopper: where the user is named.
    Forget(Vec<Place>),
}

/// An event route, ready to be used.
pub(super) struct EventPlan {
    route: EventRoute,
    facts: Vec<Described>,
    page: Option<Described>,
    clicks: Clicks,
}

/// Where a product is described, and how.
struct Described {
    at: Pointer,
    plan: HitPlan,
}

/// What one request says, to be done when the shop has taken it.
pub struct Event {
    actor: Actor,
    /// What is to be learned; `None`: the shopper is to be forgotten.
    lesson: Option<(Arc<EventPlan>, Vec<Interaction>)>,
    /// How rows name the shopper and the route; `None`: none are written.
    names: Option<Named>,
}

impl EventPlan {
    pub(super) fn new(route: &EventRoute, clicks: Clicks) -> Self {
        let facts = route.facts.iter().chain(&route.facts_or);
        Self {
            facts: facts.map(Described::new).collect(),
            page: route.reply_facts.as_ref().map(Described::new),
            route: route.clone(),
            clicks,
        }
    }

    fn kind(&self, ask: &Ask<'_>) -> Option<InteractionKind> {
        let word = |word: &str| {
            let ours = self.route.kinds.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            ours.map(|(_, kind)| *kind).or_else(|| InteractionKind::parse(word))
        };
        let kind = match self.route.kind {
            Some(kind) => kind,
            None => first(&self.route.kind_from, ask, word)?,
        };
        Some(match kind {
            InteractionKind::Dwell { .. } => {
                InteractionKind::Dwell { seconds: number(&self.route.seconds, ask).unwrap_or(0.0) }
            }
            kind => kind,
        })
    }
}

impl Described {
    fn new(map: &HitMap) -> Self {
        Self { at: map.at.clone(), plan: HitPlan::new(map, &[]) }
    }

    fn read<'a>(&self, body: Json<'a>) -> Option<HitView<'a>> {
        let value = body.get(&self.at).ok().flatten()?;
        self.plan.read(value).ok()
    }
}

impl Event {
    /// True when the reply describes the product.
    pub fn reads_reply(&self) -> bool {
        self.lesson.as_ref().is_some_and(|(plan, _)| plan.page.is_some())
    }
}

impl Observer {
    /// Reads a request of an event route. `None` when it teaches nothing.
    pub fn prepare(
        &self,
        matched: &Matched<'_>,
        ask: &Ask<'_>,
        identity: &Identity,
    ) -> Option<Event> {
        let plan = match self.plans.get(matched.index)?.clone()? {
            Plan::Learn(plan) => plan,
            Plan::Forget(places) => return self.forgetting(&places, ask, identity),
        };
        if identity.opted_out {
            self.dropped("opted_out", 1);
            return None;
        }
        let Some(subject) = identity.subject() else {
            self.dropped("no_subject", 1);
            return None;
        };
        if let Some(silent) = identity.voice.silent {
            self.dropped(silent.label(), 1);
            return None;
        }
        let Some(kind) = plan.kind(ask) else {
            self.dropped("unknown_kind", 1);
            return None;
        };
        let interactions = match &plan.route.each {
            None => Vec::from_iter(self.read(&plan, kind, ask)),
            Some(at) => {
                let lines = Json::parse(ask.body).and_then(|body| body.all(at)).unwrap_or_default();
                let lines = lines.into_iter().take(LINES_MAX);
                let line = |line: Json<'_>| {
                    self.read(&plan, kind, &Ask { body: line.raw().as_bytes(), ..*ask })
                };
                lines.filter_map(line).collect()
            }
        };
        if interactions.is_empty() {
            self.dropped("no_product", 1);
            return None;
        }
        let actor = Actor { shopper: subject.key(), voice: identity.voice };
        let names = self.named(identity, Some(&matched.route.name));
        Some(Event { actor, lesson: Some((plan, interactions)), names })
    }

    /// Whom the request makes the shop forget.
    fn forgetting(&self, places: &[Place], ask: &Ask<'_>, identity: &Identity) -> Option<Event> {
        let user =
            first(
                places,
                ask,
                |word| {
                    if self.means_nobody(word) { None } else { UserId::parse(word) }
                },
            );
        let subject = user.map(Subject::User).or_else(|| identity.subject())?;
        let actor = Actor { shopper: subject.key(), voice: identity.voice };
        Some(Event { actor, lesson: None, names: None })
    }

    /// Learns what the shop has taken, or forgets whom it has forgotten; `page` is the reply's body, if it was kept.
    pub fn learn(&self, event: Event, page: Option<&[u8]>) {
        let Event { actor, lesson, names } = event;
        let Some((plan, mut interactions)) = lesson else { return self.forget(actor.shopper) };
        if let (Some(described), Some(page), Some(interaction)) =
            (&plan.page, page, interactions.first_mut())
        {
            self.describe_page(described, page, &mut interaction.product);
        }
        self.by_cart(&plan, actor, &mut interactions);
        let (_, rows) = self.absorb(actor, &interactions, Source::Traffic, &plan.clicks);
        self.offer(actor.shopper, names, rows);
    }

    fn read(&self, plan: &EventPlan, kind: InteractionKind, ask: &Ask<'_>) -> Option<Interaction> {
        let product = first(&plan.route.product, ask, ProductId::parse)?;
        self.describe_new(plan, ask, &product);
        let kind = match kind {
            InteractionKind::Purchase { subscription: false } => InteractionKind::Purchase {
                subscription: first(&plan.route.subscription, ask, says_yes).unwrap_or(false),
            },
            kind => kind,
        };
        let quantity = match number(&plan.route.cart_quantity, ask) {
            Some(units) => units.clamp(0.0, QUANTITY_MAX),
            None => number(&plan.route.quantity, ask)
                .filter(|q| *q > 0.0 && *q <= QUANTITY_MAX)
                .unwrap_or(1.0),
        };
        Some(Interaction {
            kind,
            product,
            at: self.now(),
            quantity,
            event_id: first(&plan.route.event_id, ask, |id| Some(Box::from(id))),
        })
    }

    /// Cart calls are what they were by what is in the cart; a page that names the kind itself is
    /// believed.
    fn by_cart(&self, plan: &EventPlan, actor: Actor, interactions: &mut Vec<Interaction>) {
        let Some(kind) = plan.route.kind else { return };
        let sets = !plan.route.cart_quantity.is_empty();
        let visit = self.visit(actor.shopper);
        let cart = &mut visit.lock().cart;
        interactions.retain_mut(|act| {
            let (product, units, at) = (act.product.key(), act.quantity, act.at);
            match kind {
                InteractionKind::AddToCart | InteractionKind::QuantityIncrease if sets => {
                    let Some(kind) = cart.set(product, units, at) else { return false };
                    (act.kind, act.quantity) = (kind, units.max(1.0));
                }
                InteractionKind::AddToCart => act.kind = cart.add(product, units, at),
                InteractionKind::RemoveFromCart | InteractionKind::Purchase { .. } => {
                    cart.take_out(product);
                }
                _ => {}
            }
            true
        });
    }

    /// What a client says of a product counts only until the shop itself has described it.
    fn describe_new(&self, plan: &EventPlan, ask: &Ask<'_>, product: &ProductId) {
        if plan.facts.is_empty() || self.store.catalog.get(product.key()).is_some() {
            return;
        }
        let Ok(body) = Json::parse(ask.body) else { return };
        let rules = self.rules.load();
        let readings = plan.facts.iter().filter_map(|described| described.read(body));
        if let Some(mut hit) = readings.reduce(filled) {
            hit.id = Cow::Borrowed(product.as_str());
            self.store.catalog.describe(&hit, &rules.knowledge);
        }
    }

    /// Reads a product's page. Where it names the product by a key of its own, that one counts: lists
    /// know the product by it.
    fn describe_page(&self, described: &Described, page: &[u8], product: &mut ProductId) {
        let Ok(page) = Json::parse(page) else { return };
        if let Some(mut hit) = described.read(page) {
            if let Some(named) = ProductId::parse(&hit.id) {
                *product = named;
            }
            hit.id = Cow::Borrowed(product.as_str());
            self.store.catalog.describe(&hit, &self.rules.load().knowledge);
        }
    }
}

/// `one`, its gaps filled from `other`.
fn filled<'a>(one: HitView<'a>, other: HitView<'a>) -> HitView<'a> {
    let said = |text: &Cow<'_, str>| !text.trim().is_empty();
    let (read, others) = (one.read, other.read);
    let read = Words {
        name: read.name.filter(said).or(others.name),
        category: read.category.filter(said).or(others.category),
        brand: read.brand.filter(said).or(others.brand),
        attributes: if read.attributes.is_empty() { others.attributes } else { read.attributes },
        terms: if read.terms.is_empty() { others.terms } else { read.terms },
    };
    HitView { read, price: one.price.or(other.price), ..one }
}

fn says_yes(word: &str) -> Option<bool> {
    Some(!["false", "no", "0", "null", ""].iter().any(|no| no.eq_ignore_ascii_case(word.trim())))
}

fn number(places: &[Place], ask: &Ask<'_>) -> Option<f32> {
    first(places, ask, |word| word.parse::<f32>().ok().filter(|n| n.is_finite()))
}
