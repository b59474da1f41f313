//! Who follows which shopper's profile, as it changes.
//!
//! In: changes, as they are learned. Out: each to those who listen to its shopper; one who does not
//! keep up misses some and is told how many. Costs one atomic load where nobody listens. Bounded:
//! `listeners_max` at a time, [`BEHIND_MAX`] changes a listener.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::types::clock::Timestamp;
use crate::types::ids::SubjectKey;

/// Changes that a slow listener may be behind.
pub const BEHIND_MAX: usize = 32;

/// What was learned of one shopper at once.
#[derive(Clone, Debug)]
pub struct Change {
    /// When, in event time.
    pub at: Timestamp,
    /// The product of the interaction; `None` where two profiles became one.
    pub product: Option<Arc<str>>,
    /// Kinds of signals by their key in the rules, each with its weight.
    pub signals: Vec<(&'static str, f32)>,
    /// What the shopper said themselves of one facet, where that is the change.
    pub said: Option<Said>,
}

/// A shopper's own word on one facet.
#[derive(Clone, Debug)]
pub struct Said {
    /// The facet's axis.
    pub axis: &'static str,
    /// Its value.
    pub value: Arc<str>,
    /// `pin`, `mute`, `forget` or `clear`.
    pub action: &'static str,
}

/// Who listens.
pub struct Feeds {
    senders: Mutex<HashMap<SubjectKey, broadcast::Sender<Arc<Change>>>>,
    listeners: AtomicUsize,
    listeners_max: usize,
}

/// A place among the listeners, until it is dropped.
pub struct Listening {
    feeds: Arc<Feeds>,
    subject: SubjectKey,
    changes: Option<broadcast::Receiver<Arc<Change>>>,
}

impl Feeds {
    /// Nobody listens yet.
    pub fn new(listeners_max: usize) -> Self {
        Self { senders: Mutex::default(), listeners: AtomicUsize::new(0), listeners_max }
    }

    /// Changes of this shopper from now on; `None` when too many listen already.
    pub fn listen(self: &Arc<Self>, subject: SubjectKey) -> Option<Listening> {
        let mut senders = self.senders.lock();
        if self.listeners.load(Ordering::Acquire) >= self.listeners_max {
            return None;
        }
        let sender = senders.entry(subject).or_insert_with(|| broadcast::Sender::new(BEHIND_MAX));
        let changes = Some(sender.subscribe());
        self.listeners.fetch_add(1, Ordering::AcqRel);
        Some(Listening { feeds: self.clone(), subject, changes })
    }

    /// Tells a change to whoever listens to this shopper.
    pub fn tell(&self, subject: SubjectKey, change: impl FnOnce() -> Change) {
        if self.listeners.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some(sender) = self.senders.lock().get(&subject) {
            // Nobody listening any more is no error.
            let _ = sender.send(Arc::new(change()));
        }
    }

    /// Listeners at the moment.
    pub fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Acquire)
    }
}

impl Listening {
    /// The next change; `Err` with how many were missed by one who is too slow, or nothing at the end.
    ///
    /// # Errors
    /// See above.
    pub async fn next(&mut self) -> Result<Arc<Change>, Option<u64>> {
        let Some(changes) = &mut self.changes else { return Err(None) };
        changes.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(missed) => Some(missed),
            broadcast::error::RecvError::Closed => None,
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut senders = self.feeds.senders.lock();
        self.changes = None;
        if senders.get(&self.subject).is_some_and(|sender| sender.receiver_count() == 0) {
            senders.remove(&self.subject);
        }
        self.feeds.listeners.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: SubjectKey = SubjectKey(1);

    fn change() -> Change {
        Change { at: Timestamp(1), product: None, signals: Vec::new(), said: None }
    }

    #[tokio::test]
    async fn a_change_reaches_those_who_listen_to_its_shopper_and_nobody_else() {
        let feeds = Arc::new(Feeds::new(10));
        let (mut ada, mut other) =
            (feeds.listen(ADA).unwrap(), feeds.listen(SubjectKey(2)).unwrap());
        feeds.tell(ADA, change);
        assert_eq!(ada.next().await.unwrap().at, Timestamp(1));
        assert!(other.changes.as_mut().unwrap().try_recv().is_err());
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_much_was_missed() {
        let feeds = Arc::new(Feeds::new(10));
        let mut slow = feeds.listen(ADA).unwrap();
        for _ in 0..BEHIND_MAX + 5 {
            feeds.tell(ADA, change);
        }
        assert_eq!(slow.next().await.unwrap_err(), Some(5));
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let feeds = Arc::new(Feeds::new(2));
        let held: Vec<_> = (0..2).map(|_| feeds.listen(ADA).unwrap()).collect();
        assert!(feeds.listen(ADA).is_none());
        drop(held);
        assert_eq!((feeds.listeners(), feeds.senders.lock().len()), (0, 0));
        assert!(feeds.listen(ADA).is_some());
        let mut told = false;
        Feeds::new(1).tell(ADA, || {
            told = true;
            change()
        });
        assert!(!told, "where nobody listens nothing is made");
    }
}
