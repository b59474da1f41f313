//! What stands in for a Weaviate: one that replays what a real one said, and a small one over the
//! shared catalogue. Each has two ports, as a Weaviate has: HTTP/1.1, and gRPC over h2c.

pub mod catalogue;
pub mod clients;
pub mod front;
pub mod grpc;
pub mod leafloaf;
pub mod legs;
pub mod proto;
pub mod recorded;
pub mod small;
pub mod streams;

pub use catalogue::Catalogue;
pub use front::Front;
pub use legs::Legs;
pub use recorded::Replay;
pub use small::Small;
