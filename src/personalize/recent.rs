//! The last real searches, kept so that an edit of the rules can be tried on them.
//!
//! In: lists as they were ranked, or would be. Out: of each what a ranking needs: the query's words as
//! typed, the hits with score, price and stock, and whose profile ranks them, as a hash. Never a name
//! or an id of a shopper, and no copy of a profile: that is looked up anew, so that whoever is
//! forgotten, opts out or takes a consent back is gone from here at once. A search that tells of
//! religion, health or intimacy is kept only of shoppers who allowed that.
//!
//! Bounded in number, bytes, and searches a second. Keeping never waits: where somebody else has the
//! lock, the search is not kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::fail_open::FailOpen;
use super::{Personalizer, Search, Treatment};
use crate::config::{Preview, ScoreBetter, UpstreamOrder};
use crate::rules::knowledge::Knowledge;
use crate::types::clock::Timestamp;
use crate::types::ids::{ProductKey, SubjectKey};
use crate::types::product::{Axis, ProductFacts, normalise};
use crate::wire::HitList;

/// Longest query that is kept, in bytes: longer ones are typed by programs.
const QUERY_BYTES_MAX: usize = 256;

/// Bits of [`Recent::second`] that count.
const COUNT_BITS: u32 = 20;

/// One search.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) shopper: SubjectKey,
    /// Something was known of the shopper.
    pub(super) known: bool,
    pub(super) at: Timestamp,
    pub(super) query: Box<str>,
    pub(super) hits: Box<[KeptHit]>,
    /// The products' ids, one behind the other.
    ids: Box<str>,
    pub(super) upstream: UpstreamOrder,
    pub(super) score_better: Option<ScoreBetter>,
    /// It tells of religion, health or intimacy.
    pub(super) sensitive: bool,
}

/// One hit of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptHit {
    pub(super) product: ProductKey,
    id_end: u32,
    /// Its reply said more than its id.
    pub(super) described: bool,
    pub(super) sponsored: bool,
    pub(super) in_stock: Option<bool>,
    pub(super) price: Option<f32>,
    pub(super) score: Option<f64>,
}

impl Kept {
    /// The product's id at an old position.
    pub(super) fn id(&self, old: usize) -> &str {
        let end = |at: usize| self.hits.get(at).map_or(0, |hit| hit.id_end as usize);
        let start = old.checked_sub(1).map_or(0, end);
        self.ids.get(start..end(old)).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        // and the two counts of its `Arc`
        size_of::<Self>()
            + size_of_val::<[KeptHit]>(&self.hits)
            + self.query.len()
            + self.ids.len()
            + 3 * size_of::<usize>()
    }
}

/// The last searches.
pub(super) struct Recent {
    limits: Preview,
    /// The second in which one was kept last, and how many were in it.
    second: AtomicU64,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    searches: VecDeque<Arc<Kept>>,
    bytes: usize,
}

impl Recent {
    pub(super) fn new(limits: Preview) -> Self {
        Self { limits, second: AtomicU64::default(), ring: Mutex::default() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.limits.is_on()
    }

    /// May one more search of this second be kept?
    fn admits(&self, now_us: u64) -> bool {
        if !self.is_on() {
            return false;
        }
        // one more than since the start, so that nothing is of second 0
        let second = now_us / 1_000_000 + 1;
        let counted = |word: u64| match word >> COUNT_BITS == second {
            true if word & ((1 << COUNT_BITS) - 1) >= self.limits.per_second_max => None,
            true => Some(word + 1),
            false => Some(second << COUNT_BITS | 1),
        };
        self.second.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).is_ok()
    }

