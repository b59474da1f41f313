//! An upstream that does as told: a script answers each request, with whole replies or with raw
//! bytes and pauses.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use super::client::find;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came by, counted from 0.
    pub connection: usize,
}

impl Asked {
    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or("")
    }

    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or("")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// What the shop does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These pieces, with pauses before each; the connection stays.
    Pieces(Vec<(Duration, Vec<u8>)>),
    /// The same, then the connection is closed.
    PiecesThenClose(Vec<(Duration, Vec<u8>)>),
    /// The connection is closed without a byte.
    HangUp,
    /// Nothing, for ever.
    Silence,
}

impl Answer {
    /// A whole reply with a length.
    pub fn reply(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-length")) {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        Self::Pieces(vec![(Duration::ZERO, [head.as_bytes(), body].concat())])
    }

    /// 200 with a JSON body.
    pub fn json(body: &[u8]) -> Self {
        Self::reply("200 OK", &[("content-type", "application/json")], body)
    }
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// A running upstream.
pub struct Shop {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Shop {
    /// Starts a shop on a free port.
    pub async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), script).await
    }

    /// Starts a shop at `address`.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("bind the shop");
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, script) = (asked.clone(), Arc::<Script>::from(Box::new(script) as Box<Script>));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            let mut count = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, count, seen.clone(), script.clone()));
                count += 1;
            }
        });
        Self { address, asked, task }
    }

    /// Starts a shop on a unix socket at `path`; its `address` means nothing.
    pub async fn start_unix(
        path: &std::path::Path,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("bind the shop");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, script) = (asked.clone(), Arc::<Script>::from(Box::new(script) as Box<Script>));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let count = connections.len();
                connections.spawn(converse(stream, count, seen.clone(), script.clone()));
            }
        });
        Self { address: "127.0.0.1:0".parse().unwrap(), asked, task }
    }

    /// Starts a shop behind TLS on a free port.
    pub async fn start_tls(
        acceptor: TlsAcceptor,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the shop");
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (seen, script) = (asked.clone(), Arc::<Script>::from(Box::new(script) as Box<Script>));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let count = connections.len();
                let (acceptor, seen, script) = (acceptor.clone(), seen.clone(), script.clone());
                connections.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, count, seen, script).await;
                    }
                });
            }
        });
        Self { address, asked, task }
    }

    /// Ends it: the port is closed and so are its connections.
    pub async fn stop(mut self) {
        self.task.abort();
        // Aborted is what it should be.
        drop((&mut self.task).await);
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    seen: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Script>,
) {
    let mut buffer = Vec::new();
    while let Some(asked) = read_request(&mut stream, &mut buffer, connection).await {
        seen.lock().unwrap().push(asked.clone());
        let (pieces, close) = match script(&asked) {
            Answer::Pieces(pieces) => (pieces, false),
            Answer::PiecesThenClose(pieces) => (pieces, true),
            Answer::HangUp => return,
            Answer::Silence => std::future::pending().await,
        };
        for (pause, bytes) in pieces {
            tokio::time::sleep(pause).await;
            if stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
        if close {
            return;
        }
    }
}

/// Reads one request with a length, a chunked body, or none.
async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    connection: usize,
) -> Option<Asked> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let value = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut body = Vec::new();
    if value("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
        loop {
            let end = loop {
                if let Some(end) = find(buffer, b"\r\n") {
                    break end;
                }
                more(stream, buffer).await?;
            };
            let size = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
            while buffer.len() < end + 2 + size + 2 {
                more(stream, buffer).await?;
            }
            body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
            buffer.drain(..end + 2 + size + 2);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = value("content-length").and_then(|v| v.parse().ok()) {
        while buffer.len() < length {
            more(stream, buffer).await?;
        }
        body = buffer.drain(..length).collect();
    }
    Some(Asked { line, headers, body, connection })
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 * 1024];
    match stream.read(&mut chunk).await {
        Ok(n) if n > 0 => {
            buffer.extend_from_slice(&chunk[..n]);
            Some(())
        }
        _ => None,
    }
}
