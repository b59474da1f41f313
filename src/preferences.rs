//! Floor 3: what is known of taste, learned and read.
//!
//! In: signals, facts, lists that were shown. Out: a [`Profile`] and the [`Population`], plain values.
//!
//! - [`learn`] adds one signal to a profile, in any order; [`taste`] reads it at a time.
//! - [`hierarchical`] reads taste otherwise: out of all remembered products at once.
//! - [`events`] are a shopper's last ones; [`reweigh`] moves their share when a weight is edited.
//! - `keep` says what a full profile forgets; [`packed`] is a profile in the fewest bytes.
//! - [`merge`] joins two profiles when a visit turns out to be a known shopper.
//! - [`population`] keeps what all shoppers have in common: item prior, base rates, propensities.
//! - [`live`] writes a profile in the shape the preferences API shows.
//!
//! Nothing here reads a clock, a file or a socket, keeps names, or grows without a limit.
//!
//! [`Profile`]: crate::types::profile::Profile
//! [`Population`]: population::Population

pub mod events;
pub mod hierarchical;
mod keep;
pub mod learn;
pub mod live;
pub mod merge;
pub mod packed;
pub mod population;
pub mod propensity;
pub mod reweigh;
pub mod taste;

#[cfg(test)]
pub(crate) mod testing;
