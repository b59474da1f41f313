//! What became of one search, told to people: to whoever taps the live stream, and to whoever asked
//! for an explanation and comes back for it.
//!
//! In: searches as they end. Out: a bounded stream and a bounded memory of the last explained ones.
//! Costs one atomic load where nobody listens. Names the shopper by a short digest alone.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::explain::Explained;
use crate::types::ids::QueryId;

/// Explained searches that are kept.
const KEPT_MAX: usize = 512;
/// Searches that a slow listener may be behind; then it misses some and is told how many.
const BEHIND_MAX: usize = 256;
/// Listeners at a time.
const LISTENERS_MAX: usize = 8;

/// One search, as it ended.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Told {
    /// Its name, as in the reply's `X-Leafrank: query=`.
    pub query: String,
    /// When it ended, in ms since the epoch.
    pub at_ms: i64,
    /// The route.
    pub route: String,
    /// Its mode for this request.
    pub mode: crate::config::Mode,
    /// What was searched for.
    pub text: Arc<str>,
    /// Who asked, as a digest.
    pub shopper: Option<String>,
    /// Version of the rules.
    pub rules: Arc<str>,
    /// `reranked` or `bypass`.
    pub outcome: &'static str,
    /// Why the shop's order went out, then.
    pub reason: Option<&'static str>,
    /// Hits that moved, or would have moved in shadow mode.
    pub moved: usize,
    /// Own computation, in µs.
    pub us: u64,
    /// Each list's hits in their new order; empty where the reply was not ranked.
    pub lists: Vec<Vec<Explained>>,
}

/// Who is told.
pub(super) struct Audience {
    live: broadcast::Sender<Arc<Told>>,
    kept: Mutex<VecDeque<(QueryId, Arc<Told>)>>,
}

impl Default for Audience {
    fn default() -> Self {
        Self { live: broadcast::Sender::new(BEHIND_MAX), kept: Mutex::default() }
    }
}

impl Audience {
    /// Does anybody listen to the live stream?
    pub(super) fn listens(&self) -> bool {
        self.live.receiver_count() > 0
    }

    /// A place in the audience; `None` when it is full.
    pub(super) fn join(&self) -> Option<broadcast::Receiver<Arc<Told>>> {
        (self.live.receiver_count() < LISTENERS_MAX).then(|| self.live.subscribe())
    }

    /// Tells it to the listeners, and keeps it where somebody will ask.
    pub(super) fn tell(&self, id: QueryId, told: Told, keep: bool) {
        let told = Arc::new(told);
        if keep {
            let mut kept = self.kept.lock();
            kept.truncate(KEPT_MAX - 1);
            kept.push_front((id, told.clone()));
        }
        // Nobody listening is no error.
        let _ = self.live.send(told);
    }

    /// A search that somebody wanted explained.
    pub(super) fn kept(&self, id: QueryId) -> Option<Arc<Told>> {
        let kept = self.kept.lock();
        kept.iter().find(|(kept, _)| *kept == id).map(|(_, told)| told.clone())
    }
}
