//! Time on a product, told by the next request.
//!
//! In: the product page that a subject opened last, and the time of their next request. Out: a stay
//! of so many seconds, if it says anything. A shop that reports nothing still tells this way how long
//! a product held somebody; a gap of more than [`GAP_SECONDS_MAX`] is somebody who went away.

use crate::types::bytes::{Reader, put_bytes, put_time};
use crate::types::clock::Timestamp;
use crate::types::ids::ProductId;
use crate::types::interaction::{Interaction, InteractionKind};

/// A longer gap teaches nothing.
pub const GAP_SECONDS_MAX: i64 = 30 * 60;

/// A shorter stay teaches nothing: the shortest kind of the rules starts here.
const STAY_SECONDS_MIN: i64 = 10;

/// The product page opened last.
#[derive(Clone, Debug, PartialEq)]
pub struct LastView {
    /// Which product.
    pub product: ProductId,
    /// When.
    pub at: Timestamp,
}

impl LastView {
    /// Appends it for the snapshot.
    pub fn keep(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.product.as_str().as_bytes());
        put_time(out, self.at);
    }

    /// What [`Self::keep`] wrote.
    pub fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { product: ProductId::parse(from.text()?)?, at: from.time()? })
    }
}

/// The stay that ended with the subject's next request, at whose time it is dated.
///
/// The caller forgets the view afterwards: one view tells one stay.
pub fn from_next_request(view: &LastView, next: Timestamp) -> Option<Interaction> {
    let stay_ms = next.0.checked_sub(view.at.0)?;
    if !(STAY_SECONDS_MIN * 1000..=GAP_SECONDS_MAX * 1000).contains(&stay_ms) {
        return None;
    }
    Some(Interaction {
        kind: InteractionKind::Dwell { seconds: stay_ms as f32 / 1000.0 },
        product: view.product.clone(),
        at: next,
        quantity: 1.0,
        event_id: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_request_tells_how_long_a_product_held_somebody() {
        let view = LastView {
            product: ProductId::parse("oat").unwrap(),
            at: Timestamp::from_seconds(100),
        };
        let stay = |at| from_next_request(&view, Timestamp::from_seconds(at)).map(|i| i.kind);
        assert_eq!(stay(145), Some(InteractionKind::Dwell { seconds: 45.0 }));
        assert_eq!(stay(105), None, "too short to say anything");
        assert_eq!(stay(100 + GAP_SECONDS_MAX + 1), None, "went away");
        assert_eq!(stay(50), None, "out of order");
        assert_eq!(from_next_request(&view, Timestamp(i64::MIN)), None);
    }
}
