//! Other answers to "what does a full profile forget?", for comparison with the live one.
//!
//! In: a profile beyond its cap. Out: the same within it, never without the product that was just
//! touched. What live traffic does is `preferences::learn`'s; these are the plain alternatives that
//! it is measured against.

use crate::preferences::learn::Caps;
use crate::rules::HalfLives;
use crate::types::ids::ProductKey;
use crate::types::profile::{ProductMemory, Profile, carried};

/// Which product goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forget {
    /// As in live traffic: the one with the least `√|slow| + |fast|`.
    #[default]
    Live,
    /// The one that was bought longest ago; what was never bought first.
    LastBought,
    /// The one that was bought least often, of equals the one longest ago.
    Seldom,
    /// The one with the smallest slow sum.
    Slow,
    /// The one with the smallest fast sum.
    Fast,
}

impl Forget {
    /// Each with its word.
    pub const ALL: [(&'static str, Self); 5] = [
        ("live", Self::Live),
        ("last-bought", Self::LastBought),
        ("seldom", Self::Seldom),
        ("slow", Self::Slow),
        ("fast", Self::Fast),
    ];

    /// The caps that learning itself has to keep.
    pub(super) fn caps(self, caps: Caps) -> Caps {
        match self {
            Self::Live => caps,
            _ => Caps { products: usize::MAX, ..caps },
        }
    }

    /// Forgets down to `products_max`.
    pub(super) fn trim(
        self,
        profile: &mut Profile,
        products_max: usize,
        spared: ProductKey,
        half_life: &HalfLives,
    ) {
        while self != Self::Live && profile.products.len() > products_max {
            let slow = carried(profile.landmark(), profile.at, half_life.item_slow_seconds);
            let strength = |p: &ProductMemory| match self {
                Self::Live => (0.0, 0),
                Self::LastBought => (f64::from(p.bought_day), p.purchases),
                Self::Seldom => (f64::from(p.purchases), 0),
                Self::Slow => (f64::from(p.slow.abs()) * slow, 0),
                Self::Fast => (f64::from(p.fast.abs()), 0),
            };
            let others = profile.products.iter().enumerate().filter(|(_, p)| p.key != spared);
            let weakest = others.min_by(|(_, a), (_, b)| {
                let ((x, more_x), (y, more_y)) = (strength(a), strength(b));
                let then = a.bought_day.cmp(&b.bought_day).then(a.key.cmp(&b.key));
                x.total_cmp(&y).then(more_x.cmp(&more_y)).then(then)
            });
            let Some((index, _)) = weakest else { return };
            profile.products.remove(index);
        }
    }
}
