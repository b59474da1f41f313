//! Why a hit stands where it stands.
//!
//! In: a request, the ranking that came of it, an old position. Out: the score taken apart into named
//! parts that add up to it, and the one reason that a shopper is told. The parts come from the numbers the
//! order was made by; the facet term, kept as one number an axis, is divided among the facets in
//! proportion to what each put in.
//!
//! Runs off the request's path, after the ranking; looks names up through closures, as profiles keep
//! none. A part whose name is not known is passed over for the next strongest, never guessed.

use std::cmp::Ordering;
use std::sync::Arc;

use super::merchandise::boosts_of;
use super::score::{marked_on, said_on};
use super::{Hold, RankRequest, Ranking, trees, window};
use crate::model::trees::{About, Feature};
use crate::preferences::taste::Taste;
use crate::types::ids::ProductKey;
use crate::types::product::{Axis, FacetKey, ProductFacts};
use crate::types::profile::{Mark, Profile};
use crate::types::reason::{Reason, ReasonKind};

/// Remembered products looked through for the one that a taste comes from.
const PICKED_LOOKUPS_MAX: usize = 64;

/// Parts weaker than this explain nothing.
const PART_MIN: f32 = 1.0e-4;

/// Parts closer than this say as much.
const PART_SAME: f32 = 1.0e-3;

/// A named part of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The upstream's opinion.
    Relevance,
    /// History with this very product.
    Item,
    /// Habit with this brand among the hits of the list.
    BrandHabit(FacetKey),
    /// Taste for one facet.
    Facet(FacetKey),
    /// Distance from the usual price.
    Price,
    /// What the trees make of one feature.
    Tree(Feature),
    /// How it does with everybody.
    Prior,
    /// Taste for what everybody likes.
    Popular,
    /// Time and place.
    Context,
    /// A boost or burial by the rule at this index.
    Rule(u32),
}

/// How much of a score one part is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Which part.
    pub part: Part,
    /// Its share; all shares of a hit add up to its score (within rounding, 1e-6).
    pub value: f32,
}

/// Names for keys; `None` where the catalogue has forgotten.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// A facet's value as it is shown.
    pub facet: &'a dyn Fn(FacetKey) -> Option<Arc<str>>,
    /// What the catalogue knows of a product.
    pub product: &'a dyn Fn(ProductKey) -> Option<Arc<ProductFacts>>,
}

/// Takes the score of the hit at an old position apart; empty outside the window. Parts that are 0
/// are left out.
pub fn explain(request: &RankRequest<'_>, ranking: &Ranking, position: usize) -> Vec<Contribution> {
    let (Some(hit), Some(terms)) =
        (window::of(request).get(position), ranking.scores.get(position))
    else {
        return Vec::new();
    };
    let taste = taste(request);
    let mut parts = Vec::new();
    let mut add = |part, value: f32| {
        if value != 0.0 {
            parts.push(Contribution { part, value });
        }
    };
    add(Part::Relevance, terms.relevance);
    add(Part::Item, terms.item);
    if let Some(brand) = hit.facts.on_axis(Axis::Brand).next() {
        add(Part::BrandHabit(brand), terms.brand_habit);
    }
    for axis in Axis::ALL {
        let whole = terms.facets[axis.index()];
        if let Some(taste) = taste.as_ref().filter(|_| whole != 0.0) {
            let marked = marked_on(taste.profile, hit.facts, axis);
            let counts = |facet: FacetKey| marked.is_none() || taste.profile.mark(facet) == marked;
            let said = said_on(request, taste, hit.facts, axis).into_iter();
            let said = said.filter(|(facet, _)| counts(*facet));
            let even =
                |(facet, value)| (Part::Facet(facet), if marked.is_some() { 1.0 } else { value });
            let parts: Vec<_> = said.map(even).collect();
            share(whole, &parts, &mut add);
        }
    }
    add(Part::Price, terms.price);
    let of_trees = taste.as_ref().and_then(|t| trees::parts(request, t, &ranking.scores, position));
    for (feature, value) in Feature::ALL.into_iter().zip(of_trees.into_iter().flatten()) {
        add(Part::Tree(feature), value);
    }
    add(Part::Prior, terms.prior);
    add(Part::Popular, terms.popular);
    add(Part::Context, terms.context);
    let boosts = boosts_of(request, taste.as_ref(), hit);
    let boosts: Vec<_> = boosts.map(|(rule, by)| (Part::Rule(rule), by)).collect();
    share(terms.merchandising, &boosts, &mut add);
    parts
}

