//! The event log and what it is sent to, put together.
//!
//! In: settings and the data directory. Out: a spool that the read path, the write path and the API
//! hand rows to, and the embedded sink behind it. A data directory that cannot be written is no reason
//! not to serve: then there is no log, and metrics and the log's line say so. One that another process
//! has is: two processes must not share one.

use std::io;
use std::sync::Arc;

use super::StartError;
use crate::config::Settings;
use crate::sink::parquet::{self, Parquet};
use crate::sink::{self, Running};
use crate::spool::{OpenError, Owned, Spool};
use crate::telemetry::metrics::Metrics;
use crate::types::clock::Clock;

/// The log, before anything is sent.
pub(super) struct Log {
    spool: Arc<Spool>,
    sink: Parquet,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

/// The log at work; ends with everything on the disk.
pub(super) struct Logging {
    spool: Arc<Spool>,
    sink: Running,
}

impl Log {
    /// Opens it where the settings want one.
    ///
    /// # Errors
    /// Another process has the directory.
    pub(super) fn open(
        settings: &Settings,
        metrics: &Arc<Metrics>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, StartError> {
        let Some(wanted) = &settings.spool else { return Ok(None) };
        let opened = match Spool::own(&settings.data_dir) {
            Ok(owned) => Self::opened(settings, owned, metrics, clock).map_err(|e| e.to_string()),
            Err(taken @ OpenError::Taken { .. }) => return Err(taken.into()),
            Err(error @ OpenError::Failed { .. }) => Err(error.to_string()),
        };
        metrics.degraded.with_label_values(&["no_event_log"]).set(i64::from(opened.is_err()));
        match opened {
            Ok(log) => {
                tracing::info!(bytes_max = wanted.bytes_max, "events are written down in data_dir");
                Ok(Some(log))
            }
            Err(error) => {
                tracing::error!(
                    error,
                    "there is no event log: nothing is kept of events and decisions"
                );
                Ok(None)
            }
        }
    }

    fn opened(
        settings: &Settings,
        owned: Owned,
        metrics: &Arc<Metrics>,
        clock: &Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let wanted = settings.spool.clone();
        let wanted = wanted.ok_or_else(|| io::Error::other("spool.enabled is false"))?;
        let directory = parquet::directory(&settings.data_dir);
        let sink = Parquet::open(directory, wanted.clone(), clock.clone())?;
        let (metrics, clock) = (metrics.clone(), clock.clone());
        let known = (&[parquet::NAME][..], sink.last()?);
        let spool = Spool::open(owned, wanted, known, (metrics.clone(), clock.clone()))?;
        sink.settle(&spool)?;
        Ok(Self { spool: Arc::new(spool), sink, metrics, clock })
    }

    pub(super) fn spool(&self) -> Arc<Spool> {
        self.spool.clone()
    }

    /// Begins to send.
    pub(super) fn start(self) -> Option<Logging> {
        let Self { spool, sink, metrics, clock } = self;
        match sink::run(sink, spool.clone(), metrics, clock) {
            Ok(sink) => Some(Logging { spool, sink }),
            Err(error) => {
                tracing::error!(%error, "rows stay in the event log: there is no thread to send them");
                None
            }
        }
    }
}

impl Logging {
    /// Writes what is queued, sends it, and lets the directory go.
    pub(super) fn end(self) {
        self.spool.flush();
        self.sink.end();
        self.spool.end();
    }
}
