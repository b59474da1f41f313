//! The catalogue as sections of the snapshot.
//!
//! ```text
//! CATA  layout u8 · version of the knowledge u64 · digest of this program's version u64 · rows of:
//!       length u32 · 'p' product | 'n' name of a facet | 'l' price level of a category · its fields
//! ```
//!
//! In: the catalogue, or sections. Out: the other. Facts that another version of this program made
//! are used until the product is described again, and then made anew. A layout of another version is
//! skipped; so are rows of a kind that is not known, and bytes behind a row's fields.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use super::{Catalog, Entry, PriceLevel};
use crate::store::snapshot::file::{Sections, Tag};
use crate::store::snapshot::{Kept, SECTION_BYTES, flush};
use crate::types::bytes::{Reader, put_bytes, put_facet, put_number, put_product, put_row};
use crate::types::ids::ProductKey;
use crate::types::product::{FacetKey, ProductFacts};

const LAYOUT: u8 = 1;
const PRODUCT: u8 = b'p';
const NAME: u8 = b'n';
const LEVEL: u8 = b'l';

const SENSITIVE: u8 = 1;
const PRICED: u8 = 2;
const CATEGORISED: u8 = 4;

/// No description has it, or one in 2⁶⁴: what has it is described anew.
const OUTDATED: u64 = 0;

impl Kept for Catalog {
    fn tag(&self) -> Tag {
        *b"CATA"
    }

    fn save(&self, to: &mut dyn Sections) -> io::Result<()> {
        let mut head = vec![LAYOUT];
        head.extend(self.knowledge.load(Ordering::Relaxed).to_le_bytes());
        head.extend(program().to_le_bytes());
        let mut rows = Rows { head: &head, rows: Vec::with_capacity(SECTION_BYTES), to };
        for (facet, name) in self.names.iter() {
            rows.put(NAME, |out| {
                put_facet(out, facet);
                put_bytes(out, name.as_bytes());
            })?;
        }
        for (category, level) in self.levels.iter() {
            let PriceLevel { weight, mean, variance } = *level.lock();
            rows.put(LEVEL, |out| {
                put_facet(out, category);
                [weight, mean, variance].iter().for_each(|number| out.extend(number.to_le_bytes()));
            })?;
        }
        for (_, entry) in self.products.iter() {
            rows.put(PRODUCT, |out| entry.keep(out))?;
        }
        flush(&mut rows.rows, rows.to)
    }

    fn load(&self, section: &[u8]) -> bool {
        let mut from = Reader::new(section);
        if from.byte() != Some(LAYOUT) {
            return true;
        }
        let (Some(knowledge), Some(program)) = (from.u64(), from.u64()) else { return false };
        self.knowledge.store(knowledge, Ordering::Relaxed);
        let is_ours = program == self::program();
        while !from.is_empty() {
            if from.row().and_then(|row| self.take(row, is_ours)).is_none() {
                return false;
            }
        }
        true
    }

    fn forget(&self) {
        self.products.clear();
        self.names.clear();
        self.levels.clear();
        self.knowledge.store(0, Ordering::Relaxed);
    }
}

impl Catalog {
    fn take(&self, mut row: Reader<'_>, is_ours: bool) -> Option<()> {
        match row.byte()? {
            PRODUCT => {
                let (key, entry) = Entry::read(&mut row)?;
                let digest = if is_ours { entry.digest } else { OUTDATED };
                self.products.insert(key, Entry { digest, ..entry });
            }
            NAME => self.names.insert(row.facet()?, Arc::from(row.text()?)),
            LEVEL => {
                let category = row.facet()?;
                let (weight, mean, variance) = (row.finite()?, row.finite()?, row.finite()?);
                let level = PriceLevel { weight, mean, variance };
                self.levels.insert(category, Arc::new(Mutex::new(level)));
            }
            _ => {}
        }
        Some(())
    }
}

/// Other code may make other facts of the same description.
fn program() -> u64 {
    xxh3_64(env!("CARGO_PKG_VERSION").as_bytes())
}

/// Rows on their way into sections, each of which begins with the same head.
struct Rows<'a> {
    head: &'a [u8],
    rows: Vec<u8>,
    to: &'a mut dyn Sections,
}

impl Rows<'_> {
    fn put(&mut self, kind: u8, fields: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        if self.rows.is_empty() {
            self.rows.extend(self.head);
        }
        put_row(&mut self.rows, |out| {
            out.push(kind);
            fields(out);
        });
        let full = self.rows.len() >= SECTION_BYTES;
        if full { flush(&mut self.rows, self.to) } else { Ok(()) }
    }
}

