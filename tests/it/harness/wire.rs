//! One connection that stays: bytes out as given, replies back one by one.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{PATIENCE, Reply, find, parse};

/// An HTTP/1.1 connection seen from the client.
pub struct Wire<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("connect"))
    }

    /// Closes with a reset, as a browser tab that goes away does.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("linger");
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Speaks over a stream that is there.
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("write");
    }

    /// Sends these bytes if the peer still takes them.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Reads a reply's head, without its body.
    pub async fn head(&mut self) -> Reply {
        self.try_head().await.expect("a reply's head")
    }

    /// Reads a reply's head; `None` when the peer ends before it is whole.
    pub async fn try_head(&mut self) -> Option<Reply> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Some(parse(&head, true));
            }
            self.more().await?;
        }
    }

    /// Reads a whole reply with a length or chunks.
    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("a whole reply")
    }

    /// Reads a whole reply; `None` when the peer ends before it is whole.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        let mut reply = self.try_head().await?;
        if reply.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await? {
                reply.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().expect("a length");
            reply.body = self.exactly(length).await?;
        }
        Some(reply)
    }

    /// The next chunk of a chunked body: outer `None` = broken off, inner `None` = the end.
    pub async fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                break end;
            }
            self.more().await?;
        };
        let size = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
        self.exactly(end + 2).await?;
        let chunk = self.exactly(size).await?;
        self.exactly(2).await?;
        Some((size > 0).then_some(chunk))
    }

    /// The next `length` bytes.
    pub async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// True when the peer closes within `wait` and says nothing more before.
    pub async fn closes_within(&mut self, wait: Duration) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(wait, self.stream.read(&mut byte)).await;
        self.buffer.is_empty() && matches!(read, Ok(Ok(0) | Err(_)))
    }

    async fn more(&mut self) -> Option<()> {
        let mut chunk = [0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut chunk)).await;
        match read.expect("bytes within the patience of a test") {
            Ok(n) if n > 0 => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Some(())
            }
            _ => None,
        }
    }
}
