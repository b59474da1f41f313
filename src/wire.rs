//! Floor 1: bytes to hits and back.
//!
//! In: bodies of requests and replies, and words that say where things are in them
//! ([`HitMap`], [`Pointer`]). Out: the hits of a reply as spans of its bytes ([`HitPlan::decode`]),
//! single values of a request ([`Json`]), and the same bytes with the spans in another order
//! ([`splice`]). Content codings are undone and applied again ([`encoding`]).
//!
//! Nothing here waits, opens, logs, or keeps anything but the hits that a caller wants remembered
//! ([`KnownHits`]); nothing panics on any input. Whatever is
//! not certain is a [`Doubt`], and the caller sends the original. A body is never parsed into a
//! tree and written again: every byte of the output is a byte of the input, but for what
//! [`annotate`] is asked to add.
//!
//! Layers, bottom up: `token` (strings, numbers), `scan` (structure), `trie` (pointers), `json` and
//! `plan` (what callers read; `known` is its memory), `splice` and `edit` (what callers write).

pub mod encoding;
pub mod weaviate;

mod doubt;
mod edit;
mod hit;
mod json;
mod known;
mod map;
mod plan;
mod pointer;
mod scan;
mod splice;
mod text;
mod token;
mod trie;

pub use doubt::Doubt;
pub use edit::{Edit, Member, annotate, append_members, remove_member, set_member};
pub use hit::{HitView, Words};
pub use json::{Json, Kind, elements, lines, lookup, lookup_text, object_keys};
pub use known::{Known, KnownHits};
pub use map::{Condition, Expected, HitMap};
pub use plan::{DecodeLimits, HitList, HitPlan, Reply, SkippedList, decode};
pub use pointer::{Pointer, PointerError};
pub use scan::DEPTH_MAX;
pub use splice::{Move, rewrite, splice, splice_without};
