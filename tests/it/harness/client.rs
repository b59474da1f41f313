//! A client that sends the bytes it is given and shows the bytes it gets.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer in a test may take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A parsed HTTP/1.1 reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The value of the first header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The values at `key` of the hits in `products`.
    pub fn skus(&self) -> Vec<String> {
        let json = self.json();
        let products = json["products"].as_array().expect("products");
        products.iter().map(|p| p["sku"].as_str().expect("sku").to_owned()).collect()
    }

    /// What `X-Leafrank` says.
    pub fn outcome(&self) -> &str {
        self.header("x-leafrank").unwrap_or("")
    }
}

/// Sends `bytes` on a fresh connection and reads until the peer closes or nothing comes for `wait`.
pub async fn raw(address: SocketAddr, bytes: &[u8], wait: Duration) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    // A peer that refuses a body may answer and close before all of it is written.
    if let Err(error) = stream.write_all(bytes).await {
        assert!(
            matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
            "{error}"
        );
    }
    read_all(&mut stream, wait).await
}

/// Reads until the end (`true`) or until nothing comes for `wait` (`false`).
pub async fn read_all(stream: &mut TcpStream, wait: Duration) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match tokio::time::timeout(wait, stream.read(&mut chunk)).await {
            Err(_) => return (out, false),
            Ok(Ok(0)) | Ok(Err(_)) => return (out, true),
            Ok(Ok(n)) => out.extend_from_slice(&chunk[..n]),
        }
    }
}

/// One request on a fresh connection, closed after the reply.
pub async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
        head.push_str("host: shop.test\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let bytes = [head.as_bytes(), body].concat();
    let (reply, ended) = raw(address, &bytes, PATIENCE).await;
    assert!(ended, "no end of the reply to {method} {path} within {PATIENCE:?}");
    parse(&reply, method == "HEAD")
}

/// A request on an admin port, with the operators' token.
pub async fn operate(admin: SocketAddr, token: &str, (method, path): (&str, &str)) -> Reply {
    let (host, bearer) = (admin.to_string(), format!("Bearer {token}"));
    let headers = [("host", host.as_str()), ("authorization", bearer.as_str())];
    exchange(admin, method, path, &headers, b"").await
}

/// `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> Reply {
    exchange(address, "GET", path, &[], b"").await
}

/// `POST path` with a JSON body.
pub async fn post(address: SocketAddr, path: &str, json: &serde_json::Value) -> Reply {
    let headers = [("content-type", "application/json")];
    exchange(address, "POST", path, &headers, json.to_string().as_bytes()).await
}

/// Splits a whole reply; undoes chunking.
pub fn parse(bytes: &[u8], head_only: bool) -> Reply {
    let end = find(bytes, b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("status line");
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
    let rest = &bytes[end + 4..];
    let body = if chunked && !head_only { unchunk(rest) } else { rest.to_vec() };
    Reply { status, headers, body }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16);
        let Ok(size) = size else { break };
        let from = end + 2;
        if size == 0 || from + size > rest.len() {
            break;
        }
        out.extend_from_slice(&rest[from..from + size]);
        rest = &rest[(from + size + 2).min(rest.len())..];
    }
    out
}

/// Where `needle` begins.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
