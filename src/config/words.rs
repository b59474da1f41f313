//! Text with a form of its own: addresses, sources, path patterns, methods.
//!
//! In: one word of a settings file. Out: its type, or a [`Fault`] that says what was wrong and
//! shows what would be right. The key and its place are added by the caller.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{ListenAddress, PathPattern, Pointer, Segment, Source, UpstreamAddress};
use crate::types::interaction::InteractionKind;
use crate::yaml::{Fault, nearest, printable};

fn found(text: &str) -> String {
    format!("found \"{}\"", printable(text))
}

/// `127.0.0.1:8080`, `[::]:8080`; port 0 lets the system choose.
pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let fault = Fault::new(found(text), "address:port such as 127.0.0.1:8080");
        match text.rsplit_once(':') {
            Some(("localhost", port)) => fault.suggest(format!("127.0.0.1:{port}")),
            Some(("" | "*", port)) => fault.suggest(format!("0.0.0.0:{port}")),
            _ => fault,
        }
    })
}

/// A peer's address, without a port.
pub(crate) fn peer(text: &str) -> Result<IpAddr, Fault> {
    text.parse().map_err(|_| Fault::new(found(text), "an IP address such as 10.0.0.7"))
}

impl ListenAddress {
    /// Reads `address:port` or `unix:/path`.
    ///
    /// # Errors
    /// Anything else, with what was expected.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match text.strip_prefix("unix:") {
            Some(path) => unix_path(text, path).map(Self::Unix),
            None => socket_address(text).map(Self::Tcp),
        }
    }
}

fn unix_path(text: &str, path: &str) -> Result<PathBuf, Fault> {
    if path.starts_with('/') && path.len() > 1 {
        return Ok(PathBuf::from(path));
    }
    Err(Fault::new(found(text), "unix: and an absolute path"))
}

impl UpstreamAddress {
    /// Reads `http://host[:port]`, `https://host[:port]`, `host:port` or `unix:/path`; with it,
    /// whether the scheme asks for TLS (`None`: there is no scheme).
    ///
    /// # Errors
    /// Anything else, paths and user names in the URL included, with what was expected.
    pub fn parse(text: &str) -> Result<(Self, Option<bool>), Fault> {
        const EXPECTED: &str = "http://host:port, https://host:port, host:port or unix:/path";
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_path(text, path).map(|path| (Self::Unix(path), None));
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(false), rest),
            Some(("https", rest)) => (Some(true), rest),
            Some((scheme, _)) => {
                return Err(Fault::not_one_of(found(text), scheme, &["http", "https"]));
            }
            None => (None, text),
        };
        let rest = if tls.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        if rest.contains(['/', '?', '#', '@']) || rest.contains(char::is_whitespace) {
            return Err(Fault::new(found(text), format!("{EXPECTED}, without path or user")));
        }
        let default_port = tls.map(|tls| if tls { 443 } else { 80 });
        host_and_port(rest, default_port)
            .map(|(host, port)| (Self::Tcp { host, port }, tls))
            .ok_or_else(|| Fault::new(found(text), EXPECTED))
    }
}

