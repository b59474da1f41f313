//! What each act means.
//!
//! In: one interaction, the shopper it belongs to, the rules' thresholds. Out: signals, and the place
//! in a recent list where the product stood. The rules of the game:
//!
//! - A pick in a list teaches the picked product, and every hit above it that was neither picked nor
//!   marked before gets one `displayed_but_scrolled`. A list without a pick teaches nothing.
//! - A product page that is opened from a list is a click too, unless the click was reported.
//!   Who reports clicks, or what was passed over, is not told them from other acts as well.
//! - A hit marked as passed over that is picked after all (clicked, bought, put into the cart) has
//!   its mark taken back, as of the time it was set, so that nothing of it stays in the sums.
//! - A purchase is a subscription, a bulk, a repeated or a first one, in this order.
//!
//! Pure and bounded: at most one list's worth of signals an interaction. The caller learns the
//! signals in order.

use super::recent::{RecentLists, ShownList, bit, has};
use crate::rules::Rules;
use crate::types::clock::Timestamp;
use crate::types::ids::QueryId;
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::profile::Profile;
use crate::types::signal::{Signal, SignalKind};

/// The shopper an interaction belongs to.
#[derive(Debug)]
pub struct Shopper<'a> {
    /// What is known of them; tells a first purchase from a repeated one.
    pub profile: Option<&'a Profile>,
    /// The lists they were shown; picks are marked there.
    pub recent: &'a mut RecentLists,
    /// They report clicks themselves: an opened page stands for none.
    pub tells_clicks: bool,
    /// They report what was passed over themselves.
    pub tells_scrolls: bool,
}

/// The place in a list where an act happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// 0-based position at which the product was shown.
    pub position: usize,
    /// True when the list went out in the upstream's order.
    pub natural: bool,
    /// The search that brought the list.
    pub list: QueryId,
    /// True for the first pick of this hit in this list: the one that the item prior counts.
    pub first_pick: bool,
}

/// What an interaction says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    /// To be learned, in order.
    pub signals: Vec<Signal>,
    /// Where it happened, when a recent list explains it.
    pub joined: Option<Joined>,
}

/// Turns an interaction that is no double into signals and marks the shopper's recent lists.
/// `O(shown hits)`.
pub fn derive(interaction: &Interaction, shopper: &mut Shopper<'_>, rules: &Rules) -> Derived {
    let (tells_clicks, tells_scrolls) = (shopper.tells_clicks, shopper.tells_scrolls);
    let mut act = Act { interaction, derived: Derived::default(), tells_clicks, tells_scrolls };
    let product = interaction.product.key();
    let remembered = shopper.profile.and_then(|p| p.product(product));
    let found = shopper.recent.find(product, interaction.at, rules.thresholds.list_seconds);
    match interaction.kind {
        InteractionKind::Click => act.click(found),
        InteractionKind::View => act.view(found),
        InteractionKind::Dwell { seconds } => {
            act.derived.signals.extend(dwell_kind(seconds).map(|kind| act.signal(kind)));
        }
        InteractionKind::Scroll => act.scroll(found),
        InteractionKind::Purchase { subscription } => {
            let bought_before = remembered.is_some_and(|memory| memory.purchases > 0);
            let bulk_min = rules.thresholds.bulk_quantity_min;
            let kind = purchase_kind(subscription, interaction.quantity >= bulk_min, bought_before);
            act.take(kind, found);
        }
        InteractionKind::PurchaseOf(kind) => act.take(kind, found),
        InteractionKind::AddToCart => act.take(SignalKind::AddToCart, found),
        InteractionKind::QuantityIncrease => act.take(SignalKind::QuantityIncrease, found),
        InteractionKind::SaveForLater => act.take(SignalKind::SaveForLater, found),
        InteractionKind::RemoveFromCart => act.plain(SignalKind::RemoveFromCart),
        InteractionKind::Return => act.plain(SignalKind::Returned),
        InteractionKind::NeverBought => act.plain(SignalKind::ViewedNeverBought),
    }
    act.derived
}

/// The kind of a stay of so many seconds; shorter than the shortest says nothing.
fn dwell_kind(seconds: f32) -> Option<SignalKind> {
    match seconds {
        s if s >= 60.0 => Some(SignalKind::Dwell60),
        s if s >= 30.0 => Some(SignalKind::Dwell30),
        s if s >= 10.0 => Some(SignalKind::Dwell10),
        _ => None,
    }
}

