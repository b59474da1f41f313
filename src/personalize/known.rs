//! All that is known of one shopper, for that shopper: every remembered product, facet and price,
//! and the lists that were shown last.
//!
//! In: a subject. Out: plain values with names as far as the catalogue knows them; profiles keep
//! none, but for what the shopper named themselves. What would tell of religion, health or intimacy is left out unless the shopper allowed it.

use std::sync::Arc;

use super::Personalizer;
use super::full::KnownEvent;
use crate::preferences::live::{ChosenTaste, LivePreferences, live, rounded};
use crate::preferences::taste::Taste;
use crate::rules::Rules;
use crate::signals::ShownList;
use crate::store::choices::Choice;
use crate::types::ids::{ProductKey, Subject, SubjectKey};
use crate::types::product::{FacetKey, ProductFacts};
use crate::types::profile::{Chosen, Profile};

/// Affinities shown of one axis.
const LIVE_TOP: usize = 50;

/// All that is remembered.
#[derive(Debug, Default, serde::Serialize, schemars::JsonSchema)]
pub struct Known {
    /// The strongest tastes, as the live preferences show them.
    pub preferences: LivePreferences,
    /// How much is known at all, 0 to 1.
    pub confidence: f64,
    /// When something was learned last; seconds since 1970.
    pub last_event: Option<u32>,
    /// Every remembered facet.
    pub facets: Vec<KnownFacet>,
    /// Every remembered product.
    pub products: Vec<KnownProduct>,
    /// The price level that is usual for them in a category.
    pub prices: Vec<KnownPrice>,
    /// The last things that happened, oldest first.
    pub recent_events: Vec<KnownEvent>,
}

/// One remembered facet.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct KnownFacet {
    /// `category`, `brand`, `attribute` or `price_tier`.
    pub axis: &'static str,
    /// Its name; `None`: forgotten, a number is left of it.
    pub name: Option<Arc<str>>,
    /// Taste for it now, -1 to 1.
    pub affinity: f64,
}

/// One remembered product.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct KnownProduct {
    /// Its name; `None`: forgotten, a number is left of it.
    pub name: Option<String>,
    /// How it is remembered now, -1 to 1.
    pub memory: f64,
    /// Purchases; 255 stands for that and more.
    pub purchases: u8,
    /// The day of the last one; seconds since 1970.
    pub bought_at: Option<u32>,
    /// Units that are usual.
    pub usual_quantity: Option<u8>,
}

/// The usual price level in one category.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct KnownPrice {
    /// The category's name, if it is known.
    pub category: Option<Arc<str>>,
    /// The usual price, in the shop's currency.
    pub usual: f64,
}

/// One list as it was shown.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct ShownTo {
    /// When; milliseconds since 1970.
    pub at_ms: i64,
    /// The search's name.
    pub query: String,
    /// Its leading products by name, as far as known.
    pub products: Vec<Option<String>>,
    /// 0-based positions that were picked.
    pub picked: Vec<usize>,
}

impl Personalizer {
    /// All that is remembered of `subject`.
    pub fn known_of(&self, subject: &Subject) -> Known {
        let rules = self.rules.load();
        let allowed = self.allows_sensitive(subject);
        let Some(known) = self.store.shoppers.remembered(subject.key()) else {
            return Known { preferences: self.live_preferences(subject), ..Known::default() };
        };
        let profile = &known.profile;
        let taste = Taste::at(profile, &rules, self.clock.now());
        let name = |facet: FacetKey| self.facet_name(facet, &rules, allowed);
        let shown = |facet: FacetKey| allowed || !self.is_sensitive_facet(facet, &rules);
        let facets = profile.facets.iter().filter(|memory| shown(memory.key));
        let facets = facets.map(|memory| KnownFacet {
            axis: memory.key.axis().name(),
            name: name(memory.key),
            affinity: rounded(taste.learned(memory.key)),
        });
        let products = profile.products.iter().filter(|memory| self.may_tell(memory.key, allowed));
        let products = products.map(|memory| KnownProduct {
            name: self.product_name(memory.key),
            memory: rounded(taste.item(memory.key)),
            purchases: memory.purchases,
            bought_at: (memory.purchases > 0).then(|| u32::from(memory.bought_day) * 86_400),
            usual_quantity: memory.usual_quantity(),
        });
        let prices = profile.prices.iter().filter(|price| shown(price.category));
        let prices = prices.map(|price| KnownPrice {
            category: name(price.category),
            usual: rounded(price.mean_ln.exp()),
        });
        Known {
            preferences: self.live_of(subject, profile, &rules),
            confidence: rounded(taste.confidence()),
            last_event: Some(profile.at),
            facets: facets.collect(),
            products: products.collect(),
            prices: prices.collect(),
            recent_events: self.events_told(&known.events, allowed),
        }
    }

