//! What each act means.
//!
//! In: one interaction, the shopper it belongs to, the rules' thresholds. Out: signals, and the place
//! in a recent list where the product stood. The rules of the game:
//!
//! - A pick in a list teaches the picked product, and every hit above it that was neither picked nor
//!   marked before gets one `displayed_but_scrolled`. A list without a pick teaches nothing.
//!   Weak evidence: half a click a list at most, nothing against what was bought ([`Counts`]).
//! - A product page that is opened from a list is a click too, unless the click was reported.
//!   Who reports clicks, or what was passed over, is not told them from other acts as well.
//! - A hit passed over that is picked after all (clicked, bought, put into the cart) has its mark
//!   taken back, as of the time it was set, so that nothing of it stays in the sums.
//! - A purchase is a subscription, a bulk, a repeated or a first one, in this order.
//!
//! Pure and bounded: at most one list's worth of signals an interaction, to be learned in order.

use super::recent::{PassedOver, RecentLists, SHOWN_MAX, ShownList, bit, has};
use crate::rules::Rules;
use crate::types::ids::{ProductKey, QueryId};
use crate::types::interaction::{Interaction, InteractionKind};
use crate::types::profile::{ProductMemory, Profile};
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

/// What the hits of one list count at most that were passed over, of one click in it.
const PASSED_OVER_MAX: f32 = 0.5;

/// Less of a signal is rounding.
const TIMES_MIN: f32 = 1.0e-3;

/// On what of its product a signal counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// On the product and all its facets.
    Fully,
    /// On the product, and on facets that this one does not have.
    Beside(ProductKey),
    /// On the product alone.
    ProductAlone,
}

/// What an interaction says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Derived {
    /// To be learned, in order.
    pub signals: Vec<Signal>,
    /// What was picked instead of the hits that were passed over just now.
    instead: Option<ProductKey>,
    /// What had been picked instead of the one whose mark is taken back.
    instead_before: Option<ProductKey>,
    /// The whole list, where hits of it were passed over.
    pub list: Box<[ProductKey]>,
    /// Where it happened, when a recent list explains it.
    pub joined: Option<Joined>,
}

impl Derived {
    /// Signals that follow from no act in a list.
    pub fn of(signals: Vec<Signal>) -> Self {
        Self { signals, ..Self::default() }
    }

    /// On what of its product one of the signals counts.
    pub fn counts(&self, signal: &Signal) -> Counts {
        let instead = match signal.kind {
            SignalKind::DisplayedButScrolled if signal.times < 0.0 => self.instead_before,
            SignalKind::DisplayedButScrolled => self.instead,
            _ => return Counts::Fully,
        };
        instead.map_or(Counts::ProductAlone, Counts::Beside)
    }
}

/// Turns an interaction that is no double into signals and marks the shopper's recent lists.
/// `O(shown hits)`.
pub fn derive(interaction: &Interaction, shopper: &mut Shopper<'_>, rules: &Rules) -> Derived {
    shopper.recent.touch();
    let mut act = Act {
        interaction,
        profile: shopper.profile,
        rules,
        derived: Derived::default(),
        tells_clicks: shopper.tells_clicks,
        tells_scrolls: shopper.tells_scrolls,
    };
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
            let bulk = is_bulk(interaction.quantity, remembered.and_then(usual_quantity), rules);
            let kind = purchase_kind(subscription, bulk, bought_before);
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

/// What the shopper usually takes of a product at once, as far as their profile tells.
fn usual_quantity(memory: &ProductMemory) -> Option<f32> {
    memory.usual_quantity().map(f32::from)
}

/// Many units at once: for this shopper, or where nothing is known of their habit for anybody.
fn is_bulk(quantity: f32, usual: Option<f32>, rules: &Rules) -> bool {
    let thresholds = &rules.thresholds;
    quantity
        >= usual.map_or(thresholds.bulk_quantity_min, |usual| {
            usual.max(1.0) * thresholds.bulk_usual_times
        })
}

type Found<'a> = Option<(&'a mut ShownList, usize)>;

/// One interaction on its way to signals.
struct Act<'a> {
    interaction: &'a Interaction,
    profile: Option<&'a Profile>,
    rules: &'a Rules,
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
        let product = self.interaction.product.key();
        if self.was_bought(product) {
            return;
        }
        let Some((list, position)) = found else {
            return self.plain(SignalKind::DisplayedButScrolled);
        };
        self.join(list, position);
        if !list.is_clicked(position) && !list.is_scrolled(position) {
            let picked = list.picked;
            self.pass_over(list, bit(position), picked);
        }
    }

    /// Marks a pick and what was passed over above it; true when it is the hit's first pick.
    fn pick(&mut self, list: &mut ShownList, position: usize) -> bool {
        self.take_back(list, position);
        let first_pick = self.join(list, position);
        list.clicked |= bit(position);
        if let (true, Some(joined)) = (first_pick, &mut self.derived.joined) {
            joined.first_pick = true;
        }
        let own = Some(self.interaction.product.key());
        list.picked = own;
        if self.tells_scrolls {
            return first_pick;
        }
        let looked_at = if list.unordered { SHOWN_MAX } else { position };
        let passed = (0..looked_at).filter(|above| {
            let bought = list.product(*above).is_none_or(|product| self.was_bought(product));
            !(bought || list.is_clicked(*above) || list.is_scrolled(*above))
        });
        let marks = passed.map(bit).sum();
        self.pass_over(list, marks, own);
        first_pick
    }

    /// Marks hits as passed over, as far as the list has anything left to say in this way.
    fn pass_over(&mut self, list: &mut ShownList, marks: u64, instead: Option<ProductKey>) {
        let weight = |kind: SignalKind| self.rules.signal_weights[kind.index()];
        let click = weight(SignalKind::ClickProduct).max(0.0) * PASSED_OVER_MAX;
        let passed = weight(SignalKind::DisplayedButScrolled).abs();
        if marks == 0 || passed == 0.0 {
            return;
        }
        let left = click / passed - list.passed_times();
        let times = (left / marks.count_ones() as f32).min(1.0);
        if times < TIMES_MIN {
            return;
        }
        let at = self.interaction.at;
        list.mark_passed(marks, PassedOver { at, times, instead });
        self.derived.instead = instead;
        self.derived.list = list.shown.clone();
        for position in (0..SHOWN_MAX).filter(|position| has(marks, *position)) {
            let Some(product) = list.product(position) else { continue };
            let passed = self.signal(SignalKind::DisplayedButScrolled);
            self.derived.signals.push(Signal { product, times, ..passed });
        }
    }

    /// A product that was bought is not disliked for being left where it is.
    fn was_bought(&self, product: ProductKey) -> bool {
        let memory = self.profile.and_then(|profile| profile.product(product));
        memory.is_some_and(|memory| memory.purchases > 0)
    }

    /// Notes where it happened; true when the hit was not picked before.
    fn join(&mut self, list: &ShownList, position: usize) -> bool {
        let (natural, list_id) = (list.natural, list.query);
        self.derived.joined = Some(Joined { position, natural, list: list_id, first_pick: false });
        !list.is_clicked(position)
    }

    fn take_back(&mut self, list: &mut ShownList, position: usize) {
        if let Some(PassedOver { at, times, instead }) = list.unmark_passed(position) {
            let passed = self.signal(SignalKind::DisplayedButScrolled);
            self.derived.signals.push(Signal { at, times: -times, ..passed });
            self.derived.instead_before = instead;
            self.derived.list = list.shown.clone();
        }
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