fn purchase_kind(subscription: bool, bulk: bool, bought_before: bool) -> SignalKind {
    match (subscription, bulk, bought_before) {
        (true, _, _) => SignalKind::PurchaseSubscription,
        (_, true, _) => SignalKind::PurchaseBulk,
        (_, _, true) => SignalKind::PurchaseRepeat,
        _ => SignalKind::PurchaseFirstTime,
    }
}

type Found<'a> = Option<(&'a mut ShownList, usize)>;

/// One interaction on its way to signals.
struct Act<'a> {
    interaction: &'a Interaction,
    derived: Derived,
    tells_clicks: bool,
    tells_scrolls: bool,
}

impl Act<'_> {
    fn signal(&self, kind: SignalKind) -> Signal {
        let product = self.interaction.product.key();
        // what is no number of units becomes 0: nobody said
        let quantity = self.interaction.quantity.round() as u8;
        Signal { kind, product, at: self.interaction.at, times: 1.0, quantity }
    }

    fn plain(&mut self, kind: SignalKind) {
        self.derived.signals.push(self.signal(kind));
    }

    /// A reported click. If an opened page already stood for it, this is the same press.
    fn click(&mut self, found: Found<'_>) {
        if let Some((list, position)) = found {
            let told_before = has(list.inferred, position);
            list.inferred &= !bit(position);
            self.pick(list, position);
            if told_before {
                return;
            }
        }
        self.plain(SignalKind::ClickProduct);
    }

    fn view(&mut self, found: Found<'_>) {
        if let Some((list, position)) = found
            && !self.tells_clicks
            && self.pick(list, position)
        {
            list.inferred |= bit(position);
            self.plain(SignalKind::ClickProduct);
        }
        self.plain(SignalKind::ViewDetails);
    }

    /// Cart and purchase: the hit was not passed over after all, but nothing above it was either.
    fn take(&mut self, kind: SignalKind, found: Found<'_>) {
        if let Some((list, position)) = found {
            self.take_back(list, position);
            let first_pick = self.join(list, position);
            list.clicked |= bit(position);
            if let (true, Some(joined)) = (first_pick, &mut self.derived.joined) {
                joined.first_pick = true;
            }
        }
        self.plain(kind);
    }

    fn scroll(&mut self, found: Found<'_>) {
        if let Some((list, position)) = found {
            self.join(list, position);
            if list.is_clicked(position) || list.is_scrolled(position) {
                return;
            }
            list.mark_scrolled(position, self.interaction.at);
        }
        self.plain(SignalKind::DisplayedButScrolled);
    }

    /// Marks a pick and what was passed over above it; true when it is the hit's first pick.
    fn pick(&mut self, list: &mut ShownList, position: usize) -> bool {
        self.take_back(list, position);
        let first_pick = self.join(list, position);
        list.clicked |= bit(position);
        if let (true, Some(joined)) = (first_pick, &mut self.derived.joined) {
            joined.first_pick = true;
        }
        if self.tells_scrolls {
            return first_pick;
        }
        for above in 0..position {
            if list.is_clicked(above) || list.is_scrolled(above) {
                continue;
            }
            let Some(product) = list.product(above) else { continue };
            list.mark_scrolled(above, self.interaction.at);
            let kind = SignalKind::DisplayedButScrolled;
            self.derived.signals.push(Signal { product, ..self.signal(kind) });
        }
        first_pick
    }

    /// Notes where it happened; true when the hit was not picked before.
    fn join(&mut self, list: &ShownList, position: usize) -> bool {
        let (natural, list_id) = (list.natural, list.query);
        self.derived.joined = Some(Joined { position, natural, list: list_id, first_pick: false });
        !list.is_clicked(position)
    }

    fn take_back(&mut self, list: &mut ShownList, position: usize) {
        let marked: Option<Timestamp> = list.unmark_scrolled(position);
        if let Some(at) = marked {
            let passed = self.signal(SignalKind::DisplayedButScrolled);
            self.derived.signals.push(Signal { at, times: -1.0, ..passed });
        }
    }
}

#[cfg(test)]
mod tests;
