//! Tokens that name a shopper, found in a request and checked (`crate::trust::token`).
//!
//! In: a request's headers, the settings' places, the keys in force. Out: the claims of a good token.
//! One that is forged, over, or for somebody else is no token; why is counted, and never logged.

use http::HeaderMap;

use super::Border;
use crate::config::Source;
use crate::config::source::{Ask, Claims};
use crate::trust::token::{Terms, is_token, verify};

/// What a request's token claims, owned.
#[derive(Clone, Default, PartialEq)]
pub struct Bearer {
    checked: bool,
    claims: Option<String>,
    /// It was sent by a browser without anybody's doing.
    in_cookie: bool,
}

impl Bearer {
    /// For looking claims up.
    pub fn claims(&self) -> Claims<'_> {
        if self.checked { Claims::Checked(self.claims.as_deref()) } else { Claims::Unchecked }
    }

    /// True where a page of another site made a browser send it.
    pub(super) fn is_borrowed(&self, headers: &HeaderMap) -> bool {
        self.in_cookie && headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
    }
}

impl Border {
    /// Checks the request's token, where the settings have keys for it.
    pub fn bearer(&self, headers: &HeaderMap) -> Bearer {
        let token = &self.settings.identity.token;
        if !token.is_checked() {
            return Bearer::default();
        }
        let mut bearer = Bearer { checked: true, ..Bearer::default() };
        let Some((text, in_cookie)) = found(&token.from, headers) else { return bearer };
        let terms = Terms {
            issuer: token.issuer.as_deref(),
            audience: token.audience.as_deref(),
            leeway: token.leeway,
            now: self.clock.now(),
        };
        let outcome = match verify(&text, &self.ring.keys().jwt, &terms) {
            Ok(claims) => {
                bearer.claims = Some(claims);
                bearer.in_cookie = in_cookie;
                "good"
            }
            Err(refused) => refused.label(),
        };
        self.metrics.tokens.with_label_values(&[outcome]).inc();
        bearer
    }
}

/// The first token at these places, and whether it is in a cookie.
fn found(places: &[Source], headers: &HeaderMap) -> Option<(String, bool)> {
    let claims = Claims::Unchecked;
    let ask = Ask { headers, query: "", named: &[], body: b"", tenant: None, claims };
    places.iter().find_map(|place| {
        let word = place.read(&ask)?;
        let text = match word.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => &word,
        };
        is_token(text).then(|| (text.to_owned(), matches!(place, Source::Cookie(_))))
    })
}
