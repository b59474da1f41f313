//! Where a reply to be looked at comes from: a file, standard input, or the shop itself.
//!
//! In: what `--reply` names. Out: the plain body, and for a URL the question that was asked. Never
//! more than `limits.reply_bytes_max` is kept, never longer than [`PATIENCE`] is waited; a reply
//! that the data port would not read is refused here with the data port's own reason.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header, response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;

use crate::cli::{DATA, NO_INPUT, UNAVAILABLE, USAGE};
use crate::client::connect::Connect;
use crate::config::{ClientTls, LegName, Settings, UpstreamAddress, Wire};
use crate::personalize::fail_open::FailOpen;
use crate::proxy::Packing;
use crate::yaml::printable;

/// The shop gets this long for one question, its connection included.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to ask the shop.
pub(super) struct Question {
    pub(super) uri: Uri,
    pub(super) data: Option<String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why there is no reply to look at.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) exit: u8,
    pub(super) said: String,
}

impl Fault {
    pub(super) fn new(exit: u8, said: impl Into<String>) -> Self {
        Self { exit, said: said.into() }
    }
}

impl Question {
    /// With a body it is a POST.
    pub(super) fn method(&self) -> Method {
        if self.data.is_some() { Method::POST } else { Method::GET }
    }

    /// Reads the URL; `None` when `text` is no URL but a file's name.
    ///
    /// # Errors
    /// A URL that cannot be asked.
    pub(super) fn uri(text: &str) -> Option<Result<Uri, Fault>> {
        text.contains("://").then(|| {
            let fault =
                |why: &str| Fault::new(USAGE, format!("--reply {}: {why}", printable(text)));
            let uri: Uri = text.parse().map_err(|error| fault(&format!("no URL: {error}")))?;
            if !matches!(uri.scheme_str(), Some("http" | "https")) {
                return Err(fault("expected http://…, https://… or a file's name"));
            }
            if uri.host().is_none_or(str::is_empty) {
                return Err(fault("names no host"));
            }
            if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
                return Err(fault("a user name in the URL; use --header \"Authorization: …\""));
            }
            Ok(uri)
        })
    }
}

/// The body of a file, or of standard input where `name` is `-`.
///
/// # Errors
/// A file that cannot be read or is larger than the data port would hold.
pub(super) fn file(name: &str, settings: &Settings) -> Result<Vec<u8>, Fault> {
    let fault = |error: std::io::Error| Fault::new(NO_INPUT, format!("{name}: {error}"));
    let bytes_max = settings.limits.reply_bytes_max;
    let reader: Box<dyn Read> = if name == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(name).map_err(fault)?)
    };
    let mut body = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut body).map_err(fault)?;
    if body.len() > bytes_max {
        return Err(too_large(name, bytes_max));
    }
    Ok(body)
}

fn too_large(from: &str, bytes_max: usize) -> Fault {
    let said = format!(
        "{from}: larger than limits.reply_bytes_max ({bytes_max} bytes): such a reply passes \
         unranked (reason=reply_too_large)"
    );
    Fault::new(DATA, said)
}

/// Asks the shop, and answers with the plain body of its reply.
///
/// # Errors
/// A shop that does not answer, and a reply that the data port would let pass unread.
pub(super) fn ask(question: &Question, settings: &Settings) -> Result<Vec<u8>, Fault> {
    let unavailable = |why: String| Fault::new(UNAVAILABLE, format!("{}: {why}", question.uri));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unavailable(error.to_string()))?;
    let bytes_max = settings.limits.reply_bytes_max;
    let asked =
        async { tokio::time::timeout(PATIENCE, exchange(question, settings, bytes_max)).await };
    let (head, body) = match runtime.block_on(asked) {
        Ok(Ok(reply)) => reply,
        Ok(Err(Unanswered::TooLarge)) => {
            return Err(too_large(&question.uri.to_string(), bytes_max));
        }
        Ok(Err(Unanswered::Because(why))) => return Err(unavailable(why)),
        Err(_) => return Err(unavailable(format!("no reply within {PATIENCE:?}"))),
    };
    plain(question, &head, &body, bytes_max)
}

/// The plain body of a reply that the data port would read.
fn plain(
    question: &Question,
    head: &response::Parts,
    body: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, Fault> {
    let passes = |reason: &str, why: String| {
        let said =
            format!("{}: {why}: such a reply passes unranked (reason={reason})", question.uri);
        Err(Fault::new(DATA, said))
    };
    let value = |name: HeaderName| {
        printable(&String::from_utf8_lossy(head.headers.get(name).map_or(b"", |v| v.as_bytes())))
    };
    let packing = match Packing::of(head, Wire::Json) {
        Ok(packing) => packing,
        Err(reason) => {
            let place = value(header::LOCATION);
            let to = if place.is_empty() { place } else { format!(" to {place}") };
            let why = format!(
                "status {}{to}, Content-Type \"{}\", Content-Encoding \"{}\", {} bytes",
                head.status.as_u16(),
                value(header::CONTENT_TYPE),
                value(header::CONTENT_ENCODING),
                body.len()
            );
            return passes(reason.label(), why);
        }
    };
    match packing.unpacked(body, bytes_max) {
        Ok(plain) => Ok(plain.into_owned()),
        Err(FailOpen::TooLarge) => Err(too_large(&question.uri.to_string(), bytes_max)),
        Err(reason) => passes(reason.label(), "its coding does not decode".to_owned()),
    }
}

enum Unanswered {
    TooLarge,
    Because(String),
}

impl<E: std::error::Error> From<E> for Unanswered {
    fn from(error: E) -> Self {
        let mut said = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            said = format!("{said}: {cause}");
            source = cause.source();
        }
        Self::Because(said)
    }
}

/// One request on a connection of its own.
async fn exchange(
    question: &Question,
    settings: &Settings,
    bytes_max: usize,
) -> Result<(response::Parts, Bytes), Unanswered> {
    let uri = &question.uri;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let upstream = settings.upstream.as_ref();
    let ca = upstream.and_then(|upstream| upstream.tls.as_ref()?.ca.as_ref());
    let tls = (uri.scheme_str() == Some("https"))
        .then(|| ClientTls { server_name: host.clone(), ca: ca.cloned() });
    let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let connect = Connect::new(tls.as_ref(), LegName::Shop, false, PATIENCE)?;
    let stream = connect.open(&UpstreamAddress::Tcp { host, port }).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request(question)?).await?;
    let (head, body) = reply.into_parts();
    let body = Limited::new(body, bytes_max).collect().await;
    connection.abort();
    match body {
        Ok(body) => Ok((head, body.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Unanswered::TooLarge),
        Err(error) => Err(Unanswered::Because(format!("the reply broke off: {error}"))),
    }
}

fn request(question: &Question) -> Result<Request<Full<Bytes>>, http::Error> {
    let uri = &question.uri;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let body = question.data.clone().unwrap_or_default();
    let mut request =
        Request::builder().method(question.method()).uri(path).body(Full::from(body))?;
    let headers = request.headers_mut();
    if let Some(authority) = uri.authority() {
        headers.insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if question.data.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &question.headers {
        headers.insert(name.clone(), value.clone());
    }
    Ok(request)
}