/// Divides `whole` among parts in proportion to their values.
fn share(whole: f32, parts: &[(Part, f32)], add: &mut impl FnMut(Part, f32)) {
    let sum: f32 = parts.iter().map(|(_, value)| value).sum();
    for (part, value) in parts.iter().copied() {
        let of_whole = whole * (value / sum);
        add(part, if of_whole.is_finite() { of_whole } else { 0.0 });
    }
}

/// Why the hit moved: the largest of its own parts, where these moved it. `None` when nothing of its
/// own did: it gave way to others, or stands where the upstream put it. What holds it by rule comes
/// first.
pub fn reason(
    request: &RankRequest<'_>,
    ranking: &Ranking,
    position: usize,
    names: &Names<'_>,
) -> Option<Reason> {
    if let Some(reason) = held_reason(request, *ranking.holds.get(position)?) {
        return Some(reason);
    }
    let now_at = ranking.order.iter().position(|old| *old as usize == position)?;
    let sign = match now_at.cmp(&position) {
        Ordering::Greater => -1.0,
        Ordering::Less => 1.0,
        Ordering::Equal => return None,
    };
    let mut parts = explain(request, ranking, position);
    parts.retain(|c| c.part != Part::Relevance && c.value * sign > PART_MIN);
    parts.retain(|c| {
        !matches!(
            c.part, Part::Facet(facet) | Part::BrandHabit(facet) if is_everywhere(request, facet)
        )
    });
    let own: f32 = parts.iter().map(|c| c.value).sum();
    if !moved_by(own, ranking, position, now_at) {
        return None;
    }
    // Of parts that say as much the one that tells this hit from most others, then by name.
    parts.sort_by_cached_key(|c| {
        let weight = -((c.value.abs() / PART_SAME).round() as i32);
        match c.part {
            Part::Facet(facet) | Part::BrandHabit(facet) => {
                (weight, having(request, facet), (names.facet)(facet))
            }
            _ => (weight, 0, None),
        }
    });
    let key = request.candidates.get(position)?.facts.key;
    parts.into_iter().find_map(|c| reason_of(request, c, key, names))
}

/// Did the hit's own parts move it past some hit (or some hit past it)? They did where it would not
/// have come so without them, and where they are enough whatever speaks for or against the other.
/// Ties keep the upstream's order.
fn moved_by(own: f32, ranking: &Ranking, position: usize, now_at: usize) -> bool {
    let terms = |old: usize| ranking.scores.get(old).copied().unwrap_or_default();
    let with = terms(position).total();
    let mut others = ranking.order.iter().map(|old| *old as usize).enumerate();
    others.any(|(at, old)| {
        let (other, bare) = (terms(old).total(), terms(old).relevance);
        match own > 0.0 {
            true => at > now_at && old < position && (with - own <= other || with > bare),
            false => at < now_at && old > position && (with - own >= other || with < bare),
        }
    })
}

/// True for a facet of (nearly) every hit: it lifts all alike, so it moved none.
fn is_everywhere(request: &RankRequest<'_>, facet: FacetKey) -> bool {
    having(request, facet) * 10 >= window::of(request).len() * 9
}

/// Hits that have a facet.
fn having(request: &RankRequest<'_>, facet: FacetKey) -> usize {
    window::of(request).iter().filter(|hit| hit.facts.facets.contains(&facet)).count()
}

fn held_reason(request: &RankRequest<'_>, hold: Hold) -> Option<Reason> {
    let of_rule = |kind, index: u32| {
        let rule = request.rules.merchandising.get(index as usize);
        rule.map(|rule| Reason::of_rule(kind, &rule.id))
    };
    match hold {
        Hold::Sponsored => Some(Reason::of(ReasonKind::Sponsored)),
        Hold::OutOfStock => Some(Reason::of(ReasonKind::OutOfStock)),
        Hold::Pinned(index) => of_rule(ReasonKind::Pinned, index),
        Hold::Demoted(index) | Hold::Hidden(index) | Hold::Removed(index) => {
            of_rule(ReasonKind::PutLast, index)
        }
        Hold::Free | Hold::Tail | Hold::Unknown => None,
    }
}

