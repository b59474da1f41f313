//! Floor 4: from what a shopper did to what it says.
//!
//! In: one [`Interaction`] in event time, the shopper's profile and last lists. Out: zero or more
//! [`Signal`]s, ready for `preferences::learn`, and where the act happened in which list.
//!
//! - [`dedupe`] drops doubles: real pages send one press as two events, or tell it by two ways.
//! - [`told`] knows what a visit reports itself, and is not derived from its traffic as well.
//! - [`recent`] remembers the last lists that a subject was shown.
//! - [`derive`] is the one place that knows what each act means.
//! - [`dwell`] turns "the next request came so much later" into time on a product.
//!
//! Live traffic and a replayed log run this same code; it reads no clock and is bounded everywhere.
//!
//! [`Interaction`]: crate::types::interaction::Interaction
//! [`Signal`]: crate::types::signal::Signal

pub mod dedupe;
pub mod derive;
pub mod dwell;
pub mod recent;
pub mod told;

pub use dedupe::{Dedupe, Source};
pub use derive::{Derived, Joined, Shopper, derive};
pub use recent::{RecentLists, ShownList};
pub use told::Told;