    /// What is known of `subject`, in the plan's shape.
    pub fn live_preferences(&self, subject: &Subject) -> LivePreferences {
        let profile = self.store.shoppers.profile(subject.key());
        self.live_of(subject, &profile.unwrap_or_default(), &self.rules.load())
    }

    fn live_of(&self, subject: &Subject, profile: &Profile, rules: &Rules) -> LivePreferences {
        let taste = Taste::at(profile, rules, self.clock.now());
        let allowed = self.allows_sensitive(subject);
        let said = self.said_by(subject.key(), rules);
        let said = said.iter().filter_map(|choice| {
            Some(ChosenTaste {
                axis: choice.facet.axis().name(),
                name: choice.word.clone(),
                chosen: choice.mark?.name(),
                affinity: rounded(taste.learned(choice.facet)),
                at_ms: choice.at.0,
            })
        });
        let mut chosen: Vec<_> = said.collect();
        chosen.sort_by(|a, b| (a.axis, &a.name).cmp(&(b.axis, &b.name)));
        let shown = live(&taste, LIVE_TOP, &|facet| self.facet_name(facet, rules, allowed));
        LivePreferences { chosen, ..shown }
    }

    /// What a subject has said of single facets, but for what must not be told or have a say. Costs
    /// one atomic load while nobody has said anything.
    pub(super) fn said_by(&self, key: SubjectKey, rules: &Rules) -> Vec<Choice> {
        let Some(said) = self.store.choices.of(key) else { return Vec::new() };
        let allowed = self.store.consents.of(key).sensitive;
        let sensitive = |c: &Choice| rules.knowledge.is_sensitive_facet(c.facet.axis(), &c.word);
        let counts = |c: &&Choice| c.mark.is_some() && (allowed || !sensitive(c));
        said.iter().filter(counts).cloned().collect()
    }

    /// The profile that ranks the lists of a subject: what was learned, and what they said themselves.
    pub(super) fn profile_of(&self, key: SubjectKey, rules: &Rules) -> Option<Arc<Profile>> {
        let profile = self.store.shoppers.profile(key);
        let said = self.said_by(key, rules);
        if said.is_empty() {
            return profile;
        }
        let mut profile = profile.unwrap_or_default();
        let chosen = said.iter().filter_map(|c| Some(Chosen { facet: c.facet, mark: c.mark? }));
        Arc::make_mut(&mut profile).chosen = chosen.collect();
        Some(profile)
    }

    /// Lists of `subject` with the names of their products.
    pub fn named_lists(&self, subject: &Subject, lists: &[ShownList]) -> Vec<ShownTo> {
        let allowed = self.allows_sensitive(subject);
        let name = |key| self.may_tell(key, allowed).then(|| self.product_name(key)).flatten();
        let told = |key: Option<ProductKey>| key.is_some_and(|key| self.may_tell(key, allowed));
        let named = lists.iter().map(|list| ShownTo {
            at_ms: list.at.0,
            query: list.query.to_string(),
            products: list.products().map(name).collect(),
            picked: (0..list.products().count())
                .filter(|at| list.is_clicked(*at) && told(list.product(*at)))
                .collect(),
        });
        named.collect()
    }

    /// May tastes that tell of religion, health or intimacy be shown to this subject?
    pub(super) fn allows_sensitive(&self, subject: &Subject) -> bool {
        self.store.consents.of(subject.key()).sensitive
    }

    /// The name of a facet, unless it tells what must not be told.
    pub(super) fn facet_name(
        &self,
        facet: FacetKey,
        rules: &Rules,
        allowed: bool,
    ) -> Option<Arc<str>> {
        let name = self.store.catalog.name(facet)?;
        (allowed || !rules.knowledge.is_sensitive_facet(facet.axis(), &name)).then_some(name)
    }

    /// A product that may be spoken of.
    pub(super) fn product_told(&self, key: ProductKey, allowed: bool) -> Option<Arc<ProductFacts>> {
        self.store.catalog.get(key).filter(|facts| allowed || !facts.sensitive)
    }

    pub(super) fn is_sensitive_facet(&self, facet: FacetKey, rules: &Rules) -> bool {
        let name = self.store.catalog.name(facet);
        name.is_some_and(|name| rules.knowledge.is_sensitive_facet(facet.axis(), &name))
    }

    /// A product of which nothing is known tells nothing.
    pub(super) fn may_tell(&self, key: ProductKey, allowed: bool) -> bool {
        allowed || !self.store.catalog.get(key).is_some_and(|facts| facts.sensitive)
    }

    pub(super) fn product_name(&self, key: ProductKey) -> Option<String> {
        self.store.catalog.get(key).map(|facts| facts.name.to_string())
    }
}
