//! Records of nearly any length in pages of one length: what a table of profiles lies in.
//!
//! In: a record of up to [`RECORD_MAX`] bytes. Out: a handle to it. Records are sorted into classes by
//! length, 16 bytes apart (and one for long ones), each class a dense row of places in its own pages:
//! a record that goes is replaced by the last of its class, so that pages never have holes and what is
//! freed is really free. Pages are shared by `Arc` and copied when written to while somebody else
//! holds them: so a whole slab can be frozen in microseconds and read at leisure.
//!
//! A page with its counts is 16 KiB: the allocator has a class for that and wastes nothing.

use std::sync::Arc;

/// Bytes of a page with the counts of its `Arc`.
pub(super) const PAGE_BYTES: usize = 16 * 1024;
/// Bytes of a page for records.
const ROOM: usize = PAGE_BYTES - 16;
/// Classes are so many bytes apart.
const STEP: usize = 16;
/// Bytes of the longest record but those of the last class: sixteen a page.
const SMALL_MAX: usize = 1_008;
/// Bytes of the longest record: four a page.
pub(super) const RECORD_MAX: usize = 4_080;
/// A class a step, and the last one.
const CLASSES: usize = SMALL_MAX / STEP + 1;
/// Bits of a handle that are the place in its class.
const PLACE_BITS: u32 = 25;

/// Where a record is; another one is there once a record of the class has gone. Two halves, so that
/// an index of handles has no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle([u16; 2]);

#[derive(Clone)]
struct Page([u8; ROOM]);

/// The rows of records.
#[derive(Clone)]
pub(super) struct Slab {
    classes: Vec<Class>,
    records: usize,
    pages: usize,
}

#[derive(Clone)]
struct Class {
    /// Bytes of a place.
    size: usize,
    pages: Vec<Arc<Page>>,
    /// Places taken, from the first on.
    records: usize,
}

impl Handle {
    fn of(class: usize, place: usize) -> Option<Self> {
        let place = u32::try_from(place).ok().filter(|place| place >> PLACE_BITS == 0)?;
        let bits = (class as u32) << PLACE_BITS | place;
        Some(Self([bits as u16, (bits >> 16) as u16]))
    }

    fn bits(self) -> usize {
        usize::from(self.0[0]) | usize::from(self.0[1]) << 16
    }

    fn class(self) -> usize {
        self.bits() >> PLACE_BITS
    }

    fn place(self) -> usize {
        self.bits() & ((1 << PLACE_BITS) - 1)
    }
}

/// The class of records so long; too long ones have none.
fn class_of(bytes: usize) -> Option<usize> {
    match bytes {
        _ if bytes <= SMALL_MAX => Some(bytes.div_ceil(STEP).saturating_sub(1)),
        _ if bytes <= RECORD_MAX => Some(CLASSES - 1),
        _ => None,
    }
}

/// How much of so many bytes the first record should take.
pub(super) fn piece(bytes: usize) -> usize {
    match bytes {
        _ if bytes <= SMALL_MAX => bytes,
        _ if bytes < RECORD_MAX => SMALL_MAX,
        _ => RECORD_MAX,
    }
}

impl Slab {
    pub(super) fn new() -> Self {
        let sizes = (1..CLASSES).map(|class| class * STEP).chain([RECORD_MAX]);
        let classes = sizes.map(|size| Class { size, pages: Vec::new(), records: 0 });
        Self { classes: classes.collect(), records: 0, pages: 0 }
    }