    fn push(&self, kept: Kept) {
        let bytes = kept.bytes();
        if bytes > self.limits.bytes_max {
            return;
        }
        let kept = Arc::new(kept);
        let Some(mut ring) = self.ring.try_lock() else { return };
        let full = |ring: &Ring| {
            ring.searches.len() >= self.limits.searches_max
                || ring.bytes + bytes > self.limits.bytes_max
        };
        while full(&ring) {
            let Some(oldest) = ring.searches.pop_front() else { break };
            ring.bytes -= oldest.bytes();
        }
        ring.bytes += bytes;
        ring.searches.push_back(kept);
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Kept>> {
        self.ring.lock().searches.iter().cloned().collect()
    }

    /// Keeps only those for which `keep` holds.
    pub(super) fn retain(&self, keep: impl Fn(&Kept) -> bool) {
        let mut ring = self.ring.lock();
        ring.searches.retain(|kept| keep(kept));
        ring.bytes = ring.searches.iter().map(|kept| kept.bytes()).sum();
    }
}

impl Personalizer {
    /// Keeps a list that rules decide about.
    pub(super) fn keep_search(
        &self,
        search: &Search,
        list: &HitList<'_>,
        facts: &[Arc<ProductFacts>],
    ) {
        let further_page = || {
            let page = search.searches.as_ref().and_then(|searches| searches.page(list));
            page.is_some_and(|page| page.first > 0)
        };
        let (Some(shopper), true) = (search.shopper, is_decided_by_rules(search)) else { return };
        let query = search.query_of(list);
        if query.len() > QUERY_BYTES_MAX
            || list.hits.len() < 2
            || further_page()
            || !self.recent.admits(self.clock.monotonic_us())
        {
            return;
        }
        let sensitive = is_sensitive(query, facts, &self.rules.load().knowledge);
        if sensitive && !self.allows(search) {
            return;
        }
        let mut ids = String::new();
        let hits = list.hits.iter().zip(facts).map(|(hit, facts)| {
            ids.push_str(&hit.id);
            KeptHit {
                product: facts.key,
                id_end: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                described: !facts.name.is_empty() || !facts.facets.is_empty(),
                sponsored: hit.sponsored,
                in_stock: hit.in_stock,
                price: hit.price,
                score: hit.score,
            }
        });
        let hits = hits.collect();
        self.recent.push(Kept {
            shopper,
            known: search.known,
            at: self.clock.now(),
            query: query.into(),
            hits,
            ids: ids.into(),
            upstream: search.plan.route.upstream,
            score_better: search.plan.route.score_better,
            sensitive,
        });
    }
}

/// Do rules decide about the order of this search, or would they but for a mode or a switch?
fn is_decided_by_rules(search: &Search) -> bool {
    let would = match search.treatment() {
        Treatment::Rank => true,
        Treatment::Look(why) => matches!(
            why,
            FailOpen::Shadow | FailOpen::NoEvidence | FailOpen::SwitchedOff | FailOpen::NoRules
        ),
        Treatment::Pass(_) => false,
    };
    would && search.heard && !search.rests_on_moved()
}

/// Does what was searched for, or most of what was found, tell of religion, health or intimacy?
pub(super) fn is_sensitive(
    query: &str,
    facts: &[Arc<ProductFacts>],
    knowledge: &Knowledge,
) -> bool {
    let telling = facts.iter().filter(|facts| facts.sensitive).count();
    let text = normalise(query);
    let attributes = || knowledge.query_attributes(&text).into_iter().map(normalise);
    telling * 2 >= facts.len()
        || knowledge.is_sensitive(std::iter::once(&*text), Some(&text))
        || attributes().any(|name| knowledge.is_sensitive_facet(Axis::Attribute, &name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(shopper: u128, hits: usize) -> Kept {
        let ids: Vec<String> = (0..hits).map(|hit| format!("sku-{hit}")).collect();
        let mut end = 0;
        let hits = ids.iter().map(|id| {
            end += id.len() as u32;
            KeptHit {
                product: ProductKey::of(id),
                id_end: end,
                described: true,
                sponsored: false,
                in_stock: None,
                price: None,
                score: None,
            }
        });
        Kept {
            shopper: SubjectKey(shopper),
            known: true,
            at: Timestamp(0),
            query: "milk".into(),
            hits: hits.collect(),
            ids: ids.concat().into(),
            upstream: UpstreamOrder::Ranked,
            score_better: None,
            sensitive: false,
        }
    }

    fn recent(searches_max: usize, bytes_max: usize, per_second_max: u64) -> Recent {
        Recent::new(Preview { searches_max, bytes_max, per_second_max })
    }

    fn shoppers(recent: &Recent) -> Vec<u128> {
        recent.all().iter().map(|kept| kept.shopper.0).collect()
    }

    #[test]
    fn the_oldest_searches_go_when_there_are_too_many_or_too_many_bytes_of_them() {
        let by_number = recent(3, 1 << 20, 20);
        (0..5).for_each(|shopper| by_number.push(kept(shopper, 4)));
        assert_eq!(shoppers(&by_number), [2, 3, 4]);
        let one = kept(0, 4).bytes();
        let by_bytes = recent(100, 2 * one, 20);
        (0..5).for_each(|shopper| by_bytes.push(kept(shopper, 4)));
        assert_eq!(shoppers(&by_bytes), [3, 4]);
        assert!(by_bytes.ring.lock().bytes <= 2 * one);
        by_bytes.push(kept(9, 1_000));
        assert_eq!(shoppers(&by_bytes), [3, 4], "one that is larger than all of it is not kept");
    }

    #[test]
    fn whoever_is_forgotten_leaves_nothing_and_their_bytes_are_free_again() {
        let recent = recent(10, 1 << 20, 20);
        [1, 2, 1, 3].into_iter().for_each(|shopper| recent.push(kept(shopper, 4)));
        recent.retain(|kept| kept.shopper != SubjectKey(1));
        assert_eq!(shoppers(&recent), [2, 3]);
        assert_eq!(recent.ring.lock().bytes, 2 * kept(2, 4).bytes());
    }

    #[test]
    fn of_a_seconds_searches_only_so_many_are_kept_and_none_where_it_is_off() {
        let busy = recent(10, 1 << 20, 2);
        let admitted =
            |second: u64| (0..50).filter(|us| busy.admits(second * 1_000_000 + us)).count();
        assert_eq!((admitted(0), admitted(1), admitted(1)), (2, 2, 0));
        assert!(!recent(0, 1 << 20, 2).admits(0) && !recent(10, 0, 2).admits(0));
    }

    #[test]
    fn nobody_waits_for_whoever_reads_them() {
        let recent = recent(10, 1 << 20, 2);
        let reading = recent.ring.lock();
        recent.push(kept(1, 4));
        drop(reading);
        assert!(shoppers(&recent).is_empty());
    }

    #[test]
    fn a_products_id_is_found_again_by_its_place() {
        let kept = kept(1, 12);
        assert_eq!((kept.id(0), kept.id(1), kept.id(11)), ("sku-0", "sku-1", "sku-11"));
        assert_eq!(kept.id(12), "");
    }

    #[test]
    fn what_is_searched_for_may_tell_as_much_as_what_is_found() {
        let knowledge = Knowledge::shipped();
        let sensitive =
            |query: &str| is_sensitive(query, &facts(&[false, false, true]), &knowledge);
        for query in ["pregnancy test", "halal chicken", "Kosher chicken", "red wine"] {
            assert!(sensitive(query), "{query}");
        }
        assert!(!sensitive("milk") && !sensitive(""));
        assert!(is_sensitive("milk", &facts(&[true, true, false]), &knowledge));
    }

    fn facts(sensitive: &[bool]) -> Vec<Arc<ProductFacts>> {
        let one = |sensitive: &bool| {
            let plain = crate::preferences::testing::facts("1", "x", "a/b", &[]);
            Arc::new(ProductFacts { sensitive: *sensitive, ..plain })
        };
        sensitive.iter().map(one).collect()
    }
}
