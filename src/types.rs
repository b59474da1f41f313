//! Floor 0: the words everyone shares, and nothing else.
//!
//! No I/O, no async, no business logic beyond each type's own invariants. The one exception of the
//! pure wing lives here: [`clock::SystemClock`] is the only code that reads the time.

pub mod budget;
pub mod bytes;
pub mod clock;
pub mod event;
pub mod ids;
pub mod interaction;
pub mod keyed;
pub mod problem;
pub mod product;
pub mod profile;
pub mod reason;
pub mod signal;
pub mod voice;
