//! A profile in the fewest bytes: how the table keeps it, and how it stands in the snapshot.
//!
//! ```text
//! at u32 · evidence f32 · version u32 · number of products · numbers of facets, one an axis
//! product  15..=22 B  key 6 B · slow f32 · fast f32 · tag u8 [· day u16 · purchases u8 · quantities]
//! facet         8 B   hash u32 · sum f32                (the axis is given by the place)
//! price         6 B   mean f32 · weight u16             (of the categories that a bitmap names)
//! ```
//!
//! In: a [`Profile`], or bytes from anywhere. Out: the other. Little-endian; numbers of entries are
//! LEB128. What stands behind the last price is left unread, so that a later version may add to it.
//! A price level goes with its category's facet: without it, it is not kept. Bytes that no profile
//! packs to give `None`, never a panic, and never more memory than a multiple of their length.

use super::learn::PRICE_WEIGHT_MAX;
use crate::types::bytes::{Reader, put_number, put_product};
use crate::types::product::{Axis, FacetKey};
use crate::types::profile::{FacetMemory, PriceMemory, ProductMemory, Profile, QUANTITIES};

/// The fewest bytes of a packed product, and the bytes of a packed facet.
const PRODUCT_BYTES_MIN: usize = 15;
const FACET_BYTES: usize = 8;

/// Tag of a product: how many quantities are kept, and how; whether the purchases are counted apart.
const TAG_KNOWN: u8 = 0b0111;
const TAG_NIBBLES: u8 = 0b0000_1000;
const TAG_BYTES: u8 = 0b0001_0000;
const TAG_COUNT: u8 = 0b0010_0000;

/// What stands first in a packed profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// Time of the latest event.
    pub at: u32,
    /// As of the profile's landmark.
    pub evidence: f32,
    /// Counts up with every change.
    pub version: u32,
}

impl Head {
    /// As [`Profile::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.evidence <= 0.0
    }
}

/// Reads what stands first. `O(1)`.
pub fn head(bytes: &[u8]) -> Option<Head> {
    let mut from = Reader::new(bytes);
    Some(Head { at: from.u32()?, evidence: from.f32()?, version: from.u32()? })
}

/// Appends the packed profile to `out`. `O(entries)`.
pub fn pack(profile: &Profile, out: &mut Vec<u8>) {
    out.extend(profile.at.to_le_bytes());
    out.extend(profile.evidence.to_le_bytes());
    out.extend(profile.version.to_le_bytes());
    put_number(out, profile.products.len());
    let of_axis = |axis: Axis| profile.facets.iter().filter(move |f| f.key.axis() == axis);
    for axis in Axis::ALL {
        put_number(out, of_axis(axis).count());
    }
    profile.products.iter().for_each(|product| pack_product(product, out));
    for facet in &profile.facets {
        out.extend(facet.key.hash().to_le_bytes());
        out.extend(facet.sum.to_le_bytes());
    }
    let categories = of_axis(Axis::Category).count();
    let bitmap = out.len();
    out.resize(bitmap + categories.div_ceil(8), 0);
    for (place, facet) in of_axis(Axis::Category).enumerate() {
        let Some(price) = profile.price(facet.key) else { continue };
        out[bitmap + place / 8] |= 1 << (place % 8);
        let weight = price.weight / PRICE_WEIGHT_MAX * f32::from(u16::MAX);
        out.extend(price.mean_ln.to_le_bytes());
        out.extend((weight.round() as u16).to_le_bytes());
    }
}

