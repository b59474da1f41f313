//! Does the shop accept connections, does Weaviate? Asked off the request path, for `/readyz`.
//!
//! In: an upstream's addresses. Out: one atomic answer a leg. A connection is opened and closed again every
//! [`EVERY`], TCP or unix socket, no TLS and no request; an upstream is down when none of its
//! addresses took one for [`DOWN_AFTER`]. Before the first answer it counts as down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use crate::config::{LegName, Settings, Upstream, UpstreamAddress};

/// Between two questions while it answers.
const EVERY: Duration = Duration::from_secs(2);
/// And while it does not, so that its return is seen soon.
const EVERY_WHILE_DOWN: Duration = Duration::from_millis(250);
/// A restart of the shop's listener is shorter; a balancer should not turn away for less.
const DOWN_AFTER: Duration = Duration::from_secs(5);

/// What is known of the upstreams of all legs.
#[derive(Debug)]
pub struct Reaches(Vec<Reach>);

impl Reaches {
    /// Knows nothing yet: `up` is what is said until somebody has asked.
    pub fn new(settings: &Settings, up: bool) -> Self {
        Self(settings.legs().iter().map(|leg| Reach::new(leg.upstream, up)).collect())
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Reach> {
        self.0.iter()
    }

    /// Is there no readiness without the upstream of `leg`?
    pub fn decides(&self, leg: LegName) -> bool {
        leg == LegName::Shop || self.0.iter().all(|reach| reach.leg != LegName::Shop)
    }

    /// The upstream for want of which we are not ready. With a shop it is the shop alone: what asks
    /// `/readyz` sends shoppers, and a Weaviate that is gone must not keep them from its pages.
    pub fn missing(&self) -> Option<LegName> {
        self.0.iter().find(|reach| self.decides(reach.leg) && !reach.is_up()).map(Reach::leg)
    }
}

/// What is known of one upstream.
#[derive(Debug)]
pub struct Reach {
    leg: LegName,
    addresses: Vec<UpstreamAddress>,
    connect_timeout: Duration,
    up: AtomicBool,
}

impl Reach {
    /// Knows nothing yet: `up` is what is said until somebody has asked.
    fn new(upstream: &Upstream, up: bool) -> Self {
        Self {
            leg: upstream.leg,
            addresses: upstream.addresses.clone(),
            connect_timeout: upstream.connect_timeout,
            up: AtomicBool::new(up),
        }
    }

    /// Whose upstream it is.
    pub fn leg(&self) -> LegName {
        self.leg
    }

    /// Did it accept a connection lately?
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Asks for ever; tells `changed` the first answer and each that is another than before: `None`
    /// when it accepts connections, else why it does not.
    pub async fn watch(&self, changed: impl Fn(Option<&str>)) {
        let mut accepted: Option<Instant> = None;
        let mut told = None;
        loop {
            let refused = self.accepts().await.err();
            if refused.is_none() {
                accepted = Some(Instant::now());
            }
            let up = accepted.is_some_and(|at| at.elapsed() < DOWN_AFTER);
            self.up.store(up, Ordering::Release);
            if told.replace(up) != Some(up) {
                changed(refused.as_deref().filter(|_| !up));
            }
            tokio::time::sleep(if refused.is_none() { EVERY } else { EVERY_WHILE_DOWN }).await;
        }
    }

    /// Does any address accept a connection? If none does: why the last one did not.
    async fn accepts(&self) -> Result<(), String> {
        let mut refused = Ok(());
        for address in &self.addresses {
            let connect = async {
                match address {
                    UpstreamAddress::Tcp { host, port } => {
                        TcpStream::connect((host.as_str(), *port)).await.map(drop)
                    }
                    UpstreamAddress::Unix(path) => UnixStream::connect(path).await.map(drop),
                }
            };
            refused = match tokio::time::timeout(self.connect_timeout, connect).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => Err(format!("{address}: {error}")),
                Err(_) => Err(format!("{address}: no answer in time")),
            };
        }
        refused
    }
}
