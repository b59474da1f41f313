//! gRPC against an independent reading (prost): requests, replies, and laws of both.

mod judge;
mod laws;
mod recorded;
mod replies;
mod requests;

use crate::wire::{HitMap, Pointer};

/// The members that [`judge`] reads too.
fn map() -> HitMap {
    let at = |text: &str| Pointer::parse(text).unwrap();
    HitMap {
        id: at("/_additional/id"),
        name: Some(at("/name")),
        category: Some(at("/properties/category")),
        brand: Some(at("/brand/name")),
        attributes: Some(at("/searchTerms")),
        terms: Some(at("/terms/*")),
        price: Some(at("/properties/retailPrice")),
        score: Some(at("/_additional/score")),
        stock: Some(at("/isOrganic")),
        ..HitMap::default()
    }
}
