//! Shoppers whom nothing names, told apart by our own cookie (`border`), where the settings want it.
//!
//! In: who a request says it is. Out: the same with the visit of its cookie, or with a new one whose
//! cookie goes out with the reply. A reply with a cookie is `private`: it is one shopper's.

use http::header::{self, HeaderMap, HeaderValue};

use super::caching;
use super::pipeline::Pipeline;
use crate::config::source::Ask;
use crate::config::{RouteKind, Wire};
use crate::identity::Identity;
use crate::route::Matched;

impl Pipeline {
    /// Names the visit by our own cookie where nothing else does; where nobody is named at all, a new
    /// one begins. Behind the shop there are no browsers.
    pub(super) fn visit(
        &self,
        matched: &Matched<'_>,
        ask: &Ask<'_>,
        identity: &mut Identity,
        secure: bool,
    ) -> Option<HeaderValue> {
        let front = match &matched.route.kind {
            RouteKind::Search(search) => search.wire == Wire::Json,
            RouteKind::Event(_) => true,
            RouteKind::Forget(_) => false,
        };
        if identity.opted_out || identity.session.is_some() || !front || !matched.route.learn {
            return None;
        }
        identity.session = self.border.visit(ask.headers);
        if identity.subject().is_some() {
            return None;
        }
        let (visit, cookie) = self.border.new_visit(secure || says_tls(ask.headers))?;
        identity.session = Some(visit);
        Some(cookie)
    }
}

/// The proxy before us says that the client came by TLS. Who lies about it hurts only themselves.
fn says_tls(headers: &HeaderMap) -> bool {
    let said = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    said.and_then(|said| said.split(',').next()).is_some_and(|first| first.trim() == "https")
}

/// Sends a visit's cookie along, unless a cache before us may keep the reply all the same.
pub(super) fn given(headers: &mut HeaderMap, cookie: Option<HeaderValue>) {
    let Some(cookie) = cookie.filter(|_| !caching::is_sealed(headers)) else { return };
    headers.append(header::SET_COOKIE, cookie);
    caching::make_private(headers);
}
