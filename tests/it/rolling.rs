//! Two sidecars behind a real balancer: restarted, upgraded and rolled back under load, one after
//! the other. No request fails and no reply is cut.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::fixtures::leafloaf;
use crate::harness::personal::{request, teach};
use crate::harness::shopper::{MILKS, eventually, milk_shop, shelf};
use crate::harness::sidecar::free_ports;
use crate::harness::{Reply, Shop, Sidecar, Wire, get};

/// HAProxy, which asks `/readyz` and repeats nothing that was sent.
struct Balancer {
    address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Balancer {
    /// `None`, with the reason printed, where there is no HAProxy.
    fn before(sidecars: [(SocketAddr, SocketAddr); 2]) -> Option<Self> {
        if Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_err() {
            eprintln!("skipped: there is no haproxy");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let [address] = free_ports();
        let servers: Vec<String> = sidecars
            .iter()
            .enumerate()
            .map(|(number, (data, ops))| {
                format!(
                    "  server s{number} {data} check port {} inter 100ms fall 1 rise 1",
                    ops.port()
                )
            })
            .collect();
        let text = format!(
            "global\n  maxconn 500\ndefaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  \
             timeout server 30s\n  timeout check 5s\n  retries 0\nlisten leafrank\n  bind {address}\n  balance roundrobin\n  \
             option httpchk GET /readyz\n{}\n",
            servers.join("\n")
        );
        let file = directory.path().join("haproxy.cfg");
        std::fs::write(&file, text).unwrap();
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { address, child, _directory: directory })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the clients saw.
#[derive(Default)]
struct Tally {
    over: AtomicBool,
    answered: AtomicUsize,
    failed: std::sync::Mutex<Vec<String>>,
}

/// Whole and right: the shop's bytes, or its hits in another order.
fn is_good(reply: &Reply) -> bool {
    let own = leafloaf(&MILKS);
    if reply.status != 200 || reply.body.len() != own.len() {
        return false;
    }
    let mut skus = reply.skus();
    skus.sort();
    reply.body == own || skus == shelf()
}

async fn ask_on(address: SocketAddr, keep: bool, tally: Arc<Tally>) {
    let search = request("ann", "");
    let mut kept: Option<Wire> = None;
    while !tally.over.load(Ordering::Relaxed) {
        let mut wire = match kept.take() {
            Some(wire) => wire,
            None => Wire::over(TcpStream::connect(address).await.expect("the balancer")),
        };
        let sent = wire.try_send(&search).await.is_ok();
        match if sent { wire.try_reply().await } else { None } {
            Some(reply) if is_good(&reply) => {
                tally.answered.fetch_add(1, Ordering::Relaxed);
                if keep && reply.header("connection") != Some("close") {
                    kept = Some(wire);
                }
            }
            other => tally.failed.lock().unwrap().push(format!("{other:?}")),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const OLD: &str = "mode: on\nshutdown: {lame_duck_ms: 2000, drain_ms: 5000}";
const NEW: &str = "mode: shadow\nholdout: 0.5\nshutdown: {lame_duck_ms: 2000, drain_ms: 5000}";

async fn start(shop: &Shop, ports: (SocketAddr, SocketAddr), settings: &str) -> Sidecar {
    let rules = if settings == OLD { "ranking: {impact: 60}\n" } else { "enabled: false\n" };
    let builder = Sidecar::before(shop.address).settings(settings).rules(rules);
    let sidecar = builder.data_port(ports.0.port()).ops_port(ports.1.port()).start().await;
    teach(&sidecar, "ann", "M5").await;
    sidecar
}

/// The balancer sends it searches.
async fn is_asked(sidecar: &Sidecar) {
    eventually("the balancer asks it", || async {
        get(sidecar.ops, "/metrics").await.text().lines().any(|line| {
            line.starts_with("leafrank_requests_total{status=\"2xx\"} ")
                && line.rsplit(' ').next().is_some_and(|n| n.parse::<f64>().unwrap_or(0.0) > 20.0)
        })
    })
    .await;
}

#[tokio::test]
async fn restart_upgrade_and_rollback_under_load_lose_no_request() {
    let shop = milk_shop().await;
    let ports = free_ports::<4>();
    let ports = [(ports[0], ports[1]), (ports[2], ports[3])];
    let Some(balancer) = Balancer::before(ports) else { return };
    let mut sidecars = [start(&shop, ports[0], OLD).await, start(&shop, ports[1], OLD).await];
    eventually("the balancer serves", || async {
        TcpStream::connect(balancer.address).await.is_ok()
            && get(balancer.address, "/api/v1/search").await.status == 200
    })
    .await;
    let tally = Arc::<Tally>::default();
    let mut clients = JoinSet::new();
    for n in 0..8 {
        clients.spawn(ask_on(balancer.address, n < 6, tally.clone()));
    }
    for settings in [OLD, NEW, OLD] {
        for (sidecar, ports) in sidecars.iter_mut().zip(ports) {
            is_asked(sidecar).await;
            sidecar.terminate();
            assert_eq!(sidecar.ended(Duration::from_secs(15)).await, Some(0));
            *sidecar = start(&shop, ports, settings).await;
            is_asked(sidecar).await;
        }
    }
    tally.over.store(true, Ordering::Relaxed);
    clients.join_all().await;
    let answered = tally.answered.load(Ordering::Relaxed);
    let failed = tally.failed.lock().unwrap();
    println!("six restarts: {answered} answered, {} failed", failed.len());
    assert!(failed.is_empty(), "{} of {answered}: {failed:#?}", failed.len());
    assert!(answered > 300, "{answered}");
}
