//! Floor 4: from what a shopper did to what it says.
//!
//! In: one [`Interaction`] in event time, the shopper's profile and last lists. Out: zero or more
//! [`Signal`]s, ready for `preferences::learn`, and where the act happened in which list.
//!
//! - [`visitor`] and [`conduct`] tell who looks from programs and from browsers that ask ahead.
//! - [`recent`] remembers a subject's last lists, [`cart`] and [`unbought`] its products; [`dwell`]
//!   turns "the next request came so much later" into time on a product.
//! - [`dedupe`] drops doubles, [`told`] what a visit reports itself and traffic shows as well.
//! - [`derive`] knows what each act means, [`contrast`] on what of a product, [`crowd`] for whom else.
//!
//! Live traffic and a replayed log run this same code; it reads no clock and is bounded everywhere.
//!
//! [`Interaction`]: crate::types::interaction::Interaction
//! [`Signal`]: crate::types::signal::Signal

pub mod cart;
pub mod conduct;
pub mod contrast;
pub mod crowd;
pub mod dedupe;
pub mod derive;
pub mod dwell;
pub mod recent;
pub mod told;
pub mod unbought;
pub mod visitor;

pub use dedupe::{Dedupe, Source};
pub use derive::{Counts, Derived, Joined, Shopper, derive};
pub use recent::{Entered, RecentLists, ShownList};
pub use told::Told;
