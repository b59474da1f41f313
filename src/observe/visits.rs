//! What shoppers did last: their lists, carts and open questions, until a restart and after it.
//!
//! ```text
//! VISI  layout u8 · rows of: key 16 B · length u32 · lists · view · told · unbought · cart · conduct
//! DOUB  layout u8 · parts u8 · part u8 · ids and presses, the oldest first
//! ```
//!
//! In: acts of one subject at a time; sections of a snapshot. Out: the other. At most `recent_max`
//! subjects and `doubles_max` events, in memory and on disk. Written of a subject is only what may be
//! kept of it: nobody who opted out, nothing of sensitive products unless allowed; and taken back is
//! nothing from before an erasure. A layout of another version is skipped, bytes behind what a row
//! holds are left unread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use quick_cache::sync::Cache;

use super::{DOUBLES_PARTS, Observer};
use crate::signals::cart::Cart;
use crate::signals::conduct::Conduct;
use crate::signals::dwell::LastView;
use crate::signals::unbought::Unbought;
use crate::signals::{RecentLists, Told};
use crate::store::consent::Standing;
use crate::store::snapshot::file::{Sections, Tag};
use crate::store::snapshot::{Kept, SECTION_BYTES, flush};
use crate::types::bytes::{Reader, put_row};
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductKey, SubjectKey};

/// Of both sections.
const LAYOUT: u8 = 1;

/// What a shopper did last.
#[derive(Default)]
pub(super) struct Visit {
    pub(super) recent: RecentLists,
    pub(super) view: Option<LastView>,
    pub(super) told: Told,
    pub(super) unbought: Unbought,
    pub(super) cart: Cart,
    pub(super) conduct: Conduct,
}

/// All visits.
pub(super) struct Visits {
    by_subject: Cache<SubjectKey, Arc<Mutex<Visit>>>,
    changes: AtomicU64,
}

impl Visits {
    /// Room for so many.
    pub(super) fn new(visits_max: usize) -> Self {
        Self { by_subject: Cache::new(visits_max.max(1)), changes: AtomicU64::new(0) }
    }

    /// To look at one.
    pub(super) fn get(&self, shopper: &SubjectKey) -> Option<Arc<Mutex<Visit>>> {
        self.by_subject.get(shopper)
    }

    /// To change one: begun if there is none.
    pub(super) fn open(&self, shopper: SubjectKey) -> Arc<Mutex<Visit>> {
        self.changed();
        if let Some(visit) = self.get(&shopper) {
            return visit;
        }
        let visit = Arc::<Mutex<Visit>>::default();
        self.by_subject.insert(shopper, visit.clone());
        visit
    }

