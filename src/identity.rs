//! Floor 3, pure: who asks.
//!
//! In: one request and the settings' order of places. Out: user, session, consent. Nobody named is
//! not an error: such a request passes untouched and teaches nothing. LeafLoaf's rule is the
//! default: `X-User-ID` unless absent or `anonymous`, else the body's `user_id`; the body's
//! `session_id` before `X-Session-ID`.

use http::HeaderName;

use crate::config::Identity as Settings;
use crate::config::Source;
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
    /// By this request or for good: proxied, not learned, nothing stored.
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

/// Does the request itself say that its shopper must not be learned from?
pub fn opts_out(settings: &Settings, ask: &Ask<'_>) -> bool {
    let said = |word: &str| {
        Some(settings.consent.denied.iter().any(|denied| denied.eq_ignore_ascii_case(word)))
    };
    ask.headers.get(SEC_GPC).is_some_and(|value| value == "1")
        || first(&settings.consent.from, ask, said).unwrap_or(false)
}

/// Reads a request's identity. `O(sources)`, plus one look into the body for each that needs it.
pub fn resolve(settings: &Settings, ask: &Ask<'_>) -> Identity {
    let opted_out = opts_out(settings, ask);
    let all = |_: &&Source| true;
    match settings.trusted_only {
        true => Identity { opted_out, ..proven(settings, ask) },
        false => Identity { opted_out, ..from(settings, ask, all) },
    }
}

/// The same by places alone whose word is proven: a token that was checked.
pub fn proven(settings: &Settings, ask: &Ask<'_>) -> Identity {
    from(settings, ask, |place| place.is_proven(ask))
}

fn from(settings: &Settings, ask: &Ask<'_>, counts: impl Fn(&&Source) -> bool) -> Identity {
    let named = |word: &str| !settings.anonymous.iter().any(|a| a.eq_ignore_ascii_case(word));
    let mut users = settings.user.iter().filter(&counts).filter_map(|place| place.read(ask));
    let mut sessions = settings.session.iter().filter(&counts).filter_map(|place| place.read(ask));
    Identity {
        user: users.find_map(|word| named(&word).then(|| UserId::parse(&word)).flatten()),
        session: sessions.find_map(|word| named(&word).then(|| SessionId::parse(&word)).flatten()),
        opted_out: false,
        voice: Voice::default(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::config::source::Claims;
    use crate::config::{Consent, Join, Pointer};

    fn settings() -> Settings {
        Settings {
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
            consent: Consent {
                from: vec![
                    Source::Cookie("consent".into()),
                    Source::Header(HeaderName::from_static("x-personalization")),
                ],
                denied: vec!["0".into(), "denied".into()],
                subjects_max: 1,
            },
            ..Settings::default()
        }
    }

    fn resolve_with(headers: &[(&'static str, &'static str)], body: &str) -> Identity {
        resolved(&settings(), headers, body, Claims::Unchecked)
    }

    fn resolved(
        settings: &Settings,
        headers: &[(&'static str, &'static str)],
        body: &str,
        claims: Claims<'_>,
    ) -> Identity {
        let body = body.as_bytes();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        resolve(settings, &Ask { headers: &map, query: "", named: &[], body, tenant: None, claims })
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
    fn a_checked_token_counts_in_its_place_and_alone_where_only_proofs_count() {
        let mut settings = settings();
        let claim = Source::parse("jwt:/realm/user").unwrap();
        settings.user.insert(1, claim);
        let body = r#"{"user_id":"body"}"#;
        let good = Claims::Checked(Some(r#"{"realm":{"user":"token"}}"#));
        let user = |settings: &Settings, headers: &[_], claims| {
            let identity = resolved(settings, headers, body, claims);
            identity.user.map(|user| user.as_str().to_owned())
        };
        let header = [("x-user-id", "head")];
        assert_eq!(user(&settings, &[], good).as_deref(), Some("token"));
        assert_eq!(user(&settings, &header, good).as_deref(), Some("head"));
        assert_eq!(user(&settings, &[], Claims::Checked(None)).as_deref(), Some("body"));
        settings.trusted_only = true;
        assert_eq!(user(&settings, &header, good).as_deref(), Some("token"));
        assert_eq!(user(&settings, &header, Claims::Checked(None)), None);
        assert_eq!(user(&settings, &header, Claims::Unchecked), None);
    }

    #[test]
    fn global_privacy_control_is_seen() {
        assert!(resolve_with(&[("sec-gpc", "1")], "").opted_out);
        assert!(!resolve_with(&[("sec-gpc", "0")], "").opted_out);
    }

    #[test]
    fn the_first_place_of_consent_that_says_anything_counts() {
        let opted_out = |headers| resolve_with(headers, "").opted_out;
        assert!(opted_out(&[("x-personalization", "Denied")]));
        assert!(!opted_out(&[("x-personalization", "maybe")]));
        assert!(!opted_out(&[("cookie", "consent=granted"), ("x-personalization", "0")]));
        assert!(opted_out(&[("cookie", "consent=0"), ("x-personalization", "1")]));
        assert!(opted_out(&[("cookie", "consent=granted"), ("sec-gpc", "1")]));
    }
}
