//! What one search route finds in one reply.
//!
//! In: the route's map and conditions, and a body. Out: [`Found`]: lists, each mapped field with its
//! fill rate and an example, conditions with their outcome, and for what missed the pointer and
//! where it stopped. All of it is read by the data port's own reader; only the misses are explained
//! by `trace`.

use std::borrow::Cow;

use serde::Serialize;

use super::trace::{self, Stop, follow, largest_list, shown, stop};
use crate::config::{Condition, Expected, HitMap, Pointer, SearchRoute, Wire};
use crate::wire::weaviate::graphql::GraphqlPlan;
use crate::wire::{DecodeLimits, Doubt, HitPlan, HitView, Json, Kind};

/// What one route found.
#[derive(Serialize)]
pub(super) struct Found {
    /// Arrays of hits.
    pub(super) lists: Vec<List>,
    /// Hits in all of them.
    pub(super) hits: usize,
    /// There is a list in which every hit has an id.
    pub(super) usable: bool,
    /// Why the reply would pass unranked, if so.
    pub(super) reason: Option<&'static str>,
    /// The same as a sentence.
    pub(super) because: Option<String>,
    /// Mapped fields.
    pub(super) fields: Vec<Field>,
    /// Conditions.
    pub(super) conditions: Vec<Held>,
    /// What missed, and where it stopped.
    pub(super) missed: Vec<Missed>,
}

/// An array of hits.
#[derive(Serialize)]
pub(super) struct List {
    /// Where.
    pub(super) at: String,
    /// How many.
    pub(super) hits: usize,
}

/// A mapped field.
#[derive(Serialize)]
pub(super) struct Field {
    /// Its name in the settings.
    pub(super) field: &'static str,
    /// Where it should be, from the hit on.
    pub(super) pointer: String,
    /// Hits that have it.
    pub(super) filled: usize,
    /// Of so many.
    pub(super) of: usize,
    /// As we read it.
    pub(super) example: Option<String>,
}

/// A condition and its outcome.
#[derive(Serialize)]
pub(super) struct Held {
    /// Where.
    pub(super) at: String,
    /// What must be there.
    pub(super) is: serde_json::Value,
    /// What is there, as written; nothing when nothing is.
    pub(super) found: Option<String>,
    /// Whether it holds.
    pub(super) holds: bool,
}

/// Something that was not where the map says.
#[derive(Serialize)]
pub(super) struct Missed {
    /// A field's name, or `hits`.
    pub(super) what: &'static str,
    /// In the first place where it missed.
    #[serde(flatten)]
    pub(super) stop: Stop,
}

/// What `search` finds in a body.
pub(super) fn look(search: &SearchRoute, body: &[u8], json: Json<'_>) -> Found {
    let limits = DecodeLimits::default();
    let doubt = match search.wire {
        Wire::Graphql => {
            GraphqlPlan::new(&search.hits, &search.only_if).decode(body, &limits).err()
        }
        Wire::Json | Wire::Grpc | Wire::Rest => {
            HitPlan::new(&search.hits, &search.only_if).decode(body, &limits).err()
        }
    };
    let usable = HitPlan::new(&search.hits, &[]).decode(body, &limits).is_ok();
    let mut missed = Vec::new();
    let mut hits = Vec::new();
    let mut lists = Vec::new();
    let trace = follow("", json, &search.hits.at, "hits");
    let mut stops = trace.stops;
    for (at, value) in trace.found {
        if value.kind() == Kind::Array {
            let elements = value.elements();
            lists.push(List { at: at.clone(), hits: elements.len() });
            let within = elements.into_iter().enumerate();
            hits.extend(within.map(|(position, hit)| (format!("{at}/{position}"), hit)));
        } else {
            let is = trace::name(value.kind());
            stops.push(stop(at, format!("{is} is there, not an array of hits")));
        }
    }
    if hits.is_empty() {
        missed.extend(no_hits(stops, &lists, json));
    }
    let plan = HitPlan::new(&search.hits, &[]);
    let fields = fields(&search.hits, &plan, &hits, &mut missed);
    Found {
        lists,
        hits: hits.len(),
        usable,
        reason: doubt.map(Doubt::name),
        because: doubt.map(|doubt| doubt.to_string()),
        fields,
        conditions: conditions(search, json),
        missed,
    }
}

/// Why there are no hits, and where there might be some.
fn no_hits(mut stops: Vec<Stop>, lists: &[List], json: Json<'_>) -> Option<Missed> {
    if let Some(list) = lists.first() {
        stops.insert(0, stop(list.at.clone(), "the array is empty"));
    }
    let mut stop = stops.into_iter().next()?;
    if let Some((at, length)) = largest_list(json) {
        stop.because = format!("{}; an array of {length} objects is at \"{at}\"", stop.because);
    }
    Some(Missed { what: "hits", stop })
}

