//! Weaviate's three wires: GraphQL, gRPC and REST search.
//!
//! In: a request's body. Out: one [`ListAsk`] for each ranked list that its reply will hold: what
//! was searched for, and everything that decides whether that list may be touched. What may be done
//! is one table, the same for all wires.

pub mod graphql;
pub mod grpc;
pub mod protobuf;
pub mod rest;

mod decision;
mod digits;
#[cfg(test)]
mod recorded;

pub use decision::{Decision, Left};

/// What was asked for one list of a reply, whichever wire it came by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListAsk {
    /// The key of the list in the reply, without escapes: GraphQL's alias, else its class. Empty on
    /// wires whose replies hold one list.
    pub key: String,
    /// The collection (class).
    pub collection: String,
    /// The tenant, where the collection has tenants.
    pub tenant: Option<String>,
    /// What ranks the list; `None`: nothing does, its order is that of ids, or chosen.
    pub operator: Option<Operator>,
    /// The words searched for, joined by blanks; empty where the operator has none.
    pub query: String,
    /// The page's length, if it was given as a number above 0.
    pub limit: Option<u32>,
    /// Hits before the page.
    pub offset: u32,
    /// Anything whose value we cannot know, where it decides: a variable, a fragment.
    pub unclear: bool,
    /// A cursor (`after`).
    pub after: bool,
    /// An order was chosen.
    pub sort: bool,
    /// Cut where scores drop.
    pub autocut: bool,
    /// A bound on distance or certainty.
    pub threshold: bool,
    /// Grouped hits.
    pub group_by: bool,
    /// Text is generated from the hits.
    pub generative: bool,
    /// A re-ranker of Weaviate's own.
    pub rerank: bool,
    /// Conditions that lift hits (`boost`).
    pub boost: bool,
    /// A choice for diversity (MMR).
    pub selection: bool,
    /// The same for all pages of one search: everything that was asked but for limit and offset.
    pub fingerprint: u64,
}

/// What ranks a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Words, by BM25.
    Bm25,
    /// Words and vectors, fused.
    Hybrid,
    /// Vectors near words.
    NearText,
    /// Vectors near an object.
    NearObject,
    /// Vectors near a vector.
    NearVector,
    /// Vectors near an image, a sound, a film …
    NearMedia,
}
