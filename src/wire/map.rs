//! Where things are in a shop's bodies, in the words of the settings.
//!
//! These are plain descriptions: a [`HitMap`] names the array of hits and the members of a hit, a
//! [`Condition`] something that must hold beside them. `wire::HitPlan` compiles them once into the
//! form that the hot path reads.

use super::pointer::Pointer;

/// Where hits are and what their members are called. Field pointers start at the hit.
#[derive(Clone, Debug, Default)]
pub struct HitMap {
    /// The array of hits; several arrays where the pointer has a `*`.
    pub at: Pointer,
    /// Stable product key; a list with a hit that has none passes.
    pub id: Pointer,
    /// The key where `id` yields none: an object's own id.
    pub id_or: Option<Pointer>,
    /// Name.
    pub name: Option<Pointer>,
    /// Category, text or path with `/`.
    pub category: Option<Pointer>,
    /// Brand or supplier.
    pub brand: Option<Pointer>,
    /// Attributes: an array of text, or text.
    pub attributes: Option<Pointer>,
    /// Further search terms: an array of text, or text.
    pub terms: Option<Pointer>,
    /// Price, a number or numeric text.
    pub price: Option<Pointer>,
    /// The upstream's score, a number or numeric text.
    pub score: Option<Pointer>,
    /// In stock: boolean, or a number (0 = out).
    pub stock: Option<Pointer>,
    /// Sponsored: a true value locks the position.
    pub sponsored: Option<Pointer>,
}

/// Something that must hold in a JSON body.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where.
    pub at: Pointer,
    /// What must be there.
    pub is: Expected,
}

/// What a [`Condition`] asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// `null`, or nothing at all.
    Null,
    /// This scalar.
    Value(serde_json::Value),
}
