//! Floor 3, pure: who asks.
//!
//! In: one request and the settings' order of places. Out: user, session, consent. Nobody named is
//! not an error: such a request passes untouched and teaches nothing. LeafLoaf's rule is the
//! default: `X-User-ID` unless absent or `anonymous`, else the body's `user_id`; the body's
//! `session_id` before `X-Session-ID`.

use http::HeaderName;

use crate::config::Identity as Settings;
use crate::config::source::{Ask, first};
use crate::types::ids::{SessionId, Subject, UserId};
use crate::types::voice::Voice;

/// Who asks, and whether they may be learned from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The user, if one is named.
    pub user: Option<UserId>,
    /// The visit, if one is named.
    pub session: Option<SessionId>,
    /// `Sec-GPC: 1`: proxied, not learned, nothing stored.
    pub opted_out: bool,
    /// How far what the request says may teach.
    pub voice: Voice,
}

impl Identity {
    /// Whom the request teaches and whose taste ranks it.
    pub fn subject(&self) -> Option<Subject> {
        match (&self.user, &self.session) {
            (Some(user), _) => Some(Subject::User(user.clone())),
            (None, Some(session)) => Some(Subject::Session(session.clone())),
            (None, None) => None,
        }
    }

    /// The same, where a trusted peer vouches for a user or a visit; where it says nothing, the
    /// request's own words stay.
    pub fn vouched(self, user: Option<&UserId>, session: Option<&SessionId>) -> Self {
        Self {
            user: user.cloned().or(self.user),
            session: session.cloned().or(self.session),
            ..self
        }
    }
}

/// Global Privacy Control.
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");

/// Reads a request's identity. `O(sources)`, plus one look into the body for each that needs it.
pub fn resolve(settings: &Settings, ask: &Ask<'_>) -> Identity {
    let opted_out = ask.headers.get(SEC_GPC).is_some_and(|value| value == "1");
    if settings.trusted_only {
        return Identity { opted_out, ..Identity::default() };
    }
    let named = |word: &str| !settings.anonymous.iter().any(|a| a.eq_ignore_ascii_case(word));
    Identity {
        user: first(&settings.user, ask, |word| named(word).then(|| UserId::parse(word)).flatten()),
        session: first(&settings.session, ask, |word| {
            named(word).then(|| SessionId::parse(word)).flatten()
        }),
        opted_out,
        voice: Voice::default(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::config::{Join, Pointer, Source};

    fn resolve_with(headers: &[(&'static str, &'static str)], body: &str) -> Identity {
        let settings = Settings {
            user: vec![
                Source::Header(HeaderName::from_static("x-user-id")),
                Source::Body(Pointer(vec!["user_id".into()])),
            ],
            session: vec![
                Source::Body(Pointer(vec!["session_id".into()])),
                Source::Header(HeaderName::from_static("x-session-id")),
            ],
            anonymous: vec!["anonymous".into()],
            trusted_only: false,
            trust_claimed_ids: false,
            join: Join::default(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        resolve(
            &settings,
            &Ask { headers: &map, query: "", named: &[], body: body.as_bytes(), tenant: None },
        )
    }

    fn words(identity: &Identity) -> (Option<&str>, Option<&str>) {
        (
            identity.user.as_ref().map(UserId::as_str),
            identity.session.as_ref().map(SessionId::as_str),
        )
    }

    #[test]
    fn the_header_names_the_user_unless_it_says_anonymous() {
        let body = r#"{"user_id":"body","session_id":"s-body"}"#;
        let both = resolve_with(&[("x-user-id", "head"), ("x-session-id", "s-head")], body);
        assert_eq!(words(&both), (Some("head"), Some("s-body")));
        let anonymous = resolve_with(&[("x-user-id", "Anonymous"), ("x-session-id", "s")], body);
        assert_eq!(words(&anonymous), (Some("body"), Some("s-body")));
        let header_session = resolve_with(&[("x-session-id", "s-head")], "{}");
        assert_eq!(words(&header_session), (None, Some("s-head")));
        assert_eq!(resolve_with(&[], "not json").subject(), None);
    }

    #[test]
    fn global_privacy_control_is_seen() {
        assert!(resolve_with(&[("sec-gpc", "1")], "").opted_out);
        assert!(!resolve_with(&[("sec-gpc", "0")], "").opted_out);
    }
}
