//! Paths of ours on the data port: none by default, since every one of them is taken from the shop.
//!
//! In: a path, and what the settings list. Out: our API's answer, or nothing and the request goes to
//! the shop. A prefix keeps ours apart from the shop's.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use tower_service::Service;

use super::body::ReplyBody;
use crate::border;
use crate::config::OwnPaths;

/// Our path behind `path`, if the settings list it: the prefix is taken off.
pub(super) fn path(settings: &OwnPaths, path: &str) -> Option<String> {
    if settings.paths.is_empty() {
        return None;
    }
    let ours = path.strip_prefix(settings.prefix.as_str())?;
    settings.paths.iter().any(|pattern| fits(pattern, ours)).then(|| ours.to_owned())
}

/// A `{…}` segment fits any one segment.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(w), Some(f)) if w == f || (w.starts_with('{') && !f.is_empty()) => {}
            _ => return false,
        }
    }
}

/// Lets our API answer.
pub(super) async fn serve(
    mut api: axum::Router,
    path: String,
    mut head: Parts,
    body: Incoming,
) -> Response<ReplyBody> {
    let query = head.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    if let Ok(target) = PathAndQuery::try_from(format!("{path}{query}")) {
        head.uri = Uri::from(target);
    }
    let request = Request::from_parts(head, axum::body::Body::new(body));
    match api.call(request).await {
        Ok(mut reply) => {
            border::sign(reply.status(), reply.headers_mut());
            reply.map(ReplyBody::own)
        }
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_paths_under_the_prefix_are_ours() {
        let settings = OwnPaths {
            prefix: "/lr".into(),
            paths: vec![
                "/api/interactions/track".into(),
                "/api/users/{id}/preferences/live".into(),
            ],
        };
        assert_eq!(
            path(&settings, "/lr/api/users/u1/preferences/live").as_deref(),
            Some("/api/users/u1/preferences/live")
        );
        assert_eq!(path(&settings, "/api/interactions/track"), None);
        assert_eq!(path(&settings, "/lr/api/users//preferences/live"), None);
        assert_eq!(path(&OwnPaths::default(), "/api/interactions/track"), None);
    }
}
