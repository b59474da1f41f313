//! Floor 5: whose word counts, at every port.
//!
//! In: a request's head and the peer it came from. Out: what a trusted peer said ([`Spoken`]), and
//! whether somebody may see a user, teach in a user's name, or operate the sidecar. Untrusted
//! `X-Leafrank-*` headers are removed and counted here. Secrets are read by a thread of their own
//! (`key_ring`), never on a request's path.

mod bearer;
mod key_ring;
mod visit;

pub use bearer::Bearer;
pub use key_ring::{ADMIN_TOKEN_FILE, KeyRing, KeyRingError};

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use crate::config::Settings;
use crate::config::source::{Ask, Claims};
use crate::identity;
use crate::telemetry::metrics::Metrics;
use crate::trust::{self, Origin, Spoken, bearer};
use crate::types::clock::Clock;
use crate::types::ids::UserId;

/// Where a request on one of our own ports came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub Option<IpAddr>);

/// Decides whose word counts.
pub struct Border {
    settings: Arc<Settings>,
    ring: KeyRing,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl Border {
    /// Reads the secrets and keeps them fresh.
    ///
    /// # Errors
    /// A file of secrets that cannot be used.
    pub fn new(
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyRingError> {
        let ring = KeyRing::open(&settings.trust, &settings.identity, &settings.data_dir)?;
        if settings.identity.trust_claimed_ids {
            tracing::warn!(
                "identity.trust_claimed_ids: a user who is only claimed counts; whoever knows a \
                 user's name can teach and read their taste on our own paths"
            );
        }
        Ok(Self { settings, ring, metrics, clock })
    }

    /// Takes our headers off a request, and says what they said if the peer is trusted.
    pub fn hear(&self, head: &mut Parts, peer: Option<IpAddr>) -> Spoken {
        if !trust::speaks(&head.headers) {
            return Spoken::default();
        }
        let origin = Origin { method: &head.method, uri: &head.uri, peer, now: self.clock.now() };
        let keys = self.ring.keys();
        trust::hear(&self.settings.trust, &keys, &mut head.headers, &origin).unwrap_or_else(
            |strangers| {
                for header in strangers {
                    self.metrics.untrusted_headers.with_label_values(&[header]).inc();
                }
                Spoken::default()
            },
        )
    }

    /// Does the request carry a token that may ask about any user?
    pub fn is_api_client(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|token| self.ring.keys().api.hold(token))
    }

    /// May whoever sent this act as `user`, or see what is known of them?
    pub fn speaks_for(&self, user: &UserId, headers: &HeaderMap, spoken: &Spoken) -> bool {
        self.settings.identity.trust_claimed_ids
            || spoken.user.as_ref() == Some(user)
            || self.is_api_client(headers)
    }

    /// May whoever sent this see all that is known of `user`, erase it, and choose for them? Only by
    /// a word that is proven to be theirs, or as an operator.
    pub fn answers_for(&self, user: &UserId, headers: &HeaderMap, spoken: &Spoken) -> bool {
        spoken.user.as_ref() == Some(user) || self.is_operator(headers)
    }

    /// Does the request itself say that its shopper must not be learned from? What may be said in a
    /// body is not looked for.
    pub fn opts_out(&self, head: &Parts) -> bool {
        identity::opts_out(&self.settings.identity, &ask_of(head, Claims::Unchecked))
    }

    /// The user that a token proves, on our own paths. A cookie that a page of another site made a
    /// browser send is nobody's word.
    pub fn proven_user(&self, head: &Parts) -> Option<UserId> {
        let bearer = self.bearer(&head.headers);
        let own = !bearer.is_borrowed(&head.headers);
        let ask = ask_of(head, bearer.claims());
        own.then(|| identity::proven(&self.settings.identity, &ask).user).flatten()
    }

    /// Does the request carry an operator's token?
    pub fn is_operator(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|token| self.ring.keys().admin.hold(token))
    }
}

/// A request on one of our own ports, without its body.
fn ask_of<'a>(head: &'a Parts, claims: Claims<'a>) -> Ask<'a> {
    let query = head.uri.query().unwrap_or_default();
    Ask { headers: &head.headers, query, named: &[], body: b"", tenant: None, claims }
}

/// Is this request made on purpose, and not by a page in somebody's browser? The host must be an
/// address or `localhost`, so that a name that was rebound to us does not pass, and a page's origin
/// must be ourselves.
pub fn is_deliberate(head: &Parts) -> bool {
    let host = head
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| head.headers.get(header::HOST).and_then(|value| value.to_str().ok()));
    let Some(host) = host else { return false };
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_named_by_number =
        bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok();
    let origin = head.headers.get(header::ORIGIN);
    is_named_by_number
        && origin.is_none_or(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| origin.eq_ignore_ascii_case(&format!("http://{host}")))
        })
}

/// Says that an error is ours, so that nobody blames the wrong box.
pub fn name_us(headers: &mut HeaderMap, reason: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("error; reason={reason}")) {
        headers.insert(X_LEAFRANK, value);
    }
}

/// The same for an error on one of our own ports that no endpoint has named: one that the router
/// or an extractor answered.
pub fn sign(status: StatusCode, headers: &mut HeaderMap) {
    if !(status.is_client_error() || status.is_server_error()) || headers.contains_key(X_LEAFRANK) {
        return;
    }
    let reason = match status {
        StatusCode::NOT_FOUND => "no_such_path",
        StatusCode::METHOD_NOT_ALLOWED => "method",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::SERVICE_UNAVAILABLE => "not_ready",
        _ => "malformed_request",
    };
    name_us(headers, reason);
}

const X_LEAFRANK: HeaderName = HeaderName::from_static("x-leafrank");

#[cfg(test)]
mod tests {
    use super::*;

    fn head(host: &str, origin: Option<&str>) -> Parts {
        let mut request = http::Request::builder().uri("/rules").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_rebound_name_and_a_foreign_page_are_turned_away() {
        for (host, origin, deliberate) in [
            ("127.0.0.1:9901", None, true),
            ("localhost:9901", Some("http://localhost:9901"), true),
            ("[::1]:9901", None, true),
            ("LOCALHOST", None, true),
            ("10.0.0.4:9901", None, true),
            ("evil.example:9901", None, false),
            ("127.0.0.1.evil.example", None, false),
            ("127.0.0.1:9901", Some("http://evil.example"), false),
            ("127.0.0.1:9901", Some("http://127.0.0.1:3000"), false),
            ("127.0.0.1:9901", Some("null"), false),
            ("", None, false),
        ] {
            assert_eq!(is_deliberate(&head(host, origin)), deliberate, "{host} {origin:?}");
        }
    }
}
