//! `GET /api/live?user_id=`: a WebSocket that tells what is learned of one user, as it happens.
//!
//! Out: first `{"type":"preferences", …}`, then a `{"type":"learned", …}` for each interaction that
//! said something new, and a `{"type":"chosen", …}` for each word of the shopper's own on a facet, with
//! the preferences as they are then. Who may listen is who may ask. A ping
//! every [`PING`]; who has not answered for [`SILENCE_MAX`], or does not keep up, is let go with code
//! 1013, and counted. What a listener sends is not read.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Api;
use super::error::ApiError;
use super::sent::Words;
use super::{shape, trouble};
use crate::openapi::Operation;
use crate::preferences::live::LivePreferences;
use crate::store::feeds::{Change, Listening};
use crate::trust::Spoken;
use crate::types::ids::{Subject, UserId};

/// How often a listener is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);
/// A listener that has said nothing for so long has left.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// A message that is not taken within this is a listener that does not read.
const SEND_MAX: Duration = Duration::from_secs(10);
/// Largest message that a listener may send, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// "Try again later" (RFC 6455's registry).
const TRY_AGAIN: u16 = 1013;
/// The process ends.
const GOING_AWAY: u16 = 1001;

/// Whom it is about.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Asked {
    /// A user, as the shop names them.
    #[schemars(with = "shape::NamedText")]
    user_id: Option<String>,
}

/// A message of the WebSocket's.
#[derive(JsonSchema, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(rename = "LiveMessage")]
enum Told<'a> {
    /// The first one: what is known.
    Preferences {
        /// As they are now.
        preferences: &'a LivePreferences,
    },
    /// An interaction said something new.
    Learned {
        /// When, in the event's own time; milliseconds since 1970.
        at_ms: i64,
        /// The product; `null` where two profiles became one.
        product_id: Option<&'a str>,
        /// What it was taken for.
        signals: Vec<Learned>,
        /// As they are now.
        preferences: &'a LivePreferences,
    },
    /// The user's own word on a facet.
    Chosen {
        /// When; milliseconds since 1970.
        at_ms: i64,
        /// The facet's axis.
        axis: &'static str,
        /// Its value.
        value: &'a str,
        /// `pin`, `mute`, `forget` or `clear`.
        action: &'static str,
        /// As they are now.
        preferences: &'a LivePreferences,
    },
}

/// One signal that was learned.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "LearnedSignal")]
struct Learned {
    /// Its key in `signal_weights` of the rules.
    signal: &'static str,
    /// What it added to the product and to each facet.
    weight: f32,
}

/// `GET /api/live`.
pub(super) fn described() -> Operation {
    let operation = Operation::new(
        "live",
        "preferences",
        "What is learned of a user, as it happens",
    )
    .about(
        "A WebSocket (RFC 6455) whose messages are `LiveMessage`s. A ping comes every 20 s; who \
             is silent for a minute, or too far behind, is closed with code 1013.",
    )
    .query::<Asked>()
    .needs(super::SPEAKS)
    .answers_nothing(101, "The WebSocket is open.")
    .also::<Told<'_>>();
    trouble::fails(
        operation,
        &[
            "no_user_id",
            "malformed_query",
            "user_only_claimed",
            "not_a_websocket",
            "too_many_listeners",
        ],
    )
}

pub(super) async fn live(
    State(api): State<Api>,
    Words(asked): Words<Asked>,
    Extension(spoken): Extension<Spoken>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let user = asked.user_id.as_deref().and_then(UserId::parse).ok_or_else(|| {
        ApiError::bad_request("no_user_id", "expected the query parameter user_id")
    })?;
    if !api.border.speaks_for(&user, &headers, &spoken) {
        return Err(ApiError::only_claimed());
    }
    let socket = socket.map_err(|_| ApiError {
        status: StatusCode::UPGRADE_REQUIRED,
        code: "not_a_websocket",
        message: "expected a WebSocket's handshake (RFC 6455) over HTTP/1.1".into(),
    })?;
    let subject = Subject::User(user);
    let listening = api.personalizer.follow_profile(subject.key()).ok_or_else(|| ApiError {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: "too_many_listeners",
        message: "as many listen as may (store.live_listeners_max); try again later".into(),
    })?;
    let socket = socket.max_message_size(MESSAGE_BYTES_MAX);
    Ok(socket.on_upgrade(move |socket| async move {
        let ending = Follower { api: &api, subject, socket }.follow(listening).await;
        if matches!(ending, Ending::Slow) {
            api.metrics.live_dropped.inc();
        }
    }))
}

/// Why a listener was let go.
enum Ending {
    Left,
    Slow,
}

struct Follower<'a> {
    api: &'a Api,
    subject: Subject,
    socket: WebSocket,
}

impl Follower<'_> {
    async fn follow(mut self, mut listening: Listening) -> Ending {
        let preferences = self.api.personalizer.live_preferences(&self.subject);
        if self.say(&Told::Preferences { preferences: &preferences }).await.is_err() {
            return Ending::Slow;
        }
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let sent = tokio::select! {
                change = listening.next() => match change {
                    Ok(change) => self.tell(&change).await,
                    Err(Some(_)) => return self.close(TRY_AGAIN, "too slow").await,
                    Err(None) => return self.close(GOING_AWAY, "ending").await,
                },
                said = self.socket.recv() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ending::Left,
                    Some(Ok(_)) => {
                        heard = Instant::now();
                        Ok(())
                    }
                },
                _ = pings.tick() => match heard.elapsed() > SILENCE_MAX {
                    true => return self.close(TRY_AGAIN, "silent").await,
                    false => self.send(Message::Ping(axum::body::Bytes::new())).await,
                },
            };
            if sent.is_err() {
                return Ending::Slow;
            }
        }
    }

    async fn tell(&mut self, change: &Arc<Change>) -> Result<(), ()> {
        let preferences = self.api.personalizer.live_preferences(&self.subject);
        if let Some(said) = &change.said {
            return self
                .say(&Told::Chosen {
                    at_ms: change.at.0,
                    axis: said.axis,
                    value: &said.value,
                    action: said.action,
                    preferences: &preferences,
                })
                .await;
        }
        let signals =
            change.signals.iter().map(|(signal, weight)| Learned { signal, weight: *weight });
        self.say(&Told::Learned {
            at_ms: change.at.0,
            product_id: change.product.as_deref(),
            signals: signals.collect(),
            preferences: &preferences,
        })
        .await
    }

    async fn say(&mut self, told: &Told<'_>) -> Result<(), ()> {
        let text = serde_json::to_string(told).map_err(drop)?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), ()> {
        match timeout(SEND_MAX, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(drop),
            Err(_) => Err(()),
        }
    }

    async fn close(mut self, code: u16, reason: &'static str) -> Ending {
        let frame = CloseFrame { code, reason: reason.into() };
        // One who does not read will not hear this either.
        let _ = self.send(Message::Close(Some(frame))).await;
        if code == GOING_AWAY { Ending::Left } else { Ending::Slow }
    }
}