fn pack_product(product: &ProductMemory, out: &mut Vec<u8>) {
    put_product(out, product.key);
    out.extend(product.slow.to_le_bytes());
    out.extend(product.fast.to_le_bytes());
    let known = product.quantities.iter().take_while(|units| **units > 0).count();
    if product.purchases == 0 || known == 0 {
        out.push(0);
        return;
    }
    let quantities = &product.quantities[..known];
    let form = match quantities.iter().max() {
        Some(..=1) => 0,
        Some(..=15) => TAG_NIBBLES,
        _ => TAG_BYTES,
    };
    let counted = usize::from(product.purchases) != known;
    out.push(known as u8 | form | if counted { TAG_COUNT } else { 0 });
    out.extend(product.bought_day.to_le_bytes());
    out.extend(counted.then_some(product.purchases));
    match form {
        TAG_NIBBLES => out.extend(
            quantities.chunks(2).map(|pair| pair[0] | pair.get(1).copied().unwrap_or(0) << 4),
        ),
        TAG_BYTES => out.extend(quantities),
        _ => {}
    }
}

/// The profile that `bytes` hold. `O(entries)`.
pub fn unpack(bytes: &[u8]) -> Option<Profile> {
    unpack_front(bytes).map(|(profile, _)| profile)
}

/// The same, with the bytes behind it.
pub fn unpack_front(bytes: &[u8]) -> Option<(Profile, &[u8])> {
    let Head { at, evidence, version } = head(bytes).filter(|head| head.evidence.is_finite())?;
    let mut from = Reader::new(bytes.get(12..)?);
    let products = from.number()?;
    let mut axes = [0; 4];
    for axis in &mut axes {
        *axis = from.number()?;
    }
    let facets = axes.iter().try_fold(0_usize, |sum, axis| sum.checked_add(*axis))?;
    let least = products.checked_mul(PRODUCT_BYTES_MIN)?;
    if least.checked_add(facets.checked_mul(FACET_BYTES)?)? > from.rest().len() {
        return None;
    }
    let mut profile = Profile {
        products: Vec::with_capacity(products),
        facets: Vec::with_capacity(facets),
        prices: Vec::new(),
        evidence,
        at,
        version,
        chosen: Vec::new(),
    };
    for _ in 0..products {
        profile.products.push(unpack_product(&mut from)?);
    }
    for (axis, count) in Axis::ALL.into_iter().zip(axes) {
        for _ in 0..count {
            let key = FacetKey::from_parts(axis, from.u32()?);
            profile.facets.push(FacetMemory { key, sum: from.finite()? });
        }
    }
    profile.prices = unpack_prices(&mut from, &profile.facets[..axes[Axis::Category.index()]])?;
    let sorted = profile.products.is_sorted_by(|a, b| a.key < b.key)
        && profile.facets.is_sorted_by(|a, b| a.key < b.key);
    sorted.then_some((profile, from.rest()))
}

fn unpack_product(from: &mut Reader<'_>) -> Option<ProductMemory> {
    let mut product = ProductMemory::blank(from.product()?);
    product.slow = from.finite()?;
    product.fast = from.finite()?;
    let tag = from.byte()?;
    let known = usize::from(tag & TAG_KNOWN);
    let places = product.quantities.get_mut(..known)?;
    if known == 0 {
        return (tag == 0).then_some(product);
    }
    product.bought_day = from.u16()?;
    product.purchases = if tag & TAG_COUNT == 0 { known as u8 } else { from.byte()? };
    let mut pair = 0;
    for (index, place) in places.iter_mut().enumerate() {
        *place = match tag & (TAG_NIBBLES | TAG_BYTES) {
            0 => 1,
            TAG_NIBBLES if index % 2 == 1 => pair >> 4,
            TAG_NIBBLES => {
                pair = from.byte()?;
                pair & 0xf
            }
            TAG_BYTES => from.byte()?,
            _ => return None,
        };
    }
    (product.purchases > 0 && places.iter().all(|units| *units > 0)).then_some(product)
}

fn unpack_prices(from: &mut Reader<'_>, categories: &[FacetMemory]) -> Option<Vec<PriceMemory>> {
    let bitmap = from.take(categories.len().div_ceil(8))?;
    let named = bitmap.iter().map(|byte| byte.count_ones() as usize).sum();
    let mut prices = Vec::with_capacity(named);
    for (place, facet) in categories.iter().enumerate() {
        if bitmap[place / 8] & 1 << (place % 8) != 0 {
            let mean_ln = from.finite()?;
            let weight = f32::from(from.u16()?) / f32::from(u16::MAX) * PRICE_WEIGHT_MAX;
            prices.push(PriceMemory { category: facet.key, mean_ln, weight });
        }
    }
    Some(prices)
}