    /// Takes one out.
    pub(super) fn remove(&self, shopper: &SubjectKey) -> Option<Arc<Mutex<Visit>>> {
        let (_, visit) = self.by_subject.remove(shopper)?;
        self.changed();
        Some(visit)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Visit {
    fn keep(&self, lists_since: Timestamp, tells: &dyn Fn(ProductKey) -> bool, out: &mut Vec<u8>) {
        self.recent.keep(lists_since, tells, out);
        let view = self.view.as_ref().filter(|view| tells(view.product.key()));
        out.push(u8::from(view.is_some()));
        view.into_iter().for_each(|view| view.keep(out));
        self.told.keep(out);
        self.unbought.keep(tells, out);
        self.cart.keep(tells, out);
        self.conduct.keep(out);
    }

    fn read(mut from: Reader<'_>) -> Option<Self> {
        Some(Self {
            recent: RecentLists::read(&mut from)?,
            view: if from.byte()? == 0 { None } else { Some(LastView::read(&mut from)?) },
            told: Told::read(&mut from)?,
            unbought: Unbought::read(&mut from)?,
            cart: Cart::read(&mut from)?,
            conduct: Conduct::read(&mut from)?,
        })
    }

    /// Forgets what is from a time that is not admitted.
    fn keep_to(&mut self, standing: Standing) {
        if standing.erased_at.is_none() {
            return;
        }
        let admits = |at| standing.admits(at);
        self.recent.retain(admits);
        self.view = self.view.take().filter(|view| admits(view.at));
        self.told.retain(admits);
        self.unbought.retain(admits);
        self.cart.retain(admits);
        if !admits(self.conduct.began()) {
            self.conduct = Conduct::default();
        }
    }

    /// Nothing to keep: its lists explain no click any more, and there is nothing else.
    fn is_over(&self, now: Timestamp, lists_since: Timestamp) -> bool {
        self.recent.newest().is_none_or(|list| list.at <= lists_since)
            && self.view.is_none()
            && self.unbought.is_empty()
            && self.cart.is_empty()
            && self.conduct.is_over(now)
    }
}

/// What the snapshot keeps of the write path.
pub fn kept(observer: &Arc<Observer>) -> Vec<Box<dyn Kept + Send + Sync>> {
    vec![Box::new(KeptVisits(observer.clone())), Box::new(KeptDoubles(observer.clone()))]
}

struct KeptVisits(Arc<Observer>);

impl Kept for KeptVisits {
    fn tag(&self) -> Tag {
        *b"VISI"
    }

    fn changes(&self) -> u64 {
        self.0.visits.changes.load(Ordering::Relaxed)
    }

    fn save(&self, to: &mut dyn Sections) -> io::Result<()> {
        let Observer { store, rules, .. } = &*self.0;
        let list_ms = i64::from(rules.load().thresholds.list_seconds) * 1_000;
        let now = self.0.now();
        let lists_since = Timestamp(now.0.saturating_sub(list_ms));
        let harmless = |key| !store.catalog.get(key).is_some_and(|facts| facts.sensitive);
        let mut rows = Vec::with_capacity(SECTION_BYTES);
        for (shopper, visit) in self.0.visits.by_subject.iter() {
            let standing = store.consents.of(shopper);
            let visit = visit.lock();
            if !standing.personalization || visit.is_over(now, lists_since) {
                continue;
            }
            if rows.is_empty() {
                rows.push(LAYOUT);
            }
            let tells = |key| standing.sensitive || harmless(key);
            rows.extend(shopper.0.to_le_bytes());
            put_row(&mut rows, |out| visit.keep(lists_since, &tells, out));
            drop(visit);
            if rows.len() >= SECTION_BYTES {
                flush(&mut rows, to)?;
            }
        }
        flush(&mut rows, to)
    }

    fn load(&self, section: &[u8]) -> bool {
        let mut from = Reader::new(section);
        if from.byte() != Some(LAYOUT) {
            return true;
        }
        let consents = &self.0.store.consents;
        while !from.is_empty() {
            let key = from.array().map(|key| SubjectKey(u128::from_le_bytes(key)));
            let visit = from.row().and_then(Visit::read);
            let (Some(key), Some(mut visit)) = (key, visit) else { return false };
            let standing = consents.of(key);
            if standing.personalization || consents.is_unreadable() {
                visit.keep_to(standing);
                self.0.visits.by_subject.insert(key, Arc::new(Mutex::new(visit)));
            }
        }
        true
    }

    fn forget(&self) {
        self.0.visits.by_subject.clear();
    }
}

struct KeptDoubles(Arc<Observer>);

impl Kept for KeptDoubles {
    fn tag(&self) -> Tag {
        *b"DOUB"
    }

    fn save(&self, to: &mut dyn Sections) -> io::Result<()> {
        for (part, doubles) in self.0.doubles.iter().enumerate() {
            let mut section = vec![LAYOUT, DOUBLES_PARTS as u8, part as u8];
            let doubles = doubles.lock();
            if doubles.sizes() != (0, 0) {
                doubles.keep(&mut section);
                drop(doubles);
                to.section(&section)?;
            }
        }
        Ok(())
    }

    fn load(&self, section: &[u8]) -> bool {
        let mut from = Reader::new(section);
        let head = (from.byte(), from.byte().map(usize::from), from.byte());
        let (Some(LAYOUT), Some(DOUBLES_PARTS), Some(part)) = head else { return true };
        let doubles = self.0.doubles.get(usize::from(part));
        doubles.is_some_and(|doubles| doubles.lock().restore(&mut from))
    }

    fn forget(&self) {
        self.0.doubles.iter().for_each(|doubles| doubles.lock().clear());
    }
}

#[cfg(test)]
mod tests;
