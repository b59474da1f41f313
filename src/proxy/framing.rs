//! What a proxy must do to a message's head: refuse what is ambiguous, strip what belongs to one
//! hop, add what the next one needs (RFC 9110 §7.6, RFC 9112 §3.2 and §6.3, RFC 9113 §8.2).
//!
//! In: heads as hyper parsed them. Out: heads fit for the next hop, or a [`Refusal`]. End-to-end
//! header values are never touched.

use std::net::IpAddr;
use std::sync::LazyLock;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode, Version};

/// How we call ourselves in `Via`.
pub(crate) const PSEUDONYM: &str = "leafrank";

/// Headers that end at every hop, besides those that `Connection` names. Told by [`ends_here`].
static HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that `Connection` must not name: without them the message means something else.
static NEVER_NOMINATED: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// A request we do not forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `CONNECT`: we are nobody's tunnel to elsewhere.
    Connect,
    /// None, several, or one that is no host.
    Host,
    /// A transfer coding besides `chunked`.
    TransferCoding,
    /// `Connection` names a header that must stay.
    Nomination,
    /// A body announced to be longer than `request_bytes_max`.
    BodyTooLarge,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host | Self::Nomination => StatusCode::BAD_REQUEST,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Connect => "connect_method",
            Self::Host => "host",
            Self::TransferCoding => "transfer_coding",
            Self::Nomination => "connection_nomination",
            Self::BodyTooLarge => "request_too_large",
        }
    }
}

/// The peer and the listener a request came by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    /// The client's address; `None` on a unix socket.
    pub(crate) peer: Option<IpAddr>,
    /// TLS on the way to us.
    pub(crate) secure: bool,
}

/// Refuses what must not be forwarded.
pub(crate) fn check(head: &Parts, bytes_max: u64) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let (mut host, mut hosts, mut coding, mut codings) = (None, 0, None, 0);
    let (mut nominates, mut length) = (false, None);
    // One walk over the headers that are there: lookups cost more, above all of those that are not.
    for (name, value) in &head.headers {
        match name.as_str() {
            "host" => (host, hosts) = (host.or(Some(value)), hosts + 1),
            "transfer-encoding" => (coding, codings) = (coding.or(Some(value)), codings + 1),
            "connection" => nominates = true,
            "content-length" => length = length.or(Some(value)),
            _ => {}
        }
    }
    let named = head.uri.authority().is_some() || host.is_some();
    if hosts > 1 || !host.is_none_or(is_host) || (!named && head.version != Version::HTTP_10) {
        return Err(Refusal::Host);
    }
    if codings > 1 || coding.is_some_and(|c| !c.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Refusal::TransferCoding);
    }
    if nominates && nominations(&head.headers).any(|name| NEVER_NOMINATED.contains(&name)) {
        return Err(Refusal::Nomination);
    }
    let announced = length.and_then(|v| v.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > bytes_max) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    // A name and nothing else needs no parser, which would copy it.
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        || http::uri::Authority::try_from(bytes).is_ok_and(|a| !a.as_str().contains('@'))
}

/// The protocol a client asks to switch to, if we tunnel it: any but a second way into HTTP/2.
pub(crate) fn upgrade(head: &Parts) -> Option<HeaderValue> {
    if head.version != Version::HTTP_11
        || !nominations(&head.headers).any(|name| name == header::UPGRADE)
    {
        return None;
    }
    let protocol = head.headers.get(header::UPGRADE)?;
    let text = protocol.to_str().ok()?;
    (!text.to_ascii_lowercase().contains("h2c")).then(|| protocol.clone())
}

/// Says on one hop that this message switches to `protocol`.
pub(crate) fn switch_to(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

/// Which of the headers that a hop deals with are there. One walk over a message's few headers costs
/// less than a lookup for each of these.
#[derive(Clone, Copy, Default)]
pub(crate) struct Carried {
    hop_by_hop: bool,
    te: bool,
    cookie: bool,
    forwarded_for: bool,
    forwarded_proto: bool,
    forwarded_host: bool,
    pub(crate) host: bool,
    pub(crate) traceparent: bool,
}

impl Carried {
    fn by(headers: &HeaderMap) -> Self {
        let mut carried = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "te" => carried.te = true,
                "cookie" => carried.cookie = true,
                "x-forwarded-for" => carried.forwarded_for = true,
                "x-forwarded-proto" => carried.forwarded_proto = true,
                "x-forwarded-host" => carried.forwarded_host = true,
                "host" => carried.host = true,
                "traceparent" => carried.traceparent = true,
                _ => carried.hop_by_hop |= ends_here(name),
            }
        }
        carried
    }
}

