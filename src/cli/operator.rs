//! What an operator asks of a running sidecar over its admin port.
//!
//! In: where the port is and the operators' token, from the settings or by flags. Out: replies,
//! whole or line by line. Bounded in time and size; says what to do when nobody answers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::environment;
use crate::border::ADMIN_TOKEN_FILE;
use crate::config::{Settings, SettingsText};

/// A reply's head must be there within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest whole reply, and longest line of a stream, in bytes.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Which sidecar, and who asks.
#[derive(Args)]
pub(super) struct Operator {
    /// The settings that the sidecar runs with: tells port and token.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its admin port [default: as the settings say, 127.0.0.1:9901 without any].
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<SocketAddr>,
    /// The file with the operators' token [default: as the settings say].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Asks one sidecar.
pub(super) struct Asking {
    client: Client<HttpConnector, Full<Bytes>>,
    admin: SocketAddr,
    token: Result<String, String>,
}

impl Operator {
    pub(super) fn asking(&self) -> anyhow::Result<Asking> {
        let settings = self.settings()?;
        let admin = self.admin.or(settings.listen.admin);
        let admin = admin.context("listen.admin is null: there is no port to ask")?;
        let file = self.token_file.clone().or(settings.trust.admin_token_file);
        let file = file.unwrap_or_else(|| settings.data_dir.join(ADMIN_TOKEN_FILE));
        let token = match std::fs::read_to_string(&file) {
            Ok(text) => text
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned)
                .ok_or_else(|| format!("no token in {}", file.display())),
            Err(error) => Err(format!("no token: {}: {error}", file.display())),
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Asking { client, admin, token })
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let file = self.config.as_ref().map(|path| path.display().to_string());
        let text = match &self.config {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("{}: cannot be read", path.display()))?,
            None => String::new(),
        };
        let environment = environment();
        let text = SettingsText {
            file: file.as_deref(),
            text: &text,
            environment: &environment,
            flags: &[],
        };
        Settings::parse(&text).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", lines.join("\n"))
        })
    }
}

impl Asking {
    /// A whole JSON reply.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
    ) -> anyhow::Result<T> {
        let body = Limited::new(self.ask(path).await?, REPLY_BYTES_MAX).collect();
        let body = tokio::time::timeout(PATIENCE, body).await.context("the reply does not end")?;
        let body = body.map_err(|error| anyhow::anyhow!("{path}: {error}"))?.to_bytes();
        serde_json::from_slice(&body).with_context(|| format!("{path}: not what was expected"))
    }

    /// Hands each line of an endless reply to `take`, until that says `false` or the reply ends.
    pub(super) async fn lines(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut body = self.ask(path).await?;
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.context("the stream broke off")?.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = memchr::memchr(b'\n', &rest) {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if !take(&line[..end])? {
                    return Ok(());
                }
            }
            if rest.len() > REPLY_BYTES_MAX {
                bail!("{path}: a line of more than {REPLY_BYTES_MAX} bytes");
            }
        }
        Ok(())
    }

    /// Posts a body and gives the whole JSON reply, whatever its status is. An answer that takes its
    /// time may take `patience`.
    pub(super) async fn post(
        &self,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> anyhow::Result<(StatusCode, serde_json::Value)> {
        let (status, reply) = self.send((Method::POST, path), body, patience).await?.into_parts();
        let body = Limited::new(reply, REPLY_BYTES_MAX).collect();
        let body = tokio::time::timeout(PATIENCE, body).await.context("the reply does not end")?;
        let body = body.map_err(|error| anyhow::anyhow!("{path}: {error}"))?.to_bytes();
        let json = serde_json::from_slice(&body);
        Ok((status.status, json.with_context(|| format!("{path}: {}", status.status))?))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Incoming> {
        let reply = self.send((Method::GET, path), Bytes::new(), PATIENCE).await?;
        match reply.status() {
            status if status.is_success() => Ok(reply.into_body()),
            status => bail!("{}{path}: {status}", self.admin),
        }
    }

    /// A reply's head; one that says that we are no operator is an error.
    async fn send(
        &self,
        (method, path): (Method, &str),
        body: Bytes,
        patience: Duration,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.admin));
        if let Ok(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let asked = self.client.request(request.body(Full::new(body))?);
        let reply = tokio::time::timeout(patience, asked).await;
        let reply = reply.with_context(|| format!("{} does not answer", self.admin))?;
        let reply = reply.with_context(|| {
            format!("{}: no sidecar answers there; --admin or --config says where", self.admin)
        })?;
        if reply.status() == StatusCode::UNAUTHORIZED {
            match &self.token {
                Ok(_) => bail!("{}: the token is not one of this sidecar's operators", self.admin),
                Err(why) => bail!("{why}; --token-file or --config says where it is"),
            }
        }
        Ok(reply)
    }
}