const _: () = assert!(QUANTITIES <= TAG_KNOWN as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preferences::learn::apply;
    use crate::preferences::testing::{CAPS, facts, rules_for_tests};
    use crate::types::clock::Timestamp;
    use crate::types::ids::ProductKey;
    use crate::types::signal::{Signal, SignalKind};

    fn packed(profile: &Profile) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(profile, &mut bytes);
        bytes
    }

    fn learned(events: &[(usize, u16, i64, u8)]) -> Profile {
        let rules = rules_for_tests();
        let mut profile = Profile::default();
        for (kind, product, at, quantity) in events {
            let id = product.to_string();
            let category = format!("a/{}", product % 40);
            let facts = facts(&id, "x", &category, &[["p", "q", "r"][usize::from(product % 3)]]);
            let (kind, at) = (SignalKind::ALL[*kind], Timestamp::from_seconds(*at));
            let signal = Signal { kind, product: facts.key, at, times: 1.0, quantity: *quantity };
            apply(&mut profile, &signal, Some(&facts), &rules, CAPS);
        }
        profile
    }

    #[test]
    fn a_product_takes_15_to_22_bytes_and_a_facet_8() {
        let mut profile = Profile::default();
        let empty = packed(&profile).len();
        profile.products.push(ProductMemory::blank(ProductKey(7)));
        assert_eq!(packed(&profile).len() - empty, 15);
        (0..9).for_each(|day| profile.products[0].bought(day, 200));
        assert_eq!(packed(&profile).len() - empty, 22);
        let before = packed(&profile).len();
        let key = FacetKey::of(Axis::Brand, "x");
        profile.facets.push(FacetMemory { key, sum: 1.0 });
        assert_eq!(packed(&profile).len() - before, 8);
    }

    #[test]
    fn what_a_later_version_adds_at_the_end_is_left_unread() {
        let profile = learned(&[(1, 1, 100, 2)]);
        let mut bytes = packed(&profile);
        bytes.extend(b"something new");
        assert_eq!(unpack(&bytes), unpack(&packed(&profile)));
        assert!(unpack(&bytes).is_some());
    }

    #[test]
    fn a_number_that_is_none_is_no_profile() {
        let mut profile = learned(&[(1, 1, 100, 2)]);
        profile.products[0].slow = f32::NAN;
        assert_eq!(unpack(&packed(&profile)), None);
    }

    proptest! {
        #[test]
        fn a_profile_comes_back_as_it_went_in(
            events in prop::collection::vec(
                (0..16_usize, 0..60_u16, 0..90_000_000_i64, 0..=255_u8), 0..200),
        ) {
            let profile = learned(&events);
            let back = unpack(&packed(&profile)).unwrap();
            prop_assert_eq!(&back.products, &profile.products);
            prop_assert_eq!(&back.facets, &profile.facets);
            prop_assert_eq!(back.prices.len(), profile.prices.len());
            for (x, y) in back.prices.iter().zip(&profile.prices) {
                prop_assert!(x.category == y.category && x.mean_ln == y.mean_ln);
                prop_assert!((x.weight - y.weight).abs() < 2e-4);
            }
            prop_assert_eq!(packed(&back), packed(&profile));
            prop_assert_eq!(
                (back.at, back.evidence, back.version),
                (profile.at, profile.evidence, profile.version)
            );
        }

        #[test]
        fn bytes_from_anywhere_are_a_profile_or_none(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0..400_usize, flip in (0..400_usize, any::<u8>()),
        ) {
            unpack(&bytes);
            bytes = packed(&learned(&[(0, 1, 100, 2), (3, 2, 90_000, 20), (8, 3, 200_000, 1)]));
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(flip.0) {
                *byte ^= flip.1;
            }
            unpack(&bytes);
        }
    }
}
