//! What was learned, kept on disk: read before anybody is served, written now and then, and at the end.
//!
//! In: the store and `data_dir`. Out: a file, a line in the log where something is wrong, and the
//! metrics. Written on a thread of its own, which no request waits for. A disk that does not take the
//! file costs what is learned since the last one should the process end, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::Settings;
use crate::observe::{self, Observer};
use crate::store::Store;
use crate::store::snapshot::{Found, SET_ASIDE_FILE, Snapshots};
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;

/// Keeps.
pub(super) struct Keep {
    snapshots: Snapshots,
    store: Arc<Store>,
    every: Duration,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// The thread that does; it ends, with a last file, when this is told to.
pub(super) struct Keeping {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Keep {
    /// Takes in what was kept, where the settings say that anything is.
    pub(super) fn restored(
        settings: &Settings,
        (store, observer): (&Arc<Store>, &Arc<Observer>),
        (metrics, clock): (&Arc<Metrics>, &Arc<dyn Clock>),
    ) -> Option<Self> {
        let every = settings.store.snapshot?;
        let (data_dir, store) = (&settings.data_dir, store.clone());
        let (metrics, clock) = (metrics.clone(), clock.clone());
        let snapshots = Snapshots::new(data_dir, store.clone()).with(observe::kept(observer));
        let started_us = clock.monotonic_us();
        match snapshots.restore() {
            Found::Nothing => tracing::info!("no profiles are kept in data_dir yet"),
            Found::Restored => {
                let took_ms = clock.monotonic_us().saturating_sub(started_us) / 1_000;
                tracing::info!(
                    profiles = store.shoppers.profiles(),
                    took_ms,
                    "profiles are restored"
                );
            }
            Found::SetAside(reason) => tracing::error!(
                %reason,
                set_aside_as = %data_dir.join(SET_ASIDE_FILE).display(),
                "the kept profiles cannot be used; all begin anew"
            ),
        }
        Some(Self { snapshots, store, every, metrics, clock })
    }

    /// Begins to write.
    pub(super) fn start(self) -> std::io::Result<Keeping> {
        let (end, told) = mpsc::channel();
        let run = move || {
            let mut failed = false;
            while told.recv_timeout(self.every) == Err(RecvTimeoutError::Timeout) {
                let write =
                    || self.note(self.snapshots.write_if_changed().map(|l| l.is_some()), failed);
                // A fault of ours must not end the keeping.
                failed = catch_unwind(AssertUnwindSafe(write)).unwrap_or(true);
            }
            if !self.note(self.snapshots.write().map(|_| true), false) {
                tracing::info!(profiles = self.store.shoppers.profiles(), "profiles are kept");
            }
        };
        let thread = std::thread::Builder::new().name("keep".into()).spawn(run)?;
        Ok(Keeping { end, thread })
    }

    /// Counts an outcome; a disk that goes on failing is told of once. True when it failed.
    fn note(&self, written: std::io::Result<bool>, failed_before: bool) -> bool {
        let outcome = match &written {
            Ok(false) => return false,
            Ok(true) => "written",
            Err(_) => "failed",
        };
        self.metrics.snapshots.with_label_values(&[outcome]).inc();
        match written {
            Ok(_) => self.metrics.snapshot_timestamp_seconds.set(self.clock.now().0 / 1_000),
            Err(error) if !failed_before => tracing::warn!(
                %error,
                "profiles cannot be kept on disk: a restart would forget what was learned since"
            ),
            Err(_) => {}
        }
        outcome == "failed"
    }
}

impl Keeping {
    /// Writes the last file and waits for it.
    pub(super) fn end(self) {
        drop(self.end);
        if self.thread.join().is_err() {
            tracing::error!(
                "the thread that keeps profiles panicked: the last file on disk is older"
            );
        }
    }
}
