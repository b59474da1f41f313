//! Edits of signal weights carried into what was learned before, on a thread of its own.
//!
//! In: the rules, as they are swapped, and the profiles that a start has read back. Out: profiles
//! whose last events weigh what the rules say now, counted. After a start nobody has described the
//! products yet, so that events wait for facts, at longer and longer intervals; the last time what is
//! still unknown moves in the product alone. Beside it: what shoppers took back without waiting for
//! the disk goes from there within a second.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::observe::Observer;
use crate::preferences::reweigh::Unknown;
use crate::reload::RulesTable;
use crate::rules::HalfLives;

/// Between two looks at what shoppers took back.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// The first wait for facts after a start; each further one is twice as long.
const FACTS_FIRST: Duration = Duration::from_secs(60);
/// How often facts are waited for: the last time is two hours after the start.
const FACTS_TIMES: u32 = 7;

/// Weighs anew.
pub(super) struct Reweigh {
    rules: Arc<RulesTable>,
    observer: Arc<Observer>,
    edited: Arc<Notify>,
}

impl Reweigh {
    /// Hears of every edit from now on.
    pub(super) fn new(rules: Arc<RulesTable>, observer: Arc<Observer>) -> Self {
        let edited = Arc::<Notify>::default();
        let told = edited.clone();
        rules.on_change(move |_| told.notify_one());
        Self { rules, observer, edited }
    }

    /// True where something waits for facts.
    fn sweep(&self, half_life: &HalfLives, unknown: Unknown) -> bool {
        let (moved, waiting) = self.observer.reweigh(half_life, unknown);
        if moved > 0 {
            tracing::info!(moved, waiting, "profiles follow an edit of signal weights");
        }
        waiting > 0
    }

    fn settle(&self, failed: &mut bool) {
        if let Err(error) = self.observer.settle() {
            if !*failed {
                tracing::error!(%error, "what shoppers took back is still on the disk");
            }
            *failed = true;
        } else {
            *failed = false;
        }
    }
}

#[async_trait]
impl BackgroundService for Reweigh {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut before = self.rules.load();
        let mut ticks = interval(SETTLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failed, mut times) = (false, 0);
        let mut again = self
            .sweep(&before.half_life, Unknown::Waits)
            .then(|| (Instant::now() + FACTS_FIRST, FACTS_FIRST));
        loop {
            let due = again.map(|(at, _)| at);
            tokio::select! {
                () = self.edited.notified() => {
                    let now = self.rules.load();
                    if now.signal_weights != before.signal_weights {
                        self.sweep(&before.half_life, Unknown::ProductAlone);
                        again = None;
                    }
                    before = now;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    times += 1;
                    let last = times >= FACTS_TIMES;
                    let unknown = if last { Unknown::ProductAlone } else { Unknown::Waits };
                    let waits = self.sweep(&before.half_life, unknown);
                    again = again.filter(|_| waits).map(|(at, wait)| (at + wait * 2, wait * 2));
                }
                _ = ticks.tick() => self.settle(&mut failed),
                _ = shutdown.changed() => return self.settle(&mut failed),
            }
        }
    }
}