    /// Records in it.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Pages in it, each [`PAGE_BYTES`] and a pointer.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// True when a record so long takes no further page.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        class_of(bytes).is_some_and(|class| !self.classes[class].is_full())
    }

    /// The record's place: its bytes, and zeros up to the length of its class.
    pub(super) fn get(&self, handle: Handle) -> Option<&[u8]> {
        let class = self.classes.get(handle.class())?;
        (handle.place() < class.records).then(|| class.get(handle.place()))
    }

    /// Writes over a record if the new one is of its class.
    pub(super) fn replace(&mut self, handle: Handle, record: &[u8]) -> bool {
        let class = handle.class();
        let same = class_of(record.len()) == Some(class);
        if same {
            self.classes[class].write(handle.place(), record);
        }
        same
    }

    /// Puts a record of up to [`RECORD_MAX`] bytes; `None` where a class is full beyond all handles.
    pub(super) fn put(&mut self, record: &[u8]) -> Option<Handle> {
        let index = class_of(record.len())?;
        let class = &mut self.classes[index];
        let handle = Handle::of(index, class.records)?;
        if class.is_full() {
            class.pages.push(Arc::new(Page([0; ROOM])));
            self.pages += 1;
        }
        class.records += 1;
        self.records += 1;
        class.write(handle.place(), record);
        Some(handle)
    }

    /// Takes a record out. If another one had to move, it is at `handle` now.
    pub(super) fn remove(&mut self, handle: Handle) -> bool {
        let class = &mut self.classes[handle.class()];
        if handle.place() >= class.records {
            return false;
        }
        let last = class.records - 1;
        let moved = last != handle.place();
        if moved {
            let record: [u8; RECORD_MAX] = {
                let mut copy = [0; RECORD_MAX];
                copy[..class.size].copy_from_slice(class.get(last));
                copy
            };
            let size = class.size;
            class.write(handle.place(), &record[..size]);
        }
        class.records = last;
        self.records -= 1;
        let needed = last.div_ceil(class.places());
        self.pages -= class.pages.len() - needed;
        class.pages.truncate(needed);
        moved
    }

    /// The handle of the `number`-th record, counted through the classes.
    pub(super) fn nth(&self, mut number: usize) -> Option<Handle> {
        for (index, class) in self.classes.iter().enumerate() {
            if number < class.records {
                return Handle::of(index, number);
            }
            number -= class.records;
        }
        None
    }

    /// All places, class by class.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.classes.iter().flat_map(|class| (0..class.records).map(|place| class.get(place)))
    }
}

impl Class {
    /// Places a page.
    fn places(&self) -> usize {
        ROOM / self.size
    }

    fn is_full(&self) -> bool {
        self.records == self.pages.len() * self.places()
    }

    fn get(&self, place: usize) -> &[u8] {
        let start = place % self.places() * self.size;
        &self.pages[place / self.places()].0[start..start + self.size]
    }

    fn write(&mut self, place: usize, record: &[u8]) {
        let (page, start) = (place / self.places(), place % self.places() * self.size);
        let to = &mut Arc::make_mut(&mut self.pages[page]).0[start..start + self.size];
        let (bytes, rest) = to.split_at_mut(record.len());
        bytes.copy_from_slice(record);
        rest.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_page_and_its_counts_are_16_kib() {
        assert_eq!(size_of::<Page>() + 2 * size_of::<usize>(), PAGE_BYTES);
        assert_eq!((ROOM / SMALL_MAX, ROOM / RECORD_MAX), (16, 4));
    }

    #[test]
    fn what_is_frozen_stays_as_it_was_while_records_come_and_go() {
        let mut slab = Slab::new();
        let first = slab.put(b"first").unwrap();
        slab.put(b"second").unwrap();
        let frozen = slab.clone();
        assert!(slab.replace(first, b"other"));
        slab.remove(first);
        assert_eq!(frozen.iter().map(|r| r[0]).collect::<Vec<_>>(), *b"fs");
        assert_eq!(slab.iter().map(|r| r[0]).collect::<Vec<_>>(), *b"s");
    }

    proptest! {
        #[test]
        fn pages_hold_what_was_put_and_no_more_than_needed(
            steps in prop::collection::vec((0..3_u8, 1..RECORD_MAX, any::<usize>()), 1..300),
        ) {
            let mut slab = Slab::new();
            let mut model: Vec<Vec<u8>> = Vec::new();
            for (step, length, pick) in steps {
                let record = vec![(length % 251) as u8 + 1; length];
                if step == 0 && !model.is_empty() {
                    let handle = slab.nth(pick % slab.records()).unwrap();
                    let gone = slab.get(handle).unwrap().to_vec();
                    slab.remove(handle);
                    let at = model.iter().position(|r| gone.starts_with(r)
                        && gone[r.len()..].iter().all(|b| *b == 0));
                    model.swap_remove(at.unwrap());
                } else {
                    let handle = slab.put(&record).unwrap();
                    prop_assert!(slab.get(handle).unwrap().starts_with(&record));
                    model.push(record);
                }
                prop_assert_eq!(slab.records(), model.len());
            }
            let mut found: Vec<Vec<u8>> = slab.iter().map(<[u8]>::to_vec).collect();
            found.iter_mut().for_each(|r| {
                let end = r.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
                r.truncate(end);
            });
            found.sort();
            model.sort();
            prop_assert_eq!(&found, &model);
            let mut needed = [0; CLASSES];
            model.iter().for_each(|r| needed[class_of(r.len()).unwrap()] += 1);
            let pages = (0..CLASSES).map(|c| usize::div_ceil(needed[c], slab.classes[c].places()));
            prop_assert_eq!(slab.pages(), pages.sum::<usize>());
        }
    }
}