impl Entry {
    fn keep(&self, out: &mut Vec<u8>) {
        let Self { digest, said, facts } = self;
        put_product(out, facts.key);
        out.extend(digest.to_le_bytes());
        let flags = [
            (facts.sensitive, SENSITIVE),
            (facts.price.is_some(), PRICED),
            (facts.category.is_some(), CATEGORISED),
        ];
        out.push(*said);
        out.push(flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag).sum());
        facts.price.into_iter().for_each(|price| out.extend(price.to_le_bytes()));
        facts.category.into_iter().for_each(|category| put_facet(out, category));
        put_bytes(out, facts.name.as_bytes());
        for facets in [&facts.facets, &facts.sizes] {
            put_number(out, facets.len());
            facets.iter().for_each(|facet| put_facet(out, *facet));
        }
        put_number(out, facts.terms.len());
        facts.terms.iter().for_each(|term| out.extend(term.to_le_bytes()));
    }

    fn read(from: &mut Reader<'_>) -> Option<(ProductKey, Self)> {
        let (key, digest) = (from.product()?, from.u64()?);
        let (said, flags) = (from.byte()?, from.byte()?);
        let price = if flags & PRICED == 0 { None } else { Some(from.finite()?) };
        let category = if flags & CATEGORISED == 0 { None } else { Some(from.facet()?) };
        let facts = ProductFacts {
            key,
            name: from.text()?.into(),
            facets: facets(from)?,
            sizes: facets(from)?,
            category,
            price,
            terms: from.list(Reader::u32)?.into(),
            sensitive: flags & SENSITIVE != 0,
        };
        Some((key, Self { digest, said, facts: Arc::new(facts) }))
    }
}

fn facets(from: &mut Reader<'_>) -> Option<Box<[FacetKey]>> {
    Some(from.list(Reader::facet)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::knowledge::Knowledge;
    use crate::types::product::Axis;
    use crate::wire::{HitView, Words};

    fn hit(id: &str, name: &str, price: f32) -> HitView<'static> {
        let read = Words {
            name: Some(name.to_owned().into()),
            category: Some("Dairy/Milk".into()),
            brand: Some("Minor".into()),
            ..Words::default()
        };
        HitView { id: id.to_owned().into(), read, price: Some(price), ..HitView::default() }
    }

    fn catalog(knowledge: &Knowledge) -> Catalog {
        let catalog = Catalog::new(1_000);
        for n in 0..20 {
            let price = 2.0 + 0.1 * n as f32;
            catalog.describe(&hit(&n.to_string(), "Oat Milk 0.5 gal", price), knowledge);
        }
        catalog
    }

    #[derive(Default)]
    struct Written(Vec<Vec<u8>>);

    impl Sections for Written {
        fn section(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.push(bytes.to_vec());
            Ok(())
        }
    }

    fn written(catalog: &Catalog) -> Vec<u8> {
        let mut to = Written::default();
        catalog.save(&mut to).unwrap();
        to.0.concat()
    }

    #[test]
    fn facts_names_and_price_levels_are_known_again_and_not_made_anew() {
        let knowledge = Knowledge::shipped();
        let before = catalog(&knowledge);
        let after = Catalog::new(1_000);
        assert!(after.load(&written(&before)));
        assert_eq!(after.products(), 20);
        let key = ProductKey::of("7");
        let facts = after.get(key).unwrap();
        assert_eq!(facts, before.get(key).unwrap());
        let name = after.name(FacetKey::of(Axis::Brand, "minor"));
        assert_eq!(name.as_deref(), Some("minor"));
        let again = after.describe(&hit("7", "Oat Milk 0.5 gal", 2.0 + 0.1 * 7.0), &knowledge);
        assert!(Arc::ptr_eq(&facts, &again), "the description is known");
        let dear = after.describe(&hit("dear", "Oat Milk", 12.0), &knowledge);
        assert!(dear.has(FacetKey::of(Axis::PriceTier, "premium")), "usual prices are known");
        after.forget();
        assert!(
            after.get(key).is_none() && after.name(FacetKey::of(Axis::Brand, "minor")).is_none()
        );
    }

    #[test]
    fn facts_of_another_version_of_the_program_serve_until_the_product_is_described_again() {
        let knowledge = Knowledge::shipped();
        let mut section = written(&catalog(&knowledge));
        section[9] ^= 1;
        let after = Catalog::new(1_000);
        assert!(after.load(&section));
        let facts = after.get(ProductKey::of("7")).unwrap();
        let again = after.describe(&hit("7", "Oat Milk 0.5 gal", 2.0 + 0.1 * 7.0), &knowledge);
        assert!(!Arc::ptr_eq(&facts, &again));
    }

    #[test]
    fn other_knowledge_makes_other_facts_of_products_that_were_read_back() {
        let knowledge = Knowledge::shipped();
        let after = Catalog::new(1_000);
        assert!(after.load(&written(&catalog(&knowledge))));
        after.describe(&hit("new", "Oat Milk", 2.0), &Knowledge::default());
        assert_eq!(after.products(), 1);
    }

    #[test]
    fn a_layout_and_rows_of_a_later_version_are_skipped_and_nonsense_is_noticed() {
        let section = written(&catalog(&Knowledge::shipped()));
        let catalog = Catalog::new(1_000);
        assert!(catalog.load(&[&[LAYOUT + 1], &section[1..]].concat()));
        assert_eq!(catalog.products(), 0);
        let mut longer = section.clone();
        put_row(&mut longer, |out| out.extend(b"?what comes later"));
        assert!(catalog.load(&longer));
        assert_eq!(catalog.products(), 20);
        assert!(!catalog.load(&section[..section.len() - 1]));
        assert!(!catalog.load(&longer[..30]));
    }
}