fn reason_of(
    request: &RankRequest<'_>,
    contribution: Contribution,
    product: ProductKey,
    names: &Names<'_>,
) -> Option<Reason> {
    let liked = contribution.value > 0.0;
    let taste = taste(request);
    let kind = match contribution.part {
        // What a tree asks of the product's own history is said like that history; the rest of what it
        // asks (the list, other hits) is no reason that fits in a word.
        Part::Tree(feature) if feature.about() != About::Item => return None,
        Part::Item | Part::Tree(_) => {
            let memory = request.profile?.product(product)?;
            match (liked, memory.purchases > 0) {
                (true, true) => ReasonKind::BoughtBefore,
                (true, false) => ReasonKind::PickedBefore,
                (false, true) => ReasonKind::GivenBack,
                (false, false) => ReasonKind::PassedOver,
            }
        }
        Part::BrandHabit(facet) | Part::Facet(facet) => {
            let name = (names.facet)(facet)?;
            // Of a category path people say the last part.
            let name = name.rsplit('/').next().unwrap_or(&name);
            match request.profile?.mark(facet) {
                Some(Mark::Pinned) if liked => {
                    return Some(Reason::of_facet(ReasonKind::FacetPinned, name));
                }
                Some(Mark::Muted) if !liked => {
                    return Some(Reason::of_facet(ReasonKind::FacetMuted, name));
                }
                _ => {}
            }
            if !liked {
                let disliked = taste?.affinity(facet) < 0.0;
                let kind =
                    if disliked { ReasonKind::FacetPassedOver } else { ReasonKind::FacetUnusual };
                return Some(Reason::of_facet(kind, name));
            }
            let liked = Reason::of_facet(ReasonKind::FacetLiked, name);
            return Some(match picked_with(request.profile?, facet, product, names) {
                Some(from) => Reason {
                    kind: ReasonKind::FacetLike,
                    product: Some(from.name.as_ref().into()),
                    ..liked
                },
                None => liked,
            });
        }
        Part::Price => {
            let hit = request.candidates.iter().find(|c| c.facts.key == product)?;
            let price = hit.price.or(hit.facts.price);
            let (distance, _) = taste?.price_distance_ln(hit.facts.category, price)?;
            if distance > 0.0 { ReasonKind::Dearer } else { ReasonKind::Cheaper }
        }
        Part::Prior if liked => ReasonKind::OftenPicked,
        Part::Prior => ReasonKind::SeldomPicked,
        // A taste for what is rare has no word of its own.
        Part::Popular => return None,
        Part::Rule(index) => {
            let rule = request.rules.merchandising.get(index as usize)?;
            return Some(Reason::of_rule(ReasonKind::MovedByRule, &rule.id));
        }
        Part::Relevance | Part::Context => return None,
    };
    Some(Reason::of(kind))
}

/// The strongest remembered product, other than `product`, that has the facet.
fn picked_with(
    profile: &Profile,
    facet: FacetKey,
    product: ProductKey,
    names: &Names<'_>,
) -> Option<Arc<ProductFacts>> {
    let mut picked: Vec<_> = profile.products.iter().filter(|p| p.slow > 0.0).collect();
    picked.sort_by(|a, b| b.slow.total_cmp(&a.slow).then(b.bought_day.cmp(&a.bought_day)));
    let others = picked.into_iter().filter(|p| p.key != product).take(PICKED_LOOKUPS_MAX);
    others.filter_map(|p| (names.product)(p.key)).find(|facts| facts.facets.contains(&facet))
}

fn taste<'a>(request: &RankRequest<'a>) -> Option<Taste<'a>> {
    let profile = request.profile.filter(|profile| !profile.is_empty())?;
    Some(Taste::at(profile, request.rules, request.now))
}
