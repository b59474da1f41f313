//! `POST /api/interactions/track`: one interaction in the plan's shape.
//!
//! ```json
//! {"type": "click", "user_id": "u1", "product_id": "sku1",
//!  "context": {"search_query": "milk", "position": 3, "time_on_page": 45}}
//! ```
//! Also read: `session_id`, `event_id`, `quantity`, `timestamp` (seconds, milliseconds or RFC 3339).
//! A `time_on_page` beside another type counts as dwell time too. The answer is 202 once the
//! interaction is in the profile; it is in the next ranking.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::Api;
use super::error::ApiError;
use crate::identity::Identity;
use crate::trust::Spoken;
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductId, SessionId, UserId};
use crate::types::interaction::{Interaction, InteractionKind};

/// Events further in the future than this are taken as now: clocks of browsers are wrong.
const FUTURE_MS_MAX: i64 = 60_000;
/// Most units one interaction may speak of.
const QUANTITY_MAX: f32 = 10_000.0;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    product_id: Option<String>,
    event_id: Option<String>,
    quantity: Option<f32>,
    timestamp: Option<Time>,
    #[serde(default)]
    context: Context,
}

#[derive(Default, Deserialize)]
struct Context {
    time_on_page: Option<f32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Number(f64),
    Text(jiff::Timestamp),
}

#[derive(Serialize)]
pub(super) struct Accepted {
    accepted: bool,
    /// Interactions learned from; 0 when all were doubles.
    learned: usize,
}

pub(super) async fn track(
    State(api): State<Api>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Accepted>), ApiError> {
    let event: Event = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request("malformed_event", error.to_string()))?;
    let identity = identity(&api, &event, &headers, &spoken)?;
    if identity.subject().is_none() {
        return Err(ApiError::bad_request(
            "no_subject",
            "expected user_id or session_id, 1 to 256 bytes without control characters",
        ));
    }
    let interactions = read(&event, api.clock.now())?;
    let learned = api.observer.interactions(&identity, interactions);
    Ok((StatusCode::ACCEPTED, Json(Accepted { accepted: true, learned })))
}

/// Whom the event teaches. A user who is only claimed is nobody: the visit is taught alone.
fn identity(
    api: &Api,
    event: &Event,
    headers: &HeaderMap,
    spoken: &Spoken,
) -> Result<Identity, ApiError> {
    let somebody = |word: &&str| !api.observer.means_nobody(word);
    let named = Identity {
        user: event.user_id.as_deref().filter(somebody).and_then(UserId::parse),
        session: event.session_id.as_deref().filter(somebody).and_then(SessionId::parse),
        opted_out: headers.get("sec-gpc").is_some_and(|value| value == "1"),
        voice: api.observer.voice(
            headers,
            None,
            spoken.names_somebody() || api.border.is_api_client(headers),
        ),
    };
    let named = named.vouched(spoken.user.as_ref(), spoken.session.as_ref());
    let speaks = |user: &UserId| api.border.speaks_for(user, headers, spoken);
    match &named.user {
        Some(user) if !speaks(user) && named.session.is_none() => Err(ApiError::only_claimed()),
        Some(user) if !speaks(user) => Ok(Identity { user: None, ..named }),
        _ => Ok(named),
    }
}

fn read(event: &Event, now: Timestamp) -> Result<Vec<Interaction>, ApiError> {
    let kind = event.kind.as_deref().unwrap_or_default();
    let kind = InteractionKind::parse(kind).ok_or_else(|| unknown_kind(kind))?;
    let product = event.product_id.as_deref().and_then(ProductId::parse).ok_or_else(|| {
        ApiError::bad_request(
            "bad_product_id",
            "expected product_id of 1 to 256 bytes without control characters",
        )
    })?;
    let quantity = event.quantity.unwrap_or(1.0);
    if !(quantity > 0.0 && quantity <= QUANTITY_MAX) {
        return Err(ApiError::bad_request(
            "bad_quantity",
            format!("quantity {quantity}: expected a number above 0 and up to {QUANTITY_MAX}"),
        ));
    }
    let at = match &event.timestamp {
        None => now,
        Some(Time::Text(time)) => Timestamp(time.as_millisecond()),
        // Milliseconds have been above this since 1973, seconds will be in 5138.
        Some(Time::Number(number)) if *number > 1e11 => Timestamp(*number as i64),
        Some(Time::Number(number)) => Timestamp((*number * 1000.0) as i64),
    };
    let at = if at.0 > now.0 + FUTURE_MS_MAX { now } else { at };
    let event_id = event.event_id.as_deref().map(Box::from);
    let interaction = |kind| Interaction {
        kind,
        product: product.clone(),
        at,
        quantity,
        event_id: event_id.clone(),
    };
    let dwell = event.context.time_on_page.map(|seconds| InteractionKind::Dwell { seconds });
    Ok(match (kind, dwell) {
        (InteractionKind::Dwell { .. }, Some(dwell)) => vec![interaction(dwell)],
        (kind, dwell) => std::iter::once(kind).chain(dwell).map(interaction).collect(),
    })
}

fn unknown_kind(found: &str) -> ApiError {
    let names = InteractionKind::NAMES.iter().map(|(name, _)| *name);
    let near = names
        .clone()
        .map(|name| (strsim::damerau_levenshtein(name, found), name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = near.map(|(_, name)| format!(" (did you mean {name:?}?)")).unwrap_or_default();
    let names: Vec<_> = names.collect();
    ApiError::bad_request(
        "unknown_type",
        format!("type {found:?}: expected one of {}{hint}", names.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Interaction>, ApiError> {
        read(&serde_json::from_str(text).unwrap(), Timestamp(1_000_000))
    }

    #[test]
    fn the_plans_example_is_a_click_and_its_dwell_time() {
        let got = parse(
            r#"{"type":"click","user_id":"u","product_id":"sku",
                "context":{"search_query":"milk","position":3,"time_on_page":45}}"#,
        )
        .unwrap();
        let kinds: Vec<_> = got.iter().map(|i| i.kind).collect();
        assert_eq!(kinds, [InteractionKind::Click, InteractionKind::Dwell { seconds: 45.0 }]);
        assert_eq!(got[0].at, Timestamp(1_000_000));
    }

    #[test]
    fn a_misspelt_type_gets_the_right_one_suggested() {
        let error = parse(r#"{"type":"add_to_carT2","product_id":"x"}"#).unwrap_err();
        assert_eq!(error.code, "unknown_type");
        assert!(error.message.contains("did you mean \"add_to_cart\"?"), "{}", error.message);
    }

    #[test]
    fn a_time_far_in_the_future_is_taken_as_now() {
        let got = parse(r#"{"type":"click","product_id":"x","timestamp":99999999999}"#).unwrap();
        assert_eq!(got[0].at, Timestamp(1_000_000));
        let got = parse(r#"{"type":"click","product_id":"x","timestamp":"1970-01-01T00:00:05Z"}"#);
        assert_eq!(got.unwrap()[0].at, Timestamp(5_000));
    }
}