/// Makes a request's head fit for the shop, and says what it carries then.
pub(crate) fn request_head(head: &mut Parts, hop: Hop) -> Carried {
    let version = head.version;
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        // RFC 9112 §3.2.2: a request target's authority wins over `Host`.
        head.headers.insert(header::HOST, host);
    }
    let mut carried = Carried::by(&head.headers);
    let te = if carried.te { head.headers.get(header::TE) } else { None };
    let trailers = te
        .is_some_and(|te| te.to_str().is_ok_and(|te| te.to_ascii_lowercase().contains("trailers")));
    if carried.hop_by_hop {
        strip(&mut head.headers);
        // A nominated header may be any of the others.
        carried = Carried::by(&head.headers);
    }
    if carried.te {
        head.headers.remove(header::TE);
    }
    if trailers && version == Version::HTTP_2 {
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if carried.cookie {
        join_cookies(&mut head.headers);
    }
    append_via(&mut head.headers, version);
    forwarded(&mut head.headers, hop, carried);
    carried
}

/// Makes a reply's head fit for the client.
pub(crate) fn reply_head(headers: &mut HeaderMap, version: Version) {
    if headers.keys().any(ends_here) {
        if headers.contains_key(header::TRANSFER_ENCODING) {
            // RFC 9112 §6.3: the chunks win, and a length beside them must not go on.
            headers.remove(header::CONTENT_LENGTH);
        }
        strip(headers);
    }
    append_via(headers, version);
}

/// Did this request pass a sidecar already (RFC 9110 §7.6.3)? Then that one ranks.
pub(crate) fn came_by_us(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    let mut hops = lines.flat_map(|line| line.split(','));
    hops.any(|hop| hop.split_whitespace().nth(1) == Some(PSEUDONYM))
}

/// Is this one of [`HOP_BY_HOP`]?
fn ends_here(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    )
}

/// Removes what belongs to one hop.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        for name in nominations(headers).collect::<Vec<_>>() {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn nominations(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
}

/// HTTP/2 may send a cookie in crumbs; HTTP/1.1 wants one header (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(header::COOKIE, whole);
    }
}

/// Our entries of `Via` for HTTP/1.0, 1.1 and 2.
static VIA: LazyLock<[Option<HeaderValue>; 3]> = LazyLock::new(|| {
    ["1.0", "1.1", "2.0"]
        .map(|received| HeaderValue::from_str(&format!("{received} {PSEUDONYM}")).ok())
});

fn append_via(headers: &mut HeaderMap, version: Version) {
    let [http10, http11, http2] = &*VIA;
    let value = match version {
        Version::HTTP_10 => http10,
        Version::HTTP_2 => http2,
        _ => http11,
    };
    if let Some(value) = value {
        headers.append(header::VIA, value.clone());
    }
}

/// Appends `X-Forwarded-For`; sets `-Proto` and `-Host` where no earlier proxy did.
fn forwarded(headers: &mut HeaderMap, hop: Hop, carried: Carried) {
    const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
    if let Some(peer) = hop.peer {
        let mut chain = String::with_capacity(64);
        if carried.forwarded_for {
            for value in headers.get_all(FOR).iter().filter_map(|v| v.to_str().ok()) {
                chain.push_str(value.trim());
                chain.push_str(", ");
            }
        }
        push_address(&mut chain, peer);
        if let Ok(value) = HeaderValue::try_from(chain) {
            headers.insert(FOR, value);
        }
    }
    if !carried.forwarded_proto {
        let scheme = if hop.secure { "https" } else { "http" };
        headers.insert(PROTO, HeaderValue::from_static(scheme));
    }
    if !carried.forwarded_host
        && let Some(host) = headers.get(header::HOST).cloned()
    {
        headers.insert(HOST, host);
    }
}

