//! Weaviate's gRPC wire: `weaviate.v1.Weaviate/Search`.
//!
//! In: bodies of gRPC, of one message each, and the same [`HitMap`](crate::wire::HitMap) that JSON
//! routes use. Out: what a search asks ([`request`]), the same search with another page
//! ([`with_window`]), the hits of a reply as spans of its bytes ([`GrpcPlan`]), and a reply cut to
//! the page that was asked for ([`cut`]). Whole records of `SearchReply.results` move, so that
//! [`splice`](crate::wire::splice()) needs to know nothing of protobuf.
//!
//! Messages are never decoded into a tree and encoded again; fields that we do not know stay where
//! they are. Numbers of fields are those of Weaviate's `grpc/proto/v1`.

mod cut;
mod frame;
mod reply;
mod request;
mod value;

pub use cut::{Stripped, cut, strip};
pub use frame::{framed, message, plain};
pub use reply::GrpcPlan;
pub use request::{GrpcAsk, request, with_properties, with_window};

#[cfg(test)]
mod tests;