/// `host:port`, `[v6]:port`, or without a port where there is a default.
fn host_and_port(text: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').map_or((!after.is_empty()).then_some(""), Some))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
        None => default_port?,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (port > 0 && !host.is_empty() && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

impl Source {
    /// Reads `header:X-User-ID`, `cookie:sid`, `body:/user_id`, `query:q`, `path:sku`, `jwt:/sub`,
    /// `baggage:user.id` or `tenant`.
    ///
    /// # Errors
    /// Anything else, with what was expected.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        const KINDS: [&str; 8] =
            ["header", "cookie", "body", "query", "path", "jwt", "baggage", "tenant"];
        const FORMS: &str =
            "header:…, cookie:…, body:/…, query:…, path:…, jwt:…, baggage:… or tenant";
        let (kind, name) = match text.split_once(':') {
            Some(("tenant", _)) => return Err(Fault::new(found(text), "tenant alone")),
            Some(pair) => pair,
            None if text == "tenant" => return Ok(Self::Tenant),
            None => {
                let fault = Fault::new(found(text), FORMS);
                return Err(if text.starts_with('/') {
                    fault.suggest(format!("body:{}", printable(text)))
                } else {
                    fault
                });
            }
        };
        if name.is_empty() && KINDS.contains(&kind) {
            return Err(Fault::new(found(text), format!("a name after {kind}:")));
        }
        match kind {
            "header" => http::HeaderName::try_from(name)
                .map(Self::Header)
                .map_err(|_| Fault::new(found(text), "a header's name after header:")),
            "cookie" => Ok(Self::Cookie(name.to_owned())),
            "body" => pointer(name).map(Self::Body),
            "query" => Ok(Self::Query(name.to_owned())),
            "path" => Ok(Self::Path(name.to_owned())),
            "jwt" if name.starts_with('/') => pointer(name).map(Self::Jwt),
            "jwt" => Ok(Self::Jwt(Pointer(vec![name.to_owned()]))),
            "baggage" => Ok(Self::Baggage(name.to_owned())),
            _ => Err(Fault::not_one_of(found(text), kind, &KINDS)),
        }
    }
}

/// A JSON Pointer.
pub(crate) fn pointer(text: &str) -> Result<Pointer, Fault> {
    Pointer::parse(text).map_err(|error| {
        let fault =
            Fault::new(found(text), format!("a JSON Pointer such as /product/sku ({error})"));
        let start = text.trim_start_matches('$');
        if text.starts_with('/') {
            fault
        } else {
            let path = start.trim_start_matches('.').replace('.', "/");
            fault.suggest(format!("/{}", printable(&path)))
        }
    })
}

impl PathPattern {
    /// Reads `/product/{sku}`. `/` is no segment at all; a slash at the end is an empty literal.
    ///
    /// # Errors
    /// A pattern that does not begin with `/`, holds `?`, `#`, `*` or white space, has braces that
    /// do not enclose a whole segment, or names a segment twice.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |expected: &str| Fault::new(found(text), expected);
        let Some(rest) = text.strip_prefix('/') else {
            return Err(fault("a path that begins with /")
                .suggest(format!("/{}", printable(text.trim_start_matches('/')))));
        };
        if rest.contains(['?', '#', '*']) || rest.contains(char::is_whitespace) {
            return Err(fault("a path without ?, #, * or white space; {name} for any one segment"));
        }
        let mut segments = Vec::new();
        for segment in rest.split('/').filter(|_| !rest.is_empty()) {
            let named = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
            match named {
                Some(name) if name.is_empty() || name.contains(['{', '}']) => {
                    return Err(fault("a name between { and }"));
                }
                Some(name) => segments.push(Segment::Named(name.to_owned())),
                None if segment.contains(['{', '}']) => {
                    return Err(fault("{name} alone between two slashes"));
                }
                None => segments.push(Segment::Literal(segment.to_owned())),
            }
        }
        let pattern = Self(segments);
        let doubled =
            pattern.names().any(|name| pattern.names().filter(|n| *n == name).count() > 1);
        if doubled { Err(fault("each {name} once")) } else { Ok(pattern) }
    }

    /// The names of its named segments, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|segment| match segment {
            Segment::Named(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }
}

/// A method in capitals.
pub(crate) fn method(text: &str) -> Result<http::Method, Fault> {
    const EXPECTED: &str = "a method in capitals such as GET or POST";
    let capitals = text.to_ascii_uppercase();
    match http::Method::from_bytes(text.as_bytes()) {
        Ok(method) if text == capitals => Ok(method),
        Ok(_) => Err(Fault::new(found(text), EXPECTED).suggest(capitals)),
        Err(_) => Err(Fault::new(found(text), EXPECTED)),
    }
}

/// A word for what a shopper did.
pub(crate) fn interaction(text: &str) -> Result<InteractionKind, Fault> {
    InteractionKind::parse(text).ok_or_else(|| {
        let words: Vec<&str> = InteractionKind::NAMES.iter().map(|(name, _)| *name).collect();
        Fault::not_one_of(found(text), text, &words)
    })
}

/// A preset's name.
pub(crate) fn preset(text: &str) -> Result<&'static super::preset::Preset, Fault> {
    let presets = super::preset::PRESETS;
    presets.iter().find(|preset| preset.name == text).ok_or_else(|| {
        let names: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
        let near = nearest(text, &names).map(str::to_owned);
        let fault = Fault::new(found(text), format!("one of {}", names.join(", ")));
        near.map_or(fault.clone(), |near| fault.suggest(near))
    })
}

#[cfg(test)]
mod tests;