fn fields(
    map: &HitMap,
    plan: &HitPlan,
    hits: &[(String, Json<'_>)],
    missed: &mut Vec<Missed>,
) -> Vec<Field> {
    let views: Vec<_> = hits.iter().map(|(_, hit)| plan.read(*hit)).collect();
    let mut fields = Vec::new();
    for (field, pointer) in mapped(map) {
        let mut filled = 0;
        let mut example = None;
        let mut miss = None;
        for (view, (at, hit)) in views.iter().zip(hits) {
            let read = view.as_ref().ok().and_then(|view| as_read(field, view, pointer));
            if let Some(read) = read {
                filled += 1;
                example.get_or_insert(read);
            } else if miss.is_none() {
                miss = Some(why_missed(at, *hit, pointer, field, view.as_ref().err()));
            }
        }
        missed.extend(miss.map(|stop| Missed { what: field, stop }));
        let pointer = pointer.to_string();
        fields.push(Field { field, pointer, filled, of: hits.len(), example });
    }
    fields
}

/// The fields that the map names, by their names in the settings.
fn mapped(map: &HitMap) -> impl Iterator<Item = (&'static str, &Pointer)> {
    let optional = [
        ("name", &map.name),
        ("category", &map.category),
        ("brand", &map.brand),
        ("attributes", &map.attributes),
        ("terms", &map.terms),
        ("price", &map.price),
        ("score", &map.score),
        ("stock", &map.stock),
        ("sponsored", &map.sponsored),
    ];
    let optional = optional.into_iter().filter_map(|(field, at)| Some((field, at.as_ref()?)));
    std::iter::once(("id", &map.id)).chain(optional)
}

/// A field as the data port reads it.
fn as_read(field: &str, hit: &HitView<'_>, pointer: &Pointer) -> Option<String> {
    let text = |text: &str| shown(text);
    let texts = |all: &[Cow<'_, str>]| (!all.is_empty()).then(|| shown(&all.join(", ")));
    match field {
        "id" => (!hit.id.is_empty()).then(|| text(&hit.id)),
        "name" => hit.words().name.as_deref().map(text),
        "category" => hit.words().category.as_deref().map(text),
        "brand" => hit.words().brand.as_deref().map(text),
        "attributes" => texts(&hit.words().attributes),
        "terms" => texts(&hit.words().terms),
        "price" => hit.price.map(|price| price.to_string()),
        "score" => hit.score.map(|score| score.to_string()),
        "stock" => hit.in_stock.map(|in_stock| in_stock.to_string()),
        _ => {
            let there = !follow("", hit.json(), pointer, field).found.is_empty();
            there.then(|| hit.sponsored.to_string())
        }
    }
}

fn why_missed(
    at: &str,
    hit: Json<'_>,
    pointer: &Pointer,
    field: &str,
    doubt: Option<&Doubt>,
) -> Stop {
    let trace = follow(at, hit, pointer, field);
    if let Some(doubt) = doubt {
        return stop(format!("{at}{pointer}"), doubt.to_string());
    }
    let unread = trace.found.first().map(|(at, value)| {
        let because = match (value.kind(), field) {
            (Kind::Null, _) => "it is null".to_owned(),
            (Kind::Array, _) if value.elements().is_empty() => "the array is empty".to_owned(),
            (Kind::Text, "id" | "name" | "brand") => "the text is empty".to_owned(),
            (_, "price" | "score") => format!("no number: {}", shown(value.raw())),
            (_, "stock") => format!("neither true, false nor a number: {}", shown(value.raw())),
            (kind, _) => format!("{} is there, and no text", trace::name(kind)),
        };
        stop(at.clone(), because)
    });
    let nothing = || stop(format!("{at}{pointer}"), "nothing is there");
    unread.or_else(|| trace.stops.into_iter().next()).unwrap_or_else(nothing)
}

fn conditions(search: &SearchRoute, json: Json<'_>) -> Vec<Held> {
    let one = |condition: &Condition| {
        let values = json.all(&condition.at);
        let values = values.as_deref().unwrap_or_default();
        let holds = if values.is_empty() {
            condition.is.holds(None)
        } else {
            values.iter().all(|value| condition.is.holds(Some(*value)))
        };
        let there =
            values.iter().find(|value| !condition.is.holds(Some(**value))).or(values.first());
        Held {
            at: condition.at.to_string(),
            is: match &condition.is {
                Expected::Null => serde_json::Value::Null,
                Expected::Value(value) => value.clone(),
            },
            found: there.map(|value| shown(value.raw())),
            holds,
        }
    };
    // what the wire itself asks for
    let errors = Condition { at: Pointer(vec!["errors".to_owned()]), is: Expected::Null };
    let whole = search.wire == Wire::Graphql && json.kind() == Kind::Object;
    search.only_if.iter().chain(whole.then_some(&errors)).map(one).collect()
}
