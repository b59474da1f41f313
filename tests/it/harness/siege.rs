//! What a flood may not do: other requests go on while it lasts, memory stays under the mark, the
//! limit that stops it is named once, and afterwards all is as it was.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::client::get;
use super::sidecar::{Builder, Sidecar};
use super::wire::Wire;

/// What a besieged sidecar is allowed, of which the hard mark is 95 percent.
const MEMORY_BYTES: u64 = 256 << 20;
/// No ordinary request may take longer, on a busy machine and in an unoptimised build.
const SLOW: Duration = Duration::from_secs(5);

/// A sidecar with the mark and these limits (flow YAML), which ranks.
pub fn besieged(upstream: impl ToString, limits: &str) -> Builder {
    besieged_within(MEMORY_BYTES, upstream, limits)
}

/// The same with so much memory.
pub fn besieged_within(bytes: u64, upstream: impl ToString, limits: &str) -> Builder {
    let memory = format!("memory_bytes_max: {bytes}, hold_ms: 10000, rank_us: 1000000");
    Sidecar::before(upstream).settings(&format!("mode: on\nlimits: {{{memory}, {limits}}}"))
}

/// Ordinary requests beside a flood: `GET /calm`, which the shop answers with `calm`.
pub struct Siege {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    asking: JoinHandle<Duration>,
}

impl Siege {
    /// Begins to ask, on fresh connections and on one that stays.
    pub fn of(sidecar: &Sidecar) -> Self {
        let over = Arc::<AtomicBool>::default();
        let answered = Arc::<AtomicUsize>::default();
        let asking = tokio::spawn(ask_on(sidecar.data, over.clone(), answered.clone()));
        Self { over, answered, asking }
    }

    /// Waits until so many more were answered.
    pub async fn goes_on(&self, more: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + more;
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.answered.load(Ordering::Relaxed) < wanted {
            assert!(!self.asking.is_finished(), "the other requests broke down");
            assert!(Instant::now() < deadline, "the other requests stand still");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The flood is over: nothing failed, memory kept under the mark, `limit` was named at most
    /// once, and the sidecar serves.
    pub async fn withstood(self, sidecar: &Sidecar, limit: Option<&str>) {
        self.goes_on(5).await;
        self.over.store(true, Ordering::Relaxed);
        let slowest = self.asking.await.expect("every other request was answered");
        let peak = sidecar.peak_memory();
        let mark = sidecar.metric("leafrank_memory_limit_bytes").await as u64 / 100 * 95;
        println!(
            "{:?}: {} others answered, slowest {slowest:?}, peak {} MiB",
            std::thread::current().name().unwrap_or(""),
            self.answered.load(Ordering::Relaxed),
            peak >> 20
        );
        assert!(slowest < SLOW, "another request took {slowest:?}");
        assert!(peak < mark, "{peak} bytes of memory at the peak");
        if let Some(limit) = limit {
            let name = format!("leafrank_limit_hits_total{{limit=\"{limit}\"}}");
            assert!(sidecar.metric(&name).await >= 1.0, "{limit} was never reached");
            let said = sidecar.log().matches(&format!("limits.{limit}")).count();
            assert_eq!(said, 1, "{limit} in the log");
        }
        assert_eq!(get(sidecar.data, "/calm").await.text(), "calm");
    }
}

async fn ask_on(
    address: SocketAddr,
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut kept = Wire::to(address).await;
    while !over.load(Ordering::Relaxed) {
        let started = Instant::now();
        assert_eq!(get(address, "/calm").await.text(), "calm");
        slowest = slowest.max(started.elapsed());
        let started = Instant::now();
        kept.send("GET /calm HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(kept.reply().await.text(), "calm");
        slowest = slowest.max(started.elapsed());
        answered.fetch_add(2, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slowest
}