/// The address as text. IPv4, which nearly every peer has, without the formatting machinery.
fn push_address(text: &mut String, peer: IpAddr) {
    let IpAddr::V4(address) = peer else {
        text.push_str(&peer.to_string());
        return;
    };
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        for (unit, least) in [(100, 100), (10, 10), (1, 0)] {
            if octet >= least {
                text.push(char::from(b'0' + octet / unit % 10));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_standard_library_does() {
        for octet in 0..=u8::MAX {
            let peer = IpAddr::from([octet, 0, 10, octet]);
            let mut text = String::new();
            push_address(&mut text, peer);
            assert_eq!(text, peer.to_string());
        }
        let mut text = String::new();
        push_address(&mut text, IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(text, "::1");
    }

    #[test]
    fn what_ends_here_is_told_by_name_and_a_plain_host_by_its_letters() {
        assert!(HOP_BY_HOP.iter().all(ends_here));
        assert!(!ends_here(&header::TE) && !ends_here(&header::HOST));
        for (host, fits) in [
            ("", true),
            ("shop-1.example", true),
            ("shop:8080", true),
            ("[::1]:80", true),
            ("a@b", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(is_host(&HeaderValue::from_static(host)), fits, "{host}");
        }
    }

    #[test]
    fn a_nominated_traceparent_is_not_carried_any_more() {
        let hop = Hop { peer: None, secure: false };
        let mut kept = head(|b| b.header("traceparent", "x"));
        assert!(request_head(&mut kept, hop).traceparent);
        let mut nominated =
            head(|b| b.header("traceparent", "x").header("connection", "traceparent"));
        assert!(!request_head(&mut nominated, hop).traceparent);
    }

    fn head(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        build(http::Request::builder().uri("/x").header("host", "shop"))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn nominated_headers_end_here_and_the_rest_goes_on() {
        let mut parts = head(|b| {
            b.header("connection", "close, X-Secret").header("x-secret", "1").header("x-kept", "2")
        });
        request_head(&mut parts, Hop { peer: None, secure: false });
        assert!(!parts.headers.contains_key("x-secret"));
        assert!(!parts.headers.contains_key("connection"));
        assert_eq!(parts.headers["x-kept"], "2");
    }

    #[test]
    fn a_nomination_of_a_header_that_must_stay_is_refused() {
        for name in ["host", "Content-Length", "cookie", "X-Forwarded-For"] {
            let parts = head(|b| b.header("connection", name));
            assert_eq!(check(&parts, u64::MAX), Err(Refusal::Nomination), "{name}");
        }
    }

    #[test]
    fn an_upgrade_to_h2c_is_not_tunnelled_and_a_websocket_is() {
        let ask = |protocol: &'static str| {
            upgrade(&head(|b| b.header("connection", "Upgrade").header("upgrade", protocol)))
        };
        assert_eq!(ask("h2c"), None);
        assert_eq!(ask("websocket").unwrap(), "websocket");
        assert_eq!(upgrade(&head(|b| b.header("upgrade", "websocket"))), None);
    }

    #[test]
    fn forwarded_for_grows_and_proto_and_host_are_kept() {
        let mut parts =
            head(|b| b.header("x-forwarded-for", "10.0.0.1").header("x-forwarded-proto", "https"));
        request_head(&mut parts, Hop { peer: Some(IpAddr::from([127, 0, 0, 1])), secure: false });
        assert_eq!(parts.headers["x-forwarded-for"], "10.0.0.1, 127.0.0.1");
        assert_eq!(parts.headers["x-forwarded-proto"], "https");
        assert_eq!(parts.headers["x-forwarded-host"], "shop");
        assert_eq!(parts.headers["via"], "1.1 leafrank");
    }

    #[test]
    fn a_request_that_came_by_us_is_told_by_its_via() {
        let by_us = |via: &'static str| came_by_us(&head(|b| b.header("via", via)).headers);
        assert!(by_us("1.1 leafrank"));
        assert!(by_us("1.0 fred, 2.0 leafrank (x), 1.1 edge"));
        assert!(!by_us("1.1 leafrank.example, HTTP/1.1 other"));
        assert!(!came_by_us(&head(|b| b).headers));
    }

    #[test]
    fn cookie_crumbs_become_one_header() {
        let mut parts = head(|b| b.header("cookie", "a=1").header("cookie", "b=2"));
        request_head(&mut parts, Hop { peer: None, secure: false });
        assert_eq!(parts.headers["cookie"], "a=1; b=2");
    }
}
