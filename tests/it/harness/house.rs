//! The demo shop with a sidecar before it that may be ended in the middle of a story.
//!
//! A story says where it may be interrupted; whether it is, and how, is said by whoever has it told.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;

use super::client::Reply;
use super::shopper::{Shopper, eventually};
use super::sidecar::Sidecar;

/// What happens to the process in the middle of a story.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// Nothing.
    Spared,
    /// It is asked to end, as Kubernetes does.
    Terminated,
    /// It is killed, after a snapshot.
    Killed,
}

/// The ways to be interrupted.
pub const INTERRUPTED: [Fate; 2] = [Fate::Terminated, Fate::Killed];

/// A shop and a sidecar that comes back on the same `data_dir`.
pub struct House {
    shop: SocketAddr,
    settings: String,
    state: tempfile::TempDir,
    fate: Fate,
    sidecar: Option<Sidecar>,
}

impl House {
    /// The demo shop on a free port, and the sidecar before it in this mode.
    pub async fn open(mode: &str, fate: Fate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shop = listener.local_addr().unwrap();
        let catalog = leafrank::demo::Catalog::ours();
        tokio::spawn(leafrank::demo::serve(catalog, listener, std::future::pending()));
        let state = tempfile::tempdir().unwrap();
        let seconds = if fate == Fate::Killed { 1 } else { 3_600 };
        let settings = format!(
            "mode: {mode}\npresets: [leafloaf, demo]\ndata_dir: {}\nstore: {{snapshot_seconds: {seconds}}}",
            state.path().display()
        );
        let mut house = Self { shop, settings, state, fate, sidecar: None };
        house.start().await;
        house
    }

    /// The process that runs now.
    pub fn sidecar(&self) -> &Sidecar {
        self.sidecar.as_ref().expect("a running sidecar")
    }

    /// Somebody at it.
    pub fn shopper<'a>(&'a self, name: &'a str) -> Shopper<'a> {
        Shopper::of(self.sidecar(), name)
    }

    /// A place at which the process may end and come back.
    pub async fn pause(&mut self) {
        match self.fate {
            Fate::Spared => return,
            Fate::Terminated => {
                let mut sidecar = self.sidecar.take().expect("a running sidecar");
                sidecar.terminate();
                assert_eq!(sidecar.ended(Duration::from_secs(20)).await, Some(0));
            }
            Fate::Killed => {
                self.snapshot().await;
                self.sidecar = None;
            }
        }
        let kept = self.state.path().join("profiles.snapshot");
        assert!(kept.exists(), "{}", kept.display());
        self.start().await;
    }

    async fn start(&mut self) {
        self.sidecar = Some(Sidecar::before(self.shop).settings(&self.settings).start().await);
    }

    /// Waits until all that happened so far is in a snapshot: the second from now on began after it,
    /// and none is written without a change.
    async fn snapshot(&self) {
        const WRITTEN: &str = "leafrank_snapshots_total{outcome=\"written\"}";
        let before = self.sidecar().metric(WRITTEN).await;
        eventually("two snapshots are written", || async {
            self.shopper("somebody-else").tracks("click", "nothing-on-any-shelf").await;
            self.sidecar().metric(WRITTEN).await >= before + 2.0
        })
        .await;
    }
}

/// Mean place of these products among the hits.
pub fn mean_place(reply: &Reply, of: &HashSet<String>) -> f64 {
    let hits = reply.skus().into_iter().enumerate();
    let places: Vec<f64> =
        hits.filter(|(_, sku)| of.contains(sku)).map(|(place, _)| place as f64).collect();
    assert!(!places.is_empty(), "the list has some");
    places.iter().sum::<f64>() / places.len() as f64
}
